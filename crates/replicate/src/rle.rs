//! Reading run-length coded bitfields without unpacking them (npm `bitfield-rle`).

/// Piece of a bitfield, most significant bit first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// So many bytes of ones or of zeros.
    Run { ones: bool, bytes: usize },
    /// Bytes as they are.
    Raw(&'a [u8]),
}

/// The coding is broken, or the bitfield is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadBitfield;

/// Walks over the pieces, each with its offset in bytes; returns the bytes of the bitfield.
///
/// Pieces before a broken one are given out.
pub(crate) fn for_each_piece(
    mut coded: &[u8],
    max_bytes: usize,
    mut each: impl FnMut(usize, Piece<'_>),
) -> Result<usize, BadBitfield> {
    let mut offset = 0usize;
    while !coded.is_empty() {
        let (head, rest) = varint(coded).ok_or(BadBitfield)?;
        coded = rest;
        let is_run = head & 1 == 1;
        let bytes = usize::try_from(if is_run { head >> 2 } else { head >> 1 }).map_err(|_| BadBitfield)?;
        let end = offset.checked_add(bytes).filter(|&end| end <= max_bytes).ok_or(BadBitfield)?;
        if is_run {
            each(offset, Piece::Run { ones: head & 2 == 2, bytes });
        } else {
            let (raw, rest) = coded.split_at_checked(bytes).ok_or(BadBitfield)?;
            each(offset, Piece::Raw(raw));
            coded = rest;
        }
        offset = end;
    }
    Ok(offset)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (place, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpack(coded: &[u8]) -> Result<Vec<u8>, BadBitfield> {
        let mut bytes = Vec::new();
        let length = for_each_piece(coded, 1000, |offset, piece| {
            assert_eq!(offset, bytes.len());
            match piece {
                Piece::Run { ones, bytes: count } => bytes.resize(offset + count, if ones { 255 } else { 0 }),
                Piece::Raw(raw) => bytes.extend_from_slice(raw),
            }
        })?;
        assert_eq!(length, bytes.len());
        Ok(bytes)
    }

    #[test]
    fn what_bitfield_rle_writes_is_read() {
        // npm bitfield-rle 2.2.1: encode([0xf8]), encode(10 x 0xff, 0x80), encode(0, 0, 0, 0, 0xff)
        assert_eq!(unpack(&[0x02, 0xf8]), Ok(vec![0xf8]));
        assert_eq!(unpack(&[0x2b, 0x02, 0x80]), Ok([vec![0xff; 10], vec![0x80]].concat()));
        assert_eq!(unpack(&[0x11, 0x02, 0xff]), Ok(vec![0, 0, 0, 0, 0xff]));
        assert_eq!(unpack(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_broken_or_too_long_is_told() {
        assert_eq!(unpack(&[0x80]), Err(BadBitfield));
        assert_eq!(unpack(&[0x04, 0xff]), Err(BadBitfield));
        assert_eq!(unpack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Err(BadBitfield));
        assert_eq!(unpack(&[0xa1, 0x1f]).map(|bytes| bytes.len()), Ok(1000));
        assert_eq!(unpack(&[0xa5, 0x1f]), Err(BadBitfield));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(coded in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&coded);
        }
    }
}
