//! What a quorum has voted for decides: which start of an epoch counts, and which branch of its feed.
//!
//! Two handovers of one epoch may begin the next one with the same validators and disagree on whether the host goes on, and
//! a host may grant two feeds. Votes of the same validators are counted whichever start they know, so that a quorum may
//! come together for a feed that this node did not take. It takes it then; what it has signed for the other one stays
//! signed, and it votes for nothing more in the epoch.

use std::time::Instant;

use quorate_types::PublicKey;

use super::Engine;
use super::limits::MAX_OTHER_STARTS;
use crate::certificate::{Certified, Epoch, Start, VerifiedQc};
use crate::statement::{Verified, Vote};

impl Engine {
    /// Returns the longest head that a quorum is known to have voted for in this epoch, else what the epoch begins from. A copy
    /// of its feed that is as long, and does not contain it, holds a branch that does not count.
    pub fn certified(&self) -> Option<&Certified> {
        self.certified_here().or(self.current.epoch.base())
    }

    /// Tells whether the head that counts is among those that were checked here.
    pub fn has_checked_certified(&self) -> bool {
        self.is_as_certified() == Some(true)
    }

    /// Returns the longest head that a quorum is known to have voted for in this epoch.
    pub(super) fn certified_here(&self) -> Option<&Certified> {
        let number = self.current.epoch.number();
        let last = self.last_final.as_ref().map(|last| last.certified());
        let longest = self.longest.get(&number).map(VerifiedQc::certified);
        let of_epoch = last.filter(|last| last.epoch == number).into_iter().chain(longest);
        of_epoch.max_by_key(|certified| certified.head().length())
    }

    /// Tells whether the heads that were checked here are of another branch than the one that a quorum voted for.
    pub(super) fn is_contradicted(&self) -> bool {
        self.is_as_certified() == Some(false)
    }

    /// Compares what was checked here with what a quorum voted for; `None` where one of them is missing.
    fn is_as_certified(&self) -> Option<bool> {
        let certified = self.certified_here()?;
        let checked = self.here.heads.get(&certified.head().length())?;
        let is_of_feed = self.current.epoch.feed() == Some(&certified.feed);
        is_of_feed.then(|| checked.head == *certified.head())
    }

    /// Forgets heads of a branch that is no longer held.
    pub(super) fn switched(&mut self, feed: &PublicKey, common: u64) {
        if self.current.epoch.feed() == Some(feed) {
            self.here.heads.retain(|length, _| *length <= common);
            self.here.is_stuck = false;
            self.here.accept = None;
        }
    }

    /// Tells whether a vote of this epoch is for a feed of another start.
    pub(super) fn is_elsewhere(&self, vote: &Verified<Vote>) -> bool {
        self.current.epoch.feed() != Some(&vote.feed)
    }

    /// Tells whether a start of this epoch is to be taken, by what a quorum voted for; `None` where that says nothing.
    pub(super) fn votes_decide(&self, found: &Epoch) -> Option<bool> {
        let voted = self.certified_here()?.feed;
        let held = &self.current.epoch;
        if found.validators().hash() != held.validators().hash() || found.feed() == held.feed() {
            return None;
        }
        if found.feed() == Some(&voted) {
            return Some(true);
        }
        (held.feed() == Some(&voted)).then_some(false)
    }

    /// Keeps a start of this epoch that was not taken.
    pub(super) fn keep_other(&mut self, start: Start) {
        let others = &mut self.here.others;
        if !others.contains(&start) && others.len() < MAX_OTHER_STARTS {
            others.push(start);
        }
    }

    /// Takes another start of this epoch when a quorum has voted for its feed.
    pub(super) fn try_certified_start(&mut self, now: Instant) {
        let Some(voted) = self.certified_here().map(|certified| certified.feed) else { return };
        if self.current.epoch.feed() == Some(&voted) {
            return;
        }
        let of_voted = |start: &mut Start| feed_of(start) == Some(voted);
        let found: Vec<Start> = self.here.others.extract_if(.., of_voted).collect();
        let Some(before) = self.past.last().map(|step| step.epoch.clone()) else { return };
        for start in found {
            // It does not hold where the epoch before was taken for another one since.
            if let Ok(start) = start.verify(&before)
                && self.votes_decide(start.epoch()) == Some(true)
            {
                self.adopt(now, &start);
            }
        }
    }
}

/// Returns the feed that a start names: the one that is granted, or else the one that goes on.
fn feed_of(start: &Start) -> Option<PublicKey> {
    let granted = start.grant.map(|(feed, _)| feed);
    granted.or_else(|| start.handover.base.as_ref().map(|base| base.certified.feed))
}
