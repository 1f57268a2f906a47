//! Reads an object page by page.

use std::sync::Arc;

use super::{Connector, Page, ScanStart};
use crate::plan::ObjectPlan;
use crate::record::Failure;

/// Reads an object page by page.
pub struct PageReader {}

impl PageReader {
    pub(super) fn new(connector: Connector, object: Arc<ObjectPlan>, start: ScanStart) -> Self {
        let _ = (connector, object, start);
        Self {}
    }

    /// The next page; `None` after the last. Temporary failures are retried inside, within bounds.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        Ok(None)
    }
}
