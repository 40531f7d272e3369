//! Records on their way to the disk, and what comes out when they are there.

use std::collections::VecDeque;

use bytes::Bytes;

use super::event::{Output, Slot, Ticket};
use crate::certificate::{Certified, VerifiedStart};
use crate::statement::{Seal, Verified, Vote};

/// Something that depends on a record.
#[derive(Debug, Clone)]
pub(super) enum After {
    /// Nothing does.
    Nothing,
    /// A vote counts, and goes to all peers.
    Vote(Box<Verified<Vote>>),
    /// A seal counts, and goes to all peers.
    Seal(Box<Verified<Seal>>),
    /// A Final is reported: what a node once took for committed it does not forget.
    Final(Certified),
    /// The feed of the epoch becomes known, and goes to all peers.
    Granted(Box<VerifiedStart>),
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

    /// Takes what depends on the records up to a ticket, in their order.
    pub(super) fn persisted(&mut self, ticket: Ticket) -> Vec<After> {
        let mut after = Vec::new();
        while let Some((_, then)) = self.waiting.pop_front_if(|(waiting, _)| *waiting <= ticket) {
            after.push(then);
        }
        after
    }
}
