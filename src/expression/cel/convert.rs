//! JSON to CEL and back, with a measure of size. Pure; used by `cel` and `meter`.
//!
//! The size of a value is 1 for itself and 1 for every 8 bytes of text, with all that is in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::cel::Value as Cel;
use kube_cel::cel::objects::Key;
use serde_json::{Map, Number, Value};

use super::message::kind;

/// Largest size of what an expression may see.
pub const MAX_INPUT: u64 = 1_000_000;

/// Deepest nesting of a result.
const MAX_RESULT_DEPTH: usize = 64;

/// A JSON value for CEL; of an object only the fields that are used. Adds up its size.
///
/// # Errors
/// A value larger than an expression may see.
pub fn cel(
    value: &Value,
    fields: Option<&BTreeSet<String>>,
    size: &mut u64,
) -> Result<Cel, String> {
    *size += 1;
    if *size > MAX_INPUT {
        return Err("the values are too many or too long for an expression".into());
    }
    Ok(match (value, fields) {
        (Value::Object(object), Some(fields)) => {
            let mut map = HashMap::with_capacity(fields.len());
            for name in fields {
                if let Some(value) = object.get(name) {
                    map.insert(Key::from(name.clone()), cel(value, None, size)?);
                }
            }
            Cel::Map(map.into())
        }
        (Value::Object(object), None) => {
            let mut map = HashMap::with_capacity(object.len());
            for (name, value) in object {
                *size += text(name.len());
                map.insert(Key::from(name.clone()), cel(value, None, size)?);
            }
            Cel::Map(map.into())
        }
        (Value::Array(items), _) => {
            let items: Result<Vec<Cel>, String> =
                items.iter().map(|item| cel(item, None, size)).collect();
            Cel::List(Arc::new(items?))
        }
        (Value::Null, _) => Cel::Null,
        (Value::Bool(flag), _) => Cel::Bool(*flag),
        (Value::String(string), _) => {
            *size += text(string.len());
            if *size > MAX_INPUT {
                return Err("the values are too many or too long for an expression".into());
            }
            Cel::String(Arc::new(string.clone()))
        }
        (Value::Number(number), _) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
    })
}

fn text(bytes: usize) -> u64 {
    bytes as u64 / 8
}

/// The size of a value.
pub fn size(value: &Cel) -> u64 {
    1 + match value {
        Cel::String(string) => text(string.len()),
        Cel::Bytes(bytes) => text(bytes.len()),
        Cel::List(items) => items.iter().map(size).sum(),
        Cel::Map(map) => map
            .map
            .iter()
            .map(|(key, value)| 1 + key_size(key) + size(value))
            .sum(),
        _ => 0,
    }
}

fn key_size(key: &Key) -> u64 {
    match key {
        Key::String(string) => text(string.len()),
        _ => 0,
    }
}

/// A result as JSON.
///
/// # Errors
/// A value that JSON cannot hold, or one that is nested too deep.
pub fn json(value: &Cel) -> Result<Value, String> {
    json_at(value, 0)
}

fn json_at(value: &Cel, depth: usize) -> Result<Value, String> {
    if depth > MAX_RESULT_DEPTH {
        return Err(format!(
            "the result is nested deeper than {MAX_RESULT_DEPTH}"
        ));
    }
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
        Cel::List(items) => {
            let items = items.iter().map(|item| json_at(item, depth + 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Cel::Map(map) => {
            let mut object = Map::new();
            for (key, value) in map.map.iter() {
                object.insert(key.to_string(), json_at(value, depth + 1)?);
            }
            Value::Object(object)
        }
        Cel::Timestamp(time) => Value::String(time.to_rfc3339()),
        Cel::Duration(duration) => Value::String(format!("{}ms", duration.num_milliseconds())),
        other => {
            return Err(format!(
                "the result is a {}, which JSON cannot hold",
                kind(other)
            ));
        }
    })
}
