//! Two sessions that talk to each other, and sessions that misbehave.

mod channels;
mod extensions;
mod hostile;
mod timers;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use quorate_proto::dat::{FeedMessage, Have, Request};
use quorate_types::{NoiseNonce, NoiseSecretKey, PeerId, PublicKey, Wire};

use super::Session;
use crate::{Channel, Event, NoiseKeyPair, Role, SessionConfig, SessionEntropy, SessionError};

const WIRES: [Wire; 2] = [Wire::A, Wire::B2];

fn key(byte: u8) -> PublicKey {
    PublicKey::new([byte; 32])
}

fn config(role: Role, wire: Wire) -> SessionConfig {
    let byte = if role == Role::Initiator { 1 } else { 2 };
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([byte; 32]));
    let entropy = SessionEntropy { ephemeral: [byte + 10; 32], nonce: NoiseNonce::new([byte + 20; 24]) };
    SessionConfig::new(role, wire, keypair, PeerId::new([byte + 30; 32]), entropy)
}

/// A dialling session and one that was dialled, `now` being the time of both.
struct Pair {
    a: Session,
    b: Session,
    now: Instant,
}

impl Pair {
    fn new(wire: Wire) -> Self {
        Self::with(config(Role::Initiator, wire), config(Role::Responder, wire))
    }

    fn with(a: SessionConfig, b: SessionConfig) -> Self {
        let now = Instant::now();
        Self { a: Session::new(a, now).unwrap(), b: Session::new(b, now).unwrap(), now }
    }

    /// A pair with one feed open on both sides, and the channels of both.
    fn open(wire: Wire) -> (Self, Channel, Channel) {
        let mut pair = Self::new(wire);
        let a = pair.a.open(&key(7)).unwrap();
        pair.exchange().unwrap();
        let b = pair.b.open(&key(7)).unwrap();
        pair.exchange().unwrap();
        assert_eq!((pair.a.open_channels(), pair.b.open_channels()), (1, 1));
        (pair, a, b)
    }

    /// Carries bytes both ways until none are left.
    fn exchange(&mut self) -> Result<(), SessionError> {
        loop {
            let (to_b, to_a) = (self.a.take_transmit(), self.b.take_transmit());
            if to_b.is_none() && to_a.is_none() {
                return Ok(());
            }
            if let Some(bytes) = to_b {
                self.b.receive(self.now, BytesMut::from(bytes))?;
            }
            if let Some(bytes) = to_a {
                self.a.receive(self.now, BytesMut::from(bytes))?;
            }
        }
    }
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn have(start: u64) -> FeedMessage {
    Have::range(start, 1).into()
}

fn request(index: u64) -> FeedMessage {
    Request { index, ..Request::default() }.into()
}

#[test]
fn a_feed_is_opened_and_messages_arrive_in_order() {
    for wire in WIRES {
        let mut pair = Pair::new(wire);
        let a = pair.a.open(&key(7)).unwrap();
        assert_eq!(pair.a.open(&key(7)), Ok(a), "opening again gives the same channel");
        pair.exchange().unwrap();
        let discovery_key = key(7).discovery_key();
        assert!(events(&mut pair.b).contains(&Event::RemoteOpen { discovery_key }));
        let b = pair.b.open(&key(7)).unwrap();
        pair.exchange().unwrap();
        for (session, channel) in [(&mut pair.a, a), (&mut pair.b, b)] {
            let events = events(session);
            let connected = events.iter().position(|event| matches!(event, Event::Connected { .. }));
            let opened = events.iter().position(|event| *event == Event::Opened { channel, key: key(7) });
            assert!(opened.is_some() && connected < opened, "{events:?}");
            assert!(session.is_connected());
        }
        for index in 0..100 {
            pair.a.send(a, &request(index)).unwrap();
        }
        assert!(pair.a.queued_bytes() > 0);
        pair.exchange().unwrap();
        assert_eq!(pair.a.queued_bytes(), 0);
        let expected: Vec<Event> =
            (0..100).map(|index| Event::Message { channel: b, message: request(index) }).collect();
        assert_eq!(events(&mut pair.b), expected);
    }
}

#[test]
fn both_sides_know_who_the_other_is() {
    let (pair, ..) = Pair::open(Wire::B2);
    assert_eq!(pair.a.remote_key(), Some(*config(Role::Responder, Wire::B2).keypair.public()));
    assert_eq!(pair.b.remote_key(), Some(*config(Role::Initiator, Wire::B2).keypair.public()));
    assert!(pair.a.handshake_hash().is_some());
    assert_eq!(pair.a.handshake_hash(), pair.b.handshake_hash());
    let (pair, ..) = Pair::open(Wire::A);
    assert_eq!(pair.a.remote_id(), Some(PeerId::new([32; 32])));
    assert_eq!(pair.b.remote_id(), Some(PeerId::new([31; 32])));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for wire in WIRES {
        let bytes = || {
            let (mut pair, a, _) = Pair::open(wire);
            pair.a.send(a, &have(3)).unwrap();
            pair.a.take_transmit()
        };
        assert_eq!(bytes(), bytes());
    }
}

#[test]
fn a_message_that_waited_for_its_feed_is_not_lost() {
    let mut pair = Pair::new(Wire::A);
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    let b = pair.b.open(&key(7)).unwrap();
    // A stock peer writes its want before it has the answer.
    let bytes = [0x07, 0x05, 0x08, 0x00, 0x10, 0x80, 0x80, 0x40];
    pair.a.outbound.push_raw(&bytes);
    // A second feed, opened there and not yet here, with a message.
    pair.a.open(&key(8)).unwrap();
    pair.a.outbound.push_raw(&[0x03, 0x13, 0x08, 0x05]);
    pair.exchange().unwrap();
    let wants = events(&mut pair.b);
    assert!(wants.iter().any(
        |event| matches!(event, Event::Message { channel, message: FeedMessage::Want(_) } if *channel == b)
    ));
    assert!(!wants.iter().any(|event| matches!(event, Event::Message { message: FeedMessage::Have(_), .. })));
    let second = pair.b.open(&key(8)).unwrap();
    let late = events(&mut pair.b);
    assert_eq!(
        late,
        [
            Event::Opened { channel: second, key: key(8) },
            Event::Message { channel: second, message: have(5) }
        ]
    );
}

#[test]
fn an_end_is_judged_by_where_it_comes() {
    let mut pair = Pair::new(Wire::B2);
    assert_eq!(pair.a.end(), Err(SessionError::HandshakeEnded { received: 0 }));
    pair.exchange().unwrap();
    assert_eq!(pair.a.end(), Ok(()));
    let (mut pair, _, b) = Pair::open(Wire::B2);
    pair.b.send(b, &have(1000)).unwrap();
    let bytes = pair.b.take_transmit().unwrap();
    pair.a.receive(pair.now + Duration::from_secs(1), &bytes[..3]).unwrap();
    assert_eq!(pair.a.end(), Err(SessionError::FrameEnded { received: 3 }));
    assert_eq!(pair.a.buffered_bytes(), 3);
}
