//! Our command on a host of a private network.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{EventProcess, Lan, PATIENCE, Quorate, Workspace};
use serde_json::Value;

/// A host with our command, which finds peers on the local network.
pub(crate) struct Ours<'a> {
    lan: &'a Lan,
    host: u8,
    quorate: Quorate,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Ours<'a> {
    pub(crate) fn new(lan: &'a Lan, host: u8, workspace: &Workspace) -> Result<Self> {
        let quorate = Quorate::new(workspace.join(&format!("home-{host}")))?;
        Ok(Self { lan, host, quorate, variables: Vec::new() })
    }

    /// Sets a variable of every command.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.quorate.command([&["--json"], arguments].concat());
        command
            .env("QUORATE_ANNOUNCE", "lan")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)));
        self.lan.on(self.host, &command)
    }

    /// Runs to a good end and returns the objects that were printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = self.command(arguments).output().context("cannot run quorate")?;
        ensure!(
            output.status.success(),
            "expected exit code 0 of quorate {arguments:?}, found {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout)?;
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Runs to whatever end, and returns the one object that was printed.
    pub(crate) fn report(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command(arguments).output().context("cannot run quorate")?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("quorate {arguments:?} printed no object:\n{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Runs `share` until it is dropped.
    pub(crate) fn share(&self) -> Result<EventProcess> {
        let mut process = EventProcess::start("quorate share", &mut self.command(&["share"]))?;
        process.event("listening", PATIENCE)?;
        Ok(process)
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<EventProcess> {
        EventProcess::start(&format!("quorate {arguments:?}"), &mut self.command(arguments))
    }

    /// Creates a stream with these blocks; returns its key.
    pub(crate) fn create(&self, name: &str, blocks: &[&str]) -> Result<String> {
        let made = self.run(&["new", name])?;
        for block in blocks {
            self.run(&["append", name, block])?;
        }
        Ok(made[0]["key"].as_str().context("a key")?.to_owned())
    }
}

/// Makes a network with this many hosts; `None` where the gate has said why there can be none.
pub(crate) fn network(hosts: u8) -> Result<Option<Lan>> {
    if may_make_one() { Lan::new(hosts).map(Some) } else { Ok(None) }
}

/// The same, where multicast goes nowhere.
pub(crate) fn network_without_multicast(hosts: u8) -> Result<Option<Lan>> {
    if may_make_one() { Lan::without_multicast(hosts).map(Some) } else { Ok(None) }
}

fn may_make_one() -> bool {
    let Some(reason) = std::env::var_os("QUORATE_WITHOUT_LAN") else { return true };
    eprintln!("skipped, no network of its own: {}", reason.to_string_lossy());
    false
}

/// Names a directory of a test.
pub(crate) fn directory(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let path = workspace.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, patience: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "expected {what} within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
