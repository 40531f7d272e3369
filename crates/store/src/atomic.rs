//! Small files that are there whole or not at all, and directories that stay where they were made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Permissions of what only the owner may read.
pub(crate) const SECRET_MODE: u32 = 0o600;

/// Permissions of everything else, before the umask.
pub(crate) const PUBLIC_MODE: u32 = 0o644;

/// Replaces a file by new contents: after a crash either the old or the new ones are there.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_beside(path, bytes, mode)?;
    finish(path, &temporary, fs::rename(&temporary, path))
}

/// Makes a file that is not there yet; `AlreadyExists` when it is.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_beside(path, bytes, mode)?;
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    finish(path, &temporary, linked.and(removed))
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
    // What a process of the same number left behind.
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    Ok(temporary)
}

fn finish(path: &Path, temporary: &Path, moved: io::Result<()>) -> io::Result<()> {
    if moved.is_err() {
        let _ = fs::remove_file(temporary);
    }
    moved?;
    sync_parent(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// Makes a directory and those above it, with the given permissions, and makes their names durable.
pub(crate) fn make_directory(directory: &Path, mode: u32) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => make_directory(parent, mode)?,
        _ => {}
    }
    match DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(directory),
    }
}

/// Takes a file's permissions for others away, if it has any.
pub(crate) fn make_secret(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(SECRET_MODE))?;
    }
    Ok(())
}

/// Reads a small file; `None` when it is not there, an error when it is longer than `limit`.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let text = format!("expected at most {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn files_are_replaced_and_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"one", SECRET_MODE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create(&path, b"two", SECRET_MODE).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"one");
        assert_eq!(read(&path, 2).unwrap_err().kind(), io::ErrorKind::InvalidData);
        replace(&path, b"three", PUBLIC_MODE).unwrap();
        assert_eq!(read(&path, 99).unwrap().unwrap(), b"three");
        assert_eq!(read(&directory.path().join("none"), 99).unwrap(), None);
        assert_eq!(names(directory.path()), ["file"], "nothing is left behind");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("file")).unwrap();
        assert!(replace(&directory.path().join("file"), b"x", PUBLIC_MODE).is_err());
        assert_eq!(names(directory.path()), ["file"]);
        assert!(replace(&directory.path().join("none/file"), b"x", PUBLIC_MODE).is_err());
    }

    #[test]
    fn directories_are_made_with_those_above_them() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        make_directory(&deep, 0o700).unwrap();
        make_directory(&deep, 0o700).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(directory.path().join("x"), "").unwrap();
        assert!(make_directory(&directory.path().join("x"), 0o700).is_err());
    }
}
