//! Nodes that come to a room at different times and by different ways agree on every verdict and every state root.
//!
//! `cargo xtask agreement` runs it with a room of 100 000 entries, optimized.

#[allow(unused_imports)]
#[path = "../../crates/rules/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quorate_feed::{Flavour, MemoryTree};
use quorate_interop_tests::{Chance, LedgerRoom, Offer, Workspace};
use quorate_rules::abi::{Call, Host};
use quorate_rules::engine::{Engine, EngineConfig};
use quorate_rules::gate;
use quorate_rules::state::{MemoryStore, Position, RoomStore};
use quorate_rules::verdict::Outcome;
use quorate_store::room_state::RedbStore;
use quorate_stream::identity::{Author, KnownKeys, room_id};
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::room::{Checked, CompileFailure, Prefix, Room, RuleEngine, authenticate_many};
use quorate_types::{Hash, PublicKey, RuleId};
use support::Interpreted;

/// Entries of the room where nothing else is asked for.
const ENTRIES: u64 = 5_000;

const ACCOUNTS: usize = 200;

/// Of so many offers, one is to be refused.
const REFUSED_ONE_IN: u64 = 8;

/// Blocks that a node takes in at once.
const BATCH: usize = 700;

/// Of so many lengths that a node remembers, one is looked at.
const LOOKED_AT: usize = 50;

/// The feed of a room, with what was offered to its host besides.
struct History {
    feed: PublicKey,
    blocks: Vec<Bytes>,
    /// Tree hashes of all lengths.
    hashes: Vec<Hash>,
    /// In the order in which the host got them, the beginning of the room included.
    offers: Vec<Offer>,
    balances: BTreeMap<PublicKey, u64>,
    supply: u64,
}

impl History {
    fn of(entries: u64) -> Self {
        let feed = Author::from_seed(&[1; 32]).public();
        let mut room = LedgerRoom::new(&feed, ACCOUNTS, 256, 3).unwrap();
        let mut offers: Vec<Offer> = Vec::new();
        offers.extend(room.beginning().unwrap().into_iter().map(|block| Offer { block, refused: None }));
        let mut chance = Chance::new(9);
        let mut accepted = 0;
        while accepted < entries {
            // Everybody must have money before anything can be refused for the right reason.
            if accepted > ACCOUNTS as u64 && chance.one_in(REFUSED_ONE_IN) {
                offers.push(room.refused().unwrap());
            } else {
                offers.push(Offer { block: room.accepted().unwrap(), refused: None });
                accepted += 1;
            }
        }
        let (mut tree, mut blocks, mut hashes) = (MemoryTree::new(Flavour::Dat), Vec::new(), Vec::new());
        hashes.push(tree.roots().tree_hash(Flavour::Dat));
        for offer in offers.iter().filter(|offer| offer.refused.is_none()) {
            tree.push(&offer.block).unwrap();
            hashes.push(tree.roots().tree_hash(Flavour::Dat));
            blocks.push(offer.block.clone());
        }
        let balances = room.balances().map(|(key, balance)| (*key, balance)).collect();
        Self { feed, blocks, hashes, offers, balances, supply: room.supply() }
    }

    fn open<S: RoomStore, E: RuleEngine + Clone>(&self, store: S, engine: &E) -> Room<S, E> {
        Room::open(&self.feed, &self.blocks[0], store, engine, self).unwrap()
    }

    /// Offers that come when the room has at least `length` blocks, in order.
    fn offers_from(&self, length: u64) -> &[Offer] {
        let mut accepted = 0;
        let first = self.offers.iter().position(|offer| {
            let found = accepted == length;
            accepted += u64::from(offer.refused.is_none());
            found
        });
        &self.offers[first.unwrap_or(self.offers.len())..]
    }
}

impl Prefix for History {
    fn block(&self, index: u64) -> Option<Bytes> {
        self.blocks.get(index as usize).cloned()
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        self.hashes.get(length as usize).copied()
    }
}

/// What a node says of one offer: who refuses it with what code and reason, or where the room stands with it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Accepted(Position),
    Refused { code: RoomCode, rule: Option<RuleId>, rule_code: Option<u32>, reason: String },
}

/// Offers a block, which is applied when it is accepted.
fn offer<S: RoomStore, E: RuleEngine>(room: &mut Room<S, E>, offer: &Offer, history: &History) -> Said {
    let before = room.position();
    let length = before.length;
    let checked = room.check(offer.block.clone(), history.hashes[length as usize], history);
    let said = match checked {
        Checked::Accepted(effects) => {
            room.apply(effects, history.hashes[length as usize + 1]).unwrap();
            Said::Accepted(room.position())
        }
        Checked::Refused(refusal) => {
            assert_eq!(room.position(), before, "a refusal changes nothing");
            let Refusal { code, rule, rule_code, reason, .. } = refusal;
            Said::Refused { code, rule: rule.map(|rule| rule.id), rule_code, reason }
        }
        Checked::Unable(why) => panic!("no verdict at {length}: {why}"),
    };
    match (&said, offer.refused) {
        (Said::Accepted(position), None) => assert_eq!(position.length, length + 1),
        (Said::Refused { code, rule_code, reason, .. }, Some(expected)) => {
            assert_eq!((*code, *rule_code), expected, "at {length}: {reason}");
            assert!(!reason.is_empty());
        }
        (said, expected) => panic!("at {length}: expected {expected:?}, found {said:?}"),
    }
    said
}

/// An engine that has nothing in common with the one of the nodes but the gate, the meter and the ABI.
#[derive(Clone)]
struct Interpreter;

impl RuleEngine for Interpreter {
    type Rule = Arc<Interpreted>;

    fn compile(&self, module: &[u8]) -> Result<Arc<Interpreted>, CompileFailure> {
        gate::inspect(module).map_err(|error| CompileFailure::Refused { reason: error.to_string() })?;
        Ok(Arc::new(Interpreted::new(module)))
    }

    fn has_opinion(&self, rule: &Arc<Interpreted>) -> bool {
        rule.has_opinion()
    }

    fn check(&self, rule: &Arc<Interpreted>, call: &Call<'_>, host: &mut dyn Host) -> Outcome {
        rule.check(call, host)
    }
}

fn entries() -> u64 {
    std::env::var("QUORATE_AGREEMENT_ENTRIES").map_or(ENTRIES, |text| text.parse().expect("a number"))
}

/// Says how far the test is; shown by `--no-capture`.
fn done(what: &str, started: Instant) {
    eprintln!("{what}: {:.1} s", started.elapsed().as_secs_f64());
}

#[test]
fn nodes_that_start_at_different_times_agree_with_each_other_and_with_a_second_engine() {
    let started = Instant::now();
    let history = History::of(entries());
    let length = history.blocks.len() as u64;
    let id = room_id(&history.feed, &history.blocks[0]);
    let refused = history.offers.iter().filter(|offer| offer.refused.is_some()).count() as u64;
    assert!(refused > entries() / (2 * REFUSED_ONE_IN), "only {refused} are refused");
    done(&format!("{length} blocks and {refused} offers that are refused are made"), started);
    let workspace = Workspace::new().unwrap();
    let engine = Engine::new(EngineConfig { instances: 4, ..EngineConfig::default() }).unwrap();

    // From scratch, into the store on disk; half way it hands a snapshot out.
    let started = Instant::now();
    let store = RedbStore::open(&workspace.join("scratch.redb"), id).unwrap();
    let mut scratch = history.open(store, &engine);
    let mut said = Vec::with_capacity(history.offers.len());
    let mut snapshot = Vec::new();
    for one in &history.offers {
        said.push(offer(&mut scratch, one, &history));
        if scratch.position().length >= length / 2 && snapshot.is_empty() {
            scratch.commit().unwrap();
            scratch.store().export(&mut snapshot).unwrap();
        }
    }
    scratch.commit().unwrap();
    assert_eq!(scratch.position().length, length);
    done("from scratch, on disk", started);

    // What the accounts hold is what their owners think, and nothing is lost.
    let ledger = scratch.registry().named("ledger").unwrap().id;
    let mut sum = 0;
    for (key, expected) in &history.balances {
        let value = scratch.value(&ledger, &[b"b", key.as_bytes().as_slice()].concat()).unwrap();
        let balance = value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()));
        assert_eq!(balance, *expected, "balance of {key}");
        sum += balance;
    }
    assert_eq!(sum, history.supply);

    // From the snapshot on.
    let started = Instant::now();
    let store = RedbStore::import(&workspace.join("late.redb"), id, snapshot.as_slice()).unwrap();
    let mut late = history.open(store, &engine);
    let first = late.position().length;
    assert_eq!(first, length / 2);
    let offers = history.offers_from(first);
    for (one, expected) in offers.iter().zip(&said[said.len() - offers.len()..]) {
        assert_eq!(offer(&mut late, one, &history), *expected);
    }
    assert_eq!(late.position(), scratch.position());
    late.commit().unwrap();
    done("from a snapshot of the middle", started);

    // The two states are the same to the last byte.
    let [mut one, mut other] = [Vec::new(), Vec::new()];
    scratch.store().export(&mut one).unwrap();
    late.store().export(&mut other).unwrap();
    assert!(one == other, "the states differ");

    // The blocks alone, in batches, as nodes that follow take them; now and then it goes back and opens again.
    let started = Instant::now();
    let accepted = said.iter().filter_map(|one| match one {
        Said::Accepted(position) => Some(*position),
        Said::Refused { .. } => None,
    });
    let positions: Vec<Position> = std::iter::once(Position::START).chain(accepted).collect();
    let path = workspace.join("follower.redb");
    let mut follower = history.open(RedbStore::open(&path, id).unwrap(), &engine);
    follower.advance(&history.blocks[0], &history).unwrap();
    let keys = KnownKeys::new();
    for (round, blocks) in history.blocks[1..].chunks(BATCH).enumerate() {
        let start = follower.position().length;
        for again in 0..=usize::from(round % 3 == 2) {
            if again > 0 {
                follower.step_back(start).unwrap();
            }
            let replayed = follower.replay(authenticate_many(&keys, &id, blocks.iter().cloned()), &history);
            assert_eq!((replayed.applied, replayed.stopped), (blocks.len() as u64, None));
        }
        follower = history.open(follower.into_store().unwrap(), &engine);
        for length in (start..=follower.position().length).step_by(LOOKED_AT) {
            let found = follower.store().position_at(length).unwrap();
            assert_eq!(found, Some(positions[length as usize]), "at {length}");
        }
    }
    done("in batches, with ways back", started);

    // The same code in an interpreter, over a state in memory.
    let started = Instant::now();
    let mut second = history.open(MemoryStore::new(), &Interpreter);
    for (one, expected) in history.offers.iter().zip(&said) {
        assert_eq!(offer(&mut second, one, &history), *expected);
    }
    assert_eq!(second.registry(), scratch.registry());
    done("by the second engine", started);
    eprintln!("all agree at {length} blocks: state root {}", scratch.position().state_root);
}
