//! Which nodes answer a request: digests and proofs by the bits of the tree alone
//! (hypercore 9 `lib/tree-index.js`).

use std::collections::BTreeMap;

use crate::{Bitfield, flat};

/// Set of tree nodes that somebody has.
pub(crate) trait Known {
    /// Tells whether the node is in the set.
    fn knows(&self, node: u64) -> bool;
}

impl Known for Bitfield {
    fn knows(&self, node: u64) -> bool {
        self.tree_has(node)
    }
}

/// Words of one page of [`RemoteTree`].
const PAGE_WORDS: usize = 16;

/// Tree nodes in one page of [`RemoteTree`].
const PAGE_NODES: u64 = 64 * PAGE_WORDS as u64;

/// What one peer has claimed, in its digests, to have of the tree; proofs for it leave that out.
///
/// Only nodes that are here can be claimed, so it takes at most one bit for each node that is here.
#[derive(Debug, Clone, Default)]
pub struct RemoteTree {
    pages: BTreeMap<u64, [u64; PAGE_WORDS]>,
    /// Byte offset that was asked for last: parallel requests for one byte get one answer.
    pub(crate) last_bytes: u64,
}

impl RemoteTree {
    /// Starts with a peer that has claimed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn place(node: u64) -> (u64, usize, u64) {
        (node / PAGE_NODES, (node % PAGE_NODES / 64) as usize, 1 << (node % 64))
    }

    fn mark(&mut self, node: u64) -> bool {
        let (page, word, bit) = Self::place(node);
        let page = self.pages.entry(page).or_insert([0; PAGE_WORDS]);
        let Some(word) = page.get_mut(word) else { return false };
        let changed = *word & bit == 0;
        *word |= bit;
        changed
    }

    /// Takes note of a node, and of the parents that follow from two known children.
    fn set(&mut self, node: u64) {
        let mut node = node;
        while self.mark(node) {
            let (Some(sibling), Some(parent)) = (flat::sibling(node), flat::parent(node)) else { return };
            if !self.knows(sibling) {
                return;
            }
            node = parent;
        }
    }
}

impl Known for RemoteTree {
    fn knows(&self, node: u64) -> bool {
        let (page, word, bit) = Self::place(node);
        self.pages.get(&page).and_then(|page| page.get(word)).is_some_and(|word| word & bit != 0)
    }
}

/// Nodes that prove a block to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Nodes to send, in order.
    pub(crate) nodes: Vec<u64>,
    /// Length whose signature goes with them, 0 when the proof ends at a node that the peer has.
    pub(crate) signed_length: u64,
}

/// Chooses the nodes that prove `node` to a peer, in the feed as it was at a length that was signed; `u64::MAX` is the
/// feed as it is. `None` when the node is not known here (`lib/tree-index.js`, `proof`).
///
/// `digest` is taken note of in `remote`; with `hash` the node itself is sent too.
pub(crate) fn proof_within(
    local: &Bitfield,
    node: u64,
    digest: u64,
    hash: bool,
    remote: &mut RemoteTree,
    length: u64,
) -> Option<Plan> {
    let end = length.saturating_mul(2);
    let knows = |node: u64| flat::right_span(node) < end && local.knows(node);
    if !knows(node) {
        return None;
    }
    let mut nodes = if hash { vec![node] } else { Vec::new() };
    if digest == 1 {
        return Some(Plan { nodes, signed_length: 0 });
    }
    note_digest(local, node, digest, remote);
    let mut next = node;
    while !remote.knows(next) {
        let (Some(sibling), Some(parent)) = (flat::sibling(next), flat::parent(next)) else { break };
        if !knows(sibling) {
            let verified_by = local.verified_by(next).min(end);
            if verified_by == end && !flat::full_roots(length).all(|root| local.knows(root)) {
                return None;
            }
            let roots = flat::full_roots(verified_by / 2);
            nodes.extend(roots.filter(|root| *root != next && !remote.knows(*root)));
            return Some(Plan { nodes, signed_length: verified_by / 2 });
        }
        if !remote.knows(sibling) {
            nodes.push(sibling);
        }
        next = parent;
    }
    Some(Plan { nodes, signed_length: 0 })
}

/// Reads what a digest claims: bit 0 that it ends at a root, the others the siblings on the way up.
fn note_digest(local: &Bitfield, node: u64, digest: u64, remote: &mut RemoteTree) {
    let has_root = digest & 1 == 1;
    let mut digest = digest >> 1;
    let mut next = node;
    while digest != 0 {
        if digest == 1 && has_root {
            if local.knows(next) {
                remote.set(next);
            }
            // To have a root is to have the roots before it.
            let Some(sibling) = flat::sibling(next) else { return };
            let last = next.min(sibling);
            for root in flat::full_roots(flat::length_to_complete(last)) {
                if local.knows(root) {
                    remote.set(root);
                }
            }
            return;
        }
        let (Some(sibling), Some(parent)) = (flat::sibling(next), flat::parent(next)) else { return };
        if digest & 1 == 1 && local.knows(sibling) {
            remote.set(sibling);
        }
        next = parent;
        digest >>= 1;
    }
}

/// Says which nodes of a proof for `node` are known here, as a request carries it; 1 when nothing is
/// missing (`lib/tree-index.js`, `digest`). `length` is that of the feed.
///
/// The reference stops looking at the highest node it knows, and so leaves out roots that reach further.
pub(crate) fn digest(local: &impl Known, node: u64, length: u64) -> u64 {
    if local.knows(node) {
        return 1;
    }
    let Some(mut next) = flat::sibling(node) else { return 0 };
    let mut digest = 0_u64;
    let mut bit = 2_u64;
    let end = next.saturating_add(2).max(length.saturating_mul(2));
    while let Some(parent) = flat::parent(next) {
        if flat::right_span(next) >= end && flat::left_span(parent) == 0 {
            break;
        }
        if local.knows(next) {
            digest |= bit;
        }
        let (Some(above), Some(sibling)) = (bit.checked_mul(2), flat::sibling(parent)) else { break };
        if local.knows(parent) {
            digest |= above | 1;
            return if digest.checked_add(1) == above.checked_mul(2) { 1 } else { digest };
        }
        next = sibling;
        bit = above;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn proof(local: &Bitfield, node: u64, digest: u64, hash: bool, remote: &mut RemoteTree) -> Option<Plan> {
        proof_within(local, node, digest, hash, remote, u64::MAX)
    }

    impl Known for BTreeSet<u64> {
        fn knows(&self, node: u64) -> bool {
            self.contains(&node)
        }
    }

    fn full(length: u64) -> Bitfield {
        let mut bits = Bitfield::new();
        for block in 0..length {
            bits.tree_set(2 * block);
        }
        bits
    }

    fn nodes(plan: Option<Plan>) -> (Vec<u64>, u64) {
        plan.map(|plan| (plan.nodes, plan.signed_length)).unwrap()
    }

    /// Proofs and digests over whole and sparse trees, as hypercore 9.12.0 `lib/tree-index.js` gives them:
    /// sequences of requests by one peer, whose digests come from its own tree or are made up.
    #[test]
    fn vectors_of_the_reference() {
        let text = include_str!("../tests/vectors/tree_index.txt");
        let number = |word: &str| word.parse::<u64>().unwrap();
        let numbers = |list: &str| {
            let list = list.trim_matches(['[', ']']);
            list.split(',').filter(|word| !word.is_empty()).map(number).collect::<Vec<u64>>()
        };
        let (mut local, mut remote) = (Bitfield::new(), RemoteTree::new());
        let (mut asking, mut span) = (Bitfield::new(), 0);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["tree", length, nodes] => {
                    (local, remote) = (full(number(length)), RemoteTree::new());
                    for node in numbers(nodes) {
                        local.tree_set(node);
                    }
                }
                ["proof", index, digest, hash, nodes, verified_by] => {
                    let plan = proof(&local, 2 * number(index), number(digest), *hash == "true", &mut remote);
                    let expected = Plan { nodes: numbers(nodes), signed_length: number(verified_by) / 2 };
                    assert_eq!(plan, Some(expected), "{line}");
                }
                ["none", index, digest, hash] => {
                    let plan = proof(&local, 2 * number(index), number(digest), *hash == "true", &mut remote);
                    assert_eq!(plan, None, "{line}");
                }
                ["asks", length, nodes] => {
                    (asking, span) = (Bitfield::new(), number(length));
                    for node in numbers(nodes) {
                        asking.tree_set(node);
                    }
                }
                ["digest", index, expected] => {
                    assert_eq!(digest(&asking, 2 * number(index), span), number(expected), "{line}");
                }
                _ => panic!("{line}"),
            }
        }
        assert_eq!(text.lines().count(), 150 * 22);
    }

    #[test]
    fn proofs_of_the_reference() {
        let bits = full(3);
        assert_eq!(nodes(proof(&bits, 0, 0, false, &mut RemoteTree::new())), (vec![2, 4], 3));
        assert_eq!(nodes(proof(&bits, 4, 0, false, &mut RemoteTree::new())), (vec![1], 3));
        let bits = full(4);
        assert_eq!(nodes(proof(&bits, 0, 0, false, &mut RemoteTree::new())), (vec![2, 5], 4));
        assert_eq!(nodes(proof(&bits, 0, 1, true, &mut RemoteTree::new())), (vec![0], 0));
        assert_eq!(proof(&bits, 8, 0, false, &mut RemoteTree::new()), None);
    }

    #[test]
    fn what_was_claimed_once_is_left_out_for_good() {
        let bits = full(8);
        let mut remote = RemoteTree::new();
        assert_eq!(nodes(proof(&bits, 0, 0, false, &mut remote)), (vec![2, 5, 11], 8));
        // Sibling 2, root 7.
        assert_eq!(nodes(proof(&bits, 0, 0b10011, false, &mut remote)), (vec![5, 11], 0));
        assert_eq!(nodes(proof(&bits, 0, 0, false, &mut remote)), (vec![5, 11], 0));
    }

    #[test]
    fn digests_name_siblings_and_the_root() {
        let known: BTreeSet<u64> = [2, 7].into();
        assert_eq!(digest(&known, 0, 8), 0b10011);
        assert_eq!(digest(&known, 2, 8), 1);
        assert_eq!(digest(&BTreeSet::new(), 0, 0), 0);
        let known: BTreeSet<u64> = [2, 1].into();
        assert_eq!(digest(&known, 0, 2), 1);
    }

    #[test]
    fn any_digest_and_any_node_end() {
        let bits = full(5);
        let mut remote = RemoteTree::new();
        for digest in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) | 1] {
            for block in 0..5 {
                proof(&bits, 2 * block, digest, true, &mut remote).unwrap();
            }
        }
        for node in [u64::MAX, u64::MAX - 1, u64::MAX >> 1, 1 << 63] {
            assert_eq!(digest(&bits, node, 5) & !1, 0);
        }
    }

    #[test]
    fn a_proof_within_a_length_is_that_of_the_feed_as_it_was() {
        for length in 1..40 {
            let (now, then) = (full(41), full(length));
            for block in 0..length + 2 {
                for digest in [0, 1, 0b10, 0b101, 0b1011, 0b1_0011, u64::MAX] {
                    for hash in [false, true] {
                        let (mut one, mut other) = (RemoteTree::new(), RemoteTree::new());
                        let found = proof_within(&now, 2 * block, digest, hash, &mut one, length);
                        let expected = proof(&then, 2 * block, digest, hash, &mut other);
                        // What a peer claims to have beyond the length is more than it can have been told.
                        if digest != u64::MAX {
                            assert_eq!(found, expected, "block {block} of {length}, digest {digest:b}");
                        }
                        let is_within = |plan: &Plan| {
                            plan.signed_length <= length
                                && plan.nodes.iter().all(|node| flat::right_span(*node) < 2 * length)
                        };
                        assert!(found.is_none_or(|plan| is_within(&plan)));
                    }
                }
            }
        }
    }
}
