//! What comes on a connected session, behind the cipher.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quorate_proto::dat::kind;
use quorate_types::Wire;
use quorate_types::limits::{MAX_CHANNELS, MAX_FRAME_BYTES};

use super::handshake::{EXTENSION, Pair};
use super::world;
use crate::Target;
use crate::mutate::{MAX_INPUT_BYTES, varint};

pub(super) const WIRE_A: Target =
    Target { name: "frames-a", run: |input| run(Wire::A, input), seeds: || seeds(Wire::A), cost: 20 };

pub(super) const WIRE_B2: Target =
    Target { name: "frames-b2", run: |input| run(Wire::B2, input), seeds: || seeds(Wire::B2), cost: 60 };

fn run(wire: Wire, input: &[u8]) {
    let mut pair = Pair::connect(wire);
    let encrypted = encrypt(&mut pair, input);
    let now = Instant::now();
    for piece in encrypted.chunks(encrypted.len() / 3 + 1) {
        let outcome = pair.near.receive(now, BytesMut::from(piece));
        while pair.near.poll_event().is_some() {}
        assert!(pair.near.buffered_bytes() <= MAX_FRAME_BYTES + 16);
        assert!(pair.near.open_channels() <= MAX_CHANNELS);
        if outcome.is_err() {
            assert!(pair.near.receive(now, BytesMut::from(piece)).is_err(), "a fault is final");
            break;
        }
    }
    let answer = pair.near.take_transmit().unwrap_or_default();
    assert!(answer.len() <= 64 * MAX_INPUT_BYTES, "an answer out of proportion: {} bytes", answer.len());
}

/// Encrypts bytes as the far side would send them.
///
/// Its key stream shows in an extension message whose bytes are known: it is that message, encrypted, with
/// the message taken away again.
fn encrypt(pair: &mut Pair, input: &[u8]) -> Bytes {
    let wire = pair.far.wire();
    let zeros = vec![0; input.len()];
    let known = frame(channel(wire), kind::EXTENSION, &[&varint(0)[..], &zeros].concat());
    let sent = pair.far.send_extension(Some(pair.channel), EXTENSION, &zeros);
    assert_eq!(sent, Ok(true), "both sides list the extension");
    let stream = pair.far.take_transmit().expect("the message is on its way");
    assert_eq!(stream.len(), known.len(), "the message is as long as it should be");
    input.iter().zip(stream.iter().zip(&known)).map(|(byte, (stream, known))| byte ^ stream ^ known).collect()
}

/// The number of the feed's channel: wire B2 keeps 0 for the connection itself.
const fn channel(wire: Wire) -> u64 {
    match wire {
        Wire::A => 0,
        Wire::B2 => 1,
    }
}

fn frame(channel: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    let header = varint(channel << 4 | u64::from(kind));
    [&varint((header.len() + body.len()) as u64)[..], &header, body].concat()
}

fn seeds(wire: Wire) -> Vec<Vec<u8>> {
    let feed = channel(wire);
    let mut seeds: Vec<Vec<u8>> = world::messages()
        .iter()
        .map(|message| {
            // Wire A numbers its messages about blocks as wire B2 does.
            frame(feed, message.kind(), &world::body(message))
        })
        .collect();
    let extension = [&varint(0)[..], b"payload"].concat();
    seeds.push(frame(feed, kind::EXTENSION, &extension));
    seeds.push(frame(0, kind::EXTENSION, &extension));
    seeds.push(frame(feed, kind::CLOSE, &[]));
    seeds.push(vec![0; 5]);
    // A second feed, by an open message that has no capability.
    seeds.push(frame(feed + 1, kind::OPEN, &[&[0x0a, 0x20][..], &[9; 32]].concat()));
    seeds.push(frame(1 << 24, kind::OPEN, &[&[0x0a, 0x20][..], &[9; 32]].concat()));
    seeds.push(varint(MAX_FRAME_BYTES as u64 + 1));
    seeds.push(seeds.concat());
    seeds
}
