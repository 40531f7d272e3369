//! A seeded world: the real engine of every node on a virtual clock, a bad network and bad disks.
//!
//! Everything that happens follows from the seed. A run is a plan carried out; what must hold is checked as it
//! goes and at its end ([`checks`]); what it met is counted ([`coverage`]).

pub mod attacks;
pub mod checks;
pub mod coverage;
pub mod disk;
pub mod engine;
pub mod feeds;
mod forged;
pub mod history;
pub mod ledger;
pub mod network;
pub mod node;
pub mod plan;
pub mod planted;
pub mod registry;
pub mod rng;
pub mod twins;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use blake2b_simd::{Params, State};
use bytes::Bytes;
use quorate_quorum::engine::{Input, Ticket};
use quorate_types::PublicKey;

pub use checks::Violation;
pub use coverage::{Coverage, Total};
pub use history::{History, Shared, Writer};
pub use ledger::Ledger;
pub use network::{Cut, Traffic, Weather};
pub use node::{Identity, Node, Room};
pub use planted::Planted;
pub use registry::{Block, Registry};
pub use rng::Rng;

use checks::Agreed;
use network::Network;

/// Time between two rounds in which nodes send each other what they hold, microseconds.
const GOSSIP_US: u64 = 250_000;

/// Time after which a connection that was cut by one side is tried again, microseconds.
const RECONNECT_US: u64 = 300_000;

/// Resolution of a node's timer, microseconds: an engine that wants to be called in the past is called after that.
const TICK_US: u64 = 1_000;

/// Events in one run; a run with more goes round in circles.
const MAX_EVENTS: u64 = 400_000;

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// A message of the extension arrives.
    Message { from: usize, to: usize, connection: u64, payload: Bytes },
    /// Blocks of a feed arrive.
    Feed { from: usize, to: usize, connection: u64, history: Shared },
    /// An action arrives.
    Action { to: usize, connection: u64, action: u64 },
    /// The disk has synced all writes up to one.
    Synced { node: usize, boot: u64, up_to: Ticket },
    /// A node has made a key pair for its next feed.
    Created { node: usize, boot: u64, epoch: u64, feed: PublicKey },
    /// An engine wants to be called.
    Alarm { node: usize, boot: u64 },
    /// A host may append.
    Pace { node: usize, boot: u64 },
    /// Nodes send each other what they hold.
    Gossip,
    /// Two nodes try to connect.
    Connect { a: usize, b: usize },
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// What all agree on.
    pub room: Room,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// What heads mean.
    pub registry: Registry,
    /// How messages fare.
    pub weather: Weather,
    /// What was met.
    pub coverage: Coverage,
    /// What was signed by honest nodes and sent.
    pub ledger: Ledger,
    /// Connections that engines have cut.
    pub cuts: Vec<Cut>,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// Chance.
    pub rng: Rng,
    /// Time that a sync takes, microseconds: at least, and by chance more.
    pub sync_us: (u64, u64),
    /// Whether hosts append what waits; otherwise someone else decides what they append.
    pub hosts_append: bool,
    /// Whether what happens is printed.
    pub is_watched: bool,
    /// Who can talk to whom: nodes with one number.
    groups: Vec<u32>,
    network: Network,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    handled: u64,
    now: u64,
    start: Instant,
    digest: State,
    agreed: Agreed,
    actions: u64,
}

impl World {
    /// Makes a world in which all nodes are down.
    pub fn new(room: Room, identities: Vec<Identity>, rng: Rng) -> Self {
        let groups = vec![0; identities.len()];
        let mut world = Self {
            room,
            nodes: identities.into_iter().map(Node::new).collect(),
            registry: Registry::default(),
            weather: Weather::CALM,
            coverage: Coverage::default(),
            ledger: Ledger::default(),
            cuts: Vec::new(),
            violations: Vec::new(),
            rng,
            sync_us: (4_000, 0),
            hosts_append: true,
            is_watched: false,
            groups,
            network: Network::default(),
            queue: BTreeMap::new(),
            queued: 0,
            handled: 0,
            now: 0,
            start: Instant::now(),
            digest: Params::new().hash_length(16).to_state(),
            agreed: Agreed::default(),
            actions: 0,
        };
        world.at(GOSSIP_US, Event::Gossip);
        world
    }

    /// Returns the time, microseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Returns a hash of everything that has happened.
    pub fn digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(self.digest.clone().finalize().as_bytes());
        digest
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until something is so; tells whether it was.
    pub fn run_until(&mut self, time: Duration, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + time.as_micros() as u64;
        while let Some((&(at, number), _)) = self.queue.first_key_value()
            && at <= end
        {
            if is_so(self) {
                return true;
            }
            let Some(event) = self.queue.remove(&(at, number)) else { break };
            self.now = at;
            self.handled += 1;
            if self.handled > MAX_EVENTS {
                if self.handled == MAX_EVENTS + 1 {
                    self.violations.push(Violation::NoEnd { events: self.handled });
                }
                self.now = end;
                return false;
            }
            self.happen(event);
        }
        self.now = end;
        is_so(self)
    }

    /// Puts nodes into groups that cannot talk to each other.
    pub fn partition(&mut self, groups: Vec<u32>) {
        assert_eq!(groups.len(), self.nodes.len(), "every node has a group");
        self.groups = groups;
        self.note("partition", &self.groups.iter().flat_map(|group| group.to_le_bytes()).collect::<Vec<_>>());
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                if self.can_talk(a, b) {
                    self.connect(a, b);
                } else {
                    self.disconnect(a, b);
                }
            }
        }
    }

    /// Puts all nodes into one group, and lets them connect anew.
    pub fn heal(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                self.disconnect(a, b);
            }
        }
        self.partition(vec![0; self.nodes.len()]);
    }

    /// Somebody signs an action, which a node hears of.
    pub fn act(&mut self, node: usize) -> u64 {
        self.actions += 1;
        let action = self.actions;
        self.hear(node, action);
        action
    }

    /// A script speaks for a node.
    pub fn make_puppet(&mut self, node: usize) {
        self.nodes[node].is_puppet = true;
        for other in 0..self.nodes.len() {
            if other != node {
                self.connect(node, other);
            }
        }
    }

    /// A puppet sends a message; tells whether there is a connection.
    pub fn say(&mut self, from: usize, to: usize, payload: &Bytes) -> bool {
        let is_connected = self.network.connection(from, to).is_some();
        self.transmit(from, to, |connection| Event::Message {
            from,
            to,
            connection,
            payload: payload.clone(),
        });
        is_connected
    }

    /// A puppet sends blocks of a feed.
    pub fn show(&mut self, from: usize, to: usize, history: &Shared) {
        self.transmit(from, to, |connection| Event::Feed { from, to, connection, history: history.clone() });
    }

    /// Returns actions signed so far.
    pub fn actions(&self) -> u64 {
        self.actions
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Message { from, to, connection, payload } => {
                if self.network.connection(from, to) == Some(connection)
                    && let Some(peer) = self.network.peer(to, from)
                {
                    self.note("message", &payload);
                    self.input(to, Input::Message { peer, payload });
                }
            }
            Event::Feed { from, to, connection, history } => {
                if self.network.connection(from, to) == Some(connection) {
                    self.take_feed(to, history);
                }
            }
            Event::Action { to, connection, action } => {
                if self
                    .network
                    .neighbours(to)
                    .iter()
                    .any(|from| self.network.connection(*from, to) == Some(connection))
                {
                    self.hear(to, action);
                }
            }
            Event::Synced { node, boot, up_to } => self.synced(node, boot, up_to),
            Event::Created { node, boot, epoch, feed } => {
                if self.is_up(node, boot) {
                    self.input(node, Input::FeedCreated { epoch, feed });
                }
            }
            Event::Alarm { node, boot } => self.ring(node, boot),
            Event::Pace { node, boot } => {
                if self.is_up(node, boot) {
                    self.host_appends(node);
                    let at = self.now + self.pace_us();
                    self.at(at, Event::Pace { node, boot });
                }
            }
            Event::Gossip => {
                self.gossip();
                self.at(self.now + GOSSIP_US, Event::Gossip);
            }
            Event::Connect { a, b } => self.connect(a, b),
        }
    }

    fn pace_us(&self) -> u64 {
        20_000
    }

    fn is_up(&self, node: usize, boot: u64) -> bool {
        self.nodes[node].engine.is_some() && self.nodes[node].boot == boot
    }

    fn can_talk(&self, a: usize, b: usize) -> bool {
        self.groups[a] == self.groups[b] && self.nodes[a].is_up() && self.nodes[b].is_up()
    }

    fn connect(&mut self, a: usize, b: usize) {
        if !self.can_talk(a, b) {
            return;
        }
        let Some((lower, higher)) = self.network.open(a, b) else { return };
        let (a, b) = (a.min(b), a.max(b));
        for (node, peer) in [(a, lower), (b, higher)] {
            self.nodes[node].peers.insert(peer);
            self.input(node, Input::PeerOpened { peer });
        }
        for (from, to) in [(a, b), (b, a)] {
            if !self.nodes[from].is_puppet {
                self.send_feeds(from, to);
            }
        }
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        let Some((lower, higher)) = self.network.close(a, b) else { return };
        for (node, peer) in [(a.min(b), lower), (a.max(b), higher)] {
            if self.nodes[node].peers.remove(&peer) {
                self.input(node, Input::PeerClosed { peer });
            }
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((time.max(self.now), self.queued), event);
    }

    fn instant(&self, time: u64) -> Instant {
        self.start + Duration::from_micros(time)
    }

    /// Adds something that happened to the digest, and shows it to whoever watches.
    fn note(&mut self, what: &str, bytes: &[u8]) {
        if self.is_watched && what != "message" {
            let hex: String = bytes.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            println!("{:>9} {what} {hex}", self.now);
        }
        self.digest.update(&self.now.to_le_bytes()).update(what.as_bytes()).update(bytes);
    }
}
