//! Feeds of the world: what a writer has signed, length by length.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use quorate_feed::fork::{ForkProof, find_link};
use quorate_feed::sign::{Form, Signer, key_pair};
use quorate_feed::{Flavour, MemoryTree, SignedRoots};
use quorate_quorum::head::Head;
use quorate_types::{Hash, PublicKey, Signature};

/// Blocks of a feed, its tree, and the writer's signature for each length.
#[derive(Debug, Clone)]
pub struct History {
    /// Key of the feed.
    pub key: PublicKey,
    blocks: Vec<Bytes>,
    tree: MemoryTree,
    tree_hashes: Vec<Hash>,
    signatures: Vec<Option<Signature>>,
    /// Blocks that are not shown, by index.
    withheld: BTreeSet<u64>,
}

/// The secret half of a feed.
#[derive(Debug)]
pub struct Writer {
    signer: Signer,
}

impl Writer {
    /// Makes the key pair of a seed, and an empty feed.
    pub fn new(seed: &[u8; 32]) -> (Self, History) {
        let (key, secret) = key_pair(seed);
        let signer = Signer::new(&key, &secret).expect("a fresh key pair fits");
        (Self { signer }, History::empty(key))
    }

    /// Appends a block and signs the new length in one of the forms that Dat feeds know; with `None` the length is not
    /// signed, as inside of a batch.
    pub fn append(&self, history: &mut History, block: Bytes, form: Option<Form>) {
        history.tree.push(&block).expect("a feed of the world is short");
        history.blocks.push(block);
        let tree_hash = history.tree.roots().tree_hash(Flavour::Dat);
        history.tree_hashes.push(tree_hash);
        history.signatures.push(form.map(|form| self.signer.sign(form, &tree_hash, history.length())));
    }
}

impl History {
    /// Makes a feed without blocks.
    pub fn empty(key: PublicKey) -> Self {
        let (blocks, tree_hashes, signatures) = (Vec::new(), Vec::new(), Vec::new());
        let tree = MemoryTree::new(Flavour::Dat);
        Self { key, blocks, tree, tree_hashes, signatures, withheld: BTreeSet::new() }
    }

    /// Makes a copy that lacks a block; the roots that cover it stay, and the writer's signatures.
    pub fn without_block(&self, index: u64) -> Self {
        let mut copy = self.clone();
        copy.withheld.insert(index);
        copy
    }

    /// Returns the number of blocks.
    pub fn length(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Returns a block, `None` for one that is withheld.
    pub fn block(&self, index: u64) -> Option<Bytes> {
        let block = self.blocks.get(usize::try_from(index).ok()?);
        block.filter(|_| !self.withheld.contains(&index)).cloned()
    }

    /// Tells whether every block below a length is there.
    pub fn is_whole(&self, length: u64) -> bool {
        self.withheld.range(..length).next().is_none()
    }

    /// Returns the tree.
    pub fn tree(&self) -> &MemoryTree {
        &self.tree
    }

    /// Returns the head at a length, `None` beyond the present one and for 0.
    pub fn head(&self, length: u64) -> Option<Head> {
        Head::new(length, *self.tree_hashes.get(usize::try_from(length.checked_sub(1)?).ok()?)?)
    }

    /// Tells whether it contains a head.
    pub fn contains(&self, head: &Head) -> bool {
        self.head(head.length()) == Some(*head)
    }

    /// Tells whether one of the two contains the other.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let shorter = self.length().min(other.length());
        shorter == 0 || self.head(shorter) == other.head(shorter)
    }

    /// Tells whether it shows all that another history shows.
    pub fn covers(&self, other: &Self) -> bool {
        let is_shown = |index: &u64| *index < other.length() && !other.withheld.contains(index);
        self.agrees_with(other) && self.length() >= other.length() && !self.withheld.iter().any(is_shown)
    }

    /// Puts together what two histories show, of which one contains the other.
    pub fn join(one: &Shared, other: Shared) -> Shared {
        if other.covers(one) {
            return other;
        }
        let (mut longer, shorter) = if one.length() > other.length() {
            (Self::clone(one), &other)
        } else {
            (Self::clone(&other), one)
        };
        longer.withheld.retain(|index| *index >= shorter.length() || shorter.withheld.contains(index));
        Arc::new(longer)
    }

    /// Returns the length up to which both are the same.
    pub fn shared_with(&self, other: &Self) -> u64 {
        let shorter = self.length().min(other.length());
        (1..=shorter).take_while(|length| self.head(*length) == other.head(*length)).count() as u64
    }

    /// Tells whether the writer has signed a length.
    pub fn is_signed(&self, length: u64) -> bool {
        self.signed(length).is_some()
    }

    /// Returns the writer's signature of a length.
    pub fn signature(&self, length: u64) -> Option<Signature> {
        *self.signatures.get(usize::try_from(length.checked_sub(1)?).ok()?)?
    }

    /// Proves that the writer has signed both, which disagree.
    pub fn fork_proof(&self, other: &Self) -> Option<ForkProof> {
        let shared = self.shared_with(other);
        let first_signed =
            |history: &Self| (shared + 1..=history.length()).find(|length| history.is_signed(*length));
        let (one, two) = (first_signed(self)?, first_signed(other)?);
        let (a, b, at, bt) = if one <= two { (self, other, one, two) } else { (other, self, two, one) };
        let (a, longer) = (a.signed(at)?, b.signed(bt)?);
        let link = match at == bt {
            true => Vec::new(),
            false => find_link(&a.roots, &longer.roots, |index| b.tree.node(index.get()))?,
        };
        Some(ForkProof { key: self.key, flavour: Flavour::Dat, a, b: longer, link })
    }

    fn signed(&self, length: u64) -> Option<SignedRoots> {
        Some(SignedRoots { roots: self.tree.roots_at(length)?, signature: self.signature(length)? })
    }
}

/// A history that many nodes hold.
pub type Shared = Arc<History>;
