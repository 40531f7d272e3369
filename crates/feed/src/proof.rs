//! Proofs of blocks: how they are climbed, and verification of proofs that stand alone.

use bytes::Bytes;
use quorate_proto::dat::Data;
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_HELD_BLOCK_BYTES, MAX_PROOF_NODES};
use quorate_types::{BlockIndex, Hash, Node, NodeIndex};

use crate::sign::{Form, Verifier};
use crate::{Flavour, Roots, RootsError, SignedRoots, flat, hash};

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The message has neither a block nor a node.
    #[error("expected a block or the hash of block {index}, found neither")]
    NoValueNoNodes {
        /// Block that the message names.
        index: u64,
    },
    /// The block is further out than any feed is long.
    #[error("expected a block below {MAX_FEED_LENGTH}, found block {index}")]
    OutOfRange {
        /// Block that the message names.
        index: u64,
    },
    /// The block is larger than any that is accepted.
    #[error("expected a block of at most {MAX_HELD_BLOCK_BYTES} bytes, found {found}")]
    BlockTooLarge {
        /// Bytes of the block.
        found: usize,
    },
    /// More nodes than any proof has.
    #[error("expected at most {MAX_PROOF_NODES} nodes, found {found}")]
    TooManyNodes {
        /// Nodes in the message.
        found: usize,
    },
    /// A node that the proof needs is neither in it nor known.
    #[error("expected node {index} in the proof or in the tree, found it in neither")]
    MissingNode {
        /// The node.
        index: NodeIndex,
    },
    /// A node that has no place in the proof.
    #[error("expected no further node in the proof, found node {index}")]
    UnexpectedNode {
        /// The node.
        index: NodeIndex,
    },
    /// What the proof gives for a node is not what the tree has there.
    #[error("expected the hash that the tree has at node {at}, found another")]
    WrongHash {
        /// The node.
        at: NodeIndex,
    },
    /// Sizes of the proof do not add up within the limits of a feed.
    #[error("expected sizes that add up at node {at}, found an impossible sum")]
    WrongSize {
        /// The node.
        at: NodeIndex,
    },
    /// The nodes are not the peaks of a length.
    #[error("the proof does not end in the peaks of a feed: {0}")]
    Roots(#[from] RootsError),
    /// The proof reaches the peaks, and no signature comes with it.
    #[error("expected a signature over the peaks of length {length}, found none")]
    NoSignature {
        /// Length, blocks.
        length: u64,
    },
    /// The signature is not the writer's, or not over these peaks.
    #[error(
        "expected the writer's signature over the peaks of length {length}, found one that does not verify"
    )]
    BadSignature {
        /// Length, blocks.
        length: u64,
    },
}

/// A proof that has been verified by itself: every node on the way and the signature were in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    index: BlockIndex,
    value: Option<Bytes>,
    nodes: Vec<Node>,
    signed: SignedRoots,
    form: Form,
}

impl VerifiedProof {
    /// Returns the position of the block.
    pub const fn index(&self) -> BlockIndex {
        self.index
    }

    /// Returns the block, unless the proof was of its hash alone.
    pub const fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// Returns every node that the proof shows: the leaf, siblings, parents and peaks, in order of index.
    ///
    /// In a proof of a hash alone, the sizes of the leaf and of its sibling are bound by their sum only.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node at a place, when the proof shows it.
    pub fn node(&self, index: u64) -> Option<&Node> {
        let at = self.nodes.binary_search_by_key(&index, |node| node.index.get()).ok()?;
        self.nodes.get(at)
    }

    /// Returns the signed peaks.
    pub const fn signed(&self) -> &SignedRoots {
        &self.signed
    }

    /// Returns the form in which the peaks were signed.
    pub const fn form(&self) -> Form {
        self.form
    }
}

/// Verifies a proof that stands alone: all siblings, all other peaks, and the signature.
///
/// # Errors
///
/// [`ProofError`] names the first thing that is missing or wrong.
pub fn verify_standalone(flavour: Flavour, key: &Verifier, data: &Data) -> Result<VerifiedProof, ProofError> {
    let mut climb = Climb::start(flavour, data)?;
    while let Some(sibling) = flat::sibling(climb.top.index.get()).and_then(|sibling| climb.take(sibling)) {
        climb.join(sibling)?;
    }
    let length = climb.length();
    let mut peaks = Vec::new();
    for peak in flat::full_roots(length) {
        let index = NodeIndex::new(peak);
        let known = Some(climb.top).filter(|top| top.index == index);
        let node = known.or_else(|| climb.take(peak)).ok_or(ProofError::MissingNode { index })?;
        peaks.push(node);
    }
    let (roots, mut nodes) = climb.finish(length, peaks)?;
    let signature = data.signature.ok_or(ProofError::NoSignature { length })?;
    let signed = SignedRoots { roots, signature };
    let form = signed.verify(flavour, key).ok_or(ProofError::BadSignature { length })?;
    nodes.extend_from_slice(signed.roots.nodes());
    nodes.sort_unstable_by_key(|node| node.index);
    nodes.dedup();
    Ok(VerifiedProof { index: BlockIndex::new(data.index), value: data.value.clone(), nodes, signed, form })
}

/// The way from a block up to a node that is known, or to a peak.
pub(crate) struct Climb<'a> {
    flavour: Flavour,
    /// Where the climb has come to.
    pub(crate) top: Node,
    rest: &'a [Node],
    /// Nodes below `top`: siblings and former tops.
    visited: Vec<Node>,
}

impl<'a> Climb<'a> {
    /// Begins at the leaf: the hash of the block, or else the first node.
    pub(crate) fn start(flavour: Flavour, data: &'a Data) -> Result<Self, ProofError> {
        Self::start_hashed(flavour, data, None)
    }

    /// Begins at the leaf, of which the hash is known already, or else is computed.
    pub(crate) fn start_hashed(
        flavour: Flavour,
        data: &'a Data,
        known: Option<Hash>,
    ) -> Result<Self, ProofError> {
        let index = data.index;
        if index >= MAX_FEED_LENGTH {
            return Err(ProofError::OutOfRange { index });
        }
        if data.nodes.len() > MAX_PROOF_NODES {
            return Err(ProofError::TooManyNodes { found: data.nodes.len() });
        }
        let leaf = NodeIndex::new(2 * index);
        let (top, rest) = match (&data.value, data.nodes.as_slice()) {
            (Some(value), nodes) => {
                if value.len() > MAX_HELD_BLOCK_BYTES {
                    return Err(ProofError::BlockTooLarge { found: value.len() });
                }
                let hash = known.unwrap_or_else(|| hash::leaf(flavour, value));
                (Node { index: leaf, hash, size: value.len() as u64 }, nodes)
            }
            (None, []) => return Err(ProofError::NoValueNoNodes { index }),
            (None, [first, rest @ ..]) if first.index == leaf => (*first, rest),
            (None, _) => return Err(ProofError::MissingNode { index: leaf }),
        };
        Ok(Self { flavour, top, rest, visited: Vec::with_capacity(2 * data.nodes.len()) })
    }

    /// Takes the next node of the proof if it is this one.
    pub(crate) fn take(&mut self, index: u64) -> Option<Node> {
        let (first, rest) = self.rest.split_first()?;
        if first.index.get() != index {
            return None;
        }
        self.rest = rest;
        Some(*first)
    }

    /// Climbs to the parent of the top and its sibling.
    pub(crate) fn join(&mut self, sibling: Node) -> Result<(), ProofError> {
        let parent = hash::parent_node(self.flavour, &self.top, &sibling)
            .ok_or(ProofError::WrongSize { at: self.top.index })?;
        self.visited.push(self.top);
        self.visited.push(sibling);
        self.top = parent;
        Ok(())
    }

    /// Length of the feed that the proof speaks of, when the top is a peak: up to the last leaf under it
    /// or under the last node that is left (hypercore 9 `index.js`, `_verifyRootsAndWrite`).
    pub(crate) fn length(&self) -> u64 {
        let last = self.rest.last().map_or(self.top.index, |node| node.index);
        flat::length_to_complete(last.get()).max(flat::length_to_complete(self.top.index.get()))
    }

    /// Ends at the peaks: the top must be one of them, and no node may be left. Returns the peaks and the
    /// nodes below the top.
    pub(crate) fn finish(self, length: u64, peaks: Vec<Node>) -> Result<(Roots, Vec<Node>), ProofError> {
        if !peaks.contains(&self.top) {
            // The climb ended too early: the block hangs in the air.
            let missing = flat::sibling(self.top.index.get()).unwrap_or(u64::MAX);
            return Err(ProofError::MissingNode { index: NodeIndex::new(missing) });
        }
        if let Some(node) = self.rest.first() {
            return Err(ProofError::UnexpectedNode { index: node.index });
        }
        Ok((Roots::new(length, peaks)?, self.visited))
    }

    /// Ends at a node that is known. Returns the nodes below it.
    pub(crate) fn finish_below(self) -> Vec<Node> {
        self.visited
    }
}
