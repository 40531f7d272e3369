//! A feed in a directory, in the files that stock clients use.

use std::io;
use std::path::{Path, PathBuf};

use futures_lite::future::zip;
use quorate_feed::sleep::HEADER_BYTES;
use quorate_feed::{Keys, Storage};
use quorate_types::{PublicKey, SecretKey};
use random_access_storage::RandomAccessError;

use crate::atomic::{self, PUBLIC_MODE, SECRET_MODE};
use crate::backend::Backend;
use crate::cached::CacheConfig;
use crate::files::{FeedFiles, other_format};
use crate::lock::{Lock, LockError};
use crate::writer_guard::{self, Doubt, WriterGuard, WriterRecord, WrittenHead};

/// Permissions of directories that are made for feeds.
const DIRECTORY_MODE: u32 = 0o700;

/// Longest key file that is read, bytes.
const MAX_KEY_FILE_BYTES: usize = 1024;

/// A feed's directory, opened: no other process can open it until this is dropped.
#[derive(Debug)]
pub struct FeedDirectory {
    /// The key pair; without the secret half the feed can be read only.
    pub keys: Keys,
    /// The four files of the log.
    pub storage: Storage<Backend>,
    /// Where they are.
    pub files: FeedFiles,
    /// Keep this as long as the storage is used.
    pub lock: Lock,
    /// The record of what was written here, where the secret key is, and what it says.
    pub writer: Option<(WriterGuard, Result<WriterRecord, Doubt>)>,
}

/// Why a feed's directory cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no feed.
    #[error("expected a feed in {}, found no file {}", directory.display(), missing.display())]
    NotFound {
        /// Where a feed was expected.
        directory: PathBuf,
        /// File that is missing.
        missing: PathBuf,
    },
    /// There is the store of a newer program.
    #[error("expected a Dat feed in {}, found {found}, which keeps other files", directory.display())]
    OtherFormat {
        /// Where a feed was expected.
        directory: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// There is something already where a copy is to be written.
    #[error("expected a new or an empty directory, found something in {}", directory.display())]
    NotEmpty {
        /// Where the copy was to be written.
        directory: PathBuf,
    },
    /// There is a feed already.
    #[error("expected no feed in {}, found one", directory.display())]
    AlreadyExists {
        /// Where the feed was to be made.
        directory: PathBuf,
    },
    /// A key file has another length.
    #[error("expected a key of {expected} bytes in {}, found {found}", path.display())]
    KeyLength {
        /// The key file.
        path: PathBuf,
        /// Bytes of a key.
        expected: usize,
        /// Bytes in the file.
        found: usize,
    },
    /// The secret key is that of another feed.
    #[error("expected the secret key of {expected} in {}, found that of {found}", path.display())]
    OtherSecretKey {
        /// The secret key's file.
        path: PathBuf,
        /// Key of the feed.
        expected: PublicKey,
        /// Public key in the secret key's file.
        found: PublicKey,
    },
    /// Another process has the feed open.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file of the log cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the storage answered.
        source: RandomAccessError,
    },
}

impl DirectoryError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

impl FeedDirectory {
    /// Makes the directory of a new feed, with the keys in it and nothing else.
    ///
    /// The key file is written last: a directory that a crash left half made is no feed, and can be
    /// made again. The secret key has mode 0600. Blocks the thread for a few small writes.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::AlreadyExists`] when there is a feed, or entries of one.
    pub async fn create(files: &FeedFiles, keys: Keys) -> Result<Self, DirectoryError> {
        let directory = files.directory();
        atomic::make_directory(directory, DIRECTORY_MODE).map_err(DirectoryError::io("make", directory))?;
        let lock = Lock::acquire_feed(&files.lock(), &files.bitfield())?;
        check_vacant(files)?;
        let storage = open_storage(files).await?;
        let writer = match &keys.secret {
            Some(_) => {
                let guard = WriterGuard::create(directory, keys.public)
                    .map_err(DirectoryError::io("write", &writer_guard::file_in(directory)))?;
                let record = WriterRecord { head: WrittenHead::EMPTY, writing: false };
                Some((guard, Ok(record)))
            }
            None => None,
        };
        write_keys(files, &keys)?;
        Ok(Self { keys, storage, files: files.clone(), lock, writer })
    }

    /// Opens a feed for reading and, with its secret key, for writing.
    ///
    /// Files of the log that are missing are made empty, as stock clients do. A secret key that others
    /// may read gets mode 0600. Blocks the thread for a few small reads.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Locked`] names the process that has the feed open.
    pub async fn open(files: &FeedFiles) -> Result<Self, DirectoryError> {
        // Nothing is made where there is no feed.
        read_public_key(files)?;
        let lock = Lock::acquire_feed(&files.lock(), &files.bitfield())?;
        let keys = read_keys(files)?;
        if keys.secret.is_some() {
            let path = files.secret_key();
            atomic::make_secret(&path).map_err(DirectoryError::io("restrict", &path))?;
        }
        let writer = match &keys.secret {
            Some(_) => {
                let directory = files.directory();
                let opened = WriterGuard::open(directory, keys.public)
                    .map_err(DirectoryError::io("open", &writer_guard::file_in(directory)))?;
                Some(opened)
            }
            None => None,
        };
        let storage = open_storage(files).await?;
        Ok(Self { keys, storage, files: files.clone(), lock, writer })
    }
}

/// Reads the public key of a feed without opening it.
///
/// # Errors
///
/// [`DirectoryError::NotFound`] when there is no feed.
pub fn read_public_key(files: &FeedFiles) -> Result<PublicKey, DirectoryError> {
    let path = files.key();
    let read = atomic::read(&path, MAX_KEY_FILE_BYTES).map_err(DirectoryError::io("read", &path))?;
    let Some(bytes) = read else {
        let directory = files.directory().to_owned();
        return Err(match other_format(&directory) {
            Some(found) => DirectoryError::OtherFormat { directory, found },
            None => DirectoryError::NotFound { directory, missing: path },
        });
    };
    PublicKey::from_slice(&bytes).ok_or(DirectoryError::KeyLength {
        path,
        expected: PublicKey::LEN,
        found: bytes.len(),
    })
}

/// Reads both keys of a feed without opening it; the secret key may be missing, or empty.
///
/// # Errors
///
/// [`DirectoryError::OtherSecretKey`] when the two do not belong together.
pub fn read_keys(files: &FeedFiles) -> Result<Keys, DirectoryError> {
    let public = read_public_key(files)?;
    let path = files.secret_key();
    let read = atomic::read(&path, MAX_KEY_FILE_BYTES).map_err(DirectoryError::io("read", &path))?;
    let bytes = read.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Keys { public, secret: None });
    }
    let Ok(bytes) = <[u8; SecretKey::LEN]>::try_from(bytes.as_slice()) else {
        return Err(DirectoryError::KeyLength { path, expected: SecretKey::LEN, found: bytes.len() });
    };
    let found = PublicKey::from_slice(&bytes[SecretKey::LEN - PublicKey::LEN..]);
    match found {
        Some(found) if found != public => {
            Err(DirectoryError::OtherSecretKey { path, expected: public, found })
        }
        _ => Ok(Keys { public, secret: Some(SecretKey::new(bytes)) }),
    }
}

/// Writes the secret key, then the public key, which makes the directory a feed.
pub(crate) fn write_keys(files: &FeedFiles, keys: &Keys) -> Result<(), DirectoryError> {
    if let Some(secret) = &keys.secret {
        let path = files.secret_key();
        if let Some(parent) = path.parent() {
            atomic::make_directory(parent, DIRECTORY_MODE).map_err(DirectoryError::io("make", parent))?;
        }
        atomic::replace(&path, secret.expose(), SECRET_MODE).map_err(DirectoryError::io("write", &path))?;
    }
    let path = files.key();
    atomic::create(&path, keys.public.as_bytes(), PUBLIC_MODE).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            DirectoryError::AlreadyExists { directory: files.directory().to_owned() }
        }
        _ => DirectoryError::Io { action: "write", path, source },
    })
}

/// Refuses a directory in which there is a feed, or what may be left of one.
pub(crate) fn check_vacant(files: &FeedFiles) -> Result<(), DirectoryError> {
    let length = |path: PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let has_entries = [files.tree(), files.signatures(), files.bitfield()]
        .into_iter()
        .any(|path| length(path) > HEADER_BYTES as u64);
    if files.key().exists() || has_entries || length(files.data()) > 0 {
        return Err(DirectoryError::AlreadyExists { directory: files.directory().to_owned() });
    }
    Ok(())
}

async fn open_storage(files: &FeedFiles) -> Result<Storage<Backend>, DirectoryError> {
    let paths = [files.tree(), files.data(), files.signatures(), files.bitfield()];
    let are_there = paths.iter().all(|path| path.exists());
    let [tree, data, signatures, bitfield] = paths;
    // Each is synced when it is opened: together they wait once.
    let ((tree, data), (signatures, bitfield)) = zip(
        zip(open_file(tree, CacheConfig::TREE), open_file(data, CacheConfig::DATA)),
        zip(open_file(signatures, CacheConfig::SIGNATURES), open_file(bitfield, CacheConfig::BITFIELD)),
    )
    .await;
    if !are_there {
        // New files have durable names before anything in them is relied on.
        let directory = files.directory();
        atomic::sync_directory(directory).map_err(DirectoryError::io("sync", directory))?;
    }
    Ok(Storage { tree: tree?, data: data?, signatures: signatures?, bitfield: bitfield? })
}

async fn open_file(path: PathBuf, config: CacheConfig) -> Result<Backend, DirectoryError> {
    Backend::disk(&path, config).await.map_err(|source| DirectoryError::Open { path, source })
}
