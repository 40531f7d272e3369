//! QCs: a quorum votes for one head.

use std::collections::BTreeMap;

use blake2b_simd::Params;
use bytes::Bytes;
use quorate_proto::quorum as proto;
use quorate_types::{PublicKey, QcHash, RoomId, Signature, VsetHash};

use super::build::{self, Table};
use super::epoch::Epoch;
use super::error::CertificateError;
use crate::head::Head;
use crate::statement::{Ack, Common, QcRef, Signed, Target, Verified, Vote};
use crate::validators::ValidatorSet;

/// What the hash of a QC begins with.
const QC_CONTEXT: &[u8] = b"quorate qc\0";

/// What votes agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certified {
    /// The epoch.
    pub epoch: u64,
    /// Its validators.
    pub vset: VsetHash,
    /// Its feed.
    pub feed: PublicKey,
    /// Head, state and rules.
    pub target: Target,
}

/// Votes of a quorum for one head. They are not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qc {
    /// What they agree on.
    pub certified: Certified,
    /// Acknowledgement and signature by the place of the validator.
    pub votes: BTreeMap<u32, (Option<Ack>, Signature)>,
}

/// A QC that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedQc {
    qc: Qc,
    hash: QcHash,
}

impl Certified {
    /// Returns what a vote is for.
    pub fn of(vote: &Vote) -> Self {
        let Common { epoch, vset, .. } = vote.common;
        Self { epoch, vset, feed: vote.feed, target: vote.target }
    }

    /// Returns the head.
    pub const fn head(&self) -> &Head {
        &self.target.head
    }

    /// Returns epoch and length, by which certificates of a room follow one another.
    pub(crate) const fn rank(&self) -> (u64, u64) {
        (self.epoch, self.head().length())
    }

    /// Computes the hash of QCs for this: `b2b256("quorate qc\0" | room | u64le epoch | vset | feed | u64le length |
    /// tree_hash | state_root | rules_hash)`. It does not cover who signs.
    pub fn qc_hash(&self, room: &RoomId) -> QcHash {
        let mut params = Params::new();
        let mut state = params.hash_length(QcHash::LEN).to_state();
        state.update(QC_CONTEXT).update(room.as_bytes()).update(&self.epoch.to_le_bytes());
        state.update(self.vset.as_bytes()).update(self.feed.as_bytes());
        state.update(&self.head().length().to_le_bytes()).update(self.head().tree_hash().as_bytes());
        state.update(self.target.state_root.as_bytes()).update(self.target.rules_hash.as_bytes());
        QcHash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
    }

    /// Returns the name by which seals report QCs for this.
    pub fn reference(&self, room: &RoomId) -> QcRef {
        QcRef { epoch: self.epoch, head: *self.head(), qc: self.qc_hash(room) }
    }

    /// Returns the acknowledgement of QCs for this.
    pub fn ack(&self, room: &RoomId) -> Ack {
        Ack { length: self.head().length(), qc: self.qc_hash(room) }
    }

    pub(super) fn from_proto(
        certified: proto::Certified,
        certificate: &'static str,
    ) -> Result<Self, CertificateError> {
        let proto::Certified { epoch, vset, feed, target } = certified;
        Ok(Self { epoch, vset, feed, target: build::target_from(target, certificate)? })
    }

    pub(super) fn to_proto(self) -> proto::Certified {
        let Self { epoch, vset, feed, target } = self;
        proto::Certified { epoch, vset, feed, target: build::target_to(&target) }
    }
}

impl Qc {
    /// Decodes a QC, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] for bytes that no QC encodes to.
    pub fn decode(bytes: Bytes) -> Result<Self, CertificateError> {
        Self::from_proto(proto::Qc::decode(bytes)?)
    }

    /// Encodes the QC.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode()
    }

    /// Verifies it in its epoch.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says why it proves nothing.
    pub fn verify(self, epoch: &Epoch) -> Result<VerifiedQc, CertificateError> {
        epoch.check(self.certified.epoch, &self.certified.vset)?;
        if let Some(feed) = epoch.feed()
            && *feed != self.certified.feed
        {
            return Err(CertificateError::Feed { expected: *feed, found: self.certified.feed });
        }
        self.verify_by(epoch.room(), epoch.validators())
    }

    /// Verifies the votes of these validators; that they are those of the epoch is checked by the caller.
    pub(super) fn verify_by(
        self,
        room: &RoomId,
        validators: &ValidatorSet,
    ) -> Result<VerifiedQc, CertificateError> {
        build::check_signers(validators, self.votes.keys(), validators.quorum())?;
        for vote in self.statements(room, validators) {
            vote.verify_in(room, self.certified.epoch, validators).map_err(build::signature)?;
        }
        let hash = self.certified.qc_hash(room);
        Ok(VerifiedQc { qc: self, hash })
    }

    /// Returns the statements that were signed.
    fn statements<'a>(
        &'a self,
        room: &'a RoomId,
        validators: &'a ValidatorSet,
    ) -> impl Iterator<Item = Signed<Vote>> + 'a {
        self.votes.iter().filter_map(|(signer, (ack, signature))| {
            let signer = *validators.get(usize::try_from(*signer).ok()?)?.public();
            let Certified { epoch, vset, feed, target } = self.certified;
            let common = Common { room: *room, epoch, vset, signer };
            Some(Signed { statement: Vote { common, feed, target, ack: *ack }, signature: *signature })
        })
    }

    pub(super) fn from_proto(given: proto::Qc) -> Result<Self, CertificateError> {
        let certified = Certified::from_proto(given.certified, "QC")?;
        let mut acks = Vec::with_capacity(given.acks.len());
        for ack in &given.acks {
            if ack.length == 0 || ack.length > certified.head().length() {
                let expected = "acknowledgements of 1 up to what is certified";
                return Err(CertificateError::Field { certificate: "QC", expected });
            }
            acks.push(Ack { length: ack.length, qc: ack.qc });
        }
        let mut votes = BTreeMap::new();
        for vote in &given.votes {
            let ack = build::reference(&acks, vote.ack, "QC")?.copied();
            build::insert(&mut votes, vote.signer, (ack, vote.signature))?;
        }
        let qc = Self { certified, votes };
        build::check_canonical(qc.to_proto() == given, "QC")?;
        Ok(qc)
    }

    pub(super) fn to_proto(&self) -> proto::Qc {
        let mut acks = Table::default();
        let votes = self.votes.iter().map(|(signer, (ack, signature))| proto::QcVote {
            signer: *signer,
            ack: acks.place(*ack),
            signature: *signature,
        });
        let votes = votes.collect();
        let acks = acks.into_rows().into_iter().map(|ack| proto::Ack { length: ack.length, qc: ack.qc });
        proto::Qc { certified: self.certified.to_proto(), acks: acks.collect(), votes }
    }
}

impl VerifiedQc {
    /// Makes a QC of votes that agree, if there are enough of them. Votes for something else are left out, and so is
    /// more than a quorum.
    pub fn of_votes<'a>(
        certified: &Certified,
        validators: &ValidatorSet,
        votes: impl IntoIterator<Item = &'a Verified<Vote>>,
    ) -> Option<Self> {
        let mut room = None;
        let mut taken = BTreeMap::new();
        for vote in votes {
            if Certified::of(vote) != *certified || *room.get_or_insert(vote.common.room) != vote.common.room
            {
                continue;
            }
            let place = validators.position(vote.signer()).and_then(|place| u32::try_from(place).ok());
            let Some(place) = place else { continue };
            if taken.len() < validators.quorum() {
                taken.entry(place).or_insert((vote.ack, *vote.signature()));
            }
        }
        let room =
            room.filter(|_| taken.len() >= validators.quorum() && certified.vset == *validators.hash())?;
        Some(Self { qc: Qc { certified: *certified, votes: taken }, hash: certified.qc_hash(&room) })
    }

    /// Returns the QC, to be kept or passed on.
    pub const fn qc(&self) -> &Qc {
        &self.qc
    }

    /// Returns what it certifies.
    pub const fn certified(&self) -> &Certified {
        &self.qc.certified
    }

    /// Returns its hash.
    pub const fn hash(&self) -> &QcHash {
        &self.hash
    }

    /// Returns the name by which seals report it.
    pub const fn reference(&self) -> QcRef {
        QcRef { epoch: self.qc.certified.epoch, head: self.qc.certified.target.head, qc: self.hash }
    }

    /// Returns the votes, each verified.
    pub fn votes(&self, room: &RoomId, validators: &ValidatorSet) -> Vec<Verified<Vote>> {
        self.qc.statements(room, validators).map(Verified::part_of_verified).collect()
    }
}
