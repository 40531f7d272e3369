//! Damage that is planted, and found by the audit.

use futures_lite::future::block_on;
use quorate_feed::Corruption;
use quorate_types::{BlockIndex, NodeIndex};

use crate::support::{Disk, audit, blocks, open, written};

fn found(disk: &Disk, damage: impl FnOnce(&Disk)) -> Vec<Corruption> {
    let disk = disk.copy();
    let (mut feed, _) = open(&disk, true);
    damage(&disk);
    let report = audit(&mut feed);
    assert_eq!(report.is_clean(), report.findings.listed().is_empty());
    report.findings.listed().to_vec()
}

const fn entry(node: usize) -> usize {
    32 + 40 * node
}

#[test]
fn every_kind_of_damage_is_named() {
    let (disk, _) = written(&blocks(50), || 10);
    let node = NodeIndex::new;
    assert_eq!(found(&disk, |_| ()), []);

    let offset: usize = blocks(50)[..24].iter().map(bytes::Bytes::len).sum();
    let list = found(&disk, |disk| disk.data.flip(offset));
    assert_eq!(list, [Corruption::Block(BlockIndex::new(24))]);
    let list = found(&disk, |disk| disk.data.set(disk.data.bytes()[..offset].to_vec()));
    assert_eq!(list.len(), 21, "blocks 24 to 49 but for the 5 empty ones: {list:?}");

    // A leaf is wrong for its block and for its parent.
    let list = found(&disk, |disk| disk.tree.flip(entry(20)));
    assert_eq!(list, [Corruption::Block(BlockIndex::new(10)), Corruption::Parent(node(21))]);
    // A parent is wrong for its children and for its own parent, and for signatures over it.
    let list = found(&disk, |disk| disk.tree.flip(entry(23)));
    assert_eq!(list, [Corruption::Parent(node(15)), Corruption::Parent(node(23))]);
    let list = found(&disk, |disk| disk.tree.flip(entry(7)));
    let expected = [Corruption::Parent(node(7)), Corruption::Parent(node(15)), Corruption::Signature(10)];
    assert_eq!(list, expected);
    // The size of a parent is hashed too.
    let list = found(&disk, |disk| disk.tree.flip(entry(21) + 39));
    assert_eq!(list, [Corruption::Parent(node(19)), Corruption::Parent(node(21))]);
    // A peak of the present length.
    let list = found(&disk, |disk| disk.tree.flip(entry(97)));
    assert_eq!(list, [Corruption::Parent(node(97)), Corruption::Signature(50)]);

    let list = found(&disk, |disk| {
        let mut bytes = disk.tree.bytes();
        bytes[entry(21)..entry(22)].fill(0);
        disk.tree.set(bytes);
    });
    assert_eq!(list, [Corruption::BlankNode(node(21))]);

    let list = found(&disk, |disk| disk.signatures.flip(32 + 64 * 29 + 5));
    assert_eq!(list, [Corruption::Signature(30)]);
    let list = found(&disk, |disk| {
        let mut bytes = disk.signatures.bytes();
        bytes[32 + 64 * 49..].fill(0);
        disk.signatures.set(bytes);
    });
    assert_eq!(list, [Corruption::Unsigned(50)]);
}

/// Single claims that are missing or too many, as after a torn page: opening settles them.
#[test]
fn claims_that_rest_on_nothing_are_settled() {
    let (whole, _) = written(&blocks(50), || 10);
    for (at, bits) in [
        // Block 60 is behind the end.
        (7, 0b1000),
        // The leaves of blocks 20 and 21, one, the other, and both.
        (1024 + 5, 0b1000_0000),
        (1024 + 5, 0b0010_0000),
        (1024 + 5, 0b1010_0000),
        // Parents 9 and 19.
        (1024 + 1, 0b0100_0000),
        (1024 + 2, 0b0001_0000),
        // All of nodes 32 to 39.
        (1024 + 4, 0b1111_1111),
    ] {
        let disk = whole.copy();
        let mut bytes = disk.bitfield.bytes();
        bytes[32 + at] ^= bits;
        disk.bitfield.set(bytes);
        let (mut feed, recovery) = open(&disk, false);
        assert!(recovery.is_clean(), "{at} {recovery:?}");
        let report = audit(&mut feed);
        assert!(report.is_clean(), "{at} {report:?}");
        assert_eq!(report.blocks, 50, "{at}");
    }
    // The same, and the block is not what it was: it goes.
    let disk = whole.copy();
    let mut bytes = disk.bitfield.bytes();
    bytes[32 + 1024 + 5] ^= 0b0010_0000;
    disk.bitfield.set(bytes);
    disk.tree.flip(entry(42));
    let (mut feed, _) = open(&disk, false);
    assert!(!feed.has(21) && feed.has(20) && feed.has(22));
    assert!(audit(&mut feed).is_clean());
}

#[test]
fn progress_comes_to_its_end() {
    let (_, mut feed) = written(&blocks(5000), || 1000);
    let mut told = Vec::new();
    let report = block_on(feed.audit(&mut |done, total| told.push((done, total)))).unwrap();
    assert_eq!((report.length, report.blocks, report.parents, report.signatures), (5000, 5000, 4995, 5));
    assert!(told.len() >= 3 && told.is_sorted());
    assert_eq!(told.last(), Some(&(15000, 15000)));
}
