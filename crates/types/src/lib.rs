//! Keys, hashes, indexes, limits and links: the vocabulary of every quorate crate.
//!
//! Floor 0: no sockets, files, threads, clocks or entropy.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod bytes32;
mod index;
mod link;
mod node;
mod secret;
mod wire;

pub mod limits;

pub use bytes32::{
    Capability, DiscoveryKey, Hash, HexError, ModuleHash, NoiseNonce, NoisePublicKey, PeerId, PublicKey,
    QcHash, RoomId, RuleId, RulesHash, Signature, StateRoot, VsetHash,
};
pub use index::{BlockIndex, BlockRange, ByteOffset, NodeIndex};
pub use link::{Link, LinkError};
pub use node::Node;
pub use secret::{NoiseSecretKey, SecretKey};
pub use wire::Wire;
