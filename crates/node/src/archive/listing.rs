//! The files of an archive at one version.

use std::collections::BTreeMap;

use quorate_proto::archive::{ArchiveEntry, FileKind, Stat};
use quorate_types::limits::MAX_ARCHIVE_FILES;
use quorate_types::{BlockRange, PublicKey};
use serde::{Deserialize, Serialize};

use super::BlockReader;
use crate::model::Content;
use crate::{Client, Code, Failure};

/// An archive at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Entries of the metadata feed that count: 0 is the empty archive.
    pub version: u64,
    /// Key of the content feed.
    pub content: PublicKey,
    /// The files, by path.
    pub files: Vec<ArchiveFile>,
    /// Names that no file can be written under, as they are in the feed.
    pub refused: Vec<String>,
    /// Bytes of the content feed that files of any version up to this one take: one past the last.
    pub content_bytes: u64,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// `quorate.file/1`.
    pub schema: String,
    /// Path from the root of the archive, with `/` between names and none before the first.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// First block in the content feed.
    pub start: u64,
    /// One past the last block.
    pub end: u64,
    /// Bytes of the content feed before the first block.
    pub offset: u64,
    /// Permissions (POSIX, 12 bits).
    pub permissions: u32,
    /// Last change, milliseconds since 1970.
    pub modified_ms: u64,
}

impl ArchiveFile {
    /// Value of the `schema` field.
    pub const SCHEMA: &'static str = "quorate.file/1";

    /// Returns its blocks in the content feed.
    pub const fn blocks(&self) -> BlockRange {
        BlockRange::new(self.start, self.end)
    }
}

impl Archive {
    /// Reads the archive whose metadata is `stream`, at a version or as it is now. All of the metadata up to there must be
    /// here.
    ///
    /// # Errors
    ///
    /// [`Code::NotAnArchive`]; [`Code::BlockNotHere`] and [`Code::BlockBeyondEnd`] when the metadata does not go so far.
    pub async fn read(client: &Client, stream: &str, version: Option<u64>) -> Result<Self, Failure> {
        let info = client.info(stream).await?;
        let Content::Hyperdrive { content } = info.content else {
            return Err(not_an_archive(&info.name, info.length, info.here));
        };
        let newest = info.length.saturating_sub(1);
        let version = version.unwrap_or(newest);
        if version > newest {
            return Err(Failure::new(
                Code::BlockBeyondEnd,
                format!("expected a version of {} up to {newest}, found {version}", info.name),
            ));
        }
        let mut entries = Entries::default();
        let mut blocks = BlockReader::new(client, stream).await?;
        for index in 1..=version {
            let block = blocks.get(index).await?;
            let entry = ArchiveEntry::decode(&block.bytes).map_err(|error| {
                Failure::new(
                    Code::NotAnArchive,
                    format!("expected an entry of an archive in block {index} of {}: {error}", info.name),
                )
            })?;
            entries.apply(entry)?;
        }
        Ok(entries.into_archive(version, content))
    }

    /// Sums up the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Returns the blocks of the content feed that the files take: one past the last.
    pub fn content_length(&self) -> u64 {
        self.files.iter().map(|file| file.end).max().unwrap_or(0)
    }
}

/// Says that a stream is no archive, or that it is not known yet.
fn not_an_archive(name: &str, length: u64, here: u64) -> Failure {
    let found = if length > 0 && here == 0 { "a feed of which no block is here" } else { "a plain feed" };
    Failure::new(
        Code::NotAnArchive,
        format!("expected the metadata of a Dat archive in {name}, found {found}"),
    )
    .next(format!("quorate info {name}"))
}

/// What the names stand for, entry by entry.
#[derive(Debug, Default)]
struct Entries {
    stats: BTreeMap<String, Stat>,
    refused: Vec<String>,
    content_bytes: u64,
}

impl Entries {
    fn apply(&mut self, entry: ArchiveEntry) -> Result<(), Failure> {
        if let Some(stat) = &entry.stat {
            self.content_bytes = self.content_bytes.max(stat.byte_offset.saturating_add(stat.size));
        }
        let Some(path) = normal(&entry.name) else {
            if self.refused.len() < MAX_ARCHIVE_FILES {
                self.refused.push(entry.name);
            }
            return Ok(());
        };
        match entry.stat {
            None => {
                self.stats.remove(&path);
            }
            Some(stat) => {
                self.stats.insert(path, stat);
            }
        }
        if self.stats.len() > MAX_ARCHIVE_FILES {
            return Err(Failure::new(
                Code::Refused,
                format!("expected at most {MAX_ARCHIVE_FILES} names in an archive, found more"),
            ));
        }
        Ok(())
    }

    fn into_archive(self, version: u64, content: PublicKey) -> Archive {
        let files = self
            .stats
            .into_iter()
            .filter(|(_, stat)| stat.kind == FileKind::File)
            .map(|(path, stat)| ArchiveFile {
                schema: ArchiveFile::SCHEMA.into(),
                path,
                size: stat.size,
                start: stat.blocks.start,
                end: stat.blocks.end,
                offset: stat.byte_offset,
                permissions: stat.permissions,
                modified_ms: stat.modified_ms,
            })
            .collect();
        Archive { version, content, files, refused: self.refused, content_bytes: self.content_bytes }
    }
}

/// Longest name of a file or directory, bytes (POSIX `NAME_MAX`).
const MAX_NAME_BYTES: usize = 255;

/// Writes a path without empty names; `None` when it could lead out of the directory it is written to.
fn normal(name: &str) -> Option<String> {
    let names: Vec<&str> = name.split('/').filter(|name| !name.is_empty()).collect();
    let bad = |name: &&str| {
        matches!(*name, "." | "..") || name.len() > MAX_NAME_BYTES || name.contains(['\0', '\\'])
    };
    (!names.is_empty() && !names.iter().any(bad)).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str, start: u64) -> ArchiveEntry {
        let stat = Stat {
            kind: FileKind::File,
            permissions: 0o644,
            size: 3,
            blocks: BlockRange::new(start, start + 1),
            byte_offset: 0,
            modified_ms: 0,
        };
        ArchiveEntry { name: name.into(), stat: Some(stat) }
    }

    #[test]
    fn the_last_word_about_a_name_counts() {
        let mut entries = Entries::default();
        let deleted = ArchiveEntry { name: "/b".into(), stat: None };
        let mut directory = put("/d", 0);
        if let Some(stat) = &mut directory.stat {
            stat.kind = FileKind::Directory;
        }
        for entry in [put("/a", 0), put("b", 1), put("/a", 2), directory, deleted] {
            entries.apply(entry).unwrap();
        }
        let archive = entries.into_archive(5, PublicKey::new([1; 32]));
        let files: Vec<(&str, u64)> =
            archive.files.iter().map(|file| (file.path.as_str(), file.start)).collect();
        assert_eq!(files, [("a", 2)]);
        assert_eq!((archive.bytes(), archive.content_length()), (3, 3));
    }

    #[test]
    fn no_name_leads_out_of_the_archive() {
        for (name, expected) in [
            ("/a//b/", Some("a/b")),
            ("c.txt", Some("c.txt")),
            ("..", None),
            ("/a/../../etc/passwd", None),
            ("a/./b", None),
            ("/", None),
            ("a\0b", None),
            ("a\\..\\b", None),
        ] {
            assert_eq!(normal(name).as_deref(), expected, "{name:?}");
        }
        assert_eq!(normal(&"x".repeat(MAX_NAME_BYTES + 1)), None);
        let mut entries = Entries::default();
        entries.apply(put("../x", 0)).unwrap();
        assert_eq!(entries.into_archive(1, PublicKey::new([1; 32])).refused, ["../x"]);
    }
}
