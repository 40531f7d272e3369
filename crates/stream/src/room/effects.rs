//! What becomes of a block that is checked.

use std::sync::Arc;

use quorate_rules::state::{Position, StateError, WriteSet};
use quorate_rules::verdict::Outcome;
use quorate_types::{Hash, PublicKey, RoomId};

use super::prefix::Lacking;
use crate::governance::{Activation, ActiveRule, Registry};
use crate::refusal::{Refusal, RuleRef};

/// Verdict on a block at the present position of a room.
#[derive(Debug, Clone)]
#[must_use]
// It is taken apart where it is made: a box would only cost an allocation for each entry.
#[allow(clippy::large_enum_variant)]
pub enum Checked {
    /// The block may stand there; what it does.
    Accepted(Effects),
    /// It may not, and every node that has the blocks before says so.
    Refused(Refusal),
    /// It cannot be told here and now.
    Unable(Lacking),
}

/// What a block does at one position of one room. Comes from nowhere but [`Room::check`](super::Room::check).
#[derive(Debug, Clone)]
pub struct Effects {
    pub(super) room: RoomId,
    pub(super) before: Position,
    pub(super) writes: WriteSet,
    /// The rules from the next block on, where they are others.
    pub(super) registry: Option<Arc<Registry>>,
    pub(super) signed: Option<Signed>,
    pub(super) activations: Vec<Activation>,
    pub(super) uses: Vec<RuleUse>,
    /// The block is a change of validators, which ends its epoch.
    pub(super) closes: bool,
}

/// Who signed a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) author: PublicKey,
    pub(super) sequence: u64,
    pub(super) digest: Hash,
}

/// What a rule did when it was asked about a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleUse {
    /// The rule.
    pub rule: RuleRef,
    /// Gas that it used.
    pub gas: u64,
    /// Bytes of values and blocks that it read.
    pub reads: u64,
    /// Keys that it wrote or removed.
    pub writes: usize,
    /// What it logged, for people. Outside consensus, and from a stranger.
    pub logs: Vec<String>,
}

impl Effects {
    /// Returns the index of the block.
    pub const fn index(&self) -> u64 {
        self.before.length
    }

    /// Returns digest, author and sequence of the entry; `None` for what nobody signs.
    pub fn entry(&self) -> Option<(Hash, PublicKey, u64)> {
        self.signed.map(|signed| (signed.digest, signed.author, signed.sequence))
    }

    /// Returns the changes of rules that take effect before the block.
    pub fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// Returns what the rules did, by id. Those that have no opinion on a change used no gas.
    pub fn uses(&self) -> &[RuleUse] {
        &self.uses
    }

    /// Returns all that is written, the room's own bookkeeping in namespace zero included.
    pub const fn writes(&self) -> &WriteSet {
        &self.writes
    }

    /// Returns the rules from the next block on; `None` when they stay as they are.
    pub fn rules(&self) -> Option<&Registry> {
        self.registry.as_deref()
    }
}

impl RuleUse {
    pub(crate) fn of(rule: &ActiveRule, outcome: &mut Outcome) -> Self {
        Self {
            rule: rule.reference(),
            gas: outcome.gas_used,
            reads: outcome.reads,
            writes: outcome.writes.len(),
            logs: std::mem::take(&mut outcome.logs),
        }
    }
}

/// Why a check ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused(Refusal),
    Unable(Lacking),
}

impl Stop {
    /// The bookkeeping contradicts itself.
    pub(crate) fn damaged(key: &'static str) -> Self {
        super::keys::damaged(key.as_bytes()).into()
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Lacking> for Stop {
    fn from(why: Lacking) -> Self {
        Self::Unable(why)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::Unable(error.into())
    }
}

impl From<Stop> for Checked {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => Self::Refused(refusal),
            Stop::Unable(why) => Self::Unable(why),
        }
    }
}
