//! Verification of blocks from peers, against what is known here (hypercore 9 `index.js`,
//! `_verifyAndWrite`). Nothing is written.

use bytes::Bytes;
use quorate_types::{BlockIndex, Node, NodeIndex, PublicKey};
use random_access_storage::RandomAccess;

use super::{Feed, VerifyError};
use crate::proof::{Climb, ProofError};
use crate::sign::Form;
use crate::{Flavour, HashedData, SignedRoots, flat};

/// A block, or the hash of one, whose proof holds against one feed. Only [`Feed::verify`] makes it.
#[derive(Debug, Clone)]
pub struct VerifiedBlock {
    pub(super) feed: PublicKey,
    pub(super) index: BlockIndex,
    pub(super) value: Option<Bytes>,
    /// Nodes that were verified on the way, known ones among them.
    pub(super) nodes: Vec<Node>,
    /// The leaf is known with another size, from a proof of its hash alone: this is the true one.
    pub(super) resized: bool,
    pub(super) signed: Option<SignedRoots>,
    pub(super) linked: bool,
    /// Roots of the feed at the time.
    pub(super) generation: u64,
}

impl VerifiedBlock {
    /// Returns the position of the block.
    pub const fn index(&self) -> BlockIndex {
        self.index
    }

    /// Returns the bytes of the block, `None` when only its hash was proven.
    pub const fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }

    /// Returns the signed peaks in which the proof ended, `None` when it ended at a node known before.
    pub const fn signed(&self) -> Option<&SignedRoots> {
        self.signed.as_ref()
    }

    /// Tells whether the proof shows that its peaks extend those known here.
    ///
    /// A proof that is not linked is signed by the writer, but nodes between it and what is known here are
    /// missing; a fork shows when they come.
    pub const fn is_linked(&self) -> bool {
        self.linked
    }
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Verifies a block, or the hash of one, that a peer sent.
    ///
    /// The proof ends at a node that is known, or in peaks that the writer signed. A node that is known is
    /// never contradicted: where the proof gives another hash, it fails. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] names the first thing that is missing or wrong.
    pub async fn verify(&mut self, data: impl Into<HashedData>) -> Result<VerifiedBlock, VerifyError> {
        self.verify_hashed(data.into()).await
    }

    async fn verify_hashed(&mut self, hashed: HashedData) -> Result<VerifiedBlock, VerifyError> {
        let leaf = hashed.leaf();
        let data = hashed.into_data();
        let mut climb = Climb::start_hashed(Flavour::Dat, &data, leaf)?;
        let mut block = VerifiedBlock {
            feed: *self.key(),
            index: BlockIndex::new(data.index),
            value: data.value.clone(),
            nodes: Vec::new(),
            resized: false,
            signed: None,
            linked: true,
            generation: self.generation,
        };
        // Nodes known here that the proof agrees with.
        let mut agreed = Vec::new();
        loop {
            let top = climb.top;
            if let Some(known) = self.node(top.index.get()).await? {
                if known.hash != top.hash {
                    return Err(ProofError::WrongHash { at: top.index }.into());
                }
                block.resized =
                    block.value.is_some() && flat::depth(top.index.get()) == 0 && known.size != top.size;
                block.nodes = climb.finish_below();
                if block.resized {
                    block.nodes.push(top);
                }
                return Ok(block);
            }
            let Some(sibling) = flat::sibling(top.index.get()) else { break };
            let Some(node) = self.next_node(&mut climb, sibling, &mut agreed).await? else { break };
            climb.join(node)?;
        }
        let length = climb.length();
        let mut peaks = Vec::new();
        for peak in flat::full_roots(length) {
            let index = NodeIndex::new(peak);
            let node = if climb.top.index == index {
                climb.top
            } else {
                let node = self.next_node(&mut climb, peak, &mut agreed).await?;
                node.ok_or(ProofError::MissingNode { index })?
            };
            peaks.push(node);
        }
        let (roots, mut nodes) = climb.finish(length, peaks)?;
        nodes.extend_from_slice(roots.nodes());
        let signature = data.signature.ok_or(ProofError::NoSignature { length })?;
        let signed = SignedRoots { roots, signature };
        self.verify_signed(&signed).ok_or(ProofError::BadSignature { length })?;
        block.linked = length >= self.length()
            && self.roots.nodes().iter().all(|peak| {
                agreed.contains(&peak.index)
                    || signed.roots.peak(peak.index).is_some_and(|other| other.hash == peak.hash)
            });
        if let Some(branch) = self.branch.filter(|_| !block.linked) {
            // The history that was left is signed as well, and what contradicts it is not here yet.
            return Err(
                ProofError::MissingNode { index: NodeIndex::new(branch.start.saturating_mul(2)) }.into()
            );
        }
        block.nodes = nodes;
        block.signed = Some(signed);
        Ok(block)
    }

    /// Takes a node from the proof, or else from the tree; both must agree where both have it.
    async fn next_node(
        &mut self,
        climb: &mut Climb<'_>,
        index: u64,
        agreed: &mut Vec<NodeIndex>,
    ) -> Result<Option<Node>, VerifyError> {
        let known = self.node(index).await?;
        let sent = climb.take(index);
        if let Some(known) = known {
            if sent.is_some_and(|sent| sent.hash != known.hash) {
                return Err(ProofError::WrongHash { at: known.index }.into());
            }
            agreed.push(known.index);
        }
        // A size that was sent is checked with this proof; one that is known may stem from a proof of a
        // hash alone.
        Ok(sent.or(known))
    }

    /// Verifies a signature over peaks, trying the form first in which this feed was signed last.
    pub(super) fn verify_signed(&mut self, signed: &SignedRoots) -> Option<Form> {
        let tree = signed.roots.tree_hash(Flavour::Dat);
        let length = signed.roots.length();
        let other = if self.form == Form::Tree { Form::TreeLength } else { Form::Tree };
        let form = [self.form, other]
            .into_iter()
            .find(|form| self.verifier.verify_form(*form, &tree, length, &signed.signature))?;
        self.form = form;
        Some(form)
    }
}
