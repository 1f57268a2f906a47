//! When how many requests were let go: exact for the last milliseconds, coarser the longer ago.
//! Used by `adaptive`.

use std::time::Duration;

use super::Slot;

/// Most moments that are kept.
const MOST: usize = 64;
/// Moments are at least so far apart.
const GRAIN: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(super) struct History(Vec<Slot>);

impl History {
    pub fn add(&mut self, slot: Slot) {
        let near = |last: &Slot| slot.at.saturating_duration_since(last.at) < GRAIN;
        if self.0.last().is_some_and(near) {
            return;
        }
        if self.0.len() >= MOST {
            // Of the older half every second one goes; the oldest stays.
            let mut place = 0;
            self.0.retain(|_| {
                place += 1;
                place > MOST / 2 || place % 2 == 1
            });
        }
        self.0.push(slot);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The oldest first.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn an_hour_fits_and_its_beginning_is_kept() {
        let (start, mut history) = (Instant::now(), History::default());
        for number in 0..360_000 {
            let at = start + Duration::from_millis(number * 10);
            history.add(Slot { number, at });
        }
        let slots: Vec<Slot> = history.slots().collect();
        assert!(slots.len() <= MOST, "{}", slots.len());
        assert_eq!(slots[0].number, 0);
        let ages = [1, 10, 60, 600].map(|seconds| 360_000 - seconds * 100);
        for (wanted, next) in ages.into_iter().zip([100, 1_000, 6_000, 60_000]) {
            let near = |slot: &Slot| slot.number.abs_diff(wanted) <= next;
            assert!(slots.iter().any(near), "nothing near {wanted}");
        }
    }
}
