//! DNS-discovery servers: the socket, the names and the clock of [`ServerDiscovery`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use quorate_types::limits::MAX_DNS_BYTES;

use super::Topic;
use super::server::{ServerConfig, ServerCounts, ServerDiscovery, ServerInput, ServerOutput};
use crate::resolve::resolve;
use crate::runtime::{Datagrams, Runtime};

/// Ports that a server listens on unless its name says otherwise (dns-discovery 6 `parseAddr`).
const DEFAULT_PORTS: [u16; 2] = [5300, 53];

/// Time between two look-ups of a name that has no address.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Peers that were found and not yet taken; more are dropped, and heard of again.
const FOUND_KEPT: usize = 256;

/// Feeds that are opened and closed and not yet told.
const CHANGES_KEPT: usize = 64;

/// Servers that are used.
pub const MAX_SERVERS: usize = 8;

/// Which servers are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersConfig {
    /// TCP port that is announced; `None` only asks.
    pub port: Option<u16>,
    /// The servers, at most [`MAX_SERVERS`].
    pub servers: Vec<ServerName>,
}

/// A server as users name it: `HOST`, `HOST:PORT` or `HOST:PORT,PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    host: String,
    ports: Vec<u16>,
}

/// Discovery by servers; it ends when this is dropped.
#[derive(Debug)]
pub struct Servers {
    changes: Sender<Change>,
    found: Receiver<(Topic, SocketAddrV4)>,
    status: Arc<Mutex<Vec<ServerStatus>>>,
}

/// How one server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// As it was named.
    pub name: String,
    /// Its name has an address.
    pub resolved: bool,
    /// What was said and heard.
    pub counts: ServerCounts,
}

#[derive(Debug)]
enum Change {
    Join(Topic),
    Leave(Topic),
}

impl std::str::FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected HOST, HOST:PORT or HOST:PORT,PORT, found {text:?}");
        let (host, ports) = match text.split_once(':') {
            Some((host, ports)) => {
                let ports: Result<Vec<u16>, _> = ports.split(',').map(str::parse).collect();
                (host, ports.map_err(|_| wrong())?)
            }
            None => (text, DEFAULT_PORTS.to_vec()),
        };
        if host.is_empty() || ports.len() > 2 || ports.contains(&0) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), ports })
    }
}

/// Begins to use servers. Names are looked up in the background.
///
/// # Errors
///
/// No UDP socket can be had, or no randomness.
pub fn start(runtime: Arc<dyn Runtime>, config: ServersConfig) -> io::Result<Servers> {
    let socket = runtime.udp(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?)?;
    let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let (changes, to_tell) = async_channel::bounded(CHANGES_KEPT);
    let (to_take, found) = async_channel::bounded(FOUND_KEPT);
    let servers: Vec<Server> =
        config.servers.into_iter().take(MAX_SERVERS).map(|name| Server { name, machine: None }).collect();
    let status = servers
        .iter()
        .map(|server| ServerStatus {
            name: server.name.host.clone(),
            resolved: false,
            counts: ServerCounts::default(),
        })
        .collect();
    let status = Arc::new(Mutex::new(status));
    let (resolved, resolutions) = async_channel::bounded(MAX_SERVERS);
    let task = Task {
        runtime: Arc::clone(&runtime),
        socket,
        port: config.port,
        seed,
        servers,
        topics: Vec::new(),
        changes: to_tell,
        found: to_take,
        resolved,
        resolutions,
        status: Arc::clone(&status),
    };
    runtime.spawn(Box::pin(task.run()));
    Ok(Servers { changes, found, status })
}

impl Servers {
    /// Looks for a feed, and announces it, from now on.
    pub async fn join(&self, topic: Topic) {
        // The task ends with this.
        let _ = self.changes.send(Change::Join(topic)).await;
    }

    /// Looks for a feed no more, and takes its announcement back.
    pub async fn leave(&self, topic: Topic) {
        let _ = self.changes.send(Change::Leave(topic)).await;
    }

    /// Waits for the next peer that is found. Cancel-safe.
    pub async fn next(&self) -> (Topic, SocketAddrV4) {
        match self.found.recv().await {
            Ok(found) => found,
            Err(_) => future::pending().await,
        }
    }

    /// Says how the servers stand.
    pub fn status(&self) -> Vec<ServerStatus> {
        lock(&self.status).clone()
    }
}

fn lock(status: &Mutex<Vec<ServerStatus>>) -> MutexGuard<'_, Vec<ServerStatus>> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Server {
    name: ServerName,
    machine: Option<ServerDiscovery>,
}

struct Task {
    runtime: Arc<dyn Runtime>,
    socket: Box<dyn Datagrams>,
    port: Option<u16>,
    seed: u64,
    servers: Vec<Server>,
    topics: Vec<Topic>,
    changes: Receiver<Change>,
    found: Sender<(Topic, SocketAddrV4)>,
    resolved: Sender<(usize, Vec<SocketAddrV4>)>,
    resolutions: Receiver<(usize, Vec<SocketAddrV4>)>,
    status: Arc<Mutex<Vec<ServerStatus>>>,
}

enum Turn {
    Datagram(io::Result<(usize, SocketAddr)>),
    Change(Change),
    Resolved(usize, Vec<SocketAddrV4>),
    Timeout,
    End,
}

impl Task {
    async fn run(mut self) {
        for (number, server) in self.servers.iter().enumerate() {
            self.resolve(number, server.name.clone());
        }
        let mut buffer = vec![0; MAX_DNS_BYTES + 1];
        loop {
            self.act().await;
            let timeout =
                self.servers.iter().filter_map(|server| server.machine.as_ref()?.poll_timeout()).min();
            match self.turn(&mut buffer, timeout).await {
                Turn::End => return,
                Turn::Datagram(Ok((count, SocketAddr::V4(from)))) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.tell(ServerInput::Datagram { from, bytes });
                }
                // An unreachable server makes itself known so; the machine waits for its time.
                Turn::Datagram(_) => {}
                Turn::Change(Change::Join(topic)) => {
                    self.topics.push(topic);
                    self.tell(ServerInput::Join(topic));
                }
                Turn::Change(Change::Leave(topic)) => {
                    self.topics.retain(|joined| *joined != topic);
                    self.tell(ServerInput::Leave(topic));
                }
                Turn::Resolved(number, addresses) => self.begin(number, addresses),
                Turn::Timeout => self.tell(ServerInput::Timeout),
            }
        }
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
                Ok((number, addresses)) => Turn::Resolved(number, addresses),
                Err(_) => Turn::End,
            }
        };
        let late = async {
            match timeout {
                Some(at) => self.runtime.sleep_until(at).await,
                None => future::pending().await,
            }
            Turn::Timeout
        };
        future::or(change, future::or(resolved, future::or(late, datagram))).await
    }

    fn tell(&mut self, input: ServerInput<'_>) {
        let now = self.runtime.now();
        for machine in self.servers.iter_mut().filter_map(|server| server.machine.as_mut()) {
            machine.handle(now, input);
        }
    }

    /// Looks a name up, again and again until it has an address.
    fn resolve(&self, number: usize, name: ServerName) {
        let (runtime, resolved) = (Arc::clone(&self.runtime), self.resolved.clone());
        self.runtime.spawn(Box::pin(async move {
            while !resolved.is_closed() {
                let mut addresses = Vec::new();
                for port in &name.ports {
                    let found = resolve(&format!("{}:{port}", name.host)).await.unwrap_or_default();
                    addresses.extend(found.into_iter().find_map(|address| match address {
                        SocketAddr::V4(address) => Some(address),
                        SocketAddr::V6(_) => None,
                    }));
                }
                if !addresses.is_empty() {
                    let _ = resolved.send((number, addresses)).await;
                    return;
                }
                runtime.sleep_until(runtime.now() + RESOLVE_EVERY).await;
            }
        }));
    }

    fn begin(&mut self, number: usize, addresses: Vec<SocketAddrV4>) {
        let now = self.runtime.now();
        let seed = self.seed.wrapping_add(number as u64);
        let config = ServerConfig { port: self.port, addresses, seed };
        let mut machine = ServerDiscovery::new(config, now);
        for topic in &self.topics {
            machine.handle(now, ServerInput::Join(*topic));
        }
        if let Some(server) = self.servers.get_mut(number) {
            server.machine = Some(machine);
        }
    }

    /// Does what the machines want done.
    async fn act(&mut self) {
        for (number, server) in self.servers.iter_mut().enumerate() {
            let Some(machine) = &mut server.machine else { continue };
            while let Some(output) = machine.poll_output() {
                match output {
                    ServerOutput::Send { to, bytes } => {
                        if let Err(error) = self.socket.send(&bytes, to.into()).await {
                            tracing::debug!(%to, %error, "cannot send to a discovery server");
                        }
                    }
                    ServerOutput::Found { topic, address } => {
                        let _ = self.found.try_send((topic, address));
                    }
                }
            }
            if let Some(status) = lock(&self.status).get_mut(number) {
                status.resolved = true;
                status.counts = machine.counts();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_and_without_ports() {
        let name = |text: &str| text.parse::<ServerName>().map(|name| (name.host, name.ports));
        assert_eq!(name("a.example"), Ok(("a.example".into(), vec![5300, 53])));
        assert_eq!(name("10.0.0.1:99"), Ok(("10.0.0.1".into(), vec![99])));
        assert_eq!(name("a:1,2"), Ok(("a".into(), vec![1, 2])));
        for wrong in ["", ":1", "a:0", "a:x", "a:1,2,3"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
