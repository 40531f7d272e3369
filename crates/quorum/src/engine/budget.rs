//! What peers may have checked and answered, and what is not counted against them.

use std::time::Instant;

use super::Engine;
use super::event::Peer;
use super::limits::{CHECKS_AT_ONCE, CHECKS_FOR_CERTIFICATES};
use crate::statement::Vote;

impl Engine {
    pub(super) fn may_answer(&mut self, now: Instant, peer: Peer) -> bool {
        self.peers.get_mut(&peer).is_some_and(|remote| remote.answers.take(now, 1))
    }

    /// Takes checks from what the peer, and all peers together, may have done.
    pub(super) fn pay(&mut self, now: Instant, peer: Peer, checks: impl TryInto<u32>) -> bool {
        self.pay_leaving(now, peer, checks.try_into().unwrap_or(u32::MAX), 0)
    }

    /// Takes checks when so many are left then.
    pub(super) fn pay_leaving(&mut self, now: Instant, peer: Peer, checks: u32, left: u32) -> bool {
        let Some(remote) = self.peers.get_mut(&peer) else { return false };
        remote.checks.take_leaving(now, checks, left) && self.checks.take_leaving(now, checks, left)
    }

    /// Checks that are left to certificates: a QC and a Final.
    pub(super) fn checks_for_certificates(&self) -> u32 {
        let quorum = u32::try_from(self.current.epoch.validators().quorum()).unwrap_or(u32::MAX);
        CHECKS_FOR_CERTIFICATES.max(quorum.saturating_mul(2)).min(CHECKS_AT_ONCE / 2)
    }

    /// Gives checks back that brought the room on. Where it takes several validators, none of them makes a longer certificate
    /// alone, so that this is no way to have more checked than what they agree on.
    pub(super) fn pay_back(&mut self, peer: Peer, checks: usize) {
        if self.current.epoch.validators().quorum() < 2 {
            return;
        }
        let checks = u32::try_from(checks).unwrap_or(0);
        if let Some(remote) = self.peers.get_mut(&peer) {
            remote.checks.put_back(checks);
        }
        self.checks.put_back(checks);
    }

    /// Tells whether this node, as the host, waits for a vote: for a length that it proposed, or for the last QC to be
    /// acknowledged.
    pub(super) fn is_asked_for(&self, vote: &Vote) -> bool {
        let (length, certified) = (vote.target.head.length(), self.longest_certified());
        let is_proposed = self.here.host.proposals().any(|proposed| proposed == length);
        let is_of_now = vote.ack.is_none_or(|ack| Some(ack.length) == certified);
        self.is_host() && is_of_now && (is_proposed || Some(length) == certified)
    }

    pub(super) fn longest_certified(&self) -> Option<u64> {
        let number = self.current.epoch.number();
        self.longest.get(&number).map(|qc| qc.certified().head().length())
    }

    pub(super) fn longest_committed(&self) -> Option<(u64, u64)> {
        self.last_final.as_ref().map(|last| last.certified().rank())
    }
}
