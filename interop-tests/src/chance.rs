//! Chance that can be repeated.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::generated_block;

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Begins at a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number of a range, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// Tells whether the one of so many cases has come.
    pub fn one_in(&mut self, cases: u64) -> bool {
        self.within(0..cases) == 0
    }

    /// Returns a time of at most `end`.
    pub fn time(&mut self, end: Duration) -> Duration {
        end.mul_f64(self.within(0..1 << 20) as f64 / f64::from(1 << 20))
    }

    /// Returns arbitrary bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// Makes the batch of blocks that belongs to a seed: mostly a few small blocks, at times many, large or empty ones.
pub fn generated_batch(seed: u32) -> Vec<Bytes> {
    let mut chance = Chance::new(u64::from(seed));
    let count = if chance.one_in(12) { chance.within(50..200) } else { chance.within(1..12) };
    (0..count as u32)
        .map(|index| {
            let size = if chance.one_in(40) { chance.within(0..60_000) } else { chance.within(0..600) };
            generated_block(seed, index, size as usize).into()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        assert_eq!(one.bytes(100), other.bytes(100));
        assert_eq!(generated_batch(7), generated_batch(7));
        assert_ne!(generated_batch(7), generated_batch(8));
        assert!((0..1000).all(|_| (3..9).contains(&one.within(3..9))));
        assert!(one.time(Duration::from_secs(1)) < Duration::from_secs(1));
    }
}
