//! Proof that a writer signed two histories of which neither extends the other.
//!
//! Two signed lists of peaks, and where their lengths differ the nodes that show the contradiction: the
//! longer history's version of a peak of the shorter one, with the way up to a peak of the longer one.
//!
//! Only hashes are compared, never sizes or signatures: a hash binds its own size, while the sizes of two
//! siblings are bound by their sum alone, so that anyone could shift bytes between them; and one writer may
//! sign the same peaks twice. The peaks are part of the proof because the 32-byte form of a signature does
//! not name the length.

mod codec;

use quorate_types::{Node, NodeIndex, PublicKey};

use crate::sign::{KeyError, Verifier};
use crate::{Flavour, Roots, SignedRoots, flat, hash};

pub use codec::{ForkCodecError, MAX_PROOF_BYTES};

/// Two signed histories of one writer, said to contradict each other; [`verify`](Self::verify) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    /// Key of the feed.
    pub key: PublicKey,
    /// Kind of the feed.
    pub flavour: Flavour,
    /// The shorter history, or either of two of one length.
    pub a: SignedRoots,
    /// The longer history.
    pub b: SignedRoots,
    /// Empty for histories of one length. Otherwise B's node in the place of one of A's peaks, then the
    /// siblings up to one of B's peaks.
    pub link: Vec<Node>,
}

/// A fork proof that holds. Only [`ForkProof::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedForkProof {
    proof: ForkProof,
}

/// Why a fork proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkProofError {
    /// Nobody's signature verifies under the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The proof takes more bytes than evidence may.
    #[error("expected a fork proof of at most {MAX_PROOF_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes that it takes.
        found: usize,
    },
    /// The shorter history does not come first, or is empty.
    #[error("expected two lengths in order and above 0, found {a} and {b}")]
    Lengths {
        /// Length of the first history, blocks.
        a: u64,
        /// Length of the second history, blocks.
        b: u64,
    },
    /// A signature does not verify.
    #[error(
        "expected the writer's signature over the peaks of length {length}, found one that does not verify"
    )]
    BadSignature {
        /// Length, blocks.
        length: u64,
    },
    /// Both histories are the same.
    #[error("expected two histories of length {length}, found the same one twice")]
    SameHistory {
        /// Length, blocks.
        length: u64,
    },
    /// Histories of one length need no link; others need one.
    #[error("expected {expected} link, found {found} nodes")]
    LinkLength {
        /// What the lengths ask for.
        expected: &'static str,
        /// Nodes there are.
        found: usize,
    },
    /// The link begins at no peak of the shorter history.
    #[error("expected the link to begin at a peak of the shorter history, found node {found}")]
    LinkStart {
        /// First node of the link.
        found: NodeIndex,
    },
    /// The link shows that the histories agree where it begins.
    #[error("expected another hash at node {at}, found the same one in both histories")]
    LinkAgrees {
        /// First node of the link.
        at: NodeIndex,
    },
    /// A node of the link is not the sibling that comes next.
    #[error("expected the sibling of node {of} in the link, found node {found}")]
    LinkPath {
        /// Node whose sibling comes next.
        of: NodeIndex,
        /// Node that stands there.
        found: NodeIndex,
    },
    /// The link does not end in a peak of the longer history.
    #[error(
        "expected the link to end in a peak of the longer history, found another hash or place at node {at}"
    )]
    LinkEnd {
        /// Where it ends.
        at: NodeIndex,
    },
}

impl ForkProof {
    /// Checks both signatures and the contradiction; nothing but the proof itself is needed.
    ///
    /// # Errors
    ///
    /// [`ForkProofError`] says why the proof proves nothing.
    pub fn verify(self) -> Result<VerifiedForkProof, ForkProofError> {
        let found = self.encoded_len();
        if found > MAX_PROOF_BYTES {
            return Err(ForkProofError::TooLarge { found });
        }
        check_contradiction(self.flavour, &self.a.roots, &self.b.roots, &self.link)?;
        let verifier = Verifier::new(self.key)?;
        for signed in [&self.a, &self.b] {
            if signed.verify(self.flavour, &verifier).is_none() {
                return Err(ForkProofError::BadSignature { length: signed.roots.length() });
            }
        }
        Ok(VerifiedForkProof { proof: self })
    }
}

/// Checks that of two histories neither extends the other. `link` is as in [`ForkProof::link`].
///
/// # Errors
///
/// [`ForkProofError`] says why nothing contradicts.
pub fn check_contradiction(
    flavour: Flavour,
    a: &Roots,
    b: &Roots,
    link: &[Node],
) -> Result<(), ForkProofError> {
    if a.length() == 0 || a.length() > b.length() {
        return Err(ForkProofError::Lengths { a: a.length(), b: b.length() });
    }
    let found = link.len();
    if a.length() == b.length() {
        if found != 0 {
            return Err(ForkProofError::LinkLength { expected: "no", found });
        }
        if a.tree_hash(flavour) == b.tree_hash(flavour) {
            return Err(ForkProofError::SameHistory { length: a.length() });
        }
        return Ok(());
    }
    let Some((first, siblings)) = link.split_first() else {
        return Err(ForkProofError::LinkLength { expected: "a", found });
    };
    let peak = a.peak(first.index).ok_or(ForkProofError::LinkStart { found: first.index })?;
    if peak.hash == first.hash {
        return Err(ForkProofError::LinkAgrees { at: first.index });
    }
    let mut top = *first;
    for sibling in siblings {
        top = hash::parent_node(flavour, &top, sibling)
            .ok_or(ForkProofError::LinkPath { of: top.index, found: sibling.index })?;
    }
    if b.peak(top.index).is_none_or(|peak| *peak != top) {
        return Err(ForkProofError::LinkEnd { at: top.index });
    }
    Ok(())
}

/// Finds the nodes that show the contradiction between a history and one that is at least as long, of which `node`
/// finds the nodes. Empty for histories of one length; `None` when nothing contradicts, or a node is not there.
pub fn find_link(a: &Roots, b: &Roots, node: impl Fn(NodeIndex) -> Option<Node>) -> Option<Vec<Node>> {
    if a.length() == b.length() {
        return Some(Vec::new());
    }
    let differs = |peak: &&Node| node(peak.index).is_some_and(|other| other.hash != peak.hash);
    let mut place = a.nodes().iter().find(differs)?.index;
    let mut link = vec![node(place)?];
    while b.peak(place).is_none() {
        link.push(node(flat::sibling(place.get())?.into())?);
        place = flat::parent(place.get())?.into();
    }
    Some(link)
}

impl VerifiedForkProof {
    /// Returns the proof, to be kept or passed on.
    pub const fn proof(&self) -> &ForkProof {
        &self.proof
    }

    /// Returns the key of the writer.
    pub const fn key(&self) -> &PublicKey {
        &self.proof.key
    }

    /// Returns the lengths of both histories, the shorter one first, blocks.
    pub const fn lengths(&self) -> (u64, u64) {
        (self.proof.a.roots.length(), self.proof.b.roots.length())
    }

    /// Returns a number of first blocks that the proof shows to be the same in both histories. There may be more of them.
    pub fn shared(&self) -> u64 {
        let ForkProof { a, b, link, .. } = &self.proof;
        let in_b = |index| {
            let linked = link.iter().find(|node| node.index == index);
            b.roots.peak(index).or(linked)
        };
        let is_shared = |peak: &&Node| in_b(peak.index).is_some_and(|other| other.hash == peak.hash);
        let shared = a.roots.nodes().iter().take_while(is_shared).last();
        shared.map_or(0, |peak| (flat::right_span(peak.index.get()) / 2).saturating_add(1))
    }

    /// Returns a length at which both histories differ: that of the shorter one, or less where the link
    /// begins below its end. Blocks.
    pub fn differ_at(&self) -> u64 {
        let first = self.proof.link.first();
        first.map_or(self.proof.a.roots.length(), |node| flat::length_to_complete(node.index.get()))
    }
}
