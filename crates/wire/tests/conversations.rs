//! Two sessions that say arbitrary things to each other over a connection that cuts bytes anywhere.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use quorate_proto::dat::{Data, FeedMessage, Have, Request};
use quorate_types::{Hash, Node, NodeIndex, NoiseNonce, NoiseSecretKey, PeerId, PublicKey, Signature, Wire};
use quorate_wire::{Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy};

/// What one side says, on its first or second feed.
#[derive(Debug, Clone)]
enum Say {
    Message(u8, FeedMessage),
    Extension(u8, Vec<u8>),
}

fn message() -> impl Strategy<Value = FeedMessage> {
    let node = Node { index: NodeIndex::new(9), hash: Hash::new([8; 32]), size: 7 };
    prop_oneof![
        (0_u64..1 << 40).prop_map(|index| Request { index, nodes: 1, ..Request::default() }.into()),
        (0_u64..1 << 40, 0_u64..9).prop_map(|(start, length)| Have::range(start, length).into()),
        (0_u64..1 << 40, 0_usize..5000, 0_usize..4, any::<bool>()).prop_map(
            move |(index, size, nodes, signed)| {
                Data {
                    index,
                    value: (size > 0).then(|| Bytes::from(vec![index as u8; size])),
                    nodes: vec![node; nodes],
                    signature: signed.then_some(Signature::new([6; 64])),
                }
                .into()
            }
        ),
    ]
}

fn says() -> impl Strategy<Value = Vec<Say>> {
    let say = prop_oneof![
        4 => (0_u8..2, message()).prop_map(|(feed, message)| Say::Message(feed, message)),
        1 => (0_u8..2, 0_usize..3000).prop_map(|(feed, size)| Say::Extension(feed, vec![5; size])),
    ];
    prop::collection::vec(say, 0..20)
}

struct End {
    session: Session,
    channels: Vec<Channel>,
    heard: Vec<Event>,
}

impl End {
    fn new(wire: Wire, role: Role) -> Self {
        let byte = if role == Role::Initiator { 1 } else { 2 };
        let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([byte; 32]));
        let entropy = SessionEntropy { ephemeral: [byte + 2; 32], nonce: NoiseNonce::new([byte; 24]) };
        let mut config = SessionConfig::new(role, wire, keypair, PeerId::new([byte; 32]), entropy);
        config.extensions = vec!["x".into()];
        let session = Session::new(config, Instant::now()).unwrap();
        Self { session, channels: Vec::new(), heard: Vec::new() }
    }

    /// Takes bytes in pieces of the given sizes, and opens what the other side opened.
    fn take(&mut self, bytes: &[u8], sizes: &mut impl Iterator<Item = usize>) {
        let mut bytes = BytesMut::from(bytes);
        while !bytes.is_empty() {
            let piece = bytes.split_to(sizes.next().unwrap().clamp(1, bytes.len()));
            self.session.receive(Instant::now(), piece).unwrap();
            while let Some(event) = self.session.poll_event() {
                if let Event::RemoteOpen { discovery_key } = &event {
                    let key = [key(1), key(2)].into_iter().find(|key| key.discovery_key() == *discovery_key);
                    self.channels.push(self.session.open(&key.unwrap()).unwrap());
                }
                self.heard.push(event);
            }
        }
    }

    fn say(&mut self, what: &[Say]) {
        for say in what {
            match say {
                Say::Message(feed, message) => {
                    self.session.send(self.channels[usize::from(*feed)], message).unwrap();
                }
                Say::Extension(feed, payload) => {
                    let channel = Some(self.channels[usize::from(*feed)]);
                    assert_eq!(self.session.send_extension(channel, "x", payload), Ok(true));
                }
            }
        }
    }

    /// What the other side said, without the events of opening.
    fn heard(&self) -> Vec<Say> {
        let feed = |channel: &Channel| self.channels.iter().position(|known| known == channel).unwrap() as u8;
        let heard = self.heard.iter().filter_map(|event| match event {
            Event::Message { channel, message } => Some(Say::Message(feed(channel), message.clone())),
            Event::Extension { channel: Some(channel), payload, .. } => {
                Some(Say::Extension(feed(channel), payload.to_vec()))
            }
            _ => None,
        });
        heard.collect()
    }
}

fn key(byte: u8) -> PublicKey {
    PublicKey::new([byte; 32])
}

fn converse(wire: Wire, a_says: &[Say], b_says: &[Say], sizes: &[usize]) -> (End, End) {
    let mut sizes = sizes.iter().copied().cycle();
    let (mut a, mut b) = (End::new(wire, Role::Initiator), End::new(wire, Role::Responder));
    for byte in [1, 2] {
        let channel = a.session.open(&key(byte)).unwrap();
        a.channels.push(channel);
    }
    let mut spoken = false;
    loop {
        let (to_b, to_a) = (a.session.take_transmit(), b.session.take_transmit());
        if to_b.is_none() && to_a.is_none() {
            if spoken {
                return (a, b);
            }
            spoken = true;
            a.say(a_says);
            b.say(b_says);
            continue;
        }
        b.take(&to_b.unwrap_or_default(), &mut sizes);
        a.take(&to_a.unwrap_or_default(), &mut sizes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_said_is_heard_in_order_however_it_is_cut(
        wire in prop::sample::select(vec![Wire::A, Wire::B2]),
        a_says in says(),
        b_says in says(),
        sizes in prop::collection::vec(prop_oneof![1_usize..4, 1_usize..4000], 1..20),
    ) {
        let (a, b) = converse(wire, &a_says, &b_says, &sizes);
        prop_assert_eq!(format!("{:?}", b.heard()), format!("{a_says:?}"));
        prop_assert_eq!(format!("{:?}", a.heard()), format!("{b_says:?}"));
    }
}
