//! Answering requests of peers (hypercore 9 `lib/replicate.js`, `onrequest` and `_onbytes`).

use quorate_proto::dat::{Data, Request};
use quorate_types::BlockIndex;
use random_access_storage::RandomAccess;

use super::{Feed, ReadError, Seek};
use crate::flat;
use crate::storage::StorageError;
use crate::tree_index::{self, RemoteTree};

impl<S: RandomAccess + Send> Feed<S> {
    /// Answers a request; `None` when what is asked for is not here, or has just been answered.
    ///
    /// `remote` is what this peer has claimed so far, and learns what the request claims.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn answer(
        &mut self,
        request: &Request,
        remote: &mut RemoteTree,
    ) -> Result<Option<Data>, ReadError> {
        self.answer_within(request, remote, u64::MAX).await
    }

    /// Answers a request by the feed as it was at a length: of what was appended later nothing can be seen. The length
    /// must be one that was signed ([`signed_at_most`](Self::signed_at_most)), or `u64::MAX`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn answer_within(
        &mut self,
        request: &Request,
        remote: &mut RemoteTree,
        length: u64,
    ) -> Result<Option<Data>, ReadError> {
        let (mut index, mut digest) = (request.index, request.nodes);
        if request.bytes != 0 {
            match self.seek(request.bytes).await? {
                Seek::Block { index: found, .. } => {
                    // Several requests for one byte may be on their way at once: one answer is enough.
                    if remote.last_bytes == request.bytes {
                        return Ok(None);
                    }
                    remote.last_bytes = request.bytes;
                    (index, digest) = (found.get(), 0);
                }
                Seek::Within(_) => {}
                Seek::End => return Ok(None),
            }
        }
        if index >= length || !request.hash && !self.has(index) {
            return Ok(None);
        }
        self.prove(index, digest, request.hash, remote, length).await
    }

    /// Returns the greatest length of at most `length` that was signed and whose peaks are known, so that the feed can
    /// be shown as it was then; 0 when there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn signed_at_most(&mut self, length: u64) -> Result<u64, ReadError> {
        if length >= self.length() {
            return Ok(self.length());
        }
        let mut length = length;
        while let Some((signed, _)) = self.signatures.last(length).await? {
            if flat::full_roots(signed).all(|root| self.bitfield.tree_has(root)) {
                return Ok(signed);
            }
            length = signed.saturating_sub(1);
        }
        Ok(0)
    }

    /// Proves a block so that the proof stands alone: all siblings, all other peaks, and the signature.
    /// `None` when the block is not here.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn proof(&mut self, index: u64) -> Result<Option<Data>, ReadError> {
        if !self.has(index) {
            return Ok(None);
        }
        self.prove(index, 0, false, &mut RemoteTree::new(), u64::MAX).await
    }

    /// Proves the hash of a block so that the proof stands alone; the block itself need not be here.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn hash_proof(&mut self, index: u64) -> Result<Option<Data>, ReadError> {
        self.prove(index, 0, true, &mut RemoteTree::new(), u64::MAX).await
    }

    /// Says which nodes of a proof for a block are known here, as [`Request::nodes`] carries it.
    pub fn digest(&self, index: u64) -> u64 {
        match BlockIndex::new(index).leaf() {
            Some(leaf) => tree_index::digest(&self.bitfield, leaf.get(), self.length()),
            None => 0,
        }
    }

    async fn prove(
        &mut self,
        index: u64,
        digest: u64,
        hash: bool,
        remote: &mut RemoteTree,
        within: u64,
    ) -> Result<Option<Data>, ReadError> {
        let Some(leaf) = index.checked_mul(2) else { return Ok(None) };
        let Some(plan) = tree_index::proof_within(&self.bitfield, leaf, digest, hash, remote, within) else {
            return Ok(None);
        };
        let signature = match plan.signed_length {
            0 => None,
            length if length == self.length() => self.head,
            length => self.signatures.get(length).await?,
        };
        if plan.signed_length != 0 && signature.is_none() {
            return Ok(None);
        }
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        for node in plan.nodes {
            nodes.push(self.node(node).await?.ok_or(StorageError::Node { index: node })?);
        }
        let value = if hash { None } else { self.get(index).await? };
        Ok(Some(Data { index, value, nodes, signature }))
    }
}
