//! The writer guard: what a feed was when it was written last, and where.
//!
//! A feed is written in one place. Whoever copies its key, or puts an older copy of it back, and writes on signs a
//! second history. So beside each writable feed lies a record of its head and of where the record itself lies. That
//! blocks are being written is durable before a head leaves the process; that they are, soon after. A feed that does
//! not fit its record, or has none, is not written ([`Doubt`]) until its newest head is known.
//!
//! ```text
//! file = slot | zeros up to 4096 | slot          the valid slot with the greater counter counts
//! slot = "quorate writer 1" | u64 counter | u8 state | key 32 | u64 length | tree hash 32
//!        | u16 bytes of the place | place | zeros up to 480 | b2b256 of the 480 bytes
//! ```
//!
//! Numbers are big-endian. It is written in place, since a file that replaces another one lies elsewhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_types::{Hash, PublicKey};

use crate::atomic::{SECRET_MODE, sync_directory};
use crate::place::{is_same_place, lacks_neighbour, place_of};

/// Name of the file in the feed's directory.
pub const WRITER_GUARD_FILE: &str = "quorate.writer";

const MAGIC: &[u8; 16] = b"quorate writer 1";

const SLOT_BYTES: usize = 512;
const SUMMED_BYTES: usize = SLOT_BYTES - Hash::LEN;

/// Distance of the slots: a write that is torn reaches no other page.
const SLOT_DISTANCE: u64 = 4096;

/// Longest place that is kept, bytes.
const MAX_PLACE_BYTES: usize = SUMMED_BYTES - 16 - 8 - 1 - PublicKey::LEN - 8 - Hash::LEN - 2;

/// Blocks are being written: the feed may be longer than the record says, by what nobody has seen.
const WRITING: u8 = 1;
/// The feed is what the record says.
const SETTLED: u8 = 2;

/// Length and tree hash of a feed; zeros for an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenHead {
    /// Blocks.
    pub length: u64,
    /// Tree hash.
    pub tree_hash: Hash,
}

impl WrittenHead {
    /// Head of a feed without blocks.
    pub const EMPTY: Self = Self { length: 0, tree_hash: Hash::new([0; Hash::LEN]) };
}

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterRecord {
    /// Where the feed was.
    pub head: WrittenHead,
    /// Whether more was being written.
    pub writing: bool,
}

/// Why a feed is not written, although its secret key is here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// There is no record.
    #[error("its secret key came from elsewhere: there is no record that the feed was ever written here")]
    Missing,
    /// There is something else than a record.
    #[error("the record of what was written here is damaged")]
    Damaged,
    /// The record is of another feed.
    #[error("the record of what was written here is that of another feed")]
    OtherFeed,
    /// The record was made on another machine.
    #[error("it was last written on another machine")]
    OtherMachine,
    /// The record is a copy.
    #[error("it is a copy, or was put back from one")]
    Moved,
    /// Blocks are missing that were written here.
    #[error(
        "expected the {expected} blocks that were written here, found {found}: an older copy was put back"
    )]
    Older {
        /// Blocks by the record.
        expected: u64,
        /// Blocks in the feed.
        found: u64,
    },
    /// Blocks were written elsewhere.
    #[error(
        "expected the {expected} blocks that were written here, found {found}: others were written elsewhere"
    )]
    Longer {
        /// Blocks by the record.
        expected: u64,
        /// Blocks in the feed.
        found: u64,
    },
    /// The blocks are others.
    #[error("expected the {length} blocks that were written here, found others")]
    OtherBlocks {
        /// Blocks by the record.
        length: u64,
    },
}

/// The record beside a feed that is written here. The feed's lock keeps others away from it.
#[derive(Debug)]
pub struct WriterGuard {
    file: Arc<File>,
    path: PathBuf,
    key: PublicKey,
    place: String,
    counter: u64,
    record: Option<WriterRecord>,
}

/// Makes what was written to the record durable. Blocks the thread.
#[derive(Debug, Clone)]
pub struct GuardSync(Arc<File>);

impl GuardSync {
    /// Waits until the record is on the disk.
    ///
    /// # Errors
    ///
    /// What the system answers; no new head may leave the process then.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl WriterGuard {
    /// Opens the record of a feed, and says whether it lies where it was made. A file that is not there is made, and
    /// holds no record. Blocks the thread.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn open(directory: &Path, key: PublicKey) -> io::Result<(Self, Result<WriterRecord, Doubt>)> {
        let path = file_in(directory);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SECRET_MODE)
            .open(&path)?;
        let (mut newest, mut is_empty) = (None::<Slot>, true);
        for number in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            let read = read_at(&file, &mut bytes, number * SLOT_DISTANCE)?;
            is_empty &= bytes[..read].iter().all(|byte| *byte == 0);
            let slot = Slot::decode(&bytes);
            newest = newest.into_iter().chain(slot).max_by_key(|slot| slot.counter);
        }
        let place = place_of(&path);
        let mut guard = Self { file: Arc::new(file), path, key, place, counter: 0, record: None };
        let found = match newest {
            Some(slot) => {
                guard.counter = slot.counter;
                guard.judge(slot)
            }
            None if is_empty => Err(Doubt::Missing),
            None => Err(Doubt::Damaged),
        };
        guard.record = found.as_ref().ok().copied();
        Ok((guard, found))
    }

    /// Makes the record of a new feed, which is durable when this returns. Blocks the thread.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn create(directory: &Path, key: PublicKey) -> io::Result<Self> {
        let (mut guard, _) = Self::open(directory, key)?;
        // Both slots, so that the file has all its bytes.
        guard.settle(WrittenHead::EMPTY)?;
        guard.settle(WrittenHead::EMPTY)?.sync()?;
        sync_directory(directory)?;
        Ok(guard)
    }

    fn judge(&self, slot: Slot) -> Result<WriterRecord, Doubt> {
        let machine = |place: &str| place.split(' ').next().map(str::to_owned);
        if slot.key != self.key {
            return Err(Doubt::OtherFeed);
        }
        if machine(&slot.place) != machine(&self.place) {
            return Err(Doubt::OtherMachine);
        }
        if !is_same_place(&slot.place, &self.place) {
            return Err(Doubt::Moved);
        }
        Ok(slot.record)
    }

    /// Returns what the record says; `None` while the feed is not to be written.
    pub const fn record(&self) -> Option<WriterRecord> {
        self.record
    }

    /// Notes that blocks are about to follow a head. They may leave the process when the [`GuardSync`] is done.
    ///
    /// # Errors
    ///
    /// What the system answers; nothing may be written then.
    pub fn begin(&mut self, head: WrittenHead) -> io::Result<GuardSync> {
        self.put(WriterRecord { head, writing: true })?;
        Ok(self.sync())
    }

    /// Notes the head of the feed, which is durable. From the next sync on an older copy of it is told.
    ///
    /// # Errors
    ///
    /// What the system answers; no new head may leave the process then.
    pub fn settle(&mut self, head: WrittenHead) -> io::Result<GuardSync> {
        self.put(WriterRecord { head, writing: false })?;
        Ok(self.sync())
    }

    /// Returns what makes the record durable.
    pub fn sync(&self) -> GuardSync {
        GuardSync(Arc::clone(&self.file))
    }

    fn put(&mut self, record: WriterRecord) -> io::Result<()> {
        let counter = self.counter.saturating_add(1);
        if lacks_neighbour(&self.place) {
            // A new feed has its record before its key.
            self.place = place_of(&self.path);
        }
        let slot = Slot { counter, key: self.key, record, place: self.place.clone() };
        self.file.write_all_at(&slot.encode(), (counter % 2) * SLOT_DISTANCE)?;
        (self.counter, self.record) = (counter, Some(record));
        Ok(())
    }
}

impl WriterRecord {
    /// Says whether a feed is what the record says. `at_record` is its tree hash at the length of the record, where it
    /// is that long.
    ///
    /// # Errors
    ///
    /// [`Doubt`].
    pub fn check(&self, length: u64, at_record: Option<Hash>) -> Result<(), Doubt> {
        let expected = self.head.length;
        if length < expected {
            return Err(Doubt::Older { expected, found: length });
        }
        if expected > 0 && at_record != Some(self.head.tree_hash) {
            return Err(Doubt::OtherBlocks { length: expected });
        }
        if length > expected && !self.writing {
            return Err(Doubt::Longer { expected, found: length });
        }
        Ok(())
    }
}

/// Returns where the record of a feed lies.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join(WRITER_GUARD_FILE)
}

struct Slot {
    counter: u64,
    key: PublicKey,
    record: WriterRecord,
    place: String,
}

impl Slot {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let place = &self.place.as_bytes()[..self.place.len().min(MAX_PLACE_BYTES)];
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.push(if self.record.writing { WRITING } else { SETTLED });
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(&self.record.head.length.to_be_bytes());
        bytes.extend_from_slice(self.record.head.tree_hash.as_bytes());
        bytes.extend_from_slice(&u16::try_from(place.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(place);
        bytes.resize(SUMMED_BYTES, 0);
        bytes.extend_from_slice(&sum(&bytes));
        let mut slot = [0; SLOT_BYTES];
        slot.copy_from_slice(&bytes);
        slot
    }

    fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let (summed, found) = bytes.split_at(SUMMED_BYTES);
        if found != sum(summed) {
            return None;
        }
        let rest = summed.strip_prefix(MAGIC)?;
        let (counter, rest) = rest.split_first_chunk()?;
        let (state, rest) = rest.split_first()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (tree_hash, rest) = rest.split_first_chunk()?;
        let (place_bytes, rest) = rest.split_first_chunk()?;
        let place = rest.get(..usize::from(u16::from_be_bytes(*place_bytes)))?;
        let head = WrittenHead { length: u64::from_be_bytes(*length), tree_hash: Hash::new(*tree_hash) };
        let writing = match *state {
            WRITING => true,
            SETTLED => false,
            _ => return None,
        };
        Some(Self {
            counter: u64::from_be_bytes(*counter),
            key: PublicKey::new(*key),
            record: WriterRecord { head, writing },
            place: String::from_utf8(place.to_vec()).ok()?,
        })
    }
}

fn sum(bytes: &[u8]) -> [u8; Hash::LEN] {
    let hash = blake2b_simd::Params::new().hash_length(Hash::LEN).hash(bytes);
    let mut sum = [0; Hash::LEN];
    sum.copy_from_slice(hash.as_bytes());
    sum
}

fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const KEY: PublicKey = PublicKey::new([1; 32]);

    fn head(length: u64) -> WrittenHead {
        WrittenHead { length, tree_hash: Hash::new([length as u8; 32]) }
    }

    fn found(directory: &Path) -> Result<WriterRecord, Doubt> {
        WriterGuard::open(directory, KEY).unwrap().1
    }

    #[test]
    fn what_was_noted_last_is_there_again() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(found(directory.path()), Err(Doubt::Missing));
        let mut guard = WriterGuard::create(directory.path(), KEY).unwrap();
        assert_eq!(found(directory.path()), Ok(WriterRecord { head: WrittenHead::EMPTY, writing: false }));
        for length in 1..6 {
            guard.begin(head(length - 1)).unwrap();
            assert_eq!(found(directory.path()), Ok(WriterRecord { head: head(length - 1), writing: true }));
            guard.settle(head(length)).unwrap().sync().unwrap();
            assert_eq!(found(directory.path()), Ok(WriterRecord { head: head(length), writing: false }));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_record_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut guard = WriterGuard::create(directory.path(), KEY).unwrap();
        guard.settle(head(1)).unwrap();
        guard.settle(head(2)).unwrap();
        let path = file_in(directory.path());
        let whole = fs::read(&path).unwrap();
        for at in 0..SLOT_BYTES {
            // The newest record has counter 4, and lies in the first slot.
            let mut torn = whole.clone();
            torn[at] ^= 1;
            write_in_place(&path, &torn);
            assert_eq!(found(directory.path()), Ok(WriterRecord { head: head(1), writing: false }), "{at}");
        }
        let mut damaged = whole.clone();
        damaged[3] ^= 1;
        damaged[SLOT_DISTANCE as usize + 3] ^= 1;
        write_in_place(&path, &damaged);
        assert_eq!(found(directory.path()), Err(Doubt::Damaged));
    }

    fn write_in_place(path: &Path, bytes: &[u8]) {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, 0).unwrap();
    }

    #[test]
    fn a_copy_is_told_from_what_was_written_here() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        WriterGuard::create(one.path(), KEY).unwrap();
        fs::copy(file_in(one.path()), file_in(other.path())).unwrap();
        assert_eq!(found(other.path()), Err(Doubt::Moved));
        // Put back in the same directory, it lies elsewhere on the disk.
        fs::rename(file_in(one.path()), one.path().join("kept")).unwrap();
        fs::copy(one.path().join("kept"), file_in(one.path())).unwrap();
        assert_eq!(found(one.path()), Err(Doubt::Moved));
        assert_eq!(
            WriterGuard::open(other.path(), PublicKey::new([2; 32])).unwrap().1,
            Err(Doubt::OtherFeed)
        );
        let (mut guard, _) = WriterGuard::open(other.path(), KEY).unwrap();
        assert_eq!(guard.record(), None);
        guard.place = "another-machine 1 2 3".to_owned();
        guard.settle(head(1)).unwrap();
        assert_eq!(found(other.path()), Err(Doubt::OtherMachine));
        // The inode of a file that was deleted went to its copy.
        guard.place = place_of(&file_in(other.path()));
        guard.place.push('9');
        guard.settle(head(1)).unwrap();
        assert_eq!(found(other.path()), Err(Doubt::Moved));
        let (mut guard, _) = WriterGuard::open(other.path(), KEY).unwrap();
        guard.settle(head(1)).unwrap();
        assert_eq!(found(other.path()), Ok(WriterRecord { head: head(1), writing: false }), "it was adopted");
    }

    #[test]
    fn a_feed_must_be_what_the_record_says() {
        let hash = |length: u64| Some(head(length).tree_hash);
        let settled = WriterRecord { head: head(5), writing: false };
        assert_eq!(settled.check(5, hash(5)), Ok(()));
        assert_eq!(settled.check(4, None), Err(Doubt::Older { expected: 5, found: 4 }));
        assert_eq!(settled.check(6, hash(5)), Err(Doubt::Longer { expected: 5, found: 6 }));
        assert_eq!(settled.check(5, hash(4)), Err(Doubt::OtherBlocks { length: 5 }));
        assert_eq!(settled.check(5, None), Err(Doubt::OtherBlocks { length: 5 }));
        let writing = WriterRecord { head: head(5), writing: true };
        assert_eq!(writing.check(9, hash(5)), Ok(()), "what a crash left");
        assert_eq!(writing.check(4, None), Err(Doubt::Older { expected: 5, found: 4 }));
        assert_eq!(writing.check(9, hash(6)), Err(Doubt::OtherBlocks { length: 5 }));
        let empty = WriterRecord { head: WrittenHead::EMPTY, writing: false };
        assert_eq!(empty.check(0, None), Ok(()));
        assert_eq!(empty.check(1, hash(1)), Err(Doubt::Longer { expected: 0, found: 1 }));
    }
}
