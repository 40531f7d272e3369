//! Which tree nodes are known (hypercore 9 `lib/tree-index.js`).

use super::Bitfield;
use crate::sleep::PAGE_NODES;

impl Bitfield {
    /// Tells whether the hash of a node is known.
    pub fn tree_has(&self, node: u64) -> bool {
        self.pages.get(node / PAGE_NODES).is_some_and(|page| page.tree((node % PAGE_NODES) as usize))
    }

    /// Marks a node as known, and each ancestor whose children are then both known; tells whether
    /// the node was not known before (`lib/tree-index.js`, `set`).
    pub fn tree_set(&mut self, node: u64) -> bool {
        if !self.set_tree_bit(node, true) {
            return false;
        }
        let mut node = node;
        while let Some((sibling, parent)) = family(node) {
            if !self.tree_has(sibling) || !self.set_tree_bit(parent, true) {
                break;
            }
            node = parent;
        }
        true
    }

    /// Marks a node as not known, and nothing else; tells whether it was known.
    pub fn tree_clear(&mut self, node: u64) -> bool {
        self.tree_has(node) && self.set_tree_bit(node, false)
    }

    /// Returns one more than the highest node that is known.
    pub fn tree_bits(&self) -> u64 {
        let mut numbers = self.pages.numbers().rev();
        let last = numbers.find_map(|number| Some((number, self.pages.get(number)?.last_tree()?)));
        last.map_or(0, |(number, bit)| number.saturating_mul(PAGE_NODES).saturating_add(bit as u64 + 1))
    }

    /// Returns the length in blocks of the longest tree whose roots are all known
    /// (`lib/tree-index.js`, `blocks`).
    pub fn tree_length(&self) -> u64 {
        let end = self.pages.count().saturating_mul(PAGE_NODES);
        let (mut top, mut next) = (0, 0_u64);
        // `next` is the root of the tree that begins at the first leaf.
        while next.saturating_mul(2) < end {
            let Some((_, parent)) = family(next) else { break };
            next = parent;
            if self.tree_has(next) {
                top = next;
            }
        }
        if self.tree_has(top) { self.verified_by(top) / 2 } else { 0 }
    }

    /// Returns the end, in nodes, of the tree whose roots verify a known node: twice its length in
    /// blocks, or 0 when the node is not known (`lib/tree-index.js`, `verifiedBy`).
    pub fn verified_by(&self, node: u64) -> u64 {
        if !self.tree_has(node) {
            return 0;
        }
        let mut top = node;
        while let Some((sibling, parent)) = family(top) {
            if !self.tree_has(parent) || !self.tree_has(sibling) {
                break;
            }
            top = parent;
        }
        // The roots to the right get smaller: go down to the first known node at each place.
        let mut depth = top.trailing_ones();
        while depth > 0 {
            let Some(right) = right_neighbour(top, depth) else { break };
            (top, depth) = (left_child(right, depth), depth - 1);
            while depth > 0 && !self.tree_has(top) {
                (top, depth) = (left_child(top, depth), depth - 1);
            }
        }
        if self.tree_has(top) { top.saturating_add(2) } else { top }
    }

    /// Forgets every node that tells of a block from `length` on.
    pub(super) fn truncate_tree(&mut self, length: u64) {
        let end = length.saturating_mul(2);
        let numbers: Vec<u64> = self.pages.numbers().filter(|number| *number >= end / PAGE_NODES).collect();
        for number in numbers {
            let first = number.saturating_mul(PAGE_NODES);
            for node in end.max(first)..=first.saturating_add(PAGE_NODES - 1) {
                self.tree_clear(node);
            }
        }
        // Nodes before the end that reach beyond it are ancestors of the last leaf.
        let mut node = end.saturating_sub(2);
        while let Some((_, parent)) = family(node) {
            let reach = 1_u64.checked_shl(parent.trailing_ones()).unwrap_or(u64::MAX);
            if parent.saturating_add(reach) > end {
                self.tree_clear(parent);
            }
            node = parent;
        }
    }

    pub(super) fn set_tree_bit(&mut self, node: u64, value: bool) -> bool {
        let number = node / PAGE_NODES;
        let page = self.pages.make(number, self.index_bytes);
        let changed = page.set_tree((node % PAGE_NODES) as usize, value);
        if changed {
            self.mark_dirty(number);
        }
        changed
    }
}

/// Returns the sibling and the parent of a node of the in-order tree, or `None` where numbers end.
/// The depth of a node is the number of ones at the end of its index.
fn family(node: u64) -> Option<(u64, u64)> {
    let depth = node.trailing_ones();
    let side = 1_u64.checked_shl(depth.checked_add(1)?)?;
    Some((node ^ side, (node | side >> 1) & !side))
}

/// Returns the next node at the same depth.
fn right_neighbour(node: u64, depth: u32) -> Option<u64> {
    node.checked_add(1_u64.checked_shl(depth.checked_add(1)?)?)
}

/// Returns the left child of a node at a depth of 1 or more.
fn left_child(node: u64, depth: u32) -> u64 {
    node - (1 << (depth - 1))
}
