//! The task of one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use futures_lite::future;
use quorate_feed::Feed;
use quorate_quorum::engine::{Input as QuorumInput, Peer as Voter};
use quorate_quorum::key::Signer as VoteSigner;
use quorate_replicate::{Input, Output, Peer, PeerFault, ReplicationEvent, Replicator, Selection};
use quorate_store::Backend;
use quorate_stream::submit::{Input as RelayInput, Peer as RelayPeer};
use quorate_types::BlockRange;

use super::append::CLAIM_INTERVAL;
use super::command::{Command, ExtensionMessage, Reply};
use super::failures::storage_failure;
use super::forks::Forks;
use super::gate::Gate;
use super::handle::StreamIdentity;
use super::peer::Joined;
use super::progress::Progress;
use super::room::{JobDone, RoomState, Waiters};
use super::view::View;
use super::watch::Watch;
use super::writer::Writer;
use crate::event::Event;
use crate::events::EventSender;
use crate::model::Appended;
use crate::node::Inner;
use crate::probes::Probes;
use crate::room::RuleHost;
use crate::{Code, EXTENSION, Failure};

/// Commands taken in before outputs are worked off.
const COMMANDS_AT_ONCE: usize = 64;

/// Blocks that are hashed together at the most.
const BLOCKS_AT_ONCE: usize = 256;

/// Time after which received blocks are written down although nothing asked for it.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(2);

/// Longest time that whoever waits for all of a stream waits to hear whether its room goes on in another feed.
const HEARING: Duration = Duration::from_secs(5);

/// What a stream's task is made of.
#[derive(Debug)]
pub(crate) struct TaskParts {
    pub(crate) identity: Arc<StreamIdentity>,
    pub(crate) feed: Feed<Backend>,
    pub(crate) replicator: Replicator,
    pub(crate) inbox: Receiver<Command>,
    /// Hears when a connection of this stream has room again.
    pub(crate) room: Receiver<()>,
    /// The other end of `room`, for connections.
    pub(crate) signal: Sender<()>,
    pub(crate) events: EventSender,
    pub(crate) probes: Arc<Probes>,
    pub(crate) rules: Arc<RuleHost>,
    /// What is kept where the secret key is here.
    pub(crate) writer: Option<Writer>,
    /// Signs votes, where this node is a validator.
    pub(crate) vote_key: Option<VoteSigner>,
    pub(crate) runtime: Arc<dyn quorate_net::runtime::Runtime>,
    /// Opens the later feeds of a room. Weak: a node that is dropped ends its tasks.
    pub(crate) node: Weak<Inner>,
}

/// The task of one stream: the only one that touches its feed.
///
/// It never waits for a connection; whoever sends to it waits for it.
pub(crate) struct StreamTask {
    pub(super) identity: Arc<StreamIdentity>,
    /// Length of the feed when it was opened; not all of its blocks need be here.
    pub(super) opened_length: u64,
    pub(super) feed: Feed<Backend>,
    pub(super) peers: BTreeMap<Peer, Joined>,
    pub(super) fork: Option<String>,
    pub(super) forks: Forks,
    pub(super) gate: Gate,
    pub(super) replicator: Replicator,
    inbox: Receiver<Command>,
    room: Receiver<()>,
    pub(super) signal: Sender<()>,
    events: EventSender,
    pub(super) probes: Arc<Probes>,
    pub(super) rules: Arc<RuleHost>,
    pub(super) writer: Option<Writer>,
    pub(super) vote_key: Option<VoteSigner>,
    pub(super) rooms: RoomState,
    /// Those who wait for the room while it is met anew.
    pub(super) waiters: Waiters,
    pub(super) runtime: Arc<dyn quorate_net::runtime::Runtime>,
    pub(super) node: Weak<Inner>,
    /// Tasks of rooms that this feed is a part of.
    pub(super) watches: Vec<Watch>,
    pub(super) progress: Progress,
    pub(super) serving: BTreeSet<Peer>,
    pub(super) appends: Vec<(Vec<Bytes>, Reply<Appended>)>,
    pub(super) fetching: BTreeMap<u64, Vec<Reply<Bytes>>>,
    waiting: Vec<Reply<u64>>,
    synced: bool,
    /// Until when it is waited to hear of later feeds of the room.
    hearing: Option<Instant>,
    watchers: Vec<Sender<ExtensionMessage>>,
    /// When what is not written down yet has to be.
    flush_due: Option<Instant>,
    /// Length whose blocks are all here, which is told when they are durable.
    arrived: Option<u64>,
    /// Length up to which blocks of another history that was taken are fetched before any behind it.
    pub(super) branch: Option<u64>,
    /// What is wrong with the proof that shows a peer to be corrupt.
    pub(super) corruption: Option<(Peer, String)>,
    failed: bool,
}

enum Woken {
    By(Option<Command>),
    RoomJob(JobDone),
    Idle,
}

impl StreamTask {
    pub(crate) fn new(parts: TaskParts) -> Self {
        let TaskParts {
            identity,
            feed,
            replicator,
            inbox,
            room,
            signal,
            events,
            probes,
            rules,
            writer,
            vote_key,
            runtime,
            node,
        } = parts;
        Self {
            identity,
            opened_length: feed.length(),
            feed,
            peers: BTreeMap::new(),
            fork: None,
            forks: Forks::default(),
            gate: Gate::default(),
            replicator,
            inbox,
            room,
            signal,
            events,
            probes,
            rules,
            writer,
            vote_key,
            rooms: RoomState::default(),
            waiters: Waiters::default(),
            runtime,
            node,
            watches: Vec::new(),
            progress: Progress::new(),
            serving: BTreeSet::new(),
            appends: Vec::new(),
            fetching: BTreeMap::new(),
            waiting: Vec::new(),
            synced: false,
            hearing: None,
            watchers: Vec::new(),
            flush_due: None,
            arrived: None,
            branch: None,
            corruption: None,
            failed: false,
        }
    }

    /// Runs until it is told to close or every handle is gone; then everything is on disk.
    ///
    /// Returns who is to be told, and what, once the directory has been let go of.
    pub(crate) async fn run(mut self) -> Option<(Reply<()>, Result<(), Failure>)> {
        self.open_forks().await;
        // What is asked first gets an answer about the room, too.
        self.tend_room().await;
        loop {
            let mut closing = None;
            let mut open = true;
            match self.wake().await {
                Woken::By(Some(command)) => {
                    let mut next = Some(command);
                    for _ in 0..COMMANDS_AT_ONCE {
                        let Some(command) = next.take() else { break };
                        if let Command::Close { reply } = command {
                            closing = Some(reply);
                            break;
                        }
                        self.take(command).await;
                        next = self.inbox.try_recv().ok();
                    }
                    if let Some(Command::Close { reply }) = next {
                        closing = Some(reply);
                    } else if let Some(command) = next {
                        self.take(command).await;
                    }
                }
                Woken::By(None) => open = false,
                Woken::RoomJob(done) => self.room_job_done(done).await,
                Woken::Idle => {}
            }
            self.commit().await;
            self.handle_timeout();
            self.work().await;
            // What peers wait for goes out before the rest is done.
            self.ship();
            self.recover().await;
            self.tend_room().await;
            self.settle_arrived().await;
            self.tend_gate().await;
            self.work().await;
            self.answer_synced().await;
            self.serve().await;
            self.ship();
            self.show();
            self.report(false);
            if self.flush_due.is_some_and(|due| self.runtime.now() >= due) {
                let _ = self.flush().await;
            }
            if closing.is_some() || !open {
                self.end_room().await;
                let flushed = self.flush().await;
                self.report(true);
                self.let_go();
                return closing.map(|reply| (reply, flushed));
            }
            // A busy stream lets the other tasks of its thread run in between.
            future::yield_now().await;
        }
    }

    /// Takes no more commands, and leaves none unanswered: those in the inbox would keep whoever asked waiting for as
    /// long as somebody holds the stream, and the task of a room holds the streams of its other feeds.
    fn let_go(&self) {
        self.inbox.close();
        while self.inbox.try_recv().is_ok() {}
    }

    /// Waits for a command, a deadline, or room on a connection.
    async fn wake(&mut self) -> Woken {
        if let Ok(command) = self.inbox.try_recv() {
            return Woken::By(Some(command));
        }
        if self.room.try_recv().is_ok() || self.can_serve() {
            return Woken::Idle;
        }
        let now = self.runtime.now();
        let hearing = self.hearing.filter(|until| self.synced && !self.waiting.is_empty() && *until > now);
        let room_due = self.rooms.deadline();
        let deadline =
            [self.replicator.poll_timeout(), self.progress.due(), self.flush_due, room_due, hearing]
                .into_iter()
                .flatten()
                .min();
        let command = async { Woken::By(self.inbox.recv().await.ok()) };
        let room = async {
            let _ = self.room.recv().await;
            Woken::Idle
        };
        let timer = async {
            match deadline {
                Some(deadline) => self.runtime.sleep_until(deadline).await,
                None => future::pending().await,
            }
            Woken::Idle
        };
        let rooms = &mut self.rooms;
        let job = async { Woken::RoomJob(rooms.job_done().await) };
        future::or(command, future::or(job, future::or(room, timer))).await
    }

    fn can_serve(&self) -> bool {
        self.serving.iter().any(|peer| self.peers.get(peer).is_some_and(Joined::has_room))
    }

    pub(super) fn handle(&mut self, input: Input) {
        let now = self.runtime.now();
        self.replicator.handle(now, &View(&self.feed), input);
    }

    fn handle_timeout(&mut self) {
        let now = self.runtime.now();
        if self.replicator.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.replicator.handle(now, &View(&self.feed), Input::Timeout);
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::PeerMessages { peer, messages, turn } => {
                let now = self.runtime.now();
                for message in messages {
                    self.replicator.handle(now, &View(&self.feed), Input::Message { peer, message });
                }
                self.work().await;
                drop(turn);
            }
            Command::PeerOpened { peer, opened } => {
                if self.holds_unsaved() {
                    opened.outbox.shutdown();
                    return;
                }
                if self.is_stopped() {
                    Joined::new(*opened).close_channel();
                    return;
                }
                self.emit(Event::Joined { stream: self.identity.name.clone(), peer: opened.address.clone() });
                let profile = opened.profile;
                opened.outbox.signal_room(self.signal.clone());
                self.peers.insert(peer, Joined::new(*opened));
                self.handle(Input::PeerOpened { peer, profile });
            }
            Command::PeerIsQuorate { peer } => {
                let now = self.runtime.now();
                if let Some(joined) = self.peers.get_mut(&peer) {
                    joined.is_quorate = true;
                    joined.quorate_since.get_or_insert(now);
                    self.tell_relay(RelayInput::PeerOpened { peer: RelayPeer(peer.0) });
                    self.tell_quorum(QuorumInput::PeerOpened { peer: Voter(peer.0) });
                }
                self.handle(Input::PeerIsQuorate { peer });
            }
            Command::PeerWantsAcks { peer } => self.handle(Input::PeerWantsAcks { peer }),
            Command::PeerClosed { peer } => {
                self.forget(peer);
                self.handle(Input::PeerClosed { peer });
            }
            Command::PeerExtension { peer, name, payload, turn } => {
                self.take_extension(peer, name, payload).await;
                drop(turn);
            }
            Command::Append { reply, .. } if self.is_room() => {
                let name = &self.identity.name;
                let no_entry = || {
                    let message = format!(
                        "expected signed actions, found plain blocks: {name} is a room; nothing was appended"
                    );
                    Failure::new(Code::EntryNotAllowed, message)
                        .next(format!("quorate append {name} MESSAGE signs it"))
                };
                let _ = reply.try_send(Err(self.refuse_writing().unwrap_or_else(no_entry)));
            }
            Command::Append { blocks, reply } => self.appends.push((blocks, reply)),
            Command::Say(utterance) => {
                self.tend_room().await;
                // Where another host has taken the room over, this node only says things.
                if let Some(failure) = self.refuse_writing().filter(|_| !self.is_led_elsewhere()) {
                    let _ = utterance.reply.try_send(Err(failure));
                    return;
                }
                self.take_utterance(*utterance);
            }
            Command::Hurry { call } => self.hurry(call),
            Command::TrustWriter { reply } => {
                let trusted = self.trust_writer().await;
                let _ = reply.try_send(trusted);
            }
            Command::ChangeValidators(change) => {
                self.tend_room().await;
                self.change_validators(change);
            }
            Command::Checked { reply } => {
                self.tend_room().await;
                self.wait_for_checks(reply);
            }
            Command::Committed { length, reply } => {
                self.tend_room().await;
                self.wait_for_commit(length, reply);
            }
            Command::Settled(settling) => {
                self.tend_room().await;
                self.wait_until_settled(settling).await;
            }
            Command::Evidence { id, reply } => {
                let _ = reply.try_send(self.evidence(&id));
            }
            Command::Publish { id, bytes, reply } => {
                let published = self.publish(&id, bytes).await;
                let _ = reply.try_send(published);
            }
            Command::Gate { head } => self.take_gate(head),
            Command::PolicyChanged => self.policy_changed(),
            Command::Fetch { index, reply } => self.fetch_height(index, reply).await,
            Command::Select { selection, reply } => {
                self.select(selection);
                let _ = reply.try_send(Ok(()));
            }
            Command::Synced { reply } => {
                if self.identity.follows_head_alone() && !self.synced {
                    self.waiting.push(reply);
                    self.handle(Input::Update);
                } else if self.identity.is_writable() {
                    let length = self.room_length();
                    let flushed = self.flush().await;
                    let _ = reply.try_send(flushed.map(|()| length));
                } else {
                    self.waiting.push(reply);
                }
            }
            Command::TakeBranch { fork, shared, reply } => {
                let taken = self.take_branch(&fork, shared).await;
                let _ = reply.try_send(taken);
            }
            Command::Export { to, with_secret_key, reply } => {
                let exported = self.export(to, with_secret_key).await;
                let _ = reply.try_send(exported);
            }
            Command::Clear { range, reply } => {
                let cleared = self.clear_heights(range).await;
                let _ = reply.try_send(cleared);
            }
            Command::SendExtension { name, payload, reply } => {
                let sent = self
                    .peers
                    .values_mut()
                    .map(|peer| peer.extension(&name, payload.clone()))
                    .filter(|sent| *sent);
                let count = sent.count();
                let _ = reply.try_send(Ok(count));
            }
            Command::WatchExtensions { to } => self.watchers.push(to),
            Command::Watch { watch, reply } => {
                self.watch(watch);
                let _ = reply.try_send(Ok(self.host_key().cloned()));
            }
            Command::Extend { blocks, reply } => self.appends.push((blocks, reply)),
            Command::Read { range, reply } => self.read(range, reply).await,
            Command::Roots { length, reply } => self.roots(length, reply).await,
            Command::Signed { index, reply } => self.signed(index, reply).await,
            Command::Show { index, reply } => {
                let _ = reply.try_send(Ok(self.shown(index).await));
            }
            Command::Get { index, reply } => self.get_height(index, reply).await,
            Command::Info { reply } => {
                let _ = reply.try_send(self.info().await);
            }
            Command::Blocks { range, reply } => {
                let _ = reply.try_send(self.blocks(range).await);
            }
            Command::Prove { index, reply } => self.prove_height(index, reply).await,
            Command::Audit { progress, reply } => {
                let _ = reply.try_send(self.audit(&progress).await);
            }
            Command::Close { .. } => {}
        }
    }

    /// Works off what the replicator asks for, until it asks for nothing more. Blocks that came together are hashed
    /// together.
    async fn work(&mut self) {
        let mut received = Vec::new();
        loop {
            let output = match self.replicator.poll_output() {
                Some(Output::Verify { peer, data }) if received.len() < BLOCKS_AT_ONCE => {
                    received.push((peer, data));
                    continue;
                }
                output => output,
            };
            let is_done = received.is_empty();
            self.verify_all(&mut received).await;
            let Some(output) = output else {
                // What was verified may have led to more.
                if is_done { return } else { continue }
            };
            match output {
                Output::Send { peer, message } => {
                    if let Some(joined) = self.peers.get_mut(&peer) {
                        joined.push(message);
                    }
                }
                Output::Serve { peer } => {
                    self.serving.insert(peer);
                }
                Output::Verify { peer, data } => received.push((peer, data)),
                Output::Investigate { peer, data } => self.investigate(peer, data).await,
                Output::Event(event) => self.on_event(event).await,
                Output::CloseChannel { peer } => {
                    if let Some(joined) = self.peers.get_mut(&peer) {
                        joined.close_channel();
                    }
                    self.forget(peer);
                }
                Output::Disconnect { peer, fault, probe } => self.disconnect(peer, fault, probe),
            }
        }
    }

    async fn on_event(&mut self, event: ReplicationEvent) {
        match event {
            ReplicationEvent::RemoteLength { peer, length } => {
                self.synced = self.synced && length <= self.feed.length();
                if let Some(joined) = self.peers.get(&peer) {
                    joined.set_remote_length(length);
                }
                // Of a sparse stream the head is followed, and no block.
                if self.identity.follows_head_alone() && length > self.feed.length() {
                    self.handle(Input::Update);
                }
            }
            // A sparse stream has nothing to wait for but the head.
            ReplicationEvent::Synced { .. } if self.rooms.is_held() => {}
            ReplicationEvent::Synced { length } | ReplicationEvent::Updated { length } => {
                self.synced = true;
                self.arrived = Some(length);
            }
            ReplicationEvent::Suspected { peer, index, refusal } => {
                tracing::info!(
                    peer = self.address(peer),
                    index,
                    ?refusal,
                    "a block does not verify; asking for evidence"
                );
            }
            ReplicationEvent::ForkFound { peer, index } => {
                // What is new of it is told when it is proven; it is found again with every connection.
                tracing::info!(peer = self.address(peer), index, "fork found");
                if let Some(joined) = self.peers.get_mut(&peer) {
                    joined.has_other_history = true;
                }
            }
            ReplicationEvent::CorruptPeer { peer, index } => {
                let told = self.corruption.take().filter(|&(of, _)| of == peer);
                let reason =
                    told.map_or_else(|| PeerFault::Corrupt { index }.to_string(), |(_, reason)| reason);
                let (stream, peer) = (self.identity.name.clone(), self.address(peer));
                tracing::warn!(peer, index, reason, "corrupt peer");
                self.emit(Event::Corrupt { stream, peer, index, reason });
            }
            ReplicationEvent::GivenUp { index, refusal } => {
                let failure =
                    Failure::new(Code::Refused, format!("block {index} was refused here: {refusal:?}"));
                for reply in self.fetching.remove(&index).unwrap_or_default() {
                    let _ = reply.try_send(Err(failure.clone()));
                }
            }
            ReplicationEvent::Starved { .. } => {}
        }
    }

    /// Answers those who wait for all of the stream, when it is here with what its room goes on in.
    async fn answer_synced(&mut self) {
        if !self.synced || self.waiting.is_empty() {
            return;
        }
        let now = self.runtime.now();
        let until = *self.hearing.get_or_insert(now + HEARING);
        if self.lacks_later_feeds(now >= until) {
            return;
        }
        self.hearing = None;
        let (length, flushed) = (self.room_length(), self.flush().await);
        for reply in std::mem::take(&mut self.waiting) {
            let _ = reply.try_send(flushed.clone().map(|()| length));
        }
    }

    fn ship(&mut self) {
        for joined in self.peers.values_mut() {
            joined.ship();
        }
    }

    /// Tells that all blocks are here, once they are durable. A room's checks of them run meanwhile.
    async fn settle_arrived(&mut self) {
        let Some(length) = self.arrived.take() else { return };
        let settled = self.make_arrived_durable().await;
        self.report(true);
        if settled.is_ok() {
            self.emit(Event::Synced { stream: self.identity.name.clone(), length });
        }
    }

    /// Makes the blocks that came durable. The bitfield follows soon where opening does without it.
    pub(super) async fn make_arrived_durable(&mut self) -> Result<(), Failure> {
        if self.writer.is_some() {
            return self.flush().await;
        }
        self.flush_by(self.runtime.now() + CLAIM_INTERVAL);
        let flushed =
            self.feed.flush_arrived().await.map_err(|error| storage_failure(&self.identity, &error));
        flushed.inspect_err(|failure| self.storage_failed(failure.message.clone()))
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.flush_due = None;
        let flushed = self.feed.flush().await.map_err(|error| storage_failure(&self.identity, &error));
        let flushed = flushed.and(self.sync_record().await);
        flushed.inspect_err(|failure| self.storage_failed(failure.message.clone()))
    }

    pub(super) fn flush_by(&mut self, due: Instant) {
        self.flush_due = Some(self.flush_due.map_or(due, |before| before.min(due)));
    }

    pub(super) fn select(&mut self, selection: Selection) {
        self.synced = false;
        self.handle(Input::Select { selection });
    }

    pub(super) async fn fetch(&mut self, index: u64, reply: Reply<Bytes>) {
        if self.feed.has(index) {
            let _ = reply.try_send(self.block(index).await);
            return;
        }
        self.fetching.entry(index).or_default().push(reply);
        self.handle(Input::Want { index });
    }

    pub(super) fn answer_fetches(&mut self, index: u64, value: &Bytes) {
        for reply in self.fetching.remove(&index).unwrap_or_default() {
            let _ = reply.try_send(Ok(value.clone()));
        }
    }

    pub(super) async fn clear(&mut self, range: BlockRange) -> Result<u64, Failure> {
        let cleared = self
            .feed
            .clear(range)
            .await
            .map_err(|error| super::failures::clear_failure(&self.identity, &error))?;
        self.handle(Input::Cleared { range });
        self.emit(Event::Cleared { stream: self.identity.name.clone(), start: range.start, end: range.end });
        Ok(cleared)
    }

    async fn take_extension(&mut self, peer: Peer, name: String, payload: Bytes) {
        let Some(joined) = self.peers.get(&peer) else { return };
        if name == EXTENSION {
            self.keep_status(peer, &payload);
            self.take_evidence(peer, &payload).await;
            self.tell_relay(RelayInput::Message { peer: RelayPeer(peer.0), payload: payload.clone() });
            self.tell_quorum(QuorumInput::Message { peer: Voter(peer.0), payload });
            return;
        }
        let message = ExtensionMessage { peer: joined.address.clone(), name, payload };
        self.emit(Event::Extension {
            stream: self.identity.name.clone(),
            peer: message.peer.clone(),
            name: message.name.clone(),
            bytes: message.payload.len(),
        });
        self.watchers.retain(|watcher| {
            !matches!(watcher.try_send(message.clone()), Err(async_channel::TrySendError::Closed(_)))
        });
    }

    fn report(&mut self, force: bool) {
        let now = self.runtime.now();
        if self.progress.due().is_none() || (!force && self.progress.due() > Some(now)) {
            return;
        }
        let length = self.feed.length();
        let here = self.feed.bitfield().count(BlockRange::new(0, length));
        for event in self.progress.take(now, force, &self.identity.name, here, length) {
            self.emit(event);
        }
    }

    /// Says once that storage failed.
    pub(super) fn storage_failed(&mut self, reason: String) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(stream = self.identity.name, "{reason}");
            self.emit(Event::StorageFailed { stream: self.identity.name.clone(), reason });
        }
    }

    pub(super) fn address(&self, peer: Peer) -> String {
        self.peers.get(&peer).map_or_else(|| "a peer that is gone".into(), |joined| joined.address.clone())
    }

    pub(super) fn emit(&self, event: Event) {
        self.events.send(event);
    }
}

/// Forgets the type of a future: the compiler cannot tell that a future with borrowed arguments deep inside is `Send`.
pub(super) fn erased<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
