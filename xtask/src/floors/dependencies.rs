//! Every direct dependency has its reason in `docs/decisions/0004-dependencies.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::manifest::Manifest;

/// The document with the reasons.
pub(super) const DOCUMENT: &str = "docs/decisions/0004-dependencies.md";

/// Compares what crates depend on with the lines of the document.
pub(super) fn check(manifests: &BTreeMap<String, Manifest>, document: &str) -> Vec<Violation> {
    let reasons = reasons(document);
    let mut used = BTreeSet::new();
    let mut violations = Vec::new();
    for (file, manifest) in manifests {
        for package in manifest.dependencies.iter().chain(&manifest.dev_dependencies) {
            if package.starts_with("quorate-") {
                continue;
            }
            used.insert(package.as_str());
            if !reasons.contains(package.as_str()) {
                violations.push(Violation {
                    place: file.clone(),
                    what: format!("{package} has no line of reason in {DOCUMENT}"),
                });
            }
        }
    }
    violations.extend(reasons.difference(&used).map(|package| Violation {
        place: DOCUMENT.to_owned(),
        what: format!("{package} has a line, but no crate depends on it"),
    }));
    violations
}

/// Names in the first column of the table.
fn reasons(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, reason)| reason.trim_end_matches('|').trim().len() > 3)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dependency_needs_a_line_and_each_line_a_dependency() {
        let manifest = Manifest::parse(
            "[dependencies]\na = \"1\"\nquorate-types = \"1\"\n[dev-dependencies]\nb = \"1\"\nc = \"1\"\n",
        )
        .unwrap();
        let manifests = BTreeMap::from([("crates/x/Cargo.toml".to_owned(), manifest)]);
        let document =
            "| crate | used for |\n|---|---|\n| `a` | a reason |\n| `c` | |\n| `d` | old reason |\n";
        let found: Vec<_> = check(&manifests, document).into_iter().map(|violation| violation.what).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("b has no line") && found[1].starts_with("c has no line"), "{found:?}");
        assert!(found[2].starts_with("d has a line"), "{found:?}");
    }
}
