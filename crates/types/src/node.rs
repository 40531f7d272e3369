//! One node of a Merkle tree.

use crate::{Hash, NodeIndex};

/// Node of the flat in-order tree: where it stands, what it hashes to, and the bytes below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// Position in the flat tree.
    pub index: NodeIndex,
    /// Hash of the block (leaf) or of the two children (parent).
    pub hash: Hash,
    /// Sum of the sizes of all blocks below, in bytes.
    pub size: u64,
}
