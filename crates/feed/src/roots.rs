//! Peaks of the Merkle tree at one length, and the signature over them.

use quorate_types::limits::MAX_FEED_LENGTH;
use quorate_types::{Hash, Node, NodeIndex, Signature};

use crate::sign::{Form, Verifier};
use crate::{Flavour, flat, hash};

/// Most bytes in a feed: the integers that a JavaScript peer can name.
pub const MAX_BYTE_LENGTH: u64 = 1 << 53;

/// Peaks of one length, from left to right: exactly those nodes, with sizes that add up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roots {
    nodes: Vec<Node>,
    length: u64,
    byte_length: u64,
}

/// Why nodes are not the peaks of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// A peak is missing, or another node stands in its place.
    #[error("expected the peak {expected}, found {}", .found.map_or("no node".into(), |at| format!("node {at}")))]
    Index {
        /// Peak that the length has there.
        expected: NodeIndex,
        /// Node that stands there.
        found: Option<NodeIndex>,
    },
    /// More nodes than peaks.
    #[error("expected {expected} peaks, found {found}")]
    Count {
        /// Peaks of the length.
        expected: usize,
        /// Nodes there are.
        found: usize,
    },
    /// The feed is longer than any that is believed.
    #[error("expected a feed of at most {MAX_FEED_LENGTH} blocks, found {found}")]
    Length {
        /// Blocks.
        found: u64,
    },
    /// The feed has more bytes than any that is believed.
    #[error("expected a feed of at most {MAX_BYTE_LENGTH} bytes")]
    Bytes,
}

impl Roots {
    /// Checks that the nodes are the peaks of `length` blocks.
    ///
    /// # Errors
    ///
    /// [`RootsError`] names what stands in the wrong place.
    pub fn new(length: u64, nodes: Vec<Node>) -> Result<Self, RootsError> {
        if length > MAX_FEED_LENGTH {
            return Err(RootsError::Length { found: length });
        }
        let peaks = flat::full_roots(length);
        if nodes.len() > peaks.len() {
            return Err(RootsError::Count { expected: peaks.len(), found: nodes.len() });
        }
        let mut byte_length = 0_u64;
        for (position, expected) in peaks.enumerate() {
            let found = nodes.get(position);
            if found.is_none_or(|node| node.index.get() != expected) {
                let found = found.map(|node| node.index);
                return Err(RootsError::Index { expected: NodeIndex::new(expected), found });
            }
            byte_length = byte_length.saturating_add(found.map_or(0, |node| node.size));
        }
        if byte_length > MAX_BYTE_LENGTH {
            return Err(RootsError::Bytes);
        }
        Ok(Self { nodes, length, byte_length })
    }

    /// Checks that the nodes are the peaks of some length, which the last of them ends.
    ///
    /// # Errors
    ///
    /// [`RootsError`] names what stands in the wrong place.
    pub fn of_nodes(nodes: Vec<Node>) -> Result<Self, RootsError> {
        let length = nodes.last().map_or(0, |node| flat::length_to_complete(node.index.get()));
        Self::new(length, nodes)
    }

    /// Returns the peaks, from left to right.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the length, blocks.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Returns the peaks of the first `length` blocks, where they are among these; `None` where other nodes are.
    pub fn first(&self, length: u64) -> Option<Self> {
        let count = flat::full_roots(length).count();
        Self::new(length, self.nodes.get(..count)?.to_vec()).ok()
    }

    /// Returns the sum of the sizes of all blocks.
    pub const fn byte_length(&self) -> u64 {
        self.byte_length
    }

    /// Hashes the peaks: what the writer signs.
    pub fn tree_hash(&self, flavour: Flavour) -> Hash {
        hash::tree(flavour, &self.nodes)
    }

    /// Returns the peak at a place of the flat tree.
    pub fn peak(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.binary_search_by_key(&index, |node| node.index).ok().and_then(|at| self.nodes.get(at))
    }

    /// Returns the peak above a node.
    pub fn peak_above(&self, node: u64) -> Option<&Node> {
        self.nodes.iter().find(|peak| {
            let (left, right) = flat::spans(peak.index.get());
            left <= node && node <= right
        })
    }

    /// Adds the next block: the peaks are then those of one block more.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the feed would leave its limits; it is then as before.
    pub fn push_block(&mut self, flavour: Flavour, block: &[u8]) -> Result<(), RootsError> {
        self.push_leaf(flavour, hash::leaf(flavour, block), block.len() as u64, |_| {})
    }

    /// Adds the next block, and tells of each node that comes into being: the leaf, then its parents.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the feed would leave its limits; it is then as before.
    pub(crate) fn push_leaf(
        &mut self,
        flavour: Flavour,
        hash: Hash,
        size: u64,
        mut made: impl FnMut(Node),
    ) -> Result<(), RootsError> {
        let length = self.length.saturating_add(1);
        if length > MAX_FEED_LENGTH {
            return Err(RootsError::Length { found: length });
        }
        let byte_length = self.byte_length.saturating_add(size);
        if byte_length > MAX_BYTE_LENGTH {
            return Err(RootsError::Bytes);
        }
        let mut top = Node { index: NodeIndex::new(2 * self.length), hash, size };
        made(top);
        while let Some(parent) = self.nodes.last().and_then(|left| hash::parent_node(flavour, left, &top)) {
            self.nodes.pop();
            top = parent;
            made(top);
        }
        self.nodes.push(top);
        self.length = length;
        self.byte_length = byte_length;
        Ok(())
    }

    /// Returns the peaks after each of the blocks that come next, with their hashes: leaves, and then hashes of peaks, are
    /// computed side by side.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the feed would leave its limits.
    pub fn grown<B: AsRef<[u8]>>(
        &self,
        flavour: Flavour,
        blocks: &[B],
    ) -> Result<Vec<(Self, Hash)>, RootsError> {
        let mut roots = self.clone();
        let mut grown = Vec::with_capacity(blocks.len());
        for (block, leaf) in blocks.iter().zip(hash::leaves(flavour, blocks)) {
            roots.push_leaf(flavour, leaf, block.as_ref().len() as u64, |_| {})?;
            grown.push(roots.clone());
        }
        let hashes = hash::trees(flavour, grown.iter().map(|roots| roots.nodes()));
        Ok(grown.into_iter().zip(hashes).collect())
    }

    /// Adds many blocks at once, hashing parents side by side; returns the new peaks, and each node that
    /// comes into being, in no particular order.
    ///
    /// # Errors
    ///
    /// [`RootsError`] when the feed would leave its limits.
    pub(crate) fn extended(
        &self,
        flavour: Flavour,
        leaves: impl ExactSizeIterator<Item = (Hash, u64)>,
    ) -> Result<(Self, Vec<Node>), RootsError> {
        let length = self.length.saturating_add(leaves.len() as u64);
        if length > MAX_FEED_LENGTH {
            return Err(RootsError::Length { found: length });
        }
        let mut made = Vec::with_capacity(leaves.len().saturating_mul(2));
        let mut byte_length = self.byte_length;
        for (index, (hash, size)) in (self.length..).zip(leaves) {
            byte_length = byte_length.saturating_add(size);
            made.push(Node { index: NodeIndex::new(2 * index), hash, size });
        }
        if byte_length > MAX_BYTE_LENGTH {
            return Err(RootsError::Bytes);
        }
        let mut peaks = self.nodes.clone();
        // Peaks that are found from the bottom up, so from right to left.
        let mut right_peaks = Vec::new();
        let mut level = made.clone();
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            // An old peak of this depth is the left sibling of the first new node.
            if let Some(peak) = peaks.pop_if(|peak| flat::depth(peak.index.get()) == depth) {
                level.insert(0, peak);
            }
            let mut pairs = Vec::with_capacity(level.len() / 2);
            for pair in level.chunks(2) {
                match pair {
                    [left, right] => pairs.push((*left, *right)),
                    single => right_peaks.extend_from_slice(single),
                }
            }
            let hashes = hash::parents(flavour, &pairs);
            level.clear();
            for ((left, right), hash) in pairs.iter().zip(hashes) {
                let index = NodeIndex::new(flat::parent(left.index.get()).unwrap_or(u64::MAX));
                level.push(Node { index, hash, size: left.size.saturating_add(right.size) });
            }
            made.extend_from_slice(&level);
        }
        peaks.extend(right_peaks.into_iter().rev());
        Ok((Self { nodes: peaks, length, byte_length }, made))
    }
}

/// Peaks and a signature that is said to be over them; [`verify`](Self::verify) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRoots {
    /// Peaks of the length that was signed.
    pub roots: Roots,
    /// Signature over them.
    pub signature: Signature,
}

impl SignedRoots {
    /// Finds the form in which the peaks were signed; `None` when the signature does not verify.
    pub fn verify(&self, flavour: Flavour, key: &Verifier) -> Option<Form> {
        key.verify(flavour, &self.roots.tree_hash(flavour), self.roots.length, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roots(length: u64) -> Roots {
        let mut roots = Roots::default();
        for i in 0..length {
            roots.push_leaf(Flavour::Dat, hash::leaf(Flavour::Dat, &i.to_be_bytes()), 8, |_| ()).unwrap();
        }
        roots
    }

    #[test]
    fn the_peaks_of_a_shorter_length_are_found_where_they_are() {
        for length in 0..40 {
            let all = roots(length);
            for shorter in 0..=length + 1 {
                let expected = roots(shorter);
                let is_there = shorter <= length && all.nodes().starts_with(expected.nodes());
                assert_eq!(all.first(shorter), is_there.then_some(expected), "{shorter} of {length}");
            }
        }
        assert_eq!(roots(11).first(10), Some(roots(10)));
        assert_eq!(roots(12).first(10), None);
    }

    #[test]
    fn only_the_peaks_of_a_length_are_roots() {
        let nodes = roots(7).nodes().to_vec();
        assert_eq!(Roots::of_nodes(nodes.clone()), Ok(roots(7)));
        let at = |index| NodeIndex::new(index);
        assert_eq!(
            Roots::new(7, nodes[..2].to_vec()),
            Err(RootsError::Index { expected: at(12), found: None })
        );
        assert_eq!(
            Roots::of_nodes(nodes[1..].to_vec()),
            Err(RootsError::Index { expected: at(3), found: Some(at(9)) })
        );
        assert_eq!(Roots::new(4, nodes.clone()), Err(RootsError::Count { expected: 1, found: 3 }));
        assert_eq!(Roots::new(u64::MAX, nodes.clone()), Err(RootsError::Length { found: u64::MAX }));
        let mut huge = nodes;
        huge[0].size = u64::MAX;
        assert_eq!(Roots::new(7, huge), Err(RootsError::Bytes));
        assert_eq!(Roots::of_nodes(Vec::new()), Ok(Roots::default()));
    }

    #[test]
    fn peaks_are_found_by_place_and_from_below() {
        let roots = roots(7);
        assert_eq!(roots.peak(NodeIndex::new(9)).map(|node| node.size), Some(16));
        assert_eq!(roots.peak(NodeIndex::new(8)), None);
        assert_eq!(roots.peak_above(8).map(|node| node.index.get()), Some(9));
        assert_eq!(roots.peak_above(3).map(|node| node.index.get()), Some(3));
        assert_eq!(roots.peak_above(14), None);
    }

    proptest! {
        #[test]
        fn peaks_that_are_grown_are_those_of_block_after_block(
            first in 0_u64..70,
            blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40),
        ) {
            let mut one_by_one = roots(first);
            let grown = one_by_one.grown(Flavour::Dat, &blocks).unwrap();
            prop_assert_eq!(grown.len(), blocks.len());
            for ((peaks, hash), block) in grown.iter().zip(&blocks) {
                one_by_one.push_block(Flavour::Dat, block).unwrap();
                prop_assert_eq!(peaks, &one_by_one);
                prop_assert_eq!(*hash, one_by_one.tree_hash(Flavour::Dat));
            }
        }

        #[test]
        fn pushing_makes_every_node_once(length in 1_u64..200) {
            let mut roots = Roots::default();
            let mut made = Vec::new();
            for i in 0..length {
                roots.push_leaf(Flavour::Dat, Hash::new([i as u8; 32]), i, |node| made.push(node.index.get())).unwrap();
            }
            made.sort_unstable();
            let complete: Vec<_> = (0..2 * length).filter(|node| flat::right_span(*node) < 2 * length).collect();
            prop_assert_eq!(made, complete);
            prop_assert_eq!(roots.byte_length(), length * (length - 1) / 2);
            prop_assert_eq!(Roots::of_nodes(roots.nodes().to_vec()), Ok(roots));
        }

        #[test]
        fn batches_make_what_single_blocks_make(first in 0_u64..100, more in 0_u64..100) {
            let leaf = |i: u64| (Hash::new([i as u8; 32]), i);
            let mut single = roots(first);
            let before = single.clone();
            let mut made = Vec::new();
            for i in 0..more {
                let (hash, size) = leaf(i);
                single.push_leaf(Flavour::Dat, hash, size, |node| made.push(node)).unwrap();
            }
            let leaves: Vec<_> = (0..more).map(leaf).collect();
            let (batch, mut batch_made) = before.extended(Flavour::Dat, leaves.into_iter()).unwrap();
            prop_assert_eq!(batch, single);
            made.sort_unstable_by_key(|node| node.index);
            batch_made.sort_unstable_by_key(|node| node.index);
            prop_assert_eq!(batch_made, made);
        }
    }
}
