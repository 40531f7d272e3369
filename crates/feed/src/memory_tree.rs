//! A whole Merkle tree in memory, for either flavour: proofs without storage.

use quorate_types::{Hash, Node, Signature};

use crate::{Flavour, Roots, RootsError, flat, hash};
use quorate_proto::dat::Data;

/// Merkle tree that is kept in memory, every node of it.
#[derive(Debug, Clone)]
pub struct MemoryTree {
    flavour: Flavour,
    /// Nodes by place; `None` for parents that are not complete.
    nodes: Vec<Option<Node>>,
    roots: Roots,
}

impl MemoryTree {
    /// Starts an empty tree.
    pub fn new(flavour: Flavour) -> Self {
        Self { flavour, nodes: Vec::new(), roots: Roots::default() }
    }

    /// Adds the next block.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the tree would leave the limits of a feed.
    pub fn push(&mut self, block: &[u8]) -> Result<(), RootsError> {
        self.push_leaf(hash::leaf(self.flavour, block), block.len() as u64)
    }

    /// Adds the next block by its hash and size.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the tree would leave the limits of a feed.
    pub fn push_leaf(&mut self, hash: Hash, size: u64) -> Result<(), RootsError> {
        let nodes = &mut self.nodes;
        self.roots.push_leaf(self.flavour, hash, size, |node| {
            let place = node.index.get() as usize;
            if nodes.len() <= place {
                nodes.resize(place.saturating_add(1), None);
            }
            if let Some(slot) = nodes.get_mut(place) {
                *slot = Some(node);
            }
        })
    }

    /// Returns the peaks.
    pub const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Returns a node, `None` when it is not complete.
    pub fn node(&self, index: u64) -> Option<Node> {
        self.nodes.get(usize::try_from(index).ok()?).copied().flatten()
    }

    /// Returns the peaks at an earlier length, `None` beyond the present one.
    pub fn roots_at(&self, length: u64) -> Option<Roots> {
        let nodes: Option<Vec<Node>> = flat::full_roots(length).map(|peak| self.node(peak)).collect();
        Roots::new(length, nodes?).ok()
    }

    /// Returns the siblings from a block up to its peak at a length, lowest first.
    pub fn siblings(&self, index: u64, length: u64) -> Option<Vec<Node>> {
        let leaf = index.checked_mul(2)?;
        let peak = flat::full_roots(length).find(|peak| flat::right_span(*peak) >= leaf)?;
        let mut siblings = Vec::new();
        let mut node = leaf;
        while node != peak {
            siblings.push(self.node(flat::sibling(node)?)?);
            node = flat::parent(node)?;
        }
        Some(siblings)
    }

    /// Makes a proof of a block at a length that stands alone, with the signature over its peaks.
    ///
    /// Without a value it proves the hash of the block.
    pub fn proof(
        &self,
        index: u64,
        value: Option<bytes::Bytes>,
        length: u64,
        signature: Signature,
    ) -> Option<Data> {
        let leaf = index.checked_mul(2)?;
        let mut nodes = Vec::new();
        if value.is_none() {
            nodes.push(self.node(leaf)?);
        }
        nodes.extend(self.siblings(index, length)?);
        let others = self.roots_at(length)?;
        nodes.extend(others.nodes().iter().filter(|peak| {
            let (left, right) = flat::spans(peak.index.get());
            leaf < left || right < leaf
        }));
        Some(Data { index, value, nodes, signature: Some(signature) })
    }
}
