//! Links between nodes: connections that open and close, and what happens to messages on them.

use std::collections::BTreeMap;

use quorate_quorum::engine::{Fault, Peer};

use super::rng::Rng;

/// How a link treats messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lost, of a thousand.
    pub drop: u32,
    /// Delivered twice, of a thousand.
    pub duplicate: u32,
    /// Held back so that later ones overtake it, of a thousand.
    pub reorder: u32,
    /// Shortest way, microseconds.
    pub latency_us: u64,
    /// What comes on top by chance, microseconds.
    pub jitter_us: u64,
}

impl Weather {
    /// Nothing is lost, and messages stay in order.
    pub const CALM: Self = Self { drop: 0, duplicate: 0, reorder: 0, latency_us: 5_000, jitter_us: 0 };
}

/// Most time that a message is held back, microseconds.
const HELD_BACK_US: u64 = 700_000;

/// A pair of nodes, the lower one first.
type Pair = (usize, usize);

/// All links.
#[derive(Debug, Default)]
pub struct Network {
    open: BTreeMap<Pair, u64>,
    /// Arrival of the newest message that was not held back: messages of one direction stay in order.
    arrivals: BTreeMap<(usize, usize), u64>,
    opened: u64,
}

/// A connection that an engine has cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Whose engine.
    pub node: usize,
    /// Who was at the other end.
    pub other: usize,
    /// What for.
    pub fault: Fault,
}

/// Counts of what happened to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Messages that were sent.
    pub sent: u64,
    /// Lost.
    pub dropped: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
}

impl Network {
    /// Opens a connection; tells by what name each side knows the other, the lower node's side first.
    pub fn open(&mut self, a: usize, b: usize) -> Option<(Peer, Peer)> {
        let pair = pair(a, b);
        if self.open.contains_key(&pair) {
            return None;
        }
        self.opened += 1;
        self.open.insert(pair, self.opened);
        Some((Peer(self.opened * 2), Peer(self.opened * 2 + 1)))
    }

    /// Closes a connection; tells the names again.
    pub fn close(&mut self, a: usize, b: usize) -> Option<(Peer, Peer)> {
        let connection = self.open.remove(&pair(a, b))?;
        Some((Peer(connection * 2), Peer(connection * 2 + 1)))
    }

    /// Returns the connection between two nodes.
    pub fn connection(&self, a: usize, b: usize) -> Option<u64> {
        self.open.get(&pair(a, b)).copied()
    }

    /// Returns the name by which a node knows another.
    pub fn peer(&self, of: usize, other: usize) -> Option<Peer> {
        let connection = self.connection(of, other)?;
        Some(Peer(connection * 2 + u64::from(of > other)))
    }

    /// Finds who is behind a name that a node knows.
    pub fn node(&self, of: usize, peer: Peer) -> Option<usize> {
        let (a, b) = self.open.iter().find(|(_, connection)| **connection == peer.0 / 2)?.0;
        match of {
            _ if of == *a => Some(*b),
            _ if of == *b => Some(*a),
            _ => None,
        }
    }

    /// Returns the nodes that a node is connected to, ascending.
    pub fn neighbours(&self, of: usize) -> Vec<usize> {
        let mut found: Vec<_> = self
            .open
            .keys()
            .filter(|(a, b)| *a == of || *b == of)
            .map(|(a, b)| if *a == of { *b } else { *a })
            .collect();
        found.sort_unstable();
        found
    }

    /// Decides when a message arrives: never, once, or twice.
    pub fn arrivals(
        &mut self,
        now: u64,
        from: usize,
        to: usize,
        weather: &Weather,
        traffic: &mut Traffic,
        rng: &mut Rng,
    ) -> Vec<u64> {
        traffic.sent += 1;
        if rng.per_mille(weather.drop) {
            traffic.dropped += 1;
            return Vec::new();
        }
        let way = weather.latency_us + rng.below(weather.jitter_us + 1);
        let newest = self.arrivals.entry((from, to)).or_default();
        let in_order = (now + way).max(*newest + 1);
        let arrival = if rng.per_mille(weather.reorder) {
            traffic.reordered += 1;
            now + way + rng.below(HELD_BACK_US)
        } else {
            *newest = in_order;
            in_order
        };
        if rng.per_mille(weather.duplicate) {
            traffic.duplicated += 1;
            return vec![arrival, arrival + rng.below(HELD_BACK_US)];
        }
        vec![arrival]
    }
}

fn pair(a: usize, b: usize) -> Pair {
    (a.min(b), a.max(b))
}
