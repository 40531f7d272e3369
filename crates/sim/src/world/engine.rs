//! Driving the engines: inputs in, outputs out.

use bytes::Bytes;
use quorate_quorum::engine::{Append, Base, Engine, Guard, Input, Output, Peer, Ticket};
use quorate_types::PublicKey;

use super::checks::Violation;
use super::history::Writer;
use super::network::Cut;
use super::registry::{Block, hash};
use super::{Event, RECONNECT_US, TICK_US, World};

/// Time that making a key pair takes, microseconds.
const CREATE_US: u64 = 1_000;

/// Shortest time after which a disk that has stopped syncing is looked at again, microseconds: for each write that
/// waits, so that a shorter one makes a run of nothing else.
const STUCK_US: u64 = 20_000;

impl World {
    /// Starts a node on what its disk holds.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].engine.is_some() {
            return;
        }
        self.note("start", &[node as u8]);
        let config = self.nodes[node].config(&self.room);
        let records = self.nodes[node].disk.records().clone();
        let engine = match Engine::new(config, records) {
            Ok(engine) => engine,
            Err(error) => {
                self.violations.push(Violation::Start { node, error: error.to_string() });
                return;
            }
        };
        let here = &mut self.nodes[node];
        here.engine = Some(engine);
        here.boot += 1;
        here.alarm = None;
        here.epoch = 0;
        here.current = Some(self.room.feed);
        here.validators = Some(self.room.validators.clone());
        let boot = here.boot;
        self.rewind(node);
        self.drain(node);
        self.replay(node);
        self.pending(node);
        let pace = self.now + self.pace_us();
        self.at(pace, Event::Pace { node, boot });
        for other in 0..self.nodes.len() {
            if other != node {
                self.connect(node, other);
            }
        }
    }

    /// The power fails at a node.
    pub fn crash(&mut self, node: usize) {
        if self.nodes[node].engine.take().is_none() {
            return;
        }
        self.note("crash", &[node as u8]);
        let loss = self.nodes[node].disk.crash(&mut self.rng);
        self.coverage.crashes += 1;
        self.coverage.lost_writes += loss.lost as u64;
        self.coverage.torn_writes += u64::from(loss.torn);
        self.nodes[node].peers.clear();
        for other in 0..self.nodes.len() {
            if other != node {
                self.disconnect(node, other);
            }
        }
    }

    /// An old copy of the records is put back at a node that is down; its guard notices.
    pub fn restore(&mut self, node: usize) {
        if self.nodes[node].engine.is_none() && self.nodes[node].disk.restore() {
            self.nodes[node].guard = Guard::Recovering;
            self.coverage.restores += 1;
        }
    }

    /// Gives an input to a node that is up, and does what it asks for.
    pub(super) fn input(&mut self, node: usize, input: Input) {
        let now = self.instant(self.now);
        if let Some(engine) = &mut self.nodes[node].engine {
            engine.handle(now, input);
            self.drain(node);
        }
    }

    /// An engine's time has come, unless it has asked for another one since.
    pub(super) fn ring(&mut self, node: usize, boot: u64) {
        if self.is_up(node, boot) && self.nodes[node].alarm == Some(self.now) {
            self.nodes[node].alarm = None;
            self.input(node, Input::Timeout);
            let wanted = self.nodes[node].engine.as_ref().and_then(Engine::poll_timeout);
            if wanted.is_some_and(|at| at <= self.instant(self.now)) && self.coverage.spins == 0 {
                self.coverage.spins += 1;
                self.violations.push(Violation::Spins { node });
            }
        }
    }

    /// Writes have become durable.
    pub(super) fn synced(&mut self, node: usize, boot: u64, up_to: Ticket) {
        if !self.is_up(node, boot) {
            return;
        }
        if self.nodes[node].disk_stuck {
            let again = self.now + self.sync_us.0.max(STUCK_US);
            self.at(again, Event::Synced { node, boot, up_to });
            return;
        }
        for ticket in self.nodes[node].disk.sync(up_to) {
            self.coverage.synced += 1;
            self.input(node, Input::Persisted { ticket });
        }
    }

    /// Does everything that an engine asks for.
    pub(super) fn drain(&mut self, node: usize) {
        let mut entered = false;
        while let Some(output) = self.nodes[node].engine.as_mut().and_then(Engine::poll_output) {
            entered |= matches!(output, Output::Entered { .. });
            self.output(node, output);
        }
        if entered {
            self.replay(node);
        }
        let Some(engine) = &self.nodes[node].engine else { return };
        let wanted = engine
            .poll_timeout()
            .map(|at| at.saturating_duration_since(self.start).as_micros() as u64)
            .map(|at| if at > self.now { at } else { self.now + TICK_US });
        if wanted != self.nodes[node].alarm {
            self.nodes[node].alarm = wanted;
            let boot = self.nodes[node].boot;
            if let Some(at) = wanted {
                self.at(at, Event::Alarm { node, boot });
            }
        }
    }

    fn output(&mut self, node: usize, output: Output) {
        match output {
            Output::Persist { ticket, slot, record } => {
                let boot = self.nodes[node].boot;
                self.nodes[node].disk.write(ticket, slot, record);
                let at = self.now + self.sync_us.0 + self.rng.below(self.sync_us.1 + 1);
                self.at(at, Event::Synced { node, boot, up_to: ticket });
            }
            Output::Send { peer, payload } => self.send(node, peer, payload),
            Output::Disconnect { peer, fault } => {
                let Some(other) = self.network.node(node, peer) else { return };
                self.note("disconnect", &[node as u8, other as u8]);
                self.coverage.disconnects += 1;
                if !self.nodes[other].identity.is_faulty && !self.nodes[node].identity.is_faulty {
                    let fault = fault.to_string();
                    self.violations.push(Violation::HonestPeerDropped { node, other, fault });
                }
                self.cuts.push(Cut { node, other, fault });
                // The machine has forgotten the peer already.
                self.nodes[node].peers.remove(&peer);
                self.disconnect(node, other);
                self.at(self.now + RECONNECT_US, Event::Connect { a: node, b: other });
            }
            Output::Committed { epoch, feed, target } => {
                let (length, hash) = (target.head.length() as u8, target.head.tree_hash().as_bytes());
                self.note("committed", &[&[node as u8, epoch as u8, length], &hash[..]].concat());
                self.check_commit(node, epoch, feed, target);
            }
            Output::Append { feed, what } => self.append_for_engine(node, feed, what),
            Output::CreateFeed { epoch, base: _ } => self.create_feed(node, epoch),
            Output::OpenFeed { epoch, feed, base, start } => self.open_feed(node, epoch, feed, base, start),
            Output::Entered { epoch, base, feed, validators } => {
                self.nodes[node].validators = Some(*validators);
                self.entered(node, epoch, base, feed);
            }
            Output::Judge(evidence) => {
                // Whoever holds the blocks runs the rules again.
                if let Ok(evidence) = evidence.verify(&self.room.id, &self.registry) {
                    self.input(node, Input::Evidence(Box::new(evidence)));
                }
            }
            Output::Compare(votes) => self.compare_votes(node, &votes),
            Output::Voted(_) | Output::Rejected(_) | Output::Storage { .. } => {}
            Output::Exposed(evidence) => {
                self.note(
                    "exposed",
                    &[&[node as u8, evidence.kind() as u8], &evidence.culprit().as_bytes()[..]].concat(),
                );
                self.check_exposed(node, &evidence);
            }
            Output::Alarm(alarm) => self.check_alarm(node, alarm),
        }
    }

    fn send(&mut self, node: usize, peer: Peer, payload: Bytes) {
        let Some(to) = self.network.node(node, peer) else { return };
        if !self.nodes[node].identity.is_faulty {
            self.ledger.record(&payload);
            self.check_durable(node, &payload);
        }
        self.transmit(node, to, |connection| Event::Message {
            from: node,
            to,
            connection,
            payload: payload.clone(),
        });
    }

    /// Sends something over the link between two nodes, if there is one.
    pub(super) fn transmit(&mut self, from: usize, to: usize, event: impl Fn(u64) -> Event) {
        let Some(connection) = self.network.connection(from, to) else { return };
        let traffic = &mut self.coverage.traffic;
        let arrivals = self.network.arrivals(self.now, from, to, &self.weather, traffic, &mut self.rng);
        for arrival in arrivals {
            self.at(arrival, event(connection));
        }
    }

    fn create_feed(&mut self, node: usize, epoch: u64) {
        let boot = self.nodes[node].boot;
        let seed = self.nodes[node].identity.feed_seed;
        let seed = hash(&[&seed, &epoch.to_le_bytes()]);
        let (writer, history) = Writer::new(seed.as_bytes());
        let feed = history.key;
        self.nodes[node].own.entry(epoch).or_insert(feed);
        self.nodes[node].writers.entry(feed).or_insert(writer);
        let at = self.now + CREATE_US;
        self.at(at, Event::Created { node, boot, epoch, feed });
    }

    fn open_feed(&mut self, node: usize, epoch: u64, feed: PublicKey, base: Base, start: Bytes) {
        if self.nodes[node].history(&feed).is_none() {
            self.append(node, feed, &Block::Header(start, base), epoch);
        }
    }

    fn append_for_engine(&mut self, node: usize, feed: PublicKey, what: Append) {
        let block = match what {
            Append::Certificate(body) | Append::Evidence(body) => Block::Carried(body),
            Append::EpochStart(body) => Block::EpochStart(body),
        };
        let epoch = self.nodes[node].epoch;
        let tip = self.nodes[node].history(&feed).and_then(|history| history.head(history.length()));
        let place = tip.and_then(|head| self.registry.get(&feed, &head));
        // After a restart the engine asks for its start again.
        let is_there =
            matches!(block, Block::EpochStart(_)) && place.is_some_and(|place| place.epoch >= epoch);
        if !is_there {
            self.append(node, feed, &block, epoch);
        }
    }

    fn entered(&mut self, node: usize, epoch: u64, base: Base, feed: Option<PublicKey>) {
        let length = base.head.map_or(0, |head| head.length() as u8);
        self.note("entered", &[node as u8, epoch as u8, length, u8::from(feed.is_some())]);
        self.coverage.entered(epoch, base.head.is_some());
        let here = &mut self.nodes[node];
        here.epoch = epoch;
        here.current = feed;
        if let Some(head) = base.head {
            self.prefer(node, base.feed, head);
        }
    }
}
