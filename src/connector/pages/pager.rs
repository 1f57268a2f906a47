//! Decides after each page how the next one is asked for, or that none follows.
//! A pure state machine: no I/O, no clock. Driven by `reader`.

use std::collections::HashSet;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::link;
use crate::expression::raw;
use crate::plan::connection::{InjectionPlan, PageWay, PagesPlan, Place, StopPlan};
use crate::record::Fingerprint;

/// Most pages of one list.
const MAX_PAGES: u64 = 10_000_000;
/// Tokens that are remembered; a circle of at most so many is found.
const REMEMBERED: usize = 10_000;
/// Most numbered pages in a row without a record, where the stop rule is about something else.
const EMPTY_PAGES: u32 = 100;
/// The same where the system says itself that more follows: some look through much that doesn't fit.
const EMPTY_LINKED_PAGES: u32 = 1_000;
/// Most pages in a row with the very same records, each of which says that more follows.
const SAME_PAGES: u32 = 100;

/// How the next page is asked for: what a position keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Next {
    #[default]
    First,
    Token(Value),
    Url(String),
    Page(u64),
    Offset(u64),
    LastKey(Value),
}

/// What a page showed.
pub(super) struct Seen<'a> {
    /// Records before any filter.
    pub count: u64,
    /// Of all records, for ways in which a page can come twice unnoticed.
    pub content: Fingerprint,
    pub last_record: Option<&'a [u8]>,
    pub envelope: &'a Value,
    pub headers: &'a HeaderMap,
    /// What the stop rule's expression says.
    pub judged: bool,
}

/// The place in one list.
#[derive(Debug, Default)]
pub(super) struct Pager {
    pub next: Next,
    /// Records of all pages so far.
    pub read: u64,
    pages: u64,
    empty: u32,
    /// Pages in a row with the same records.
    same: u32,
    tokens: HashSet<Fingerprint>,
    content: Fingerprint,
}

impl Pager {
    /// Goes on where a position says.
    pub fn at(next: Next, read: u64) -> Self {
        let mut pager = Self {
            next,
            read,
            ..Self::default()
        };
        let print = match &pager.next {
            Next::Token(value) | Next::LastKey(value) => {
                Some(Fingerprint::of(value.to_string().as_bytes()))
            }
            Next::Url(url) => Some(Fingerprint::of(url.as_bytes())),
            Next::First | Next::Page(_) | Next::Offset(_) => None,
        };
        pager.tokens.extend(print);
        pager
    }

    /// The values that the next request carries.
    pub fn inject<'p>(&self, plan: &'p PagesPlan, inject: &mut Vec<(&'p InjectionPlan, Value)>) {
        if let (Some(size), Some(send)) = (plan.size, &plan.send_size) {
            inject.push((send, size.into()));
        }
        match (&plan.way, &self.next) {
            (PageWay::Token { send_as, .. }, Next::Token(token)) => {
                inject.push((send_as, token.clone()))
            }
            (PageWay::LastKey { send_as, .. }, Next::LastKey(key)) => {
                inject.push((send_as, key.clone()))
            }
            (PageWay::Page { start, send_as }, Next::First) => {
                inject.push((send_as, (*start).into()))
            }
            (PageWay::Page { send_as, .. }, Next::Page(number)) => {
                inject.push((send_as, (*number).into()))
            }
            (PageWay::Offset { send_as }, Next::First) => inject.push((send_as, 0.into())),
            (PageWay::Offset { send_as }, Next::Offset(offset)) => {
                inject.push((send_as, (*offset).into()))
            }
            _ => {}
        }
    }

    /// Moves past a page; false: nothing follows. The error is a line for the person who wrote the manifest.
    pub fn advance(&mut self, plan: &PagesPlan, seen: &Seen<'_>) -> Result<bool, String> {
        self.read += seen.count;
        self.pages += 1;
        self.check_bounds(plan, seen)?;
        if self.stops(&plan.stop, seen)? {
            return Ok(false);
        }
        let next = self.following(&plan.way, seen)?;
        let Some(next) = next else {
            return match &plan.stop {
                StopPlan::Flag { path, .. } if seen.count > 0 => Err(format!(
                    "{path} says that more follows, but the answer does not say how to ask for it; correct list.pagination"
                )),
                _ => Ok(false),
            };
        };
        self.next = next;
        Ok(true)
    }

    fn check_bounds(&mut self, plan: &PagesPlan, seen: &Seen<'_>) -> Result<(), String> {
        if self.pages >= MAX_PAGES {
            return Err(format!(
                "the list has more than {MAX_PAGES} pages; narrow it by a cursor with step, or by query"
            ));
        }
        let parameter = match &plan.way {
            PageWay::Page { send_as, .. } => &send_as.name,
            PageWay::Offset { send_as } => &send_as.name,
            PageWay::LastKey { .. } => return Ok(()),
            PageWay::Token { .. } | PageWay::Link | PageWay::NextUrl { .. } => {
                return self.check_linked(seen);
            }
        };
        let full = seen.count > 0 && plan.size.is_none_or(|size| seen.count >= u64::from(size));
        if full && seen.content == self.content {
            return Err(format!(
                "the same full page came twice in a row: the system ignores the parameter {parameter:?}; correct list.pagination"
            ));
        }
        self.content = if full {
            seen.content
        } else {
            Fingerprint::UNKNOWN
        };
        self.empty = if seen.count == 0 { self.empty + 1 } else { 0 };
        if self.empty >= EMPTY_PAGES {
            return Err(format!(
                "{EMPTY_PAGES} pages in a row hold no record, and the stop rule never holds; correct list.pagination.stop"
            ));
        }
        Ok(())
    }

    /// Pages that lead on and on without anything new.
    fn check_linked(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        self.empty = if seen.count == 0 { self.empty + 1 } else { 0 };
        let same = seen.count > 0 && seen.content == self.content;
        self.same = if same { self.same + 1 } else { 0 };
        self.content = seen.content;
        if self.empty >= EMPTY_LINKED_PAGES {
            return Err(format!(
                "{EMPTY_LINKED_PAGES} pages in a row hold no record, and each says that more follows; ask the system's owner, or narrow the list by query"
            ));
        }
        if self.same >= SAME_PAGES {
            return Err(format!(
                "{SAME_PAGES} pages in a row hold the same records, and each says that more follows; correct list.pagination"
            ));
        }
        Ok(())
    }

    fn stops(&self, stop: &StopPlan, seen: &Seen<'_>) -> Result<bool, String> {
        Ok(match stop {
            StopPlan::NoNext => false,
            StopPlan::Empty => seen.count == 0,
            StopPlan::Short { size } => seen.count < *size,
            StopPlan::Flag { path, is } => truth(path.get(seen.envelope)) == *is,
            StopPlan::Total { path } => match path.get(seen.envelope).and_then(number) {
                Some(total) => seen.count == 0 || self.read >= total,
                None => {
                    return Err(format!(
                        "there is no number at {path}; correct list.pagination.stop.total.path"
                    ));
                }
            },
            StopPlan::When(_) => seen.judged,
        })
    }

    /// What asks for the page after this one.
    fn following(&mut self, way: &PageWay, seen: &Seen<'_>) -> Result<Option<Next>, String> {
        Ok(match way {
            PageWay::Token { from, send_as } => {
                let Some(token) = from.get(seen.envelope).filter(|t| !is_none(t)) else {
                    return Ok(None);
                };
                let scalar = !matches!(token, Value::Object(_) | Value::Array(_));
                if !scalar && send_as.place != Place::Body {
                    return Err(format!(
                        "the page token at {from} is no text or number; correct list.pagination.token.from"
                    ));
                }
                self.once(&token.to_string(), &format!("the page token at {from}"))?;
                Some(Next::Token(token.clone()))
            }
            PageWay::NextUrl { from } => match from.get(seen.envelope).filter(|t| !is_none(t)) {
                None => None,
                Some(Value::String(url)) => {
                    self.url(url, &format!("the URL of the next page at {from}"))?
                }
                Some(_) => {
                    return Err(format!(
                        "what stands at {from} is no URL; correct list.pagination.nextURL.from"
                    ));
                }
            },
            PageWay::Link => match link::next(seen.headers) {
                None => None,
                Some(url) => self.url(&url, "the Link header's URL of the next page")?,
            },
            PageWay::Page { start, .. } => Some(Next::Page(match self.next {
                Next::Page(number) => number + 1,
                _ => start + 1,
            })),
            PageWay::Offset { .. } if seen.count == 0 => None,
            PageWay::Offset { .. } => Some(Next::Offset(match self.next {
                Next::Offset(offset) => offset + seen.count,
                _ => seen.count,
            })),
            PageWay::LastKey { from, .. } => {
                let Some(record) = seen.last_record else {
                    return Ok(None);
                };
                let Some(key) = raw::field(record, from).filter(|k| !is_none(k)) else {
                    return Err(format!(
                        "the last record of a page has no {from}; correct list.pagination.lastKey.from"
                    ));
                };
                self.once(&key.to_string(), &format!("the last record's {from}"))?;
                Some(Next::LastKey(key))
            }
        })
    }

    fn url(&mut self, url: &str, what: &str) -> Result<Option<Next>, String> {
        self.once(url, what)?;
        Ok(Some(Next::Url(url.to_owned())))
    }

    /// What asks for a page may come once: else the scan would go in a circle for ever.
    fn once(&mut self, text: &str, what: &str) -> Result<(), String> {
        if self.tokens.len() >= REMEMBERED {
            self.tokens.clear();
        }
        if self.tokens.insert(Fingerprint::of(text.as_bytes())) {
            return Ok(());
        }
        Err(format!(
            "{what} came twice: the scan would go in a circle; if it means that nothing follows, say so in list.pagination.stop, else correct where it is sent"
        ))
    }
}

/// Null, false and an empty text ask for nothing.
fn is_none(token: &Value) -> bool {
    matches!(token, Value::Null | Value::Bool(false)) || token.as_str().is_some_and(str::is_empty)
}

/// Yes or no, also as text or number, as some systems write it.
fn truth(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => ["true", "yes", "1"]
            .iter()
            .any(|yes| text.eq_ignore_ascii_case(yes)),
        _ => false,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
