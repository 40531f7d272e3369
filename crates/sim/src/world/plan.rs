//! What happens in a run, as it follows from a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_quorum::engine::{Guard, Timing};
use quorate_quorum::key::Signer;
use quorate_quorum::memo::remembering;
use quorate_quorum::validators::ValidatorSet;
use quorate_types::{PublicKey, RoomId};

use super::World;
use super::checks::Violation;
use super::coverage::Coverage;
use super::history::Writer;
use super::network::Weather;
use super::node::{Identity, Room};
use super::planted::Planted;
use super::registry::{Block, hash};
use super::rng::Rng;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// Hash of everything that happened.
    pub digest: [u8; 16],
    /// What was met.
    pub coverage: Coverage,
}

/// Who takes part in a world.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Validators; each may host, the first begins.
    pub validators: usize,
    /// Nodes without a vote.
    pub observers: usize,
    /// Validators that run twice, with one identity.
    pub twins: Vec<usize>,
    /// Validators that break the rules in another way; they run an engine only when someone starts it.
    pub faulty: Vec<usize>,
    /// The bug that every engine has.
    pub planted: Option<Planted>,
    /// Time after which a stalled host is left.
    pub patience: Duration,
}

impl Cast {
    /// That many honest validators and one observer.
    pub fn honest(validators: usize) -> Self {
        Self {
            validators,
            observers: 1,
            twins: Vec::new(),
            faulty: Vec::new(),
            planted: None,
            patience: Duration::from_millis(600),
        }
    }

    /// Returns the numbers of the nodes that the validators' second copies run as.
    pub fn second_copies(&self) -> std::ops::Range<usize> {
        let first = self.validators + self.observers;
        first..first + self.twins.len()
    }

    /// Makes the world, and its first feed; all nodes are down.
    pub fn world(&self, mut rng: Rng) -> World {
        let is_faulty = |at: &usize| self.twins.contains(at) || self.faulty.contains(at);
        let mut identities = Vec::new();
        for at in 0..self.validators + self.observers {
            let votes = at < self.validators;
            identities.push(Identity {
                // Observers may become validators.
                vote: Some(Signer::from_seed(&rng.bytes())),
                host: votes.then(|| Signer::from_seed(&rng.bytes())),
                is_genesis_host: at == 0,
                feed_seed: rng.bytes(),
                is_faulty: is_faulty(&at),
            });
        }
        for (copy, twin) in self.twins.iter().enumerate() {
            let mut identity = identities[*twin].clone();
            // Some twins share the keys of their feeds, so that these fork; others grant two feeds.
            if copy % 2 == 1 {
                identity.feed_seed = rng.bytes();
            }
            identities.push(identity);
        }
        let seed = hash(&[&identities[0].feed_seed, b"genesis"]);
        let (_, history) = Writer::new(seed.as_bytes());
        let validators = identities[..self.validators].iter();
        let hosts: Vec<_> =
            validators.clone().filter_map(|identity| Some(identity.host.as_ref()?.public())).collect();
        let votes = validators.filter_map(|identity| Some(identity.vote.as_ref()?.public()));
        let room = Room {
            id: RoomId::new(*hash(&[history.key.as_bytes()]).as_bytes()),
            feed: history.key,
            validators: validator_set(votes, self.planted),
            hosts: hosts.iter().skip(1).chain(hosts.first()).copied().collect(),
            timing: Timing {
                patience: self.patience,
                proposal: Duration::from_millis(60),
                again: Duration::from_millis(60),
                ack: Duration::from_millis(2),
                certificate: Duration::from_millis(400),
            },
            planted: self.planted,
        };
        let feed = history.key;
        let mut world = World::new(room, identities, rng);
        let mut first = history;
        let (writer, _) = Writer::new(seed.as_bytes());
        world.registry.append(&writer, &mut first, &Block::Genesis, 0);
        let first = std::sync::Arc::new(first);
        for node in 0..world.nodes.len() {
            let copy = super::node::Copy { histories: vec![first.clone()], told: 0, started: false };
            world.nodes[node].feeds.insert(feed, copy);
            if world.nodes[node].identity.is_genesis_host {
                let (writer, _) = Writer::new(seed.as_bytes());
                world.nodes[node].writers.insert(feed, writer);
            }
        }
        world
    }
}

fn validator_set(keys: impl Iterator<Item = PublicKey>, planted: Option<Planted>) -> ValidatorSet {
    let set = match planted {
        #[cfg(feature = "planted-bugs")]
        Some(Planted::Majority) => ValidatorSet::with_planted_majority(keys),
        _ => ValidatorSet::new(keys, 0),
    };
    set.expect("validators of a world differ")
}

/// Runs a seed twice; the second run must do the same.
pub fn run_twice(seed: u64, run: impl Fn(u64) -> Outcome) -> Outcome {
    // What one node has found out about a signature holds for all: most of the time of a run would go into that.
    remembering(|| {
        let mut outcome = run(seed);
        if run(seed).digest != outcome.digest {
            outcome.violations.push(Violation::NotDeterministic);
        }
        outcome
    })
}

/// Ends a run: everyone is up and connected, and what is asked for must become final, if it can.
pub fn settle(world: &mut World, can_vote: bool) {
    world.weather = Weather::CALM;
    world.sync_us = (4_000, 0);
    for node in 0..world.nodes.len() {
        world.nodes[node].disk_stuck = false;
        if !world.nodes[node].identity.is_faulty {
            world.start(node);
        }
    }
    world.heal();
    world.run_for(Duration::from_secs(2));
    let node = world.honest_up().first().copied().unwrap_or(0);
    let action = world.act(node);
    if world.run_until(Duration::from_secs(180), |world| world.is_done(action)) || !can_vote {
        world.run_for(Duration::from_secs(12));
    }
    if can_vote && !world.is_broken() {
        world.check_done(action);
    }
    world.check_evidence_spread();
    world.check_end();
}

/// What a world came to.
pub fn outcome(world: World) -> Outcome {
    let digest = world.digest();
    Outcome { violations: world.violations, digest, coverage: world.coverage }
}

/// What a run of chance has beside the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// Hosts put changes of validators into their feeds.
    pub changes: bool,
    /// The bug that every engine has.
    pub planted: Option<Planted>,
    /// What happens is printed.
    pub is_watched: bool,
}

/// A run of chance: faults, partitions, crashes, steered so that hosts are left and Finals form in several epochs.
pub fn random(seed: u64, extras: Extras) -> Outcome {
    let Extras { changes, planted, is_watched } = extras;
    let mut rng = Rng::new(seed);
    let mut cast = Cast::honest(*rng.pick(&[4, 4, 4, 4, 5, 7]).unwrap_or(&4));
    cast.planted = planted;
    cast.patience = Duration::from_millis(rng.between(200..=900));
    let f = (cast.validators - 1) / 3;
    for _ in 0..f {
        match rng.below(4) {
            0 => cast.twins.push(0),
            1 => cast.twins.push(rng.below(cast.validators as u64) as usize),
            2 => cast.faulty.push(rng.below(cast.validators as u64) as usize),
            _ => {}
        }
    }
    cast.twins.dedup();
    let mut world = cast.world(Rng::new(rng.bits()));
    world.is_watched = is_watched;
    world.weather = Weather {
        drop: *rng.pick(&[0, 0, 20, 150]).unwrap_or(&0),
        duplicate: *rng.pick(&[0, 0, 50]).unwrap_or(&0),
        reorder: *rng.pick(&[0, 0, 50, 200]).unwrap_or(&0),
        latency_us: rng.between(500..=20_000),
        jitter_us: rng.between(0..=30_000),
    };
    world.sync_us = (rng.between(500..=6_000), rng.between(0..=40_000));
    for node in 0..world.nodes.len() {
        if !cast.faulty.contains(&node) {
            world.start(node);
        }
    }
    let can_lose = f.saturating_sub(cast.twins.len() + cast.faulty.len());
    let mut chaos = Chaos { rng, can_lose, changes, down: BTreeSet::new() };
    for _ in 0..chaos.rng.between(4..=12) {
        chaos.step(&mut world);
        let pause = chaos.rng.between(20..=1_200);
        world.run_for(Duration::from_millis(pause));
    }
    settle(&mut world, true);
    outcome(world)
}

/// Decides what happens next.
struct Chaos {
    rng: Rng,
    /// Validators that may still lose their records.
    can_lose: usize,
    /// Whether validators change.
    changes: bool,
    /// Nodes that were put down.
    down: BTreeSet<usize>,
}

impl Chaos {
    fn step(&mut self, world: &mut World) {
        let nodes = world.nodes.len();
        for _ in 0..self.rng.below(3) {
            let node = self.rng.below(nodes as u64) as usize;
            if world.nodes[node].engine.is_some() {
                world.act(node);
            }
        }
        let node = self.rng.below(nodes as u64) as usize;
        match self.rng.below(11) {
            // The host is cut off: the others leave it.
            0 | 1 => {
                let epoch = world.nodes.iter().map(|node| node.epoch).max().unwrap_or(0) as usize;
                let validators = world.room.validators.n();
                let groups = (0..nodes).map(|at| u32::from(at % validators == epoch % validators)).collect();
                world.coverage.partitions += 1;
                world.partition(groups);
            }
            // Two groups.
            2 | 3 => {
                let groups = (0..nodes).map(|_| self.rng.below(2) as u32).collect();
                world.coverage.partitions += 1;
                world.partition(groups);
            }
            4 => world.heal(),
            5 | 6 => {
                if self.down.remove(&node) {
                    world.start(node);
                } else if world.nodes[node].engine.is_some() {
                    world.crash(node);
                    self.down.insert(node);
                }
            }
            7 => {
                // A power cut at once, and back.
                if world.nodes[node].engine.is_some() {
                    world.crash(node);
                    self.maybe_restore(world, node);
                    world.start(node);
                }
            }
            8 => world.nodes.iter_mut().for_each(|node| node.disk.back_up()),
            9 if self.changes => {
                let candidate = world.room.validators.n();
                for host in 0..nodes {
                    world.change_validators(host, candidate);
                }
            }
            _ => world.nodes[node].disk_stuck ^= true,
        }
    }

    fn maybe_restore(&mut self, world: &mut World, node: usize) {
        let votes = !world.nodes[node].identity.is_faulty;
        if votes && self.can_lose > 0 && self.rng.per_mille(500) {
            world.restore(node);
            if world.nodes[node].guard == Guard::Recovering {
                self.can_lose -= 1;
            }
        }
    }
}
