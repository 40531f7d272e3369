//! Positions in a feed: blocks, tree nodes, bytes.

use std::fmt;
use std::ops::Range;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a position, counted from 0.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// Returns the position, counted from 0.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index!(
    /// Position of a block in a feed.
    BlockIndex
);
index!(
    /// Position of a node in the flat in-order tree: leaves even, parents odd (DEP-0002).
    NodeIndex
);
index!(
    /// Position of a byte in the concatenation of all blocks.
    ByteOffset
);

impl BlockIndex {
    /// Returns the leaf of the block, or `None` beyond 2^63 blocks.
    pub fn leaf(self) -> Option<NodeIndex> {
        self.0.checked_mul(2).map(NodeIndex)
    }
}

/// Blocks from `start` up to and not including `end`; empty when `end <= start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockRange {
    /// First block.
    pub start: u64,
    /// One past the last block.
    pub end: u64,
}

impl BlockRange {
    /// Names the blocks from `start` up to and not including `end`.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Names one block.
    pub const fn one(index: BlockIndex) -> Self {
        Self { start: index.0, end: index.0.saturating_add(1) }
    }

    /// Number of blocks.
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Tells whether no block is in the range.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Tells whether the block is in the range.
    pub const fn contains(self, index: u64) -> bool {
        self.start <= index && index < self.end
    }
}

impl From<Range<u64>> for BlockRange {
    fn from(range: Range<u64>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}
