//! What the host of the epoch does: it proposes lengths, puts certificates into blocks, opens its feed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use quorate_proto::quorate1::MAX_PROPOSALS;
use quorate_types::{Hash, PublicKey};

use super::Engine;
use super::epochs::base_of;
use super::event::{Append, Output, Timing};
use super::limits::CERTIFICATE_BLOCKS;
use crate::certificate::VerifiedFinal;
use crate::evidence::{NoOracle, VerifiedEvidence};

/// What the host holds of an epoch.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Lengths at which votes are asked for, and since when; those that a QC covers are gone.
    proposals: BTreeMap<u64, Instant>,
    /// Longest length that was ever proposed.
    proposed: u64,
    /// Substance that the newest certificate block covers, and when it was made.
    certified: u64,
    certified_at: Option<Instant>,
    /// Evidence that was given to be put into a block.
    told: BTreeSet<Hash>,
    is_feed_asked_for: bool,
    is_start_appended: bool,
}

impl Host {
    /// Returns when the next certificate block may be made; `None` when nothing was made yet, so that it may be now.
    fn certificate_due(&self, timing: Timing) -> Option<Instant> {
        self.certified_at?.checked_add(timing.certificate)
    }

    /// Returns the lengths that are asked for, ascending.
    pub(super) fn proposals(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.proposals.keys().copied()
    }
}

impl Engine {
    /// Tells whether this node writes the feed of the epoch.
    pub(super) fn is_host(&self) -> bool {
        let epoch = &self.current.epoch;
        match epoch.host_key() {
            _ if epoch.host().0 == 0 => self.is_genesis_host,
            Some(host) => {
                self.host_key.as_ref().is_some_and(|key| key.public() == *host)
                    && self.grants.values().any(|granted| epoch.feed() == Some(granted))
            }
            None => false,
        }
    }

    /// Begins what a host does at the start of an epoch.
    pub(super) fn begin_hosting(&mut self, now: Instant) {
        let epoch = &self.current.epoch;
        let number = epoch.number();
        let is_mine = self.host_key.as_ref().is_some_and(|key| epoch.host_key() == Some(&key.public()));
        match epoch.feed().copied() {
            None if is_mine => {
                if let Some(feed) = self.grants.get(&number).copied() {
                    self.grant(now, feed);
                } else if !self.here.host.is_feed_asked_for {
                    self.here.host.is_feed_asked_for = true;
                    let base = base_of(&self.current.epoch);
                    self.out.push_back(Output::CreateFeed { epoch: number, base });
                }
            }
            Some(feed) if self.is_host() && !self.here.host.is_start_appended => {
                self.here.host.is_start_appended = true;
                let Some((start, bytes, _)) = self.current.start.as_ref() else { return };
                let bytes = bytes.clone();
                let output = match start.grant {
                    None => Output::Append { feed, what: Append::EpochStart(bytes) },
                    Some(_) => {
                        let base = base_of(&self.current.epoch);
                        Output::OpenFeed { epoch: number, feed, base, start: bytes }
                    }
                };
                self.out.push_back(output);
            }
            _ => {}
        }
    }

    /// Takes the key of the feed that was asked for. One feed for one epoch: a second key is ignored.
    pub(super) fn feed_created(&mut self, now: Instant, epoch: u64, feed: PublicKey) {
        let is_asked = epoch == self.current.epoch.number() && self.here.host.is_feed_asked_for;
        if is_asked && self.current.epoch.feed().is_none() && !self.grants.contains_key(&epoch) {
            self.grant(now, feed);
        }
    }

    /// Puts evidence into blocks, so that stock peers carry it and late joiners find it: that of earlier epochs as well,
    /// whose host may be the culprit. The room takes each once.
    fn try_tell(&mut self, feed: PublicKey) {
        let has_begun = self.current.epoch.number() == 0 || !self.here.heads.is_empty();
        if !has_begun || self.here.closing().is_some() || self.here.host.told.len() == self.exposed.count() {
            return;
        }
        let room = *self.epoch().room();
        // What takes the history to check stands in no block.
        let holds_alone =
            |evidence: &VerifiedEvidence| evidence.evidence().clone().verify(&room, &NoOracle).is_ok();
        let host = &mut self.here.host;
        for evidence in self.exposed.iter() {
            let is_new = host.told.insert(*evidence.id());
            if is_new && *evidence.culprit() != feed && holds_alone(evidence) {
                let what = Append::Evidence(evidence.bytes().clone());
                self.out.push_back(Output::Append { feed, what });
            }
        }
    }

    /// Proposes and certifies.
    pub(super) fn try_host(&mut self, now: Instant) {
        let Some(feed) = self.current.epoch.feed().copied().filter(|_| self.is_host()) else { return };
        self.try_tell(feed);
        let number = self.current.epoch.number();
        let qc = self.longest.get(&number).map_or(0, |qc| qc.certified().head().length());
        let timing = self.timing;
        let host = &mut self.here.host;
        host.proposals.retain(|length, _| *length > qc);
        if let Some((tip, checked)) = self.here.heads.last_key_value() {
            let newest = host.proposals.values().max();
            let is_time = newest.is_none_or(|at| now.saturating_duration_since(*at) >= timing.again);
            let is_change = checked.closes.is_some();
            let is_worth = checked.substance > host.proposed || is_change && *tip > host.proposed;
            if is_worth && *tip > qc && is_time && host.proposals.len() < MAX_PROPOSALS {
                host.proposals.insert(*tip, now);
                host.proposed = *tip;
                self.announced.now();
            }
        }
        let Some(last) = self.uncertified() else { return };
        let (length, body) = (last.certified().head().length(), last.last_final().encode());
        let host = &mut self.here.host;
        let is_due = host.certificate_due(timing).is_none_or(|due| due <= now)
            || length.saturating_sub(host.certified) >= CERTIFICATE_BLOCKS;
        if is_due {
            host.certified = length;
            host.certified_at = Some(now);
            self.out.push_back(Output::Append { feed, what: Append::Certificate(body) });
        }
    }

    /// Takes the length of the longest Final that stands in a certificate block, as the state of the room has it: a host
    /// that begins again need not say it again.
    pub fn stands_certified(&mut self, length: u64) {
        let host = &mut self.here.host;
        host.certified = host.certified.max(length);
    }

    /// Returns the newest Final, if it is worth a certificate block.
    fn uncertified(&self) -> Option<&VerifiedFinal> {
        // What stands behind a change of validators would be no part of the room.
        if self.here.closing().is_some() {
            return None;
        }
        let number = self.current.epoch.number();
        let last = self.last_final.as_ref().filter(|last| last.certified().epoch == number)?;
        let length = last.certified().head().length();
        let checked = self.here.heads.get(&length)?;
        (checked.substance.min(length) > self.here.host.certified).then_some(last)
    }

    /// Returns when the host has something to do.
    pub(super) fn host_due(&self) -> Option<Instant> {
        if !self.is_host() {
            return None;
        }
        let host = &self.here.host;
        let certificate = self.uncertified().and_then(|_| host.certificate_due(self.timing));
        let tip = self.here.heads.last_key_value().map_or(0, |(_, checked)| checked.substance);
        let waits = tip > host.proposed && host.proposals.len() < MAX_PROPOSALS;
        let proposal = host.proposals.values().max().filter(|_| waits);
        let proposal = proposal.and_then(|at| at.checked_add(self.timing.again));
        [certificate, proposal].into_iter().flatten().min()
    }
}
