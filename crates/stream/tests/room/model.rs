//! Random rooms: however their blocks are taken, verdicts and state roots are the same.

use std::sync::Arc;

use quorate_rules::abi::{Call, Host};
use quorate_rules::gate;
use quorate_rules::state::{MemoryStore, RoomStore};
use quorate_rules::verdict::Outcome;
use quorate_stream::refusal::{Refusal, RoomCode, RuleRef};
use quorate_stream::room::{Checked, CompileFailure, Room, RuleEngine};

use crate::random::{Numbers, Offer, RandomRoom, random_room};
use crate::support::Interpreted;
use crate::world::{Chain, engine, feed};

/// What nodes agree on of a refusal: not its words, when they are an engine's.
fn agreed(refusal: &Refusal) -> (RoomCode, Option<RuleRef>, Option<u32>) {
    (refusal.code, refusal.rule.clone(), refusal.rule_code)
}

/// Offers what was offered before, and compares.
fn offer<S: RoomStore, E: RuleEngine>(room: &mut Room<S, E>, offer: &Offer, known: &RandomRoom) {
    let before = room.position();
    assert_eq!(before, known.positions[before.length as usize]);
    let length = before.length as usize;
    let checked = room.check(offer.block.clone(), known.chain.hash(before.length), &known.chain);
    match (checked, &offer.refusal) {
        (Checked::Accepted(effects), None) => {
            assert_eq!(known.chain.blocks[length], offer.block);
            room.apply(effects, known.chain.hash(before.length + 1)).unwrap();
            assert_eq!(room.position(), known.positions[length + 1]);
        }
        (Checked::Refused(refusal), Some(expected)) => {
            assert_eq!(agreed(&refusal), agreed(expected), "at {length}: {refusal}, expected {expected}");
        }
        (other, expected) => panic!("at {length}: expected {expected:?}, found {other:?}"),
    }
}

fn open<E: RuleEngine + Clone>(known: &RandomRoom, engine: &E) -> Room<MemoryStore, E> {
    let block = known.header.encode().unwrap();
    let chain = Chain::new();
    let mut room = Room::open(&feed().public(), &block, MemoryStore::new(), engine, &chain).unwrap();
    offer(&mut room, &Offer { block, refusal: None }, known);
    room
}

/// Runs a test for several seeds, and says which one it was that failed.
fn for_seeds(seeds: impl IntoIterator<Item = u64>, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn verdicts_and_roots_are_the_same_from_scratch() {
    for_seeds(0..6, |seed| {
        let known = random_room(seed, 500);
        let mut room = open(&known, engine());
        for offered in &known.offers {
            offer(&mut room, offered, &known);
        }
        assert_eq!(room.position().length, 500);
    });
}

#[test]
fn verdicts_and_roots_are_the_same_with_ways_back_and_new_beginnings() {
    for_seeds(100..106, |seed| {
        let known = random_room(seed, 500);
        let mut numbers = Numbers::new(!seed);
        // Where the offers at each length begin.
        let mut starts = vec![0];
        for (at, offered) in known.offers.iter().enumerate() {
            if offered.refusal.is_none() {
                starts.push(at + 1);
            }
        }
        let mut room = open(&known, engine());
        let mut next = 0;
        let (mut back, mut reopened) = (0, 0);
        while next < known.offers.len() {
            offer(&mut room, &known.offers[next], &known);
            next += 1;
            match numbers.below(60) {
                // Not for ever: a room in which much is refused would go back faster than it goes on.
                0 if back < 60 => {
                    let length = room.position().length;
                    let to = length - numbers.below(length.min(40));
                    room.step_back(to.max(1)).unwrap();
                    let length = room.position().length;
                    assert_eq!(room.position(), known.positions[length as usize]);
                    next = starts[length as usize - 1];
                    back += 1;
                }
                1 => room.commit().unwrap(),
                2 => {
                    let store = room.into_store().unwrap();
                    let block = &known.chain.blocks[0];
                    room = Room::open(&feed().public(), block, store, engine(), &known.chain).unwrap();
                    reopened += 1;
                }
                _ => {}
            }
        }
        assert_eq!(room.position(), known.positions[500]);
        assert!(back > 2 && reopened > 2, "{back} times back, {reopened} times reopened");
    });
}

/// An engine that has nothing in common with the other but the gate, the meter and the ABI.
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

#[test]
fn a_second_engine_agrees() {
    for_seeds([7], |seed| {
        let known = random_room(seed, 10_000);
        let mut one = open(&known, engine());
        let mut other = open(&known, &Interpreter);
        for offered in &known.offers {
            offer(&mut one, offered, &known);
            offer(&mut other, offered, &known);
        }
        assert_eq!(one.registry(), other.registry());
        let refused = known.offers.iter().filter(|offered| offered.refusal.is_some()).count();
        let by_rules = known.offers.iter().filter_map(|offered| offered.refusal.as_ref()?.rule_code).count();
        assert!(refused > 1000 && by_rules > 500, "{refused} refused, {by_rules} by rules");
    });
}
