//! Storing verified blocks.

use quorate_types::{BlockIndex, Node};
use random_access_storage::RandomAccess;

use super::{Feed, PutError, VerifiedBlock};
use crate::flat;
use crate::hook::Candidate;
use crate::storage::{Part, StorageError, at};

/// What storing a block has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The block.
    pub index: BlockIndex,
    /// The block was not here before, and is now.
    pub new: bool,
    /// The feed is longer than before.
    pub upgraded: bool,
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Stores a verified block, or the proof of its hash. It is durable after the next
    /// [`flush`](Self::flush).
    ///
    /// The pre-accept hook runs first, unless the block is here already. Nodes that are known are never
    /// replaced by others.
    ///
    /// # Errors
    ///
    /// [`PutError`]; nothing is written unless it is [`PutError::Storage`].
    pub async fn put(&mut self, block: VerifiedBlock) -> Result<Stored, PutError> {
        self.check_poison()?;
        let index = block.index.get();
        if block.feed != *self.key() {
            return Err(PutError::OtherFeed { expected: *self.key(), found: block.feed });
        }
        if block.signed.is_some() && block.generation != self.generation {
            return Err(PutError::Stale { index });
        }
        let is_new = block.value.is_some() && !self.has(index);
        let longer = block.signed.as_ref().filter(|signed| signed.roots.length() > self.length());
        let upgraded = longer.is_some();
        if is_new || block.value.is_none() {
            let length_after = longer.map_or(self.length(), |signed| signed.roots.length());
            let value = block.value.as_ref();
            if let Some(hook) = &mut self.hook {
                let candidate = Candidate { index, value, length_after, writer: false };
                hook.check(&candidate).map_err(|refusal| PutError::Refused { index, refusal })?;
            }
        }
        if block.resized {
            self.resize(&block).await?;
        }
        for node in &block.nodes {
            if !self.bitfield.tree_has(node.index.get()) {
                self.nodes.put(*node);
            }
        }
        for node in &block.nodes {
            self.bitfield.tree_set(node.index.get());
        }
        if let Some(signed) = block.signed {
            let length = signed.roots.length();
            self.generation = self.generation.wrapping_add(1);
            if self.signatures.get(length).await?.is_none() {
                self.signatures.put(length, signed.signature);
            }
            if upgraded {
                self.set_roots(signed.roots, Some(signed.signature));
            }
        }
        if let Some(value) = block.value.filter(|_| is_new) {
            let Some(offset) = self.byte_offset(index).await? else {
                return Err(StorageError::Node { index: index.saturating_mul(2) }.into());
            };
            if !value.is_empty() {
                self.unsynced = true;
                self.data.write(offset, &value).await.map_err(at(Part::Data, "write", offset))?;
            }
            self.bitfield.set(index, true);
            self.unclaimed = Some(self.unclaimed.map_or(index, |lowest| lowest.min(index)));
            self.cursor = (index.saturating_add(1), offset.saturating_add(value.len() as u64));
        }
        if self.branch.is_some_and(|branch| self.bitfield.first_missing(branch).is_none()) {
            self.branch = None;
        }
        self.write_tree_if_large().await?;
        Ok(Stored { index: block.index, new: is_new, upgraded })
    }

    /// Corrects the sizes of a leaf and its sibling: a proof of a hash alone binds only their sum, and
    /// now the block itself is here.
    async fn resize(&mut self, block: &VerifiedBlock) -> Result<(), PutError> {
        let Some(leaf) =
            block.nodes.iter().find(|node| node.index.get() == block.index.get().saturating_mul(2))
        else {
            return Ok(());
        };
        let at = leaf.index;
        let wrong = || PutError::WrongSize { at };
        let sibling = flat::sibling(at.get()).ok_or_else(wrong)?;
        let parent = flat::parent(at.get()).ok_or_else(wrong)?;
        let sibling = self.node(sibling).await?.ok_or_else(wrong)?;
        let parent = self.node(parent).await?.ok_or_else(wrong)?;
        let size = parent.size.checked_sub(leaf.size).ok_or_else(wrong)?;
        self.nodes.put(*leaf);
        self.nodes.put(Node { size, ..sibling });
        self.cursor = (0, 0);
        Ok(())
    }
}
