//! The hypercore: Merkle log, proofs, bitfield, signatures, fork proofs.
//!
//! [`Feed`] is a Dat feed over any [`random_access_storage::RandomAccess`]. The parts that need no
//! storage serve two [`Flavour`]s: [`hash`], [`sign`], [`proof`], [`fork`] and [`MemoryTree`].
//!
//! Verification returns a proof of verification: [`Feed::put`] takes nothing but the
//! [`VerifiedBlock`] that [`Feed::verify`] returns, and a [`fork::VerifiedForkProof`] comes from nowhere
//! but [`fork::ForkProof::verify`].
//!
//! Floor 1: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod feed;
mod flavour;
mod hashed;
mod hook;
mod memory_tree;
mod nodes;
mod roots;
mod signatures;
mod storage;
mod tree_index;

pub mod bitfield;
pub mod flat;
pub mod fork;
pub mod hash;
pub mod proof;
pub mod rle;
pub mod sign;
pub mod sleep;

pub use bitfield::Bitfield;
pub use feed::{
    AppendError, AuditReport, BranchError, ClearError, Corruption, Feed, FeedConfig, Findings, Investigation,
    Keys, Meeting, OpenError, PutError, ReadError, Recovery, Seek, Stored, VerifiedBlock, VerifyError,
};
pub use flavour::Flavour;
pub use hashed::HashedData;
pub use hook::{Candidate, PreAccept, Refusal};
pub use memory_tree::MemoryTree;
pub use roots::{MAX_BYTE_LENGTH, Roots, RootsError, SignedRoots};
pub use storage::{Part, Storage, StorageError};
pub use tree_index::RemoteTree;
