//! The same blocks, taken in other ways.

use quorate_rules::state::{MemoryStore, RoomStore, Staged, StateError, StateStore, Step};
use quorate_stream::identity::KnownKeys;
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::{
    BATCH_STEPS, Checked, Lacking, OpenRoomError, ReconcileError, Room, Stopped, authenticate_many,
};
use quorate_stream::rule_change::Change;
use quorate_types::RuleId;

use crate::rules;
use crate::world::{Chain, World, author, engine, feed, genesis, header, replace};

/// A room in which rules came, changed and went.
fn lively() -> World {
    let (ledger, picky) = (rules::ledger(), rules::picky());
    let rich = author(1).public();
    let coins = [rich.as_bytes().as_slice(), &1_000_000_u64.to_le_bytes()].concat();
    let genesis = vec![genesis("ledger", &ledger, &coins), genesis("picky", &picky, b"!")];
    let mut world = World::new(&header(genesis), &[ledger, picky]);
    let pay = |to: u8| [&[to; 32][..], &1_u64.to_le_bytes()].concat();
    for round in 0..20 {
        world.act(1, &pay(round)).unwrap();
    }
    let counter = world.install("counter", &rules::counter(1), &[250]);
    for round in 0..20 {
        world.act(1, &pay(round)).unwrap();
    }
    world.module(&rules::counter(2));
    world.try_change(replace(counter, &rules::counter(2), &[250]), 3).unwrap();
    for round in 0..20 {
        world.act(1, &pay(round)).unwrap();
    }
    world.try_change(Change::Remove { rule: counter }, 2).unwrap();
    for round in 0..20 {
        world.act(1, &pay(round)).unwrap();
    }
    world
}

fn fresh(chain: &Chain) -> Room<MemoryStore> {
    Room::open(&feed().public(), &chain.blocks[0], MemoryStore::new(), engine(), chain).unwrap()
}

#[test]
fn a_replay_comes_to_the_same_state_at_every_index() {
    let world = lively();
    let chain = &world.chain;
    let mut slow = fresh(chain);
    let mut positions = vec![slow.position()];
    for block in &chain.blocks {
        slow.advance(block, chain).unwrap();
        positions.push(slow.position());
    }
    assert_eq!(slow.position(), world.position());
    assert_eq!(slow.registry(), world.room.registry());

    let mut fast = fresh(chain);
    fast.advance(&chain.blocks[0], chain).unwrap();
    let entries = authenticate_many(&KnownKeys::new(), &fast.id(), chain.blocks[1..].iter().cloned());
    let replayed = fast.replay(entries, chain);
    assert_eq!((replayed.applied, replayed.stopped), (chain.len() - 1, None));
    assert_eq!(fast.position(), world.position());

    fast.commit().unwrap();
    for length in (0..chain.len()).rev() {
        fast.step_back(length).unwrap();
        assert_eq!(fast.position(), positions[length as usize]);
        // Forward again, and back.
        fast.advance(&chain.blocks[length as usize], chain).unwrap();
        assert_eq!(fast.position(), positions[length as usize + 1]);
        fast.step_back(length).unwrap();
    }
    for block in &chain.blocks {
        fast.advance(block, chain).unwrap();
    }
    assert_eq!(fast.position(), world.position());
    assert_eq!(fast.registry(), world.room.registry());
}

#[test]
fn a_room_says_of_an_earlier_block_what_it_said_then() {
    let world = lively();
    let chain = &world.chain;
    let mut room = fresh(chain);
    let mut answers = Vec::new();
    for (index, block) in chain.blocks.iter().enumerate() {
        // Whatever stands elsewhere in the feed, and the block that stands here.
        let others = chain.blocks.iter().step_by(7).chain([block]);
        let tree_hash = chain.hash(index as u64);
        answers.push(
            others.map(|other| summary(room.check(other.clone(), tree_hash, chain))).collect::<Vec<_>>(),
        );
        room.advance(block, chain).unwrap();
    }
    room.commit().unwrap();
    let position = room.position();
    let mut refused = 0;
    for (index, expected) in answers.iter().enumerate() {
        let mut then = room.earlier(index as u64, room.part().cloned(), chain).unwrap();
        let others = chain.blocks.iter().step_by(7).chain([&chain.blocks[index]]);
        let found: Vec<_> =
            others.map(|other| summary(then.check(other.clone(), chain.hash(index as u64), chain))).collect();
        assert_eq!(found, *expected, "at {index}");
        assert_eq!(found.last().map(|last| last.is_ok()), Some(true));
        refused += found.iter().filter(|one| one.is_err()).count();
        assert_eq!(then.commit(), Ok(()));
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(room.position(), position);
    let newest = position.length;
    let error = StateError::OutOfReach { oldest: 0, newest, found: newest + 1 };
    let found = room.earlier(newest + 1, None, chain).err();
    assert_eq!(found, Some(OpenRoomError::State(error)));
}

/// What was said, without what is of no account.
fn summary(checked: Checked) -> Result<u64, String> {
    match checked {
        Checked::Accepted(effects) => Ok(effects.index()),
        Checked::Refused(refusal) => Err(format!("{} {:?}", refusal.code, refusal.rule_code)),
        Checked::Unable(why) => Err(why.to_string()),
    }
}

#[test]
fn a_room_is_opened_where_its_store_stands() {
    let world = lively();
    let chain = world.chain.clone();
    for length in [1, 3, 20, 30, 50, 60, 80] {
        let mut room = fresh(&chain);
        for block in &chain.blocks[..length] {
            room.advance(block, &chain).unwrap();
        }
        let position = room.position();
        let store = room.into_store().unwrap();
        let mut room = Room::open(&feed().public(), &chain.blocks[0], store, engine(), &chain).unwrap();
        assert_eq!(room.position(), position);
        for block in &chain.blocks[length..] {
            room.advance(block, &chain).unwrap();
        }
        assert_eq!(room.position(), world.position(), "from {length}");
    }
}

#[test]
fn a_room_is_not_opened_without_the_modules_of_its_rules() {
    let world = lively();
    let mut chain = world.chain.clone();
    let store = world.room.into_store().unwrap();
    chain.missing = vec![1];
    let error = Room::open(&feed().public(), &chain.blocks[0], store, engine(), &chain).unwrap_err();
    assert_eq!(error, OpenRoomError::Lacking(Lacking::Block(1)));
}

#[test]
fn a_replay_stops_before_what_is_refused() {
    let world = lively();
    let chain = &world.chain;
    let mut bad = chain.blocks[40].to_vec();
    *bad.last_mut().unwrap() ^= 1;
    let mut blocks = chain.blocks.clone();
    blocks[40] = bad.into();
    let forged = Chain::of(blocks);
    let mut room = fresh(chain);
    room.advance(&forged.blocks[0], &forged).unwrap();
    let entries = authenticate_many(&KnownKeys::new(), &room.id(), forged.blocks[1..].iter().cloned());
    let replayed = room.replay(entries, &forged);
    assert_eq!(replayed.applied, 39);
    let Some(Stopped::Refused(refusal)) = replayed.stopped else { panic!("{:?}", replayed.stopped) };
    assert_eq!(refusal.code, RoomCode::Forged);
    assert_eq!(room.position().length, 40);
    // The feed as it should have been goes on from there: the forged block never was in the state.
    let rest = authenticate_many(&KnownKeys::new(), &room.id(), chain.blocks[40..].iter().cloned());
    assert_eq!(room.replay(rest, chain).stopped, None);
    assert_eq!(room.position(), world.position());
}

#[test]
fn a_room_follows_its_feed_back() {
    let world = lively();
    let chain = &world.chain;
    let mut other = World::begin(world.room.header());
    for block in &chain.blocks[1..50] {
        other.accept(block.clone());
    }
    other.act(3, &[[7; 32].as_slice(), &0_u64.to_le_bytes()].concat()).unwrap();
    other.act(4, &[[7; 32].as_slice(), &0_u64.to_le_bytes()].concat()).unwrap();
    let mut room = world.room;
    // The feed has another history from block 50 on.
    assert_eq!(room.reconcile(other.next(), &other.chain), Ok(50));
    for block in &other.chain.blocks[50..] {
        room.advance(block, &other.chain).unwrap();
    }
    assert_eq!(room.position(), other.position());
    // The feed is shorter, as after a crash.
    assert_eq!(room.reconcile(7, &other.chain), Ok(7));
    assert_eq!(room.reconcile(7, &other.chain), Ok(7));
    assert_eq!(room.reconcile(other.next(), &other.chain), Ok(7));
    assert_eq!(room.reconcile(0, &other.chain), Ok(0));

    let mut short =
        Room::open(&feed().public(), &chain.blocks[0], MemoryStore::with_undo_steps(10), engine(), chain)
            .unwrap();
    for block in &chain.blocks {
        short.advance(block, chain).unwrap();
    }
    short.commit().unwrap();
    let oldest = chain.len() - 10;
    assert_eq!(short.reconcile(other.next(), &other.chain), Err(ReconcileError::OtherHistory { oldest }));
    assert_eq!(short.position().length, chain.len());
    let error = StateError::OutOfReach { oldest, newest: chain.len(), found: 3 };
    assert_eq!(short.step_back(3), Err(error));
}

#[test]
fn the_last_step_is_seen_and_taken_back() {
    let mut world = World::one("counter", &rules::counter(1), &[250]);
    for _ in 0..5 {
        world.tick();
    }
    let before = world.position();
    world.tick();
    world.room.step_back(before.length).unwrap();
    assert_eq!(world.position(), before);
    assert_eq!(world.room.value(&world.id("counter"), b"n"), Ok(Some(vec![5])));
}

#[test]
fn full_batches_are_committed_by_themselves() {
    let mut world = World::with(&header(Vec::new()), Fragile::default(), engine());
    while world.next() < BATCH_STEPS as u64 {
        assert_eq!(world.room.store().committed, 0);
        world.act(1, b"x").unwrap();
    }
    assert_eq!(world.room.store().committed, BATCH_STEPS as u64);
    assert_eq!(world.position().length, BATCH_STEPS as u64);
}

/// A store that fails when it is told to, and knows what was committed.
#[derive(Default)]
struct Fragile {
    store: MemoryStore,
    broken: bool,
    committed: u64,
}

impl StateStore for Fragile {
    fn get(&self, space: &RuleId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if self.broken { Err(failure()) } else { self.store.get(space, key) }
    }
}

fn failure() -> StateError {
    StateError::Failed { action: "read", reason: "no disk".to_owned() }
}

impl RoomStore for Fragile {
    fn position(&self) -> quorate_rules::state::Position {
        self.store.position()
    }

    fn oldest(&self) -> u64 {
        self.store.oldest()
    }

    fn position_at(&self, length: u64) -> Result<Option<quorate_rules::state::Position>, StateError> {
        self.store.position_at(length)
    }

    fn held_at(&self, length: u64) -> Result<quorate_rules::state::WriteSet, StateError> {
        self.store.held_at(length)
    }

    fn stage(&mut self, step: Step) -> Result<(), StateError> {
        self.store.stage(step)
    }

    fn staged(&self) -> Staged {
        let steps = self.position().length.saturating_sub(self.committed);
        Staged { steps: usize::try_from(steps).unwrap(), bytes: 0 }
    }

    fn commit(&mut self) -> Result<(), StateError> {
        if self.broken {
            return Err(failure());
        }
        self.committed = self.position().length;
        Ok(())
    }

    fn step_back(&mut self, length: u64) -> Result<(), StateError> {
        self.store.step_back(length)
    }
}

#[test]
fn a_store_that_fails_makes_nothing_valid_or_invalid() {
    let store = Fragile::default();
    let mut world = World::with(&header(Vec::new()), store, engine());
    let block = world.action(&author(1), b"x");
    let Checked::Accepted(effects) = world.check(block.clone()) else { panic!("not accepted") };
    world.room.commit().unwrap();
    world.room.store_mut().broken = true;
    let why = world.lacking(block.clone());
    assert_eq!(why, Lacking::Other("the state cannot be read: no disk".to_owned()));
    let chain = Chain::of([world.chain.blocks[0].clone(), block]);
    world.room.apply(effects, chain.head()).unwrap();
    assert_eq!(world.room.commit(), Err(failure()));
    world.room.store_mut().broken = false;
    world.room.commit().unwrap();
    assert_eq!(world.room.store().position().length, 2);
}
