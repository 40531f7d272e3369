//! One process at a time: locks that the system releases when their process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::atomic::{PUBLIC_MODE, SECRET_MODE};

/// Digits that a process number has at most, with room to spare.
const MAX_PID_BYTES: u64 = 32;

/// A lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The locks belong to the open files.
    files: Vec<File>,
}

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A quorate process has it.
    #[error("{} is locked: {} has it open", path.display(), holder_text(*holder))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Number of the process that has it, where that could be read.
        holder: Option<u32>,
    },
    /// Another program, such as a stock hypercore client, has the feed open.
    #[error("{} is locked: another program, such as a Dat client, has the feed open", path.display())]
    HeldByOther {
        /// The bitfield file, which stock clients lock.
        path: PathBuf,
    },
    /// The lock file cannot be opened or written.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    match holder {
        Some(pid) if pid == std::process::id() => "this process".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl Lock {
    /// Takes a lock file, which is made if it is not there, and writes the number of this process
    /// into it.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] names the process that has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(SECRET_MODE);
        let mut file = options.open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: path.to_owned(), holder: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(io)?;
        Ok(Self { path: path.to_owned(), files: vec![file] })
    }

    /// Takes a feed: our lock file, and the lock on `bitfield` by which stock clients keep one another
    /// out (hypercore 7 `fd-lock`, hypercore-default-storage `fsctl`: both `flock`).
    pub(crate) fn acquire_feed(path: &Path, bitfield: &Path) -> Result<Self, LockError> {
        let mut lock = Self::acquire(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(PUBLIC_MODE);
        let file =
            options.open(bitfield).map_err(|source| LockError::Io { path: bitfield.to_owned(), source })?;
        let taken = file.try_lock();
        lock.add(file, taken, bitfield)?;
        Ok(lock)
    }

    /// Keeps writers out of a feed that is only read, and changes nothing in its directory.
    pub(crate) fn share_foreign(bitfield: &Path) -> Result<Self, LockError> {
        let file =
            File::open(bitfield).map_err(|source| LockError::Io { path: bitfield.to_owned(), source })?;
        let mut lock = Self { path: bitfield.to_owned(), files: vec![] };
        let taken = file.try_lock_shared();
        lock.add(file, taken, bitfield)?;
        Ok(lock)
    }

    fn add(&mut self, file: File, taken: Result<(), TryLockError>, path: &Path) -> Result<(), LockError> {
        match taken {
            Ok(()) => {
                self.files.push(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(LockError::HeldByOther { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path: path.to_owned(), source }),
        }
    }

    /// Returns the path of the lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread starts right now holds copies of the files until it
        // runs its program.
        for file in &self.files {
            let _ = file.unlock();
        }
    }
}

/// Reads the number of the process that holds a lock file; it may just be writing it.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that was started meanwhile, and does not run its own program yet.
    #[test]
    fn copies_of_its_files_do_not_keep_a_lock() {
        let directory = tempfile::tempdir().unwrap();
        let (path, bitfield) = (directory.path().join("lock"), directory.path().join("bitfield"));
        let lock = Lock::acquire_feed(&path, &bitfield).unwrap();
        let copies: Vec<File> = lock.files.iter().map(|file| file.try_clone().unwrap()).collect();
        assert_eq!(copies.len(), 2);
        drop(lock);
        Lock::acquire_feed(&path, &bitfield).unwrap();
    }

    #[test]
    fn only_one_holds_a_lock_and_the_error_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::acquire(&path).unwrap();
        let error = Lock::acquire(&path).unwrap_err();
        assert!(matches!(&error, LockError::Held { holder, .. } if *holder == Some(std::process::id())));
        assert!(error.to_string().contains("this process has it open"), "{error}");
        drop(lock);
        Lock::acquire(&path).unwrap();
    }

    #[test]
    fn an_unreadable_holder_is_still_a_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::acquire(&path).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        let error = Lock::acquire(&path).unwrap_err();
        assert!(matches!(&error, LockError::Held { holder: None, .. }));
        drop(lock);
    }

    #[test]
    fn a_stock_client_keeps_us_out_and_readers_share() {
        let directory = tempfile::tempdir().unwrap();
        let (lock, bitfield) = (directory.path().join("lock"), directory.path().join("bitfield"));
        let stock = File::create(&bitfield).unwrap();
        stock.lock().unwrap();
        assert!(matches!(Lock::acquire_feed(&lock, &bitfield), Err(LockError::HeldByOther { .. })));
        assert!(matches!(Lock::share_foreign(&bitfield), Err(LockError::HeldByOther { .. })));
        drop(stock);
        let reader = Lock::share_foreign(&bitfield).unwrap();
        let other = Lock::share_foreign(&bitfield).unwrap();
        assert!(matches!(Lock::acquire_feed(&lock, &bitfield), Err(LockError::HeldByOther { .. })));
        drop((reader, other));
        Lock::acquire_feed(&lock, &bitfield).unwrap();
    }
}
