//! Arithmetic of the flat in-order tree: leaves are even, parents odd (DEP-0002; npm `flat-tree`).
//!
//! ```text
//! depth 2        3
//! depth 1    1       5
//! depth 0  0   2   4   6
//! ```
//!
//! The depth of a node is the number of ones at the low end of its index; the bit above the zero that
//! ends them says whether it is a left or a right child. Functions that could leave the 64 bits return
//! `None` there.

/// Returns the height of a node above the leaves.
pub const fn depth(node: u64) -> u32 {
    node.trailing_ones()
}

/// Returns how many nodes of the same depth stand to the left.
pub const fn offset(node: u64) -> u64 {
    match node.checked_shr(depth(node).saturating_add(1)) {
        Some(offset) => offset,
        None => 0,
    }
}

/// Returns the node at a depth and an offset.
pub const fn index(depth: u32, offset: u64) -> Option<u64> {
    if depth >= 64 {
        return None;
    }
    let Some(odd) = offset.checked_mul(2) else { return None };
    let Some(odd) = odd.checked_add(1) else { return None };
    if odd.leading_zeros() < depth {
        return None;
    }
    Some((odd << depth) - 1)
}

/// Returns the parent.
pub const fn parent(node: u64) -> Option<u64> {
    let depth = depth(node);
    if depth >= 63 {
        return None;
    }
    Some((node | (1 << depth)) & !(2 << depth))
}

/// Returns the other child of the parent.
pub const fn sibling(node: u64) -> Option<u64> {
    let depth = depth(node);
    if depth >= 63 {
        return None;
    }
    Some(node ^ (2 << depth))
}

/// Tells whether the node is the left child of its parent.
pub const fn is_left(node: u64) -> bool {
    offset(node) & 1 == 0
}

/// Returns both children, `None` for a leaf.
pub const fn children(node: u64) -> Option<(u64, u64)> {
    let depth = depth(node);
    if depth == 0 || depth >= 64 {
        return None;
    }
    let left = node & !(1 << (depth - 1));
    Some((left, left | (1 << depth)))
}

/// Returns the left child, `None` for a leaf.
pub const fn left_child(node: u64) -> Option<u64> {
    match children(node) {
        Some((left, _)) => Some(left),
        None => None,
    }
}

/// Returns the right child, `None` for a leaf.
pub const fn right_child(node: u64) -> Option<u64> {
    match children(node) {
        Some((_, right)) => Some(right),
        None => None,
    }
}

/// Returns the first leaf below a node, itself for a leaf.
pub const fn left_span(node: u64) -> u64 {
    // The low ones of the index are exactly the distance to the first leaf.
    node & node.wrapping_add(1)
}

/// Returns the last leaf below a node, itself for a leaf.
pub const fn right_span(node: u64) -> u64 {
    let below = node - left_span(node);
    node.saturating_add(below)
}

/// Returns the first and the last leaf below a node.
pub const fn spans(node: u64) -> (u64, u64) {
    (left_span(node), right_span(node))
}

/// Returns the number of blocks below a node.
pub const fn leaf_count(node: u64) -> u64 {
    match 1_u64.checked_shl(depth(node)) {
        Some(count) => count,
        None => u64::MAX,
    }
}

/// Returns the length of the shortest feed in which the node is complete, blocks.
pub const fn length_to_complete(node: u64) -> u64 {
    right_span(node) / 2 + 1
}

/// Lists the peaks of a feed of `length` blocks, from left to right.
///
/// Lengths beyond 2^62 have no peaks that fit; none are listed for them.
pub const fn full_roots(length: u64) -> FullRoots {
    let rest = if length > 1 << 62 { 0 } else { length };
    FullRoots { start: 0, rest }
}

/// Iterator of [`full_roots`].
#[derive(Debug, Clone)]
pub struct FullRoots {
    start: u64,
    rest: u64,
}

impl Iterator for FullRoots {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let blocks = 1 << self.rest.checked_ilog2()?;
        let root = 2 * self.start + blocks - 1;
        self.start += blocks;
        self.rest -= blocks;
        Some(root)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rest.count_ones() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for FullRoots {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_tree() {
        assert_eq!((parent(0), parent(2), parent(1), parent(5)), (Some(1), Some(1), Some(3), Some(3)));
        assert_eq!((sibling(0), sibling(2), sibling(1), sibling(5)), (Some(2), Some(0), Some(5), Some(1)));
        assert_eq!((children(3), children(1), children(4)), (Some((1, 5)), Some((0, 2)), None));
        assert_eq!((spans(3), spans(5), spans(4)), ((0, 6), (4, 6), (4, 4)));
        assert_eq!((depth(7), offset(7), offset(23), index(3, 1)), (3, 0, 1, Some(23)));
        assert_eq!((leaf_count(7), length_to_complete(5), length_to_complete(4)), (8, 4, 3));
        assert!(is_left(1) && !is_left(5) && is_left(0) && !is_left(2));
    }

    #[test]
    fn peaks_of_small_lengths() {
        let peaks = |length| full_roots(length).collect::<Vec<_>>();
        assert_eq!(peaks(0), []);
        assert_eq!(peaks(1), [0]);
        assert_eq!(peaks(3), [1, 4]);
        assert_eq!(peaks(8), [7]);
        assert_eq!(peaks(13), [7, 19, 24]);
        assert_eq!(peaks(u64::MAX), []);
        assert_eq!(full_roots(13).len(), 3);
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_nodes() {
        assert_eq!((parent(u64::MAX), sibling(u64::MAX), children(u64::MAX)), (None, None, None));
        assert_eq!((parent(u64::MAX >> 1), sibling(u64::MAX >> 1)), (None, None));
        assert_eq!((index(64, 0), index(63, 0), index(63, 1)), (None, Some(u64::MAX >> 1), None));
        assert_eq!((index(0, u64::MAX), offset(u64::MAX)), (None, 0));
        assert_eq!(spans(u64::MAX), (0, u64::MAX));
    }

    proptest! {
        #[test]
        fn families_agree(node in 0..u64::MAX >> 3) {
            let up = parent(node).unwrap();
            let other = sibling(node).unwrap();
            prop_assert_eq!(parent(other), Some(up));
            prop_assert_eq!(sibling(other), Some(node));
            let (left, right) = children(up).unwrap();
            prop_assert_eq!((left, right), (node.min(other), node.max(other)));
            prop_assert_eq!((left_child(up), right_child(up)), (Some(left), Some(right)));
            prop_assert_eq!(is_left(node), node == left);
            prop_assert_eq!(index(depth(node), offset(node)), Some(node));
            prop_assert_eq!(spans(up), (left_span(left), right_span(right)));
            prop_assert_eq!(leaf_count(node), (right_span(node) - left_span(node)) / 2 + 1);
            prop_assert_eq!(depth(up), depth(node) + 1);
        }

        #[test]
        fn peaks_cover_the_length(length in 0_u64..1 << 53) {
            let mut covered = 0;
            for root in full_roots(length) {
                prop_assert_eq!(left_span(root), 2 * covered);
                covered += leaf_count(root);
            }
            prop_assert_eq!(covered, length);
        }
    }
}
