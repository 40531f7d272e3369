//! The four files of a feed that hold its log, and what can go wrong with them.

use std::fmt;

use random_access_storage::{RandomAccess, RandomAccessError};

/// The files `tree`, `data`, `signatures` and `bitfield` of a feed.
#[derive(Debug)]
pub struct Storage<S> {
    /// Nodes of the Merkle tree, behind a header.
    pub tree: S,
    /// Blocks end to end.
    pub data: S,
    /// Signatures, one place for each length, behind a header.
    pub signatures: S,
    /// Pages that say what is here, behind a header.
    pub bitfield: S,
}

/// One file of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Nodes of the Merkle tree.
    Tree,
    /// Blocks.
    Data,
    /// Signatures.
    Signatures,
    /// What is here.
    Bitfield,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tree => "tree",
            Self::Data => "data",
            Self::Signatures => "signatures",
            Self::Bitfield => "bitfield",
        })
    }
}

/// Why bytes could not be read, written or made durable.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The storage under the feed failed.
    #[error("cannot {action} {part} at byte {offset}: {source}")]
    Access {
        /// File.
        part: Part,
        /// What was attempted: read, write, sync, delete, truncate.
        action: &'static str,
        /// Place in the file, bytes.
        offset: u64,
        /// What the storage answered.
        #[source]
        source: RandomAccessError,
    },
    /// The file ends before what was expected in it.
    #[error("expected {bytes} bytes at byte {offset} of {part}, found the end of the file")]
    Short {
        /// File.
        part: Part,
        /// Place in the file, bytes.
        offset: u64,
        /// Bytes that were expected there.
        bytes: u64,
    },
    /// A node that the bitfield claims is blank, or its size is out of range.
    #[error("expected tree node {index}, which the bitfield claims, found a blank or impossible entry")]
    Node {
        /// Place of the node.
        index: u64,
    },
    /// A sync failed before, so that it is not known what is durable; the feed has to be opened again.
    #[error("writing failed before and it is not known what is durable: open the feed again")]
    Poisoned,
}

/// Names the file and the place in an error of the storage.
pub(crate) fn at(
    part: Part,
    action: &'static str,
    offset: u64,
) -> impl FnOnce(RandomAccessError) -> StorageError {
    move |source| match source {
        RandomAccessError::OutOfBounds { offset, end, .. } => {
            StorageError::Short { part, offset, bytes: end.unwrap_or(offset).saturating_sub(offset) }
        }
        source => StorageError::Access { part, action, offset, source },
    }
}

/// Reads what is there of a range, which may be less at the end of the file.
pub(crate) async fn read_up_to<S: RandomAccess + Send>(
    file: &mut S,
    part: Part,
    offset: u64,
    bytes: u64,
) -> Result<Vec<u8>, StorageError> {
    let len = file.len().await.map_err(at(part, "measure", offset))?;
    let bytes = bytes.min(len.saturating_sub(offset));
    if bytes == 0 {
        return Ok(Vec::new());
    }
    file.read(offset, bytes).await.map_err(at(part, "read", offset))
}
