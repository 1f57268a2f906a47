//! The quick way to read the answer to a batch: what most answers are, in which every record was written, is found in
//! one walk over the text. All other answers are read in the usual way. Pure. Used by `batch`.

use bytes::Bytes;
use http::StatusCode;

use super::Done;
use super::classify::Purpose;
use crate::expression::{Malformed, Path, Scanner, Step, raw};
use crate::plan::connection::{BatchPlan, Correlate};
use crate::record::TargetId;

/// What became of each of `count` records, in order; `None`: only the usual way can say.
pub(super) fn all_done(
    plan: &BatchPlan,
    purpose: Purpose,
    ids: &[Path],
    body: &Bytes,
    count: usize,
) -> Option<Vec<Done>> {
    let name = |path: &Path| match path.steps() {
        [Step::Field(name)] => Some(name.as_bytes().to_owned()),
        _ => None,
    };
    let by_index = matches!(plan.correlate, Correlate::Index);
    if !by_index || plan.errors.is_some() || ids.len() > 1 || std::str::from_utf8(body).is_err() {
        return None;
    }
    let mut results = Results {
        id: ids.first().map_or(Some(None), |id| name(id).map(Some))?,
        status: plan
            .status
            .as_ref()
            .map_or(Some(None), |s| name(s).map(Some))?,
        needs_id: purpose == Purpose::Create,
        done: Vec::with_capacity(count),
        all: false,
    };
    let mut scanner = Scanner::new(body);
    results.walk(plan.results.steps(), &mut scanner).ok()?;
    scanner.end().ok()?;
    (results.all && results.done.len() == count).then_some(results.done)
}

struct Results {
    /// The fields of a result that are looked at.
    id: Option<Vec<u8>>,
    status: Option<Vec<u8>>,
    needs_id: bool,
    done: Vec<Done>,
    /// The list was there, and all in it is done.
    all: bool,
}

impl Results {
    /// To the list, and over it. A field that comes twice: the last one counts, as everywhere in JSON.
    fn walk(&mut self, steps: &[Step], scanner: &mut Scanner<'_>) -> Result<(), Malformed> {
        self.done.clear();
        self.all = false;
        match (steps, scanner.peek()) {
            ([], Some(b'[')) => {
                scanner.enter()?;
                self.all = true;
                while scanner.item()? {
                    let done = self.one(scanner)?;
                    self.all &= done.is_some();
                    self.done.extend(done);
                }
            }
            ([Step::Field(field), below @ ..], Some(b'{')) => {
                scanner.enter()?;
                while let Some(name) = scanner.name()? {
                    if *name == *field.as_bytes() {
                        self.walk(below, scanner)?;
                    } else {
                        scanner.value()?;
                    }
                }
            }
            _ => drop(scanner.value()?),
        }
        Ok(())
    }

    /// One result; `None`: it is no plain success.
    fn one(&self, scanner: &mut Scanner<'_>) -> Result<Option<Done>, Malformed> {
        if scanner.peek() != Some(b'{') {
            scanner.value()?;
            return Ok(None);
        }
        let (mut id, mut status) = (None, None);
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            let value = scanner.value()?;
            if self.id.as_deref() == Some(&name) {
                id = Some(value);
            }
            if self.status.as_deref() == Some(&name) {
                status = Some(value);
            }
        }
        if !status.is_none_or(is_success) {
            return Ok(None);
        }
        Ok(match id {
            None if self.needs_id => None,
            None => Some(Done::default()),
            Some(id) => plain_id(id).map(|id| Done {
                id: Some(id),
                before: None,
            }),
        })
    }
}

fn is_success(status: &[u8]) -> bool {
    matches!(status, [_, _, _]) && StatusCode::from_bytes(status).is_ok_and(|s| s.is_success())
}

/// The id of a text or a number that the program itself would write in the same way.
fn plain_id(json: &[u8]) -> Option<TargetId> {
    let is_text = json.starts_with(b"\"") && json.len() > 2;
    let is_number = json.first()?.is_ascii_digit();
    ((is_text || is_number) && raw::is_canonical(json))
        .then(|| std::str::from_utf8(json).ok().map(TargetId::from_json))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> BatchPlan {
        BatchPlan {
            max: 10,
            at: Path::default(),
            item: Path::default(),
            key: None,
            results: Path::parse("a.out").unwrap(),
            errors: None,
            status: Some(Path::parse("status").unwrap()),
            correlate: Correlate::Index,
        }
    }

    fn read(plan: &BatchPlan, body: &str, count: usize) -> Option<Vec<String>> {
        let ids = [Path::parse("id").unwrap()];
        let body = Bytes::from(body.to_owned());
        let done = all_done(plan, Purpose::Create, &ids, &body, count)?;
        let id = |done: Done| done.id.map(|id| id.as_json().to_owned());
        Some(
            done.into_iter()
                .map(|done| id(done).unwrap_or_default())
                .collect(),
        )
    }

    #[test]
    fn an_answer_in_which_all_is_done_is_read_at_a_glance() {
        let body = r#" {"b": [0], "a": {"x": {}, "out": [
            {"status": 201, "id": "é-1", "more": [{"id": 3}]}, {"id": 9, "id": 17, "status": 200}, {"id": "c"}
        ]}} "#;
        let found = read(&plan(), body, 3).unwrap();
        assert_eq!(found, [r#""é-1""#, "17", r#""c""#]);
        // The last of two lists counts.
        let twice = r#"{"a": {"out": [{"id": 1}]}, "a": {"out": [{"id": 2}]}}"#;
        assert_eq!(read(&plan(), twice, 1).unwrap(), ["2"]);
        let root = BatchPlan {
            results: Path::default(),
            ..plan()
        };
        assert_eq!(read(&root, r#"[{"id": 1}]"#, 1).unwrap(), ["1"]);
    }

    #[test]
    fn all_else_is_left_to_the_usual_way() {
        for out in [
            r#"[{"id": 1, "status": 200}, {"id": 2, "status": 404}]"#,
            r#"[{"id": 1, "status": "200"}, {"id": 2}]"#,
            r#"[{"id": 1, "status": 2000}, {"id": 2}]"#,
            r#"[{"id": 1}]"#,
            r#"[{"id": 1}, {"id": 2}, {"id": 3}]"#,
            r#"[{"id": 1}, {}]"#,
            r#"[{"id": 1}, {"id": null}]"#,
            r#"[{"id": 1}, {"id": ""}]"#,
            r#"[{"id": 1}, {"id": "\u0061"}]"#,
            r#"[{"id": 1}, {"id": 1.0}]"#,
            r#"[{"id": 1}, [2]]"#,
            r#"{"0": {"id": 1}, "1": {"id": 2}}"#,
            "null",
            r#"[{"id": 1}, {"id": 2}"#,
        ] {
            let body = format!(r#"{{"a": {{"out": {out}}}}}"#);
            assert_eq!(read(&plan(), &body, 2), None, "{out}");
        }
        let after = r#"{"a": {"out": [{"id": 1}]}, "a": 7}"#;
        assert_eq!(read(&plan(), after, 1), None);
        let by_key = BatchPlan {
            correlate: Correlate::ByKey {
                sent: Path::default(),
                answered: Path::default(),
            },
            ..plan()
        };
        let errors = BatchPlan {
            errors: Some(Path::default()),
            ..plan()
        };
        for plan in [by_key, errors] {
            assert_eq!(read(&plan, r#"{"a": {"out": [{"id": 1}]}}"#, 1), None);
        }
    }
}
