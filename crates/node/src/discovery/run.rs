//! The task that dials who was found.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use futures_lite::future;
use quorate_net::discovery::{DialEnd, Dialect, PeerTable, TableInput, TableOutput, Topic};
use quorate_net::runtime::BoxFuture;
use quorate_types::{DiscoveryKey, PublicKey, Wire};

use super::{Report, Sources};
use crate::connect::connect_found;
use crate::node::Inner;

/// Addresses of which it is remembered who answered; beyond that all are forgotten.
const MAX_IDENTITIES: usize = 1024;

/// Runs until the node stops.
pub(super) fn start(inner: Arc<Inner>, sources: Sources) {
    let runtime = Arc::clone(&inner.config.runtime);
    runtime.spawn(Box::pin(async move {
        let stopped = inner.stopped.clone();
        let stop = async move {
            let _ = stopped.recv().await;
        };
        let mut finder = Finder { inner, sources, feeds: BTreeMap::new(), table: PeerTable::new() };
        future::or(finder.run(), stop).await;
        finder.inner.discovery.lock().sources = Sources::default();
    }));
}

struct Finder {
    inner: Arc<Inner>,
    sources: Sources,
    /// Feeds that are looked for.
    feeds: BTreeMap<Topic, Feed>,
    table: PeerTable,
}

/// A feed that is looked for.
#[derive(Debug, Clone, Copy)]
struct Feed {
    key: PublicKey,
    discovery_key: DiscoveryKey,
}

/// Somebody who is said to carry a feed.
struct Found {
    topic: Topic,
    address: SocketAddr,
    /// Only wire A is spoken there.
    wire_a: bool,
    /// It says so itself.
    itself: bool,
}

enum Turn {
    Found(Found),
    Streams,
    Report(Report),
    Timeout,
}

impl Finder {
    async fn run(&mut self) {
        let runtime = Arc::clone(&self.inner.config.runtime);
        loop {
            let timeout = self.table.poll_timeout();
            let turn = {
                let discovery = &self.inner.discovery;
                let found = async { Turn::Found(self.sources.next().await) };
                let streams = async {
                    match discovery.wake.1.recv().await {
                        Ok(()) => Turn::Streams,
                        Err(_) => future::pending().await,
                    }
                };
                let report = async {
                    match discovery.reports.1.recv().await {
                        Ok(report) => Turn::Report(report),
                        Err(_) => future::pending().await,
                    }
                };
                let late = async {
                    match timeout {
                        Some(at) => runtime.sleep_until(at).await,
                        None => future::pending().await,
                    }
                    Turn::Timeout
                };
                future::or(streams, future::or(report, future::or(late, found))).await
            };
            let now = runtime.now();
            match turn {
                Turn::Streams => self.streams_changed().await,
                Turn::Found(found) => self.found(&found),
                Turn::Report(Report::Connected(address)) => {
                    self.table.handle(now, TableInput::Connected(address));
                }
                Turn::Report(Report::Ended(address, end)) => {
                    let random = getrandom::u32().unwrap_or(0);
                    self.table.handle(now, TableInput::Ended { address, end, random });
                }
                Turn::Timeout => self.table.handle(now, TableInput::Timeout),
            }
            while let Some(output) = self.table.poll_output() {
                match output {
                    TableOutput::Dial { address, topics } => self.dial(address, &topics),
                    TableOutput::Offer { address, topic } => self.offer(address, &topic),
                }
            }
            let mut shared = self.inner.discovery.lock();
            shared.table = (self.table.known(), self.table.connected());
            if shared.identities.len() > MAX_IDENTITIES {
                shared.identities.clear();
            }
        }
    }

    /// Looks for the streams that are open now, and for no others.
    async fn streams_changed(&mut self) {
        let open: BTreeMap<Topic, Feed> = self
            .inner
            .streams()
            .values()
            .filter(|stream| !self.inner.stops(stream.key()))
            .map(|stream| Feed { key: *stream.key(), discovery_key: *stream.discovery_key() })
            .map(|feed| (Topic::of(&feed.discovery_key), feed))
            .collect();
        for (topic, feed) in self.feeds.iter().filter(|(topic, _)| !open.contains_key(topic)) {
            self.sources.leave(&feed.discovery_key).await;
            self.table.handle(self.inner.config.runtime.now(), TableInput::Leave(*topic));
        }
        for (_, feed) in open.iter().filter(|(topic, _)| !self.feeds.contains_key(topic)) {
            self.sources.join(&feed.discovery_key).await;
        }
        self.feeds = open;
    }

    fn found(&mut self, found: &Found) {
        if found.wire_a && self.inner.dialer.known_wire(found.address).is_none() {
            self.inner.dialer.remember(found.address, Wire::A);
        }
        let now = self.inner.config.runtime.now();
        let Found { topic, address, itself, .. } = *found;
        self.table.handle(now, TableInput::Found { topic, address, itself });
    }

    fn dial(&self, address: SocketAddr, topics: &[Topic]) {
        let feeds = topics.iter().filter_map(|topic| self.feeds.get(topic));
        let keys: Vec<PublicKey> = feeds.map(|feed| feed.key).collect();
        let inner = Arc::clone(&self.inner);
        self.inner.config.runtime.spawn(Box::pin(async move {
            let stopped = inner.stopped.clone();
            let stop = async move {
                let _ = stopped.recv().await;
                DialEnd::Lost
            };
            let end = future::or(dial(&inner, address, keys), stop).await;
            inner.discovery.report(Report::Ended(address, end));
        }));
    }

    fn offer(&self, address: SocketAddr, topic: &Topic) {
        if let Some(feed) = self.feeds.get(topic) {
            self.inner.peers.offer_to(address, &feed.key);
        }
    }
}

impl Sources {
    async fn join(&self, feed: &DiscoveryKey) {
        let topic = Topic::of(feed);
        if let Some(local) = &self.local {
            local.join(topic).await;
        }
        if let Some(servers) = &self.servers {
            servers.join(topic).await;
        }
        for dht in &self.dhts {
            dht.join(*feed).await;
        }
    }

    async fn leave(&self, feed: &DiscoveryKey) {
        let topic = Topic::of(feed);
        if let Some(local) = &self.local {
            local.leave(topic).await;
        }
        if let Some(servers) = &self.servers {
            servers.leave(topic).await;
        }
        for dht in &self.dhts {
            dht.leave(*feed).await;
        }
    }

    /// Waits for the next peer that is found. Cancel-safe.
    async fn next(&self) -> Found {
        let local = async {
            let Some(local) = &self.local else { return future::pending().await };
            let found = local.next().await;
            // Only dat 13 and before speak that dialect, and only wire A; quorate nodes say who they are.
            let wire_a = found.dialect == Dialect::Dat && !found.quorate;
            Found { topic: found.topic, address: found.address.into(), wire_a, itself: found.itself }
        };
        let servers = async {
            let Some(servers) = &self.servers else { return future::pending().await };
            let (topic, address) = servers.next().await;
            Found { topic, address: address.into(), wire_a: false, itself: false }
        };
        let dhts = async {
            let mut dhts: BoxFuture<(DiscoveryKey, SocketAddrV4)> = Box::pin(future::pending());
            for dht in &self.dhts {
                let dht = Arc::clone(dht);
                dhts = Box::pin(future::or(dhts, async move { dht.next().await }));
            }
            let (feed, address) = dhts.await;
            Found { topic: Topic::of(&feed), address: address.into(), wire_a: false, itself: false }
        };
        future::or(local, future::or(servers, dhts)).await
    }
}

/// Dials an address, and stays connected as long as it lasts.
async fn dial(inner: &Arc<Inner>, address: SocketAddr, keys: Vec<PublicKey>) -> DialEnd {
    if keys.is_empty() {
        return DialEnd::Lost;
    }
    if inner.is_dialled(&address.to_string()) {
        return DialEnd::Elsewhere;
    }
    if let Some(identity) = inner.discovery.identity(address)
        && inner.peers.offer_to_identity(&identity, &keys)
    {
        return DialEnd::Elsewhere;
    }
    match connect_found(inner, address, keys).await {
        Ok(end) => end,
        Err(failure) => {
            tracing::debug!(%address, "a peer that was found is not reached: {failure}");
            DialEnd::Lost
        }
    }
}
