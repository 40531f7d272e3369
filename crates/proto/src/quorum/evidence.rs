//! What contradictory signatures prove. Statements and proofs are opaque here.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_PROVEN_BLOCK_BYTES};
use quorate_types::{PublicKey, RoomId, Signature};

use super::{NodeContent, copy, decode, nodes_bytes, nodes_from, schema};
use crate::fields::In;
use crate::pb_quorum::evidence::Kind as Pb;
use crate::{ProtoError, pb_quorum as pb};

/// Longest signed statement, bytes.
pub(crate) const MAX_STATEMENT_BYTES: usize = 512;

/// Longest fork proof, bytes (`quorate-feed`).
const MAX_FORK_PROOF_BYTES: usize = 3 * 1024;

/// Somebody signed a contradiction, it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Room that it is about.
    pub room: RoomId,
    /// What was signed.
    pub kind: EvidenceKind,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceKind {
    /// Two roots of which neither extends the other.
    WriterFork {
        /// A fork proof, encoded.
        proof: Bytes,
    },
    /// A root of a rewritten history.
    WriterTruncate {
        /// Key of the feed.
        key: PublicKey,
        /// Length, blocks.
        length: u64,
        /// Its peaks.
        peaks: Vec<NodeContent>,
        /// How many times the history was rewritten.
        fork: u64,
        /// By the writer.
        signature: Signature,
    },
    /// A root above a block that the rules refuse.
    BadAppend {
        /// Key of the feed.
        key: PublicKey,
        /// Length, blocks.
        length: u64,
        /// What shows that the block stands there.
        nodes: Vec<NodeContent>,
        /// By the writer.
        signature: Signature,
        /// Index of the block.
        index: u64,
        /// The block.
        block: Bytes,
    },
    /// Two grants.
    DoubleGrant(Bytes, Bytes),
    /// Two votes.
    DoubleVote {
        /// The shorter one.
        first: Bytes,
        /// The longer one.
        second: Bytes,
        /// Peaks of the first.
        first_peaks: Vec<NodeContent>,
        /// Peaks of the second.
        second_peaks: Vec<NodeContent>,
        /// What shows that they contradict each other.
        link: Vec<NodeContent>,
        /// Place of the first node of the link.
        link_start: u64,
    },
    /// A seal and a vote.
    SealBreak(Bytes, Bytes),
    /// A vote or a reject.
    BadVerdict(Bytes),
    /// A promise and what breaks it.
    HaveRollback(Bytes, Bytes),
}

impl Evidence {
    /// Decodes the canonical encoding, of at most `MAX_CERTIFICATE_BYTES`.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] for another encoding, and for fields of a wrong length or beyond their limits.
    pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
        let evidence: pb::Evidence = decode(&schema::EVIDENCE, body)?;
        let missing = ProtoError::Missing { message: "evidence", field: "kind" };
        Ok(Self {
            room: In("evidence").fixed("room", &evidence.room)?,
            kind: EvidenceKind::from_pb(evidence.kind.ok_or(missing)?)?,
        })
    }

    /// Encodes the message.
    pub fn encode(&self) -> Bytes {
        let (room, kind) = (copy(self.room.as_bytes()), Some(self.kind.to_pb()));
        pb::Evidence { room, kind }.encode_to_vec().into()
    }
}

fn pair(pair: pb::Pair) -> Result<(Bytes, Bytes), ProtoError> {
    let here = In("pair");
    Ok((
        here.some_bytes("first", MAX_STATEMENT_BYTES, pair.first)?,
        here.some_bytes("second", MAX_STATEMENT_BYTES, pair.second)?,
    ))
}

impl EvidenceKind {
    fn from_pb(kind: Pb) -> Result<Self, ProtoError> {
        Ok(match kind {
            Pb::WriterFork(fork) => Self::WriterFork {
                proof: In("writer fork").some_bytes("proof", MAX_FORK_PROOF_BYTES, fork.proof)?,
            },
            Pb::WriterTruncate(truncate) => {
                let here = In("writer truncate");
                Self::WriterTruncate {
                    key: here.fixed("key", &truncate.key)?,
                    length: here.height("length", truncate.length)?,
                    peaks: nodes_from(here, "peaks", &truncate.peaks)?,
                    fork: truncate.fork,
                    signature: here.fixed("signature", &truncate.signature)?,
                }
            }
            Pb::BadAppend(append) => {
                let here = In("bad append");
                Self::BadAppend {
                    key: here.fixed("key", &append.key)?,
                    length: here.height("length", append.length)?,
                    nodes: nodes_from(here, "nodes", &append.nodes)?,
                    signature: here.fixed("signature", &append.signature)?,
                    index: here.height("index", append.index)?,
                    block: here.bytes("block", MAX_PROVEN_BLOCK_BYTES, append.block)?,
                }
            }
            Pb::DoubleGrant(grants) => pair(grants).map(|(a, b)| Self::DoubleGrant(a, b))?,
            Pb::DoubleVote(votes) => {
                let here = In("double vote");
                Self::DoubleVote {
                    first: here.some_bytes("first", MAX_STATEMENT_BYTES, votes.first)?,
                    second: here.some_bytes("second", MAX_STATEMENT_BYTES, votes.second)?,
                    first_peaks: nodes_from(here, "first_peaks", &votes.first_peaks)?,
                    second_peaks: nodes_from(here, "second_peaks", &votes.second_peaks)?,
                    link: nodes_from(here, "link", &votes.link)?,
                    link_start: here.number("link_start", 2 * MAX_FEED_LENGTH, votes.link_start)?,
                }
            }
            Pb::SealBreak(broken) => pair(broken).map(|(a, b)| Self::SealBreak(a, b))?,
            Pb::BadVerdict(verdict) => {
                let here = In("bad verdict");
                Self::BadVerdict(here.some_bytes("statement", MAX_STATEMENT_BYTES, verdict.statement)?)
            }
            Pb::HaveRollback(broken) => pair(broken).map(|(a, b)| Self::HaveRollback(a, b))?,
        })
    }

    fn to_pb(&self) -> Pb {
        let pair = |a: &Bytes, b: &Bytes| pb::Pair { first: a.clone(), second: b.clone() };
        match self {
            Self::WriterFork { proof } => Pb::WriterFork(pb::WriterFork { proof: proof.clone() }),
            Self::WriterTruncate { key, length, peaks, fork, signature } => {
                Pb::WriterTruncate(pb::WriterTruncate {
                    key: copy(key.as_bytes()),
                    length: *length,
                    peaks: nodes_bytes(peaks),
                    fork: *fork,
                    signature: copy(signature.as_bytes()),
                })
            }
            Self::BadAppend { key, length, nodes, signature, index, block } => Pb::BadAppend(pb::BadAppend {
                key: copy(key.as_bytes()),
                length: *length,
                nodes: nodes_bytes(nodes),
                signature: copy(signature.as_bytes()),
                index: *index,
                block: block.clone(),
            }),
            Self::DoubleGrant(a, b) => Pb::DoubleGrant(pair(a, b)),
            Self::DoubleVote { first, second, first_peaks, second_peaks, link, link_start } => {
                Pb::DoubleVote(pb::DoubleVote {
                    first: first.clone(),
                    second: second.clone(),
                    first_peaks: nodes_bytes(first_peaks),
                    second_peaks: nodes_bytes(second_peaks),
                    link: nodes_bytes(link),
                    link_start: *link_start,
                })
            }
            Self::SealBreak(a, b) => Pb::SealBreak(pair(a, b)),
            Self::BadVerdict(statement) => Pb::BadVerdict(pb::BadVerdict { statement: statement.clone() }),
            Self::HaveRollback(a, b) => Pb::HaveRollback(pair(a, b)),
        }
    }
}
