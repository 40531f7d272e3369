//! Going over to another history that the writer signed.

use quorate_types::BlockRange;
use random_access_storage::RandomAccess;

use super::{BranchError, Feed};
use crate::SignedRoots;
use crate::fork::VerifiedForkProof;

impl<S: RandomAccess + Send> Feed<S> {
    /// Goes over to the other one of two histories of a fork, of which this feed holds one. `shared` is a number of first
    /// blocks that are known to be the same in both, 0 where nothing is known. Returns the blocks that are dropped.
    ///
    /// The blocks that both share stay; the others are dropped, and those of the other history can be put: proofs are
    /// verified against its signed peaks, and until all its blocks up to there are here, none that ends in other peaks
    /// without showing that it extends them. All of it is durable then. After a crash in between the feed is the one
    /// before, or the one with the other peaks, or what of it can be verified from the disk alone, which may be nothing.
    ///
    /// # Errors
    ///
    /// [`BranchError`]: for writers, and for a proof about other histories than the one that is here; then nothing is
    /// changed. When the storage fails on the way, the feed has to be opened again.
    pub async fn take_branch(
        &mut self,
        fork: &VerifiedForkProof,
        shared: u64,
    ) -> Result<BlockRange, BranchError> {
        self.check_poison()?;
        if self.signer.is_some() {
            return Err(BranchError::Writer);
        }
        let other = self.other_history(fork).await?;
        let shared = shared.max(fork.shared()).min(self.length()).min(other.roots.length().saturating_sub(1));
        self.commit().await?;
        let dropped = self.replace_history(other, shared).await;
        if dropped.is_err() {
            // What is in memory is not what is on the disk any more.
            self.poisoned = true;
        }
        dropped
    }

    async fn replace_history(&mut self, other: SignedRoots, shared: u64) -> Result<BlockRange, BranchError> {
        // Where the copy has holes, so much of it may not be known.
        let roots = self.roots_at(shared).await?.unwrap_or_default();
        let dropped = BlockRange::new(roots.length(), self.length());
        let mut kept = self.bitfield.clone();
        kept.truncate(roots.length());
        // Nothing claims the history before any more; opening would find it by its signature until that is gone.
        self.bitfield.truncate(0);
        self.flush_bitfield().await?;
        self.set_roots(roots, None);
        self.cursor = (0, 0);
        self.cut().await?;

        kept.mark_all_dirty();
        self.bitfield = kept;
        for peak in other.roots.nodes() {
            if !self.bitfield.tree_has(peak.index.get()) {
                self.nodes.put(*peak);
            }
        }
        for peak in other.roots.nodes() {
            self.bitfield.tree_set(peak.index.get());
        }
        self.branch = Some(BlockRange::new(dropped.start, other.roots.length()));
        self.signatures.put(other.roots.length(), other.signature);
        self.set_roots(other.roots, Some(other.signature));
        self.flush().await?;
        Ok(dropped)
    }

    /// Finds the history of a fork that is not the one here.
    async fn other_history(&mut self, fork: &VerifiedForkProof) -> Result<SignedRoots, BranchError> {
        if fork.key() != self.key() {
            return Err(BranchError::OtherFeed { expected: *self.key(), found: *fork.key() });
        }
        let proof = fork.proof();
        for (ours, theirs) in [(&proof.a, &proof.b), (&proof.b, &proof.a)] {
            if self.roots_at(ours.roots.length()).await?.is_some_and(|roots| roots == ours.roots) {
                return Ok(theirs.clone());
            }
        }
        let (one, other) = fork.lengths();
        Err(BranchError::NotHere { one, other })
    }
}
