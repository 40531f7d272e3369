//! Evidence that is held, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use quorate_feed::SignedRoots;
use quorate_feed::fork::ForkProof;
use quorate_proto::quorate1::{Message, QuorumMessage};
use quorate_types::limits::MAX_EVIDENCE;
use quorate_types::{Hash, PublicKey};

use super::Engine;
use super::disk::After;
use super::event::{Output, Slot};
use super::limits::MAX_EVIDENCE_OF_CULPRIT;
use super::seen::hash;
use crate::evidence::{Claim, Evidence, EvidenceKind, NoOracle, VerifiedEvidence, VoteLink};
use crate::head::Head;
use crate::statement::{Common, Signed, Verified, Vote};

/// Evidence by its id.
#[derive(Debug, Default)]
pub(super) struct Exposed {
    held: BTreeMap<Hash, VerifiedEvidence>,
    topics: BTreeSet<Hash>,
    of_culprit: BTreeMap<PublicKey, usize>,
}

impl Exposed {
    /// Keeps evidence; tells whether it says something new and there is room.
    pub(super) fn insert(&mut self, evidence: &VerifiedEvidence) -> bool {
        let count = self.of_culprit.get(evidence.culprit()).copied().unwrap_or(0);
        let is_known = self.topics.contains(evidence.topic());
        if is_known || count >= MAX_EVIDENCE_OF_CULPRIT || self.held.len() >= MAX_EVIDENCE {
            return false;
        }
        self.topics.insert(*evidence.topic());
        self.of_culprit.insert(*evidence.culprit(), count.saturating_add(1));
        self.held.insert(*evidence.id(), evidence.clone());
        true
    }

    /// Tells whether evidence with this id is held.
    pub(super) fn contains(&self, id: &Hash) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &VerifiedEvidence> {
        self.held.values()
    }

    /// Returns all ids, ascending.
    pub(super) fn ids(&self) -> Vec<Hash> {
        self.held.keys().copied().collect()
    }

    /// Hashes all ids; `None` when there is no evidence.
    pub(super) fn digest(&self) -> Option<Hash> {
        let ids: Vec<u8> = self.held.keys().flat_map(|id| *id.as_bytes()).collect();
        if ids.is_empty() { None } else { Some(hash(&ids)) }
    }
}

impl Engine {
    /// Tries what may be contradictions; what is none leads to nothing.
    pub(super) fn claim_all(&mut self, claims: Vec<Claim>) {
        for claim in claims {
            let room = *self.epoch().room();
            if let Ok(evidence) = (Evidence { room, claim }).verify(&room, &NoOracle) {
                self.expose(evidence);
            }
        }
    }

    /// Compares a vote of an epoch that is over with what its validator signed then. The vote need not be verified.
    pub(super) fn look_back(&mut self, vote: &Signed<Vote>) {
        let Common { epoch: number, signer, .. } = vote.statement.common;
        let Some(epoch) = self.epoch_at(number) else { return };
        let verified = (*vote).verify_in(epoch.room(), number, epoch.validators());
        if let (Ok(verified), Some(tally)) = (verified, self.left.get_mut(&number)) {
            let counted = tally.vote(verified);
            self.claim_all(counted.claims);
            if counted.is_new {
                self.compare_votes(number, &signer, &vote.statement.feed);
            }
        }
        let Some(epoch) = self.epoch_at(number) else { return };
        let seal = self.step(number.saturating_add(1)).and_then(|step| step.start.as_ref());
        if let Some(seal) = seal.and_then(|(start, _, _)| start.handover.seal_of(epoch, &signer)) {
            self.claim_all(vec![Claim::SealBreak { seal, vote: *vote }]);
        }
    }

    /// Takes evidence that holds.
    pub(super) fn expose(&mut self, evidence: VerifiedEvidence) {
        let room = *self.epoch().room();
        let (kind, culprit) = (evidence.kind(), *evidence.culprit());
        if evidence.evidence().room != room {
            return;
        }
        if !self.is_known_signer(kind, &culprit) {
            self.granted.keep(evidence);
            return;
        }
        let is_new = self.exposed.insert(&evidence);
        if let Claim::WriterFork(proof) = &evidence.evidence().claim {
            // It may have come before the histories.
            self.compare_all(&proof.key);
        }
        if !is_new {
            return;
        }
        let id = *evidence.id();
        self.write(Slot::Evidence { id }, evidence.bytes().clone(), After::Nothing);
        let message = Message::Quorum(QuorumMessage::Evidence(evidence.bytes().clone())).encode();
        self.broadcast(None, &message);
        self.out.push_back(Output::Exposed(Box::new(evidence.clone())));
        if let Claim::WriterFork(proof) = &evidence.evidence().claim {
            let claims = self.votes_for_both(proof);
            self.claim_all(claims);
        }
    }

    /// Tells whether there is evidence against the host of this epoch.
    pub(super) fn is_host_exposed(&self) -> bool {
        let (feed, host) = (self.epoch().feed(), self.epoch().host_key());
        self.exposed.iter().any(|evidence| {
            let culprit = Some(evidence.culprit());
            evidence.kind().is_of_host() && (culprit == feed || culprit == host)
        })
    }

    /// Tells whether a key is one that evidence in this room may be about. Others could fill the store with keys of
    /// their own making.
    pub(super) fn is_known_signer(&self, kind: EvidenceKind, key: &PublicKey) -> bool {
        let epochs = || self.past.iter().chain([&self.current]).map(|step| &step.epoch);
        let is_host = || {
            epochs().any(|epoch| epoch.feed() == Some(key) || epoch.host_key() == Some(key))
                || self.granted.names(key)
        };
        let is_validator = || epochs().any(|epoch| epoch.validators().contains(key));
        if kind.is_of_host() {
            is_host()
        } else if kind.is_of_validator() {
            is_validator()
        } else {
            self.promises.contains_key(key) || is_validator() || is_host()
        }
    }

    /// Asks whoever holds the histories of a feed that forks to compare the votes of a validator, unless it is exposed.
    pub(super) fn compare_votes(&mut self, number: u64, signer: &PublicKey, feed: &PublicKey) {
        let is_about =
            |evidence: &VerifiedEvidence, kind, key| evidence.kind() == kind && evidence.culprit() == key;
        let mut evidence = self.exposed.iter();
        let is_forked = evidence.any(|evidence| is_about(evidence, EvidenceKind::WriterFork, feed));
        let mut evidence = self.exposed.iter();
        let is_named = evidence.any(|evidence| is_about(evidence, EvidenceKind::DoubleVote, signer));
        let here = Some(&self.here.tally).filter(|_| number == self.current.epoch.number());
        let tally = here.or_else(|| self.left.get(&number));
        let Some(tally) = tally.filter(|_| is_forked && !is_named) else { return };
        let votes = tally.of(signer, feed);
        if votes.len() > 1 {
            self.out.push_back(Output::Compare(votes));
        }
    }

    fn compare_all(&mut self, feed: &PublicKey) {
        let here = [(self.current.epoch.number(), &self.here.tally)];
        let tallies = self.left.iter().map(|(number, tally)| (*number, tally)).chain(here);
        let signers =
            tallies.flat_map(|(number, tally)| tally.signers().map(move |signer| (number, *signer)));
        let signers: Vec<(u64, PublicKey)> = signers.collect();
        for (number, signer) in signers {
            self.compare_votes(number, &signer, feed);
        }
    }

    /// A writer's two histories show which votes for them contradict each other.
    fn votes_for_both(&self, proof: &ForkProof) -> Vec<Claim> {
        let head =
            |signed: &SignedRoots| Head::new(signed.roots.length(), signed.roots.tree_hash(proof.flavour));
        let (Some(first), Some(second)) = (head(&proof.a), head(&proof.b)) else { return Vec::new() };
        let of = |head: Head| {
            let tallies = self.left.values().chain([&self.here.tally]);
            let votes = tallies.flat_map(move |tally| tally.at(head.length()));
            votes.filter(move |vote| vote.target.head == head && vote.feed == proof.key)
        };
        let link = || VoteLink {
            first: proof.a.roots.clone(),
            second: proof.b.roots.clone(),
            nodes: proof.link.clone(),
        };
        let claim = |a: &Verified<Vote>, b: &Verified<Vote>| {
            if first.length() == second.length() {
                return Claim::double_vote(*a.signed(), *b.signed());
            }
            Claim::DoubleVote { first: *a.signed(), second: *b.signed(), link: Some(Box::new(link())) }
        };
        let pairs = of(first).filter_map(|a| {
            let is_pair = |b: &&Verified<Vote>| b.signer() == a.signer() && b.common.epoch == a.common.epoch;
            let b = of(second).find(is_pair)?;
            Some(claim(a, b))
        });
        pairs.collect()
    }
}
