//! Stock clients of the demo: the pinned peers of the interoperability tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::child::{Actor, Stage};
use crate::stop::Outcome;

/// Where the pinned peers are in a checkout of the project.
const PEERS: &str = "interop-tests/js";

/// A stock client that can take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stock {
    /// `hypercore 9`.
    pub(crate) title: String,
    script: PathBuf,
}

/// What was found of the stock clients.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// These.
    Peers(Vec<Stock>),
    /// No checkout of the project around.
    NoCheckout,
    /// They are not installed.
    NotInstalled,
    /// No Node.js.
    NoNode,
}

/// Returns the stock clients that can take part, and why there are none.
pub(crate) fn present() -> (Vec<Stock>, Option<&'static str>) {
    match find() {
        Found::Peers(stocks) => (stocks, None),
        Found::NoCheckout => {
            (Vec::new(), Some("no checkout of the project around; clone it, and there: cargo xtask peers"))
        }
        Found::NotInstalled => (Vec::new(), Some("not installed; to get them: cargo xtask peers")),
        Found::NoNode => {
            (Vec::new(), Some("no Node.js found as `node`; install it, then: cargo xtask peers"))
        }
    }
}

/// Looks for the folders of the stock clients around the working directory and around this program.
pub(crate) fn stock_peers() -> Option<PathBuf> {
    let places = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    places
        .iter()
        .flatten()
        .flat_map(|place| place.ancestors())
        .map(|place| place.join(PEERS))
        .find(|place| place.is_dir())
}

fn find() -> Found {
    let Some(checkout) = stock_peers() else {
        return Found::NoCheckout;
    };
    let stocks = installed(&checkout);
    if stocks.is_empty() {
        Found::NotInstalled
    } else if !has_node() {
        Found::NoNode
    } else {
        Found::Peers(stocks)
    }
}

fn installed(checkout: &Path) -> Vec<Stock> {
    [("hypercore 9", "hypercore-9"), ("hypercore 7", "hypercore-7")]
        .into_iter()
        .map(|(title, folder)| (title, checkout.join(folder)))
        .filter(|(_, folder)| folder.join("node_modules/hypercore/package.json").is_file())
        .map(|(title, folder)| Stock { title: title.to_string(), script: folder.join("peer.js") })
        .filter(|stock| stock.script.is_file())
        .collect()
}

fn has_node() -> bool {
    Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A stock client that runs.
pub(crate) struct Running {
    actor: Actor,
    /// Its package and version: `hypercore 9.12.0`.
    pub(crate) version: String,
    /// Key of its feed.
    pub(crate) key: String,
    /// Where it listens, when it does.
    pub(crate) address: Option<String>,
    next: u64,
}

impl Running {
    /// Starts a stock client that clones a feed from an address.
    pub(crate) fn cloner(stage: &Stage, stock: &Stock, key: &str, address: &str) -> Outcome<Self> {
        Self::start(stage, stock, "clones", &json!({ "key": key, "connect": address }))
    }

    /// Starts a stock client with a feed of its own, which it serves.
    pub(crate) fn writer(stage: &Stage, stock: &Stock) -> Outcome<Self> {
        Self::start(stage, stock, "writes", &json!({ "listen": 0 }))
    }

    fn start(stage: &Stage, stock: &Stock, what: &str, options: &Value) -> Outcome<Self> {
        let mut command = Command::new("node");
        command.arg(&stock.script).arg(options.to_string());
        let mut actor = stage.start(&format!("{} {what}", stock.title), &mut command)?;
        let mut key = String::new();
        let mut address = None;
        let version = stage.wait(&mut actor, "a stock client that starts", |event| {
            match event["event"].as_str() {
                Some("feed") => key = event["key"].as_str().unwrap_or_default().to_string(),
                Some("listening") => address = event["address"].as_str().map(str::to_string),
                Some("ready") => {
                    let version = event["versions"]["hypercore"].as_str().unwrap_or("?");
                    return Some(format!("hypercore {version}"));
                }
                _ => {}
            }
            None
        })?;
        Ok(Self { actor, version, key, address, next: 1 })
    }

    /// Sends a command and waits for its reply.
    fn ask(&mut self, stage: &Stage, mut command: Value) -> Outcome<Value> {
        let id = self.next;
        self.next += 1;
        command["id"] = id.into();
        self.actor.command(&command)?;
        stage.wait(&mut self.actor, "a reply of a stock client", |event| {
            (event["event"] == "reply" && event["id"] == id).then(|| event.clone())
        })
    }

    /// Appends blocks to its own feed, in one batch.
    pub(crate) fn append(&mut self, stage: &Stage, blocks: &[Vec<u8>]) -> Outcome {
        let blocks: Vec<String> = blocks.iter().map(|block| data_encoding::BASE64.encode(block)).collect();
        self.ask(stage, json!({ "cmd": "append", "blocks": blocks })).map(|_| ())
    }

    /// Fetches a block, from its peer if need be; `None` when it does not come.
    pub(crate) fn get(&mut self, stage: &Stage, index: u64) -> Outcome<Option<Vec<u8>>> {
        let reply = self.ask(stage, json!({ "cmd": "get", "index": index, "timeout": 10_000 }))?;
        Ok(reply["data"].as_str().and_then(|data| data_encoding::BASE64.decode(data.as_bytes()).ok()))
    }

    /// Ends the process.
    pub(crate) fn end(self) {
        self.actor.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_takes_part() {
        let checkout = tempfile::tempdir().unwrap();
        assert_eq!(installed(checkout.path()), []);
        let folder = checkout.path().join("hypercore-7");
        std::fs::create_dir_all(folder.join("node_modules/hypercore")).unwrap();
        std::fs::write(folder.join("node_modules/hypercore/package.json"), "{}").unwrap();
        assert_eq!(installed(checkout.path()), []);
        std::fs::write(folder.join("peer.js"), "").unwrap();
        let stock = Stock { title: "hypercore 7".into(), script: folder.join("peer.js") };
        assert_eq!(installed(checkout.path()), [stock]);
    }
}
