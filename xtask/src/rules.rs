//! The shipped rules: their tests, and whether the built modules are what the sources give.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{root, run};

/// Builds every shipped rule again and compares, then runs the tests of the rules and of their SDK.
pub(crate) fn check() -> Result<()> {
    for arguments in [&["run", "check"][..], &["test"][..]] {
        run(Command::new("npm").arg("--silent").args(arguments).current_dir(root().join("rules")))
            .context("the packages of the rules are installed by `cargo xtask peers`")?;
    }
    Ok(())
}
