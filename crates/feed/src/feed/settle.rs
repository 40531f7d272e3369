//! Settling the claims of a bitfield of which a crash has kept only some sectors.
//!
//! Everything that a page may claim was durable before the page was written. But when pages are torn, or come
//! to the disk in another order, a claim can be there without another that it rests on: a block without its
//! leaf, or a node without the nodes to its left that say where its blocks lie.

use quorate_types::BlockRange;
use random_access_storage::RandomAccess;

use super::Feed;
use crate::storage::StorageError;
use crate::{Flavour, flat, hash};

/// Set of tree nodes of one feed.
struct Seen(Vec<u64>);

impl Seen {
    fn new(nodes: u64) -> Self {
        Self(vec![0; usize::try_from(nodes.div_ceil(64)).unwrap_or(0)])
    }

    /// Adds a node; tells whether it was new.
    fn add(&mut self, node: u64) -> bool {
        let word = usize::try_from(node / 64).ok().and_then(|word| self.0.get_mut(word));
        word.is_some_and(|word| {
            let bit = 1 << (node % 64);
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    }
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Takes back claims that rest on nothing, after looking for what is missing on disk.
    pub(super) async fn settle(&mut self) -> Result<(), StorageError> {
        let nodes = self.length().saturating_mul(2);
        let mut seen = Seen::new(nodes);
        for node in 0..nodes {
            if self.bitfield.tree_has(node) {
                self.settle_node(node, nodes, &mut seen).await?;
            }
        }
        let runs: Vec<BlockRange> = self.bitfield.runs(BlockRange::new(0, self.length())).collect();
        for index in runs.into_iter().flat_map(|run| run.start..run.end) {
            if !self.bitfield.tree_has(2 * index) && !self.restore_path(2 * index).await? {
                self.bitfield.set(index, false);
            }
        }
        Ok(())
    }

    /// Checks that all nodes to the left on the way up from a known node are known.
    async fn settle_node(&mut self, known: u64, nodes: u64, seen: &mut Seen) -> Result<(), StorageError> {
        let (mut node, mut highest_known) = (known, known);
        while seen.add(node) {
            let (Some(sibling), Some(parent)) = (flat::sibling(node), flat::parent(node)) else { break };
            if self.bitfield.tree_has(node) {
                highest_known = node;
            }
            if !flat::is_left(node)
                && !self.bitfield.tree_has(sibling)
                && !self.restore_path(highest_known).await?
            {
                self.disclaim(node);
                break;
            }
            if flat::right_span(parent) >= nodes {
                break;
            }
            node = parent;
        }
        Ok(())
    }

    /// Claims a node, and the siblings and parents on the way up from it to the next known one, when those
    /// on disk are what the latter hashes.
    pub(super) async fn restore_path(&mut self, node: u64) -> Result<bool, StorageError> {
        let Some(mut top) = self.nodes.unclaimed(node).await? else { return Ok(false) };
        let mut path = vec![top];
        loop {
            let Some(sibling) = flat::sibling(top.index.get()) else { return Ok(false) };
            let Some(sibling) = self.nodes.unclaimed(sibling).await? else { return Ok(false) };
            let Some(parent) = hash::parent_node(Flavour::Dat, &top, &sibling) else { return Ok(false) };
            path.push(sibling);
            if let Some(above) = self.node(parent.index.get()).await? {
                if above.hash != parent.hash {
                    return Ok(false);
                }
                break;
            }
            path.push(parent);
            top = parent;
        }
        for node in &path {
            if !self.bitfield.tree_has(node.index.get()) {
                self.nodes.put(*node);
            }
        }
        for node in path {
            self.bitfield.tree_set(node.index.get());
        }
        Ok(true)
    }

    /// Takes back every claim at and below a node.
    fn disclaim(&mut self, node: u64) {
        let (left, right) = flat::spans(node);
        for below in left..=right {
            self.bitfield.tree_clear(below);
            if below % 2 == 0 {
                self.bitfield.set(below / 2, false);
            }
        }
    }
}
