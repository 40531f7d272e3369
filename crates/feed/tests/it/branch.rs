//! Going over to the other history of a fork.

use std::cell::RefCell;

use futures_lite::future::block_on;
use proptest::prelude::*;
use quorate_feed::fork::{ForkProof, VerifiedForkProof, find_link};
use quorate_feed::{BranchError, Feed, Flavour, StorageError};
use quorate_types::NodeIndex;

use crate::support::{Disk, File, audit, blocks, create, dice, open, written};

/// Two feeds of one writer that agree on `shared` blocks, signed at random lengths, and what proves that they differ.
fn two_histories(
    shared: u64,
    one: u64,
    other: u64,
    roll: &mut impl FnMut(usize) -> usize,
) -> ([Feed<File>; 2], VerifiedForkProof) {
    let all = blocks(shared + one.max(other));
    let feeds = [(one, false), (other, true)].map(|(more, is_other)| {
        let mut history = all[..(shared + more) as usize].to_vec();
        if is_other {
            history[shared as usize..]
                .iter_mut()
                .for_each(|block| *block = [&block[..], b"'"].concat().into());
        }
        written(&history, || 1 + roll(4)).1
    });
    let [mut a, mut b] = feeds;
    let signed = |feed: &mut Feed<File>| block_on(feed.signed_roots_at(feed.length())).unwrap().unwrap();
    let (first, second) = (signed(&mut a), signed(&mut b));
    let (first, second, long) =
        if a.length() <= b.length() { (first, second, &mut b) } else { (second, first, &mut a) };
    let long = RefCell::new(long);
    let node = |index: NodeIndex| block_on(long.borrow_mut().node(index.get())).unwrap();
    let link = find_link(&first.roots, &second.roots, node).unwrap();
    let proof = ForkProof { key: *a.key(), flavour: Flavour::Dat, a: first, b: second, link };
    let proof = proof.verify().unwrap();
    ([a, b], proof)
}

/// Takes all blocks of a feed that are missing in another one.
fn fill(target: &mut Feed<File>, source: &mut Feed<File>) {
    for index in 0..source.length() {
        if !target.has(index) {
            let data = block_on(source.proof(index)).unwrap().unwrap();
            let block = block_on(target.verify(data)).unwrap();
            block_on(target.put(block)).unwrap();
        }
    }
}

fn is_copy(target: &mut Feed<File>, source: &mut Feed<File>) -> bool {
    let length = source.length();
    let mut same = |index| block_on(target.get(index)).unwrap() == block_on(source.get(index)).unwrap();
    (0..length).all(&mut same) && target.length() == length
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever holds one of two histories goes over to the other one: what both share stays, the rest comes from
    /// there, and nothing of the history before is taken any more.
    #[test]
    fn a_copy_goes_over_to_the_other_history(
        shared in 0_u64..40,
        one in 1_u64..20,
        other in 1_u64..20,
        knows in any::<bool>(),
        is_whole in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut roll = dice(seed);
        let ([mut a, mut b], proof) = two_histories(shared, one, other, &mut roll);
        prop_assert!(proof.shared() <= shared, "{} of {shared}", proof.shared());
        let disk = Disk::default();
        let mut copy = create(&disk, false);
        if is_whole {
            fill(&mut copy, &mut a);
        } else {
            for _ in 0..a.length() {
                let data = block_on(a.proof(roll(a.length() as usize) as u64)).unwrap().unwrap();
                let block = block_on(copy.verify(data)).unwrap();
                block_on(copy.put(block)).unwrap();
            }
        }
        let had: Vec<bool> = (0..a.length()).map(|index| copy.has(index)).collect();
        let dropped = block_on(copy.take_branch(&proof, if knows { shared } else { 0 })).unwrap();
        prop_assert_eq!(dropped.end, a.length());
        prop_assert!(dropped.start == shared || !(knows && is_whole) && dropped.start < shared, "{:?}", dropped);
        prop_assert!((0..dropped.start).all(|index| copy.has(index) == had[index as usize]));
        prop_assert!((dropped.start..copy.length()).all(|index| !copy.has(index)));
        // What it has dropped is not taken again.
        for index in shared..a.length() {
            let data = block_on(a.proof(index)).unwrap().unwrap();
            prop_assert!(block_on(copy.verify(data)).is_err(), "block {}", index);
        }
        if roll(2) == 0 {
            drop(copy);
            let recovery;
            (copy, recovery) = open(&disk, false);
            prop_assert!(recovery.lost().is_empty(), "{:?}", recovery);
        }
        fill(&mut copy, &mut b);
        block_on(copy.flush()).unwrap();
        prop_assert!(is_copy(&mut copy, &mut b));
        let (mut again, recovery) = open(&disk, false);
        prop_assert!(recovery.is_clean(), "{:?}", recovery);
        prop_assert!(is_copy(&mut again, &mut b) && audit(&mut again).is_clean());
    }

    /// The power fails at any write. What is there verifies, and the way is found again.
    #[test]
    fn a_crash_on_the_way_to_the_other_history(
        shared in 0_u64..20,
        one in 1_u64..12,
        other in 1_u64..12,
        writes in 0_usize..14,
        seed in any::<u64>(),
    ) {
        let mut roll = dice(seed);
        let ([mut a, mut b], proof) = two_histories(shared, one, other, &mut roll);
        let disk = Disk::default();
        let mut copy = create(&disk, false);
        fill(&mut copy, &mut a);
        block_on(copy.flush()).unwrap();
        Disk::fail_after(writes);
        let taken = block_on(copy.take_branch(&proof, shared));
        Disk::fail_after(usize::MAX);
        if taken.is_err() {
            let again = block_on(copy.take_branch(&proof, shared));
            prop_assert!(matches!(again, Err(BranchError::Storage(StorageError::Poisoned))), "{:?}", again);
        }
        drop(copy);
        disk.crash(roll);
        let (mut copy, recovery) = open(&disk, false);
        prop_assert!(recovery.damaged.is_empty(), "{:?}", recovery);
        prop_assert!(audit(&mut copy).is_clean());
        let is_before = a.length() >= copy.length()
            && block_on(a.roots_at(copy.length())).unwrap().as_ref() == Some(copy.roots());
        prop_assert!(is_before || copy.roots() == b.roots(), "{:?}", copy);
        if copy.roots() == a.roots() {
            block_on(copy.take_branch(&proof, shared)).unwrap();
        } else if is_before && copy.length() > shared {
            // A shorter length of the history before: it takes another proof.
            return Ok(());
        }
        fill(&mut copy, &mut b);
        prop_assert!(is_copy(&mut copy, &mut b) && audit(&mut copy).is_clean());
    }
}

#[test]
fn who_writes_or_holds_neither_history_does_not_go_over() {
    let mut roll = dice(7);
    let ([mut a, _], proof) = two_histories(5, 3, 4, &mut roll);
    assert!(matches!(block_on(a.take_branch(&proof, 0)), Err(BranchError::Writer)));
    let mut copy = create(&Disk::default(), false);
    assert!(matches!(block_on(copy.take_branch(&proof, 0)), Err(BranchError::NotHere { .. })));
    assert_eq!(copy.length(), 0);
}
