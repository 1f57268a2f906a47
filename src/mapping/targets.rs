//! Fields that would get into each other's way in the target record, found before any record is seen.
//! Pure; used by `compile`, once for the record and once for the items of each list.

use crate::expression::{Path, Step};

/// The target paths of a record's fields, with their places in the spec.
#[derive(Default)]
pub struct Targets {
    taken: Vec<(Path, String)>,
}

impl Targets {
    /// Takes a path for the field at `place`.
    ///
    /// # Errors
    /// Why no record could hold this field beside those before it.
    pub fn take(&mut self, path: Path, place: &str) -> Result<(), String> {
        if path.is_root() {
            return Err("the target record itself cannot be set; name a field".into());
        }
        if let Some(Step::Index(_)) = path.steps().first() {
            return Err("a record is an object, not a list; begin with the name of a field".into());
        }
        let clash = self
            .taken
            .iter()
            .find_map(|(other, at)| clash(other, at, &path));
        self.taken.push((path, place.to_owned()));
        clash.map_or(Ok(()), Err)
    }
}

/// Why two paths cannot both be set; `at` is the place of the first.
fn clash(first: &Path, at: &str, second: &Path) -> Option<String> {
    let pairs = first.steps().iter().zip(second.steps());
    let common = pairs.clone().take_while(|(a, b)| a == b).count();
    match (
        pairs.clone().nth(common),
        first.steps().len(),
        second.steps().len(),
    ) {
        (Some((Step::Field(_), Step::Index(_)) | (Step::Index(_), Step::Field(_))), _, _) => {
            let here = Path::from_steps(first.steps()[..common].to_vec());
            Some(format!(
                "{here} would be a list and an object; {at} sets {first}"
            ))
        }
        (Some(_), _, _) => None,
        (None, a, b) if a == b => Some(format!("{at} sets {first} already")),
        (None, a, b) if a < b => Some(format!(
            "{at} sets {first} as a whole, and this a part of it; set either the whole or its parts"
        )),
        (None, _, _) => Some(format!(
            "{at} sets a part of it, {first}; set either the whole or its parts"
        )),
    }
}
