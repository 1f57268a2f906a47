//! Why records become dead letters, and what a person does about each. `docs/dead-letters.md` is generated from
//! this table, and a test holds it against the code that makes dead letters.

use std::fmt::Write as _;

/// A reason, what it means, and what to do first.
type Row = (&'static str, &'static str, &'static str);

const REASONS: &[Row] = &[
    (
        "Missing",
        "a field with `onMissing: Reject` has no value",
        "give the record a value in the source, or set onMissing or a default in the Mapping",
    ),
    (
        "Unmapped",
        "a value has no translation",
        "add it to translate, or set onUnmapped in the Mapping",
    ),
    (
        "BadDate",
        "a value is no date in the declared format",
        "correct the date in the source, or date.parse in the Mapping",
    ),
    (
        "BadNumber",
        "a value is no number, or has more digits than are kept",
        "correct the number in the source, or number in the Mapping",
    ),
    (
        "BadText",
        "a value is no text",
        "correct the record in the source, or the field of the Mapping",
    ),
    (
        "BadKey",
        "a value cannot be the key of a lookup",
        "correct the record in the source, or the lookup in the Mapping",
    ),
    (
        "BadPath",
        "two fields of the Mapping are in each other's way",
        "correct the paths of the Mapping",
    ),
    (
        "NotAList",
        "`each` needs a list",
        "correct the record in the source, or each in the Mapping",
    ),
    (
        "TooShort",
        "a text splits into fewer parts than are wanted",
        "correct the text in the source, or set split.onShort in the Mapping",
    ),
    (
        "Expression",
        "an expression fails for this record",
        "correct the record in the source, or expr in the Mapping",
    ),
    (
        "Unlinked",
        "a lookup with `onUnlinked: Reject` finds no link",
        "sync the record that it refers to, or set onUnlinked: Wait in the Mapping",
    ),
    (
        "InvalidRecord",
        "the source gave something that is no record with a key, or an event names none",
        "correct records and key of the source object, or the route of the webhook",
    ),
    (
        "Permanent",
        "the target refuses it as it is (400, 413, 422, …)",
        "read the answer, and correct the record or the Mapping so that the target takes it",
    ),
    (
        "Forbidden",
        "the credential may not do this (403)",
        "give the credential the right to do this in the target",
    ),
    (
        "Gone",
        "the target record is gone (404, 410), with `onGone: DeadLetter`",
        "restore the record in the target, or set write.onGone",
    ),
    (
        "VersionConflict",
        "somebody changed the target record at the same time, again and again (409, 412)",
        "find out who else writes it",
    ),
    (
        "AlreadyExists",
        "the target has such a record, and find does not return it",
        "set match, or correct find, so that the record is found",
    ),
    (
        "Transient",
        "the target failed for this record for longer than `deadLetterAfter`",
        "find out why the target fails for this record",
    ),
    (
        "DuplicateMatch",
        "the target record belongs to another source record already",
        "merge the two source records, or set match.onShared: Share",
    ),
    (
        "SeveralMatches",
        "several target records have the match value",
        "merge them in the target, or set match.onMany",
    ),
    (
        "NoMatch",
        "no target record has the match value, with `onNone: DeadLetter`",
        "create the record in the target, or set match.onNone",
    ),
    (
        "AmbiguousCreate",
        "a create was sent and nobody knows whether it arrived; newer versions wait behind it",
        "look in the target whether the record is there",
    ),
    (
        "UnknownTarget",
        "the target has it from a create whose answer was lost, under an id that nobody knows",
        "change the record in the target by hand, then discard this dead letter",
    ),
    (
        "Echo",
        "it was written back and forth between the same two contents, `failures.echoAt` times",
        "find out who changes it back, such as a Sync from this target into the source; let one side decide, then replay",
    ),
    (
        "NotReadable",
        "its values were not kept (`redact`), and the source cannot be asked for them",
        "give the source object get, or change the record in the source, which is taken by itself",
    ),
];

/// What to do first.
pub fn advice(reason: &str) -> &'static str {
    let row = REASONS.iter().find(|(name, ..)| *name == reason);
    row.map_or(
        "correct the record in the source, which is taken by the next run, or the Mapping",
        |(_, _, advice)| advice,
    )
}

/// All reasons as a Markdown table.
pub fn reference() -> String {
    let mut text = String::from("| Reason | Meaning | What to do |\n|---|---|---|\n");
    for (name, meaning, advice) in REASONS {
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {name} | {meaning} | {advice} |");
    }
    text
}
