//! The files of an archive, written into a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quorate_feed::{Flavour, hash};
use quorate_types::Hash;

use super::{Archive, ArchiveFile};
use crate::{Code, Failure};

/// Permissions that are taken from an archive; the owner can read and write in any case.
const PERMISSIONS: u32 = 0o777;
const OWNER: u32 = 0o600;

/// Writes the files of an archive.
#[derive(Debug)]
pub struct Checkout<'a> {
    archive: &'a Archive,
    directory: &'a Path,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckoutReport {
    /// Files that were written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already, with the size and the time that they have in the archive.
    pub kept: u64,
}

impl<'a> Checkout<'a> {
    /// Looks at the directory, which need not exist. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`Code::DestinationExists`] when a file of the archive would replace something else.
    pub fn new(archive: &'a Archive, directory: &'a Path) -> Result<Self, Failure> {
        let checkout = Self { archive, directory };
        for file in &archive.files {
            checkout.state_of(file)?;
        }
        Ok(checkout)
    }

    /// Lists the files that are to be written.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn missing(&self) -> Result<Vec<&'a ArchiveFile>, Failure> {
        let mut missing = Vec::new();
        for file in &self.archive.files {
            if self.state_of(file)? == State::Missing {
                missing.push(file);
            }
        }
        Ok(missing)
    }

    /// Begins to write a file.
    ///
    /// # Errors
    ///
    /// [`Code::Io`]; [`Code::DestinationExists`] when a name on the way is taken by something else.
    pub fn begin(&self, file: &'a ArchiveFile) -> Result<FileWriter<'a>, Failure> {
        let target = self.directory.join(&file.path);
        self.make_parents(file)?;
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Names may be as long as the file system allows.
        let digest: String = name.chars().take(32).collect();
        let partial = target.with_file_name(format!(".{digest}.{}.quorate-part", file.start));
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &partial, &error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        let output = options
            .write(true)
            .create_new(true)
            .mode(OWNER)
            .open(&partial)
            .map_err(|error| failed("make", &partial, &error))?;
        Ok(FileWriter { file, target, partial, output, bytes: 0, finished: false })
    }

    fn make_parents(&self, file: &ArchiveFile) -> Result<(), Failure> {
        fs::create_dir_all(self.directory).map_err(|error| failed("make", self.directory, &error))?;
        let mut at = self.directory.to_owned();
        let mut names = file.path.split('/').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                break;
            }
            at.push(name);
            match fs::symlink_metadata(&at) {
                Ok(found) if found.is_dir() => {}
                // A link could lead out of the directory.
                Ok(_) => return Err(taken(&at)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&at).map_err(|error| failed("make", &at, &error))?;
                }
                Err(error) => return Err(failed("look at", &at, &error)),
            }
        }
        Ok(())
    }

    fn state_of(&self, file: &ArchiveFile) -> Result<State, Failure> {
        let path = self.directory.join(&file.path);
        match fs::symlink_metadata(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(State::Missing),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(taken(&path)),
            Err(error) => Err(failed("look at", &path, &error)),
            Ok(found)
                if found.is_file()
                    && found.len() == file.size
                    && found.modified().is_ok_and(|modified| modified == modified_of(file)) =>
            {
                Ok(State::Kept)
            }
            Ok(_) => Err(taken(&path)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Kept,
}

/// A file that is being written; what is not finished is removed.
#[derive(Debug)]
pub struct FileWriter<'a> {
    file: &'a ArchiveFile,
    target: PathBuf,
    partial: PathBuf,
    output: File,
    bytes: u64,
    finished: bool,
}

impl FileWriter<'_> {
    /// Writes the next block; `expected` is the leaf that the signed tree holds for it.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when the block is not what was signed, [`Code::Io`].
    pub fn block(&mut self, block: &Bytes, expected: Option<Hash>) -> Result<(), Failure> {
        if expected.is_some_and(|expected| expected != hash::leaf(Flavour::Dat, block)) {
            return Err(Failure::new(
                Code::Damaged,
                format!("expected the bytes of {} as its writer signed them, found others", self.file.path),
            )
            .next("quorate audit STREAM"));
        }
        self.bytes = self.bytes.saturating_add(block.len() as u64);
        self.output.write_all(block).map_err(|error| failed("write", &self.partial, &error))
    }

    /// Counts the bytes that were written.
    pub const fn written(&self) -> u64 {
        self.bytes
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when the blocks are not as long as the file, [`Code::Io`].
    pub fn finish(mut self) -> Result<u64, Failure> {
        if self.bytes != self.file.size {
            return Err(Failure::new(
                Code::Damaged,
                format!(
                    "expected {} bytes of {}, found {} in its blocks",
                    self.file.size, self.file.path, self.bytes
                ),
            ));
        }
        let permissions = fs::Permissions::from_mode(self.file.permissions & PERMISSIONS | OWNER);
        self.output
            .set_permissions(permissions)
            .and_then(|()| self.output.set_modified(modified_of(self.file)))
            .map_err(|error| failed("write", &self.partial, &error))?;
        fs::rename(&self.partial, &self.target).map_err(|error| failed("make", &self.target, &error))?;
        self.finished = true;
        Ok(self.bytes)
    }
}

impl Drop for FileWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn modified_of(file: &ArchiveFile) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(file.modified_ms)).unwrap_or(UNIX_EPOCH)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Io, format!("cannot {what} {}: {error}", path.display()))
}

fn taken(path: &Path) -> Failure {
    Failure::new(
        Code::DestinationExists,
        format!("expected nothing at {}, or the same file, found something else", path.display()),
    )
    .next("name another directory, or move what is there out of the way")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::PublicKey;

    fn file(path: &str, size: u64) -> ArchiveFile {
        ArchiveFile {
            schema: ArchiveFile::SCHEMA.into(),
            path: path.into(),
            size,
            start: 0,
            end: 1,
            offset: 0,
            permissions: 0o755,
            modified_ms: 1_700_000_000_123,
        }
    }

    fn archive(files: Vec<ArchiveFile>) -> Archive {
        Archive { version: 1, content: PublicKey::new([1; 32]), files, refused: Vec::new(), content_bytes: 0 }
    }

    #[test]
    fn files_are_written_whole_and_kept_the_next_time() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("out");
        let archive = archive(vec![file("a/b/c", 5)]);
        let checkout = Checkout::new(&archive, &directory).unwrap();
        let missing = checkout.missing().unwrap();
        let mut writer = checkout.begin(missing[0]).unwrap();
        let block = Bytes::from_static(b"hello");
        writer.block(&block, Some(hash::leaf(Flavour::Dat, &block))).unwrap();
        assert_eq!(writer.finish().unwrap(), 5);
        let written = directory.join("a/b/c");
        assert_eq!(fs::read(&written).unwrap(), b"hello");
        assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(directory.join("a/b")).unwrap().count(), 1);
        assert_eq!(
            Checkout::new(&archive, &directory).unwrap().missing().unwrap(),
            Vec::<&ArchiveFile>::new()
        );
        fs::write(&written, b"other").unwrap();
        assert_eq!(Checkout::new(&archive, &directory).unwrap_err().code, Code::DestinationExists);
    }

    #[test]
    fn wrong_bytes_and_wrong_sizes_leave_no_file() {
        let root = tempfile::tempdir().unwrap();
        let archive = archive(vec![file("a", 5)]);
        let checkout = Checkout::new(&archive, root.path()).unwrap();
        let mut writer = checkout.begin(&archive.files[0]).unwrap();
        let other = hash::leaf(Flavour::Dat, b"other");
        let failure = writer.block(&Bytes::from_static(b"hello"), Some(other)).unwrap_err();
        assert_eq!(failure.code, Code::Damaged);
        drop(writer);
        let mut writer = checkout.begin(&archive.files[0]).unwrap();
        writer.block(&Bytes::from_static(b"hell"), None).unwrap();
        assert_eq!(writer.finish().unwrap_err().code, Code::Damaged);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_link_leads_out() {
        let root = tempfile::tempdir().unwrap();
        let (inside, outside) = (root.path().join("in"), root.path().join("out"));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("a")).unwrap();
        let archive = archive(vec![file("a/b", 5)]);
        let checkout = Checkout::new(&archive, &inside).unwrap();
        assert_eq!(checkout.begin(&archive.files[0]).unwrap_err().code, Code::DestinationExists);
    }
}
