//! CEL with bounds, on the `cel` crate with the Kubernetes extension functions. No I/O, no clock.
//!
//! A text is held against what is there when it is compiled: variables, functions, length, nesting. An
//! evaluation has a budget of steps that can end it at any loop, call or concatenation (`meter`). So it
//! ends after the same work on every machine, and has the same result for the same record.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::cel::parser::Expression as Tree;
use kube_cel::cel::{Program, Value as Cel};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod convert;
mod functions;
mod message;
mod meter;
mod panics;
mod plain;
mod walk;

/// Longest text of an expression in bytes.
pub const MAX_TEXT: usize = 4_096;

/// Deepest nesting of brackets and of calls.
const MAX_DEPTH: usize = 48;

/// Most loops inside each other (`all`, `exists`, `map`, `filter`).
const MAX_LOOPS: usize = 2;

/// Stack of the thread that parses: the parser recurses deeply.
const PARSER_STACK: usize = 32 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expression {text:?}: {problem}")]
pub struct ExpressionError {
    pub text: String,
    /// Without any value of a record.
    pub problem: String,
}

/// A variable of an expression: its name and its value.
pub type Variable<'a> = (&'a str, &'a Value);

/// A compiled expression. Serializes as its text.
#[derive(Clone)]
pub struct Expression {
    text: String,
    /// With its meters built in.
    tree: Arc<Tree>,
    /// Of each variable, what is used.
    uses: Arc<HashMap<String, Uses>>,
    /// How it is answered without CEL, where it can be.
    plain: Option<Arc<plain::Plain>>,
}

/// What an expression uses of a variable.
#[derive(Debug)]
struct Uses {
    /// The top-level fields; `None`: the whole value.
    fields: Option<BTreeSet<String>>,
    /// How often the name stands in the text.
    times: u64,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// Compiles; `variables` are the names that may be used.
    ///
    /// # Errors
    /// A text that is too long or nested, no CEL, or uses another variable or function.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        let expression = Self::parse(text)?;
        let mut used: Vec<&String> = expression.uses.keys().collect();
        used.sort();
        let unknown = used
            .into_iter()
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
        if walk::nesting(text) > MAX_DEPTH {
            return Err(error(
                text,
                format!("brackets nested deeper than {MAX_DEPTH}"),
            ));
        }
        let owned = text.to_owned();
        let parser = std::thread::Builder::new()
            .stack_size(PARSER_STACK)
            .spawn(move || Self::parse_here(&owned))
            .map_err(|e| error(text, format!("cannot start the parser: {e}")))?;
        match parser.join() {
            Ok(result) => result,
            Err(_) => Err(error(text, "the parser gave up on it".into())),
        }
    }

    fn parse_here(text: &str) -> Result<Self, ExpressionError> {
        let program = panics::quietly(|| Program::compile(text))
            .map_err(|()| error(text, "the parser gave up on it".into()))?
            .map_err(|e| error(text, e.to_string()))?;
        let walk = walk::Walk::of(program.expression()).map_err(|p| error(text, p))?;
        Ok(Self {
            text: text.to_owned(),
            tree: Arc::new(meter::metered(program.expression().clone())),
            uses: Arc::new(walk.uses),
            plain: plain::Plain::of(program.expression()).map(Arc::new),
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
    /// What CEL says, without any value; more work than the bounds allow; a result that JSON cannot hold.
    pub fn evaluate(&self, variables: &[Variable<'_>]) -> Result<Value, ExpressionError> {
        let plain = self.plain.as_ref();
        if let Some(result) = plain.and_then(|plain| plain.evaluate(variables)) {
            return Ok(result);
        }
        self.run(variables)
            .and_then(|result| convert::json(&result))
            .map_err(|problem| error(&self.text, problem))
    }

    /// Evaluates to yes or no.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and any result but a boolean.
    pub fn test(&self, variables: &[Variable<'_>]) -> Result<bool, ExpressionError> {
        let plain = self.plain.as_ref();
        if let Some(answer) = plain.and_then(|plain| plain.test(variables)) {
            return Ok(answer);
        }
        match self.run(variables) {
            Ok(Cel::Bool(answer)) => Ok(answer),
            Ok(_) => Err(error(&self.text, "the result is not true or false".into())),
            Err(problem) => Err(error(&self.text, problem)),
        }
    }

    fn run(&self, variables: &[Variable<'_>]) -> Result<Cel, String> {
        let mut values = Vec::with_capacity(variables.len());
        let mut work = 0;
        for (name, value) in variables {
            if let Some(uses) = self.uses.get(*name) {
                let mut size = 0;
                values.push((*name, convert::cel(value, uses.fields.as_ref(), &mut size)?));
                work += size * uses.times;
            }
        }
        let evaluate = || meter::evaluate(&self.tree, values, work);
        panics::quietly(evaluate).unwrap_or_else(|()| {
            Err("the evaluator cannot compute this; write it in another way".into())
        })
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
