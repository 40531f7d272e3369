//! Honest nodes: rounds, handovers, changes of validators, crashes.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_proto::quorate1::QuorumMessage;
use quorate_proto::stream::{Entry, Proof, ProofKind};
use quorate_types::PublicKey;

use super::super::*;
use super::world::World;
use crate::certificate::encode_change;
use crate::certificate::tests::{FEED, signer, validators};

const MOMENT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

fn votes(world: &World, from: usize) -> usize {
    world
        .sent
        .iter()
        .filter(|(node, message)| *node == from && matches!(message, QuorumMessage::Vote(_)))
        .count()
}

#[test]
fn what_is_appended_is_committed_everywhere() {
    for n in [1, 2, 4, 7] {
        let mut world = World::new(n, 1);
        world.append(FEED, 3, true);
        world.run(MOMENT);
        for node in 0..world.nodes.len() {
            assert_eq!(world.last(node), Some((0, FEED, 3)), "node {node} of {n}");
        }
        world.append(FEED, 2, true);
        world.run(LONG);
        world.check_peace();
        // Five blocks and two certificates, of which the second covers nothing but blocks of substance and the first.
        assert_eq!(world.feeds[&FEED].tree.roots().length(), 7);
        let certificates = world.nodes[0].outputs.iter();
        let certificates = certificates.filter(|output| matches!(output, Output::Append { .. })).count();
        assert_eq!(certificates, 2);
    }
}

#[test]
fn an_idle_room_is_quiet() {
    let mut world = World::new(4, 0);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(5));
    let before = votes(&world, 1);
    let sent = world.sent.len();
    world.run(LONG);
    assert_eq!(votes(&world, 1), before);
    // One status of each node to each other every ten seconds.
    assert!(world.sent.len() - sent <= 4 * 3 * 7, "{}", world.sent.len() - sent);
}

#[test]
fn a_crash_of_f_validators_stops_nothing() {
    let mut world = World::new(7, 0);
    world.down.extend([2, 5]);
    for blocks in 1..5 {
        world.append(FEED, blocks, true);
        world.run(MOMENT);
    }
    world.run(LONG);
    let length = world.feeds[&FEED].tree.roots().length();
    assert!(world.last(0).unwrap().2 >= length - 1);
    world.down.insert(3);
    let before = world.last(0);
    world.append(FEED, 1, true);
    world.run(LONG);
    assert_eq!(world.last(0), before);
    // One of them comes back, with its disk.
    world.down.remove(&2);
    world.restart(2, None);
    world.run(LONG);
    assert!(world.last(0) > before);
    world.check_peace();
}

#[test]
fn nothing_is_sent_before_it_is_durable() {
    let mut world = World::new(4, 0);
    (0..4).for_each(|node| world.nodes[node].syncs = false);
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(2));
    for node in 0..4 {
        assert_eq!(votes(&world, node), 0);
        assert_eq!(world.nodes[node].engine.votes().count(), 0);
        assert!(world.nodes[node].unsynced.iter().any(|(_, slot, _)| *slot == Slot::Vote { epoch: 0 }));
    }
    // A crash now loses a vote that nobody has seen.
    world.restart(1, None);
    assert_eq!(world.nodes[1].engine.last_vote(), None);
    (0..4).for_each(|node| world.nodes[node].syncs = true);
    world.run(LONG);
    assert_eq!(world.last(1).map(|last| last.2 >= 3), Some(true));
    world.check_peace();
}

/// What a node once took for committed it does not forget: found by seed 3575 of the world.
#[test]
fn nothing_is_committed_before_its_final_is_durable() {
    let mut world = World::new(4, 0);
    world.append(FEED, 1, true);
    world.run(LONG);
    let committed = |world: &World| world.nodes[1].engine.committed().map(|last| last.head().length());
    assert_eq!(committed(&world), Some(1));
    world.nodes[1].syncs = false;
    world.append(FEED, 2, true);
    world.run(LONG);
    let held = world.nodes[1].engine.last_final().map(|last| last.certified().head().length());
    assert!(held >= Some(3), "{held:?}");
    assert_eq!((committed(&world), world.last(1).map(|last| last.2)), (Some(1), Some(1)));
    world.restart(1, None);
    assert_eq!(committed(&world), Some(1));
    world.nodes[1].syncs = true;
    world.run(LONG);
    assert!(committed(&world) >= held, "{:?}", committed(&world));
    assert_eq!(committed(&world), world.last(1).map(|last| last.2));
    world.check_peace();
}

#[test]
fn votes_survive_crashes_at_any_record() {
    // Node 1 crashes after each number of its records, with those before on its disk and those after lost.
    for survives in 0..40 {
        let mut world = World::new(4, 0);
        world.nodes[1].syncs = false;
        let mut written = 0;
        for _ in 0..4 {
            world.append(FEED, 1, true);
            for _ in 0..3 {
                world.run(Duration::from_millis(5));
                if written < survives
                    && let Some((ticket, slot, record)) = world.nodes[1].unsynced.pop_front()
                {
                    written += 1;
                    world.nodes[1].records.insert(slot, record);
                    world.input(1, Input::Persisted { ticket });
                }
            }
        }
        world.restart(1, None);
        world.nodes[1].syncs = true;
        world.append(FEED, 1, true);
        world.run(LONG);
        world.check_peace();
        assert!(world.last(1).unwrap().2 >= 5, "after {survives}");
    }
}

/// The disk may also keep a later record and lose an earlier one, as long as neither was acknowledged.
#[test]
fn an_acknowledgement_is_not_sent_without_its_qc() {
    let mut world = World::new(4, 0);
    world.append(FEED, 1, true);
    world.nodes[1].syncs = false;
    world.run(MOMENT);
    world.sync(1);
    world.run(MOMENT);
    world.append(FEED, 1, true);
    world.run(MOMENT);
    let kept = world.nodes[1].unsynced.iter().rev().find(|(_, slot, _)| *slot == Slot::Vote { epoch: 0 });
    let (_, slot, record) = kept.cloned().unwrap();
    let mut records = world.nodes[1].records.clone();
    records.insert(slot, record);
    records.remove(&Slot::Qc { epoch: 0 });
    world.restart(1, Some(records));
    let own = world.nodes[1].engine.votes().filter(|vote| *vote.signer() == signer(1).public());
    let newest = own.max_by_key(|vote| vote.target.head.length()).unwrap();
    assert_eq!(newest.ack, None);
    world.nodes[1].syncs = true;
    world.run(LONG);
    world.check_peace();
}

fn stall(world: &mut World) {
    world.pending(Some(world.now));
    world.run(Duration::from_secs(15));
}

#[test]
fn a_stalled_host_is_replaced_and_nothing_final_is_lost() {
    let mut world = World::new(4, 1);
    world.append(FEED, 5, true);
    world.run(Duration::from_secs(3));
    let before = world.last(1).unwrap();
    world.down.insert(0);
    stall(&mut world);
    let feed = PublicKey::new([201; 32]);
    for node in 1..5 {
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!((epoch.number(), epoch.feed()), (1, Some(&feed)), "node {node}");
        assert!(epoch.base().unwrap().head().length() >= before.2);
    }
    world.pending(None);
    world.append(feed, 2, true);
    world.run(Duration::from_secs(3));
    for node in 1..5 {
        assert!(world.last(node).unwrap() >= (1, feed, 3), "node {node}: {:?}", world.last(node));
    }
    // And once more, to the host after that.
    world.down.insert(1);
    world.down.remove(&0);
    world.restart(0, None);
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[0].engine.epoch().number(), 1, "it catches up");
    let checked = world.checked(&feed, world.feeds[&feed].tree.roots().length());
    world.input(0, Input::Checked(checked));
    stall(&mut world);
    let feed = PublicKey::new([202; 32]);
    world.pending(None);
    world.append(feed, 1, true);
    world.run(Duration::from_secs(3));
    for node in [0, 2, 3, 4] {
        assert_eq!(world.last(node).map(|last| (last.0, last.1)), Some((2, feed)), "node {node}");
    }
    world.check_peace();
}

#[test]
fn a_host_that_never_showed_up_is_passed_over() {
    let mut world = World::new(4, 0);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    // The next host is gone, the present one stalls.
    world.down.insert(1);
    world.nodes[1].syncs = false;
    world.pending(Some(world.now));
    world.run(Duration::from_secs(11));
    assert_eq!(world.nodes[2].engine.epoch().number(), 1);
    assert_eq!(world.nodes[2].engine.epoch().feed(), None);
    world.run(Duration::from_secs(25));
    let feed = PublicKey::new([202; 32]);
    assert_eq!(world.nodes[3].engine.epoch().feed(), Some(&feed));
    world.pending(None);
    world.append(feed, 1, true);
    world.run(Duration::from_secs(3));
    assert!(world.last(0).unwrap() >= (2, feed, 2));
    // Who comes back is led through both.
    world.down.remove(&1);
    world.nodes[1].syncs = true;
    world.restart(1, None);
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[1].engine.epoch(), world.nodes[3].engine.epoch());
    world.check_peace();
}

#[test]
fn nobody_votes_after_a_seal() {
    let mut world = World::new(4, 0);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    // Only node 1 sees the action that waits: it alone seals.
    world.input(1, Input::Pending { since: Some(world.now) });
    world.run(Duration::from_secs(15));
    assert_eq!(world.nodes[2].engine.seals().count(), 1);
    assert_eq!(world.nodes[2].engine.epoch().number(), 0);
    let before = world.nodes[1].engine.last_vote();
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[1].engine.last_vote(), before);
    world.restart(1, None);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[1].engine.last_vote(), before);
    // The others go on without it.
    assert!(world.last(2).unwrap().2 >= 6);
    world.check_peace();
}

#[test]
fn a_validator_is_added_and_the_host_goes_on() {
    let mut world = World::new(4, 1);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    let next = validators(5);
    let body = encode_change(&next, Some(signer(4).prove_possession()));
    let block = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
    world.change(FEED, next.clone(), block);
    world.run(Duration::from_secs(3));
    for node in 0..5 {
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!(
            (epoch.number(), epoch.validators(), epoch.feed()),
            (1, &next, Some(&FEED)),
            "node {node}"
        );
    }
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    let length = world.feeds[&FEED].tree.roots().length();
    for node in 0..5 {
        let last = world.last(node).unwrap();
        assert!(last.0 == 1 && last.2 >= length - 1, "node {node}: {last:?}");
    }
    assert!(votes(&world, 4) > 0);
    // And taken away again.
    let body = encode_change(&validators(4), None);
    let block = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
    world.change(FEED, validators(4), block);
    world.run(Duration::from_secs(3));
    assert_eq!(world.nodes[0].engine.epoch().number(), 2);
    assert_eq!(*world.nodes[0].engine.epoch().validators(), validators(4));
    world.check_peace();
}

#[test]
fn a_restarted_engine_is_where_it_was() {
    let mut world = World::new(4, 0);
    world.append(FEED, 5, true);
    world.run(Duration::from_secs(3));
    world.down.insert(0);
    stall(&mut world);
    let feed = PublicKey::new([201; 32]);
    world.append(feed, 2, true);
    world.run(Duration::from_secs(1));
    for node in 1..4 {
        let before = &world.nodes[node].engine;
        let (epoch, qc) = (before.epoch().clone(), before.last_qc().cloned());
        let (last, vote) = (before.last_final().cloned(), before.last_vote());
        let after = Engine::new(world.nodes[node].config.clone(), world.nodes[node].records.clone()).unwrap();
        assert_eq!(
            (after.epoch(), after.last_qc(), after.last_final()),
            (&epoch, qc.as_ref(), last.as_ref())
        );
        assert_eq!(after.last_vote(), vote);
    }
    // A damaged record is not passed over.
    let mut records = world.nodes[1].records.clone();
    records.remove(&Slot::Start { epoch: 1 });
    records.insert(Slot::Start { epoch: 2 }, world.nodes[1].records[&Slot::Start { epoch: 1 }].clone());
    let error = Engine::new(world.nodes[1].config.clone(), records).unwrap_err();
    assert_eq!(error, RecoverError::MissingStart { epoch: 2, missing: 1 });
    let mut records = world.nodes[1].records.clone();
    records.insert(Slot::Vote { epoch: 1 }, bytes::Bytes::from_static(b"\x01torn"));
    assert!(matches!(
        Engine::new(world.nodes[1].config.clone(), records),
        Err(RecoverError::Statement { slot: Slot::Vote { epoch: 1 }, .. })
    ));
}

/// What a certificate on the disk shows is shown again: who voted for the newest length that is certified.
#[test]
fn a_restarted_engine_knows_the_votes_that_its_certificates_hold() {
    for n in [4, 7] {
        let mut world = World::new(n, 1);
        world.append(FEED, 5, true);
        world.run(LONG);
        // The last of them is no validator.
        for node in [1, usize::from(n)] {
            let before = &world.nodes[node].engine;
            let qc = before.last_qc().unwrap().clone();
            let length = qc.certified().head().length();
            let known = |engine: &Engine| -> BTreeSet<PublicKey> {
                let votes = engine.votes().filter(|vote| vote.target == qc.certified().target);
                votes.map(|vote| *vote.signer()).collect()
            };
            let after =
                Engine::new(world.nodes[node].config.clone(), world.nodes[node].records.clone()).unwrap();
            let (was, is) = (known(before), known(&after));
            assert!(is.is_subset(&was), "node {node} of {n}");
            assert!(is.len() >= before.epoch().validators().quorum(), "length {length}: {is:?}");
            let acknowledged = after.votes().filter(|vote| vote.ack.is_some()).count();
            assert!(acknowledged >= before.epoch().validators().quorum(), "{acknowledged}");
        }
        // It is a record like any other: nobody is accused, and the room goes on.
        world.restart(1, None);
        world.append(FEED, 2, true);
        world.run(LONG);
        world.check_peace();
    }
}

/// What cannot be done now is not waited for: a driver would come back at once, again and again.
#[test]
fn nothing_is_due_that_cannot_be_done() {
    let mut world = World::new(4, 1);
    // The disk hangs while a head waits for a proposal, and longer.
    world.append(FEED, 1, true);
    world.nodes[1].syncs = false;
    world.append(FEED, 1, true);
    world.run(Duration::from_secs(3));
    world.nodes[1].syncs = true;
    world.run(Duration::from_secs(3));
    // A certificate block would be due, and a change of validators, which too few accept, allows none.
    world.append(FEED, 1, true);
    world.run(Duration::from_millis(20));
    let body = encode_change(&validators(5), Some(signer(4).prove_possession()));
    world.down.extend([3, 4]);
    let block = Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }).encode();
    world.change(FEED, validators(5), block);
    let before = world.nodes[0].outputs.len();
    world.run(LONG);
    let mut outputs = world.nodes[0].outputs[before..].iter();
    assert!(!outputs.any(|output| matches!(output, Output::Append { .. })));
    assert!(world.nodes[0].engine.seals().count() == 3 && world.nodes[0].engine.epoch().number() == 0);
    world.down.clear();
    for node in [3, 4] {
        world.restart(node, None);
    }
    world.run(LONG);
    assert_eq!(world.nodes[0].engine.epoch().number(), 1);
    world.check_peace();
}

/// Without a proposal each votes for what it has when its patience ends; what is longer by certificates alone is voted for
/// when others have.
#[test]
fn votes_for_different_lengths_come_together() {
    let mut world = World::new(4, 0);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    // The host, who proposes, is gone; node 1 votes before the certificate is there, the others after.
    world.down = [0, 2, 3].into();
    world.append(FEED, 1, true);
    world.run(Duration::from_secs(1));
    let length = world.feeds[&FEED].tree.roots().length();
    assert_eq!(world.nodes[1].engine.last_vote().unwrap().length(), length);
    world.down = [0].into();
    world.append(FEED, 1, false);
    world.run(Duration::from_secs(3));
    for node in 1..4 {
        assert_eq!(world.last(node), Some((0, FEED, length + 1)), "node {node}");
    }
    world.check_peace();
}

/// While blocks come fast, the signature of the head that was proposed may be nowhere but at the host.
#[test]
fn what_was_proposed_and_nobody_can_vote_for_stops_nothing() {
    let mut world = World::new(4, 0);
    world.append(FEED, 1, true);
    world.run(LONG);
    world.down = [1, 2, 3].into();
    world.append(FEED, 1, true);
    world.down.clear();
    world.append(FEED, 1, true);
    let length = world.feeds[&FEED].tree.roots().length();
    world.run(Duration::from_millis(90));
    assert!(world.last(0).unwrap().2 < length - 1);
    world.run(Duration::from_millis(30));
    for node in 0..4 {
        assert_eq!(world.last(node), Some((0, FEED, length)), "node {node}");
    }
    world.run(LONG);
    world.check_peace();
}
