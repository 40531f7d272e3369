//! This node's own votes, acknowledgements, seals and acceptances.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_proto::quorate1::{Message, QuorumMessage};

use super::disk::After;
use super::event::{Alarm, Checked, Output, Refused, Slot};
use super::limits::{MAX_DOUBLINGS, MAX_HEADS, RESEND};
use super::{Engine, Here};
use crate::certificate::accept_statement;
use crate::key::Signer;
use crate::statement::{Ack, Reject, Seal, SealReason, Target, Verified, Vote};

impl Engine {
    /// Takes a checked head of this epoch.
    pub(super) fn checked(&mut self, checked: Checked) {
        let epoch = &self.current.epoch;
        let is_of_epoch = checked.epoch == epoch.number() && epoch.feed() == Some(&checked.feed);
        let above_base = epoch.base().filter(|base| base.feed == checked.feed);
        if !is_of_epoch || above_base.is_some_and(|base| checked.head.length() <= base.head().length()) {
            return;
        }
        let (length, head) = (checked.head.length(), checked.head);
        // What is behind a change of validators is no part of the epoch.
        if self.here.closing().is_some_and(|closing| closing < length) {
            return;
        }
        if let Some(voted) = self.last_vote()
            && voted.length() == length
            && voted != head
            && !self.here.is_stuck
        {
            self.here.is_stuck = true;
            self.out.push_back(Output::Alarm(Alarm::VotedOtherwise { voted, found: head }));
        }
        self.here.heads.insert(length, checked);
        let voted = self.last_vote().map(|head| head.length());
        while self.here.heads.len() > MAX_HEADS {
            let lowest = self.here.heads.keys().copied().find(|length| Some(*length) != voted);
            let Some(lowest) = lowest else { break };
            self.here.heads.remove(&lowest);
        }
    }

    /// Takes a refused head of this epoch: nothing from there on is voted for.
    pub(super) fn refused(&mut self, refused: &Refused) {
        let epoch = &self.current.epoch;
        let is_of_epoch = refused.epoch == epoch.number() && epoch.feed() == Some(&refused.feed);
        if !is_of_epoch || self.here.reject.is_some() {
            return;
        }
        let Some(signer) = self.signs() else { return };
        let statement = Reject {
            common: epoch.common(signer.public()),
            feed: refused.feed,
            head: refused.head,
            rules_hash: refused.rules_hash,
            rule: refused.rule,
            code: refused.code,
        };
        // It locks nothing, so that it need not be durable.
        let reject = Verified::sign(statement, &signer);
        let message = Message::Quorum(QuorumMessage::Vote(reject.encode().into())).encode();
        self.broadcast(None, &message);
        self.here.reject = Some(message);
        self.out.push_back(Output::Rejected(Box::new(reject)));
    }

    /// Returns the vote key, when this node is a validator of the epoch and may sign.
    fn signs(&self) -> Option<Signer> {
        let key = self.vote_key.as_ref().filter(|_| !self.is_silent && self.here.seal.is_none())?;
        self.current.epoch.validators().contains(&key.public()).then(|| key.clone())
    }

    /// Votes for the longest head that is asked for, or acknowledges.
    pub(super) fn try_vote(&mut self, now: Instant) {
        let (Some(signer), Some(feed)) = (self.signs(), self.current.epoch.feed().copied()) else {
            self.here.forget_dues();
            return;
        };
        let is_bound = self.here.last_vote.is_some_and(|vote| vote.feed != feed) || self.is_contradicted();
        if self.here.voting.is_some() || self.here.is_stuck || is_bound || self.is_host_exposed() {
            self.here.forget_dues();
            return;
        }
        let voted = self.last_vote();
        let is_confirmed = |head: crate::head::Head| {
            self.here.heads.get(&head.length()).is_some_and(|checked| checked.head == head)
        };
        if voted.is_some_and(|head| !is_confirmed(head)) {
            self.here.forget_dues();
            return;
        }
        let floor = voted.map_or(0, |head| head.length());
        // Below what a quorum has voted for a vote leads to nothing, and binds this node to the branch that it holds.
        let certified = self.certified_here().filter(|certified| certified.feed == feed);
        let least = certified.map_or(0, |certified| certified.head().length().saturating_sub(1));
        let next = self.next_target(now, floor.max(least));
        let (target, ack) = match (next, self.here.last_vote) {
            (Some(target), _) => (target, self.best_ack(target.head.length())),
            (None, Some(last)) => {
                let ack = self.best_ack(floor);
                if ack.map(|ack| ack.length) <= last.ack.map(|ack| ack.length) {
                    self.here.ack_due = None;
                    return;
                }
                // It rides on the next vote where one is about to be asked for.
                let patience = if self.is_more_expected(floor) { self.timing.ack } else { Duration::ZERO };
                if *self.here.ack_due.get_or_insert_with(|| now + patience) > now {
                    return;
                }
                (last.target, ack)
            }
            (None, None) => return,
        };
        self.here.forget_dues();
        let statement = Vote { common: self.current.epoch.common(signer.public()), feed, target, ack };
        let vote = Verified::sign(statement, &signer);
        let epoch = self.current.epoch.number();
        self.here.last_vote = Some(vote);
        self.here.resend_due = Some(now + RESEND);
        if self.sends_before_durable() {
            self.vote_is_durable(vote);
            self.write(Slot::Vote { epoch }, vote.encode(), After::Nothing);
        } else {
            self.here.voting = self.write(Slot::Vote { epoch }, vote.encode(), After::Vote(Box::new(vote)));
        }
    }

    /// Tells whether votes above a length are going to be asked for: there are blocks.
    fn is_more_expected(&self, length: u64) -> bool {
        let is_here = self.here.heads.last_key_value().is_some_and(|(_, tip)| tip.substance > length);
        is_here || self.is_proposed_above(length)
    }

    /// A vote counts and goes out only when its record is on the disk: what others may have seen is never forgotten.
    pub(super) fn vote_is_durable(&mut self, vote: Verified<Vote>) {
        let message = vote_message(&vote);
        self.broadcast(None, &message);
        if vote.common.epoch == self.current.epoch.number() {
            self.here.durable_vote = Some(message);
            self.count(vote, None);
        }
    }

    /// Finds the longest head above the last vote that is proposed, or that has waited for a proposal long enough.
    fn next_target(&mut self, now: Instant, floor: u64) -> Option<Target> {
        let Some((_, tip)) = self.here.heads.last_key_value() else {
            // A Final beyond them came first.
            self.here.vote_due = None;
            return None;
        };
        let (length, substance) = (tip.head.length(), tip.substance);
        let proposed = self.longest_proposal(floor, length).max(self.certified_above(floor));
        let chosen = match proposed {
            Some(length) => length,
            None => {
                // Others may have voted at once for more than this node did, of which the rest is certificates: alone, neither
                // vote leads to anything.
                let wanted = if substance > floor { length } else { self.longest_voted(floor, length) };
                if wanted <= floor {
                    self.here.vote_due = None;
                    return None;
                }
                let patience = self.timing.proposal;
                if *self.here.vote_due.get_or_insert_with(|| now + patience) > now {
                    return None;
                }
                wanted
            }
        };
        let checked = self.here.heads.get(&chosen)?;
        let Checked { head, state_root, rules_hash, .. } = *checked;
        Some(Target { head, state_root, rules_hash })
    }

    /// Returns the length of the longest QC, when it is above a floor and of a head that is checked here: its proposal is
    /// over, and the vote for it carries the acknowledgement that others wait for.
    fn certified_above(&self, floor: u64) -> Option<u64> {
        let qc = self.longest.get(&self.current.epoch.number())?.certified();
        let length = qc.head().length();
        let is_here = self.here.heads.get(&length).is_some_and(|checked| checked.head == *qc.head());
        (is_here && length > floor).then_some(length)
    }

    /// Returns the longest length up to a tip for which another validator has voted on this history; 0 for none above a floor.
    fn longest_voted(&self, floor: u64, tip: u64) -> u64 {
        let heads = self.here.tally.longest().map(|vote| vote.target.head);
        let is_here = |head: &crate::head::Head| {
            (floor..=tip).contains(&head.length())
                && self.here.heads.get(&head.length()).is_some_and(|checked| checked.head == *head)
        };
        heads.filter(is_here).map(|head| head.length()).max().unwrap_or(0)
    }

    /// Names the longest QC of this epoch that is not above a length, and on this history. It is on the disk, or on its
    /// way there before the vote.
    fn best_ack(&self, length: u64) -> Option<Ack> {
        let number = self.current.epoch.number();
        let is_here = |qc: &&crate::certificate::VerifiedQc| {
            let head = qc.certified().head();
            head.length() <= length
                && self.here.heads.get(&head.length()).is_some_and(|checked| checked.head == *head)
        };
        let longest = self.longest.get(&number)?;
        Some(longest).filter(is_here).map(|qc| Ack { length: qc.certified().head().length(), qc: *qc.hash() })
    }

    /// Seals the epoch when there is a reason.
    pub(super) fn try_seal(&mut self, now: Instant) {
        let Some(signer) = self.signs() else { return };
        let Some(reason) = self.seal_reason(now) else { return };
        let last = self.here.last_vote;
        let statement = Seal {
            common: self.current.epoch.common(signer.public()),
            // What was voted for may be of another start of the epoch.
            feed: last.map_or(self.current.epoch.feed().copied(), |vote| Some(vote.feed)),
            highest_qc: self.last_qc().map(crate::certificate::VerifiedQc::reference),
            highest_vote: last.map(|vote| vote.target.head),
            reason,
        };
        let seal = Verified::sign(statement, &signer);
        let epoch = self.current.epoch.number();
        self.here.seal = Some(seal);
        self.here.resend_due = Some(now + RESEND);
        self.write(Slot::Seal { epoch }, seal.encode(), After::Seal(Box::new(seal)));
    }

    /// The same holds for seals.
    pub(super) fn seal_is_durable(&mut self, seal: Verified<Seal>) {
        let message = seal_message(&seal);
        if let Some(qc) = seal.highest_qc.and_then(|named| self.qc_message(&named.qc)) {
            self.broadcast(None, &qc);
        }
        self.broadcast(None, &message);
        if seal.common.epoch == self.current.epoch.number() {
            self.here.durable_seal = Some(message);
            self.count_seal(seal, None);
        }
    }

    fn seal_reason(&self, now: Instant) -> Option<SealReason> {
        if self.is_closed() {
            return Some(SealReason::Membership);
        }
        if self.is_host_exposed() {
            return Some(SealReason::Evidence);
        }
        if self.stall_due().is_some_and(|due| due <= now) {
            return Some(SealReason::Stalled);
        }
        // Those who know that a change is final wait until all know.
        let others = self.seals().filter(|seal| seal.reason != SealReason::Membership).count();
        (others > self.current.epoch.validators().f()).then_some(SealReason::Others)
    }

    /// Tells whether the change that ends the epoch is final.
    pub(super) fn is_closed(&self) -> bool {
        let last = self.last_final.as_ref().map(|last| last.certified());
        let last = last.filter(|last| last.epoch == self.current.epoch.number());
        self.here.closing().zip(last).is_some_and(|(closing, last)| last.head().length() >= closing)
    }

    /// Tells whether the epoch is being left while the change that would end it is certified: it need not become final
    /// any more, and every handover from that QC takes acceptances.
    fn is_left_behind_change(&self) -> bool {
        let (number, validators) = (self.current.epoch.number(), self.current.epoch.validators());
        let certified = self.longest.get(&number).map(|qc| *qc.certified().head());
        let closing = self.here.heads.last_key_value().filter(|(_, checked)| checked.closes.is_some());
        let is_certified = closing.is_some_and(|(_, checked)| Some(checked.head) == certified);
        is_certified && (self.here.seal.is_some() || self.here.tally.seals().len() > validators.f())
    }

    /// Returns when the patience with the host ends.
    pub(super) fn stall_due(&self) -> Option<Instant> {
        self.signs()?;
        let since = self.pending_since?.max(self.entered_at?);
        let number = self.current.epoch.number();
        let fruitful = self.last_final.as_ref().map_or(0, |last| last.certified().epoch);
        let doublings = u32::try_from(number.saturating_sub(fruitful)).unwrap_or(u32::MAX).min(MAX_DOUBLINGS);
        let patience: Duration = self.timing.patience.saturating_mul(1 << doublings);
        since.checked_add(patience)
    }

    /// Accepts the base of the next epoch, as one of its validators. It locks nothing: who accepts one base may enter by
    /// a handover with another.
    pub(super) fn try_accept(&mut self) {
        let may_accept = self.is_closed() || self.is_left_behind_change();
        if self.here.accept.is_some() || self.is_silent || !may_accept {
            return;
        }
        let Some(signer) = self.vote_key.clone() else { return };
        let Some((_, checked)) = self.here.heads.last_key_value() else { return };
        let Some(closes) = checked.closes.as_ref().filter(|closes| closes.next.contains(&signer.public()))
        else {
            return;
        };
        let epoch = &self.current.epoch;
        let statement = accept_statement(epoch, signer.public(), *closes.next.hash(), checked.head);
        let accept = Verified::sign(statement, &signer);
        self.here.accept = Some(accept);
        self.here.accepts.insert(signer.public(), accept);
        self.here.is_worth_a_handover = true;
        let message = Message::Quorum(QuorumMessage::Seal(accept.encode().into())).encode();
        self.broadcast(None, &message);
    }

    /// Sends again what has led to nothing yet.
    pub(super) fn resend(&mut self, now: Instant) {
        let last = self.last_final.as_ref().map(|last| last.certified());
        let last = last.filter(|last| last.epoch == self.current.epoch.number());
        let is_settled = self.here.seal.is_none()
            && self.here.accept.is_none()
            && self
                .last_vote()
                .is_none_or(|voted| last.is_some_and(|last| last.head().length() >= voted.length()));
        if is_settled
            || self.here.seal.is_none() && self.here.last_vote.is_none() && self.here.accept.is_none()
        {
            self.here.resend_due = None;
            return;
        }
        if *self.here.resend_due.get_or_insert(now + RESEND) > now {
            return;
        }
        self.here.resend_due = Some(now + RESEND);
        // What others said may not have been passed on to all who need it.
        let others = self.votes_of_others();
        for message in self.own_messages().into_iter().chain(others) {
            self.broadcast(None, &message);
        }
    }

    /// Returns what this node has signed in this epoch and its disk has.
    pub(super) fn own_messages(&self) -> Vec<Bytes> {
        let accept = self
            .here
            .accept
            .map(|accept| Message::Quorum(QuorumMessage::Seal(accept.encode().into())).encode());
        let here = &self.here;
        let beside = self.own_message_beside();
        [here.durable_vote.clone(), here.reject.clone(), here.durable_seal.clone(), accept, beside]
            .into_iter()
            .flatten()
            .collect()
    }

    fn sends_before_durable(&self) -> bool {
        #[cfg(feature = "planted-bugs")]
        return self.bug == Some(super::Bug::VoteBeforeDurable);
        #[cfg(not(feature = "planted-bugs"))]
        false
    }
}

impl Here {
    /// Returns the length at which a change of validators ends the epoch.
    pub(super) fn closing(&self) -> Option<u64> {
        let (length, checked) = self.heads.last_key_value()?;
        checked.closes.as_ref().map(|_| *length)
    }

    fn forget_dues(&mut self) {
        self.vote_due = None;
        self.ack_due = None;
    }
}

/// Returns the message that carries a vote.
pub(super) fn vote_message(vote: &Verified<Vote>) -> Bytes {
    Message::Quorum(QuorumMessage::Vote(vote.encode().into())).encode()
}

/// Returns the message that carries a seal.
pub(super) fn seal_message(seal: &Verified<Seal>) -> Bytes {
    Message::Quorum(QuorumMessage::Seal(seal.encode().into())).encode()
}
