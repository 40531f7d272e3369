//! The rules that a room begins with.

use quorate_stream::chunk::split;
use quorate_stream::entry::Entry;
use quorate_stream::identity::rule_id;
use quorate_stream::refusal::RoomCode;

use crate::rules;
use crate::world::{World, author, codes, genesis, header};

#[test]
fn modules_come_first_each_once_and_in_order() {
    let (large, counter) = (rules::large(), rules::counter(1));
    let rules = vec![
        genesis("large", &large, b""),
        genesis("counter", &counter, &[100]),
        genesis("again", &large, b"other parameters"),
    ];
    let mut world = World::begin(&header(rules));
    let chunk = |module, at: usize| Entry::Chunk(split(module).unwrap()[at].clone()).encode();
    let action = world.action(&author(1), b"too early");
    let refused = |world: &mut World, block| assert_eq!(world.refuse(block).code, RoomCode::NotAllowed);
    refused(&mut world, action.clone());
    refused(&mut world, chunk(&counter, 0));
    refused(&mut world, chunk(&large, 1));
    world.accept(chunk(&large, 0));
    refused(&mut world, action.clone());
    refused(&mut world, chunk(&large, 0));
    refused(&mut world, chunk(&counter, 0));
    world.accept(chunk(&large, 1));
    refused(&mut world, chunk(&large, 0));
    refused(&mut world, action);
    assert!(world.names().is_empty());
    world.accept(chunk(&counter, 0));
    assert!(world.names().is_empty());
    world.tick();
    assert_eq!(world.names(), ["again", "counter", "large"]);
    for (ordinal, name) in ["large", "counter", "again"].into_iter().enumerate() {
        let id = rule_id(&world.room.id(), 0, ordinal as u32);
        let rule = world.room.registry().rule(&id).unwrap();
        assert_eq!((rule.name.as_str(), rule.since), (name, 4));
    }
    assert_eq!(world.room.value(&world.id("counter"), b"n"), Ok(Some(vec![1])));
    // From now on other modules may come.
    world.module(&rules::picky());
}

#[test]
fn the_first_rules_begin_with_their_parameters() {
    let ledger = rules::ledger();
    let rich = author(1).public();
    let coins = [rich.as_bytes().as_slice(), &7_u64.to_le_bytes()].concat();
    let mut world = World::one("ledger", &ledger, &coins);
    let pay = |amount: u64| [&[7; 32][..], &amount.to_le_bytes()].concat();
    assert_eq!(codes(&world.act(1, &pay(8)).unwrap_err()), (RoomCode::RuleRejected, Some(1)));
    world.act(1, &pay(7)).unwrap();
    assert!(world.act(1, &pay(1)).is_err());
}

#[test]
fn a_room_with_a_broken_rule_ends_before_it_begins() {
    let (good, broken) = (rules::picky(), rules::broken());
    let rules = vec![genesis("good", &good, b""), genesis("broken", &broken, b"")];
    let mut world = World::begin(&header(rules));
    world.module(&good);
    let last = Entry::Chunk(split(&broken).unwrap().remove(0)).encode();
    assert_eq!(world.refuse(last).code, RoomCode::Gate);
}

#[test]
fn a_room_whose_rules_do_not_take_their_parameters_ends_before_it_begins() {
    let beginner = rules::beginner();
    let mut world = World::begin(&header(vec![genesis("beginner", &beginner, &[3, 0])]));
    let last = Entry::Chunk(split(&beginner).unwrap().remove(0)).encode();
    let refusal = world.refuse(last);
    assert_eq!(codes(&refusal), (RoomCode::InitRefused, Some(3)));
    assert_eq!(refusal.rule.unwrap().name, "beginner");
}

#[test]
fn a_room_without_rules_accepts_what_is_signed() {
    let mut world = World::begin(&header(Vec::new()));
    world.act(1, b"anything").unwrap();
    assert_eq!(world.room.rules(), []);
}
