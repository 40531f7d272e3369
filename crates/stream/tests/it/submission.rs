//! Entries of participants reach the host and its answers the participants, whatever the network does.

use std::time::Duration;

use bytes::Bytes;
use quorate_proto::quorate1::{Frame, Frames, Message};
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::identity::{Anchor, RuleName};
use quorate_stream::refusal::RoomCode;
use quorate_stream::rule_change::{Change, UnsignedRuleChange};
use quorate_stream::submit::{Input, Output, Peer, Relay, SubmissionState, SubmitError};
use quorate_types::{ModuleHash, RoomId};

use super::world::{ROOM, World, action, author, host_key};

const SECOND: Duration = Duration::from_secs(1);

fn install(number: usize, sequence: u64, module: &Bytes) -> VerifiedEntry {
    let name: RuleName = "chess".parse().unwrap();
    let change = Change::Install { name, module: ModuleHash::of(module), meter: 1, params: Bytes::new() };
    let (anchor, valid_until, activation, vectors) = (Anchor::NONE, 0, 10, Vec::new());
    let unsigned = UnsignedRuleChange { sequence, anchor, valid_until, change, activation, vectors };
    unsigned.sign(&ROOM, &author(number)).unwrap().into()
}

fn state(world: &World, node: usize, entry: &VerifiedEntry) -> Option<SubmissionState> {
    world.nodes[node].ends.get(entry.digest()).cloned()
}

fn code(state: Option<SubmissionState>) -> Option<RoomCode> {
    match state? {
        SubmissionState::Refused(refusal) => Some(refusal.code),
        _ => None,
    }
}

#[test]
fn a_peer_in_between_passes_on() {
    let mut world = World::new(1, 3);
    world.replicates = false;
    world.link(0, 1);
    world.link(1, 2);
    world.run(3 * SECOND);
    let good = action(&author(2), 0, "e2e4");
    let bad = action(&author(2), 1, "bad");
    world.submit(2, &good, None);
    world.submit(2, &bad, None);
    assert_eq!(world.nodes[2].relay.submitted().count(), 2);
    world.run(SECOND);
    assert_eq!(state(&world, 2, &good), Some(SubmissionState::Appended { index: 1 }));
    let Some(SubmissionState::Refused(refusal)) = state(&world, 2, &bad) else { panic!("it is refused") };
    assert_eq!(refusal.at(1), "refused by rule no-bad: it is bad  (E3101, rule 090909, height 1)");
    assert_eq!(world.nodes[2].relay.submitted().count(), 0);
    assert!(world.nodes.iter().all(|node| node.faults.is_empty()));
}

#[test]
fn the_host_submits_to_itself() {
    let mut world = World::new(1, 1);
    let entries = [action(&author(0), 0, "a"), action(&author(0), 1, "bad"), action(&author(1), 0, "b")];
    entries.iter().for_each(|entry| world.submit(0, entry, None));
    world.run(SECOND);
    assert_eq!(state(&world, 0, &entries[0]), Some(SubmissionState::Appended { index: 1 }));
    assert_eq!(code(state(&world, 0, &entries[1])), Some(RoomCode::RuleRejected));
    assert_eq!(state(&world, 0, &entries[2]), Some(SubmissionState::Appended { index: 2 }));
}

#[test]
fn an_offline_host_gets_it_later() {
    let mut world = World::new(1, 3);
    world.link(1, 2);
    let entry = action(&author(2), 0, "a");
    world.submit(2, &entry, None);
    world.run(300 * SECOND);
    assert_eq!(state(&world, 2, &entry), None);
    assert_eq!(world.nodes[2].relay.submitted().next().unwrap().0.digest(), entry.digest());
    world.link(0, 1);
    world.run(121 * SECOND);
    assert_eq!(state(&world, 2, &entry), Some(SubmissionState::Appended { index: 1 }));
}

#[test]
fn an_offline_participant_sends_at_once_when_a_peer_comes() {
    let mut world = World::new(1, 2);
    let entry = action(&author(1), 0, "a");
    world.submit(1, &entry, None);
    world.run(100 * SECOND);
    world.link(0, 1);
    world.run(SECOND / 10);
    assert_eq!(state(&world, 1, &entry), Some(SubmissionState::Appended { index: 1 }));
}

#[test]
fn the_block_itself_is_an_answer_too() {
    let mut world = World::new(1, 2);
    let (first, second) = (action(&author(1), 0, "a"), action(&author(1), 0, "b"));
    world.submit(1, &first, None);
    // The same participant, elsewhere.
    world.submit(0, &second, None);
    world.run(SECOND);
    assert_eq!(state(&world, 0, &second), Some(SubmissionState::Appended { index: 1 }));
    assert_eq!(code(state(&world, 1, &first)), Some(RoomCode::Replayed));
    world.submit(1, &action(&author(1), 1, "c"), None);
    world.submit(0, &action(&author(1), 1, "c"), None);
    world.run(SECOND);
    let again = action(&author(1), 1, "c");
    assert_eq!(state(&world, 1, &again), Some(SubmissionState::Appended { index: 2 }));
}

#[test]
fn a_host_that_forgot_its_answer_does_not_refuse_what_it_appended() {
    let mut world = World::new(1, 2);
    world.replicates = false;
    world.link(0, 1);
    let entry = action(&author(1), 0, "a");
    world.submit(1, &entry, None);
    // The entry is there, and the receipt is lost with the connection.
    while world.room.log.is_empty() {
        world.run(Duration::from_micros(100));
    }
    world.forget(0);
    world.run(SECOND);
    assert_eq!(state(&world, 1, &entry), None);
    world.link(0, 1);
    world.run(SECOND);
    // The host says that the number is used; which entry used it only the block can tell.
    assert_eq!(state(&world, 1, &entry), None);
    world.replicate();
    world.run(SECOND);
    assert_eq!(state(&world, 1, &entry), Some(SubmissionState::Appended { index: 1 }));
}

#[test]
fn a_number_used_by_another_entry_is_refused_in_the_end() {
    let mut world = World::new(1, 2);
    world.replicates = false;
    world.link(0, 1);
    world.submit(0, &action(&author(1), 0, "a"), None);
    world.run(SECOND);
    let late = action(&author(1), 0, "b");
    world.submit(1, &late, None);
    world.run(29 * SECOND);
    assert_eq!(state(&world, 1, &late), None);
    world.run(5 * SECOND);
    assert_eq!(code(state(&world, 1, &late)), Some(RoomCode::Replayed));
}

#[test]
fn entries_that_overtake_each_other_wait_for_each_other() {
    let mut world = World::new(7, 2);
    world.reorders = true;
    world.link(0, 1);
    let entries: Vec<_> = (0..200).map(|sequence| action(&author(1), sequence, "a")).collect();
    // Delays differ by more than the time between two sends.
    entries.iter().for_each(|entry| world.submit(1, entry, None));
    world.run(SECOND);
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(state(&world, 1, entry), Some(SubmissionState::Appended { index: at as u64 + 1 }));
    }
    assert!(world.room.decided.values().all(|times| *times == 1));
}

#[test]
fn an_entry_whose_predecessor_never_comes_is_refused() {
    let mut world = World::new(1, 2);
    world.link(0, 1);
    let entry = action(&author(1), 5, "a");
    world.submit(1, &entry, None);
    world.run(30 * SECOND);
    assert_eq!(state(&world, 1, &entry), None);
    world.run(10 * SECOND);
    assert_eq!(code(state(&world, 1, &entry)), Some(RoomCode::SequenceSkipped));
}

#[test]
fn many_entries_go_through_the_window() {
    let mut world = World::new(3, 3);
    world.link(0, 1);
    world.link(1, 2);
    let entries: Vec<_> = (0..2000).map(|sequence| action(&author(2), sequence, "a")).collect();
    entries.iter().for_each(|entry| world.submit(2, entry, None));
    world.run(60 * SECOND);
    assert_eq!(world.room.log.len(), 2000);
    assert_eq!(world.nodes[2].ends.len(), 2000);
    // Nothing was sent twice for nothing: an entry and its receipt for each hop, and announcements.
    assert!(world.nodes[1].sent < 2 * 2000 + 200, "{}", world.nodes[1].sent);
}

#[test]
fn a_module_follows_its_rule_change() {
    for drop_percent in [0, 30] {
        let mut world = World::new(11, 4);
        world.drop_percent = drop_percent;
        for (a, b) in [(0, 1), (1, 2), (2, 3)] {
            world.link(a, b);
        }
        world.run(20 * SECOND);
        let module: Bytes = (0..400_000_u32).map(|at| (at / 3) as u8).collect::<Vec<_>>().into();
        let first = install(3, 0, &module);
        world.submit(3, &first, Some(module.clone()));
        world.run(600 * SECOND);
        assert_eq!(state(&world, 3, &first), Some(SubmissionState::Appended { index: 1 }), "{drop_percent}");
        // The room has it now: nobody fetches it again.
        let before = world.nodes[3].parts_sent;
        let second = install(3, 1, &module);
        world.submit(3, &second, Some(module));
        world.run(600 * SECOND);
        assert_eq!(state(&world, 3, &second), Some(SubmissionState::Appended { index: 2 }));
        assert_eq!(world.nodes[3].parts_sent, before);
        assert!(world.nodes.iter().all(|node| node.faults.is_empty()));
    }
}

#[test]
fn a_module_that_nobody_has_is_waited_for() {
    let mut world = World::new(1, 2);
    world.link(0, 1);
    let module = Bytes::from_static(b"module");
    let entry = install(1, 0, &module);
    world.submit(1, &entry, None);
    world.run(200 * SECOND);
    assert_eq!(state(&world, 1, &entry), None);
    assert!(world.room.log.is_empty());
}

#[test]
fn entries_expire() {
    let mut world = World::new(1, 2);
    let now = world.now;
    let relay = &mut world.nodes[1].relay;
    let timed = action(&author(1), 0, "a");
    relay.submit(now, timed.clone(), None, Some(20 * SECOND)).unwrap();
    let unsigned = quorate_stream::action::UnsignedAction {
        sequence: 1,
        anchor: Anchor::NONE,
        valid_until: 3,
        payload: Bytes::new(),
    };
    let until_3: VerifiedEntry = unsigned.sign(&ROOM, &author(1)).unwrap().into();
    world.submit(1, &until_3, None);
    world.run(19 * SECOND);
    assert_eq!(state(&world, 1, &timed), None);
    world.run(2 * SECOND);
    assert_eq!(state(&world, 1, &timed), Some(SubmissionState::Expired));
    let head = |length| Input::Head { length, tree_hash: quorate_types::Hash::new([1; 32]) };
    world.input(1, head(3));
    assert_eq!(state(&world, 1, &until_3), None);
    world.input(1, head(4));
    assert_eq!(state(&world, 1, &until_3), Some(SubmissionState::Expired));
}

#[test]
fn what_cannot_be_submitted_is_said_at_once() {
    let mut world = World::new(1, 2);
    let now = world.now;
    let mut submit = |entry: VerifiedEntry| world.nodes[1].relay.submit(now, entry, None, None);
    let (me, entry) = (author(1).public(), action(&author(1), 0, "a"));
    submit(entry.clone()).unwrap();
    submit(entry).unwrap();
    let error = SubmitError::SequenceTaken { author: me, sequence: 0 };
    assert_eq!(submit(action(&author(1), 0, "b")), Err(error));
    let other = RoomId::new([6; 32]);
    let unsigned = quorate_stream::action::UnsignedAction {
        sequence: 1,
        anchor: Anchor::NONE,
        valid_until: 0,
        payload: Bytes::new(),
    };
    let elsewhere = unsigned.sign(&other, &author(1)).unwrap().into();
    assert_eq!(submit(elsewhere), Err(SubmitError::Room { expected: ROOM, found: other }));
    let error = SubmitError::TooMany { limit: 4096 };
    let last = (1..5000).map(|sequence| submit(action(&author(1), sequence, ""))).find_map(Result::err);
    assert_eq!(last, Some(error));
}

/// An entry of the largest payload fits into one message on its way.
#[test]
fn the_largest_action_fits() {
    let mut world = World::new(1, 2);
    world.link(0, 1);
    let payload = "x".repeat(quorate_types::limits::MAX_PAYLOAD_BYTES);
    let unsigned = quorate_stream::action::UnsignedAction {
        sequence: 0,
        anchor: Anchor::new(quorate_types::limits::MAX_FEED_LENGTH, quorate_types::Hash::new([7; 32])),
        valid_until: quorate_types::limits::MAX_FEED_LENGTH,
        payload: payload.into(),
    };
    let entry: VerifiedEntry = unsigned.sign(&ROOM, &author(1)).unwrap().into();
    world.submit(1, &entry, None);
    world.run(SECOND);
    assert_eq!(state(&world, 1, &entry), Some(SubmissionState::Appended { index: 1 }));
}

#[test]
fn distance_to_the_host_is_learned_and_forgotten() {
    let mut world = World::new(1, 4);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        world.link(a, b);
    }
    world.run(5 * SECOND);
    assert_eq!(distance_said_by(&mut world, 2), 3);
    world.cut(0, 1);
    world.run(40 * SECOND);
    assert_eq!(distance_said_by(&mut world, 2), 0);
}

/// What a node tells somebody who is new.
fn distance_said_by(world: &mut World, node: usize) -> u32 {
    let now = world.now;
    let relay = &mut world.nodes[node].relay;
    let peer = quorate_stream::submit::Peer(1 << 40);
    relay.handle(now, Input::PeerOpened { peer });
    let mut distance = None;
    while let Some(output) = relay.poll_output() {
        if let Output::Send { peer: to, payload } = output
            && to == peer
            && let Some(Ok(Frame::Message(Message::Status(status)))) = Frames::new(payload).next()
        {
            distance = Some(status.distance);
        }
    }
    relay.handle(now, Input::PeerClosed { peer });
    distance.expect("a new peer is greeted")
}

#[test]
fn an_idle_relay_wants_nothing() {
    let relay = Relay::follower(ROOM, host_key().public()).unwrap();
    assert_eq!(relay.poll_timeout(), None);
}

/// What came of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Ends {
    appended: u32,
    refused: u32,
    changes: u32,
}

/// One run on a bad network. Returns the trace, and what became of the entries.
fn storm(seed: u64) -> (quorate_types::Hash, Ends) {
    let nodes = 3 + (seed % 3) as usize;
    let mut world = World::new(seed, nodes);
    world.drop_percent = world.random.below(30);
    world.duplicate_percent = world.random.below(20);
    world.reorders = seed.is_multiple_of(5);
    world.room.hesitates = seed.is_multiple_of(4);
    let mut links: Vec<(usize, usize)> = (1..nodes).map(|node| (node - 1, node)).collect();
    for _ in 0..world.random.below(3) {
        let (a, b) = (world.random.below(nodes as u64) as usize, world.random.below(nodes as u64) as usize);
        if a != b && !links.contains(&(a.min(b), a.max(b))) {
            links.push((a.min(b), a.max(b)));
        }
    }
    links.iter().for_each(|(a, b)| world.link(*a, *b));
    let module = Bytes::from(vec![seed as u8; 150_000]);
    let mut submitted: Vec<(usize, VerifiedEntry)> = Vec::new();
    let mut next = vec![0; nodes];
    for _ in 0..40 {
        let node = world.random.below(nodes as u64) as usize;
        let entry = match world.random.below(12) {
            0 => install(node, next[node], &module),
            _ => action(&author(node), next[node], &format!("entry {}", next[node])),
        };
        next[node] += 1;
        world.submit(
            node,
            &entry,
            Some(module.clone()).filter(|_| matches!(entry, VerifiedEntry::RuleChange(_))),
        );
        submitted.push((node, entry));
        match world.random.below(8) {
            0 => {
                let (a, b) = links[world.random.below(links.len() as u64) as usize];
                world.cut(a, b);
            }
            1 => world.restart(0),
            // Somebody in between, without entries of its own that it would forget.
            2 if nodes > 3 && next[1] == 0 => world.restart(1),
            _ => {}
        }
        let pause = Duration::from_millis(world.random.below(3000));
        world.run(pause);
        for (a, b) in links.clone() {
            if !world.is_linked(a, b) && world.random.below(2) == 0 {
                world.link(a, b);
            }
        }
    }
    // A host that restarted has forgotten its own entries too: whoever runs it submits them again.
    for (node, entry) in &submitted {
        let ended = world.nodes[*node].ends.contains_key(entry.digest());
        let waits = world.nodes[*node].relay.submitted().any(|(other, _)| other.digest() == entry.digest());
        if !ended && !waits {
            assert!(*node == 0 || *node == 1, "seed {seed}: node {node} lost an entry");
            world.submit(
                *node,
                entry,
                Some(module.clone()).filter(|_| matches!(entry, VerifiedEntry::RuleChange(_))),
            );
        }
    }
    for (a, b) in links {
        if !world.is_linked(a, b) {
            world.link(a, b);
        }
    }
    world.run(33600 * SECOND);
    let mut ends = Ends::default();
    for (node, entry) in &submitted {
        let end = state(&world, *node, entry);
        let index = world.index(entry.digest());
        match (&end, index) {
            (Some(SubmissionState::Appended { index }), Some(found)) if *index == found => {
                ends.appended += 1;
                ends.changes += u32::from(matches!(entry, VerifiedEntry::RuleChange(_)));
            }
            // The host forgot one of its own entries before this one when it started anew.
            (Some(SubmissionState::Refused(refusal)), None)
                if *node == 0 && refusal.code == RoomCode::SequenceSkipped =>
            {
                ends.refused += 1;
            }
            _ => panic!("seed {seed}: node {node} sees {end:?} of an entry at {index:?}"),
        }
    }
    for (number, node) in world.nodes.iter().enumerate() {
        assert!(
            node.faults.is_empty(),
            "seed {seed}: node {number} blames an honest peer: {:?}",
            node.faults
        );
        assert_eq!(node.relay.submitted().count(), 0, "seed {seed}: node {number}");
    }
    (world.trace, ends)
}

/// `QUORATE_SEEDS=1000` runs more of them.
#[test]
fn storms() {
    let seeds = std::env::var("QUORATE_SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    let mut all = Ends::default();
    for seed in 0..seeds {
        println!("seed {seed}");
        let (_, ends) = storm(seed);
        all.appended += ends.appended;
        all.refused += ends.refused;
        all.changes += ends.changes;
    }
    println!("{seeds} seeds: {all:?}");
    assert!(all.appended > 9 * all.refused && all.changes > 0, "{all:?}");
}

#[test]
fn a_seed_gives_the_same_again() {
    for seed in [3, 4, 5] {
        assert_eq!(storm(seed), storm(seed), "seed {seed}");
    }
}

/// Lets a relay do something; returns what it wants.
fn outputs(relay: &mut Relay, input: Input) -> Vec<Output> {
    relay.handle(std::time::Instant::now(), input);
    std::iter::from_fn(|| relay.poll_output()).collect()
}

/// Messages of some kind among what a relay wants to send to a peer.
fn sent(outputs: &[Output], to: Peer, fits: fn(&Message) -> bool) -> Vec<Bytes> {
    let fits = |payload: &Bytes| {
        Frames::new(payload.clone())
            .any(|frame| matches!(frame, Ok(Frame::Message(message)) if fits(&message)))
    };
    let to_it = outputs.iter().filter_map(|output| match output {
        Output::Send { peer, payload } if *peer == to => Some(payload.clone()),
        _ => None,
    });
    to_it.filter(fits).collect()
}

#[test]
fn another_host_may_follow() {
    let now = std::time::Instant::now();
    let (left, right) = (Peer(1), Peer(2));
    let next = author(5);
    let entry = action(&author(2), 0, "a");
    let submit =
        Message::Submit(quorate_proto::quorate1::Submit { room: ROOM, entry: entry.encode() }).encode();
    let is_submit = |message: &Message| matches!(message, Message::Submit(_));
    let is_receipt = |message: &Message| matches!(message, Message::Receipt(_));

    // What the next host signs.
    let mut host = Relay::host(ROOM, next.clone()).unwrap();
    outputs(&mut host, Input::PeerOpened { peer: left });
    let offered = outputs(&mut host, Input::Message { peer: left, payload: submit.clone() });
    assert!(offered.iter().any(|output| matches!(output, Output::Offer { .. })), "{offered:?}");
    let refusal = quorate_stream::refusal::Refusal::new(RoomCode::Expired, "it is over");
    let answer = quorate_stream::submit::Answer::Refused(refusal);
    let told = outputs(&mut host, Input::Answered { digest: *entry.digest(), answer });
    let [receipt] = &sent(&told, left, is_receipt)[..] else { panic!("no receipt in {told:?}") };

    // Who knows nothing of it passes entries on, says so, and holds its receipt against nobody.
    let mut between = Relay::follower(ROOM, host_key().public()).unwrap();
    between.expect_other_hosts();
    for peer in [left, right] {
        outputs(&mut between, Input::PeerOpened { peer });
    }
    let passed = outputs(&mut between, Input::Message { peer: left, payload: submit.clone() });
    assert_eq!(sent(&passed, right, is_submit).len(), 1);
    let is_heard = |output: &Output| matches!(output, Output::Heard { entry: heard } if **heard == entry);
    assert!(passed.iter().any(is_heard), "{passed:?}");
    let from_next = || Input::Message { peer: right, payload: receipt.clone() };
    assert!(outputs(&mut between, from_next()).is_empty());

    // Once it knows, the entry can go there, and the receipt counts.
    between.set_host(now, next.public(), None).unwrap();
    while between.poll_output().is_some() {}
    let passed = outputs(&mut between, Input::Message { peer: left, payload: submit });
    assert_eq!(sent(&passed, right, is_submit).len(), 1);
    let told = outputs(&mut between, from_next());
    assert_eq!(sent(&told, left, is_receipt).len(), 1);
    assert!(told.contains(&Output::Settled { digest: *entry.digest() }), "{told:?}");

    // Own entries that wait go to the next host, which may be this node.
    let own = action(&author(3), 0, "b");
    let mut waits = Relay::follower(ROOM, host_key().public()).unwrap();
    outputs(&mut waits, Input::PeerOpened { peer: left });
    waits.submit(now, own.clone(), None, None).unwrap();
    let first: Vec<Output> = std::iter::from_fn(|| waits.poll_output()).collect();
    assert_eq!(sent(&first, left, is_submit).len(), 1);
    waits.set_host(now, next.public(), None).unwrap();
    let again: Vec<Output> = std::iter::from_fn(|| waits.poll_output()).collect();
    assert_eq!(sent(&again, left, is_submit).len(), 1);
    waits.set_host(now, next.public(), Some(next.clone())).unwrap();
    let offered: Vec<Output> = std::iter::from_fn(|| waits.poll_output()).collect();
    let is_offer = |output: &Output| matches!(output, Output::Offer { entry, .. } if **entry == own);
    assert!(offered.iter().any(is_offer), "{offered:?}");
}

/// A block of the host that is left may come in after the next host is known, and before its blocks are dropped.
#[test]
fn what_stood_in_a_block_that_is_dropped_goes_to_the_next_host() {
    let now = std::time::Instant::now();
    let (peer, next, own) = (Peer(1), author(5), action(&author(3), 0, "b"));
    let mut relay = Relay::follower(ROOM, host_key().public()).unwrap();
    relay.handle(now, Input::PeerOpened { peer });
    relay.submit(now, own.clone(), None, None).unwrap();
    relay.set_host(now, next.public(), None).unwrap();
    let (digest, author) = (*own.digest(), *own.author());
    relay.handle(now, Input::Appeared { digest, author, sequence: 0, index: 11 });
    let states = |relay: &mut Relay| -> Vec<SubmissionState> {
        std::iter::from_fn(|| relay.poll_output())
            .filter_map(|output| match output {
                Output::Submission { state, .. } => Some(state),
                _ => None,
            })
            .collect()
    };
    assert_eq!(states(&mut relay), [SubmissionState::Appended { index: 11 }]);
    // What stands below stays where it is.
    for (length, expected) in [(12, vec![SubmissionState::Appended { index: 11 }]), (11, vec![])] {
        relay.dropped(length);
        relay.submit(now, own.clone(), None, None).unwrap();
        assert_eq!(states(&mut relay), expected, "{length}");
    }
    assert_eq!(relay.submitted().count(), 1);
}

/// A room may be closed for a while, or its host go on in another feed: what was brought to it meanwhile is not forgotten.
#[test]
fn what_the_host_could_not_take_is_asked_about_again() {
    let now = std::time::Instant::now();
    let (peer, next) = (Peer(1), author(5));
    let entries = [action(&author(3), 0, "a"), action(&author(3), 1, "b")];
    let submit = |entry: &VerifiedEntry| {
        let submit = quorate_proto::quorate1::Submit { room: ROOM, entry: entry.encode() };
        Input::Message { peer, payload: Message::Submit(submit).encode() }
    };
    let offered = |outputs: &[Output]| -> Vec<_> {
        let digest = |output: &Output| match output {
            Output::Offer { digest, .. } => Some(*digest),
            _ => None,
        };
        outputs.iter().filter_map(digest).collect()
    };
    let mut host = Relay::host(ROOM, host_key()).unwrap();
    outputs(&mut host, Input::PeerOpened { peer });
    for entry in &entries {
        assert_eq!(offered(&outputs(&mut host, submit(entry))), [*entry.digest()]);
        // One question at a time, however often it comes.
        assert_eq!(offered(&outputs(&mut host, submit(entry))), []);
    }
    // The second one waits for the first.
    let skipped = quorate_stream::refusal::Refusal::new(RoomCode::SequenceSkipped, "expected 0");
    let answer = quorate_stream::submit::Answer::Refused(skipped);
    outputs(&mut host, Input::Answered { digest: *entries[1].digest(), answer });
    let held: Vec<VerifiedEntry> = host.held().cloned().collect();
    assert_eq!(held.len(), 2);

    // It goes on as the host in another feed, whose room is asked about both.
    host.set_host(now, next.public(), Some(next.clone())).unwrap();
    while host.poll_output().is_some() {}
    assert_eq!(host.held().count(), 0);
    for entry in held {
        host.take_up(now, entry);
    }
    let again: Vec<Output> = std::iter::from_fn(|| host.poll_output()).collect();
    assert_eq!(offered(&again).len(), 2, "{again:?}");
    let answer = quorate_stream::submit::Answer::Appended { index: 7 };
    let told = outputs(&mut host, Input::Answered { digest: *entries[0].digest(), answer });
    assert_eq!(sent(&told, peer, |message| matches!(message, Message::Receipt(_))).len(), 1);
    // What is decided is not asked about.
    host.take_up(now, entries[0].clone());
    assert_eq!(host.poll_output(), None);

    // A participant does not wait for its next try, when the host takes entries again.
    let own = action(&author(4), 0, "c");
    let mut waits = Relay::follower(ROOM, host_key().public()).unwrap();
    outputs(&mut waits, Input::PeerOpened { peer });
    waits.submit(now, own.clone(), None, None).unwrap();
    while waits.poll_output().is_some() {}
    assert!(waits.waits_before(own.author(), 1) && !waits.waits_before(own.author(), 0));
    waits.handle(now + SECOND, Input::Timeout);
    assert_eq!(waits.poll_output(), None);
    waits.send_again(now + SECOND);
    let again: Vec<Output> = std::iter::from_fn(|| waits.poll_output()).collect();
    assert_eq!(sent(&again, peer, |message| matches!(message, Message::Submit(_))).len(), 1);
    // At no other node does it do anything that is for the host to do.
    waits.take_up(now, entries[1].clone());
    assert_eq!((waits.poll_output(), waits.held().count()), (None, 0));
}
