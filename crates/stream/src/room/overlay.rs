//! State over state: what happens before an entry hides what is.

use std::sync::Arc;

use quorate_rules::state::{InMemory, StateError, StateStore, WriteSet};
use quorate_types::RuleId;

/// A state with the writes of what happens before an entry.
pub(crate) struct Layered<'a> {
    pub(crate) writes: &'a WriteSet,
    pub(crate) below: &'a dyn StateStore,
}

impl StateStore for Layered<'_> {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        // Seldom is there anything, so that the copy of the key is seldom made.
        if !self.writes.is_empty()
            && let Some(value) = self.writes.get(&(*space, key.to_vec()))
        {
            return Ok(value.clone());
        }
        self.below.get(space, key)
    }

    fn in_memory(&self) -> Option<Arc<dyn InMemory>> {
        if self.writes.is_empty() { self.below.in_memory() } else { None }
    }
}
