//! What is known of an epoch: all that its certificates verify by.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_types::{PublicKey, RoomId, VsetHash};

use super::error::CertificateError;
use super::qc::Certified;
use crate::statement::Common;
use crate::validators::ValidatorSet;

/// Whose turn it is to host: the number of the epoch in which the turn began, 0 for the first host.
///
/// It is not how many hosts there were: two handovers of one step may disagree on whether the host goes on, and those
/// who took different ones must still agree on who is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostSlot(pub u32);

/// An epoch of a room: its validators, its host, its feed, where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    pub(super) room: RoomId,
    pub(super) number: u64,
    pub(super) validators: Arc<ValidatorSet>,
    pub(super) feed: Option<PublicKey>,
    pub(super) host: HostSlot,
    pub(super) base: Option<Certified>,
    /// Feed of epoch 0.
    pub(super) genesis: PublicKey,
    pub(super) hosts: Arc<[PublicKey]>,
    /// Validators of this epoch and of all before it.
    pub(super) history: BTreeMap<u64, Arc<ValidatorSet>>,
}

impl Epoch {
    /// Describes epoch 0, which the room's header gives.
    pub fn genesis(
        room: RoomId,
        feed: PublicKey,
        validators: ValidatorSet,
        hosts: impl IntoIterator<Item = PublicKey>,
    ) -> Self {
        let validators = Arc::new(validators);
        Self {
            room,
            number: 0,
            feed: Some(feed),
            host: HostSlot(0),
            base: None,
            genesis: feed,
            hosts: hosts.into_iter().collect(),
            history: BTreeMap::from([(0, validators.clone())]),
            validators,
        }
    }

    /// Returns the room.
    pub const fn room(&self) -> &RoomId {
        &self.room
    }

    /// Returns the number, from 0.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns who validates.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Returns the feed, `None` as long as its host has granted none.
    pub const fn feed(&self) -> Option<&PublicKey> {
        self.feed.as_ref()
    }

    /// Returns what it begins from; `None` in epoch 0, and when only the genesis counts.
    pub const fn base(&self) -> Option<&Certified> {
        self.base.as_ref()
    }

    /// Returns the feed of epoch 0.
    pub const fn genesis_feed(&self) -> &PublicKey {
        &self.genesis
    }

    /// Returns whose turn it is to host.
    pub const fn host(&self) -> HostSlot {
        self.host
    }

    /// Returns the identity key of the host; `None` for the first host, who is known by its feed, and in a room that
    /// names no further hosts.
    pub fn host_key(&self) -> Option<&PublicKey> {
        self.key_of(self.host)
    }

    /// Returns the validators of this epoch or of one before it.
    pub fn validators_of(&self, epoch: u64) -> Option<&ValidatorSet> {
        self.history.get(&epoch).map(Arc::as_ref)
    }

    /// Returns what statements of this epoch begin with.
    pub fn common(&self, signer: PublicKey) -> Common {
        Common { room: self.room, epoch: self.number, vset: *self.validators.hash(), signer }
    }

    /// Returns the epoch as it is to those who do not know its feed. Starts of one epoch may differ in that, and a quorum of
    /// its validators says by its votes which one counts.
    pub(crate) fn of_any_feed(&self) -> Self {
        Self { feed: None, ..self.clone() }
    }

    pub(super) fn key_of(&self, host: HostSlot) -> Option<&PublicKey> {
        let turn = usize::try_from(host.0.checked_sub(1)?).ok()?;
        self.hosts.get(turn.checked_rem(self.hosts.len())?)
    }

    /// Checks that a certificate is of this epoch and these validators.
    pub(super) fn check(&self, epoch: u64, vset: &VsetHash) -> Result<(), CertificateError> {
        if epoch != self.number {
            return Err(CertificateError::Epoch { expected: self.number, found: epoch });
        }
        let expected = *self.validators.hash();
        if *vset != expected {
            return Err(CertificateError::Vset { expected, found: *vset });
        }
        Ok(())
    }
}
