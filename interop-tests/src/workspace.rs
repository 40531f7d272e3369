//! Directories for tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A temporary directory that goes away with the value.
#[derive(Debug)]
pub struct Workspace(tempfile::TempDir);

impl Workspace {
    /// Creates an empty directory.
    pub fn new() -> Result<Self> {
        tempfile::Builder::new()
            .prefix("quorate-test-")
            .tempdir()
            .map(Self)
            .context("cannot create a temporary directory")
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Names something inside; nothing is created.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Returns the root of this repository's checkout.
pub fn project_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in a directory of the workspace")
}
