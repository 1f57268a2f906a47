//! A fuse against echoes: a record that is written back and forth between the same two contents, because somebody
//! changes it back each time. Counts such writes per record, within bounds. Pure: the time is given. Used by `worker`.

use std::collections::HashMap;
use std::time::Duration;

use crate::record::{Fingerprint, Key};

/// Records that are watched at once. When there are more, those that have swung only once are forgotten first: an echo
/// comes back.
pub const MOST: usize = 1024;

/// Shortest and longest time within which writes are counted.
const SHORTEST: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// So many runs of a Sync take part, so that an echo of one write a run is noticed whatever the interval.
const RUNS: u32 = 12;

/// The time within which writes are counted for a Sync that runs so often.
pub fn window(period: Duration) -> Duration {
    period.saturating_mul(RUNS).clamp(SHORTEST, LONGEST)
}

/// How often one record swings between two contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Swing {
    /// What the target had before, and what it has now.
    before: u64,
    now: u64,
    /// Writes between the two.
    writes: u32,
    /// When the first of them was made, in milliseconds.
    since: i64,
}

/// The records that may be echoes.
#[derive(Debug)]
pub struct Echoes {
    /// Writes between two contents, and the time within which they are counted in milliseconds.
    most: u32,
    within: i64,
    swings: HashMap<u64, Swing>,
    changed: bool,
}

/// Bytes of a record in what is kept.
const KEPT: usize = 36;

impl Echoes {
    /// After `most` writes between two contents within this time, the next one is an echo; never, if `most` is 0.
    pub fn new(most: u32, within: Duration) -> Self {
        Self {
            most,
            within: i64::try_from(within.as_millis()).unwrap_or(i64::MAX),
            swings: HashMap::new(),
            changed: false,
        }
    }

    /// What the target has of `key` was changed, at this time. Of a record that is not watched yet, what it had
    /// before must be known.
    pub fn wrote(&mut self, key: &Key, before: Fingerprint, now: Fingerprint, at: i64) {
        if self.most == 0 {
            return;
        }
        let (key, before, now) = (name(key), short(before), short(now));
        let Some(swing) = self.swings.get_mut(&key) else {
            if before == short(Fingerprint::UNKNOWN) || before == now {
                return;
            }
            self.changed = true;
            self.make_room(at);
            let first = Swing {
                before,
                now,
                writes: 1,
                since: at,
            };
            self.swings.insert(key, first);
            return;
        };
        if swing.now == now {
            return;
        }
        self.changed = true;
        let back = swing.before == now && swing.is_recent(at, self.within);
        *swing = Swing {
            before: swing.now,
            now,
            writes: if back { swing.writes + 1 } else { 1 },
            since: if back { swing.since } else { at },
        };
    }

    /// Whether writing this content would be one write back and forth too many.
    pub fn is_echo(&self, key: &Key, now: Fingerprint, at: i64) -> bool {
        !self.swings.is_empty()
            && self.swings.get(&name(key)).is_some_and(|swing| {
                swing.before == short(now)
                    && swing.writes >= self.most
                    && swing.is_recent(at, self.within)
            })
    }

    /// The writes after which the next one is an echo, and the minutes within which they are counted.
    pub fn bounds(&self) -> (u32, i64) {
        (self.most, self.within / 60_000)
    }

    /// A person wants this record to be written: what was counted is over.
    pub fn forgive(&mut self, key: &Key) {
        self.changed |= self.swings.remove(&name(key)).is_some();
    }

    fn make_room(&mut self, at: i64) {
        let within = self.within;
        if self.swings.len() < MOST {
            return;
        }
        self.swings
            .retain(|_, swing| swing.writes > 1 && swing.is_recent(at, within));
        if self.swings.len() > MOST / 2 {
            let mut writes: Vec<u32> = self.swings.values().map(|swing| swing.writes).collect();
            writes.sort_unstable();
            let least = writes[writes.len() - MOST / 2];
            // Where many have swung equally often, none of these stays.
            self.swings.retain(|_, swing| swing.writes > least);
        }
    }

    /// What is to be kept for the next run; `None`: nothing has changed.
    pub fn to_keep(&self, at: i64) -> Option<Vec<u8>> {
        if !self.changed {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.swings.len() * KEPT);
        for (key, swing) in &self.swings {
            if swing.is_recent(at, self.within) {
                for number in [*key, swing.before, swing.now] {
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                bytes.extend_from_slice(&swing.writes.to_be_bytes());
                bytes.extend_from_slice(&swing.since.to_be_bytes());
            }
        }
        Some(bytes)
    }

    /// Takes up what an earlier run has kept; nothing of what cannot be read.
    pub fn take_up(&mut self, bytes: &[u8]) {
        for kept in bytes.chunks_exact(KEPT).take(MOST) {
            let number = |start: usize| {
                let bytes = kept[start..start + 8].try_into().unwrap_or_default();
                u64::from_be_bytes(bytes)
            };
            let swing = Swing {
                before: number(8),
                now: number(16),
                writes: u32::from_be_bytes(kept[24..28].try_into().unwrap_or_default()),
                since: number(28).cast_signed(),
            };
            self.swings.insert(number(0), swing);
        }
    }
}

impl Swing {
    /// Whether the first of its writes is not too long ago; a clock that was set back makes it new.
    fn is_recent(&self, at: i64, within: i64) -> bool {
        at.saturating_sub(self.since).max(0) <= within
    }
}

fn name(key: &Key) -> u64 {
    short(Fingerprint::of(key.as_str().as_bytes()))
}

/// Enough of a fingerprint to tell the contents of one record apart.
fn short(print: Fingerprint) -> u64 {
    print.0 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const A: Fingerprint = Fingerprint(1);
    const B: Fingerprint = Fingerprint(2);
    const C: Fingerprint = Fingerprint(3);

    /// Lets four writes within an hour through.
    fn fuse() -> Echoes {
        Echoes::new(4, SHORTEST)
    }

    fn key(n: usize) -> Key {
        Key::from_text(format!("k{n}"))
    }

    /// Writes these contents one after the other, a minute apart, as long as the fuse lets them; what was written.
    fn run(echoes: &mut Echoes, contents: &[Fingerprint], from: i64) -> Vec<Fingerprint> {
        let (mut has, mut at) = (contents[0], from);
        let mut written = Vec::new();
        for content in &contents[1..] {
            at += MINUTE;
            if *content != has && !echoes.is_echo(&key(0), *content, at) {
                echoes.wrote(&key(0), has, *content, at);
                has = *content;
                written.push(has);
            }
        }
        written
    }

    #[test]
    fn the_same_two_contents_are_written_so_often_and_no_more() {
        let mut echoes = fuse();
        let written = run(&mut echoes, &[A, B, A, B, A, B, A, B, A], 0);
        assert_eq!(written, [B, A, B, A]);
    }

    #[test]
    fn another_content_is_written_and_begins_anew() {
        let mut echoes = fuse();
        let written = run(&mut echoes, &[A, B, A, B, A, B, C, B, C, B, C, B], 0);
        // The held B is not in between: C follows A.
        assert_eq!(written, [B, A, B, A, C, B, C, B, C]);
        let mut echoes = fuse();
        let three = [A, B, C].repeat(20);
        assert_eq!(run(&mut echoes, &three, 0).len(), 59, "no back and forth");
    }

    #[test]
    fn what_takes_longer_than_the_window_is_no_echo() {
        let (mut echoes, mut at) = (fuse(), 0);
        for (before, now) in [(A, B), (B, A)].repeat(20) {
            at += 20 * MINUTE;
            assert!(!echoes.is_echo(&key(0), now, at), "{at}");
            echoes.wrote(&key(0), before, now, at);
        }
        run(&mut echoes, &[A, B, A, B, A, B], at);
        at += 10 * MINUTE;
        assert!(echoes.is_echo(&key(0), B, at));
        assert!(!echoes.is_echo(&key(0), B, at + 61 * MINUTE));
    }

    #[test]
    fn a_person_who_replays_it_begins_anew_and_zero_is_never() {
        let mut echoes = fuse();
        run(&mut echoes, &[A, B, A, B, A, B], 0);
        let at = 10 * MINUTE;
        assert!(echoes.is_echo(&key(0), B, at));
        assert!(!echoes.is_echo(&key(1), B, at), "another record");
        echoes.forgive(&key(0));
        assert!(!echoes.is_echo(&key(0), B, at));
        assert_eq!(run(&mut echoes, &[A, B, A, B, A, B], at), [B, A, B, A]);
        let mut never = Echoes::new(0, SHORTEST);
        assert_eq!(run(&mut never, &[A, B].repeat(20), 0).len(), 39);
    }

    #[test]
    fn it_is_kept_from_run_to_run_and_is_bounded() {
        let mut echoes = fuse();
        assert_eq!(echoes.to_keep(0), None);
        run(&mut echoes, &[A, B, A, B, A], 0);
        for n in 1..5 * MOST {
            echoes.wrote(&key(n), A, B, 5 * MINUTE);
            assert!(echoes.swings.len() <= MOST);
        }
        let bytes = echoes.to_keep(6 * MINUTE).unwrap();
        assert!(bytes.len() <= MOST * KEPT, "{}", bytes.len());
        let mut again = fuse();
        again.take_up(&bytes);
        assert_eq!(again.swings, echoes.swings);
        assert!(again.is_echo(&key(0), B, 6 * MINUTE));
        assert_eq!(again.to_keep(0), None, "nothing new");
        again.take_up(b"what nobody kept");
        assert_eq!(again.swings, echoes.swings);
        // When all swing, those that do it most stay.
        for n in 1..2 * MOST {
            echoes.wrote(&key(n), A, B, 6 * MINUTE);
            echoes.wrote(&key(n), B, A, 6 * MINUTE);
            assert!(echoes.swings.len() <= MOST);
        }
        assert!(echoes.is_echo(&key(0), B, 6 * MINUTE));
    }

    #[test]
    fn twelve_runs_take_part_within_an_hour_and_a_day() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        for (period, wanted) in [(1, 60), (5, 60), (15, 180), (60, 720), (1_440, 1_440)] {
            assert_eq!(window(minutes(period)), minutes(wanted));
        }
    }
}
