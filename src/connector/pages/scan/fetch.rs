//! Asks for the page that a scan is at, and says what a refused or unreadable answer means there.
//! Part of `scan`: split off because it alone asks anybody.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Scan;
use crate::connector::classify::{Purpose, header_values};
use crate::connector::client::Request;
use crate::connector::pages::Reply;
use crate::connector::pages::pager::{Next, Pager};
use crate::connector::pages::request::{injections, link_of};
use crate::connector::pages::split::{Split, SplitError, split};
use crate::expression::{Expression, Scope};
use crate::plan::connection::StopPlan;
use crate::record::{Class, Failure};

/// Answers that are asked for once more because they are cut off or no JSON.
const REREADS: u32 = 2;

/// What became of the request for a page.
pub(super) enum Fetched {
    Page(Reply, Split),
    /// The system says that there is nothing, and nothing more.
    Nothing {
        ignored: bool,
    },
    /// The parent's list isn't there: the parent was deleted meanwhile.
    ParentGone,
}

impl Scan {
    /// Asks for the page at hand until there is an answer that can be split.
    pub(super) async fn fetch(&mut self) -> Result<Fetched, Failure> {
        let ask = Arc::clone(&self.ask);
        let mut rereads = 0;
        loop {
            let Some(at) = &self.at else {
                return Ok(Fetched::Nothing { ignored: false });
            };
            let url = link_of(&self.list, &at.pager, self.token.as_deref());
            let inject = injections(
                &self.list,
                &at.pager,
                &at.cursor,
                self.token.as_deref(),
                url.is_some(),
            );
            let bare = if at.window.since.is_none() {
                self.bare.as_ref()
            } else {
                None
            };
            let request = Request {
                operation: bare.unwrap_or(&self.list.request),
                purpose: Purpose::List,
                scope: Scope {
                    cursor: Some(&at.cursor),
                    parent: at.parent.as_ref().map(|p| &p.value),
                    ..Scope::default()
                },
                inject: &inject,
                url,
            };
            let reply = match ask.ask(request).await {
                Ok(reply) if reply.ignored => return Ok(Fetched::Nothing { ignored: true }),
                Ok(reply) => reply,
                Err(failure) => match self.refused(failure)? {
                    Some(fetched) => return Ok(fetched),
                    None => continue,
                },
            };
            if reply.status == http::StatusCode::NO_CONTENT {
                return Ok(Fetched::Page(reply, Split::default()));
            }
            match split(&reply.body, &self.list) {
                Ok(split)
                    if self.resets(
                        reply.status.as_u16(),
                        || header_values(&reply.headers),
                        &split.envelope,
                    ) =>
                {
                    if self.feed {
                        return Err(self.forgotten(&reply));
                    }
                    self.token = None;
                }
                Ok(split) => return Ok(Fetched::Page(reply, split)),
                Err(SplitError::Shape(what)) => return Err(self.wrong(&what, Some(&reply))),
                Err(_) if rereads < REREADS => rereads += 1,
                Err(SplitError::Truncated) => return Err(self.truncated(&reply)),
                Err(SplitError::NotJson(place)) => {
                    return Err(self.wrong(
                        &format!(
                            "the answer is no JSON ({place}); check spec.http.baseURL and list.path"
                        ),
                        Some(&reply),
                    ));
                }
            }
        }
    }

    /// What a request that did not succeed means here; `None`: ask again, with what was changed.
    fn refused(&mut self, failure: Failure) -> Result<Option<Fetched>, Failure> {
        let Some(at) = &mut self.at else {
            return Err(failure);
        };
        let Some(status) = failure.status else {
            return Err(self.named(failure));
        };
        let body = || {
            failure
                .excerpt
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        };
        let old = matches!(status, 400 | 404 | 410 | 422);
        let first = at.pager.next == Next::First;
        if let (false, Some(StopPlan::When(when))) =
            (first, self.list.pages.as_ref().map(|p| &p.stop))
            && judge(when, status, json!({}), &body())
        {
            return Ok(Some(Fetched::Nothing { ignored: false }));
        }
        if old && at.resumed && !first {
            at.pager = Pager::default();
            at.resumed = false;
            return Ok(None);
        }
        if self.feed && first && self.forgets(status, failure.class, body) {
            let mut failure = self.named(failure);
            failure.class = Class::Gone;
            return Err(failure);
        }
        if first && self.token.is_some() && (old || self.resets(status, || json!({}), &body())) {
            self.token = None;
            return Ok(None);
        }
        if first && self.parents.is_some() && matches!(status, 404 | 410) {
            return Ok(Some(Fetched::ParentGone));
        }
        Err(self.named(failure))
    }

    /// Whether a refused first page of a feed says that it does not know any more where it is to be read from.
    fn forgets(&self, status: u16, class: Class, body: impl FnOnce() -> Value) -> bool {
        let asked =
            self.token.is_some() || self.at.as_ref().is_some_and(|at| at.window.since.is_some());
        let old = matches!(status, 400 | 404 | 410 | 422);
        let refused = self.token.is_some() && (old || self.resets(status, || json!({}), &body()));
        asked && (refused || status == 410 || class == Class::Gone)
    }

    fn forgotten(&self, reply: &Reply) -> Failure {
        let what = "the feed does not know any more where it is to be read from";
        let mut failure = self.wrong(what, Some(reply));
        failure.class = Class::Gone;
        failure
    }

    /// Whether an answer to the token of the last scan says that it is worth nothing any more.
    fn resets(&self, status: u16, headers: impl FnOnce() -> Value, body: &Value) -> bool {
        let first = self
            .at
            .as_ref()
            .is_some_and(|at| at.pager.next == Next::First);
        let rule = self
            .list
            .token
            .as_ref()
            .and_then(|token| token.reset_when.as_ref());
        first
            && self.token.is_some()
            && rule.is_some_and(|when| judge(when, status, headers(), body))
    }

    /// An answer that is not what the manifest says.
    pub(super) fn wrong(&self, what: &str, reply: Option<&Reply>) -> Failure {
        let request = &self.list.request;
        let connection = self.ask.connection().resource();
        let what = match self.feed {
            true => &what.replace(" list.", " changes."),
            false => what,
        };
        let text = format!(
            "{connection}: object {}: {} {}: {what}",
            self.object,
            request.method,
            request.path.source()
        );
        let mut failure = Failure::new(Class::Configuration, true, text);
        failure.status = reply.map(|reply| reply.status.as_u16());
        failure
    }

    fn truncated(&self, reply: &Reply) -> Failure {
        let what = format!(
            "the answer ends in the middle, after {} bytes; it is read again later",
            reply.body.len()
        );
        let mut failure = self.wrong(&what, Some(reply));
        failure.class = Class::Transient;
        failure
    }

    fn named(&self, mut failure: Failure) -> Failure {
        let what = if self.feed { "changes" } else { "list" };
        failure.message = format!("{} ({what} of object {})", failure.message, self.object);
        failure
    }
}

/// What an expression says about an answer; an error is a no.
pub(super) fn judge(when: &Expression, status: u16, headers: Value, body: &Value) -> bool {
    let status = Value::from(status);
    when.test(&[("status", &status), ("headers", &headers), ("body", body)])
        .unwrap_or(false)
}
