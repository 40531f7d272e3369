//! A cache around any storage: writes are kept and joined, reads come in pages.

mod clean;
mod dirty;

#[cfg(test)]
mod tests;

use std::ops::Range;

use random_access_storage::{RandomAccess, RandomAccessError};

use self::clean::CleanPages;
use self::dirty::DirtyRuns;

/// Reads of this many bytes or more go past the pages, bytes.
const DIRECT_READ_BYTES: u64 = 64 * 1024;

/// Writes of this many bytes or more are not kept, bytes. Smaller ones are worth a copy: a run of
/// them costs the storage one call.
const DIRECT_WRITE_BYTES: usize = 256 * 1024;

/// Largest call of the storage, bytes. `RandomAccessDisk` keeps a buffer as large as its largest call.
const CALL_BYTES: usize = 1024 * 1024;

/// Runs that are less than this apart are written as one, bytes.
const BRIDGE_BYTES: u64 = 4096;

/// How much a [`Cached`] storage keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes that a small read fetches at once.
    pub page_bytes: usize,
    /// Bytes of pages that are kept for reading.
    pub clean_bytes: usize,
    /// Bytes that are kept before they are written.
    pub dirty_bytes: usize,
}

impl CacheConfig {
    /// For the blocks of a feed: 3 MiB at most.
    pub const DATA: Self =
        Self { page_bytes: 16 * 1024, clean_bytes: 1024 * 1024, dirty_bytes: 2 * 1024 * 1024 };
    /// For the Merkle tree of a feed: 2 MiB at most.
    pub const TREE: Self = Self { page_bytes: 8 * 1024, clean_bytes: 1024 * 1024, dirty_bytes: 1024 * 1024 };
    /// For signatures: 384 KiB at most.
    pub const SIGNATURES: Self =
        Self { page_bytes: 4 * 1024, clean_bytes: 128 * 1024, dirty_bytes: 256 * 1024 };
    /// For the bitfield, which is read once and written by the page: 320 KiB at most.
    pub const BITFIELD: Self = Self { page_bytes: 4 * 1024, clean_bytes: 64 * 1024, dirty_bytes: 256 * 1024 };
}

/// Storage whose writes wait in memory, in runs that are as long as possible, until
/// [`sync_all`](RandomAccess::sync_all) or until they are too many.
///
/// What was written is read back at once, whether it has reached the storage or not. After a write, a
/// truncation or a sync has failed, every later call fails: what is on disk is then not known, and the
/// storage must be opened again. Dropping it loses what was not synced.
///
/// A call that is cancelled leaves what was written before it intact; the range that a cancelled write
/// was for holds old or new bytes.
#[derive(Debug)]
pub struct Cached<S> {
    inner: S,
    /// Length of the storage inside, bytes.
    inner_len: u64,
    /// Length with all that was written, bytes.
    len: u64,
    dirty: DirtyRuns,
    clean: CleanPages,
    dirty_limit: usize,
    /// Whether something was written since the last sync.
    unsynced: bool,
    failed: bool,
}

impl<S: RandomAccess + Send> Cached<S> {
    /// Wraps a storage.
    ///
    /// # Errors
    ///
    /// Fails when the storage cannot tell its length.
    pub async fn new(mut inner: S, config: CacheConfig) -> Result<Self, RandomAccessError> {
        let len = inner.len().await?;
        Ok(Self {
            inner,
            inner_len: len,
            len,
            dirty: DirtyRuns::new(CALL_BYTES),
            clean: CleanPages::new(config.page_bytes, config.clean_bytes),
            dirty_limit: config.dirty_bytes,
            unsynced: false,
            failed: false,
        })
    }

    /// Returns the bytes that are held in memory.
    pub fn held_bytes(&self) -> usize {
        self.dirty.held_bytes() + self.clean.held_bytes()
    }

    /// Returns the length, with all that was written.
    pub fn length(&self) -> u64 {
        self.len
    }

    /// Hands over what was written to the storage, without a sync.
    ///
    /// # Errors
    ///
    /// Fails when the storage does; see [`Cached`].
    pub async fn write_out(&mut self) -> Result<(), RandomAccessError> {
        self.check()?;
        while let Some(group) = self.dirty.first_group(BRIDGE_BYTES, CALL_BYTES) {
            if self.dirty.get(group.start).is_some_and(|run| run.len() as u64 == group.end - group.start) {
                self.write_run(group.start).await?;
            } else {
                // Join the runs: what lies between them is rewritten as it is.
                let bytes = self.read_range(group.start, group.end - group.start).await?;
                self.write_inner(group.start, &bytes).await?;
                self.clean.written(group.start, &bytes);
            }
            self.dirty.cut(group);
        }
        Ok(())
    }

    async fn write_out_if_full(&mut self) -> Result<(), RandomAccessError> {
        if self.dirty.held_bytes() > self.dirty_limit {
            self.write_out().await?;
        }
        Ok(())
    }

    async fn write_run(&mut self, start: u64) -> Result<(), RandomAccessError> {
        let Some(run) = self.dirty.get(start) else { return Ok(()) };
        self.unsynced = true;
        let result = self.inner.write(start, run).await;
        if result.is_ok() {
            self.inner_len = self.inner_len.max(start + run.len() as u64);
            self.clean.written(start, run);
        }
        self.noticed(result)
    }

    async fn write_inner(&mut self, start: u64, bytes: &[u8]) -> Result<(), RandomAccessError> {
        let mut offset = start;
        for chunk in bytes.chunks(CALL_BYTES) {
            self.unsynced = true;
            let result = self.inner.write(offset, chunk).await;
            self.noticed(result)?;
            offset += chunk.len() as u64;
            self.inner_len = self.inner_len.max(offset);
        }
        Ok(())
    }

    /// Reads a range that is within the length, from memory where it is there.
    async fn read_range(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let range = offset..offset + length;
        if let Some(bytes) = self.dirty.whole(&range) {
            return Ok(bytes.to_vec());
        }
        let mut bytes = if length >= DIRECT_READ_BYTES {
            self.read_inner(range.clone()).await?
        } else {
            self.read_pages(range.clone()).await?
        };
        self.dirty.overlay(offset, &mut bytes);
        Ok(bytes)
    }

    async fn read_pages(&mut self, range: Range<u64>) -> Result<Vec<u8>, RandomAccessError> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let page = self.clean.page_of(at);
            let piece = at..range.end.min(page.end);
            // What is beyond the storage is zeros, until it is written.
            let there = piece.end.min(self.inner_len);
            if there > at && !self.clean.copy(at..there, &mut bytes) {
                let loaded = self.read_inner(page.start..page.end.min(self.inner_len)).await?;
                self.clean.insert(page.start, loaded);
                self.clean.copy(at..there, &mut bytes);
            }
            bytes.resize((piece.end - range.start) as usize, 0);
            at = piece.end;
        }
        Ok(bytes)
    }

    /// Reads from the storage; beyond its end there are zeros.
    async fn read_inner(&mut self, range: Range<u64>) -> Result<Vec<u8>, RandomAccessError> {
        let total = (range.end - range.start) as usize;
        let there = range.end.min(self.inner_len);
        let mut bytes = Vec::new();
        let mut at = range.start;
        while at < there {
            let length = (there - at).min(CALL_BYTES as u64);
            let chunk = self.inner.read(at, length).await?;
            if chunk.len() as u64 != length {
                let text = format!("expected {length} bytes at offset {at}, found {}", chunk.len());
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, text).into());
            }
            if bytes.is_empty() {
                bytes = chunk;
                bytes.reserve_exact(total - bytes.len());
            } else {
                bytes.extend_from_slice(&chunk);
            }
            at += length;
        }
        bytes.resize(total, 0);
        Ok(bytes)
    }

    fn check(&self) -> Result<(), RandomAccessError> {
        if self.failed {
            let text = "the storage failed before and must be opened again";
            return Err(std::io::Error::other(text).into());
        }
        Ok(())
    }

    fn noticed<T>(&mut self, result: Result<T, RandomAccessError>) -> Result<T, RandomAccessError> {
        self.failed |= result.is_err();
        result
    }

    fn out_of_bounds(&self, offset: u64, length: Option<u64>) -> RandomAccessError {
        let end = length.map(|length| offset.saturating_add(length));
        RandomAccessError::OutOfBounds { offset, end, length: self.len }
    }

    async fn delete_inner(&mut self, range: Range<u64>) -> Result<(), RandomAccessError> {
        match self.inner.del(range.start, range.end - range.start).await {
            Err(RandomAccessError::IO { source, .. }) if is_unsupported(&source) => {
                let mut at = range.start;
                while at < range.end {
                    let zeros = vec![0; (range.end - at).min(CALL_BYTES as u64) as usize];
                    self.inner.write(at, &zeros).await?;
                    at += zeros.len() as u64;
                }
                Ok(())
            }
            result => result,
        }
    }
}

/// Tells whether a file system cannot punch holes.
fn is_unsupported(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::Unsupported
}

#[async_trait::async_trait]
impl<S: RandomAccess + Send> RandomAccess for Cached<S> {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        self.check()?;
        let length = data.len() as u64;
        let end = offset.checked_add(length).ok_or_else(|| self.out_of_bounds(offset, Some(length)))?;
        if data.len() >= DIRECT_WRITE_BYTES {
            self.write_inner(offset, data).await?;
            self.dirty.cut(offset..end);
            self.clean.forget(offset..end);
        } else if data.is_empty() {
            return Ok(());
        } else {
            self.dirty.write(offset, data);
        }
        self.len = self.len.max(end);
        self.write_out_if_full().await
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        self.check()?;
        match offset.checked_add(length) {
            Some(end) if end <= self.len => self.read_range(offset, length).await,
            _ => Err(self.out_of_bounds(offset, Some(length))),
        }
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        self.check()?;
        if offset > self.len {
            return Err(self.out_of_bounds(offset, None));
        }
        if length == 0 {
            return Ok(());
        }
        let range = match offset.checked_add(length) {
            Some(end) if end < self.len => offset..end,
            _ => return self.truncate(offset).await,
        };
        if range.start < self.inner_len {
            self.unsynced = true;
            let inner = range.start..range.end.min(self.inner_len);
            // A storage that is cut at its end is shorter afterwards.
            if inner.end == self.inner_len {
                self.inner_len = inner.start;
            }
            let result = self.delete_inner(inner).await;
            self.noticed(result)?;
        }
        self.dirty.cut(range.clone());
        self.clean.forget(range);
        self.write_out_if_full().await
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        self.check()?;
        if length != self.inner_len {
            self.unsynced = true;
            let result = self.inner.truncate(length).await;
            self.noticed(result)?;
        }
        self.inner_len = length;
        self.len = length;
        self.dirty.cut(length..u64::MAX);
        self.clean.forget(length..u64::MAX);
        Ok(())
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        Ok(self.len)
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.len == 0)
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        self.write_out().await?;
        if self.unsynced {
            let result = self.inner.sync_all().await;
            self.noticed(result)?;
            self.unsynced = false;
        }
        Ok(())
    }
}
