//! What ends a run early, in terms of the systems that it is about.
//! Used by all of `worker`.

use crate::record::Failure;

use super::{RunError, Worker};

impl Worker {
    /// The object that `${key.…}` and errors speak of.
    pub(super) fn target_error(&self, failure: Failure) -> RunError {
        let target = &self.plan().target;
        RunError::Target {
            connection: target.connection.name.clone(),
            object: target.object.name.clone(),
            failure,
        }
    }

    pub(super) fn source_error(&self, failure: Failure) -> RunError {
        let source = &self.plan().source;
        RunError::Source {
            connection: source.connection.name.clone(),
            object: source.object.name.clone(),
            failure,
        }
    }
}
