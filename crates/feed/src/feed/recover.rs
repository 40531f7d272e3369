//! Recovery when a feed is opened: what is on disk and verifies is kept, the rest is dropped.
//!
//! A flush makes blocks, nodes and signatures durable before the bitfield claims them. So after a crash
//! what is claimed verifies, and behind it there may be more: whole batches that were synced, or torn ones.
//! Nothing of the latter was ever shown to a peer by this process.

use bytes::Bytes;
use quorate_proto::dat::Data;
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_HELD_BLOCK_BYTES};
use quorate_types::{BlockIndex, BlockRange, Node};
use random_access_storage::RandomAccess;

use super::{Feed, OpenError, ReadError, VerifyError};
use crate::sleep::{HEADER_BYTES, TREE_ENTRY_BYTES};
use crate::storage::{Part, StorageError, at, read_up_to};
use crate::{Flavour, Roots, SignedRoots, flat, hash, nodes, signatures};

/// Blocks before the end whose bytes are looked at when a feed is opened.
const CHECKED_BLOCKS: usize = 16;

/// Bytes before the end that are looked at when a feed is opened.
const CHECKED_BYTES: u64 = 1024 * 1024;

/// Blocks before the end among which a writer looks for blocks that lost their claim.
const SEARCHED_BLOCKS: usize = 64 * 1024;

/// Bytes that are hashed in that search.
const SEARCHED_BYTES: u64 = 64 * 1024 * 1024;

/// What opening a feed has found at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Length that the bitfield claimed.
    pub claimed: u64,
    /// Length of the feed now. Where it is below `claimed`, durable history was lost, which a crash alone
    /// does not explain.
    pub length: u64,
    /// Blocks that were not all claimed, and are here and verified.
    pub recovered: BlockRange,
    /// Blocks of which something was on disk, and which are dropped because no signature covers all of it.
    pub dropped: BlockRange,
    /// Blocks near the end that were claimed to be here, and whose bytes are not what was hashed. They are
    /// no longer claimed; their hashes are still known.
    pub damaged: Vec<BlockIndex>,
}

impl Recovery {
    /// Tells whether everything was as it was left.
    pub fn is_clean(&self) -> bool {
        self.claimed == self.length && self.dropped.is_empty() && self.damaged.is_empty()
    }

    /// Returns the blocks that were claimed before and are gone, empty after a mere crash.
    pub const fn lost(&self) -> BlockRange {
        BlockRange::new(self.length, self.claimed)
    }
}

impl<S: RandomAccess + Send> Feed<S> {
    pub(super) async fn recover(&mut self) -> Result<Recovery, OpenError> {
        let claimed = self.bitfield.tree_length();
        let mut recovery = Recovery { claimed, ..Recovery::default() };
        let base = self.find_claimed_head(claimed).await?;
        if let Some(signed) = base {
            self.set_roots(signed.roots, Some(signed.signature));
        }
        let behind = BlockRange::new(self.length(), u64::MAX);
        let stray = self.bitfield.tree_bits() > self.length().saturating_mul(2);
        if stray || self.bitfield.first_present(behind).is_some() {
            self.bitfield.truncate(self.length());
        }
        // The signature shows that the peaks are what they are, even where a torn page does not claim them.
        for peak in self.roots.nodes() {
            self.bitfield.tree_set(peak.index.get());
        }
        self.settle().await?;
        // A torn page may claim a part of the first batch, which is signed at its end.
        self.extend(&mut recovery).await?;
        if self.length() == 0 && claimed > 0 {
            return Err(OpenError::NothingVerifies { key: *self.key(), claimed });
        }
        if self.is_writable() {
            self.restore_unclaimed(&mut recovery).await?;
        }
        self.check_end(&mut recovery).await?;
        recovery.length = self.length();
        recovery.dropped = BlockRange::new(self.length(), self.on_disk().await?.max(self.length()));
        // What is dropped may only be deleted when nothing claims it any more.
        self.flush().await?;
        if !recovery.dropped.is_empty() {
            self.cut().await?;
        }
        Ok(recovery)
    }

    /// Finds the longest length up to `claimed` that is signed.
    async fn find_claimed_head(&mut self, claimed: u64) -> Result<Option<SignedRoots>, StorageError> {
        let mut length = claimed;
        while let Some((signed_length, signature)) = self.signatures.last(length).await? {
            if let Some(roots) = self.peaks_on_disk(signed_length).await? {
                let signed = SignedRoots { roots, signature };
                if self.verify_signed(&signed).is_some() {
                    return Ok(Some(signed));
                }
            }
            length = signed_length.saturating_sub(1);
        }
        Ok(None)
    }

    /// Reads the peaks of a length, whether or not they are claimed.
    async fn peaks_on_disk(&mut self, length: u64) -> Result<Option<Roots>, StorageError> {
        if length > MAX_FEED_LENGTH {
            return Ok(None);
        }
        let mut peaks = Vec::new();
        for peak in flat::full_roots(length) {
            let Some(node) = self.nodes.unclaimed(peak).await? else { return Ok(None) };
            peaks.push(node);
        }
        Ok(Roots::new(length, peaks).ok())
    }

    /// Looks for a longer length that was signed, and of which everything needed is on disk.
    async fn extend(&mut self, recovery: &mut Recovery) -> Result<(), StorageError> {
        let base = self.length();
        let mut limit = self.signatures.capacity().await?.min(MAX_FEED_LENGTH);
        while let Some((length, signature)) = self.signatures.last(limit).await? {
            if length <= base {
                break;
            }
            limit = length.saturating_sub(1);
            let Some(roots) = self.peaks_on_disk(length).await? else { continue };
            let signed = SignedRoots { roots, signature };
            if self.verify_signed(&signed).is_none() {
                continue;
            }
            let grown = self.grow_from_disk(&signed.roots).await?;
            if grown.roots == signed.roots {
                for node in grown.made {
                    self.nodes.put(node);
                }
                for index in base..length {
                    self.bitfield.tree_set(2 * index);
                    self.bitfield.set(index, true);
                }
                self.set_roots(signed.roots, Some(signed.signature));
            } else if self.is_writable() {
                // A writer keeps whole batches only. No batch that ends behind the first bad block is one.
                limit = limit.min(grown.roots.length());
                continue;
            } else {
                self.adopt(signed).await?;
            }
            // What was found may be in no more than the memory of the system so far.
            self.unsynced = true;
            let end = self.bitfield.first_missing(BlockRange::new(base, length)).unwrap_or(length);
            recovery.recovered = BlockRange::new(base, end);
            break;
        }
        Ok(())
    }

    /// Hashes the blocks on disk behind the present end, as far as they are what the tree on disk says, at
    /// most to the length of `target`.
    async fn grow_from_disk(&mut self, target: &Roots) -> Result<Grown, StorageError> {
        let mut grown = Grown { roots: self.roots.clone(), made: Vec::new() };
        while grown.roots.length() < target.length() {
            let Some(leaf) = self.nodes.unclaimed(2 * grown.roots.length()).await? else { break };
            let Some(block) = self.bytes_on_disk(grown.roots.byte_length(), leaf.size).await? else { break };
            if hash::leaf(Flavour::Dat, &block) != leaf.hash {
                break;
            }
            let made = &mut grown.made;
            if grown.roots.push_leaf(Flavour::Dat, leaf.hash, leaf.size, |node| made.push(node)).is_err() {
                break;
            }
        }
        Ok(grown)
    }

    async fn bytes_on_disk(&mut self, offset: u64, size: u64) -> Result<Option<Bytes>, StorageError> {
        if size > MAX_HELD_BLOCK_BYTES as u64 {
            return Ok(None);
        }
        let bytes = read_up_to(&mut self.data, Part::Data, offset, size).await?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 == size).map(Bytes::from))
    }

    /// Takes signed peaks whose blocks are not all here, as a replica may, and then each block behind the
    /// old end whose bytes and proof are on disk, up to the first that is not.
    async fn adopt(&mut self, signed: SignedRoots) -> Result<(), StorageError> {
        let (base, length) = (self.length(), signed.roots.length());
        for peak in signed.roots.nodes() {
            self.bitfield.tree_set(peak.index.get());
        }
        self.set_roots(signed.roots, Some(signed.signature));
        for index in base..length {
            if !self.restore_block(index).await? {
                break;
            }
        }
        Ok(())
    }

    async fn restore_block(&mut self, index: u64) -> Result<bool, StorageError> {
        let Some(leaf) = self.nodes.unclaimed(2 * index).await? else { return Ok(false) };
        let Some(offset) = self.byte_offset(index).await? else { return Ok(false) };
        let Some(value) = self.bytes_on_disk(offset, leaf.size).await? else { return Ok(false) };
        let mut proof: Vec<Node> = Vec::new();
        let mut node = 2 * index;
        while !self.bitfield.tree_has(node) {
            let (Some(sibling), Some(parent)) = (flat::sibling(node), flat::parent(node)) else {
                return Ok(false);
            };
            let Some(sibling) = self.nodes.unclaimed(sibling).await? else { return Ok(false) };
            proof.push(sibling);
            node = parent;
        }
        let data = Data { index, value: Some(value), nodes: proof, signature: None };
        let block = match self.verify(data).await {
            Ok(block) => block,
            Err(VerifyError::Proof(_)) => return Ok(false),
            Err(VerifyError::Storage(error)) => return Err(error),
        };
        for node in &block.nodes {
            self.nodes.put(*node);
        }
        for node in &block.nodes {
            self.bitfield.tree_set(node.index.get());
        }
        self.bitfield.set(index, true);
        Ok(true)
    }

    /// Claims blocks near the end that are here, and whose claim a torn page has lost: nobody else has a
    /// writer's last blocks. The search ends at a block that was cleared.
    async fn restore_unclaimed(&mut self, recovery: &mut Recovery) -> Result<(), StorageError> {
        let mut bytes = 0_u64;
        for index in (0..self.length()).rev().take(SEARCHED_BLOCKS) {
            if self.has(index) {
                continue;
            }
            if !self.bitfield.tree_has(2 * index) && !self.restore_path(2 * index).await? {
                break;
            }
            let (Some(leaf), Some(offset)) = (self.node(2 * index).await?, self.byte_offset(index).await?)
            else {
                break;
            };
            bytes = bytes.saturating_add(leaf.size);
            let block = self.bytes_on_disk(offset, leaf.size).await?;
            if bytes > SEARCHED_BYTES
                || block.is_none_or(|block| hash::leaf(Flavour::Dat, &block) != leaf.hash)
            {
                break;
            }
            self.bitfield.set(index, true);
            self.unsynced = true;
            let end = recovery.recovered.end.max(index.saturating_add(1));
            recovery.recovered = BlockRange::new(index, end);
        }
        Ok(())
    }

    /// Hashes the last blocks that are claimed to be here, and lets go of those that are not what they were.
    async fn check_end(&mut self, recovery: &mut Recovery) -> Result<(), OpenError> {
        let length = self.length();
        let mut bytes = 0_u64;
        for index in (0..length).rev().take(CHECKED_BLOCKS) {
            if !self.has(index) {
                continue;
            }
            let whole = match self.byte_range(index).await {
                Ok(Some((offset, size))) => {
                    bytes = bytes.saturating_add(size);
                    let leaf = self.node(2 * index).await?;
                    let block = self.bytes_on_disk(offset, size).await?;
                    leaf.zip(block).is_some_and(|(leaf, block)| hash::leaf(Flavour::Dat, &block) == leaf.hash)
                }
                Ok(None) | Err(ReadError::Storage(StorageError::Node { .. })) => false,
                Err(ReadError::Storage(error)) => return Err(error.into()),
            };
            if !whole {
                self.bitfield.set(index, false);
                recovery.damaged.push(BlockIndex::new(index));
            }
            if bytes > CHECKED_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Returns the length up to which the files have something.
    async fn on_disk(&mut self) -> Result<u64, StorageError> {
        let tree = self.nodes.file.len().await.map_err(at(Part::Tree, "measure", 0))?;
        let entries = tree.saturating_sub(HEADER_BYTES as u64).div_ceil(TREE_ENTRY_BYTES as u64);
        Ok(self.signatures.capacity().await?.max(entries.div_ceil(2)))
    }

    /// Cuts the files off behind the end.
    pub(super) async fn cut(&mut self) -> Result<(), StorageError> {
        let length = self.length();
        let ends = [
            (Part::Signatures, &mut self.signatures.file, signatures::entry_offset(length)),
            (Part::Tree, &mut self.nodes.file, nodes::entry_offset((2 * length).saturating_sub(1))),
            (Part::Data, &mut self.data, self.roots.byte_length()),
        ];
        for (part, file, end) in ends {
            if file.len().await.map_err(at(part, "measure", end))? > end {
                file.truncate(end).await.map_err(at(part, "truncate", end))?;
                self.unsynced = true;
            }
        }
        self.nodes.drop_cache();
        self.flush().await
    }
}

struct Grown {
    roots: Roots,
    made: Vec<Node>,
}
