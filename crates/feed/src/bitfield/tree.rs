//! Which tree nodes are known (hypercore 9 `lib/tree-index.js`).

use super::Bitfield;
use crate::flat;
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
            let Some(parent) = flat::parent(next) else { break };
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
        while flat::depth(top) > 0 {
            let right = flat::index(flat::depth(top), flat::offset(top).saturating_add(1));
            let Some(mut next) = right.and_then(flat::left_child) else { break };
            while !self.tree_has(next)
                && let Some(left) = flat::left_child(next)
            {
                next = left;
            }
            top = next;
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
        while let Some(parent) = flat::parent(node) {
            if flat::right_span(parent) >= end {
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

fn family(node: u64) -> Option<(u64, u64)> {
    Some((flat::sibling(node)?, flat::parent(node)?))
}
