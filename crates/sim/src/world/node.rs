//! A node: the real engine, its disk, its feeds, and the actions it has heard of.

use std::collections::{BTreeMap, BTreeSet};

use quorate_quorum::engine::{Config, Engine, Guard, Peer, Timing};
use quorate_quorum::key::Signer;
use quorate_quorum::validators::ValidatorSet;
use quorate_types::{Hash, PublicKey, RoomId};

use super::disk::Disk;
use super::history::{Shared, Writer};
use super::planted::Planted;

/// What all nodes of a world agree on.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its name.
    pub id: RoomId,
    /// Feed of epoch 0.
    pub feed: PublicKey,
    /// Validators of epoch 0.
    pub validators: ValidatorSet,
    /// Later hosts, in their order.
    pub hosts: Vec<PublicKey>,
    /// Patience and pace.
    pub timing: Timing,
    /// The bug that every engine has.
    pub planted: Option<Planted>,
}

/// Who a node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its vote key, if it validates.
    pub vote: Option<Signer>,
    /// Its identity as a host.
    pub host: Option<Signer>,
    /// It writes the first feed.
    pub is_genesis_host: bool,
    /// What the keys of its later feeds come from.
    pub feed_seed: [u8; 32],
    /// It breaks the rules: nothing that it says or believes is checked, and it may be accused.
    pub is_faulty: bool,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Who it is.
    pub identity: Identity,
    /// The machine; `None` while the node is down.
    pub engine: Option<Engine>,
    /// A script speaks for it: it is up, and has no engine.
    pub is_puppet: bool,
    /// Starts so far: what belongs to an earlier one is void.
    pub boot: u64,
    /// Records.
    pub disk: Disk,
    /// Whether the records can be trusted.
    pub guard: Guard,
    /// Copies of feeds.
    pub feeds: BTreeMap<PublicKey, Copy>,
    /// Feeds that it writes.
    pub writers: BTreeMap<PublicKey, Writer>,
    /// Feeds that it made, by epoch.
    pub own: BTreeMap<u64, PublicKey>,
    /// Actions that it has heard of and that are not final here, with the time, microseconds.
    pub waiting: BTreeMap<u64, u64>,
    /// Actions that are final here.
    pub done: BTreeSet<u64>,
    /// Evidence that it has taken, by topic.
    pub evidence: BTreeMap<Hash, PublicKey>,
    /// When its engine wants to be called, microseconds.
    pub alarm: Option<u64>,
    /// Names of its open connections.
    pub peers: BTreeSet<Peer>,
    /// Epoch in which its engine is.
    pub epoch: u64,
    /// Its validators.
    pub validators: Option<ValidatorSet>,
    /// Feed of that epoch.
    pub current: Option<PublicKey>,
    /// Whether the disk has stopped syncing.
    pub disk_stuck: bool,
}

/// A node's copy of a feed.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Histories that the writer has signed; the first is the one that this node holds.
    pub histories: Vec<Shared>,
    /// Length up to which the engine was told.
    pub told: u64,
    /// Start that the engine was told.
    pub started: bool,
}

impl Node {
    /// Makes a node that is down.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            engine: None,
            is_puppet: false,
            boot: 0,
            disk: Disk::default(),
            guard: Guard::Intact,
            feeds: BTreeMap::new(),
            writers: BTreeMap::new(),
            own: BTreeMap::new(),
            waiting: BTreeMap::new(),
            done: BTreeSet::new(),
            evidence: BTreeMap::new(),
            alarm: None,
            peers: BTreeSet::new(),
            epoch: 0,
            validators: None,
            current: None,
            disk_stuck: false,
        }
    }

    /// Returns what its engine is made of.
    pub fn config(&self, room: &Room) -> Config {
        Config {
            room: room.id,
            feed: room.feed,
            validators: room.validators.clone(),
            hosts: room.hosts.clone(),
            vote_key: self.identity.vote.clone(),
            host_key: self.identity.host.clone(),
            is_genesis_host: self.identity.is_genesis_host,
            guard: self.guard,
            timing: room.timing,
            #[cfg(feature = "planted-bugs")]
            bug: room.planted.and_then(Planted::in_engine),
        }
    }

    /// Returns the history of a feed that it holds.
    pub fn history(&self, feed: &PublicKey) -> Option<&Shared> {
        self.feeds.get(feed)?.histories.first()
    }

    /// Tells whether it can be talked to.
    pub fn is_up(&self) -> bool {
        self.engine.is_some() || self.is_puppet
    }

    /// Tells whether it can vote, as far as anyone can tell.
    pub fn can_vote(&self) -> bool {
        self.engine.is_some() && self.guard == Guard::Intact && self.identity.vote.is_some()
    }
}
