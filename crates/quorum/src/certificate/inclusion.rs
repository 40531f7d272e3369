//! That a block stands in a history, and what stands before it.

use quorate_feed::{Flavour, Roots, RootsError, flat, hash};
use quorate_proto::quorum::{NodeContent, place};
use quorate_types::{Hash, Node, NodeIndex};

use crate::head::Head;

/// Where a block stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Peaks of the history that contains it.
    pub roots: Roots,
    /// What stands before it; `None` for block 0.
    pub before: Option<Head>,
    /// The history that ends with it.
    pub with: Head,
}

/// Why nodes do not show where a block stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The block is beyond the history.
    #[error("expected a block below the length {length}, found block {index}")]
    Index {
        /// Length, blocks.
        length: u64,
        /// Index of the block.
        index: u64,
    },
    /// There are too few or too many nodes.
    #[error(
        "expected the sibling nodes and the other peaks of block {index} at length {length}, found {found} nodes"
    )]
    Nodes {
        /// Length, blocks.
        length: u64,
        /// Index of the block.
        index: u64,
        /// Nodes there are.
        found: usize,
    },
    /// The nodes make no peaks.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The nodes lead to another history.
    #[error("expected nodes of a history with tree hash {expected}, found one with {found}")]
    TreeHash {
        /// Tree hash that is looked for.
        expected: Hash,
        /// Tree hash that they lead to.
        found: Hash,
    },
}

/// Places of the nodes that go with a block: siblings up to its peak, then the other peaks.
fn places(index: u64, length: u64) -> Option<Vec<u64>> {
    let leaf = index.checked_mul(2)?;
    let peak = flat::full_roots(length).find(|peak| flat::right_span(*peak) >= leaf)?;
    let mut places = Vec::new();
    let mut node = leaf;
    while node != peak {
        places.push(flat::sibling(node)?);
        node = flat::parent(node)?;
    }
    places.extend(flat::full_roots(length).filter(|other| *other != peak));
    Some(places)
}

impl Inclusion {
    /// Returns the indexes of the nodes that show where a block stands, in their order; `None` for a block beyond the length.
    pub fn places(index: u64, length: u64) -> Option<Vec<u64>> {
        places(index, length)
    }

    /// Collects the nodes that show where a block stands; `None` when one of them is not there.
    pub fn nodes(index: u64, length: u64, node: impl FnMut(u64) -> Option<Node>) -> Option<Vec<NodeContent>> {
        let nodes: Option<Vec<Node>> = places(index, length)?.into_iter().map(node).collect();
        Some(nodes?.into_iter().map(|node| (node.hash, node.size)).collect())
    }

    /// Computes where a block stands from the nodes that go with it.
    ///
    /// # Errors
    ///
    /// [`InclusionError`] when they do not make a history.
    pub fn of(index: u64, block: &[u8], length: u64, nodes: &[NodeContent]) -> Result<Self, InclusionError> {
        let wrong = InclusionError::Nodes { length, index, found: nodes.len() };
        if index >= length {
            return Err(InclusionError::Index { length, index });
        }
        let nodes = places(index, length).and_then(|places| place(nodes, places)).ok_or(wrong.clone())?;
        let leaf = Node {
            index: NodeIndex::new(index.saturating_mul(2)),
            hash: hash::leaf(Flavour::Dat, block),
            size: block.len() as u64,
        };
        let mut top = leaf;
        let mut before = Vec::new();
        let mut peaks = Vec::new();
        for node in nodes {
            if let Some(parent) = hash::parent_node(Flavour::Dat, &top, &node)
                && peaks.is_empty()
                && flat::full_roots(length).all(|peak| peak != top.index.get())
            {
                if node.index < top.index {
                    before.push(node);
                }
                top = parent;
                continue;
            }
            peaks.push(node);
        }
        before.extend(peaks.iter().filter(|peak| peak.index < top.index));
        before.sort_unstable_by_key(|node| node.index);
        peaks.push(top);
        peaks.sort_unstable_by_key(|node| node.index);
        let roots = Roots::new(length, peaks)?;
        let before = Roots::new(index, before)?;
        let mut with = before.clone();
        with.push_block(Flavour::Dat, block)?;
        Ok(Self {
            roots,
            before: Head::new(index, before.tree_hash(Flavour::Dat)),
            with: Head::new(with.length(), with.tree_hash(Flavour::Dat)).ok_or(wrong)?,
        })
    }

    /// Checks that the history is the one that is looked for.
    ///
    /// # Errors
    ///
    /// [`InclusionError::TreeHash`].
    pub fn check(&self, expected: &Hash) -> Result<(), InclusionError> {
        let found = self.roots.tree_hash(Flavour::Dat);
        if found == *expected { Ok(()) } else { Err(InclusionError::TreeHash { expected: *expected, found }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_feed::MemoryTree;

    use super::*;

    fn tree(length: u64) -> MemoryTree {
        let mut tree = MemoryTree::new(Flavour::Dat);
        (0..length).for_each(|i| tree.push(format!("block {i}").as_bytes()).unwrap());
        tree
    }

    fn head(tree: &MemoryTree, length: u64) -> Option<Head> {
        Head::new(length, tree.roots_at(length).unwrap().tree_hash(Flavour::Dat))
    }

    proptest! {
        #[test]
        fn a_block_stands_in_its_place_and_nowhere_else(
            length in 1_u64..150,
            index in any::<prop::sample::Index>(),
            bit in any::<prop::sample::Index>(),
        ) {
            let tree = tree(length);
            let index = index.index(length as usize) as u64;
            let mut nodes = Inclusion::nodes(index, length, |node| tree.node(node)).unwrap();
            let block = format!("block {index}");
            let inclusion = Inclusion::of(index, block.as_bytes(), length, &nodes).unwrap();
            prop_assert_eq!(&inclusion.roots, tree.roots());
            prop_assert_eq!(inclusion.before, head(&tree, index));
            prop_assert_eq!(Some(inclusion.with), head(&tree, index + 1));
            let hash = tree.roots().tree_hash(Flavour::Dat);
            prop_assert_eq!(inclusion.check(&hash), Ok(()));
            let other = Inclusion::of(index, b"other", length, &nodes).unwrap();
            prop_assert!(other.check(&hash).is_err());
            if !nodes.is_empty() {
                let at = bit.index(nodes.len());
                let mut bytes = *nodes[at].0.as_bytes();
                bytes[7] ^= 1;
                nodes[at].0 = Hash::new(bytes);
                prop_assert!(Inclusion::of(index, block.as_bytes(), length, &nodes).unwrap().check(&hash).is_err());
                nodes.pop();
                let error = InclusionError::Nodes { length, index, found: nodes.len() };
                prop_assert_eq!(Inclusion::of(index, block.as_bytes(), length, &nodes), Err(error));
            }
            let error = InclusionError::Index { length, index: length };
            prop_assert_eq!(Inclusion::of(length, block.as_bytes(), length, &nodes), Err(error));
        }
    }
}
