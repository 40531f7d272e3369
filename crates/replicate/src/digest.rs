//! Digests that count on answers still to come.
//!
//! A digest says which proof nodes are here, so that the answer leaves them out (hypercore 9 `lib/tree-index.js`).
//! With many requests in flight the digests of blocks next to each other would all be taken before the first answer
//! has come, and each answer would carry the same inner nodes again. A quorate peer answers in order, so the nodes
//! that earlier answers bring are here when a later answer arrives, and the later request can claim them already.

use crate::LocalFeed;

/// Digest of a request, and whether later requests may count on the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    /// What the request says.
    pub(crate) nodes: u64,
    /// The answer brings every node from the block up to the roots that is not here yet.
    pub(crate) solid: bool,
}

/// Levels of a tree of the largest feed.
const MAX_DEPTH: u32 = 52;

/// Computes the digest of a block below the length here, when every block from `run_start` up to it is here or was
/// asked for, in order, from the same peer.
pub(crate) fn expected(local: &dyn LocalFeed, index: u64, run_start: u64) -> Digest {
    // A node whose parent's span begins at `left` comes with an earlier answer when a block of the run is below
    // that parent: as its sibling, or as a node on its way.
    let comes = |left: u64| left.max(run_start) < index;
    let solid = |depth: u32| {
        let (parent, span_end) = (node(index, depth + 1), span_end(index, depth + 1));
        local.has_node(parent) || span_end > local.length()
    };

    if comes(span_start(index, 1)) {
        return Digest { nodes: 1, solid: true };
    }
    if local.has_node(node(index, 0)) {
        return Digest { nodes: 1, solid: solid(0) };
    }
    let mut nodes = 0u64;
    let mut bit = 2u64;
    for depth in 0..MAX_DEPTH {
        // The sibling and the node itself have the same parent.
        let sibling_comes = comes(span_start(index, depth + 1));
        if sibling_comes || local.has_node(sibling(index, depth)) {
            nodes |= bit;
        }
        let parent_comes = comes(span_start(index, depth + 2));
        if parent_comes || local.has_node(node(index, depth + 1)) {
            nodes |= (2 * bit) | 1;
            let nodes = if nodes + 1 == 4 * bit { 1 } else { nodes };
            return Digest { nodes, solid: parent_comes || solid(depth + 1) };
        }
        bit *= 2;
    }
    Digest { nodes, solid: false }
}

/// Node above the block, `depth` levels up.
fn node(index: u64, depth: u32) -> u64 {
    let offset = index >> depth;
    (offset << (depth + 1)) | ((1 << depth) - 1)
}

fn sibling(index: u64, depth: u32) -> u64 {
    node((index >> depth ^ 1) << depth, depth)
}

fn span_start(index: u64, depth: u32) -> u64 {
    index >> depth << depth
}

fn span_end(index: u64, depth: u32) -> u64 {
    span_start(index, depth) + (1 << depth)
}

/// Leaf of the block.
pub(crate) fn leaf(index: u64) -> u64 {
    index.saturating_mul(2)
}
