//! The stock clients of the interoperability tests, where there is a checkout of the project.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Finding;
use crate::demo::stock_peers;

/// Compares what is installed with what is pinned.
pub(super) fn versions() -> Finding {
    match stock_peers() {
        Some(place) => compare(&place),
        None => Finding::skipped("stock clients", "no checkout of the project around"),
    }
}

fn compare(place: &Path) -> Finding {
    let (mut installed, mut missing, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, package, pinned) in pins(place) {
        let manifest = place.join(&folder).join("node_modules").join(&package).join("package.json");
        let found = json(&manifest).and_then(|manifest| Some(manifest["version"].as_str()?.to_owned()));
        match found {
            Some(found) if found == pinned => installed.push(format!("{package} {pinned}")),
            Some(found) => others.push(format!("{package} {found} instead of {pinned}")),
            None => missing.push(format!("{package} {pinned}")),
        }
    }
    if !others.is_empty() {
        return Finding::bad("stock clients", format!("found {}", others.join(", ")), "cargo xtask peers");
    }
    match (installed.is_empty(), missing.is_empty()) {
        (true, _) => Finding::skipped("stock clients", "not installed; to get them: cargo xtask peers"),
        (false, true) => Finding::good("stock clients", format!("{}, as pinned", installed.join(", "))),
        (false, false) => Finding::good(
            "stock clients",
            format!("{}, as pinned; not installed: {}", installed.join(", "), missing.join(", ")),
        ),
    }
}

/// Lists folder, package and version of each pinned client.
fn pins(place: &Path) -> Vec<(String, String, String)> {
    let mut pins = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let folder = entry.file_name().to_string_lossy().into_owned();
        let Some(manifest) = json(&entry.path().join("package.json")) else { continue };
        let Some(dependencies) = manifest["dependencies"].as_object() else { continue };
        // A folder is named after its client.
        let client = dependencies.iter().find(|(package, _)| folder.starts_with(package.as_str()));
        if let Some((package, Value::String(version))) = client {
            pins.push((folder, package.clone(), version.clone()));
        }
    }
    pins.sort();
    pins
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn another_version_than_the_pinned_one_is_said() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("dat-13");
        let package = folder.join("node_modules/dat");
        fs::create_dir_all(&package).unwrap();
        fs::write(folder.join("package.json"), r#"{"dependencies":{"dat":"13.13.1"}}"#).unwrap();
        assert_eq!(compare(place.path()).state, State::Skipped);
        fs::write(package.join("package.json"), r#"{"version":"13.13.1"}"#).unwrap();
        let finding = compare(place.path());
        assert_eq!((finding.state, finding.says.as_str()), (State::Good, "dat 13.13.1, as pinned"));
        fs::write(package.join("package.json"), r#"{"version":"13.13.0"}"#).unwrap();
        let finding = compare(place.path());
        assert_eq!(finding.state, State::Bad);
        assert!(finding.says.contains("dat 13.13.0 instead of 13.13.1"), "{finding:?}");
    }
}
