//! State of a room on disk, in one file beside its feed.
//!
//! The state is a function of the blocks, so losing some of it costs time and nothing else: most commits are
//! not synced, and opening after a crash finds the state at an older position, whole. `docs/storage.md` has
//! the layout.

mod cache;
mod open;
mod snapshot;
mod undo;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_rules::state::{Position, RoomStore, StateError, StateStore, Step, UNDO_STEPS, WriteSet};
use quorate_types::{Hash, RoomId, RuleId, StateRoot};
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};

use self::cache::Cache;
pub use self::open::{Found, OpenStateError};
pub use self::snapshot::{Snapshot, SnapshotError};
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

/// Keys of a batch for which room is made before they are counted.
const BATCH_KEYS: usize = 4096;

/// Bytes after which a batch begins another undo record: together with what the database adds they fit a page of
/// 64 KiB, which is zeroed and written whole, and little is read for one step.
const RECORD_BYTES: usize = 60 << 10;

/// Room for the last step of a record, bytes.
const RECORD_SLACK: usize = 2 << 10;

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
    position: Position,
    oldest: u64,
    undo_bytes: u64,
    unsynced: Unsynced,
    reader: Mutex<Reader>,
}

/// What a crash would take back.
#[derive(Debug, Default)]
struct Unsynced {
    steps: u64,
    bytes: usize,
    commits: u32,
}

#[derive(Debug)]
struct Reader {
    cache: Cache,
    /// Opened at the first read after a commit: a table that stays open holds old pages back.
    table: Option<ReadOnlyTable<&'static [u8], &'static [u8]>>,
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

    /// Makes everything that was committed durable. Dropping does so as well, and cannot tell when it fails.
    ///
    /// # Errors
    ///
    /// [`StateError::Failed`].
    pub fn sync(&mut self) -> Result<(), StateError> {
        if self.unsynced.commits == 0 {
            return Ok(());
        }
        let transaction = self.database.begin_write().map_err(failed("synced"))?;
        self.finish(transaction, true)
    }

    fn finish(&mut self, mut transaction: redb::WriteTransaction, durable: bool) -> Result<(), StateError> {
        let durability = if durable { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(failed("written"))?;
        transaction.set_quick_repair(durable);
        transaction.commit().map_err(failed("written"))?;
        if durable {
            self.unsynced = Unsynced::default();
        } else {
            self.unsynced.commits += 1;
        }
        Ok(())
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_undo(&self, length: u64) -> Result<Option<(u64, Vec<Undo>)>, StateError> {
        let transaction = self.database.begin_read().map_err(failed("read"))?;
        let table = transaction.open_table(UNDO).map_err(failed("read"))?;
        let Some(found) = table.range(..=length).map_err(failed("read"))?.next_back() else {
            return Ok(None);
        };
        let (first, record) = found.map_err(failed("read"))?;
        let first = first.value();
        let steps = undo::decode(first, record.value()).ok_or_else(|| damaged_undo(first))?;
        Ok(Some((first, steps)))
    }
}

impl StateStore for RedbStore {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut reader = self.reader();
        if let Some(known) = reader.cache.get(space, key) {
            return Ok(known);
        }
        let table = match reader.table.take() {
            Some(table) => table,
            None => {
                let transaction = self.database.begin_read().map_err(failed("read"))?;
                transaction.open_table(STATE).map_err(failed("read"))?
            }
        };
        let found = table.get(full_key(space, key).as_slice()).map_err(failed("read"))?;
        let value = found.map(|value| value.value().to_vec());
        reader.table = Some(table);
        reader.cache.put(space, key.to_vec(), value.clone());
        Ok(value)
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
        let missing = || damaged_undo(length);
        let (first, steps) = self.read_undo(length)?.ok_or_else(missing)?;
        let step = usize::try_from(length - first).ok().and_then(|at| steps.get(at));
        Ok(Some(step.ok_or_else(missing)?.before))
    }

    fn held_at(&self, length: u64) -> Result<WriteSet, StateError> {
        let (oldest, newest) = (self.oldest, self.position.length);
        if length < oldest || length > newest {
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        let mut held = WriteSet::new();
        let mut end = newest;
        while end > length {
            let missing = || damaged_undo(end);
            let (first, mut steps) = self.read_undo(end.saturating_sub(1))?.ok_or_else(missing)?;
            if first >= end || steps.is_empty() {
                return Err(missing());
            }
            while let Some(step) = steps.pop_if(|step| step.before.length >= length) {
                held.extend(step.writes.into_iter().map(|(space, key, value)| ((space, key), value)));
            }
            end = first;
        }
        Ok(held)
    }

    fn commit(&mut self, batch: &[Step]) -> Result<(), StateError> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        let after = last.after();
        let steps = batch.len() as u64;
        let change = self.change_of(batch)?;

        // Pages that the table holds back cannot be written again.
        self.reader().table = None;
        let record_bytes = change.records.iter().map(|(_, record)| record.len()).sum::<usize>();
        let bytes = record_bytes + change.bytes;
        self.unsynced.steps += steps;
        self.unsynced.bytes += bytes;
        let transaction = self.database.begin_write().map_err(failed("written"))?;
        let (mut oldest, mut undo_bytes) = (self.oldest, self.undo_bytes);
        {
            let mut table = transaction.open_table(STATE).map_err(failed("written"))?;
            for ((space, key), value) in &change.values {
                write(&mut table, space, key, *value)?;
            }
            let mut records = transaction.open_table(UNDO).map_err(failed("written"))?;
            for (first, record) in &change.records {
                records.insert(first, record.as_slice()).map_err(failed("written"))?;
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
        self.finish(transaction, durable)?;

        (self.position, self.oldest, self.undo_bytes) = (after, oldest, undo_bytes);
        let mut reader = self.reader();
        for ((space, key), value) in change.values {
            reader.cache.put(space, key.to_vec(), value.map(<[u8]>::to_vec));
        }
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
        self.reader().table = None;
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
                    let mut record = Vec::new();
                    steps.iter().for_each(|step| undo::encode(step, &mut record));
                    undo_bytes = undo_bytes.saturating_add(record.len() as u64);
                    records.insert(first, record.as_slice()).map_err(failed("written"))?;
                }
            }
        }
        write_position(&transaction, &position, undo_bytes)?;
        // Rare, and what was taken back must not come again.
        self.finish(transaction, true)?;
        (self.position, self.undo_bytes) = (position, undo_bytes);
        self.reader().cache.clear();
        Ok(())
    }
}

/// Namespace and key.
type Key<'a> = (&'a RuleId, &'a [u8]);

/// What a batch changes: the last value of each key, by key, and how to take it all back.
struct Change<'a> {
    values: Vec<(Key<'a>, Option<&'a [u8]>)>,
    /// Undo records, each with its first entry.
    records: Vec<(u64, Vec<u8>)>,
    /// Bytes of the keys and values.
    bytes: usize,
}

impl RedbStore {
    fn change_of<'a>(&self, batch: &'a [Step]) -> Result<Change<'a>, StateError> {
        // In the order of the keys at the end and not before: an ordered map would compare each key a dozen times.
        // Room for all writes of a small batch, and for the keys that a large one writes again and again.
        let writes = batch.iter().map(|step| step.writes.len()).sum::<usize>();
        let mut spaces: BTreeMap<&RuleId, HashMap<&'a [u8], Option<&'a [u8]>>> = BTreeMap::new();
        let mut bytes = 0;
        let (mut records, mut first, mut record) = (Vec::new(), self.position.length, Vec::new());
        let mut position = self.position;
        for step in batch {
            if step.index != position.length {
                return Err(StateError::Index { expected: position.length, found: step.index });
            }
            if record.len() >= RECORD_BYTES {
                let next = Vec::with_capacity(RECORD_BYTES + RECORD_SLACK);
                records.push((first, std::mem::replace(&mut record, next)));
                first = step.index;
            }
            undo::begin_step(&position, step.writes.len(), &mut record);
            for ((space, key), value) in &step.writes {
                bytes += RuleId::LEN + key.len() + value.as_ref().map_or(0, Vec::len);
                let values =
                    spaces.entry(space).or_insert_with(|| HashMap::with_capacity(writes.min(BATCH_KEYS)));
                match values.insert(key, value.as_deref()) {
                    Some(before) => undo::put_write(space, key, before, &mut record),
                    None => undo::put_write(space, key, self.get(space, key)?.as_deref(), &mut record),
                }
            }
            position = step.after();
        }
        records.push((first, record));
        let mut values = Vec::with_capacity(spaces.values().map(HashMap::len).sum());
        for (space, keys) in spaces {
            let start = values.len();
            values.extend(keys.into_iter().map(|(key, value)| ((space, key), value)));
            if let Some(keys) = values.get_mut(start..) {
                keys.sort_unstable_by_key(|((_, key), _)| *key);
            }
        }
        Ok(Change { values, records, bytes })
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(file = %self.path.display(), %error, "the latest state of a room was not kept");
        }
    }
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
