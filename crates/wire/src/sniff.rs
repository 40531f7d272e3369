//! Telling the wires apart by what a dialling peer sends first.

use quorate_types::Wire;
use quorate_types::limits::MAX_HANDSHAKE_MESSAGE_BYTES;

use crate::varint::{self, Varint};

/// Smallest first message of wire B2, bytes: an ephemeral key and a nonce with its two-byte tag.
const SMALLEST_NOISE_MESSAGE: u64 = 32 + 26;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// More bytes are needed; five are always enough.
    NeedMore,
    /// The first frame of this wire. A peer of hypercore-protocol 7 begins as one of wire B2 does,
    /// and shows itself only when its handshake fails.
    Wire(Wire),
    /// Neither wire.
    Unknown,
}

/// Tells which wire a dialling peer speaks.
///
/// Wire A begins with a length, the header of a Feed message on channel 0 and its first field
/// (`00 0a 20`); wire B2 with the length of a Noise message of at least 58 bytes.
pub fn sniff(first: &[u8]) -> Sniff {
    let (length, rest) = match varint::read(first.get(..first.len().min(2)).unwrap_or_default()) {
        Varint::Complete { value, len } => (value, first.get(len..).unwrap_or_default()),
        Varint::Incomplete if first.len() < 2 => return Sniff::NeedMore,
        Varint::Incomplete | Varint::TooLong => return Sniff::Unknown,
    };
    let feed = [0x00, 0x0a, 0x20];
    let noise = (SMALLEST_NOISE_MESSAGE..=MAX_HANDSHAKE_MESSAGE_BYTES as u64).contains(&length);
    match rest.get(..feed.len()) {
        // The key of a Noise message begins with these three bytes once in 2^24, and its
        // length is another one than that of a Feed message.
        Some(bytes) if bytes == feed && length != SMALLEST_NOISE_MESSAGE => Sniff::Wire(Wire::A),
        Some(_) if noise => Sniff::Wire(Wire::B2),
        Some(_) => Sniff::Unknown,
        None if noise || feed.starts_with(rest) => Sniff::NeedMore,
        None => Sniff::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_frames_are_told_apart() {
        assert_eq!(sniff(&[0x3d, 0, 0x0a, 0x20, 9, 9]), Sniff::Wire(Wire::A));
        assert_eq!(sniff(&[0x3a, 1, 2, 3, 4]), Sniff::Wire(Wire::B2));
        assert_eq!(sniff(&[0x3a, 0, 0x0a, 0x20, 4]), Sniff::Wire(Wire::B2));
        // The length of a Noise message, so the handshake is what fails.
        assert_eq!(sniff(b"GET / HTTP/1.1"), Sniff::Wire(Wire::B2));
        assert_eq!(sniff(&[0x16, 3, 1, 2]), Sniff::Unknown);
        assert_eq!(sniff(&[0xff; 9]), Sniff::Unknown);
        // Wire B2 without Noise and cipher: an open on channel 1.
        assert_eq!(sniff(&[0x23, 0x10, 0x0a, 0x20]), Sniff::Unknown);
    }

    #[test]
    fn five_bytes_are_always_enough() {
        for first in [[0x3d, 0, 0x0a, 0x20, 9], [0x3a, 1, 2, 3, 4], [0x80, 1, 0, 0x0a, 0x20], [0xff; 5]] {
            let verdict = sniff(&first);
            assert_ne!(verdict, Sniff::NeedMore);
            for cut in 0..first.len() {
                let early = sniff(&first[..cut]);
                assert!(early == Sniff::NeedMore || early == verdict, "{cut} bytes of {first:?}");
            }
        }
    }
}
