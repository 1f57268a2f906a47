//! The sync resource.
