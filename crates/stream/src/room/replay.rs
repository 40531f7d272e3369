//! Many entries in a row, and a room whose feed is not what it was.

use bytes::Bytes;
use quorate_rules::engine::with_stack;
use quorate_rules::state::{RoomStore, StateError};

use super::Room;
use super::authentic::AuthenticEntry;
use super::effects::Checked;
use super::engine::RuleEngine;
use super::prefix::{Lacking, Prefix};
use crate::refusal::Refusal;

/// How far a replay came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Replayed {
    /// Entries that were applied.
    pub applied: u64,
    /// Why it ended before its entries did.
    pub stopped: Option<Stopped>,
}

/// Why a replay ends early. The room stands before the entry that did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The entry is refused: nothing behind it can be valid.
    Refused(Refusal),
    /// It cannot be told here and now.
    Unable(Lacking),
}

/// Why a room cannot be brought in line with its feed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// The feed has another history than the room as far back as the store remembers: begin with an empty store.
    #[error("expected a feed that agrees with the room at length {oldest} or later, found one that does not")]
    OtherHistory {
        /// Least length to which the store can go back.
        oldest: u64,
    },
    /// A tree hash of the feed is not known here.
    #[error("the tree hash of the first {length} blocks is needed, and not known here")]
    MissingTreeHash {
        /// The length.
        length: u64,
    },
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl<S: RoomStore, E: RuleEngine> Room<S, E> {
    /// Checks and applies entries that follow the present position, as [`AuthenticEntry::read`] or
    /// [`authenticate_many`](super::authenticate_many) gave them. Tree hashes of the feed with each come from `prefix`.
    ///
    /// The store gets them in batches; what is left of a batch waits for [`commit`](Self::commit).
    pub fn replay(
        &mut self,
        entries: impl IntoIterator<Item = Result<AuthenticEntry, Refusal>>,
        prefix: &dyn Prefix,
    ) -> Replayed {
        with_stack(|| {
            let mut applied = 0_u64;
            for entry in entries {
                let checked = match &entry {
                    Ok(entry) => self.check_authentic(entry, self.position().tree_hash, prefix),
                    Err(refusal) => Checked::Refused(refusal.clone()),
                };
                if let Err(stopped) = self.finish(checked, prefix) {
                    return Replayed { applied, stopped: Some(stopped) };
                }
                applied = applied.saturating_add(1);
            }
            Replayed { applied, stopped: None }
        })
    }

    /// Checks and applies the block at the present position, of which the tree hash with it comes from `prefix`.
    ///
    /// # Errors
    ///
    /// [`Stopped`]; nothing is applied then.
    pub fn advance(&mut self, block: &Bytes, prefix: &dyn Prefix) -> Result<(), Stopped> {
        let checked = self.check(block.clone(), self.position().tree_hash, prefix);
        self.finish(checked, prefix)
    }

    fn finish(&mut self, checked: Checked, prefix: &dyn Prefix) -> Result<(), Stopped> {
        let effects = match checked {
            Checked::Accepted(effects) => effects,
            Checked::Refused(refusal) => return Err(Stopped::Refused(refusal)),
            Checked::Unable(why) => return Err(Stopped::Unable(why)),
        };
        let length = effects.index().saturating_add(1);
        let hash = prefix.tree_hash(length).ok_or(Stopped::Unable(Lacking::TreeHash(length)))?;
        match self.apply(effects, hash) {
            Ok(()) => Ok(()),
            Err(error) => Err(Stopped::Unable(Lacking::Other(error.to_string()))),
        }
    }

    /// Takes back what the feed, which has `length` blocks, does not contain; returns the length of the room then.
    ///
    /// Call it after opening: a crash may leave a state that is ahead of its feed, and a feed may have been exchanged.
    ///
    /// # Errors
    ///
    /// [`ReconcileError`]; the room is then as before.
    pub fn reconcile(&mut self, length: u64, prefix: &dyn Prefix) -> Result<u64, ReconcileError> {
        self.commit()?;
        let oldest = self.store.oldest();
        let agrees = |at: u64| -> Result<bool, ReconcileError> {
            if at == 0 {
                return Ok(true);
            }
            let Some(position) = self.store.position_at(at)? else { return Ok(false) };
            let hash = prefix.tree_hash(at).ok_or(ReconcileError::MissingTreeHash { length: at })?;
            Ok(hash == position.tree_hash)
        };
        let newest = self.position().length.min(length);
        if newest < oldest || !agrees(oldest)? {
            return Err(ReconcileError::OtherHistory { oldest });
        }
        // Histories that differ at one length differ at every later one.
        let (mut good, mut bad) = (oldest, newest.saturating_add(1));
        if agrees(newest)? {
            good = newest;
        } else {
            bad = newest;
            while bad.saturating_sub(good) > 1 {
                let middle = good.midpoint(bad);
                if agrees(middle)? {
                    good = middle;
                } else {
                    bad = middle;
                }
            }
        }
        debug_assert!(good < bad);
        self.step_back(good)?;
        Ok(good)
    }
}
