//! Prints how fast data messages pass through a session: encoded and encrypted, decrypted and decoded.
//!
//! `cargo run --release -p quorate-wire --example throughput`

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quorate_proto::dat::{Data, FeedMessage};
use quorate_types::{Hash, Node, NodeIndex, NoiseNonce, NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy};

/// Bytes of blocks in one measurement.
const TOTAL_BYTES: usize = 512 * 1024 * 1024;

/// Bytes that a driver writes at once, and the size of its reads.
const BATCH_BYTES: usize = 256 * 1024;

fn session(role: Role) -> Session {
    let byte = if role == Role::Initiator { 1 } else { 2 };
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([byte; 32]));
    let entropy = SessionEntropy { ephemeral: [byte + 2; 32], nonce: NoiseNonce::new([byte; 24]) };
    let config = SessionConfig::new(role, Wire::B2, keypair, PeerId::new([byte; 32]), entropy);
    Session::new(config, Instant::now()).expect("the configuration has no names that could be wrong")
}

fn carry(from: &mut Session, to: &mut Session) {
    if let Some(bytes) = from.take_transmit() {
        to.receive(Instant::now(), BytesMut::from(bytes)).expect("our own bytes are right");
    }
}

/// Two sessions with one feed open, and the channel of the first.
fn connected() -> (Session, Session, Channel) {
    let (mut a, mut b) = (session(Role::Initiator), session(Role::Responder));
    let key = PublicKey::new([7; 32]);
    let channel = a.open(&key).expect("the first feed has a channel");
    b.open(&key).expect("the first feed has a channel");
    for _ in 0..4 {
        carry(&mut a, &mut b);
        carry(&mut b, &mut a);
    }
    assert_eq!((a.open_channels(), b.open_channels()), (1, 1));
    (a, b, channel)
}

fn main() {
    println!(
        "{:>10} {:>14} {:>14} {:>14} {:>14}",
        "block", "send MB/s", "blocks/s", "receive MB/s", "blocks/s"
    );
    for size in [1024, 64 * 1024] {
        let (mut a, mut b, channel) = connected();
        let node = Node { index: NodeIndex::new(12_345), hash: Hash::new([9; 32]), size: size as u64 };
        let message: FeedMessage = Data {
            index: 100_000,
            value: Some(Bytes::from(vec![5; size])),
            nodes: vec![node; 2],
            signature: None,
        }
        .into();
        let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
        let (mut sent, mut received) = (0, 0);
        while sent * size < TOTAL_BYTES {
            let start = Instant::now();
            while a.queued_bytes() < BATCH_BYTES {
                a.send(channel, &message).expect("the channel is open");
                sent += 1;
            }
            let bytes = a.take_transmit().expect("a batch is queued");
            sending += start.elapsed();
            let mut bytes = BytesMut::from(bytes);
            let start = Instant::now();
            while !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(BATCH_BYTES));
                b.receive(start, piece).expect("our own bytes are right");
                while let Some(event) = b.poll_event() {
                    received += usize::from(matches!(event, Event::Message { .. }));
                }
            }
            receiving += start.elapsed();
        }
        assert_eq!(sent, received);
        let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
        println!(
            "{:>10} {:>14.0} {:>14.0} {:>14.0} {:>14.0}",
            size,
            rate(sent * size, sending) / 1e6,
            rate(sent, sending),
            rate(received * size, receiving) / 1e6,
            rate(received, receiving)
        );
    }
}
