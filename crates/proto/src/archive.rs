//! Blocks of the metadata feed of a Dat archive: names of files, and where their bytes are in the content feed.

use bytes::Bytes;
use prost::Message;
use quorate_types::BlockRange;
use quorate_types::limits::{MAX_FEED_LENGTH, MAX_PATH_BYTES};

use crate::ProtoError;
use crate::pb_archive as pb;

/// Bits of a mode that tell the kind (POSIX `S_IFMT`).
const KIND_BITS: u32 = 0o170_000;

/// Bits of a mode that tell who may do what.
const PERMISSION_BITS: u32 = 0o7777;

/// One entry: a name is put, or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Path from the root of the archive, as its writer wrote it: not checked to be a good one.
    pub name: String,
    /// What it is from now on; `None` deletes it.
    pub stat: Option<Stat>,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permissions (POSIX, 12 bits).
    pub permissions: u32,
    /// Bytes.
    pub size: u64,
    /// Blocks of the content feed.
    pub blocks: BlockRange,
    /// Bytes of the content feed before the first of them.
    pub byte_offset: u64,
    /// Last change, milliseconds since 1970.
    pub modified_ms: u64,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Something else: a link, a device, a socket.
    Other,
}

impl ArchiveEntry {
    /// Reads a block.
    ///
    /// # Errors
    ///
    /// [`ProtoError`] when it is none, or when a size or a position is beyond all bounds.
    pub fn decode(block: &[u8]) -> Result<Self, ProtoError> {
        let malformed = |error| ProtoError::Malformed { message: "archive node", error };
        let node = pb::Node::decode(block).map_err(malformed)?;
        let name = node.name.ok_or(ProtoError::Missing { message: "archive node", field: "name" })?;
        if name.len() > MAX_PATH_BYTES {
            return Err(ProtoError::TooLong {
                message: "archive node",
                field: "name",
                limit: MAX_PATH_BYTES,
                found: name.len(),
            });
        }
        let stat = node.value.map(|value| Stat::decode(&value)).transpose()?;
        Ok(Self { name, stat })
    }

    /// Encodes the block, without the index that append-tree adds.
    pub fn encode(&self) -> Bytes {
        let node = pb::Node {
            name: Some(self.name.clone()),
            value: self.stat.map(|stat| stat.encode()),
            paths: None,
        };
        node.encode_to_vec().into()
    }
}

impl Stat {
    fn decode(value: &[u8]) -> Result<Self, ProtoError> {
        const MESSAGE: &str = "archive stat";
        let malformed = |error| ProtoError::Malformed { message: MESSAGE, error };
        let stat = pb::Stat::decode(value).map_err(malformed)?;
        let mode = stat.mode.ok_or(ProtoError::Missing { message: MESSAGE, field: "mode" })?;
        let bounded = |field, limit, value: Option<u64>| match value.unwrap_or(0) {
            found if found > limit => Err(ProtoError::OutOfRange { message: MESSAGE, field, limit, found }),
            value => Ok(value),
        };
        let start = bounded("offset", MAX_FEED_LENGTH, stat.offset)?;
        let count = bounded("blocks", MAX_FEED_LENGTH.saturating_sub(start), stat.blocks)?;
        Ok(Self {
            kind: match mode & KIND_BITS {
                0o100_000 => FileKind::File,
                0o040_000 => FileKind::Directory,
                _ => FileKind::Other,
            },
            permissions: mode & PERMISSION_BITS,
            size: bounded("size", i64::MAX as u64, stat.size)?,
            blocks: BlockRange::new(start, start.saturating_add(count)),
            byte_offset: bounded("byteOffset", i64::MAX as u64, stat.byte_offset)?,
            modified_ms: stat.mtime.unwrap_or(0),
        })
    }

    fn encode(&self) -> Bytes {
        let kind = match self.kind {
            FileKind::File => 0o100_000,
            FileKind::Directory => 0o040_000,
            FileKind::Other => 0,
        };
        let stat = pb::Stat {
            mode: Some(kind | self.permissions),
            size: Some(self.size),
            blocks: Some(self.blocks.end.saturating_sub(self.blocks.start)),
            offset: Some(self.blocks.start),
            byte_offset: Some(self.byte_offset),
            mtime: Some(self.modified_ms),
            ..pb::Stat::default()
        };
        stat.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> ArchiveEntry {
        ArchiveEntry {
            name: "/a.txt".into(),
            stat: Some(Stat {
                kind: FileKind::File,
                permissions: 0o644,
                size: 300_000,
                blocks: BlockRange::new(1, 6),
                byte_offset: 6,
                modified_ms: 1_700_000_000_000,
            }),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let deleted = ArchiveEntry { name: "/a.txt".into(), stat: None };
        for entry in [entry(), deleted] {
            assert_eq!(ArchiveEntry::decode(&entry.encode()), Ok(entry));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let missing = |field, message| Err(ProtoError::Missing { message, field });
        assert_eq!(ArchiveEntry::decode(b""), missing("name", "archive node"));
        assert_eq!(ArchiveEntry::decode(b"\x0a\x01a\x12\x00"), missing("mode", "archive stat"));
        assert!(matches!(ArchiveEntry::decode(b"\x0a\x05a"), Err(ProtoError::Malformed { .. })));
        let long = ArchiveEntry { name: "a".repeat(MAX_PATH_BYTES + 1), stat: None };
        assert!(matches!(ArchiveEntry::decode(&long.encode()), Err(ProtoError::TooLong { .. })));
        // offset and blocks whose sum is beyond all feeds
        let beyond = pb::Stat {
            mode: Some(0o100_644),
            offset: Some(MAX_FEED_LENGTH),
            blocks: Some(1),
            ..pb::Stat::default()
        };
        let node =
            pb::Node { name: Some("a".into()), value: Some(beyond.encode_to_vec().into()), paths: None };
        let refused = ArchiveEntry::decode(&node.encode_to_vec());
        assert!(matches!(refused, Err(ProtoError::OutOfRange { field: "blocks", .. })), "{refused:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_block_panics(block in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = ArchiveEntry::decode(&block);
        }
    }
}
