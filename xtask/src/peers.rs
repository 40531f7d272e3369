//! `cargo xtask peers`: the pinned stock peers of the interoperability tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{output, root, run, target_directory};

/// Folders under `interop-tests/js` with a `package-lock.json` each.
const PEERS: [&str; 2] = ["hypercore-7", "hypercore-9"];

/// Oldest Node.js that runs them.
const NODE_MAJOR: u32 = 20;

/// Installs each stock peer whose lock file is not the one that was installed last.
pub(crate) fn install() -> Result<()> {
    let node = node_version()?;
    for peer in PEERS {
        let directory = root().join("interop-tests/js").join(peer);
        let lock = fs::read_to_string(directory.join("package-lock.json"))
            .with_context(|| format!("{peer} has no lock file"))?;
        let installed = format!("{node}\n{lock}");
        let stamp = stamp(peer);
        if is_installed(&directory) && fs::read_to_string(&stamp).is_ok_and(|last| last == installed) {
            eprintln!("stock peer {peer}: there already");
            continue;
        }
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))
            .with_context(|| format!("cannot install the stock peer {peer}; npm comes with Node.js"))?;
        fs::create_dir_all(stamp.parent().context("a stamp lies in a directory")?)?;
        fs::write(&stamp, installed)?;
    }
    Ok(())
}

fn stamp(peer: &str) -> PathBuf {
    target_directory().join("peers").join(peer)
}

fn is_installed(directory: &Path) -> bool {
    directory.join("node_modules/hypercore/package.json").is_file()
}

fn node_version() -> Result<String> {
    let version = output(Command::new("node").arg("--version"))
        .with_context(|| format!("expected Node.js {NODE_MAJOR} or newer as `node` on PATH"))?;
    let version = String::from_utf8(version)?.trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= NODE_MAJOR),
        "expected Node.js {NODE_MAJOR} or newer, found {version}"
    );
    Ok(version)
}
