//! Replicators with model feeds on a seeded network: delays, slow and silent peers, deaths, appends, clears.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use quorate_proto::dat::{Data, FeedMessage, Request};
use quorate_types::{BlockRange, Wire};

use super::model::{Claimed, Model};
use crate::{
    Config, Input, InvestigationResult, LocalFeed, Output, Peer, PeerFault, PeerProfile, Refusal,
    ReplicationEvent, Replicator, Selection,
};

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
}

/// How a node behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// Announces itself as quorate, serves without remembering claims.
    pub(crate) quorate: bool,
    /// Time for each answer.
    pub(crate) service: Duration,
    /// Takes requests and never answers.
    pub(crate) silent: bool,
    pub(crate) wire: Wire,
}

impl Default for Manner {
    fn default() -> Self {
        Self { quorate: true, service: Duration::from_micros(20), silent: false, wire: Wire::B2 }
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) machine: Replicator,
    pub(crate) feed: Model,
    pub(crate) manner: Manner,
    /// Other end of each open link, by the name that it has here.
    links: BTreeMap<Peer, (usize, Peer)>,
    claimed: BTreeMap<Peer, Claimed>,
    busy_until: Instant,
    timer: Option<Instant>,
    pub(crate) seen: Seen,
}

/// What a test looks at.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<ReplicationEvent>,
    pub(crate) faults: Vec<PeerFault>,
    pub(crate) closed: usize,
    /// Blocks that came, with how often.
    pub(crate) received: BTreeMap<u64, u32>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) nodes: usize,
    pub(crate) signatures: usize,
    pub(crate) haves: usize,
    pub(crate) requests: usize,
    pub(crate) max_in_flight: usize,
}

impl Seen {
    pub(crate) fn duplicates(&self) -> u32 {
        self.received.values().map(|&times| times - 1).sum()
    }

    pub(crate) fn synced(&self) -> bool {
        self.events.iter().any(|event| matches!(event, ReplicationEvent::Synced { .. }))
    }
}

#[derive(Debug)]
enum Happening {
    Deliver {
        from: (usize, Peer),
        message: FeedMessage,
    },
    /// The node has time to answer a request.
    Serve {
        node: usize,
        peer: Peer,
    },
    Timer {
        node: usize,
    },
    Closed {
        node: usize,
        peer: Peer,
    },
}

pub(crate) struct World {
    pub(crate) now: Instant,
    begin: Instant,
    pub(crate) random: Random,
    pub(crate) nodes: Vec<Node>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    counter: u64,
    next_peer: u64,
    /// Messages of one direction arrive in order.
    last_arrival: BTreeMap<(usize, Peer), Instant>,
    pub(crate) max_delay: Duration,
    /// Links that a disconnect wants opened again, with a probe.
    pub(crate) reconnects: Vec<(usize, usize, u64)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            begin: now,
            random: Random(seed),
            nodes: Vec::new(),
            agenda: BTreeMap::new(),
            counter: 0,
            next_peer: 1,
            last_arrival: BTreeMap::new(),
            max_delay: Duration::from_millis(5),
            reconnects: Vec::new(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.begin
    }

    pub(crate) fn add(&mut self, config: Config, feed: Model, selection: Selection, manner: Manner) -> usize {
        let node = Node {
            machine: Replicator::new(config),
            feed,
            manner,
            links: BTreeMap::new(),
            claimed: BTreeMap::new(),
            busy_until: self.now,
            timer: None,
            seen: Seen::default(),
        };
        self.nodes.push(node);
        let id = self.nodes.len() - 1;
        self.input(id, Input::Select { selection });
        id
    }

    pub(crate) fn writer(&mut self, blocks: u64, manner: Manner) -> usize {
        let mut feed = Model::default();
        if blocks > 0 {
            feed.append(blocks);
        }
        let config = Config { download: false, ..Config::default() };
        self.add(config, feed, Selection::Nothing, manner)
    }

    pub(crate) fn reader(&mut self, live: bool) -> usize {
        let config = Config { live, ..Config::default() };
        self.add(config, Model::default(), Selection::Everything, Manner::default())
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) -> (Peer, Peer) {
        self.link_with_probe(a, b, None)
    }

    pub(crate) fn link_with_probe(&mut self, a: usize, b: usize, probe: Option<u64>) -> (Peer, Peer) {
        let (at_a, at_b) = (Peer(self.next_peer), Peer(self.next_peer + 1));
        self.next_peer += 2;
        self.nodes[a].links.insert(at_a, (b, at_b));
        self.nodes[b].links.insert(at_b, (a, at_a));
        for (node, peer, other, probe) in [(a, at_a, b, probe), (b, at_b, a, None)] {
            let (wire, quorate) = (self.nodes[other].manner.wire, self.nodes[other].manner.quorate);
            self.nodes[node].claimed.insert(peer, Claimed::default());
            self.input(
                node,
                Input::PeerOpened { peer, profile: PeerProfile { probe, ..PeerProfile::new(wire) } },
            );
            if quorate && self.nodes[node].manner.quorate {
                self.input(node, Input::PeerIsQuorate { peer });
            }
        }
        (at_a, at_b)
    }

    /// Tells whether a link is open at both ends: of one that was cut, the other end hears a little later.
    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        let knows = |one: usize, other: usize| self.nodes[one].links.values().any(|&(far, _)| far == other);
        knows(a, b) && knows(b, a)
    }

    /// Links two nodes, unless they are linked.
    pub(crate) fn link_anew(&mut self, a: usize, b: usize) {
        if !self.is_linked(a, b) {
            self.link(a, b);
        }
    }

    pub(crate) fn cut(&mut self, node: usize, peer: Peer) {
        let Some((other, at_other)) = self.nodes[node].links.remove(&peer) else { return };
        self.plan(Duration::ZERO, Happening::Closed { node, peer });
        // What is under way still arrives.
        let last = self.last_arrival.get(&(node, peer)).copied().unwrap_or(self.now).max(self.now);
        self.plan(last - self.now, Happening::Closed { node: other, peer: at_other });
    }

    /// Cuts every link of a node.
    pub(crate) fn kill(&mut self, node: usize) {
        let peers: Vec<Peer> = self.nodes[node].links.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.cut(node, peer));
    }

    pub(crate) fn append(&mut self, node: usize, count: u64) {
        let range = self.nodes[node].feed.append(count);
        self.input(node, Input::Appended { range });
    }

    pub(crate) fn clear(&mut self, node: usize, range: BlockRange) {
        self.nodes[node].feed.clear(range);
        self.input(node, Input::Cleared { range });
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.counter += 1;
        self.agenda.insert((self.now + after, self.counter), happening);
    }

    pub(crate) fn input(&mut self, node: usize, input: Input) {
        let Node { machine, feed, .. } = &mut self.nodes[node];
        machine.handle(self.now, feed, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].machine.poll_output() {
            self.output(node, output);
        }
        if let Some(at) = self.nodes[node].machine.poll_timeout()
            && self.nodes[node].timer.is_none_or(|timer| at < timer)
        {
            self.nodes[node].timer = Some(at);
            self.plan(at.saturating_duration_since(self.now), Happening::Timer { node });
        }
    }

    fn output(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { peer, message } => self.send(node, peer, message),
            Output::Serve { peer } => {
                if !self.nodes[node].manner.silent {
                    self.serve_later(node, peer);
                }
            }
            Output::Verify { peer, data } => {
                let this = &mut self.nodes[node];
                *this.seen.received.entry(data.index).or_default() += u32::from(data.value.is_some());
                this.seen.nodes += data.nodes.len();
                this.seen.signatures += usize::from(data.signature.is_some());
                let index = data.index;
                match this.feed.put(&data) {
                    Ok((new, upgraded)) => self.input(node, Input::Stored { peer, index, new, upgraded }),
                    Err(refusal) => {
                        this.seen.refused.push(refusal);
                        self.input(node, Input::Refused { peer, index, refusal });
                    }
                }
            }
            Output::Investigate { peer, data } => {
                let result = self.investigate(node, &data);
                self.input(node, Input::Investigated { peer, result });
            }
            Output::Event(event) => self.nodes[node].seen.events.push(event),
            Output::CloseChannel { peer } => {
                self.nodes[node].seen.closed += 1;
                self.cut(node, peer);
            }
            Output::Disconnect { peer, fault, probe } => {
                self.nodes[node].seen.faults.push(fault);
                if let (Some(index), Some(&(other, _))) = (probe, self.nodes[node].links.get(&peer)) {
                    self.reconnects.push((node, other, index));
                }
                self.cut(node, peer);
            }
        }
    }

    fn investigate(&self, node: usize, data: &Data) -> InvestigationResult {
        self.nodes[node].feed.investigate(data)
    }

    fn send(&mut self, node: usize, peer: Peer, message: FeedMessage) {
        if !self.nodes[node].links.contains_key(&peer) {
            return;
        }
        match &message {
            FeedMessage::Have(have) if have.bitfield.is_none() => self.nodes[node].seen.haves += 1,
            FeedMessage::Request(_) => self.nodes[node].seen.requests += 1,
            _ => {}
        }
        let delay = Duration::from_nanos(self.random.below(self.max_delay.as_nanos() as u64));
        let last = self.last_arrival.entry((node, peer)).or_insert(self.now);
        *last = (*last).max(self.now + delay);
        let after = *last - self.now;
        self.plan(after, Happening::Deliver { from: (node, peer), message });
    }

    /// Lets a node answer again that was silent.
    pub(crate) fn end_silence(&mut self, node: usize) {
        if std::mem::take(&mut self.nodes[node].manner.silent) {
            let peers: Vec<Peer> = self.nodes[node].links.keys().copied().collect();
            peers.into_iter().for_each(|peer| self.serve_later(node, peer));
        }
    }

    fn serve_later(&mut self, node: usize, peer: Peer) {
        let this = &mut self.nodes[node];
        this.busy_until = this.busy_until.max(self.now) + this.manner.service;
        let after = this.busy_until - self.now;
        self.plan(after, Happening::Serve { node, peer });
    }

    fn serve(&mut self, node: usize, peer: Peer) {
        if !self.nodes[node].links.contains_key(&peer) {
            return;
        }
        let Some(request) = self.nodes[node].machine.next_request(peer) else { return };
        self.answer(node, peer, &request);
        self.serve_later(node, peer);
    }

    fn answer(&mut self, node: usize, peer: Peer, request: &Request) {
        let Node { feed, claimed, manner, .. } = &mut self.nodes[node];
        let claimed = claimed.entry(peer).or_default();
        if manner.quorate {
            *claimed = Claimed::default();
        }
        if let Some(data) = feed.answer(request, claimed) {
            self.send(node, peer, FeedMessage::Data(data));
        }
    }

    /// Lets things happen until nothing is left to happen, `done` says so, or the time is over.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut steps = 0u64;
        loop {
            if done(self) {
                return true;
            }
            let Some((&(at, _), _)) = self.agenda.first_key_value() else { return false };
            if at > end {
                self.now = end;
                return false;
            }
            steps += 1;
            assert!(steps < 20_000_000, "the world does not come to rest");
            let Some(((at, _), happening)) = self.agenda.pop_first() else { return false };
            self.now = at;
            self.happen(happening);
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { from: (node, peer), message } => {
                // The sender may have closed meanwhile; what it sent before arrives.
                let found = self.nodes.iter().enumerate().find_map(|(other, state)| {
                    let here = state.links.iter().find(|&(_, &far)| far == (node, peer));
                    here.map(|(&at_other, _)| (other, at_other))
                });
                if let Some((other, at_other)) = found {
                    self.input(other, Input::Message { peer: at_other, message });
                    let this = &mut self.nodes[other];
                    let in_flight = this.machine.peers.values().map(crate::peer::PeerState::open).max();
                    this.seen.max_in_flight = this.seen.max_in_flight.max(in_flight.unwrap_or(0));
                }
            }
            Happening::Serve { node, peer } => self.serve(node, peer),
            Happening::Timer { node } => {
                self.nodes[node].timer = None;
                if self.nodes[node].machine.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.input(node, Input::Timeout);
                } else {
                    self.drain(node);
                }
            }
            Happening::Closed { node, peer } => {
                self.nodes[node].links.remove(&peer);
                self.input(node, Input::PeerClosed { peer });
            }
        }
    }

    /// Tells whether the node has everything that the other has.
    pub(crate) fn has_all_of(&self, node: usize, of: usize) -> bool {
        let (here, there) = (&self.nodes[node].feed, &self.nodes[of].feed);
        here.length() >= there.length() && here.count() >= there.count()
    }

    /// Nothing may be held for requests that are not open: a leak would keep blocks from being asked for.
    pub(crate) fn check_nothing_is_leaked(&self, node: usize) {
        let machine = &self.nodes[node].machine;
        let open: BTreeSet<u64> = machine
            .peers
            .values()
            .flat_map(|peer| {
                let investigating = peer.investigating.iter().map(|(sent, _)| sent);
                peer.waiting.iter().chain(&peer.verifying).chain(investigating)
            })
            .map(|sent| sent.index)
            .collect();
        for index in machine.work.singles.keys() {
            assert!(open.contains(index), "block {index} is held by nobody");
        }
        if open.is_empty() {
            assert!(machine.work.claims.is_empty(), "a stretch is held by nobody: {:?}", machine.work.claims);
        }
    }
}
