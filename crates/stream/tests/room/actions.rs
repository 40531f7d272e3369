//! Actions, and what may be wrong with them.

use bytes::Bytes;
use quorate_rules::verdict::{Fault, Verdict};
use quorate_stream::action::UnsignedAction;
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::header::StreamHeader;
use quorate_stream::identity::{Anchor, Author};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::{ApplyError, Checked, Lacking, OpenRoomError, Room};
use quorate_types::limits::MAX_PAYLOAD_BYTES;
use quorate_types::{Hash, RoomId, RuleId};

use crate::rules;
use crate::world::{Chain, World, author, codes, engine, feed, genesis, header};

fn plain() -> World {
    World::begin(&header(Vec::new()))
}

#[test]
fn every_author_counts_for_itself() {
    let mut world = plain();
    for payload in [b"a", b"b", b"c"] {
        world.act(1, payload).unwrap();
    }
    let effects = world.act(2, b"d").unwrap();
    let (_, key, sequence) = effects.entry().unwrap();
    assert_eq!((key, sequence), (author(2).public(), 0));
    assert_eq!(world.room.next_sequence(&author(1).public()), Ok(3));
    assert_eq!(world.room.next_sequence(&author(3).public()), Ok(0));
    assert_eq!(world.position().length, 5);
    assert_eq!(world.position().tree_hash, world.chain.head());
}

#[test]
fn what_is_wrong_has_a_code_of_its_own() {
    let mut world = plain();
    world.act(1, b"first").unwrap();
    let one = author(1);
    let again = world.chain.blocks[1].clone();
    assert_eq!(world.refuse(again).code, RoomCode::Replayed);

    let skipped = world.action_with(&one, |action| action.sequence = 2);
    let refusal = world.refuse(skipped);
    assert_eq!(refusal.code, RoomCode::SequenceSkipped);
    assert!(refusal.reason.starts_with("expected sequence 1 of "), "{refusal}");

    let good = world.action(&one, b"good").to_vec();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(world.refuse(forged.into()).code, RoomCode::Forged);

    // Another author's name in the place of the one that signed.
    let at = good.windows(32).position(|window| window == one.public().as_bytes()).unwrap();
    let mut stolen = good.clone();
    stolen[at..at + 32].copy_from_slice(author(2).public().as_bytes());
    assert_eq!(world.refuse(stolen.into()).code, RoomCode::Forged);

    let mut longer = good.clone();
    longer.extend([0x78, 1]);
    for block in [longer, good[..good.len() - 1].to_vec(), b"{}".to_vec(), Vec::new()] {
        assert_eq!(world.refuse(block.into()).code, RoomCode::NotCanonical);
    }

    let elsewhere =
        UnsignedAction { sequence: 1, anchor: Anchor::NONE, valid_until: 0, payload: Bytes::new() };
    let elsewhere = elsewhere.sign(&RoomId::new([7; 32]), &one).unwrap();
    assert_eq!(world.refuse(VerifiedEntry::from(elsewhere.clone()).encode()).code, RoomCode::Forged);
    let checked =
        world.room.check_authentic(&VerifiedEntry::from(elsewhere).into(), world.chain.head(), &world.chain);
    assert!(matches!(checked, Checked::Refused(refusal) if refusal.code == RoomCode::Forged));

    world.accept(good.into());
}

#[test]
fn payloads_end_at_their_limit() {
    let mut world = plain();
    let largest = vec![b'x'; MAX_PAYLOAD_BYTES];
    world.act(1, &largest).unwrap();
    // A block whose payload is one byte longer than the author's tools allow.
    let good = world.action(&author(1), &largest).to_vec();
    let at = good.windows(64).position(|window| window == [b'x'; 64]).unwrap();
    let length = |length: usize| {
        let mut bytes = Vec::new();
        let mut rest = length;
        while rest >= 128 {
            bytes.push(rest as u8 | 128);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    };
    let body = good.len() - 4;
    assert_eq!(good[1..4], length(body));
    assert_eq!(good[at - 3..at], length(MAX_PAYLOAD_BYTES));
    let mut block = vec![good[0]];
    block.extend(length(body + 1));
    block.extend(&good[4..at - 3]);
    block.extend(length(MAX_PAYLOAD_BYTES + 1));
    block.push(b'x');
    block.extend(&good[at..]);
    assert_eq!(world.refuse(block.into()).code, RoomCode::TooLarge);
}

#[test]
fn an_anchor_is_a_head_of_this_history() {
    let mut world = plain();
    for number in 1..6 {
        world.act(number, b"x").unwrap();
    }
    let one = author(1);
    let (length, head, earlier) = (world.next(), world.chain.head(), world.chain.hash(3));
    let with =
        |world: &World, anchor| world.action_with(&one, |action: &mut UnsignedAction| action.anchor = anchor);
    for wrong in [Anchor::new(length + 1, head), Anchor::new(length, earlier), Anchor::new(3, head)] {
        let block = with(&world, wrong);
        assert_eq!(world.refuse(block).code, RoomCode::Anchor);
    }
    let block = with(&world, Anchor::new(3, earlier));
    world.chain.forgets_hashes = true;
    assert_eq!(world.lacking(block.clone()), Lacking::TreeHash(3));
    world.chain.forgets_hashes = false;
    world.accept(block);
    world.act(1, b"no anchor").unwrap();
    // The head itself is known to the room.
    let block = with(&world, Anchor::new(world.next(), world.chain.head()));
    world.chain.forgets_hashes = true;
    assert!(matches!(world.check(block), Checked::Accepted(_)));
}

#[test]
fn an_action_expires() {
    let mut world = plain();
    world.act(1, b"x").unwrap();
    let with = |world: &World, until| world.action_with(&author(1), |action| action.valid_until = until);
    let late = with(&world, 1);
    let refusal = world.refuse(late);
    assert_eq!(refusal.code, RoomCode::Expired);
    assert_eq!(refusal.reason, "expected a height of at most 1, found 2");
    let in_time = with(&world, 2);
    world.accept(in_time);
}

#[test]
fn what_needs_validators_is_refused() {
    let mut world = plain();
    // ValidatorChange, EpochStart, Certificate, Evidence, each with a body of one byte.
    for field in 4..=7_u8 {
        let block = vec![field << 3 | 2, 3, 0x0a, 1, 7];
        let refusal = world.refuse(block.into());
        assert_eq!(refusal.code, RoomCode::NotAllowed, "{refusal}");
    }
}

#[test]
fn the_first_rule_that_rejects_is_named() {
    let (ledger, picky) = (rules::ledger(), rules::picky());
    let one = author(1).public();
    let coins = [one.as_bytes().as_slice(), &100_u64.to_le_bytes()].concat();
    let rules = vec![genesis("ledger", &ledger, &coins), genesis("picky", &picky, b"!")];
    let mut world = World::new(&header(rules), &[ledger, picky]);
    let pay = |first: u8, amount: u64| [&[first; 32][..], &amount.to_le_bytes()].concat();
    let effects = world.act(1, &pay(7, 30)).unwrap();
    let uses: Vec<_> = effects.uses().iter().map(|used| (used.rule.id, used.writes)).collect();
    assert!(uses.is_sorted() && uses.iter().map(|(_, writes)| writes).sum::<usize>() == 2);
    assert!(effects.uses().iter().all(|used| used.gas > 0));
    let id = world.id("ledger");
    let balance = |world: &World, key: &[u8]| world.room.value(&id, key).unwrap();
    assert_eq!(balance(&world, one.as_bytes()), Some(70_u64.to_le_bytes().to_vec()));
    assert_eq!(balance(&world, &[7; 32]), Some(30_u64.to_le_bytes().to_vec()));

    let poor = world.act(2, &pay(7, 1)).unwrap_err();
    assert_eq!(codes(&poor), (RoomCode::RuleRejected, Some(1)));
    assert_eq!((poor.rule.as_ref().unwrap().name.as_str(), poor.reason.as_str()), ("ledger", "not enough"));
    let ugly = world.act(1, &pay(b'!', 1)).unwrap_err();
    assert_eq!(codes(&ugly), (RoomCode::RuleRejected, Some(3)));
    assert_eq!(ugly.rule.unwrap().name, "picky");
    // Both reject: the lesser id is named, as it is everywhere.
    let both = world.act(2, &pay(b'!', 1)).unwrap_err();
    let least = world.room.registry().rules().first().unwrap();
    assert_eq!(both.rule.unwrap().id, least.id);
    // Nothing of the ledger's writes is kept when the other rule rejects.
    assert_eq!(balance(&world, one.as_bytes()), Some(70_u64.to_le_bytes().to_vec()));
}

#[test]
fn a_rule_that_fails_rejects() {
    let mut world = World::one("picky", &rules::picky(), b"!");
    let trap = world.act(1, &[0xff]).unwrap_err();
    assert_eq!(codes(&trap), (RoomCode::RuleTrapped, Some(Fault::Trap.code())));
    let endless = world.act(1, &[0xfe]).unwrap_err();
    assert_eq!(codes(&endless), (RoomCode::RuleTrapped, Some(Fault::OutOfGas.code())));
    world.act(1, b"fine").unwrap();
}

#[test]
fn a_rule_reads_the_blocks_before() {
    let mut world = World::one("historian", &rules::historian(), b"");
    // Block 2 is not there yet.
    assert_eq!(codes(&world.act(1, b"x").unwrap_err()), (RoomCode::RuleRejected, Some(6)));
    world.module(&rules::accepting(1));
    let mut refused = 0;
    for round in 0..40 {
        let expected = !world.chain.blocks.last().unwrap().len().is_multiple_of(5);
        let payload = vec![b'x'; round];
        match world.act(1, &payload) {
            Ok(_) => assert!(expected),
            Err(refusal) => {
                assert_eq!(codes(&refusal), (RoomCode::RuleRejected, Some(4)));
                assert!(!expected);
                refused += 1;
                // A block of another length, of which the rule knows nothing.
                world.module(&rules::accepting(1000 + round as u32 * 1000));
            }
        }
    }
    assert!(refused > 2, "{refused}");
    let block = world.action(&author(1), b"x");
    world.chain.missing = vec![2];
    assert_eq!(world.lacking(block), Lacking::Block(2));
}

#[test]
fn questions_are_answered_outside_of_the_history() {
    let mut world = World::one("echo", &rules::echo(), b"");
    world.tick();
    let (id, before) = (world.id("echo"), world.position());
    let outcome = world.room.query(&id, b"who?", &world.chain).unwrap().unwrap();
    assert_eq!((outcome.verdict, outcome.logs), (Verdict::Accept, vec!["who?".to_owned()]));
    assert_eq!(world.room.query(&RuleId::new([1; 32]), b"", &world.chain), Ok(None));
    assert_eq!(world.position(), before);
}

#[test]
fn effects_are_for_one_position() {
    let (mut one, mut other) = (plain(), plain());
    let block = one.action(&author(1), b"x");
    let Checked::Accepted(effects) = one.check(block.clone()) else { panic!("not accepted") };
    one.accept(block);
    let error = ApplyError::OtherPosition { expected: 2, found: 1 };
    assert_eq!(one.room.apply(effects.clone(), Hash::new([0; 32])), Err(error));
    // Another room at the same length.
    other.act(1, b"y").unwrap();
    other.act(1, b"z").unwrap();
    one.act(1, b"z").unwrap();
    let block = one.action(&author(1), b"x");
    let Checked::Accepted(effects) = one.check(block) else { panic!("not accepted") };
    assert!(matches!(other.room.apply(effects, Hash::new([0; 32])), Err(ApplyError::OtherPosition { .. })));
    assert_eq!(one.next(), 3);
}

#[test]
fn another_history_is_no_reason_to_refuse() {
    let mut world = plain();
    let block = world.action(&author(1), b"x");
    let checked = world.room.check(block, Hash::new([1; 32]), &world.chain);
    assert!(matches!(checked, Checked::Unable(Lacking::Other(_))), "{checked:?}");
}

#[test]
fn a_room_begins_with_its_own_header() {
    let block = header(Vec::new()).encode().unwrap();
    let open = |block: &Bytes| {
        let store = quorate_rules::state::MemoryStore::new();
        Room::open(&feed().public(), block, store, engine(), &Chain::new())
    };
    let mut room = open(&block).unwrap();
    let other = StreamHeader::new("another", PayloadEncoding::Json).encode().unwrap();
    let Checked::Refused(refusal) = room.check(other, Hash::new([0; 32]), &Chain::new()) else {
        panic!("not refused")
    };
    assert_eq!(refusal.code, RoomCode::BadHeader);
    assert!(matches!(open(&Bytes::from_static(b"hello")), Err(OpenRoomError::NoRoom)));
    let mut rule = genesis("x", &rules::picky(), b"");
    rule.meter = 2;
    let block = header(vec![rule]).encode().unwrap();
    assert!(matches!(open(&block), Err(OpenRoomError::Meter { found: 2, .. })));
}

#[test]
fn a_state_belongs_to_one_room() {
    let store = plain().room.into_store().unwrap();
    let block = header(Vec::new()).encode().unwrap();
    let other = Author::from_seed(&[5; 32]).public();
    let error = Room::open(&other, &block, store, engine(), &Chain::new()).unwrap_err();
    assert!(matches!(error, OpenRoomError::OtherRoom { .. }), "{error}");
}
