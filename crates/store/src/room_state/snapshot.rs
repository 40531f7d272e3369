//! Snapshots: a room's state at one position, in a file of its own.
//!
//! ```text
//! snapshot = header | entry* | u8 0 | u64 number of entries | b2b256 of everything before
//! header   = "quorate room state" | u32 format | room id 32 | u64 length | state root 32 | tree hash 32
//! entry    = u8 1 | namespace 32 | u32 length | key | u32 length | value
//! ```
//!
//! Entries are in order, each once. Numbers are big-endian. The state root is a chain over the history of
//! writes, so it cannot be computed from the entries: a snapshot is as trustworthy as where it comes from.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use quorate_rules::state::{Position, StateError};
use quorate_types::{Hash, RoomId, RuleId, StateRoot};
use redb::{ReadableDatabase, ReadableTable};

use super::open::{OpenStateError, io_error};
use super::undo::length;
use super::{RedbStore, STATE, full_key, write_position};
use crate::atomic::sync_directory;

const MAGIC: &[u8; 18] = b"quorate room state";
const FORMAT: u32 = 1;

const ENTRY: u8 = 1;
const END: u8 = 0;

/// Longest key and value that a rule may write, bytes; the room's own are shorter.
const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Bytes that one transaction of an import writes.
const BATCH_BYTES: usize = 8 << 20;

/// What a snapshot says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The room.
    pub room: RoomId,
    /// Where its state stood.
    pub position: Position,
    /// Keys in it.
    pub entries: u64,
}

/// Why a snapshot cannot be written or taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are no snapshot of this version.
    #[error("expected a snapshot of format {FORMAT}, found {found}")]
    Format {
        /// What the bytes begin with.
        found: String,
    },
    /// It is of another room.
    #[error("expected a snapshot of room {expected}, found one of {found}")]
    Room {
        /// Room whose state was expected.
        expected: RoomId,
        /// Room that the snapshot names.
        found: RoomId,
    },
    /// It is not as it was written.
    #[error("expected {expected} in the snapshot, at entry {entry}")]
    Damaged {
        /// What would stand there.
        expected: &'static str,
        /// Entries before it.
        entry: u64,
    },
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStateError),
    /// The snapshot cannot be read or written.
    #[error("the snapshot cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl RedbStore {
    /// Writes a snapshot of the position that was committed last. Blocks the thread.
    ///
    /// # Errors
    ///
    /// Fails when the state cannot be read or `to` be written.
    pub fn export(&self, to: impl Write) -> Result<Snapshot, SnapshotError> {
        let mut out = Hashed::new(BufWriter::new(to));
        let position = self.committed;
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_be_bytes())?;
        out.write_all(self.room.as_bytes())?;
        out.write_all(&position.length.to_be_bytes())?;
        out.write_all(position.state_root.as_bytes())?;
        out.write_all(position.tree_hash.as_bytes())?;
        let transaction = self.database.begin_read().map_err(super::failed("read"))?;
        let table = transaction.open_table(STATE).map_err(super::failed("read"))?;
        let mut entries = 0;
        for entry in table.iter().map_err(super::failed("read"))? {
            let (key, value) = entry.map_err(super::failed("read"))?;
            let Some((space, key)) = key.value().split_first_chunk::<{ RuleId::LEN }>() else {
                return Err(StateError::Damaged { what: "expected a namespace, found none".into() }.into());
            };
            out.write_all(&[ENTRY])?;
            out.write_all(space)?;
            out.write_all(&length(key.len()))?;
            out.write_all(key)?;
            out.write_all(&length(value.value().len()))?;
            out.write_all(value.value())?;
            entries += 1;
        }
        out.write_all(&[END])?;
        out.write_all(&u64::to_be_bytes(entries))?;
        let hash = out.hash();
        out.inner.write_all(hash.as_bytes())?;
        out.inner.flush()?;
        Ok(Snapshot { room: self.room, position, entries })
    }

    /// Makes the state of a room from a snapshot; it takes the place of the one at `path` once it is whole.
    ///
    /// Format, room, order, sizes and digest are checked. That the state is what the blocks make cannot be
    /// checked: take snapshots that you made yourself. No step before the snapshot can be taken back.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; the state at `path` is then as before.
    pub fn import(path: &Path, room: RoomId, from: impl Read) -> Result<Self, SnapshotError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".incoming");
        let incoming = PathBuf::from(name);
        remove(&incoming)?;
        let result = fill(&incoming, room, from);
        if result.is_err() {
            let _ = fs::remove_file(&incoming);
        }
        result?;
        // Whoever has the old state open would go on with a file that has no name.
        drop(Self::open(path, room)?);
        fs::rename(&incoming, path).map_err(io_error("replace", path))?;
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(directory).map_err(io_error("sync", directory))?;
        }
        Ok(Self::open(path, room)?)
    }
}

impl Snapshot {
    /// Reads what a snapshot file says of itself, after checking all of it but its entries' order.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        let mut input = Hashed::new(BufReader::new(File::open(path)?));
        let (room, position) = read_header(&mut input)?;
        let entries = read_entries(&mut input, |_, _, _| Ok(()))?;
        Ok(Self { room, position, entries })
    }
}

fn remove(path: &Path) -> Result<(), SnapshotError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn fill(path: &Path, room: RoomId, from: impl Read) -> Result<(), SnapshotError> {
    let mut input = Hashed::new(BufReader::new(from));
    let (found, position) = read_header(&mut input)?;
    if found != room {
        return Err(SnapshotError::Room { expected: room, found });
    }
    let mut store = RedbStore::open(path, room)?;
    let mut batch: Vec<(RuleId, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    read_entries(&mut input, |space, key, value| {
        bytes += key.len() + value.len();
        batch.push((space, key, value));
        if bytes >= BATCH_BYTES {
            bytes = 0;
            store.write_all(std::mem::take(&mut batch), None)?;
        }
        Ok(())
    })?;
    store.write_all(batch, Some(&position))
}

impl RedbStore {
    fn write_all(
        &mut self,
        batch: Vec<(RuleId, Vec<u8>, Vec<u8>)>,
        end: Option<&Position>,
    ) -> Result<(), SnapshotError> {
        let transaction = self.database.begin_write().map_err(super::failed("written"))?;
        {
            let mut table = transaction.open_table(STATE).map_err(super::failed("written"))?;
            for (space, key, value) in batch {
                let key = full_key(&space, &key);
                table.insert(key.as_slice(), value.as_slice()).map_err(super::failed("written"))?;
            }
        }
        if let Some(position) = end {
            write_position(&transaction, position, 0)?;
        }
        Ok(super::finish(transaction, end.is_some(), &mut self.unsynced)?)
    }
}

fn read_header(input: &mut Hashed<impl Read>) -> Result<(RoomId, Position), SnapshotError> {
    let magic: [u8; MAGIC.len()] = input.array("a header", 0)?;
    if magic != *MAGIC {
        return Err(SnapshotError::Format { found: format!("{:?}", String::from_utf8_lossy(&magic)) });
    }
    let format = u32::from_be_bytes(input.array("a format", 0)?);
    if format != FORMAT {
        return Err(SnapshotError::Format { found: format!("format {format}") });
    }
    let room = RoomId::new(input.array("a room id", 0)?);
    let position = Position {
        length: u64::from_be_bytes(input.array("a length", 0)?),
        state_root: StateRoot::new(input.array("a state root", 0)?),
        tree_hash: Hash::new(input.array("a tree hash", 0)?),
    };
    Ok((room, position))
}

/// Reads the entries and what follows them; returns their number.
fn read_entries(
    input: &mut Hashed<impl Read>,
    mut each: impl FnMut(RuleId, Vec<u8>, Vec<u8>) -> Result<(), SnapshotError>,
) -> Result<u64, SnapshotError> {
    let mut entries = 0;
    let mut before: Option<(RuleId, Vec<u8>)> = None;
    loop {
        let damaged = |expected| SnapshotError::Damaged { expected, entry: entries };
        match input.array("an entry or the end", entries)? {
            [ENTRY] => {}
            [END] => break,
            _ => return Err(damaged("an entry or the end")),
        }
        let space = RuleId::new(input.array("a namespace", entries)?);
        let key = input.bytes(MAX_KEY_BYTES, "a key of at most 256 bytes", entries)?;
        let value = input.bytes(MAX_VALUE_BYTES, "a value of at most 64 KiB", entries)?;
        let at = (space, key);
        if before.as_ref().is_some_and(|before| *before >= at) {
            return Err(damaged("a key after the one before"));
        }
        each(space, at.1.clone(), value)?;
        before = Some(at);
        entries += 1;
    }
    let damaged = |expected| SnapshotError::Damaged { expected, entry: entries };
    if u64::from_be_bytes(input.array("the number of entries", entries)?) != entries {
        return Err(damaged("the number of entries"));
    }
    let hash = input.hash();
    let found: [u8; Hash::LEN] = input.array("the digest", entries)?;
    if found != *hash.as_bytes() {
        return Err(damaged("the digest of what stands before it"));
    }
    if input.inner.read(&mut [0])? != 0 {
        return Err(damaged("nothing after the digest"));
    }
    Ok(entries)
}

/// Bytes that are hashed as they go by.
struct Hashed<T> {
    inner: T,
    state: blake2b_simd::State,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, state: blake2b_simd::Params::new().hash_length(Hash::LEN).to_state() }
    }

    fn hash(&self) -> Hash {
        let hash = self.state.finalize();
        Hash::from_slice(hash.as_bytes()).expect("the digest length is set to 32 bytes")
    }
}

impl<T: Write> Hashed<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Hashed<T> {
    fn fill(&mut self, bytes: &mut [u8], expected: &'static str, entry: u64) -> Result<(), SnapshotError> {
        match self.inner.read_exact(bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(SnapshotError::Damaged { expected, entry })
            }
            result => {
                result?;
                self.state.update(bytes);
                Ok(())
            }
        }
    }

    fn array<const N: usize>(
        &mut self,
        expected: &'static str,
        entry: u64,
    ) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, expected, entry)?;
        Ok(bytes)
    }

    fn bytes(&mut self, limit: usize, expected: &'static str, entry: u64) -> Result<Vec<u8>, SnapshotError> {
        let length = u32::from_be_bytes(self.array(expected, entry)?);
        let length = usize::try_from(length).ok().filter(|length| *length <= limit);
        let mut bytes = vec![0; length.ok_or(SnapshotError::Damaged { expected, entry })?];
        self.fill(&mut bytes, expected, entry)?;
        Ok(bytes)
    }
}
