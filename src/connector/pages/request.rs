//! What the request of a page is made of: the operation, the values put into it, or the URL of a link.
//! Pure. Used by `scan`.

use serde_json::Value;
use url::Url;

use super::pager::{Next, Pager};
use crate::expression::{Scope, Template};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{BodyPlan, InjectionPlan, JsonTemplate, ListPlan, Operation, Place};

/// The request of a scan without a watermark: what `${cursor.since}` stands in is left out. `None`: it
/// stands nowhere.
pub(super) fn without_since(operation: &Operation) -> Option<Operation> {
    let mut bare = operation.clone();
    bare.query.retain(|(_, template)| !names_since(template));
    bare.headers.retain(|(_, template)| !names_since(template));
    let mut left_out =
        bare.query.len() < operation.query.len() || bare.headers.len() < operation.headers.len();
    if let BodyPlan::Template { template, .. } = &mut bare.body {
        left_out |= !prune(template);
    }
    left_out.then_some(bare)
}

fn names_since(template: &Template) -> bool {
    template
        .paths_of("cursor")
        .iter()
        .any(|path| path.to_string() == "since")
}

/// Takes out what names the watermark; false when something was taken out. A part that held nothing else
/// goes with it, so that `filter: {since: "${cursor.since}"}` leaves no empty filter.
fn prune(template: &mut JsonTemplate) -> bool {
    match template {
        JsonTemplate::Literal(_) => true,
        JsonTemplate::Text(text) => !names_since(text),
        JsonTemplate::List(items) => retain(items, |item| item),
        JsonTemplate::Object(fields) => retain(fields, |(_, item)| item),
    }
}

fn retain<T>(all: &mut Vec<T>, part: impl Fn(&mut T) -> &mut JsonTemplate) -> bool {
    let mut whole = true;
    all.retain_mut(|item| {
        let item = part(item);
        let kept = prune(item);
        whole &= kept;
        kept || matches!(item, JsonTemplate::List(items) if !items.is_empty())
            || matches!(item, JsonTemplate::Object(fields) if !fields.is_empty())
    });
    whole
}

/// The values that the request carries beside its own.
pub(super) fn injections<'p>(
    list: &'p ListPlan,
    pager: &Pager,
    cursor: &Value,
    token: Option<&str>,
    linked: bool,
) -> Vec<(&'p InjectionPlan, Value)> {
    let mut inject = Vec::new();
    if let Some(plan) = &list.cursor {
        for (send, name) in [(&plan.send_as, "since"), (&plan.send_until_as, "until")] {
            if let (Some(send), Some(value)) = (send, cursor.get(name)) {
                inject.push((send, value.clone()));
            }
        }
    }
    if let (Some(send), Some(token)) = (list.token.as_ref().and_then(|t| t.send_as.as_ref()), token)
    {
        inject.push((send, token.into()));
    }
    if let Some(pages) = &list.pages {
        pager.inject(pages, &mut inject);
    }
    if linked {
        // A link is whole: the system has put everything into it.
        inject.retain(|(send, _)| send.place != Place::Query);
    }
    inject
}

/// The URL in place of the operation's: a link, or the delta link of the last scan.
pub(super) fn link_of<'a>(
    list: &ListPlan,
    pager: &'a Pager,
    token: Option<&'a str>,
) -> Option<&'a str> {
    match &pager.next {
        Next::Url(url) => Some(url),
        Next::First if list.token.as_ref().is_some_and(|t| t.send_as.is_none()) => token,
        _ => None,
    }
}

/// A link as an absolute URL; a relative one is resolved against the request's (RFC 3986 section 5).
/// What is no URL stays, and the connector says so.
pub(super) fn absolute(
    link: String,
    from: Option<&str>,
    plan: &ConnectionPlan,
    operation: &Operation,
    scope: &Scope<'_>,
) -> String {
    if Url::parse(&link).is_ok() {
        return link;
    }
    let base = match from {
        Some(url) => Url::parse(url).ok(),
        None => {
            let scope = Scope {
                settings: Some(&plan.settings),
                ..*scope
            };
            operation
                .path
                .render_url(&scope)
                .ok()
                .and_then(|path| Url::parse(&[plan.base_url.as_str(), &path].concat()).ok())
        }
    };
    base.and_then(|base| base.join(&link).ok())
        .map_or(link, String::from)
}
