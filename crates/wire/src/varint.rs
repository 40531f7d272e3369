//! Variable-length numbers of the frame layer: seven bits a byte, the least significant first.

use bytes::BufMut;

/// Longest number that is read, bytes; a stock peer reads no more either
/// (simple-message-channels, `_readVarint`).
pub(crate) const MAX_LEN: usize = 8;

/// What the first bytes of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Varint {
    /// A number, and the bytes that it takes.
    Complete { value: u64, len: usize },
    /// The beginning of a number.
    Incomplete,
    /// No number: longer than [`MAX_LEN`].
    TooLong,
}

/// Reads a number from the front of a buffer.
pub(crate) fn read(buf: &[u8]) -> Varint {
    let mut value = 0_u64;
    for (at, byte) in buf.iter().take(MAX_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Varint::Complete { value, len: at + 1 };
        }
    }
    if buf.len() < MAX_LEN { Varint::Incomplete } else { Varint::TooLong }
}

/// Writes a number.
pub(crate) fn write(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes that a number takes.
pub(crate) const fn len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive(value in 0_u64..1 << 56) {
            let mut out = Vec::new();
            write(&mut out, value);
            prop_assert_eq!(out.len(), len(value));
            prop_assert_eq!(read(&out), Varint::Complete { value, len: out.len() });
            for cut in 0..out.len() {
                prop_assert_eq!(read(&out[..cut]), Varint::Incomplete);
            }
        }
    }

    #[test]
    fn a_number_without_end_is_none() {
        assert_eq!(read(&[0xff; 7]), Varint::Incomplete);
        assert_eq!(read(&[0xff; 8]), Varint::TooLong);
        assert_eq!(read(&[0x80; 20]), Varint::TooLong);
    }
}
