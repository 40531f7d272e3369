//! A block after block 0.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{
    MAX_CHUNK_BYTES, MAX_ENTRY_BYTES, MAX_MODULE_BYTES, MAX_PAYLOAD_BYTES, MAX_PROOF_BODY_BYTES,
};
use quorate_types::{Hash, ModuleHash, PublicKey, Signature};

use super::header::copy;
use super::{RuleChange, schema};
use crate::fields::In;
use crate::pb_stream::entry::Entry as Pb;
use crate::{ProtoError, canonical, pb_stream as pb};

/// What a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A participant's message.
    Action(Action),
    /// A part of a module.
    Chunk(ModuleChunk),
    /// A participant's wish that other rules hold.
    RuleChange(RuleChange),
    /// What the validators have said; opaque here.
    Proof(Proof),
}

/// A participant's signed message. Its signature is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Key of the participant.
    pub author: PublicKey,
    /// Its actions and rule changes before this one.
    pub sequence: u64,
    /// Length of a head that it had seen; 0 for none.
    pub anchor_length: u64,
    /// Tree hash of that head; zeros when the length is 0.
    pub anchor_hash: Hash,
    /// Last index at which it may stand; 0 for any.
    pub valid_until: u64,
    /// The application's bytes.
    pub payload: Bytes,
    /// By the author.
    pub signature: Signature,
}

/// A part of a WebAssembly module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleChunk {
    /// Hash of the whole module.
    pub module: ModuleHash,
    /// Size of the whole module, 1 byte or more.
    pub size: u32,
    /// Where the part begins; it ends within the size.
    pub offset: u32,
    /// The part, 1 byte or more.
    pub data: Bytes,
}

/// Entry that only a room with validators has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which.
    pub kind: ProofKind,
    /// Its bytes.
    pub body: Bytes,
}

/// Which entry of a room with validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofKind {
    /// Other validators.
    ValidatorChange,
    /// The next epoch begins.
    EpochStart,
    /// What is committed.
    Certificate,
    /// Somebody signed contradictions.
    Evidence,
}

impl Entry {
    /// Decodes a block from its canonical encoding; payloads share its memory.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] for another encoding, for no entry at all, and for fields of a wrong length or beyond their
    /// limits.
    pub fn decode(block: Bytes) -> Result<Self, ProtoError> {
        let here = In("entry");
        let block = here.bytes("block", MAX_ENTRY_BYTES, block)?;
        let entry: pb::Entry = canonical::decode(&schema::ENTRY, block)?;
        let proof = |kind, body| -> Result<Self, ProtoError> {
            let body = In("proof").bytes("body", MAX_PROOF_BODY_BYTES, body)?;
            Ok(Self::Proof(Proof { kind, body }))
        };
        match entry.entry.ok_or(ProtoError::Missing { message: "entry", field: "entry" })? {
            Pb::Action(action) => Action::from_pb(action).map(Self::Action),
            Pb::Chunk(chunk) => ModuleChunk::from_pb(chunk).map(Self::Chunk),
            Pb::RuleChange(change) => RuleChange::from_pb(change).map(Self::RuleChange),
            Pb::ValidatorChange(change) => proof(ProofKind::ValidatorChange, change.body),
            Pb::EpochStart(start) => proof(ProofKind::EpochStart, start.body),
            Pb::Certificate(certificate) => proof(ProofKind::Certificate, certificate.body),
            Pb::Evidence(evidence) => proof(ProofKind::Evidence, evidence.body),
        }
    }

    /// Encodes the block.
    pub fn encode(&self) -> Bytes {
        let entry = match self {
            Self::Action(action) => Pb::Action(action.to_pb()),
            Self::Chunk(chunk) => Pb::Chunk(chunk.to_pb()),
            Self::RuleChange(change) => Pb::RuleChange(change.to_pb()),
            Self::Proof(Proof { kind, body }) => {
                let body = body.clone();
                match kind {
                    ProofKind::ValidatorChange => Pb::ValidatorChange(pb::ValidatorChange { body }),
                    ProofKind::EpochStart => Pb::EpochStart(pb::EpochStart { body }),
                    ProofKind::Certificate => Pb::Certificate(pb::Certificate { body }),
                    ProofKind::Evidence => Pb::Evidence(pb::Evidence { body }),
                }
            }
        };
        pb::Entry { entry: Some(entry) }.encode_to_vec().into()
    }
}

/// Takes the hash of an anchor, which is there when the anchor is.
pub(super) fn anchor_hash(here: In, length: u64, hash: &[u8]) -> Result<Hash, ProtoError> {
    if length == 0 {
        here.fixed::<0, [u8; 0]>("anchor_hash", hash).map(|_| NO_HASH)
    } else {
        here.fixed("anchor_hash", hash)
    }
}

/// Writes the hash of an anchor.
pub(super) fn anchor_bytes(length: u64, hash: &Hash) -> Bytes {
    if length == 0 { Bytes::new() } else { copy(hash.as_bytes()) }
}

/// Stands for the hash of an anchor that is not there.
const NO_HASH: Hash = Hash::new([0; 32]);

impl Action {
    fn from_pb(action: pb::Action) -> Result<Self, ProtoError> {
        let here = In("action");
        let anchor_length = here.height("anchor_length", action.anchor_length)?;
        Ok(Self {
            author: here.fixed("author", &action.author)?,
            sequence: here.height("sequence", action.sequence)?,
            anchor_length,
            anchor_hash: anchor_hash(here, anchor_length, &action.anchor_hash)?,
            valid_until: here.height("valid_until", action.valid_until)?,
            payload: here.bytes("payload", MAX_PAYLOAD_BYTES, action.payload)?,
            signature: here.fixed("signature", &action.signature)?,
        })
    }

    fn to_pb(&self) -> pb::Action {
        pb::Action {
            author: copy(self.author.as_bytes()),
            sequence: self.sequence,
            anchor_length: self.anchor_length,
            anchor_hash: anchor_bytes(self.anchor_length, &self.anchor_hash),
            valid_until: self.valid_until,
            payload: self.payload.clone(),
            signature: copy(self.signature.as_bytes()),
        }
    }
}

impl ModuleChunk {
    fn from_pb(chunk: pb::ModuleChunk) -> Result<Self, ProtoError> {
        let here = In("module chunk");
        let size = here.number("size", MAX_MODULE_BYTES as u64, chunk.size)?;
        let data = here.some_bytes("data", MAX_CHUNK_BYTES, chunk.data)?;
        let end = u64::from(chunk.offset).saturating_add(data.len() as u64);
        here.number("offset plus data", u64::from(size), end)?;
        Ok(Self { module: here.fixed("module", &chunk.module)?, size, offset: chunk.offset, data })
    }

    fn to_pb(&self) -> pb::ModuleChunk {
        pb::ModuleChunk {
            module: copy(self.module.as_bytes()),
            size: self.size,
            offset: self.offset,
            data: self.data.clone(),
        }
    }
}
