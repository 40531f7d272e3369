//! Messages in and out: entries towards the host, receipts back.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::{Frame, Frames, Message, Outcome, Receipt, Submit};
use quorate_types::{Hash, PublicKey, RoomId, Signature};

use super::host::Host;
use super::limits::PASS_ON_ONCE;
use super::own::Ticket;
use super::receipt::{is_lasting, is_signed, refusal, refused, sign, submission_digest};
use super::relay::Relay;
use super::routes::Route;
use super::{Fault, Output, Peer, SubmissionState};
use crate::entry::{Entry, VerifiedEntry};
use crate::refusal::{Refusal, RoomCode};

impl Relay {
    /// Takes an extension message apart; its frames are handled as soon as they may.
    pub(super) fn message(&mut self, now: Instant, peer: Peer, payload: Bytes) {
        // A frame that waits keeps the whole message in memory.
        let bytes = payload.len();
        for frame in Frames::new(payload) {
            match frame {
                Ok(Frame::Unknown { .. } | Frame::Message(Message::Quorum(_))) => {}
                Ok(Frame::Message(message)) => {
                    let Some(remote) = self.peers.get_mut(&peer) else { return };
                    if remote.inbox.push(message, bytes, self.waiting) {
                        self.waiting = self.waiting.saturating_add(bytes);
                    }
                    while self.read_one(now, peer) {}
                }
                Err(error) => return self.disconnect(now, peer, error.into()),
            }
        }
    }

    /// Handles what may be handled, one message of each peer in turn.
    pub(super) fn read_inboxes(&mut self, now: Instant) {
        let mut goes_on = self.waiting > 0;
        while goes_on {
            goes_on = false;
            let after = self.peers.range((Excluded(self.turn), Unbounded));
            let all = after.chain(self.peers.range(..=self.turn));
            let waiting: Vec<Peer> =
                all.filter(|(_, remote)| remote.inbox.bytes() > 0).map(|(peer, _)| *peer).collect();
            for peer in waiting {
                if self.read_one(now, peer) {
                    self.turn = peer;
                    goes_on = true;
                }
            }
        }
    }

    /// Handles the oldest message of a peer, when one waits and may be handled.
    fn read_one(&mut self, now: Instant, peer: Peer) -> bool {
        let Some(remote) = self.peers.get_mut(&peer) else { return false };
        let before = remote.inbox.bytes();
        let Some(message) = remote.inbox.pop(now, &mut self.messages) else { return false };
        let freed = before.saturating_sub(remote.inbox.bytes());
        self.waiting = self.waiting.saturating_sub(freed);
        if let Err(fault) = self.read(now, peer, message) {
            self.disconnect(now, peer, fault);
        }
        true
    }

    fn read(&mut self, now: Instant, peer: Peer, message: Message) -> Result<(), Fault> {
        match message {
            Message::Status(status) => {
                self.status(peer, status);
                Ok(())
            }
            Message::Submit(submit) => self.submitted_by(now, peer, &submit),
            Message::Receipt(receipt) => self.receipt(now, receipt),
            Message::Module(part) => self.module_part(now, peer, part),
            Message::WantModule(want) => self.want_module(now, peer, want),
            Message::Quorum(_) => Ok(()),
        }
    }

    pub(super) fn check_room(&self, found: &RoomId) -> Result<(), Fault> {
        let expected = self.room;
        if *found == expected { Ok(()) } else { Err(Fault::Room { expected, found: *found }) }
    }

    pub(super) fn send(&mut self, peer: Peer, message: &Message) {
        self.out.push_back(Output::Send { peer, payload: message.encode() });
    }

    fn disconnect(&mut self, now: Instant, peer: Peer, fault: Fault) {
        self.peer_closed(now, peer);
        self.out.push_back(Output::Disconnect { peer, fault });
    }

    /// A peer submits an entry, its own or another's.
    ///
    /// The host says what is wrong with something else, until it has had enough of it; anybody else ends the connection.
    fn submitted_by(&mut self, now: Instant, peer: Peer, submit: &Submit) -> Result<(), Fault> {
        let Err(fault) = self.take_in(now, peer, submit) else { return Ok(()) };
        let Some(receipt) = self.refuse_bytes(submit, &fault) else { return Err(fault) };
        if !self.peers.get_mut(&peer).is_some_and(|remote| remote.bad_submissions.take(now, 1)) {
            return Err(fault);
        }
        self.send(peer, &Message::Receipt(receipt));
        Ok(())
    }

    /// Signs at the host that bytes are no entry of this room.
    fn refuse_bytes(&self, submit: &Submit, fault: &Fault) -> Option<Receipt> {
        let host = self.host.as_ref()?;
        let refusal = match fault {
            Fault::Entry(error) => error.clone().into(),
            Fault::Room { .. } => Refusal::new(RoomCode::NotAllowed, fault.to_string()),
            _ => return None,
        };
        let (room, outcome) = (self.room, refused(&refusal));
        let digest = submission_digest(&submit.room, &submit.entry);
        let signature = sign(&host.key, &room, &digest, &outcome);
        Some(Receipt { room, digest, outcome, signature })
    }

    fn take_in(&mut self, now: Instant, peer: Peer, submit: &Submit) -> Result<(), Fault> {
        self.check_room(&submit.room)?;
        // What is kept must not keep the message around it.
        let entry = Entry::decode(Bytes::copy_from_slice(&submit.entry))?;
        let digest = entry.digest(&self.room)?;
        if self.own.contains(&digest) {
            return Ok(());
        }
        let host = self.host.as_ref().map(|host| &host.key);
        if let Some(receipt) = self.outcomes.receipt(now, &self.room, &digest, host) {
            self.send(peer, &Message::Receipt(receipt));
            return Ok(());
        }
        let just_passed_on = |at: Instant| now.saturating_duration_since(at) < PASS_ON_ONCE;
        let route = self.routes.get_mut(&digest);
        let is_repeat = route.is_some_and(|route| route.passed_on.is_some_and(just_passed_on));
        if is_repeat {
            self.routes.came(digest, peer);
            return Ok(());
        }
        let entry = entry.verify(&self.room)?;
        self.routes.came(digest, peer);
        if let VerifiedEntry::RuleChange(change) = &entry
            && let Some(module) = change.change.module()
        {
            self.modules.held_by(*module, peer);
        }
        match self.host {
            Some(_) => self.offer(entry, None),
            None => {
                if self.hosts_change {
                    self.out.push_back(Output::Heard { entry: Box::new(entry) });
                }
                self.pass_on(now, &digest, submit);
            }
        }
        Ok(())
    }

    /// Passes a verified entry on towards the host, never back to where it came from.
    fn pass_on(&mut self, now: Instant, digest: &Hash, submit: &Submit) {
        let Some(route) = self.routes.get_mut(digest) else { return };
        let (sources, wide) = (route.sources().to_vec(), route.times > 0);
        let targets = self.targets(&sources, wide);
        if targets.is_empty() {
            return;
        }
        if let Some(route) = self.routes.get_mut(digest) {
            route.passed_on = Some(now);
            route.times = route.times.saturating_add(1);
        }
        let message = Message::Submit(submit.clone());
        for peer in targets {
            self.send(peer, &message);
        }
    }

    /// A receipt comes back from the host.
    fn receipt(&mut self, now: Instant, receipt: Receipt) -> Result<(), Fault> {
        self.check_room(&receipt.room)?;
        let digest = receipt.digest;
        let is_refusal = matches!(receipt.outcome, Outcome::Refused(_));
        let own_bytes = self.own.by_bytes(&digest).filter(|_| is_refusal);
        let is_awaited = own_bytes.is_some() || self.own.contains(&digest) || self.routes.contains(&digest);
        if self.host.is_some() || !is_awaited || self.outcomes.is_signed(now, &digest) {
            return Ok(());
        }
        if !is_signed(&self.verifier, &receipt) {
            // It may be of another host of this room, whom the peer takes for the present one.
            if self.hosts_change {
                return Ok(());
            }
            return Err(Fault::Receipt { host: self.host_key });
        }
        match own_bytes {
            Some(entry) => self.conclude(now, entry, &receipt.outcome),
            None => self.settle(now, digest, receipt.outcome, Some(receipt.signature)),
        }
        Ok(())
    }

    /// The outcome of an entry is known: it is remembered, and told to whom it concerns.
    ///
    /// That an entry came too early is told and not remembered: it may come again when its predecessors are there.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        digest: Hash,
        outcome: Outcome,
        signature: Option<Signature>,
    ) {
        if self.hosts_change && matches!(outcome, Outcome::Refused(_)) {
            self.out.push_back(Output::Settled { digest });
        }
        let sources = self.routes.get_mut(&digest).map(Route::take_sources).unwrap_or_default();
        if !sources.is_empty() {
            let sign = |host: &Host| sign(&host.key, &self.room, &digest, &outcome);
            if let Some(signature) = signature.or_else(|| self.host.as_ref().map(sign)) {
                let (room, outcome) = (self.room, outcome.clone());
                let message = Message::Receipt(Receipt { room, digest, outcome, signature });
                for peer in
                    sources.into_iter().filter(|peer| self.peers.contains_key(peer)).collect::<Vec<_>>()
                {
                    self.send(peer, &message);
                }
            }
        }
        self.conclude(now, digest, &outcome);
        if is_lasting(&outcome) {
            self.outcomes.remember(now, digest, outcome, signature);
        } else if let Some(route) = self.routes.get_mut(&digest) {
            route.passed_on = None;
        }
    }

    /// Draws the conclusion for one of this node's entries.
    pub(super) fn conclude(&mut self, now: Instant, digest: Hash, outcome: &Outcome) {
        let Some(entry) = self.own.by_digest(&digest) else { return };
        let (author, sequence) = (*entry.author(), entry.sequence());
        match outcome {
            Outcome::Appended { index } => {
                self.finish(digest, SubmissionState::Appended { index: *index });
                self.own.hurry(now, &author, sequence);
            }
            Outcome::Refused(refused) => {
                let refusal = refusal(refused);
                match refusal.code {
                    RoomCode::Replayed => self.own.replayed(now, &digest, refusal),
                    RoomCode::SequenceSkipped if self.own.skipped(&digest) => {}
                    _ => self.finish(digest, SubmissionState::Refused(refusal)),
                }
            }
        }
    }

    /// One of this node's entries got into its last state.
    pub(super) fn finish(&mut self, digest: Hash, state: SubmissionState) {
        if self.own.remove(&digest) {
            self.out.push_back(Output::Submission { digest, state });
        }
    }

    /// A block is known here. It says what became of its entry, and that no other entry has its number.
    pub(super) fn appeared(
        &mut self,
        now: Instant,
        digest: Hash,
        author: PublicKey,
        sequence: u64,
        index: u64,
    ) {
        if self.host.is_some() {
            self.appended(now, digest, author, sequence, index);
        } else {
            let outcome = Outcome::Appended { index };
            self.conclude(now, digest, &outcome);
            self.outcomes.remember(now, digest, outcome, None);
        }
        let other = self.own.with_number(&author, sequence).map(|entry| *entry.digest());
        if let Some(other) = other {
            let reason = format!("block {index} is another entry {sequence} of its author");
            let refusal = Refusal::new(RoomCode::Replayed, reason);
            self.finish(other, SubmissionState::Refused(refusal));
        }
    }

    /// Sends one of this node's entries, or asks the room about it when this is the host.
    pub(super) fn try_own(&mut self, now: Instant, ticket: Ticket) {
        let Some(submission) = self.own.get(ticket) else { return };
        if self.host.is_some() {
            let (entry, module) = (submission.entry.clone(), submission.module.clone());
            self.own.sent(now, ticket);
            return self.offer(entry, module);
        }
        let targets = self.targets(&[], submission.tries > 0);
        if targets.is_empty() {
            return self.own.not_sent(now, ticket);
        }
        for peer in targets {
            self.send_own(peer, ticket);
        }
        self.own.sent(now, ticket);
    }

    /// Sends one of this node's entries to a peer.
    pub(super) fn send_own(&mut self, peer: Peer, ticket: Ticket) {
        if let Some(submission) = self.own.get(ticket) {
            let submit = Submit { room: self.room, entry: submission.block.clone() };
            self.send(peer, &Message::Submit(submit));
        }
    }
}
