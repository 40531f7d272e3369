//! The replicator: one feed, many peers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use quorate_proto::dat::{FeedMessage, Request};
use quorate_types::BlockRange;

use crate::peer::{PeerState, Sent};
use crate::work::Work;
use crate::{Config, Input, LocalFeed, Output, Peer, PeerFault, ReplicationEvent};

/// Replicates one feed with many peers.
///
/// After each [`handle`](Self::handle), or after several, drain [`poll_output`](Self::poll_output) and call
/// [`handle`](Self::handle) with [`Input::Timeout`] at the time of [`poll_timeout`](Self::poll_timeout). Draining
/// after several inputs is cheaper and makes fewer and longer announcements.
#[derive(Debug)]
pub struct Replicator {
    pub(crate) config: Config,
    pub(crate) peers: BTreeMap<Peer, PeerState>,
    pub(crate) work: Work,
    pub(crate) out: Outbox,
    pub(crate) news: News,
    /// Several peers have blocks, so that each gets a smaller share at a time.
    pub(crate) shared: bool,
    /// Peers other than the one concerned may have something to do.
    pub(crate) check_work: bool,
    /// The replication may be complete, or stuck.
    pub(crate) check_end: bool,
    /// The head is asked for.
    pub(crate) update: bool,
    pub(crate) synced: bool,
    pub(crate) starved: bool,
    /// Blocks that stock peers are shown; all of them where there is none.
    pub(crate) gate: Option<u64>,
    #[cfg(test)]
    pub(crate) keeps_timed_out_requests: bool,
    #[cfg(test)]
    pub(crate) never_helps: bool,
}

/// What is to be announced when the outputs are drained.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Blocks that did not come from a peer.
    pub(crate) appended: Vec<BlockRange>,
    /// Number of blocks that came from peers, and since when they wait.
    pub(crate) fresh: usize,
    pub(crate) fresh_since: Option<Instant>,
    /// Peers whose length grew.
    pub(crate) lengths: BTreeSet<Peer>,
    /// Peers that want to be told.
    pub(crate) listeners: usize,
}

/// Outputs, and when the machine wants to run next.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    deadline: Option<Instant>,
}

/// What an input comes with.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) now: Instant,
    pub(crate) local: &'a dyn LocalFeed,
}

impl Outbox {
    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn send(&mut self, peer: Peer, message: FeedMessage) {
        self.outputs.push_back(Output::Send { peer, message });
    }

    pub(crate) fn event(&mut self, event: ReplicationEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Asks to run at the time or before.
    pub(crate) fn wake(&mut self, at: Instant) {
        self.deadline = Some(self.deadline.map_or(at, |before| before.min(at)));
    }

    pub(crate) fn forget_deadline(&mut self) {
        self.deadline = None;
    }
}

impl Replicator {
    /// Makes a replicator without peers that fetches nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            work: Work::default(),
            out: Outbox::default(),
            news: News::default(),
            shared: false,
            check_work: false,
            check_end: false,
            update: false,
            synced: false,
            starved: false,
            gate: None,
            #[cfg(test)]
            keeps_timed_out_requests: false,
            #[cfg(test)]
            never_helps: false,
        }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in what happened. Inputs about peers that are gone change nothing but what is known of the feed here.
    pub fn handle(&mut self, now: Instant, local: &dyn LocalFeed, input: Input) {
        let view = View { now, local };
        match input {
            Input::PeerOpened { peer, profile } => self.peer_opened(view, peer, profile),
            Input::PeerIsQuorate { peer } => {
                if let Some(state) = self.peers.get_mut(&peer)
                    && !std::mem::replace(&mut state.is_quorate, true)
                {
                    self.show_rest(view, peer);
                    self.fill(view, peer);
                }
            }
            Input::PeerWantsAcks { peer } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.wants_acks = true;
                }
            }
            Input::PeerClosed { peer } => drop(self.drop_peer(peer)),
            Input::Message { peer, message } => self.message(view, peer, message),
            Input::Appended { range } => self.appended(range),
            Input::Cleared { range } => self.cleared(range),
            Input::Gate { length } => self.set_gate(view, length),
            Input::Select { selection } => self.select(view, selection),
            Input::Want { index } => self.want_block(view, index),
            Input::Forget { index } => self.work.forget(index),
            Input::Update => {
                self.update = true;
                self.check_work = true;
                self.check_end = true;
            }
            Input::Stored { peer, index, new, upgraded } => self.stored(view, peer, index, new, upgraded),
            Input::Refused { peer, index, refusal } => self.refused(view, peer, index, refusal),
            Input::Investigated { peer, result } => self.investigated(view, peer, result),
            Input::Timeout => self.timeout(view),
        }
        if self.check_work {
            self.fill_all(view);
        }
        if self.check_end {
            self.end_check(view);
        }
    }

    /// Returns the next thing to do, or `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.out.outputs.is_empty() {
            self.announce_news();
        }
        self.out.outputs.pop_front()
    }

    /// Returns the time at which [`Input::Timeout`] is due; earlier and later calls do no harm.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.out.deadline
    }

    /// Takes the oldest waiting request of a peer; cancelled ones are not among them.
    pub fn next_request(&mut self, peer: Peer) -> Option<Request> {
        self.peers.get_mut(&peer)?.queue.pop_front()
    }

    fn message(&mut self, view: View<'_>, peer: Peer, message: FeedMessage) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        match message {
            FeedMessage::Data(data) => self.data(view, peer, data),
            FeedMessage::Request(request) => self.request(view, peer, request),
            FeedMessage::Have(have) => self.have(view, peer, have),
            FeedMessage::Unhave(unhave) => self.unhave(view, peer, unhave),
            FeedMessage::Want(want) => self.want(view, peer, want),
            FeedMessage::Unwant(want) => self.unwant(peer, want),
            FeedMessage::Cancel(cancel) => self.cancel(peer, cancel),
            FeedMessage::Status(status) => self.status(view, peer, status),
        }
    }

    /// Takes a peer out; what it was asked for is asked from others.
    pub(crate) fn drop_peer(&mut self, id: Peer) -> Option<PeerState> {
        let mut peer = self.peers.remove(&id)?;
        if peer.remote_wants {
            self.news.listeners = self.news.listeners.saturating_sub(1);
        }
        self.news.lengths.remove(&id);
        // What came from it was not announced to the others yet.
        self.news.appended.append(&mut peer.fresh);
        if let Some(first) = self.work.claims.drop_peer(id) {
            self.peers.values_mut().for_each(|other| other.cursor = other.cursor.min(first));
        }
        let investigating = peer.investigating.iter().map(|(sent, _)| sent);
        for sent in peer.waiting.iter().chain(&peer.verifying).chain(investigating) {
            if self.work.singles.get(&sent.index) == Some(&id) {
                self.work.singles.remove(&sent.index);
                self.work.reopen(sent.index);
            }
        }
        // Evidence that was not asked for yet.
        for &(index, hash, _) in peer.to_ask.iter() {
            if !hash {
                self.work.reopen(index);
            }
        }
        self.count_sharers();
        self.check_work = true;
        self.check_end = true;
        Some(peer)
    }

    pub(crate) fn disconnect(&mut self, id: Peer, fault: PeerFault, probe: Option<u64>) {
        if self.drop_peer(id).is_some() {
            self.out.push(Output::Disconnect { peer: id, fault, probe });
        }
    }

    pub(crate) fn count_sharers(&mut self) {
        let sharers = self
            .peers
            .values()
            .filter(|peer| peer.remote.length() > 0 && peer.remote_uploading && peer.parting.is_none());
        self.shared = sharers.take(2).count() > 1;
    }
}

/// A request is no longer open: frees what it held.
pub(crate) fn settle(work: &mut Work, id: Peer, peer: &mut PeerState, sent: Sent) {
    if sent.stretch {
        work.claims.settle(sent.index, id);
    } else if !sent.hash && work.singles.get(&sent.index) == Some(&id) {
        work.singles.remove(&sent.index);
    }
    if peer.anchor == Some(sent.index) {
        peer.anchor = None;
    }
}
