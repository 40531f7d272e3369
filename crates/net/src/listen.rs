//! Waits for peers, counts them, and finds out what they speak.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use bytes::BytesMut;
use futures_lite::{AsyncReadExt, future};
use quorate_types::Wire;
use quorate_types::limits::{DEFAULT_PORT, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS};
use quorate_wire::{Sniff, sniff};

use crate::connection::{Connection, Limits, Permit, Slots};
use crate::runtime::{BoxStream, Runtime, TcpAcceptor, before};

/// Connections from one address, or one IPv6 network, at once.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;

/// Ports that are tried, from [`DEFAULT_PORT`] on, before the system chooses one.
pub const PORT_TRIES: u16 = 32;

/// Pause after a failure to accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes that tell the wires apart.
const SNIFF_BYTES: usize = 5;

/// Which port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// [`DEFAULT_PORT`], or the next one that is free.
    Preferred,
    /// This one and no other; 0 lets the system choose.
    Exactly(u16),
}

/// Where and how to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenConfig {
    /// Address of one interface; `None` for all of IPv4 and IPv6.
    pub host: Option<IpAddr>,
    /// Port.
    pub port: Port,
    /// Connections at once.
    pub limits: Limits,
    /// Time within which a peer must show what it speaks.
    pub handshake_timeout: Duration,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: Port::Preferred,
            limits: Limits { total: MAX_CONNECTIONS, per_address: MAX_CONNECTIONS_PER_ADDRESS },
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

/// Why there is no listening.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port was asked for by number, and something else has it.
    #[error("expected {address} to be free, found another program that listens there")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A peer that connected and has shown which wire it speaks.
#[derive(Debug)]
pub struct Incoming {
    /// The connection.
    pub connection: Connection,
    /// The wire that the first bytes belong to.
    pub wire: Wire,
    /// When it connected: the time from which the handshake's is counted.
    pub since: Instant,
}

/// A port on which peers are waited for; closed when dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    incoming: Receiver<Incoming>,
    slots: Slots,
    _running: Sender<()>,
}

/// Begins to listen.
pub async fn listen(runtime: Arc<dyn Runtime>, config: ListenConfig) -> Result<Listening, ListenError> {
    let acceptor = bind(&*runtime, &config).await?;
    let address = acceptor.local_addr().map_err(|source| ListenError::Io {
        address: SocketAddr::new(config.host.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), 0),
        source,
    })?;
    let (found, incoming) = async_channel::bounded(1);
    let (running, stopped) = async_channel::bounded(1);
    let slots = Slots::new(config.limits);
    let listener = Listener {
        runtime: Arc::clone(&runtime),
        acceptor,
        slots: slots.clone(),
        handshake_timeout: config.handshake_timeout,
        found,
    };
    runtime.spawn(Box::pin(future::or(listener.run(), async move {
        // Nothing is ever sent: this ends when the other end is dropped.
        stopped.recv().await.ok();
    })));
    Ok(Listening { address, incoming, slots, _running: running })
}

impl Listening {
    /// The address that is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next peer. Cancel-safe.
    pub async fn next(&self) -> Incoming {
        match self.incoming.recv().await {
            Ok(incoming) => incoming,
            // The listener runs as long as this does, so it is a runtime that is going down.
            Err(_) => future::pending().await,
        }
    }

    /// How many connections are open, those included that have not said anything yet.
    pub fn connections(&self) -> usize {
        self.slots.taken()
    }
}

async fn bind(runtime: &dyn Runtime, config: &ListenConfig) -> Result<Box<dyn TcpAcceptor>, ListenError> {
    let ports = match config.port {
        Port::Exactly(port) => vec![port],
        Port::Preferred => (DEFAULT_PORT..DEFAULT_PORT + PORT_TRIES).chain([0]).collect(),
    };
    let hosts = config.host.map_or(
        // A machine without IPv6 refuses the first.
        vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        |host| vec![host],
    );
    let mut failure = None;
    for port in ports {
        for host in &hosts {
            let address = SocketAddr::new(*host, port);
            match runtime.listen(address).await {
                Ok(acceptor) => return Ok(acceptor),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    failure = Some(ListenError::AddressInUse { address });
                    break;
                }
                Err(source) => failure = Some(ListenError::Io { address, source }),
            }
        }
        if matches!(failure, Some(ListenError::Io { .. })) {
            break;
        }
    }
    Err(failure.unwrap_or(ListenError::AddressInUse {
        address: SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), DEFAULT_PORT),
    }))
}

struct Listener {
    runtime: Arc<dyn Runtime>,
    acceptor: Box<dyn TcpAcceptor>,
    slots: Slots,
    handshake_timeout: Duration,
    found: Sender<Incoming>,
}

impl Listener {
    async fn run(self) {
        loop {
            let (stream, remote) = match self.acceptor.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    let after = self.runtime.now() + ACCEPT_PAUSE;
                    self.runtime.sleep_until(after).await;
                    continue;
                }
            };
            let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
            match self.slots.take(remote.ip()) {
                Some(permit) => self.identify(stream, remote, permit),
                None => tracing::debug!(%remote, "refused: too many connections"),
            }
        }
    }

    /// Finds out in the background what the peer speaks.
    fn identify(&self, stream: BoxStream, remote: SocketAddr, permit: Permit) {
        let since = self.runtime.now();
        let deadline = since + self.handshake_timeout;
        let mut connection =
            Connection { remote: Some(remote), permit: Some(permit), ..Connection::new(stream) };
        let found = self.found.clone();
        let runtime = Arc::clone(&self.runtime);
        self.runtime.spawn(Box::pin(async move {
            let wire = before(&*runtime, deadline, first_bytes(&mut connection)).await;
            match wire {
                Some(Ok(Some(wire))) => {
                    let incoming = Incoming { connection, wire, since };
                    // Nobody waits any more when the port has been closed.
                    found.send(incoming).await.ok();
                }
                Some(Ok(None)) => tracing::debug!(%remote, "refused: speaks neither wire"),
                Some(Err(error)) => tracing::debug!(%remote, %error, "went before it spoke"),
                None => tracing::debug!(%remote, "refused: said too little for too long"),
            }
        }));
    }
}

/// Reads until the wire is known; `None` when it is neither.
async fn first_bytes(connection: &mut Connection) -> io::Result<Option<Wire>> {
    let mut buffer = [0; SNIFF_BYTES];
    let mut len = 0;
    loop {
        let room = buffer.get_mut(len..).unwrap_or_default();
        let count = connection.stream.read(room).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        len += count;
        let first = buffer.get(..len).unwrap_or_default();
        match sniff(first) {
            Sniff::NeedMore if len < SNIFF_BYTES => {}
            Sniff::NeedMore | Sniff::Unknown => return Ok(None),
            Sniff::Wire(wire) => {
                connection.received = BytesMut::from(first);
                return Ok(Some(wire));
            }
        }
    }
}
