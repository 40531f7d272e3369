//! Bytes that the JavaScript codecs write for known messages: `messages.js` of
//! simple-hypercore-protocol 2.1.2 and, where it says so, of hypercore-protocol 6.12.0.

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use quorate_proto::dat::*;
use quorate_types::{Capability, DiscoveryKey, Hash, Node, NodeIndex, NoiseNonce, PeerId, Signature};

fn hex(text: &str) -> Bytes {
    HEXLOWER.decode(text.as_bytes()).unwrap().into()
}

/// Checks that the bytes of the reference decode to the message, and, when `exact`, that ours
/// are the same bytes.
macro_rules! golden {
    ($type:ident, $message:expr, $hex:expr, exact) => {{
        let message: $type = $message;
        let mut out = BytesMut::new();
        message.encode(&mut out);
        assert_eq!(out, hex($hex));
        assert_eq!(message.encoded_len(), out.len());
        assert_eq!($type::decode(hex($hex)), Ok(message));
    }};
    ($type:ident, $message:expr, $hex:expr) => {{
        let message: $type = $message;
        assert_eq!($type::decode(hex($hex)), Ok(message));
    }};
}

#[test]
fn small_messages() {
    golden!(Status, Status { uploading: Some(true), downloading: Some(false) }, "08011000", exact);
    golden!(Have, Have::range(5, 1), "0805", exact);
    let bitfield = Some(Bytes::from_static(&[2, 0xf8]));
    golden!(Have, Have { start: 0, length: 1 << 20, bitfield, ack: false }, "0800108080401a0202f8", exact);
    golden!(Have, Have { start: 9, length: 1, bitfield: None, ack: true }, "080910012001");
    golden!(Unhave, Unhave { start: 300, length: 1 }, "08ac02", exact);
    golden!(Want, Want { start: 0, length: Some(1 << 20) }, "080010808040", exact);
    golden!(Want, Want { start: 8192, length: None }, "088040", exact);
    golden!(Request, Request::default(), "0800100018002000");
    golden!(
        Request,
        Request { index: 300, bytes: 70_000, hash: true, nodes: 1 << 40 },
        "08ac0210f0a204180120808080808020",
        exact
    );
    golden!(Cancel, Cancel { index: 7, bytes: 0, hash: false }, "080710001800");
}

#[test]
fn data() {
    let data = Data {
        index: 1000,
        value: Some(Bytes::from_static(b"hello")),
        nodes: vec![
            Node { index: NodeIndex::new(2002), hash: Hash::new([4; 32]), size: 1_000_000_000_000 },
            Node { index: NodeIndex::new(5), hash: Hash::new([5; 32]), size: 0 },
        ],
        signature: Some(Signature::new([6; 64])),
    };
    let text = format!(
        "08e807120568656c6c6f1a2c08d20f1220{}1880a094a58d1d1a2608051220{}18002240{}",
        "04".repeat(32),
        "05".repeat(32),
        "06".repeat(64)
    );
    golden!(Data, data, &text, exact);
    golden!(Data, Data { value: Some(Bytes::new()), ..Data::default() }, "08001200", exact);
    golden!(Data, Data::default(), "0800", exact);
}

#[test]
fn control_messages() {
    let nonce = NoiseNonce::new([1; 24]);
    golden!(NoisePayload, NoisePayload { nonce }, &format!("0a18{}", "01".repeat(24)), exact);
    let open =
        ChannelOpen { discovery_key: DiscoveryKey::new([2; 32]), capability: Some(Capability::new([3; 32])) };
    golden!(ChannelOpen, open, &format!("0a20{}1220{}", "02".repeat(32), "03".repeat(32)), exact);
    let options = Options { extensions: vec!["a".into(), "bc".into()], ack: true };
    golden!(Options, options, "0a01610a0262631001", exact);
    golden!(Options, Options { extensions: vec!["a".into()], ack: false }, "0a0161");
    golden!(Close, Close::default(), "", exact);
    let close = Close { discovery_key: Some(DiscoveryKey::new([7; 32])) };
    golden!(Close, close, &format!("0a20{}", "07".repeat(32)), exact);
}

/// hypercore-protocol 6.12.0.
#[test]
fn control_messages_of_wire_a() {
    let discovery_key = DiscoveryKey::new([8; 32]);
    let first = FeedOpen { discovery_key, nonce: Some(NoiseNonce::new([9; 24])) };
    golden!(FeedOpen, first, &format!("0a20{}1218{}", "08".repeat(32), "09".repeat(24)), exact);
    golden!(FeedOpen, FeedOpen { discovery_key, nonce: None }, &format!("0a20{}", "08".repeat(32)), exact);
    let handshake = Handshake {
        id: Some(PeerId::new([10; 32])),
        live: true,
        user_data: Some(Bytes::from_static(b"ud")),
        extensions: vec!["x".into(), "y".into()],
        ack: false,
    };
    let id = "0a".repeat(32);
    golden!(Handshake, handshake, &format!("0a20{id}10011a0275642201782201792800"), exact);
    let bare = Handshake { id: Some(PeerId::new([10; 32])), ..Handshake::default() };
    golden!(Handshake, bare, &format!("0a20{id}10002800"), exact);
}
