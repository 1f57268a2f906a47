//! The mapping resource.
