//! A state in memory: dry runs, test vectors, tests.

use std::collections::{BTreeMap, VecDeque};

use quorate_types::RuleId;

use super::{Position, RoomStore, StateError, StateStore, Step, UNDO_STEPS, WriteSet};

/// State of a room that goes away with the process.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    spaces: BTreeMap<RuleId, BTreeMap<Vec<u8>, Vec<u8>>>,
    position: Position,
    /// The last steps, the latest at the back.
    undo: VecDeque<Undo>,
    undo_steps: u64,
}

/// How one step is taken back.
#[derive(Debug, Clone)]
struct Undo {
    before: Position,
    /// What the keys it wrote held before.
    values: WriteSet,
}

impl MemoryStore {
    /// Makes an empty state, at length 0.
    pub fn new() -> Self {
        Self::with_undo_steps(UNDO_STEPS)
    }

    /// Makes an empty state that can take back the last `undo_steps` steps and no more.
    pub const fn with_undo_steps(undo_steps: u64) -> Self {
        Self { spaces: BTreeMap::new(), position: Position::START, undo: VecDeque::new(), undo_steps }
    }

    /// Lists keys and values of a namespace, by key.
    pub fn entries(&self, space: &RuleId) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spaces
            .get(space)
            .into_iter()
            .flat_map(|keys| keys.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }

    /// Puts the values, and returns what was there before.
    fn put(&mut self, writes: WriteSet) -> WriteSet {
        let mut before = WriteSet::new();
        for ((space, key), value) in writes {
            let keys = self.spaces.entry(space).or_default();
            let old = match value {
                Some(value) => keys.insert(key.clone(), value),
                None => keys.remove(&key),
            };
            if keys.is_empty() {
                self.spaces.remove(&space);
            }
            before.insert((space, key), old);
        }
        before
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl StateStore for MemoryStore {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.spaces.get(space).and_then(|keys| keys.get(key)).cloned())
    }
}

impl RoomStore for MemoryStore {
    fn position(&self) -> Position {
        self.position
    }

    fn oldest(&self) -> u64 {
        self.undo.front().map_or(self.position.length, |first| first.before.length)
    }

    fn position_at(&self, length: u64) -> Result<Option<Position>, StateError> {
        if length == self.position.length {
            return Ok(Some(self.position));
        }
        let place = length.checked_sub(self.oldest()).and_then(|place| usize::try_from(place).ok());
        Ok(place.and_then(|place| self.undo.get(place)).map(|undo| undo.before))
    }

    fn held_at(&self, length: u64) -> Result<WriteSet, StateError> {
        let (oldest, newest) = (self.oldest(), self.position.length);
        if !(oldest..=newest).contains(&length) {
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        let mut held = WriteSet::new();
        for undo in self.undo.iter().rev().take_while(|undo| undo.before.length >= length) {
            held.extend(undo.values.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(held)
    }

    fn stage(&mut self, step: Step) -> Result<(), StateError> {
        let before = self.position;
        if step.index != before.length {
            return Err(StateError::Index { expected: before.length, found: step.index });
        }
        self.position = step.after();
        let values = self.put(step.writes);
        self.undo.push_back(Undo { before, values });
        while self.position.length.saturating_sub(self.oldest()) > self.undo_steps {
            self.undo.pop_front();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn step_back(&mut self, length: u64) -> Result<(), StateError> {
        let (oldest, newest) = (self.oldest(), self.position.length);
        if !(oldest..=newest).contains(&length) {
            return Err(StateError::OutOfReach { oldest, newest, found: length });
        }
        while self.position.length > length {
            let Some(undo) = self.undo.pop_back() else { break };
            self.put(undo.values);
            self.position = undo.before;
        }
        Ok(())
    }
}
