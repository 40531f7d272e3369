//! Modules that come in chunk by chunk.

use bytes::Bytes;
use quorate_stream::chunk::{ModuleChunk, split};
use quorate_stream::entry::Entry;
use quorate_stream::governance::{MAX_OPEN_MODULES, MIN_CHUNK_BYTES, STALLED_MODULE_BLOCKS};
use quorate_stream::refusal::RoomCode;
use quorate_stream::room::{AuthenticEntry, Checked, Lacking};
use quorate_types::ModuleHash;
use quorate_types::limits::MAX_MODULE_BYTES;

use crate::rules;
use crate::world::{World, author, header, install};

fn plain() -> World {
    World::begin(&header(Vec::new()))
}

/// Bytes that are no rule; the room does not look at them until one is made of them.
fn bytes(seed: u8, length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

fn block(chunk: ModuleChunk) -> Bytes {
    Entry::Chunk(chunk).encode()
}

fn blocks(module: &Bytes) -> Vec<Bytes> {
    split(module).unwrap().into_iter().map(block).collect()
}

#[test]
fn a_complete_module_needs_no_more_chunks() {
    let mut world = plain();
    let module = bytes(1, 200_000);
    let blocks = blocks(&module);
    for block in &blocks {
        world.accept(block.clone());
    }
    for block in blocks {
        let refusal = world.refuse(block);
        assert_eq!(refusal.code, RoomCode::NotAllowed);
        assert!(refusal.reason.ends_with("stands in the blocks before already"), "{refusal}");
    }
}

#[test]
fn chunks_come_in_order_and_fit() {
    let mut world = plain();
    let module = bytes(1, 150_000);
    let chunks = split(&module).unwrap();
    let at = |offset: u32, length: usize| ModuleChunk {
        offset,
        data: module.slice(offset as usize..offset as usize + length),
        ..chunks[0].clone()
    };
    assert_eq!(world.refuse(block(chunks[1].clone())).code, RoomCode::NotAllowed);
    let small = at(0, MIN_CHUNK_BYTES - 1);
    assert_eq!(world.refuse(block(small)).code, RoomCode::NotAllowed);
    world.accept(block(at(0, 2000)));
    for wrong in [at(1999, 3000), at(2001, 3000), at(4000, 3000)] {
        assert_eq!(world.refuse(block(wrong)).code, RoomCode::NotAllowed);
    }
    let other_size = ModuleChunk { size: 150_001, ..at(2000, 3000) };
    assert_eq!(world.refuse(block(other_size)).code, RoomCode::NotAllowed);
    world.accept(block(at(2000, 60_000)));
    world.accept(block(at(62_000, 60_000)));
    world.accept(block(at(122_000, 27_999)));
    // The last one may be as short as it is.
    world.accept(block(at(149_999, 1)));
    let complete = install("no-rule", &module, b"");
    assert_eq!(world.try_change(complete, 1).unwrap_err().code, RoomCode::Gate);
}

#[test]
fn a_module_that_is_too_large_is_not_begun() {
    let mut world = plain();
    let size = MAX_MODULE_BYTES as u32 + 1;
    let chunk = ModuleChunk { module: ModuleHash::new([1; 32]), size, offset: 0, data: bytes(1, 60_000) };
    assert_eq!(world.refuse(block(chunk.clone())).code, RoomCode::NotCanonical);
    let entry = AuthenticEntry::Chunk(chunk);
    let checked = world.room.check_authentic(&entry, world.chain.head(), &world.chain);
    assert!(matches!(checked, Checked::Refused(refusal) if refusal.code == RoomCode::TooLarge));
}

#[test]
fn false_chunks_show_at_the_end_and_can_be_begun_again() {
    let mut world = plain();
    let module = rules::large();
    let mut chunks = split(&module).unwrap();
    let honest = chunks.clone();
    let mut data = chunks[0].data.to_vec();
    data[100] ^= 1;
    chunks[0].data = data.into();
    let last = chunks.len() - 1;
    for chunk in &chunks[..last] {
        world.accept(block(chunk.clone()));
    }
    let refusal = world.refuse(block(chunks[last].clone()));
    assert_eq!(refusal.code, RoomCode::NotAllowed);
    assert!(refusal.reason.contains("expected hash"), "{refusal}");
    for chunk in honest {
        world.accept(block(chunk));
    }
    world.try_change(install("large", &module, b""), 1).unwrap();
}

#[test]
fn few_modules_come_in_at_once_and_none_blocks_the_others_for_ever() {
    let mut world = plain();
    let modules: Vec<_> = (0..=MAX_OPEN_MODULES as u8).map(|seed| bytes(seed, 100_000)).collect();
    let first = |module: &Bytes| blocks(module)[0].clone();
    let begun = world.next();
    for module in &modules[..MAX_OPEN_MODULES] {
        world.accept(first(module));
    }
    let fifth = first(&modules[MAX_OPEN_MODULES]);
    assert_eq!(world.refuse(fifth.clone()).code, RoomCode::NotAllowed);
    while world.next() <= begun + STALLED_MODULE_BLOCKS {
        world.act(1, b"x").unwrap();
        if world.next() == begun + 500 {
            // The second one is not quiet any more.
            world.accept(first(&modules[1]));
        }
    }
    assert_eq!(world.next(), begun + STALLED_MODULE_BLOCKS + 1);
    world.accept(fifth);
    // The first one gave way, the others go on.
    assert_eq!(world.refuse(blocks(&modules[0])[1].clone()).code, RoomCode::NotAllowed);
    for module in &modules[1..] {
        world.accept(blocks(module)[1].clone());
    }
}

#[test]
fn the_last_chunk_needs_those_before() {
    let mut world = plain();
    let blocks = blocks(&bytes(3, 100_000));
    world.accept(blocks[0].clone());
    world.chain.missing = vec![1];
    assert_eq!(world.lacking(blocks[1].clone()), Lacking::Block(1));
    world.chain.missing.clear();
    world.accept(blocks[1].clone());
}

#[test]
fn chunks_belong_to_nobody() {
    let mut world = plain();
    let effects = world.accept(blocks(&rules::picky())[0].clone());
    assert_eq!(effects.entry(), None);
    let block = world.action(&author(1), b"x");
    let Checked::Accepted(effects) = world.check(block) else { panic!("not accepted") };
    assert_eq!(effects.entry().map(|(_, author, _)| author), Some(author(1).public()));
}
