//! Expressions that only look at one text, such as `headers["x-id"]` or `body.type == "paid"`: what most webhooks
//! and filters ask, answered without making the whole record a CEL value first. Pure; used by `cel` alone.
//!
//! Answers what CEL would, or nothing: then CEL is asked, also for what it says about a value that is missing.

use kube_cel::cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use kube_cel::cel::parser::Expression as Tree;
use serde_json::Value;

use super::Variable;
use super::convert::MAX_INPUT;

/// An expression that needs no evaluator.
#[derive(Debug)]
pub enum Plain {
    /// The value itself.
    Value(Place),
    /// Whether the text there is this one, or is not.
    Equals {
        place: Place,
        text: String,
        is: bool,
    },
    /// Whether the text there begins so.
    Begins { place: Place, with: String },
}

/// A field of a variable, at any depth.
#[derive(Debug)]
pub struct Place {
    variable: String,
    names: Vec<String>,
}

impl Plain {
    /// `None`: it needs CEL.
    pub fn of(tree: &Tree) -> Option<Self> {
        match &tree.expr {
            Expr::Call(call) if call.func_name != operators::INDEX => Self::question(call),
            _ => Place::of(tree).map(Self::Value),
        }
    }

    fn question(call: &CallExpr) -> Option<Self> {
        match (
            call.func_name.as_str(),
            call.target.as_deref(),
            call.args.as_slice(),
        ) {
            (name @ (operators::EQUALS | operators::NOT_EQUALS), None, [left, right]) => {
                let (place, text) = match text(right) {
                    Some(text) => (Place::of(left)?, text),
                    None => (Place::of(right)?, text(left)?),
                };
                let (text, is) = (text.to_owned(), name == operators::EQUALS);
                Some(Self::Equals { place, text, is })
            }
            ("startsWith", Some(target), [with]) => {
                let (place, with) = (Place::of(target)?, text(with)?.to_owned());
                Some(Self::Begins { place, with })
            }
            _ => None,
        }
    }

    /// The result, where CEL is not needed for it.
    pub fn evaluate(&self, variables: &[Variable<'_>]) -> Option<Value> {
        match self {
            Self::Value(place) => match place.find(variables)? {
                value @ (Value::String(_) | Value::Bool(_) | Value::Null) => Some(value.clone()),
                _ => None,
            },
            _ => self.test(variables).map(Value::Bool),
        }
    }

    /// The result as yes or no, where CEL is not needed for it.
    pub fn test(&self, variables: &[Variable<'_>]) -> Option<bool> {
        match self {
            Self::Value(place) => place.find(variables)?.as_bool(),
            Self::Equals { place, text, is } => {
                let found = place.find(variables)?.as_str()?;
                Some((found == text) == *is)
            }
            Self::Begins { place, with } => {
                let found = place.find(variables)?.as_str()?;
                Some(found.starts_with(with.as_str()))
            }
        }
    }
}

impl Place {
    fn of(tree: &Tree) -> Option<Self> {
        let (inner, name) = match &tree.expr {
            Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
            Expr::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
                let [inner, name] = call.args.as_slice() else {
                    return None;
                };
                (inner, text(name)?)
            }
            _ => return None,
        };
        let mut place = match &inner.expr {
            Expr::Ident(variable) => Self {
                variable: variable.clone(),
                names: Vec::new(),
            },
            _ => Self::of(inner)?,
        };
        place.names.push(name.to_owned());
        Some(place)
    }

    fn find<'v>(&self, variables: &[Variable<'v>]) -> Option<&'v Value> {
        let (_, mut value) = *variables.iter().find(|(name, _)| *name == self.variable)?;
        for name in &self.names {
            value = value.as_object()?.get(name)?;
        }
        // Longer than an expression may see: CEL says so.
        let long = |text: &str| text.len() as u64 / 8 >= MAX_INPUT;
        (!value.as_str().is_some_and(long)).then_some(value)
    }
}

fn text(tree: &Tree) -> Option<&str> {
    match &tree.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
