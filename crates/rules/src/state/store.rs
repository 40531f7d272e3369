//! What a store of a room's state offers: reading, committing steps, taking them back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quorate_types::{Hash, RuleId, StateRoot};

/// Writes of one entry, in the order in which they are hashed: by namespace, then by key. `None` removes the key.
pub type WriteSet = BTreeMap<(RuleId, Vec<u8>), Option<Vec<u8>>>;

/// Namespace of the room's own bookkeeping. No rule has this id, which is a hash of where the rule was installed.
pub const ROOM_SPACE: RuleId = RuleId::new([0; RuleId::LEN]);

/// Steps that can be taken back at least, where as many were committed.
pub const UNDO_STEPS: u64 = 100_000;

/// How far a state has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Entries that made the state, from block 0 on.
    pub length: u64,
    /// Digest of all their writes.
    pub state_root: StateRoot,
    /// Tree hash of the feed at this length; zeros at length 0.
    pub tree_hash: Hash,
}

impl Position {
    /// Where every state begins: no entry, a root of zeros.
    pub const START: Self = Self {
        length: 0,
        state_root: StateRoot::new([0; StateRoot::LEN]),
        tree_hash: Hash::new([0; Hash::LEN]),
    };
}

/// What one entry changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Position of the entry in the feed.
    pub index: u64,
    /// Its writes.
    pub writes: WriteSet,
    /// State root with them.
    pub root: StateRoot,
    /// Tree hash of the feed with the entry.
    pub tree_hash: Hash,
}

impl Step {
    /// Returns where the state stands with the step.
    pub const fn after(&self) -> Position {
        Position { length: self.index.saturating_add(1), state_root: self.root, tree_hash: self.tree_hash }
    }
}

/// Steps that wait for a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Staged {
    /// How many.
    pub steps: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

/// Why a state cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Steps do not follow one another.
    #[error("expected the step of entry {expected}, found that of {found}")]
    Index {
        /// Entry whose step would follow.
        expected: u64,
        /// Entry whose step was given.
        found: u64,
    },
    /// The state cannot be brought to the length.
    #[error("expected a length from {oldest} to {newest} to go back to, found {found}")]
    OutOfReach {
        /// Least length that is in reach.
        oldest: u64,
        /// Length of the state.
        newest: u64,
        /// Length that was asked for.
        found: u64,
    },
    /// What is stored is not what was written.
    #[error("the stored state is damaged: {what}")]
    Damaged {
        /// What was expected, and what is there.
        what: String,
    },
    /// The store failed.
    #[error("the state cannot be {action}: {reason}")]
    Failed {
        /// What was attempted: `read`, `written`.
        action: &'static str,
        /// What the system answered.
        reason: String,
    },
}

/// A state that can be read.
pub trait StateStore {
    /// Reads the value of a key; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`], [`StateError::Damaged`].
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Returns what of the state is in memory, where it can be read apart from the store; `None` where nothing can.
    /// It changes with the store.
    fn in_memory(&self) -> Option<Arc<dyn InMemory>> {
        None
    }
}

/// The part of a state that is in memory.
pub trait InMemory: fmt::Debug + Send + Sync {
    /// Reads the value of a key as [`StateStore::get`] does: `None` when it is not in memory, `Some(None)` when there
    /// is no value.
    fn get(&self, space: &RuleId, key: &[u8]) -> Option<Option<Vec<u8>>>;
}

/// A room's state, which moves by steps.
pub trait RoomStore: StateStore {
    /// Returns where the state stands.
    fn position(&self) -> Position;

    /// Returns the least length that [`step_back`](Self::step_back) reaches.
    fn oldest(&self) -> u64;

    /// Returns where the state stood at a length; `None` when that is out of reach.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`], [`StateError::Damaged`].
    fn position_at(&self, length: u64) -> Result<Option<Position>, StateError>;

    /// Returns what the keys held at an earlier length that have been written since.
    ///
    /// # Errors
    ///
    /// [`StateError::OutOfReach`], [`StateError::Failed`], [`StateError::Damaged`].
    fn held_at(&self, length: u64) -> Result<WriteSet, StateError>;

    /// Adds a step that follows. Everything reads it at once; it is kept when it is committed, and not before.
    ///
    /// # Errors
    ///
    /// [`StateError::Index`] when it does not follow, and when what it writes over cannot be read; nothing is added then.
    fn stage(&mut self, step: Step) -> Result<(), StateError>;

    /// Tells how much waits for a commit. Nothing ever does in a store that is in memory.
    fn staged(&self) -> Staged {
        Staged::default()
    }

    /// Commits the steps that were added, all of them or none.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`]: the steps wait for another try.
    fn commit(&mut self) -> Result<(), StateError>;

    /// Takes the last steps back, until the state stands at `length`. Commits what waits for it.
    ///
    /// # Errors
    ///
    /// [`StateError::OutOfReach`]; the state is then as before.
    fn step_back(&mut self, length: u64) -> Result<(), StateError>;
}
