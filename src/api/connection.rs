//! The connection resource.
