//! The rules: which crate may depend on which, and which names it may not use.

use super::Violation;
use super::manifest::Manifest;
use super::source::Name;

/// First lines that every `lib.rs` of floors 0 and 1 holds.
pub(super) const ROOT_ATTRIBUTE: &str =
    "#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]";

/// A crate's place: its floor, and its rank among all. Arrows go to lower ranks only.
#[derive(Debug, Clone, Copy)]
struct Place {
    role: &'static str,
    floor: u8,
    rank: u8,
}

const fn place(role: &'static str, floor: u8, rank: u8) -> Place {
    Place { role, floor, rank }
}

/// From the ground up. Crates of one rank do not know each other.
const PLACES: [Place; 13] = [
    place("types", 0, 0),
    place("proto", 0, 1),
    place("feed", 1, 2),
    place("wire", 1, 2),
    place("rules", 1, 2),
    place("replicate", 1, 3),
    place("quorum", 1, 3),
    place("stream", 1, 4),
    place("sim", 2, 5),
    place("store", 2, 5),
    place("net", 2, 5),
    place("node", 3, 6),
    place("cli", 4, 7),
];

/// Packages that only some crates may depend on, and these crates.
const RESERVED_PACKAGES: [(&[&str], &[&str]); 3] = [
    (&["async-std", "smol", "async-io", "async-executor", "async-global-executor", "tokio"], &["net", "cli"]),
    (&["clap", "clap_complete", "clap_mangen", "indicatif"], &["cli"]),
    (&["anyhow", "eyre"], &["cli"]),
];

/// Packages that bring entropy, clocks, threads or sockets, which floors 0 and 1 take as arguments.
const IO_PACKAGES: [&str; 14] = [
    "async-fs",
    "async-net",
    "async-process",
    "blocking",
    "chrono",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "random-access-disk",
    "rustix",
    "socket2",
    "tempfile",
    "time",
];

/// Names of IO in floors 0 and 1: a path that starts with, or ends with, or contains these segments.
const IO_NAMES: [&[&str]; 10] = [
    &["std", "net"],
    &["std", "fs"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "env"],
    &["Instant", "now"],
    &["SystemTime"],
    &["getrandom"],
    &["OsRng"],
    &["thread_rng"],
];

/// Names of a runtime, and the files in which they may stand.
const RUNTIME_NAMES: [&str; 5] = ["async_std", "smol", "async_io", "async_global_executor", "tokio"];
const RUNTIME_FILES: [&str; 3] =
    ["crates/net/src/runtime.rs", "crates/net/src/runtime/", "crates/cli/src/main.rs"];

/// Checks the dependencies of a crate.
pub(super) fn check_manifest(role: &str, manifest: &Manifest) -> Vec<Violation> {
    let file = format!("crates/{role}/Cargo.toml");
    let violation = |what: String| Violation { place: file.clone(), what };
    let Some(here) = place_of(role) else {
        return vec![violation(format!("expected a crate with a place in the floors, found {role:?}"))];
    };
    let mut violations = Vec::new();
    if !manifest.workspace_lints {
        violations.push(violation("expected `[lints] workspace = true`, found none".into()));
    }
    for package in &manifest.dependencies {
        for (packages, roles) in RESERVED_PACKAGES {
            if packages.contains(&package.as_str()) && !roles.contains(&role) {
                violations.push(violation(format!("{package} is for {} only", roles.join(" and "))));
            }
        }
        if here.floor <= 1 && IO_PACKAGES.contains(&package.as_str()) {
            violations.push(violation(format!("{package} does IO, which floor {} may not", here.floor)));
        }
    }
    for package in manifest.dependencies.iter().chain(&manifest.dev_dependencies) {
        let Some(other) = package.strip_prefix("quorate-") else {
            continue;
        };
        match place_of(other) {
            Some(there) if there.rank < here.rank => {}
            Some(_) => violations.push(violation(format!("{package} does not lie below {role}"))),
            None => violations.push(violation(format!("{package} has no place in the floors"))),
        }
    }
    violations
}

/// Checks the names that the code of a crate uses outside its tests.
pub(super) fn check_names(role: &str, file: &str, names: &[Name]) -> Vec<Violation> {
    let io_free = place_of(role).is_none_or(|place| place.floor <= 1);
    let runtime_file = RUNTIME_FILES.iter().any(|allowed| file.starts_with(allowed));
    let mut violations = Vec::new();
    for name in names {
        let violation = |what: String| Violation { place: format!("{file}:{}", name.line), what };
        if let Some(io) = IO_NAMES.iter().find(|io| io_free && name.contains(io)) {
            violations.push(violation(format!("{} is IO, which floors 0 and 1 may not do", io.join("::"))));
        }
        let runtime = RUNTIME_NAMES.iter().find(|runtime| !runtime_file && name.starts_with(runtime));
        if let Some(runtime) = runtime {
            violations.push(violation(format!("{runtime} is named outside {}", RUNTIME_FILES.join(", "))));
        }
    }
    violations
}

/// Checks the root file of a library of floors 0 and 1.
pub(super) fn check_root(role: &str, file: &str, text: &str) -> Option<Violation> {
    let low = place_of(role).is_some_and(|place| place.floor <= 1);
    (low && !text.contains(ROOT_ATTRIBUTE))
        .then(|| Violation { place: file.to_owned(), what: format!("expected {ROOT_ATTRIBUTE}, found none") })
}

fn place_of(role: &str) -> Option<Place> {
    PLACES.into_iter().find(|place| place.role == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floors::source::names;

    fn manifest(dependencies: &[&str], dev_dependencies: &[&str]) -> Manifest {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Manifest {
            dependencies: owned(dependencies),
            dev_dependencies: owned(dev_dependencies),
            workspace_lints: true,
        }
    }

    fn found(role: &str, dependencies: &[&str]) -> usize {
        check_manifest(role, &manifest(dependencies, &[])).len()
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(found("replicate", &["quorate-feed", "quorate-types", "bytes"]), 0);
        assert_eq!(found("feed", &["quorate-wire"]), 1);
        assert_eq!(found("feed", &["quorate-replicate"]), 1);
        assert_eq!(found("types", &["quorate-proto"]), 1);
        assert_eq!(check_manifest("wire", &manifest(&[], &["quorate-node"])).len(), 1);
    }

    #[test]
    fn some_packages_are_reserved() {
        assert_eq!(found("cli", &["clap", "anyhow", "async-std"]), 0);
        assert_eq!(found("node", &["clap"]), 1);
        assert_eq!(found("store", &["anyhow"]), 1);
        assert_eq!(found("node", &["async-std"]), 1);
        assert_eq!(found("wire", &["getrandom"]), 1);
        assert_eq!(found("store", &["getrandom"]), 0);
    }

    #[test]
    fn tests_may_use_what_they_need() {
        assert_eq!(check_manifest("wire", &manifest(&[], &["getrandom", "tempfile"])), []);
    }

    #[test]
    fn lints_and_a_place_are_needed() {
        let mut without = manifest(&[], &[]);
        without.workspace_lints = false;
        assert_eq!(check_manifest("feed", &without).len(), 1);
        assert_eq!(found("helpers", &[]), 1);
    }

    #[test]
    fn clocks_and_entropy_are_io() {
        for code in [
            "fn f() { let now = std::time::Instant::now(); }",
            "use std::time::Instant; fn f() { g(Instant::now) }",
            "use std::time::SystemTime;",
            "fn f() { getrandom::fill(&mut [0]); }",
            "fn f() { println!(\"{:?}\", std::env::args()); }",
            "use std::{io, net::{self, TcpStream}};",
        ] {
            assert!(!check_names("wire", "crates/wire/src/a.rs", &names(code).unwrap()).is_empty(), "{code}");
            assert!(
                check_names("store", "crates/store/src/a.rs", &names(code).unwrap()).is_empty(),
                "{code}"
            );
        }
    }

    #[test]
    fn a_runtime_is_named_in_its_module_only() {
        let code = names("fn f() { async_std::task::spawn(g()); }").unwrap();
        assert_eq!(check_names("net", "crates/net/src/runtime/async_std.rs", &code), []);
        assert_eq!(check_names("net", "crates/net/src/dial.rs", &code).len(), 1);
        assert_eq!(check_names("node", "crates/node/src/lib.rs", &code).len(), 1);
    }

    #[test]
    fn the_root_denies_panics() {
        assert!(check_root("feed", "lib.rs", "pub mod a;").is_some());
        assert!(check_root("feed", "lib.rs", ROOT_ATTRIBUTE).is_none());
        assert!(check_root("node", "lib.rs", "pub mod a;").is_none());
    }
}
