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
pub enum Lacking {
    /// This block is needed, and not here: fetch it and check again.
    #[error("block {0} is needed, and not here")]
    Block(u64),
    /// The tree hash of so many blocks is needed, and not known: fetch what it is made of and check again.
    #[error("the tree hash of the first {0} blocks is needed, and not known here")]
    TreeHash(u64),
    /// Something else, in words: memory, time, the state.
    #[error("{0}")]
    Other(String),
}

impl From<verdict::Unable> for Lacking {
    fn from(why: verdict::Unable) -> Self {
        match why {
            verdict::Unable::MissingBlock(index) => Self::Block(index),
            why => Self::Other(why.to_string()),
        }
    }
}

impl From<StateError> for Lacking {
    fn from(error: StateError) -> Self {
        Self::Other(error.to_string())
    }
}

/// How people see it.
impl From<&Lacking> for Refusal {
    fn from(why: &Lacking) -> Self {
        Self::new(RoomCode::Unable, why.to_string())
    }
}
