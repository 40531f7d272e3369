//! Entries that are on their way, and where they came from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use quorate_types::Hash;

use super::Peer;
use super::limits::{MAX_ROUTES, MAX_ROUTES_OF_PEER, MAX_SOURCES};

/// An entry that came from peers.
#[derive(Debug)]
pub(super) struct Route {
    /// Where it came from, the last one last.
    sources: Vec<Peer>,
    /// When it was passed on last.
    pub(super) passed_on: Option<Instant>,
    /// Times it was passed on.
    pub(super) times: u32,
    /// Peer that brought it first.
    owner: Peer,
    /// When it was last heard of, as a count.
    tick: u64,
}

/// Entries by digest; the one that was not heard of for longest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: BTreeMap<Hash, Route>,
    by_tick: BTreeMap<u64, Hash>,
    by_owner: BTreeMap<Peer, BTreeSet<u64>>,
    tick: u64,
}

impl Routes {
    /// Returns the route of an entry that is known.
    pub(super) fn get_mut(&mut self, digest: &Hash) -> Option<&mut Route> {
        self.routes.get_mut(digest)
    }

    /// Tells whether an entry is known.
    pub(super) fn contains(&self, digest: &Hash) -> bool {
        self.routes.contains_key(digest)
    }

    /// Notes that an entry, verified, came from a peer.
    pub(super) fn came(&mut self, digest: Hash, peer: Peer) {
        self.tick = self.tick.saturating_add(1);
        let tick = self.tick;
        if let Some(route) = self.routes.get_mut(&digest) {
            route.sources.retain(|source| *source != peer);
            if route.sources.len() >= MAX_SOURCES {
                route.sources.remove(0);
            }
            route.sources.push(peer);
            let (owner, before) = (route.owner, std::mem::replace(&mut route.tick, tick));
            self.unlist(owner, before);
            self.list(owner, tick, digest);
            return;
        }
        let of_peer = self.by_owner.get(&peer);
        let crowded = of_peer.filter(|ticks| ticks.len() >= MAX_ROUTES_OF_PEER);
        if let Some(oldest) = crowded.and_then(BTreeSet::first).copied() {
            self.forget(oldest);
        }
        if self.routes.len() >= MAX_ROUTES
            && let Some((oldest, _)) = self.by_tick.first_key_value()
        {
            self.forget(*oldest);
        }
        let route = Route { sources: vec![peer], passed_on: None, times: 0, owner: peer, tick };
        self.routes.insert(digest, route);
        self.list(peer, tick, digest);
    }

    /// Lets all entries be passed on again: to another host.
    pub(super) fn renew(&mut self) {
        for route in self.routes.values_mut() {
            (route.passed_on, route.times) = (None, 0);
        }
    }

    fn list(&mut self, owner: Peer, tick: u64, digest: Hash) {
        self.by_tick.insert(tick, digest);
        self.by_owner.entry(owner).or_default().insert(tick);
    }

    fn unlist(&mut self, owner: Peer, tick: u64) {
        self.by_tick.remove(&tick);
        if let Some(ticks) = self.by_owner.get_mut(&owner) {
            ticks.remove(&tick);
            if ticks.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }

    fn forget(&mut self, tick: u64) {
        let Some(digest) = self.by_tick.get(&tick).copied() else { return };
        if let Some(route) = self.routes.remove(&digest) {
            self.unlist(route.owner, tick);
        }
    }
}

impl Route {
    /// Returns where the entry came from.
    pub(super) fn sources(&self) -> &[Peer] {
        &self.sources
    }

    /// Takes where the entry came from: they are answered once.
    pub(super) fn take_sources(&mut self) -> Vec<Peer> {
        std::mem::take(&mut self.sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Hash::new(bytes)
    }

    #[test]
    fn one_peer_pushes_out_its_own() {
        let mut routes = Routes::default();
        routes.came(digest(0), Peer(1));
        for number in 1..=MAX_ROUTES_OF_PEER as u64 {
            routes.came(digest(number), Peer(2));
        }
        assert_eq!(routes.routes.len(), MAX_ROUTES_OF_PEER + 1);
        // Heard of again: the next one is the oldest now.
        routes.came(digest(1), Peer(2));
        routes.came(digest(1 << 40), Peer(2));
        assert_eq!(routes.routes.len(), MAX_ROUTES_OF_PEER + 1);
        assert!(routes.contains(&digest(0)) && routes.contains(&digest(1)));
        assert!(!routes.contains(&digest(2)));
    }

    #[test]
    fn all_peers_push_out_the_oldest() {
        let mut routes = Routes::default();
        for number in 0..=MAX_ROUTES as u64 {
            routes.came(digest(number), Peer(number));
        }
        assert_eq!(routes.routes.len(), MAX_ROUTES);
        assert_eq!(routes.by_tick.len(), MAX_ROUTES);
        assert_eq!(routes.by_owner.len(), MAX_ROUTES);
        assert!(!routes.contains(&digest(0)) && routes.contains(&digest(1)));
    }

    #[test]
    fn sources_are_few_and_the_newest() {
        let mut routes = Routes::default();
        for peer in 0..20 {
            routes.came(digest(7), Peer(peer));
        }
        routes.came(digest(7), Peer(15));
        let sources = routes.get_mut(&digest(7)).unwrap().take_sources();
        assert_eq!(sources, [12, 13, 14, 16, 17, 18, 19, 15].map(Peer));
        assert!(routes.get_mut(&digest(7)).unwrap().sources().is_empty());
    }
}
