//! A set of keys in a fixed amount of memory, for questions to which a false "yes" does no harm: which keys the
//! store can know at all (`digest`), and which ones a scan has seen (`absence`).

use crate::record::{Fingerprint, Key};

/// Bits that are set for each key, and how many words they lie in: about a line of a processor's cache, so that a key
/// costs one access to memory and not four.
const PROBES: u32 = 4;
const BLOCK: usize = 8;
/// Bits of the filter for each key that is expected: one key of 360 is taken for one that was noted.
const BITS_OF_A_KEY: u64 = 16;
/// The smallest and the largest filter, as powers of two: 8 KiB and 8 MiB, the latter for four million keys.
const LEAST_BITS: u32 = 16;
const MOST_BITS: u32 = 26;
/// Where the number of keys is not known: 1 MiB. With a million keys in it, every fortieth new key seems known.
const USUAL_BITS: u32 = 23;

/// The keys that were noted: a Bloom filter, so it may say "noted" of a key that was not, never the reverse.
#[derive(Debug)]
pub struct KeyFilter {
    words: Vec<u64>,
    seed: u64,
}

impl KeyFilter {
    /// A filter for any number of keys.
    pub fn usual() -> Self {
        Self::new(USUAL_BITS, 0)
    }

    /// A filter for about so many keys. With another `seed` it is wrong about other keys.
    pub fn sized(keys: u64, seed: u64) -> Self {
        let bits = keys.saturating_mul(BITS_OF_A_KEY).max(1).ilog2() + 1;
        Self::new(bits.clamp(LEAST_BITS, MOST_BITS), seed)
    }

    fn new(bits: u32, seed: u64) -> Self {
        Self {
            words: vec![0; 1 << (bits - 6)],
            seed,
        }
    }

    /// Notes a key; answers whether it may have been noted before.
    pub fn note(&mut self, key: &Key) -> bool {
        let mut noted = true;
        for (word, bit) in self.places(key) {
            noted &= self.words[word] & bit != 0;
            self.words[word] |= bit;
        }
        noted
    }

    /// Whether a key may have been noted.
    pub fn has(&self, key: &Key) -> bool {
        let mut places = self.places(key).into_iter();
        places.all(|(word, bit)| self.words[word] & bit != 0)
    }

    fn places(&self, key: &Key) -> [(usize, u64); PROBES as usize] {
        let hash = Fingerprint::seeded(key.as_str().as_bytes(), self.seed).0;
        let blocks = self.words.len() / BLOCK;
        let block = (hash as usize % blocks) * BLOCK;
        let bits = (hash >> 64) as u64;
        std::array::from_fn(|probe| {
            let at = (bits >> (9 * probe)) as usize % (64 * BLOCK);
            (block + at / 64, 1 << (at % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::from_text(format!("c-{n}"))
    }

    #[test]
    fn a_key_that_was_noted_is_never_new_again() {
        let mut filter = KeyFilter::usual();
        let in_vain = (0..100_000).filter(|n| filter.note(&key(*n))).count();
        assert!(in_vain < 100, "{in_vain} of 100000 seemed known");
        assert!((0..100_000).all(|n| filter.note(&key(n)) && filter.has(&key(n))));
    }

    #[test]
    fn a_filter_that_is_as_large_as_its_keys_need_is_wrong_about_few_and_with_another_seed_about_others()
     {
        let keys = 50_000;
        let wrong = |seed: u64| -> Vec<usize> {
            let mut filter = KeyFilter::sized(keys as u64, seed);
            assert!(filter.words.len() * 8 <= 256 * 1024);
            for n in 0..keys {
                filter.note(&key(n));
            }
            (keys..2 * keys).filter(|n| filter.has(&key(*n))).collect()
        };
        let (one, other) = (wrong(1), wrong(2));
        assert!(
            one.len() < keys / 200 && other.len() < keys / 200,
            "{one:?}"
        );
        let both = one.iter().filter(|n| other.contains(n)).count();
        assert!(both < 10, "{both} of {}", one.len());
    }

    #[test]
    fn a_filter_is_bounded_whatever_is_expected() {
        for (keys, bytes) in [(0, 8 << 10), (200_000, 512 << 10), (u64::MAX, 8 << 20)] {
            assert_eq!(KeyFilter::sized(keys, 0).words.len() * 8, bytes, "{keys}");
        }
    }
}
