//! Bad input at run time: a table of what goes wrong outside of the program, what it says about it, and
//! that nothing is lost by it. A row is a test; `rows` hold them by subject.
//!
//! Each runs the real binary against a shop and a CRM on loopback. With the fault the run has the exit code
//! and the words of its row; once the fault is gone, another run brings the CRM to hold exactly what it
//! should. `cargo test --test badinput -- --nocapture --test-threads 1` shows what is said.

mod bench;
mod disk;
mod manifests;
mod rows;
mod server;
mod tls;
mod world;
