//! A node's disk: what was written is lost until it is synced, and a backup may be put back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use quorate_quorum::engine::{Slot, Ticket};
use quorate_quorum::statement::{Seal, Signed};

use super::rng::Rng;

/// Records of the quorum.
pub type Records = BTreeMap<Slot, Bytes>;

/// Records under their slots, and what is not synced yet.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    durable: Records,
    unsynced: VecDeque<(Ticket, Slot, Bytes)>,
    backup: Option<Records>,
    /// Everything that was ever durable.
    ever: BTreeSet<Bytes>,
}

/// What a crash did to the writes that were on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// Writes that are gone.
    pub lost: usize,
    /// Whether one of them was torn: begun, and not whole. The store's checksum tells, so it is gone as well.
    pub torn: bool,
}

impl Disk {
    /// Writes a record; it is not durable.
    pub fn write(&mut self, ticket: Ticket, slot: Slot, record: Bytes) {
        self.unsynced.push_back((ticket, slot, record));
    }

    /// Returns the newest write.
    pub fn newest(&self) -> Option<Ticket> {
        self.unsynced.back().map(|(ticket, ..)| *ticket)
    }

    /// Syncs all writes up to one, and returns their tickets in their order.
    pub fn sync(&mut self, up_to: Ticket) -> Vec<Ticket> {
        let mut synced = Vec::new();
        while let Some((ticket, ..)) = self.unsynced.front()
            && *ticket <= up_to
        {
            synced.push(*ticket);
            self.store_first();
        }
        synced
    }

    /// The power fails: some first part of the unsynced writes is there, the rest is lost.
    pub fn crash(&mut self, rng: &mut Rng) -> Loss {
        let kept = rng.below(self.unsynced.len() as u64 + 1);
        for _ in 0..kept {
            self.store_first();
        }
        let lost = self.unsynced.len();
        self.unsynced.clear();
        Loss { lost, torn: lost > 0 && rng.per_mille(500) }
    }

    /// Keeps a copy of what is durable.
    pub fn back_up(&mut self) {
        self.backup = Some(self.durable.clone());
    }

    /// Puts the copy back, of a node that is down; tells whether there was one, and it was older.
    pub fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else { return false };
        let is_older = backup != self.durable;
        self.durable = backup;
        is_older
    }

    /// Returns what is durable.
    pub fn records(&self) -> &Records {
        &self.durable
    }

    /// Tells whether a record was durable at any time; of a seal, whether one was that says the same to any validators.
    pub fn was_durable(&self, record: &[u8]) -> bool {
        if self.ever.contains(record) {
            return true;
        }
        let Ok(Seal { common, .. }) = Signed::<Seal>::decode(record).map(|seal| seal.statement) else {
            return false;
        };
        let said = |bytes: &[u8]| {
            let mut seal = Signed::<Seal>::decode(bytes).ok()?.statement;
            seal.common.vset = common.vset;
            Some(seal)
        };
        let sealed = said(record);
        self.ever.iter().any(|ever| said(ever) == sealed)
    }

    fn store_first(&mut self) {
        if let Some((_, slot, record)) = self.unsynced.pop_front() {
            self.ever.insert(record.clone());
            self.durable.insert(slot, record);
        }
    }
}
