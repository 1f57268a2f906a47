//! The outbox's unit: the changed records of one page, frozen as bytes. Pure encoding, no SQL.
//!
//! An entry is what must survive a crash between reading a record and knowing what the target did
//! with it: its key, its version, its source bytes and the bytes to be sent.

use bytes::Bytes;

use crate::record::{Fingerprint, Key, Moment, Removal};

/// One version of one record, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// Of the source record, under the Plan.
    pub raw: Fingerprint,
    /// Of `body`; unknown where the record isn't mapped yet.
    pub mapped: Fingerprint,
    pub moment: Option<Moment>,
    /// Hash of the match value, for Syncs with `match`.
    pub matching: Option<i64>,
    /// 128 random bits that name the create of this version to the target.
    pub token: [u8; 16],
    /// When this version was first seen, in milliseconds since 1970.
    pub seen: i64,
    /// The source record as it was read.
    pub source: Bytes,
    /// The mapped record as JSON text; empty where it isn't mapped yet.
    pub body: Bytes,
    /// The values of `${source.…}` in the target's operations, JSON object text; empty for none.
    pub params: Bytes,
    /// The record is not to be in the target any more, and why; `source` is the last word about it.
    pub removal: Option<Removal>,
    /// For a removal: nothing older of its key was ever sent while it had no link.
    pub untried: bool,
}

impl Entry {
    /// The idempotency key: the token as 32 hexadecimal digits.
    pub fn idempotency_key(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.token))
    }
}

/// A segment that cannot be read: the store is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored segment is damaged at byte {0}")]
pub struct Damaged(pub usize);

/// The first byte. Format 1 knew no removals.
const FORMAT: u8 = 2;
const WITHOUT_REMOVALS: u8 = 1;
/// Set in an entry's last byte beside its removal.
const UNTRIED: u8 = 0x10;

/// About what an entry takes beside its texts, in bytes.
const FIXED: usize = 112;

/// Encodes whole entries.
pub fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry, IntoIter: Clone>) -> Vec<u8> {
    encode_page(entries.into_iter().map(|entry| (entry, true)))
}

/// Encodes the entries of a page, each with its body or, where it may be mapped anew after a crash, without.
pub fn encode_page<'a>(entries: impl Iterator<Item = (&'a Entry, bool)> + Clone) -> Vec<u8> {
    let none = Bytes::new();
    let body = |entry: &'a Entry, whole| if whole { &entry.body } else { &none };
    let size = |(entry, whole): (&'a Entry, bool)| {
        let texts = [&entry.source, body(entry, whole), &entry.params];
        FIXED + entry.key.as_str().len() + texts.map(Bytes::len).iter().sum::<usize>()
    };
    let mut out = Vec::with_capacity(1 + entries.clone().map(size).sum::<usize>());
    out.push(FORMAT);
    for (entry, whole) in entries {
        put(&mut out, entry.key.as_str().as_bytes());
        out.extend_from_slice(&entry.raw.to_bytes());
        out.extend_from_slice(&entry.mapped.to_bytes());
        match &entry.moment {
            None => out.push(0),
            Some(Moment::Time(at)) => {
                out.push(1);
                out.extend_from_slice(&at.to_be_bytes());
            }
            Some(Moment::Integer(number)) => {
                out.push(2);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Some(Moment::Text(text)) => {
                out.push(3);
                put(&mut out, text.as_bytes());
            }
        }
        match entry.matching {
            None => out.push(0),
            Some(hash) => {
                out.push(1);
                out.extend_from_slice(&hash.to_be_bytes());
            }
        }
        out.extend_from_slice(&entry.token);
        out.extend_from_slice(&entry.seen.to_be_bytes());
        put(&mut out, &entry.source);
        put(&mut out, body(entry, whole));
        put(&mut out, &entry.params);
        let removal = match entry.removal {
            None => 0,
            Some(Removal::Deleted) => 1,
            Some(Removal::Absent) => 2,
            Some(Removal::Left) => 3,
        };
        out.push(removal | if entry.untried { UNTRIED } else { 0 });
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // A record is bounded by `maxResponseBytes`, far below 4 GiB.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Decodes what [`encode`] made.
pub fn decode(bytes: impl Into<Bytes>) -> Result<Vec<Entry>, Damaged> {
    let bytes = bytes.into();
    let mut reader = Reader {
        bytes: &bytes,
        at: 0,
    };
    let removals = match reader.array::<1>()? {
        [FORMAT] => true,
        [WITHOUT_REMOVALS] => false,
        _ => return Err(Damaged(0)),
    };
    let mut entries = Vec::new();
    while reader.at < bytes.len() {
        entries.push(reader.entry(removals)?);
    }
    Ok(entries)
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn slice(&mut self, length: usize) -> Result<Bytes, Damaged> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len())
            .ok_or(Damaged(self.at))?;
        let slice = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let at = self.at;
        self.slice(N)?.as_ref().try_into().map_err(|_| Damaged(at))
    }

    fn bytes(&mut self) -> Result<Bytes, Damaged> {
        let length = u32::from_be_bytes(self.array()?);
        self.slice(length as usize)
    }

    fn text(&mut self) -> Result<String, Damaged> {
        let at = self.at;
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Damaged(at))
    }

    fn removal(&mut self) -> Result<(Option<Removal>, bool), Damaged> {
        let [byte] = self.array()?;
        let removal = match byte & !UNTRIED {
            0 => None,
            1 => Some(Removal::Deleted),
            2 => Some(Removal::Absent),
            3 => Some(Removal::Left),
            _ => return Err(Damaged(self.at)),
        };
        Ok((removal, byte & UNTRIED != 0))
    }

    fn entry(&mut self, removals: bool) -> Result<Entry, Damaged> {
        let key = Key::from_text(self.text()?);
        let raw = Fingerprint(u128::from_be_bytes(self.array()?));
        let mapped = Fingerprint(u128::from_be_bytes(self.array()?));
        let moment = match self.array::<1>()? {
            [0] => None,
            [1] => Some(Moment::Time(i128::from_be_bytes(self.array()?))),
            [2] => Some(Moment::Integer(i64::from_be_bytes(self.array()?))),
            [3] => Some(Moment::Text(self.text()?)),
            _ => return Err(Damaged(self.at)),
        };
        let matching = match self.array::<1>()? {
            [0] => None,
            [1] => Some(i64::from_be_bytes(self.array()?)),
            _ => return Err(Damaged(self.at)),
        };
        let mut entry = Entry {
            key,
            raw,
            mapped,
            moment,
            matching,
            token: self.array()?,
            seen: i64::from_be_bytes(self.array()?),
            source: self.bytes()?,
            body: self.bytes()?,
            params: self.bytes()?,
            removal: None,
            untried: false,
        };
        if removals {
            (entry.removal, entry.untried) = self.removal()?;
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let moment = prop_oneof![
            Just(None),
            any::<i128>().prop_map(|n| Some(Moment::Time(n))),
            any::<i64>().prop_map(|n| Some(Moment::Integer(n))),
            ".*".prop_map(|t| Some(Moment::Text(t))),
        ];
        let blob = || prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from);
        (
            ".+",
            any::<u128>(),
            moment,
            any::<Option<i64>>(),
            any::<[u8; 16]>(),
            any::<i64>(),
            blob(),
            blob(),
            blob(),
            prop::sample::select(vec![None, Some(Removal::Deleted), Some(Removal::Left)]),
        )
            .prop_map(
                |(key, raw, moment, matching, token, seen, source, body, params, removal)| Entry {
                    key: Key::from_text(key),
                    raw: Fingerprint(raw),
                    mapped: Fingerprint(!raw),
                    moment,
                    matching,
                    token,
                    seen,
                    source,
                    body,
                    params,
                    removal,
                    untried: removal.is_some() && seen % 2 == 0,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(entries in prop::collection::vec(entry(), 0..8)) {
            prop_assert_eq!(decode(encode(&entries)), Ok(entries));
        }

        #[test]
        fn a_body_that_need_not_be_kept_is_empty_and_all_else_is_there(
            mut entries in prop::collection::vec((entry(), any::<bool>()), 0..8),
        ) {
            let bytes = encode_page(entries.iter().map(|(entry, whole)| (entry, *whole)));
            for (entry, _) in entries.iter_mut().filter(|(_, whole)| !whole) {
                entry.body = Bytes::new();
            }
            let expected = entries.into_iter().map(|(entry, _)| entry).collect();
            prop_assert_eq!(decode(bytes), Ok::<Vec<Entry>, Damaged>(expected));
        }

        #[test]
        fn a_damaged_segment_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode(bytes);
        }
    }

    #[test]
    fn what_was_kept_before_there_were_removals_is_read() {
        let entry = Entry {
            key: Key::from_text("a"),
            raw: Fingerprint(1),
            mapped: Fingerprint(2),
            moment: None,
            matching: None,
            token: [3; 16],
            seen: 4,
            source: Bytes::from_static(b"{}"),
            body: Bytes::from_static(b"{}"),
            params: Bytes::new(),
            removal: None,
            untried: false,
        };
        let mut old = encode([&entry]);
        (old[0], _) = (WITHOUT_REMOVALS, old.pop());
        assert_eq!(decode(old), Ok(vec![entry]));
    }

    #[test]
    fn a_cut_segment_is_an_error() {
        let mut bytes = encode(&[]);
        bytes.extend_from_slice(&[0, 0, 0, 9, b'x']);
        assert_eq!(decode(bytes), Err(Damaged(5)));
    }
}
