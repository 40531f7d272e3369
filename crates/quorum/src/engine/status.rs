//! Where this node is, told to its peers; and what they say of themselves.

use std::time::Instant;

use quorate_proto::quorate1::{MAX_PROPOSALS, Message, QuorumMessage, QuorumStatus};

use super::Engine;
use super::event::Peer;
use super::limits::{ASK_AGAIN, STATUS_CHANGE, STATUS_PERIOD, WINDOW};

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Announced {
    status: QuorumStatus,
    at: Option<Instant>,
    /// Something changed; it can wait for a moment.
    is_changed: bool,
    /// Epoch or proposals changed: others wait for that.
    is_urgent: bool,
}

impl Announced {
    /// Notes that others wait for what changed.
    pub(super) const fn now(&mut self) {
        self.is_urgent = true;
    }

    /// Returns when the next status is due.
    pub(super) fn due(&self, is_alone: bool) -> Option<Instant> {
        let at = self.at.filter(|_| !is_alone)?;
        at.checked_add(if self.is_changed { STATUS_CHANGE } else { STATUS_PERIOD })
    }
}

impl Engine {
    /// Tells all peers, when it is time.
    pub(super) fn announce(&mut self, now: Instant) {
        if self.peers.is_empty() {
            return;
        }
        let status = self.status();
        let before = &self.announced.status;
        let is_urgent = self.announced.is_urgent
            || status.proposals != before.proposals
            || (status.epoch, status.start) != (before.epoch, before.start);
        self.announced.is_changed |= status != *before;
        let is_due = self.announced.due(false).is_none_or(|due| due <= now);
        let is_news = is_urgent && status != *before;
        if !is_due && !is_news {
            return;
        }
        self.announced = Announced { status: status.clone(), at: Some(now), ..Announced::default() };
        let message = Message::Quorum(QuorumMessage::Status(status)).encode();
        self.broadcast(None, &message);
    }

    /// Says where this node is.
    pub(super) fn status(&self) -> QuorumStatus {
        let number = self.current.epoch.number();
        let last = self.last_final.as_ref().map(|last| last.certified());
        let last = last.filter(|last| last.epoch == number);
        let qc = self.longest.get(&number).map_or(0, |qc| qc.certified().head().length());
        QuorumStatus {
            epoch: number,
            last_final: last.map_or(0, |last| last.head().length()),
            qc,
            tip: self.here.heads.last_key_value().map_or(0, |(tip, _)| *tip),
            proposals: self.known_proposals(qc),
            evidence: self.exposed.digest(),
            start: self.current.start.as_ref().map(|(_, _, hash)| *hash),
        }
    }

    /// Returns the newest lengths at which the host asks for votes, as far as they are checked here.
    fn known_proposals(&self, qc: u64) -> Vec<u64> {
        if self.is_host() {
            return self.here.host.proposals().collect();
        }
        let number = self.current.epoch.number();
        let statuses = self.peers.values().filter_map(|remote| remote.status.as_ref());
        let of_epoch = statuses.filter(|status| status.epoch == number);
        let mut known: Vec<u64> = of_epoch
            .flat_map(|status| status.proposals.iter().copied())
            .filter(|length| *length > qc && self.here.heads.contains_key(length))
            .collect();
        known.sort_unstable();
        known.dedup();
        known.split_off(known.len().saturating_sub(MAX_PROPOSALS))
    }

    /// Returns the longest proposed length above a floor, up to a tip.
    pub(super) fn longest_proposal(&self, floor: u64, tip: u64) -> Option<u64> {
        let number = self.current.epoch.number();
        let statuses = self.peers.values().filter_map(|remote| remote.status.as_ref());
        let of_epoch = statuses.filter(|status| status.epoch == number);
        let theirs = of_epoch.flat_map(|status| status.proposals.iter().copied());
        let own = Some(&self.here.host).filter(|_| self.is_host());
        theirs
            .chain(own.into_iter().flat_map(|host| host.proposals()))
            .filter(|length| *length > floor && *length <= tip && self.here.heads.contains_key(length))
            .max()
    }

    /// Tells whether a peer of this epoch knows of a proposal above a length, whose blocks may not be here.
    pub(super) fn is_proposed_above(&self, length: u64) -> bool {
        let number = self.current.epoch.number();
        let statuses = self.peers.values().filter_map(|remote| remote.status.as_ref());
        let mut of_epoch = statuses.filter(|status| status.epoch == number);
        of_epoch.any(|status| status.proposals.iter().any(|proposed| *proposed > length))
    }

    /// Takes a peer's status, and asks for what it has and this node has not.
    pub(super) fn status_of(&mut self, now: Instant, peer: Peer, status: QuorumStatus) {
        let number = self.current.epoch.number();
        let own = self.status();
        let Some(remote) = self.peers.get_mut(&peer) else { return };
        remote.status = Some(status.clone());
        if status.epoch > number {
            self.ask(now, peer, &QuorumMessage::GetHandover(number.saturating_add(1)));
        } else if status.epoch < number {
            self.answer_starts(now, peer, status.epoch.saturating_add(1));
        } else {
            if status.qc > own.qc || status.last_final > own.last_final {
                self.ask(now, peer, &QuorumMessage::GetQc(None));
            }
            if own.start.is_some() && status.start.is_some() && status.start != own.start {
                // The other start may be the one with the feed.
                self.ask(now, peer, &QuorumMessage::GetHandover(number));
            }
        }
        if status.evidence.is_some() && status.evidence != own.evidence {
            let known = self.exposed.ids();
            self.ask(now, peer, &QuorumMessage::WantEvidence(known));
        }
    }

    /// Asks a peer, unless it was asked for the same a moment ago.
    pub(super) fn ask(&mut self, now: Instant, peer: Peer, question: &QuorumMessage) {
        let Some(remote) = self.peers.get_mut(&peer) else { return };
        let asked = remote.asked.get(&question.kind());
        if asked.is_some_and(|at| now.saturating_duration_since(*at) < ASK_AGAIN) {
            return;
        }
        remote.asked.insert(question.kind(), now);
        let message = Message::Quorum(question.clone()).encode();
        self.send(peer, message);
    }

    /// Tells whether votes of a length are kept.
    pub(super) fn is_in_window(&self, length: u64) -> bool {
        let number = self.current.epoch.number();
        let last = self.last_final.as_ref().map(|last| last.certified());
        let floor = last.filter(|last| last.epoch == number).map_or(0, |last| last.head().length());
        let base = self.current.epoch.base().map_or(0, |base| base.head().length());
        let tip = self.here.heads.last_key_value().map_or(0, |(tip, _)| *tip);
        let qc = self.longest.get(&number).map_or(0, |qc| qc.certified().head().length());
        let top = tip.max(floor).max(qc).max(base).saturating_add(WINDOW);
        (floor..=top).contains(&length)
    }
}
