//! A disk in memory that can lose what was not synced, and feeds on it.

use std::cell::Cell;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::{Feed, FeedConfig, Keys, OpenError, Recovery, Storage, sign};
use random_access_storage::{RandomAccess, RandomAccessError};

thread_local! {
    /// Changes of files that this thread may make before its disks fail.
    static CHANGES_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Counts a change, or a sync; fails when the disk does.
fn spend() -> Result<(), RandomAccessError> {
    match CHANGES_LEFT.get().checked_sub(1) {
        None => {
            Err(RandomAccessError::IO { return_code: None, context: None, source: ErrorKind::Other.into() })
        }
        Some(left) => {
            CHANGES_LEFT.set(left);
            Ok(())
        }
    }
}

/// One file; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct File(Arc<Mutex<Contents>>);

#[derive(Debug, Clone, Default)]
struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            Self::Truncate(len) => bytes.resize(*len, 0),
        }
    }
}

impl Contents {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }
}

impl File {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().now.clone()
    }

    pub(crate) fn set(&self, bytes: Vec<u8>) {
        *self.lock() = Contents { now: bytes.clone(), synced: bytes, unsynced: Vec::new() };
    }

    pub(crate) fn flip(&self, at: usize) {
        let mut bytes = self.bytes();
        bytes[at] ^= 1;
        self.set(bytes);
    }

    /// What a disk may hold after a crash: all that was synced, and of each later change all, nothing or,
    /// of a write, a part, by the given dice.
    fn crash(&self, dice: &mut impl FnMut(usize) -> usize) {
        let mut contents = self.lock();
        let mut bytes = contents.synced.clone();
        for change in std::mem::take(&mut contents.unsynced) {
            match (dice(3), &change) {
                (0, _) => {}
                (1, Change::Write(at, data)) if !data.is_empty() => {
                    let part = dice(data.len());
                    Change::Write(*at, data[..part].to_vec()).apply(&mut bytes);
                }
                (_, change) => change.apply(&mut bytes),
            }
        }
        contents.now = bytes.clone();
        contents.synced = bytes;
    }
}

#[async_trait::async_trait]
impl RandomAccess for File {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        spend()?;
        self.lock().change(Change::Write(offset as usize, data.to_vec()));
        Ok(())
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let contents = self.lock();
        let end = offset + length;
        contents.now.get(offset as usize..end as usize).map(<[u8]>::to_vec).ok_or(
            RandomAccessError::OutOfBounds { offset, end: Some(end), length: contents.now.len() as u64 },
        )
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        spend()?;
        let mut contents = self.lock();
        let (at, end) = (offset as usize, (offset + length) as usize);
        if end >= contents.now.len() {
            contents.change(Change::Truncate(at));
        } else {
            contents.change(Change::Write(at, vec![0; end - at]));
        }
        Ok(())
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        spend()?;
        self.lock().change(Change::Truncate(length as usize));
        Ok(())
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        Ok(self.lock().now.len() as u64)
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.lock().now.is_empty())
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        spend()?;
        let mut contents = self.lock();
        contents.synced = contents.now.clone();
        contents.unsynced.clear();
        Ok(())
    }
}

/// The files of one feed; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) tree: File,
    pub(crate) data: File,
    pub(crate) signatures: File,
    pub(crate) bitfield: File,
}

impl Disk {
    pub(crate) fn storage(&self) -> Storage<File> {
        Storage {
            tree: self.tree.clone(),
            data: self.data.clone(),
            signatures: self.signatures.clone(),
            bitfield: self.bitfield.clone(),
        }
    }

    fn files(&self) -> [&File; 4] {
        [&self.tree, &self.data, &self.signatures, &self.bitfield]
    }

    /// Another disk with the same contents.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        for (from, to) in self.files().into_iter().zip(copy.files()) {
            *to.lock() = from.lock().clone();
        }
        copy
    }

    /// Lets all disks of this thread fail after some changes of their files; `usize::MAX` for never.
    pub(crate) fn fail_after(changes: usize) {
        CHANGES_LEFT.set(changes);
    }

    pub(crate) fn crash(&self, mut dice: impl FnMut(usize) -> usize) {
        for file in self.files() {
            file.crash(&mut dice);
        }
    }
}

/// A number from 0 below a bound, by a seed: splitmix64.
pub(crate) fn dice(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

pub(crate) fn keys(writable: bool) -> Keys {
    let (public, secret) = sign::key_pair(&[1; 32]);
    Keys { public, secret: writable.then_some(secret) }
}

pub(crate) fn create(disk: &Disk, writable: bool) -> Feed<File> {
    block_on(Feed::create(keys(writable), disk.storage(), FeedConfig::default())).unwrap()
}

pub(crate) fn try_open(disk: &Disk, writable: bool) -> Result<(Feed<File>, Recovery), OpenError> {
    block_on(Feed::open(keys(writable), disk.storage(), FeedConfig::default()))
}

pub(crate) fn open(disk: &Disk, writable: bool) -> (Feed<File>, Recovery) {
    try_open(disk, writable).unwrap()
}

/// A writer with these blocks, appended in batches of these sizes, flushed.
pub(crate) fn written(blocks: &[Bytes], mut batches: impl FnMut() -> usize) -> (Disk, Feed<File>) {
    let disk = Disk::default();
    let mut feed = create(&disk, true);
    let mut rest = blocks;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batches().clamp(1, rest.len()));
        block_on(feed.append(batch)).unwrap();
        rest = after;
    }
    block_on(feed.flush()).unwrap();
    (disk, feed)
}

/// Blocks that differ, of different sizes, some empty.
pub(crate) fn blocks(count: u64) -> Vec<Bytes> {
    (0..count)
        .map(|i| {
            let size = [0, 1, 5, 33, 200][(i % 5) as usize];
            Bytes::from(i.to_le_bytes().into_iter().cycle().take(size).collect::<Vec<_>>())
        })
        .collect()
}

pub(crate) fn audit(feed: &mut Feed<File>) -> quorate_feed::AuditReport {
    block_on(feed.audit(&mut |_, _| ())).unwrap()
}
