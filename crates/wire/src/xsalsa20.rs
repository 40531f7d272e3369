//! XSalsa20, eight blocks at a time.
//!
//! The `salsa20` crate computes one block after the other and is the slowest step between disk
//! and socket. Here the same word of eight blocks lies side by side, and one loop over the eight
//! lanes does a double round of all of them, which the compiler turns into vector instructions:
//! 128 bits wide on every x86-64, 256 where the processor is found to have them. The crate
//! derives the key of the stream, and is the oracle of the tests. Figures and reasons:
//! `docs/decisions/0006-xsalsa20.md`.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "every index is a constant, or a lane below LANES; with iterators the compiler does not see lanes"
)]

use fearless_simd::{Level, Simd, dispatch};
use salsa20::cipher::consts::U10;
use salsa20::hsalsa;

/// Bytes of one block of the cipher.
const BLOCK: usize = 64;

/// Blocks that are computed together: one 256-bit vector holds a word of each.
const LANES: usize = 8;

/// Bytes that are computed together.
const BATCH: usize = BLOCK * LANES;

/// Double rounds of Salsa20/20.
const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k", the constant of the state.
const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The same word of each of the blocks.
type Lanes = [u32; LANES];

/// A key stream, applied to bytes in the order in which they are sent.
#[derive(Clone)]
pub(crate) struct XSalsa20 {
    state: [u32; 16],
    /// Next block that is computed.
    counter: u64,
    /// Key stream that was computed and not used; what is left of it begins at `used`.
    rest: [u8; BATCH],
    used: usize,
    level: Level,
}

impl XSalsa20 {
    /// Starts a stream.
    pub(crate) fn new(key: &[u8; 32], nonce: &[u8; 24]) -> Self {
        let [nonce @ .., a, b, c, d, e, f, g, h] = nonce;
        let key: [u8; 32] = hsalsa::<U10>(key.into(), nonce.into()).into();
        let word = |at: usize| u32::from_le_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
        let state = [
            SIGMA[0],
            word(0),
            word(4),
            word(8),
            word(12),
            SIGMA[1],
            u32::from_le_bytes([*a, *b, *c, *d]),
            u32::from_le_bytes([*e, *f, *g, *h]),
            0,
            0,
            SIGMA[2],
            word(16),
            word(20),
            word(24),
            word(28),
            SIGMA[3],
        ];
        Self { state, counter: 0, rest: [0; BATCH], used: BATCH, level: Level::new() }
    }

    /// Encrypts or decrypts the next bytes of the stream.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let left = bytes.len().min(BATCH - self.used);
        let (head, bytes) = bytes.split_at_mut(left);
        xor(head, &self.rest[self.used..]);
        self.used += left;
        if !bytes.is_empty() {
            dispatch!(self.level, simd => self.apply_batches(simd, bytes));
        }
    }

    /// Applies whole batches, and keeps what the last bytes leave of theirs.
    #[inline(always)]
    fn apply_batches<S: Simd>(&mut self, _: S, bytes: &mut [u8]) {
        let mut batches = bytes.chunks_exact_mut(BATCH);
        for batch in &mut batches {
            xor(batch, &self.next_batch());
        }
        let tail = batches.into_remainder();
        if !tail.is_empty() {
            self.rest = self.next_batch();
            xor(tail, &self.rest);
            self.used = tail.len();
        }
    }

    /// Computes the next blocks of the key stream.
    #[inline(always)]
    fn next_batch(&mut self) -> [u8; BATCH] {
        let mut start: [Lanes; 16] = self.state.map(|word| [word; LANES]);
        for lane in 0..LANES {
            let counter = self.counter.wrapping_add(lane as u64);
            start[8][lane] = counter as u32;
            start[9][lane] = (counter >> 32) as u32;
        }
        self.counter = self.counter.wrapping_add(LANES as u64);
        let mut x = start;
        for _ in 0..DOUBLE_ROUNDS {
            for lane in 0..LANES {
                let block = double_round([
                    x[0][lane],
                    x[1][lane],
                    x[2][lane],
                    x[3][lane],
                    x[4][lane],
                    x[5][lane],
                    x[6][lane],
                    x[7][lane],
                    x[8][lane],
                    x[9][lane],
                    x[10][lane],
                    x[11][lane],
                    x[12][lane],
                    x[13][lane],
                    x[14][lane],
                    x[15][lane],
                ]);
                for word in 0..16 {
                    x[word][lane] = block[word];
                }
            }
        }
        let mut out = [0; BATCH];
        for lane in 0..LANES {
            for word in 0..16 {
                let value = x[word][lane].wrapping_add(start[word][lane]);
                let at = lane * BLOCK + word * 4;
                out[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
        out
    }
}

/// Combines bytes with a key stream that is at least as long.
#[inline(always)]
fn xor(bytes: &mut [u8], key_stream: &[u8]) {
    for (byte, key) in bytes.iter_mut().zip(key_stream) {
        *byte ^= key;
    }
}

/// Rounds over the columns and the rows of one block. Written out: a loop over the quarters hides
/// the lanes from the compiler.
#[inline(always)]
fn double_round(mut x: [u32; 16]) -> [u32; 16] {
    macro_rules! quarter {
        ($a:literal, $b:literal, $c:literal, $d:literal) => {
            x[$b] ^= x[$a].wrapping_add(x[$d]).rotate_left(7);
            x[$c] ^= x[$b].wrapping_add(x[$a]).rotate_left(9);
            x[$d] ^= x[$c].wrapping_add(x[$b]).rotate_left(13);
            x[$a] ^= x[$d].wrapping_add(x[$c]).rotate_left(18);
        };
    }
    quarter!(0, 4, 8, 12);
    quarter!(5, 9, 13, 1);
    quarter!(10, 14, 2, 6);
    quarter!(15, 3, 7, 11);
    quarter!(0, 1, 2, 3);
    quarter!(5, 6, 7, 4);
    quarter!(10, 11, 8, 9);
    quarter!(15, 12, 13, 14);
    x
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use salsa20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_crate_however_the_bytes_are_cut(
            key in any::<[u8; 32]>(),
            nonce in any::<[u8; 24]>(),
            cuts in prop::collection::vec(prop_oneof![0_usize..70, 500_usize..520, 0_usize..3000], 1..12),
        ) {
            let mut ours = XSalsa20::new(&key, &nonce);
            let mut theirs = salsa20::XSalsa20::new(&key.into(), &nonce.into());
            for (byte, cut) in cuts.into_iter().enumerate() {
                let mut left = vec![byte as u8; cut];
                let mut right = left.clone();
                ours.apply(&mut left);
                theirs.apply_keystream(&mut right);
                prop_assert!(left == right, "{cut} bytes");
            }
        }

        /// The number of a block has 64 bits.
        #[test]
        fn agrees_with_the_crate_far_into_a_stream(counter in (1_u64 << 32) - 20..(1 << 32) + 20) {
            let mut ours = XSalsa20::new(&[1; 32], &[2; 24]);
            ours.counter = counter;
            let mut theirs = salsa20::XSalsa20::new(&[1; 32].into(), &[2; 24].into());
            theirs.seek(counter * BLOCK as u64);
            let (mut left, mut right) = ([0; 2048], [0; 2048]);
            ours.apply(&mut left);
            theirs.apply_keystream(&mut right);
            prop_assert!(left == right);
        }
    }

    /// Every width that this processor has gives the same bytes.
    #[test]
    fn the_width_of_the_vectors_makes_no_difference() {
        let mut levels = vec![Level::baseline(), Level::new()];
        levels.dedup_by_key(|level| format!("{level:?}"));
        let bytes = levels.into_iter().map(|level| {
            let mut cipher = XSalsa20 { level, ..XSalsa20::new(&[3; 32], &[4; 24]) };
            let mut bytes = vec![0; 5000];
            cipher.apply(&mut bytes);
            bytes
        });
        let bytes: Vec<Vec<u8>> = bytes.collect();
        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
