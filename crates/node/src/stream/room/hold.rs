//! Blocks that were here before the room was opened and have no verdict yet: nothing is fetched behind them before they do.
//!
//! A host that broke the rules is found out again after each start. Fetching meanwhile would let it fill the disk of a node
//! that is started often.

use quorate_replicate::{Input, Selection};

use super::super::task::StreamTask;
use super::{RoomKeeper, RoomState, Stopped};

impl RoomState {
    /// Tells whether blocks that were here at the start are being checked, and nothing is fetched until they are.
    pub(in crate::stream) fn is_held(&self) -> bool {
        matches!(self, Self::Open(keeper) if keeper.held.is_some())
    }
}

impl StreamTask {
    /// Fetches nothing more as long as blocks that were here at the start have no verdict.
    pub(super) fn hold_unchecked(&mut self) {
        let RoomState::Open(keeper) = &mut self.rooms else { return };
        let is_behind = keeper.place == 0 && keeper.checked < self.opened_length;
        if self.identity.is_writable() || !is_behind {
            return;
        }
        keeper.held = Some(self.opened_length);
        self.handle(Input::Select { selection: Selection::Nothing });
    }

    /// Goes on fetching once they are found good, or cannot be told to be.
    pub(super) fn release(&mut self, keeper: &mut RoomKeeper) {
        let Some(until) = keeper.held else { return };
        match keeper.stopped {
            Some(Stopped::Refused(_)) => keeper.held = None,
            None if keeper.checked < until && keeper.place == 0 && keeper.closed.is_none() => {}
            None | Some(Stopped::Unable(_)) => {
                keeper.held = None;
                self.select(Selection::Everything);
            }
        }
    }
}
