//! The decisions of the engine as pure functions: what a seen record means, which operation it needs,
//! what an answer means, what would change. No I/O, no clock; `worker` and preview run the same code.

pub mod decide;
pub mod diff;
pub mod matching;
pub mod observe;
pub mod route;
