//! One connection: which streams are open on it, and who hears what comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_lock::Semaphore;
use quorate_net::discovery::DialEnd;
use quorate_net::drive::{Handler, Link};
use quorate_proto::dat::FeedMessage;
use quorate_replicate::{Peer, PeerProfile};
use quorate_types::{DiscoveryKey, PublicKey, Wire};
use quorate_wire::{Channel, Event as WireEvent, Session};

use crate::event::Event;
use crate::model::Direction;
use crate::node::Inner;
use crate::peers::ConnectionId;
use crate::stream::{Command, OpenedPeer, Stream};
use crate::{Code, EXTENSION, WireOutbox};

/// Batches of one connection that may wait for streams: one being dealt with, and the next.
///
/// Without it a peer could fill the inbox of a stream with small messages, which take many times the memory of
/// their bytes.
const BATCHES_IN_FLIGHT: usize = 2;

/// Ends the connection.
const END: ControlFlow<()> = ControlFlow::Break(());

/// Handles what happens on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    node: Arc<Inner>,
    id: ConnectionId,
    address: String,
    outbox: WireOutbox,
    parts: ConnectionParts,
    /// Set when the handshake is complete.
    connected: Arc<AtomicBool>,
    open: BTreeMap<Channel, Open>,
    /// What the handshake of wire A says about the whole connection.
    remote_live: Option<bool>,
    /// Key or id of the peer, once the handshake is complete.
    peer_id: Option<String>,
    quorate: bool,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    peer: Peer,
    quorate: bool,
}

/// How a connection came to be, and what is opened on it.
#[derive(Debug)]
pub(crate) struct ConnectionParts {
    pub(crate) direction: Direction,
    pub(crate) wire: Wire,
    /// Feeds that are opened from this side once the handshake is complete.
    pub(crate) offered: Vec<PublicKey>,
    /// Address that was named and is dialled for good: what is opened may have become more meanwhile.
    pub(crate) named: Option<String>,
    /// Address that discovery dialled.
    pub(crate) found: Option<SocketAddr>,
}

impl Connection {
    pub(crate) fn new(
        node: Arc<Inner>,
        id: ConnectionId,
        address: String,
        outbox: WireOutbox,
        parts: ConnectionParts,
        connected: Arc<AtomicBool>,
    ) -> Self {
        Self {
            node,
            id,
            address,
            outbox,
            parts,
            connected,
            open: BTreeMap::new(),
            remote_live: None,
            peer_id: None,
            quorate: false,
            turns: Arc::new(Semaphore::new(BATCHES_IN_FLIGHT)),
        }
    }

    /// Tells every stream that the connection is gone.
    pub(crate) async fn end(mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            let _ = open.stream.tell(Command::PeerClosed { peer: open.peer }).await;
        }
    }

    async fn opened(&mut self, channel: Channel, key: PublicKey) {
        let Some(stream) = self.node.stream(&key.discovery_key()) else {
            return;
        };
        let peer = self.node.next_peer();
        let discovery_key = *stream.discovery_key();
        let mut profile = PeerProfile::new(self.parts.wire);
        profile.remote_live = self.remote_live;
        profile.probe = self.node.probes.take(&self.address, discovery_key);
        let remote_length = Arc::new(AtomicU64::new(0));
        self.node.peers.join(self.id, key, Arc::clone(&remote_length));
        let opened = OpenedPeer {
            channel,
            outbox: self.outbox.clone(),
            profile,
            address: self.address.clone(),
            id: self.peer_id.clone(),
            remote_length,
        };
        if stream.tell(Command::PeerOpened { peer, opened: Box::new(opened) }).await.is_err() {
            return;
        }
        if self.quorate {
            let _ = stream.tell(Command::PeerIsQuorate { peer }).await;
        }
        let beside = self.node.room_feeds.beside(&discovery_key);
        for key in self.node.archives.content_of(&discovery_key).into_iter().chain(beside) {
            let _ = self.outbox.try_send(quorate_net::Command::Open(key));
        }
        self.open.insert(channel, Open { stream, peer, quorate: self.quorate });
    }

    async fn closed(&mut self, channel: Channel) {
        if let Some(open) = self.open.remove(&channel) {
            self.node.peers.leave(self.id, open.stream.discovery_key());
            let _ = open.stream.tell(Command::PeerClosed { peer: open.peer }).await;
        }
    }

    async fn extensions(&mut self, channel: Option<Channel>, names: &[String]) {
        if !names.iter().any(|name| name == EXTENSION) {
            return;
        }
        self.node.peers.is_quorate(self.id);
        match channel {
            Some(channel) => {
                if let Some(open) = self.open.get_mut(&channel)
                    && !std::mem::replace(&mut open.quorate, true)
                {
                    let _ = open.stream.tell(Command::PeerIsQuorate { peer: open.peer }).await;
                }
            }
            None => {
                self.quorate = true;
                for open in self.open.values_mut() {
                    if !std::mem::replace(&mut open.quorate, true) {
                        let _ = open.stream.tell(Command::PeerIsQuorate { peer: open.peer }).await;
                    }
                }
            }
        }
    }

    /// Tells the stream when the peer asked for acknowledgements.
    async fn acks(&self, link: &Link<'_, Session>, channel: Channel) {
        let wanted = link.session().remote_ack(channel);
        if let (true, Some(open)) = (wanted, self.open.get(&channel)) {
            let _ = open.stream.tell(Command::PeerWantsAcks { peer: open.peer }).await;
        }
    }

    async fn messages(&self, channel: Channel, messages: Vec<FeedMessage>) {
        if let Some(open) = self.open.get(&channel) {
            let turn = self.turns.acquire_arc().await;
            let _ = open.stream.tell(Command::PeerMessages { peer: open.peer, messages, turn }).await;
        }
    }

    /// Says of a peer that was dialled, and has the key of this node without being it, what it is.
    fn tell_own_key(&self) {
        let is_other = self.address.parse().is_ok_and(|address| !listens_at(&self.node, address));
        if self.parts.direction != Direction::Outgoing || !is_other {
            return;
        }
        let peer = self.parts.named.clone().unwrap_or_else(|| self.address.clone());
        let reason = "it has the network key of this home, so one of the two is a copy of the other: copies do not connect \
                      with each other";
        let code = Code::OwnKey.to_string();
        self.node.events.send(Event::DialFailed { peer, reason: reason.into(), code });
    }

    fn connected(&mut self, link: &Link<'_, Session>, id: Option<String>) -> ControlFlow<()> {
        self.connected.store(true, Ordering::Relaxed);
        if is_self(&self.node, &link.session()) {
            tracing::info!(peer = self.address, "closing: this is a connection to ourselves");
            self.tell_own_key();
            self.node.peers.ended_as(self.parts.found, DialEnd::Ourselves);
            return END;
        }
        self.node.peers.connected(self.id, self.parts.wire, id.clone());
        self.peer_id.clone_from(&id);
        if let Some(named) = &self.parts.named {
            // Whatever is asked for from here on is sent to this connection.
            let (all, keys) = self.node.wanted_of(named);
            if all {
                self.node.peers.offers_all(self.id);
            }
            let more = keys.into_iter().filter(|key| !self.parts.offered.contains(key));
            self.parts.offered.extend(more.collect::<Vec<_>>());
        }
        if let (Some(address), Some(id)) = (self.parts.found, &id) {
            self.node.discovery.identified(address, id);
        }
        let own = match self.parts.wire {
            Wire::A => self.node.id.to_string(),
            Wire::B2 => self.node.noise.public().to_string(),
        };
        if self.node.peers.settle_duplicates(self.id, &own, &self.parts.offered) {
            tracing::debug!(peer = self.address, "closing: there is another connection with the same peer");
            return END;
        }
        self.node.events.send(Event::Connected {
            peer: self.address.clone(),
            direction: self.parts.direction,
            wire: self.parts.wire.to_string(),
            id,
        });
        for key in std::mem::take(&mut self.parts.offered) {
            if let Err(error) = link.session().open(&key) {
                tracing::info!(peer = self.address, "cannot open a feed: {error}");
                return END;
            }
        }
        ControlFlow::Continue(())
    }

    fn remote_open(&self, link: &Link<'_, Session>, discovery_key: &DiscoveryKey) -> ControlFlow<()> {
        let mut session = link.session();
        let stream = self.node.stream(discovery_key);
        let result = match stream.filter(|stream| !self.node.stops(stream.key())) {
            Some(stream) => session.open(stream.key()).map(|_| ()),
            None => session.refuse(discovery_key),
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                tracing::info!(peer = self.address, "closing: {error}");
                END
            }
        }
    }
}

impl Handler<Session> for Connection {
    async fn on_events(&mut self, link: &Link<'_, Session>, events: Vec<WireEvent>) -> ControlFlow<()> {
        let mut gathered: Option<(Channel, Vec<FeedMessage>)> = None;
        for event in events {
            // Messages of one channel that follow each other go to the stream together.
            if let WireEvent::Message { channel, message } = event {
                match &mut gathered {
                    Some((of, messages)) if *of == channel => messages.push(message),
                    _ => {
                        if let Some((of, messages)) = gathered.replace((channel, vec![message])) {
                            self.messages(of, messages).await;
                        }
                    }
                }
                continue;
            }
            if let Some((of, messages)) = gathered.take() {
                self.messages(of, messages).await;
            }
            match event {
                WireEvent::Connected { remote_key, remote_id, live, .. } => {
                    self.remote_live = (self.parts.wire == Wire::A).then_some(live);
                    let id = remote_key.map(|key| key.to_string()).or(remote_id.map(|id| id.to_string()));
                    if self.connected(link, id).is_break() {
                        return END;
                    }
                }
                WireEvent::RemoteOpen { discovery_key }
                    if self.remote_open(link, &discovery_key).is_break() =>
                {
                    return END;
                }
                WireEvent::Opened { channel, key } => {
                    self.opened(channel, key).await;
                    self.acks(link, channel).await;
                }
                WireEvent::Closed { channel } => self.closed(channel).await,
                WireEvent::Extensions { channel, names } => {
                    self.extensions(channel, &names).await;
                    if let Some(channel) = channel {
                        self.acks(link, channel).await;
                    }
                }
                WireEvent::Extension { channel, name, payload } => {
                    if let Some(open) = channel.and_then(|channel| self.open.get(&channel)) {
                        let turn = self.turns.acquire_arc().await;
                        let command = Command::PeerExtension { peer: open.peer, name, payload, turn };
                        let _ = open.stream.tell(command).await;
                    }
                }
                _ => {}
            }
        }
        if let Some((of, messages)) = gathered.take() {
            self.messages(of, messages).await;
        }
        ControlFlow::Continue(())
    }
}

/// Tells whether this node listens at an address: on that port, and the address is one of this machine.
fn listens_at(inner: &Inner, address: SocketAddr) -> bool {
    address.port() == inner.listen_port.load(Ordering::Relaxed)
        && std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
}

/// Tells whether a peer has the key of this node, or is this very one.
fn is_self(inner: &Inner, session: &Session) -> bool {
    session.remote_key().as_ref() == Some(inner.noise.public()) || session.remote_id() == Some(inner.id)
}
