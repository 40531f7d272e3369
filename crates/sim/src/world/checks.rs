//! What must hold, whatever happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use quorate_feed::fork::ForkProof;
use quorate_quorum::engine::{Alarm, Guard, Input};
use quorate_quorum::evidence::{Claim, Evidence, EvidenceKind, Judgement, Oracle, VerifiedEvidence};
use quorate_quorum::head::Head;
use quorate_quorum::statement::{Target, Verified, Vote};
use quorate_types::PublicKey;

use super::World;
use super::ledger::own_statements;
use super::registry::{Item, RULES, Registry};

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A node has sent a vote or a seal of its own that was not on its disk.
    SentBeforeDurable {
        /// Which.
        node: usize,
    },
    /// A run does not end.
    NoEnd {
        /// Events so far.
        events: u64,
    },
    /// A node does not start on its own records.
    Start {
        /// Which.
        node: usize,
        /// Why.
        error: String,
    },
    /// An honest node cuts the connection of an honest one.
    HonestPeerDropped {
        /// Who.
        node: usize,
        /// Whose.
        other: usize,
        /// Why.
        fault: String,
    },
    /// Two Finals of which neither contains the other.
    Disagreement {
        /// Who reported the second one.
        node: usize,
        /// Its epoch.
        epoch: u64,
        /// Its length.
        length: u64,
    },
    /// A Final of something that nobody has signed.
    UnknownFinal {
        /// Who reported it.
        node: usize,
    },
    /// A Final of something that the rules refuse, or with another state than theirs.
    RefusedFinal {
        /// Who reported it.
        node: usize,
    },
    /// A node's Final is lower after a restart.
    FinalLost {
        /// Which.
        node: usize,
        /// Blocks of the room that were final there.
        before: usize,
        /// Blocks that are.
        after: usize,
    },
    /// An honest key has signed a contradiction.
    Contradiction {
        /// Which.
        signer: PublicKey,
        /// The two.
        what: String,
    },
    /// Evidence against an honest key verifies.
    Framed {
        /// Which.
        key: PublicKey,
        /// Of what kind.
        kind: EvidenceKind,
    },
    /// Evidence that one connected honest node has has not reached another one.
    EvidenceMissing {
        /// Who lacks it.
        node: usize,
        /// Against whom.
        culprit: PublicKey,
    },
    /// Agreement is broken, and fewer than f+1 keys have evidence against them.
    NotAccountable {
        /// Keys that have.
        found: usize,
        /// Keys that must have.
        expected: usize,
    },
    /// Nothing becomes final although it could.
    NoProgress {
        /// Blocks of the room that are final at a node.
        node: usize,
        /// Action that should be among them.
        action: u64,
    },
    /// An honest node raised an alarm about itself, or about agreement.
    Alarmed {
        /// Which.
        node: usize,
        /// What it says.
        alarm: String,
    },
    /// What was expected of a scripted run did not happen.
    Script {
        /// What.
        expected: String,
    },
    /// An engine asks again and again to be called at a time that is past.
    Spins {
        /// Whose.
        node: usize,
    },
    /// Two runs of one seed differ.
    NotDeterministic,
}

/// What honest nodes take for final.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    /// The longest history.
    longest: Arc<Vec<Item>>,
    /// Blocks of the room that each node took for final.
    lengths: Vec<usize>,
    /// Whether agreement was broken.
    broken: bool,
}

impl World {
    /// An honest node takes something for final.
    pub(super) fn check_commit(&mut self, node: usize, epoch: u64, feed: PublicKey, target: Target) {
        if self.nodes[node].identity.is_faulty {
            return;
        }
        let Some(place) = self.registry.get(&feed, &target.head).cloned() else {
            self.violations.push(Violation::UnknownFinal { node });
            return;
        };
        self.coverage.commits += 1;
        self.coverage.final_epochs.insert(epoch);
        if place.refused || place.state_root != target.state_root || target.rules_hash != RULES {
            self.violations.push(Violation::RefusedFinal { node });
        }
        let longest = &self.agreed.longest;
        if longest.iter().zip(place.log.iter()).any(|(one, other)| one != other) {
            let length = target.head.length();
            self.violations.push(Violation::Disagreement { node, epoch, length });
            self.agreed.broken = true;
        } else if place.log.len() > longest.len() {
            self.agreed.longest = place.log.clone();
        }
        self.agreed.lengths.resize(self.nodes.len(), 0);
        let before = std::mem::replace(&mut self.agreed.lengths[node], place.log.len());
        if place.log.len() < before {
            self.violations.push(Violation::FinalLost { node, before, after: place.log.len() });
        }
        let here = &mut self.nodes[node];
        for action in place.log.iter().filter_map(|item| item.action) {
            here.waiting.remove(&action);
            here.done.insert(action);
        }
        self.pending(node);
    }

    /// An honest node believes evidence.
    pub(super) fn check_exposed(&mut self, node: usize, evidence: &VerifiedEvidence) {
        if self.nodes[node].identity.is_faulty {
            return;
        }
        let (key, kind) = (*evidence.culprit(), evidence.kind());
        *self.coverage.evidence.entry(kind).or_default() += 1;
        self.nodes[node].evidence.insert(*evidence.topic(), key);
        if !self.faulty_keys().contains(&key) {
            self.violations.push(Violation::Framed { key, kind });
        }
    }

    /// What a node signed is on its disk before anyone sees it, in whatever message.
    pub(super) fn check_durable(&mut self, node: usize, payload: &Bytes) {
        let here = &self.nodes[node];
        let Some(key) = here.identity.vote.as_ref().map(|signer| signer.public()) else { return };
        let is_durable = |statement: &Vec<u8>| here.disk.was_durable(statement);
        if !own_statements(payload, &key, &self.room).iter().all(is_durable) {
            self.violations.push(Violation::SentBeforeDurable { node });
        }
    }

    /// A node raises an alarm.
    pub(super) fn check_alarm(&mut self, node: usize, alarm: Alarm) {
        let here = &self.nodes[node];
        if here.identity.is_faulty {
            return;
        }
        self.coverage.alarms += 1;
        let is_restored = here.guard == Guard::Recovering;
        match alarm {
            Alarm::ForeignVote { .. } if is_restored => {}
            // A feed that forks shows another head than the one that was voted for.
            Alarm::VotedOtherwise { .. } if self.coverage.forks_met > 0 => {}
            alarm => self.violations.push(Violation::Alarmed { node, alarm: format!("{alarm:?}") }),
        }
    }

    /// A node holds two histories of one writer.
    pub(super) fn found_fork(&mut self, node: usize, proof: ForkProof) {
        let claim = Claim::WriterFork(Box::new(proof));
        self.accuse(node, claim);
    }

    /// A node compares the votes of a validator for a feed of which it holds several histories.
    pub(super) fn compare_votes(&mut self, node: usize, votes: &[Verified<Vote>]) {
        let claim = votes.iter().enumerate().find_map(|(at, longer)| {
            votes.iter().take(at).find_map(|shorter| self.linked_votes(node, shorter, longer))
        });
        if let Some(claim) = claim {
            self.accuse(node, claim);
        }
    }

    fn linked_votes(&self, node: usize, shorter: &Verified<Vote>, longer: &Verified<Vote>) -> Option<Claim> {
        let histories = &self.nodes[node].feeds.get(&shorter.feed)?.histories;
        let of = |vote: &Verified<Vote>| histories.iter().find(|held| held.contains(&vote.target.head));
        let roots = |vote: &Verified<Vote>| of(vote)?.tree().roots_at(vote.target.head.length());
        let nodes = of(longer)?.tree();
        let (first, second) = (roots(shorter)?, roots(longer)?);
        if first.length() == second.length() {
            return None;
        }
        Claim::linked_votes(*shorter.signed(), *longer.signed(), first, second, |index| {
            nodes.node(index.get())
        })
    }

    /// A node finds evidence by itself.
    pub fn accuse(&mut self, node: usize, claim: Claim) {
        let evidence = Evidence { room: self.room.id, claim };
        if let Ok(evidence) = evidence.verify(&self.room.id, &self.registry) {
            self.input(node, Input::Evidence(Box::new(evidence)));
        }
    }

    /// Checks what must hold at the end of a run: no honest key has contradicted itself, and broken agreement has names.
    pub fn check_end(&mut self) {
        self.coverage.time_us = self.now;
        let honest: BTreeSet<PublicKey> = self
            .nodes
            .iter()
            .filter(|node| !node.identity.is_faulty)
            .filter_map(|node| Some(node.identity.vote.as_ref()?.public()))
            .collect();
        let found = self.ledger.contradictions(self.room.id, &self.registry, |key| honest.contains(key));
        self.violations.extend(found);
        if self.agreed.broken {
            let exposed: BTreeSet<PublicKey> = self
                .honest_up()
                .iter()
                .flat_map(|node| self.nodes[*node].evidence.values())
                .copied()
                .collect();
            let found = exposed.iter().filter(|key| self.room.validators.contains(key)).count();
            let expected = self.room.validators.f() + 1;
            if found < expected {
                self.violations.push(Violation::NotAccountable { found, expected });
            }
        }
    }

    /// Checks that evidence has reached all honest nodes, which were connected for a while.
    pub fn check_evidence_spread(&mut self) {
        let honest = self.honest_up();
        let all: BTreeSet<PublicKey> =
            honest.iter().flat_map(|node| self.nodes[*node].evidence.values()).copied().collect();
        for node in honest {
            let known: BTreeSet<PublicKey> = self.nodes[node].evidence.values().copied().collect();
            for culprit in all.difference(&known) {
                self.violations.push(Violation::EvidenceMissing { node, culprit: *culprit });
            }
        }
    }

    /// Tells whether an action is final at every honest node that is up.
    pub fn is_done(&self, action: u64) -> bool {
        self.honest_up().iter().all(|node| self.nodes[*node].done.contains(&action))
    }

    /// Checks that an action became final everywhere.
    pub fn check_done(&mut self, action: u64) {
        for node in self.honest_up() {
            if !self.nodes[node].done.contains(&action) {
                self.violations.push(Violation::NoProgress { node, action });
            }
        }
    }

    /// Returns blocks of the room that some honest node takes for final.
    pub fn final_blocks(&self) -> usize {
        self.agreed.longest.len()
    }

    /// Tells whether two Finals disagree.
    pub fn is_broken(&self) -> bool {
        self.agreed.broken
    }

    /// Returns the honest nodes that are up.
    pub fn honest_up(&self) -> Vec<usize> {
        let is_honest_up = |at: &usize| {
            let node = &self.nodes[*at];
            !node.identity.is_faulty && node.engine.is_some()
        };
        (0..self.nodes.len()).filter(is_honest_up).collect()
    }

    fn faulty_keys(&self) -> BTreeSet<PublicKey> {
        let faulty = self.nodes.iter().filter(|node| node.identity.is_faulty);
        faulty
            .flat_map(|node| {
                let signers = node.identity.vote.iter().chain(&node.identity.host);
                signers.map(|signer| signer.public()).chain(node.writers.keys().copied())
            })
            .collect()
    }
}

/// Rules of the world: only what is marked as bad is refused.
impl Oracle for Registry {
    fn judge(&self, feed: &PublicKey, head: &Head) -> Judgement {
        match self.get(feed, head) {
            None => Judgement::Unable,
            Some(place) if place.refused => Judgement::Refused { rules_hash: RULES },
            Some(place) => Judgement::Accepted { state_root: place.state_root, rules_hash: RULES },
        }
    }

    fn judge_block(&self, feed: &PublicKey, before: Option<&Head>, block: &Bytes) -> Judgement {
        let Some(place) = before.and_then(|head| self.get(feed, head)) else { return Judgement::Unable };
        match block.first() {
            Some(&super::registry::BAD_TAG) => Judgement::Refused { rules_hash: RULES },
            _ => Judgement::Accepted { state_root: place.state_root, rules_hash: RULES },
        }
    }

    fn block(&self, _: &PublicKey, _: &Head, _: u64) -> Option<Bytes> {
        None
    }
}
