//! The reader that `Connector::pages` gives out: a scan, or the reason why there is none.
//! Used by `worker` and `cli`.

use std::sync::Arc;

use jiff::Timestamp;

use super::Ask;
use super::scan::Scan;
use crate::connector::{Connector, Page, ScanStart};
use crate::plan::ObjectPlan;
use crate::record::{Class, Failure};

/// Reads an object page by page.
pub struct PageReader {
    scan: Result<Box<Scan>, Failure>,
}

impl PageReader {
    pub(in crate::connector) fn new(
        connector: Connector,
        object: Arc<ObjectPlan>,
        start: ScanStart,
    ) -> Self {
        Self::over(
            Arc::new(connector),
            &object,
            start,
            Timestamp::now().as_nanosecond(),
        )
    }

    /// Reads with `ask`; the scan begins at `now`, nanoseconds since 1970.
    pub(super) fn over(
        ask: Arc<dyn Ask>,
        object: &ObjectPlan,
        start: ScanStart,
        now: i128,
    ) -> Self {
        let list = match start.feed {
            true => object.changes.as_ref().map(|changes| &changes.list),
            false => object.list.as_ref(),
        };
        let scan = match list {
            Some(list) => Ok(Box::new(Scan::new(
                ask,
                object.name.clone(),
                Arc::new(list.clone()),
                start,
                now,
            ))),
            None => {
                let missing = match start.feed {
                    true => "changes to learn from what has changed; add spec.objects[].changes",
                    false => "list to read its records with; add spec.objects[].list",
                };
                let text = format!(
                    "{}: object {}: has no {missing}",
                    ask.connection().resource(),
                    object.name
                );
                Err(Failure::new(Class::Configuration, false, text))
            }
        };
        Self { scan }
    }

    /// The next page; `None` after the last. Temporary failures are retried inside, within bounds. A page
    /// may hold no records and still be the last, or say where to go on.
    ///
    /// # Errors
    /// What the connector makes of a refused request; `Configuration` where the answer is not what the
    /// manifest says, or the pages go in a circle; `Gone` where a feed has forgotten.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        match &mut self.scan {
            Ok(scan) => scan.next().await,
            Err(failure) => Err(failure.clone()),
        }
    }
}
