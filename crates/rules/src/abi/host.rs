//! What surrounds a rule: the blocks before the entry, and the rule's state.

use std::sync::Arc;

use bytes::Bytes;
use quorate_types::RuleId;

use crate::state::{InMemory, StateError};

/// The surroundings of one rule in one call.
///
/// State is that of the rule's own namespace, as it is before the entry. Writes never reach a host: they are in the
/// [`Outcome`](crate::verdict::Outcome).
pub trait Host {
    /// Returns a block before the entry.
    ///
    /// # Errors
    ///
    /// [`Missing`] when the block is not here.
    fn block(&mut self, index: u64) -> Result<Bytes, Missing>;

    /// Reads the value of a key; `None` when there is none.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Returns what the state holds. Asked once, at the first write of a call.
    ///
    /// # Errors
    ///
    /// The state cannot be read.
    fn usage(&mut self) -> Result<Usage, StateError>;

    /// Returns what can be answered without asking the host; `None` where nothing can.
    fn at_hand(&mut self) -> Option<AtHand> {
        None
    }
}

/// What of a rule's surroundings can be read without its host.
#[derive(Debug, Clone)]
pub struct AtHand {
    /// What of the room's state is in memory. It must not change as long as the call runs.
    pub state: Arc<dyn InMemory>,
    /// The rule's namespace.
    pub space: RuleId,
    /// What the rule's state holds.
    pub usage: Usage,
}

/// A block that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("block {index} is not here")]
pub struct Missing {
    /// Position of the block.
    pub index: u64,
}

/// What a rule's state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}
