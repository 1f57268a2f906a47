//! Reads YAML and JSON files as kubectl does, and keeps the place of every value. Bounded in depth and
//! size, also through aliases. Called by `manifest::load`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::Peekable;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::node::{Content, Entry, Node, Position};
use super::scalar;

/// Deepest nesting of a document.
const MAX_DEPTH: usize = 64;

/// Most values in a file, counting what aliases repeat.
const MAX_NODES: usize = 200_000;

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    pub at: Position,
    pub message: String,
}

/// The documents of a file and, when it ends in an error, that error: what stands before it is good.
pub fn read(text: &str) -> (Vec<Node>, Option<YamlError>) {
    let joined = join_surrogates(text);
    let text = joined.as_ref();
    let mut reader = Reader {
        events: Parser::new_from_str(text).peekable(),
        anchors: HashMap::new(),
        left: MAX_NODES,
        errors: Vec::new(),
    };
    let mut documents = Vec::new();
    let fatal = reader.documents(&mut documents).err();
    let error = reader.errors.into_iter().next().or(fatal);
    (documents, error.map(|e| explain_tab(e, text)))
}

struct Reader<'t> {
    events: Peekable<Parser<'t, StrInput<'t>>>,
    /// Values with an anchor, each with its size.
    anchors: HashMap<usize, (Node, usize)>,
    /// How many values may still come.
    left: usize,
    /// What is wrong although the file can be read on.
    errors: Vec<YamlError>,
}

type Step<'t> = (Event<'t>, Position);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<Step<'t>>, YamlError> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, position(span)))),
            Some(Err(error)) => Err(syntax_error(&error)),
        }
    }

    fn documents(&mut self, documents: &mut Vec<Node>) -> Result<(), YamlError> {
        while let Some((event, at)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                event => {
                    let node = self.value(event, at, 0)?;
                    if !matches!(node.content, Content::Null) {
                        documents.push(node);
                    }
                }
            }
        }
        Ok(())
    }

    /// The value that begins with `event`.
    fn value(&mut self, event: Event<'t>, at: Position, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(problem(
                at,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        self.take(1, at)?;
        let before = self.left;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref(), at)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(id) => return self.alias(id, at),
            _ => {
                return Err(problem(
                    at,
                    "the document ends in the middle of a value".to_owned(),
                ));
            }
        };
        let node = Node { at, content };
        if anchor != 0 {
            let size = before - self.left + 1;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Content, YamlError> {
        let mut items = Vec::new();
        while let Some((event, at)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.value(event, at, depth + 1)?);
        }
        Ok(Content::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Content, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        while let Some((event, at)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let merges = matches!(&event, Event::Scalar(t, ScalarStyle::Plain, _, _) if t == "<<");
            let key = self.value(event, at, depth + 1)?;
            let Some((event, value_at)) = self.next()? else {
                break;
            };
            let value = self.value(event, value_at, depth + 1)?;
            if merges && merge(&value, &mut merged) {
                continue;
            }
            let key = key_text(&key)?;
            if let Some(first) = entries.iter().find(|e| e.key == key) {
                let message = format!(
                    "{key:?} stands here twice; the first is in line {}",
                    first.at.line
                );
                self.errors.push(problem(at, message));
                continue;
            }
            entries.push(Entry { key, at, value });
        }
        for entry in merged {
            if !entries.iter().any(|e| e.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(Content::Map(entries))
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<Node, YamlError> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(problem(
                at,
                "an alias of a value that contains it".to_owned(),
            ));
        };
        let (mut node, size) = (node.clone(), *size);
        self.take(size, at)?;
        node.at = at;
        Ok(node)
    }

    fn take(&mut self, count: usize, at: Position) -> Result<(), YamlError> {
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(problem(
                at,
                format!(
                    "the file holds more than {MAX_NODES} values, counting what aliases repeat"
                ),
            )),
        }
    }
}

fn problem(at: Position, message: String) -> YamlError {
    YamlError { at, message }
}

fn position(span: Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn syntax_error(error: &ScanError) -> YamlError {
    let marker = error.marker();
    YamlError {
        at: Position {
            line: marker.line(),
            column: marker.col() + 1,
        },
        message: format!("YAML syntax error: {}", error.info()),
    }
}

/// Says it plainly when the reason is a tab.
fn explain_tab(error: YamlError, text: &str) -> YamlError {
    let indented = |line: &str| {
        line.trim_start_matches(' ').starts_with('\t') && !line.trim_start().starts_with('#')
    };
    let near = error.at.line.saturating_sub(2);
    let tab = text
        .lines()
        .enumerate()
        .skip(near)
        .take(3)
        .find(|(_, line)| indented(line));
    match tab {
        Some((index, line)) if error.message.starts_with("YAML syntax error") => YamlError {
            at: Position {
                line: index + 1,
                column: line.find('\t').unwrap_or_default() + 1,
            },
            message: "indented with a tab; YAML is indented with spaces".to_owned(),
        },
        _ => error,
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Position,
) -> Result<Content, YamlError> {
    let named = tag.map(|t| (t.is_yaml_core_schema(), t.suffix.as_str()));
    match named {
        Some((true, "str")) => Ok(Content::Text(text.to_owned())),
        Some((true, "int" | "float" | "bool" | "null")) => {
            scalar::plain(text).map_err(|m| problem(at, m.to_owned()))
        }
        Some(_) => Err(problem(
            at,
            "tags other than !!str, !!int, !!float, !!bool and !!null are not read".to_owned(),
        )),
        None if style == ScalarStyle::Plain => {
            scalar::plain(text).map_err(|m| problem(at, m.to_owned()))
        }
        None => Ok(Content::Text(text.to_owned())),
    }
}

/// The text of a key: a key `yes` is the key `true`, as for kubectl.
fn key_text(key: &Node) -> Result<String, YamlError> {
    match &key.content {
        Content::Text(text) => Ok(text.clone()),
        Content::Bool(flag) => Ok(flag.to_string()),
        Content::Number(number) => Ok(number.to_string()),
        Content::Null | Content::List(_) | Content::Map(_) => Err(problem(
            key.at,
            format!("{} cannot be the name of a field", key.kind()),
        )),
    }
}

/// Takes the entries of a `<<` value; false when it is none.
fn merge(value: &Node, merged: &mut Vec<Entry>) -> bool {
    match &value.content {
        Content::Map(entries) => {
            merged.extend(entries.iter().cloned());
            true
        }
        Content::List(items) => items
            .iter()
            .all(|item| matches!(item.content, Content::Map(_)) && merge(item, merged)),
        _ => false,
    }
}

/// JSON writes a character beyond U+FFFF as two escapes (RFC 8259 §7), which YAML does not know:
/// puts the character itself in their place.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    let json = text.trim_start().starts_with(['{', '[']);
    if !json || !(text.contains("\\ud") || text.contains("\\uD")) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let unit = |from: usize| {
            let digits = escape.get(from..from + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16).ok()
        };
        let pair = unit(0).zip(unit(6)).and_then(|(high, low)| {
            char::decode_utf16([high, low])
                .next()?
                .ok()
                .filter(|c| *c > '\u{ffff}')
        });
        let length = match pair {
            Some(character) => {
                out.push(character);
                12
            }
            // The escaped character stays with its backslash, so that `\\\\ud83d` is no escape.
            None => {
                let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&escape[..length]);
                length
            }
        };
        rest = &escape[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}
