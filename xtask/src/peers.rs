//! `cargo xtask peers`: the pinned npm packages: stock peers of the interoperability tests, compiler of the shipped rules.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{output, root, run, target_directory};

/// Folders with a `package-lock.json` each, and a file that says that all of it is there: the stock peers, and the
/// compiler of the shipped rules.
const FOLDERS: [(&str, &str); 7] = [
    ("interop-tests/js/hypercore-7", "node_modules/hypercore/package.json"),
    ("interop-tests/js/hypercore-9", "node_modules/hypercore/package.json"),
    ("interop-tests/js/dat-13", "node_modules/dat/package.json"),
    ("interop-tests/js/dat-14", "node_modules/dat/package.json"),
    ("interop-tests/js/dat-sdk-2", "node_modules/dat-sdk/package.json"),
    ("interop-tests/js/hyperspace-3", "node_modules/hyperspace/package.json"),
    ("rules", "node_modules/assemblyscript/package.json"),
];

/// Oldest Node.js that runs them.
const NODE_MAJOR: u32 = 20;

/// Installs each folder whose lock file is not the one that was installed last.
pub(crate) fn install() -> Result<()> {
    let node = node_version()?;
    for (folder, witness) in FOLDERS {
        let directory = root().join(folder);
        let lock = fs::read_to_string(directory.join("package-lock.json"))
            .with_context(|| format!("{folder} has no lock file"))?;
        let installed = format!("{node}\n{lock}");
        let stamp = stamp(folder);
        let is_there = directory.join(witness).is_file();
        if is_there && fs::read_to_string(&stamp).is_ok_and(|last| last == installed) {
            eprintln!("packages of {folder}: there already");
            continue;
        }
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))
            .with_context(|| format!("cannot install the packages of {folder}; npm comes with Node.js"))?;
        fs::create_dir_all(stamp.parent().context("a stamp lies in a directory")?)?;
        fs::write(&stamp, installed)?;
    }
    Ok(())
}

fn stamp(folder: &str) -> PathBuf {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    target_directory().join("peers").join(name)
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
