//! The decisions of the engine as pure functions: what a seen record means, which operation it needs,
//! what an answer means, what would change. No I/O, no clock; the only caller is `worker`.

pub mod decide;
pub mod diff;
pub mod echo;
pub mod matching;
pub mod observe;
pub mod redact;
pub mod route;

#[cfg(test)]
mod tests;
