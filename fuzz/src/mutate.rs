//! Inputs out of a seed: the same seed gives the same inputs.

/// Longest input that is made, bytes.
pub const MAX_INPUT_BYTES: usize = 4096;

/// Numbers at which something changes: ends of the varint lengths, of powers of two, of signed types.
const INTERESTING: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x3fff, 0x4000, 0xffff, 0xffff_ffff, 1 << 52, u64::MAX >> 1, u64::MAX];

/// A stream of pseudo-random numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts the stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound, 0 for the bound 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// Makes an input: a mutation of one of the seeds, or now and then random bytes.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if seeds.is_empty() || self.below(16) == 0 {
            let length = self.below(256);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            self.mutate(&mut input, seeds);
        }
        input.truncate(MAX_INPUT_BYTES);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = at + self.below(input.len() - at + 1);
        match self.below(8) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.next() as u8,
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            5 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let to = from + self.below(other.len() - from + 1);
                input.splice(at..end, other[from..to].iter().copied());
            }
            6 => {
                let number = INTERESTING[self.below(INTERESTING.len())];
                input.splice(at..at, varint(number));
            }
            _ => {
                let number = INTERESTING[self.below(INTERESTING.len())].to_be_bytes();
                let length = number.len().min(input.len() - at);
                input[at..at + length].copy_from_slice(&number[8 - length..]);
            }
        }
    }
}

/// Encodes a number as protobuf and the frame layer do.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_again() {
        let seeds = [b"some seed".to_vec(), vec![], vec![7; 100]];
        let inputs = |seed| {
            let mut random = Random::new(seed);
            (0..200).map(|_| random.input(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(3).iter().all(|input| input.len() <= MAX_INPUT_BYTES));
    }

    #[test]
    fn varints() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(300), [0xac, 0x02]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }
}
