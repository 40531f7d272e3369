//! `cargo xtask floors`: dependencies point down, and the lower floors do no IO.

mod dependencies;
mod manifest;
mod rules;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::root;
use manifest::Manifest;

/// Something that stands where it must not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// File, and the line where there is one.
    place: String,
    /// What is wrong, and what the rule is.
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks every crate of the workspace.
///
/// # Errors
///
/// A rule is broken; the message lists every place.
pub(crate) fn run() -> Result<()> {
    let violations = check(root())?;
    if violations.is_empty() {
        eprintln!("floors: dependencies point down and have a reason; floors 0 and 1 do no IO");
        return Ok(());
    }
    let list: Vec<_> = violations.iter().map(Violation::to_string).collect();
    bail!("{} violations of the floors\n  {}", list.len(), list.join("\n  "))
}

fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let mut manifests = BTreeMap::new();
    for directory in directories(&root.join("crates"))? {
        let role = directory.file_name().context("a crate's directory has a name")?.to_string_lossy();
        let manifest = read_manifest(&directory)?;
        violations.extend(rules::check_manifest(&role, &manifest));
        manifests.insert(format!("crates/{role}/Cargo.toml"), manifest);
        for file in source::rust_files(&directory.join("src"))? {
            let place = file.strip_prefix(root)?.to_string_lossy().into_owned();
            let text = fs::read_to_string(&file)?;
            let uses = source::names(&text).with_context(|| format!("cannot parse {place}"))?;
            violations.extend(rules::check_names(&role, &place, &uses));
            if file.ends_with("src/lib.rs") {
                violations.extend(rules::check_root(&role, &place, &text));
            }
        }
    }
    for package in TOOLS.into_iter().filter(|package| root.join(package).is_dir()) {
        manifests.insert(format!("{package}/Cargo.toml"), read_manifest(&root.join(package))?);
    }
    let document = fs::read_to_string(root.join(dependencies::DOCUMENT))
        .with_context(|| format!("cannot read {}", dependencies::DOCUMENT))?;
    violations.extend(dependencies::check(&manifests, &document));
    violations.sort();
    Ok(violations)
}

/// Packages of the workspace that lie outside the floors.
const TOOLS: [&str; 3] = ["fuzz", "interop-tests", "xtask"];

/// Lists the directories that hold a crate.
fn directories(parent: &Path) -> Result<Vec<PathBuf>> {
    let mut directories: Vec<_> = fs::read_dir(parent)
        .with_context(|| format!("cannot list {}", parent.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    directories.retain(|directory| directory.join("Cargo.toml").is_file());
    directories.sort();
    Ok(directories)
}

fn read_manifest(directory: &Path) -> Result<Manifest> {
    let file = directory.join("Cargo.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Manifest::parse(&text).with_context(|| format!("in {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with one crate `feed` that keeps the rules.
    fn workspace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let feed = root.path().join("crates/feed");
        fs::create_dir_all(root.path().join("docs/decisions")).unwrap();
        fs::write(root.path().join(dependencies::DOCUMENT), "no table\n").unwrap();
        fs::create_dir_all(feed.join("src")).unwrap();
        fs::write(
            feed.join("Cargo.toml"),
            "[package]\nname = \"quorate-feed\"\n[dependencies]\nquorate-types.workspace = true\n\
             [lints]\nworkspace = true\n",
        )
        .unwrap();
        fs::write(feed.join("src/lib.rs"), format!("{}\npub mod a;\n", rules::ROOT_ATTRIBUTE)).unwrap();
        fs::write(feed.join("src/a.rs"), "pub fn one() -> u8 { 1 }\n").unwrap();
        root
    }

    #[test]
    fn a_clean_workspace_has_no_violations() {
        assert_eq!(check(workspace().path()).unwrap(), []);
    }

    #[test]
    fn a_planted_violation_is_found_with_its_line() {
        let root = workspace();
        let file = root.path().join("crates/feed/src/a.rs");
        fs::write(file, "// a comment may say std::fs\n\nuse std::{fs::File, io};\n").unwrap();
        let found = check(root.path()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "crates/feed/src/a.rs:3");
        assert!(found[0].what.contains("std::fs"), "{}", found[0].what);
    }

    #[test]
    fn a_planted_arrow_up_is_found() {
        let root = workspace();
        let file = root.path().join("crates/feed/Cargo.toml");
        let text = fs::read_to_string(&file).unwrap().replace("quorate-types", "quorate-net");
        fs::write(file, text).unwrap();
        let found = check(root.path()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("quorate-net"), "{}", found[0].what);
    }
}
