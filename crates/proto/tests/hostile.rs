//! What no honest peer sends: each has its typed error, and nothing panics.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use quorate_proto::ProtoError;
use quorate_proto::dat::*;
use quorate_types::limits::{
    MAX_EXTENSION_NAME_BYTES, MAX_EXTENSION_NAMES, MAX_FEED_LENGTH, MAX_PROOF_NODES,
};
use quorate_types::{Hash, Node, NodeIndex, Signature};

#[test]
fn a_missing_required_field_is_an_error() {
    let missing = |message, field| ProtoError::Missing { message, field };
    assert_eq!(Have::decode(Bytes::new()), Err(missing("have", "start")));
    assert_eq!(Unhave::decode(Bytes::new()), Err(missing("unhave", "start")));
    assert_eq!(Want::decode(Bytes::new()), Err(missing("want", "start")));
    assert_eq!(Request::decode(Bytes::new()), Err(missing("request", "index")));
    assert_eq!(Cancel::decode(Bytes::new()), Err(missing("cancel", "index")));
    assert_eq!(Data::decode(Bytes::new()), Err(missing("data", "index")));
    assert_eq!(FeedOpen::decode(Bytes::new()), Err(missing("feed", "discovery_key")));
    assert_eq!(ChannelOpen::decode(Bytes::new()), Err(missing("open", "discovery_key")));
    assert_eq!(NoisePayload::decode(Bytes::new()), Err(missing("noise payload", "nonce")));
    let node_without_hash = Bytes::from_static(&[8, 0, 0x1a, 4, 8, 0, 0x18, 1]);
    assert_eq!(Data::decode(node_without_hash), Err(missing("data node", "hash")));
}

#[test]
fn a_byte_string_of_another_length_is_an_error() {
    let short = Bytes::from_static(&[8, 0, 0x22, 2, 1, 1]);
    let error = ProtoError::Length { message: "data", field: "signature", expected: 64, found: 2 };
    assert_eq!(Data::decode(short), Err(error));
    let short = Bytes::from_static(&[0x0a, 1, 9]);
    let error = ProtoError::Length { message: "feed", field: "discovery_key", expected: 32, found: 1 };
    assert_eq!(FeedOpen::decode(short), Err(error));
}

#[test]
fn a_block_beyond_any_feed_is_an_error_and_a_count_is_cut() {
    let mut body = BytesMut::new();
    Request { index: MAX_FEED_LENGTH + 1, ..Request::default() }.encode(&mut body);
    let error = ProtoError::OutOfRange {
        message: "request",
        field: "index",
        limit: MAX_FEED_LENGTH,
        found: MAX_FEED_LENGTH + 1,
    };
    assert_eq!(Request::decode(body.freeze()), Err(error));
    let mut body = BytesMut::new();
    Want { start: 3, length: Some(u64::MAX) }.encode(&mut body);
    assert_eq!(Want::decode(body.freeze()), Ok(Want { start: 3, length: Some(MAX_FEED_LENGTH) }));
}

#[test]
fn nodes_and_names_are_bounded() {
    let node = Node { index: NodeIndex::new(0), hash: Hash::new([0; 32]), size: 0 };
    let mut data = Data { nodes: vec![node; MAX_PROOF_NODES], ..Data::default() };
    let mut body = BytesMut::new();
    data.encode(&mut body);
    assert_eq!(Data::decode(body.freeze()), Ok(data.clone()));
    data.nodes.push(node);
    let mut body = BytesMut::new();
    data.encode(&mut body);
    assert!(matches!(Data::decode(body.freeze()), Err(ProtoError::TooLong { field: "nodes", .. })));

    let names = |count: usize, len: usize| {
        let mut body = BytesMut::new();
        Options { extensions: vec!["x".repeat(len); count], ack: false }.encode(&mut body);
        Options::decode(body.freeze()).map(|options| options.extensions.len())
    };
    assert_eq!(names(MAX_EXTENSION_NAMES, MAX_EXTENSION_NAME_BYTES), Ok(MAX_EXTENSION_NAMES));
    assert!(matches!(names(MAX_EXTENSION_NAMES + 1, 1), Err(ProtoError::TooLong { .. })));
    assert!(matches!(names(1, MAX_EXTENSION_NAME_BYTES + 1), Err(ProtoError::TooLong { .. })));
    assert!(matches!(names(1_000_000, 0), Err(ProtoError::TooLong { field: "body", .. })));
}

#[test]
fn the_value_of_a_block_shares_the_memory_of_the_frame() {
    let mut body = BytesMut::new();
    Data { value: Some(Bytes::from(vec![7; 1000])), ..Data::default() }.encode(&mut body);
    let body = body.freeze();
    let value = Data::decode(body.clone()).unwrap().value.unwrap();
    assert!(body.as_ptr_range().contains(&value.as_ptr()));
}

fn node() -> impl Strategy<Value = Node> {
    (0..=2 * MAX_FEED_LENGTH, any::<[u8; 32]>(), any::<u64>()).prop_map(|(index, hash, size)| Node {
        index: NodeIndex::new(index),
        hash: Hash::new(hash),
        size,
    })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn message() -> impl Strategy<Value = FeedMessage> {
    let block = 0..=MAX_FEED_LENGTH;
    let signature = prop::array::uniform32(any::<u16>()).prop_map(|half| {
        let mut bytes = [0; 64];
        for (pair, half) in bytes.chunks_mut(2).zip(half) {
            pair.copy_from_slice(&half.to_be_bytes());
        }
        Signature::new(bytes)
    });
    let want =
        (block.clone(), prop::option::of(block.clone())).prop_map(|(start, length)| Want { start, length });
    prop_oneof![
        any::<(Option<bool>, Option<bool>)>().prop_map(|(uploading, downloading)| Status {
            uploading,
            downloading
        }
        .into()),
        (block.clone(), block.clone(), prop::option::of(bytes()), any::<bool>())
            .prop_map(|(start, length, bitfield, ack)| Have { start, length, bitfield, ack }.into()),
        (block.clone(), block.clone()).prop_map(|(start, length)| Unhave { start, length }.into()),
        want.clone().prop_map(FeedMessage::Want),
        want.prop_map(FeedMessage::Unwant),
        (block.clone(), any::<u64>(), any::<bool>(), any::<u64>())
            .prop_map(|(index, bytes, hash, nodes)| Request { index, bytes, hash, nodes }.into()),
        (block.clone(), any::<u64>(), any::<bool>()).prop_map(|(index, bytes, hash)| Cancel {
            index,
            bytes,
            hash
        }
        .into()),
        (block, prop::option::of(bytes()), prop::collection::vec(node(), 0..9), prop::option::of(signature))
            .prop_map(|(index, value, nodes, signature)| Data { index, value, nodes, signature }.into()),
    ]
}

proptest! {
    #[test]
    fn messages_survive_the_wire(message in message()) {
        let mut body = BytesMut::new();
        message.encode(&mut body);
        prop_assert_eq!(message.encoded_len(), body.len());
        prop_assert_eq!(FeedMessage::decode(message.kind(), body.freeze()), Ok(Some(message)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0_u8..16, body in prop::collection::vec(any::<u8>(), 0..400)) {
        let body = Bytes::from(body);
        let decoded = FeedMessage::decode(kind, body.clone());
        prop_assert_eq!(matches!(decoded, Ok(None)), !(2..=9).contains(&kind));
        let _ = FeedOpen::decode(body.clone());
        let _ = Handshake::decode(body.clone());
        let _ = ChannelOpen::decode(body.clone());
        let _ = Options::decode(body.clone());
        let _ = Close::decode(body.clone());
        let _ = NoisePayload::decode(body);
    }

    /// One bit wrong in a good message: an error or another message, and never a panic.
    #[test]
    fn damaged_messages_never_panic(message in message(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut body = BytesMut::new();
        message.encode(&mut body);
        prop_assume!(!body.is_empty());
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        if let Ok(Some(other)) = FeedMessage::decode(message.kind(), body.freeze()) {
            prop_assert_eq!(other.kind(), message.kind());
        }
    }
}
