//! Whole connections with stock peers, recorded byte by byte, and played back.
//!
//! The stock side was hypercore 9.12.0 over hypercore-protocol 8.0.7 on wire B2, and hypercore
//! 7.7.1 over hypercore-protocol 6.12.0 on wire A, dialled and dialling. Lines of `stock` are
//! what it wrote and lines of `ours` are what a session with the configuration of [`session`] and the
//! behaviour of [`Owner`] wrote: the same input must give the same bytes and events for ever,
//! however the input is cut.
//!
//! The stock feed has the Ed25519 seed of 32 fives and four blocks: `hello`, nothing, 1 000 ones, `x`.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use quorate_proto::dat::{Data, FeedMessage, Request, Want};
use quorate_types::{NoiseNonce, NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{
    Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy, Sniff, sniff,
};

const BLOCKS: u64 = 4;

struct Transcript {
    wire: Wire,
    role: Role,
    ours: Vec<u8>,
    stock: Vec<Vec<u8>>,
}

fn transcripts() -> [Transcript; 4] {
    let load = |wire, role, text: &str| {
        let mut transcript = Transcript { wire, role, ours: Vec::new(), stock: Vec::new() };
        for line in text.lines() {
            let (side, hex) = line.split_once(' ').unwrap();
            let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
            match side {
                "ours" => transcript.ours.extend(bytes),
                _ => transcript.stock.push(bytes),
            }
        }
        transcript
    };
    [
        load(Wire::A, Role::Initiator, include_str!("vectors/a-initiator.txt")),
        load(Wire::A, Role::Responder, include_str!("vectors/a-responder.txt")),
        load(Wire::B2, Role::Initiator, include_str!("vectors/b2-initiator.txt")),
        load(Wire::B2, Role::Responder, include_str!("vectors/b2-responder.txt")),
    ]
}

fn key() -> PublicKey {
    "6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1".parse().unwrap()
}

fn session(wire: Wire, role: Role) -> Session {
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([1; 32]));
    let entropy = SessionEntropy { ephemeral: [4; 32], nonce: NoiseNonce::new([5; 24]) };
    let mut config = SessionConfig::new(role, wire, keypair, PeerId::new([3; 32]), entropy);
    config.extensions = vec!["zeta".into(), "echo".into()];
    config.stream_extensions = vec!["sx".into()];
    config.user_data = Some(Bytes::from_static(b"user data"));
    Session::new(config, Instant::now()).unwrap()
}

/// Fetches all blocks, sends one message of each extension, and closes the feed when it has the
/// blocks and the answers.
struct Owner {
    session: Session,
    channel: Option<Channel>,
    asked: bool,
    data: Vec<Data>,
    events: Vec<Event>,
}

impl Owner {
    fn new(wire: Wire, role: Role) -> Self {
        let mut session = session(wire, role);
        if role == Role::Initiator {
            session.open(&key()).unwrap();
        }
        Self { session, channel: None, asked: false, data: Vec::new(), events: Vec::new() }
    }

    fn react(&mut self) {
        let wire = self.session.wire();
        while let Some(event) = self.session.poll_event() {
            let session = &mut self.session;
            match &event {
                Event::RemoteOpen { discovery_key } => {
                    assert_eq!(*discovery_key, key().discovery_key());
                    session.open(&key()).unwrap();
                }
                Event::Opened { channel, .. } => {
                    self.channel = Some(*channel);
                    let want = Want { start: 0, length: Some(1 << 20) };
                    session.send(*channel, &FeedMessage::Want(want)).unwrap();
                    if wire == Wire::A {
                        assert_eq!(session.send_extension(Some(*channel), "echo", &[7; 200]), Ok(true));
                    }
                }
                Event::Extensions { channel: Some(channel), .. } => {
                    assert_eq!(session.send_extension(Some(*channel), "echo", &[7; 200]), Ok(true));
                }
                Event::Extensions { channel: None, .. } if wire == Wire::B2 => {
                    assert_eq!(session.send_extension(None, "sx", b"hello"), Ok(true));
                }
                Event::Message { channel, message: FeedMessage::Have(_) } if !self.asked => {
                    self.asked = true;
                    for index in 0..BLOCKS {
                        let request = Request { index, ..Request::default() };
                        session.send(*channel, &request.into()).unwrap();
                    }
                }
                Event::Message { message: FeedMessage::Data(data), .. } => self.data.push(data.clone()),
                _ => {}
            }
            let settles = matches!(
                event,
                Event::Extension { .. } | Event::Message { message: FeedMessage::Data(_), .. }
            );
            self.events.push(event);
            if settles && self.data.len() as u64 == BLOCKS && self.answers().len() == expected_answers(wire) {
                self.session.close(self.channel.unwrap());
            }
        }
    }

    fn answers(&self) -> Vec<(&str, &[u8])> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Extension { name, payload, .. } => Some((name.as_str(), payload.as_ref())),
                _ => None,
            })
            .collect()
    }
}

const fn expected_answers(wire: Wire) -> usize {
    match wire {
        Wire::A => 1,
        Wire::B2 => 3,
    }
}

/// Plays the stock side, cut into the given pieces.
fn play(transcript: &Transcript, pieces: &[Vec<u8>]) -> Owner {
    let mut owner = Owner::new(transcript.wire, transcript.role);
    let mut ours = Vec::new();
    for piece in pieces {
        owner.session.receive(Instant::now(), BytesMut::from(&piece[..])).unwrap();
        owner.react();
        ours.extend(owner.session.take_transmit().into_iter().flatten());
    }
    assert_eq!(ours, transcript.ours, "wire {} as {:?}", transcript.wire, transcript.role);
    assert_eq!(owner.session.end(), Ok(()));
    owner
}

#[test]
fn a_connection_with_a_stock_peer_is_understood_to_the_last_byte() {
    for transcript in transcripts() {
        let mut owner = play(&transcript, &transcript.stock);
        owner.data.sort_by_key(|data| data.index);
        let values: Vec<&[u8]> = owner.data.iter().map(|data| data.value.as_deref().unwrap()).collect();
        assert_eq!(values, [b"hello", &[][..], &[1; 1000], b"x"]);
        assert!(owner.data.iter().all(|data| data.signature.is_some()));
        let echo = ("echo", &[7; 200][..]);
        match transcript.wire {
            Wire::A => {
                assert_eq!(owner.answers(), [echo]);
                assert_eq!(owner.session.remote_extensions(None), ["beta", "echo", "zeta"]);
                assert!(owner.session.remote_id().is_some());
            }
            Wire::B2 => {
                assert_eq!(owner.answers(), [echo, ("sx", b"first"), ("sx", b"back")]);
                assert_eq!(owner.session.remote_extensions(None), ["sx", "zz"]);
                assert!(owner.session.remote_key().is_some());
            }
        }
        assert_eq!(owner.session.open_channels(), 0);
    }
}

#[test]
fn how_the_bytes_are_cut_makes_no_difference() {
    for transcript in transcripts() {
        let events = play(&transcript, &transcript.stock).events;
        // A piece may answer ours, so pieces are cut and never joined.
        let same = |pieces: Vec<Vec<u8>>, what: String| {
            assert!(play(&transcript, &pieces).events == events, "{what}");
        };
        for size in [1, 2, 3, 7, 61, 1000] {
            let chunks = transcript.stock.iter().flat_map(|piece| piece.chunks(size));
            same(chunks.map(<[u8]>::to_vec).collect(), format!("pieces of {size} bytes"));
        }
        for (at, piece) in transcript.stock.iter().enumerate() {
            for cut in 1..piece.len() {
                let (left, right) = piece.split_at(cut);
                let mut pieces = transcript.stock.clone();
                pieces.splice(at..=at, [left.to_vec(), right.to_vec()]);
                same(pieces, format!("piece {at} cut at {cut}"));
            }
        }
    }
}

#[test]
fn a_stock_peer_that_dials_is_recognised() {
    for transcript in transcripts().iter().filter(|transcript| transcript.role == Role::Responder) {
        let first = transcript.stock.concat();
        assert_eq!(sniff(&first), Sniff::Wire(transcript.wire));
        assert_eq!(sniff(&first[..1]), Sniff::NeedMore);
    }
}
