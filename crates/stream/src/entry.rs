//! A block after block 0.

use bytes::Bytes;
use quorate_proto::{ProtoError, stream as proto};
use quorate_types::{Hash, PublicKey, RoomId, Signature};

pub use quorate_proto::stream::{ModuleChunk, Proof, ProofKind, RuleOperation};

use crate::action::{Action, VerifiedAction};
use crate::identity::{Anchor, Forgery, RuleNameError, b2b256};
use crate::refusal::{Refusal, RoomCode};
use crate::rule_change::{RuleChange, VerifiedRuleChange};

/// What a block holds. Signatures are not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A participant's message.
    Action(Action),
    /// A part of a module.
    Chunk(ModuleChunk),
    /// A participant's wish that other rules hold.
    RuleChange(RuleChange),
    /// What validators and hosts do: a certificate, evidence, a change of validators, the start of an epoch.
    Proof(Proof),
}

/// What a participant signs, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedEntry {
    /// A message.
    Action(VerifiedAction),
    /// A wish that other rules hold.
    RuleChange(VerifiedRuleChange),
}

/// Why a block is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The bytes are none.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// The entry is none that participants sign.
    #[error("entry: expected an action or a rule change, found something that no participant signs")]
    NotSigned,
    /// A rule change has something that its operation does not use.
    #[error("rule change: expected no `{field}` in {operation}, found one")]
    Stray {
        /// The operation, in words.
        operation: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A rule change lacks something that its operation needs.
    #[error("rule change: expected `{field}` in {operation}, found none")]
    Lacking {
        /// The operation, in words.
        operation: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A rule change gives a name that is none.
    #[error(transparent)]
    RuleName(#[from] RuleNameError),
    /// The signature is not the author's for this room.
    #[error("expected a signature of {author} for room {room}, found one that does not verify: {why}")]
    Forged {
        /// Key of the author.
        author: PublicKey,
        /// Room for which it should be signed.
        room: RoomId,
        /// What is wrong.
        why: Forgery,
    },
}

impl EntryError {
    /// Returns the code under which people see it.
    pub const fn code(&self) -> RoomCode {
        match self {
            Self::Encoding(ProtoError::TooLong { .. }) => RoomCode::TooLarge,
            Self::Encoding(_) | Self::Stray { .. } | Self::Lacking { .. } => RoomCode::NotCanonical,
            Self::NotSigned => RoomCode::NotAllowed,
            Self::RuleName(_) => RoomCode::BadRuleName,
            Self::Forged { .. } => RoomCode::Forged,
        }
    }
}

impl From<EntryError> for Refusal {
    fn from(error: EntryError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl Entry {
    /// Decodes a block from its canonical encoding; payloads share its memory.
    ///
    /// # Errors
    ///
    /// [`EntryError`] for anything else.
    pub fn decode(block: Bytes) -> Result<Self, EntryError> {
        Ok(match proto::Entry::decode(block)? {
            proto::Entry::Action(action) => Self::Action(action.into()),
            proto::Entry::Chunk(chunk) => Self::Chunk(chunk),
            proto::Entry::RuleChange(change) => Self::RuleChange(change.try_into()?),
            proto::Entry::Proof(proof) => Self::Proof(proof),
        })
    }

    /// Encodes the block.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Action(action) => action.encode(),
            Self::Chunk(chunk) => proto::Entry::Chunk(chunk.clone()).encode(),
            Self::RuleChange(change) => change.encode(),
            Self::Proof(proof) => proto::Entry::Proof(proof.clone()).encode(),
        }
    }

    /// Returns the hash of what its author signs, by which the entry is known; nothing is verified.
    ///
    /// # Errors
    ///
    /// [`EntryError::NotSigned`] for a module chunk and for proofs.
    pub fn digest(&self, room: &RoomId) -> Result<Hash, EntryError> {
        match self {
            Self::Action(action) => Ok(b2b256(&action.signed_bytes(room))),
            Self::RuleChange(change) => Ok(b2b256(&change.signed_bytes(room))),
            Self::Chunk(_) | Self::Proof(_) => Err(EntryError::NotSigned),
        }
    }

    /// Verifies the signature.
    ///
    /// # Errors
    ///
    /// [`EntryError::Forged`], and [`EntryError::NotSigned`] for a module chunk and for proofs.
    pub fn verify(self, room: &RoomId) -> Result<VerifiedEntry, EntryError> {
        match self {
            Self::Action(action) => action.verify(room).map(VerifiedEntry::Action),
            Self::RuleChange(change) => change.verify(room).map(VerifiedEntry::RuleChange),
            Self::Chunk(_) | Self::Proof(_) => Err(EntryError::NotSigned),
        }
    }
}

macro_rules! of_both {
    ($($(#[$doc:meta])* $name:ident: $type:ty = |$entry:ident| $value:expr;)*) => {
        impl VerifiedEntry {
            $($(#[$doc])*
            pub fn $name(&self) -> $type {
                match self {
                    Self::Action($entry) => $value,
                    Self::RuleChange($entry) => $value,
                }
            })*
        }
    };
}

of_both! {
    /// Returns the key of the author.
    author: &PublicKey = |entry| &entry.author;
    /// Returns the number of the author's entries before this one.
    sequence: u64 = |entry| entry.sequence;
    /// Returns the head that the author had seen.
    anchor: &Anchor = |entry| &entry.anchor;
    /// Returns the last index at which the entry may stand, 0 for any.
    valid_until: u64 = |entry| entry.valid_until;
    /// Returns the signature.
    signature: &Signature = |entry| &entry.signature;
    /// Returns the hash of what the author signed, by which the entry is known.
    digest: &Hash = |entry| entry.digest();
    /// Returns the room for which it is signed.
    room: &RoomId = |entry| entry.room();
    /// Encodes the block.
    encode: Bytes = |entry| entry.encode();
}

impl From<VerifiedAction> for VerifiedEntry {
    fn from(action: VerifiedAction) -> Self {
        Self::Action(action)
    }
}

impl From<VerifiedRuleChange> for VerifiedEntry {
    fn from(change: VerifiedRuleChange) -> Self {
        Self::RuleChange(change)
    }
}

/// Takes the rule that an operation is about.
pub(crate) fn needed<T>(
    operation: &'static str,
    field: &'static str,
    value: Option<T>,
) -> Result<T, EntryError> {
    value.ok_or(EntryError::Lacking { operation, field })
}
