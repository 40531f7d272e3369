//! Peers that are found: which feeds are looked for, who is dialled, who is the same peer twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use quorate_net::discovery::dht::{self, Dht, DhtKind, DhtStatus, NodeName, StartDht};
use quorate_net::discovery::local::{self, Local, LocalStatus};
use quorate_net::discovery::servers::{self, ServerStatus, Servers, ServersConfig};
use quorate_net::discovery::{DialEnd, LocalConfig};

use crate::model::{DiscoveryInfo, Service};
use crate::node::random;
use crate::{Failure, Node};

mod run;

/// Reports of connections that wait: each dial makes three at most.
const REPORTS_KEPT: usize = 4096;

/// How discovery stands in a node.
#[derive(Debug)]
pub(crate) struct Discovery {
    shared: Mutex<Shared>,
    /// Something changed about the streams that are open.
    wake: (Sender<()>, Receiver<()>),
    reports: (Sender<Report>, Receiver<Report>),
}

/// Where peers are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discover {
    /// On the local network.
    pub lan: bool,
    /// By these servers, `HOST`, `HOST:PORT` or `HOST:PORT,PORT`.
    pub servers: Vec<servers::ServerName>,
    /// By BitTorrent's distributed hash table, beginning with these nodes; it is not used when there are none.
    pub bittorrent: Vec<NodeName>,
    /// By that of hyperswarm 2, the same way.
    pub hyperswarm: Vec<NodeName>,
    /// TCP port that is announced; without it nothing is.
    pub port: Option<u16>,
}

/// What runs.
#[derive(Debug, Clone, Default)]
struct Sources {
    local: Option<Arc<Local>>,
    servers: Option<Arc<Servers>>,
    dhts: Vec<Arc<Dht>>,
}

#[derive(Debug, Default)]
struct Shared {
    sources: Sources,
    /// Services that could not be had, and why.
    failed: BTreeMap<Service, String>,
    /// TCP port that is announced.
    port: Option<u16>,
    /// Addresses that are known, and those that are connected.
    table: (usize, usize),
    /// Who answered at an address when it was dialled last.
    identities: BTreeMap<SocketAddr, String>,
}

/// What became of a connection that discovery made.
#[derive(Debug)]
pub(crate) enum Report {
    /// The handshake is complete.
    Connected(SocketAddr),
    /// The dial has come to its end.
    Ended(SocketAddr, DialEnd),
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            shared: Mutex::default(),
            wake: async_channel::bounded(1),
            reports: async_channel::bounded(REPORTS_KEPT),
        }
    }
}

impl Node {
    /// Looks for peers of every stream that is open, from now on. Never waits for anybody.
    ///
    /// A service that cannot be had is no failure: its state says why.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`](crate::Code::Internal) when the operating system gives no randomness.
    pub fn discover(&self, discover: Discover) -> Result<(), Failure> {
        let Discover { lan, servers, bittorrent, hyperswarm, port } = discover;
        let mut sources = Sources::default();
        let mut failed = BTreeMap::new();
        if lan {
            let config = LocalConfig { port, mark: random()? };
            match local::start(Arc::clone(self.runtime()), config) {
                Ok(local) => sources.local = Some(Arc::new(local)),
                Err(error) => {
                    failed.insert(Service::Lan, error.to_string());
                }
            }
        }
        if !servers.is_empty() {
            match servers::start(Arc::clone(self.runtime()), ServersConfig { port, servers }) {
                Ok(servers) => sources.servers = Some(Arc::new(servers)),
                Err(error) => {
                    failed.insert(Service::Dns, error.to_string());
                }
            }
        }
        for (kind, bootstrap) in [(DhtKind::BitTorrent, bittorrent), (DhtKind::Hyperswarm, hyperswarm)] {
            if bootstrap.is_empty() {
                continue;
            }
            match dht::start(Arc::clone(self.runtime()), StartDht { kind, port, bootstrap }) {
                Ok(dht) => sources.dhts.push(Arc::new(dht)),
                Err(error) => {
                    failed.insert(service_of(kind), error.to_string());
                }
            }
        }
        for (service, reason) in &failed {
            tracing::warn!(?service, "no discovery: {reason}");
        }
        let mut shared = self.inner.discovery.lock();
        *shared = Shared { sources: sources.clone(), failed, port, ..Shared::default() };
        drop(shared);
        if sources.local.is_some() || sources.servers.is_some() || !sources.dhts.is_empty() {
            self.inner.discovery.wake();
            run::start(Arc::clone(&self.inner), sources);
        }
        Ok(())
    }

    /// Says how each discovery service stands; one that was not asked for is not listed.
    pub fn discovery(&self) -> Vec<DiscoveryInfo> {
        let shared = self.inner.discovery.lock();
        let (known, connected) = shared.table;
        let info = |service, working, state| DiscoveryInfo {
            schema: DiscoveryInfo::SCHEMA.into(),
            service,
            working,
            state,
            port: shared.port,
            asked: 0,
            answered: 0,
            heard: 0,
            known,
            connected,
        };
        let mut infos = Vec::new();
        if let Some(local) = &shared.sources.local {
            let status = local.status();
            let (working, state) = state_of(&status);
            infos.push(DiscoveryInfo {
                asked: status.counts.asked,
                answered: status.counts.answered,
                heard: status.counts.announcements,
                ..info(Service::Lan, working, state)
            });
        }
        if let Some(servers) = &shared.sources.servers {
            let status = servers.status();
            let sum = |count: fn(&ServerStatus) -> u64| status.iter().map(count).sum();
            infos.push(DiscoveryInfo {
                asked: sum(|server| server.counts.asked),
                answered: sum(|server| server.counts.announced),
                heard: sum(|server| server.counts.heard),
                ..info(
                    Service::Dns,
                    status.iter().any(|server| server.counts.answers),
                    status.iter().map(state_of_server).collect::<Vec<_>>().join(", "),
                )
            });
        }
        for dht in &shared.sources.dhts {
            let status = dht.status();
            let (working, state) = state_of_dht(&status);
            infos.push(DiscoveryInfo {
                asked: status.counts.asked,
                answered: status.counts.announced,
                heard: status.counts.heard,
                ..info(service_of(dht.kind()), working, state)
            });
        }
        for (service, reason) in &shared.failed {
            infos.push(info(*service, false, reason.clone()));
        }
        infos.sort_by_key(|info| info.service);
        infos
    }
}

fn service_of(kind: DhtKind) -> Service {
    match kind {
        DhtKind::BitTorrent => Service::Bittorrent,
        DhtKind::Hyperswarm => Service::Hyperswarm,
    }
}

fn state_of_dht(status: &DhtStatus) -> (bool, String) {
    match (status.resolved, status.counts.answers, status.counts.nodes) {
        (false, ..) => (false, "no node to begin with has an address".into()),
        (true, false, _) => (false, "no node answers".into()),
        (true, true, 1) => (true, "1 node answers".into()),
        (true, true, nodes) => (true, format!("{nodes} nodes answer")),
    }
}

fn state_of_server(server: &ServerStatus) -> String {
    let state = match (server.resolved, server.counts.answers) {
        (false, _) => "has no address",
        (true, false) => "does not answer",
        (true, true) => "answers",
    };
    format!("{} {state}", server.name)
}

fn state_of(status: &LocalStatus) -> (bool, String) {
    if let Some(failure) = &status.failure {
        return (false, format!("cannot send: {failure}"));
    }
    if status.networks.is_empty() {
        return (false, "no network interface with multicast".into());
    }
    let networks: Vec<String> =
        status.networks.iter().map(|network| format!("{} {}", network.interface, network.address)).collect();
    (true, format!("multicast DNS on {}", networks.join(", ")))
}

impl Discovery {
    /// Has the streams looked at that are open now.
    pub(crate) fn wake(&self) {
        // One wake-up that waits is as good as two.
        let _ = self.wake.0.try_send(());
    }

    /// Reports what became of a dial.
    pub(crate) fn report(&self, report: Report) {
        // The bound is above what all dials together can have to say.
        let _ = self.reports.0.try_send(report);
    }

    /// Notes who answered at an address.
    pub(crate) fn identified(&self, address: SocketAddr, identity: &str) {
        self.lock().identities.insert(address, identity.to_owned());
        self.report(Report::Connected(address));
    }

    fn identity(&self, address: SocketAddr) -> Option<String> {
        self.lock().identities.get(&address).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
