//! The blocks before an entry, and what is missing of them.

use bytes::Bytes;
use quorate_rules::{state::StateError, verdict};
use quorate_types::Hash;

use crate::refusal::{Refusal, RoomCode};

/// The feed up to the entry that is checked, as far as it is here.
pub trait Prefix {
    /// Returns a block; `None` when it is not here.
    fn block(&self, index: u64) -> Option<Bytes>;

    /// Returns the tree hash of the first `length` blocks; `None` when it cannot be computed from what is here.
    fn tree_hash(&self, length: u64) -> Option<Hash>;
}

/// Why a node cannot tell whether a block is valid. That is neither yes nor no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// A block is needed that is not here: fetch it and check again.
    #[error("block {index} is needed, and not here")]
    MissingBlock {
        /// Position of the block.
        index: u64,
    },
    /// The tree hash of a length is needed and not known: fetch what it is made of and check again.
    #[error("the tree hash of the first {length} blocks is needed, and not known here")]
    MissingTreeHash {
        /// The length.
        length: u64,
    },
    /// The block does not stand where the room goes on.
    #[error("the room stands at length {expected}: expected the block at that index, found the one at {found}")]
    Position {
        /// Length of the room.
        expected: u64,
        /// Index of the block.
        found: u64,
    },
    /// The blocks that are here are not those that were checked.
    #[error("the blocks before are not those that were checked: {why}")]
    OtherBlocks {
        /// What does not fit.
        why: String,
    },
    /// The engine of the rules has no verdict: memory, time or stack has run out, or it failed.
    #[error("{reason}")]
    Engine {
        /// What the engine says.
        reason: String,
    },
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<verdict::Unable> for Unable {
    fn from(why: verdict::Unable) -> Self {
        match why {
            verdict::Unable::MissingBlock(index) => Self::MissingBlock { index },
            verdict::Unable::State(reason) => Self::State(StateError::Failed { action: "read", reason }),
            why => Self::Engine { reason: why.to_string() },
        }
    }
}

/// How people see it.
impl From<&Unable> for Refusal {
    fn from(why: &Unable) -> Self {
        Self::new(RoomCode::Unable, why.to_string())
    }
}
