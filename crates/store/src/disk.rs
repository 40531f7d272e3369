//! A file on disk: written through `random-access-disk`, read at its offsets.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use blocking::{Task, unblock};

use random_access_disk::RandomAccessDisk;
use random_access_storage::{RandomAccess, RandomAccessError};

/// Bytes written after which the disk begins to take them without being waited for, so that a sync at the end of a
/// long transfer finds little left to do.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes that `RandomAccessDisk` may sync by itself.
const SMALL_SYNC_BYTES: u64 = 64 * 1024;

/// A file on disk.
///
/// `RandomAccessDisk` keeps what it writes in a buffer until its next call, hands every read to
/// another thread, and takes a read that ends early for zeros. So reads go past it, at their offset, and
/// a file that was cut short by someone else is an error. They block the thread, as long as the system
/// needs for a page that is mostly in its memory; callers keep them small. Large syncs go past it too, for its
/// own wait for more than the bytes.
#[derive(Debug)]
pub struct DiskFile {
    /// `None` only while this is dropped.
    writer: Option<RandomAccessDisk>,
    file: Arc<File>,
    /// Whether the writer may hold bytes that the file does not have yet.
    is_buffered: bool,
    /// Bytes written since the disk began to take them.
    unwritten: u64,
    /// The disk takes what was written.
    write_back: Option<Task<io::Result<()>>>,
}

impl DiskFile {
    /// Opens a file, which is made if it is not there. Nothing is synced but by `sync_all`, and when
    /// it is dropped.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be opened for reading and writing.
    pub async fn open(path: &Path) -> Result<Self, RandomAccessError> {
        let writer = RandomAccessDisk::builder(path).auto_sync(false).build().await?;
        let file = Arc::new(File::open(path)?);
        Ok(Self { writer: Some(writer), file, is_buffered: false, unwritten: 0, write_back: None })
    }

    fn writer(&mut self) -> Result<&mut RandomAccessDisk, RandomAccessError> {
        self.writer.as_mut().ok_or_else(|| io::Error::other("the file is closed").into())
    }

    /// Lets the disk take what was written, in the background; one such at a time.
    async fn write_back(&mut self) -> Result<(), RandomAccessError> {
        if self.write_back.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        self.written_back().await?;
        self.unwritten = 0;
        let file = Arc::clone(&self.file);
        self.write_back = Some(unblock(move || file.sync_data()));
        Ok(())
    }

    /// Waits until the disk has taken what it began to take. What failed then, fails here.
    async fn written_back(&mut self) -> Result<(), RandomAccessError> {
        match self.write_back.take() {
            Some(task) => Ok(task.await?),
            None => Ok(()),
        }
    }

    /// Makes the writer empty its buffer into the file.
    async fn settle(&mut self) -> Result<(), RandomAccessError> {
        if self.is_buffered {
            // It seeks before it reads, and writes its buffer before it seeks.
            self.writer()?.read(0, 0).await?;
            self.is_buffered = false;
        }
        Ok(())
    }
}

impl Drop for DiskFile {
    /// `RandomAccessDisk` blocks its thread, when it is dropped, until a task of the runtime has synced the file: were
    /// all threads of the runtime to drop one at the same time, none of them would be left to run that task. So it
    /// is dropped elsewhere. What it still holds must not reach the file any more, which another process may
    /// have opened by then: a writer that was not synced to its end, as after a failure, is forgotten.
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            if self.is_buffered {
                std::mem::forget(writer);
            } else {
                unblock(move || drop(writer)).detach();
            }
        }
    }
}

#[async_trait::async_trait]
impl RandomAccess for DiskFile {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        self.is_buffered = true;
        self.writer()?.write(offset, data).await?;
        self.unwritten += data.len() as u64;
        if self.unwritten >= WRITE_BACK_BYTES {
            self.write_back().await?;
        }
        Ok(())
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        let end = offset.checked_add(length);
        let there = self.writer()?.len().await?;
        if end.is_none_or(|end| end > there) {
            return Err(RandomAccessError::OutOfBounds { offset, end, length: there });
        }
        self.settle().await?;
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        // The hole is punched past the buffer, which would fill it again.
        self.settle().await?;
        self.writer()?.del(offset, length).await
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        self.writer()?.truncate(length).await
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        self.writer()?.len().await
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        self.writer()?.is_empty().await
    }

    /// Few bytes are synced by `RandomAccessDisk`, which needs one thread change less than emptying its buffer first.
    /// For many, it would wait for the times of the file too, which takes longer than that.
    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        self.written_back().await?;
        if self.is_buffered && self.unwritten <= SMALL_SYNC_BYTES {
            self.writer()?.sync_all().await?;
            self.is_buffered = false;
        } else {
            self.settle().await?;
            let file = Arc::clone(&self.file);
            unblock(move || file.sync_data()).await?;
        }
        self.unwritten = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn what_was_written_is_read_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = block_on(DiskFile::open(&directory.path().join("file"))).unwrap();
        block_on(file.write(5, b"abc")).unwrap();
        assert_eq!(block_on(file.read(4, 4)).unwrap(), b"\0abc");
        block_on(file.write(6, b"XYZ")).unwrap();
        assert_eq!(block_on(file.read(5, 4)).unwrap(), b"aXYZ");
        assert!(matches!(block_on(file.read(5, 5)), Err(RandomAccessError::OutOfBounds { length: 9, .. })));
        assert!(matches!(block_on(file.read(1, u64::MAX)), Err(RandomAccessError::OutOfBounds { .. })));
    }

    #[test]
    fn long_writes_are_taken_in_the_background_and_synced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = block_on(DiskFile::open(&path)).unwrap();
        let chunk = vec![7; 1024 * 1024];
        for index in 0..20 {
            block_on(file.write(index * chunk.len() as u64, &chunk)).unwrap();
        }
        assert!(file.write_back.is_some());
        block_on(file.sync_all()).unwrap();
        assert!(file.write_back.is_none() && file.unwritten == 0);
        assert_eq!(fs::read(&path).unwrap(), vec![7; 20 * chunk.len()]);
    }

    #[test]
    fn files_dropped_on_every_thread_of_the_runtime_do_not_stop_it() {
        let directory = tempfile::tempdir().unwrap();
        let (done, wait) = std::sync::mpsc::channel();
        let path = directory.path().to_owned();
        std::thread::spawn(move || {
            async_std::task::block_on(async {
                let tasks: Vec<_> = (0..64)
                    .map(|index| {
                        let path = path.join(format!("file-{index}"));
                        async_std::task::spawn(async move {
                            let mut file = DiskFile::open(&path).await.unwrap();
                            file.write(0, b"abc").await.unwrap();
                            file.sync_all().await.unwrap();
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
            });
            done.send(()).unwrap();
        });
        wait.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn what_was_not_synced_is_not_written_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = block_on(DiskFile::open(&path)).unwrap();
        block_on(file.write(0, b"abc")).unwrap();
        drop(file);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_zeros() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = block_on(DiskFile::open(&path)).unwrap();
        block_on(file.write(0, &[1; 100])).unwrap();
        block_on(file.sync_all()).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(50).unwrap();
        match block_on(file.read(0, 100)) {
            Err(RandomAccessError::IO { source, .. }) => assert_eq!(source.kind(), ErrorKind::UnexpectedEof),
            other => panic!("expected an error, found {other:?}"),
        }
    }
}
