//! Makes records of answers that hold no list of objects: objects by key, rows with columns.
//! Pure; values keep their text. Used by `split`.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::split::SplitError;
use crate::expression::raw::{push_field, with_fields};
use crate::expression::{Path, RecordText};

/// Records of an object, with their keys put in.
pub(super) fn keyed(keys: &[String], raw: &[RecordText], field: &str) -> Vec<RecordText> {
    let records = keys.iter().zip(raw);
    records
        .map(|(key, raw)| {
            let key = Value::from(key.as_str()).to_string();
            with_fields(raw, &[(field, &key)]).into()
        })
        .collect()
}

/// Rows become objects. A row that is no list stays as it is; a value without a column is left out.
pub(super) fn columns(
    rows: &[RecordText],
    from: Option<&Path>,
    name: Option<&Path>,
    envelope: &Value,
) -> Result<Vec<RecordText>, SplitError> {
    let Some((names, rows)) = column_names(rows, from, name, envelope)? else {
        return Ok(Vec::new());
    };
    let record = |row: &RecordText| {
        let Ok(values) = serde_json::from_slice::<Vec<&RawValue>>(row) else {
            return row.clone();
        };
        let mut json = Vec::with_capacity(row.len() + 16 * names.len());
        json.push(b'{');
        for (name, value) in names.iter().zip(values) {
            push_field(&mut json, name, value.get());
        }
        json.push(b'}');
        Bytes::from(json).into()
    };
    Ok(rows.iter().map(record).collect())
}

type NamesAndRows<'a> = Option<(Vec<String>, &'a [RecordText])>;

fn column_names<'a>(
    rows: &'a [RecordText],
    from: Option<&Path>,
    name: Option<&Path>,
    envelope: &Value,
) -> Result<NamesAndRows<'a>, SplitError> {
    let Some(from) = from else {
        let Some((first, rows)) = rows.split_first() else {
            return Ok(None);
        };
        let names = serde_json::from_slice(first).map_err(|_| {
            SplitError::Shape(
                "the first row is no list of column names; give list.columns".to_owned(),
            )
        })?;
        return Ok(Some((names, rows)));
    };
    let Some(list) = from.get(envelope).and_then(Value::as_array) else {
        let text = format!("there is no list of columns at {from}; correct list.columns.from");
        return if rows.is_empty() {
            Ok(None)
        } else {
            Err(SplitError::Shape(text))
        };
    };
    let read = |item: &Value| {
        name.map_or(Some(item), |path| path.get(item))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match list.iter().map(read).collect::<Option<Vec<String>>>() {
        Some(names) => Ok(Some((names, rows))),
        None => Err(SplitError::Shape(format!(
            "a column at {from} has no name; correct list.columns.name"
        ))),
    }
}
