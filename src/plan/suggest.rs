//! The name that somebody probably meant. Pure.
//! Used by `plan` for references and by `cli` for fields of manifests.

/// The candidate closest to `wrong`, when it is close enough to be a slip of the fingers.
pub fn closest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = wrong.to_lowercase();
    let most = (wrong.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(&folded, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "object"?`, or what there is, or nothing.
pub fn hint<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(meant) = closest(wrong, candidates.clone()) {
        return format!("; did you mean {meant:?}?");
    }
    let mut names: Vec<&str> = candidates.into_iter().collect();
    if names.is_empty() {
        return String::new();
    }
    names.sort_unstable();
    let shown = names.len().min(MOST_NAMES);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; there is {}{more}", names[..shown].join(", "))
}

/// Most names that a message lists.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let fields = ["object", "connectionRef", "where"];
        assert_eq!(closest("objct", fields), Some("object"));
        assert_eq!(closest("Connectionref", fields), Some("connectionRef"));
        assert_eq!(closest("hwere", fields), Some("where"));
        assert_eq!(closest("filter", fields), None);
        assert_eq!(closest("x", fields), None);
    }

    #[test]
    fn without_a_likely_name_the_hint_lists_what_there_is() {
        assert_eq!(hint("zzz", ["crm", "shop"]), "; there is crm, shop");
        assert_eq!(hint("sohp", ["crm", "shop"]), "; did you mean \"shop\"?");
        assert_eq!(hint("zzz", []), "");
    }
}
