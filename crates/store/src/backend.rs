//! Where the bytes of a feed are: on disk, in memory, or on a disk that fails.

use std::path::Path;

use random_access_memory::RandomAccessMemory;
use random_access_storage::{RandomAccess, RandomAccessError};

use crate::cached::{CacheConfig, Cached};
use crate::disk::DiskFile;
use crate::faulty::Faulty;

/// Bytes of a page in memory.
const MEMORY_PAGE_BYTES: usize = 64 * 1024;

/// One file of a feed.
///
/// What is written can be read at once; it is durable after [`sync_all`](RandomAccess::sync_all). Offsets
/// and lengths that go beyond a u64 are `OutOfBounds`, never a panic.
#[derive(Debug)]
pub enum Backend {
    /// A file, behind a cache; dropping it loses what was not synced.
    Disk(Cached<DiskFile>),
    /// Memory.
    Memory(RandomAccessMemory),
    /// A file that fails as planned, each call straight through.
    Faulty(Faulty),
    /// A file that fails as planned, behind the cache that files on disk have.
    CachedFaulty(Cached<Faulty>),
}

impl Backend {
    /// Opens a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be opened for reading and writing.
    pub async fn disk(path: &Path, config: CacheConfig) -> Result<Self, RandomAccessError> {
        Ok(Self::Disk(Cached::new(DiskFile::open(path).await?, config).await?))
    }

    /// Makes an empty file in memory.
    pub fn memory() -> Self {
        Self::Memory(RandomAccessMemory::new(MEMORY_PAGE_BYTES))
    }

    /// Puts the cache of files on disk before a file that fails as planned.
    ///
    /// # Errors
    ///
    /// Fails when the disk is off.
    pub async fn cached_faulty(file: Faulty, config: CacheConfig) -> Result<Self, RandomAccessError> {
        Ok(Self::CachedFaulty(Cached::new(file, config).await?))
    }

    /// Returns the bytes that the cache holds; 0 where there is none.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Disk(cached) => cached.held_bytes(),
            Self::CachedFaulty(cached) => cached.held_bytes(),
            Self::Memory(_) | Self::Faulty(_) => 0,
        }
    }
}

/// Refuses ranges that end beyond a u64, which `random-access-memory` would add up.
fn check(offset: u64, length: u64) -> Result<(), RandomAccessError> {
    match offset.checked_add(length) {
        Some(_) => Ok(()),
        None => Err(RandomAccessError::OutOfBounds { offset, end: None, length: u64::MAX }),
    }
}

#[async_trait::async_trait]
impl RandomAccess for Backend {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        check(offset, data.len() as u64)?;
        match self {
            Self::Disk(inner) => inner.write(offset, data).await,
            Self::Memory(inner) => inner.write(offset, data).await,
            Self::Faulty(inner) => inner.write(offset, data).await,
            Self::CachedFaulty(inner) => inner.write(offset, data).await,
        }
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        check(offset, length)?;
        match self {
            Self::Disk(inner) => inner.read(offset, length).await,
            Self::Memory(inner) => inner.read(offset, length).await,
            Self::Faulty(inner) => inner.read(offset, length).await,
            Self::CachedFaulty(inner) => inner.read(offset, length).await,
        }
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        // A length that goes on for ever means up to the end.
        let length = length.min(u64::MAX - offset);
        match self {
            Self::Disk(inner) => inner.del(offset, length).await,
            Self::Memory(inner) => inner.del(offset, length).await,
            Self::Faulty(inner) => inner.del(offset, length).await,
            Self::CachedFaulty(inner) => inner.del(offset, length).await,
        }
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        match self {
            Self::Disk(inner) => inner.truncate(length).await,
            Self::Memory(inner) => inner.truncate(length).await,
            Self::Faulty(inner) => inner.truncate(length).await,
            Self::CachedFaulty(inner) => inner.truncate(length).await,
        }
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        match self {
            Self::Disk(inner) => inner.len().await,
            Self::Memory(inner) => inner.len().await,
            Self::Faulty(inner) => inner.len().await,
            Self::CachedFaulty(inner) => inner.len().await,
        }
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.len().await? == 0)
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        match self {
            Self::Disk(inner) => inner.sync_all().await,
            Self::Memory(inner) => inner.sync_all().await,
            Self::Faulty(inner) => inner.sync_all().await,
            Self::CachedFaulty(inner) => inner.sync_all().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_lite::future::block_on;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::faulty::FaultyDisk;

    const TINY: CacheConfig = CacheConfig { page_bytes: 32, clean_bytes: 100, dirty_bytes: 300 };

    fn all(path: &Path) -> Vec<Backend> {
        let (plain, cached) = (FaultyDisk::new(0).file("x"), FaultyDisk::new(0).file("x"));
        vec![
            block_on(Backend::disk(path, TINY)).unwrap(),
            Backend::memory(),
            Backend::Faulty(plain),
            block_on(Backend::cached_faulty(cached, TINY)).unwrap(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// All backends are the same storage.
        #[test]
        fn backends_agree(steps in vec((0..6_u8, 0..3000_u64, vec(any::<u8>(), 1..200)), 0..40)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("file");
            let mut backends = all(&path);
            for (kind, at, data) in steps {
                let len = data.len() as u64;
                let answers: Vec<Option<Vec<u8>>> = backends
                    .iter_mut()
                    .map(|backend| {
                        block_on(async {
                            match kind {
                                0 | 1 => backend.write(at, &data).await.map(|()| vec![]),
                                2 | 3 => backend.read(at, len).await,
                                4 => backend.del(at, len).await.map(|()| vec![]),
                                _ if len.is_multiple_of(3) => backend.truncate(at).await.map(|()| vec![]),
                                _ => backend.sync_all().await.map(|()| vec![]),
                            }
                        })
                        .ok()
                    })
                    .collect();
                prop_assert!(answers.iter().all(|answer| *answer == answers[0]), "{}: {:?}", kind, answers);
                let lengths: Vec<u64> =
                    backends.iter_mut().map(|backend| block_on(backend.len()).unwrap()).collect();
                prop_assert!(lengths.iter().all(|length| *length == lengths[0]), "{}: {:?}", kind, lengths);
            }
            let length = block_on(backends[1].len()).unwrap();
            let expected = block_on(backends[1].read(0, length)).unwrap();
            block_on(backends[0].sync_all()).unwrap();
            prop_assert!(fs::read(&path).unwrap() == expected);
        }
    }

    #[test]
    fn numbers_that_do_not_add_up_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for mut backend in all(&directory.path().join("file")) {
            block_on(backend.write(0, &[1; 50])).unwrap();
            assert!(block_on(backend.read(u64::MAX, 1)).is_err());
            assert!(block_on(backend.write(u64::MAX, &[1])).is_err());
            assert!(block_on(backend.del(51, u64::MAX)).is_err());
            block_on(backend.del(20, u64::MAX)).unwrap();
            assert_eq!(block_on(backend.len()).unwrap(), 20);
        }
    }

    #[test]
    fn a_hole_stays_a_hole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut backend = block_on(Backend::disk(&path, CacheConfig::DATA)).unwrap();
        block_on(backend.write(0, &[7; 300_000])).unwrap();
        // The write above is in a buffer of the file, which must not fill the hole.
        block_on(backend.del(4096, 8192)).unwrap();
        block_on(backend.sync_all()).unwrap();
        drop(backend);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..4096].iter().all(|byte| *byte == 7));
        assert!(bytes[4096..12_288].iter().all(|byte| *byte == 0));
        assert!(bytes[12_288..].iter().all(|byte| *byte == 7));
        assert_eq!(bytes.len(), 300_000);
    }

    #[test]
    fn large_blocks_are_read_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut backend = block_on(Backend::disk(&directory.path().join("file"), CacheConfig::DATA)).unwrap();
        let block: Vec<u8> = (0..5_000_000_u32).map(|number| (number / 7) as u8).collect();
        block_on(backend.write(10, &block)).unwrap();
        assert!(block_on(backend.read(10, block.len() as u64)).unwrap() == block);
        assert!(block_on(backend.read(1_000_010, 300_000)).unwrap() == block[1_000_000..1_300_000]);
        assert!(backend.held_bytes() < 100_000);
    }
}
