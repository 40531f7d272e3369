//! Finals: a quorum acknowledges one QC.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_proto::quorum as proto;
use quorate_types::{RoomId, Signature};

use super::build::{self, Table};
use super::epoch::Epoch;
use super::error::CertificateError;
use super::qc::Certified;
use crate::statement::{Common, Signed, Target, Verified, Vote};
use crate::validators::ValidatorSet;

/// Votes of a quorum that acknowledge one QC. They are not verified.
///
/// All of them acknowledge the same QC: its hash, which each of them signs, is that of `certified`. So it shows by
/// itself that they are of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    /// What the acknowledged QC certifies.
    pub certified: Certified,
    /// What it is for, and signature, of each vote, by the place of the validator.
    pub votes: BTreeMap<u32, (Target, Signature)>,
}

/// A Final that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFinal {
    last: Final,
}

impl Final {
    /// Decodes a Final, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] for bytes that no Final encodes to.
    pub fn decode(bytes: Bytes) -> Result<Self, CertificateError> {
        Self::from_proto(proto::Final::decode(bytes)?)
    }

    /// Encodes the Final: the body of a certificate block.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode()
    }

    /// Verifies it in its epoch.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says why it proves nothing.
    pub fn verify(self, epoch: &Epoch) -> Result<VerifiedFinal, CertificateError> {
        epoch.check(self.certified.epoch, &self.certified.vset)?;
        let (room, validators) = (epoch.room(), epoch.validators());
        if let Some(feed) = epoch.feed()
            && *feed != self.certified.feed
        {
            return Err(CertificateError::Feed { expected: *feed, found: self.certified.feed });
        }
        build::check_signers(validators, self.votes.keys(), validators.quorum())?;
        for vote in self.statements(room, validators) {
            vote.verify_in(room, self.certified.epoch, validators).map_err(build::signature)?;
        }
        Ok(VerifiedFinal { last: self })
    }

    fn statements<'a>(
        &'a self,
        room: &'a RoomId,
        validators: &'a ValidatorSet,
    ) -> impl Iterator<Item = Signed<Vote>> + 'a {
        let ack = Some(self.certified.ack(room));
        self.votes.iter().filter_map(move |(signer, (target, signature))| {
            let signer = *validators.get(usize::try_from(*signer).ok()?)?.public();
            let Certified { epoch, vset, feed, .. } = self.certified;
            let common = Common { room: *room, epoch, vset, signer };
            Some(Signed { statement: Vote { common, feed, target: *target, ack }, signature: *signature })
        })
    }

    pub(super) fn from_proto(given: proto::Final) -> Result<Self, CertificateError> {
        let certified = Certified::from_proto(given.certified, "Final")?;
        let mut targets = Vec::with_capacity(given.targets.len());
        for target in &given.targets {
            let target = build::target_from(*target, "Final")?;
            check_target(&certified, &target)?;
            targets.push(target);
        }
        let mut votes = BTreeMap::new();
        for vote in &given.votes {
            let target = build::reference(&targets, vote.target, "Final")?.unwrap_or(&certified.target);
            build::insert(&mut votes, vote.signer, (*target, vote.signature))?;
        }
        let last = Self { certified, votes };
        build::check_canonical(last.to_proto() == given, "Final")?;
        Ok(last)
    }

    pub(super) fn to_proto(&self) -> proto::Final {
        let mut targets = Table::default();
        let votes = self.votes.iter().map(|(signer, (target, signature))| proto::FinalVote {
            signer: *signer,
            target: targets.place(Some(*target).filter(|target| *target != self.certified.target)),
            signature: *signature,
        });
        let votes = votes.collect();
        let targets = targets.into_rows().iter().map(build::target_to).collect();
        proto::Final { certified: self.certified.to_proto(), targets, votes }
    }
}

/// A vote acknowledges nothing above itself, and at one length nothing but itself.
fn check_target(certified: &Certified, target: &Target) -> Result<(), CertificateError> {
    if target.head.length() <= certified.head().length() && *target != certified.target {
        let expected = "votes for what is certified, or for more";
        return Err(CertificateError::Field { certificate: "Final", expected });
    }
    Ok(())
}

impl VerifiedFinal {
    /// Makes a Final of votes that acknowledge one QC, if there are enough of them. `certified` is what that QC
    /// certifies. Votes that acknowledge something else are left out, and so is more than a quorum.
    pub fn of_votes<'a>(
        certified: &Certified,
        room: &RoomId,
        validators: &ValidatorSet,
        votes: impl IntoIterator<Item = &'a Verified<Vote>>,
    ) -> Option<Self> {
        let ack = Some(certified.ack(room));
        let mut taken = BTreeMap::new();
        for vote in votes {
            let of = Certified::of(vote);
            let is_here = vote.common.room == *room
                && (of.epoch, of.vset, of.feed) == (certified.epoch, certified.vset, certified.feed);
            if !is_here || vote.ack != ack || check_target(certified, &vote.target).is_err() {
                continue;
            }
            let place = validators.position(vote.signer()).and_then(|place| u32::try_from(place).ok());
            let Some(place) = place else { continue };
            if taken.len() < validators.quorum() {
                taken.entry(place).or_insert((vote.target, *vote.signature()));
            }
        }
        let is_enough = taken.len() >= validators.quorum() && certified.vset == *validators.hash();
        is_enough.then_some(Self { last: Final { certified: *certified, votes: taken } })
    }

    /// Returns the Final, to be kept or passed on.
    pub const fn last_final(&self) -> &Final {
        &self.last
    }

    /// Returns what is final.
    pub const fn certified(&self) -> &Certified {
        &self.last.certified
    }

    /// Returns the votes, each verified.
    pub fn votes(&self, room: &RoomId, validators: &ValidatorSet) -> Vec<Verified<Vote>> {
        self.last.statements(room, validators).map(Verified::part_of_verified).collect()
    }
}
