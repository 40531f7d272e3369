//! Directories that hypercore 7.7.1 and 9.12.0 wrote, with the key of the other tests: 13 blocks in batches
//! of 1, 3, 1, 7 and 1.

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::Flavour;
use quorate_feed::sign::Form;

use crate::support::{Disk, audit, create, open};

macro_rules! fixture {
    ($name:literal) => {{
        let disk = Disk::default();
        disk.tree.set(include_bytes!(concat!("../vectors/", $name, "/tree")).to_vec());
        disk.data.set(include_bytes!(concat!("../vectors/", $name, "/data")).to_vec());
        disk.signatures.set(include_bytes!(concat!("../vectors/", $name, "/signatures")).to_vec());
        disk.bitfield.set(include_bytes!(concat!("../vectors/", $name, "/bitfield")).to_vec());
        disk
    }};
}

fn blocks() -> Vec<Bytes> {
    (0..13_u8).map(|i| Bytes::from(vec![i; [0, 1, 5, 33, 200][usize::from(i % 5)]])).collect()
}

#[test]
fn directories_of_both_ages_open_and_go_on() {
    for (disk, form) in [(fixture!("hypercore7"), Form::Tree), (fixture!("hypercore9"), Form::TreeLength)] {
        let (mut feed, recovery) = open(&disk, true);
        assert!(recovery.is_clean(), "{recovery:?}");
        assert_eq!(feed.length(), 13);
        for (index, block) in (0..).zip(blocks()) {
            assert_eq!(block_on(feed.get(index)).unwrap(), Some(block));
        }
        let report = audit(&mut feed);
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.blocks, report.parents, report.signatures), (13, 10, 5));
        for length in [1, 4, 5, 12, 13] {
            let signed = block_on(feed.signed_roots_at(length)).unwrap().unwrap();
            assert_eq!(signed.verify(Flavour::Dat, feed.verifier()), Some(form));
        }
        assert_eq!(block_on(feed.signature_for(5)).unwrap().unwrap().0, 12);
        block_on(feed.append(&[Bytes::from_static(b"more")])).unwrap();
        block_on(feed.flush()).unwrap();
        let (mut feed, recovery) = open(&disk, true);
        assert!(recovery.is_clean());
        assert!(audit(&mut feed).is_clean());
        let mut replica = create(&Disk::default(), false);
        for index in [3, 13, 12] {
            let data = block_on(feed.proof(index)).unwrap().unwrap();
            let block = block_on(replica.verify(data)).unwrap();
            block_on(replica.put(block)).unwrap();
        }
        assert_eq!(replica.length(), 14);
    }
}

#[test]
fn our_files_are_those_of_hypercore_7_byte_for_byte() {
    let disk = Disk::default();
    let mut feed = create(&disk, true);
    let all = blocks();
    let mut rest = all.as_slice();
    for batch in [1, 3, 1, 7, 1] {
        let (now, after) = rest.split_at(batch);
        block_on(feed.append(now)).unwrap();
        rest = after;
    }
    block_on(feed.flush()).unwrap();
    let expected = fixture!("hypercore7");
    assert_eq!(disk.data.bytes(), expected.data.bytes());
    assert_eq!(disk.tree.bytes(), expected.tree.bytes());
    assert_eq!(disk.signatures.bytes(), expected.signatures.bytes());
    assert_eq!(disk.bitfield.bytes(), expected.bitfield.bytes());
    let other = fixture!("hypercore9");
    assert_eq!(disk.data.bytes(), other.data.bytes());
    assert_eq!(disk.tree.bytes(), other.tree.bytes());
    assert_eq!(disk.bitfield.bytes(), other.bitfield.bytes());
}
