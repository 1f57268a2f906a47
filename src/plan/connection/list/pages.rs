//! How the next page is asked for and when there is none, compiled.
//! Pure. Run by `connector::pages`.

use serde::{Deserialize, Serialize};

use crate::api::connection::{Injection, PageSize, PaginationSpec, StopSpec};
use crate::expression::{Expression, Path};
use crate::plan::connection::{Checker, InjectionPlan};

/// Variables of `stop.when` and `resetWhen`.
pub(super) const ANSWER_VARIABLES: [&str; 3] = ["status", "headers", "body"];

/// How the next page is asked for and when there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PagesPlan {
    pub way: PageWay,
    pub stop: StopPlan,
    /// Records that a page is asked to have.
    pub size: Option<u32>,
    /// Where the size is sent.
    pub send_size: Option<InjectionPlan>,
}

/// How the next page is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PageWay {
    Token { from: Path, send_as: InjectionPlan },
    Link,
    NextUrl { from: Path },
    Page { start: u64, send_as: InjectionPlan },
    Offset { send_as: InjectionPlan },
    LastKey { from: Path, send_as: InjectionPlan },
}

/// When nothing follows, beside a missing token, link or URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StopPlan {
    /// Only when there is no token, link or URL.
    NoNext,
    Empty,
    Short {
        size: u64,
    },
    Flag {
        path: Path,
        is: bool,
    },
    Total {
        path: Path,
    },
    When(Expression),
}

/// Compiles `pagination`.
pub(super) fn compile_pages(
    spec: &PaginationSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<PagesPlan> {
    let before = checker.problems.len();
    let mut ways: Vec<(Option<PageWay>, Option<&PageSize>, &str)> = Vec::new();
    if let Some(token) = &spec.token {
        let at = format!("{field}.token");
        let from = field_path(&format!("{at}.from"), &token.from, checker);
        let send = send_as(&token.send_as, &at, checker);
        let way = from
            .zip(send)
            .map(|(from, send_as)| PageWay::Token { from, send_as });
        ways.push((way, token.size.as_ref(), "token"));
    }
    if let Some(link) = &spec.link {
        ways.push((Some(PageWay::Link), link.size.as_ref(), "link"));
    }
    if let Some(url) = &spec.next_url {
        let from = field_path(&format!("{field}.nextURL.from"), &url.from, checker);
        ways.push((
            from.map(|from| PageWay::NextUrl { from }),
            url.size.as_ref(),
            "nextURL",
        ));
    }
    if let Some(page) = &spec.page {
        let send = send_as(&page.send_as, &format!("{field}.page"), checker);
        let way = send.map(|send_as| PageWay::Page {
            start: page.start.unwrap_or(1),
            send_as,
        });
        ways.push((way, page.size.as_ref(), "page"));
    }
    if let Some(offset) = &spec.offset {
        let send = send_as(&offset.send_as, &format!("{field}.offset"), checker);
        ways.push((
            send.map(|send_as| PageWay::Offset { send_as }),
            offset.size.as_ref(),
            "offset",
        ));
    }
    if let Some(last) = &spec.last_key {
        let at = format!("{field}.lastKey");
        let from = field_path(&format!("{at}.from"), &last.from, checker);
        let send = send_as(&last.send_as, &at, checker);
        let way = from
            .zip(send)
            .map(|(from, send_as)| PageWay::LastKey { from, send_as });
        ways.push((way, last.size.as_ref(), "lastKey"));
    }
    if ways.len() != 1 {
        checker.problem(
            field,
            "give exactly one of token, link, nextURL, page, offset, lastKey",
        );
        return None;
    }
    let (way, size, name) = ways.pop()?;
    let send_size = match size.and_then(|s| s.send_as.as_ref()) {
        Some(injection) => Some(send_as(
            injection,
            &format!("{field}.{name}.size"),
            checker,
        )?),
        None => None,
    };
    let size = size.map(|s| s.value);
    let stop = compile_stop(
        spec.stop.as_ref(),
        way.as_ref()?,
        size,
        &format!("{field}.stop"),
        checker,
    )?;
    (checker.problems.len() == before).then_some(PagesPlan {
        way: way?,
        stop,
        size,
        send_size,
    })
}

fn send_as(injection: &Injection, field: &str, checker: &mut Checker<'_>) -> Option<InjectionPlan> {
    InjectionPlan::compile(injection, &format!("{field}.sendAs"), checker)
}

/// A path that may not be the whole answer.
pub(super) fn field_path(field: &str, text: &str, checker: &mut Checker<'_>) -> Option<Path> {
    let path = checker.path(field, text)?;
    if path.is_root() {
        checker.problem(field, "name a field, such as meta.next");
        return None;
    }
    Some(path)
}

fn compile_stop(
    spec: Option<&StopSpec>,
    way: &PageWay,
    size: Option<u32>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<StopPlan> {
    let Some(spec) = spec else {
        return Some(match way {
            PageWay::Token { .. } | PageWay::Link | PageWay::NextUrl { .. } => StopPlan::NoNext,
            PageWay::Page { .. } | PageWay::Offset { .. } | PageWay::LastKey { .. } => {
                StopPlan::Empty
            }
        });
    };
    let given = [
        spec.empty.is_some(),
        spec.short.is_some(),
        spec.flag.is_some(),
        spec.total.is_some(),
        spec.when.is_some(),
    ];
    if given.iter().filter(|g| **g).count() != 1
        || spec.empty == Some(false)
        || spec.short == Some(false)
    {
        checker.problem(
            field,
            "give exactly one of empty: true, short: true, flag, total, when",
        );
        return None;
    }
    if let Some(flag) = &spec.flag {
        let path = field_path(&format!("{field}.flag.path"), &flag.path, checker)?;
        return Some(StopPlan::Flag { path, is: flag.is });
    }
    if let Some(total) = &spec.total {
        return Some(StopPlan::Total {
            path: field_path(&format!("{field}.total.path"), &total.path, checker)?,
        });
    }
    if let Some(when) = &spec.when {
        return checker
            .expression(&format!("{field}.when"), when, &ANSWER_VARIABLES)
            .map(StopPlan::When);
    }
    if spec.empty.is_some() {
        return Some(StopPlan::Empty);
    }
    match size {
        Some(size) if size > 0 => Some(StopPlan::Short {
            size: u64::from(size),
        }),
        _ => {
            checker.problem(
                &format!("{field}.short"),
                "needs the size of a page: add size: {value: 100}",
            );
            None
        }
    }
}
