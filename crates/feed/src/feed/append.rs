//! Appending by the writer.

use bytes::Bytes;
use quorate_types::limits::MAX_BLOCK_BYTES;
use quorate_types::{BlockRange, Node};
use random_access_storage::RandomAccess;

use super::{AppendError, Feed};
use crate::hook::Candidate;
use crate::sign::Form;
use crate::storage::{Part, StorageError, at};
use crate::{Flavour, Roots, hash};

/// Blocks are joined for one write up to this size, bytes.
const WRITE_BYTES: usize = 4 * 1024 * 1024;

impl<S: RandomAccess + Send> Feed<S> {
    /// Adds blocks at the end, signed once for the whole batch at its last length, as hypercore 9 does.
    ///
    /// They are readable at once, and durable after the next [`flush`](Self::flush): until then no peer
    /// may hear of them.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; the feed is then as before.
    pub async fn append(&mut self, blocks: &[Bytes]) -> Result<BlockRange, AppendError> {
        let start = self.length();
        if !self.is_writable() {
            return Err(AppendError::NotWritable);
        }
        self.check_poison()?;
        let range = BlockRange::new(start, start.saturating_add(blocks.len() as u64));
        if range.is_empty() {
            return Ok(range);
        }
        for (position, block) in blocks.iter().enumerate() {
            if block.len() > MAX_BLOCK_BYTES {
                return Err(AppendError::BlockTooLarge { position, found: block.len() });
            }
        }
        let (roots, made) = self.grow(blocks)?;
        if let Some(hook) = &mut self.hook {
            for (index, block) in (start..).zip(blocks) {
                let candidate =
                    Candidate { index, value: Some(block), length_after: range.end, writer: true };
                hook.check(&candidate).map_err(|refusal| AppendError::Refused { index, refusal })?;
            }
        }
        self.write_at_end(blocks).await?;
        let Some(signer) = &self.signer else { return Err(AppendError::NotWritable) };
        let signature = signer.sign(Form::Tree, &roots.tree_hash(Flavour::Dat), roots.length());
        for node in made {
            self.nodes.put(node);
        }
        for index in range.start..range.end {
            self.bitfield.tree_set(2 * index);
            self.bitfield.set(index, true);
        }
        self.signatures.put(roots.length(), signature);
        self.set_roots(roots, Some(signature));
        self.write_tree_if_large().await?;
        Ok(range)
    }

    fn grow(&self, blocks: &[Bytes]) -> Result<(Roots, Vec<Node>), AppendError> {
        let hashes = hash::leaves(Flavour::Dat, blocks);
        let sizes = blocks.iter().map(|block| block.len() as u64);
        if let ([hash], [block]) = (hashes.as_slice(), blocks) {
            let mut roots = self.roots.clone();
            let mut made = Vec::with_capacity(4);
            roots.push_leaf(Flavour::Dat, *hash, block.len() as u64, |node| made.push(node))?;
            return Ok((roots, made));
        }
        Ok(self.roots.extended(Flavour::Dat, hashes.into_iter().zip(sizes))?)
    }

    async fn write_at_end(&mut self, blocks: &[Bytes]) -> Result<(), StorageError> {
        let mut offset = self.byte_length();
        let mut joined = Vec::new();
        let filled: Vec<&Bytes> = blocks.iter().filter(|block| !block.is_empty()).collect();
        let mut rest = filled.into_iter().peekable();
        while let Some(block) = rest.next() {
            self.unsynced = true;
            let alone = joined.is_empty() && rest.peek().is_none();
            if alone || block.len() >= WRITE_BYTES {
                self.write_data(&mut offset, &mut joined).await?;
                self.data.write(offset, block).await.map_err(at(Part::Data, "write", offset))?;
                offset = offset.saturating_add(block.len() as u64);
                continue;
            }
            if joined.is_empty() {
                let all = rest.clone().map(|block| block.len()).sum::<usize>().saturating_add(block.len());
                joined.reserve(all.min(WRITE_BYTES));
            }
            joined.extend_from_slice(block);
            if joined.len() >= WRITE_BYTES {
                self.write_data(&mut offset, &mut joined).await?;
            }
        }
        self.write_data(&mut offset, &mut joined).await
    }

    async fn write_data(&mut self, offset: &mut u64, bytes: &mut Vec<u8>) -> Result<(), StorageError> {
        if !bytes.is_empty() {
            self.data.write(*offset, bytes).await.map_err(at(Part::Data, "write", *offset))?;
            *offset = offset.saturating_add(bytes.len() as u64);
            bytes.clear();
        }
        Ok(())
    }

    pub(super) fn set_roots(&mut self, roots: Roots, head: Option<quorate_types::Signature>) {
        self.roots = roots;
        self.head = head;
        self.generation = self.generation.wrapping_add(1);
    }
}
