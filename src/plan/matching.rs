//! `spec.match`: by what an unlinked record is recognized in the target, and whether what a Sync creates is
//! recognized again by the same value. Called by `sync`.

use crate::api::mapping::{FieldSpec, MappingSpec};
use crate::api::sync::MatchSpec;
use crate::expression::Path;

use super::validate::SyncChecker;
use super::{MatchField, MatchPlan, ObjectPlan, OnNone};

/// Compiles it; `None` with the reasons in `checker`.
pub(super) fn compile(
    spec: &MatchSpec,
    mapping: &MappingSpec,
    checker: &mut SyncChecker,
) -> Option<MatchPlan> {
    let mut fields = Vec::with_capacity(spec.fields.len());
    for (i, field) in spec.fields.iter().enumerate() {
        let place = |name: &str| format!("spec.match.fields[{i}].{name}");
        let source = match &field.source {
            Some(text) => path(text, &place("source"), checker).map(Some),
            None => Some(None),
        };
        let target = path(&field.target, &place("target"), checker);
        let (Some(source), Some(target)) = (source, target) else {
            fields.push(None);
            continue;
        };
        if source.is_none() && writers(mapping, &target).next().is_none() {
            let problem = format!(
                "the Mapping writes no field {target}, so there is no value to look for: add source, the path in the \
                 source record"
            );
            checker.error(&place("target"), problem);
        }
        fields.push(Some(MatchField {
            source,
            target,
            ignore_case: field.ignore_case,
        }));
    }
    Some(MatchPlan {
        fields: fields.into_iter().collect::<Option<_>>()?,
        on_none: spec.on_none,
        on_many: spec.on_many,
        on_shared: spec.on_shared,
    })
}

fn path(text: &str, place: &str, checker: &mut SyncChecker) -> Option<Path> {
    match Path::parse(text) {
        Ok(path) if path.is_root() => {
            checker.error(place, "name a field of the record, such as email");
            None
        }
        Ok(path) => Some(path),
        Err(error) => {
            checker.error(place, error.to_string());
            None
        }
    }
}

/// What is created must be found again by the value that it was looked for: else a lost answer makes a second
/// one.
pub(super) fn check_written(
    matching: &MatchPlan,
    mapping: &MappingSpec,
    target: &ObjectPlan,
    checker: &mut SyncChecker,
) {
    let creates = matching.on_none == OnNone::Create && target.create.is_some();
    if !creates || target.find.is_none() {
        return;
    }
    for (i, field) in matching.fields.iter().enumerate() {
        let Some(source) = &field.source else {
            continue;
        };
        let place = format!("spec.match.fields[{i}].source");
        let mut writers = writers(mapping, &field.target).peekable();
        if writers.peek().is_none() {
            checker.warning(
                &place,
                format!(
                    "the Mapping does not write {}: what is created is found again only if the target itself puts the \
                     value of {source} there",
                    field.target
                ),
            );
        } else if !writers.any(|writer| copies(writer, source, field.ignore_case)) {
            checker.warning(
                &place,
                format!(
                    "the Mapping writes {} otherwise than as a copy of {source}: what is created may not be found again, and \
                     a lost answer makes a second one; leave source away to look for the value that is written",
                    field.target
                ),
            );
        }
    }
}

/// The fields of a Mapping that write there.
fn writers<'a>(mapping: &'a MappingSpec, target: &'a Path) -> impl Iterator<Item = &'a FieldSpec> {
    let is_it = |text: &str| Path::parse(text).is_ok_and(|path| path == *target);
    mapping.fields.iter().filter(move |field| {
        let parts = field.split.iter().flat_map(|split| &split.into);
        field.to.iter().chain(parts).any(|text| is_it(text))
    })
}

/// Whether a field of a Mapping writes what stands at `source`, as far as a match can tell.
fn copies(field: &FieldSpec, source: &Path, ignore_case: bool) -> bool {
    let from = field
        .from
        .as_deref()
        .and_then(|text| Path::parse(text).ok());
    let changes_case = field.text.as_ref().is_some_and(|text| text.case.is_some());
    let plain = field.split.is_none()
        && field.translate.is_none()
        && field.date.is_none()
        && field.number.is_none()
        && field.lookup.is_none()
        && field.each.is_none();
    from.as_ref() == Some(source) && plain && (ignore_case || !changes_case)
}
