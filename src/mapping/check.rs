//! Options that would do nothing, and tests that could not fail for the right reason.
//! Pure; used by `compile` alone. A place begins with a dot or is empty: the field itself.

use crate::api::mapping::{FieldWithInner, MappingSpec, OnMissing, OnUnmapped};

use super::field::{Field, Shape};

/// The options of a field that have no effect, as place and message.
pub fn without_effect(spec: &FieldWithInner) -> Vec<(&'static str, &'static str)> {
    let field = &spec.field;
    let missing = field.on_missing == Some(OnMissing::Default);
    let unmapped = field.on_unmapped == Some(OnUnmapped::Default);
    let mut found = Vec::new();
    let mut check = |wrong: bool, place, message| {
        if wrong {
            found.push((place, message));
        }
    };
    check(
        field.default.is_some() && !missing && !unmapped,
        ".default",
        "has no effect without `onMissing: Default` or `onUnmapped: Default`",
    );
    check(
        field.default.is_none() && missing,
        ".onMissing",
        "Default needs the value in `default`",
    );
    check(
        field.default.is_none() && unmapped,
        ".onUnmapped",
        "Default needs the value in `default`",
    );
    check(
        field.on_missing.is_some() && field.value.is_some(),
        ".onMissing",
        "has no effect with `value`, which is never missing",
    );
    check(
        field.on_unmapped.is_some() && field.translate.is_none(),
        ".onUnmapped",
        "has no effect without `translate`",
    );
    check(
        field.on_unlinked.is_some() && field.lookup.is_none(),
        ".onUnlinked",
        "has no effect without `lookup`",
    );
    if let Some(text) = &field.text {
        check(
            text.trim != Some(true) && text.case.is_none(),
            ".text",
            "has no effect without `trim: true` or `case`",
        );
        check(
            field.value.is_some() || spec.inner.is_some(),
            ".text",
            "has no effect with `value` or `each`",
        );
    }
    found
}

/// What is wrong with the Mapping's tests, as place and message; without `fields`, names aren't checked.
pub fn tests(spec: &MappingSpec, fields: Option<&[Field]>) -> Vec<(String, String)> {
    let mut names = Vec::new();
    fields
        .iter()
        .copied()
        .flatten()
        .for_each(|f| f.lookup_names(&mut names));
    let mut found = Vec::new();
    for (index, test) in spec.tests.iter().enumerate() {
        let place = format!("spec.tests[{index}]");
        if test.expect.is_some() == test.rejects.is_some() {
            let message = "a test needs either `expect` or `rejects`";
            found.push((place.clone(), message.into()));
        }
        let Some(fields) = fields else { continue };
        if let Some(name) = &test.rejects
            && !rejectable(fields, name)
        {
            let message = format!("no field sets {name:?}, so that none can reject it");
            found.push((format!("{place}.rejects"), message));
        }
        for (i, link) in test.links.iter().enumerate() {
            if !names.contains(&link.lookup.as_str()) {
                let message = format!("no field has the lookup {:?}", link.lookup);
                found.push((format!("{place}.links[{i}].lookup"), message));
            }
        }
    }
    found
}

/// Whether a rejection can have this name, such as `email` or `lines[2].sku`.
fn rejectable(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| {
        if field.name == name {
            return true;
        }
        let (Shape::Each(inner), Some(rest)) = (&field.shape, name.strip_prefix(&field.name))
        else {
            return false;
        };
        rest.strip_prefix('[')
            .and_then(|rest| rest.split_once("]."))
            .is_some_and(|(at, rest)| at.parse::<usize>().is_ok() && rejectable(inner, rest))
    })
}
