//! State over state: what is not committed yet hides what is.

use std::collections::{BTreeMap, HashMap};

use quorate_rules::state::{RoomStore, StateError, StateStore, WriteSet};
use quorate_types::RuleId;

/// Keys of a namespace for which there is room between batches, at most: 56 bytes each.
const KEPT_KEYS: usize = 8192;

/// Writes of the steps that a store does not have yet.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Namespaces apart, so that a key is looked up without copying it.
    spaces: BTreeMap<RuleId, HashMap<Vec<u8>, Option<Vec<u8>>>>,
    bytes: usize,
}

impl Overlay {
    pub(super) fn add(&mut self, writes: &WriteSet) {
        for ((space, key), value) in writes {
            let bytes = key.len().saturating_add(value.as_ref().map_or(0, Vec::len));
            self.bytes = self.bytes.saturating_add(bytes);
            let keys = self.spaces.entry(*space).or_default();
            match keys.get_mut(key) {
                Some(old) => old.clone_from(value),
                None => {
                    keys.insert(key.clone(), value.clone());
                }
            }
        }
    }

    /// Forgets all writes. Tables of a usual size that were written to are kept for the next ones.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.spaces.retain(|_, keys| !keys.is_empty() && keys.capacity() <= KEPT_KEYS);
        self.spaces.values_mut().for_each(HashMap::clear);
    }

    /// Returns the bytes of all that was added, what is hidden by now included.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn get(&self, space: &RuleId, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.spaces.get(space)?.get(key)
    }
}

/// The state of a room with the steps that its store does not have yet.
#[derive(Debug)]
pub(super) struct View<'a, S> {
    pub(super) overlay: &'a Overlay,
    pub(super) store: &'a S,
}

impl<S: RoomStore> StateStore for View<'_, S> {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.overlay.get(space, key) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(space, key),
        }
    }
}

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
}
