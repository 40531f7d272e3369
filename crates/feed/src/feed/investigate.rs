//! Telling a fork from corruption, when what a peer sends does not fit.

use std::collections::BTreeMap;

use quorate_proto::dat::Data;
use quorate_types::{BlockIndex, Node};
use random_access_storage::RandomAccess;

use super::{Feed, ReadError};
use crate::fork::{ForkProof, VerifiedForkProof};
use crate::proof::{ProofError, verify_standalone};
use crate::{Flavour, SignedRoots, flat};

/// What an answer to a request with an empty digest tells of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Investigation {
    /// The writer signed what the peer has, and it is the history that is here, or extends it.
    Consistent,
    /// The writer signed another history: here is the proof.
    Fork(Box<VerifiedForkProof>),
    /// What the peer has was not signed by the writer.
    Corrupt(ProofError),
    /// The writer signed what the peer has; where it meets the history that is here is not shown. Proofs of
    /// any of these blocks, asked for with an empty digest, show it.
    Ask(Vec<BlockIndex>),
    /// Nothing can be said: nodes are left out, as a stock peer does with those that were claimed to be
    /// here in an earlier digest, or are not here. A new connection starts without claims.
    Incomplete,
}

/// How signed peaks from elsewhere stand to the history that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// The same length and the same history.
    Same,
    /// An earlier length of the history that is here.
    Older,
    /// A later length; the peaks show that it extends what is here. A writer that did not sign it must not
    /// append: its key is in use elsewhere, or its storage was set back.
    Newer,
    /// Signed by the writer, and whether it fits is not shown. For a writer that has appended nothing of
    /// that length, as bad as [`Newer`](Self::Newer).
    Unclear,
    /// The writer signed another history: here is the proof.
    Fork(Box<VerifiedForkProof>),
    /// Not signed by the writer.
    Unsigned,
}

/// How one signed history stands to another.
enum Comparison {
    Same,
    Older,
    Newer,
    Unclear,
    Fork(Box<VerifiedForkProof>),
}

type Shown = BTreeMap<u64, Node>;

impl<S: RandomAccess + Send> Feed<S> {
    /// Judges the answer to a request with an empty digest, after an earlier one did not verify. The feed
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn investigate(&mut self, data: &Data) -> Result<Investigation, ReadError> {
        let proof = match verify_standalone(Flavour::Dat, &self.verifier, data) {
            Ok(proof) => proof,
            Err(error) if self.may_be_left_out(data, &error) => return Ok(Investigation::Incomplete),
            Err(error) => return Ok(Investigation::Corrupt(error)),
        };
        let Some(head) = self.signed_head() else { return Ok(Investigation::Consistent) };
        let shown: Shown = proof.nodes().iter().map(|node| (node.index.get(), *node)).collect();
        let newest = self.compare(&head, proof.signed(), &shown).await?;
        if let Comparison::Fork(proof) = newest {
            return Ok(Investigation::Fork(proof));
        }
        // Nodes here may stem from roots older than the newest, which were not shown to be linked.
        let mut conflict = None;
        for node in proof.nodes() {
            let known = self.node(node.index.get()).await?;
            if known.is_some_and(|known| known.hash != node.hash) {
                conflict = Some(node.index.get());
                break;
            }
        }
        if let Some(node) = conflict {
            let older = self.signature_for(flat::right_span(node) / 2).await?;
            if let Some((length, _)) = older
                && let Some(older) = self.signed_roots_at(length).await?
                && let Comparison::Fork(proof) = self.compare(&older, proof.signed(), &shown).await?
            {
                return Ok(Investigation::Fork(proof));
            }
            return Ok(Investigation::Incomplete);
        }
        Ok(match newest {
            Comparison::Same | Comparison::Older | Comparison::Newer => Investigation::Consistent,
            Comparison::Fork(proof) => Investigation::Fork(proof),
            Comparison::Unclear if proof.signed().roots.length() > self.length() => {
                // The last block here and the first behind it: all peaks here that a longer history joins
                // are on the way up from either.
                let blocks = [self.length().saturating_sub(1), self.length()];
                Investigation::Ask(blocks.into_iter().map(BlockIndex::new).collect())
            }
            Comparison::Unclear => Investigation::Incomplete,
        })
    }

    /// Tells whether the proof may only fail because the peer left out what an earlier digest claimed. Claimed is what is
    /// here, so nothing beyond the length here is ever left out.
    fn may_be_left_out(&self, data: &Data, error: &ProofError) -> bool {
        match *error {
            // The leaf of a proof without a block is always sent.
            ProofError::MissingNode { index } => index.get() != 2 * data.index,
            // The way up ended at a node that was claimed, and that a shorter length has as its peak.
            ProofError::NoSignature { length } => length <= self.length(),
            // The last peaks were left out: the length was read too short.
            ProofError::BadSignature { length } => length < self.length(),
            _ => false,
        }
    }

    /// Compares signed peaks, from whatever source, with the history that is here: one signature check and
    /// some hashes. A writer does so before it appends to a feed that others have.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn meet(&mut self, remote: &SignedRoots) -> Result<Meeting, ReadError> {
        if self.verify_signed(remote).is_none() {
            return Ok(Meeting::Unsigned);
        }
        let Some(head) = self.signed_head() else { return Ok(Meeting::Newer) };
        let shown: Shown = remote.roots.nodes().iter().map(|node| (node.index.get(), *node)).collect();
        Ok(match self.compare(&head, remote, &shown).await? {
            Comparison::Same => Meeting::Same,
            Comparison::Older => Meeting::Older,
            Comparison::Newer => Meeting::Newer,
            Comparison::Unclear => Meeting::Unclear,
            Comparison::Fork(proof) => Meeting::Fork(proof),
        })
    }

    /// Tells how `theirs`, of which `shown` is known, stands to `ours`.
    async fn compare(
        &mut self,
        ours: &SignedRoots,
        theirs: &SignedRoots,
        shown: &Shown,
    ) -> Result<Comparison, ReadError> {
        let (our_length, their_length) = (ours.roots.length(), theirs.roots.length());
        if our_length == their_length {
            if ours.roots.tree_hash(Flavour::Dat) == theirs.roots.tree_hash(Flavour::Dat) {
                return Ok(Comparison::Same);
            }
            return Ok(self.fork(ours, theirs, Vec::new()));
        }
        let ours_is_longer = our_length > their_length;
        let (short, long) = if ours_is_longer { (theirs, ours) } else { (ours, theirs) };
        let mut all_known = true;
        for peak in short.roots.nodes() {
            let place = peak.index.get();
            let node = if ours_is_longer { self.node(place).await? } else { shown.get(&place).copied() };
            let Some(node) = node else {
                all_known = false;
                continue;
            };
            if node.hash == peak.hash {
                continue;
            }
            let mut link = vec![node];
            let mut place = place;
            while long.roots.peak(place.into()).is_none() {
                let (Some(sibling), Some(parent)) = (flat::sibling(place), flat::parent(place)) else {
                    break;
                };
                let sibling =
                    if ours_is_longer { self.node(sibling).await? } else { shown.get(&sibling).copied() };
                let Some(sibling) = sibling else { break };
                link.push(sibling);
                place = parent;
            }
            return Ok(self.fork(short, long, link));
        }
        Ok(match (all_known, ours_is_longer) {
            (false, _) => Comparison::Unclear,
            (true, true) => Comparison::Older,
            (true, false) => Comparison::Newer,
        })
    }

    /// A contradiction is a fork only with a proof that others can check.
    fn fork(&self, short: &SignedRoots, long: &SignedRoots, link: Vec<Node>) -> Comparison {
        let proof =
            ForkProof { key: *self.key(), flavour: Flavour::Dat, a: short.clone(), b: long.clone(), link };
        proof.verify().map_or(Comparison::Unclear, |proof| Comparison::Fork(Box::new(proof)))
    }
}
