//! Multicast DNS on the interfaces of this machine: the sockets and the clock of [`LocalDiscovery`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use quorate_types::limits::MAX_DNS_BYTES;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Found, LocalConfig, LocalCounts, LocalDiscovery, LocalInput, LocalOutput, Network, Topic};
use crate::runtime::{Datagrams, Runtime};

/// Group and port of multicast DNS (RFC 6762).
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

/// Time between two looks at the interfaces (multicast-dns 7: 5 s).
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Pause after a failure to receive.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// Peers that were found and not yet taken; more are dropped, and heard of again.
const FOUND_KEPT: usize = 256;

/// Feeds that are opened and closed and not yet told.
const CHANGES_KEPT: usize = 64;

/// Why the local network cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot take part in multicast DNS on {GROUP}: {source}")]
pub struct LocalError {
    /// What the system says.
    source: io::Error,
}

/// Discovery on the local network; it ends when this is dropped.
#[derive(Debug)]
pub struct Local {
    changes: Sender<Change>,
    found: Receiver<Found>,
    status: Arc<Mutex<LocalStatus>>,
}

/// How discovery on the local network stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalStatus {
    /// Networks that are taken part in.
    pub networks: Vec<Network>,
    /// What was said and heard.
    pub counts: LocalCounts,
    /// The last failure to send on an interface, while there is one.
    pub failure: Option<String>,
}

#[derive(Debug)]
enum Change {
    Join(Topic),
    Leave(Topic),
}

/// Begins to listen on the group of multicast DNS, beside other programs that do.
///
/// # Errors
///
/// The socket cannot be had: another program does not share the port, or the system allows none.
pub fn start(runtime: Arc<dyn Runtime>, config: LocalConfig) -> Result<Local, LocalError> {
    let socket = bind().and_then(|socket| runtime.udp(socket)).map_err(|source| LocalError { source })?;
    let (changes, to_tell) = async_channel::bounded(CHANGES_KEPT);
    let (to_take, found) = async_channel::bounded(FOUND_KEPT);
    let status = Arc::new(Mutex::new(LocalStatus::default()));
    let task = Task {
        machine: LocalDiscovery::new(config, runtime.now()),
        runtime: Arc::clone(&runtime),
        socket,
        changes: to_tell,
        found: to_take,
        status: Arc::clone(&status),
        joined: Vec::new(),
    };
    runtime.spawn(Box::pin(task.run()));
    Ok(Local { changes, found, status })
}

impl Local {
    /// Looks for a feed, and says that it is here, from now on.
    pub async fn join(&self, topic: Topic) {
        // The task ends with this.
        let _ = self.changes.send(Change::Join(topic)).await;
    }

    /// Looks for a feed no more.
    pub async fn leave(&self, topic: Topic) {
        let _ = self.changes.send(Change::Leave(topic)).await;
    }

    /// Waits for the next peer that is found. Cancel-safe.
    pub async fn next(&self) -> Found {
        match self.found.recv().await {
            Ok(found) => found,
            Err(_) => future::pending().await,
        }
    }

    /// Says how it stands.
    pub fn status(&self) -> LocalStatus {
        lock(&self.status).clone()
    }
}

fn lock(status: &Mutex<LocalStatus>) -> MutexGuard<'_, LocalStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Binds the port that every program with multicast DNS shares.
fn bind() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // Programs of this machine hear each other, and stock clients drop what comes with another time to live.
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, GROUP.port())).into())?;
    Ok(socket.into())
}

struct Task {
    machine: LocalDiscovery,
    runtime: Arc<dyn Runtime>,
    socket: Box<dyn Datagrams>,
    changes: Receiver<Change>,
    found: Sender<Found>,
    status: Arc<Mutex<LocalStatus>>,
    /// Networks whose group was joined.
    joined: Vec<Network>,
}

enum Turn {
    Datagram(io::Result<(usize, SocketAddr)>),
    Change(Change),
    Timeout,
    Look,
    End,
}

impl Task {
    async fn run(mut self) {
        let mut buffer = vec![0; MAX_DNS_BYTES + 1];
        self.look();
        let mut next_look = self.runtime.now() + LOOK_EVERY;
        loop {
            self.act().await;
            let timeout = self.machine.poll_timeout();
            let turn = {
                let datagram = async { Turn::Datagram(self.socket.receive(&mut buffer).await) };
                let change = async {
                    match self.changes.recv().await {
                        Ok(change) => Turn::Change(change),
                        Err(_) => Turn::End,
                    }
                };
                let late = async {
                    match timeout {
                        Some(at) if at < next_look => {
                            self.runtime.sleep_until(at).await;
                            Turn::Timeout
                        }
                        _ => {
                            self.runtime.sleep_until(next_look).await;
                            Turn::Look
                        }
                    }
                };
                // What is due comes before what a flood of datagrams brings.
                future::or(change, future::or(late, datagram)).await
            };
            let now = self.runtime.now();
            match turn {
                Turn::Datagram(Ok((count, SocketAddr::V4(from)))) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.machine.handle(now, LocalInput::Datagram { from, bytes });
                }
                Turn::Datagram(Ok((_, SocketAddr::V6(_)))) => {}
                Turn::Datagram(Err(error)) => {
                    tracing::debug!(%error, "cannot receive on the local network");
                    self.runtime.sleep_until(now + RECEIVE_PAUSE).await;
                }
                Turn::Change(Change::Join(topic)) => self.machine.handle(now, LocalInput::Join(topic)),
                Turn::Change(Change::Leave(topic)) => self.machine.handle(now, LocalInput::Leave(&topic)),
                Turn::Timeout => self.machine.handle(now, LocalInput::Timeout),
                Turn::Look => {
                    self.look();
                    next_look = now + LOOK_EVERY;
                }
                Turn::End => return,
            }
        }
    }

    /// Joins the group on the interfaces that are there now.
    fn look(&mut self) {
        let networks = match Network::list() {
            Ok(networks) => networks,
            Err(error) => {
                tracing::warn!(%error, "cannot list the network interfaces");
                return;
            }
        };
        let group = GROUP.ip();
        for network in self.joined.iter().filter(|network| !networks.contains(network)) {
            // An interface that is gone has left the group with it.
            let _ = self.socket.socket().leave_multicast_v4(group, &network.address);
        }
        self.joined.retain(|network| networks.contains(network));
        for network in &networks {
            if self.joined.contains(network) {
                continue;
            }
            match self.socket.socket().join_multicast_v4(group, &network.address) {
                Ok(()) => self.joined.push(network.clone()),
                Err(error) => {
                    tracing::debug!(interface = network.interface, %error, "no multicast here");
                }
            }
        }
        self.joined.sort();
        self.machine.handle(self.runtime.now(), LocalInput::Networks(&self.joined));
    }

    /// Does what the machine wants done.
    async fn act(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                LocalOutput::Send(bytes) => self.send(&bytes).await,
                LocalOutput::Found(found) => {
                    let _ = self.found.try_send(found);
                }
            }
        }
        let mut status = lock(&self.status);
        if status.networks != self.machine.networks() {
            status.networks = self.machine.networks().to_vec();
        }
        status.counts = self.machine.counts();
    }

    async fn send(&self, bytes: &[u8]) {
        let mut failure = None;
        for network in &self.joined {
            let sent = match self.socket.socket().set_multicast_if_v4(&network.address) {
                Ok(()) => self.socket.send(bytes, GROUP.into()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::debug!(interface = network.interface, %error, "cannot send on the local network");
                failure = Some(format!("{}: {error}", network.interface));
            }
        }
        lock(&self.status).failure = failure;
    }
}
