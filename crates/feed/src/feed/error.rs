//! One error for each operation of a feed.

use quorate_types::limits::{MAX_BLOCK_BYTES, MAX_FEED_LENGTH};
use quorate_types::{NodeIndex, PublicKey};

use crate::bitfield::PageSizeError;
use crate::hook::Refusal;
use crate::proof::ProofError;
use crate::roots::RootsError;
use crate::sign::KeyError;
use crate::sleep::HeaderError;
use crate::storage::{Part, StorageError};

/// Why a feed could not be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The keys can neither sign nor verify, or do not belong together.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A feed was to be created where there is something already.
    #[error("expected an empty place for a new feed, found {bytes} bytes in {part}")]
    Exists {
        /// File that is not empty.
        part: Part,
        /// Its size.
        bytes: u64,
    },
    /// A file is none of a Dat feed.
    #[error("{part}: {source}")]
    Header {
        /// File.
        part: Part,
        /// What stands in its place.
        source: HeaderError,
    },
    /// The bitfield has pages of an impossible size.
    #[error("bitfield: {0}")]
    PageSize(#[from] PageSizeError),
    /// The bitfield claims blocks, and no signature of this key covers any of them. Nothing was changed.
    #[error("expected {claimed} blocks signed by {key}, found no length with a signature that verifies")]
    NothingVerifies {
        /// Key of the feed.
        key: PublicKey,
        /// Blocks that the bitfield claims.
        claimed: u64,
    },
    /// The feed is longer than any that is believed.
    #[error("expected a feed of at most {MAX_FEED_LENGTH} blocks, found a bitfield for {found}")]
    TooLong {
        /// Blocks for which the bitfield has room.
        found: u64,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a feed did not go over to another history.
#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    /// The secret key is here: what was written and shown is not taken back.
    #[error("expected a feed that is only read here, found the secret key of its writer")]
    Writer,
    /// The proof is about another feed.
    #[error("expected a fork of feed {expected}, found one of {found}")]
    OtherFeed {
        /// This feed.
        expected: PublicKey,
        /// Feed of the proof.
        found: PublicKey,
    },
    /// Neither history of the proof is the one here.
    #[error("expected one of two histories, of lengths {one} and {other}, to be the one here, found neither")]
    NotHere {
        /// Length of one history, blocks.
        one: u64,
        /// Length of the other one, blocks.
        other: u64,
    },
    /// The feed could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why blocks were not appended. The feed is as before.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The secret key is not here.
    #[error("expected a writable feed, found one without its secret key")]
    NotWritable,
    /// A block is too large to be sent to peers.
    #[error(
        "expected blocks of at most {MAX_BLOCK_BYTES} bytes, found {found} bytes at position {position} of the batch"
    )]
    BlockTooLarge {
        /// Position in the batch, from 0.
        position: usize,
        /// Bytes of the block.
        found: usize,
    },
    /// The feed would leave its limits.
    #[error(transparent)]
    Limit(#[from] RootsError),
    /// The pre-accept hook refused a block.
    #[error("block {index} is {refusal}")]
    Refused {
        /// Block.
        index: u64,
        /// What the hook said.
        #[source]
        refusal: Refusal,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a block with its proof was not verified. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The storage failed while a node was read to compare with.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a verified block was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The block was verified against another feed.
    #[error("expected a block of feed {expected}, found one of {found}")]
    OtherFeed {
        /// This feed.
        expected: PublicKey,
        /// Feed of the block.
        found: PublicKey,
    },
    /// The roots have changed since the block was verified, and its own roots are new: verify it again.
    #[error("the roots of the feed have changed since block {index} was verified: verify it again")]
    Stale {
        /// Block.
        index: u64,
    },
    /// The pre-accept hook refused the block. Nothing was written.
    #[error("block {index} is {refusal}")]
    Refused {
        /// Block.
        index: u64,
        /// What the hook said.
        #[source]
        refusal: Refusal,
    },
    /// A size in the tree contradicts the block.
    #[error("expected sizes of the tree that agree with the block, found others at node {at}")]
    WrongSize {
        /// The node.
        at: NodeIndex,
    },
    /// The storage failed. The proof may have been taken; the block has not.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why blocks could not be cleared.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// The storage failed. Blocks that are no longer claimed may still take room.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
