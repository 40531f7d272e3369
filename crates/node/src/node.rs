//! The node: the streams of one home, the connections, and what is done with them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_lock::Mutex as AsyncMutex;
use quorate_net::dial::Dialer;
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_replicate::{Config as ReplicationConfig, Peer};
use quorate_store::Home;
use quorate_types::limits::DEFAULT_PORT;
use quorate_types::{DiscoveryKey, Link, NoiseSecretKey, PeerId};
use quorate_wire::NoiseKeyPair;

use crate::archive::Archives;
use crate::connect::Dialled;
use crate::decisions::Decisions;
use crate::discovery::Discovery;
use crate::events::EventSender;
use crate::model::{ChangeRules, Said, Say};
use crate::peers::Peers;
use crate::probes::Probes;
use crate::room::{RoomFeeds, RuleHost, wishes};
use crate::store_failures::home_failure;
use crate::stream::{Patience, Stream, Wish};
use crate::{EventStream, Failure, Identities};

/// Time that connections have to send what is queued when the node stops.
const SHUTDOWN_TIME: Duration = Duration::from_secs(3);

/// Longest time that an answer waits for the host of a room, milliseconds.
const MAX_PATIENCE_MS: u64 = 3_600_000;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Data directory.
    pub home: PathBuf,
    /// Where tasks, time and sockets come from.
    pub runtime: Arc<dyn Runtime>,
    /// Names of extensions that this node takes part in, besides its own.
    pub extensions: Vec<String>,
    /// How streams are replicated.
    pub replication: ReplicationConfig,
    /// Noise keys that are admitted or denied (wire B2).
    pub policy: quorate_wire::PeerPolicy,
}

impl NodeConfig {
    /// Sets a node up on async-std that replicates live and takes part in no other extensions.
    pub fn new(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            runtime: Arc::new(AsyncStd),
            extensions: Vec::new(),
            replication: ReplicationConfig::default(),
            policy: quorate_wire::PeerPolicy::default(),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Address of one interface; `None` for all of IPv4 and IPv6.
    pub host: Option<IpAddr>,
    /// Port; 0 for any free one.
    pub port: u16,
    /// Whether the next free port may be taken instead.
    pub or_next_free: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self { host: None, port: DEFAULT_PORT, or_next_free: true }
    }
}

/// A node. Clones are the same node.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) home: Home,
    pub(crate) noise: NoiseKeyPair,
    pub(crate) id: PeerId,
    pub(crate) events: EventSender,
    pub(crate) probes: Arc<Probes>,
    pub(crate) rules: Arc<RuleHost>,
    pub(crate) peers: Peers,
    pub(crate) dialer: Dialer,
    pub(crate) discovery: Discovery,
    pub(crate) archives: Archives,
    pub(crate) room_feeds: RoomFeeds,
    pub(crate) decisions: Decisions,
    pub(crate) streams: Mutex<BTreeMap<DiscoveryKey, Stream>>,
    /// Held while a stream is opened, created or closed, so that none is opened twice.
    pub(crate) opening: AsyncMutex<()>,
    /// Dropped when the node stops: what waits for it ends.
    pub(crate) stop: Mutex<Option<async_channel::Sender<()>>>,
    pub(crate) stopped: async_channel::Receiver<()>,
    /// Peers are waited for.
    pub(crate) listens: AtomicBool,
    /// Port on which it does; 0 where it does not.
    pub(crate) listen_port: AtomicU16,
    /// Addresses that are dialled again and again, and what is opened on the connection with each.
    pub(crate) dialled: Mutex<BTreeMap<String, Dialled>>,
    counter: AtomicU64,
}

impl Node {
    /// Opens a home, creating it when it is not there. No stream is opened, and nothing is sent.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the home cannot be created, read or written.
    pub async fn open(config: NodeConfig) -> Result<Self, Failure> {
        let home = Home::open(&config.home).map_err(|error| home_failure(&error))?;
        let fresh = NoiseSecretKey::new(random()?);
        let secret = home.noise_key(&fresh).map_err(|error| home_failure(&error))?;
        let decisions = Decisions::new(home.decisions().map_err(|error| home_failure(&error))?);
        let (stop, stopped) = async_channel::bounded(1);
        Ok(Self {
            inner: Arc::new(Inner {
                home,
                noise: NoiseKeyPair::from_secret(secret),
                id: PeerId::new(large(random()?)),
                events: EventSender::new(),
                probes: Arc::new(Probes::default()),
                rules: Arc::new(RuleHost::default()),
                peers: Peers::default(),
                dialer: Dialer::new(Arc::clone(&config.runtime)),
                discovery: Discovery::default(),
                archives: Archives::default(),
                room_feeds: RoomFeeds::default(),
                decisions,
                streams: Mutex::default(),
                opening: AsyncMutex::new(()),
                stop: Mutex::new(Some(stop)),
                stopped,
                listens: AtomicBool::new(false),
                listen_port: AtomicU16::new(0),
                dialled: Mutex::default(),
                counter: AtomicU64::new(0),
                config,
            }),
        })
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> EventStream {
        self.inner.events.listen()
    }

    /// Returns the runtime that the node's tasks run on.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.inner.config.runtime
    }

    /// Returns the path of the local API's socket.
    pub fn socket_path(&self) -> PathBuf {
        self.inner.home.socket_path()
    }

    /// Returns the data directory.
    pub fn home(&self) -> &Path {
        &self.inner.config.home
    }

    /// Returns the key by which peers of wire B2 know the node.
    pub fn noise_key(&self) -> &quorate_types::NoisePublicKey {
        self.inner.noise.public()
    }

    /// Signs payloads by a local identity and brings them to the host of the room; says what became of each.
    ///
    /// What is `submitted` when this returns is kept, and tried again whenever the stream is open.
    ///
    /// # Errors
    ///
    /// [`Code::NotARoom`](crate::Code::NotARoom), [`Code::EntryTooLarge`](crate::Code::EntryTooLarge),
    /// [`Code::HostBrokeRules`](crate::Code::HostBrokeRules), [`Code::Unable`](crate::Code::Unable),
    /// [`Code::NoIdentity`](crate::Code::NoIdentity) and [`Code::BadRequest`](crate::Code::BadRequest). A refusal is
    /// no failure.
    pub async fn say(&self, stream: &str, say: Say) -> Result<Vec<Said>, Failure> {
        let payloads = say.payloads.iter().map(|payload| wishes::base64("payload", payload));
        let wish = Wish::Actions(payloads.collect::<Result<_, _>>()?);
        self.utter(stream, say.identity.as_deref(), wish, (say.patience_ms, say.call)).await
    }

    /// Signs a change of rules by a local identity and brings it to the host of the room; says what became of it.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say), [`Code::NoSuchRule`](crate::Code::NoSuchRule) and
    /// [`Code::BadRuleName`](crate::Code::BadRuleName).
    pub async fn change_rules(&self, stream: &str, change: ChangeRules) -> Result<Vec<Said>, Failure> {
        let wish = wishes::change(&change)?;
        self.utter(stream, change.identity.as_deref(), wish, (change.patience_ms, change.call)).await
    }

    /// Ends the waiting of [`say`](Self::say) and [`change_rules`](Self::change_rules) with this call: what they say is
    /// signed and kept, and they return how it stands.
    ///
    /// # Errors
    ///
    /// [`Code::StreamNotFound`](crate::Code::StreamNotFound).
    pub async fn hurry(&self, stream: &str, call: u64) -> Result<(), Failure> {
        self.open_stream(stream).await?.hurry(call).await
    }

    async fn utter(
        &self,
        stream: &str,
        identity: Option<&str>,
        wish: Wish,
        (patience_ms, call): (u64, u64),
    ) -> Result<Vec<Said>, Failure> {
        let stream = self.open_stream(stream).await?;
        let author = Identities::open(self.home())?.author(identity)?;
        let since = self.runtime().now();
        let until = since + Duration::from_millis(patience_ms.min(MAX_PATIENCE_MS));
        stream.utter(author, wish, Patience { since, until, call }).await
    }

    /// Lists connections, of one stream or of all.
    pub async fn peers(&self, stream: Option<&str>) -> Result<Vec<crate::model::PeerInfo>, Failure> {
        let only = match stream {
            Some(stream) => Some(*self.open_stream(stream).await?.discovery_key()),
            None => None,
        };
        Ok(self.inner.peers.list(only.as_ref(), |feed| self.inner.stream(feed)))
    }

    /// Ends connections in order, writes everything down and lets go of every stream.
    ///
    /// # Errors
    ///
    /// The first [`Failure`] of a stream that could not be written down; the others are still closed.
    pub async fn shutdown(&self) -> Result<(), Failure> {
        self.inner.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        for outbox in self.inner.peers.outboxes() {
            outbox.shutdown();
        }
        let _opening = self.inner.opening.lock().await;
        let streams = std::mem::take(&mut *self.inner.streams());
        let mut result = Ok(());
        for stream in streams.into_values() {
            result = result.and(stream.close().await);
        }
        self.inner.peers.drained(&**self.runtime(), SHUTDOWN_TIME).await;
        self.inner.events.close();
        result
    }
}

impl Inner {
    /// Finds an open stream.
    pub(crate) fn stream(&self, discovery_key: &DiscoveryKey) -> Option<Stream> {
        self.streams().get(discovery_key).cloned()
    }

    /// Finds an open stream by its name, key or link, without a look at the disk.
    pub(crate) fn open_stream_named(&self, text: &str) -> Option<Stream> {
        let streams = self.streams();
        if let Some(stream) = streams.values().find(|stream| stream.name() == text) {
            return Some(stream.clone());
        }
        let link = text.parse::<Link>().ok()?;
        streams.get(&link.key.discovery_key()).cloned()
    }

    pub(crate) fn streams(&self) -> MutexGuard<'_, BTreeMap<DiscoveryKey, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the node ends.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Names a peer of a stream; no name is given twice.
    pub(crate) fn next_peer(&self) -> Peer {
        Peer(self.next_number())
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }
}

/// Makes an identity of wire A larger than those of stock peers.
///
/// Of two connections that cross, the one stays that the smaller identity dialled: the peer's. dat 14, which does not
/// look at identities, would dial again each second if we ended its connection instead of ours.
fn large(mut id: [u8; 32]) -> [u8; 32] {
    for byte in id.iter_mut().take(4) {
        *byte = u8::MAX;
    }
    id
}

/// Takes bytes of the operating system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(crate::Code::Internal, format!("expected randomness from the operating system: {error}"))
    })?;
    Ok(bytes)
}

/// An address that names no port of its own gets the default one.
pub(crate) fn with_port(address: &str) -> String {
    let has_port = match address.rsplit_once(':') {
        Some((host, port)) => port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')),
        None => false,
    };
    match address.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, DEFAULT_PORT).to_string(),
        Err(_) if has_port => address.to_owned(),
        Err(_) => format!("{address}:{DEFAULT_PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_default_port() {
        assert_eq!(with_port("example.org"), "example.org:3282");
        assert_eq!(with_port("example.org:1"), "example.org:1");
        assert_eq!(with_port("10.0.0.1"), "10.0.0.1:3282");
        assert_eq!(with_port("::1"), "[::1]:3282");
        assert_eq!(with_port("[::1]:7"), "[::1]:7");
    }
}
