//! Bytes of evidence (`proto/quorum.proto`).

use blake2b_simd::Params;
use bytes::Bytes;
use quorate_feed::fork::ForkProof;
use quorate_feed::{Roots, SignedRoots, flat};
use quorate_proto::quorum::{self as proto, EvidenceKind as Pb, NodeContent, place};
use quorate_types::limits::MAX_CERTIFICATE_BYTES;
use quorate_types::{Hash, Node};

use super::{Claim, Evidence, EvidenceError, PromiseBreak, SignedVerdict, VoteLink};
use crate::statement::{Signed, Statement, kind};

impl Evidence {
    /// Decodes evidence, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] for bytes that no evidence encodes to.
    pub fn decode(bytes: Bytes) -> Result<Self, EvidenceError> {
        let proto::Evidence { room, kind } = proto::Evidence::decode(bytes.clone())?;
        let evidence = Self { room, claim: Claim::from_proto(kind)? };
        if evidence.encode() == bytes { Ok(evidence) } else { Err(EvidenceError::NotCanonical) }
    }

    /// Encodes the evidence: the body of an evidence block.
    pub fn encode(&self) -> Bytes {
        proto::Evidence { room: self.room, kind: self.claim.to_proto() }.encode()
    }

    /// Encodes it, if it is not too large.
    pub(super) fn checked_bytes(&self) -> Result<Bytes, EvidenceError> {
        let bytes = self.encode();
        let (limit, found) = (MAX_CERTIFICATE_BYTES, bytes.len());
        if found > limit { Err(EvidenceError::TooLarge { limit, found }) } else { Ok(bytes) }
    }
}

pub(super) fn hash(parts: &[&[u8]]) -> Hash {
    let mut params = Params::new();
    let mut state = params.hash_length(Hash::LEN).to_state();
    for part in parts {
        state.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    Hash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

fn contents(nodes: &[Node]) -> Vec<NodeContent> {
    nodes.iter().map(|node| (node.hash, node.size)).collect()
}

fn roots(length: u64, nodes: &[NodeContent]) -> Result<Roots, EvidenceError> {
    let nodes = place(nodes, flat::full_roots(length)).ok_or(EvidenceError::NotCanonical)?;
    Ok(Roots::new(length, nodes)?)
}

/// Puts the nodes of a link where they belong.
fn link(start: u64, nodes: &[NodeContent]) -> Result<Vec<Node>, EvidenceError> {
    let mut places = Vec::with_capacity(nodes.len());
    let mut node = start;
    for position in 0..nodes.len() {
        if position == 0 {
            places.push(node);
            continue;
        }
        places.push(flat::sibling(node).ok_or(EvidenceError::NotCanonical)?);
        node = flat::parent(node).ok_or(EvidenceError::NotCanonical)?;
    }
    place(nodes, places).ok_or(EvidenceError::NotCanonical)
}

fn pair<A: Statement, B: Statement>(a: &Bytes, b: &Bytes) -> Result<(Signed<A>, Signed<B>), EvidenceError> {
    Ok((Signed::decode(a)?, Signed::decode(b)?))
}

fn bytes<S: Statement>(statement: &Signed<S>) -> Bytes {
    statement.encode().into()
}

impl Claim {
    fn from_proto(given: Pb) -> Result<Self, EvidenceError> {
        Ok(match given {
            Pb::WriterFork { proof } => Self::WriterFork(Box::new(ForkProof::decode(&proof)?)),
            Pb::WriterTruncate { key, length, peaks, fork, signature } => {
                let signed = SignedRoots { roots: roots(length, &peaks)?, signature };
                Self::WriterTruncate { key, signed, fork }
            }
            Pb::BadAppend { key, length, nodes, signature, index, block } => {
                Self::BadAppend { key, length, nodes, signature, index, block }
            }
            Pb::DoubleGrant(a, b) => pair(&a, &b).map(|(a, b)| Self::DoubleGrant(a, b))?,
            Pb::DoubleVote { first, second, first_peaks, second_peaks, link: nodes, link_start } => {
                let (first, second): (Signed<_>, Signed<_>) = pair(&first, &second)?;
                let link = if first_peaks.is_empty() && second_peaks.is_empty() && nodes.is_empty() {
                    None
                } else {
                    let length = |vote: &Signed<crate::statement::Vote>| vote.statement.target.head.length();
                    Some(Box::new(VoteLink {
                        first: roots(length(&first), &first_peaks)?,
                        second: roots(length(&second), &second_peaks)?,
                        nodes: self::link(link_start, &nodes)?,
                    }))
                };
                Self::DoubleVote { first, second, link }
            }
            Pb::SealBreak(seal, vote) => {
                pair(&seal, &vote).map(|(seal, vote)| Self::SealBreak { seal, vote })?
            }
            Pb::BadVerdict(statement) => Self::BadVerdict(match statement.first() {
                Some(&kind::REJECT) => SignedVerdict::Reject(Signed::decode(&statement)?),
                _ => SignedVerdict::Vote(Signed::decode(&statement)?),
            }),
            Pb::HaveRollback(have, broken_by) => Self::HaveRollback {
                have: Signed::decode(&have)?,
                broken_by: match broken_by.first() {
                    Some(&kind::RESPONSE) => PromiseBreak::Response(Signed::decode(&broken_by)?),
                    _ => PromiseBreak::Have(Signed::decode(&broken_by)?),
                },
            },
        })
    }

    fn to_proto(&self) -> Pb {
        match self {
            Self::WriterFork(proof) => Pb::WriterFork { proof: proof.encode().into() },
            Self::WriterTruncate { key, signed, fork } => Pb::WriterTruncate {
                key: *key,
                length: signed.roots.length(),
                peaks: contents(signed.roots.nodes()),
                fork: *fork,
                signature: signed.signature,
            },
            Self::BadAppend { key, length, nodes, signature, index, block } => Pb::BadAppend {
                key: *key,
                length: *length,
                nodes: nodes.clone(),
                signature: *signature,
                index: *index,
                block: block.clone(),
            },
            Self::DoubleGrant(a, b) => Pb::DoubleGrant(bytes(a), bytes(b)),
            Self::DoubleVote { first, second, link } => {
                let link = link.as_ref();
                let nodes = |nodes: Option<&[Node]>| nodes.map_or_else(Vec::new, contents);
                let start = link.and_then(|link| link.nodes.first()).map_or(0, |node| node.index.get());
                Pb::DoubleVote {
                    first: bytes(first),
                    second: bytes(second),
                    first_peaks: nodes(link.map(|link| link.first.nodes())),
                    second_peaks: nodes(link.map(|link| link.second.nodes())),
                    link: nodes(link.map(|link| link.nodes.as_slice())),
                    link_start: start,
                }
            }
            Self::SealBreak { seal, vote } => Pb::SealBreak(bytes(seal), bytes(vote)),
            Self::BadVerdict(SignedVerdict::Vote(vote)) => Pb::BadVerdict(bytes(vote)),
            Self::BadVerdict(SignedVerdict::Reject(reject)) => Pb::BadVerdict(bytes(reject)),
            Self::HaveRollback { have, broken_by } => {
                let broken_by = match broken_by {
                    PromiseBreak::Have(have) => bytes(have),
                    PromiseBreak::Response(response) => bytes(response),
                };
                Pb::HaveRollback(bytes(have), broken_by)
            }
        }
    }
}
