//! Where the records stand in an answer and in what shape, compiled.
//! Pure. Run by `connector::pages`.

use serde::{Deserialize, Serialize};

use crate::api::connection::{ListSpec, MissingRecords, RecordShape};
use crate::expression::{Expression, Path, Step};
use crate::plan::connection::Checker;

/// Where the records stand and in what shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordsPlan {
    pub path: RecordsPath,
    pub shape: ShapePlan,
    /// An answer without anything there is an empty list, not an error.
    pub may_miss: bool,
    /// Only records for which it is true take part.
    pub filter: Option<Expression>,
}

/// A path in which `[*]` stands for every item of a list: the paths between these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsPath {
    text: String,
    steps: Vec<RecordsStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordsStep {
    Field(Box<str>),
    Index(usize),
    Each,
}

/// What stands at the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShapePlan {
    List,
    Map {
        key: String,
    },
    Single,
    /// Without `from`, the first row names the columns.
    Columns {
        from: Option<Path>,
        name: Option<Path>,
    },
}

impl RecordsPath {
    /// Parses; the error is for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (i, part) in text.split("[*]").enumerate() {
            if i > 0 {
                steps.push(RecordsStep::Each);
            }
            let part = if i > 0 {
                part.strip_prefix('.').unwrap_or(part)
            } else {
                part
            };
            let path = Path::parse(part).map_err(|error| error.to_string())?;
            steps.extend(path.steps().iter().map(|step| match step {
                Step::Field(name) => RecordsStep::Field(name.clone()),
                Step::Index(index) => RecordsStep::Index(*index),
            }));
        }
        // `data[*]` is the list `data`: its items are the records.
        if steps.last() == Some(&RecordsStep::Each) {
            steps.pop();
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    pub fn steps(&self) -> &[RecordsStep] {
        &self.steps
    }

    /// As it was written; `the answer itself` for the root.
    pub fn describe(&self) -> &str {
        if self.steps.is_empty() {
            "the answer itself"
        } else {
            &self.text
        }
    }

    /// Whether `path` points at or into the records.
    pub fn holds(&self, path: &Path) -> bool {
        self.steps
            .iter()
            .zip(path.steps())
            .all(|(mine, other)| match (mine, other) {
                (RecordsStep::Field(a), Step::Field(b)) => a == b,
                (RecordsStep::Index(a), Step::Index(b)) => a == b,
                (RecordsStep::Each, Step::Index(_)) => true,
                _ => false,
            })
            && path.steps().len() >= self.steps.len()
    }
}

/// Compiles `records`, `shape`, `mapKey`, `columns`, `onMissing` and `filter`.
pub(super) fn compile_records(
    spec: &ListSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<RecordsPlan> {
    let place = format!("{field}.records");
    let path = RecordsPath::parse(spec.records.as_deref().unwrap_or_default())
        .map_err(|error| checker.problem(&place, error))
        .ok()?;
    let kind = spec.shape.unwrap_or_default();
    if spec.map_key.is_some() && kind != RecordShape::Map {
        checker.problem(&format!("{field}.mapKey"), "belongs to shape: Map");
    }
    if spec.columns.is_some() && kind != RecordShape::Columns {
        checker.problem(&format!("{field}.columns"), "belongs to shape: Columns");
    }
    let shape = match kind {
        RecordShape::List => ShapePlan::List,
        RecordShape::Map => ShapePlan::Map {
            key: spec.map_key.clone().unwrap_or_else(|| "_key".to_owned()),
        },
        RecordShape::Single => ShapePlan::Single,
        RecordShape::Columns => match &spec.columns {
            None => ShapePlan::Columns {
                from: None,
                name: None,
            },
            Some(columns) => ShapePlan::Columns {
                from: Some(checker.path(&format!("{field}.columns.from"), &columns.from)?),
                name: match &columns.name {
                    Some(name) => Some(checker.path(&format!("{field}.columns.name"), name)?),
                    None => None,
                },
            },
        },
    };
    let filter = match &spec.filter {
        Some(text) => Some(checker.expression(&format!("{field}.filter"), text, &["record"])?),
        None => None,
    };
    Some(RecordsPlan {
        path,
        shape,
        may_miss: spec.on_missing == Some(MissingRecords::Empty),
        filter,
    })
}
