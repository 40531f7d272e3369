//! Relays on a seeded network that drops, delays and duplicates, around a host with a model of a room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_proto::quorate1::kind;
use quorate_stream::action::UnsignedAction;
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::identity::{Anchor, Author, b2b256};
use quorate_stream::refusal::{Refusal, RoomCode, RuleRef};
use quorate_stream::submit::{Answer, Fault, Input, Output, Peer, Relay, SubmissionState};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId};

pub(crate) const ROOM: RoomId = RoomId::new([5; 32]);

/// splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub(crate) fn host_key() -> Author {
    Author::from_seed(&[100; 32])
}

pub(crate) fn author(number: usize) -> Author {
    Author::from_seed(&[number as u8 + 1; 32])
}

pub(crate) fn action(author: &Author, sequence: u64, payload: &str) -> VerifiedEntry {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let unsigned = UnsignedAction { sequence, anchor: Anchor::NONE, valid_until: 0, payload };
    unsigned.sign(&ROOM, author).unwrap().into()
}

/// A room as the host sees it: payloads say what its one rule thinks of them.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) log: Vec<VerifiedEntry>,
    sequences: BTreeMap<PublicKey, u64>,
    pub(crate) modules: BTreeSet<ModuleHash>,
    /// Answers [`Answer::Later`] to each first question.
    pub(crate) hesitates: bool,
    asked: BTreeSet<Hash>,
    /// How often each entry was decided.
    pub(crate) decided: BTreeMap<Hash, u32>,
}

impl Room {
    fn answer(&mut self, entry: &VerifiedEntry, module: Option<&Bytes>) -> Answer {
        if self.hesitates && self.asked.insert(*entry.digest()) {
            return Answer::Later;
        }
        let next = self.sequences.entry(*entry.author()).or_default();
        if entry.sequence() > *next {
            return Answer::Refused(Refusal::new(RoomCode::SequenceSkipped, format!("expected {next}")));
        }
        *self.decided.entry(*entry.digest()).or_default() += 1;
        if entry.sequence() < *next {
            return Answer::Refused(Refusal::new(RoomCode::Replayed, "it is there already"));
        }
        match entry {
            VerifiedEntry::Action(action) if action.payload.starts_with(b"bad") => {
                let rule = RuleRef { id: RuleId::new([9; 32]), name: "no-bad".into() };
                return Answer::Refused(Refusal::by_rule(RoomCode::RuleRejected, rule, 3, "it is bad"));
            }
            VerifiedEntry::Action(_) => {}
            VerifiedEntry::RuleChange(change) => {
                if let Some(hash) = change.change.module().filter(|hash| !self.modules.contains(hash)) {
                    let Some(module) = module else {
                        self.decided.remove(entry.digest());
                        return Answer::NeedsModule;
                    };
                    assert_eq!(ModuleHash::of(module), *hash);
                    self.modules.insert(*hash);
                }
            }
        }
        *next += 1;
        self.log.push(entry.clone());
        Answer::Appended { index: self.log.len() as u64 }
    }
}

pub(crate) struct Node {
    pub(crate) relay: Relay,
    /// Other end of each open link, by the name that it has here.
    links: BTreeMap<Peer, (usize, Peer)>,
    timer: Option<Instant>,
    /// Entries of the host's log that are known here.
    known: usize,
    pub(crate) ends: BTreeMap<Hash, SubmissionState>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) sent: usize,
    pub(crate) parts_sent: usize,
}

#[derive(Debug)]
enum Happening {
    Deliver { node: usize, peer: Peer, payload: Bytes },
    Timer { node: usize },
    Closed { node: usize, peer: Peer },
    Block { node: usize },
    Answer { digest: Hash, answer: Answer },
}

pub(crate) struct World {
    pub(crate) now: Instant,
    begin: Instant,
    pub(crate) random: Random,
    pub(crate) nodes: Vec<Node>,
    pub(crate) room: Room,
    agenda: BTreeMap<(Instant, u64), Happening>,
    counter: u64,
    next_peer: u64,
    pub(crate) drop_percent: u64,
    pub(crate) duplicate_percent: u64,
    /// Messages of one direction overtake each other, as on no connection; several ways to the host do as much.
    pub(crate) reorders: bool,
    last_arrival: BTreeMap<Peer, Instant>,
    /// Blocks reach every node, by whatever way.
    pub(crate) replicates: bool,
    /// What happened, as a hash: the same seed gives the same.
    pub(crate) trace: Hash,
}

impl World {
    /// Makes nodes of which the first is the host.
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let now = Instant::now();
        let relay = |node| match node {
            0 => Relay::host(ROOM, host_key()).unwrap(),
            _ => Relay::follower(ROOM, host_key().public()).unwrap(),
        };
        let node = |number| Node {
            relay: relay(number),
            links: BTreeMap::new(),
            timer: None,
            known: 0,
            ends: BTreeMap::new(),
            faults: Vec::new(),
            sent: 0,
            parts_sent: 0,
        };
        Self {
            now,
            begin: now,
            random: Random(seed),
            nodes: (0..nodes).map(node).collect(),
            room: Room::default(),
            agenda: BTreeMap::new(),
            counter: 0,
            next_peer: 1,
            drop_percent: 0,
            duplicate_percent: 0,
            reorders: false,
            last_arrival: BTreeMap::new(),
            replicates: true,
            trace: Hash::new([0; 32]),
        }
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) {
        let (at_a, at_b) = (Peer(self.next_peer), Peer(self.next_peer + 1));
        self.next_peer += 2;
        self.nodes[a].links.insert(at_a, (b, at_b));
        self.nodes[b].links.insert(at_b, (a, at_a));
        self.input(a, Input::PeerOpened { peer: at_a });
        self.input(b, Input::PeerOpened { peer: at_b });
    }

    /// Opens a link that only a test speaks on; returns its name at the node.
    pub(crate) fn stranger(&mut self, node: usize) -> Peer {
        let peer = Peer(self.next_peer);
        self.next_peer += 1;
        self.input(node, Input::PeerOpened { peer });
        peer
    }

    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        self.nodes[a].links.values().any(|(other, _)| *other == b)
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        let links = self.nodes[a].links.iter();
        let peers: Vec<_> =
            links.filter(|(_, (other, _))| *other == b).map(|(at_a, (_, at_b))| (*at_a, *at_b)).collect();
        for (at_a, at_b) in peers {
            self.nodes[a].links.remove(&at_a);
            self.nodes[b].links.remove(&at_b);
            self.plan(Duration::ZERO, Happening::Closed { node: a, peer: at_a });
            self.plan(Duration::ZERO, Happening::Closed { node: b, peer: at_b });
        }
    }

    /// Starts a node anew: it remembers nothing but the log.
    pub(crate) fn restart(&mut self, node: usize) {
        self.forget(node);
        self.nodes[node].known = 0;
        self.know_all(node);
    }

    /// Starts a node anew that does not look at its log.
    pub(crate) fn forget(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.cut(node, other);
        }
        self.nodes[node].relay = match node {
            0 => Relay::host(ROOM, host_key()).unwrap(),
            _ => Relay::follower(ROOM, host_key().public()).unwrap(),
        };
        self.nodes[node].timer = None;
    }

    pub(crate) fn submit(&mut self, node: usize, entry: &VerifiedEntry, module: Option<Bytes>) {
        let digest = self.nodes[node].relay.submit(self.now, entry.clone(), module, None).unwrap();
        assert_eq!(digest, *entry.digest());
        self.drain(node);
    }

    /// Runs until a time from now on has passed.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(((at, _), _)) = self.agenda.first_key_value() {
            if *at > end {
                break;
            }
            let ((at, _), happening) = self.agenda.pop_first().unwrap();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        let text = format!("{:?} {happening:?}", self.now - self.begin);
        self.trace = b2b256(&[self.trace.as_ref(), text.as_bytes()].concat());
        match happening {
            Happening::Deliver { node, peer, payload } => {
                if self.nodes[node].links.contains_key(&peer) {
                    self.input(node, Input::Message { peer, payload });
                }
            }
            Happening::Timer { node } => {
                self.nodes[node].timer = None;
                self.input(node, Input::Timeout);
            }
            Happening::Closed { node, peer } => self.input(node, Input::PeerClosed { peer }),
            Happening::Answer { digest, answer } => {
                let appended = matches!(answer, Answer::Appended { .. });
                self.input(0, Input::Answered { digest, answer });
                if appended && self.replicates {
                    self.replicate();
                }
            }
            Happening::Block { node } => self.know_all(node),
        }
    }

    /// Lets every node know all blocks before long.
    pub(crate) fn replicate(&mut self) {
        for node in 0..self.nodes.len() {
            let after = Duration::from_millis(self.random.below(if node == 0 { 2 } else { 400 }));
            self.plan(after, Happening::Block { node });
        }
    }

    fn know_all(&mut self, node: usize) {
        while let Some(entry) = self.room.log.get(self.nodes[node].known).cloned() {
            self.nodes[node].known += 1;
            let index = self.nodes[node].known as u64;
            let (digest, author, sequence) = (*entry.digest(), *entry.author(), entry.sequence());
            self.input(node, Input::Appeared { digest, author, sequence, index });
        }
        let length = self.nodes[node].known as u64 + 1;
        self.input(node, Input::Head { length, tree_hash: b2b256(&length.to_le_bytes()) });
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.counter += 1;
        self.agenda.insert((self.now + after, self.counter), happening);
    }

    pub(crate) fn input(&mut self, node: usize, input: Input) {
        self.nodes[node].relay.handle(self.now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].relay.poll_output() {
            self.output(node, output);
        }
        if let Some(at) = self.nodes[node].relay.poll_timeout()
            && self.nodes[node].timer.is_none_or(|timer| at < timer)
        {
            self.nodes[node].timer = Some(at);
            self.plan(at.saturating_duration_since(self.now), Happening::Timer { node });
        }
    }

    fn output(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { peer, payload } => {
                self.nodes[node].sent += 1;
                self.nodes[node].parts_sent += usize::from(payload[0] == kind::MODULE);
                let Some((other, at_other)) = self.nodes[node].links.get(&peer).copied() else { return };
                let copies = 1 + u64::from(self.random.chance(self.duplicate_percent));
                for _ in 0..copies {
                    if self.random.chance(self.drop_percent) {
                        continue;
                    }
                    let mut at = self.now + Duration::from_micros(self.random.below(30_000));
                    if !self.reorders {
                        let last = self.last_arrival.entry(peer).or_insert(at);
                        at = at.max(*last);
                        *last = at;
                    }
                    let delay = at - self.now;
                    let payload = payload.clone();
                    self.plan(delay, Happening::Deliver { node: other, peer: at_other, payload });
                }
            }
            Output::Offer { digest, entry, module } => {
                assert_eq!(node, 0, "only the host is asked");
                let answer = self.room.answer(&entry, module.as_ref());
                self.plan(Duration::from_millis(1), Happening::Answer { digest, answer });
            }
            Output::Submission { digest, state } => {
                let before = self.nodes[node].ends.insert(digest, state);
                assert_eq!(before, None, "an entry ends once");
            }
            Output::PeerStatus { .. } => {}
            Output::Heard { .. } | Output::Settled { .. } => panic!("nobody else hosts this room"),
            Output::Disconnect { peer, fault } => {
                self.nodes[node].faults.push(fault);
                if let Some((other, _)) = self.nodes[node].links.get(&peer).copied() {
                    self.cut(node, other);
                }
            }
        }
    }

    /// Index at which an entry stands in the log.
    pub(crate) fn index(&self, digest: &Hash) -> Option<u64> {
        self.room.log.iter().position(|entry| entry.digest() == digest).map(|at| at as u64 + 1)
    }
}
