//! The relay: one room, many peers.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_proto::quorate1::{MAX_SUBMIT_BYTES, Status};
use quorate_types::{Hash, PublicKey, RoomId};

use super::bucket::Bucket;
use super::host::Host;
use super::inbox::Inbox;
use super::limits::{
    BAD_SUBMISSION_PERIOD, MAX_BAD_SUBMISSIONS, MESSAGES_PER_SECOND_IN_ALL, MODULE_BYTES_AT_ONCE,
    MODULE_BYTES_PER_SECOND,
};
use super::modules::Modules;
use super::own::{Due, Own};
use super::receipt::Outcomes;
use super::routes::Routes;
use super::status::Announcements;
use super::{Input, Output, Peer, SubmissionState, SubmitError};
use crate::entry::VerifiedEntry;
use crate::identity::{Author, Forgery, Verifier};

/// Carries entries of one room to its host, and the host's receipts back.
///
/// After each [`handle`](Self::handle) or [`submit`](Self::submit), or after several, drain
/// [`poll_output`](Self::poll_output) and call [`handle`](Self::handle) with [`Input::Timeout`] at the time of
/// [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Relay {
    pub(super) room: RoomId,
    /// Key of the feed, by which the host signs receipts.
    pub(super) host_key: PublicKey,
    pub(super) verifier: Verifier,
    pub(super) peers: BTreeMap<Peer, Remote>,
    /// Bytes of all messages that wait.
    pub(super) waiting: usize,
    /// Messages of all peers that may be handled.
    pub(super) messages: Bucket,
    /// Peer whose turn it is.
    pub(super) turn: Peer,
    pub(super) routes: Routes,
    pub(super) outcomes: Outcomes,
    pub(super) own: Own,
    pub(super) host: Option<Host>,
    /// Others may host the room after this host.
    pub(super) hosts_change: bool,
    pub(super) modules: Modules,
    pub(super) announcements: Announcements,
    pub(super) out: VecDeque<Output>,
}

/// What is kept of a peer.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) inbox: Inbox,
    pub(super) status: Option<Status>,
    pub(super) module_bytes: Bucket,
    /// Submissions that are no entries of the room and are refused before the connection ends.
    pub(super) bad_submissions: Bucket,
}

impl Remote {
    /// Distance to the host that the peer reports, 0 for none.
    pub(super) fn distance(&self) -> u32 {
        self.status.map_or(0, |status| status.distance)
    }
}

impl Relay {
    /// Makes the relay of the node that writes the room's feed, from the key pair of the feed.
    ///
    /// # Errors
    ///
    /// [`Forgery`] when the key is none that receipts can be verified by.
    pub fn host(room: RoomId, key: Author) -> Result<Self, Forgery> {
        let mut relay = Self::follower(room, key.public())?;
        relay.host = Some(Host::new(key));
        Ok(relay)
    }

    /// Makes the relay of any other node, from the key of the room's feed.
    ///
    /// # Errors
    ///
    /// [`Forgery`] when the key is none that receipts can be verified by.
    pub fn follower(room: RoomId, host_key: PublicKey) -> Result<Self, Forgery> {
        Ok(Self {
            room,
            host_key,
            verifier: Verifier::new(&host_key)?,
            peers: BTreeMap::new(),
            waiting: 0,
            messages: Bucket::new(MESSAGES_PER_SECOND_IN_ALL, MESSAGES_PER_SECOND_IN_ALL),
            turn: Peer(0),
            routes: Routes::default(),
            outcomes: Outcomes::default(),
            own: Own::default(),
            host: None,
            hosts_change: false,
            modules: Modules::default(),
            announcements: Announcements::default(),
            out: VecDeque::new(),
        })
    }

    /// Expects that others host the room one day: receipts of hosts that are not known here are left alone, and
    /// [`Output::Heard`] and [`Output::Settled`] tell what waits for the host, besides what appears in blocks.
    pub fn expect_other_hosts(&mut self) {
        self.hosts_change = true;
    }

    /// Takes another host from now on, whose feed has this key; `own` is the key pair where that is this node.
    ///
    /// What the host before said of entries is forgotten: its newest blocks may not count any more. Entries of this
    /// node that wait go to the new host.
    ///
    /// # Errors
    ///
    /// [`Forgery`] when the key is none that receipts can be verified by; the host is the one before then.
    pub fn set_host(&mut self, now: Instant, key: PublicKey, own: Option<Author>) -> Result<(), Forgery> {
        self.verifier = Verifier::new(&key)?;
        self.host_key = key;
        self.hosts_change = true;
        self.host = own.map(Host::new);
        self.outcomes = Outcomes::default();
        self.routes.renew();
        self.own.renew(now);
        for remote in self.peers.values_mut() {
            remote.status = None;
        }
        self.distances_changed();
        self.work(now);
        Ok(())
    }

    /// Blocks from a length on are no part of the room any more, because another host goes on from there: entries that
    /// stood in them may be submitted again, unless the host of now has said that it appended them. It comes after
    /// [`set_host`](Self::set_host), and after blocks of the host before that were taken in since.
    pub fn dropped(&mut self, length: u64) {
        self.outcomes.dropped(length);
    }

    /// Tells whether an entry was refused, and that is remembered.
    pub fn has_refused(&self, now: Instant, digest: &Hash) -> bool {
        self.outcomes.is_refused(now, digest)
    }

    /// Forgets what was said of an entry that does not stand where that says.
    pub fn forget(&mut self, digest: &Hash) {
        self.outcomes.forget(digest);
    }

    /// Submits an entry of this node. It is *submitted* until [`Output::Submission`] says what became of it.
    ///
    /// `module` is that of a rule change, for when the room does not have it. After `give_up_after` the entry is
    /// expired here, although the host may still append it unless its `valid_until` forbids it. Returns the digest.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; the entry is not taken then.
    pub fn submit(
        &mut self,
        now: Instant,
        entry: VerifiedEntry,
        module: Option<Bytes>,
        give_up_after: Option<Duration>,
    ) -> Result<Hash, SubmitError> {
        let digest = *entry.digest();
        if *entry.room() != self.room {
            return Err(SubmitError::Room { expected: self.room, found: *entry.room() });
        }
        let found = entry.encode().len();
        if self.host.is_none() && found > MAX_SUBMIT_BYTES {
            return Err(SubmitError::TooLarge { limit: MAX_SUBMIT_BYTES, found });
        }
        if !self.own.contains(&digest) {
            self.own.add(now, entry, module, give_up_after)?;
            if let Some(outcome) = self.outcomes.get(now, &digest).cloned() {
                self.conclude(now, digest, &outcome);
            }
            self.work(now);
        }
        Ok(digest)
    }

    /// Returns this node's entries that wait for an outcome, in the order of their submission, each with how often it
    /// was sent.
    pub fn submitted(&self) -> impl Iterator<Item = (&VerifiedEntry, u32)> {
        self.own.iter()
    }

    /// Returns the module that an entry of this node brings, while it waits for an outcome.
    pub fn submitted_module(&self, digest: &Hash) -> Option<&Bytes> {
        self.own.module_of(digest)
    }

    /// Tells whether an entry with a lower number of the same author, submitted here, waits for an outcome.
    pub fn waits_before(&self, author: &PublicKey, sequence: u64) -> bool {
        self.own.waits_before(author, sequence)
    }

    /// Returns the entries that are with the host, where that is this node: the room is asked about them, or they wait
    /// for their predecessors.
    pub fn held(&self) -> impl Iterator<Item = &VerifiedEntry> {
        self.host.iter().flat_map(Host::held)
    }

    /// Has the room asked about an entry as if a peer had brought it just now; does nothing at others than the host, and
    /// where the outcome is known. It is for what was on its way when this node became the host.
    pub fn take_up(&mut self, now: Instant, entry: VerifiedEntry) {
        if self.outcomes.get(now, entry.digest()).is_none() && !self.own.contains(entry.digest()) {
            self.offer(entry, None);
        }
    }

    /// Sends at once what waits: the same host takes entries again, after a time in which it could take none. Those that
    /// came then may have been too many for it.
    pub fn send_again(&mut self, now: Instant) {
        self.routes.renew();
        self.own.renew(now);
        self.work(now);
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::PeerOpened { peer } => self.peer_opened(now, peer),
            Input::PeerClosed { peer } => self.peer_closed(now, peer),
            Input::Message { peer, payload } => self.message(now, peer, payload),
            Input::Appeared { digest, author, sequence, index } => {
                self.appeared(now, digest, author, sequence, index);
            }
            Input::Head { length, tree_hash } => {
                self.announcements.head(length, tree_hash);
                for digest in self.own.outgrown(length) {
                    self.finish(digest, SubmissionState::Expired);
                }
            }
            Input::Answered { digest, answer } => self.answered(now, digest, answer),
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
        let announcement = self.announcements.due().filter(|_| !self.peers.is_empty());
        let inboxes = self.peers.values().filter_map(|remote| remote.inbox.ready_at(&self.messages)).min();
        let parked = self.host.as_ref().and_then(Host::next_due);
        [announcement, inboxes, parked, self.own.next_due(), self.modules.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn peer_opened(&mut self, now: Instant, peer: Peer) {
        if self.peers.contains_key(&peer) {
            return;
        }
        let module_bytes = Bucket::new(MODULE_BYTES_PER_SECOND, MODULE_BYTES_AT_ONCE);
        let bad_submissions = Bucket::slow(BAD_SUBMISSION_PERIOD, MAX_BAD_SUBMISSIONS);
        let remote = Remote { inbox: Inbox::new(), status: None, module_bytes, bad_submissions };
        self.peers.insert(peer, remote);
        self.greet(now, peer);
        if self.host.is_none() {
            for ticket in self.own.on_their_way() {
                self.send_own(peer, ticket);
                self.own.sent(now, ticket);
            }
        }
    }

    pub(super) fn peer_closed(&mut self, now: Instant, peer: Peer) {
        if let Some(remote) = self.peers.remove(&peer) {
            self.waiting = self.waiting.saturating_sub(remote.inbox.bytes());
            self.modules.peer_closed(now, peer);
            if remote.distance() > 0 {
                self.distances_changed();
            }
        }
    }

    /// Does what time and waiting messages ask for.
    fn work(&mut self, now: Instant) {
        self.read_inboxes(now);
        self.check_fetches(now);
        self.refuse_parked(now);
        while let Some(due) = self.own.due(now) {
            match due {
                Due::Send(ticket) => self.try_own(now, ticket),
                Due::GivenUp(digest) => self.finish(digest, SubmissionState::Expired),
                Due::Replayed(digest, refusal) => self.finish(digest, SubmissionState::Refused(refusal)),
            }
        }
        while let Some(ticket) = self.own.next_unsent() {
            self.try_own(now, ticket);
        }
        self.announce(now);
    }
}
