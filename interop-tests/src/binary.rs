//! The `quorate` binary under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{EventProcess, project_root};

/// Returns the path of the `quorate` binary, built from the sources as they are.
///
/// `QUORATE_BIN` names it, or else Cargo builds it, once in each process that asks.
pub fn quorate_binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = std::env::var_os("QUORATE_BIN") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "expected the quorate binary at QUORATE_BIN = {}, found none",
            path.display()
        );
        return Ok(path);
    }
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--package", "quorate-cli", "--message-format", "json-render-diagnostics"])
        .current_dir(project_root())
        .output()
        .context("cannot run cargo build")?;
    ensure!(
        output.status.success(),
        "cargo build --package quorate-cli failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "quorate")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo build named no executable of the target quorate")
}

/// The `quorate` command on one home directory.
#[derive(Debug, Clone)]
pub struct Quorate {
    binary: PathBuf,
    home: PathBuf,
}

impl Quorate {
    /// Uses a home directory, which need not exist yet.
    pub fn new(home: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { binary: quorate_binary()?, home: home.into() })
    }

    /// Returns the home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes a command with `--home` set, ready for more arguments.
    pub fn command<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--home").arg(&self.home).env("NO_COLOR", "1").env_remove("QUORATE_HOME");
        // Whoever wants discovery says so, and runs in a network of its own.
        command.env("QUORATE_ANNOUNCE", "none").env("QUORATE_RESOLVE", "none");
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        command
    }

    /// Runs to the end and returns status and output, whatever they are.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments).output().with_context(|| format!("cannot run quorate {arguments:?}"))
    }

    /// Runs to the end and returns standard output.
    ///
    /// # Errors
    ///
    /// The exit code is not 0; the message holds standard error.
    pub fn stdout(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.run(arguments)?;
        ensure!(
            output.status.success(),
            "expected exit code 0 of quorate {arguments:?}, found {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }

    /// Runs to the end with `--json` and parses the one object on standard output.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let stdout = self.stdout(&[&["--json"], arguments].concat())?;
        serde_json::from_slice(&stdout).with_context(|| {
            format!(
                "expected one JSON object from quorate {arguments:?}, found {:?}",
                String::from_utf8_lossy(&stdout)
            )
        })
    }

    /// Starts with `--json` and leaves it running, for the commands that print events.
    pub fn start(&self, arguments: &[&str]) -> Result<EventProcess> {
        let name = format!("quorate {}", arguments.join(" "));
        EventProcess::start(&name, &mut self.command([&["--json"], arguments].concat()))
    }
}
