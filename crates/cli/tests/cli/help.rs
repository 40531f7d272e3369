//! Help, completions and manual pages.

use std::path::Path;

use snapbox::Data;

use crate::support::{World, bare, files_under, finish};

const COMMANDS: &[&str] = &[
    "new",
    "append",
    "cat",
    "log",
    "get",
    "proof",
    "verify",
    "ls",
    "info",
    "peers",
    "share",
    "clone",
    "audit",
    "clear",
    "import",
    "export",
    "key",
    "demo",
    "completions",
    "man",
    "explain",
];

/// Compares with a stored text; `SNAPSHOTS=overwrite` stores a new one.
pub(crate) fn snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    snapbox::assert_data_eq!(text.to_string(), Data::read_from(&path, None));
}

fn help(words: &[&str]) -> String {
    let said = finish(&mut bare(words), b"");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.stderr, "");
    said.text().to_string()
}

#[test]
fn help_is_as_stored() {
    snapshot("help", &help(&["--help"]));
    for command in COMMANDS {
        snapshot(&format!("help-{command}"), &help(&[command, "--help"]));
    }
    snapshot("help-key-new", &help(&["key", "new", "--help"]));
    snapshot("help-key-ls", &help(&["key", "ls", "--help"]));
}

#[test]
fn every_command_has_stored_help() {
    let listed = help(&["--help"]);
    let mut listed: Vec<&str> = listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    listed.sort_unstable();
    let mut stored = COMMANDS.to_vec();
    stored.sort_unstable();
    assert_eq!(listed, stored);
}

#[test]
fn help_says_what_json_is() {
    for command in COMMANDS {
        if matches!(*command, "completions" | "man" | "key") {
            continue;
        }
        let text = help(&[command, "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("single JSON object, quorate.") || text.contains("newline-delimited JSON"),
            "{command}"
        );
    }
}

#[test]
fn version_is_printed() {
    assert_eq!(help(&["--version"]), format!("quorate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_name_the_commands() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.ok("home", &["completions", shell]);
        assert!(
            script.contains("quorate") && script.contains("append") && script.contains("explain"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_are_written() {
    let world = World::new();
    let directory = world.path("man");
    world.ok("home", &["man", directory.to_str().unwrap()]);
    assert!(directory.join("quorate.1").is_file());
    assert!(directory.join("quorate-append.1").is_file());
    assert!(files_under(&directory) > COMMANDS.len());
}

#[test]
fn commands_without_streams_make_no_home() {
    let world = World::new();
    world.ok("home", &["explain"]);
    world.ok("home", &["completions", "bash"]);
    assert!(!world.path("home").exists());
}

#[test]
fn every_code_is_explained() {
    let world = World::new();
    let list = world.ok("home", &["explain"]);
    let codes: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.contains(&"E1001") && codes.contains(&"E9001"));
    for code in codes {
        let page = world.ok("home", &["explain", &code.to_lowercase()]);
        assert!(page.starts_with(&format!("{code}: ")) && page.contains("What to do"), "{page}");
        let object = world.json("home", &["explain", code]);
        assert_eq!(object["schema"], "quorate.explanation/1");
        assert!(object["exit"].is_u64());
    }
    let said = world.run("home", &["explain", "E0000", "--json"]);
    said.failure("E1011", 2);
}
