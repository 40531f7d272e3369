//! Evidence about the writer of a feed, kept beside it: a file each, as `quorate fork export` writes it.
//!
//! Rooms with validators keep evidence among their [`vote_records`](crate::vote_records) instead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quorate_types::Hash;
use quorate_types::limits::MAX_CERTIFICATE_BYTES;

use crate::atomic::{self, PUBLIC_MODE};

/// Directory in the directory of the stream; each file has the id as its name.
const DIRECTORY: &str = "evidence";

const DIRECTORY_MODE: u32 = 0o700;

/// Files that are looked at.
const MAX_FILES: usize = 64;

/// Reads all evidence that is kept in the directory of a stream, by its name. What it proves is for the caller to check.
/// Blocks the thread.
///
/// # Errors
///
/// The directory or a file cannot be read.
pub fn read(stream: &Path) -> io::Result<Vec<Bytes>> {
    let directory = stream.join(DIRECTORY);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&directory)?.take(MAX_FILES) {
        let path = entry?.path();
        let is_evidence = |name: &str| name.parse::<Hash>().is_ok();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_evidence) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        match atomic::read(&path, MAX_CERTIFICATE_BYTES) {
            Ok(bytes) => all.extend(bytes.map(Bytes::from)),
            // Too long to be evidence.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Keeps evidence under its id; it is durable when this returns. Blocks the thread.
///
/// # Errors
///
/// It cannot be written.
pub fn keep(stream: &Path, id: &Hash, evidence: &[u8]) -> io::Result<()> {
    let directory = stream.join(DIRECTORY);
    atomic::make_directory(&directory, DIRECTORY_MODE)?;
    atomic::replace(&directory.join(id.to_string()), evidence, PUBLIC_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), Vec::<Bytes>::new());
        keep(directory.path(), &Hash::new([2; 32]), b"two").unwrap();
        keep(directory.path(), &Hash::new([1; 32]), b"one").unwrap();
        keep(directory.path(), &Hash::new([1; 32]), b"one").unwrap();
        fs::write(directory.path().join("evidence/notes"), "mine").unwrap();
        let long = Hash::new([3; 32]).to_string();
        fs::write(directory.path().join("evidence").join(long), vec![0; MAX_CERTIFICATE_BYTES + 1]).unwrap();
        assert_eq!(read(directory.path()).unwrap(), [&b"one"[..], b"two"]);
    }
}
