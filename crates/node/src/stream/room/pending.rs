//! Signed actions that wait to be committed: what the patience of validators with a host is measured by.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use quorate_stream::entry::VerifiedEntry;
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::Checked;
use quorate_types::Hash;

use crate::room::Checker;

/// Entries that are kept while no block has them. More of them say nothing more about the host.
const MAX_HEARD: usize = 256;

/// Bytes of those entries.
const MAX_HEARD_BYTES: usize = 4 * 1024 * 1024;

/// Blocks with entries of which it is known since when they are here.
const MAX_APPENDED: usize = 1024;

/// Time after which it is looked whether the room would take an entry: most stand in a block before.
const GRACE: Duration = Duration::from_secs(1);

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Entries that one look is about.
const MAX_LOOKED_AT: usize = 32;

/// Time after which an entry is forgotten that the room would not take.
const FORGET: Duration = Duration::from_secs(60);

/// What the room takes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// Entries of participants.
    Entries,
    /// Nothing from anybody: a change of validators is not through. That says nothing about the entries, nor about the
    /// host.
    Nothing,
    /// The start of the epoch that has begun. A host that does not append it keeps everybody waiting, whatever its
    /// rules would say of the entries.
    Start,
}

/// Entries that wait.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Those that no block has.
    heard: BTreeMap<Hash, Heard>,
    bytes: usize,
    /// Blocks that are not committed: length of the room with each, and since when its entry waits.
    appended: VecDeque<(u64, Instant)>,
    looked: Option<Instant>,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    entry: VerifiedEntry,
    since: Instant,
    bytes: usize,
    /// The room would take it: a host that does not append it is slow, or censors.
    counts: bool,
}

impl Pending {
    /// Notes an entry that is on its way to the host.
    pub(super) fn hear(&mut self, now: Instant, entry: &VerifiedEntry) {
        let bytes = entry.encode().len();
        if self.heard.contains_key(entry.digest())
            || self.heard.len() >= MAX_HEARD
            || self.bytes + bytes > MAX_HEARD_BYTES
        {
            return;
        }
        self.bytes += bytes;
        let heard = Heard { entry: entry.clone(), since: now, bytes, counts: false };
        self.heard.insert(*entry.digest(), heard);
    }

    /// Notes that the host has said what becomes of an entry; returns since when that was waited for.
    pub(super) fn settled(&mut self, digest: &Hash) -> Option<Instant> {
        let heard = self.heard.remove(digest)?;
        self.bytes -= heard.bytes;
        Some(heard.since)
    }

    /// Notes that an entry stands in the last block of so many.
    pub(super) fn appended(&mut self, now: Instant, digest: &Hash, length: u64) {
        let since = self.settled(digest).unwrap_or(now);
        if self.appended.len() < MAX_APPENDED {
            self.appended.push_back((length, since));
        }
    }

    /// Notes that so many blocks are committed.
    pub(super) fn committed(&mut self, length: u64) {
        while self.appended.pop_front_if(|(waits, _)| *waits <= length).is_some() {}
    }

    /// Notes that blocks beyond a length are no part of the room any more.
    pub(super) fn dropped(&mut self, length: u64) {
        self.appended.retain(|(waits, _)| *waits <= length);
    }

    /// Returns what no block has, as far as it was heard of.
    pub(super) fn heard(&self) -> impl Iterator<Item = &VerifiedEntry> {
        self.heard.values().map(|heard| &heard.entry)
    }

    /// Looks whether the room would take what was heard, when it is time.
    pub(super) fn look(&mut self, now: Instant, checker: &mut Checker, taking: Taking) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        self.looked = Some(now);
        if taking != Taking::Entries {
            let counts = taking == Taking::Start;
            self.heard.values_mut().for_each(|heard| heard.counts = counts);
            return;
        }
        let mut due: Vec<(Instant, Hash)> = self
            .heard
            .iter()
            .filter(|(_, heard)| now.saturating_duration_since(heard.since) >= GRACE)
            .map(|(digest, heard)| (heard.since, *digest))
            .collect();
        due.sort_unstable();
        for (_, digest) in due.into_iter().take(MAX_LOOKED_AT) {
            let Some(heard) = self.heard.get_mut(&digest) else { continue };
            let is_old = now.saturating_duration_since(heard.since) >= FORGET;
            let is_kept = match checker.would_take(&heard.entry) {
                Checked::Accepted(_) => {
                    heard.counts = true;
                    true
                }
                // One of the same author that is before it may be here.
                Checked::Refused(refusal) if refusal.code == RoomCode::SequenceSkipped => {
                    heard.counts = false;
                    !is_old
                }
                Checked::Refused(_) => false,
                Checked::Unable(_) => {
                    heard.counts = false;
                    !is_old
                }
            };
            if !is_kept {
                self.settled(&digest);
            }
        }
    }

    /// Time of the next look.
    pub(super) fn due(&self) -> Option<Instant> {
        let first = self.heard.values().map(|heard| heard.since).min()?;
        Some(self.looked.map_or(first + GRACE, |looked| (looked + LOOK).max(first + GRACE)))
    }

    /// Since when the oldest entry waits, when that is something else than was told last.
    pub(super) fn news(&mut self) -> Option<Option<Instant>> {
        let heard = self.heard.values().filter(|heard| heard.counts).map(|heard| heard.since);
        let since = heard.chain(self.appended.iter().map(|(_, since)| *since)).min();
        (std::mem::replace(&mut self.told, since) != since).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use quorate_stream::action::UnsignedAction;
    use quorate_stream::identity::{Anchor, Author};
    use quorate_types::RoomId;

    use super::*;

    fn entry(sequence: u64) -> VerifiedEntry {
        let (anchor, payload) = (Anchor::new(0, Hash::new([0; 32])), bytes::Bytes::from_static(b"1"));
        let action = UnsignedAction { sequence, anchor, valid_until: 0, payload };
        action.sign(&RoomId::new([1; 32]), &Author::from_seed(&[2; 32])).unwrap().into()
    }

    #[test]
    fn blocks_wait_until_they_are_committed_or_dropped() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pending = Pending::default();
        assert_eq!(pending.news(), None);
        // Since it was heard of, not since it stands in a block.
        pending.hear(at(1), &entry(0));
        assert_eq!(pending.news(), None, "it is not known whether the room would take it");
        pending.appended(at(3), entry(0).digest(), 5);
        assert_eq!(pending.news(), Some(Some(at(1))));
        pending.appended(at(4), entry(1).digest(), 6);
        assert_eq!(pending.news(), None);
        pending.committed(5);
        assert_eq!(pending.news(), Some(Some(at(4))));
        pending.dropped(5);
        assert_eq!(pending.news(), Some(None));
        assert_eq!((pending.due(), pending.bytes), (None, 0));
    }

    #[test]
    fn what_the_host_answered_waits_no_longer() {
        let start = Instant::now();
        let mut pending = Pending::default();
        pending.hear(start, &entry(0));
        pending.hear(start + GRACE, &entry(0));
        assert_eq!(pending.due(), Some(start + GRACE));
        assert_eq!(pending.settled(entry(0).digest()), Some(start));
        assert_eq!((pending.settled(entry(0).digest()), pending.due()), (None, None));
        for sequence in 0..2 * MAX_HEARD as u64 {
            pending.hear(start, &entry(sequence));
        }
        assert_eq!(pending.heard.len(), MAX_HEARD);
    }
}
