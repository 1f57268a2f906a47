//! Damaged and random inputs for everything that reads what others wrote: never a panic, always an end, and a law
//! for each target. A short run by itself, a long one by `make fuzz`. What is not public has its targets beside
//! it: `src/connector/fuzz_tests.rs` (headers) and `src/cli/manifest/mutation_tests.rs` (manifests).

mod deliveries;
mod expressions;
#[path = "../support/fuzz.rs"]
mod fuzz;
mod json;
mod paths;
mod placeholders;
