//! What others can make an engine keep, and pass on, is bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_proto::quorate1::QuorumMessage;
use quorate_types::StateRoot;

use super::super::limits::{
    CHECKS_AT_ONCE, CHECKS_FOR_CERTIFICATES, MAX_LENGTHS_OF_VALIDATOR, PASSED_ON_PER_SECOND,
};
use super::super::*;
use super::hostile::{exposed, head_of, send, vote_bytes};
use super::world::World;
use crate::certificate::tests::{FEED, ROOM, genesis, head, qc, seal, signer, vote};
use crate::evidence::{Claim, Evidence, EvidenceKind};
use crate::statement::{SealReason, Target, Verified, Vote};

const MOMENT: Duration = Duration::from_millis(100);

/// The votes that a node has counted for the first time, but for its own.
fn counted(world: &World, node: usize) -> Vec<Verified<Vote>> {
    let outputs = world.nodes[node].outputs.iter();
    let own = signer(node as u8).public();
    let votes = outputs.filter_map(|output| match output {
        Output::Voted(vote) if *vote.signer() != own => Some(**vote),
        _ => None,
    });
    votes.collect()
}

#[test]
fn a_flood_is_bounded_and_others_go_on() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    world.down.insert(3);
    for length in 1..=1000_u64 {
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head(length), None)));
        let mut statement = vote(&epoch, 3, head(length), None).signed().statement;
        statement.common.epoch = 5;
        send(&mut world, 1, 3, vote_bytes(&Verified::sign(statement, &signer(3))));
    }
    let kept = world.nodes[1].engine.votes().count();
    assert!(kept <= MAX_LENGTHS_OF_VALIDATOR, "{kept}");
    let voted = counted(&world, 1).len();
    assert!(voted <= CHECKS_AT_ONCE as usize, "{voted}");
    world.append(FEED, 3, true);
    world.run(MOMENT);
    assert_eq!(world.last(1), Some((0, FEED, 3)));
}

#[test]
fn votes_leave_room_for_certificates_and_those_that_lead_on_cost_nothing() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    world.down.extend([0, 2, 3]);
    for length in 1..=600 {
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head(length), None)));
    }
    assert_eq!(counted(&world, 1).len(), (CHECKS_AT_ONCE - CHECKS_FOR_CERTIFICATES) as usize);
    let certified =
        |world: &World| world.nodes[1].engine.last_qc().map_or(0, |qc| qc.certified().head().length());
    for length in 601..=700 {
        let qc = qc(&epoch, head(length)).qc().encode();
        send(&mut world, 1, 3, QuorumMessage::Qc { qc: Some(qc), last_final: None });
        assert_eq!(certified(&world), length);
    }
    // Those that lead nowhere are paid for.
    for length in (1..=600).rev() {
        let qc = qc(&epoch, head(length)).qc().encode();
        send(&mut world, 1, 3, QuorumMessage::Qc { qc: Some(qc), last_final: None });
    }
    let qc = qc(&epoch, head(701)).qc().encode();
    send(&mut world, 1, 3, QuorumMessage::Qc { qc: Some(qc), last_final: None });
    assert_eq!(certified(&world), 700);
}

#[test]
fn votes_for_what_the_host_proposed_are_free_once() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    world.down.extend([1, 2, 3]);
    world.append(FEED, 2, true);
    world.run(MOMENT);
    let proposed = world.nodes[0].engine.votes().map(|vote| vote.target).next().unwrap();
    // Votes for 128 longer lengths fill the room of the validator, so that a shorter one is not kept.
    let cost = 128;
    for length in 1..=cost {
        send(&mut world, 0, 3, vote_bytes(&vote(&epoch, 3, head_of(100 + length, 7), None)));
    }
    let common = epoch.common(signer(3).public());
    let asked_for = |byte: u8| {
        let target = Target { state_root: StateRoot::new([byte; 32]), ..proposed };
        vote_bytes(&Verified::sign(Vote { common, feed: FEED, target, ack: None }, &signer(3)))
    };
    (0..250).for_each(|byte| send(&mut world, 0, 3, asked_for(byte)));
    let left = u64::from(CHECKS_AT_ONCE - CHECKS_FOR_CERTIFICATES) - cost - 250;
    for length in 1..=600 {
        send(&mut world, 0, 3, vote_bytes(&vote(&epoch, 3, head_of(300 + length, 7), None)));
    }
    let longest = world.nodes[0].engine.votes().map(|vote| vote.target.head.length()).max();
    assert_eq!(longest, Some(300 + left), "each of the 250 was paid for");
}

#[test]
fn who_is_not_told_every_vote_is_told_what_comes_of_them() {
    let mut world = World::new(4, 0);
    let epoch = genesis(4);
    world.down.extend([0, 2, 3]);
    let told = |world: &World, is_it: fn(&QuorumMessage) -> bool| {
        world.sent.iter().filter(|(node, message)| *node == 1 && is_it(message)).count()
    };
    let is_vote = |message: &QuorumMessage| matches!(message, QuorumMessage::Vote(_));
    let is_qc = |message: &QuorumMessage| matches!(message, QuorumMessage::Qc { qc: Some(_), .. });
    let say_qc = |world: &mut World, length| {
        let qc = qc(&epoch, head(length)).qc().encode();
        send(world, 1, 2, QuorumMessage::Qc { qc: Some(qc), last_final: None });
    };
    let before = told(&world, is_vote);
    for length in 1..=u64::from(PASSED_ON_PER_SECOND) {
        send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head(length), None)));
    }
    // All of it was passed on, to two peers, and nothing has to be told in its place.
    assert_eq!(told(&world, is_vote) - before, 2 * PASSED_ON_PER_SECOND as usize);
    say_qc(&mut world, 201);
    assert_eq!(told(&world, is_qc), 0);
    // The next one is not.
    send(&mut world, 1, 3, vote_bytes(&vote(&epoch, 3, head(202), None)));
    assert_eq!(told(&world, is_vote) - before, 2 * PASSED_ON_PER_SECOND as usize);
    assert_eq!(told(&world, is_qc), 2, "the two who heard nothing of the vote");
    say_qc(&mut world, 203);
    assert_eq!(told(&world, is_qc), 4);
}

#[test]
fn of_what_is_said_of_an_unknown_epoch_the_first_256_messages_are_read_when_it_is_entered() {
    let mut world = World::new(4, 0);
    world.down.extend([0, 1, 3]);
    let of_epoch_1 = |i: u8, length| {
        // No two validators vote alike, so that there is no QC.
        let mut statement = vote(&genesis(4), i, head_of(length, i), None).signed().statement;
        statement.common.epoch = 1;
        Verified::sign(statement, &signer(i))
    };
    let votes: Vec<_> = (1..=100).flat_map(|length| [0, 1, 3].map(|i| of_epoch_1(i, length))).collect();
    for vote in &votes {
        send(&mut world, 2, 0, vote_bytes(vote));
    }
    assert_eq!(counted(&world, 2), []);
    for i in [0, 1, 3] {
        let seal = seal(&genesis(4), i, None, SealReason::Stalled);
        send(&mut world, 2, u64::from(i), QuorumMessage::Seal(seal.encode().into()));
    }
    assert_eq!(world.nodes[2].engine.epoch().number(), 1);
    let read = counted(&world, 2);
    assert_eq!(read.len(), 256);
    assert!(read == votes[..256], "in their order");
    // What is said of the epoch from here on is read at once.
    send(&mut world, 2, 1, vote_bytes(&votes[256]));
    assert_eq!(counted(&world, 2).len(), 257);
}

#[test]
fn the_ninth_evidence_against_one_key_is_neither_kept_nor_passed_on() {
    let mut world = World::new(4, 0);
    world.down.extend([0, 2, 3]);
    let double_vote = |i, length| {
        let [one, two] = [7, 8].map(|byte| *vote(&genesis(4), i, head_of(length, byte), None).signed());
        Evidence { room: ROOM, claim: Claim::double_vote(one, two) }.encode()
    };
    let of_three: Vec<_> = (1..=9).map(|length| double_vote(3, length)).collect();
    for evidence in &of_three {
        send(&mut world, 1, 3, QuorumMessage::Evidence(evidence.clone()));
    }
    let passed_on = |world: &World| {
        let sent = world.sent.iter().filter_map(|sent| match sent {
            (1, QuorumMessage::Evidence(bytes)) => Some(bytes.clone()),
            _ => None,
        });
        sent.collect::<BTreeSet<_>>()
    };
    let first_eight: BTreeSet<_> = of_three[..8].iter().cloned().collect();
    assert_eq!(exposed(&world, 1), [(EvidenceKind::DoubleVote, signer(3).public()); 8]);
    assert_eq!(passed_on(&world), first_eight);
    let is_evidence = |slot: &Slot| matches!(slot, Slot::Evidence { .. });
    let written = world.nodes[1].unsynced.iter().filter(|(_, slot, _)| is_evidence(slot));
    assert_eq!(written.map(|(_, _, record)| record.clone()).collect::<BTreeSet<_>>(), first_eight);
    // It takes no room from evidence against others.
    send(&mut world, 1, 3, QuorumMessage::Evidence(double_vote(2, 1)));
    assert!(exposed(&world, 1).contains(&(EvidenceKind::DoubleVote, signer(2).public())));
    assert!(passed_on(&world).contains(&double_vote(2, 1)));
}

#[test]
fn two_votes_of_one_validator_for_one_length_are_kept_and_the_second_is_evidence() {
    let mut world = World::new(4, 0);
    world.down.extend([0, 2, 3]);
    let votes: Vec<_> = (0..200).map(|byte| vote(&genesis(4), 3, head_of(2, byte), None)).collect();
    let named = (EvidenceKind::DoubleVote, signer(3).public());
    send(&mut world, 1, 3, vote_bytes(&votes[0]));
    assert_eq!(exposed(&world, 1), []);
    send(&mut world, 1, 3, vote_bytes(&votes[1]));
    assert_eq!(exposed(&world, 1), [named]);
    for vote in &votes[2..] {
        send(&mut world, 1, 3, vote_bytes(vote));
    }
    assert_eq!(world.nodes[1].engine.votes().copied().collect::<Vec<_>>(), votes[..2]);
    assert_eq!(counted(&world, 1), votes[..2]);
    assert_eq!(exposed(&world, 1), [named; 8]);
    // Another length has room of its own.
    let longer = vote(&genesis(4), 3, head_of(3, 1), None);
    send(&mut world, 1, 3, vote_bytes(&longer));
    assert_eq!(counted(&world, 1), [votes[0], votes[1], longer]);
}
