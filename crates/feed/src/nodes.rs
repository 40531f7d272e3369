//! Nodes of the tree: those not written yet, a bounded cache, and the file.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use quorate_types::{Hash, Node, NodeIndex};
use random_access_storage::RandomAccess;

use crate::Bitfield;
use crate::roots::MAX_BYTE_LENGTH;
use crate::sleep::{HEADER_BYTES, TREE_ENTRY_BYTES};
use crate::storage::{Part, StorageError, at, read_up_to};

/// Nodes that are read from the file at once, neighbours that the next block will need.
const READ_NODES: u64 = 64;

/// Spreads node indexes over the table. Only verified nodes get into it, so no peer chooses its keys.
#[derive(Default, Clone, Copy)]
pub(crate) struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte) ^ self.0);
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

type Table<V> = HashMap<u64, V, BuildHasherDefault<IndexHasher>>;

/// The file `tree`, with nodes that wait to be written and nodes that were used lately.
#[derive(Debug)]
pub(crate) struct Nodes<S> {
    pub(crate) file: S,
    pending: Table<(Hash, u64)>,
    /// Direct-mapped: a node has one place, and takes it from whatever was there. Its length is a power
    /// of two, or 0 before the first node.
    cache: Vec<Option<Node>>,
    cache_nodes: usize,
}

impl<S: RandomAccess + Send> Nodes<S> {
    pub(crate) fn new(file: S, cache_nodes: usize) -> Self {
        let cache_nodes = cache_nodes.max(1).next_power_of_two();
        Self { file, pending: Table::default(), cache: Vec::new(), cache_nodes }
    }

    /// Nodes that wait to be written.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes a node to be written with the next flush.
    pub(crate) fn put(&mut self, node: Node) {
        self.pending.insert(node.index.get(), (node.hash, node.size));
    }

    /// Returns a node that is known, `None` when the tree does not claim it.
    pub(crate) async fn get(&mut self, known: &Bitfield, index: u64) -> Result<Option<Node>, StorageError> {
        if !known.tree_has(index) {
            return Ok(None);
        }
        if let Some(node) = self.in_memory(index) {
            return Ok(Some(node));
        }
        self.load(index).await.and_then(|node| node.map(Some).ok_or(StorageError::Node { index }))
    }

    /// Returns whatever the file has for a node, claimed or not; `None` when it is blank or not there.
    pub(crate) async fn unclaimed(&mut self, index: u64) -> Result<Option<Node>, StorageError> {
        match self.in_memory(index) {
            Some(node) => Ok(Some(node)),
            None => self.load(index).await,
        }
    }

    /// Forgets what was read before, so that the file itself is read.
    pub(crate) fn drop_cache(&mut self) {
        self.cache = Vec::new();
    }

    fn in_memory(&self, index: u64) -> Option<Node> {
        if let Some((hash, size)) = self.pending.get(&index) {
            return Some(Node { index: NodeIndex::new(index), hash: *hash, size: *size });
        }
        let cached = self.cache.get(self.slot(index))?;
        cached.filter(|node| node.index.get() == index)
    }

    fn slot(&self, index: u64) -> usize {
        let mut hasher = IndexHasher::default();
        hasher.write_u64(index);
        hasher.finish() as usize & (self.cache_nodes - 1)
    }

    fn remember(&mut self, node: Node) {
        if self.cache.is_empty() {
            self.cache.resize(self.cache_nodes, None);
        }
        let slot = self.slot(node.index.get());
        if let Some(place) = self.cache.get_mut(slot) {
            *place = Some(node);
        }
    }

    async fn load(&mut self, index: u64) -> Result<Option<Node>, StorageError> {
        let first = index - index % READ_NODES;
        let bytes =
            read_up_to(&mut self.file, Part::Tree, entry_offset(first), READ_NODES * TREE_ENTRY_BYTES as u64)
                .await?;
        let mut found = None;
        for (position, entry) in (first..).zip(bytes.chunks_exact(TREE_ENTRY_BYTES)) {
            let Some(node) = decode_entry(position, entry) else { continue };
            // What waits to be written is newer than the file.
            if !self.pending.contains_key(&position) {
                self.remember(node);
            }
            if position == index {
                found = Some(node);
            }
        }
        Ok(found)
    }

    /// Writes all nodes that wait, in runs. They stay in the cache.
    pub(crate) async fn write(&mut self) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut indexes: Vec<u64> = self.pending.keys().copied().collect();
        indexes.sort_unstable();
        for run in indexes.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            let Some(first) = run.first() else { continue };
            let mut bytes = Vec::with_capacity(run.len() * TREE_ENTRY_BYTES);
            for index in run {
                if let Some((hash, size)) = self.pending.get(index) {
                    bytes.extend_from_slice(hash.as_bytes());
                    bytes.extend_from_slice(&size.to_be_bytes());
                }
            }
            let offset = entry_offset(*first);
            self.file.write(offset, &bytes).await.map_err(at(Part::Tree, "write", offset))?;
        }
        for index in indexes {
            if let Some((hash, size)) = self.pending.remove(&index) {
                self.remember(Node { index: NodeIndex::new(index), hash, size });
            }
        }
        Ok(())
    }
}

/// Place of a node in the file.
pub(crate) const fn entry_offset(index: u64) -> u64 {
    index.saturating_mul(TREE_ENTRY_BYTES as u64).saturating_add(HEADER_BYTES as u64)
}

/// Reads an entry; `None` for a blank one, or a size that no feed has.
fn decode_entry(index: u64, entry: &[u8]) -> Option<Node> {
    let (hash, size) = entry.split_first_chunk::<{ Hash::LEN }>()?;
    let size = u64::from_be_bytes(size.try_into().ok()?);
    if size > MAX_BYTE_LENGTH || (size == 0 && hash.iter().all(|byte| *byte == 0)) {
        return None;
    }
    Some(Node { index: NodeIndex::new(index), hash: Hash::new(*hash), size })
}
