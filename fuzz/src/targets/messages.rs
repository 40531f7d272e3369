//! Bodies of all messages of the Dat wires.

use bytes::{Bytes, BytesMut};
use quorate_proto::dat::{ChannelOpen, Close, FeedMessage, FeedOpen, Handshake, NoisePayload, Options};
use quorate_types::{Capability, DiscoveryKey, NoiseNonce, PeerId};

use super::world;
use crate::Target;

/// The first byte says what is decoded: a frame type for messages about blocks, or a control message.
pub(super) const TARGET: Target = Target { name: "messages", run, seeds, cost: 1 };

const CONTROL: u8 = 0x80;

/// What decodes must encode to bytes that decode to the same, of the length that was promised.
macro_rules! round_trip {
    ($body:expr, $($name:ident),+) => {
        $(if let Ok(message) = $name::decode($body.clone()) {
            let mut again = BytesMut::new();
            message.encode(&mut again);
            assert_eq!(again.len(), message.encoded_len(), "{message:?}");
            assert_eq!($name::decode(again.freeze()).as_ref(), Ok(&message));
        })+
    };
}

fn run(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    if *kind & CONTROL != 0 {
        round_trip!(body, FeedOpen, Handshake, ChannelOpen, Options, Close, NoisePayload);
    } else if let Ok(Some(message)) = FeedMessage::decode(*kind, body) {
        let again = Bytes::from(world::body(&message));
        assert_eq!(again.len(), message.encoded_len(), "{message:?}");
        assert_eq!(FeedMessage::decode(*kind, again), Ok(Some(message)));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = world::messages()
        .iter()
        .map(|message| [vec![message.kind()], world::body(message)].concat())
        .collect();
    let mut control = |encode: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::from(&[CONTROL][..]);
        encode(&mut out);
        seeds.push(out.to_vec());
    };
    let (discovery_key, nonce) = (DiscoveryKey::new([1; 32]), NoiseNonce::new([2; 24]));
    let extensions = vec!["a".to_owned(), "quorate/b".to_owned()];
    control(&|out| FeedOpen { discovery_key, nonce: Some(nonce) }.encode(out));
    control(&|out| ChannelOpen { discovery_key, capability: Some(Capability::new([3; 32])) }.encode(out));
    control(&|out| Options { extensions: extensions.clone(), ack: true }.encode(out));
    control(&|out| Close { discovery_key: Some(discovery_key) }.encode(out));
    control(&|out| NoisePayload { nonce }.encode(out));
    control(&|out| {
        Handshake {
            id: Some(PeerId::new([4; 32])),
            live: true,
            user_data: Some(Bytes::from_static(b"user data")),
            extensions: extensions.clone(),
            ack: false,
        }
        .encode(out);
    });
    seeds
}
