//! Rules about rules.

use bytes::Bytes;
use quorate_rules::verdict::Fault;
use quorate_stream::governance::{Activated, MAX_ACTIVATION_AHEAD, MAX_PENDING_CHANGES};
use quorate_stream::identity::rule_id;
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::{Checked, Lacking};
use quorate_stream::rule_change::{Change, TestVector};
use quorate_types::{ModuleHash, RuleId};

use crate::rules;
use crate::world::{World, author, codes, genesis, header, install, params, replace};

fn plain() -> World {
    World::begin(&header(Vec::new()))
}

fn vector(payload: &[u8], code: u32) -> TestVector {
    TestVector { author: None, payload: Bytes::copy_from_slice(payload), code }
}

fn counted(world: &World, id: &RuleId) -> Option<Vec<u8>> {
    world.room.value(id, b"n").unwrap()
}

#[test]
fn a_change_holds_from_exactly_its_activation() {
    let mut world = plain();
    let picky = rules::picky();
    world.module(&picky);
    let index = world.next();
    let activation = index + 4;
    let block = world.change(install("picky", &picky, b"!"), activation, Vec::new());
    let effects = world.accept(block);
    assert!(effects.uses().is_empty());
    let id = rule_id(&world.room.id(), index, 0);
    let [status] = &world.room.rules()[..] else { panic!("{:?}", world.room.rules()) };
    assert_eq!((status.id, status.since, status.pending), (id, activation, Some(("install", activation))));
    while world.next() < activation - 1 {
        world.act(1, b"! one block before, nobody minds").unwrap();
    }
    assert_eq!(world.next(), activation - 1);
    world.act(1, b"! the last one").unwrap();
    assert!(world.names().is_empty());
    // What is refused at the activation does not use it up.
    for _ in 0..3 {
        let refusal = world.act(1, b"! now").unwrap_err();
        assert_eq!(codes(&refusal), (RoomCode::RuleRejected, Some(3)));
    }
    let effects = world.act(1, b"as it likes").unwrap();
    let [activated] = effects.activations() else { panic!("{:?}", effects.activations()) };
    assert_eq!((activated.rule, activated.change.index), (id, index));
    assert_eq!(activated.result, Activated::Done);
    let rule = world.room.registry().rule(&id).unwrap();
    assert_eq!((rule.name.as_str(), rule.since, rule.locked), ("picky", activation, false));
    assert!(world.room.registry().pending().is_empty());
    assert!(world.act(1, b"! later").is_err());
}

#[test]
fn an_activation_is_neither_too_early_nor_too_far() {
    let mut header = header(Vec::new());
    header.rule_delay = 5;
    let mut world = World::begin(&header);
    let module = rules::accepting(1);
    world.module(&module);
    for delay in [0, 4, 5 + MAX_ACTIVATION_AHEAD + 1] {
        let refusal = world.try_change(install("rule", &module, b""), delay).unwrap_err();
        assert_eq!(refusal.code, RoomCode::ActivationTooEarly, "{refusal}");
    }
    world.try_change(install("rule", &module, b""), 5).unwrap();
    world.try_change(install("late", &module, b""), 5 + MAX_ACTIVATION_AHEAD).unwrap();
    let mut world = plain();
    world.module(&module);
    assert_eq!(
        world.try_change(install("rule", &module, b""), 0).unwrap_err().code,
        RoomCode::ActivationTooEarly
    );
    world.try_change(install("rule", &module, b""), 1).unwrap();
}

#[test]
fn a_replaced_rule_keeps_its_id_and_its_state() {
    let mut world = plain();
    let id = world.install("counter", &rules::counter(1), &[100]);
    for _ in 0..3 {
        world.tick();
    }
    assert_eq!(counted(&world, &id), Some(vec![3]));
    let by_ten = rules::counter(10);
    world.module(&by_ten);
    world.try_change(replace(id, &by_ten, &[100]), 2).unwrap();
    // The block before the activation is still counted by one.
    world.tick();
    assert_eq!(counted(&world, &id), Some(vec![4]));
    let activations = world.tick();
    assert_eq!(activations[0].result, Activated::Done);
    assert_eq!(counted(&world, &id), Some(vec![14]));
    let rule = world.room.registry().rule(&id).unwrap();
    assert_eq!((rule.module, rule.name.as_str()), (ModuleHash::of(&by_ten), "counter"));

    // Other parameters, same state.
    world.try_change(params(id, &[20]), 1).unwrap();
    world.tick();
    assert_eq!(counted(&world, &id), Some(vec![24]));
    assert_eq!(codes(&world.act(1, b"x").unwrap_err()), (RoomCode::RuleRejected, Some(5)));
}

#[test]
fn the_state_of_a_removed_rule_is_out_of_reach() {
    let mut world = plain();
    let module = rules::counter(1);
    let id = world.install("counter", &module, &[100]);
    world.tick();
    world.tick();
    world.try_change(Change::Remove { rule: id }, 1).unwrap();
    world.tick();
    assert!(world.names().is_empty() && world.room.rules().is_empty());
    // It is there, and a new rule of the same module and name does not see it.
    assert_eq!(counted(&world, &id), Some(vec![2]));
    let again = world.install("counter", &module, &[100]);
    assert_ne!(again, id);
    world.tick();
    assert_eq!(counted(&world, &again), Some(vec![1]));
    assert_eq!(counted(&world, &id), Some(vec![2]));
    assert_eq!(world.try_change(Change::Remove { rule: id }, 1).unwrap_err().code, RoomCode::NoSuchRule);
}

#[test]
fn a_locked_rule_that_cannot_be_asked_stays() {
    let module = rules::counter(1);
    let mut rule = genesis("counter", &module, &[100]);
    rule.locked = true;
    let mut world = World::new(&header(vec![rule]), std::slice::from_ref(&module));
    world.tick();
    let id = world.id("counter");
    for change in [Change::Remove { rule: id }, replace(id, &module, &[1])] {
        assert_eq!(world.try_change(change, 1).unwrap_err().code, RoomCode::Locked);
    }
    world.try_change(params(id, &[2]), 1).unwrap();
    world.tick();
    let rule = world.room.registry().rule(&id).unwrap();
    assert!(rule.locked && rule.params == [2].as_slice());
}

#[test]
fn a_locked_rule_has_a_say_in_its_own_end() {
    let module = rules::objector();
    // Objects to removals, and to replacements.
    let mut rule = genesis("objector", &module, &[0b1100]);
    rule.locked = true;
    let mut world = World::new(&header(vec![rule]), std::slice::from_ref(&module));
    world.tick();
    let id = world.id("objector");
    let refusal = world.try_change(Change::Remove { rule: id }, 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(62)));
    let refusal = world.try_change(replace(id, &module, &[0]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(63)));
    // It may agree, and stays locked where it goes on.
    world.try_change(params(id, &[0b100]), 1).unwrap();
    world.tick();
    world.try_change(replace(id, &module, &[0b100]), 1).unwrap();
    world.tick();
    let refusal = world.try_change(Change::Remove { rule: id }, 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(62)));
    world.try_change(params(id, &[0]), 1).unwrap();
    world.tick();
    world.try_change(Change::Remove { rule: id }, 1).unwrap();
    world.tick();
    assert!(world.names().is_empty());
}

#[test]
fn rules_have_an_opinion_on_all_changes_but_their_own_removal() {
    let module = rules::objector();
    // Objects to everything: install 1, remove 2, replace 3, params 4.
    let mut world = World::one("objector", &module, &[0b1_1110]);
    world.module(&rules::counter(1));
    let objector = {
        world.tick();
        world.id("objector")
    };
    let refusal = world.try_change(install("counter", &rules::counter(1), &[9]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(41)));
    assert_eq!(refusal.rule.unwrap().name, "objector");
    // It is asked about its own parameters and its own replacement, as their target, and not about its own removal.
    let refusal = world.try_change(params(objector, &[0]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(64)));
    let refusal = world.try_change(replace(objector, &module, &[0b100]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(63)));
    world.try_change(Change::Remove { rule: objector }, 1).unwrap();
    world.tick();
    let objector = world.install("objector", &module, &[0b100]);
    world.tick();
    let counter = world.install("counter", &rules::counter(1), &[100]);
    world.tick();
    let refusal = world.try_change(Change::Remove { rule: counter }, 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(42)));
    world.try_change(replace(counter, &rules::counter(1), &[50]), 1).unwrap();
    world.tick();
    world.try_change(Change::Remove { rule: objector }, 1).unwrap();
    world.tick();
    world.try_change(Change::Remove { rule: counter }, 1).unwrap();
    world.tick();
    assert!(world.names().is_empty());
}

#[test]
fn a_rule_that_fails_to_have_an_opinion_objects() {
    let mut world = World::one("objector", &rules::objector(), &[0xff]);
    world.tick();
    let id = world.id("objector");
    let module = rules::accepting(1);
    world.module(&module);
    let refusal = world.try_change(install("rule", &module, b""), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::Objection, Some(Fault::Trap.code())));
    world.try_change(Change::Remove { rule: id }, 1).unwrap();
}

#[test]
fn a_module_passes_the_gate_or_is_refused() {
    let mut world = plain();
    let broken = rules::broken();
    let refusal = world.try_change(install("rule", &broken, b""), 1).unwrap_err();
    assert_eq!(refusal.code, RoomCode::ModuleIncomplete);
    world.module(&broken);
    let refusal = world.try_change(install("rule", &broken, b""), 1).unwrap_err();
    assert_eq!(refusal.code, RoomCode::Gate, "{refusal}");
    let junk = Bytes::from_static(b"this is no WebAssembly");
    world.module(&junk);
    assert_eq!(world.try_change(install("rule", &junk, b""), 1).unwrap_err().code, RoomCode::Gate);

    let good = rules::accepting(1);
    world.module(&good);
    let other_meter = Change::Install {
        name: "rule".parse().unwrap(),
        module: ModuleHash::of(&good),
        meter: 2,
        params: Bytes::new(),
    };
    assert_eq!(world.try_change(other_meter, 1).unwrap_err().code, RoomCode::Gate);
    world.try_change(install("rule", &good, b""), 1).unwrap();
}

#[test]
fn half_a_module_is_none() {
    let mut world = plain();
    let large = rules::large();
    let chunks = quorate_stream::chunk::split(&large).unwrap();
    assert!(chunks.len() > 1);
    let blocks: Vec<_> =
        chunks.into_iter().map(|chunk| quorate_stream::entry::Entry::Chunk(chunk).encode()).collect();
    let (last, first) = blocks.split_last().unwrap();
    for block in first {
        world.accept(block.clone());
    }
    let refusal = world.try_change(install("large", &large, b""), 1).unwrap_err();
    assert_eq!(refusal.code, RoomCode::ModuleIncomplete);
    world.accept(last.clone());
    world.try_change(install("large", &large, b""), 1).unwrap();
    world.tick();
    assert_eq!(world.names(), ["large"]);
}

#[test]
fn blocks_of_a_module_may_be_missing() {
    let mut world = plain();
    let module = rules::counter(1);
    world.module(&module);
    let at = world.next() - 1;
    let block = world.change(install("counter", &module, &[100]), world.next() + 1, Vec::new());
    world.chain.missing = vec![at];
    assert_eq!(world.lacking(block.clone()), Lacking::Block(at));
    world.chain.missing.clear();
    // A feed that is not the one that was checked.
    let other = world.chain.blocks[0].clone();
    let honest = std::mem::replace(&mut world.chain.blocks[at as usize], other);
    assert!(matches!(world.lacking(block.clone()), Lacking::Other(_)));
    world.chain.blocks[at as usize] = honest;
    world.accept(block);
}

#[test]
fn test_vectors_are_run() {
    let mut world = plain();
    let module = rules::counter(1);
    world.module(&module);
    let offer = |world: &World, change: Change, vectors: Vec<TestVector>| {
        world.change(change, world.next() + 1, vectors)
    };
    // The state begins empty, with what `rule_init` writes, and goes on from vector to vector.
    let wrong = vec![vector(b"1", 0), vector(b"2", 0), vector(b"3", 0)];
    let block = offer(&world, install("counter", &module, &[2]), wrong);
    let refusal = world.refuse(block);
    assert_eq!(codes(&refusal), (RoomCode::Vectors, Some(5)));
    assert!(refusal.reason.starts_with("test vector 3: expected code 0, found 5"), "{refusal}");
    let right = vec![vector(b"1", 0), vector(b"2", 0), vector(b"3", 5)];
    let block = offer(&world, install("counter", &module, &[2]), right.clone());
    world.accept(block);
    let id = rule_id(&world.room.id(), world.next() - 1, 0);
    world.tick();
    world.tick();
    // A change of a rule that has a state is tried on an empty one as well.
    assert_eq!(counted(&world, &id), Some(vec![2]));
    let block = offer(&world, params(id, &[200]), right);
    assert_eq!(codes(&world.refuse(block)), (RoomCode::Vectors, Some(0)));
    let block = offer(&world, params(id, &[200]), vec![vector(b"1", 0), vector(b"2", 0), vector(b"3", 0)]);
    world.accept(block);

    let historian = rules::historian();
    world.module(&historian);
    let block = offer(&world, install("historian", &historian, b""), vec![vector(b"1", 0)]);
    assert_eq!(world.refuse(block).code, RoomCode::Vectors);
    let beginner = rules::beginner();
    world.module(&beginner);
    let block = offer(&world, install("beginner", &beginner, &[7, 0]), vec![vector(b"1", 0)]);
    assert_eq!(codes(&world.refuse(block)), (RoomCode::InitRefused, Some(7)));
}

#[test]
fn vectors_have_authors() {
    let mut world = plain();
    let module = rules::ledger();
    world.module(&module);
    let rich = author(3).public();
    let coins = [rich.as_bytes().as_slice(), &5_u64.to_le_bytes()].concat();
    let pay = |amount: u64| Bytes::from([&[8; 32][..], &amount.to_le_bytes()].concat());
    let by = |author, amount, code| TestVector { author, payload: pay(amount), code };
    let vectors = vec![by(Some(rich), 3, 0), by(None, 1, 1), by(Some(rich), 3, 1), by(Some(rich), 2, 0)];
    let block = world.change(install("ledger", &module, &coins), world.next() + 1, vectors);
    world.accept(block);
}

#[test]
fn parameters_are_tried_on_the_state_that_is_kept() {
    let mut world = plain();
    let module = rules::beginner();
    world.module(&module);
    let refusal = world.try_change(install("beginner", &module, &[6, 0]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::InitRefused, Some(6)));
    let id = world.install("beginner", &module, &[0, 8]);
    world.tick();
    let refusal = world.try_change(params(id, &[0, 0]), 1).unwrap_err();
    assert_eq!(codes(&refusal), (RoomCode::InitRefused, Some(9)));
}

#[test]
fn a_beginning_that_fails_at_the_activation_changes_nothing() {
    let mut world = plain();
    let module = rules::beginner();
    let id = world.install("beginner", &module, &[0, 0]);
    // The rule has no state yet when the change is tried, and has one when it comes to its height.
    world.try_change(params(id, &[0, 0, 2]), 2).unwrap();
    world.tick();
    let activations = world.tick();
    let [activation] = &activations[..] else { panic!("{activations:?}") };
    assert!(matches!(&activation.result, Activated::InitRefused(failure) if failure.code == 9));
    let rule = world.room.registry().rule(&id).unwrap();
    assert_eq!(rule.params, [0, 0].as_slice());
    assert!(world.room.registry().pending().is_empty());
}

#[test]
fn names_are_unique_among_those_that_hold_and_wait() {
    let mut world = plain();
    let module = rules::accepting(1);
    let first = world.install("rule", &module, b"");
    assert_eq!(world.try_change(install("rule", &module, b""), 1).unwrap_err().code, RoomCode::BadRuleName);
    world.try_change(install("later", &module, b""), 9).unwrap();
    assert_eq!(world.try_change(install("later", &module, b""), 1).unwrap_err().code, RoomCode::BadRuleName);
    // A name is free from the block on from which its rule is gone.
    world.try_change(Change::Remove { rule: first }, 5).unwrap();
    let gone = world.next() - 1 + 5;
    let early = world.change(install("rule", &module, b""), gone - 1, Vec::new());
    assert_eq!(world.refuse(early).code, RoomCode::BadRuleName);
    let in_time = world.change(install("rule", &module, b"second"), gone, Vec::new());
    world.accept(in_time);
    while world.next() <= gone {
        world.tick();
    }
    let rule = world.room.registry().named("rule").unwrap();
    assert!(rule.id != first && rule.params == b"second".as_slice());
}

#[test]
fn sixteen_rules_and_no_more() {
    let mut world = plain();
    let module = rules::accepting(1);
    let mut ids = Vec::new();
    for number in 0..15 {
        ids.push(world.install(&format!("rule-{number}"), &module, b""));
    }
    // The sixteenth waits, and counts.
    world.try_change(install("rule-15", &module, b""), 20).unwrap();
    for delay in [1, 30] {
        // An earlier one would be the sixteenth, and the one that waits the seventeenth.
        let refusal = world.try_change(install("rule-16", &module, b""), delay).unwrap_err();
        assert_eq!(refusal.code, RoomCode::TooManyRules);
    }
    world.try_change(Change::Remove { rule: ids[0] }, 10).unwrap();
    world.try_change(install("rule-16", &module, b""), 30).unwrap();
    for _ in 0..35 {
        world.tick();
    }
    assert_eq!(world.names().len(), 16);
    assert_eq!(
        world.try_change(install("rule-17", &module, b""), 1).unwrap_err().code,
        RoomCode::TooManyRules
    );
    let effects = world.act(1, b"asks them all").unwrap();
    assert_eq!(effects.uses().len(), 16);
    assert!(effects.uses().is_sorted_by_key(|used| used.rule.id));
}

#[test]
fn changes_wait_in_bounded_number() {
    let mut world = plain();
    let module = rules::accepting(1);
    let id = world.install("rule", &module, b"");
    world.tick();
    for number in 0..MAX_PENDING_CHANGES {
        world.try_change(params(id, &[number as u8]), 200).unwrap();
    }
    assert_eq!(world.try_change(params(id, b"x"), 200).unwrap_err().code, RoomCode::TooManyRules);
    assert_eq!(world.room.registry().pending().len(), MAX_PENDING_CHANGES);
    let [status] = &world.room.rules()[..] else { panic!("one rule") };
    assert_eq!(status.pending.unwrap().0, "params");
}

#[test]
fn changes_of_one_height_take_effect_in_the_order_of_their_blocks() {
    let mut world = plain();
    let (one, ten) = (rules::counter(1), rules::counter(10));
    let id = world.install("counter", &one, &[100]);
    world.module(&ten);
    let at = world.next() + 10;
    for change in [replace(id, &ten, &[50]), params(id, &[60]), replace(id, &one, &[70]), params(id, &[80])] {
        let block = world.change(change, at, Vec::new());
        world.accept(block);
    }
    let block = world.change(Change::Remove { rule: id }, at + 1, Vec::new());
    world.accept(block);
    // Behind the removal there is nothing to change.
    let block = world.change(params(id, &[90]), at + 1, Vec::new());
    assert_eq!(world.refuse(block).code, RoomCode::NoSuchRule);
    while world.next() < at {
        world.tick();
    }
    let before = counted(&world, &id).unwrap()[0];
    let activations = world.tick();
    assert_eq!(activations.len(), 4);
    assert!(activations.iter().all(|activation| activation.result == Activated::Done));
    let rule = world.room.registry().rule(&id).unwrap();
    assert_eq!((rule.module, rule.params.as_ref()), (ModuleHash::of(&one), [80].as_slice()));
    assert_eq!(counted(&world, &id), Some(vec![before + 1]));
    world.tick();
    assert!(world.names().is_empty());
}

#[test]
fn a_rule_that_will_be_gone_can_still_be_asked_to_go_twice() {
    let mut world = plain();
    let id = world.install("rule", &rules::accepting(1), b"");
    world.tick();
    world.try_change(params(id, b"late"), 6).unwrap();
    world.try_change(Change::Remove { rule: id }, 2).unwrap();
    let mut results = Vec::new();
    for _ in 0..8 {
        results.extend(world.tick().into_iter().map(|activation| activation.result));
    }
    // The parameters came to their height after the rule had gone.
    assert_eq!(results, [Activated::Done, Activated::NoRule]);
}

#[test]
fn a_rule_that_only_waits_cannot_be_changed() {
    let mut world = plain();
    let module = rules::accepting(1);
    world.module(&module);
    let id = rule_id(&world.room.id(), world.next(), 0);
    world.try_change(install("rule", &module, b""), 10).unwrap();
    assert_eq!(world.try_change(params(id, b"x"), 20).unwrap_err().code, RoomCode::NoSuchRule);
    let nobody = RuleId::new([3; 32]);
    assert_eq!(world.try_change(Change::Remove { rule: nobody }, 1).unwrap_err().code, RoomCode::NoSuchRule);
}

#[test]
fn changes_and_actions_of_one_author_count_together() {
    let mut world = plain();
    let module = rules::accepting(1);
    world.module(&module);
    world.act(0, b"first").unwrap();
    world.try_change(install("rule", &module, b""), 1).unwrap();
    assert_eq!(world.room.next_sequence(&author(0).public()), Ok(2));
    let replayed = world.chain.blocks.last().unwrap().clone();
    assert_eq!(world.refuse(replayed).code, RoomCode::Replayed);
    let mut forged = world.change(install("other", &module, b""), world.next() + 1, Vec::new()).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(world.refuse(forged.into()).code, RoomCode::Forged);
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut world = World::one("counter", &rules::counter(1), &[2]);
    world.tick();
    world.tick();
    let position = world.position();
    let full = world.act(1, b"x").unwrap_err();
    assert_eq!(codes(&full), (RoomCode::RuleRejected, Some(5)));
    let block = world.action(&author(1), b"x");
    for _ in 0..3 {
        assert!(matches!(world.check(block.clone()), Checked::Refused(_)));
    }
    assert_eq!(world.position(), position);
    assert_eq!(world.room.next_sequence(&author(1).public()), Ok(0));
}
