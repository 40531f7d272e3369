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
    "ls-files",
    "checkout",
    "doctor",
    "audit",
    "clear",
    "import",
    "export",
    "key",
    "validator",
    "votes",
    "fork",
    "rule",
    "demo",
    "completions",
    "man",
    "explain",
];

const RULE_COMMANDS: &[&str] =
    &["new", "build", "check", "test", "run", "replay", "add", "remove", "replace", "params", "ls"];

const VALIDATOR_COMMANDS: &[&str] = &["key", "ls", "add", "remove", "serve"];

const FORK_COMMANDS: &[&str] = &["ls", "show", "export", "verify", "publish", "resolve"];

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
    for command in RULE_COMMANDS {
        snapshot(&format!("help-rule-{command}"), &help(&["rule", command, "--help"]));
    }
    for command in VALIDATOR_COMMANDS {
        snapshot(&format!("help-validator-{command}"), &help(&["validator", command, "--help"]));
    }
    for command in FORK_COMMANDS {
        snapshot(&format!("help-fork-{command}"), &help(&["fork", command, "--help"]));
    }
    snapshot("help-key-new", &help(&["key", "new", "--help"]));
    snapshot("help-key-ls", &help(&["key", "ls", "--help"]));
    snapshot("help-key-export", &help(&["key", "export", "--help"]));
    snapshot("help-key-import", &help(&["key", "import", "--help"]));
}

#[test]
fn every_command_has_stored_help() {
    assert_eq!(listed(&["--help"]), sorted(COMMANDS));
    assert_eq!(listed(&["rule", "--help"]), sorted(RULE_COMMANDS));
    assert_eq!(listed(&["validator", "--help"]), sorted(VALIDATOR_COMMANDS));
    assert_eq!(listed(&["fork", "--help"]), sorted(FORK_COMMANDS));
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    names.sort_unstable();
    names
}

/// Lists the commands that a help text lists, but `help`.
fn listed(words: &[&str]) -> Vec<String> {
    let text = help(words);
    let mut listed: Vec<String> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_string)
        .collect();
    listed.sort_unstable();
    listed
}

#[test]
fn help_says_what_json_is() {
    let rule = RULE_COMMANDS.iter().map(|command| vec!["rule", command, "--help"]);
    let validator = VALIDATOR_COMMANDS.iter().map(|command| vec!["validator", command, "--help"]);
    let fork = FORK_COMMANDS.iter().map(|command| vec!["fork", command, "--help"]);
    let all = COMMANDS.iter().map(|command| vec![*command, "--help"]);
    for words in all.chain(rule).chain(validator).chain(fork) {
        let is_group = matches!(words[..], ["rule" | "validator" | "fork", "--help"]);
        if matches!(words[0], "completions" | "man" | "key") || is_group {
            continue;
        }
        let text = help(&words).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("single JSON object, quorate.") || text.contains("newline-delimited JSON"),
            "{words:?}"
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
