//! A MappingSpec becomes compiled fields, or a list of what is wrong with it.

use serde_json::Value;

use crate::api::mapping::{FieldSpec, FieldWithInner, MappingSpec};
use crate::expression::{Expression, Path};

use super::CompileError;
use super::check::{tests, without_effect};
use super::date::DateMap;
use super::field::{Field, Shape, Source};
use super::number::NumberMap;
use super::split::Split;
use super::targets::Targets;

/// Compiles all fields; every problem is reported.
pub fn fields(spec: &MappingSpec) -> Result<Vec<Field>, Vec<CompileError>> {
    let specs: Vec<FieldWithInner> = spec
        .fields
        .iter()
        .map(|f| FieldWithInner {
            field: f.general(),
            inner: f.inner(),
        })
        .collect();
    let mut compiler = Compiler::default();
    let fields = compiler.all(&specs, "spec.fields");
    // Names can only be held against fields that are all there.
    let known = compiler.problems.is_empty().then_some(&*fields);
    for (place, message) in tests(spec, known) {
        compiler.problem(place, message);
    }
    if compiler.problems.is_empty() {
        Ok(fields)
    } else {
        Err(compiler.problems)
    }
}

#[derive(Default)]
struct Compiler {
    problems: Vec<CompileError>,
}

impl Compiler {
    fn problem(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(CompileError {
            field: field.into(),
            message: message.into(),
        });
    }

    fn all(&mut self, specs: &[FieldWithInner], place: &str) -> Vec<Field> {
        let mut targets = Targets::default();
        let mut fields = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let field = self.one(spec, &place);
            if let Some(field) = &field {
                for (path, place) in field_targets(field, &place) {
                    if let Err(message) = targets.take(path.clone(), &place) {
                        self.problem(place, message);
                    }
                }
            }
            fields.extend(field);
        }
        fields
    }

    fn one(&mut self, spec: &FieldWithInner, place: &str) -> Option<Field> {
        let field = &spec.field;
        let source = self.source(field, place);
        let shape = self.shape(spec, place);
        let (name, to) = match (&field.to, &field.split) {
            (Some(_), Some(_)) => {
                self.problem(
                    place,
                    "`to` does not go with `split`, which names its targets in `into`",
                );
                return None;
            }
            (None, Some(split)) => (split.into.join(", "), Path::default()),
            (Some(to), None) => (to.clone(), self.path(to, &format!("{place}.to"))?),
            (None, None) => {
                self.problem(place, "`to` is missing: the path of the target field");
                return None;
            }
        };
        for (option, message) in without_effect(spec) {
            self.problem(format!("{place}{option}"), message);
        }
        let text = field.text.clone().unwrap_or_default();
        Some(Field {
            name,
            to,
            source: source?,
            trim: text.trim.unwrap_or(false),
            case: text.case,
            shape: shape?,
            on_missing: field.on_missing.unwrap_or_default(),
            default: field.default.clone().unwrap_or(Value::Null),
        })
    }

    fn source(&mut self, field: &FieldSpec, place: &str) -> Option<Source> {
        let given = [
            field.from.is_some(),
            field.value.is_some(),
            field.expr.is_some(),
            field.join.is_some(),
        ];
        if given.iter().filter(|g| **g).count() != 1 {
            self.problem(
                place,
                "exactly one of `from`, `value`, `expr` and `join` says where the value comes from",
            );
            return None;
        }
        if let Some(from) = &field.from {
            return self.path(from, &format!("{place}.from")).map(Source::From);
        }
        if let Some(value) = &field.value {
            return Some(Source::Value(value.clone()));
        }
        if let Some(text) = &field.expr {
            return match Expression::compile(text, &["record"]) {
                Ok(expression) => Some(Source::Expr(expression)),
                Err(e) => {
                    self.problem(format!("{place}.expr"), e.problem);
                    None
                }
            };
        }
        let join = field.join.as_ref()?;
        let from: Vec<Option<Path>> = join
            .from
            .iter()
            .enumerate()
            .map(|(i, p)| self.path(p, &format!("{place}.join.from[{i}]")))
            .collect();
        Some(Source::Join {
            from: from.into_iter().collect::<Option<_>>()?,
            separator: join.separator.clone(),
            without_end: false,
        })
    }

    fn shape(&mut self, spec: &FieldWithInner, place: &str) -> Option<Shape> {
        let field = &spec.field;
        let given = [
            field.split.is_some(),
            field.translate.is_some(),
            field.date.is_some(),
            field.number.is_some(),
            field.lookup.is_some(),
            spec.inner.is_some(),
        ];
        if given.iter().filter(|g| **g).count() > 1 {
            self.problem(
                place,
                "at most one of `split`, `translate`, `date`, `number`, `lookup` and `each`",
            );
            return None;
        }
        let compiled = if let Some(split) = &field.split {
            let into: Vec<Option<Path>> = split
                .into
                .iter()
                .enumerate()
                .map(|(i, p)| self.path(p, &format!("{place}.split.into[{i}]")))
                .collect();
            return Some(Shape::Split(Split {
                separator: split.separator.clone(),
                into: into.into_iter().collect::<Option<_>>()?,
                rest: split.rest.unwrap_or_default(),
                on_short: split.on_short.unwrap_or_default(),
            }));
        } else if let Some(pairs) = &field.translate {
            for (index, pair) in pairs.iter().enumerate() {
                if pairs[..index].iter().any(|other| other.from == pair.from) {
                    self.problem(
                        format!("{place}.translate[{index}].from"),
                        format!("{} is listed already", pair.from),
                    );
                }
            }
            Ok(Shape::Translate {
                pairs: pairs
                    .iter()
                    .map(|p| (p.from.clone(), p.to.clone()))
                    .collect(),
                otherwise: field.on_unmapped.unwrap_or_default(),
            })
        } else if let Some(date) = &field.date {
            DateMap::compile(date, &format!("{place}.date")).map(|date| Shape::Date(Box::new(date)))
        } else if let Some(number) = &field.number {
            NumberMap::compile(number, &format!("{place}.number")).map(Shape::Number)
        } else if let Some(name) = &field.lookup {
            Ok(Shape::Lookup {
                name: name.clone(),
                otherwise: field.on_unlinked.unwrap_or_default(),
            })
        } else if let Some(inner) = &spec.inner {
            Ok(Shape::Each(self.all(inner, &format!("{place}.each"))))
        } else {
            Ok(Shape::Plain)
        };
        compiled
            .map_err(|(field, message)| self.problem(field, message))
            .ok()
    }

    fn path(&mut self, text: &str, place: &str) -> Option<Path> {
        Path::parse(text)
            .map_err(|e| self.problem(place, e.to_string()))
            .ok()
    }
}

/// The paths that a field sets, with their places in the spec.
fn field_targets<'f>(field: &'f Field, place: &str) -> Vec<(&'f Path, String)> {
    match &field.shape {
        Shape::Split(split) => split
            .into
            .iter()
            .enumerate()
            .map(|(i, path)| (path, format!("{place}.split.into[{i}]")))
            .collect(),
        _ => vec![(&field.to, format!("{place}.to"))],
    }
}
