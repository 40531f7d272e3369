//! Entries of this node that wait for the host of their room, in a file beside the feed.
//!
//! They are on disk before anybody is told that they wait; that one has come to an end is not synced, since nothing is lost
//! when it is tried once more. How one ended of which nobody heard is kept, and synced. `docs/storage.md` has the layout.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use quorate_types::Hash;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

/// Name of the file in the stream's directory.
pub const OUTBOX_FILE: &str = "outbox.redb";

/// Entries by digest: length of the block as u32le, the block, the module that it brings.
const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

/// How entries ended of which nobody heard, by the order in which they ended: text of whoever keeps it.
const OUTCOMES: TableDefinition<u64, &[u8]> = TableDefinition::new("outcomes");

/// Outcomes that are kept: the newest.
pub const MAX_OUTCOMES: usize = 64;

/// An entry that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Digest by which the entry is known.
    pub digest: Hash,
    /// Its block.
    pub block: Bytes,
    /// Module of a rule change; empty for none.
    pub module: Bytes,
}

/// Why the entries cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {error}", path.display())]
pub struct OutboxError {
    doing: &'static str,
    path: PathBuf,
    error: Box<redb::Error>,
}

/// The entries that wait; one process at a time has them open.
#[derive(Debug)]
pub struct Outbox {
    database: Database,
    path: PathBuf,
}

impl Outbox {
    /// Opens the outbox in the directory of a stream; `None` when nothing was ever kept there.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] when the file cannot be read.
    pub fn open(directory: &Path) -> Result<Option<Self>, OutboxError> {
        let path = directory.join(OUTBOX_FILE);
        if !path.exists() {
            return Ok(None);
        }
        Self::create(directory).map(Some)
    }

    /// Opens the outbox in the directory of a stream, made when it is not there.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] when the file cannot be made or read.
    pub fn create(directory: &Path) -> Result<Self, OutboxError> {
        let path = directory.join(OUTBOX_FILE);
        let database = Database::create(&path).map_err(failed("open", &path))?;
        Ok(Self { database, path })
    }

    /// Keeps entries; they are on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; none of them is kept then.
    pub fn keep(&self, entries: &[Waiting]) -> Result<(), OutboxError> {
        self.write(Durability::Immediate, |transaction| {
            let mut table = transaction.open_table(ENTRIES)?;
            for entry in entries {
                // A block has at most 8 MiB.
                let size = u32::try_from(entry.block.len()).unwrap_or(u32::MAX);
                let value = [&size.to_le_bytes()[..], &entry.block, &entry.module].concat();
                table.insert(entry.digest.as_bytes().as_slice(), value.as_slice())?;
            }
            Ok(())
        })
    }

    /// Forgets entries that have come to an end, and keeps `outcomes`, at most [`MAX_OUTCOMES`] with those before. Outcomes
    /// are on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; they are then tried again after the next start.
    pub fn forget(&self, digests: &[Hash], outcomes: &[Vec<u8>]) -> Result<(), OutboxError> {
        let durability = if outcomes.is_empty() { Durability::None } else { Durability::Immediate };
        self.write(durability, |transaction| {
            let mut table = transaction.open_table(ENTRIES)?;
            for digest in digests {
                table.remove(digest.as_bytes().as_slice())?;
            }
            if outcomes.is_empty() {
                return Ok(());
            }
            let mut table = transaction.open_table(OUTCOMES)?;
            let mut next = table.last()?.map_or(0, |(place, _)| place.value().saturating_add(1));
            for outcome in outcomes {
                table.insert(next, outcome.as_slice())?;
                next = next.saturating_add(1);
            }
            let oldest = next.saturating_sub(MAX_OUTCOMES as u64);
            table.retain(|place, _| place >= oldest)?;
            Ok(())
        })
    }

    /// Returns how entries ended of which nobody heard, the oldest first.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] when the file cannot be read.
    pub fn outcomes(&self) -> Result<Vec<Vec<u8>>, OutboxError> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(OUTCOMES) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            let outcomes = table.iter()?.map(|record| Ok(record?.1.value().to_vec()));
            outcomes.collect()
        };
        read().map_err(failed("read", &self.path))
    }

    /// Returns all that waits, by digest. Records that are none are left out.
    ///
    /// # Errors
    ///
    /// [`OutboxError`] when the file cannot be read.
    pub fn waiting(&self) -> Result<Vec<Waiting>, OutboxError> {
        let read = || -> Result<Vec<Waiting>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(ENTRIES) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            let mut waiting = Vec::new();
            for record in table.iter()? {
                let (digest, value) = record?;
                waiting.extend(parse(digest.value(), value.value()));
            }
            Ok(waiting)
        };
        read().map_err(failed("read", &self.path))
    }

    fn write(
        &self,
        durability: Durability,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), OutboxError> {
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(durability).map_err(redb::Error::from)?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(failed("write", &self.path))
    }
}

fn parse(digest: &[u8], value: &[u8]) -> Option<Waiting> {
    let digest = Hash::from_slice(digest)?;
    let (size, rest) = value.split_first_chunk::<4>()?;
    let (block, module) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    Some(Waiting { digest, block: Bytes::copy_from_slice(block), module: Bytes::copy_from_slice(module) })
}

fn failed<E: Into<redb::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> OutboxError {
    let path = path.to_owned();
    move |error| OutboxError { doing, path, error: Box::new(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(byte: u8, block: &'static [u8], module: &'static [u8]) -> Waiting {
        Waiting { digest: Hash::new([byte; 32]), block: block.into(), module: module.into() }
    }

    #[test]
    fn what_waits_is_there_after_a_start() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Outbox::open(directory.path()).unwrap().is_none());
        let (one, two) = (waiting(1, b"one", b""), waiting(2, b"two", b"module"));
        {
            let outbox = Outbox::create(directory.path()).unwrap();
            assert_eq!(outbox.waiting().unwrap(), []);
            outbox.keep(&[one.clone(), two.clone()]).unwrap();
            outbox.keep(std::slice::from_ref(&one)).unwrap();
        }
        let outbox = Outbox::open(directory.path()).unwrap().unwrap();
        assert_eq!(outbox.waiting().unwrap(), [one.clone(), two.clone()]);
        outbox.forget(&[one.digest, Hash::new([9; 32])], &[]).unwrap();
        assert_eq!(outbox.waiting().unwrap(), [two]);
    }

    #[test]
    fn outcomes_are_kept_and_the_oldest_are_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let entry = waiting(1, b"one", b"");
        {
            let outbox = Outbox::create(directory.path()).unwrap();
            assert_eq!(outbox.outcomes().unwrap(), Vec::<Vec<u8>>::new());
            outbox.keep(std::slice::from_ref(&entry)).unwrap();
            outbox.forget(&[entry.digest], &[b"first".to_vec(), b"second".to_vec()]).unwrap();
        }
        let outbox = Outbox::open(directory.path()).unwrap().unwrap();
        assert_eq!(outbox.waiting().unwrap(), []);
        assert_eq!(outbox.outcomes().unwrap(), [b"first".to_vec(), b"second".to_vec()]);
        let more: Vec<Vec<u8>> =
            (0..MAX_OUTCOMES - 1).map(|number| vec![number.try_into().unwrap()]).collect();
        outbox.forget(&[], &more).unwrap();
        let kept = outbox.outcomes().unwrap();
        assert_eq!(kept.len(), MAX_OUTCOMES);
        assert_eq!((kept[0].as_slice(), &kept[1..]), (&b"second"[..], &more[..]));
    }

    #[test]
    fn a_record_that_is_none_is_left_out() {
        assert_eq!(parse(&[1; 32], &[9, 0, 0, 0, 1]), None);
        assert_eq!(parse(&[1; 31], &[0, 0, 0, 0]), None);
        assert_eq!(parse(&[1; 32], &[0, 0, 0]), None);
        assert_eq!(parse(&[1; 32], &[1, 0, 0, 0, b'a', b'b']), Some(waiting(1, b"a", b"b")));
    }
}
