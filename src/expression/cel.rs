//! CEL with bounds, on the `cel` crate with the Kubernetes extension functions. No I/O, no clock.
//!
//! The evaluator cannot be interrupted, so its cost is bounded before it begins: the length and
//! nesting of the text, one loop inside another at most, and the size of what is looped over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{EntryExpr, Expr};
use kube_cel::cel::objects::Key;
use kube_cel::cel::parser::Expression as Tree;
use kube_cel::cel::{Context, Program, Value as Cel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Longest text of an expression in bytes.
pub const MAX_TEXT: usize = 4_096;

/// Deepest nesting of brackets and of calls.
const MAX_DEPTH: usize = 48;

/// Most loops inside each other (`all`, `exists`, `map`, `filter`).
const MAX_LOOPS: usize = 2;

/// Longest list that an expression with nested loops may see, and that any expression may see.
const MAX_ITEMS_NESTED: usize = 1_000;
const MAX_ITEMS: usize = 100_000;

/// Stack of the thread that parses: the parser recurses deeply.
const PARSER_STACK: usize = 32 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expression {text:?}: {problem}")]
pub struct ExpressionError {
    pub text: String,
    pub problem: String,
}

/// A variable of an expression: its name and its value.
pub type Variable<'a> = (&'a str, &'a Value);

/// A compiled expression. Serializes as its text.
#[derive(Clone)]
pub struct Expression {
    text: String,
    program: Arc<Program>,
    loops: usize,
    /// Of each variable, the top-level fields that are used; `None`: the whole value.
    uses: Arc<HashMap<String, Option<BTreeSet<String>>>>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

thread_local! {
    static FUNCTIONS: Context<'static> = Context::default().with_all();
}

impl Expression {
    /// Compiles; `variables` are the names that may be used.
    ///
    /// # Errors
    /// A text that is too long or nested, no CEL, or uses another variable.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        let expression = Self::parse(text)?;
        let unknown = expression
            .uses
            .keys()
            .find(|name| !variables.contains(&name.as_str()));
        if let Some(name) = unknown {
            let known = variables.join(", ");
            return Err(error(
                text,
                format!("there is no variable {name:?} here; there is {known}"),
            ));
        }
        Ok(expression)
    }

    fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > MAX_TEXT {
            return Err(error(text, format!("longer than {MAX_TEXT} bytes")));
        }
        if nesting(text) > MAX_DEPTH {
            return Err(error(
                text,
                format!("brackets nested deeper than {MAX_DEPTH}"),
            ));
        }
        let owned = text.to_owned();
        let parser = std::thread::Builder::new()
            .stack_size(PARSER_STACK)
            .spawn(move || Program::compile(&owned).map_err(|e| e.to_string()))
            .map_err(|e| error(text, format!("cannot start the parser: {e}")))?;
        let program = match parser.join() {
            Ok(Ok(program)) => program,
            Ok(Err(problem)) => return Err(error(text, problem)),
            Err(_) => return Err(error(text, "the parser gave up on it".into())),
        };
        let mut walk = Walk::default();
        walk.visit(program.expression(), 0, 0);
        if walk.depth > MAX_DEPTH {
            return Err(error(text, format!("nested deeper than {MAX_DEPTH}")));
        }
        if walk.loops > MAX_LOOPS {
            return Err(error(
                text,
                format!("more than {MAX_LOOPS} loops inside each other"),
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            program: Arc::new(program),
            loops: walk.loops,
            uses: Arc::new(walk.uses),
        })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.text
    }

    /// Evaluates to JSON. Times become RFC 3339 text, durations text such as `90000ms`, bytes a list of
    /// numbers.
    ///
    /// # Errors
    /// What CEL says, a list longer than the bounds, or a result that JSON cannot hold.
    pub fn evaluate(&self, variables: &[Variable<'_>]) -> Result<Value, ExpressionError> {
        let most = if self.loops > 1 {
            MAX_ITEMS_NESTED
        } else {
            MAX_ITEMS
        };
        let result = FUNCTIONS.with(|functions| {
            let mut scope = functions.new_inner_scope();
            for (name, value) in variables {
                match self.uses.get(*name) {
                    None => {}
                    Some(fields) => {
                        let value = convert(value, fields.as_ref(), most)
                            .map_err(|p| error(&self.text, p))?;
                        scope.add_variable_from_value(*name, value);
                    }
                }
            }
            self.program
                .execute(&scope)
                .map_err(|e| error(&self.text, e.to_string()))
        })?;
        json(&result).map_err(|problem| error(&self.text, problem))
    }

    /// Evaluates to yes or no.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and any result but a boolean.
    pub fn test(&self, variables: &[Variable<'_>]) -> Result<bool, ExpressionError> {
        match self.evaluate(variables)? {
            Value::Bool(answer) => Ok(answer),
            _ => Err(error(&self.text, "the result is not true or false".into())),
        }
    }
}

fn error(text: &str, problem: String) -> ExpressionError {
    let mut text = text.to_owned();
    if text.len() > 200 {
        let end = (0..=200)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    ExpressionError { text, problem }
}

/// Deepest nesting of brackets, wherever they stand.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What an expression uses, and how deep it goes.
#[derive(Default)]
struct Walk {
    uses: HashMap<String, Option<BTreeSet<String>>>,
    bound: Vec<String>,
    loops: usize,
    depth: usize,
}

impl Walk {
    fn visit(&mut self, tree: &Tree, depth: usize, loops: usize) {
        self.depth = self.depth.max(depth);
        self.loops = self.loops.max(loops);
        if depth > MAX_DEPTH {
            return;
        }
        let each = |walk: &mut Self, trees: &[&Tree]| {
            trees.iter().for_each(|t| walk.visit(t, depth + 1, loops))
        };
        match &tree.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.note(name, None),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) => self.note(name, Some(&select.field)),
                _ => each(self, &[&select.operand]),
            },
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    each(self, &[target]);
                }
                each(self, &call.args.iter().collect::<Vec<_>>());
            }
            Expr::List(list) => each(self, &list.elements.iter().collect::<Vec<_>>()),
            Expr::Map(map) => self.entries(&map.entries, depth, loops),
            Expr::Struct(object) => self.entries(&object.entries, depth, loops),
            Expr::Comprehension(c) => {
                self.visit(&c.iter_range, depth + 1, loops);
                let before = self.bound.len();
                self.bound.push(c.iter_var.clone());
                self.bound.push(c.accu_var.clone());
                self.bound.extend(c.iter_var2.clone());
                for part in [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
                    self.visit(part, depth + 1, loops + 1);
                }
                self.bound.truncate(before);
            }
        }
    }

    fn entries(
        &mut self,
        entries: &[kube_cel::cel::common::ast::IdedEntryExpr],
        depth: usize,
        loops: usize,
    ) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.visit(&field.value, depth + 1, loops),
                EntryExpr::MapEntry(pair) => {
                    self.visit(&pair.key, depth + 1, loops);
                    self.visit(&pair.value, depth + 1, loops);
                }
            }
        }
    }

    fn note(&mut self, name: &str, field: Option<&str>) {
        // Names with a sign in them are the macros' own.
        if name.starts_with('@') || name.starts_with("__") || self.bound.iter().any(|b| b == name) {
            return;
        }
        let entry = self
            .uses
            .entry(name.to_owned())
            .or_insert_with(|| Some(BTreeSet::new()));
        match (entry.as_mut(), field) {
            (Some(fields), Some(field)) => {
                fields.insert(field.to_owned());
            }
            _ => *entry = None,
        }
    }
}

/// A JSON value for CEL; of an object only the fields that are used.
fn convert(value: &Value, fields: Option<&BTreeSet<String>>, most: usize) -> Result<Cel, String> {
    match (value, fields) {
        (Value::Object(object), Some(fields)) => {
            let mut map = HashMap::with_capacity(fields.len());
            for name in fields {
                if let Some(value) = object.get(name) {
                    map.insert(Key::from(name.clone()), convert(value, None, most)?);
                }
            }
            Ok(Cel::Map(map.into()))
        }
        (Value::Object(object), None) => {
            let mut map = HashMap::with_capacity(object.len());
            for (name, value) in object {
                map.insert(Key::from(name.clone()), convert(value, None, most)?);
            }
            Ok(Cel::Map(map.into()))
        }
        (Value::Array(items), _) if items.len() > most => Err(format!(
            "a list of {} items is more than an expression like this may see ({most})",
            items.len()
        )),
        (Value::Array(items), _) => {
            let items: Result<Vec<Cel>, String> =
                items.iter().map(|item| convert(item, None, most)).collect();
            Ok(Cel::List(Arc::new(items?)))
        }
        (Value::Null, _) => Ok(Cel::Null),
        (Value::Bool(flag), _) => Ok(Cel::Bool(*flag)),
        (Value::String(text), _) => Ok(Cel::String(Arc::new(text.clone()))),
        (Value::Number(number), _) => Ok(match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
    }
}

fn json(value: &Cel) -> Result<Value, String> {
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(flag) => Value::Bool(*flag),
        Cel::Int(int) => Value::from(*int),
        Cel::UInt(uint) => Value::from(*uint),
        Cel::Float(float) => Value::Number(
            Number::from_f64(*float).ok_or("the result is not a number that JSON can hold")?,
        ),
        Cel::String(text) => Value::String(text.as_ref().clone()),
        Cel::Bytes(bytes) => Value::from(bytes.as_ref().clone()),
        Cel::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let mut object = Map::new();
            for (key, value) in map.map.iter() {
                object.insert(key.to_string(), json(value)?);
            }
            Value::Object(object)
        }
        Cel::Timestamp(time) => Value::String(time.to_rfc3339()),
        Cel::Duration(duration) => Value::String(format!("{}ms", duration.num_milliseconds())),
        other => {
            return Err(format!(
                "the result is a {}, which JSON cannot hold",
                other.type_of()
            ));
        }
    })
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    /// Accepts every variable: the text was checked when the plan was made.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
