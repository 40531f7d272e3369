//! The data message: the one that carries nearly all bytes, so it is coded by hand.
//!
//! It goes straight into the output buffer, its value comes out as a slice of the received
//! frame, and the number of nodes is bounded while they are read rather than afterwards. The
//! generated type is the oracle of the tests.

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{
    DecodeContext, WireType, bytes as bytes_field, decode_key, encode_key, encode_varint, encoded_len_varint,
    skip_field, uint64,
};
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_PROOF_NODES};
use quorate_types::{Hash, Node, NodeIndex, Signature};

use super::check;
use crate::{ProtoError, pb};

const DATA: &str = "data";
const NODE: &str = "data node";

/// A block with its proof, or a proof alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// Block.
    pub index: u64,
    /// Bytes of the block; `None` when only the proof was asked for.
    pub value: Option<Bytes>,
    /// Nodes of the proof: siblings on the way up, then the other roots.
    pub nodes: Vec<Node>,
    /// Signature of the roots, when the proof reaches them.
    pub signature: Option<Signature>,
}

impl Data {
    /// Decodes a whole body; the value shares its memory.
    ///
    /// At most [`MAX_PROOF_NODES`] nodes are accepted.
    pub fn decode(mut body: Bytes) -> Result<Self, ProtoError> {
        let malformed = |error| ProtoError::Malformed { message: DATA, error };
        let mut index = None;
        let mut data = Self::default();
        while body.has_remaining() {
            let (tag, wire_type) = decode_key(&mut body).map_err(malformed)?;
            match tag {
                1 => index = Some(merge_u64(wire_type, &mut body).map_err(malformed)?),
                2 => data.value = Some(merge_bytes(wire_type, &mut body).map_err(malformed)?),
                3 => {
                    if data.nodes.len() >= MAX_PROOF_NODES {
                        let found = MAX_PROOF_NODES.saturating_add(1);
                        return Err(ProtoError::TooLong {
                            message: DATA,
                            field: "nodes",
                            limit: MAX_PROOF_NODES,
                            found,
                        });
                    }
                    let node = merge_bytes(wire_type, &mut body).map_err(malformed)?;
                    data.nodes.push(decode_node(node)?);
                }
                4 => {
                    let signature = merge_bytes(wire_type, &mut body).map_err(malformed)?;
                    data.signature = Some(check::fixed::<64, Signature>(DATA, "signature", &signature)?);
                }
                _ => skip_field(wire_type, tag, &mut body, DecodeContext::default()).map_err(malformed)?,
            }
        }
        data.index = check::block(DATA, "index", index)?;
        Ok(data)
    }

    /// Appends the message to the buffer.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_varint(out, 1, self.index);
        if let Some(value) = &self.value {
            put_bytes(out, 2, value);
        }
        for node in &self.nodes {
            encode_key(3, WireType::LengthDelimited, out);
            encode_varint(node_len(node) as u64, out);
            put_varint(out, 1, node.index.get());
            put_bytes(out, 2, node.hash.as_bytes());
            put_varint(out, 3, node.size);
        }
        if let Some(signature) = &self.signature {
            put_bytes(out, 4, signature.as_bytes());
        }
    }

    /// Returns the size of the encoded message, bytes.
    pub fn encoded_len(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |value| bytes_len(value.len()));
        let nodes: usize = self.nodes.iter().map(|node| bytes_len(node_len(node))).sum();
        let signature = if self.signature.is_some() { bytes_len(Signature::LEN) } else { 0 };
        1 + encoded_len_varint(self.index) + value + nodes + signature
    }
}

/// Appends a number under a tag below 16.
pub(super) fn put_varint(out: &mut impl BufMut, tag: u32, value: u64) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value, out);
}

/// Appends a byte string under a tag below 16.
pub(super) fn put_bytes(out: &mut impl BufMut, tag: u32, value: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
}

/// Size of a byte string under a tag below 16.
fn bytes_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// Size of a node without its tag and length.
fn node_len(node: &Node) -> usize {
    1 + encoded_len_varint(node.index.get()) + bytes_len(Hash::LEN) + 1 + encoded_len_varint(node.size)
}

fn decode_node(body: Bytes) -> Result<Node, ProtoError> {
    let node: pb::data::Node = check::parse(NODE, body)?;
    let index = check::required(NODE, "index", node.index)?;
    let hash = check::required(NODE, "hash", node.hash)?;
    Ok(Node {
        index: NodeIndex::new(check::at_most(NODE, "index", 2 * MAX_FEED_LENGTH, index)?),
        hash: check::fixed::<32, Hash>(NODE, "hash", &hash)?,
        size: check::required(NODE, "size", node.size)?,
    })
}

fn merge_u64(wire_type: WireType, buf: &mut impl Buf) -> Result<u64, DecodeError> {
    let mut value = 0;
    uint64::merge(wire_type, &mut value, buf, DecodeContext::default())?;
    Ok(value)
}

fn merge_bytes(wire_type: WireType, buf: &mut Bytes) -> Result<Bytes, DecodeError> {
    let mut value = Bytes::new();
    bytes_field::merge(wire_type, &mut value, buf, DecodeContext::default())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use prost::Message;

    use super::super::{Have, Request};
    use super::*;

    proptest! {
        /// The generated codec of the same message writes the same bytes.
        #[test]
        fn hand_coded_messages_agree_with_the_generated_ones(
            index in 0..MAX_FEED_LENGTH,
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            nodes in prop::collection::vec((0..MAX_FEED_LENGTH, any::<[u8; 32]>(), any::<u64>()), 0..5),
            signed in any::<bool>(),
            number in 2_u64..,
        ) {
            let bytes = value.map(Bytes::from);
            let data = Data {
                index,
                value: bytes.clone(),
                nodes: nodes.iter().map(|(index, hash, size)| Node {
                    index: NodeIndex::new(*index), hash: Hash::new(*hash), size: *size,
                }).collect(),
                signature: signed.then_some(Signature::new([9; 64])),
            };
            let oracle = pb::Data {
                index: Some(index),
                value: bytes.clone(),
                nodes: nodes.iter().map(|(index, hash, size)| pb::data::Node {
                    index: Some(*index), hash: Some(Bytes::copy_from_slice(hash)), size: Some(*size),
                }).collect(),
                signature: signed.then_some(Bytes::from_static(&[9; 64])),
            };
            let mut out = BytesMut::new();
            data.encode(&mut out);
            prop_assert_eq!(&out[..], &oracle.encode_to_vec()[..]);
            prop_assert_eq!(data.encoded_len(), oracle.encoded_len());

            let mut out = BytesMut::new();
            Request { index, bytes: number, hash: true, nodes: number }.encode(&mut out);
            let oracle = pb::Request { index: Some(index), bytes: Some(number), hash: Some(true), nodes: Some(number) };
            prop_assert_eq!(&out[..], &oracle.encode_to_vec()[..]);

            let mut out = BytesMut::new();
            Have { start: index, length: number, bitfield: bytes.clone(), ack: true }.encode(&mut out);
            let oracle = pb::Have { start: Some(index), length: Some(number), bitfield: bytes, ack: Some(true) };
            prop_assert_eq!(&out[..], &oracle.encode_to_vec()[..]);
        }
    }
}
