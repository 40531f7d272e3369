//! Directories of stock programs, copied to where a test may change them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Copies a fixture into a temporary directory.
pub(crate) fn fixture(name: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let target = directory.path().join(name);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name), &target);
    (directory, target)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a fixture can be read") {
        let path = entry.expect("a fixture can be read").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
