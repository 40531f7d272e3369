//! One epoch that was entered in two ways, with the validators before a change and after it.

use std::time::Duration;

use quorate_proto::quorate1::QuorumMessage;
use quorate_types::{PublicKey, VsetHash};

use super::super::*;
use super::world::World;
use crate::certificate::tests::{closing, qc, seal, signer, validators};
use crate::certificate::{Start, VerifiedHandover, VerifiedStart};
use crate::statement::{Seal, SealReason, Signed};

const MOMENT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// Two starts of epoch 1 on one base, which ends with a change of validators: who made the first did not hold the block.
fn two_ways(epoch: &Epoch) -> [VerifiedStart; 2] {
    let closing = closing(validators(5), Some(signer(4).prove_possession()), 7);
    let base = qc(epoch, closing.head());
    let seals: Vec<_> = (0..3).map(|i| seal(epoch, i, Some(base.reference()), SealReason::Stalled)).collect();
    let find = |_: &_| Some(base.clone());
    let before = VerifiedHandover::of_seals(epoch, &seals, find, |_| None).unwrap();
    let change = |base: &Certified| Some(closing.change(epoch, base, 0..4));
    let after = VerifiedHandover::of_seals(epoch, &seals, find, change).unwrap();
    [before, after].map(|way| Start::with_grant(way, None, epoch).unwrap())
}

fn enter(world: &mut World, node: usize, start: &VerifiedStart) {
    world.input(node, Input::Started(Box::new(start.clone())));
}

/// Nodes that are up get a start, and lose their patience with its host; the others hear nothing of it.
fn enter_alone(world: &mut World, up: &[usize], start: &VerifiedStart, until_sealed: bool) {
    world.down = (0..5).filter(|node| !up.contains(node)).collect();
    for node in up {
        enter(world, *node, start);
    }
    world.pending(Some(world.now).filter(|_| until_sealed));
    world.run(if until_sealed { LONG } else { MOMENT });
    for node in up {
        let engine = &world.nodes[*node].engine;
        assert_eq!(engine.epoch().number(), 1, "node {node}");
        assert_eq!(*engine.epoch().validators(), *start.epoch().validators(), "node {node}");
        assert_eq!(engine.here.durable_seal.is_some(), until_sealed, "node {node}");
    }
    world.down.clear();
    world.pending(None);
}

/// All nodes are in one epoch with one set of validators, and commit what its host appends.
fn go_on(world: &mut World, epoch: u64) {
    let feed = PublicKey::new([200 + epoch as u8; 32]);
    let first = world.nodes[0].engine.epoch().clone();
    assert_eq!((first.number(), first.feed()), (epoch, Some(&feed)));
    for node in 1..5 {
        assert_eq!(*world.nodes[node].engine.epoch(), first, "node {node}");
    }
    world.append(feed, 1, true);
    world.run(Duration::from_secs(3));
    for node in 0..5 {
        assert!(world.last(node).is_some_and(|last| last >= (epoch, feed, 2)), "node {node}");
    }
    world.check_peace();
}

/// Validators whose seals a node has signed for the set.
fn sealed_for(world: &World, node: usize, vset: &VsetHash) -> bool {
    world.sent.iter().filter(|(from, _)| *from == node).any(|(_, message)| match message {
        QuorumMessage::Seal(bytes) => Signed::<Seal>::decode(bytes).is_ok_and(|signed| {
            let common = signed.statement.common;
            common.vset == *vset && common.epoch == 1 && common.signer == signer(node as u8).public()
        }),
        _ => false,
    })
}

#[test]
fn who_has_signed_nothing_takes_the_same_way_as_all() {
    let mut world = World::new(4, 1);
    let ways = two_ways(world.nodes[0].engine.epoch());
    for node in 0..5 {
        enter(&mut world, node, &ways[node % 2]);
    }
    world.run(Duration::from_secs(3));
    go_on(&mut world, 1);
}

#[test]
fn who_has_sealed_one_way_seals_the_other_one_and_the_epoch_is_left() {
    let mut world = World::new(4, 1);
    let [before, after] = two_ways(world.nodes[0].engine.epoch());
    // Two of four, and three of five: neither is a quorum.
    enter_alone(&mut world, &[0, 1], &before, true);
    enter_alone(&mut world, &[2, 3, 4], &after, true);
    world.run(Duration::from_secs(5));
    // Whichever set has its quorum first.
    let (of_before, of_after) = (before.epoch().validators().hash(), after.epoch().validators().hash());
    let crossed = [(0, of_after), (1, of_after), (2, of_before), (3, of_before)];
    assert!(crossed.into_iter().any(|(node, vset)| sealed_for(&world, node, vset)));
    assert!(!sealed_for(&world, 4, before.epoch().validators().hash()), "it is none of them");
    go_on(&mut world, 2);
}

/// After a restart the seal that it signs for the other set is the same one, and nobody takes it for a stranger's.
#[test]
fn who_restarts_says_the_same_to_the_other_set() {
    let mut world = World::new(4, 1);
    let [before, after] = two_ways(world.nodes[0].engine.epoch());
    enter_alone(&mut world, &[0], &before, true);
    enter_alone(&mut world, &[2, 3], &after, true);
    // Two of four are not enough to hand over.
    let key = signer(2).public();
    world.down = [1, 3, 4].into();
    world.run(Duration::from_secs(2));
    let own = |world: &World| {
        let mut seals = world.nodes[2].engine.here.seals_beside();
        seals.find(|seal| *seal.signer() == key).map(|seal| seal.encode())
    };
    let first = own(&world).expect("a seal for the other set");
    world.restart(2, None);
    world.run(Duration::from_secs(3));
    assert_eq!(own(&world), Some(first));
    assert!(!world.nodes[2].engine.is_silent());
    world.down.clear();
    world.run(Duration::from_secs(5));
    go_on(&mut world, 2);
}

/// Who acknowledged, or may have, says nothing to the other set: those who did not come over to its set.
#[test]
fn a_seal_that_reports_a_qc_of_the_epoch_is_for_one_set_only() {
    let mut world = World::new(4, 1);
    let [before, after] = two_ways(world.nodes[0].engine.epoch());
    enter_alone(&mut world, &[0, 1, 2], &before, false);
    let feed = PublicKey::new([201; 32]);
    world.down = [3, 4].into();
    world.append(feed, 1, true);
    world.run(Duration::from_secs(1));
    let last = world.last(1).unwrap();
    assert_eq!((last.0, last.1), (1, feed));
    // One of the three is lost from here on: two of four cannot seal, and those of the other way are needed.
    world.down = [2, 3, 4].into();
    world.pending(Some(world.now));
    world.run(LONG);
    enter_alone(&mut world, &[3, 4], &after, true);
    world.down = [2].into();
    world.pending(Some(world.now));
    world.run(Duration::from_secs(5));
    for node in [0, 1] {
        assert!(!sealed_for(&world, node, after.epoch().validators().hash()), "node {node}");
    }
    assert!(sealed_for(&world, 3, before.epoch().validators().hash()));
    for node in [0, 1, 3, 4] {
        let epoch = world.nodes[node].engine.epoch();
        assert_eq!((epoch.number() > 1, epoch.validators().n()), (true, 4), "node {node}");
        assert!(epoch.base().unwrap().head().length() >= last.2, "what was final stays, node {node}");
    }
    world.check_peace();
}
