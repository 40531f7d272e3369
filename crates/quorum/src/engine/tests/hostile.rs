//! Peers and validators that cheat, and what becomes of it.

use std::time::Duration;

use bytes::Bytes;
use quorate_feed::fork::{ForkProof, find_link};
use quorate_feed::sign::{Form, Signer as FeedSigner, key_pair};
use quorate_feed::{Flavour, MemoryTree, SignedRoots};
use quorate_proto::quorate1::{Message, QuorumMessage};
use quorate_proto::stream::{Entry, Proof, ProofKind};
use quorate_types::{Hash, PublicKey, RoomId};

use super::super::*;
use super::world::World;
use crate::certificate::tests::{FEED, ROOM, genesis, qc, signer, target, validators, vote};
use crate::certificate::{Epoch, Start, VerifiedQc, encode_change};
use crate::evidence::{Claim, Evidence, EvidenceKind, NoOracle};
use crate::head::Head;
use crate::key::KeyError;
use crate::statement::{Common, Have, QcRef, SealReason, StatementError, Verified};

const MOMENT: Duration = Duration::from_millis(100);

pub(super) fn send(world: &mut World, to: usize, from: u64, message: QuorumMessage) {
    let payload = Message::Quorum(message).encode();
    world.input(to, Input::Message { peer: Peer(from), payload });
}

pub(super) fn vote_bytes(vote: &Verified<crate::statement::Vote>) -> QuorumMessage {
    QuorumMessage::Vote(vote.encode().into())
}

pub(super) fn head_of(length: u64, byte: u8) -> Head {
    Head::new(length, Hash::new([byte; 32])).unwrap()
}

fn faults(world: &World, node: usize) -> Vec<Fault> {
    let outputs = world.nodes[node].outputs.iter();
    let fault = |output: &Output| match output {
        Output::Disconnect { fault, .. } => Some(fault.clone()),
        _ => None,
    };
    outputs.filter_map(fault).collect()
}

pub(super) fn exposed(world: &World, node: usize) -> Vec<(EvidenceKind, PublicKey)> {
    let evidence = world.nodes[node].engine.evidence();
    evidence.map(|evidence| (evidence.kind(), *evidence.culprit())).collect()
}

#[test]
fn two_votes_for_one_length_are_evidence_that_everyone_gets() {
    let mut world = World::new(4, 1);
    let epoch = genesis(4);
    // Validator 3 is a cheat: node 3 does not run, its key signs.
    world.down.insert(3);
    let one = vote(&epoch, 3, head_of(2, 7), None);
    let two = vote(&epoch, 3, head_of(2, 8), None);
    send(&mut world, 1, 3, vote_bytes(&one));
    send(&mut world, 2, 3, vote_bytes(&two));
    world.run(MOMENT);
    for node in [0, 1, 2, 4] {
        assert_eq!(exposed(&world, node), [(EvidenceKind::DoubleVote, signer(3).public())], "node {node}");
        let evidence = world.nodes[node].engine.evidence().next().unwrap();
        let again = Evidence::decode(evidence.bytes().clone()).unwrap().verify(&ROOM, &NoOracle);
        assert_eq!(again.as_ref(), Ok(evidence));
        assert!(world.nodes[node].records.contains_key(&Slot::Evidence { id: *evidence.id() }));
    }
    let appended = world.nodes[0].outputs.iter();
    let blocks = |output: &&Output| matches!(output, Output::Append { what: Append::Evidence(_), .. });
    assert_eq!(appended.filter(blocks).count(), 1);
    // The room goes on without it.
    world.append(FEED, 3, true);
    world.run(MOMENT);
    assert_eq!(world.last(0), Some((0, FEED, 3)));
    // Who comes later asks for it.
    world.down.remove(&3);
    world.restart(3, None);
    world.run(Duration::from_secs(11));
    assert_eq!(exposed(&world, 3).len(), 1);
}

#[test]
fn a_vote_after_a_seal_and_a_forgotten_acknowledgement_are_evidence() {
    let mut world = World::new(4, 0);
    world.append(FEED, 3, true);
    world.run(MOMENT);
    let epoch = genesis(4);
    world.down.insert(3);
    let votes: Vec<_> =
        world.nodes[1].engine.votes().filter(|vote| *vote.signer() == signer(3).public()).collect();
    assert!(votes.iter().any(|vote| vote.ack.is_some_and(|ack| ack.length == 3)));
    // It says that it holds nothing.
    let seal = crate::certificate::tests::seal(&epoch, 3, None, SealReason::Stalled);
    send(&mut world, 1, 3, QuorumMessage::Seal(seal.encode().into()));
    world.run(MOMENT);
    let expected = (EvidenceKind::SealBreak, signer(3).public());
    assert!((0..3).all(|node| exposed(&world, node).contains(&expected)));
    // And a validator whose seal is honest votes again.
    let qc = world.nodes[1].engine.last_qc().unwrap().reference();
    let seal = crate::certificate::tests::seal(&epoch, 2, Some(qc), SealReason::Stalled);
    world.down.insert(2);
    send(&mut world, 1, 2, QuorumMessage::Seal(seal.encode().into()));
    world.run(MOMENT);
    let of_two = (EvidenceKind::SealBreak, signer(2).public());
    assert!(!exposed(&world, 1).contains(&of_two));
    assert_eq!(world.nodes[1].engine.epoch().number(), 1, "with that there are enough seals");
    send(&mut world, 1, 2, vote_bytes(&vote(&epoch, 2, head_of(9, 9), None)));
    world.run(MOMENT);
    assert!(exposed(&world, 0).contains(&of_two));
}

#[test]
fn a_bad_signature_closes_the_connection_and_a_replay_does_nothing() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    let good = vote(&epoch, 3, head_of(2, 7), None);
    let mut forged = good.encode();
    *forged.last_mut().unwrap() ^= 1;
    send(&mut world, 1, 3, QuorumMessage::Vote(forged.into()));
    let key = signer(3).public();
    let error = StatementError::Key(KeyError::Signature { key });
    assert_eq!(faults(&world, 1), [Fault::Statement(error)]);
    // Other rooms, epochs, sets and strangers, each with a good signature.
    let before = world.nodes[2].engine.votes().count();
    let resign = |change: &dyn Fn(&mut Common)| {
        let mut statement = good.signed().statement;
        change(&mut statement.common);
        vote_bytes(&Verified::sign(statement, &signer(3)))
    };
    let other = genesis(5);
    for message in [
        resign(&|common| common.room = RoomId::new([9; 32])),
        resign(&|common| common.vset = *other.validators().hash()),
        vote_bytes(&Verified::sign(good.signed().statement, &signer(9))),
        resign(&|common| common.epoch = 1),
    ] {
        send(&mut world, 2, 3, message);
    }
    assert_eq!(world.nodes[2].engine.votes().count(), before);
    assert_eq!(faults(&world, 2), []);
    // Votes far above what is checked are not kept.
    send(&mut world, 2, 3, vote_bytes(&vote(&epoch, 3, head_of(5000, 7), None)));
    assert_eq!(world.nodes[2].engine.votes().count(), before);
    let garbage = Input::Message { peer: Peer(3), payload: Bytes::from_static(b"\x07\x01\0\0\0x") };
    world.input(2, garbage);
    assert_eq!(faults(&world, 2).len(), 1);
}

/// What a node was about to vote for is final before it voted, and what comes next is not here.
#[test]
fn a_vote_that_is_overtaken_is_waited_for_no_more() {
    let mut world = World::new(4, 0);
    world.down.insert(3);
    world.append(FEED, 3, true);
    world.run(MOMENT);
    assert_eq!(world.last(0), Some((0, FEED, 3)));
    let certificate = world.nodes[0].outputs.iter().find_map(|output| match output {
        Output::Append { what: Append::Certificate(body), .. } => Some(body.clone()),
        _ => None,
    });
    world.down.remove(&3);
    let behind = world.checked(&FEED, 1);
    world.input(3, Input::Checked(behind));
    assert!(world.nodes[3].engine.last_vote().is_none(), "nobody asks for a vote");
    let last = world.nodes[3].engine.check_final(certificate.unwrap()).unwrap();
    world.input(3, Input::Certificate(Box::new(last)));
    // The world does not let an engine ask for a time that is past.
    world.run(Duration::from_secs(3));
    assert_eq!(world.last(3), Some((0, FEED, 3)));
}

/// The QC came before the blocks: its proposal is over, and the vote is not waited with until nobody else proposes.
#[test]
fn what_a_quorum_voted_for_is_voted_for_at_once() {
    let mut world = World::new(4, 0);
    world.down.insert(3);
    world.loses_acks = true;
    world.append(FEED, 3, true);
    world.settle();
    let qc = world.nodes[0].engine.last_qc().map(|qc| qc.qc().encode());
    assert!(qc.is_some() && world.last(0).is_none());
    world.down.remove(&3);
    let message = Message::Quorum(QuorumMessage::Qc { qc, last_final: None }).encode();
    world.input(3, Input::Message { peer: Peer(0), payload: message });
    world.down.insert(2);
    let head = world.checked(&FEED, 3);
    world.input(3, Input::Checked(head.clone()));
    assert_eq!(world.nodes[3].engine.last_vote(), Some(head.head));
    world.loses_acks = false;
    world.run(Duration::from_secs(60));
    assert_eq!(world.last(3).map(|last| last.2 >= 3), Some(true));
    world.check_peace();
}

#[test]
fn a_key_that_votes_elsewhere_falls_silent() {
    let mut world = World::new(4, 0);
    world.append(FEED, 1, true);
    world.run(MOMENT);
    let old = world.nodes[1].records.clone();
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(2));
    // The disk is set back, and nobody says so; the others still have the votes.
    world.restart(1, Some(old));
    world.nodes[1].syncs = false;
    world.run(MOMENT);
    assert!(world.nodes[1].engine.is_silent());
    let alarm = Output::Alarm(Alarm::ForeignVote { epoch: 0 });
    assert!(world.nodes[1].outputs.contains(&alarm));
    world.nodes[1].syncs = true;
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    // The others commit without it, and nobody has anything against it.
    assert!(world.last(0).unwrap().2 >= 5);
    assert!((0..4).all(|node| exposed(&world, node).is_empty()));
}

#[test]
fn a_recovering_key_signs_nothing() {
    let mut world = World::new(4, 0);
    world.nodes[1].config.guard = Guard::Recovering;
    world.restart(1, None);
    world.append(FEED, 3, true);
    world.pending(Some(world.now));
    world.run(Duration::from_secs(30));
    let own = |message: &QuorumMessage| match message {
        QuorumMessage::Vote(bytes) | QuorumMessage::Seal(bytes) => {
            bytes.windows(32).any(|window| window == signer(1).public().as_bytes())
        }
        _ => false,
    };
    assert!(!world.sent.iter().any(|(_, message)| own(message)));
    assert!(world.last(0).is_some());
}

/// Evidence that the writer of the feed signed two histories.
fn writer_fork(key: &PublicKey, secret: &quorate_types::SecretKey) -> Evidence {
    let signer = FeedSigner::new(key, secret).unwrap();
    let tree = |blocks: &[&str]| {
        let mut tree = MemoryTree::new(Flavour::Dat);
        blocks.iter().for_each(|block| tree.push(block.as_bytes()).unwrap());
        tree
    };
    let (short, long) = (tree(&["a", "b"]), tree(&["a", "x", "y"]));
    let signed = |tree: &MemoryTree| {
        let (roots, hash) = (tree.roots().clone(), tree.roots().tree_hash(Flavour::Dat));
        SignedRoots { signature: signer.sign(Form::Tree, &hash, roots.length()), roots }
    };
    let link = find_link(short.roots(), long.roots(), |node| long.node(node.get())).unwrap();
    let (a, b) = (signed(&short), signed(&long));
    let proof = ForkProof { key: *key, flavour: Flavour::Dat, a, b, link };
    Evidence { room: ROOM, claim: Claim::WriterFork(Box::new(proof)) }
}

#[test]
fn a_forking_host_loses_the_room() {
    let (key, secret) = key_pair(&[77; 32]);
    let mut world = World::with_feed(4, key);
    world.append(key, 3, true);
    world.run(Duration::from_secs(3));
    let before = world.last(2).unwrap();
    let evidence = writer_fork(&key, &secret).verify(&ROOM, &NoOracle).unwrap();
    assert!(evidence.bytes().len() < 1024);
    world.input(2, Input::Evidence(Box::new(evidence)));
    world.run(MOMENT);
    for node in 0..4 {
        assert_eq!(exposed(&world, node), [(EvidenceKind::WriterFork, key)], "node {node}");
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!((epoch.number(), epoch.feed()), (1, Some(&PublicKey::new([201; 32]))));
        assert!(epoch.base().unwrap().head().length() >= before.2);
    }
    world.append(PublicKey::new([201; 32]), 1, true);
    world.run(MOMENT);
    assert!(world.last(3).unwrap() >= (1, PublicKey::new([201; 32]), 2));
    world.check_agreement();
}

/// The seals of the others do not come, so that the epoch stays.
#[test]
fn nobody_votes_for_a_host_that_is_exposed() {
    let (key, secret) = key_pair(&[77; 32]);
    let mut world = World::with_feed(4, key);
    world.down.extend([0, 2, 3]);
    world.append(key, 3, true);
    world.run(Duration::from_secs(1));
    let voted = world.nodes[1].engine.last_vote().unwrap();
    // A longer head waits for a proposal, another one comes later.
    world.append(key, 1, true);
    let evidence = writer_fork(&key, &secret).verify(&ROOM, &NoOracle).unwrap();
    world.input(1, Input::Evidence(Box::new(evidence)));
    world.run(Duration::from_secs(1));
    world.append(key, 1, true);
    world.run(Duration::from_secs(1));
    assert_eq!(world.nodes[1].engine.epoch().number(), 0);
    assert_eq!(world.nodes[1].engine.last_vote(), Some(voted));
    assert_eq!(
        world.nodes[1].engine.seals().map(|seal| seal.reason).collect::<Vec<_>>(),
        [SealReason::Evidence]
    );
}

/// A change of validators has a QC, and the host is left before the change is final.
#[test]
fn a_change_that_is_not_final_stops_nothing() {
    let (key, secret) = key_pair(&[79; 32]);
    let mut world = World::of(4, 1, key);
    world.append(key, 2, true);
    world.run(Duration::from_secs(3));
    let body = encode_change(&validators(5), Some(signer(4).prove_possession()));
    let block = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
    world.loses_acks = true;
    world.change(key, validators(5), block);
    world.settle();
    let length = world.feeds[&key].tree.roots().length();
    for node in 0..5 {
        assert_eq!(world.nodes[node].engine.last_qc().unwrap().certified().head().length(), length);
        assert!(world.last(node).unwrap().2 < length);
    }
    world.loses_acks = false;
    let evidence = writer_fork(&key, &secret).verify(&ROOM, &NoOracle).unwrap();
    world.input(2, Input::Evidence(Box::new(evidence)));
    world.settle();
    let feed = PublicKey::new([201; 32]);
    for node in 0..5 {
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!((epoch.number(), epoch.feed(), epoch.validators().n()), (1, Some(&feed), 5));
        assert_eq!(epoch.base().unwrap().head().length(), length);
    }
    world.append(feed, 1, true);
    world.run(Duration::from_secs(3));
    assert!((0..5).all(|node| world.last(node).unwrap() >= (1, feed, 2)));
    assert_eq!((0..5).flat_map(|node| faults(&world, node)).count(), 0);
}

/// Evidence against the feed of an epoch that was entered, and left, before its host showed up here.
#[test]
fn evidence_against_an_earlier_feed_is_taken() {
    let (key, secret) = key_pair(&[80; 32]);
    let mut world = World::new(4, 0);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(3));
    // The next host's disk hangs: it grants nothing, and is left as well.
    world.down.insert(0);
    world.nodes[1].syncs = false;
    world.append(FEED, 1, true);
    for node in 1..4 {
        let seal = crate::certificate::tests::seal;
        let epoch = world.nodes[node].engine.epoch().clone();
        let qc = world.nodes[node].engine.last_qc().map(VerifiedQc::reference);
        for i in [0, 1, 3] {
            let seal = seal(&epoch, i, qc, SealReason::Stalled);
            send(&mut world, node, (node as u64 + 1) % 4, QuorumMessage::Seal(seal.encode().into()));
        }
    }
    world.run(MOMENT);
    let node = 2;
    let one = world.nodes[node].engine.epoch().clone();
    assert_eq!((one.number(), one.feed()), (1, None));
    let start = Start::decode(world.nodes[node].engine.start_of(1).unwrap().clone()).unwrap();
    for i in [0, 1, 3] {
        let qc = world.nodes[node].engine.last_qc().map(VerifiedQc::reference);
        let seal = crate::certificate::tests::seal(&one, i, qc, SealReason::Stalled);
        send(&mut world, node, 3, QuorumMessage::Seal(seal.encode().into()));
    }
    assert_eq!(world.nodes[node].engine.epoch().number(), 2);
    let asked = |world: &World| {
        let sent = world.sent.iter();
        sent.filter(|sent| **sent == (node, QuorumMessage::GetHandover(1))).count()
    };
    world.now += Duration::from_secs(1);
    let before = asked(&world);
    send(&mut world, node, 3, QuorumMessage::Evidence(writer_fork(&key, &secret).encode()));
    assert_eq!((asked(&world), exposed(&world, node)), (before + 1, Vec::new()));
    // The peer knows the grant.
    let host = crate::certificate::tests::host(1);
    let grant = crate::statement::Grant { common: one.common(host.public()), feed: key };
    let signature = *Verified::sign(grant, &host).signature();
    let start = Start { grant: Some((key, signature)), ..start };
    send(&mut world, node, 3, QuorumMessage::Handover(vec![start.encode()]));
    assert_eq!(exposed(&world, node), [(EvidenceKind::WriterFork, key)]);
    // Others learn it from here.
    let engine = &world.nodes[node].engine;
    assert_eq!((engine.epoch().number(), engine.start_of(1)), (2, Some(&start.encode())));
    world.sync(node);
    let again = Engine::new(world.nodes[node].config.clone(), world.nodes[node].records.clone()).unwrap();
    assert_eq!(again.epoch_at(1).and_then(Epoch::feed), Some(&key));
}

/// The writer's two histories show who voted for both.
#[test]
fn votes_for_both_sides_of_a_fork_are_found() {
    let (key, secret) = key_pair(&[77; 32]);
    let mut world = World::with_feed(4, key);
    let evidence = writer_fork(&key, &secret);
    let Claim::WriterFork(proof) = &evidence.claim else { unreachable!() };
    let epoch = Epoch::genesis(ROOM, key, genesis(4).validators().clone(), []);
    world.down.insert(3);
    for signed in [&proof.a, &proof.b] {
        let head = Head::new(signed.roots.length(), signed.roots.tree_hash(Flavour::Dat)).unwrap();
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head, None)));
    }
    assert_eq!(exposed(&world, 1), []);
    send(&mut world, 1, 0, QuorumMessage::Evidence(evidence.encode()));
    world.run(MOMENT);
    for node in 0..3 {
        assert!(exposed(&world, node).contains(&(EvidenceKind::DoubleVote, signer(3).public())));
    }
}

/// Whoever votes on both sides is named, also when the epoch is over and its lengths differ.
#[test]
fn votes_of_an_epoch_that_is_over_are_compared() {
    let (key, secret) = key_pair(&[81; 32]);
    let mut world = World::with_feed(4, key);
    let epoch = Epoch::genesis(ROOM, key, genesis(4).validators().clone(), []);
    world.down.insert(3);
    send(&mut world, 1, 2, vote_bytes(&vote(&epoch, 3, head_of(5, 7), None)));
    let evidence = writer_fork(&key, &secret).verify(&ROOM, &NoOracle).unwrap();
    world.input(1, Input::Evidence(Box::new(evidence)));
    world.run(MOMENT);
    assert_eq!(world.nodes[1].engine.epoch().number(), 1);
    let compared = |world: &World| {
        let outputs = world.nodes[1].outputs.iter();
        let lengths = outputs.filter_map(|output| match output {
            Output::Compare(votes) => Some(votes.iter().map(|vote| vote.target.head.length()).collect()),
            _ => None,
        });
        lengths.collect::<Vec<Vec<u64>>>()
    };
    assert_eq!(compared(&world), Vec::<Vec<u64>>::new());
    // In a QC that comes late.
    let late: Vec<_> = [0, 2, 3].map(|i| vote(&epoch, i, head_of(4, 8), None)).to_vec();
    let certified = crate::certificate::Certified::of(&late[0]);
    let qc = VerifiedQc::of_votes(&certified, epoch.validators(), &late).unwrap().qc().encode();
    send(&mut world, 1, 2, QuorumMessage::Qc { qc: Some(qc), last_final: None });
    assert_eq!(compared(&world), [[4, 5]]);
    let named = (EvidenceKind::DoubleVote, signer(3).public());
    assert!(!exposed(&world, 1).contains(&named));
    send(&mut world, 1, 2, vote_bytes(&vote(&epoch, 3, head_of(5, 9), None)));
    assert!(exposed(&world, 1).contains(&named));
}

/// A longer certified head of another branch contradicts what this node holds, and no certificate.
#[test]
fn an_alarm_takes_two_certificates_that_contradict_each_other() {
    let alarms = |found: Head| {
        let mut world = World::new(4, 0);
        world.nodes.iter_mut().for_each(|node| node.syncs = false);
        for _ in 0..3 {
            world.append(FEED, 2, true);
        }
        let epoch = genesis(4);
        let held = Head::new(4, *world.head(&FEED, 4).tree_hash()).unwrap();
        for head in [held, found] {
            let qc = qc(&epoch, head).qc().encode();
            send(&mut world, 1, 2, QuorumMessage::Qc { qc: Some(qc), last_final: None });
        }
        let outputs = world.nodes[1].outputs.iter();
        outputs.filter(|output| matches!(output, Output::Alarm(Alarm::Disagreement { .. }))).count()
    };
    // Another head of the same length; a shorter one that the longer one does not contain; a longer one.
    assert_eq!((alarms(head_of(4, 9)), alarms(head_of(2, 9)), alarms(head_of(6, 9))), (1, 1, 0));
}

#[test]
fn evidence_about_strangers_is_not_kept() {
    let mut world = World::new(4, 0);
    let (key, secret) = key_pair(&[78; 32]);
    send(&mut world, 1, 3, QuorumMessage::Evidence(writer_fork(&key, &secret).encode()));
    assert_eq!((exposed(&world, 1), faults(&world, 1)), (Vec::new(), Vec::new()));
    // What proves nothing costs the connection.
    let same = *vote(&genesis(4), 3, head_of(2, 7), None).signed();
    let claim = Claim::DoubleVote { first: same, second: same, link: None };
    send(&mut world, 1, 3, QuorumMessage::Evidence(Evidence { room: ROOM, claim }.encode()));
    assert_eq!(faults(&world, 1).len(), 1);
}

#[test]
fn a_made_up_qc_in_a_seal_keeps_nobody_from_handing_over() {
    let mut world = World::new(4, 0);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(3));
    // The host is a cheat: its seal names a QC that does not exist.
    world.down.insert(0);
    let length = world.last(1).unwrap().2 + 5;
    let named = VerifiedQc::reference(world.nodes[1].engine.last_qc().unwrap());
    let made_up = QcRef { head: head_of(length, 9), ..named };
    let seal = crate::certificate::tests::seal(&genesis(4), 0, Some(made_up), SealReason::Stalled);
    send(&mut world, 1, 0, QuorumMessage::Seal(seal.encode().into()));
    world.pending(Some(world.now));
    world.run(Duration::from_secs(15));
    for node in 1..4 {
        assert_eq!(world.nodes[node].engine.epoch().number(), 1);
        assert_eq!(world.nodes[node].engine.epoch().base().unwrap().head(), &named.head);
    }
}

#[test]
fn two_grants_are_evidence_against_the_host() {
    let mut world = World::new(4, 0);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(3));
    world.down.insert(0);
    world.pending(Some(world.now));
    world.run(Duration::from_secs(15));
    let engine = &world.nodes[2].engine;
    let start = crate::certificate::Start::decode(engine.start_of(1).unwrap().clone()).unwrap();
    let feed = PublicKey::new([99; 32]);
    let host = crate::certificate::tests::host(1);
    let common = engine.epoch().common(host.public());
    let grant = Verified::sign(crate::statement::Grant { common, feed }, &host);
    let other = crate::certificate::Start { grant: Some((feed, *grant.signature())), ..start };
    send(&mut world, 2, 1, QuorumMessage::Handover(vec![other.encode()]));
    world.run(MOMENT);
    assert!(exposed(&world, 3).contains(&(EvidenceKind::DoubleGrant, host.public())));
}

#[test]
fn a_grant_is_not_known_before_it_is_durable() {
    let mut world = World::new(7, 0);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(3));
    // Node 1 is the next host, and its disk hangs; the others are enough to hand over.
    world.down.insert(0);
    world.nodes[1].syncs = false;
    world.pending(Some(world.now));
    world.run(Duration::from_secs(13));
    assert!(world.nodes[1].unsynced.iter().any(|(_, slot, _)| *slot == Slot::Grant { epoch: 1 }));
    for node in 1..7 {
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!((epoch.number(), epoch.feed()), (1, None));
    }
    world.sync(1);
    world.run(MOMENT);
    let feed = PublicKey::new([201; 32]);
    assert!((1..7).all(|node| world.nodes[node].engine.epoch().feed() == Some(&feed)));
}

/// A validator that acknowledges what does not exist takes no room from the others.
#[test]
fn made_up_acknowledgements_keep_nothing_from_being_final() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    world.down.insert(3);
    for i in 0..300_u64 {
        let ack = crate::statement::Ack { length: i + 1, qc: quorate_types::QcHash::new([i as u8; 32]) };
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head_of(900, 7), Some(ack))));
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head_of(901 + i, 7), Some(ack))));
        world.now += Duration::from_millis(10);
    }
    world.append(FEED, 3, true);
    world.run(MOMENT);
    assert_eq!(world.last(1), Some((0, FEED, 3)));
}

#[test]
fn a_storage_peer_that_promises_less_is_exposed() {
    let mut world = World::new(4, 0);
    let stranger = signer(50);
    let have = |sequence, length| {
        let common = genesis(4).common(stranger.public());
        let head = head_of(length, 1);
        let have = Have { common, feed: FEED, head, sequence, from: 0, to: length, until_epoch: 9 };
        QuorumMessage::Have(Verified::sign(have, &stranger).encode().into())
    };
    send(&mut world, 1, 3, have(1, 8));
    send(&mut world, 1, 3, have(2, 9));
    assert_eq!(exposed(&world, 1), []);
    send(&mut world, 1, 3, have(3, 4));
    assert_eq!(exposed(&world, 1), [(EvidenceKind::HaveRollback, stranger.public())]);
}

#[test]
fn a_refused_block_is_said_and_not_voted_for() {
    let mut world = World::new(4, 0);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(2));
    let before = world.nodes[1].engine.last_vote();
    let head = head_of(9, 9);
    let rules_hash = target(head).rules_hash;
    let refused = Refused { epoch: 0, feed: FEED, head, rules_hash, rule: 3101, code: 7 };
    world.input(1, Input::Refused(refused));
    world.run(MOMENT);
    let heard = |node: usize| {
        let outputs = world.nodes[node].outputs.iter();
        outputs.filter(|output| matches!(output, Output::Rejected(reject) if reject.code == 7)).count()
    };
    assert_eq!((heard(1), heard(2), heard(3)), (1, 1, 1));
    assert_eq!(world.nodes[1].engine.last_vote(), before);
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use crate::validators::ValidatorSet;

    /// A vote that is sent before it is durable is a second vote after the crash.
    #[test]
    fn a_vote_before_its_record_frames_its_own_validator() {
        let run = |bug| {
            let mut world = World::new(4, 0);
            world.nodes[1].config.bug = bug;
            world.restart(1, None);
            world.nodes[1].syncs = false;
            world.append(FEED, 1, true);
            world.run(MOMENT);
            world.restart(1, None);
            // The host shows node 1 another history, and takes care that it hears nothing of its own vote.
            let mut checked = world.checked(&FEED, 1);
            checked.head = head_of(1, 9);
            let mut engine =
                Engine::new(world.nodes[1].config.clone(), world.nodes[1].records.clone()).unwrap();
            engine.handle(world.now, Input::Checked(checked));
            engine.handle(world.now + Duration::from_secs(1), Input::Timeout);
            let mut votes = Vec::new();
            while let Some(output) = engine.poll_output() {
                if let Output::Persist { ticket, slot: Slot::Vote { .. }, record } = output {
                    votes.push(record);
                    engine.handle(world.now, Input::Persisted { ticket });
                }
            }
            send(&mut world, 2, 1, QuorumMessage::Vote(votes.pop().unwrap()));
            exposed(&world, 2)
        };
        assert_eq!(run(None), []);
        assert_eq!(run(Some(Bug::VoteBeforeDurable)), [(EvidenceKind::DoubleVote, signer(1).public())]);
    }

    /// What one phase calls committed, a handover may drop.
    #[test]
    fn one_phase_commits_before_a_quorum_holds_the_qc() {
        let mut world = World::new(4, 0);
        world.nodes[0].config.bug = Some(Bug::OnePhase);
        world.restart(0, None);
        // Nobody but node 0 hears the votes of all.
        let epoch = genesis(4);
        world.down.extend([1, 2, 3]);
        for i in 1..4 {
            send(&mut world, 0, u64::from(i), vote_bytes(&vote(&epoch, i, head_of(1, 7), None)));
        }
        world.run(MOMENT);
        assert_eq!(world.last(0), Some((0, FEED, 1)));
        assert_eq!(world.nodes[0].engine.last_final(), None);
    }

    /// Two majorities of five share one validator, who need not be honest.
    #[test]
    fn a_majority_commits_two_histories() {
        let keys = || (0..5).map(|i| signer(i).public());
        let committed = |set: &ValidatorSet, side: [u8; 3], head: Head| {
            let epoch = Epoch::genesis(ROOM, FEED, set.clone(), []);
            let config = Config { vote_key: None, host_key: None, ..super::super::world::config(1, set) };
            let (mut engine, now) = (Engine::new(config, []).unwrap(), std::time::Instant::now());
            engine.handle(now, Input::PeerOpened { peer: Peer(9) });
            let ack = crate::certificate::tests::certified(&epoch, head).ack(&ROOM);
            for ack in [None, Some(ack)] {
                for i in side {
                    let message = Message::Quorum(vote_bytes(&vote(&epoch, i, head, ack)));
                    engine.handle(now, Input::Message { peer: Peer(9), payload: message.encode() });
                }
            }
            let mut heads: Vec<Head> = Vec::new();
            while let Some(output) = engine.poll_output() {
                match output {
                    Output::Committed { target, .. } => heads.push(target.head),
                    Output::Persist { ticket, .. } => engine.handle(now, Input::Persisted { ticket }),
                    _ => {}
                }
            }
            heads
        };
        // Validator 2 votes on both sides.
        let (one, other) = (([0, 1, 2], head_of(1, 7)), ([2, 3, 4], head_of(1, 8)));
        let planted = ValidatorSet::with_planted_majority(keys()).unwrap();
        for (side, head) in [one, other] {
            assert_eq!(committed(&validators(5), side, head), []);
            assert_eq!(committed(&planted, side, head), [head]);
        }
    }
}
