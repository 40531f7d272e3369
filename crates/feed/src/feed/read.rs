//! Reading blocks, offsets, peaks and signatures.

use bytes::Bytes;
use quorate_types::{BlockIndex, BlockRange, Signature};
use random_access_storage::RandomAccess;

use super::{Feed, ReadError};
use crate::storage::{Part, StorageError, at};
use crate::{Roots, SignedRoots, flat};

/// Where a byte of the feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// In this block, so many bytes from its start.
    Block {
        /// The block.
        index: BlockIndex,
        /// Bytes of the block before the one that was looked for.
        offset: u64,
    },
    /// Somewhere in these blocks: the tree is not known well enough.
    Within(BlockRange),
    /// At or behind the end.
    End,
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Reads a block, `None` when it is not here.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails, or lacks what the bitfield claims.
    pub async fn get(&mut self, index: u64) -> Result<Option<Bytes>, ReadError> {
        if !self.has(index) {
            return Ok(None);
        }
        let Some((offset, size)) = self.byte_range(index).await? else {
            return Err(StorageError::Node { index: index.saturating_mul(2) }.into());
        };
        if size == 0 {
            return Ok(Some(Bytes::new()));
        }
        let bytes = self.data.read(offset, size).await.map_err(at(Part::Data, "read", offset))?;
        Ok(Some(bytes.into()))
    }

    /// Returns where a block starts, and its size, in bytes; `None` when the tree does not tell.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn byte_range(&mut self, index: u64) -> Result<Option<(u64, u64)>, ReadError> {
        let Some(leaf) = index.checked_mul(2) else { return Ok(None) };
        let Some(node) = self.node(leaf).await? else { return Ok(None) };
        let Some(offset) = self.byte_offset(index).await? else { return Ok(None) };
        self.cursor = (index.saturating_add(1), offset.saturating_add(node.size));
        Ok(Some((offset, node.size)))
    }

    /// Sums the sizes of all blocks before one; `None` when the tree does not tell.
    pub(super) async fn byte_offset(&mut self, index: u64) -> Result<Option<u64>, StorageError> {
        if self.cursor.0 == index {
            return Ok(Some(self.cursor.1));
        }
        if index == self.length() {
            return Ok(Some(self.byte_length()));
        }
        let mut offset = 0_u64;
        for peak in flat::full_roots(index) {
            let Some(node) = self.node(peak).await? else { return Ok(None) };
            offset = offset.saturating_add(node.size);
        }
        Ok(Some(offset))
    }

    /// Finds the block that holds a byte of the feed (hypercore 9 `index.js`, `_seek`).
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn seek(&mut self, byte: u64) -> Result<Seek, ReadError> {
        let mut rest = byte;
        let mut peaks = self.roots.nodes().iter();
        let top = loop {
            let Some(peak) = peaks.next() else { return Ok(Seek::End) };
            if peak.size > rest {
                break peak.index.get();
            }
            rest -= peak.size;
        };
        // The byte is below `nearest`; `top` is below or at `nearest`, and everything to its left is passed.
        let (mut nearest, mut top) = (top, top);
        while let Some(mut left) = flat::left_child(top) {
            while !self.bitfield.tree_has(left) {
                let Some(below) = flat::left_child(left) else { return Ok(within(nearest)) };
                left = below;
            }
            let Some(node) = self.node(left).await? else { return Ok(within(nearest)) };
            if node.size > rest {
                (nearest, top) = (left, left);
                continue;
            }
            rest -= node.size;
            let Some(sibling) = flat::sibling(left) else { return Ok(within(nearest)) };
            if flat::parent(left) == Some(nearest) {
                nearest = sibling;
            }
            top = sibling;
        }
        if top == nearest {
            return Ok(Seek::Block { index: BlockIndex::new(top / 2), offset: rest });
        }
        Ok(within(nearest))
    }

    /// Returns the peaks at a length, `None` when they are not all known.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails, or has impossible nodes.
    pub async fn roots_at(&mut self, length: u64) -> Result<Option<Roots>, ReadError> {
        if length == self.length() {
            return Ok(Some(self.roots.clone()));
        }
        if length > self.length() {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        for peak in flat::full_roots(length) {
            let Some(node) = self.node(peak).await? else { return Ok(None) };
            nodes.push(node);
        }
        let roots = Roots::new(length, nodes);
        Ok(Some(roots.map_err(|_| StorageError::Node { index: length.saturating_mul(2) })?))
    }

    /// Returns the peaks at a length with their signature, `None` unless exactly that length was signed and
    /// all of it is known.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn signed_roots_at(&mut self, length: u64) -> Result<Option<SignedRoots>, ReadError> {
        if length > self.length() {
            return Ok(None);
        }
        let Some(signature) = self.signatures.get(length).await? else { return Ok(None) };
        Ok(self.roots_at(length).await?.map(|roots| SignedRoots { roots, signature }))
    }

    /// Returns the signature that covers a block, with the length it is over: the first at or after it
    /// (hypercore 9 `lib/storage.js`, `nextSignature`). `None` when no later length was signed.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails.
    pub async fn signature_for(&mut self, index: u64) -> Result<Option<(u64, Signature)>, ReadError> {
        let length = self.length();
        Ok(self.signatures.next(index.saturating_add(1), length).await?)
    }
}

fn within(node: u64) -> Seek {
    let (left, right) = flat::spans(node);
    Seek::Within(BlockRange::new(left / 2, right / 2 + 1))
}
