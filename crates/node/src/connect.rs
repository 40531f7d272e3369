//! Connections made and taken: from an address or a listening port to a running connection.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use futures_lite::future;
use quorate_net::dial::{Attempt, DialError, Dialled as DialledPeer, persist};
use quorate_net::discovery::DialEnd;
use quorate_net::drive::{Ended, drive};
use quorate_net::http::{self, LocalSocket, MAX_SOCKET_PATH_BYTES, SocketError};
use quorate_net::listen::{self, ListenConfig, ListenError, Listening, Port};
use quorate_net::outbox::outbox;
use quorate_net::resolve::resolve;
use quorate_types::{PublicKey, Wire};
use quorate_wire::{Role, Session, SessionConfig, SessionEntropy, SessionError};

use crate::connection::{Connection, ConnectionParts};
use crate::event::Event;
use crate::model::Direction;
use crate::node::{Inner, Listen, random, with_port};
use crate::store_failures::lock_failure;
use crate::stream::Stream;
use crate::{Code, EXTENSION, Failure, Node};

/// Feeds with which a connection of wire A is begun, one after the other, before its peer is taken to carry none of them.
const FEEDS_TO_BEGIN_WITH: usize = 8;

/// What is opened on a connection that this node makes.
#[derive(Debug, Clone)]
enum Offer {
    /// What is opened with a peer that was named and is dialled for good.
    Named,
    /// One stream; others only when the peer asks for them.
    One(PublicKey),
    /// The streams that the peer is said to carry. The peer was found, not named: the connection ends when there is
    /// another one with the same peer.
    Found(Vec<PublicKey>),
}

/// What is opened on the connection with an address that is dialled for good: there is one, whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialled {
    /// Every stream that is open, and those that are opened later.
    All,
    /// These streams; others only when the peer asks for them.
    These(BTreeSet<PublicKey>),
}

impl Dialled {
    /// Adds what somebody else asks for; tells whether that is more.
    fn widen(&mut self, other: Self) -> bool {
        match (&mut *self, other) {
            (Self::All, _) => false,
            (Self::These(keys), Self::These(others)) => {
                let before = keys.len();
                keys.extend(others);
                keys.len() > before
            }
            (Self::These(_), Self::All) => {
                *self = Self::All;
                true
            }
        }
    }
}

/// How a connection ended.
struct Outcome {
    /// The handshake was completed.
    connected: bool,
    ended: Ended<SessionError>,
}

impl Node {
    /// Listens for peers; returns the address.
    ///
    /// # Errors
    ///
    /// [`Code::AddressInUse`] when the port is taken and no other may be used.
    pub async fn listen(&self, listen: Listen) -> Result<SocketAddr, Failure> {
        let port = if listen.or_next_free { Port::Preferred } else { Port::Exactly(listen.port) };
        let config = ListenConfig { host: listen.host, port, ..ListenConfig::default() };
        let listening = listen::listen(Arc::clone(self.runtime()), config)
            .await
            .map_err(|error| listen_failure(&error))?;
        let address = listening.local_addr();
        self.inner.listen_port.store(address.port(), Ordering::Relaxed);
        self.inner.listens.store(true, Ordering::Relaxed);
        self.inner.events.send(Event::Listening { address: address.to_string() });
        let inner = Arc::clone(&self.inner);
        self.runtime().spawn(Box::pin(async move {
            let stopped = inner.stopped.clone();
            let stop = async move {
                let _ = stopped.recv().await;
            };
            future::or(accept(inner, listening), stop).await;
        }));
        Ok(address)
    }

    /// Serves the local API until the node stops.
    ///
    /// # Errors
    ///
    /// [`Code::HomeInUse`] when a node runs on the home already.
    pub async fn serve_api(&self) -> Result<(), Failure> {
        let lock = self.inner.home.lock_node().map_err(|error| {
            let failure = lock_failure(&error);
            match failure.code {
                Code::Locked => Failure::new(Code::HomeInUse, failure.message)
                    .next("stop the other node, or use another --home"),
                _ => failure,
            }
        })?;
        let socket = LocalSocket::bind(&**self.runtime(), &self.socket_path())
            .map_err(|error| socket_failure(self.home(), &error))?;
        let node = self.clone();
        let service = Arc::new(move |request| {
            let node = node.clone();
            crate::api::serve(node, request)
        });
        let runtime = Arc::clone(self.runtime());
        let stopped = self.inner.stopped.clone();
        self.runtime().spawn(Box::pin(async move {
            let stop = async move {
                let _ = stopped.recv().await;
            };
            future::or(http::serve(runtime, socket, service), stop).await;
            drop(lock);
        }));
        Ok(())
    }

    /// Dials a peer, offers it every open stream, and dials again whenever the connection is lost.
    ///
    /// `peer` is `host:port`, or a host with the default port.
    pub fn add_peer(&self, peer: &str) {
        self.dial_for_good(peer, Dialled::All);
    }

    /// Dials a peer for one stream; see [`clone_stream`](Self::clone_stream) for `live`.
    pub(crate) fn add_peer_of(&self, stream: &Stream, peer: &str, live: bool) {
        if self.inner.stops(stream.key()) {
            return;
        }
        if live {
            self.dial_for_good(peer, Dialled::These([*stream.key()].into()));
        } else {
            self.dial(with_port(peer), Offer::One(*stream.key()));
        }
    }

    fn dial_for_good(&self, peer: &str, wanted: Dialled) {
        let peer = with_port(peer);
        if self.inner.begin_dialling(&peer, wanted) {
            self.dial(peer, Offer::Named);
        }
    }

    /// Opens a stream on the connections that offer every stream.
    pub(crate) fn offer(&self, stream: &Stream) {
        if self.inner.stops(stream.key()) {
            return;
        }
        for outbox in self.inner.peers.offering_all() {
            let _ = outbox.try_send(quorate_net::Command::Open(*stream.key()));
        }
    }

    fn dial(&self, peer: String, offer: Offer) {
        let inner = Arc::clone(&self.inner);
        self.runtime().spawn(Box::pin(async move {
            let stopped = inner.stopped.clone();
            let stop = async move {
                let _ = stopped.recv().await;
            };
            let runtime = Arc::clone(&inner.config.runtime);
            let attempts = persist(&*runtime, || attempt(Arc::clone(&inner), peer.clone(), offer.clone()));
            future::or(attempts, stop).await;
        }));
    }
}

/// Connects once and stays connected as long as it lasts.
async fn attempt(inner: Arc<Inner>, peer: String, offer: Offer) -> Attempt {
    let live = matches!(offer, Offer::Named);
    match connect(&inner, &peer, &offer).await {
        Ok(()) => Attempt::Again,
        Err(failure) => {
            inner.events.send(Event::DialFailed {
                peer,
                reason: failure.message,
                code: failure.code.to_string(),
            });
            if live { Attempt::Again } else { Attempt::Enough }
        }
    }
}

async fn connect(inner: &Arc<Inner>, peer: &str, offer: &Offer) -> Result<(), Failure> {
    let unreachable = |reason: String| {
        Failure::new(Code::PeerUnreachable, format!("expected a peer at {peer}: {reason}"))
            .next("see whether the peer runs: quorate share STREAM")
    };
    let addresses = resolve(peer).await.map_err(|error| unreachable(error.to_string()))?;
    let mut offered: Vec<PublicKey> = match offer {
        Offer::Named => inner.wanted_of(peer).1,
        Offer::One(key) => vec![*key],
        Offer::Found(keys) => keys.clone(),
    };
    offered.retain(|key| !inner.stops(key));
    let mut failure = unreachable("no address".into());
    let mut addresses: VecDeque<SocketAddr> = addresses.into_iter().collect();
    let (mut turned, mut begun) = (false, 1);
    while let Some(address) = addresses.pop_front() {
        let dialled = inner.dialer.dial(address, |wire, now| inner.session(wire, Role::Initiator, now)).await;
        let DialledPeer { connection, mut session } = match dialled {
            Ok(dialled) => dialled,
            Err(error) => {
                failure = dial_failure(&error);
                continue;
            }
        };
        let wire = session.wire();
        if wire == Wire::A {
            // Wire A begins with a feed.
            let Some(first) = offered.first() else {
                failure = Failure::new(
                    Code::NotCarried,
                    format!("expected a stream to offer {peer}, found none open"),
                );
                continue;
            };
            session.open(first).map_err(|error| unreachable(error.to_string()))?;
        }
        let parts = ConnectionParts {
            direction: Direction::Outgoing,
            wire,
            offered: offered.clone(),
            named: matches!(offer, Offer::Named).then(|| peer.to_owned()),
            found: matches!(offer, Offer::Found(_)).then_some(address),
        };
        let outcome = run_apart(inner, connection, session, parts).await;
        if outcome.connected {
            if wire == Wire::A {
                inner.dialer.remember(address, wire);
            }
            return Ok(());
        }
        if let Ended::Protocol(SessionError::FirstFeed { found, .. }) = &outcome.ended
            && let Some(at) = offered.iter().position(|key| key.discovery_key() == *found)
            && !std::mem::replace(&mut turned, true)
        {
            // Both sides of wire A begin with the same feed: the peer has named one that is carried here.
            offered.swap(0, at);
            inner.dialer.remember(address, wire);
            addresses.push_front(address);
            continue;
        }
        let closed = matches!(outcome.ended, Ended::RemoteClosed);
        if wire == Wire::A && closed && !turned && begun < offered.len().min(FEEDS_TO_BEGIN_WITH) {
            // It closes where it does not carry the first feed, and may carry another one.
            begun += 1;
            offered.rotate_left(1);
            inner.dialer.remember(address, wire);
            addresses.push_front(address);
            continue;
        }
        inner.dialer.forget(address);
        failure = match outcome.ended {
            Ended::Protocol(error) => refused(peer, &error),
            ended => Failure::new(
                Code::NotCarried,
                format!("expected a peer that carries the stream at {peer}, found one that ends the connection: {ended}"),
            )
            .next("see whether the peer carries this stream and speaks Dat: quorate info on its side"),
        };
    }
    Err(failure)
}

/// Dials a peer that was found, and stays connected as long as it lasts.
///
/// # Errors
///
/// The peer was not reached, or the handshake was not completed.
pub(crate) async fn connect_found(
    inner: &Arc<Inner>,
    address: SocketAddr,
    keys: Vec<PublicKey>,
) -> Result<DialEnd, Failure> {
    connect(inner, &address.to_string(), &Offer::Found(keys)).await?;
    Ok(inner.peers.take_end(&address))
}

/// Takes peers as they come.
async fn accept(inner: Arc<Inner>, listening: Listening) {
    loop {
        let incoming = listening.next().await;
        let wire = incoming.wire;
        // The time that the peer took to say its first bytes counts.
        let session = match inner.session(wire, Role::Responder, incoming.since) {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                continue;
            }
        };
        let runtime = Arc::clone(&inner.config.runtime);
        let inner = Arc::clone(&inner);
        runtime.spawn(Box::pin(async move {
            let parts = ConnectionParts {
                direction: Direction::Incoming,
                wire,
                offered: Vec::new(),
                named: None,
                found: None,
            };
            run(&inner, incoming.connection, session, parts).await;
        }));
    }
}

/// Runs a connection to its end in a task of its own: whoever waits here may be stopped, and the connection then still
/// ends in order.
async fn run_apart(
    inner: &Arc<Inner>,
    connection: quorate_net::Connection,
    session: Session,
    parts: ConnectionParts,
) -> Outcome {
    let (to, from) = async_channel::bounded(1);
    let runner = Arc::clone(inner);
    inner.config.runtime.spawn(Box::pin(async move {
        let outcome = run(&runner, connection, session, parts).await;
        // Nobody waits any more when the node stops.
        let _ = to.try_send(outcome);
    }));
    from.recv().await.unwrap_or(Outcome { connected: false, ended: Ended::Local })
}

/// Runs a connection to its end.
async fn run(
    inner: &Arc<Inner>,
    connection: quorate_net::Connection,
    session: Session,
    parts: ConnectionParts,
) -> Outcome {
    let (sender, receiver) = outbox();
    let id = inner.next_number();
    let address = connection.remote.map_or_else(|| "unknown".into(), |remote| remote.to_string());
    inner.peers.add(id, &address, &parts, sender.clone());
    let connected = Arc::new(AtomicBool::new(false));
    let mut handler =
        Connection::new(Arc::clone(inner), id, address.clone(), sender, parts, Arc::clone(&connected));
    let ended = drive(Arc::clone(&inner.config.runtime), connection, session, receiver, &mut handler).await;
    let shown = inner.peers.remove(id);
    handler.end().await;
    let connected = connected.load(Ordering::Relaxed);
    if connected && shown {
        inner.events.send(Event::Disconnected { peer: address, reason: ended.to_string() });
    } else if !connected {
        tracing::debug!(peer = address, "ended before the handshake was complete: {ended}");
    }
    Outcome { connected, ended }
}

impl Inner {
    /// Notes what is opened with a peer that is dialled for good; false when it is dialled already: the connection that
    /// is there, or the next one, carries more then.
    fn begin_dialling(&self, peer: &str, wanted: Dialled) -> bool {
        match self.dialled().entry(peer.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(wanted);
                return true;
            }
            Entry::Occupied(mut entry) => {
                if !entry.get_mut().widen(wanted) {
                    return false;
                }
            }
        }
        let (all, keys) = self.wanted_of(peer);
        self.peers.widen(peer, all, &keys);
        false
    }

    /// Says what is opened with a peer that is dialled for good: whether that is every stream, and which are open now.
    pub(crate) fn wanted_of(&self, peer: &str) -> (bool, Vec<PublicKey>) {
        let wanted = self.dialled().get(peer).cloned();
        let (all, mut keys) = match wanted {
            Some(Dialled::All) => (true, self.streams().values().map(|stream| *stream.key()).collect()),
            Some(Dialled::These(keys)) => (false, keys.into_iter().collect()),
            None => (false, Vec::new()),
        };
        keys.retain(|key| !self.stops(key));
        (all, keys)
    }

    /// Tells whether an address was named, and is dialled for good.
    pub(crate) fn is_dialled(&self, peer: &str) -> bool {
        self.dialled().contains_key(peer)
    }

    fn dialled(&self) -> MutexGuard<'_, BTreeMap<String, Dialled>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the session of a new connection.
    fn session(&self, wire: Wire, role: Role, now: Instant) -> Result<Session, SessionError> {
        let entropy = random().map_err(|_| SessionError::HandshakeSetup {
            reason: "the operating system gives no randomness".into(),
        })?;
        let mut config =
            SessionConfig::new(role, wire, self.noise.clone(), self.id, SessionEntropy::new(&entropy));
        config.extensions = self.config.extensions.clone();
        config.extensions.push(EXTENSION.to_owned());
        config.live = self.config.replication.live;
        config.peers = self.config.policy.clone();
        Session::new(config, now)
    }
}

fn dial_failure(error: &DialError) -> Failure {
    let (code, next) = match error {
        DialError::OtherWire { .. } => {
            (Code::OtherWire, "quorate speaks Dat 1 (wire A) and Dat 2 (wire B2); see: quorate explain E4003")
        }
        DialError::Session { error: SessionError::PeerDenied { .. }, .. } => {
            (Code::Denied, "ask the peer's operator to admit this node's key: quorate key ls")
        }
        DialError::Refused { .. }
        | DialError::TimedOut { .. }
        | DialError::Network { .. }
        | DialError::Session { .. } => {
            (Code::PeerUnreachable, "see whether the peer runs: quorate share STREAM")
        }
    };
    Failure::new(code, error.to_string()).next(next)
}

fn refused(peer: &str, error: &SessionError) -> Failure {
    let code = match error {
        SessionError::FirstFeed { .. } => Code::NotCarried,
        SessionError::PeerDenied { .. } => Code::Denied,
        SessionError::HandshakeTimeout { .. } => Code::TimedOut,
        _ => Code::OtherWire,
    };
    Failure::new(code, format!("no connection with {peer}: {error}")).next(format!("quorate explain {code}"))
}

fn socket_failure(home: &Path, error: &SocketError) -> Failure {
    let SocketError::PathTooLong { path } = error else { return Failure::new(Code::Io, error.to_string()) };
    let (home, bytes) = (home.display(), path.as_os_str().len());
    let message = format!(
        "expected a home whose path leaves room for its socket, api.sock, in the {MAX_SOCKET_PATH_BYTES} bytes that \
         systems take, found one that makes {bytes} of them: {home}"
    );
    Failure::new(Code::BadRequest, message).next(
        "name a shorter one: --home DIR; a symbolic link to this one will do: ln -s DIR SHORT, then --home SHORT",
    )
}

fn listen_failure(error: &ListenError) -> Failure {
    let (code, next) = match error {
        ListenError::AddressInUse { .. } => {
            (Code::AddressInUse, "leave --port out to take the next free one, or stop the other program")
        }
        ListenError::Io { .. } => (Code::Io, "name an address of this machine: --host ADDRESS"),
    };
    Failure::new(code, error.to_string()).next(next)
}
