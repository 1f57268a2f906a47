//! From files to resources: everything that can be known of manifests without calling anybody.
//! Called by the commands of `cli`; `plan` checks what comes out.

mod files;
mod kinds;
mod load;
#[cfg(test)]
mod mutation_tests;
mod node;
mod scalar;
mod schema;
mod text;
mod yaml;
#[cfg(test)]
mod yaml_tests;

pub use load::{Finding, Loaded, Origin, Texts, load};
pub use node::Position;
