//! Stock peers of plain feeds that find others by themselves: dat-sdk 2 and hyperspace 3.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::{EventProcess, Lan, PATIENCE};

/// A package that finds peers by hyperswarm 2; versions are pinned in `js/*/package.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwarmPackage {
    /// dat-sdk 2.8.1.
    DatSdk,
    /// hyperspace 3.19.0.
    Hyperspace,
}

impl SwarmPackage {
    /// Both packages.
    pub const ALL: [Self; 2] = [Self::DatSdk, Self::Hyperspace];

    const fn folder(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::DatSdk => ("dat-sdk-2", "dat-sdk", "2.8.1"),
            Self::Hyperspace => ("hyperspace-3", "hyperspace", "3.19.0"),
        }
    }
}

/// A running stock peer with one feed; killed when dropped.
#[derive(Debug)]
pub struct SwarmPeer {
    process: EventProcess,
    key: String,
    next_command: u64,
}

impl SwarmPeer {
    /// Starts a peer on a host: with a feed of its own, or with a copy of somebody else's. It asks the local network.
    ///
    /// # Errors
    ///
    /// The pinned package is missing; the message says what to run.
    pub fn start(
        package: SwarmPackage,
        lan: &Lan,
        host: u8,
        directory: &Path,
        key: Option<&str>,
    ) -> Result<Self> {
        Self::start_with(package, lan, host, directory, key, &[])
    }

    /// The same with nodes of the hyperswarm DHT to begin with; without any only the local network is asked.
    pub fn start_with(
        package: SwarmPackage,
        lan: &Lan,
        host: u8,
        directory: &Path,
        key: Option<&str>,
        bootstrap: &[String],
    ) -> Result<Self> {
        let (folder, name, version) = package.folder();
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(folder);
        let manifest = std::fs::read_to_string(at.join("node_modules").join(name).join("package.json"))
            .with_context(|| {
                format!("expected the pinned package {name}, found none: run `cargo xtask peers`")
            })?;
        ensure!(
            manifest.contains(&format!("\"version\": \"{version}\"")),
            "expected {name} {version} as pinned: run `cargo xtask peers`"
        );
        std::fs::create_dir_all(directory)?;
        let options = json!({ "dir": directory, "key": key, "bootstrap": bootstrap });
        let mut command = Command::new("node");
        command.arg(at.join("peer.js")).arg(options.to_string()).env("HOME", directory);
        let mut process = EventProcess::start(&format!("stock peer {name}"), &mut lan.on(host, &command))?;
        let ready = process.event("ready", PATIENCE)?;
        let key = ready["key"].as_str().context("a peer names its feed")?.to_owned();
        Ok(Self { process, key, next_command: 1 })
    }

    /// Returns the key of the feed, hexadecimal.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Appends blocks; returns the length.
    pub fn append<B: AsRef<[u8]>>(&mut self, blocks: impl IntoIterator<Item = B>) -> Result<u64> {
        let blocks: Vec<String> = blocks.into_iter().map(|block| BASE64.encode(block.as_ref())).collect();
        self.command("append", json!({ "blocks": blocks }))?["length"].as_u64().context("a length")
    }

    /// Reads a block, waiting until a peer sends it.
    pub fn get(&mut self, index: u64) -> Result<Vec<u8>> {
        let reply = self.command("get", json!({ "index": index }))?;
        Ok(BASE64.decode(reply["data"].as_str().context("a block")?.as_bytes())?)
    }

    fn command(&mut self, name: &str, mut fields: Value) -> Result<Value> {
        let id = self.next_command;
        self.next_command += 1;
        fields["id"] = json!(id);
        fields["cmd"] = json!(name);
        self.process.send(&fields)?;
        let reply = self.process.event_where("reply", PATIENCE, |reply| reply["id"] == id)?;
        match reply["error"].as_str() {
            Some(error) => bail!("{name}: {error}"),
            None => Ok(reply),
        }
    }
}
