//! State of a room on disk, in one file beside its feed.
//!
//! The state is a function of the blocks, so losing some of it costs time and nothing else: most commits are
//! not synced, and opening after a crash finds the state at an older position, whole. `docs/storage.md` has
//! the layout.

mod cache;
mod open;
mod snapshot;
mod staged;
mod undo;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_rules::state::{
    InMemory, Position, RoomStore, Staged as Waiting, StateError, StateStore, Step, UNDO_STEPS, WriteSet,
};
use quorate_types::{Hash, RoomId, RuleId, StateRoot};
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};

use self::cache::{Cache, copy, kept};
pub use self::open::{Found, OpenStateError};
pub use self::snapshot::{Snapshot, SnapshotError};
use self::staged::Staged;
use self::undo::Undo;

/// Name of the file in the stream's directory.
pub const ROOM_STATE_FILE: &str = "room.redb";

/// Values: namespace 32, then the key.
const STATE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("state");
/// Undo records by the index of their first entry.
const UNDO: TableDefinition<u64, &[u8]> = TableDefinition::new("undo");
/// Whose state it is, and where it stands.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const META_ROOM: &str = "room";
const META_POSITION: &str = "position";

/// Bytes of the position: length, state root, tree hash, bytes of all undo records.
const POSITION_BYTES: usize = 8 + StateRoot::LEN + Hash::LEN + 8;

/// Bytes of hot keys and their values in memory, for one room.
const CACHE_BYTES: usize = 16 << 20;

/// Bytes of all undo records; beyond, the oldest go before their time.
const UNDO_BYTES: u64 = 256 << 20;

/// What may be lost in a crash: it is made again from the blocks in less than a few seconds.
const UNSYNCED_STEPS: u64 = 65_536;
const UNSYNCED_BYTES: usize = 32 << 20;
const UNSYNCED_COMMITS: u32 = 4096;

/// State of a room in a file. One process at a time has it open.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    path: PathBuf,
    room: RoomId,
    found: Found,
    /// With the steps that wait for a commit.
    position: Position,
    /// Where the state on the disk stands.
    committed: Position,
    oldest: u64,
    undo_bytes: u64,
    unsynced: Unsynced,
    hot: Arc<Hot>,
    /// Opened at the first read after a commit: a table that stays open holds old pages back.
    table: Mutex<Option<ReadOnlyTable<&'static [u8], &'static [u8]>>>,
}

/// What a crash would take back.
#[derive(Debug, Default)]
struct Unsynced {
    steps: u64,
    bytes: usize,
    commits: u32,
}

/// What of the state is in memory: what waits for a commit, and the keys that were used last.
#[derive(Debug)]
struct Hot(Mutex<HotState>);

#[derive(Debug)]
struct HotState {
    staged: Staged,
    cache: Cache,
}

impl Hot {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(HotState { staged: Staged::default(), cache: Cache::new(CACHE_BYTES) })))
    }

    fn open(&self) -> MutexGuard<'_, HotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InMemory for Hot {
    fn get(&self, space: &RuleId, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let HotState { staged, cache } = &mut *self.open();
        match staged.get(space, key) {
            Some(written) => Some(copy(written)),
            None => cache.get(space, key).as_ref().map(copy),
        }
    }
}

impl RedbStore {
    /// Opens the state of a room, which is made if it is not there. A file that is damaged, or is of another
    /// room or format, is moved aside to `room.redb.damaged` and a new state begins: [`found`](Self::found) tells.
    ///
    /// Blocks the thread: up to 256 MiB are read and verified.
    ///
    /// # Errors
    ///
    /// [`OpenStateError::Busy`] when it is open already, and what the system answers.
    pub fn open(path: &Path, room: RoomId) -> Result<Self, OpenStateError> {
        open::open(path, room)
    }

    /// Tells what opening has found.
    pub const fn found(&self) -> &Found {
        &self.found
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the room whose state it is.
    pub const fn room(&self) -> RoomId {
        self.room
    }

    /// Makes everything that was committed durable; what waits for a commit is not. Dropping does so as well, and cannot tell when it fails.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`].
    pub fn sync(&mut self) -> Result<(), StateError> {
        if self.unsynced.commits == 0 {
            return Ok(());
        }
        let transaction = self.database.begin_write().map_err(failed("synced"))?;
        finish(transaction, true, &mut self.unsynced)
    }

    fn table(&self) -> MutexGuard<'_, Option<ReadOnlyTable<&'static [u8], &'static [u8]>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a value from the disk.
    fn read(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut open = self.table();
        let table = match open.take() {
            Some(table) => table,
            None => {
                let transaction = self.database.begin_read().map_err(failed("read"))?;
                transaction.open_table(STATE).map_err(failed("read"))?
            }
        };
        let found = table.get(full_key(space, key).as_slice()).map_err(failed("read"))?;
        let value = found.map(|value| value.value().to_vec());
        *open = Some(table);
        Ok(value)
    }

    /// Reads the undo record with the step that led from a length. `read` takes its first entry and its bytes, and says
    /// `None` when it is damaged; so is a record that is not there.
    fn read_undo<R>(&self, length: u64, read: impl FnOnce(u64, &[u8]) -> Option<R>) -> Result<R, StateError> {
        let missing = || damaged_undo(length);
        if let Some((first, record)) = self.hot.open().staged.records().rfind(|(first, _)| *first <= length) {
            return read(first, record).ok_or_else(missing);
        }
        let transaction = self.database.begin_read().map_err(failed("read"))?;
        let table = transaction.open_table(UNDO).map_err(failed("read"))?;
        let found = table.range(..=length).map_err(failed("read"))?.next_back();
        let (first, record) = found.ok_or_else(missing)?.map_err(failed("read"))?;
        read(first.value(), record.value()).ok_or_else(missing)
    }
}

impl StateStore for RedbStore {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(known) = self.hot.get(space, key) {
            return Ok(known);
        }
        let value = self.read(space, key)?;
        self.hot.open().cache.put(space, key.into(), kept(value.as_deref()));
        Ok(value)
    }

    fn in_memory(&self) -> Option<Arc<dyn InMemory>> {
        Some(self.hot.clone())
    }
}

impl RoomStore for RedbStore {
    fn position(&self) -> Position {
        self.position
    }

    fn oldest(&self) -> u64 {
        self.oldest
    }

    fn position_at(&self, length: u64) -> Result<Option<Position>, StateError> {
        if length == self.position.length {
            return Ok(Some(self.position));
        }
        if length < self.oldest || length > self.position.length {
            return Ok(None);
        }
        self.read_undo(length, |first, record| undo::position_at(first, record, length)).map(Some)
    }

    fn held_at(&self, length: u64) -> Result<WriteSet, StateError> {
        let (oldest, newest) = (self.oldest, self.position.length);
        if length < oldest || length > newest {
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        let mut held = WriteSet::new();
        let mut end = newest;
        while end > length {
            let (first, mut steps) = self.read_undo(end.saturating_sub(1), |first, record| {
                Some((first, undo::decode(first, record)?))
                    .filter(|(first, steps)| *first < end && !steps.is_empty())
            })?;
            while let Some(step) = steps.pop_if(|step| step.before.length >= length) {
                held.extend(step.writes.into_iter().map(|(space, key, value)| ((space, key), value)));
            }
            end = first;
        }
        Ok(held)
    }

    fn stage(&mut self, step: Step) -> Result<(), StateError> {
        let before = self.position;
        if step.index != before.length {
            return Err(StateError::Index { expected: before.length, found: step.index });
        }
        let mut found = Vec::with_capacity(step.writes.len());
        let HotState { staged, cache } = &mut *self.hot.open();
        for (space, key) in step.writes.keys() {
            if staged.get(space, key).is_some() {
                continue;
            }
            found.push(match cache.get(space, key) {
                Some(known) => known,
                None => kept(self.read(space, key)?.as_deref()),
            });
        }
        self.position = step.after();
        staged.add(&before, step, found);
        Ok(())
    }

    fn staged(&self) -> Waiting {
        let staged = &self.hot.open().staged;
        Waiting { steps: staged.steps(), bytes: staged.bytes() }
    }

    fn commit(&mut self) -> Result<(), StateError> {
        let after = self.position;
        let HotState { staged, cache } = &mut *self.hot.open();
        if staged.steps() == 0 {
            return Ok(());
        }
        // Pages that the table holds back cannot be written again.
        *self.table() = None;
        let record_bytes = staged.records().map(|(_, record)| record.len()).sum::<usize>();
        self.unsynced.steps += staged.steps() as u64;
        self.unsynced.bytes += record_bytes + staged.bytes();
        let transaction = self.database.begin_write().map_err(failed("written"))?;
        let (mut oldest, mut undo_bytes) = (self.oldest, self.undo_bytes);
        {
            let mut table = transaction.open_table(STATE).map_err(failed("written"))?;
            for (space, key, value) in staged.values() {
                write(&mut table, space, key, value)?;
            }
            let mut records = transaction.open_table(UNDO).map_err(failed("written"))?;
            for (first, record) in staged.records() {
                records.insert(first, record).map_err(failed("written"))?;
            }
            undo_bytes = undo_bytes.saturating_add(record_bytes as u64);
            while after.length.saturating_sub(oldest) > UNDO_STEPS || undo_bytes > UNDO_BYTES {
                let Some(kept) = drop_oldest(&mut records, after.length, undo_bytes)? else { break };
                (oldest, undo_bytes) = kept;
            }
        }
        write_position(&transaction, &after, undo_bytes)?;
        let durable = self.unsynced.steps >= UNSYNCED_STEPS
            || self.unsynced.bytes >= UNSYNCED_BYTES
            || self.unsynced.commits >= UNSYNCED_COMMITS;
        finish(transaction, durable, &mut self.unsynced)?;
        staged.clear(|space, key, value| cache.put(space, key, value));
        (self.committed, self.oldest, self.undo_bytes) = (after, oldest, undo_bytes);
        Ok(())
    }

    fn step_back(&mut self, length: u64) -> Result<(), StateError> {
        if length == self.position.length {
            return Ok(());
        }
        if length < self.oldest || length > self.position.length {
            let (oldest, newest) = (self.oldest, self.position.length);
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        self.commit()?;
        *self.table() = None;
        let transaction = self.database.begin_write().map_err(failed("written"))?;
        let (mut position, mut undo_bytes) = (self.position, self.undo_bytes);
        {
            let mut table = transaction.open_table(STATE).map_err(failed("written"))?;
            let mut records = transaction.open_table(UNDO).map_err(failed("written"))?;
            while position.length > length {
                let (first, mut steps, bytes) = take_last(&mut records, position.length)?;
                undo_bytes = undo_bytes.saturating_sub(bytes);
                while let Some(step) = steps.pop_if(|step| step.before.length >= length) {
                    for (space, key, value) in &step.writes {
                        write(&mut table, space, key, value.as_deref())?;
                    }
                    position = step.before;
                }
                if !steps.is_empty() {
                    let record = undo::encode(&steps);
                    undo_bytes = undo_bytes.saturating_add(record.len() as u64);
                    records.insert(first, record.as_slice()).map_err(failed("written"))?;
                }
            }
        }
        write_position(&transaction, &position, undo_bytes)?;
        // Rare, and what was taken back must not come again.
        finish(transaction, true, &mut self.unsynced)?;
        (self.position, self.committed, self.undo_bytes) = (position, position, undo_bytes);
        self.hot.open().cache.clear();
        Ok(())
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(file = %self.path.display(), %error, "the latest state of a room was not kept");
        }
    }
}

/// Ends a transaction.
fn finish(
    mut transaction: redb::WriteTransaction,
    durable: bool,
    unsynced: &mut Unsynced,
) -> Result<(), StateError> {
    let durability = if durable { Durability::Immediate } else { Durability::None };
    transaction.set_durability(durability).map_err(failed("written"))?;
    transaction.set_quick_repair(durable);
    transaction.commit().map_err(failed("written"))?;
    if durable {
        *unsynced = Unsynced::default();
    } else {
        unsynced.commits += 1;
    }
    Ok(())
}

fn write(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    space: &RuleId,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), StateError> {
    let key = full_key(space, key);
    let before = match value {
        Some(value) => table.insert(key.as_slice(), value),
        None => table.remove(key.as_slice()),
    };
    before.map(drop).map_err(failed("written"))
}

fn full_key(space: &RuleId, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(RuleId::LEN + key.len());
    full.extend_from_slice(space.as_bytes());
    full.extend_from_slice(key);
    full
}

fn write_position(
    transaction: &redb::WriteTransaction,
    position: &Position,
    undo_bytes: u64,
) -> Result<(), StateError> {
    let mut bytes = Vec::with_capacity(POSITION_BYTES);
    bytes.extend_from_slice(&position.length.to_be_bytes());
    bytes.extend_from_slice(position.state_root.as_bytes());
    bytes.extend_from_slice(position.tree_hash.as_bytes());
    bytes.extend_from_slice(&undo_bytes.to_be_bytes());
    let mut table = transaction.open_table(META).map_err(failed("written"))?;
    table.insert(META_POSITION, bytes.as_slice()).map(drop).map_err(failed("written"))
}

fn read_position(bytes: &[u8]) -> Option<(Position, u64)> {
    if bytes.len() != POSITION_BYTES {
        return None;
    }
    let (length, rest) = bytes.split_first_chunk()?;
    let (state_root, rest) = rest.split_first_chunk()?;
    let (tree_hash, rest) = rest.split_first_chunk()?;
    let (undo_bytes, _) = rest.split_first_chunk()?;
    let position = Position {
        length: u64::from_be_bytes(*length),
        state_root: StateRoot::new(*state_root),
        tree_hash: Hash::new(*tree_hash),
    };
    Some((position, u64::from_be_bytes(*undo_bytes)))
}

/// Drops the oldest record when there are enough without it; returns the least length that is then in reach,
/// and the bytes that are left.
fn drop_oldest(
    records: &mut Table<'_, u64, &'static [u8]>,
    length: u64,
    bytes: u64,
) -> Result<Option<(u64, u64)>, StateError> {
    let second = {
        let mut range = records.range(1..).map_err(failed("written"))?.skip(1);
        let second = range.next().transpose().map_err(failed("written"))?;
        second.map(|(key, _)| key.value())
    };
    let Some(second) = second else { return Ok(None) };
    if length.saturating_sub(second) < UNDO_STEPS && bytes <= UNDO_BYTES {
        return Ok(None);
    }
    let first = records.pop_first().map_err(failed("written"))?;
    let freed = first.map_or(0, |(_, record)| record.value().len() as u64);
    Ok(Some((second, bytes.saturating_sub(freed))))
}

/// Takes the last record, which ends at `length`; returns its first entry, its steps and its bytes.
fn take_last(
    records: &mut Table<'_, u64, &'static [u8]>,
    length: u64,
) -> Result<(u64, Vec<Undo>, u64), StateError> {
    let last = records.pop_last().map_err(failed("written"))?;
    let (first, record) = last.ok_or_else(|| damaged_undo(length))?;
    let first = first.value();
    let steps = undo::decode(first, record.value()).filter(|steps| !steps.is_empty());
    let steps = steps.filter(|steps| first.checked_add(steps.len() as u64) == Some(length));
    Ok((first, steps.ok_or_else(|| damaged_undo(first))?, record.value().len() as u64))
}

fn damaged_undo(index: u64) -> StateError {
    StateError::Damaged {
        what: format!("expected an undo record of entry {index}, found none that is whole"),
    }
}

/// Words for a failure of the database, which has an error type for every call.
fn failed<E: Into<redb::Error>>(action: &'static str) -> impl Fn(E) -> StateError {
    move |error| match error.into() {
        redb::Error::Corrupted(what) => StateError::Damaged { what },
        error => StateError::Failed { action, reason: error.to_string() },
    }
}
