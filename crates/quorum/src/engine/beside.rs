//! Another way into the epoch that is on, with other validators.
//!
//! Two handovers of one epoch may disagree on a change of validators: the base of one ends with it, the base of the other
//! does not, or nobody who made it held the block. Votes and seals of one set count nothing for the other one, and after
//! a partition at the very change neither set may have a quorum.
//!
//! A seal says that its validator votes for nothing more in the epoch, and which QC is the highest that it holds. A validator
//! whose seal reports no QC from where the two ways part has acknowledged nothing on the one that it took, and has
//! voted for nothing on the other one. So it says the same to the validators of the other one: whatever became final
//! on one of the ways has its quorum of acknowledgements there, which meets every quorum of seals on the other one in an
//! honest validator, and that one does not say it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::QuorumMessage;
use quorate_types::PublicKey;

use super::event::{Fault, Peer};
use super::seen::hash;
use super::voter::seal_message;
use super::{Engine, Here};
use crate::certificate::{Epoch, Start, VerifiedHandover, VerifiedStart};
use crate::statement::{Seal, Signed, StatementError, Verified};

/// The other way: one for each epoch, the first that is heard of.
#[derive(Debug)]
pub(super) struct Beside {
    /// Starts of its epochs, from the first that differs up to the one that is on.
    starts: Vec<VerifiedStart>,
    seals: BTreeMap<PublicKey, Verified<Seal>>,
    is_worth_a_handover: bool,
}

impl Beside {
    fn epoch(&self) -> Option<&Epoch> {
        self.starts.last().map(VerifiedStart::epoch)
    }

    /// Returns the first epoch that differs.
    fn parts_at(&self) -> Option<u64> {
        self.starts.first().map(|start| start.epoch().number())
    }
}

impl Here {
    /// Returns the seals for the other way that are known.
    pub(super) fn seals_beside(&self) -> impl Iterator<Item = &Verified<Seal>> {
        self.beside.iter().flat_map(|beside| beside.seals.values())
    }
}

impl Engine {
    /// Tells whether starts lead into the epoch that is on, and to other validators.
    pub(super) fn is_beside(&self, last: &Epoch) -> bool {
        let epoch = &self.current.epoch;
        last.number() == epoch.number() && last.validators().hash() != epoch.validators().hash()
    }

    /// Tells whether a seal is of this epoch, and not for the validators of this node's way.
    pub(super) fn is_of_other_validators(&self, seal: &Bytes) -> Result<bool, StatementError> {
        let common = Signed::<Seal>::decode(seal)?.statement.common;
        let epoch = &self.current.epoch;
        Ok(common.epoch == epoch.number() && common.vset != *epoch.validators().hash())
    }

    /// Tells whether another way comes before this one where nothing else decides: all must choose the same.
    pub(super) fn is_before(&self, other: &Epoch) -> bool {
        other.validators().hash() < self.current.epoch.validators().hash()
    }

    /// Tells whether nothing that this node has signed holds it in the epoch: who has voted, or sealed, stays with that.
    pub(super) const fn has_signed_nothing(&self) -> bool {
        self.here.last_vote.is_none() && self.here.seal.is_none()
    }

    /// Considers a way into this epoch that parts from this node's one in an earlier epoch.
    pub(super) fn consider_beside(&mut self, now: Instant, starts: Vec<VerifiedStart>) {
        let Some(last) = starts.last().map(VerifiedStart::epoch).filter(|last| self.is_beside(last)) else {
            return;
        };
        let is_better = match (self.current.epoch.feed(), last.feed()) {
            (None, Some(_)) => true,
            (None, None) => self.is_before(last),
            (Some(_), _) => false,
        };
        if is_better && self.has_signed_nothing() {
            self.take_line(now, &starts);
        } else {
            self.keep_beside(starts);
        }
    }

    /// Keeps another way into the epoch that is on.
    pub(super) fn keep_beside(&mut self, starts: Vec<VerifiedStart>) {
        if self.here.beside.is_none() {
            self.here.beside = Some(Beside { starts, seals: BTreeMap::new(), is_worth_a_handover: false });
        }
    }

    /// Reads a seal of this epoch that is not for the validators of this node's way.
    pub(super) fn seal_beside(&mut self, now: Instant, peer: Peer, bytes: &Bytes) -> Result<(), Fault> {
        let name = hash(bytes);
        let signed = Signed::<Seal>::decode(bytes)?;
        let common = signed.statement.common;
        if self.seen.contains(&name) || common.room != *self.current.epoch.room() {
            return Ok(());
        }
        let number = self.current.epoch.number();
        let other = self.here.beside.as_ref().and_then(Beside::epoch).cloned();
        let Some(other) = other.filter(|other| common.vset == *other.validators().hash()) else {
            self.ask(now, peer, &QuorumMessage::GetHandover(number));
            return Ok(());
        };
        if !self.pay(now, peer, 1) {
            return Ok(());
        }
        let seal = match signed.verify_in(other.room(), number, other.validators()) {
            Ok(seal) => seal,
            Err(StatementError::Key(error)) => return Err(Fault::Statement(error.into())),
            Err(_) => return Ok(()),
        };
        self.seen.insert(name);
        self.pass_on(now, peer, QuorumMessage::Seal(bytes.clone()), false);
        if self.vote_key.as_ref().is_some_and(|key| key.public() == *seal.signer())
            && self.own_seal_beside().map(|own| own.common) != Some(seal.common)
        {
            self.fall_silent();
            return Ok(());
        }
        if let Some(named) = seal.highest_qc
            && self.find_qc(&named.qc).is_none()
        {
            self.ask(now, peer, &QuorumMessage::GetQc(Some(named.qc)));
        }
        self.count_beside(seal);
        Ok(())
    }

    fn count_beside(&mut self, seal: Verified<Seal>) {
        if let Some(beside) = &mut self.here.beside {
            beside.is_worth_a_handover |= beside.seals.insert(*seal.signer(), seal).is_none();
        }
    }

    /// Returns what this node's seal says, said to the validators of the other way; `None` when it may not.
    fn own_seal_beside(&self) -> Option<Seal> {
        let seal = self.here.seal.filter(|_| self.here.durable_seal.is_some())?;
        let beside = self.here.beside.as_ref()?;
        let (epoch, parts_at) = (beside.epoch()?, beside.parts_at()?);
        let is_free = seal.highest_qc.is_none_or(|highest| highest.epoch < parts_at);
        let is_member = epoch.validators().contains(seal.signer());
        (is_free && is_member).then(|| Seal { common: epoch.common(*seal.signer()), ..*seal })
    }

    /// Seals the other way, and leaves this one when the seals of that one are enough.
    pub(super) fn try_beside(&mut self, now: Instant) {
        if let Some(key) = self.vote_key.clone().filter(|_| !self.is_silent)
            && let Some(statement) = self.own_seal_beside()
            && self.here.seals_beside().all(|seal| *seal.signer() != key.public())
        {
            let seal = Verified::sign(statement, &key);
            self.broadcast(None, &seal_message(&seal));
            self.count_beside(seal);
        }
        let Some(starts) = self.starts_beside() else { return };
        self.consider(now, starts, false);
    }

    /// Makes the start that follows the other way, if its seals are enough.
    fn starts_beside(&mut self) -> Option<Vec<VerifiedStart>> {
        let beside = self.here.beside.as_mut()?;
        if !std::mem::take(&mut beside.is_worth_a_handover) {
            return None;
        }
        let beside = self.here.beside.as_ref()?;
        let epoch = beside.epoch()?;
        if beside.seals.len() < epoch.validators().quorum() {
            return None;
        }
        let find = |named: &crate::statement::QcRef| self.find_qc(&named.qc).cloned();
        // Its base is from before the two ways part: no change of this epoch is at its end.
        let made = VerifiedHandover::of_seals(epoch, beside.seals.values(), find, |_| None).ok()?;
        let next = Start::with_grant(made, None, epoch).ok()?;
        Some(beside.starts.iter().cloned().chain([next]).collect())
    }

    /// Returns this node's seal of the other way, to be sent again.
    pub(super) fn own_message_beside(&self) -> Option<Bytes> {
        let key = self.vote_key.as_ref()?.public();
        self.here.seals_beside().find(|seal| *seal.signer() == key).map(seal_message)
    }
}
