//! One scan of an object: the shell around pager, window, parents and splitter.
//! Asks one request at a time; state changes only after an answer, so that a dropped `next` loses nothing.

mod fetch;

use std::sync::Arc;

use serde_json::Value;

use super::answer::{content, records_of};
use super::pager::{Next, Pager, Seen};
use super::parents::Parents;
use super::position::{ListPosition, ParentPosition, Position, fingerprint};
use super::request::{absolute, link_of, without_since};
use super::split::Split;
use super::window::{Mark, Window};
use super::{Ask, Reply};
use crate::connector::classify::header_values;
use crate::connector::{Page, ScanStart};
use crate::expression::{RecordText, Scope};
use crate::plan::connection::{ListPlan, Operation, StopPlan};
use crate::record::{Failure, Moment};

use fetch::{Fetched, judge};

/// Pages without a record that are passed over in one call, so that nothing is seldom committed.
const QUIET: u32 = 100;

/// One scan.
pub(super) struct Scan {
    ask: Arc<dyn Ask>,
    object: String,
    list: Arc<ListPlan>,
    /// The list is a feed of changes.
    feed: bool,
    /// The request without what `${cursor.since}` stands in.
    bare: Option<Operation>,
    /// Fingerprint of the list, for positions.
    print: String,
    /// When the scan began, nanoseconds since 1970.
    began: i128,
    watermark: Option<Moment>,
    /// What the parents were read up to, and where a new one begins.
    known: Arc<crate::connector::Parents>,
    new_parents: Option<Moment>,
    /// Parents that were read to their end and not told of yet.
    read_parents: Vec<u64>,
    /// The last scan's token, as long as it is accepted; after the last page, the next scan's.
    token: Option<String>,
    parents: Option<Parents>,
    at: Option<Place>,
    /// Whether any parent's list was there, and how many were not.
    any: bool,
    gone: u32,
    ignored: u32,
    /// The whole list was read in a former life.
    ended: bool,
    done: bool,
}

/// The list that a scan is in.
struct Place {
    parent: Option<ParentPosition>,
    window: Window,
    /// What `${cursor.…}` stands for.
    cursor: Value,
    pager: Pager,
    /// A position led here and nothing was read since: the page token may have grown old.
    resumed: bool,
}

impl Scan {
    pub fn new(
        ask: Arc<dyn Ask>,
        object: String,
        list: Arc<ListPlan>,
        start: ScanStart,
        now: i128,
    ) -> Self {
        let print = fingerprint(&list);
        let position = start
            .resume
            .as_ref()
            .and_then(|value| Position::read(value, &print));
        let began = position
            .as_ref()
            .and_then(|p| p.began.parse().ok())
            .unwrap_or(now);
        let parent = position.as_ref().and_then(|p| p.parent.clone());
        let parents = (!list.for_each.is_empty())
            .then(|| Parents::new(Arc::clone(&list), began, parent.as_ref()));
        let mut scan = Self {
            bare: without_since(&list.request),
            watermark: start.since.filter(|_| list.cursor.is_some()),
            known: start.parents,
            new_parents: start.new_parents,
            read_parents: Vec::new(),
            feed: start.feed,
            token: start.token.filter(|_| list.token.is_some()),
            ask,
            object,
            list,
            print,
            began,
            parents,
            at: None,
            any: false,
            gone: 0,
            ignored: 0,
            ended: false,
            done: false,
        };
        if let Some(position) = position {
            scan.watermark = position.watermark.as_ref().and_then(Mark::moment);
            scan.token = position.token;
            scan.any = position.any;
            scan.ended = position.ended;
            if let Some(at) = position.at {
                let pager = Pager::at(at.next.clone(), at.read);
                scan.open(parent, at.window(), pager, true);
            }
        }
        scan
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        let mut quiet = 0;
        while !self.done {
            if self.ended || (self.at.is_none() && !self.enter().await?) {
                self.check_any()?;
                self.done = true;
                let position = self.position(None, None, true);
                return Ok(Some(self.page(Vec::new(), position, true)));
            }
            let Some(page) = self.read().await? else {
                continue;
            };
            if page.records.is_empty() && !page.last && quiet < QUIET {
                quiet += 1;
                self.ignored += page.ignored;
                self.read_parents = page.parents;
                continue;
            }
            self.done = page.last;
            return Ok(Some(page));
        }
        Ok(None)
    }

    /// Goes to the next list; false: there is none.
    async fn enter(&mut self) -> Result<bool, Failure> {
        let parent = match &mut self.parents {
            None => None,
            Some(parents) => {
                let parent = parents.next(&self.ask).await?;
                self.ignored += std::mem::take(&mut parents.skipped);
                if parent.is_none() {
                    return Ok(false);
                }
                parent
            }
        };
        let cursor = self.list.cursor.as_ref();
        let window = cursor
            .map(|c| Window::first(c, self.since(parent.as_ref()).as_ref(), self.began))
            .unwrap_or_default();
        self.open(parent, window, Pager::default(), false);
        Ok(true)
    }

    /// The watermark of a list. A parent that no completed scan has read has none: all of it is new.
    fn since(&self, parent: Option<&ParentPosition>) -> Option<Moment> {
        let common = self.watermark.clone()?;
        let Some(parent) = parent else {
            return Some(common);
        };
        match self.known.get(&parent.name()) {
            // Never beyond what the scan as a whole has seen.
            Some(own) => Some(match own.order(&common) {
                Some(std::cmp::Ordering::Less) => own.clone(),
                _ => common,
            }),
            None => self.new_parents.clone(),
        }
    }

    fn open(
        &mut self,
        parent: Option<ParentPosition>,
        window: Window,
        pager: Pager,
        resumed: bool,
    ) {
        let cursor = self
            .list
            .cursor
            .as_ref()
            .map_or(Value::Null, |c| window.scope(c));
        self.at = Some(Place {
            parent,
            window,
            cursor,
            pager,
            resumed,
        });
    }

    /// Reads one page of the list at hand; `None`: there is no such list.
    async fn read(&mut self) -> Result<Option<Page>, Failure> {
        let fetched = self.fetch().await?;
        let Some(mut at) = self.at.take() else {
            return Ok(None);
        };
        at.resumed = false;
        let (reply, split) = match fetched {
            Fetched::Page(reply, split) => (reply, split),
            Fetched::Nothing { ignored } => {
                self.ignored += u32::from(ignored);
                self.any = true;
                return Ok(Some(self.finish(at, Vec::new(), false)));
            }
            Fetched::ParentGone => {
                self.gone += 1;
                self.ignored += 1;
                return Ok(None);
            }
        };
        self.any = true;
        match self.move_on(&mut at, &reply, &split) {
            Ok(more) => {
                let parent = at.parent.as_ref().map(|p| &p.value);
                let since = at.window.since.as_ref();
                let (records, failed) = records_of(split.records, &self.list, parent, since);
                self.ignored += failed;
                Ok(Some(self.finish(at, records, more)))
            }
            Err(what) => {
                self.at = Some(at);
                Err(self.wrong(&what, Some(&reply)))
            }
        }
    }

    /// Moves past a page; false: the list has no more.
    fn move_on(&mut self, at: &mut Place, reply: &Reply, split: &Split) -> Result<bool, String> {
        let list = Arc::clone(&self.list);
        let link = link_of(&list, &at.pager, self.token.as_deref()).map(str::to_owned);
        let mut more = false;
        if let Some(pages) = &list.pages {
            let judged = match &pages.stop {
                StopPlan::When(when) => judge(
                    when,
                    reply.status.as_u16(),
                    header_values(&reply.headers),
                    &split.envelope,
                ),
                _ => false,
            };
            let seen = Seen {
                count: split.records.len() as u64,
                content: content(&pages.way, &split.records),
                last_record: split.records.last().map(AsRef::as_ref),
                envelope: &split.envelope,
                headers: &reply.headers,
                judged,
            };
            more = at.pager.advance(pages, &seen)?;
        }
        let scope = Scope {
            parent: at.parent.as_ref().map(|p| &p.value),
            ..Scope::default()
        };
        let resolve = |url: String| {
            absolute(
                url,
                link.as_deref(),
                self.ask.connection(),
                &list.request,
                &scope,
            )
        };
        if let (true, Next::Url(url)) = (more, &mut at.pager.next) {
            *url = resolve(std::mem::take(url));
        }
        if let (false, Some(token)) = (more, &list.token) {
            let found = token
                .from
                .get(&split.envelope)
                .and_then(crate::record::scalar_text)
                .filter(|t| !t.is_empty());
            let Some(found) = found else {
                return Err(format!(
                    "the last page has no token at {}; correct list.cursor.token",
                    token.from
                ));
            };
            self.token = Some(if token.send_as.is_none() {
                resolve(found)
            } else {
                found
            });
        }
        Ok(more)
    }

    /// The page, and where to go on after it.
    fn finish(&mut self, mut at: Place, records: Vec<RecordText>, more: bool) -> Page {
        let following = match &self.list.cursor {
            Some(cursor) if !more => at.window.following(cursor, self.began),
            _ => None,
        };
        let parent = at.parent.clone();
        if let Some(window) = following {
            self.open(at.parent.take(), window, Pager::default(), false);
        } else if more {
            self.at = Some(at);
        }
        let place = self
            .at
            .as_ref()
            .map(|at| ListPosition::new(at.pager.next.clone(), at.pager.read, &at.window));
        if place.is_none() {
            self.read_parents
                .extend(parent.as_ref().map(ParentPosition::name));
        }
        let last = place.is_none()
            && self
                .parents
                .as_ref()
                .is_none_or(|parents| parents.more() == Some(false));
        let position = self.position(parent, place, last);
        self.page(records, position, last)
    }

    fn page(&mut self, records: Vec<RecordText>, position: Value, last: bool) -> Page {
        let token = if last { self.token.clone() } else { None };
        Page {
            records,
            position,
            last,
            token,
            parents: std::mem::take(&mut self.read_parents),
            ignored: std::mem::take(&mut self.ignored),
        }
    }

    fn position(
        &self,
        parent: Option<ParentPosition>,
        at: Option<ListPosition>,
        ended: bool,
    ) -> Value {
        let position = Position {
            list: self.print.clone(),
            began: self.began.to_string(),
            watermark: self.watermark.as_ref().map(Mark::from),
            token: self.token.clone(),
            parent,
            at,
            any: self.any,
            ended,
        };
        // All its keys are text, so this cannot fail; null would begin again, which loses nothing.
        serde_json::to_value(position).unwrap_or_default()
    }

    /// A list that is there for no parent at all has a wrong path.
    fn check_any(&self) -> Result<(), Failure> {
        if self.any || self.gone == 0 {
            return Ok(());
        }
        let what = format!(
            "answered 404 or 410 for all of {} parents; correct list.path or list.forEach",
            self.gone
        );
        Err(self.wrong(&what, None))
    }
}
