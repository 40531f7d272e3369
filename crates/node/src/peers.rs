//! The connections of a node, as they are shown to people.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use quorate_net::runtime::{Runtime, before};
use quorate_types::{DiscoveryKey, Wire};

use crate::WireOutbox;
use crate::model::{Direction, PeerInfo, PeerStream};
use crate::stream::Stream;

/// Number of a connection in this process.
pub(crate) type ConnectionId = u64;

/// The connections of a node.
#[derive(Debug)]
pub(crate) struct Peers {
    connections: Mutex<BTreeMap<ConnectionId, Record>>,
    removal: Sender<()>,
    removals: Receiver<()>,
}

impl Default for Peers {
    fn default() -> Self {
        let (removal, removals) = async_channel::bounded(1);
        Self { connections: Mutex::default(), removal, removals }
    }
}

#[derive(Debug)]
struct Record {
    address: String,
    direction: Direction,
    wire: Option<Wire>,
    id: Option<String>,
    quorate: bool,
    offers_all: bool,
    outbox: WireOutbox,
    streams: BTreeMap<DiscoveryKey, Arc<AtomicU64>>,
}

impl Peers {
    pub(crate) fn add(
        &self,
        id: ConnectionId,
        address: String,
        direction: Direction,
        offers_all: bool,
        outbox: WireOutbox,
    ) {
        let streams = BTreeMap::new();
        let record =
            Record { address, direction, wire: None, id: None, quorate: false, offers_all, outbox, streams };
        self.lock().insert(id, record);
    }

    pub(crate) fn remove(&self, id: ConnectionId) {
        self.lock().remove(&id);
        let _ = self.removal.try_send(());
    }

    /// Waits until every connection has ended, for a while.
    pub(crate) async fn drained(&self, runtime: &dyn Runtime, time: Duration) {
        let deadline = runtime.now() + time;
        while !self.lock().is_empty() {
            if before(runtime, deadline, self.removals.recv()).await.is_none() {
                return;
            }
        }
    }

    pub(crate) fn connected(&self, id: ConnectionId, wire: Wire, remote: Option<String>) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.wire = Some(wire);
            record.id = remote;
        }
    }

    pub(crate) fn is_quorate(&self, id: ConnectionId) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.quorate = true;
        }
    }

    pub(crate) fn join(&self, id: ConnectionId, feed: DiscoveryKey, remote_length: Arc<AtomicU64>) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.streams.insert(feed, remote_length);
        }
    }

    pub(crate) fn leave(&self, id: ConnectionId, feed: &DiscoveryKey) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.streams.remove(feed);
        }
    }

    /// Ways out of all connections.
    pub(crate) fn outboxes(&self) -> Vec<WireOutbox> {
        self.lock().values().map(|record| record.outbox.clone()).collect()
    }

    /// Ways out of the connections that offer every stream.
    pub(crate) fn offering_all(&self) -> Vec<WireOutbox> {
        let connections = self.lock();
        connections.values().filter(|record| record.offers_all).map(|record| record.outbox.clone()).collect()
    }

    /// Lists connections that carry `only`, or all; `name_of` finds the local names of streams.
    pub(crate) fn list(
        &self,
        only: Option<&DiscoveryKey>,
        stream_of: impl Fn(&DiscoveryKey) -> Option<Stream>,
    ) -> Vec<PeerInfo> {
        self.lock()
            .values()
            .filter(|record| record.wire.is_some())
            .filter(|record| only.is_none_or(|feed| record.streams.contains_key(feed)))
            .map(|record| PeerInfo {
                schema: PeerInfo::SCHEMA.into(),
                address: record.address.clone(),
                direction: record.direction,
                wire: record.wire.map(|wire| wire.to_string()).unwrap_or_default(),
                id: record.id.clone(),
                quorate: record.quorate,
                streams: record
                    .streams
                    .iter()
                    .filter_map(|(feed, length)| {
                        let stream = stream_of(feed)?;
                        Some(PeerStream {
                            name: stream.name().to_owned(),
                            key: *stream.key(),
                            remote_length: length.load(Ordering::Relaxed),
                        })
                    })
                    .collect(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Record>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
