//! What a node has signed and collected for the quorum of a room: votes, seals, certificates, evidence.
//!
//! Durable before it is sent: a write is synced when it returns. The file knows where it was made (the vote guard): a
//! copy, or a file put back from elsewhere, may lack the newest votes, and whoever votes by it could contradict itself.
//! `docs/storage.md` has the layout.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use quorate_quorum::engine::{Guard, Slot};
use quorate_types::{Hash, RoomId};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::place::{is_same_place, place_of};

/// Name of the file in the stream's directory.
pub const VOTE_RECORDS_FILE: &str = "quorum.redb";

/// Records by slot: `u8 kind | u64be epoch`, or `u8 kind | id 32`.
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const META_ROOM: &str = "room";
const META_PLACE: &str = "place";
/// Blocks of the room that were here as they are committed, u64le.
const META_COMMITTED: &str = "committed";

/// Place of records that were begun anew: whatever was signed before is not in them.
const LOST: &str = "lost";

/// Place of records in which a vote is missing that was seen elsewhere.
const FOREIGN: &str = "foreign";

const FOREIGN_REASON: &str = "a vote by its own key was seen that is not in its records: they were put back, or the key is in use elsewhere";

/// Why the records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VoteRecordsError {
    /// The file cannot be read or written.
    #[error("cannot {doing} {}: {error}", path.display())]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: Box<redb::Error>,
    },
    /// It is not what was written.
    #[error("expected the quorum records of room {room} in {}, found {found}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Room whose records it should hold.
        room: RoomId,
        /// What it holds.
        found: &'static str,
    },
}

/// The records of one room; one process at a time has them open.
#[derive(Debug)]
pub struct VoteRecords {
    database: Database,
    path: PathBuf,
}

/// What opening has found.
#[derive(Debug)]
pub struct OpenedRecords {
    /// The file.
    pub store: VoteRecords,
    /// All records.
    pub records: Vec<(Slot, Bytes)>,
    /// Whether they can be trusted to be the newest.
    pub guard: Guard,
    /// Why not.
    pub reason: Option<String>,
    /// Blocks of the room that were known to be here as they are committed; 0 where nothing was noted.
    pub committed: u64,
}

/// What the file holds.
struct Contents {
    room: Option<Vec<u8>>,
    place: Option<Vec<u8>>,
    committed: u64,
    records: Vec<(Vec<u8>, Bytes)>,
}

impl VoteRecords {
    /// Opens the records of a room, which are made when they are not there.
    ///
    /// `is_new` says that nothing else of the room is here either; else records that are missing were lost. Blocks the
    /// thread.
    ///
    /// # Errors
    ///
    /// [`VoteRecordsError`]; nothing may be signed then.
    pub fn open(directory: &Path, room: RoomId, is_new: bool) -> Result<OpenedRecords, VoteRecordsError> {
        let path = directory.join(VOTE_RECORDS_FILE);
        let was_there = path.exists();
        let database = Database::create(&path).map_err(failed("open", &path))?;
        let place = place_of(&path);
        let store = Self { database, path };
        if !was_there {
            let place = if is_new { place.as_str() } else { LOST };
            store.begin(&room, place).map_err(failed("make", &store.path))?;
            crate::atomic::sync_directory(directory)
                .map_err(|error| failed("make", &store.path)(redb::Error::Io(error)))?;
            let reason = (!is_new).then(|| "the records of its votes are lost".to_owned());
            return Ok(store.opened(Vec::new(), 0, reason));
        }
        let contents = store.read().map_err(failed("read", &store.path))?;
        if contents.room.as_deref() != Some(room.as_bytes()) {
            let found = if contents.room.is_some() { "those of another room" } else { "none" };
            return Err(VoteRecordsError::Damaged { path: store.path, room, found });
        }
        let mut slots = Vec::with_capacity(contents.records.len());
        for (key, record) in contents.records {
            let Some(slot) = slot_of(&key) else {
                let found = "a record without a place";
                return Err(VoteRecordsError::Damaged { path: store.path, room, found });
            };
            slots.push((slot, record));
        }
        let mut committed = contents.committed;
        let is_here =
            |known: &[u8]| std::str::from_utf8(known).is_ok_and(|known| is_same_place(known, &place));
        let reason = match contents.place.as_deref() {
            Some(known) if is_here(known) => None,
            Some(known) if known == LOST.as_bytes() => Some("the records of its votes are lost".to_owned()),
            Some(known) if known == FOREIGN.as_bytes() => Some(FOREIGN_REASON.to_owned()),
            _ => {
                // It says nothing of the blocks that lie here.
                committed = 0;
                Some("the records of its votes are a copy, or were put back".to_owned())
            }
        };
        if reason.is_none() && contents.place.as_deref() != Some(place.as_bytes()) {
            store.note_place(&place).map_err(failed("write", &store.path))?;
        }
        Ok(store.opened(slots, committed, reason))
    }

    /// Notes a place that was spelled otherwise before.
    fn note_place(&self, place: &str) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(META)?.insert(META_PLACE, place.as_bytes())?;
        transaction.commit()?;
        Ok(())
    }

    fn opened(self, records: Vec<(Slot, Bytes)>, committed: u64, reason: Option<String>) -> OpenedRecords {
        let guard = if reason.is_some() { Guard::Recovering } else { Guard::Intact };
        OpenedRecords { store: self, records, guard, reason, committed }
    }

    /// Writes records, each in place of what lies in its slot, and how many blocks of the room are here as they are
    /// committed; all are durable when this returns. Blocks the thread.
    ///
    /// # Errors
    ///
    /// [`VoteRecordsError::Failed`]; none of them may be counted on then.
    pub fn write(&self, records: &[(Slot, Bytes)], committed: u64) -> Result<(), VoteRecordsError> {
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
            {
                let mut table = transaction.open_table(RECORDS)?;
                for (slot, record) in records {
                    table.insert(key_of(slot).as_slice(), record.as_ref())?;
                }
                transaction.open_table(META)?.insert(META_COMMITTED, committed.to_le_bytes().as_slice())?;
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(failed("write", &self.path))
    }

    /// Notes that these are not all votes that were signed with the key: nothing is signed by them any more, not after the
    /// next start either. Durable when it returns; blocks the thread. Returns the reason, in words.
    ///
    /// # Errors
    ///
    /// [`VoteRecordsError::Failed`].
    pub fn give_up(&self) -> Result<&'static str, VoteRecordsError> {
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
            transaction.open_table(META)?.insert(META_PLACE, FOREIGN.as_bytes())?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(failed("write", &self.path))?;
        Ok(FOREIGN_REASON)
    }

    fn begin(&self, room: &RoomId, place: &str) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_ROOM, room.as_bytes().as_slice())?;
            meta.insert(META_PLACE, place.as_bytes())?;
            transaction.open_table(RECORDS)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Result<Contents, redb::Error> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let get =
            |name| -> Result<_, redb::Error> { Ok(meta.get(name)?.map(|value| value.value().to_vec())) };
        let committed =
            get(META_COMMITTED)?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let mut records = Vec::new();
        for record in transaction.open_table(RECORDS)?.iter()? {
            let (key, value) = record?;
            records.push((key.value().to_vec(), Bytes::copy_from_slice(value.value())));
        }
        Ok(Contents { room: get(META_ROOM)?, place: get(META_PLACE)?, committed, records })
    }
}

fn key_of(slot: &Slot) -> Vec<u8> {
    let numbered = |kind: u8, epoch: u64| [&[kind][..], &epoch.to_be_bytes()].concat();
    match slot {
        Slot::Vote { epoch } => numbered(1, *epoch),
        Slot::Seal { epoch } => numbered(2, *epoch),
        Slot::Grant { epoch } => numbered(3, *epoch),
        Slot::Qc { epoch } => numbered(4, *epoch),
        Slot::Start { epoch } => numbered(5, *epoch),
        Slot::Final => vec![6],
        Slot::Evidence { id } => [&[7][..], id.as_bytes()].concat(),
    }
}

fn slot_of(key: &[u8]) -> Option<Slot> {
    let (kind, rest) = key.split_first()?;
    let epoch = || <[u8; 8]>::try_from(rest).ok().map(u64::from_be_bytes);
    Some(match kind {
        1 => Slot::Vote { epoch: epoch()? },
        2 => Slot::Seal { epoch: epoch()? },
        3 => Slot::Grant { epoch: epoch()? },
        4 => Slot::Qc { epoch: epoch()? },
        5 => Slot::Start { epoch: epoch()? },
        6 if rest.is_empty() => Slot::Final,
        7 => Slot::Evidence { id: Hash::from_slice(rest)? },
        _ => return None,
    })
}

fn failed<E: Into<redb::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> VoteRecordsError {
    let path = path.to_owned();
    move |error| VoteRecordsError::Failed { doing, path, error: Box::new(error.into()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ROOM: RoomId = RoomId::new([1; 32]);

    fn slots() -> Vec<(Slot, Bytes)> {
        let id = Hash::new([7; 32]);
        let slots = [
            Slot::Vote { epoch: 0 },
            Slot::Seal { epoch: 1 },
            Slot::Grant { epoch: 2 },
            Slot::Qc { epoch: 3 },
            Slot::Start { epoch: u64::MAX },
            Slot::Final,
            Slot::Evidence { id },
        ];
        slots.into_iter().zip(0_u8..).map(|(slot, i)| (slot, Bytes::from(vec![i; 10]))).collect()
    }

    #[test]
    fn records_are_there_again_and_the_last_in_a_slot_counts() {
        let directory = tempfile::tempdir().unwrap();
        let opened = VoteRecords::open(directory.path(), ROOM, true).unwrap();
        assert!(opened.records.is_empty() && opened.guard == Guard::Intact);
        opened.store.write(&slots(), 3).unwrap();
        opened.store.write(&[(Slot::Final, Bytes::from_static(b"newer"))], 5).unwrap();
        drop(opened);
        let opened = VoteRecords::open(directory.path(), ROOM, false).unwrap();
        assert_eq!((opened.guard, opened.committed), (Guard::Intact, 5), "{:?}", opened.reason);
        let mut expected = slots();
        expected[5].1 = Bytes::from_static(b"newer");
        assert_eq!(opened.records, expected);
    }

    #[test]
    fn a_copy_and_lost_records_are_not_voted_by() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let opened = VoteRecords::open(one.path(), ROOM, true).unwrap();
        opened.store.write(&slots(), 3).unwrap();
        drop(opened);
        fs::copy(one.path().join(VOTE_RECORDS_FILE), other.path().join(VOTE_RECORDS_FILE)).unwrap();
        let copied = VoteRecords::open(other.path(), ROOM, false).unwrap();
        assert_eq!((copied.guard, copied.records.len(), copied.committed), (Guard::Recovering, 7, 0));
        fs::remove_file(one.path().join(VOTE_RECORDS_FILE)).unwrap();
        let lost = VoteRecords::open(one.path(), ROOM, false).unwrap();
        assert_eq!(lost.guard, Guard::Recovering);
        assert!(lost.reason.unwrap().contains("lost"));
        drop(lost.store);
        let again = VoteRecords::open(one.path(), ROOM, false).unwrap();
        assert_eq!(again.guard, Guard::Recovering, "what is lost stays lost");
    }

    #[test]
    fn records_that_lack_a_vote_are_not_voted_by_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let opened = VoteRecords::open(directory.path(), ROOM, true).unwrap();
        let reason = opened.store.give_up().unwrap();
        opened.store.write(&slots(), 3).unwrap();
        drop(opened);
        let again = VoteRecords::open(directory.path(), ROOM, false).unwrap();
        assert_eq!((again.guard, again.reason.as_deref()), (Guard::Recovering, Some(reason)));
    }

    #[test]
    fn those_of_another_room_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        drop(VoteRecords::open(directory.path(), ROOM, true).unwrap());
        let error = VoteRecords::open(directory.path(), RoomId::new([2; 32]), false).unwrap_err();
        assert!(matches!(error, VoteRecordsError::Damaged { found: "those of another room", .. }), "{error}");
    }

    #[test]
    fn every_slot_has_a_key_of_its_own() {
        let keys: std::collections::BTreeSet<Vec<u8>> =
            slots().iter().map(|(slot, _)| key_of(slot)).collect();
        assert_eq!(keys.len(), 7);
        for (slot, _) in slots() {
            assert_eq!(slot_of(&key_of(&slot)), Some(slot));
        }
        for wrong in [&[][..], &[1], &[6, 0], &[7, 1], &[8], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(slot_of(wrong), None, "{wrong:?}");
        }
    }
}
