//! What both demo systems share: a seeded random source, faults on demand, request counts, and a server
//! that can close a connection without an answer. No knowledge of what the systems hold beyond `roles`, none of Syncline.

pub mod answer;
pub mod faults;
pub mod random;
pub mod roles;
pub mod serve;
pub mod stats;
