//! What no honest peer sends. Each session here ends with a typed error, or goes on; none panics.

use proptest::prelude::*;
use quorate_proto::ProtoError;
use quorate_proto::dat::{ChannelOpen, Data, FeedOpen, Request};
use quorate_types::limits::{
    MAX_CHANNELS, MAX_HANDSHAKE_MESSAGE_BYTES, MAX_PENDING_BYTES, MAX_PENDING_MESSAGES,
};
use quorate_types::{Capability, DiscoveryKey, NoisePublicKey};

use super::*;
use crate::{PeerPolicy, frame, varint};

fn raw_frame(channel: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    let header = frame::header(channel, kind);
    let mut out = Vec::new();
    varint::write(&mut out, (varint::len(header) + body.len()) as u64);
    varint::write(&mut out, header);
    out.extend_from_slice(body);
    out
}

/// What a session with one open feed makes of bytes that its peer encrypts for it.
fn after_opening(wire: Wire, bytes: &[u8]) -> (Result<(), SessionError>, Vec<Event>) {
    let (mut pair, ..) = Pair::open(wire);
    events(&mut pair.b);
    pair.a.outbound.push_raw(bytes);
    let result = pair.exchange();
    (result, events(&mut pair.b))
}

/// Channel that the other side writes its first feed on.
const fn first(wire: Wire) -> u64 {
    match wire {
        Wire::A => 0,
        Wire::B2 => 1,
    }
}

#[test]
fn lying_lengths_and_endless_numbers() {
    for wire in WIRES {
        let limit = MAX_PENDING_BYTES as u64;
        let mut huge = Vec::new();
        varint::write(&mut huge, 1 << 40);
        let error = SessionError::FrameTooLarge { limit, found: 1 << 40 };
        assert_eq!(after_opening(wire, &huge).0, Err(error));
        let error = SessionError::Varint { what: "length of a frame" };
        assert_eq!(after_opening(wire, &[0xff; 12]).0, Err(error));
        let error = SessionError::Varint { what: "header of a frame" };
        assert_eq!(after_opening(wire, &[3, 0xff, 0xff, 0xff]).0, Err(error));
        // A length inside the message that reaches beyond it.
        let body = [8, 0, 0x12, 0xff, 0xff, 0x7f];
        let error = after_opening(wire, &raw_frame(first(wire), 9, &body)).0;
        assert!(matches!(error, Err(SessionError::Message(ProtoError::Malformed { message: "data", .. }))));
    }
}

/// Nobody can make this side hold a large frame who was not asked for a block.
#[test]
fn large_frames_need_an_open_feed() {
    let mut pair = Pair::new(Wire::B2);
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    let mut length = Vec::new();
    varint::write(&mut length, MAX_PENDING_BYTES as u64 + 1);
    pair.a.outbound.push_raw(&length);
    let limit = MAX_PENDING_BYTES as u64;
    let error = SessionError::FrameTooLarge { limit, found: limit + 1 };
    assert_eq!(pair.exchange(), Err(error.clone()));
    assert_eq!(after_opening(Wire::B2, &length).0, Err(error));
}

#[test]
fn channels_beyond_any_number_of_feeds() {
    for (wire, limit) in [(Wire::A, MAX_CHANNELS as u64 - 1), (Wire::B2, MAX_CHANNELS as u64)] {
        for found in [limit + 1, 1 << 24, 1 << 50] {
            for kind in [0, 3, 9, 15] {
                let (result, _) = after_opening(wire, &raw_frame(found, kind, &[8, 0]));
                assert_eq!(result, Err(SessionError::ChannelOutOfRange { limit, found }));
            }
        }
    }
}

#[test]
fn messages_on_channels_that_were_never_opened() {
    let bytes = raw_frame(200, 3, &[8, 0]);
    let error = SessionError::UnopenedChannel { channel: 200, kind: 3 };
    assert_eq!(after_opening(Wire::A, &bytes).0, Err(error));
    // hypercore-protocol 8 drops them: a channel may just have been closed here.
    assert_eq!(after_opening(Wire::B2, &bytes), (Ok(()), vec![]));
    assert_eq!(after_opening(Wire::B2, &raw_frame(0, 9, &[8, 0])), (Ok(()), vec![]));
}

#[test]
fn types_that_do_not_exist_are_passed_over() {
    for wire in WIRES {
        for kind in 11..15 {
            assert_eq!(after_opening(wire, &raw_frame(first(wire), kind, &[1, 2, 3])), (Ok(()), vec![]));
        }
    }
}

#[test]
fn data_with_neither_value_nor_nodes_is_a_message_like_others() {
    for wire in WIRES {
        let (result, events) = after_opening(wire, &raw_frame(first(wire), 9, &[8, 5]));
        assert_eq!(result, Ok(()));
        let data = Data { index: 5, ..Data::default() };
        assert!(
            matches!(&events[..], [Event::Message { message: FeedMessage::Data(found), .. }] if *found == data)
        );
    }
}

#[test]
fn a_message_without_a_required_field() {
    for wire in WIRES {
        let error = SessionError::Message(ProtoError::Missing { message: "have", field: "start" });
        let (result, _) = after_opening(wire, &raw_frame(first(wire), 3, &[0x10, 1]));
        assert_eq!(result, Err(error));
    }
}

#[test]
fn an_empty_body_is_passed_over_on_wire_a_and_decoded_on_wire_b2() {
    assert_eq!(after_opening(Wire::A, &raw_frame(0, 3, &[])), (Ok(()), vec![]));
    let error = SessionError::Message(ProtoError::Missing { message: "have", field: "start" });
    assert_eq!(after_opening(Wire::B2, &raw_frame(1, 3, &[])), (Err(error), vec![]));
}

#[test]
fn more_messages_than_are_kept_for_a_feed_that_is_not_open() {
    for wire in WIRES {
        let (mut pair, ..) = Pair::open(wire);
        pair.a.open(&key(8)).unwrap();
        pair.exchange().unwrap();
        let second = first(wire) + 1;
        for _ in 0..MAX_PENDING_MESSAGES {
            pair.a.outbound.push_raw(&raw_frame(second, 3, &[8, 0]));
        }
        pair.exchange().unwrap();
        pair.a.outbound.push_raw(&raw_frame(second, 3, &[8, 0]));
        let discovery_key = key(8).discovery_key();
        let error = SessionError::TooManyPending { discovery_key, limit: MAX_PENDING_MESSAGES };
        assert_eq!(pair.exchange(), Err(error));

        let (mut pair, ..) = Pair::open(wire);
        pair.a.open(&key(8)).unwrap();
        let body = [&[8, 0, 0x12, 0x80, 0x80, 0x20][..], &vec![0; 512 * 1024]].concat();
        pair.a.outbound.push_raw(&raw_frame(second, 9, &body));
        pair.exchange().unwrap();
        pair.a.outbound.push_raw(&raw_frame(second, 9, &body));
        let error = SessionError::PendingBytes { limit: MAX_PENDING_BYTES, found: 2 * body.len() };
        assert_eq!(pair.exchange(), Err(error));
    }
}

#[test]
fn cipher_text_without_a_key_is_bounded() {
    let mut pair = Pair::new(Wire::A);
    pair.a.open(&key(7)).unwrap();
    pair.exchange().unwrap();
    let waiting = pair.b.buffered_bytes();
    pair.b.receive(pair.now, &vec![0; MAX_PENDING_BYTES - waiting][..]).unwrap();
    let error = SessionError::PendingBytes { limit: MAX_PENDING_BYTES, found: MAX_PENDING_BYTES + 1 };
    assert_eq!(pair.b.receive(pair.now, &[0][..]), Err(error));
    assert_eq!(pair.b.buffered_bytes(), 0);
}

/// Nothing but a block needs a large frame.
#[test]
fn large_frames_are_taken_from_peers_that_were_asked() {
    for wire in WIRES {
        let (mut pair, _, channel) = Pair::open(wire);
        let mut start = Vec::new();
        varint::write(&mut start, 8 << 20);
        let error = SessionError::FrameTooLarge { limit: MAX_PENDING_BYTES as u64, found: 8 << 20 };
        let request = |hash| FeedMessage::Request(Request { hash, ..Request::default() });
        pair.b.send(channel, &request(true)).unwrap();
        pair.a.outbound.push_raw(&start);
        assert_eq!(pair.exchange(), Err(error));

        for (length, verdict) in [
            (frame::MAX_ACCEPTED_BYTES, Ok(())),
            (
                frame::MAX_ACCEPTED_BYTES + 1,
                Err(SessionError::FrameTooLarge {
                    limit: frame::MAX_ACCEPTED_BYTES,
                    found: frame::MAX_ACCEPTED_BYTES + 1,
                }),
            ),
        ] {
            let (mut pair, _, channel) = Pair::open(wire);
            pair.b.send(channel, &request(false)).unwrap();
            let mut start = Vec::new();
            varint::write(&mut start, length);
            pair.a.outbound.push_raw(&start);
            assert_eq!(pair.exchange(), verdict);
        }
    }
}

#[test]
fn first_frames_of_wire_a_that_open_nothing() {
    let receive = |bytes: &[u8]| Pair::new(Wire::A).b.receive(Instant::now(), bytes);
    let mut no_nonce = BytesMut::new();
    let discovery_key = key(7).discovery_key();
    FeedOpen { discovery_key, nonce: None }.encode(&mut no_nonce);
    let error = SessionError::MissingNonce { discovery_key };
    assert_eq!(receive(&raw_frame(0, 0, &no_nonce)), Err(error));
    assert_eq!(receive(&raw_frame(0, 3, &[8, 0])), Err(SessionError::FirstFrame { found: 3 }));
    let error = SessionError::ChannelOutOfRange { limit: 255, found: 1 << 24 };
    assert_eq!(receive(&raw_frame(1 << 24, 0, &no_nonce)), Err(error));
    let error = receive(&[0xff, 0x7f]);
    assert_eq!(error, Err(SessionError::FrameTooLarge { limit: 256, found: 16_383 }));
    let error = SessionError::Message(ProtoError::Missing { message: "feed", field: "discovery_key" });
    assert_eq!(receive(&[1, 0]), Err(error));
}

#[test]
fn a_feed_on_two_channels_and_two_feeds_on_one() {
    let open = |channel: u64, discovery_key: DiscoveryKey| {
        let mut body = BytesMut::new();
        ChannelOpen { discovery_key, capability: None }.encode(&mut body);
        after_opening(Wire::B2, &raw_frame(channel, 0, &body)).0
    };
    let discovery_key = key(7).discovery_key();
    assert_eq!(open(2, discovery_key), Err(SessionError::DuplicateOpen { channel: 2, discovery_key }));
    let discovery_key = key(8).discovery_key();
    for channel in [0, 1] {
        assert_eq!(open(channel, discovery_key), Err(SessionError::ChannelInUse { channel, discovery_key }));
    }
}

#[test]
fn a_wrong_capability() {
    let discovery_key = key(8).discovery_key();
    for capability in [None, Some(Capability::new([0; 32]))] {
        let mut body = BytesMut::new();
        ChannelOpen { discovery_key, capability }.encode(&mut body);
        let open = raw_frame(2, 0, &body);

        // For a feed that this side asked for: the connection ends.
        let (mut pair, ..) = Pair::open(Wire::B2);
        pair.b.open(&key(8)).unwrap();
        pair.a.outbound.push_raw(&open);
        assert_eq!(pair.exchange(), Err(SessionError::Capability { discovery_key }));

        // For a feed that it would answer for: the same bytes as for one that is not carried here.
        let answer = |carried: bool| {
            let (mut pair, ..) = Pair::open(Wire::B2);
            pair.a.outbound.push_raw(&open);
            pair.exchange().unwrap();
            if carried {
                let error = pair.b.open(&key(8)).unwrap_err();
                assert_eq!(error, SessionError::Refused { discovery_key });
                assert!(!error.is_fatal());
            } else {
                pair.b.refuse(&discovery_key).unwrap();
            }
            assert_eq!(pair.b.open_channels(), 1);
            pair.b.take_transmit()
        };
        assert!(answer(true).is_some());
        assert_eq!(answer(true), answer(false));
    }
}

#[test]
fn a_denied_key_ends_the_handshake_on_either_side() {
    let known = |role| *config(role, Wire::B2).keypair.public();
    let denied = |key: NoisePublicKey| PeerPolicy { denied: [key].into(), ..PeerPolicy::default() };
    for (role, other) in [(Role::Initiator, Role::Responder), (Role::Responder, Role::Initiator)] {
        let (mut a, mut b) = (config(Role::Initiator, Wire::B2), config(Role::Responder, Wire::B2));
        match role {
            Role::Initiator => a.peers = denied(known(other)),
            Role::Responder => b.peers = denied(known(other)),
        }
        let mut pair = Pair::with(a, b);
        assert_eq!(pair.exchange(), Err(SessionError::PeerDenied { key: known(other) }));
        let (judge, judged) =
            if role == Role::Initiator { (&mut pair.a, &pair.b) } else { (&mut pair.b, &pair.a) };
        assert!(judge.poll_event().is_none());
        assert!(judge.remote_key().is_none());
        // An initiator says nothing more; a responder is told after the initiator is done.
        assert_eq!(judged.end().is_err(), role == Role::Initiator);
    }
}

/// A peer of hypercore-protocol 7 is told from one of 8 by what its second message decrypts to.
#[test]
fn a_handshake_that_does_not_decrypt_has_its_own_error() {
    let mut pair = Pair::new(Wire::B2);
    let first = pair.a.take_transmit().unwrap();
    pair.b.receive(pair.now, BytesMut::from(first)).unwrap();
    let mut second = BytesMut::from(pair.b.take_transmit().unwrap());
    second[40] ^= 1;
    let error = SessionError::Handshake { message: 2, found: second.len() - 1 };
    assert_eq!(pair.a.receive(pair.now, second), Err(error));
}

#[test]
fn handshake_messages_are_bounded() {
    let mut pair = Pair::new(Wire::B2);
    let mut bytes = Vec::new();
    varint::write(&mut bytes, 60_000);
    let limit = MAX_HANDSHAKE_MESSAGE_BYTES as u64;
    let error = SessionError::HandshakeTooLarge { limit, found: 60_000 };
    assert_eq!(pair.b.receive(pair.now, &bytes[..]), Err(error));
    let mut pair = Pair::new(Wire::B2);
    let error = SessionError::Varint { what: "length of a handshake message" };
    assert_eq!(pair.b.receive(pair.now, &[0xff; 9][..]), Err(error));
    let mut pair = Pair::new(Wire::B2);
    assert_eq!(pair.b.receive(pair.now, &[0][..]), Err(SessionError::Handshake { message: 1, found: 0 }));
    let mut long = vec![0x80, 0x08];
    long.resize(MAX_HANDSHAKE_MESSAGE_BYTES + 2, 7);
    let mut pair = Pair::new(Wire::B2);
    assert!(pair.b.receive(pair.now, &long[..]).is_err());
}

proptest! {
    #[test]
    fn arbitrary_first_bytes_never_panic(
        wire in prop::sample::select(&WIRES[..]),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5),
    ) {
        let mut session = Pair::new(wire).b;
        for piece in pieces {
            if session.receive(Instant::now(), &piece[..]).is_err() {
                break;
            }
        }
        events(&mut session);
    }

    #[test]
    fn arbitrary_clear_text_never_panics(
        wire in prop::sample::select(&WIRES[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let _ = after_opening(wire, &bytes);
    }

    /// Frames with a right shape and arbitrary channels, types and bodies.
    #[test]
    fn arbitrary_frames_never_panic(
        wire in prop::sample::select(&WIRES[..]),
        frames in prop::collection::vec((0_u64..6, 0_u8..16, prop::collection::vec(any::<u8>(), 0..60)), 0..20),
    ) {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|(channel, kind, body)| raw_frame(*channel, *kind, body)).collect();
        let _ = after_opening(wire, &bytes);
    }
}
