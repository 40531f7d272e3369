//! Votes of one epoch: who votes for what, who acknowledges what, and who contradicts itself.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{PublicKey, RoomId};

use super::limits::{MAX_LENGTHS_OF_VALIDATOR, MAX_QCS};
use crate::certificate::{Certified, VerifiedFinal, VerifiedQc};
use crate::evidence::Claim;
use crate::statement::{Ack, Seal, Verified, Vote};
use crate::validators::ValidatorSet;

/// Votes of one epoch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Votes of each validator by length: one, with what it acknowledges last, or two that contradict each other.
    votes: BTreeMap<PublicKey, BTreeMap<u64, Vec<Verified<Vote>>>>,
    /// Votes that acknowledge, by what, then by validator.
    acks: BTreeMap<Ack, BTreeMap<PublicKey, Verified<Vote>>>,
    /// What each validator acknowledges, as far as it is kept.
    acked: BTreeMap<PublicKey, BTreeSet<Ack>>,
    seals: BTreeMap<PublicKey, Verified<Seal>>,
}

/// What a vote led to.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// It was not there before.
    pub(super) is_new: bool,
    /// It contradicts what its validator signed.
    pub(super) claims: Vec<Claim>,
}

impl Tally {
    /// Counts a vote.
    pub(super) fn vote(&mut self, vote: Verified<Vote>) -> Counted {
        let mut counted = Counted::default();
        let of_validator = self.votes.entry(*vote.signer()).or_default();
        let length = vote.target.head.length();
        let others = of_validator.values().flatten();
        for other in others {
            let contradicts = other.feed != vote.feed
                || other.target.head.length() == length && other.target != vote.target;
            if contradicts && counted.claims.is_empty() {
                counted.claims.push(Claim::double_vote(*other.signed(), *vote.signed()));
            }
        }
        let here = of_validator.entry(length).or_default();
        let acked = vote.ack.map(|ack| ack.length);
        if let Some(same) =
            here.iter_mut().find(|other| other.target == vote.target && other.feed == vote.feed)
        {
            if same.ack.map(|ack| ack.length) >= acked {
                return Counted { is_new: false, ..counted };
            }
            *same = vote;
        } else if here.len() < 2 {
            here.push(vote);
        } else {
            return Counted { is_new: false, ..counted };
        }
        counted.is_new = true;
        if of_validator.len() > MAX_LENGTHS_OF_VALIDATOR
            && of_validator.pop_first().is_some_and(|(popped, _)| popped == length)
        {
            // It is not kept.
            return Counted { is_new: false, ..counted };
        }
        if let Some(ack) = vote.ack {
            self.acknowledge(ack, vote);
        }
        if let Some(seal) = self.seals.get(vote.signer()) {
            counted.claims.push(Claim::SealBreak { seal: *seal.signed(), vote: *vote.signed() });
        }
        counted
    }

    /// Notes what a vote acknowledges. Each validator has its own room, so that none can push out another's.
    fn acknowledge(&mut self, ack: Ack, vote: Verified<Vote>) {
        let of_validator = self.acked.entry(*vote.signer()).or_default();
        of_validator.insert(ack);
        self.acks.entry(ack).or_default().entry(*vote.signer()).or_insert(vote);
        if of_validator.len() > MAX_QCS
            && let Some(lowest) = of_validator.pop_first()
            && let Some(votes) = self.acks.get_mut(&lowest)
        {
            votes.remove(vote.signer());
            if votes.is_empty() {
                self.acks.remove(&lowest);
            }
        }
    }

    /// Counts a seal; `None` when one of its validator is there.
    pub(super) fn seal(&mut self, seal: Verified<Seal>) -> Option<Vec<Claim>> {
        if self.seals.contains_key(seal.signer()) {
            return None;
        }
        self.seals.insert(*seal.signer(), seal);
        let votes = self.votes.get(seal.signer()).into_iter().flat_map(BTreeMap::values).flatten();
        let acks = self.acks.values().filter_map(|votes| votes.get(seal.signer()));
        let claim = |vote: &Verified<Vote>| Claim::SealBreak { seal: *seal.signed(), vote: *vote.signed() };
        Some(votes.chain(acks).map(claim).collect())
    }

    /// Returns the seals.
    pub(super) const fn seals(&self) -> &BTreeMap<PublicKey, Verified<Seal>> {
        &self.seals
    }

    /// Returns all votes, by validator and length.
    pub(super) fn votes(&self) -> impl Iterator<Item = &Verified<Vote>> {
        self.votes.values().flat_map(BTreeMap::values).flatten()
    }

    /// Tells whether there is no vote.
    pub(super) fn is_empty(&self) -> bool {
        self.votes.is_empty()
    }

    /// Returns the votes of a validator for a feed, ascending by length.
    pub(super) fn of(&self, signer: &PublicKey, feed: &PublicKey) -> Vec<Verified<Vote>> {
        let votes = self.votes.get(signer).into_iter().flat_map(BTreeMap::values).flatten();
        votes.filter(|vote| vote.feed == *feed).copied().collect()
    }

    /// Returns the validators that voted.
    pub(super) fn signers(&self) -> impl Iterator<Item = &PublicKey> {
        self.votes.keys()
    }

    /// Returns the longest vote of each validator.
    pub(super) fn longest(&self) -> impl Iterator<Item = &Verified<Vote>> {
        self.votes.values().filter_map(|votes| votes.last_key_value()?.1.last())
    }

    /// Returns the votes of one length.
    pub(super) fn at(&self, length: u64) -> impl Iterator<Item = &Verified<Vote>> {
        self.votes.values().filter_map(move |votes| votes.get(&length)).flatten()
    }

    /// Makes a QC of the votes that agree with this one.
    pub(super) fn qc(&self, vote: &Vote, validators: &ValidatorSet) -> Option<VerifiedQc> {
        VerifiedQc::of_votes(&Certified::of(vote), validators, self.at(vote.target.head.length()))
    }

    /// Makes a Final of the votes that acknowledge a QC.
    pub(super) fn last_final(
        &self,
        certified: &Certified,
        room: &RoomId,
        validators: &ValidatorSet,
    ) -> Option<VerifiedFinal> {
        let votes = self.acks.get(&certified.ack(room))?;
        VerifiedFinal::of_votes(certified, room, validators, votes.values())
    }

    /// Forgets what is below a length that is final.
    pub(super) fn forget_below(&mut self, length: u64) {
        for votes in self.votes.values_mut() {
            // The newest vote of each validator stays: a later one may contradict it.
            while votes.len() > 1 && votes.first_key_value().is_some_and(|(first, _)| *first < length) {
                votes.pop_first();
            }
        }
        self.acks.retain(|ack, _| ack.length >= length);
        self.acked.values_mut().for_each(|acked| acked.retain(|ack| ack.length >= length));
    }
}
