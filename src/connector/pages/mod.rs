//! Reads an object's list page by page: asks, splits the answer into records, and says where to go on.
//! Knows no store; keeps at most one page. Used by `worker` and `cli` through `Connector::pages`.

mod answer;
mod link;
mod pager;
mod parents;
mod position;
mod raw;
mod reader;
mod request;
mod scan;
mod split;
#[cfg(test)]
mod tests;
mod window;

use futures::future::BoxFuture;

use super::client::{Reply, Request};
use super::{Connector, Page};
use crate::plan::ConnectionPlan;
use crate::record::Failure;

pub use reader::PageReader;

/// Sends the request for a page: the connector, or a table in a test.
pub(super) trait Ask: Send + Sync {
    fn ask<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Reply, Failure>>;

    /// The Connection, for names in messages and for links relative to a request.
    fn connection(&self) -> &ConnectionPlan;
}

impl Ask for Connector {
    fn ask<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(self.call(request))
    }

    fn connection(&self) -> &ConnectionPlan {
        &self.inner.plan
    }
}
