//! A disk in memory that fails as it is told: errors, torn writes, power cuts.
//!
//! A [`FaultyDisk`] has files; each [`Faulty`] is one of them, opened. A file has what was synced, and
//! the changes since. [`FaultyDisk::crash`] makes the disk that is found after a power cut: of the
//! changes that were not synced each has happened, or has not, or has happened in part, by the seed.
//! Changes of one file are neither kept nor lost in order, as on a real disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use random_access_storage::{RandomAccess, RandomAccessError};

/// Largest file, bytes: a wrong offset is to fail, not to fill the memory.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with an input/output error and changes nothing.
    Io,
    /// The call fails because the disk is full, after part of a write.
    NoSpace,
    /// A part of the write, by the seed, is done; then the call fails with an input/output error.
    Torn,
    /// As [`Fault::Torn`], and every later call of any file fails.
    PowerCut,
}

/// When it goes wrong: calls are counted from 0, over all files of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// At a write, a deletion or a truncation.
    Write(u64),
    /// At a sync.
    Sync(u64),
}

/// The disk: shared by its files and by whoever makes it fail.
#[derive(Debug, Clone)]
pub struct FaultyDisk(Arc<Mutex<State>>);

/// One file of a [`FaultyDisk`].
#[derive(Debug, Clone)]
pub struct Faulty {
    disk: FaultyDisk,
    name: String,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<String, File>,
    plan: BTreeMap<When, Fault>,
    random: Random,
    writes: u64,
    syncs: u64,
    off: bool,
}

#[derive(Debug, Default, Clone)]
struct File {
    synced: Vec<u8>,
    now: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl FaultyDisk {
    /// Makes an empty disk. The same seed and the same calls give the same faults.
    pub fn new(seed: u64) -> Self {
        Self::with_files(BTreeMap::new(), seed)
    }

    fn with_files(files: BTreeMap<String, File>, seed: u64) -> Self {
        let state =
            State { files, plan: BTreeMap::new(), random: Random(seed), writes: 0, syncs: 0, off: false };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Opens a file, which is made if it is not there.
    pub fn file(&self, name: &str) -> Faulty {
        self.state().files.entry(name.to_owned()).or_default();
        Faulty { disk: self.clone(), name: name.to_owned() }
    }

    /// Plans a fault.
    pub fn plan(&self, when: When, fault: Fault) {
        self.state().plan.insert(when, fault);
    }

    /// Writes, deletions and truncations so far, over all files.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Syncs so far, over all files.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Makes the disk that is found when the power fails now. This disk stays as it is, so that
    /// other seeds can be tried.
    pub fn crash(&self, seed: u64) -> Self {
        let mut random = Random(seed);
        let state = self.state();
        let survive = |(name, file): (&String, &File)| (name.clone(), file.after_crash(&mut random));
        let files = state.files.iter().map(survive).collect();
        Self::with_files(files, seed)
    }

    /// Makes the disk that is found when the computer goes on and only the process ends: with all
    /// that was written, synced or not.
    pub fn snapshot(&self) -> Self {
        let state = self.state();
        let whole = |file: &File| File { synced: file.now.clone(), now: file.now.clone(), changes: vec![] };
        let files = state.files.iter().map(|(name, file)| (name.clone(), whole(file))).collect();
        Self::with_files(files, state.random.0)
    }

    /// Returns the bytes of a file, synced or not, or `None` when there is no such file.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.state().files.get(name).map(|file| file.now.clone())
    }

    /// Replaces the bytes of a file, synced, to plant damage.
    pub fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let file = File { synced: bytes.clone(), now: bytes, changes: vec![] };
        self.state().files.insert(name.to_owned(), file);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self) -> Result<(), RandomAccessError> {
        if self.off {
            return Err(io::Error::other("the power is off").into());
        }
        Ok(())
    }

    /// Counts a change of `length` bytes and returns how many of them are done, and the error.
    fn next_change(&mut self, length: usize) -> (usize, Option<io::Error>) {
        let number = self.writes;
        self.writes += 1;
        let Some(fault) = self.plan.get(&When::Write(number)).copied() else { return (length, None) };
        self.off |= fault == Fault::PowerCut;
        let part = match fault {
            Fault::Io => 0,
            Fault::NoSpace | Fault::Torn | Fault::PowerCut => self.random.below(length as u64 + 1) as usize,
        };
        (part, Some(error_of(fault)))
    }

    fn change(&mut self, name: &str, change: Change) -> Result<(), RandomAccessError> {
        self.check()?;
        let length = change.bytes();
        let (part, error) = self.next_change(length);
        if part == length && (error.is_none() || length > 0) {
            self.apply(name, change);
        } else if part > 0 {
            self.apply(name, change.cut(part));
        }
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn apply(&mut self, name: &str, change: Change) {
        let file = self.files.entry(name.to_owned()).or_default();
        change.apply(&mut file.now);
        file.changes.push(change);
    }
}

fn error_of(fault: Fault) -> io::Error {
    match fault {
        Fault::NoSpace => io::Error::new(io::ErrorKind::StorageFull, "planned: no space left on device"),
        Fault::Io | Fault::Torn => io::Error::other("planned: input/output error"),
        Fault::PowerCut => io::Error::other("planned: power cut"),
    }
}

impl File {
    fn after_crash(&self, random: &mut Random) -> Self {
        let mut bytes = self.synced.clone();
        for change in &self.changes {
            match random.below(3) {
                0 => {}
                1 => change.apply(&mut bytes),
                _ => change.cut(random.below(change.bytes() as u64 + 1) as usize).apply(&mut bytes),
            }
        }
        Self { synced: bytes.clone(), now: bytes, changes: vec![] }
    }
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::Length(_) => 0,
        }
    }

    /// Returns the first bytes of a write; the length of a file changes at once.
    fn cut(&self, part: usize) -> Self {
        match self {
            Self::Write { offset, bytes } => {
                Self::Write { offset: *offset, bytes: bytes[..part.min(bytes.len())].to_vec() }
            }
            Self::Length(length) => Self::Length(*length),
        }
    }

    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } if !bytes.is_empty() => {
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }
            Self::Write { .. } => {}
            Self::Length(length) => file.resize(*length, 0),
        }
    }
}

impl Faulty {
    fn out_of_bounds(&self, offset: u64, length: Option<u64>) -> RandomAccessError {
        let end = length.map(|length| offset.saturating_add(length));
        let length = self.disk.bytes(&self.name).map_or(0, |bytes| bytes.len() as u64);
        RandomAccessError::OutOfBounds { offset, end, length }
    }

    fn length(&self) -> u64 {
        self.disk.state().files.get(&self.name).map_or(0, |file| file.now.len() as u64)
    }
}

#[async_trait::async_trait]
impl RandomAccess for Faulty {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        match offset.checked_add(data.len() as u64) {
            Some(end) if end <= MAX_FILE_BYTES => {}
            _ => return Err(self.out_of_bounds(offset, Some(data.len() as u64))),
        }
        let change = Change::Write { offset: offset as usize, bytes: data.to_vec() };
        self.disk.state().change(&self.name, change)
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length());
        let Some(end) = end else { return Err(self.out_of_bounds(offset, Some(length))) };
        let state = self.disk.state();
        state.check()?;
        let bytes = state.files.get(&self.name).map(|file| file.now[offset as usize..end as usize].to_vec());
        Ok(bytes.unwrap_or_default())
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        let now = self.length();
        if offset > now {
            return Err(self.out_of_bounds(offset, None));
        }
        if length == 0 {
            return Ok(());
        }
        let end = offset.saturating_add(length);
        let change = if end >= now {
            Change::Length(offset as usize)
        } else {
            Change::Write { offset: offset as usize, bytes: vec![0; length as usize] }
        };
        self.disk.state().change(&self.name, change)
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        if length > MAX_FILE_BYTES {
            return Err(self.out_of_bounds(length, None));
        }
        self.disk.state().change(&self.name, Change::Length(length as usize))
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        self.disk.state().check()?;
        Ok(self.length())
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.len().await? == 0)
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        let mut state = self.disk.state();
        state.check()?;
        let number = state.syncs;
        state.syncs += 1;
        if let Some(fault) = state.plan.get(&When::Sync(number)).copied() {
            state.off |= fault == Fault::PowerCut;
            return Err(error_of(fault).into());
        }
        if let Some(file) = state.files.get_mut(&self.name) {
            file.synced = file.now.clone();
            file.changes.clear();
        }
        Ok(())
    }
}

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_lite::future::block_on;

    use super::*;

    fn write(file: &mut Faulty, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        block_on(file.write(offset, data))
    }

    #[test]
    fn what_is_synced_survives_and_the_rest_may_not() {
        let disk = FaultyDisk::new(1);
        let (mut file, mut other) = (disk.file("a"), disk.file("b"));
        write(&mut file, 0, b"safe").unwrap();
        write(&mut other, 0, b"other").unwrap();
        block_on(file.sync_all()).unwrap();
        write(&mut file, 4, b"1111").unwrap();
        write(&mut file, 8, b"2222").unwrap();
        let mut found = BTreeSet::new();
        for seed in 0..500 {
            let after = disk.crash(seed);
            let bytes = after.bytes("a").unwrap();
            assert_eq!(&bytes[..4], b"safe");
            assert_eq!(disk.crash(seed).bytes("a").unwrap(), bytes, "the same seed, the same image");
            found.insert(bytes);
            found.insert(after.bytes("b").unwrap());
        }
        for image in
            [&b"safe"[..], b"safe1111", b"safe11112222", b"safe\0\0\0\x002222", b"safe11", b"", b"oth"]
        {
            assert!(found.contains(image), "{image:?}");
        }
        assert_eq!(disk.snapshot().bytes("a").unwrap(), b"safe11112222");
        assert_eq!(disk.snapshot().crash(3).bytes("a").unwrap(), b"safe11112222");
    }

    #[test]
    fn faults_come_when_they_are_planned() {
        let disk = FaultyDisk::new(2);
        let mut file = disk.file("a");
        disk.plan(When::Write(1), Fault::Io);
        disk.plan(When::Write(2), Fault::NoSpace);
        disk.plan(When::Write(3), Fault::Torn);
        disk.plan(When::Sync(0), Fault::Io);
        write(&mut file, 0, &[1; 100]).unwrap();
        assert!(write(&mut file, 0, &[2; 100]).is_err());
        assert_eq!(disk.bytes("a").unwrap(), [1; 100]);
        match write(&mut file, 0, &[3; 100]) {
            Err(RandomAccessError::IO { source, .. }) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull)
            }
            other => panic!("expected no space, found {other:?}"),
        }
        assert!(write(&mut file, 0, &[4; 100]).is_err());
        let bytes = disk.bytes("a").unwrap();
        let torn = bytes.iter().position(|byte| *byte != 4).unwrap_or(100);
        assert!(torn < 100 && bytes[torn..].iter().all(|byte| *byte != 4));
        assert!(block_on(file.sync_all()).is_err());
        // A sync that failed has saved nothing.
        assert!((0..50).any(|seed| disk.crash(seed).bytes("a").unwrap().is_empty()));
        block_on(file.sync_all()).unwrap();
        assert!((0..50).all(|seed| disk.crash(seed).bytes("a").unwrap() == bytes));
        assert_eq!((disk.writes(), disk.syncs()), (4, 2));
    }

    #[test]
    fn after_a_power_cut_nothing_works() {
        let disk = FaultyDisk::new(3);
        let (mut file, mut other) = (disk.file("a"), disk.file("b"));
        disk.plan(When::Write(1), Fault::PowerCut);
        write(&mut file, 0, b"x").unwrap();
        assert!(write(&mut file, 1, b"y").is_err());
        assert!(write(&mut other, 0, b"z").is_err());
        assert!(block_on(file.read(0, 1)).is_err());
        assert!(block_on(file.sync_all()).is_err());
        assert!(write(&mut disk.crash(1).file("a"), 0, b"z").is_ok());
    }

    #[test]
    fn it_is_a_file_as_others_are() {
        let mut file = FaultyDisk::new(4).file("a");
        write(&mut file, 3, b"abc").unwrap();
        assert_eq!(block_on(file.read(0, 6)).unwrap(), b"\0\0\0abc");
        assert!(block_on(file.read(0, 7)).is_err() && block_on(file.read(u64::MAX, 2)).is_err());
        block_on(file.del(1, 3)).unwrap();
        assert_eq!(block_on(file.read(0, 6)).unwrap(), b"\0\0\0\0bc");
        block_on(file.del(4, 9)).unwrap();
        assert_eq!(block_on(file.len()).unwrap(), 4);
        block_on(file.truncate(5)).unwrap();
        assert_eq!(block_on(file.read(3, 2)).unwrap(), b"\0\0");
        assert!(block_on(file.del(6, 1)).is_err());
        assert!(write(&mut file, u64::MAX, b"x").is_err() && block_on(file.truncate(u64::MAX)).is_err());
        block_on(file.truncate(0)).unwrap();
        assert!(block_on(file.is_empty()).unwrap());
    }
}
