//! Fields turned around: whether the source can be told from the target, and the Mapping that does it.
//! Pure; used by `mapping` alone. The law: mapping, inverting and mapping again gives the same record.

use serde_json::Value;

use crate::api::mapping::{OnMissing, OnShort, OnUnmapped};
use crate::expression::Path;

use super::field::{Field, Shape, Source};

/// Whether a field can be turned around beside the other fields of its record.
pub fn invertible(field: &Field, siblings: &[Field]) -> Result<(), &'static str> {
    let Source::From(from) = &field.source else {
        return Err("its value does not come from one source field");
    };
    if from.is_root() {
        return Err("it copies the whole source record");
    }
    if field.case.is_some() {
        return Err("the case of letters is lost");
    }
    if field.on_missing == OnMissing::Default {
        return Err("a missing value becomes the default");
    }
    match &field.shape {
        Shape::Plain => Ok(()),
        Shape::Lookup { .. } => Err("ids of the target are not looked up in the source"),
        Shape::Split(split) => match split.on_short {
            OnShort::Reject | OnShort::Empty => Ok(()),
            OnShort::Omit => Err("parts that are left out keep their old value in the target"),
        },
        Shape::Translate { pairs, otherwise } => translation(pairs, *otherwise),
        Shape::Date(date) => date.invertible(),
        Shape::Number(number) => {
            let path = number.currency_path();
            number.invertible(path.is_none_or(|path| copy_of(path, siblings).is_some()))
        }
        Shape::Each(fields) => fields.iter().try_for_each(|f| match f.source {
            Source::Value(_) => Ok(()),
            _ => invertible(f, fields),
        }),
    }
}

/// The fields that make the source record from the target record; fixed values have no part in it.
/// Every field that carries something from the source must be invertible.
pub fn inverse(fields: &[Field]) -> Vec<Field> {
    fields.iter().filter_map(|f| turned(f, fields)).collect()
}

fn turned(field: &Field, siblings: &[Field]) -> Option<Field> {
    let Source::From(from) = &field.source else {
        return None;
    };
    let (source, shape) = match &field.shape {
        Shape::Plain | Shape::Lookup { .. } => (Source::From(field.to.clone()), Shape::Plain),
        Shape::Split(split) => (
            Source::Join {
                from: split.into.clone(),
                separator: split.separator.clone(),
                without_end: split.on_short == OnShort::Empty,
            },
            Shape::Plain,
        ),
        Shape::Translate { pairs, otherwise } => (
            Source::From(field.to.clone()),
            Shape::Translate {
                pairs: pairs.iter().map(|(a, b)| (b.clone(), a.clone())).collect(),
                otherwise: *otherwise,
            },
        ),
        Shape::Date(date) => (
            Source::From(field.to.clone()),
            Shape::Date(Box::new(date.inverse()?)),
        ),
        Shape::Number(number) => {
            let currency = number.currency_path().and_then(|p| copy_of(p, siblings));
            let inverse = number.inverse(currency.cloned());
            (Source::From(field.to.clone()), Shape::Number(inverse))
        }
        Shape::Each(fields) => (Source::From(field.to.clone()), Shape::Each(inverse(fields))),
    };
    Some(Field {
        name: from.to_string(),
        to: from.clone(),
        source,
        trim: false,
        case: None,
        shape,
        on_missing: field.on_missing,
        default: Value::Null,
    })
}

/// Where the target record has the value that the source record has at `path`.
fn copy_of<'f>(path: &Path, fields: &'f [Field]) -> Option<&'f Path> {
    fields
        .iter()
        .find_map(|field| match (&field.source, &field.shape) {
            (Source::From(from), Shape::Plain) if from == path && field.case.is_none() => {
                Some(&field.to)
            }
            _ => None,
        })
}

fn translation(pairs: &[(Value, Value)], otherwise: OnUnmapped) -> Result<(), &'static str> {
    let unique = pairs
        .iter()
        .enumerate()
        .all(|(i, (_, to))| pairs[..i].iter().all(|(_, other)| other != to));
    if !unique {
        return Err("two source values become the same target value");
    }
    match otherwise {
        OnUnmapped::Reject => Ok(()),
        OnUnmapped::Omit | OnUnmapped::Default => Err("unknown values are lost"),
        OnUnmapped::Keep => {
            let known = |to: &Value| pairs.iter().any(|(from, _)| from == to);
            match pairs.iter().all(|(_, to)| known(to)) {
                true => Ok(()),
                false => Err("a value that is kept may be what another one becomes"),
            }
        }
    }
}
