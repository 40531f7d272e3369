//! Heads: how long a feed is, and what is in it.

use quorate_types::Hash;
use quorate_types::limits::MAX_FEED_LENGTH;

/// A length of a feed that is not 0, and the tree hash of the blocks up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head {
    length: u64,
    tree_hash: Hash,
}

impl Head {
    /// Names a head; `None` for a length of 0 or beyond any feed's.
    pub const fn new(length: u64, tree_hash: Hash) -> Option<Self> {
        if length == 0 || length > MAX_FEED_LENGTH { None } else { Some(Self { length, tree_hash }) }
    }

    /// Returns the length, blocks; at least 1.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Returns the tree hash, as the writer signs it.
    pub const fn tree_hash(&self) -> &Hash {
        &self.tree_hash
    }
}
