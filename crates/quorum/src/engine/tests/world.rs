//! A few engines, their disks and their feeds in one place; messages arrive in order, time is virtual.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_feed::{Flavour, MemoryTree};
use quorate_proto::quorate1::{Frame, Frames, Message, QuorumMessage};
use quorate_types::{PublicKey, RulesHash, StateRoot};

use super::super::*;
use crate::certificate::Inclusion;
use crate::certificate::tests::{FEED, ROOM, host, signer, validators};
use crate::statement::{Signed, Target};
use crate::validators::ValidatorSet;

/// One node: engine, disk, and what it has said.
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) config: Config,
    pub(super) records: BTreeMap<Slot, Bytes>,
    /// Records that are not durable; written in order.
    pub(super) unsynced: VecDeque<(Ticket, Slot, Bytes)>,
    pub(super) syncs: bool,
    pub(super) committed: Vec<(u64, PublicKey, Target)>,
    pub(super) outputs: Vec<Output>,
}

/// One feed of the room, as all who hold it see it.
pub(super) struct Feed {
    pub(super) key: PublicKey,
    pub(super) epoch: u64,
    pub(super) tree: MemoryTree,
    substance: u64,
    closes: Option<Box<Closes>>,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    pub(super) feeds: BTreeMap<PublicKey, Feed>,
    pub(super) down: BTreeSet<usize>,
    /// Acknowledgements of what is voted for do not arrive.
    pub(super) loses_acks: bool,
    net: VecDeque<(usize, usize, Bytes)>,
    pub(super) sent: Vec<(usize, QuorumMessage)>,
}

pub(super) fn config(i: u8, set: &ValidatorSet) -> Config {
    Config {
        room: ROOM,
        feed: FEED,
        validators: set.clone(),
        hosts: vec![host(1).public(), host(2).public()],
        vote_key: Some(signer(i)),
        host_key: Some(host(i)),
        is_genesis_host: i == 0,
        guard: Guard::Intact,
        timing: Timing::default(),
        #[cfg(feature = "planted-bugs")]
        bug: None,
    }
}

/// Tells whether a message is a vote that acknowledges the QC for what it is for.
fn is_ack(payload: &Bytes) -> bool {
    Frames::new(payload.clone()).any(|frame| {
        let Ok(Frame::Message(Message::Quorum(QuorumMessage::Vote(bytes)))) = frame else { return false };
        let vote = Signed::<Vote>::decode(&bytes).map(|signed| signed.statement);
        vote.is_ok_and(|vote| vote.ack.is_some_and(|ack| ack.length == vote.target.head.length()))
    })
}

impl World {
    /// `n` validators, of which node 0 is the host, and `more` nodes that are none.
    pub(super) fn new(n: u8, more: u8) -> Self {
        Self::of(n, more, FEED)
    }

    /// `n` validators, and the feed of epoch 0.
    pub(super) fn with_feed(n: u8, feed: PublicKey) -> Self {
        Self::of(n, 0, feed)
    }

    /// The same with nodes that are no validators.
    pub(super) fn of(n: u8, more: u8, key: PublicKey) -> Self {
        let set = validators(n);
        let node = |i| {
            let config = Config { feed: key, ..config(i, &set) };
            Node {
                engine: Engine::new(config.clone(), []).unwrap(),
                config,
                records: BTreeMap::new(),
                unsynced: VecDeque::new(),
                syncs: true,
                committed: Vec::new(),
                outputs: Vec::new(),
            }
        };
        let feed = Feed { key, epoch: 0, tree: MemoryTree::new(Flavour::Dat), substance: 0, closes: None };
        let mut world = Self {
            now: Instant::now(),
            nodes: (0..n + more).map(node).collect(),
            feeds: BTreeMap::from([(key, feed)]),
            down: BTreeSet::new(),
            loses_acks: false,
            net: VecDeque::new(),
            sent: Vec::new(),
        };
        world.connect_all();
        world
    }

    fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if a != b {
                    self.input(a, Input::PeerOpened { peer: Peer(b as u64) });
                }
            }
        }
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        if !self.down.contains(&node) {
            self.nodes[node].engine.handle(self.now, input);
            // A driver that is to come back at once would never rest.
            let wanted = self.nodes[node].engine.poll_timeout();
            assert!(wanted.is_none_or(|at| at > self.now), "node {node} asks for a time that is past");
            self.drain(node);
        }
    }

    fn drain(&mut self, from: usize) {
        while let Some(output) = self.nodes[from].engine.poll_output() {
            match &output {
                Output::Persist { ticket, slot, record } => {
                    self.nodes[from].unsynced.push_back((*ticket, *slot, record.clone()));
                }
                Output::Send { peer, payload } => {
                    for frame in Frames::new(payload.clone()) {
                        if let Frame::Message(Message::Quorum(message)) = frame.unwrap() {
                            self.sent.push((from, message));
                        }
                    }
                    if !(self.loses_acks && is_ack(payload)) {
                        self.net.push_back((from, peer.0 as usize, payload.clone()));
                    }
                }
                Output::Committed { epoch, feed, target } => {
                    self.nodes[from].committed.push((*epoch, *feed, *target));
                }
                Output::Append { feed, what: Append::Certificate(body) } => {
                    self.nodes[from].engine.check_final(body.clone()).unwrap();
                    self.append(*feed, 1, false);
                }
                Output::Append { feed, what: Append::EpochStart(body) } => {
                    let start = self.nodes[from].engine.check_start(body.clone()).unwrap();
                    let number = start.epoch().number();
                    let feed = self.feeds.get_mut(feed).unwrap();
                    if feed.epoch >= number {
                        continue;
                    }
                    feed.epoch = number;
                    feed.closes = None;
                    feed.tree.push(body).unwrap();
                    feed.substance = feed.tree.roots().length();
                    self.started(&start);
                    self.announce_feed(start.epoch().feed().copied().unwrap());
                }
                Output::CreateFeed { epoch, .. } => {
                    let feed = PublicKey::new([200 + *epoch as u8; 32]);
                    let epoch = *epoch;
                    self.nodes[from].outputs.push(output.clone());
                    self.input(from, Input::FeedCreated { epoch, feed });
                    continue;
                }
                Output::OpenFeed { feed, .. } if self.feeds.contains_key(feed) => {}
                Output::OpenFeed { epoch, feed, start, .. } => {
                    let start = self.nodes[from].engine.check_start(start.clone()).unwrap();
                    let mut tree = MemoryTree::new(Flavour::Dat);
                    tree.push(b"header").unwrap();
                    let new = Feed { key: *feed, epoch: *epoch, tree, substance: 1, closes: None };
                    self.feeds.insert(*feed, new);
                    self.started(&start);
                    self.announce_feed(*feed);
                }
                _ => {}
            }
            self.nodes[from].outputs.push(output);
        }
    }

    /// All who are up find a start in a feed.
    fn started(&mut self, start: &VerifiedStart) {
        let body = start.start().encode();
        for node in 0..self.nodes.len() {
            if let Ok(start) = self.nodes[node].engine.check_start(body.clone()) {
                self.input(node, Input::Started(Box::new(start)));
            }
        }
    }

    pub(super) fn head(&self, feed: &PublicKey, length: u64) -> Head {
        let roots = self.feeds[feed].tree.roots_at(length).unwrap();
        Head::new(length, roots.tree_hash(Flavour::Dat)).unwrap()
    }

    pub(super) fn checked(&self, feed: &PublicKey, length: u64) -> Checked {
        let feed = &self.feeds[feed];
        Checked {
            epoch: feed.epoch,
            feed: feed.key,
            head: self.head(&feed.key, length),
            state_root: StateRoot::new([length as u8; 32]),
            rules_hash: RulesHash::new([4; 32]),
            substance: feed.substance.min(length),
            closes: feed.closes.clone().filter(|_| feed.tree.roots().length() == length),
        }
    }

    /// Tells all who are up the newest head of a feed.
    pub(super) fn announce_feed(&mut self, feed: PublicKey) {
        let checked = self.checked(&feed, self.feeds[&feed].tree.roots().length());
        for node in 0..self.nodes.len() {
            self.input(node, Input::Checked(checked.clone()));
        }
    }

    /// Appends blocks that everyone checks.
    pub(super) fn append(&mut self, feed: PublicKey, blocks: u64, is_substance: bool) {
        let of = self.feeds.get_mut(&feed).unwrap();
        for _ in 0..blocks {
            let block = format!("block {} of {feed}", of.tree.roots().length());
            of.tree.push(block.as_bytes()).unwrap();
            if is_substance {
                of.substance = of.tree.roots().length();
            }
        }
        self.announce_feed(feed);
    }

    /// Appends a change of validators.
    pub(super) fn change(&mut self, feed: PublicKey, next: ValidatorSet, block: Bytes) {
        let of = self.feeds.get_mut(&feed).unwrap();
        of.tree.push(&block).unwrap();
        let length = of.tree.roots().length();
        of.substance = length;
        let nodes = Inclusion::nodes(length - 1, length, |node| of.tree.node(node)).unwrap();
        of.closes = Some(Box::new(Closes { next, block, nodes }));
        self.announce_feed(feed);
    }

    /// Writes what waits for the disk of a node.
    pub(super) fn sync(&mut self, node: usize) {
        while let Some((ticket, slot, record)) = self.nodes[node].unsynced.pop_front() {
            self.nodes[node].records.insert(slot, record);
            self.input(node, Input::Persisted { ticket });
        }
    }

    /// Delivers and syncs until nothing is left to do at this time.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            for node in 0..self.nodes.len() {
                if self.nodes[node].syncs && !self.down.contains(&node) {
                    self.sync(node);
                }
            }
            let Some((from, to, payload)) = self.net.pop_front() else {
                let idle = |node: &Node| !node.syncs || node.unsynced.is_empty();
                let is_idle = (0..self.nodes.len()).all(|i| self.down.contains(&i) || idle(&self.nodes[i]));
                if is_idle {
                    return;
                }
                continue;
            };
            if !self.down.contains(&from) {
                self.input(to, Input::Message { peer: Peer(from as u64), payload });
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let up = (0..self.nodes.len()).filter(|node| !self.down.contains(node));
            let due = up.filter_map(|node| self.nodes[node].engine.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due) + Duration::from_millis(1);
            for node in 0..self.nodes.len() {
                self.input(node, Input::Timeout);
            }
        }
        self.now = self.now.max(end);
    }

    /// A signed action waits at all nodes.
    pub(super) fn pending(&mut self, since: Option<Instant>) {
        for node in 0..self.nodes.len() {
            self.input(node, Input::Pending { since });
        }
    }

    /// Crashes a node and starts it again, with what its disk has or with other records.
    pub(super) fn restart(&mut self, node: usize, records: Option<BTreeMap<Slot, Bytes>>) {
        let of = &mut self.nodes[node];
        of.unsynced.clear();
        if let Some(records) = records {
            of.records = records;
        }
        of.engine = Engine::new(of.config.clone(), of.records.clone()).unwrap();
        self.net.retain(|(from, to, _)| *from != node && *to != node);
        for other in 0..self.nodes.len() {
            if other != node {
                self.input(other, Input::PeerClosed { peer: Peer(node as u64) });
                self.input(other, Input::PeerOpened { peer: Peer(node as u64) });
                self.input(node, Input::PeerOpened { peer: Peer(other as u64) });
            }
        }
        if let Some(voted) = self.nodes[node].engine.last_vote() {
            let feed = self.nodes[node].engine.epoch().feed().copied().unwrap();
            let checked = self.checked(&feed, voted.length());
            self.input(node, Input::Checked(checked));
        }
        if let Some(feed) = self.nodes[node].engine.epoch().feed().copied()
            && self.feeds.contains_key(&feed)
            && self.feeds[&feed].tree.roots().length() > 0
        {
            let checked = self.checked(&feed, self.feeds[&feed].tree.roots().length());
            self.input(node, Input::Checked(checked));
        }
    }

    /// Last commit of a node.
    pub(super) fn last(&self, node: usize) -> Option<(u64, PublicKey, u64)> {
        self.nodes[node].committed.last().map(|(epoch, feed, target)| (*epoch, *feed, target.head.length()))
    }

    /// What all nodes have committed is one history, nobody has alarms or evidence.
    pub(super) fn check_agreement(&self) {
        let mut heads = BTreeMap::new();
        for node in &self.nodes {
            let ranks: Vec<_> =
                node.committed.iter().map(|(epoch, _, target)| (*epoch, target.head.length())).collect();
            assert!(ranks.is_sorted(), "{ranks:?}");
            for (epoch, feed, target) in &node.committed {
                let known = *heads.entry((*epoch, target.head.length())).or_insert((*feed, *target));
                assert_eq!(known, (*feed, *target));
            }
        }
    }

    pub(super) fn check_peace(&self) {
        self.check_agreement();
        for node in &self.nodes {
            assert_eq!(node.engine.evidence().count(), 0);
            let trouble = node.outputs.iter().find(|output| {
                matches!(output, Output::Alarm(_) | Output::Disconnect { .. } | Output::Exposed(_))
            });
            assert_eq!(trouble, None);
        }
    }
}
