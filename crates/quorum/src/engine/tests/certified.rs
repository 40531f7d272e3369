//! What a quorum has voted for decides: between two starts of one epoch, and between two branches of one feed.

use std::time::Duration;

use quorate_feed::{Flavour, MemoryTree};
use quorate_proto::quorate1::QuorumMessage;
use quorate_types::PublicKey;

use super::super::*;
use super::hostile::{head_of, send};
use super::world::World;
use crate::certificate::tests::{
    FEED, ROOM, certified, closing, genesis, qc, seal, signer, validators, vote,
};
use crate::certificate::{Start, VerifiedFinal, VerifiedHandover, VerifiedQc, VerifiedStart};
use crate::head::Head;
use crate::statement::{Ack, SealReason, Signed, Verified, Vote};

const NEXT: PublicKey = PublicKey::new([201; 32]);

/// Two starts of epoch 1 with the same validators on one base: the host goes on, or the next one comes.
fn two_starts(epoch: &Epoch) -> [VerifiedStart; 2] {
    let closing = closing(validators(5), Some(signer(4).prove_possession()), 7);
    let base = qc(epoch, closing.head());
    [SealReason::Membership, SealReason::Stalled].map(|reason| {
        let seals: Vec<_> = (0..3).map(|i| seal(epoch, i, Some(base.reference()), reason)).collect();
        let change = |base: &Certified| Some(closing.change(epoch, base, 0..4));
        let handover = VerifiedHandover::of_seals(epoch, &seals, |_| Some(base.clone()), change).unwrap();
        Start::with_grant(handover, None, epoch).unwrap()
    })
}

/// Node 0 goes one way, the four others go the other one, and commit there.
fn part_ways(world: &mut World, starts: &[VerifiedStart; 2]) {
    world.down = (1..5).collect();
    world.input(0, Input::Started(Box::new(starts[0].clone())));
    world.run(Duration::from_secs(1));
    assert_eq!(world.nodes[0].engine.epoch().feed(), Some(&FEED));
    world.down = [0].into();
    for node in 1..5 {
        world.input(node, Input::Started(Box::new(starts[1].clone())));
    }
    world.run(Duration::from_secs(1));
    world.append(NEXT, 1, true);
    world.run(Duration::from_secs(3));
    for node in 1..5 {
        assert!(world.last(node).is_some_and(|last| last >= (1, NEXT, 2)), "node {node}");
    }
}

/// Votes of a node in epoch 1, by their feeds.
fn votes(world: &World, node: usize, feed: PublicKey) -> usize {
    let of_node = world.sent.iter().filter(|(from, _)| *from == node);
    let is_own = |message: &QuorumMessage| {
        let QuorumMessage::Vote(bytes) = message else { return false };
        let Ok(Signed { statement, .. }) = Signed::<Vote>::decode(bytes) else { return false };
        let key = signer(node as u8).public();
        statement.common.signer == key && statement.common.epoch == 1 && statement.feed == feed
    };
    of_node.filter(|(_, message)| is_own(message)).count()
}

fn node_0_follows(world: &mut World) {
    world.down.clear();
    world.run(Duration::from_secs(15));
    assert_eq!(world.nodes[0].engine.epoch().feed(), Some(&NEXT));
    assert_eq!(world.last(0), world.last(1));
    world.append(NEXT, 1, true);
    world.run(Duration::from_secs(3));
    assert_eq!(world.last(0), world.last(1));
    world.check_peace();
}

#[test]
fn who_has_voted_for_nothing_takes_the_start_that_a_quorum_votes_in() {
    let mut world = World::new(4, 1);
    // It does not host, and finds no block of the feed that goes on.
    world.nodes[0].config.is_genesis_host = false;
    world.restart(0, None);
    let starts = two_starts(world.nodes[0].engine.epoch());
    part_ways(&mut world, &starts);
    node_0_follows(&mut world);
    assert!(votes(&world, 0, NEXT) > 0, "it votes with the others");
}

#[test]
fn who_has_voted_in_another_start_follows_and_votes_for_nothing_more() {
    let mut world = World::new(4, 1);
    let starts = two_starts(world.nodes[0].engine.epoch());
    world.down = (1..5).collect();
    world.input(0, Input::Started(Box::new(starts[0].clone())));
    world.append(FEED, 10, true);
    world.run(Duration::from_secs(1));
    assert!(votes(&world, 0, FEED) > 0);
    part_ways(&mut world, &starts);
    node_0_follows(&mut world);
    assert_eq!(votes(&world, 0, NEXT), 0, "it is bound by what it has signed");
    // Nor after a restart; and what it reports when it seals is what it voted for.
    world.restart(0, None);
    world.append(NEXT, 1, true);
    world.run(Duration::from_secs(3));
    assert_eq!((votes(&world, 0, NEXT), world.last(0)), (0, world.last(1)));
    world.down.insert(1);
    world.pending(Some(world.now));
    world.run(Duration::from_secs(60));
    world.down.clear();
    world.pending(None);
    world.run(Duration::from_secs(15));
    let number = world.nodes[0].engine.epoch().number();
    assert!(number > 1);
    let feed = world.nodes[0].engine.epoch().feed().copied().unwrap();
    world.append(feed, 1, true);
    world.run(Duration::from_secs(3));
    assert!(world.last(0).is_some_and(|last| last.0 == number && votes(&world, 0, NEXT) == 0));
    world.check_peace();
}

/// A crash may leave a Final on the disk, and the start that was left.
#[test]
fn a_final_for_the_feed_of_another_start_does_not_keep_a_node_from_starting() {
    let mut world = World::new(4, 1);
    let starts = two_starts(world.nodes[0].engine.epoch());
    part_ways(&mut world, &starts);
    node_0_follows(&mut world);
    let mut records = world.nodes[0].records.clone();
    records.insert(Slot::Start { epoch: 1 }, starts[0].start().encode());
    let engine = Engine::new(world.nodes[0].config.clone(), records.clone()).unwrap();
    assert_eq!(engine.epoch().feed(), Some(&FEED));
    assert_eq!(engine.committed().map(|last| last.feed), Some(NEXT), "it is not forgotten");
    assert_eq!(engine.last_qc().map(|qc| qc.certified().feed), Some(NEXT));
    world.restart(0, Some(records));
    node_0_follows(&mut world);
}

/// A node holds a branch of a fork, and the others commit on the other one.
#[test]
fn who_goes_over_to_the_branch_that_counts_votes_there() {
    let mut world = World::new(4, 0);
    world.append(FEED, 1, true);
    world.run(Duration::from_secs(1));
    world.down.insert(3);
    world.append(FEED, 2, true);
    world.run(Duration::from_secs(3));
    world.down.clear();
    world.run(Duration::from_secs(15));
    // The same number of blocks, of which the second is another one.
    let mut tree = MemoryTree::new(Flavour::Dat);
    for block in ["block 0", "another block", "and one more"] {
        tree.push(block.as_bytes()).unwrap();
    }
    let voted = world.nodes[3].engine.last_vote().unwrap();
    for length in 2..=3 {
        let head = Head::new(length, tree.roots_at(length).unwrap().tree_hash(Flavour::Dat)).unwrap();
        world.input(3, Input::Checked(Checked { head, ..world.checked(&FEED, length) }));
    }
    world.run(Duration::from_secs(3));
    let certified = *world.nodes[3].engine.certified().unwrap();
    assert_eq!((certified.feed, *certified.head()), (FEED, world.head(&FEED, certified.head().length())));
    assert_eq!(world.nodes[3].engine.last_vote(), Some(voted), "there is nothing to vote for on that branch");
    world.input(3, Input::Switched { feed: FEED, common: 1 });
    world.announce_feed(FEED);
    world.append(FEED, 1, true);
    world.run(Duration::from_secs(3));
    let length = world.feeds[&FEED].tree.roots().length();
    assert!(world.nodes[3].engine.last_vote().is_some_and(|vote| vote.length() >= length - 1));
    assert_eq!(world.last(3), world.last(0));
    world.check_agreement();
}

/// Votes of all but node 1.
fn votes_of_others(head: Head, ack: Option<Ack>) -> [Verified<Vote>; 3] {
    [0, 2, 3].map(|i| vote(&genesis(4), i, head, ack))
}

fn certify(world: &mut World, head: Head) {
    let (epoch, votes) = (genesis(4), votes_of_others(head, None));
    let qc = VerifiedQc::of_votes(&certified(&epoch, head), epoch.validators(), &votes).unwrap();
    let message = QuorumMessage::Qc { qc: Some(qc.qc().encode()), last_final: None };
    send(world, 1, 0, message);
}

/// The length of node 1's newest vote, and that of what it acknowledges.
fn own_vote(world: &World) -> (u64, Option<u64>) {
    let votes = world.nodes[1].engine.votes().filter(|vote| *vote.signer() == signer(1).public());
    let newest = votes.max_by_key(|vote| vote.target.head.length()).unwrap();
    (newest.target.head.length(), newest.ack.map(|ack| ack.length))
}

fn node_1_alone() -> World {
    let mut world = World::new(4, 0);
    world.down.extend([0, 2, 3]);
    world
}

/// A QC is acknowledged where its head is among those that were checked, below the vote.
#[test]
fn a_qc_that_is_not_known_to_be_of_the_history_is_not_acknowledged() {
    let newest = |batches: &[u64], other: Option<Head>| {
        let mut world = node_1_alone();
        for blocks in batches {
            world.append(FEED, *blocks, true);
        }
        let head = other.unwrap_or_else(|| world.head(&FEED, 4));
        certify(&mut world, head);
        world.run(Duration::from_secs(1));
        own_vote(&world)
    };
    assert_eq!(newest(&[4, 1], None), (5, Some(4)));
    // The writer signed nothing between 0 and 5 here.
    assert_eq!(newest(&[5], Some(head_of(4, 9))), (5, None));
}

/// The QC is of another head than was voted for at that length, and a Final further on hides that they contradict.
#[test]
fn a_qc_of_another_branch_is_not_acknowledged() {
    let mut world = node_1_alone();
    world.append(FEED, 4, true);
    world.run(Duration::from_secs(1));
    assert_eq!(own_vote(&world), (4, None));
    certify(&mut world, head_of(4, 9));
    let (epoch, head) = (genesis(4), head_of(6, 9));
    let last = certified(&epoch, head);
    let votes = votes_of_others(head, Some(last.ack(&ROOM)));
    let last = VerifiedFinal::of_votes(&last, &ROOM, epoch.validators(), &votes).unwrap();
    world.input(1, Input::Certificate(Box::new(last)));
    world.append(FEED, 3, true);
    world.run(Duration::from_secs(1));
    assert_eq!(own_vote(&world), (7, None));
}
