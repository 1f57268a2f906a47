//! Time in which a Sync's target could not be reached, added up over all its runs: records do not age meanwhile.
//! Plain data; written by `worker`.

use serde::{Deserialize, Serialize};

use super::Millis;

/// Outages of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Downtime {
    /// Those that are over, all together, in milliseconds.
    pub total: Millis,
    /// When the one began that is not.
    pub since: Option<Millis>,
}

impl Downtime {
    /// Nothing reaches the target; answers whether that is new.
    pub fn begin(&mut self, at: Millis) -> bool {
        let new = self.since.is_none();
        self.since.get_or_insert(at);
        new
    }

    /// The target answers; answers how long it did not, where that is new.
    pub fn end(&mut self, at: Millis) -> Option<Millis> {
        let lasted = at.saturating_sub(self.since.take()?).max(0);
        self.total = self.total.saturating_add(lasted);
        Some(lasted)
    }

    /// All of it up to this moment, in milliseconds.
    pub fn until(&self, at: Millis) -> Millis {
        let open = self
            .since
            .map_or(0, |since| at.saturating_sub(since).max(0));
        self.total.saturating_add(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_added_up_and_one_that_lasts_counts_too() {
        let mut down = Downtime::default();
        assert_eq!(
            (down.begin(100), down.begin(120), down.until(150)),
            (true, false, 50)
        );
        assert_eq!((down.end(200), down.end(300)), (Some(100), None));
        assert_eq!(down.until(1_000), 100);
        down.begin(1_000);
        // The clock was set back.
        assert_eq!(down.until(500), 100);
        assert_eq!((down.end(900), down.until(2_000)), (Some(0), 100));
    }
}
