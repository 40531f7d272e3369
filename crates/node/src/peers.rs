//! The connections of a node, as they are shown to people.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use quorate_net::discovery::DialEnd;
use quorate_net::runtime::{Runtime, before};
use quorate_types::{DiscoveryKey, PublicKey, Wire};

use crate::WireOutbox;
use crate::connection::ConnectionParts;
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
    /// How connections that discovery made ended, where they were not just lost.
    ends: Mutex<BTreeMap<SocketAddr, DialEnd>>,
}

impl Default for Peers {
    fn default() -> Self {
        let (removal, removals) = async_channel::bounded(1);
        Self { connections: Mutex::default(), removal, removals, ends: Mutex::default() }
    }
}

#[derive(Debug)]
struct Record {
    address: String,
    direction: Direction,
    wire: Option<Wire>,
    id: Option<String>,
    quorate: bool,
    named: Option<String>,
    offers_all: bool,
    found: Option<SocketAddr>,
    outbox: WireOutbox,
    streams: BTreeMap<DiscoveryKey, (PublicKey, Arc<AtomicU64>)>,
}

impl Record {
    /// Opens those feeds that are not open on the connection.
    fn offer(&self, keys: &[PublicKey]) {
        for key in keys.iter().filter(|key| !self.streams.contains_key(&key.discovery_key())) {
            let _ = self.outbox.try_send(quorate_net::Command::Open(*key));
        }
    }
}

impl Peers {
    pub(crate) fn add(&self, id: ConnectionId, address: &str, parts: &ConnectionParts, outbox: WireOutbox) {
        let record = Record {
            address: address.to_owned(),
            direction: parts.direction,
            wire: None,
            id: None,
            quorate: false,
            named: parts.named.clone(),
            offers_all: false,
            found: parts.found,
            outbox,
            streams: BTreeMap::new(),
        };
        self.lock().insert(id, record);
    }

    /// Removes a connection; tells whether it was ever shown.
    pub(crate) fn remove(&self, id: ConnectionId) -> bool {
        let removed = self.lock().remove(&id);
        let _ = self.removal.try_send(());
        removed.is_some_and(|record| record.wire.is_some())
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

    pub(crate) fn join(&self, id: ConnectionId, key: PublicKey, remote_length: Arc<AtomicU64>) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.streams.insert(key.discovery_key(), (key, remote_length));
        }
    }

    pub(crate) fn leave(&self, id: ConnectionId, feed: &DiscoveryKey) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.streams.remove(feed);
        }
    }

    /// Ends all but one of the connections with the peer of `id`, as far as that is up to this side, and has their
    /// feeds opened on the one that stays; `offered` is what `id` would have opened. Tells whether `id` itself is one too
    /// many.
    ///
    /// That one stays which the side with the smaller identity dialled, as stock clients have it (hyperswarm 2
    /// `lib/queue.js`, discovery-swarm 5 `index.js`). Only connections that discovery made are ended here: the others
    /// belong to the peer, which does the same, or to the user.
    pub(crate) fn settle_duplicates(&self, id: ConnectionId, own: &str, offered: &[PublicKey]) -> bool {
        let mut connections = self.lock();
        let Some(remote) = connections.get(&id).and_then(|this| this.id.clone()) else { return false };
        let peers_stay = own > remote.as_str();
        let preference = |record: &Record| match (record.direction, record.found) {
            (Direction::Outgoing, None) => 0,
            (Direction::Incoming, _) if peers_stay => 1,
            (Direction::Outgoing, Some(_)) => 2,
            (Direction::Incoming, _) => 3,
        };
        let mut same: Vec<(u8, ConnectionId)> = connections
            .iter()
            .filter(|(_, record)| record.id.as_ref() == Some(&remote))
            .map(|(other, record)| (preference(record), *other))
            .collect();
        same.sort_unstable();
        let Some(((_, keeper), others)) = same.split_first() else { return false };
        let mut keys: Vec<PublicKey> = Vec::new();
        for (_, other) in others {
            let Some(record) = connections.get_mut(other) else { continue };
            let Some(address) = record.found else { continue };
            self.ended_as(Some(address), DialEnd::Elsewhere);
            if *other == id {
                keys.extend(offered);
                record.wire = None;
            } else {
                keys.extend(record.streams.values().map(|(key, _)| *key));
                record.outbox.shutdown();
            }
        }
        if let Some(kept) = connections.get(keeper) {
            kept.offer(&keys);
        }
        *keeper != id && connections.get(&id).is_some_and(|this| this.found.is_some())
    }

    /// Opens a feed on the connection with an address that discovery dialled.
    pub(crate) fn offer_to(&self, address: SocketAddr, key: &PublicKey) {
        for record in self.lock().values().filter(|record| record.found == Some(address)) {
            record.offer(&[*key]);
        }
    }

    /// Notes that streams that are opened later are offered on a connection, too.
    pub(crate) fn offers_all(&self, id: ConnectionId) {
        if let Some(record) = self.lock().get_mut(&id) {
            record.offers_all = true;
        }
    }

    /// Opens feeds on the connection with a peer that is dialled for good, if the handshake is complete; with `all`, also
    /// those that come later.
    pub(crate) fn widen(&self, named: &str, all: bool, keys: &[PublicKey]) {
        let mut connections = self.lock();
        let those = connections.values_mut().filter(|record| record.named.as_deref() == Some(named));
        for record in those.filter(|record| record.wire.is_some()) {
            record.offers_all |= all;
            record.offer(keys);
        }
    }

    /// Opens a feed on every connection that carries another one.
    pub(crate) fn offer_beside(&self, other: &DiscoveryKey, key: &PublicKey) {
        for record in self.lock().values().filter(|record| record.streams.contains_key(other)) {
            record.offer(&[*key]);
        }
    }

    /// Tells whether the connection with an address carries another feed.
    pub(crate) fn carries_beside(&self, address: &str, feed: &DiscoveryKey) -> bool {
        let connections = self.lock();
        let mut there = connections.values().filter(|record| record.address == address);
        there.any(|record| record.streams.keys().any(|other| other != feed))
    }

    /// Ends the connections that carry a feed, which comes again under another choice of blocks: whoever dialled them
    /// does so anew.
    pub(crate) fn end_those_with(&self, feed: &DiscoveryKey) {
        for record in self.lock().values().filter(|record| record.streams.contains_key(feed)) {
            record.outbox.shutdown();
        }
    }

    /// Opens feeds on a connection with that peer; false when there is none.
    pub(crate) fn offer_to_identity(&self, identity: &str, keys: &[PublicKey]) -> bool {
        match self.lock().values().find(|record| record.id.as_deref() == Some(identity)) {
            Some(record) => {
                record.offer(keys);
                true
            }
            None => false,
        }
    }

    /// Notes how a connection that discovery made will have ended.
    pub(crate) fn ended_as(&self, found: Option<SocketAddr>, end: DialEnd) {
        if let Some(address) = found {
            self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(address, end);
        }
    }

    /// Takes how a connection that discovery made has ended.
    pub(crate) fn take_end(&self, address: &SocketAddr) -> DialEnd {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.remove(address).unwrap_or(DialEnd::Lost)
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
                    .filter_map(|(feed, (_, length))| {
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

#[cfg(test)]
mod tests {
    use quorate_net::outbox::outbox;

    use super::*;

    const REMOTE: &str = "m";

    /// Adds a connection with the same peer; `true` when discovery dialled it.
    fn add(peers: &Peers, id: ConnectionId, direction: Direction, is_found: bool) {
        let found = is_found.then(|| address(id));
        let parts = ConnectionParts { direction, wire: Wire::B2, offered: Vec::new(), named: None, found };
        peers.add(id, "10.0.0.2:1", &parts, outbox().0);
        peers.connected(id, Wire::B2, Some(REMOTE.into()));
    }

    fn address(id: ConnectionId) -> SocketAddr {
        ([10, 0, 0, 2], id as u16).into()
    }

    /// Adds two connections one after the other; returns whether each is one too many, by what was said of it.
    fn settled(own: &str, kinds: [(Direction, bool); 2]) -> [bool; 2] {
        let peers = Peers::default();
        let mut too_many = [false; 2];
        for (number, (direction, found)) in (1..).zip(kinds) {
            add(&peers, number, direction, found);
            too_many[number as usize - 1] = peers.settle_duplicates(number, own, &[]);
        }
        if peers.take_end(&address(1)) == DialEnd::Elsewhere {
            too_many[0] = true;
        }
        too_many
    }

    #[test]
    fn of_two_connections_that_cross_the_one_of_the_smaller_identity_stays() {
        let (ours, theirs) = ((Direction::Outgoing, true), (Direction::Incoming, false));
        assert_eq!(settled("z", [ours, theirs]), [true, false]);
        assert_eq!(settled("z", [theirs, ours]), [false, true]);
        // The peer ends its own.
        assert_eq!(settled("a", [ours, theirs]), [false, false]);
        assert_eq!(settled("a", [theirs, ours]), [false, false]);
    }

    #[test]
    fn what_the_user_named_stays_and_the_first_of_two_that_were_found() {
        let (named, found) = ((Direction::Outgoing, false), (Direction::Outgoing, true));
        for own in ["a", "z"] {
            assert_eq!(settled(own, [named, found]), [false, true]);
            assert_eq!(settled(own, [found, named]), [true, false]);
            assert_eq!(settled(own, [found, found]), [false, true]);
        }
    }

    #[test]
    fn another_peer_is_no_duplicate() {
        let peers = Peers::default();
        add(&peers, 1, Direction::Outgoing, true);
        add(&peers, 2, Direction::Incoming, false);
        peers.connected(2, Wire::B2, Some("other".into()));
        assert!(!peers.settle_duplicates(2, "z", &[]));
        assert_eq!(peers.take_end(&address(1)), DialEnd::Lost);
        assert!(peers.remove(1) && peers.remove(2) && !peers.remove(2));
        assert!(!peers.offer_to_identity(REMOTE, &[]));
    }
}
