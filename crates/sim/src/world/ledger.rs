//! Everything that honest nodes have signed and sent, and whether anyone could be accused with it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_proto::quorate1::{Frame, Frames, Message, QuorumMessage};
use quorate_quorum::certificate::{Certified, Final, Qc};
use quorate_quorum::evidence::{Claim, Evidence};
use quorate_quorum::statement::{Ack, Common, Seal, Signed, Target, Vote};
use quorate_types::{PublicKey, RoomId, Signature};

use super::checks::Violation;
use super::node::Room;
use super::registry::Registry;

/// Votes and seals, by their signer.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    signers: BTreeMap<PublicKey, Statements>,
    seen: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Clone, Default)]
struct Statements {
    votes: Vec<Signed<Vote>>,
    seals: Vec<Signed<Seal>>,
}

impl Ledger {
    /// Reads the statements in a message.
    pub(super) fn record(&mut self, payload: &Bytes) {
        for message in messages(payload) {
            let (QuorumMessage::Vote(bytes) | QuorumMessage::Seal(bytes)) = message else { continue };
            if !self.seen.insert(bytes.to_vec()) {
                continue;
            }
            if let Ok(vote) = Signed::<Vote>::decode(&bytes) {
                self.signers.entry(vote.statement.common.signer).or_default().votes.push(vote);
            } else if let Ok(seal) = Signed::<Seal>::decode(&bytes) {
                self.signers.entry(seal.statement.common.signer).or_default().seals.push(seal);
            }
        }
    }

    /// Returns all votes.
    pub fn votes(&self) -> Vec<Signed<Vote>> {
        self.signers.values().flat_map(|statements| &statements.votes).copied().collect()
    }

    /// Looks for contradictions of honest keys: in what their statements mean, and by building evidence.
    pub(super) fn contradictions(
        &self,
        room: RoomId,
        registry: &Registry,
        is_honest: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        for (signer, statements) in self.signers.iter().filter(|(signer, _)| is_honest(signer)) {
            for (at, vote) in statements.votes.iter().enumerate() {
                for other in statements.votes.iter().skip(at + 1) {
                    if contradict(vote, other, registry) || proves(room, Claim::double_vote(*vote, *other)) {
                        found.push(Violation::Contradiction {
                            signer: *signer,
                            what: format!("{vote:?} and {other:?}"),
                        });
                    }
                }
                for seal in &statements.seals {
                    let claim = Claim::SealBreak { seal: *seal, vote: *vote };
                    if seal.statement.common.epoch == vote.statement.common.epoch && proves(room, claim) {
                        found.push(Violation::Contradiction {
                            signer: *signer,
                            what: format!("{vote:?} and {seal:?}"),
                        });
                    }
                }
            }
        }
        found
    }
}

/// Lists the votes and seals of one key in a message, encoded: by themselves and in certificates.
pub(super) fn own_statements(payload: &Bytes, key: &PublicKey, room: &Room) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for message in messages(payload) {
        match message {
            QuorumMessage::Vote(bytes) => {
                let vote = Signed::<Vote>::decode(&bytes).ok();
                found.extend(
                    vote.filter(|vote| vote.statement.common.signer == *key).map(|vote| vote.encode()),
                );
            }
            QuorumMessage::Seal(bytes) => {
                let seal = Signed::<Seal>::decode(&bytes).ok();
                found.extend(
                    seal.filter(|seal| seal.statement.common.signer == *key).map(|seal| seal.encode()),
                );
            }
            QuorumMessage::Qc { qc, last_final } => {
                if let Some(Ok(qc)) = qc.map(Qc::decode) {
                    let places = qc
                        .votes
                        .iter()
                        .map(|(place, (ack, signature))| (*place, qc.certified.target, *ack, *signature));
                    found.extend(places.filter_map(|vote| own_vote(&qc.certified, vote, key, room)));
                }
                if let Some(Ok(last)) = last_final.map(Final::decode) {
                    let ack = Some(last.certified.ack(&room.id));
                    let places = last
                        .votes
                        .iter()
                        .map(|(place, (target, signature))| (*place, *target, ack, *signature));
                    found.extend(places.filter_map(|vote| own_vote(&last.certified, vote, key, room)));
                }
            }
            _ => {}
        }
    }
    found
}

/// Writes out a vote that stands in a certificate, when it is of this key.
fn own_vote(
    certified: &Certified,
    (place, target, ack, signature): (u32, Target, Option<Ack>, Signature),
    key: &PublicKey,
    room: &Room,
) -> Option<Vec<u8>> {
    // Places mean something in the first set of validators, which is the only one in most worlds.
    if certified.vset != *room.validators.hash() || room.validators.position(key)? != place as usize {
        return None;
    }
    let common = Common { room: room.id, epoch: certified.epoch, vset: certified.vset, signer: *key };
    let statement = Vote { common, feed: certified.feed, target, ack };
    Some(Signed { statement, signature }.encode())
}

fn messages(payload: &Bytes) -> impl Iterator<Item = QuorumMessage> {
    Frames::new(payload.clone()).flatten().filter_map(|frame| match frame {
        Frame::Message(Message::Quorum(message)) => Some(message),
        _ => None,
    })
}

/// Tells whether two votes of one key are for histories of one epoch that disagree.
fn contradict(a: &Signed<Vote>, b: &Signed<Vote>, registry: &Registry) -> bool {
    let (a, b) = (&a.statement, &b.statement);
    if a.common.epoch != b.common.epoch {
        return false;
    }
    let places = (registry.get(&a.feed, &a.target.head), registry.get(&b.feed, &b.target.head));
    let disagree = match places {
        (Some(one), Some(two)) => one.log.iter().zip(two.log.iter()).any(|(one, two)| one != two),
        // An honest node votes for what it holds, and what it holds is registered.
        _ => true,
    };
    a.feed != b.feed || disagree
}

fn proves(room: RoomId, claim: Claim) -> bool {
    Evidence { room, claim }.verify(&room, &quorate_quorum::evidence::NoOracle).is_ok()
}
