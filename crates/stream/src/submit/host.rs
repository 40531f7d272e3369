//! What only the host does: it asks its room about each entry once, and signs the answers.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::Outcome;
use quorate_types::{Hash, ModuleHash, PublicKey};

use super::limits::{MAX_OFFERED_BYTES, MAX_OFFERS, MAX_PARKED, MAX_PARKED_OF_AUTHOR, PARKED_FOR};
use super::receipt::refused;
use super::relay::Relay;
use super::{Answer, Output};
use crate::entry::VerifiedEntry;
use crate::identity::Author;
use crate::refusal::{Refusal, RoomCode};

/// What the host holds.
#[derive(Debug)]
pub(super) struct Host {
    /// Key of the feed.
    pub(super) key: Author,
    /// Entries that the room is asked about, or whose module is on its way.
    offers: BTreeMap<Hash, Offered>,
    /// Entries whose predecessors are not there, by author and number.
    parked: BTreeMap<(PublicKey, u64), Parked>,
    /// Bytes of both.
    bytes: usize,
}

#[derive(Debug)]
struct Offered {
    entry: VerifiedEntry,
    /// The room got its module with the question.
    with_module: bool,
    /// The room is asked. Otherwise the module is on its way.
    asked: bool,
}

#[derive(Debug)]
struct Parked {
    entry: VerifiedEntry,
    until: Instant,
    refusal: Refusal,
}

fn size(entry: &VerifiedEntry) -> usize {
    match entry {
        VerifiedEntry::Action(action) => action.payload.len(),
        VerifiedEntry::RuleChange(change) => {
            let vectors = change.vectors.iter().map(|vector| vector.payload.len());
            change.change.params().map_or(0, Bytes::len).saturating_add(vectors.sum())
        }
    }
}

fn module_of(entry: &VerifiedEntry) -> Option<&ModuleHash> {
    match entry {
        VerifiedEntry::Action(_) => None,
        VerifiedEntry::RuleChange(change) => change.change.module(),
    }
}

impl Host {
    pub(super) fn new(key: Author) -> Self {
        Self { key, offers: BTreeMap::new(), parked: BTreeMap::new(), bytes: 0 }
    }

    /// Tells whether an entry waits for the room's answer, or for its predecessors.
    fn holds(&self, entry: &VerifiedEntry) -> bool {
        let parked = self.parked.get(&(*entry.author(), entry.sequence()));
        self.offers.contains_key(entry.digest())
            || parked.is_some_and(|parked| parked.entry.digest() == entry.digest())
    }

    fn put(&mut self, offered: Offered) {
        self.bytes = self.bytes.saturating_add(size(&offered.entry));
        self.offers.insert(*offered.entry.digest(), offered);
    }

    fn take(&mut self, digest: &Hash) -> Option<Offered> {
        let offered = self.offers.remove(digest)?;
        self.bytes = self.bytes.saturating_sub(size(&offered.entry));
        Some(offered)
    }

    /// Returns the entries that wait for the room's answer, for their modules, or for their predecessors.
    pub(super) fn held(&self) -> impl Iterator<Item = &VerifiedEntry> {
        let offered = self.offers.values().map(|offered| &offered.entry);
        offered.chain(self.parked.values().map(|parked| &parked.entry))
    }

    fn has_room(&self, entry: &VerifiedEntry) -> bool {
        self.bytes.saturating_add(size(entry)) <= MAX_OFFERED_BYTES
    }

    fn parked_of(&self, author: &PublicKey) -> usize {
        self.parked.range((*author, 0)..=(*author, u64::MAX)).count()
    }

    /// Keeps an entry until its predecessors are there. It is dropped when too many wait.
    fn park(&mut self, now: Instant, entry: VerifiedEntry, refusal: Refusal) {
        let number = (*entry.author(), entry.sequence());
        let is_full = self.parked.len() >= MAX_PARKED
            || self.parked_of(entry.author()) >= MAX_PARKED_OF_AUTHOR
            || self.parked.contains_key(&number);
        if !is_full && self.has_room(&entry) {
            self.bytes = self.bytes.saturating_add(size(&entry));
            self.parked.insert(number, Parked { entry, until: now + PARKED_FOR, refusal });
        }
    }

    /// Takes out the entry that waits with an author's number.
    fn unpark(&mut self, author: &PublicKey, sequence: u64) -> Option<Parked> {
        let parked = self.parked.remove(&(*author, sequence))?;
        self.bytes = self.bytes.saturating_sub(size(&parked.entry));
        Some(parked)
    }

    /// Returns when the first entry has waited long enough for its predecessors.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.parked.values().map(|parked| parked.until).min()
    }
}

impl Relay {
    /// Asks the room about an entry; does nothing when it is asked already, or about too many. `module` is that of the
    /// rule change, when it came with it.
    pub(super) fn offer(&mut self, entry: VerifiedEntry, module: Option<Bytes>) {
        let module = module.or_else(|| module_of(&entry).and_then(|hash| self.module(hash)));
        let Some(host) = self.host.as_mut() else { return };
        if host.holds(&entry) || host.offers.len() >= MAX_OFFERS || !host.has_room(&entry) {
            return;
        }
        let offered = Offered { entry: entry.clone(), with_module: module.is_some(), asked: true };
        let digest = *entry.digest();
        host.put(offered);
        self.out.push_back(Output::Offer { digest, entry: Box::new(entry), module });
    }

    /// Takes the room's answer.
    pub(super) fn answered(&mut self, now: Instant, digest: Hash, answer: Answer) {
        let Some(Offered { entry, with_module, .. }) = self.host.as_mut().and_then(|host| host.take(&digest))
        else {
            return;
        };
        match answer {
            Answer::Appended { index } => {
                self.appended(now, digest, *entry.author(), entry.sequence(), index);
            }
            Answer::Refused(refusal) => match refusal.code {
                RoomCode::Unable => {}
                RoomCode::SequenceSkipped => {
                    if let Some(host) = self.host.as_mut() {
                        host.park(now, entry, refusal);
                    }
                }
                _ => self.settle(now, digest, refused(&refusal), None),
            },
            Answer::NeedsModule if !with_module => self.wait_for_module(now, entry),
            Answer::NeedsModule | Answer::Later => {}
        }
    }

    /// Keeps an offer while its module is on its way.
    fn wait_for_module(&mut self, now: Instant, entry: VerifiedEntry) {
        let Some(module) = module_of(&entry).copied() else { return };
        if self.module(&module).is_some() {
            self.offer(entry, None);
        } else if self.fetch(now, module, None)
            && let Some(host) = self.host.as_mut()
        {
            host.put(Offered { entry, with_module: false, asked: false });
        }
    }

    /// A module is here, or cannot be had: offers that wait for it are made again, or dropped, so that nobody hears
    /// anything.
    pub(super) fn module_came(&mut self, module: &ModuleHash, bytes: Option<&Bytes>) {
        let Some(host) = self.host.as_mut() else { return };
        let waits = |offered: &Offered| !offered.asked && module_of(&offered.entry) == Some(module);
        let waiting = host.offers.iter().filter(|(_, offered)| waits(offered));
        let waiting: Vec<Hash> = waiting.map(|(digest, _)| *digest).collect();
        let offers: Vec<Offered> = waiting.iter().filter_map(|digest| host.take(digest)).collect();
        if bytes.is_some() {
            offers.into_iter().for_each(|offered| self.offer(offered.entry, bytes.cloned()));
        }
    }

    /// An entry stands in a block: who waits for it is told, and what waits for it is offered.
    pub(super) fn appended(
        &mut self,
        now: Instant,
        digest: Hash,
        author: PublicKey,
        sequence: u64,
        index: u64,
    ) {
        self.settle(now, digest, Outcome::Appended { index }, None);
        let Some(host) = self.host.as_mut() else { return };
        host.unpark(&author, sequence);
        if let Some(next) = sequence.checked_add(1).and_then(|next| host.unpark(&author, next)) {
            self.offer(next.entry, None);
        }
    }

    /// Refuses the entries that have waited long enough for their predecessors.
    pub(super) fn refuse_parked(&mut self, now: Instant) {
        let Some(host) = self.host.as_mut() else { return };
        let due = host.parked.iter().filter(|(_, parked)| parked.until <= now);
        let due: Vec<_> = due.map(|(number, _)| *number).collect();
        for (author, sequence) in due {
            let parked = self.host.as_mut().and_then(|host| host.unpark(&author, sequence));
            if let Some(Parked { entry, refusal, .. }) = parked {
                self.settle(now, *entry.digest(), refused(&refusal), None);
            }
        }
    }
}
