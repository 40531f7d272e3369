//! A state as it was: what a rule said of a block is asked again where the block stood.

use quorate_types::RuleId;

use super::{Position, RoomStore, StateError, StateStore, Step, WriteSet};

/// A state as it was at an earlier length. It is read through the newer one, and cannot be changed.
#[derive(Debug)]
pub struct Earlier<'a, S> {
    store: &'a S,
    position: Position,
    /// What the keys held that have been written since.
    held: WriteSet,
}

impl<'a, S: RoomStore> Earlier<'a, S> {
    /// Looks at a store as it was at a length. Takes memory for what was written since.
    ///
    /// # Errors
    ///
    /// [`StateError::OutOfReach`], and when the store cannot be read.
    pub fn of(store: &'a S, length: u64) -> Result<Self, StateError> {
        let out_of_reach = || StateError::OutOfReach {
            oldest: store.oldest(),
            newest: store.position().length,
            found: length,
        };
        let position = store.position_at(length)?.ok_or_else(out_of_reach)?;
        Ok(Self { store, position, held: store.held_at(length)? })
    }

    fn unchanging(&self, found: u64) -> StateError {
        let length = self.position.length;
        StateError::OutOfReach { oldest: length, newest: length, found }
    }
}

impl<S: RoomStore> StateStore for Earlier<'_, S> {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.held.get(&(*space, key.to_vec())) {
            Some(held) => Ok(held.clone()),
            None => self.store.get(space, key),
        }
    }
}

impl<S: RoomStore> RoomStore for Earlier<'_, S> {
    fn position(&self) -> Position {
        self.position
    }

    fn oldest(&self) -> u64 {
        self.position.length
    }

    fn position_at(&self, length: u64) -> Result<Option<Position>, StateError> {
        Ok(Some(self.position).filter(|position| position.length == length))
    }

    fn held_at(&self, length: u64) -> Result<WriteSet, StateError> {
        if length == self.position.length { Ok(WriteSet::new()) } else { Err(self.unchanging(length)) }
    }

    fn stage(&mut self, step: Step) -> Result<(), StateError> {
        Err(self.unchanging(step.after().length))
    }

    fn commit(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn step_back(&mut self, length: u64) -> Result<(), StateError> {
        if length == self.position.length { Ok(()) } else { Err(self.unchanging(length)) }
    }
}
