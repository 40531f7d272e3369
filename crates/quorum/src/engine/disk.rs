//! Records on their way to the disk, and what comes out when they are there.

use std::collections::VecDeque;

use bytes::Bytes;

use super::event::{Output, Slot, Ticket};

/// Something that depends on a record.
#[derive(Debug, Clone)]
pub(super) enum After {
    /// Nothing does.
    Nothing,
    /// A message to all peers.
    Broadcast(Bytes),
    /// Outputs.
    Output(Vec<Output>),
}

/// Records that are not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Disk {
    last: u64,
    waiting: VecDeque<(Ticket, After)>,
}

impl Disk {
    /// Writes a record.
    pub(super) fn write(&mut self, slot: Slot, record: impl Into<Bytes>, after: After) -> Output {
        self.last = self.last.saturating_add(1);
        let ticket = Ticket(self.last);
        self.waiting.push_back((ticket, after));
        Output::Persist { ticket, slot, record: record.into() }
    }

    /// Tells whether all records are durable.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes what depends on the records up to a ticket, in their order.
    pub(super) fn persisted(&mut self, ticket: Ticket) -> Vec<After> {
        let mut after = Vec::new();
        while let Some((_, then)) = self.waiting.pop_front_if(|(waiting, _)| *waiting <= ticket) {
            after.push(then);
        }
        after
    }
}
