//! What the evaluator's errors mean, in words without any value of a record: they go into conditions,
//! logs and dead letters. Pure; used by `meter` alone.

use kube_cel::cel::{ExecutionError, Value};

/// An error as a text without values.
pub fn message(error: &ExecutionError) -> String {
    use ExecutionError as E;
    let of = |value: &Value| kind(value);
    match error {
        E::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments, not {actual}")
        }
        E::UnsupportedTargetType { target } => {
            format!("a function does not work on a {}", of(target))
        }
        E::NotSupportedAsMethod { method, target } => {
            format!("{method} does not work on a {}", of(target))
        }
        E::UnsupportedKeyType(value) => format!("a {} cannot be a key of a map", of(value)),
        E::UnexpectedType { .. } => "a function got an argument of another type".into(),
        E::NoSuchKey(_) => {
            "a field that it reads is not there; ask for it with has(record.field) first".into()
        }
        E::NoSuchOverload => "an operator or function does not work on values of this type".into(),
        E::UndeclaredReference(name) => format!("there is no {name:?}"),
        E::MissingArgumentOrTarget => "a function lacks an argument".into(),
        E::ValuesNotComparable(a, b) => {
            format!("a {} cannot be compared with a {}", of(a), of(b))
        }
        E::UnsupportedUnaryOperator(name, value) => {
            format!("operator {name} does not work on a {}", of(value))
        }
        E::UnsupportedBinaryOperator(name, a, b) => {
            format!(
                "operator {name} does not work on a {} and a {}",
                of(a),
                of(b)
            )
        }
        E::UnsupportedMapIndex(value) => format!("a {} cannot be a key of a map", of(value)),
        E::UnsupportedListIndex(value) => format!("a {} cannot be a place in a list", of(value)),
        E::UnsupportedIndex(index, value) => {
            format!("a {} cannot be looked for in a {}", of(index), of(value))
        }
        E::FunctionError { function, .. } => {
            format!("function {function} does not work on these values")
        }
        E::DivisionByZero(_) | E::RemainderByZero(_) => "division by zero".into(),
        E::Overflow(name, ..) => format!("the result of {name} is too large"),
        E::IndexOutOfBounds(_) => "a list has no item at this place".into(),
        _ => "it cannot be computed".into(),
    }
}

/// The type of a value, as CEL names it.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Duration(_) => "duration",
        Value::Timestamp(_) => "timestamp",
        Value::Null => "null",
        _ => "value of a function",
    }
}
