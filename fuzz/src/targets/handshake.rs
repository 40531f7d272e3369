//! The first bytes of a connection, before anything is encrypted.

use std::time::Instant;

use bytes::BytesMut;
use quorate_types::limits::{MAX_FRAME_BYTES, MAX_HANDSHAKE_MESSAGE_BYTES};
use quorate_types::{NoiseNonce, NoiseSecretKey, PeerId, Wire};
use quorate_wire::{Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy, sniff};

use super::world;
use crate::Target;

/// The first byte chooses wire and role, the rest is what the other side sends.
pub(super) const TARGET: Target = Target { name: "handshake", run, seeds, cost: 20 };

const CHOICES: [(Wire, Role); 4] = [
    (Wire::A, Role::Responder),
    (Wire::A, Role::Initiator),
    (Wire::B2, Role::Responder),
    (Wire::B2, Role::Initiator),
];

fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    let _ = sniff(bytes);
    let (wire, role) = CHOICES[usize::from(*choice) % CHOICES.len()];
    let (key, _) = world::keys();
    let now = Instant::now();
    let mut session = session(wire, role);
    if wire == Wire::A {
        session.open(&key).expect("the first feed opens");
    }
    // In two pieces, so that messages are cut in the middle.
    for piece in bytes.chunks(bytes.len() / 2 + 1) {
        if session.receive(now, BytesMut::from(piece)).is_err() {
            break;
        }
    }
    assert!(session.buffered_bytes() <= MAX_FRAME_BYTES + 16);
    assert!(session.queued_bytes() <= 16 * MAX_HANDSHAKE_MESSAGE_BYTES, "an answer out of proportion");
    while session.poll_event().is_some() {}
}

/// A session whose randomness depends on nothing but its role.
pub(super) fn session(wire: Wire, role: Role) -> Session {
    let number = if role == Role::Initiator { 1 } else { 2 };
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([number; 32]));
    let entropy = SessionEntropy { ephemeral: [number + 2; 32], nonce: NoiseNonce::new([number + 4; 24]) };
    let mut config = SessionConfig::new(role, wire, keypair, PeerId::new([number + 6; 32]), entropy);
    config.extensions = vec![EXTENSION.to_owned()];
    Session::new(config, Instant::now()).expect("the configuration is sound")
}

/// The extension that both sides of a session know.
pub(super) const EXTENSION: &str = "fuzz";

/// Two connected sessions that have opened the feed.
pub(super) struct Pair {
    /// The responder.
    pub(super) near: Session,
    /// The initiator.
    pub(super) far: Session,
    /// The feed's channel at the initiator.
    pub(super) channel: Channel,
    /// All that the responder sent.
    pub(super) near_sent: Vec<u8>,
    /// All that the initiator sent.
    pub(super) far_sent: Vec<u8>,
}

impl Pair {
    /// Connects two sessions.
    pub(super) fn connect(wire: Wire) -> Self {
        let (key, _) = world::keys();
        let (mut near, mut far) = (session(wire, Role::Responder), session(wire, Role::Initiator));
        let (mut near_sent, mut far_sent) = (Vec::new(), Vec::new());
        if wire == Wire::B2 {
            exchange(&mut near, &mut far, &mut near_sent, &mut far_sent);
        }
        near.open(&key).expect("the feed opens");
        far.open(&key).expect("the feed opens");
        exchange(&mut near, &mut far, &mut near_sent, &mut far_sent);
        let opened = std::iter::from_fn(|| far.poll_event()).find_map(|event| match event {
            Event::Opened { channel, .. } => Some(channel),
            _ => None,
        });
        let channel = opened.expect("both sides opened the feed");
        while near.poll_event().is_some() {}
        Self { near, far, channel, near_sent, far_sent }
    }
}

/// Carries bytes to and fro until both sides are silent.
fn exchange(near: &mut Session, far: &mut Session, near_sent: &mut Vec<u8>, far_sent: &mut Vec<u8>) {
    let now = Instant::now();
    loop {
        let (from_near, from_far) = (near.take_transmit(), far.take_transmit());
        if from_near.is_none() && from_far.is_none() {
            return;
        }
        for (bytes, to, sent) in
            [(from_near, &mut *far, &mut *near_sent), (from_far, &mut *near, &mut *far_sent)]
        {
            if let Some(bytes) = bytes {
                sent.extend_from_slice(&bytes);
                to.receive(now, BytesMut::from(&bytes[..])).expect("two sessions understand each other");
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, (wire, role)) in (0..).zip(CHOICES) {
        let pair = Pair::connect(wire);
        let sent = if role == Role::Responder { &pair.far_sent } else { &pair.near_sent };
        seeds.push([&[choice], &sent[..]].concat());
    }
    seeds
}
