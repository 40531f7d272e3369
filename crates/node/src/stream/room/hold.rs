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
    /// Fetches nothing more as long as blocks that were here at the start, and can be checked, have no verdict.
    pub(super) fn hold_unchecked(&mut self) {
        let RoomState::Open(keeper) = &self.rooms else { return };
        // A feed may be known to be longer than what of it is here.
        let ready = self.log_ready(&keeper.log, keeper.checked).min(self.opened_length);
        let is_behind = keeper.place == 0 && keeper.checked < ready;
        if self.identity.is_writable() || self.branch.is_some() || !is_behind {
            return;
        }
        if let RoomState::Open(keeper) = &mut self.rooms {
            keeper.held = Some(ready);
        }
        self.handle(Input::Select { selection: Selection::Nothing });
    }

    /// Goes on fetching once they are found good, or when there is nothing more to check of what is here.
    pub(super) fn release(&mut self, keeper: &mut RoomKeeper) {
        let Some(until) = keeper.held else { return };
        let is_first = keeper.place == 0 && keeper.closed.is_none();
        let is_ready = keeper.job.is_some() || self.log_ready(&keeper.log, keeper.checked) > keeper.checked;
        match keeper.stopped {
            Some(Stopped::Refused(_)) => keeper.held = None,
            None if is_first && is_ready && keeper.wanted.is_none() && keeper.checked < until => {}
            None | Some(Stopped::Unable(_)) => self.end_hold(keeper),
        }
    }

    /// Goes on fetching, unless another history is being fetched: that ends by itself.
    pub(super) fn end_hold(&mut self, keeper: &mut RoomKeeper) {
        if keeper.held.take().is_some() && self.branch.is_none() {
            self.select(Selection::Everything);
        }
    }
}
