//! Messages of peers: bounded, verified, read.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::{Frame, Frames, Message, QuorumMessage, QuorumStatus};

use super::Engine;
use super::bucket::Bucket;
use super::event::{Fault, Output, Peer, Storage};
use super::limits::{
    ANSWERS_PER_SECOND, CHECKS_AT_ONCE, CHECKS_PER_SECOND, MAX_PROMISES, MAX_STRAYS, MAX_WAITING,
    PASSED_ON_PER_SECOND, STATUSES_PER_SECOND, TOLD_PER_SECOND,
};
use super::seen::hash;
use super::voter::{seal_message, vote_message};
use super::withheld::Lacks;
use crate::certificate::{CertificateError, Epoch, Final, Qc, Start, VerifiedStart};
use crate::evidence::{Claim, Evidence, EvidenceError, EvidenceKind, NoOracle, PromiseBreak};
use crate::statement::{
    Accept, Have, Reject, Response, Seal, Signed, Statement, StatementError, Verified, Vote, kind,
};

/// What is kept of a peer.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) status: Option<QuorumStatus>,
    pub(super) checks: Bucket,
    statuses: Bucket,
    pub(super) passed_on: Bucket,
    pub(super) told: Bucket,
    pub(super) lacks: Lacks,
    pub(super) answers: Bucket,
    /// When it was asked, by the type of the question.
    pub(super) asked: BTreeMap<u8, Instant>,
    /// Epochs by which its starts must begin earlier than those that it sent last: its line left ours there.
    pub(super) back: u64,
}

/// Messages of an epoch that is not known yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: VecDeque<(Peer, QuorumMessage)>,
    /// Evidence against keys that are not known yet, the oldest first.
    strays: VecDeque<(Peer, Bytes)>,
}

impl Engine {
    pub(super) fn peer_opened(&mut self, now: Instant, peer: Peer) {
        if self.peers.contains_key(&peer) {
            return;
        }
        let remote = Remote {
            status: None,
            checks: Bucket::new(CHECKS_PER_SECOND, CHECKS_AT_ONCE),
            statuses: Bucket::new(STATUSES_PER_SECOND, STATUSES_PER_SECOND),
            passed_on: Bucket::new(PASSED_ON_PER_SECOND, PASSED_ON_PER_SECOND),
            told: Bucket::new(TOLD_PER_SECOND, TOLD_PER_SECOND),
            lacks: Lacks::default(),
            answers: Bucket::new(ANSWERS_PER_SECOND, ANSWERS_PER_SECOND),
            asked: BTreeMap::new(),
            back: 0,
        };
        self.peers.insert(peer, remote);
        let status = Message::Quorum(QuorumMessage::Status(self.status())).encode();
        self.send(peer, status);
        let own = self.own_messages();
        // A validator whose disk was set back learns from these what it has signed.
        let votes = self.votes_of_others();
        let seals: Vec<Bytes> = self.seals().chain(self.here.seals_beside()).map(seal_message).collect();
        for message in own.into_iter().chain(votes).chain(seals) {
            self.send(peer, message);
        }
        self.announced.now();
        self.announce(now);
    }

    /// Returns the longest vote of each other validator.
    pub(super) fn votes_of_others(&self) -> Vec<Bytes> {
        let own = self.here.durable_vote.as_ref();
        self.here.tally.longest().map(vote_message).filter(|vote| Some(vote) != own).collect()
    }

    /// Takes an extension message apart and reads the frames that are the quorum's.
    pub(super) fn message(&mut self, now: Instant, peer: Peer, payload: Bytes) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        for frame in Frames::new(payload) {
            let outcome = match frame {
                Ok(Frame::Message(Message::Quorum(message))) => self.read(now, peer, message),
                Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = outcome {
                self.peers.remove(&peer);
                self.out.push_back(Output::Disconnect { peer, fault });
                return;
            }
        }
    }

    /// Reads what waited for this epoch.
    pub(super) fn read_waiting(&mut self, now: Instant) {
        let messages = std::mem::take(&mut self.waiting.messages);
        self.read_all(now, messages);
        self.read_strays(now);
    }

    /// Reads evidence that waited for its culprit to be known.
    pub(super) fn read_strays(&mut self, now: Instant) {
        let strays = std::mem::take(&mut self.waiting.strays);
        self.read_all(now, strays.into_iter().map(|(peer, bytes)| (peer, QuorumMessage::Evidence(bytes))));
    }

    fn read_all(&mut self, now: Instant, messages: impl IntoIterator<Item = (Peer, QuorumMessage)>) {
        for (peer, message) in messages {
            if self.peers.contains_key(&peer)
                && let Err(fault) = self.read(now, peer, message)
            {
                self.peers.remove(&peer);
                self.out.push_back(Output::Disconnect { peer, fault });
            }
        }
    }

    fn read(&mut self, now: Instant, peer: Peer, message: QuorumMessage) -> Result<(), Fault> {
        match message {
            QuorumMessage::Status(status) => {
                if self.peers.get_mut(&peer).is_some_and(|remote| remote.statuses.take(now, 1)) {
                    self.status_of(now, peer, status);
                }
            }
            QuorumMessage::Vote(bytes) if bytes.first() == Some(&kind::REJECT) => {
                if let Some(reject) = self.statement::<Reject>(now, peer, &bytes, QuorumMessage::Vote)? {
                    let of = (reject.common.epoch, reject.head.length());
                    self.pass_on_vote(now, peer, bytes, of);
                    self.out.push_back(Output::Rejected(Box::new(reject)));
                }
            }
            QuorumMessage::Vote(bytes) => {
                // Outside the window it costs no check, and may come again later.
                let Vote { common, target, .. } = Signed::decode(&bytes)?.statement;
                let is_elsewhere = common.epoch != self.current.epoch.number();
                if (is_elsewhere || self.is_in_window(target.head.length()))
                    && let Some(vote) = self.statement::<Vote>(now, peer, &bytes, QuorumMessage::Vote)?
                {
                    self.pass_on_vote(now, peer, bytes, (common.epoch, target.head.length()));
                    let is_asked_for = self.is_asked_for(&vote);
                    if self.count(vote, Some(peer)) && is_asked_for {
                        self.pay_back(peer, 1);
                    }
                }
            }
            QuorumMessage::Seal(bytes) if bytes.first() == Some(&kind::ACCEPT) => {
                self.accept_of(now, peer, bytes)?;
            }
            QuorumMessage::Seal(bytes) if self.is_of_other_validators(&bytes)? => {
                self.seal_beside(now, peer, &bytes)?;
            }
            QuorumMessage::Seal(bytes) => {
                if let Some(seal) = self.statement::<Seal>(now, peer, &bytes, QuorumMessage::Seal)? {
                    let is_first = !self.here.tally.seals().contains_key(seal.signer());
                    self.pass_on(now, peer, QuorumMessage::Seal(bytes), is_first);
                    self.count_seal(seal, Some(peer));
                    if let Some(named) = seal.highest_qc
                        && self.find_qc(&named.qc).is_none()
                    {
                        self.ask(now, peer, &QuorumMessage::GetQc(Some(named.qc)));
                    }
                }
            }
            QuorumMessage::GetQc(named) => self.answer_qc(now, peer, named),
            QuorumMessage::Qc { qc, last_final } => {
                if let Some(bytes) = qc {
                    self.qc_of(now, peer, bytes)?;
                }
                if let Some(bytes) = last_final {
                    self.final_of(now, peer, bytes)?;
                }
            }
            QuorumMessage::GetHandover(epoch) => self.answer_starts(now, peer, epoch),
            QuorumMessage::Handover(starts) => self.starts_of(now, peer, starts)?,
            QuorumMessage::Evidence(bytes) => self.evidence_of(now, peer, bytes)?,
            QuorumMessage::WantEvidence(known) => self.answer_evidence(now, peer, &known),
            QuorumMessage::Have(bytes) => {
                if let Some(have) = self.signed_by_anyone::<Have>(now, peer, &bytes)? {
                    self.promised(have);
                    self.out.push_back(Output::Storage { peer, message: Storage::Have(have) });
                }
            }
            QuorumMessage::Challenge(bytes) => {
                if let Some(challenge) = self.signed_by_anyone(now, peer, &bytes)? {
                    self.out.push_back(Output::Storage { peer, message: Storage::Challenge(challenge) });
                }
            }
            QuorumMessage::Response(bytes) => {
                if let Some(response) = self.signed_by_anyone::<Response>(now, peer, &bytes)? {
                    self.answered(&response);
                    self.out.push_back(Output::Storage { peer, message: Storage::Response(response) });
                }
            }
        }
        Ok(())
    }

    /// Reads a validator's statement of this epoch; `None` for what is known, of elsewhere, or beyond what the peer
    /// may have checked.
    fn statement<S: Statement>(
        &mut self,
        now: Instant,
        peer: Peer,
        bytes: &Bytes,
        message: fn(Bytes) -> QuorumMessage,
    ) -> Result<Option<Verified<S>>, Fault> {
        let name = hash(bytes);
        if self.seen.contains(&name) {
            return Ok(None);
        }
        let signed = Signed::<S>::decode(bytes)?;
        let common = *signed.statement.common();
        let number = self.current.epoch.number();
        if common.room != *self.current.epoch.room() {
            return Ok(None);
        }
        if common.epoch > number {
            self.wait(peer, message(bytes.clone()));
            self.ask(now, peer, &QuorumMessage::GetHandover(number.saturating_add(1)));
            return Ok(None);
        }
        if common.epoch < number {
            // Who still seals an epoch that is over does not know the next one.
            if S::KIND == kind::SEAL {
                self.answer_starts(now, peer, common.epoch.saturating_add(1));
            }
            let left = self.checks_for_certificates();
            if S::KIND == kind::VOTE && self.pay_leaving(now, peer, 3, left) {
                self.seen.insert(name);
                self.look_back(&Signed::<Vote>::decode(bytes)?);
            }
            return Ok(None);
        }
        let validators = self.current.epoch.validators();
        let may_say = common.vset == *validators.hash() && validators.contains(&common.signer);
        let is_seal = S::KIND == kind::SEAL;
        let left = if is_seal { 0 } else { self.checks_for_certificates() };
        if !may_say || !self.pay_leaving(now, peer, 1, left) {
            return Ok(None);
        }
        let (room, validators) = (common.room, self.current.epoch.validators());
        match signed.verify_in(&room, number, validators) {
            Ok(verified) => {
                self.seen.insert(name);
                Ok(Some(verified))
            }
            Err(StatementError::Key(error)) => Err(Fault::Statement(error.into())),
            Err(_) => Ok(None),
        }
    }

    fn signed_by_anyone<S: Statement>(
        &mut self,
        now: Instant,
        peer: Peer,
        bytes: &Bytes,
    ) -> Result<Option<Verified<S>>, Fault> {
        let signed = Signed::<S>::decode(bytes)?;
        let is_here = signed.statement.common().room == *self.current.epoch.room();
        if !is_here || !self.pay_leaving(now, peer, 1, self.checks_for_certificates()) {
            return Ok(None);
        }
        Ok(Some(signed.verify().map_err(StatementError::from)?))
    }

    fn accept_of(&mut self, now: Instant, peer: Peer, bytes: Bytes) -> Result<(), Fault> {
        let name = hash(&bytes);
        if self.seen.contains(&name) {
            return Ok(());
        }
        let signed = Signed::<Accept>::decode(&bytes)?;
        // Before the change is checked here nothing is known of who may accept; it comes again.
        if !self.is_expected(&signed.statement) || !self.pay(now, peer, 1) {
            return Ok(());
        }
        let accept = signed.verify().map_err(StatementError::from)?;
        self.seen.insert(name);
        if self.count_accept(accept) {
            self.pass_on(now, peer, QuorumMessage::Seal(bytes), true);
        }
        Ok(())
    }

    fn qc_of(&mut self, now: Instant, peer: Peer, bytes: Bytes) -> Result<(), Fault> {
        let name = hash(&bytes);
        if self.seen.contains(&name) {
            return Ok(());
        }
        let qc = Qc::decode(bytes)?;
        let number = self.current.epoch.number();
        if qc.certified.epoch > number {
            self.ask(now, peer, &QuorumMessage::GetHandover(number.saturating_add(1)));
            return Ok(());
        }
        let Some(epoch) = self.epoch_at(qc.certified.epoch).map(Epoch::of_any_feed) else { return Ok(()) };
        if self.find_qc(&qc.certified.qc_hash(epoch.room())).is_some() || !self.pay(now, peer, qc.votes.len())
        {
            return Ok(());
        }
        let checks = qc.votes.len();
        match qc.verify(&epoch) {
            Ok(qc) => {
                self.seen.insert(name);
                let before = self.longest_certified();
                self.certify(qc);
                if self.longest_certified() > before {
                    self.pay_back(peer, checks);
                }
                Ok(())
            }
            Err(error) => blame(error),
        }
    }

    fn final_of(&mut self, now: Instant, peer: Peer, bytes: Bytes) -> Result<(), Fault> {
        let name = hash(&bytes);
        if self.seen.contains(&name) {
            return Ok(());
        }
        let last = Final::decode(bytes)?;
        let number = self.current.epoch.number();
        if last.certified.epoch > number {
            self.ask(now, peer, &QuorumMessage::GetHandover(number.saturating_add(1)));
            return Ok(());
        }
        // Other votes for what is known to be final say nothing new.
        let is_known = self.is_known_final(&last);
        let Some(epoch) = self.epoch_at(last.certified.epoch).map(Epoch::of_any_feed) else { return Ok(()) };
        if is_known || !self.pay(now, peer, last.votes.len()) {
            return Ok(());
        }
        let checks = last.votes.len();
        match last.verify(&epoch) {
            Ok(last) => {
                self.seen.insert(name);
                let before = self.longest_committed();
                self.finalize(last);
                if self.longest_committed() > before {
                    self.pay_back(peer, checks);
                }
                Ok(())
            }
            Err(error) => blame(error),
        }
    }

    /// Tells whether a Final says nothing that is not known: other votes for what is final, or for less, of which the QC is
    /// here.
    fn is_known_final(&self, last: &Final) -> bool {
        let Some(held) = self.last_final.as_ref().map(|held| held.certified()) else { return false };
        let is_below = last.certified.rank() < held.rank();
        let qc = || last.certified.qc_hash(self.current.epoch.room());
        *held == last.certified || is_below && self.find_qc(&qc()).is_some()
    }

    fn starts_of(&mut self, now: Instant, peer: Peer, starts: Vec<Bytes>) -> Result<(), Fault> {
        let mut verified: Vec<VerifiedStart> = Vec::new();
        let mut starts = starts.into_iter().peekable();
        while let Some(bytes) = starts.next() {
            let name = hash(&bytes);
            let start = Start::decode(bytes.clone())?;
            let ends = start.handover.epoch;
            let begins = ends.saturating_add(1);
            if verified.is_empty() && self.start_of(begins) == Some(&bytes) {
                continue;
            }
            let parent = match verified.last() {
                Some(last) if last.epoch().number() == ends => Some(last.epoch()),
                Some(_) => None,
                None => self.epoch_at(ends),
            };
            let Some(parent) = parent.cloned() else { break };
            let cost = start
                .handover
                .seals
                .len()
                .saturating_add(start.handover.base.as_ref().map_or(0, |qc| qc.votes.len()));
            // What was seen alone led to nothing; it may still be what a later one stands on.
            let is_known = self.seen.contains(&name) && verified.is_empty() && starts.peek().is_none();
            if is_known || !self.pay(now, peer, cost) {
                break;
            }
            match start.verify(&parent) {
                Ok(start) => {
                    self.seen.insert(name);
                    verified.push(start);
                }
                Err(error) => {
                    blame(error)?;
                    if verified.is_empty() {
                        self.ask_further_back(peer, begins);
                    }
                    break;
                }
            }
        }
        self.consider(now, verified, false);
        Ok(())
    }

    /// Asks for starts from an earlier epoch on: those of a peer do not continue the line of epochs that is held here.
    fn ask_further_back(&mut self, peer: Peer, begins: u64) {
        let Some(remote) = self.peers.get_mut(&peer) else { return };
        remote.back = remote.back.saturating_add(1);
        match begins.checked_sub(remote.back).filter(|from| *from > 0) {
            Some(from) => self.send(peer, Message::Quorum(QuorumMessage::GetHandover(from)).encode()),
            None => remote.back = 0,
        }
    }

    fn evidence_of(&mut self, now: Instant, peer: Peer, bytes: Bytes) -> Result<(), Fault> {
        let name = hash(&bytes);
        if self.exposed.contains(&name) || self.seen.contains(&name) {
            return Ok(());
        }
        let evidence = Evidence::decode(bytes)?;
        let (room, claim) = (*self.current.epoch.room(), &evidence.claim);
        if evidence.room != room {
            return Ok(());
        }
        if !self.is_known_signer(claim.kind(), claim.culprit()) {
            self.stray(now, peer, claim.kind(), evidence.encode());
            return Ok(());
        }
        if !self.pay_leaving(now, peer, 2, self.checks_for_certificates()) {
            return Ok(());
        }
        self.seen.insert(name);
        match evidence.clone().verify(&room, &NoOracle) {
            Ok(evidence) => self.expose(evidence),
            Err(EvidenceError::Unable { .. }) => self.out.push_back(Output::Judge(Box::new(evidence))),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Keeps evidence against a key that is not known, and asks for the starts of the epochs that were entered before
    /// their hosts showed up: they name the feeds.
    fn stray(&mut self, now: Instant, peer: Peer, kind: EvidenceKind, bytes: Bytes) {
        if !kind.is_of_host() && !kind.is_of_validator() {
            return;
        }
        if !self.waiting.strays.iter().any(|(_, known)| *known == bytes) {
            self.waiting.strays.push_back((peer, bytes));
            if self.waiting.strays.len() > MAX_STRAYS {
                self.waiting.strays.pop_front();
            }
        }
        let epochs = self.past.iter().chain([&self.current]).map(|step| &step.epoch);
        let unknown = epochs.filter(|epoch| epoch.feed().is_none()).map(Epoch::number).next();
        if self.current.epoch.number() > 0 {
            self.ask(now, peer, &QuorumMessage::GetHandover(unknown.unwrap_or(1)));
        }
    }

    /// Keeps the newest promise of a storage peer, and looks whether it is less than was promised.
    fn promised(&mut self, have: Verified<Have>) {
        let before = self.promises.get(have.signer()).copied();
        if let Some(before) = before {
            let (earlier, later) =
                if before.sequence <= have.sequence { (before, have) } else { (have, before) };
            let broken_by = PromiseBreak::Have(*later.signed());
            self.claim_all(vec![Claim::HaveRollback { have: *earlier.signed(), broken_by }]);
            self.promises.insert(*have.signer(), later);
        } else if self.promises.len() < MAX_PROMISES {
            self.promises.insert(*have.signer(), have);
        }
    }

    /// Whether an answer is right tells who has the block.
    fn answered(&mut self, response: &Verified<Response>) {
        let Some(have) = self.promises.get(response.signer()) else { return };
        let claim = Claim::HaveRollback {
            have: *have.signed(),
            broken_by: PromiseBreak::Response(*response.signed()),
        };
        let is_promised = have.feed == response.feed && (have.from..have.to).contains(&response.index);
        if is_promised {
            let room = *self.current.epoch.room();
            self.out.push_back(Output::Judge(Box::new(Evidence { room, claim })));
        }
    }

    /// Keeps a message for the epoch that it is of.
    fn wait(&mut self, peer: Peer, message: QuorumMessage) {
        if self.waiting.messages.len() < MAX_WAITING {
            self.waiting.messages.push_back((peer, message));
        }
    }
}

/// Tells what a peer is to blame for, from what only looks different here.
fn blame(error: CertificateError) -> Result<(), Fault> {
    match error {
        CertificateError::Epoch { .. }
        | CertificateError::UnknownEpoch { .. }
        | CertificateError::Vset { .. }
        | CertificateError::Feed { .. }
        | CertificateError::UsedFeed { .. }
        | CertificateError::UnknownFeed { .. }
        | CertificateError::NoHost => Ok(()),
        error => Err(error.into()),
    }
}
