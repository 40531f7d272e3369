//! Scripted attackers: one validator or host breaks the rules on purpose, and the honest ones get over it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_feed::sign::Form;
use quorate_proto::quorate1::{Message, QuorumMessage, QuorumStatus};
use quorate_quorum::certificate::{CertificateError, Certified};
use quorate_quorum::engine::Fault;
use quorate_quorum::evidence::{Claim, Evidence, EvidenceError, EvidenceKind};
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{
    Common, Grant, Seal, SealReason, Signed, StatementError, Target, Verified, Vote,
};
use quorate_types::{PublicKey, RoomId, Signature, StateRoot, VsetHash};

use super::checks::Violation;
use super::forged;
use super::history::{History, Shared};
use super::plan::{Cast, Outcome, outcome, settle};
use super::registry::{Block, RULES};
use super::rng::Rng;
use super::{Cut, RECONNECT_US, Weather, World};

/// Time in which everyone has heard what an attacker says.
const HEARD: Duration = Duration::from_millis(60);

/// Time in which a connection that was cut is there again.
const CONNECTED: Duration = Duration::from_micros(RECONNECT_US + 10_000);

/// A feed that is none of the room's.
const ELSEWHERE: PublicKey = PublicKey::new([8; 32]);

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
pub const ATTACKS: [Attack; 19] = [
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
        other.state_root = StateRoot::new([9; 32]);
        for target in [target, other] {
            let vote = vote(world, attacker, target, None);
            say_all(world, attacker, &vote);
        }
    }),
    attack("two votes for different feeds", 3, Some(EvidenceKind::DoubleVote), |world, attacker| {
        let target = newest(world);
        for feed in [world.room.feed, ELSEWHERE] {
            let vote = vote_of(world, attacker, feed, target, 0);
            say_all(world, attacker, &vote_message(&vote));
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
    attack("votes of another feed", 3, None, replay_elsewhere),
    attack("one vote as two", 3, None, one_as_two),
    attack("evidence under a key of small order", 3, None, |world, attacker| {
        let Some(vote) = a_vote(world) else { return };
        let accusation = accusation(world, forged::small_order(vote));
        say_in_vain(world, attacker, &accusation);
    }),
    attack(
        "a QC with one vote too few, or twice the same, or of other validators",
        3,
        None,
        bad_certificates,
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

/// The host shows a signed root and not the last block below it, in which the action stands that waits.
fn withhold(world: &mut World, host: usize) {
    let feed = world.room.feed;
    let status = |tip| {
        let status = QuorumStatus { tip, proposals: vec![tip], ..QuorumStatus::default() };
        message(QuorumMessage::Status(status))
    };
    let shown = write(world, host, &[Block::Action(101)], Form::Tree);
    world.take_feed(host, shown.clone());
    show_all(world, host, &shown);
    say_all(world, host, &status(2));
    let is_final = world.run_until(Duration::from_secs(2), |world| world.is_done(101));
    expect(world, is_final, "a Final of what the host shows");

    let action = world.act(2);
    let whole = write(world, host, &[Block::Action(action)], Form::Tree);
    show_all(world, host, &Arc::new(whole.without_block(2)));
    say_all(world, host, &status(3));
    world.run_for(HEARD);
    let is_shown = |history: &Shared| history.is_signed(3) && !history.is_whole(3);
    let all_hold =
        others(world, host).iter().all(|node| world.nodes[*node].history(&feed).is_some_and(is_shown));
    expect(world, all_hold, "everyone with the signed root, and nobody with the block");
    let is_left = |world: &World| world.honest_up().iter().all(|node| world.nodes[*node].epoch == 1);
    let goes_on = world.run_until(Duration::from_secs(10), |world| world.is_done(action) && is_left(world));
    expect(world, goes_on, "the next host to append what waits");

    // What comes now comes too late.
    show_all(world, host, &whole);
    world.run_for(Duration::from_secs(1));
    let is_withheld =
        |vote: &Signed<Vote>| vote.statement.feed == feed && !shown.contains(&vote.statement.target.head);
    let nobody_votes = !world.ledger.votes().iter().any(is_withheld);
    expect(world, nobody_votes, "no vote for a root whose blocks are not all there");
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
    let votes = forged::newest_votes(world);
    expect(world, !votes.is_empty(), "votes to replay");
    for mut vote in votes {
        change(&mut vote.statement.common);
        let own = sign(world, attacker, vote.statement);
        for vote in [own, vote] {
            say_in_vain(world, attacker, &vote_message(&vote));
        }
    }
    let (room, vset) = (world.room.id, *world.room.validators.hash());
    expect_counted(world, |vote| (vote.common.room, vote.common.vset, vote.common.epoch) == (room, vset, 0));
}

/// The same for a feed: alone, in a QC, and as one half of a contradiction.
fn replay_elsewhere(world: &mut World, attacker: usize) {
    let votes = forged::newest_votes(world);
    let Some(first) = votes.first().map(|vote| vote.statement) else {
        return expect(world, false, "votes to replay");
    };
    for vote in &votes {
        let moved = forged::of_feed(*vote, ELSEWHERE);
        let own = sign(world, attacker, moved.statement);
        say_in_vain(world, attacker, &vote_message(&own));
        say_refused(world, attacker, &vote_message(&moved), |fault| {
            matches!(fault, Fault::Statement(StatementError::Key(_)))
        });
        let accusation = accusation(world, Claim::double_vote(*vote, moved));
        say_refused(world, attacker, &accusation, |fault| {
            matches!(fault, Fault::Evidence(EvidenceError::Key(_)))
        });
    }
    let certified = Certified { feed: ELSEWHERE, ..Certified::of(&first) };
    let qc = qc_message(forged::qc(world, certified, &votes));
    say_refused(world, attacker, &qc, |fault| matches!(fault, Fault::Certificate(CertificateError::Key(_))));
    let own = common(world, attacker, 0).signer;
    expect_counted(world, |vote| vote.feed != ELSEWHERE || vote.common.signer == own);
}

/// Signatures are not what is compared, and there is one of each statement.
fn one_as_two(world: &mut World, attacker: usize) {
    let Some(vote) = a_vote(world) else { return };
    let malleated = forged::malleated(vote);
    for second in [vote, malleated] {
        let accusation = accusation(world, Claim::DoubleVote { first: vote, second, link: None });
        say_refused(world, attacker, &accusation, |fault| {
            matches!(fault, Fault::Evidence(EvidenceError::Consistent { .. }))
        });
    }
    say_refused(world, attacker, &vote_message(&malleated), |fault| {
        matches!(fault, Fault::Statement(StatementError::Key(_)))
    });
}

/// Of the three validators that may vote one is cut off, so that the others' votes are no QC.
fn bad_certificates(world: &mut World, attacker: usize) {
    let votes = forged::newest_votes(world);
    let Some(first) = votes.first().map(|vote| vote.statement) else {
        return expect(world, false, "votes of a quorum");
    };
    let other = Certified { vset: VsetHash::new([5; 32]), ..Certified::of(&first) };
    let qc = qc_message(forged::qc(world, other, &votes));
    say_in_vain(world, attacker, &qc);

    world.partition((0..world.nodes.len()).map(|node| u32::from(node == 2)).collect());
    world.act(0);
    world.run_for(Duration::from_millis(200));
    let (votes, quorum) = (forged::newest_votes(world), world.room.validators.quorum());
    let Some(certified) = votes.first().map(|vote| Certified::of(&vote.statement)) else { return };
    expect(world, certified.target != first.target && votes.len() == quorum - 1, "one vote too few for a QC");
    let too_few = forged::qc(world, certified, &votes);
    say_refused(world, attacker, &qc_message(too_few.clone()), |fault| {
        matches!(fault, Fault::Certificate(CertificateError::TooFew { .. }))
    });
    say_refused(world, attacker, &qc_message(forged::first_twice(too_few)), |fault| {
        matches!(fault, Fault::Certificate(CertificateError::Twice { .. }))
    });
    let is_made_up = |found: &Certified| *found == certified || *found == other;
    let nobody_holds = world.honest_up().iter().all(|node| {
        let engine = world.nodes[*node].engine.as_ref();
        !engine.and_then(|engine| engine.last_qc()).is_some_and(|qc| is_made_up(qc.certified()))
    });
    expect(world, nobody_holds, "no QC of what a quorum did not vote for");
    world.heal();
}

fn flood(world: &mut World, attacker: usize, is_signed: bool) {
    let target = newest(world);
    for round in 0..500_u64 {
        let payload = if is_signed {
            let feed = world.room.feed;
            let mut vote = vote_of(world, attacker, feed, target, 0);
            vote.signature = Signature::new([round as u8; 64]);
            vote_message(&vote)
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
    let accusation = accusation(world, claim);
    say_all(world, attacker, &accusation);
}

fn accusation(world: &World, claim: Claim) -> Bytes {
    message(QuorumMessage::Evidence(Evidence { room: world.room.id, claim }.encode()))
}

/// Returns an honest vote to be twisted.
fn a_vote(world: &mut World) -> Option<Signed<Vote>> {
    let vote = forged::newest_votes(world).first().copied();
    expect(world, vote.is_some(), "an honest vote");
    vote
}

fn newest(world: &World) -> Target {
    let feed = world.room.feed;
    let longest =
        world.nodes.iter().filter_map(|node| node.history(&feed)).max_by_key(|history| history.length());
    let head = longest.and_then(|history| history.head(history.length())).unwrap_or_else(no_head);
    let state_root = world.registry.get(&feed, &head).map(|place| place.state_root);
    Target { head, state_root: state_root.unwrap_or(StateRoot::new([0; 32])), rules_hash: RULES }
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
    vote_message(&sign(world, attacker, vote))
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

fn vote_message(vote: &Signed<Vote>) -> Bytes {
    message(QuorumMessage::Vote(vote.encode().into()))
}

fn qc_message(qc: Bytes) -> Bytes {
    message(QuorumMessage::Qc { qc: Some(qc), last_final: None })
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

/// Says what everyone must refuse: each who can be talked to hears it and cuts the connection, for what is expected.
fn say_refused(world: &mut World, attacker: usize, payload: &Bytes, is_expected: fn(&Fault) -> bool) {
    let cuts = say_to_all(world, attacker, payload);
    for node in within_reach(world, attacker) {
        let is_refused = cuts.iter().any(|cut| cut.node == node && is_expected(&cut.fault));
        expect(world, is_refused, &format!("node {node} to hear and refuse something, found {cuts:?}"));
    }
    world.run_for(CONNECTED);
}

/// Says what everyone hears and makes nothing of.
fn say_in_vain(world: &mut World, attacker: usize, payload: &Bytes) {
    let cuts = say_to_all(world, attacker, payload);
    expect(world, cuts.is_empty(), &format!("everyone to go on listening, found {cuts:?}"));
}

/// Says something to everyone within reach, all of whom are connected; returns the connections that were cut.
fn say_to_all(world: &mut World, attacker: usize, payload: &Bytes) -> Vec<Cut> {
    let before = world.cuts.len();
    for node in within_reach(world, attacker) {
        let is_connected = world.say(attacker, node, payload);
        expect(world, is_connected, &format!("a connection to node {node}"));
    }
    world.run_for(HEARD);
    world.cuts.iter().skip(before).cloned().collect()
}

fn within_reach(world: &World, attacker: usize) -> Vec<usize> {
    others(world, attacker).into_iter().filter(|node| world.can_talk(attacker, *node)).collect()
}

/// Expects of all votes that honest nodes have counted that they are such.
fn expect_counted(world: &mut World, is_such: impl Fn(&Vote) -> bool) {
    let honest = world.honest_up();
    let engines = honest.iter().filter_map(|node| world.nodes[*node].engine.as_ref());
    let holds = engines.flat_map(|engine| engine.votes()).all(|vote| is_such(vote));
    expect(world, holds, "no vote of elsewhere to be counted");
}

fn expect(world: &mut World, holds: bool, what: &str) {
    if !holds {
        world.violations.push(Violation::Script { expected: what.to_owned() });
    }
}
