//! The house rules: who may import whom, what is generated, and what people are told about bad input.

mod architecture;
mod cases;
mod chart;
mod docs;
mod generated;
mod letters;
mod observability;
mod reference;
mod structural;
