//! What somebody has read of the ledger, and what every two readings must agree on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// An action that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) index: u64,
    pub(crate) author: String,
    pub(crate) sequence: u64,
    pub(crate) payload: Value,
}

impl Entry {
    /// Reads what `cat --json` prints.
    pub(crate) fn parse(object: &Value) -> Result<Self> {
        Ok(Self {
            index: object["index"].as_u64().context("an index")?,
            author: object["author"].as_str().context("an author")?.to_owned(),
            sequence: object["sequence"].as_u64().context("a sequence")?,
            payload: object["payload"].clone(),
        })
    }
}

/// Committed actions, by height.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct History(Vec<Entry>);

impl History {
    /// Takes what was read, and checks it as a ledger: nobody has less than nothing, no action stands there twice.
    pub(crate) fn new(entries: Vec<Entry>) -> Result<Self> {
        let history = Self(entries);
        history.balances()?;
        Ok(history)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(crate) fn at(&self, index: u64) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.index == index)
    }

    /// Checks that one of two readings begins with the other.
    pub(crate) fn agrees_with(&self, other: &Self) -> Result<()> {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        for (a, b) in short.0.iter().zip(&long.0) {
            ensure!(a == b, "two histories are committed: {a:?} and {b:?}");
        }
        Ok(())
    }

    /// Counts what everybody has. What was minted is the sum of it, at every height.
    pub(crate) fn balances(&self) -> Result<BTreeMap<&str, u64>> {
        let mut balances: BTreeMap<&str, u64> = BTreeMap::new();
        let mut sequences: BTreeMap<&str, u64> = BTreeMap::new();
        let mut supply = 0;
        let mut height = None;
        for entry in &self.0 {
            ensure!(height < Some(entry.index), "two entries at height {}", entry.index);
            height = Some(entry.index);
            let next = sequences.entry(&entry.author).or_default();
            ensure!(*next == entry.sequence, "expected action {next} of its author, found {entry:?}");
            *next += 1;
            let (operation, from) = match entry.payload.get("mint") {
                Some(mint) => (mint, None),
                None => (entry.payload.get("transfer").context("an operation")?, Some(entry.author.as_str())),
            };
            let to = operation["to"].as_str().context("a receiver")?;
            let amount = operation["amount"].as_u64().context("an amount")?;
            match from {
                None => supply += amount,
                Some(from) => {
                    let has = balances.entry(from).or_default();
                    *has = has.checked_sub(amount).with_context(|| format!("{from} has less: {entry:?}"))?;
                }
            }
            *balances.entry(to).or_default() += amount;
            ensure!(balances.values().sum::<u64>() == supply, "the sum is not what was minted: {entry:?}");
        }
        Ok(balances)
    }
}
