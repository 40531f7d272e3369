use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use proptest::collection::vec;
use proptest::prelude::*;
use quorate_types::BlockRange;

use super::{Bitfield, PageSizeError};
use crate::rle;
use crate::sleep::{HEADER_BYTES, PAGE_BYTES, PAGE_NODES};

/// Operations and the pages they lead to, written by hypercore 9.12.0; 7.7.1 writes the same.
const VECTORS: &str = include_str!("../../tests/vectors/bitfield.txt");

fn page_of(coded: &str, page_bytes: usize) -> Vec<u8> {
    let mut page = rle::decode(&HEXLOWER.decode(coded.as_bytes()).unwrap(), page_bytes).unwrap();
    page.resize(page_bytes, 0);
    page
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(' ').map(|word| word.parse().unwrap()).collect()
}

#[test]
fn pages_are_those_of_the_reference() {
    let (mut case, mut cases) = ("", 0);
    let mut bitfield = Bitfield::new();
    let mut initial = Vec::new();
    let mut page = 0;
    for line in VECTORS.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "case" => {
                case = rest;
                let size = rest.rsplit(' ').nth(1).unwrap().parse().unwrap();
                (bitfield, page) = (Bitfield::with_page_bytes(size).unwrap(), 0);
                initial.clear();
            }
            "initial" => {
                initial.extend(page_of(rest, bitfield.page_bytes()));
                bitfield = Bitfield::from_bytes(bitfield.page_bytes(), &initial).unwrap();
            }
            "set" | "clear" | "tree" | "write" => {
                let range = numbers(rest);
                for at in range[0]..range[1] {
                    match word {
                        "set" => drop(bitfield.set(at, true)),
                        "clear" => drop(bitfield.set(at, false)),
                        "tree" => drop(bitfield.tree_set(at)),
                        _ => {
                            bitfield.tree_set(2 * at);
                            bitfield.set(at, true);
                        }
                    }
                }
            }
            "page" => {
                let size = bitfield.page_bytes();
                let found = bitfield.page(page).unwrap_or(vec![0; size]);
                assert_eq!(HEXLOWER.encode(&found), HEXLOWER.encode(&page_of(rest, size)), "{case}, {page}");
                page += 1;
            }
            "blocks" => {
                assert_eq!(bitfield.page_count(), page, "{case}");
                assert_eq!(bitfield.tree_length(), rest.parse().unwrap(), "{case}");
            }
            "compress" => {
                let (start, rest) = rest.split_once(' ').unwrap();
                let (length, coded) = rest.split_once(' ').unwrap();
                let found = bitfield.compress(start.parse().unwrap(), length.parse().unwrap());
                assert_eq!(HEXLOWER.encode(&found), coded, "{case}: {line}");
            }
            "verified_by" => {
                let pair = numbers(rest);
                assert_eq!(bitfield.verified_by(pair[0]), pair[1], "{case}: {line}");
            }
            "total" => {
                let ranges = [(0, 10), (3, 9), (8000, 9000), (0, 20_000)];
                let found = ranges.map(|(start, end)| bitfield.count(BlockRange::new(start, end)));
                assert_eq!(found.to_vec(), numbers(rest), "{case}");
            }
            "end" => cases += 1,
            other => panic!("unknown line {other:?}"),
        }
    }
    assert_eq!(cases, 21);
}

#[test]
fn page_sizes_that_do_not_exist_are_refused() {
    for size in [0, 3072, 3075, 4000] {
        assert_eq!(Bitfield::with_page_bytes(size).err(), Some(PageSizeError { found: size }));
        assert_eq!(Bitfield::from_bytes(size, &[1]).err(), Some(PageSizeError { found: size }));
    }
}

#[test]
fn dirty_pages_are_taken_once_and_can_be_put_back() {
    let mut bitfield = Bitfield::new();
    assert!(!bitfield.is_dirty());
    assert!(bitfield.set(8192, true));
    assert!(!bitfield.set(8192, true));
    let taken = bitfield.take_dirty();
    let places: Vec<_> = taken.iter().map(|page| (page.number, page.offset, page.bytes.len())).collect();
    let second = HEADER_BYTES as u64 + PAGE_BYTES as u64;
    // The index of the first page tells of the second as well.
    assert_eq!(places, [(0, 32, PAGE_BYTES), (1, second, PAGE_BYTES)]);
    assert!(bitfield.take_dirty().is_empty());
    bitfield.mark_dirty(1);
    assert_eq!(bitfield.take_dirty(), taken[1..]);
    let mut again = Bitfield::new();
    for page in &taken {
        again.load_page(page.number, &page.bytes);
    }
    assert!(again.has(8192) && !again.is_dirty());
}

#[test]
fn indexes_that_no_file_reaches_cost_little() {
    let mut bitfield = Bitfield::new();
    for block in [0, 1 << 40, 1 << 52, u64::MAX] {
        assert!(!bitfield.has(block) && bitfield.set(block, true) && bitfield.has(block));
        assert!(bitfield.tree_set(block) && bitfield.tree_has(block));
    }
    assert_eq!(bitfield.count(BlockRange::new(0, u64::MAX)), 3);
    assert_eq!(bitfield.first_present(BlockRange::new(1, u64::MAX)), Some(1 << 40));
    assert_eq!(bitfield.first_missing(BlockRange::new(u64::MAX - 1, u64::MAX)), Some(u64::MAX - 1));
    assert_eq!(bitfield.first_missing(BlockRange::new(u64::MAX, u64::MAX)), None);
    assert_eq!(bitfield.tree_length(), 1);
    assert_eq!(bitfield.compress(1 << 52, 8), [2, 0x80]);
    bitfield.truncate(1);
    assert_eq!(bitfield.count(BlockRange::new(0, u64::MAX)), 1);
    assert_eq!(bitfield.tree_bits(), 1);
}

#[test]
fn a_short_last_page_is_zeros() {
    let bitfield = Bitfield::from_bytes(PAGE_BYTES, &[0x80]).unwrap();
    assert!(bitfield.has(0) && !bitfield.has(1));
    let page = bitfield.page(0).unwrap();
    assert_eq!((page[0], page.len()), (0x80, PAGE_BYTES));
}

fn spans() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    vec(
        (prop_oneof![0..40_u64, 0..30_000_u64, 600_000_000..600_010_000_u64], 1..200_u64, any::<bool>()),
        0..20,
    )
}

/// The number of blocks from the first on that a tree of known nodes verifies, by definition.
fn naive_tree_length(bitfield: &Bitfield, max: u64) -> u64 {
    let known = |length: u64| full_roots(length).iter().all(|root| bitfield.tree_has(*root));
    (0..=max).rev().find(|length| known(*length)).unwrap_or(0)
}

fn full_roots(mut length: u64) -> Vec<u64> {
    let (mut roots, mut offset) = (Vec::new(), 0);
    while length > 0 {
        let size = 1 << length.ilog2();
        roots.push(2 * offset + size - 1);
        (offset, length) = (offset + size, length - size);
    }
    roots
}

proptest! {
    #[test]
    fn bits_are_a_set(spans in spans()) {
        let (mut bitfield, mut model) = (Bitfield::new(), BTreeSet::new());
        for (start, len, value) in spans {
            for block in start..start + len {
                let changed = if value { model.insert(block) } else { model.remove(&block) };
                prop_assert_eq!(bitfield.set(block, value), changed);
            }
            let around = BlockRange::new(start.saturating_sub(100), start + len + 100);
            prop_assert_eq!(bitfield.count(around), model.range(around.start..around.end).count() as u64);
            prop_assert_eq!(bitfield.first_present(around), model.range(around.start..around.end).next().copied());
            prop_assert_eq!(
                bitfield.first_missing(around),
                (around.start..around.end).find(|block| !model.contains(block))
            );
            let from_runs: Vec<u64> = bitfield.runs(around).flat_map(|run| run.start..run.end).collect();
            prop_assert_eq!(from_runs, model.range(around.start..around.end).copied().collect::<Vec<_>>());
            let coded = bitfield.compress(around.start, around.len());
            let bits = rle::decode(&coded, 1 << 17).unwrap();
            for (at, block) in (around.start..around.end).enumerate() {
                let bit = bits.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
                prop_assert_eq!(bit, model.contains(&block));
            }
        }
        prop_assert_eq!(bitfield.count(BlockRange::new(0, u64::MAX)), model.len() as u64);
        // What is written is what is read.
        let mut again = Bitfield::new();
        for page in bitfield.take_dirty() {
            again.load_page(page.number, &page.bytes);
        }
        let everything = BlockRange::new(0, u64::MAX);
        prop_assert!(bitfield.runs(everything).eq(again.runs(everything)));
    }

    /// The index may say less than it could, but never that a block is here which is missing.
    #[test]
    fn the_index_never_claims_too_much(spans in spans()) {
        let mut bitfield = Bitfield::new();
        for (start, len, value) in spans {
            for block in start..start + len {
                bitfield.set(block % 70_000, value);
            }
        }
        let bytes: Vec<u8> = (0..bitfield.page_count()).flat_map(|page| bitfield.page(page).unwrap_or(vec![0; PAGE_BYTES])).collect();
        let index: Vec<u8> = bytes.chunks(PAGE_BYTES).flat_map(|page| page[3072..].to_vec()).collect();
        for (node, byte) in index.iter().enumerate() {
            let depth = node.trailing_ones();
            let reach = (1_usize << depth) - 1;
            // Data bytes under the node; each quarter of them has two bits.
            let (first, quarter) = ((node - reach) * 2, (reach + 1) as u64);
            for part in 0..4_u64 {
                let start = 8 * (first as u64 + part * quarter);
                let all = BlockRange::new(start, start + 8 * quarter);
                if byte >> (6 - 2 * part) & 3 == 3 {
                    prop_assert_eq!(bitfield.first_missing(all), None);
                } else if depth == 0 {
                    prop_assert!(bitfield.first_missing(all).is_some());
                }
            }
        }
    }

    #[test]
    fn tree_length_is_by_the_roots(leaves in 0..300_u64, extra in vec(0..700_u64, 0..4)) {
        let mut bitfield = Bitfield::new();
        for leaf in 0..leaves {
            bitfield.tree_set(2 * leaf);
        }
        prop_assert_eq!(bitfield.tree_length(), leaves);
        prop_assert_eq!(naive_tree_length(&bitfield, 400), leaves);
        bitfield.truncate(leaves / 2);
        prop_assert_eq!(bitfield.tree_length(), leaves / 2);
        let mut shorter = Bitfield::new();
        for leaf in 0..leaves / 2 {
            shorter.tree_set(2 * leaf);
        }
        for node in 0..PAGE_NODES {
            prop_assert_eq!(bitfield.tree_has(node), shorter.tree_has(node), "node {}", node);
        }
        for node in extra {
            bitfield.tree_set(node);
            prop_assert!(bitfield.tree_has(node));
            bitfield.tree_clear(node);
            prop_assert!(!bitfield.tree_has(node));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..8000), block in any::<u64>(), node in any::<u64>()) {
        let mut bitfield = Bitfield::from_bytes(PAGE_BYTES, &bytes).unwrap();
        bitfield.set(block, bytes.len() % 2 == 0);
        bitfield.tree_set(node);
        let _ = (bitfield.tree_length(), bitfield.verified_by(node), bitfield.tree_bits());
        let _ = bitfield.compress(block, 1 << 20);
        bitfield.truncate(block / 2);
        prop_assert_eq!(bitfield.first_present(BlockRange::new(block / 2, u64::MAX)), None);
    }
}
