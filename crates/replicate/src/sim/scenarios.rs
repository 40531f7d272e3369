//! Whole replications, each of which must converge.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use quorate_types::{BlockRange, Wire};

use super::model::Model;
use super::world::{Manner, Random, World};
use crate::{Config, Input, LocalFeed, PeerFault, Refusal, ReplicationEvent, Selection};

const LONG: Duration = Duration::from_secs(600);

fn stock() -> Manner {
    Manner { quorate: false, ..Manner::default() }
}

#[test]
fn one_reader_gets_everything_once() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let writer = world.writer(5000, Manner::default());
        let reader = world.reader(true);
        world.link(writer, reader);
        assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()), "seed {seed}");
        assert!(world.has_all_of(reader, writer));
        let seen = &world.nodes[reader].seen;
        assert_eq!((seen.duplicates(), seen.refused.len()), (0, 0), "seed {seed}");
        // The head's proof, then one node a block and not a path for each.
        assert!(seen.nodes < 5000 + 100, "seed {seed}: {} nodes", seen.nodes);
        assert_eq!(seen.signatures, 1, "seed {seed}");
        assert!(seen.max_in_flight > 900, "seed {seed}: {} in flight", seen.max_in_flight);
        world.check_nothing_is_leaked(reader);
    }
}

#[test]
fn every_block_that_comes_later_is_followed_by_synced() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let writer = world.writer(10, Manner::default());
        let reader = world.reader(true);
        world.link(writer, reader);
        for length in 10..15 {
            let synced = |world: &World| {
                world.nodes[reader].seen.events.contains(&ReplicationEvent::Synced { length })
            };
            assert!(world.run_until(LONG, synced), "seed {seed}: not synced at {length}");
            world.append(writer, 1);
        }
    }
}

#[test]
fn a_stock_peer_has_sixteen_requests_in_flight() {
    let mut world = World::new(1);
    let writer = world.writer(1000, stock());
    let reader = world.reader(true);
    world.link(writer, reader);
    assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()));
    let seen = &world.nodes[reader].seen;
    assert_eq!((seen.max_in_flight, seen.duplicates()), (16, 0));
    assert!(seen.refused.is_empty());
}

#[test]
fn several_peers_share_the_work() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        let writers: Vec<usize> = (0..4).map(|_| world.writer(6000, Manner::default())).collect();
        let reader = world.reader(true);
        for &writer in &writers {
            world.link(writer, reader);
        }
        assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()), "seed {seed}");
        assert_eq!(world.nodes[reader].feed.count(), 6000);
        assert_eq!(world.nodes[reader].seen.duplicates(), 0, "seed {seed}");
        world.check_nothing_is_leaked(reader);
    }
}

#[test]
fn what_is_here_already_is_not_asked_for() {
    let mut world = World::new(3);
    let mut feed = Model::default();
    feed.append(3000);
    feed.clear(BlockRange::new(1000, 1010));
    feed.clear(BlockRange::new(2999, 3000));
    let writer = world.writer(3000, Manner::default());
    let reader = world.add(Config::default(), feed, Selection::Everything, Manner::default());
    world.link(writer, reader);
    assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()));
    let received: Vec<u64> = world.nodes[reader].seen.received.keys().copied().collect();
    let missing: Vec<u64> = (1000..1010).chain([2999]).collect();
    assert_eq!(received.into_iter().filter(|index| missing.contains(index)).collect::<Vec<_>>(), missing);
    assert_eq!(world.nodes[reader].seen.received.values().sum::<u32>(), 11);
}

#[test]
fn blocks_are_shared_on_while_they_come() {
    let mut world = World::new(4);
    let writer = world.writer(4000, Manner { service: Duration::from_micros(500), ..Manner::default() });
    let first = world.reader(true);
    let second = world.reader(true);
    world.link(writer, first);
    world.link(first, second);
    assert!(world.run_until(LONG, |world| world.has_all_of(second, writer)));
    // Had the second waited for the first to be complete, it would have taken much longer.
    assert!(world.elapsed() < Duration::from_millis(2300), "{:?}", world.elapsed());
    assert_eq!(world.nodes[second].seen.duplicates(), 0);
    assert!(world.nodes[first].seen.haves < 700, "{} announcements", world.nodes[first].seen.haves);
}

#[test]
fn live_appends_arrive_at_once() {
    for manner in [Manner::default(), stock()] {
        let mut world = World::new(5);
        world.max_delay = Duration::from_millis(1);
        let writer = world.writer(0, manner);
        let reader = world.reader(true);
        world.link(writer, reader);
        world.run_for(Duration::from_secs(30));
        for _ in 0..50 {
            world.append(writer, 1);
            // have, request, data
            assert!(world.run_until(Duration::from_millis(4), |world| world.has_all_of(reader, writer)));
            world.run_for(Duration::from_millis(300));
        }
        world.append(writer, 1000);
        assert!(world.run_until(LONG, |world| world.has_all_of(reader, writer)));
        let seen = &world.nodes[reader].seen;
        assert_eq!((seen.duplicates(), seen.refused.len()), (0, 0));
        assert!(seen.signatures <= 52, "{} signatures", seen.signatures);
    }
}

#[test]
fn a_silent_peer_s_requests_move() {
    assert!(silent_peer_is_overcome(false));
}

#[test]
fn the_check_notices_requests_that_never_move() {
    assert!(!silent_peer_is_overcome(true));
}

/// One peer announces and takes requests, but never answers.
fn silent_peer_is_overcome(plant: bool) -> bool {
    let mut world = World::new(6);
    let silent = world.writer(2000, Manner { silent: true, ..Manner::default() });
    let writer = world.writer(2000, Manner { service: Duration::from_millis(1), ..Manner::default() });
    let config = Config { probe_heads: false, ..Config::default() };
    // It knows the length, so that it asks the silent peer for whole stretches.
    let mut feed = Model::default();
    feed.append(2000);
    feed.clear(BlockRange::new(0, 2000));
    let reader = world.add(config, feed, Selection::Everything, Manner::default());
    world.nodes[reader].machine.keeps_timed_out_requests = plant;
    if plant {
        // Helping out would hide it.
        world.nodes[reader].machine.never_helps = true;
    }
    world.link(silent, reader);
    world.run_for(Duration::from_millis(50));
    world.link(writer, reader);
    let done = world.run_until(Duration::from_secs(12), |world| world.nodes[reader].feed.count() == 2000);
    if done {
        world.check_nothing_is_leaked(reader);
    }
    done
}

#[test]
fn a_silent_peer_is_given_up_in_the_end() {
    let mut world = World::new(7);
    let silent = world.writer(100, Manner { silent: true, ..Manner::default() });
    let reader = world.reader(true);
    world.link(silent, reader);
    world.run_for(Duration::from_secs(100));
    assert!(matches!(world.nodes[reader].seen.faults[..], [PeerFault::Silent { .. }]));
    world.check_nothing_is_leaked(reader);
}

#[test]
fn a_slow_peer_loses_its_tail() {
    for seed in 0..5 {
        let mut world = World::new(seed);
        let slow = world.writer(3000, Manner { service: Duration::from_millis(40), ..Manner::default() });
        let fast = world.writer(3000, Manner { service: Duration::from_micros(200), ..Manner::default() });
        let reader = world.reader(true);
        world.link(slow, reader);
        world.link(fast, reader);
        let done = world.run_until(LONG, |world| world.nodes[reader].feed.count() == 3000);
        assert!(done, "seed {seed}");
        // The slow one alone would need two minutes, and 10 s for one stretch.
        assert!(world.elapsed() < Duration::from_secs(3), "seed {seed}: {:?}", world.elapsed());
        let duplicates = world.nodes[reader].seen.duplicates();
        assert!(duplicates <= 5, "seed {seed}: {duplicates} duplicates");
        world.run_for(Duration::from_secs(60));
        world.check_nothing_is_leaked(reader);
    }
}

#[test]
fn nothing_is_lost_when_peers_die() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let mut random = Random(seed ^ 77);
        let writers: Vec<usize> = (0..3)
            .map(|_| {
                let quorate = random.below(2) == 0;
                let service = Duration::from_micros(50 + random.below(2000));
                world.writer(3000, Manner { quorate, service, ..Manner::default() })
            })
            .collect();
        let reader = world.reader(true);
        for &writer in &writers {
            world.link(writer, reader);
        }
        for _ in 0..6 {
            world.run_for(Duration::from_millis(random.below(400)));
            let victim = writers[random.below(3) as usize];
            world.kill(victim);
            world.run_for(Duration::from_millis(random.below(200)));
            world.link(victim, reader);
        }
        let done = world.run_until(LONG, |world| world.has_all_of(reader, writers[0]));
        assert!(done, "seed {seed}: {} blocks", world.nodes[reader].feed.count());
        assert!(world.nodes[reader].seen.faults.is_empty(), "seed {seed}");
        assert!(world.nodes[reader].seen.refused.is_empty(), "seed {seed}");
        assert!(world.nodes[reader].seen.duplicates() <= 10, "seed {seed}");
        world.run_for(Duration::from_secs(1));
        world.check_nothing_is_leaked(reader);
    }
}

#[test]
fn ranges_bring_those_blocks_and_no_others() {
    let mut world = World::new(8);
    let writer = world.writer(3000, Manner::default());
    let ranges = vec![BlockRange::new(2500, 2600), BlockRange::new(10, 20), BlockRange::new(15, 25)];
    let selection = Selection::Ranges(ranges);
    let reader = world.add(Config::default(), Model::default(), selection, Manner::default());
    world.link(writer, reader);
    assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()));
    let feed = &world.nodes[reader].feed;
    assert_eq!((feed.count(), feed.length()), (115, 3000));
    assert!((10..25).chain(2500..2600).all(|index| feed.has(index)));
    // A range that ends beyond the feed waits for the feed to grow.
    world.input(reader, Input::Select { selection: Selection::Ranges(vec![BlockRange::new(2995, 3010)]) });
    world.run_for(Duration::from_secs(1));
    let starved = ReplicationEvent::Starved { first: 3000 };
    assert_eq!(world.nodes[reader].seen.events.last(), Some(&starved));
    world.append(writer, 10);
    assert!(world.run_until(LONG, |world| world.nodes[reader].feed.has(3009)));
    assert_eq!(world.nodes[reader].feed.count(), 130);
}

#[test]
fn single_blocks_and_heads_are_fetched_when_wanted() {
    for manner in [Manner::default(), stock()] {
        let mut world = World::new(9);
        let writer = world.writer(1000, manner);
        let config = Config { probe_heads: false, ..Config::default() };
        let reader = world.add(config, Model::default(), Selection::Nothing, Manner::default());
        world.input(reader, Input::Want { index: 700 });
        world.link(writer, reader);
        assert!(world.run_until(LONG, |world| world.nodes[reader].feed.has(700)));
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.nodes[reader].feed.count(), 1);
        world.append(writer, 5);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.nodes[reader].feed.length(), 1000);
        world.input(reader, Input::Update);
        let updated = ReplicationEvent::Updated { length: 1005 };
        assert!(world.run_until(LONG, |world| world.nodes[reader].seen.events.contains(&updated)));
        assert_eq!(world.nodes[reader].feed.count(), 1);
        // A block that nobody has yet.
        world.input(reader, Input::Want { index: 1010 });
        world.run_for(Duration::from_secs(1));
        assert!(world.nodes[reader].seen.events.contains(&ReplicationEvent::Starved { first: 1010 }));
        world.append(writer, 10);
        assert!(world.run_until(LONG, |world| world.nodes[reader].feed.has(1010)));
        world.check_nothing_is_leaked(reader);
    }
}

#[test]
fn finite_replications_end_on_both_sides() {
    for (wire, live, length) in [
        (Wire::A, false, 500),
        (Wire::B2, false, 500),
        (Wire::A, true, 500),
        (Wire::B2, true, 500),
        (Wire::B2, true, 0),
    ] {
        let mut world = World::new(10);
        let mut feed = Model::default();
        feed.append(length);
        let config = Config { live, download: false, ..Config::default() };
        let writer = world.add(config, feed, Selection::Nothing, Manner { wire, ..Manner::default() });
        let reader = world.reader(false);
        world.nodes[reader].manner.wire = wire;
        world.link(writer, reader);
        let done = world.run_until(LONG, |world| !world.is_linked(writer, reader));
        assert!(done, "{wire} {live} {length}");
        world.run_for(Duration::from_secs(1));
        assert!(world.has_all_of(reader, writer));
        assert!(world.nodes[reader].seen.synced());
        assert!(world.nodes[reader].seen.faults.is_empty() && world.nodes[writer].seen.faults.is_empty());
        assert_eq!(world.nodes[writer].machine.peers.len() + world.nodes[reader].machine.peers.len(), 0);
    }
}

#[test]
fn two_complete_readers_end() {
    let mut world = World::new(11);
    let mut feed = Model::default();
    feed.append(300);
    let config = Config { live: false, ..Config::default() };
    let one = world.add(config.clone(), feed.clone(), Selection::Everything, Manner::default());
    let two = world.add(config, feed, Selection::Everything, Manner::default());
    world.link(one, two);
    assert!(world.run_until(LONG, |world| !world.is_linked(one, two)));
    assert_eq!(world.nodes[one].seen.received.len() + world.nodes[two].seen.received.len(), 0);
}

#[test]
fn live_replications_stay_open() {
    let mut world = World::new(12);
    let writer = world.writer(100, Manner::default());
    let reader = world.reader(true);
    let mirror = world.reader(true);
    world.link(writer, reader);
    world.link(mirror, reader);
    world.run_for(Duration::from_secs(100));
    assert!(world.is_linked(writer, reader) && world.is_linked(mirror, reader));
    assert!(world.has_all_of(mirror, writer));
}

#[test]
fn a_cleared_block_is_unhaved_and_can_be_had_again() {
    let mut world = World::new(13);
    let writer = world.writer(200, Manner::default());
    let mirror = world.reader(true);
    let reader = world.reader(true);
    world.link(writer, mirror);
    assert!(world.run_until(LONG, |world| world.nodes[mirror].seen.synced()));
    world.clear(mirror, BlockRange::new(50, 60));
    world.link(mirror, reader);
    world.run_for(Duration::from_secs(20));
    // The reader has all but what the mirror cleared, and the mirror did not fetch it again.
    assert_eq!(world.nodes[reader].feed.count(), 190);
    assert_eq!(world.nodes[mirror].feed.count(), 190);
    assert!(world.nodes[reader].seen.events.contains(&ReplicationEvent::Starved { first: 50 }));
    world.input(mirror, Input::Want { index: 55 });
    assert!(world.run_until(LONG, |world| world.nodes[reader].feed.has(55)));
    world.clear(mirror, BlockRange::new(100, 110));
    world.run_for(Duration::from_secs(1));
    let id = *world.nodes[reader].machine.peers.keys().next().unwrap();
    let remote = &world.nodes[reader].machine.peers[&id].remote;
    assert!(remote.has(55) && remote.has(99) && !remote.has(100) && !remote.has(109) && remote.has(110));
}

#[test]
fn both_sides_find_a_fork() {
    for seed in 0..40 {
        // Whoever finds it first goes on serving the other, finite or not, longer or not.
        let (one_blocks, other_blocks) = if seed % 2 == 0 { (80, 90) } else { (90, 80) };
        let mut world = World::new(seed);
        let config = Config { live: seed % 4 < 2, ..Config::default() };
        let feed = Model::fork_at(50, one_blocks, 0);
        let one = world.add(config, feed, Selection::Everything, Manner::default());
        let other = world.writer(0, Manner::default());
        world.nodes[other].feed = Model::fork_at(50, other_blocks, 1);
        world.link(one, other);
        world.run_for(Duration::from_secs(8));
        for node in [one, other] {
            let seen = &world.nodes[node].seen;
            let found = seen.events.iter().any(|event| matches!(event, ReplicationEvent::ForkFound { .. }));
            assert!(found, "seed {seed}, node {node}: {:?}", seen.faults);
        }
        assert!(!world.nodes[one].seen.synced(), "seed {seed}");
        assert!(world.nodes[one].machine.peers.is_empty(), "seed {seed}: the connection ends");
        world.check_nothing_is_leaked(one);
    }
}

#[test]
fn a_fork_is_told_from_corruption() {
    // Equal lengths, complete on both sides: only the probe can tell.
    let mut world = World::new(14);
    let one =
        world.add(Config::default(), Model::fork_at(50, 80, 0), Selection::Everything, Manner::default());
    let other = world.writer(0, Manner::default());
    world.nodes[other].feed = Model::fork_at(50, 80, 1);
    world.link(one, other);
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.nodes[one].seen.faults, vec![PeerFault::Fork { index: 79 }]);

    for quorate in [true, false] {
        // The other history is longer.
        let mut world = World::new(15);
        let config = Config { probe_heads: false, ..Config::default() };
        let feed = Model::fork_at(50, 80, 0);
        let reader = world.add(config, feed, Selection::Everything, Manner::default());
        let config = Config { download: false, probe_heads: false, ..Config::default() };
        let manner = Manner { quorate, ..Manner::default() };
        let writer = world.add(config, Model::fork_at(50, 90, 1), Selection::Nothing, manner);
        world.link(writer, reader);
        for _ in 0..3 {
            world.run_for(Duration::from_secs(2));
            for (node, other, probe) in std::mem::take(&mut world.reconnects) {
                world.link_with_probe(node, other, Some(probe));
            }
        }
        let faults = &world.nodes[reader].seen.faults;
        assert!(matches!(faults.last(), Some(PeerFault::Fork { .. })), "{faults:?}");
        assert!(!faults.iter().any(|fault| matches!(fault, PeerFault::Corrupt { .. })), "{faults:?}");
        assert_eq!(world.nodes[reader].feed.length(), 80);

        // Bytes that nobody signed.
        let mut world = World::new(16);
        let reader = world.reader(true);
        let corrupt = world.writer(300, Manner { quorate, ..Manner::default() });
        world.nodes[corrupt].feed.corrupts = true;
        world.link(corrupt, reader);
        for _ in 0..3 {
            world.run_for(Duration::from_secs(2));
            for (node, other, probe) in std::mem::take(&mut world.reconnects) {
                world.link_with_probe(node, other, Some(probe));
            }
        }
        let faults = &world.nodes[reader].seen.faults;
        assert!(matches!(faults.last(), Some(PeerFault::Corrupt { .. })), "{faults:?}");
        assert_eq!(world.nodes[reader].feed.count(), 0);
        world.check_nothing_is_leaked(reader);
        // An honest peer then gives it everything.
        let writer = world.writer(300, Manner::default());
        world.link(writer, reader);
        assert!(world.run_until(LONG, |world| world.nodes[reader].feed.count() == 300));
    }
}

#[test]
fn blocks_beyond_the_first_window_are_found() {
    let mut world = World::new(17);
    let length = (1 << 20) + 300;
    let writer = world.writer(length, stock());
    let selection = Selection::Ranges(vec![BlockRange::new((1 << 20) - 5, length)]);
    let reader = world.add(Config::default(), Model::default(), selection, Manner::default());
    world.link(writer, reader);
    assert!(world.run_until(LONG, |world| world.nodes[reader].feed.count() == 305));
    assert!(world.nodes[reader].seen.refused.is_empty());
    world.append(writer, 10);
    let range = BlockRange::new(0, 1);
    world.input(reader, Input::Select { selection: Selection::Ranges(vec![range]) });
    assert!(world.run_until(LONG, |world| world.nodes[reader].feed.has(0)));
}

#[test]
fn refused_by_the_rules_is_not_asked_for_again() {
    let mut world = World::new(18);
    let writer = world.writer(20, Manner::default());
    let reader = world.reader(true);
    world.nodes[reader].feed.forbids = Some(7);
    world.link(writer, reader);
    assert!(world.run_until(LONG, |world| world.nodes[reader].seen.synced()));
    assert_eq!(world.nodes[reader].feed.count(), 19);
    let given_up = ReplicationEvent::GivenUp { index: 7, refusal: Refusal::Rules };
    assert_eq!(world.nodes[reader].seen.events.iter().filter(|event| **event == given_up).count(), 1);
    assert!(world.nodes[reader].seen.faults.is_empty());
}

proptest! {
    // A seed does not become simpler when it becomes smaller.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Anything may happen; when it stops, every node that can reach a writer has everything.
    #[test]
    fn every_world_converges(seed in any::<u64>()) {
        converges(seed)?;
    }

    /// The same with selections that change, gates, silence, slow links, narrow windows and both wires.
    #[test]
    fn every_troubled_world_converges(seed in any::<u64>()) {
        converges_through_trouble(seed)?;
    }
}

#[test]
fn worlds_in_which_something_went_wrong() -> Result<(), TestCaseError> {
    // A stock writer that left out what an earlier digest had claimed, and the signature with it, was taken for corrupt.
    [14_927_377_883_652_244_470, 8_850_996_282_392_947_912].into_iter().try_for_each(converges)?;
    // A peer that was silent for long answered the same request twice, when neither was waited for any more.
    [2_377_387_012_518_093_720, 16_424_461_484_133_849_145]
        .into_iter()
        .try_for_each(converges_through_trouble)?;
    // A late answer, which counted on others that did not come, was held against the peer.
    converges(15_410_271_543_852_109_232)?;
    // The answer to an earlier request, which counted on others, was taken for that to a later one.
    converges_through_trouble(2_575_081_284_449_307_437)
}

fn converges(seed: u64) -> Result<(), TestCaseError> {
    let mut world = World::new(seed);
    let mut random = Random(!seed);
    let writer_manner = Manner { quorate: random.below(2) == 0, ..Manner::default() };
    let blocks = random.below(400);
    let writer = world.writer(blocks, writer_manner);
    let readers: Vec<usize> = (0..2 + random.below(3))
        .map(|_| {
            let quorate = random.below(3) > 0;
            let service = Duration::from_micros(10 << random.below(10));
            let config = Config { probe_heads: random.below(2) == 0, ..Config::default() };
            let manner = Manner { quorate, service, ..Manner::default() };
            world.add(config, Model::default(), Selection::Everything, manner)
        })
        .collect();
    world.link(writer, readers[0]);
    for _ in 0..30 + random.below(30) {
        let happening = match random.below(10) {
            0..=2 => Happening::Append,
            3 | 4 => Happening::Link,
            5 => Happening::Kill,
            6 => Happening::Clear,
            7 => Happening::Want,
            8 => Happening::Update,
            _ => Happening::Pause { up_to_ms: 3000 },
        };
        happening.happen(&mut world, &mut random, writer, &readers);
        world.run_for(Duration::from_millis(random.below(30)));
    }
    comes_to_rest(&mut world, writer, &readers, |_| false)
}

fn converges_through_trouble(seed: u64) -> Result<(), TestCaseError> {
    let mut world = World::new(seed);
    let mut random = Random(!seed);
    world.max_delay = Duration::from_millis(1 << random.below(8));
    let manner = |random: &mut Random| Manner {
        quorate: random.below(3) > 0,
        service: Duration::from_micros(10 << random.below(10)),
        silent: false,
        wire: if random.below(2) == 0 { Wire::A } else { Wire::B2 },
    };
    let writer_manner = manner(&mut random);
    let blocks = random.below(400);
    let writer = world.writer(blocks, writer_manner);
    let readers: Vec<usize> = (0..2 + random.below(3))
        .map(|_| {
            let config = Config {
                probe_heads: random.below(2) == 0,
                requests_in_flight: 1 << random.below(11),
                bytes_in_flight: 1 << (10 + random.below(14)),
                ..Config::default()
            };
            let manner = manner(&mut random);
            world.add(config, Model::default(), Selection::Everything, manner)
        })
        .collect();
    world.link(writer, readers[0]);
    for _ in 0..30 + random.below(50) {
        let happening = match random.below(16) {
            0..=2 => Happening::Append,
            3..=5 => Happening::Link,
            6 => Happening::Kill,
            7 => Happening::Clear,
            8 => Happening::Want,
            9 => Happening::Forget,
            10 => Happening::Update,
            11 => Happening::Select,
            12 => Happening::Gate,
            13 => Happening::Silence,
            14 => Happening::LinkWriter,
            _ => Happening::Pause { up_to_ms: 5000 },
        };
        happening.happen(&mut world, &mut random, writer, &readers);
        world.run_for(Duration::from_millis(random.below(60)));
    }
    world.input(writer, Input::Gate { length: None });
    for &reader in &readers {
        world.end_silence(reader);
        world.input(reader, Input::Gate { length: None });
    }
    comes_to_rest(&mut world, writer, &readers, |fault| matches!(fault, PeerFault::Silent { .. }))
}

/// What happens to some reader of a random world.
enum Happening {
    /// At the writer.
    Append,
    /// With another reader, unless there is a link.
    Link,
    /// Of the first reader with the writer, unless there is a link.
    LinkWriter,
    Kill,
    Clear,
    Want,
    Forget,
    Update,
    Select,
    /// At a reader or at the writer.
    Gate,
    /// Begins or ends.
    Silence,
    Pause {
        up_to_ms: u64,
    },
}

impl Happening {
    fn happen(&self, world: &mut World, random: &mut Random, writer: usize, readers: &[usize]) {
        let any = |random: &mut Random| readers[random.below(readers.len() as u64) as usize];
        match self {
            Self::Append => world.append(writer, 1 + random.below(60)),
            Self::Link => {
                let (one, other) = (any(random), any(random));
                if one != other {
                    world.link_anew(one, other);
                }
            }
            Self::LinkWriter => world.link_anew(writer, readers[0]),
            Self::Kill => world.kill(any(random)),
            Self::Clear => {
                let (node, start) = (any(random), random.below(300));
                world.clear(node, BlockRange::new(start, start + random.below(20)));
            }
            Self::Want => world.input(any(random), Input::Want { index: random.below(600) }),
            Self::Forget => world.input(any(random), Input::Forget { index: random.below(600) }),
            Self::Update => world.input(any(random), Input::Update),
            Self::Select => {
                let node = any(random);
                let selection = match random.below(4) {
                    0 => Selection::Nothing,
                    1 => Selection::Everything,
                    _ => {
                        let count = 1 + random.below(3);
                        let range = |_| {
                            let start = random.below(500);
                            BlockRange::new(start, start + random.below(200))
                        };
                        Selection::Ranges((0..count).map(range).collect())
                    }
                };
                world.input(node, Input::Select { selection });
            }
            Self::Gate => {
                let node = if random.below(2) == 0 { writer } else { any(random) };
                let length = world.nodes[node].feed.signed_at_most(random.below(600));
                let length = if random.below(3) == 0 { None } else { length };
                world.input(node, Input::Gate { length });
            }
            Self::Silence => {
                let node = any(random);
                if world.nodes[node].manner.silent {
                    world.end_silence(node);
                } else {
                    world.nodes[node].manner.silent = true;
                }
            }
            Self::Pause { up_to_ms } => world.run_for(Duration::from_millis(random.below(*up_to_ms))),
        }
    }
}

/// All readers want everything, and are linked with the writer: they get it, and nobody was blamed for what may not be.
fn comes_to_rest(
    world: &mut World,
    writer: usize,
    readers: &[usize],
    may_be: impl Fn(&PeerFault) -> bool,
) -> Result<(), TestCaseError> {
    for &reader in readers {
        world.input(reader, Input::Select { selection: Selection::Everything });
        world.link_anew(writer, reader);
    }
    let done = world.run_until(LONG, |world| readers.iter().all(|&reader| world.has_all_of(reader, writer)));
    prop_assert!(done, "not converged");
    world.run_for(Duration::from_secs(1));
    for &reader in readers {
        world.check_nothing_is_leaked(reader);
        let faults = world.nodes[reader].seen.faults.iter();
        let blamed: Vec<&PeerFault> = faults.filter(|fault| !may_be(fault)).collect();
        prop_assert!(blamed.is_empty(), "{:?}", blamed);
    }
    Ok(())
}
