//! Run-length coding of bitfields (npm `bitfield-rle` 2.2.1).
//!
//! A coded bitfield is a sequence of runs, each behind a varint `v`:
//!
//! * `v` even: `v / 2` bytes follow as they are;
//! * `v` odd: `v / 4` bytes that are all ones where bit 1 of `v` is set, all zeros otherwise.
//!
//! Zero bytes at the end are not coded, so the decoded bitfield is shorter than what was encoded
//! when it ended in zeros. hypercore decodes with `.align(4)`, which only adds zeros at the end.

/// Why bytes are no run-length coded bitfield.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RleError {
    /// A varint goes on beyond the last byte.
    #[error("expected the end of a varint that begins at byte {at}, found the end of the bitfield")]
    TruncatedVarint {
        /// Position of its first byte.
        at: usize,
    },
    /// A varint is larger than any length.
    #[error("expected a varint of at most {MAX_VARINT_BYTES} bytes at byte {at}, found a longer one")]
    LongVarint {
        /// Position of its first byte.
        at: usize,
    },
    /// A run of bytes goes on beyond the last byte.
    #[error("expected {expected} literal bytes at byte {at}, found {found}")]
    TruncatedRun {
        /// Position of the run's first byte.
        at: usize,
        /// Bytes in the run.
        expected: u64,
        /// Bytes that are left.
        found: usize,
    },
    /// The decoded bitfield is larger than allowed.
    #[error("expected a bitfield of at most {limit} bytes, found {found} or more")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
        /// Bytes in the runs so far.
        found: u64,
    },
}

/// Longest varint that the npm package reads: it stops at 2^53.
const MAX_VARINT_BYTES: usize = 8;

/// Encodes a bitfield, byte for byte as `bitfield-rle` does.
pub fn encode(bitfield: &[u8]) -> Vec<u8> {
    let end = bitfield.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bitfield = bitfield.get(..end).unwrap_or(bitfield);
    let mut encoder = Encoder { bitfield, written: 0, coded: Vec::new() };
    // A run is `run` bytes of `value` that end before `position`.
    let (mut run, mut value) = (0, 0_u8);
    for (position, byte) in bitfield.iter().enumerate() {
        if *byte == value {
            run += 1;
            continue;
        }
        encoder.run(position, run, value);
        match byte {
            0 | 0xff => (run, value) = (1, *byte),
            // The value stays: bytes of it that follow are a new run.
            _ => run = 0,
        }
    }
    encoder.run(end, run, value);
    encoder.literal(end);
    encoder.coded
}

struct Encoder<'a> {
    bitfield: &'a [u8],
    /// Bytes of the bitfield that are coded.
    written: usize,
    coded: Vec<u8>,
}

impl Encoder<'_> {
    /// Codes all up to `end`, of which the last `run` bytes are `value`, if that is shorter than
    /// leaving them to a later literal.
    fn run(&mut self, end: usize, run: usize, value: u8) {
        if run == 0 {
            return;
        }
        let literal = (end - self.written).saturating_sub(run);
        let literal_cost = if literal == 0 { 0 } else { varint_len(2 * literal as u64) + literal };
        let head = 4 * run as u64 + if value == 0 { 1 } else { 3 };
        let plain = end - self.written;
        if literal_cost + varint_len(head) >= varint_len(2 * plain as u64) + plain {
            return;
        }
        self.literal(end - run);
        self.varint(head);
        self.written = end;
    }

    fn literal(&mut self, end: usize) {
        let bytes = self.bitfield.get(self.written..end).unwrap_or_default();
        if !bytes.is_empty() {
            self.varint(2 * bytes.len() as u64);
            self.coded.extend_from_slice(bytes);
            self.written = end;
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.coded.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.coded.push(value as u8);
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Decodes a bitfield of at most `max_bytes` bytes.
///
/// # Errors
///
/// [`RleError`]; nothing larger than `max_bytes` is ever held.
pub fn decode(coded: &[u8], max_bytes: usize) -> Result<Vec<u8>, RleError> {
    let mut bitfield = Vec::new();
    let mut at = 0;
    while let Some((head, head_bytes)) = varint(coded, at)? {
        at += head_bytes;
        let repeat = head & 1 == 1;
        let run = if repeat { head >> 2 } else { head >> 1 };
        let total = run.saturating_add(bitfield.len() as u64);
        let total = match usize::try_from(total) {
            Ok(total) if total <= max_bytes => total,
            _ => return Err(RleError::TooLong { limit: max_bytes, found: total }),
        };
        if repeat {
            bitfield.resize(total, if head & 2 == 0 { 0 } else { 0xff });
        } else {
            let rest = coded.get(at..).unwrap_or_default();
            let run = total - bitfield.len();
            let Some(bytes) = rest.get(..run) else {
                return Err(RleError::TruncatedRun { at, expected: run as u64, found: rest.len() });
            };
            bitfield.extend_from_slice(bytes);
            at += run;
        }
    }
    Ok(bitfield)
}

/// Reads the varint at `at` and the number of its bytes, or `None` at the end.
fn varint(coded: &[u8], at: usize) -> Result<Option<(u64, usize)>, RleError> {
    let rest = coded.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let mut value = 0;
    for (position, byte) in rest.iter().enumerate() {
        if position == MAX_VARINT_BYTES {
            return Err(RleError::LongVarint { at });
        }
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Ok(Some((value, position + 1)));
        }
    }
    Err(RleError::TruncatedVarint { at })
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Lines of `bitfield coded`, in hexadecimal, written by bitfield-rle 2.2.1.
    const VECTORS: &str = include_str!("../tests/vectors/bitfield-rle.txt");

    fn without_end(mut bitfield: Vec<u8>) -> Vec<u8> {
        while bitfield.last() == Some(&0) {
            bitfield.pop();
        }
        bitfield
    }

    #[test]
    fn coding_is_that_of_the_reference() {
        let mut lines = 0;
        for line in VECTORS.lines() {
            let (bitfield, coded) = line.split_once(' ').unwrap();
            let bitfield = HEXLOWER.decode(bitfield.as_bytes()).unwrap();
            let coded = HEXLOWER.decode(coded.as_bytes()).unwrap();
            assert_eq!(encode(&bitfield), coded, "{line}");
            assert_eq!(decode(&coded, bitfield.len()), Ok(without_end(bitfield)), "{line}");
            lines += 1;
        }
        assert_eq!(lines, 78);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(decode(&[0x80], 9), Err(RleError::TruncatedVarint { at: 0 }));
        assert_eq!(decode(&[0x07, 0xff, 0xff], 9), Err(RleError::TruncatedVarint { at: 1 }));
        assert_eq!(decode(&[0xff; 9], 9), Err(RleError::LongVarint { at: 0 }));
        assert_eq!(decode(&[0x04, 1], 9), Err(RleError::TruncatedRun { at: 1, expected: 2, found: 1 }));
        assert_eq!(decode(&[0x29], 9), Err(RleError::TooLong { limit: 9, found: 10 }));
        assert_eq!(decode(&[0x14], 9), Err(RleError::TooLong { limit: 9, found: 10 }));
        assert_eq!(decode(&[0x25, 0x05], 9), Err(RleError::TooLong { limit: 9, found: 10 }));
    }

    #[test]
    fn empty_runs_are_read() {
        assert_eq!(decode(&[0, 1, 3, 7], 1), Ok(vec![0xff]));
    }

    proptest! {
        #[test]
        fn decode_reverses_encode(runs in vec((prop_oneof![Just(0), Just(255), 0..=255_u8], 1..300_usize), 0..12)) {
            let bitfield: Vec<u8> = runs.iter().flat_map(|(byte, len)| vec![*byte; *len]).collect();
            let coded = encode(&bitfield);
            prop_assert!(coded.len() <= bitfield.len() + 4);
            prop_assert_eq!(decode(&coded, bitfield.len()), Ok(without_end(bitfield)));
        }

        #[test]
        fn no_bytes_panic_or_swell(coded in vec(any::<u8>(), 0..200), limit in 0..5000_usize) {
            if let Ok(bitfield) = decode(&coded, limit) {
                prop_assert!(bitfield.len() <= limit);
            }
        }
    }
}
