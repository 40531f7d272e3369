//! The two kinds of feed that share one Merkle log.

/// Kind of feed: the two differ in the byte order of sizes and in what is signed, so that every
/// hash differs and no signature of one passes for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// Feeds of wires A and B2 (hypercore 9 and older): sizes big-endian, the tree hash signed.
    Dat,
    /// Feeds of hypercore 10 and 11: sizes little-endian, a name space, length and fork signed too.
    Hypercore10,
}

impl Flavour {
    /// Encodes a size or an index as the hashes of the flavour take it.
    pub(crate) const fn u64_bytes(self, value: u64) -> [u8; 8] {
        match self {
            Self::Dat => value.to_be_bytes(),
            Self::Hypercore10 => value.to_le_bytes(),
        }
    }
}
