//! Splits an answer into its records, as slices of the body, and an envelope of what pages need.
//! Pure and on the hot path: no record is parsed here, unless a filter wants to see it. Used by `reader`.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::shape::{columns, keyed};
use crate::expression::{Malformed, RecordText, Scanner, Step};
use crate::plan::connection::{ListPlan, RecordsPath, RecordsStep, ShapePlan};

/// Field names that an error shows.
const SHOWN: usize = 12;

/// What an answer holds.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// The JSON text of each record, before any filter.
    pub records: Vec<RecordText>,
    /// The fields outside the records that pages and cursors read; the whole body where an expression
    /// judges it; null when the body is the list itself.
    pub envelope: Value,
}

/// Why an answer cannot be split.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitError {
    /// It ends in the middle.
    Truncated,
    /// It is no JSON; where that shows.
    NotJson(String),
    /// It is JSON of another shape: what is there instead.
    Shape(String),
}

/// Splits `body` as the list says.
pub(super) fn split(body: &Bytes, list: &ListPlan) -> Result<Split, SplitError> {
    let bytes = body
        .strip_prefix(b"\xEF\xBB\xBF".as_slice())
        .unwrap_or(body);
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        None => SplitError::Truncated,
        Some(_) => SplitError::NotJson(format!("byte {} is no UTF-8", error.valid_up_to())),
    })?;
    let plan = &list.records;
    let wanted = list.envelope_paths();
    let whole = list.judges_body() || wanted.iter().any(|path| plan.path.holds(path));
    let wanted: Vec<&[Step]> = if whole {
        Vec::new()
    } else {
        wanted.iter().map(|p| p.steps()).collect()
    };
    let mut out = Out {
        body,
        raw: Vec::new(),
        keys: Vec::new(),
        trouble: None,
    };
    let walk = Walk {
        steps: plan.path.steps(),
        shape: &plan.shape,
        many: plan.path.steps().contains(&RecordsStep::Each),
        strict: true,
        wanted,
        out: &mut out,
    };
    let mut scanner = Scanner::new(bytes);
    let envelope = walk
        .value(&mut scanner)
        .and_then(|envelope| scanner.end().map(|()| envelope))
        .map_err(|Malformed| malformed(text))?;
    match out.trouble {
        Some(Trouble::Missing(_)) if plan.may_miss => out.raw.clear(),
        Some(Trouble::Missing(what) | Trouble::Other(what)) => {
            return Err(SplitError::Shape(misplaced(&plan.path, &plan.shape, &what)));
        }
        None => {}
    }
    let envelope = if whole {
        serde_json::from_str(text).map_err(syntax)?
    } else {
        envelope.unwrap_or_default()
    };
    let records = match &plan.shape {
        ShapePlan::List | ShapePlan::Single => out.raw,
        ShapePlan::Map { key } => keyed(&out.keys, &out.raw, key),
        ShapePlan::Columns { from, name } => {
            columns(&out.raw, from.as_ref(), name.as_ref(), &envelope)?
        }
    };
    Ok(Split { records, envelope })
}

fn syntax(error: serde_json::Error) -> SplitError {
    if error.is_eof() {
        return SplitError::Truncated;
    }
    // Only the position: the error's own words may hold a part of the body.
    SplitError::NotJson(format!("line {}, column {}", error.line(), error.column()))
}

/// What is wrong with a text that is no JSON.
fn malformed(text: &str) -> SplitError {
    let unread = || SplitError::NotJson("a name or a value that cannot be read".to_owned());
    serde_json::from_str::<IgnoredAny>(text).map_or_else(syntax, |_| unread())
}

fn misplaced(path: &RecordsPath, shape: &ShapePlan, found: &str) -> String {
    let wanted = match shape {
        ShapePlan::List => "list of records",
        ShapePlan::Map { .. } => "object of records",
        ShapePlan::Single => "record",
        ShapePlan::Columns { .. } => "list of rows",
    };
    format!(
        "there is no {wanted} at {}: found {found}; correct list.records or list.shape",
        path.describe()
    )
}

/// What the walk finds.
struct Out<'t> {
    body: &'t Bytes,
    raw: Vec<RecordText>,
    /// Shape Map: the key of each record.
    keys: Vec<String>,
    trouble: Option<Trouble>,
}

enum Trouble {
    /// There is nothing at the path.
    Missing(String),
    /// There is something else.
    Other(String),
}

impl Out<'_> {
    fn push(&mut self, raw: &[u8]) {
        self.raw.push(self.body.slice_ref(raw).into());
    }

    /// A field that comes twice: the last one counts, as everywhere in JSON.
    fn back_to(&mut self, count: usize) {
        self.raw.truncate(count);
        self.keys.truncate(count);
        self.trouble = None;
    }
}

/// Walks along the path; what comes out is the envelope.
struct Walk<'p, 'o, 't> {
    steps: &'p [RecordsStep],
    shape: &'p ShapePlan,
    /// The path holds `[*]`: a single record is as good as a list.
    many: bool,
    /// Before the first `[*]`: what is missing is an error.
    strict: bool,
    /// The rest of the paths that the envelope needs, as seen from here.
    wanted: Vec<&'p [Step]>,
    out: &'o mut Out<'t>,
}

type Envelope = Result<Option<Value>, Malformed>;

impl<'p, 't> Walk<'p, '_, 't> {
    /// The walk from one step further on.
    fn below<'o>(
        &'o mut self,
        steps: &'p [RecordsStep],
        strict: bool,
        wanted: Vec<&'p [Step]>,
    ) -> Walk<'p, 'o, 't> {
        Walk {
            steps,
            shape: self.shape,
            many: self.many,
            strict,
            wanted,
            out: &mut *self.out,
        }
    }

    /// A value at this step of the path.
    fn value(self, scanner: &mut Scanner<'t>) -> Envelope {
        let alone = matches!(self.shape, ShapePlan::Single);
        if !self.steps.is_empty() || (!alone && !self.many) {
            return self.step(scanner);
        }
        let raw = scanner.value()?;
        match raw.first() {
            Some(b'n') => {}
            Some(b'{') if matches!(self.shape, ShapePlan::List) => self.out.push(raw),
            Some(b'[' | b'{') if !alone => return self.step(&mut Scanner::new(raw)),
            _ => self.out.push(raw),
        }
        Ok(None)
    }

    fn step(self, scanner: &mut Scanner<'t>) -> Envelope {
        let what = match scanner.peek() {
            Some(b'{') => {
                scanner.enter()?;
                return match (self.steps, self.shape) {
                    ([RecordsStep::Field(_), ..], _) => self.fields(scanner),
                    ([], ShapePlan::Map { .. }) => self.entries(scanner),
                    _ => self.other_object(scanner),
                };
            }
            Some(b'[') => {
                scanner.enter()?;
                return self.items(scanner);
            }
            Some(b'"') => "text",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        scanner.value()?;
        // Null where the list should be is how many systems write an empty one; null before is not.
        if what != "null" || !self.steps.is_empty() {
            self.misses(what);
        }
        Ok(None)
    }

    /// Something without fields or items of the path stands here.
    fn misses(self, what: &str) {
        if self.strict {
            self.out.trouble = Some(Trouble::Other(what.to_owned()));
        }
    }

    fn items(mut self, scanner: &mut Scanner<'t>) -> Envelope {
        match (self.steps, self.shape) {
            ([], ShapePlan::List | ShapePlan::Columns { .. }) => {
                while scanner.item()? {
                    let record = RecordText::read(scanner, self.out.body)?;
                    self.out.raw.push(record);
                }
            }
            ([RecordsStep::Each, rest @ ..], _) => {
                while scanner.item()? {
                    self.below(rest, false, Vec::new()).value(scanner)?;
                }
            }
            ([RecordsStep::Index(index), rest @ ..], _) => {
                let mut at = 0;
                while scanner.item()? {
                    if at == *index {
                        let strict = self.strict;
                        self.below(rest, strict, Vec::new()).value(scanner)?;
                    } else {
                        scanner.value()?;
                    }
                    at += 1;
                }
                if at <= *index && self.strict {
                    self.out.trouble = Some(Trouble::Missing(format!("a list of {at} items")));
                }
            }
            _ => {
                while scanner.item()? {
                    scanner.value()?;
                }
                self.misses("a list");
            }
        }
        Ok(None)
    }

    /// An object on the way to the records.
    fn fields(mut self, scanner: &mut Scanner<'t>) -> Envelope {
        let [RecordsStep::Field(field), rest @ ..] = self.steps else {
            return Ok(None);
        };
        let before = self.out.raw.len();
        let mut envelope = Map::new();
        let mut names = Vec::new();
        let mut found = false;
        while let Some(name) = scanner.name()? {
            let below = |path: &&'p [Step]| match path {
                [Step::Field(first), rest @ ..] if first.as_bytes() == &*name => Some(rest),
                _ => None,
            };
            let wanted: Vec<&'p [Step]> = self.wanted.iter().filter_map(below).collect();
            if *name == *field.as_bytes() {
                self.out.back_to(before);
                found = true;
                let strict = self.strict;
                if let Some(inner) = self.below(rest, strict, wanted).value(scanner)? {
                    envelope.insert(text(&name), inner);
                }
                continue;
            }
            if names.len() < SHOWN {
                names.push(shortened(&text(&name)));
            }
            let value = scanner.value()?;
            if !wanted.is_empty() {
                let value = serde_json::from_slice(value).map_err(|_| Malformed)?;
                envelope.insert(text(&name), value);
            }
        }
        if !found && self.strict {
            self.out.trouble = Some(Trouble::Missing(with_names(&names)));
        }
        Ok(Some(Value::Object(envelope)))
    }

    /// An object that holds each record under its key.
    fn entries(self, scanner: &mut Scanner<'t>) -> Envelope {
        while let Some(name) = scanner.name()? {
            self.out.push(scanner.value()?);
            self.out.keys.push(text(&name));
        }
        Ok(None)
    }

    /// An object where a list should be.
    fn other_object(self, scanner: &mut Scanner<'t>) -> Envelope {
        let mut names = Vec::new();
        while let Some(name) = scanner.name()? {
            if names.len() < SHOWN {
                names.push(shortened(&text(&name)));
            }
            scanner.value()?;
        }
        self.misses(&with_names(&names));
        Ok(None)
    }
}

/// A name of a text that is UTF-8.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn with_names(names: &[String]) -> String {
    match names {
        [] => "an empty object".to_owned(),
        names if names.len() == SHOWN => {
            format!("an object with the fields {}, …", names.join(", "))
        }
        names => format!("an object with the fields {}", names.join(", ")),
    }
}
