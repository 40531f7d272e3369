//! What an attacker says on an open feed.

use anyhow::Result;
use bytes::Bytes;
use quorate_interop_tests::Chance;
use quorate_proto::dat::{Cancel, Data, FeedMessage, Have, Request, Status, Unhave, Want};
use quorate_types::limits::{MAX_FEED_LENGTH, WANT_WINDOW_BLOCKS};
use quorate_types::{Hash, Node, NodeIndex, Signature, Wire};

use crate::hostile::victim::BLOCKS;
use quorate_interop_tests::attacker::{Attacker, frame, varint};

/// How the connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The victim ends it.
    Ended,
    /// The victim bears it.
    Kept,
    /// Either; what counts is that nothing else suffers.
    Either,
}

/// One way to behave badly.
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    pub(crate) fate: Fate,
    /// The attacker reads the answers.
    pub(crate) reads: bool,
    pub(crate) run: fn(&mut Attacker, &mut Chance) -> Result<()>,
}

const fn flood(
    name: &'static str,
    fate: Fate,
    reads: bool,
    run: fn(&mut Attacker, &mut Chance) -> Result<()>,
) -> Flood {
    Flood { name, fate, reads, run }
}

/// Lists all of them.
pub(crate) fn all() -> Vec<Flood> {
    vec![
        flood("a frame longer than any may be", Fate::Ended, false, |peer, _| {
            peer.raw(&number((8 << 20) + 6))
        }),
        flood("a frame of 2^60 bytes", Fate::Ended, false, |peer, _| peer.raw(&number(1 << 60))),
        flood("a number that does not end", Fate::Ended, false, |peer, _| peer.raw(&[0xff; 64])),
        flood("channel 2^24", Fate::Ended, false, |peer, _| peer.raw(&frame(1 << 24, 3, &[8, 0]))),
        flood("random frames", Fate::Ended, true, random_frames),
        flood("random bytes under the cipher", Fate::Ended, true, |peer, chance| {
            (0..1000).try_for_each(|_| peer.raw(&chance.bytes(1000)))
        }),
        flood("pings without end", Fate::Kept, false, |peer, _| {
            (0..64).try_for_each(|_| peer.raw(&vec![0; 256 * 1024]))
        }),
        flood("data with neither value nor nodes", Fate::Ended, false, |peer, _| {
            (0..1000).try_for_each(|index| peer.send(&FeedMessage::Data(Data { index, ..Data::default() })))
        }),
        flood("data with 129 nodes", Fate::Ended, false, |peer, _| {
            let nodes = (0..129).map(|index| node(2 * index + 1, 1)).collect();
            peer.send(&FeedMessage::Data(Data { index: 0, nodes, ..Data::default() }))
        }),
        flood("data that nobody asked for", Fate::Ended, false, |peer, chance| {
            let value = Some(Bytes::from(chance.bytes(60_000)));
            let signature = Some(Signature::new([7; 64]));
            let data =
                |index| Data { index, value: value.clone(), nodes: vec![node(1, u64::MAX)], signature };
            (0..2000).try_for_each(|index| peer.send(&FeedMessage::Data(data(index))))
        }),
        flood("haves without end, one block each", Fate::Kept, true, |peer, _| {
            (0..1_000_000).try_for_each(|index| peer.send(&FeedMessage::Have(Have::range(index * 3, 1))))
        }),
        flood("haves of all there can be", Fate::Either, true, |peer, _| {
            (0..50_000).try_for_each(|round| {
                let start = [0, round, MAX_FEED_LENGTH - 1, MAX_FEED_LENGTH / 2][round as usize % 4];
                peer.send(&FeedMessage::Have(Have::range(start, u64::MAX >> 1)))?;
                peer.send(&FeedMessage::Unhave(Unhave { start, length: u64::MAX >> 1 }))
            })
        }),
        flood("a have beyond any feed", Fate::Ended, false, |peer, _| {
            peer.raw(&frame(peer.number(), 3, &[&[8][..], &number(1 << 62)].concat()))
        }),
        flood("a bitfield of one run of 2^40 bytes", Fate::Ended, false, |peer, _| {
            peer.send(&bitfield(number((1 << 40) << 2 | 3)))
        }),
        flood("bitfields that unpack to 128 KiB each", Fate::Kept, true, |peer, _| {
            let coded = number((128 << 10) << 2 | 3);
            (0..20_000).try_for_each(|_| peer.send(&bitfield(coded.clone())))
        }),
        flood("bitfields of runs of one byte", Fate::Either, true, |peer, _| {
            let coded = [7, 5].repeat(64 * 1024);
            (0..200).try_for_each(|_| peer.send(&bitfield(coded.clone())))
        }),
        flood("wants, of the window that is here", Fate::Either, true, |peer, _| {
            let want = FeedMessage::Want(Want { start: 0, length: Some(WANT_WINDOW_BLOCKS) });
            (0..50_000).try_for_each(|_| peer.send(&want))
        }),
        flood("wants, far away and crooked", Fate::Either, true, |peer, chance| {
            (0..50_000).try_for_each(|_| {
                let start = chance.within(0..MAX_FEED_LENGTH) & if chance.one_in(2) { !8191 } else { !0 };
                let length = (!chance.one_in(4)).then(|| chance.number() >> chance.within(8..60) & !8191);
                peer.send(&FeedMessage::Want(Want { start, length }))
            })
        }),
        flood("requests beyond what may wait", Fate::Ended, false, |peer, _| {
            (0..200_000).try_for_each(|index| peer.send(&request(index % BLOCKS)))
        }),
        flood("requests for what is not here", Fate::Either, true, |peer, chance| {
            (0..300_000).try_for_each(|_| peer.send(&request(chance.within(BLOCKS..MAX_FEED_LENGTH))))
        }),
        flood("requests by byte and for hashes", Fate::Either, true, |peer, chance| {
            (0..20_000).try_for_each(|_| {
                let (index, bytes) = (chance.within(0..2 * BLOCKS), chance.number() >> chance.within(11..63));
                let (hash, nodes) = (chance.one_in(2), chance.number() >> chance.within(0..64));
                peer.send(&FeedMessage::Request(Request { index, bytes, hash, nodes }))
            })
        }),
        flood("cancels of what waits, one after the other", Fate::Either, false, |peer, _| {
            (0..2000).try_for_each(|index| peer.send(&request(index % BLOCKS)))?;
            let cancel = FeedMessage::Cancel(Cancel { index: BLOCKS + 1, ..Cancel::default() });
            (0..300_000).try_for_each(|_| peer.send(&cancel))
        }),
        flood("states that change all the time", Fate::Either, true, |peer, _| {
            (0..200_000).try_for_each(|round| {
                let (uploading, downloading) = (Some(round % 2 == 0), Some(round % 3 == 0));
                peer.send(&FeedMessage::Status(Status { uploading, downloading }))
            })
        }),
        flood("extension messages of 60 kB", Fate::Kept, true, |peer, chance| {
            let payload = chance.bytes(60_000);
            (0..1500).try_for_each(|_| peer.extension(&payload))
        }),
        flood("an extension message of 1 MiB", Fate::Ended, false, |peer, _| {
            peer.raw(&frame(peer.number(), 15, &vec![0; 1 << 20]))
        }),
        flood("extensions that nobody knows", Fate::Kept, true, |peer, chance| {
            (0..20_000).try_for_each(|_| {
                let body = [number(chance.within(1..1 << 40)), chance.bytes(100)].concat();
                peer.raw(&frame(peer.number(), 15, &body))
            })
        }),
        flood("options and handshakes without end", Fate::Either, true, options_without_end),
        flood("options with 10 000 names", Fate::Ended, false, |peer, _| {
            let body = names(peer.wire(), 10_000, 10);
            peer.raw(&frame(peer.number(), 1, &body))
        }),
        flood("more feeds than may be open", Fate::Either, true, |peer, chance| {
            (1..1000).try_for_each(|channel| {
                let body = [&[0x0a, 0x20][..], &chance.bytes(32)].concat();
                peer.raw(&frame(peer.number() + channel, 0, &body))
            })
        }),
        flood("feeds opened and closed in turn", Fate::Either, true, |peer, chance| {
            (0..20_000).try_for_each(|_| {
                let body = [&[0x0a, 0x20][..], &chance.bytes(32)].concat();
                let channel = peer.number() + 1;
                peer.raw(&[frame(channel, 0, &body), frame(channel, 10, &[])].concat())
            })
        }),
    ]
}

fn number(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, value);
    bytes
}

fn node(index: u64, size: u64) -> Node {
    Node { index: NodeIndex::new(index), hash: Hash::new([7; 32]), size }
}

fn request(index: u64) -> FeedMessage {
    FeedMessage::Request(Request { index, ..Request::default() })
}

fn bitfield(coded: Vec<u8>) -> FeedMessage {
    let bitfield = Some(Bytes::from(coded));
    FeedMessage::Have(Have { start: 0, length: WANT_WINDOW_BLOCKS, bitfield, ack: false })
}

/// Frames of every type, each with a body that begins well.
fn random_frames(peer: &mut Attacker, chance: &mut Chance) -> Result<()> {
    (0..5000).try_for_each(|_| {
        let len = chance.within(0..80) as usize;
        let mut body = chance.bytes(len);
        if let Some(first) = body.first_mut() {
            *first = [0x08, 0x0a, 0x10, 0x12, 0x1a, 0x22][chance.within(0..6) as usize];
        }
        let (channel, kind) = (chance.within(0..4), chance.within(0..16));
        peer.raw(&frame(channel, kind, &body))
    })
}

/// As many and as long names as are taken, again and again.
fn options_without_end(peer: &mut Attacker, _: &mut Chance) -> Result<()> {
    let body = names(peer.wire(), 64, 200);
    (0..1000).try_for_each(|_| peer.raw(&frame(peer.number(), 1, &body)))
}

/// Body of a list of extensions: an options message on wire B2, a handshake on wire A.
fn names(wire: Wire, count: usize, len: usize) -> Vec<u8> {
    let (start, tag) = match wire {
        Wire::A => ([&[0x0a, 0x20][..], &[7; 32]].concat(), 0x22),
        Wire::B2 => (Vec::new(), 0x0a),
    };
    (0..count).fold(start, |mut body, index| {
        let name = format!("{index:0len$}");
        body.push(tag);
        varint(&mut body, name.len() as u64);
        body.extend_from_slice(name.as_bytes());
        body
    })
}
