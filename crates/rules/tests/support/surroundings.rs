//! A host for tests: blocks and state in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_rules::abi::{Host, Missing, Usage};
use quorate_rules::state::StateError;
use quorate_rules::verdict::Outcome;

/// Blocks and state in memory. Blocks that are not in the list are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    pub(crate) blocks: Vec<Bytes>,
    pub(crate) state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the state says it holds besides what it holds.
    pub(crate) besides: Usage,
    /// Whether reading the state fails.
    pub(crate) is_broken: bool,
    /// Keys that were read, in order.
    pub(crate) asked: Vec<Vec<u8>>,
    /// Times that the usage was asked for.
    pub(crate) usage_asked: u32,
}

impl Surroundings {
    /// Puts what a call writes into the state.
    pub(crate) fn apply(&mut self, outcome: &Outcome) {
        for (key, value) in outcome.writes.clone() {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
    }

    fn check(&self) -> Result<(), StateError> {
        let reason = "the disk is gone".to_owned();
        if self.is_broken { Err(StateError::Failed { action: "read", reason }) } else { Ok(()) }
    }
}

impl Host for Surroundings {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        let place = usize::try_from(index).unwrap();
        self.blocks.get(place).cloned().ok_or(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.check()?;
        self.asked.push(key.to_vec());
        Ok(self.state.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        self.check()?;
        self.usage_asked += 1;
        let bytes: u64 = self.state.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        let keys = self.state.len() as u64;
        Ok(Usage { bytes: self.besides.bytes + bytes, keys: self.besides.keys + keys })
    }
}
