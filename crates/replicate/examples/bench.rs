//! Measures what the machine costs by itself: a million blocks between two replicators that verify and store nothing.
//!
//! `cargo run --release -p quorate-replicate --example bench [BLOCKS] [READERS]`

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::dat::{Data, FeedMessage};
use quorate_replicate::{
    Config, Input, InvestigationResult, LocalFeed, Output, Peer, PeerProfile, ReplicationEvent, Replicator,
    Selection,
};
use quorate_types::{BlockRange, Wire};

/// Bits of blocks and of tree nodes.
struct Bits {
    length: u64,
    blocks: Vec<u64>,
    nodes: Vec<u64>,
}

fn get(bits: &[u64], index: u64) -> bool {
    bits.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
}

fn set(bits: &mut Vec<u64>, index: u64) -> bool {
    let word = (index / 64) as usize;
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    let is_new = bits[word] >> (index % 64) & 1 == 0;
    bits[word] |= 1 << (index % 64);
    is_new
}

impl Bits {
    fn new() -> Self {
        Self { length: 0, blocks: Vec::new(), nodes: Vec::new() }
    }

    fn full(length: u64) -> Self {
        let mut bits = Self::new();
        (0..length).for_each(|index| bits.put(index, length, true));
        bits
    }

    /// Stores a block with its path and the siblings of the path, as a verified answer does.
    fn put(&mut self, index: u64, length: u64, value: bool) {
        self.length = self.length.max(length);
        if value {
            set(&mut self.blocks, index);
        }
        let mut node = 2 * index;
        loop {
            let depth = node.trailing_ones();
            let sibling = node ^ (2 << depth);
            let is_new = set(&mut self.nodes, node);
            let parent = node & !(2 << depth) | (1 << depth);
            if !is_new || parent >= 2 * length {
                break;
            }
            set(&mut self.nodes, sibling);
            node = parent;
        }
    }
}

impl LocalFeed for Bits {
    fn length(&self) -> u64 {
        self.length
    }

    fn has(&self, index: u64) -> bool {
        get(&self.blocks, index)
    }

    fn has_node(&self, node: u64) -> bool {
        get(&self.nodes, node)
    }

    fn digest(&self, _: u64) -> u64 {
        0
    }

    fn compress(&self, start: u64, length: u64) -> Vec<u8> {
        // One run of ones, as a complete feed has.
        let bytes = self.length.saturating_sub(start).min(length) / 8;
        let mut head = 4 * bytes + 3;
        let mut coded = Vec::new();
        while head >= 128 {
            coded.push(head as u8 | 128);
            head >>= 7;
        }
        coded.push(head as u8);
        coded
    }

    fn first_missing(&self, range: BlockRange) -> Option<u64> {
        let mut index = range.start;
        while index < range.end {
            let word = self.blocks.get((index / 64) as usize).copied().unwrap_or(0);
            let missing = !word & (u64::MAX << (index % 64));
            if missing != 0 {
                return Some(index / 64 * 64 + u64::from(missing.trailing_zeros()))
                    .filter(|&at| at < range.end);
            }
            index = (index / 64 + 1) * 64;
        }
        None
    }
}

/// Lets everything happen that can; returns the messages for the other side.
fn drain(
    machine: &mut Replicator,
    feed: &mut Bits,
    now: Instant,
    mail: &mut VecDeque<(Peer, FeedMessage)>,
) -> bool {
    let mut synced = false;
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Send { peer, message } => mail.push_back((peer, message)),
            Output::Serve { peer } => {
                while let Some(request) = machine.next_request(peer) {
                    let value = (!request.hash).then(|| Bytes::from_static(&[0; 1024]));
                    let data = Data { index: request.index, value, ..Data::default() };
                    mail.push_back((peer, FeedMessage::Data(data)));
                }
            }
            Output::Verify { peer, data } => {
                let (index, new) = (data.index, data.value.is_some());
                let length = feed.length.max(if new { 0 } else { index + 1 });
                let upgraded = length > feed.length;
                feed.put(index, length, new);
                machine.handle(now, feed, Input::Stored { peer, index, new, upgraded });
            }
            Output::Investigate { peer, .. } => {
                let result = InvestigationResult::Consistent;
                machine.handle(now, feed, Input::Investigated { peer, result });
            }
            Output::Event(ReplicationEvent::Synced { .. }) => synced = true,
            Output::Event(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    synced
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let blocks = arguments.next().unwrap_or(1_000_000) / 8 * 8;
    let sources = arguments.next().unwrap_or(1);
    let writer_feed = Bits::full(blocks);
    let mut reader_feed = Bits::new();
    let mut writers: Vec<Replicator> = (0..sources)
        .map(|_| Replicator::new(Config { download: false, probe_heads: false, ..Config::default() }))
        .collect();
    let mut reader = Replicator::new(Config::default());
    let now = Instant::now();
    reader.handle(now, &reader_feed, Input::Select { selection: Selection::Everything });
    let mut writer_feed = writer_feed;
    for (number, writer) in writers.iter_mut().enumerate() {
        let profile = PeerProfile::new(Wire::B2);
        let (at_writer, at_reader) = (Peer(0), Peer(number as u64));
        writer.handle(now, &writer_feed, Input::PeerOpened { peer: at_writer, profile });
        reader.handle(now, &reader_feed, Input::PeerOpened { peer: at_reader, profile });
        writer.handle(now, &writer_feed, Input::PeerIsQuorate { peer: at_writer });
        reader.handle(now, &reader_feed, Input::PeerIsQuorate { peer: at_reader });
    }
    let begin = Instant::now();
    let (mut to_writers, mut to_reader) = (VecDeque::new(), VecDeque::new());
    let (mut messages, mut rounds) = (0u64, 0u64);
    let mut synced = false;
    while !synced {
        let now = Instant::now();
        rounds += 1;
        synced = drain(&mut reader, &mut reader_feed, now, &mut to_writers);
        for (peer, message) in to_writers.drain(..) {
            messages += 1;
            let writer = &mut writers[peer.0 as usize];
            writer.handle(now, &writer_feed, Input::Message { peer: Peer(0), message });
        }
        for (number, writer) in writers.iter_mut().enumerate() {
            let mut mail = VecDeque::new();
            drain(writer, &mut writer_feed, now, &mut mail);
            to_reader.extend(mail.into_iter().map(|(_, message)| (Peer(number as u64), message)));
        }
        for (peer, message) in to_reader.drain(..) {
            messages += 1;
            reader.handle(now, &reader_feed, Input::Message { peer, message });
        }
        if reader.poll_timeout().is_some_and(|at| at <= now) {
            reader.handle(now, &reader_feed, Input::Timeout);
        }
    }
    let elapsed = begin.elapsed();
    let each = elapsed.as_nanos() as f64 / blocks as f64;
    println!(
        "{blocks} blocks from {sources}, {messages} messages in {rounds} rounds: {elapsed:?}, {each:.0} ns a block, both sides"
    );
}
