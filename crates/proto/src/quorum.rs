//! Certificates and evidence (`proto/quorum.proto`): shape, lengths and ranges checked, and the one canonical encoding.
//!
//! What the signatures prove is checked in `quorate-quorum`.

mod certificate;
mod evidence;
mod schema;

use bytes::Bytes;
use quorate_types::limits::MAX_CERTIFICATE_BYTES;
use quorate_types::{Hash, Node, NodeIndex};

pub use certificate::{
    Accepted, Ack, CatchUp, Certified, Change, Final, FinalVote, Handover, Qc, QcRef, QcVote, Report, Sealed,
    Start, Target, Validators,
};
pub(crate) use evidence::MAX_STATEMENT_BYTES;
pub use evidence::{Evidence, EvidenceKind};

use crate::ProtoError;
use crate::canonical::{self, Schema};
use crate::fields::In;

/// Hash and size of a node of a Merkle tree; its place follows from where it stands.
pub type NodeContent = (Hash, u64);

/// Bytes of a node: hash and size.
const NODE_BYTES: usize = Hash::LEN + 8;

/// Most nodes in one field: a sibling and a peak for each of 64 levels.
const MAX_NODES: usize = 128;

/// Puts nodes where they belong; `None` when there are more or fewer nodes than places.
pub fn place(nodes: &[NodeContent], places: impl IntoIterator<Item = u64>) -> Option<Vec<Node>> {
    let mut places = places.into_iter();
    let mut placed = Vec::with_capacity(nodes.len());
    for (hash, size) in nodes {
        placed.push(Node { index: NodeIndex::new(places.next()?), hash: *hash, size: *size });
    }
    if places.next().is_some() { None } else { Some(placed) }
}

fn decode<M: prost::Message + Default>(schema: &Schema, body: Bytes) -> Result<M, ProtoError> {
    let body = In(schema.message).bytes("body", MAX_CERTIFICATE_BYTES, body)?;
    canonical::decode(schema, body)
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn nodes_from(here: In, field: &'static str, bytes: &[u8]) -> Result<Vec<NodeContent>, ProtoError> {
    let limit = MAX_NODES * NODE_BYTES;
    if bytes.len() > limit {
        return Err(ProtoError::TooLong { message: here.0, field, limit, found: bytes.len() });
    }
    let (nodes, rest) = bytes.as_chunks::<NODE_BYTES>();
    if !rest.is_empty() {
        let (expected, found) = (nodes.len() * NODE_BYTES, bytes.len());
        return Err(ProtoError::Length { message: here.0, field, expected, found });
    }
    let node = |node: &[u8; NODE_BYTES]| {
        let (hash, size) = node.split_at(Hash::LEN);
        Ok((here.fixed(field, hash)?, u64::from_le_bytes(here.fixed(field, size)?)))
    };
    nodes.iter().map(node).collect()
}

fn nodes_bytes(nodes: &[NodeContent]) -> Bytes {
    let mut bytes = Vec::with_capacity(nodes.len().saturating_mul(NODE_BYTES));
    for (hash, size) in nodes {
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
    }
    bytes.into()
}
