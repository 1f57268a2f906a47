//! What a scan reads: the list, or the feed of changes. Knows nothing of the worker; driven by `scan`.

use tokio::time::Instant;

use crate::connector::{Connector, Page, PageReader};
use crate::plan::ObjectPlan;
use crate::record::{Failure, Moment};

use super::feed::{Entries, Told};

/// The reader of the scan under way.
pub struct Reading {
    pub reader: PageReader,
    pub course: Course,
    pub last: bool,
    pub token: Option<String>,
    /// When the request for the page under way began.
    pub began: Instant,
    /// The page of a feed that is not fetched to its end, and what it said beside its records.
    pub told: Option<Told>,
    pub entries: Entries,
    /// The latest moment of a feed that is read ahead.
    pub latest: Option<Moment>,
}

impl Reading {
    /// The next page; of a feed, a portion of the records that it names.
    pub async fn next(
        &mut self,
        source: &Connector,
        object: &ObjectPlan,
    ) -> Result<Option<Page>, Failure> {
        let told = match (self.told.take(), &object.changes) {
            (Some(told), _) => told,
            (None, Some(changes)) if self.course == Course::Feed => {
                let Some(page) = self.reader.next().await? else {
                    return Ok(None);
                };
                Told::new(changes, object, page)?
            }
            (None, _) => return self.reader.next().await,
        };
        let (page, entries, rest) = told.next(source, object).await?;
        (self.entries, self.told) = (entries, rest);
        Ok(Some(page))
    }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    List,
    /// The feed of changes, to learn where it ends: the list follows.
    Ahead,
    Feed,
}
