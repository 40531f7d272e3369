//! A host for tests: blocks and state in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use quorate_rules::abi::{AtHand, Host, Missing, Usage};
use quorate_rules::state::{InMemory, StateError};
use quorate_rules::verdict::Outcome;
use quorate_types::RuleId;

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

/// Surroundings of which a part is at hand without asking.
#[derive(Debug, Clone)]
pub(crate) struct Partly {
    pub(crate) around: Surroundings,
    /// Tells of a key whether its value is at hand.
    pub(crate) is_at_hand: fn(&[u8]) -> bool,
}

/// What is at hand of a state.
#[derive(Debug)]
struct Part {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    is_at_hand: fn(&[u8]) -> bool,
}

impl InMemory for Part {
    fn get(&self, _: &RuleId, key: &[u8]) -> Option<Option<Vec<u8>>> {
        (self.is_at_hand)(key).then(|| self.state.get(key).cloned())
    }
}

impl Host for Partly {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        self.around.block(index)
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.around.get(key)
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        self.around.usage()
    }

    fn at_hand(&mut self) -> Option<AtHand> {
        let usage = self.around.usage().ok()?;
        let state = Arc::new(Part { state: self.around.state.clone(), is_at_hand: self.is_at_hand });
        Some(AtHand { state, space: RuleId::new([7; RuleId::LEN]), usage })
    }
}
