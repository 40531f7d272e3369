//! Scripted attackers: one validator or host breaks the rules on purpose, and the honest ones get over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_feed::sign::Form;
use quorate_proto::quorate1::{Message, QuorumMessage, QuorumStatus};
use quorate_quorum::certificate::{Certified, Qc};
use quorate_quorum::evidence::{Claim, Evidence, EvidenceKind};
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{Common, Grant, Seal, SealReason, Signed, Target, Verified, Vote};
use quorate_types::{PublicKey, RoomId, Signature, VsetHash};

use super::checks::Violation;
use super::history::{History, Shared};
use super::plan::{Cast, Outcome, outcome, settle};
use super::registry::{Block, RULES};
use super::rng::Rng;
use super::{Weather, World};

/// An attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// What is done.
    pub name: &'static str,
    /// Who does it: validator 0 is the first host.
    attacker: usize,
    /// Evidence that every honest node must have in the end; for `None` no node may have any.
    expected: Option<EvidenceKind>,
    run: fn(&mut World, usize),
}

/// The scripts, in the order of section 9.5 of the design.
pub const ATTACKS: [Attack; 18] = [
    attack("two histories of one length", 0, Some(EvidenceKind::WriterFork), |world, host| {
        fork(world, host, [&[1, 2], &[3, 4]], Form::Tree);
    }),
    attack("two histories of different lengths", 0, Some(EvidenceKind::WriterFork), |world, host| {
        fork(world, host, [&[1, 2], &[3, 4, 5, 6, 7]], Form::Tree);
    }),
    attack(
        "two histories, one signed in the 40-byte form",
        0,
        Some(EvidenceKind::WriterFork),
        |world, host| {
            fork(world, host, [&[1, 2, 3], &[4, 5]], Form::TreeLength);
        },
    ),
    attack("a block withheld after its root", 0, None, withhold),
    attack("a block that the rules refuse", 0, Some(EvidenceKind::BadAppend), |world, host| {
        let history = write(world, host, &[Block::Action(1), Block::Bad(2), Block::Action(3)], Form::Tree);
        show_all(world, host, &history);
    }),
    attack("two grants", 1, Some(EvidenceKind::DoubleGrant), two_grants),
    attack("two votes of one length", 3, Some(EvidenceKind::DoubleVote), |world, attacker| {
        let target = newest(world);
        let mut other = target;
        other.state_root = quorate_types::StateRoot::new([9; 32]);
        for target in [target, other] {
            let vote = vote(world, attacker, target, None);
            say_all(world, attacker, &vote);
        }
    }),
    attack("two votes for different feeds", 3, Some(EvidenceKind::DoubleVote), |world, attacker| {
        let target = newest(world);
        for feed in [world.room.feed, PublicKey::new([8; 32])] {
            let vote = vote_of(world, attacker, feed, target, 0);
            say_all(world, attacker, &message(QuorumMessage::Vote(vote.encode().into())));
        }
    }),
    attack("an old QC in a seal", 3, Some(EvidenceKind::SealBreak), |world, attacker| {
        let target = newest(world);
        let certified = certified(world, target);
        let vote = vote(world, attacker, target, Some(certified));
        let seal = seal(world, attacker, Some(target.head));
        say_all(world, attacker, &vote);
        say_all(world, attacker, &seal);
    }),
    attack("a seal, then a vote", 3, Some(EvidenceKind::SealBreak), |world, attacker| {
        let target = newest(world);
        let seal = seal(world, attacker, None);
        let vote = vote(world, attacker, target, None);
        say_all(world, attacker, &seal);
        say_all(world, attacker, &vote);
    }),
    attack("votes of another room", 3, None, |world, attacker| {
        replay(world, attacker, |common| common.room = RoomId::new([5; 32]))
    }),
    attack("votes of another epoch", 3, None, |world, attacker| {
        replay(world, attacker, |common| common.epoch = 7)
    }),
    attack("votes of other validators", 3, None, |world, attacker| {
        replay(world, attacker, |common| common.vset = VsetHash::new([5; 32]))
    }),
    attack("one vote as two", 3, None, |world, attacker| {
        for claim in [same_twice(world), malleated(world)].into_iter().flatten() {
            accuse(world, attacker, claim);
        }
    }),
    attack("evidence under a key of small order", 3, None, |world, attacker| {
        if let Some(claim) = small_order(world) {
            accuse(world, attacker, claim);
        }
    }),
    attack(
        "a QC with one vote too few, or twice the same, or of other validators",
        3,
        None,
        |world, attacker| {
            for qc in bad_certificates(world) {
                say_all(world, attacker, &message(QuorumMessage::Qc { qc: Some(qc), last_final: None }));
            }
        },
    ),
    attack("a flood of bad signatures", 3, None, |world, attacker| flood(world, attacker, true)),
    attack("a flood of bytes", 3, None, |world, attacker| flood(world, attacker, false)),
];

const fn attack(
    name: &'static str,
    attacker: usize,
    expected: Option<EvidenceKind>,
    run: fn(&mut World, usize),
) -> Attack {
    Attack { name, attacker, expected, run }
}

impl Attack {
    /// Carries it out: some honest work, the attack, and what must hold afterwards.
    pub fn run(&self, seed: u64) -> Outcome {
        let mut cast = Cast::honest(4);
        cast.faulty = vec![self.attacker];
        let mut rng = Rng::new(seed);
        let weather = Weather { jitter_us: rng.below(20_000), ..Weather::CALM };
        let mut world = cast.world(rng);
        world.weather = weather;
        for node in 0..world.nodes.len() {
            if node != self.attacker {
                world.start(node);
            }
        }
        world.make_puppet(self.attacker);
        if self.attacker != 0 {
            let action = world.act(2);
            if !world.run_until(Duration::from_secs(5), |world| world.is_done(action)) {
                world.violations.push(Violation::NoProgress { node: 2, action });
            }
        }
        (self.run)(&mut world, self.attacker);
        world.act(2);
        world.run_for(Duration::from_secs(3));
        settle(&mut world, true);
        self.check(&mut world);
        outcome(world)
    }

    fn check(&self, world: &mut World) {
        let found: Vec<EvidenceKind> = world.coverage.evidence.keys().copied().collect();
        let expected: Vec<EvidenceKind> = self.expected.into_iter().collect();
        if found != expected {
            let expected = format!("{}: evidence {expected:?}, found {found:?}", self.name);
            world.violations.push(Violation::Script { expected });
        }
    }
}

/// Writes a feed of the attacker's, behind what it has.
fn write(world: &mut World, host: usize, blocks: &[Block], form: Form) -> Shared {
    let feed = world.room.feed;
    let mut history =
        world.nodes[host].history(&feed).map_or_else(|| History::empty(feed), |held| History::clone(held));
    if let Some(writer) = world.nodes[host].writers.get(&feed) {
        for (at, block) in blocks.iter().enumerate() {
            // Only the end of the batch is signed.
            let form = (at + 1 == blocks.len()).then_some(form);
            world.registry.append_as(writer, &mut history, block, 0, form);
        }
    }
    Arc::new(history)
}

/// One history for the first honest node, another one for the rest.
fn fork(world: &mut World, host: usize, actions: [&[u64]; 2], form: Form) {
    let histories = actions.map(|actions| {
        let blocks: Vec<Block> = actions.iter().map(|action| Block::Action(*action)).collect();
        write(world, host, &blocks, form)
    });
    for to in others(world, host) {
        let [first, second] = &histories;
        world.show(host, to, if to == 1 { first } else { second });
    }
}

fn withhold(world: &mut World, host: usize) {
    let status = QuorumStatus { tip: 3, proposals: vec![2, 3], ..QuorumStatus::default() };
    say_all(world, host, &message(QuorumMessage::Status(status)));
}

/// The host of epoch 1 grants two feeds, after the others have left epoch 0, whose host had stalled.
fn two_grants(world: &mut World, host: usize) {
    world.hosts_append = false;
    world.act(2);
    world.run_for(Duration::from_secs(2));
    world.hosts_append = true;
    let Some(identity) = world.nodes[host].identity.host.clone() else { return };
    let common = common(world, host, 1);
    let grants = [1, 2].map(|key| {
        let feed = quorate_feed::sign::key_pair(&[key; 32]).0;
        *Verified::sign(Grant { common, feed }, &identity).signed()
    });
    let [a, b] = grants;
    accuse(world, host, Claim::double_grant(a, b));
}

/// What honest validators signed, with one field of another kind: their signatures do not fit, and the same with the
/// attacker's own signature.
fn replay(world: &mut World, attacker: usize, change: fn(&mut Common)) {
    let votes = world.ledger.votes();
    for mut vote in votes.into_iter().take(8) {
        if let Some(signer) = signer(world, attacker) {
            let mut own = vote.statement;
            change(&mut own.common);
            let own = Verified::sign(own, &signer);
            say_all(world, attacker, &message(QuorumMessage::Vote(own.encode().into())));
        }
        change(&mut vote.statement.common);
        say_all(world, attacker, &message(QuorumMessage::Vote(vote.encode().into())));
    }
}

fn same_twice(world: &World) -> Option<Claim> {
    let vote = *world.ledger.votes().first()?;
    Some(Claim::DoubleVote { first: vote, second: vote, link: None })
}

/// The order of the base point, little-endian: added to S it gives a second signature of one statement.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn malleated(world: &World) -> Option<Claim> {
    let vote = *world.ledger.votes().first()?;
    let mut bytes = *vote.signature.as_bytes();
    let mut carry = 0;
    for (byte, order) in bytes.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    let second = Signed { signature: Signature::new(bytes), ..vote };
    Some(Claim::DoubleVote { first: vote, second, link: None })
}

/// Under the neutral element every signature with R = S = 0 "verifies" without strictness.
fn small_order(world: &World) -> Option<Claim> {
    let mut first = *world.ledger.votes().first()?;
    let mut key = [0; 32];
    key[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    first.statement.common.signer = PublicKey::new(key);
    first.signature = Signature::new(signature);
    let mut second = first;
    second.statement.target.state_root = quorate_types::StateRoot::new([9; 32]);
    Some(Claim::double_vote(first, second))
}

fn bad_certificates(world: &World) -> Vec<Bytes> {
    let mut by_target: BTreeMap<Target, Vec<Signed<Vote>>> = BTreeMap::new();
    for vote in world.ledger.votes() {
        by_target.entry(vote.statement.target).or_default().push(vote);
    }
    let mut found = Vec::new();
    for votes in by_target.into_values() {
        let Some(first) = votes.first() else { continue };
        let certified = Certified::of(&first.statement);
        let qc = |certified: Certified, votes: &[Signed<Vote>]| {
            let places = votes.iter().filter_map(|vote| {
                let place = world.room.validators.position(&vote.statement.common.signer)?;
                Some((place as u32, (vote.statement.ack, vote.signature)))
            });
            Qc { certified, votes: places.collect() }.encode()
        };
        let few = world.room.validators.quorum() - 1;
        found.push(qc(certified, &votes[..few.min(votes.len())]));
        let mut other = certified;
        other.vset = VsetHash::new([5; 32]);
        found.push(qc(other, &votes));
    }
    found
}

fn flood(world: &mut World, attacker: usize, is_signed: bool) {
    let target = newest(world);
    for round in 0..500_u64 {
        let payload = if is_signed {
            let feed = world.room.feed;
            let mut vote = vote_of(world, attacker, feed, target, 0);
            vote.signature = Signature::new([round as u8; 64]);
            message(QuorumMessage::Vote(vote.encode().into()))
        } else {
            let mut bytes = Vec::new();
            for _ in 0..8 {
                bytes.extend(world.rng.bytes());
            }
            bytes.into()
        };
        say_all(world, attacker, &payload);
        world.run_for(Duration::from_millis(2));
    }
}

/// Accuses somebody; the bytes are all that counts.
fn accuse(world: &mut World, attacker: usize, claim: Claim) {
    let evidence = Evidence { room: world.room.id, claim };
    say_all(world, attacker, &message(QuorumMessage::Evidence(evidence.encode())));
}

fn newest(world: &World) -> Target {
    let feed = world.room.feed;
    let longest =
        world.nodes.iter().filter_map(|node| node.history(&feed)).max_by_key(|history| history.length());
    let head = longest.and_then(|history| history.head(history.length())).unwrap_or_else(no_head);
    let state_root = world.registry.get(&feed, &head).map(|place| place.state_root);
    Target {
        head,
        state_root: state_root.unwrap_or(quorate_types::StateRoot::new([0; 32])),
        rules_hash: RULES,
    }
}

fn no_head() -> Head {
    Head::new(1, quorate_types::Hash::new([0; 32])).expect("1 is a length")
}

fn certified(world: &World, target: Target) -> Certified {
    Certified { epoch: 0, vset: *world.room.validators.hash(), feed: world.room.feed, target }
}

fn common(world: &World, attacker: usize, epoch: u64) -> Common {
    let signer = signer(world, attacker).map_or(PublicKey::new([0; 32]), |signer| signer.public());
    Common { room: world.room.id, epoch, vset: *world.room.validators.hash(), signer }
}

fn signer(world: &World, attacker: usize) -> Option<Signer> {
    world.nodes[attacker].identity.vote.clone()
}

fn vote_of(world: &World, attacker: usize, feed: PublicKey, target: Target, epoch: u64) -> Signed<Vote> {
    let vote = Vote { common: common(world, attacker, epoch), feed, target, ack: None };
    sign(world, attacker, vote)
}

fn vote(world: &World, attacker: usize, target: Target, ack: Option<Certified>) -> Bytes {
    let ack = ack.map(|certified| certified.ack(&world.room.id));
    let vote = Vote { common: common(world, attacker, 0), feed: world.room.feed, target, ack };
    message(QuorumMessage::Vote(sign(world, attacker, vote).encode().into()))
}

fn seal(world: &World, attacker: usize, highest_vote: Option<Head>) -> Bytes {
    let seal = Seal {
        common: common(world, attacker, 0),
        feed: Some(world.room.feed),
        highest_qc: None,
        highest_vote,
        reason: SealReason::Stalled,
    };
    message(QuorumMessage::Seal(sign(world, attacker, seal).encode().into()))
}

fn sign<S: quorate_quorum::statement::Statement>(world: &World, attacker: usize, statement: S) -> Signed<S> {
    let signer = signer(world, attacker).expect("the attacker is a validator");
    *Verified::sign(statement, &signer).signed()
}

fn message(message: QuorumMessage) -> Bytes {
    Message::Quorum(message).encode()
}

fn others(world: &World, attacker: usize) -> Vec<usize> {
    (0..world.nodes.len()).filter(|node| *node != attacker).collect()
}

/// Says something to everyone; whoever has cut the connection does not hear it.
fn say_all(world: &mut World, attacker: usize, payload: &Bytes) {
    for to in others(world, attacker) {
        world.say(attacker, to, payload);
    }
}

fn show_all(world: &mut World, attacker: usize, history: &Shared) {
    for to in others(world, attacker) {
        world.show(attacker, to, history);
    }
}
