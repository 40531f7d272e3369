//! A gate: what stock peers are told of and served, and what quorate nodes are.

use std::time::{Duration, Instant};

use quorate_proto::dat::{FeedMessage, Have, Request, Want};
use quorate_types::limits::WANT_WINDOW_BLOCKS;
use quorate_types::{BlockRange, Wire};

use super::model::Model;
use crate::rle::{Piece, for_each_piece};
use crate::{Config, Input, LocalFeed, Output, Peer, PeerProfile, Replicator};

const STOCK: Peer = Peer(1);
const OURS: Peer = Peer(2);

struct Bench {
    machine: Replicator,
    feed: Model,
    now: Instant,
}

impl Bench {
    fn new(blocks: u64, gate: Option<u64>) -> Self {
        let mut feed = Model::default();
        feed.append(blocks);
        let config = Config { download: false, ..Config::default() };
        let mut bench = Self { machine: Replicator::new(config), feed, now: Instant::now() };
        bench.input(Input::Gate { length: gate });
        for peer in [STOCK, OURS] {
            bench.input(Input::PeerOpened { peer, profile: PeerProfile::new(Wire::B2) });
        }
        bench.input(Input::PeerIsQuorate { peer: OURS });
        bench
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.now += Duration::from_millis(20);
        self.machine.handle(self.now, &self.feed, input);
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    fn message(&mut self, peer: Peer, message: FeedMessage) -> Vec<Output> {
        self.input(Input::Message { peer, message })
    }

    fn append(&mut self, count: u64) -> Vec<Output> {
        let range = self.feed.append(count);
        self.input(Input::Appended { range })
    }
}

fn want() -> FeedMessage {
    FeedMessage::Want(Want { start: 0, length: Some(WANT_WINDOW_BLOCKS) })
}

fn request(index: u64, hash: bool) -> FeedMessage {
    FeedMessage::Request(Request { index, hash, ..Request::default() })
}

/// Blocks that a peer is told are here.
fn told(outputs: &[Output], to: Peer) -> Vec<u64> {
    let mut blocks = Vec::new();
    let mut have = |have: &Have| match &have.bitfield {
        None => blocks.extend(have.start..have.start + have.length.max(1)),
        Some(bits) => {
            let mut each = |byte: usize, value: u8| {
                let bits = (0..8).filter(|bit| value & (128 >> bit) != 0);
                blocks.extend(bits.map(|bit| have.start + 8 * byte as u64 + bit));
            };
            for_each_piece(bits, 1 << 20, |offset, piece| match piece {
                Piece::Run { ones, bytes } => {
                    (offset..offset + bytes).for_each(|byte| each(byte, if ones { 255 } else { 0 }));
                }
                Piece::Raw(raw) => (offset..).zip(raw).for_each(|(byte, value)| each(byte, *value)),
            })
            .unwrap();
        }
    };
    for output in outputs {
        match output {
            Output::Send { peer, message: FeedMessage::Have(message) } if *peer == to => have(message),
            _ => {}
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    blocks
}

fn all(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn stock_peers_hear_of_what_is_before_the_gate_and_ours_of_everything() {
    for (length, gate) in [(10, 0), (10, 7), (10, 8), (10, 10), (1, 1), (40, 17)] {
        let mut bench = Bench::new(length, Some(gate));
        assert_eq!(told(&bench.message(STOCK, want()), STOCK), all(0..gate), "{gate} of {length}");
        assert_eq!(told(&bench.message(OURS, want()), OURS), all(0..length));
        let outputs = bench.append(3);
        assert_eq!((told(&outputs, STOCK), told(&outputs, OURS)), (vec![], all(length..length + 3)));
        // It opens further: the news are what was not shown before.
        let outputs = bench.input(Input::Gate { length: Some(length + 2) });
        assert_eq!((told(&outputs, STOCK), told(&outputs, OURS)), (all(gate..length + 2), vec![]));
        assert_eq!(told(&bench.input(Input::Gate { length: Some(length + 2) }), STOCK), []);
        let outputs = bench.input(Input::Gate { length: None });
        assert_eq!(told(&outputs, STOCK), [length + 2]);
    }
}

#[test]
fn what_is_not_shown_is_not_served() {
    let mut bench = Bench::new(10, Some(6));
    for hash in [false, true] {
        for index in 0..12 {
            let is_served =
                |outputs: &[Output]| outputs.iter().any(|one| matches!(one, Output::Serve { .. }));
            let outputs = bench.message(STOCK, request(index, hash));
            assert_eq!(is_served(&outputs), index < 6, "block {index}");
            while bench.machine.next_request(STOCK).is_some() {}
            let outputs = bench.message(OURS, request(index, hash));
            assert_eq!(is_served(&outputs), bench.feed.has(index), "block {index}");
            while bench.machine.next_request(OURS).is_some() {}
        }
    }
    assert_eq!((bench.machine.shown_to(STOCK), bench.machine.shown_to(OURS)), (6, u64::MAX));
    assert_eq!(bench.machine.shown_to(Peer(9)), 0);
}

#[test]
fn a_peer_that_turns_out_to_be_ours_is_told_the_rest() {
    let mut bench = Bench::new(10, Some(6));
    bench.message(STOCK, want());
    assert_eq!(told(&bench.input(Input::PeerIsQuorate { peer: STOCK }), STOCK), all(6..10));
    assert_eq!(told(&bench.input(Input::PeerIsQuorate { peer: STOCK }), STOCK), []);
}

#[test]
fn blocks_that_are_gone_are_not_told_of_when_the_gate_opens() {
    let mut bench = Bench::new(20, Some(4));
    bench.message(STOCK, want());
    let range = BlockRange::new(2, 9);
    bench.feed.clear(range);
    let outputs = bench.input(Input::Cleared { range });
    let unhaves: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { peer: STOCK, message: FeedMessage::Unhave(unhave) } => {
                Some((unhave.start, unhave.length))
            }
            _ => None,
        })
        .collect();
    assert_eq!(unhaves, [(2, 2)], "what was never shown is not taken back");
    let outputs = bench.input(Input::Gate { length: Some(15) });
    assert_eq!(told(&outputs, STOCK), all(9..15));
}
