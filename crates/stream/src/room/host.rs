//! Surroundings of a rule in a room.

use bytes::Bytes;
use quorate_rules::abi::{AtHand, Host, Missing, Usage};
use quorate_rules::state::{StateError, StateStore};
use quorate_types::RuleId;

use super::keys;
use super::prefix::Prefix;

/// What one rule sees of the room before the entry.
pub(crate) struct RuleHost<'a> {
    state: &'a dyn StateStore,
    prefix: &'a dyn Prefix,
    space: RuleId,
}

impl<'a> RuleHost<'a> {
    pub(crate) fn new(state: &'a dyn StateStore, prefix: &'a dyn Prefix, space: RuleId) -> Self {
        Self { state, prefix, space }
    }
}

impl Host for RuleHost<'_> {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        self.prefix.block(index).ok_or(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state.get(&self.space, key)
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        keys::get_usage(self.state, &self.space)
    }

    fn at_hand(&mut self) -> Option<AtHand> {
        let state = self.state.in_memory()?;
        let usage = self.usage().ok()?;
        Some(AtHand { state, space: self.space, usage })
    }
}
