//! What a doctor looks at: streams that cannot be opened, and whether discovery comes through.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use quorate_net::discovery::dht::{self, DhtKind, DhtStatus, NodeName, StartDht};
use quorate_net::discovery::local;
use quorate_net::discovery::servers::{self, ServerName, ServerStatus, ServersConfig};
use quorate_net::discovery::{LocalConfig, Network, Topic};
use quorate_net::runtime::{Runtime, before};

use crate::node::random;
use crate::store_failures::home_failure;
use crate::{Failure, Node};

/// Port that is announced about a feed that nobody has.
const NO_PORT: u16 = 9;

/// Time between two looks at a service.
const LOOK: Duration = Duration::from_millis(50);

/// An interface of this machine, and whether multicast DNS that is said there is heard here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multicast {
    /// Name of the interface.
    pub interface: String,
    /// Address of this machine on it.
    pub address: Ipv4Addr,
    /// What was said came back.
    pub heard: bool,
}

/// A DNS-discovery server, and whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAnswer {
    /// As it was named.
    pub name: String,
    /// Its name has an address.
    pub resolved: bool,
    /// It answered a question.
    pub answers: bool,
}

impl Node {
    /// Opens every stream of the home; returns each by name, with why it cannot be opened.
    ///
    /// # Errors
    ///
    /// The home cannot be read.
    pub async fn inspect(&self) -> Result<Vec<(String, Option<Failure>)>, Failure> {
        let listing = self.inner.home.list().map_err(|error| home_failure(&error))?;
        let mut found: Vec<(String, Option<Failure>)> = listing
            .damaged
            .iter()
            .map(|(name, error)| (name.to_string(), Some(home_failure(error))))
            .collect();
        for stored in listing.streams {
            let name = stored.name.to_string();
            let info = match self.open_stream(&name).await {
                Ok(stream) => stream.info().await,
                Err(failure) => Err(failure),
            };
            let failure = info.map_or_else(Some, |info| {
                info.damage().map(|failure| failure.next(format!("quorate audit {name}")))
            });
            found.push((name, failure));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }
}

/// Says something about a feed that nobody has on each network of this machine, and listens for it.
///
/// It shows that the system takes part in multicast, not that a switch or an access point passes it on.
///
/// # Errors
///
/// The system does not let this program take part; the text says why.
pub async fn probe_multicast(
    runtime: &Arc<dyn Runtime>,
    patience: Duration,
) -> Result<Vec<Multicast>, String> {
    let networks = Network::list().map_err(|error| error.to_string())?;
    let topic = Topic::new(random().map_err(|failure| failure.message)?);
    let start = |port| {
        let mark = random().map_err(|failure| failure.message)?;
        let config = LocalConfig { port, mark };
        local::start(Arc::clone(runtime), config).map_err(|error| error.to_string())
    };
    let (asking, answering) = (start(None)?, start(Some(NO_PORT))?);
    answering.join(topic).await;
    asking.join(topic).await;
    let deadline = runtime.now() + patience;
    let mut heard = BTreeSet::new();
    while heard.len() < networks.len() {
        match before(&**runtime, deadline, asking.next()).await {
            Some(found) => heard.insert(*found.address.ip()),
            None => break,
        };
    }
    let seen = |network: Network| Multicast {
        heard: heard.contains(&network.address),
        interface: network.interface,
        address: network.address,
    };
    Ok(networks.into_iter().map(seen).collect())
}

/// Asks DNS-discovery servers about a feed that nobody has; waits until each has answered, or for so long.
///
/// # Errors
///
/// The system gives no socket; the text says why.
pub async fn probe_servers(
    runtime: &Arc<dyn Runtime>,
    names: Vec<ServerName>,
    patience: Duration,
) -> Result<Vec<ServerAnswer>, String> {
    let topic = Topic::new(random().map_err(|failure| failure.message)?);
    let config = ServersConfig { port: None, servers: names };
    let servers = servers::start(Arc::clone(runtime), config).map_err(|error| error.to_string())?;
    servers.join(topic).await;
    let deadline = runtime.now() + patience;
    loop {
        let status = servers.status();
        if runtime.now() >= deadline || status.iter().all(|server| server.counts.answers) {
            return Ok(status.into_iter().map(answer).collect());
        }
        runtime.sleep_until(runtime.now() + LOOK).await;
    }
}

/// Asks a distributed hash table for nodes; waits until one has answered, or for so long.
///
/// # Errors
///
/// The system gives no socket; the text says why.
pub async fn probe_dht(
    runtime: &Arc<dyn Runtime>,
    kind: DhtKind,
    bootstrap: Vec<NodeName>,
    patience: Duration,
) -> Result<DhtStatus, String> {
    let dht = dht::start(Arc::clone(runtime), StartDht { kind, port: None, bootstrap })
        .map_err(|error| error.to_string())?;
    let deadline = runtime.now() + patience;
    loop {
        let status = dht.status();
        if runtime.now() >= deadline || status.counts.answers {
            return Ok(status);
        }
        runtime.sleep_until(runtime.now() + LOOK).await;
    }
}

fn answer(status: ServerStatus) -> ServerAnswer {
    ServerAnswer { name: status.name, resolved: status.resolved, answers: status.counts.answers }
}
