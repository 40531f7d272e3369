//! Run-length coded bitfields off the wire, and bitfield pages off the disk.

use quorate_feed::{Bitfield, rle, sleep};
use quorate_types::BlockRange;
use quorate_types::limits::MAX_BITFIELD_BYTES;

use crate::Target;

pub(super) const RUN_LENGTH: Target =
    Target { name: "run-length", run: run_length, seeds: run_length_seeds, cost: 2 };

pub(super) const PAGES: Target = Target { name: "bitfield-pages", run: pages, seeds: page_seeds, cost: 8 };

fn run_length(input: &[u8]) {
    if let Ok(bitfield) = rle::decode(input, MAX_BITFIELD_BYTES) {
        assert!(bitfield.len() <= MAX_BITFIELD_BYTES);
        same_bits(
            &rle::decode(&rle::encode(&bitfield), MAX_BITFIELD_BYTES).expect("what we encode"),
            &bitfield,
        );
    }
    let coded = rle::encode(input);
    same_bits(&rle::decode(&coded, input.len()).expect("what we encode"), input);
}

/// Zeros at the end are not encoded.
fn same_bits(a: &[u8], b: &[u8]) {
    let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    assert_eq!(a[..used(a)], b[..used(b)]);
}

fn run_length_seeds() -> Vec<Vec<u8>> {
    let bitfields = [vec![0xff; 1300], vec![0; 40], [vec![0; 1024], vec![0xff; 3], vec![0xa5; 9]].concat()];
    bitfields.iter().map(|bitfield| rle::encode(bitfield)).chain([vec![0xff; 20], vec![5, 0, 255]]).collect()
}

/// The first byte chooses among page sizes, known and unknown ones.
fn pages(input: &[u8]) {
    let Some((size, file)) = input.split_first() else {
        return;
    };
    let page_bytes = match size % 4 {
        0 => sleep::PAGE_BYTES,
        1 => 3328,
        2 => usize::from(*size) * 16,
        _ => usize::from(*size),
    };
    let Ok(mut bitfield) = Bitfield::from_bytes(page_bytes, file) else {
        return;
    };
    let length = bitfield.tree_length();
    let range = BlockRange::new(0, bitfield.page_count() * 8192);
    let present = bitfield.count(range);
    assert_eq!(bitfield.runs(range).map(BlockRange::len).sum::<u64>(), present);
    assert_eq!(bitfield.first_present(range).is_some(), present > 0);
    bitfield.truncate(length / 2);
    assert!(bitfield.tree_length() <= length);
    assert!(rle::decode(&bitfield.compress(0, 1 << 20), MAX_BITFIELD_BYTES).is_ok());
}

fn page_seeds() -> Vec<Vec<u8>> {
    let mut bitfield = Bitfield::new();
    for block in (0..100).chain(8190..8200) {
        bitfield.set(block, true);
        bitfield.tree_set(2 * block);
    }
    let pages: Vec<Vec<u8>> = (0..bitfield.page_count()).filter_map(|number| bitfield.page(number)).collect();
    let with = |size: u8, pages: &[Vec<u8>]| [&[size][..], &pages.concat()].concat();
    vec![with(0, &pages[..1]), with(0, &pages), with(1, &pages[..1])]
}
