//! Request bodies: JSON and forms, with the mapped record in its place.
//! Pure. Used by `build` and `batch`.

use bytes::Bytes;
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use crate::expression::{Path, Scope, Step};
use crate::plan::connection::{BodyPlan, Encoding, InjectionPlan, Place};

/// Nesting of a form's fields.
const DEEPEST: usize = 16;

type Injections<'a> = &'a [(&'a InjectionPlan, Value)];

/// The body of a request; empty for none. The error is one line without a value in it.
pub(super) fn build(
    plan: &BodyPlan,
    scope: &Scope<'_>,
    record: Option<&[u8]>,
    inject: Injections<'_>,
) -> Result<Bytes, String> {
    let injects = inject
        .iter()
        .any(|(injection, _)| injection.place == Place::Body);
    if let (
        BodyPlan::Record {
            encoding: Encoding::Json,
            wrap,
        },
        Some(record),
        false,
    ) = (plan, record, injects)
        && let Some(bytes) = wrap_raw(wrap.as_ref(), record)
    {
        return Ok(bytes);
    }
    let mut value = match plan {
        BodyPlan::None => Value::Null,
        BodyPlan::Record { wrap, .. } => match record {
            None => Value::Null,
            Some(record) => wrapped(wrap.as_ref(), parse(record)?)?,
        },
        BodyPlan::Template {
            template,
            record: place,
            ..
        } => {
            let mut value = template.render(scope).map_err(|e| e.to_string())?;
            if let (Some(place), Some(record)) = (place, record) {
                place
                    .set(&mut value, parse(record)?)
                    .map_err(|e| e.to_string())?;
            }
            value
        }
    };
    for (injection, item) in inject
        .iter()
        .filter(|(injection, _)| injection.place == Place::Body)
    {
        if value.is_null() {
            value = Value::Object(Map::new());
        }
        injection
            .path
            .set(&mut value, item.clone())
            .map_err(|e| e.to_string())?;
    }
    if value.is_null() {
        return Ok(Bytes::new());
    }
    Ok(match plan.encoding() {
        Encoding::Form => Bytes::from(form(&value)?),
        Encoding::Json | Encoding::None => {
            Bytes::from(serde_json::to_vec(&value).map_err(|e| e.to_string())?)
        }
    })
}

/// The record under its path, without parsing it: the usual case, and the quick one.
fn wrap_raw(wrap: Option<&Path>, record: &[u8]) -> Option<Bytes> {
    let Some(path) = wrap else {
        return Some(Bytes::copy_from_slice(record));
    };
    let mut bytes = Vec::with_capacity(record.len() + 64);
    for step in path.steps() {
        let Step::Field(name) = step else { return None };
        bytes.push(b'{');
        serde_json::to_writer(&mut bytes, name.as_ref()).ok()?;
        bytes.push(b':');
    }
    bytes.extend_from_slice(record);
    bytes.resize(bytes.len() + path.steps().len(), b'}');
    Some(bytes.into())
}

fn parse(record: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(record).map_err(|_| "the mapped record is not JSON".to_owned())
}

/// A value under a path; the value itself where there is none.
pub(super) fn wrapped(path: Option<&Path>, value: Value) -> Result<Value, String> {
    match path {
        None => Ok(value),
        Some(path) if path.is_root() => Ok(value),
        Some(path) => {
            let mut root = Value::Object(Map::new());
            path.set(&mut root, value).map_err(|e| e.to_string())?;
            Ok(root)
        }
    }
}

/// A JSON object as a form: nested fields as `a[b]`, lists as `a[0]`; null as an empty value.
pub(super) fn form(value: &Value) -> Result<String, String> {
    let Value::Object(fields) = value else {
        return Err("a form needs an object with fields".to_owned());
    };
    let mut form = Serializer::new(String::new());
    for (name, value) in fields {
        add(&mut form, name, value, 0)?;
    }
    Ok(form.finish())
}

fn add(
    form: &mut Serializer<'_, String>,
    name: &str,
    value: &Value,
    depth: usize,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("a form's fields nest at most {DEEPEST} deep"));
    }
    match value {
        Value::Null => {
            form.append_pair(name, "");
        }
        Value::Bool(flag) => {
            form.append_pair(name, if *flag { "true" } else { "false" });
        }
        Value::Number(number) => {
            form.append_pair(name, &number.to_string());
        }
        Value::String(text) => {
            form.append_pair(name, text);
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                add(form, &format!("{name}[{i}]"), item, depth + 1)?;
            }
        }
        Value::Object(fields) => {
            for (field, item) in fields {
                add(form, &format!("{name}[{field}]"), item, depth + 1)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_nests_its_names() {
        let value = json!({"a": "x y", "b": {"c": [1, {"d": true}]}, "e": null});
        assert_eq!(
            form(&value).unwrap(),
            "a=x+y&b%5Bc%5D%5B0%5D=1&b%5Bc%5D%5B1%5D%5Bd%5D=true&e="
        );
        assert!(form(&json!([1])).is_err());
    }

    #[test]
    fn a_record_is_passed_on_as_it_is() {
        let plan = BodyPlan::Record {
            encoding: Encoding::Json,
            wrap: None,
        };
        let bytes = build(&plan, &Scope::default(), Some(b"{\"n\": 1.50}"), &[]).unwrap();
        assert_eq!(&bytes[..], b"{\"n\": 1.50}");
    }

    #[test]
    fn no_record_and_no_template_is_no_body() {
        let plan = BodyPlan::Record {
            encoding: Encoding::Json,
            wrap: None,
        };
        assert!(
            build(&plan, &Scope::default(), None, &[])
                .unwrap()
                .is_empty()
        );
        assert!(
            build(&BodyPlan::None, &Scope::default(), None, &[])
                .unwrap()
                .is_empty()
        );
    }
}
