//! What left a process before it was killed, and whether all of it is still true.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use quorate_feed::{Feed, FeedConfig, Flavour, Recovery};
use quorate_interop_tests::{Chance, Workspace, generated_batch};
use quorate_store::{Backend, FeedDirectory, FeedFiles, Lock};
use serde_json::Value;

/// Where a node keeps the stream `log`.
const STREAM: &str = "streams/log";

/// What a writer has acknowledged and shown.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    key: Option<String>,
    /// Roots that somebody has seen, by length.
    roots: BTreeMap<u64, String>,
    /// Batches that were acknowledged: first block, length, seed.
    batches: Vec<(u64, u64, u32)>,
    /// Batches of which every block was compared.
    compared: usize,
}

impl Ledger {
    /// Takes note of what the writer said.
    pub(crate) fn note(&mut self, event: &Value) -> Result<()> {
        match event["event"].as_str() {
            Some("acked") => {
                let number = |field: &str| event[field].as_u64().context("a number");
                let (start, length, seed) = (number("start")?, number("length")?, number("seed")? as u32);
                ensure!(
                    !self.batches.iter().any(|(other, end, _)| start < *end && *other < length),
                    "blocks {start} to {length} were acknowledged before"
                );
                self.batches.push((start, length, seed));
                Ok(())
            }
            Some("open" | "head") => {
                let key = event["key"].as_str().context("a key")?.to_owned();
                ensure!(*self.key.get_or_insert(key.clone()) == key, "the stream has another key, {key}");
                let length = event["length"].as_u64().context("a length")?;
                if event["event"] == "open" {
                    let acknowledged = self.acknowledged();
                    ensure!(
                        length >= acknowledged,
                        "{acknowledged} blocks acknowledged, {length} after opening"
                    );
                }
                match event["hash"].as_str() {
                    Some(hash) => self.root(length, hash),
                    None => Ok(()),
                }
            }
            _ => bail!("expected open, acked or head, found {event}"),
        }
    }

    /// Takes note of a root that somebody saw.
    pub(crate) fn root(&mut self, length: u64, hash: &str) -> Result<()> {
        let known = self.roots.entry(length).or_insert_with(|| hash.to_owned());
        ensure!(known == hash, "two roots of length {length}: {known} and {hash}");
        Ok(())
    }

    /// Blocks that were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.batches.iter().map(|(_, length, _)| *length).max().unwrap_or(0)
    }

    /// Opens a copy of what a kill has left, compares it with all that is known, and goes on with it.
    pub(crate) async fn check_copy(&mut self, home: &Path, chance: &mut Chance) -> Result<()> {
        let Some(mut copy) = reopen_copy(home).await? else {
            ensure!(self.key.is_none(), "the stream is gone");
            return Ok(());
        };
        let (recovery, length) = (copy.recovery.clone(), copy.feed.length());
        ensure!(recovery.lost().is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
        ensure!(length >= self.acknowledged(), "{} acknowledged, {recovery:?}", self.acknowledged());
        for (length, hash) in &self.roots {
            let roots =
                copy.feed.roots_at(*length).await?.context("the roots of a length that was signed")?;
            let found = roots.tree_hash(Flavour::Dat).to_string();
            ensure!(found == *hash, "length {length} had root {hash}, and has {found}");
        }
        // Batches of earlier runs once in a while, those of the last run always.
        let from = if chance.one_in(4) { 0 } else { self.compared };
        for (start, length, seed) in self.batches.iter().skip(from) {
            let batch = generated_batch(*seed);
            ensure!(*length - *start == batch.len() as u64, "a batch of another size");
            for (index, block) in (*start..).zip(batch) {
                let found = copy.feed.get(index).await?;
                ensure!(found.as_ref() == Some(&block), "block {index} is not what was acknowledged");
            }
        }
        self.compared = self.batches.len();
        copy.audit().await?;
        copy.feed.append(&[Bytes::from_static(b"goes on"), Bytes::new()]).await?;
        copy.feed.flush().await?;
        ensure!(
            copy.feed.get(length).await?.is_some_and(|block| block == "goes on"),
            "the copy does not go on"
        );
        Ok(())
    }
}

/// A stream as it was found.
pub(crate) struct Reopened {
    pub(crate) feed: Feed<Backend>,
    pub(crate) recovery: Recovery,
    _lock: Lock,
    _workspace: Option<Workspace>,
}

/// Opens a copy of the stream that a process has left; `None` when it had not been made.
pub(crate) async fn reopen_copy(home: &Path) -> Result<Option<Reopened>> {
    let workspace = Workspace::new()?;
    let (from, to) = (home.join(STREAM), workspace.join(STREAM));
    if !from.join("key").exists() {
        return Ok(None);
    }
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let path = entry?.path();
        let name = path.file_name().context("an entry has a name")?;
        if path.is_file() && name != "quorate.lock" {
            fs::copy(&path, to.join(name))?;
        }
    }
    let reopened = reopen(workspace.path()).await?;
    Ok(reopened.map(|reopened| Reopened { _workspace: Some(workspace), ..reopened }))
}

/// Opens the stream that a process has left; `None` when it had not been made.
pub(crate) async fn reopen(home: &Path) -> Result<Option<Reopened>> {
    let files = FeedFiles::plain(home.join(STREAM));
    if !files.key().exists() {
        return Ok(None);
    }
    let FeedDirectory { keys, storage, lock, .. } = FeedDirectory::open(&files).await?;
    let (feed, recovery) = Feed::open(keys, storage, FeedConfig::default()).await?;
    Ok(Some(Reopened { feed, recovery, _lock: lock, _workspace: None }))
}

impl Reopened {
    /// Compares every block that is here, audits, and returns how many blocks are here.
    pub(crate) async fn check_blocks(&mut self, expected: impl Fn(u64) -> Vec<u8>) -> Result<u64> {
        let recovery = &self.recovery;
        ensure!(recovery.lost().is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
        let mut here = 0;
        for index in 0..self.feed.length() {
            if let Some(block) = self.feed.get(index).await? {
                ensure!(block == expected(index), "block {index} is another one");
                here += 1;
            }
        }
        self.audit().await?;
        Ok(here)
    }

    async fn audit(&mut self) -> Result<()> {
        let report = self.feed.audit(&mut |_, _| {}).await?;
        ensure!(report.is_clean(), "the audit finds {:?}", report.findings.listed());
        Ok(())
    }
}
