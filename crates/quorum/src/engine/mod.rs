//! The machine: one for each room, in every node that has it open.

mod beside;
mod bucket;
mod budget;
mod certified;
mod count;
mod disk;
mod epochs;
mod event;
mod expose;
mod granted;
mod host;
pub mod limits;
#[cfg(feature = "planted-bugs")]
mod planted;
mod recover;
mod seen;
mod status;
mod tally;
mod telling;
#[cfg(test)]
mod tests;
mod traffic;
mod voter;
mod withheld;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::QuorumStatus;
use quorate_types::{Hash, PublicKey};

use crate::certificate::{
    CertificateError, Certified, Epoch, Final, Start, VerifiedFinal, VerifiedQc, VerifiedStart,
};
use crate::evidence::VerifiedEvidence;
use crate::head::Head;
use crate::key::Signer;
use crate::statement::{Accept, Have, Seal, Verified, Vote};

pub use event::{
    Alarm, Append, Base, Checked, Closes, Config, Fault, Guard, Input, Output, Peer, Refused, Slot, Storage,
    Ticket, Timing,
};
#[cfg(feature = "planted-bugs")]
pub use planted::Bug;
pub use recover::RecoverError;

use beside::Beside;
use bucket::Bucket;
use disk::{After, Disk};
use expose::Exposed;
use granted::Granted;
use host::Host;
use limits::{CHECKS_AT_ONCE, CHECKS_PER_SECOND_IN_ALL};
use seen::Seen;
use status::Announced;
use tally::Tally;
use traffic::{Remote, Waiting};

/// Votes, collects, seals and hosts for one room.
///
/// After each [`handle`](Self::handle), or after several, drain [`poll_output`](Self::poll_output), and call
/// [`handle`](Self::handle) with [`Input::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Engine {
    vote_key: Option<Signer>,
    host_key: Option<Signer>,
    is_genesis_host: bool,
    timing: Timing,
    #[cfg(feature = "planted-bugs")]
    bug: Option<Bug>,
    /// Nothing is signed with the vote key any more.
    is_silent: bool,
    /// Epochs before this one, from 0 on.
    past: Vec<Step>,
    current: Step,
    /// When the epoch was entered here.
    entered_at: Option<Instant>,
    here: Here,
    /// Votes of the newest epochs that are over: who contradicts itself there is named as well.
    left: BTreeMap<u64, Tally>,
    /// Longest QC of each epoch, on the disk or on its way there.
    longest: BTreeMap<u64, VerifiedQc>,
    /// QCs by epoch and length, the newest of them, to be handed on.
    qcs: BTreeMap<(u64, u64, quorate_types::QcHash), VerifiedQc>,
    last_final: Option<VerifiedFinal>,
    /// What is reported as committed: its Final is on the disk.
    committed: Option<Certified>,
    exposed: Exposed,
    pending_since: Option<Instant>,
    peers: BTreeMap<Peer, Remote>,
    checks: Bucket,
    seen: Seen,
    waiting: Waiting,
    announced: Announced,
    promises: BTreeMap<PublicKey, Verified<Have>>,
    /// Feeds that this node granted.
    grants: BTreeMap<u64, PublicKey>,
    granted: Granted,
    disk: Disk,
    out: VecDeque<Output>,
}

/// An epoch, and the start by which it was entered; `None` for epoch 0.
#[derive(Debug, Clone)]
struct Step {
    epoch: Epoch,
    start: Option<(Start, Bytes, Hash)>,
}

/// What is known of the epoch that is on.
#[derive(Debug, Default)]
struct Here {
    /// Checked heads of the epoch, by length.
    heads: BTreeMap<u64, Checked>,
    tally: Tally,
    last_vote: Option<Verified<Vote>>,
    /// A vote is on its way to the disk.
    voting: Option<Ticket>,
    seal: Option<Verified<Seal>>,
    accept: Option<Verified<Accept>>,
    accepts: BTreeMap<PublicKey, Verified<Accept>>,
    /// Messages that may be sent again: their records are durable.
    durable_vote: Option<Bytes>,
    durable_seal: Option<Bytes>,
    reject: Option<Bytes>,
    /// The rules refuse a block, or what was voted for is not in the feed.
    is_stuck: bool,
    /// Something came that a handover may have waited for.
    is_worth_a_handover: bool,
    /// Another way into this epoch, with other validators.
    beside: Option<Beside>,
    /// Other starts of this epoch with the same validators, which were verified.
    others: Vec<Start>,
    host: Host,
    vote_due: Option<Instant>,
    ack_due: Option<Instant>,
    resend_due: Option<Instant>,
}

impl Engine {
    /// Returns the epoch that is on.
    pub const fn epoch(&self) -> &Epoch {
        &self.current.epoch
    }

    /// Returns an epoch up to the one that is on.
    pub fn epoch_at(&self, number: u64) -> Option<&Epoch> {
        self.step(number).map(|step| &step.epoch)
    }

    /// Returns the start by which an epoch was entered, encoded.
    pub fn start_of(&self, number: u64) -> Option<&Bytes> {
        self.step(number)?.start.as_ref().map(|(_, bytes, _)| bytes)
    }

    fn step(&self, number: u64) -> Option<&Step> {
        if number == self.current.epoch.number() {
            return Some(&self.current);
        }
        usize::try_from(number).ok().and_then(|number| self.past.get(number))
    }

    /// Returns the head that this node last voted for in this epoch: the first that is to be reported as checked.
    pub fn last_vote(&self) -> Option<Head> {
        let vote = self.here.last_vote.filter(|vote| !self.is_elsewhere(vote))?;
        Some(vote.target.head)
    }

    /// Returns up to where everything is committed, by what is on the disk.
    pub const fn committed(&self) -> Option<&Certified> {
        self.committed.as_ref()
    }

    /// Returns the newest Final, which may not be on the disk yet.
    pub const fn last_final(&self) -> Option<&VerifiedFinal> {
        self.last_final.as_ref()
    }

    /// Returns the longest QC of the newest epoch that has one.
    pub fn last_qc(&self) -> Option<&VerifiedQc> {
        self.longest.last_key_value().map(|(_, qc)| qc)
    }

    /// Returns the newest epoch that a peer says it is in, true or not; `None` when no peer has said anything.
    pub fn newest_epoch_heard(&self) -> Option<u64> {
        self.peers.values().filter_map(|remote| remote.status.as_ref()).map(|status| status.epoch).max()
    }

    /// Returns what each peer says of itself, true or not; nothing of one that has not said anything.
    pub fn statuses(&self) -> impl Iterator<Item = (Peer, &QuorumStatus)> {
        self.peers.iter().filter_map(|(peer, remote)| Some((*peer, remote.status.as_ref()?)))
    }

    /// Returns the hash of the ids of all evidence, as it stands in a status; `None` when there is none.
    pub fn evidence_digest(&self) -> Option<Hash> {
        self.exposed.digest()
    }

    /// Returns the votes of this epoch that are known, by validator and length. After a start these are its own newest one, and
    /// those that the newest certificates hold.
    pub fn votes(&self) -> impl Iterator<Item = &Verified<Vote>> {
        self.here.tally.votes()
    }

    /// Returns the seals of this epoch that are known, by validator.
    pub fn seals(&self) -> impl Iterator<Item = &Verified<Seal>> {
        self.here.tally.seals().values()
    }

    /// Returns all evidence.
    pub fn evidence(&self) -> impl Iterator<Item = &VerifiedEvidence> {
        self.exposed.iter()
    }

    /// Tells whether nothing is signed with the vote key.
    pub const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Verifies the start of an epoch that stands in a header or a block.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]; the block is not valid then.
    pub fn check_start(&self, body: Bytes) -> Result<VerifiedStart, CertificateError> {
        let start = Start::decode(body)?;
        let found = start.handover.epoch;
        let epoch = self.epoch_at(found).ok_or(CertificateError::UnknownEpoch { found })?;
        start.verify(epoch)
    }

    /// Verifies a Final that stands in a certificate block.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]; the block is not valid then.
    pub fn check_final(&self, body: Bytes) -> Result<VerifiedFinal, CertificateError> {
        let last = Final::decode(body)?;
        let found = last.certified.epoch;
        let epoch = self.epoch_at(found).ok_or(CertificateError::UnknownEpoch { found })?;
        last.verify(epoch)
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.entered_at.is_none() {
            self.entered_at = Some(now);
            self.begin_hosting(now);
        }
        match input {
            Input::PeerOpened { peer } => self.peer_opened(now, peer),
            Input::PeerClosed { peer } => drop(self.peers.remove(&peer)),
            Input::Message { peer, payload } => self.message(now, peer, payload),
            Input::Checked(checked) => self.checked(checked),
            Input::Refused(refused) => self.refused(&refused),
            Input::Started(start) => self.consider(now, vec![*start], true),
            Input::Switched { feed, common } => self.switched(&feed, common),
            Input::Pending { since } => self.pending_since = since,
            Input::Certificate(last) => self.finalize(*last),
            Input::Evidence(evidence) => self.expose(*evidence),
            Input::FeedCreated { epoch, feed } => self.feed_created(now, epoch, feed),
            Input::Storage { peer, message } => self.send_storage(peer, &message),
            Input::Persisted { ticket } => self.persisted(ticket),
            Input::Timeout => {}
        }
        self.work(now);
    }

    /// Returns the next thing to do, or `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Returns the time at which [`Input::Timeout`] is due; earlier and later calls do no harm.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let here = &self.here;
        [
            here.vote_due,
            here.ack_due,
            here.resend_due,
            self.stall_due(),
            self.host_due(),
            self.announced.due(self.peers.is_empty()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what time and what came ask for.
    fn work(&mut self, now: Instant) {
        self.try_seal(now);
        // A host votes for what it proposes at once.
        self.try_host(now);
        self.try_vote(now);
        self.try_accept();
        self.try_handover(now);
        self.try_beside(now);
        self.try_certified_start(now);
        self.resend(now);
        self.tell_withheld();
        self.announce(now);
    }

    /// Writes a record.
    fn write(&mut self, slot: Slot, record: impl Into<Bytes>, after: After) -> Option<Ticket> {
        let output = self.disk.write(slot, record, after);
        let ticket = match &output {
            Output::Persist { ticket, .. } => Some(*ticket),
            _ => None,
        };
        self.out.push_back(output);
        ticket
    }

    fn persisted(&mut self, ticket: Ticket) {
        if self.here.voting.is_some_and(|voting| voting <= ticket) {
            self.here.voting = None;
        }
        for after in self.disk.persisted(ticket) {
            match after {
                After::Nothing => {}
                After::Vote(vote) => self.vote_is_durable(*vote),
                After::Seal(seal) => self.seal_is_durable(*seal),
                After::Final(certified) => self.commit(&certified),
                After::Granted(start) => self.granted_is_durable(&start),
            }
        }
    }
}

/// A bucket for all peers.
fn checks_in_all() -> Bucket {
    Bucket::new(CHECKS_PER_SECOND_IN_ALL, CHECKS_PER_SECOND_IN_ALL.max(CHECKS_AT_ONCE))
}
