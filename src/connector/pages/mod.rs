//! Reads an object's list page by page: asks, splits the answer into records, and says where to go on.
//! Knows no store; keeps at most one page. Used by `worker` and `cli` through `Connector::pages`.

mod answer;
pub(super) mod link;
mod pager;
mod parents;
mod position;
mod reader;
mod request;
mod scan;
mod shape;
mod split;
#[cfg(test)]
mod tests;
mod window;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};

use super::client::Request;
use super::{Connector, Page};
use crate::plan::ConnectionPlan;
use crate::record::Failure;

pub use reader::PageReader;

/// An answer that is no failure.
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A rule of `responses` says that there is nothing here.
    pub ignored: bool,
}

/// Sends the request for a page: the connector, or a table in a test.
pub(super) trait Ask: Send + Sync {
    fn ask<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Reply, Failure>>;

    /// The Connection, for names in messages and for links relative to a request.
    fn connection(&self) -> &ConnectionPlan;
}

impl Ask for Connector {
    fn ask<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async move {
            let reply = self.call(request).await?;
            Ok(Reply {
                status: reply.status,
                headers: reply.headers,
                body: reply.body,
                ignored: reply.ignored,
            })
        })
    }

    fn connection(&self) -> &ConnectionPlan {
        &self.inner.plan
    }
}
