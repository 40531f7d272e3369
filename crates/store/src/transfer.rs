//! Feeds copied from and to directories of other programs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use quorate_feed::Keys;

use crate::atomic::{self, PUBLIC_MODE};
use crate::directory::{DirectoryError, check_vacant, read_keys, write_keys};
use crate::files::FeedFiles;
use crate::lock::Lock;

const DIRECTORY_MODE: u32 = 0o700;

/// Bytes that are copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// Zeros that are left out of a copy, bytes: a block of common file systems.
const HOLE_BYTES: usize = 4096;

/// Whether the secret key goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKeyPolicy {
    /// The copy can be read and passed on, but not appended to.
    Leave,
    /// The copy can be appended to. Two writers of one feed make a fork: only one may go on.
    Take,
}

/// Copies a feed of another program into a new directory. The source is only read; stock clients
/// cannot open it for the time being.
///
/// `progress` is told the bytes copied and the bytes in all.
///
/// # Errors
///
/// [`DirectoryError::Locked`] when another program has the source open, [`DirectoryError::NotFound`]
/// when files of it are missing: a `.dat` folder has the blocks of its content only as files.
pub fn import(
    from: &FeedFiles,
    to: &FeedFiles,
    secret_key: SecretKeyPolicy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Keys, DirectoryError> {
    let keys = read_keys(from)?;
    for path in log_files(from) {
        if !path.is_file() {
            return Err(DirectoryError::NotFound { directory: from.directory().to_owned(), missing: path });
        }
    }
    let _reading = Lock::share_foreign(&from.bitfield())?;
    copy(from, keys, to, secret_key, progress)
}

/// Copies a feed of ours into a new directory, for stock clients to open. Nothing else is left there.
///
/// `progress` is told the bytes copied and the bytes in all.
///
/// # Errors
///
/// [`DirectoryError::Locked`] when a process has the feed open: it has to be asked for the copy.
pub fn export(
    from: &FeedFiles,
    to: &FeedFiles,
    secret_key: SecretKeyPolicy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Keys, DirectoryError> {
    let _source = Lock::acquire_feed(&from.lock(), &from.bitfield())?;
    export_held(from, to, secret_key, progress)
}

/// Copies a feed that this process has open, and lets rest meanwhile, as [`export`] does.
///
/// # Errors
///
/// As [`export`], but for the lock.
pub fn export_held(
    from: &FeedFiles,
    to: &FeedFiles,
    secret_key: SecretKeyPolicy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Keys, DirectoryError> {
    check_empty(to)?;
    let keys = read_keys(from)?;
    let keys = copy(from, keys, to, secret_key, progress)?;
    let path = to.lock();
    fs::remove_file(&path).map_err(DirectoryError::io("remove", &path))?;
    Ok(keys)
}

/// Refuses a directory that holds anything, whatever it is: it may be somebody's.
fn check_empty(files: &FeedFiles) -> Result<(), DirectoryError> {
    let directory = files.directory();
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(DirectoryError::NotEmpty { directory: directory.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DirectoryError::io("read", directory)(error)),
    }
}

fn log_files(files: &FeedFiles) -> [std::path::PathBuf; 4] {
    [files.tree(), files.data(), files.signatures(), files.bitfield()]
}

fn copy(
    from: &FeedFiles,
    mut keys: Keys,
    to: &FeedFiles,
    secret_key: SecretKeyPolicy,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Keys, DirectoryError> {
    let directory = to.directory();
    atomic::make_directory(directory, DIRECTORY_MODE).map_err(DirectoryError::io("make", directory))?;
    let _target = Lock::acquire_feed(&to.lock(), &to.bitfield())?;
    check_vacant(to)?;
    if secret_key == SecretKeyPolicy::Leave {
        keys.secret = None;
    }
    let sizes = log_files(from).map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()));
    let (mut done, total) = (0, sizes.iter().sum());
    for (source, target) in log_files(from).iter().zip(log_files(to)) {
        let mut counted = |bytes| {
            done += bytes;
            progress(done, total);
        };
        copy_file(source, &target, &mut counted).inspect_err(|_| remove_copies(to))?;
    }
    atomic::sync_directory(directory).map_err(DirectoryError::io("sync", directory))?;
    write_keys(to, &keys)?;
    Ok(keys)
}

/// Removes what a copy that failed has made; there was nothing before.
fn remove_copies(files: &FeedFiles) {
    for path in log_files(files) {
        let _ = fs::remove_file(path);
    }
}

/// Copies a file and leaves the holes of sparse feeds as they are.
fn copy_file(from: &Path, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), DirectoryError> {
    let mut source = File::open(from).map_err(DirectoryError::io("open", from))?;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(PUBLIC_MODE);
    let mut target = options.open(to).map_err(DirectoryError::io("make", to))?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut length = 0;
    loop {
        let read = read_full(&mut source, &mut buffer).map_err(DirectoryError::io("read", from))?;
        let chunk = &buffer[..read];
        write_sparse(&mut target, chunk).map_err(DirectoryError::io("write", to))?;
        length += read as u64;
        progress(read as u64);
        if read < COPY_BYTES {
            break;
        }
    }
    target.set_len(length).and_then(|()| target.sync_all()).map_err(DirectoryError::io("write", to))
}

fn read_full(source: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn write_sparse(target: &mut File, bytes: &[u8]) -> io::Result<()> {
    let mut blocks = bytes.chunks(HOLE_BYTES).map(|block| (block.len(), block.iter().all(|byte| *byte == 0)));
    let (mut at, mut next) = (0, blocks.next());
    while let Some((first, is_hole)) = next {
        let start = at;
        at += first;
        next = blocks.next();
        while let Some((length, same)) = next
            && same == is_hole
        {
            at += length;
            next = blocks.next();
        }
        if is_hole {
            target.seek(SeekFrom::Current((at - start) as i64))?;
        } else {
            target.write_all(&bytes[start..at])?;
        }
    }
    Ok(())
}
