//! Why evidence proves nothing.

use quorate_feed::fork::{ForkCodecError, ForkProofError};
use quorate_feed::sign::KeyError as FeedKeyError;
use quorate_feed::{RootsError, SignedRoots};
use quorate_proto::ProtoError;
use quorate_types::{PublicKey, RoomId};

use super::EvidenceKind;
use crate::certificate::InclusionError;
use crate::key::KeyError;
use crate::statement::StatementError;

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The bytes are none.
    #[error(transparent)]
    Encoding(#[from] ProtoError),
    /// A statement in it is none.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The fork proof in it is none.
    #[error(transparent)]
    ForkCodec(#[from] ForkCodecError),
    /// Peaks in it are none.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The bytes are not the one encoding of what they hold.
    #[error("evidence: expected its one encoding, found another")]
    NotCanonical,
    /// It is larger than evidence may be.
    #[error("evidence: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// Most bytes.
        limit: usize,
        /// Bytes that it takes.
        found: usize,
    },
    /// It is about another room.
    #[error("expected evidence about room {expected}, found evidence about room {found}")]
    Room {
        /// This room.
        expected: RoomId,
        /// Room that it names.
        found: RoomId,
    },
    /// Two statements are of different keys.
    #[error("expected two statements of one key, found those of {first} and {second}")]
    Signers {
        /// First signer.
        first: PublicKey,
        /// Second signer.
        second: PublicKey,
    },
    /// Two statements are about different epochs.
    #[error("expected two statements about one epoch, found epochs {first} and {second}")]
    Epochs {
        /// First epoch.
        first: u64,
        /// Second epoch.
        second: u64,
    },
    /// What was signed does not contradict itself.
    #[error("expected a contradiction, found statements that one honest signer may make: {why}")]
    Consistent {
        /// In what way.
        why: &'static str,
    },
    /// The two histories do not contradict each other.
    #[error(transparent)]
    Fork(#[from] ForkProofError),
    /// The block is not shown to be in the history.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// A key of a feed is none.
    #[error(transparent)]
    FeedKey(#[from] FeedKeyError),
    /// A key is none, or a signature does not verify.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The writer did not sign the root.
    #[error("expected the writer's signature over length {length}, found one that does not verify")]
    WriterSignature {
        /// Length, blocks.
        length: u64,
    },
    /// Whether it holds cannot be told here.
    #[error("expected the history that {kind:?} evidence is about, found that it is not held here")]
    Unable {
        /// Which kind.
        kind: EvidenceKind,
    },
    /// The rules in force here, or the engine, are not those of the statement: an alarm at most.
    #[error("expected a verdict by the rules and the engine of this node, found one by others")]
    Profile,
}

/// Root that a signature is not over.
pub(super) const fn unsigned(signed: &SignedRoots) -> EvidenceError {
    EvidenceError::WriterSignature { length: signed.roots.length() }
}
