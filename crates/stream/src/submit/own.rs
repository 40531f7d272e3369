//! This node's own entries that wait for an outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_types::{Hash, ModuleHash, PublicKey};

use super::SubmitError;
use super::limits::{
    MAX_IN_FLIGHT, MAX_OWN, MAX_OWN_BYTES, MAX_RETRY, PATIENT_TRIES, REPLAY_PATIENCE, RETRY,
};
use super::receipt::submission_digest;
use crate::entry::VerifiedEntry;
use crate::refusal::Refusal;

/// Order in which entries were submitted.
pub(super) type Ticket = u64;

/// An entry that waits for an outcome.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) entry: VerifiedEntry,
    pub(super) block: Bytes,
    pub(super) module: Option<Bytes>,
    /// By which the host would refuse its bytes.
    bytes_digest: Hash,
    /// Times it was sent.
    pub(super) tries: u32,
    next_try: Instant,
    give_up: Option<Instant>,
    /// What the host said of an entry with this number, and until when that may be shown to be this one.
    replayed: Option<(Refusal, Instant)>,
    /// The host said that an entry before this one is not there, and that one waits here too.
    skipped: bool,
}

/// What time brings to an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is to be sent.
    Send(Ticket),
    /// The time given for it has passed.
    GivenUp(Hash),
    /// The host's word that its number is used stands.
    Replayed(Hash, Refusal),
}

/// Entries in the order of their submission.
#[derive(Debug, Default)]
pub(super) struct Own {
    entries: BTreeMap<Ticket, Submission>,
    by_digest: HashMap<Hash, Ticket>,
    by_bytes: HashMap<Hash, Ticket>,
    by_number: BTreeMap<(PublicKey, u64), Ticket>,
    /// Entries whose turn has not come yet.
    unsent: BTreeSet<Ticket>,
    /// Entries that take a place of those on their way.
    in_flight: BTreeSet<Ticket>,
    /// When something is next to be done about entries whose turn has come.
    timers: BTreeSet<(Instant, Ticket)>,
    /// When entries are given up.
    deadlines: BTreeSet<(Instant, Ticket)>,
    bytes: usize,
    next: Ticket,
}

impl Submission {
    fn bytes(&self) -> usize {
        self.block.len().saturating_add(self.module.as_ref().map_or(0, Bytes::len))
    }

    fn wake(&self) -> Instant {
        self.replayed.as_ref().map_or(self.next_try, |(_, until)| self.next_try.min(*until))
    }
}

impl Own {
    /// Takes an entry in; it is not sent yet.
    pub(super) fn add(
        &mut self,
        now: Instant,
        entry: VerifiedEntry,
        module: Option<Bytes>,
        give_up_after: Option<Duration>,
    ) -> Result<(), SubmitError> {
        let block = entry.encode();
        let bytes_digest = submission_digest(entry.room(), &block);
        let give_up = give_up_after.and_then(|after| now.checked_add(after));
        let submission = Submission {
            entry,
            block,
            module,
            bytes_digest,
            tries: 0,
            next_try: now,
            give_up,
            replayed: None,
            skipped: false,
        };
        if self.entries.len() >= MAX_OWN {
            return Err(SubmitError::TooMany { limit: MAX_OWN });
        }
        let bytes = self.bytes.saturating_add(submission.bytes());
        if bytes > MAX_OWN_BYTES {
            return Err(SubmitError::TooManyBytes { limit: MAX_OWN_BYTES, found: bytes });
        }
        let number = (*submission.entry.author(), submission.entry.sequence());
        if self.by_number.contains_key(&number) {
            return Err(SubmitError::SequenceTaken { author: number.0, sequence: number.1 });
        }
        let ticket = self.next;
        self.next = self.next.saturating_add(1);
        self.bytes = bytes;
        self.by_digest.insert(*submission.entry.digest(), ticket);
        self.by_bytes.insert(bytes_digest, ticket);
        self.by_number.insert(number, ticket);
        self.unsent.insert(ticket);
        self.deadlines.extend(give_up.map(|at| (at, ticket)));
        self.entries.insert(ticket, submission);
        Ok(())
    }

    /// Tells whether an entry waits.
    pub(super) fn contains(&self, digest: &Hash) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Returns an entry.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&Submission> {
        self.entries.get(&ticket)
    }

    /// Returns an entry by its digest.
    pub(super) fn by_digest(&self, digest: &Hash) -> Option<&VerifiedEntry> {
        let submission = self.entries.get(self.by_digest.get(digest)?);
        submission.map(|submission| &submission.entry)
    }

    /// Returns the digest of the entry that is sent as the bytes with this digest.
    pub(super) fn by_bytes(&self, digest: &Hash) -> Option<Hash> {
        let submission = self.entries.get(self.by_bytes.get(digest)?);
        submission.map(|submission| *submission.entry.digest())
    }

    /// Returns the entry that waits with an author's number.
    pub(super) fn with_number(&self, author: &PublicKey, sequence: u64) -> Option<&VerifiedEntry> {
        let ticket = self.by_number.get(&(*author, sequence))?;
        self.entries.get(ticket).map(|submission| &submission.entry)
    }

    /// Returns the entries in the order of their submission, with how often each was sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&VerifiedEntry, u32)> {
        self.entries.values().map(|submission| (&submission.entry, submission.tries))
    }

    /// Returns a module that an entry brings.
    pub(super) fn module(&self, hash: &ModuleHash) -> Option<&Bytes> {
        let needs = |submission: &&Submission| match &submission.entry {
            VerifiedEntry::RuleChange(change) => change.change.module() == Some(hash),
            VerifiedEntry::Action(_) => false,
        };
        self.entries.values().filter(needs).find_map(|submission| submission.module.as_ref())
    }

    /// Returns the module that came with an entry.
    pub(super) fn module_of(&self, digest: &Hash) -> Option<&Bytes> {
        self.entries.get(self.by_digest.get(digest)?)?.module.as_ref()
    }

    /// Tells whether an entry of an author before this number waits.
    pub(super) fn waits_before(&self, author: &PublicKey, sequence: u64) -> bool {
        self.by_number.range((*author, 0)..(*author, sequence)).next().is_some()
    }

    /// Returns the next entry that was not sent, when one may be on its way.
    pub(super) fn next_unsent(&self) -> Option<Ticket> {
        self.unsent.first().filter(|_| self.in_flight.len() < MAX_IN_FLIGHT).copied()
    }

    /// Returns the entries whose turn has come, the oldest ones first, as many as may be sent at once.
    pub(super) fn on_their_way(&self) -> Vec<Ticket> {
        let tickets = self.entries.keys().filter(|ticket| !self.unsent.contains(ticket));
        tickets.take(MAX_IN_FLIGHT).copied().collect()
    }

    /// Notes that an entry was sent, and when it is to be sent again.
    pub(super) fn sent(&mut self, now: Instant, ticket: Ticket) {
        let Some(submission) = self.entries.get_mut(&ticket) else { return };
        self.timers.remove(&(submission.wake(), ticket));
        let wait = RETRY.saturating_mul(1 << submission.tries.min(8)).min(MAX_RETRY);
        submission.tries = submission.tries.saturating_add(1);
        submission.next_try = now + wait;
        self.timers.insert((submission.wake(), ticket));
        self.unsent.remove(&ticket);
        if submission.tries < PATIENT_TRIES {
            self.in_flight.insert(ticket);
        } else {
            self.in_flight.remove(&ticket);
        }
    }

    /// Notes that an entry could not be sent: when it is its turn again.
    pub(super) fn not_sent(&mut self, now: Instant, ticket: Ticket) {
        let Some(submission) = self.entries.get_mut(&ticket) else { return };
        self.timers.remove(&(submission.wake(), ticket));
        submission.next_try = now + RETRY;
        self.timers.insert((submission.wake(), ticket));
        self.unsent.remove(&ticket);
        self.in_flight.insert(ticket);
    }

    /// Notes that the host has an entry with the number of this one: the block will show which.
    pub(super) fn replayed(&mut self, now: Instant, digest: &Hash, refusal: Refusal) {
        let Some(ticket) = self.by_digest.get(digest) else { return };
        let Some(submission) = self.entries.get_mut(ticket) else { return };
        if submission.replayed.is_none() {
            self.timers.remove(&(submission.wake(), *ticket));
            submission.replayed = Some((refusal, now + REPLAY_PATIENCE));
            self.timers.insert((submission.wake(), *ticket));
        }
    }

    /// Notes that the host lacks an entry before this one. False when none waits here: then it will never come.
    pub(super) fn skipped(&mut self, digest: &Hash) -> bool {
        let Some(ticket) = self.by_digest.get(digest) else { return true };
        let Some(submission) = self.entries.get_mut(ticket) else { return true };
        let (author, sequence) = (*submission.entry.author(), submission.entry.sequence());
        submission.skipped = self.by_number.range((author, 0)..(author, sequence)).next().is_some();
        submission.skipped
    }

    /// There is another host, which has heard of nothing yet: what was sent is due at once.
    pub(super) fn renew(&mut self, now: Instant) {
        self.timers.clear();
        for (ticket, submission) in &mut self.entries {
            (submission.tries, submission.next_try) = (0, now);
            (submission.replayed, submission.skipped) = (None, false);
            if !self.unsent.contains(ticket) {
                self.timers.insert((now, *ticket));
            }
        }
    }

    /// An author's entry was appended: the next one, which came too early, is due at once.
    pub(super) fn hurry(&mut self, now: Instant, author: &PublicKey, sequence: u64) {
        let next = sequence.checked_add(1).and_then(|next| self.by_number.get(&(*author, next)));
        let Some(ticket) = next.copied() else { return };
        let Some(submission) = self.entries.get_mut(&ticket).filter(|submission| submission.skipped) else {
            return;
        };
        self.timers.remove(&(submission.wake(), ticket));
        submission.skipped = false;
        submission.next_try = now;
        self.timers.insert((submission.wake(), ticket));
    }

    /// Returns something that is due.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let first = |times: &BTreeSet<(Instant, Ticket)>| {
            times.first().filter(|(at, _)| *at <= now).map(|(_, ticket)| *ticket)
        };
        if let Some(submission) = first(&self.deadlines).and_then(|ticket| self.entries.get(&ticket)) {
            return Some(Due::GivenUp(*submission.entry.digest()));
        }
        let ticket = first(&self.timers)?;
        let submission = self.entries.get(&ticket)?;
        let digest = *submission.entry.digest();
        match &submission.replayed {
            Some((refusal, until)) if *until <= now => Some(Due::Replayed(digest, refusal.clone())),
            _ => Some(Due::Send(ticket)),
        }
    }

    /// Returns when something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let first = |times: &BTreeSet<(Instant, Ticket)>| times.first().map(|(at, _)| *at);
        [first(&self.deadlines), first(&self.timers)].into_iter().flatten().min()
    }

    /// Returns the entries that are no longer valid in a room of this many blocks.
    pub(super) fn outgrown(&self, length: u64) -> Vec<Hash> {
        let is_past = |entry: &&VerifiedEntry| entry.valid_until() != 0 && length > entry.valid_until();
        self.entries
            .values()
            .map(|submission| &submission.entry)
            .filter(is_past)
            .map(|entry| *entry.digest())
            .collect()
    }

    /// Takes an entry out, whose outcome is known.
    pub(super) fn remove(&mut self, digest: &Hash) -> bool {
        let Some(ticket) = self.by_digest.remove(digest) else { return false };
        let Some(submission) = self.entries.remove(&ticket) else { return false };
        self.by_bytes.remove(&submission.bytes_digest);
        self.by_number.remove(&(*submission.entry.author(), submission.entry.sequence()));
        self.timers.remove(&(submission.wake(), ticket));
        if let Some(at) = submission.give_up {
            self.deadlines.remove(&(at, ticket));
        }
        self.unsent.remove(&ticket);
        self.in_flight.remove(&ticket);
        self.bytes = self.bytes.saturating_sub(submission.bytes());
        true
    }
}
