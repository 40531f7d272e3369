//! A distributed hash table: the socket, the names and the clock of [`DhtDiscovery`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use quorate_types::DiscoveryKey;
use quorate_types::limits::MAX_DHT_BYTES;

use super::DhtKind;
use super::client::{DhtConfig, DhtCounts, DhtDiscovery, DhtInput, DhtOutput};
use crate::discovery::Network;
use crate::resolve::resolve;
use crate::runtime::{Datagrams, Runtime};

/// Time between two look-ups of names that have no address.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Pause after a failure to receive.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// Peers that were found and not yet taken; more are dropped, and heard of again.
const FOUND_KEPT: usize = 256;

/// Feeds that are opened and closed and not yet told.
const CHANGES_KEPT: usize = 64;

/// Nodes that are begun with.
const MAX_BOOTSTRAP: usize = 16;

/// How a table is begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartDht {
    /// Which table.
    pub kind: DhtKind,
    /// TCP port that is announced; `None` only asks.
    pub port: Option<u16>,
    /// Nodes to begin with, at most 16.
    pub bootstrap: Vec<NodeName>,
}

/// A node as users name it: `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName {
    host: String,
    port: Option<u16>,
}

/// Discovery by a distributed hash table; it ends when this is dropped.
#[derive(Debug)]
pub struct Dht {
    kind: DhtKind,
    changes: Sender<Change>,
    found: Receiver<(DiscoveryKey, SocketAddrV4)>,
    status: Arc<Mutex<DhtStatus>>,
}

/// How a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DhtStatus {
    /// A node to begin with has an address.
    pub resolved: bool,
    /// What was said and heard.
    pub counts: DhtCounts,
}

#[derive(Debug)]
enum Change {
    Join(DiscoveryKey),
    Leave(DiscoveryKey),
}

impl std::str::FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected HOST or HOST:PORT, found {text:?}");
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        if host.is_empty() || port == Some(0) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Begins to use a table. Names are looked up in the background.
///
/// # Errors
///
/// No UDP socket can be had, or no randomness.
pub fn start(runtime: Arc<dyn Runtime>, start: StartDht) -> io::Result<Dht> {
    let StartDht { kind, port, mut bootstrap } = start;
    bootstrap.truncate(MAX_BOOTSTRAP);
    let socket = runtime.udp(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?)?;
    let random = |error: getrandom::Error| io::Error::other(error.to_string());
    let mut id = [0; 32];
    getrandom::fill(&mut id).map_err(random)?;
    let seed = getrandom::u64().map_err(random)?;
    let config = DhtConfig { kind, port, local: private_address(), id, seed };
    let (changes, to_tell) = async_channel::bounded(CHANGES_KEPT);
    let (to_take, found) = async_channel::bounded(FOUND_KEPT);
    let (resolved, resolutions) = async_channel::bounded(1);
    let status = Arc::new(Mutex::new(DhtStatus::default()));
    let task = Task {
        machine: DhtDiscovery::new(config, runtime.now()),
        runtime: Arc::clone(&runtime),
        socket,
        changes: to_tell,
        found: to_take,
        resolutions,
        status: Arc::clone(&status),
    };
    runtime.spawn(Box::pin(look_up(Arc::clone(&runtime), kind, bootstrap, resolved)));
    runtime.spawn(Box::pin(task.run()));
    Ok(Dht { kind, changes, found, status })
}

impl Dht {
    /// Says which table it is.
    pub fn kind(&self) -> DhtKind {
        self.kind
    }

    /// Looks for a feed, and announces it, from now on.
    pub async fn join(&self, feed: DiscoveryKey) {
        // The task ends with this.
        let _ = self.changes.send(Change::Join(feed)).await;
    }

    /// Looks for a feed no more, and takes its announcement back where that can be done.
    pub async fn leave(&self, feed: DiscoveryKey) {
        let _ = self.changes.send(Change::Leave(feed)).await;
    }

    /// Waits for the next peer that is found. Cancel-safe.
    pub async fn next(&self) -> (DiscoveryKey, SocketAddrV4) {
        match self.found.recv().await {
            Ok(found) => found,
            Err(_) => future::pending().await,
        }
    }

    /// Says how the table stands.
    pub fn status(&self) -> DhtStatus {
        *lock(&self.status)
    }
}

fn lock(status: &Mutex<DhtStatus>) -> MutexGuard<'_, DhtStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our address in a private network, if we are in one.
fn private_address() -> Option<Ipv4Addr> {
    let networks = Network::list().unwrap_or_default();
    networks.into_iter().map(|network| network.address).find(Ipv4Addr::is_private)
}

/// Looks up the nodes to begin with, again and again until each has an address.
async fn look_up(
    runtime: Arc<dyn Runtime>,
    kind: DhtKind,
    names: Vec<NodeName>,
    resolved: Sender<Vec<SocketAddrV4>>,
) {
    let mut missing = names;
    let mut addresses: Vec<SocketAddrV4> = Vec::new();
    while !resolved.is_closed() {
        let mut unknown = Vec::new();
        let known = addresses.len();
        for name in missing {
            let at = format!("{}:{}", name.host, name.port.unwrap_or(kind.default_port()));
            let found = resolve(&at).await.unwrap_or_default();
            let address = found.into_iter().find_map(|address| match address {
                SocketAddr::V4(address) => Some(address),
                SocketAddr::V6(_) => None,
            });
            match address {
                Some(address) => addresses.push(address),
                None => unknown.push(name),
            }
        }
        if addresses.len() > known {
            let _ = resolved.send(addresses.clone()).await;
        }
        if unknown.is_empty() {
            return;
        }
        missing = unknown;
        runtime.sleep_until(runtime.now() + RESOLVE_EVERY).await;
    }
}

struct Task {
    machine: DhtDiscovery,
    runtime: Arc<dyn Runtime>,
    socket: Box<dyn Datagrams>,
    changes: Receiver<Change>,
    found: Sender<(DiscoveryKey, SocketAddrV4)>,
    resolutions: Receiver<Vec<SocketAddrV4>>,
    status: Arc<Mutex<DhtStatus>>,
}

enum Turn {
    Datagram(io::Result<(usize, SocketAddr)>),
    Change(Change),
    Resolved(Vec<SocketAddrV4>),
    Timeout,
    End,
}

impl Task {
    async fn run(mut self) {
        let mut buffer = vec![0; MAX_DHT_BYTES + 1];
        loop {
            self.act().await;
            let turn = self.turn(&mut buffer, self.machine.poll_timeout()).await;
            let now = self.runtime.now();
            match turn {
                Turn::End => break,
                Turn::Datagram(Ok((count, SocketAddr::V4(from)))) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.machine.handle(now, DhtInput::Datagram { from, bytes });
                }
                Turn::Datagram(Ok((_, SocketAddr::V6(_)))) => {}
                Turn::Datagram(Err(error)) => {
                    tracing::debug!(%error, "cannot receive from a DHT");
                    self.runtime.sleep_until(now + RECEIVE_PAUSE).await;
                    self.machine.handle(self.runtime.now(), DhtInput::Timeout);
                }
                Turn::Change(Change::Join(feed)) => self.machine.handle(now, DhtInput::Join(feed)),
                Turn::Change(Change::Leave(feed)) => self.machine.handle(now, DhtInput::Leave(feed)),
                Turn::Resolved(addresses) => {
                    lock(&self.status).resolved = true;
                    self.machine.handle(now, DhtInput::Bootstrap(&addresses));
                }
                Turn::Timeout => self.machine.handle(now, DhtInput::Timeout),
            }
        }
        // Nobody shall look for us here any longer.
        self.machine.handle(self.runtime.now(), DhtInput::Close);
        self.act().await;
    }

    async fn turn(&self, buffer: &mut [u8], timeout: Option<Instant>) -> Turn {
        let datagram = async { Turn::Datagram(self.socket.receive(buffer).await) };
        let change = async {
            match self.changes.recv().await {
                Ok(change) => Turn::Change(change),
                Err(_) => Turn::End,
            }
        };
        let resolved = async {
            match self.resolutions.recv().await {
                Ok(addresses) => Turn::Resolved(addresses),
                Err(_) => future::pending().await,
            }
        };
        let late = async {
            match timeout {
                Some(at) => self.runtime.sleep_until(at).await,
                None => future::pending().await,
            }
            Turn::Timeout
        };
        // What is due comes before what a flood of datagrams brings.
        future::or(change, future::or(resolved, future::or(late, datagram))).await
    }

    /// Does what the machine wants done.
    async fn act(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                DhtOutput::Send { to, bytes } => {
                    if let Err(error) = self.socket.send(&bytes, to.into()).await {
                        tracing::debug!(%to, %error, "cannot send to a node of a DHT");
                    }
                }
                DhtOutput::Found { feed, address } => {
                    let _ = self.found.try_send((feed, address));
                }
            }
        }
        lock(&self.status).counts = self.machine.counts();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_with_and_without_a_port() {
        let name = |text: &str| text.parse::<NodeName>().map(|name| (name.host, name.port));
        assert_eq!(name("a.example"), Ok(("a.example".into(), None)));
        assert_eq!(name("10.0.0.1:99"), Ok(("10.0.0.1".into(), Some(99))));
        for wrong in ["", ":1", "a:0", "a:x", "a:1:2"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
