//! Which keys the store can know of a Sync that it knew nothing of when the run began: only those that the
//! run has seen. Spares the first run its questions. Used by `digest`.

use crate::record::{Fingerprint, Key};

/// Bits of the filter: 1 MiB, whatever the number of records. With a million keys in it, every
/// thirtieth new key is asked for in vain.
const BITS: u32 = 23;
/// Bits for each key.
const PROBES: u32 = 3;

/// The keys seen so far: a Bloom filter, so it may say "seen" of a key that was not, never the reverse.
pub struct Fresh {
    bits: Vec<u64>,
}

impl Default for Fresh {
    fn default() -> Self {
        Self {
            bits: vec![0; 1 << (BITS - 6)],
        }
    }
}

impl Fresh {
    /// Notes a key; answers whether it may have been noted before.
    pub fn note(&mut self, key: &Key) -> bool {
        let hash = Fingerprint::of(key.as_str().as_bytes()).0;
        let mut seen = true;
        for probe in 0..PROBES {
            let at = (hash >> (probe * BITS)) as usize & ((1 << BITS) - 1);
            let (word, bit) = (&mut self.bits[at / 64], 1 << (at % 64));
            seen &= *word & bit != 0;
            *word |= bit;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_noted_is_never_new_again() {
        let mut fresh = Fresh::default();
        let key = |n: usize| Key::from_text(format!("c-{n}"));
        let in_vain = (0..100_000).filter(|n| fresh.note(&key(*n))).count();
        assert!(in_vain < 100, "{in_vain} of 100000 were asked for in vain");
        assert!((0..100_000).all(|n| fresh.note(&key(n))));
    }
}
