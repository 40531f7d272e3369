//! Whole and sparse feeds taken from another feed block by block.

use bytes::Bytes;
use futures_lite::future::block_on;
use proptest::prelude::*;
use quorate_feed::proof::ProofError;
use quorate_feed::{
    Candidate, Feed, PreAccept, PutError, Refusal, RemoteTree, Seek, Stored, VerifiedBlock, VerifyError,
};
use quorate_proto::dat::{Data, Request};
use quorate_types::{BlockRange, NodeIndex};

use crate::support::{Disk, File, audit, blocks, create, dice, open, written};

fn ask(
    from: &mut Feed<File>,
    to: &Feed<File>,
    index: u64,
    hash: bool,
    remote: &mut RemoteTree,
) -> Option<Data> {
    let request = Request { index, hash, nodes: to.digest(index), bytes: 0 };
    block_on(from.answer(&request, remote)).unwrap()
}

fn take(to: &mut Feed<File>, data: Data) -> Stored {
    let block = block_on(to.verify(data)).unwrap();
    block_on(to.put(block)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Blocks come in any order, from a source that grows meanwhile, with digests that may be out of date,
    /// and some of them as hashes first.
    #[test]
    fn any_order_ends_in_the_same_feed(count in 1_u64..120, first in 1_u64..120, seed in any::<u64>()) {
        let mut roll = dice(seed);
        let all = blocks(count);
        let first = first.min(count);
        let (source_disk, mut source) = written(&all[..first as usize], || 1 + roll(7));
        let disk = Disk::default();
        let mut target = create(&disk, false);
        let mut remote = RemoteTree::new();
        let mut wanted: Vec<u64> = (0..first).collect();
        let mut stale = Vec::new();
        while !wanted.is_empty() || source.length() < count {
            if wanted.is_empty() || (roll(10) == 0 && source.length() < count) {
                let start = source.length() as usize;
                let end = (start + 1 + roll(9)).min(count as usize);
                block_on(source.append(&all[start..end])).unwrap();
                wanted.extend(start as u64..end as u64);
            }
            let index = wanted.swap_remove(roll(wanted.len()));
            match roll(8) {
                0 => {
                    let data = ask(&mut source, &target, index, true, &mut remote).unwrap();
                    let stored = take(&mut target, data);
                    prop_assert!(!stored.new);
                    wanted.push(index);
                }
                1 => stale.push(Request { index, nodes: target.digest(index), ..Request::default() }),
                _ => {
                    let data = ask(&mut source, &target, index, false, &mut remote).unwrap();
                    let stored = take(&mut target, data);
                    prop_assert!(stored.new);
                }
            }
            if roll(6) == 0 {
                block_on(target.flush()).unwrap();
            }
            if roll(20) == 0 {
                drop(target);
                // Only what was flushed survives, but then a disk has it all.
                disk.crash(|_| 0);
                target = open(&disk, false).0;
                remote = RemoteTree::new();
                wanted = (0..source.length()).filter(|index| !target.has(*index)).collect();
                stale.clear();
            }
        }
        for request in stale {
            let data = block_on(source.answer(&request, &mut remote)).unwrap().unwrap();
            take(&mut target, data);
        }
        for index in 0..count {
            prop_assert_eq!(block_on(target.get(index)).unwrap(), Some(all[index as usize].clone()));
        }
        block_on(target.flush()).unwrap();
        prop_assert_eq!(target.length(), count);
        prop_assert_eq!(target.roots(), source.roots());
        let report = audit(&mut target);
        prop_assert!(report.is_clean(), "{:?}", report);
        prop_assert_eq!((report.blocks, report.unchecked_signatures), (count, 0));
        block_on(source.flush()).unwrap();
        prop_assert_eq!(disk.data.bytes(), source_disk.data.bytes());
        prop_assert_eq!(disk.tree.bytes(), source_disk.tree.bytes());
        let (reopened, recovery) = open(&disk, false);
        prop_assert!(recovery.is_clean(), "{:?}", recovery);
        prop_assert_eq!(reopened.roots(), source.roots());
    }
}

#[test]
fn a_sparse_feed_answers_seeks_and_passes_on_what_it_has() {
    let all = blocks(100);
    let (_, mut source) = written(&all, || 10);
    let mut middle = create(&Disk::default(), false);
    let mut remote = RemoteTree::new();
    for index in [40, 41, 77] {
        let data = ask(&mut source, &middle, index, false, &mut remote).unwrap();
        assert_eq!(take(&mut middle, data), Stored { index: index.into(), new: true, upgraded: index == 40 });
    }
    assert_eq!((middle.length(), middle.byte_length()), (100, source.byte_length()));
    assert_eq!(block_on(middle.get(0)).unwrap(), None);
    let mut end = create(&Disk::default(), false);
    for index in [77, 41] {
        let data = block_on(middle.proof(index)).unwrap().unwrap();
        assert!(take(&mut end, data).new);
    }
    assert_eq!(block_on(middle.proof(0)).unwrap(), None);
    assert_eq!(block_on(end.get(77)).unwrap(), Some(all[77].clone()));

    let mut offset = 0;
    for (index, block) in (0..).zip(&all) {
        for byte in 0..block.len() as u64 {
            let expected = Seek::Block { index: quorate_types::BlockIndex::new(index), offset: byte };
            assert_eq!(block_on(source.seek(offset + byte)).unwrap(), expected);
            match block_on(middle.seek(offset + byte)).unwrap() {
                Seek::Within(range) => assert!(range.contains(index), "{range} {index}"),
                found => assert_eq!(found, expected),
            }
        }
        assert_eq!(block_on(source.byte_range(index)).unwrap(), Some((offset, block.len() as u64)));
        offset += block.len() as u64;
    }
    assert_eq!(block_on(source.seek(offset)).unwrap(), Seek::End);
    let found = block_on(middle.seek(block_on(source.byte_range(77)).unwrap().unwrap().0)).unwrap();
    assert_eq!(found, Seek::Block { index: 77.into(), offset: 0 });
}

#[test]
fn clearing_keeps_the_hashes() {
    let all = blocks(50);
    let (disk, mut feed) = written(&all, || 5);
    let before = feed.roots().clone();
    assert_eq!(block_on(feed.clear(BlockRange::new(10, 20))).unwrap(), 10);
    assert_eq!(block_on(feed.clear(BlockRange::new(15, 25))).unwrap(), 5);
    assert_eq!(block_on(feed.clear(BlockRange::new(48, 500))).unwrap(), 2);
    assert_eq!(block_on(feed.get(12)).unwrap(), None);
    assert_eq!(block_on(feed.get(9)).unwrap(), Some(all[9].clone()));
    block_on(feed.append(&[Bytes::from_static(b"more")])).unwrap();
    block_on(feed.flush()).unwrap();
    let (mut feed, recovery) = open(&disk, true);
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(feed.length(), 51);
    assert_eq!(block_on(feed.roots_at(50)).unwrap(), Some(before));
    assert_eq!(block_on(feed.get(50)).unwrap(), Some(Bytes::from_static(b"more")));
    for index in 0..50 {
        let cleared = (10..25).contains(&index) || index >= 48;
        assert_eq!(block_on(feed.get(index)).unwrap().is_none(), cleared, "{index}");
    }
    let (_, mut source) = written(&all, || 50);
    let data = ask(&mut source, &feed, 12, false, &mut RemoteTree::new()).unwrap();
    assert_eq!(data.nodes, []);
    assert!(take(&mut feed, data).new);
    assert_eq!(block_on(feed.get(12)).unwrap(), Some(all[12].clone()));
    assert!(audit(&mut feed).is_clean());
}

/// A proof of a hash alone binds only the sum of the sizes of two siblings. A peer that shifts bytes
/// between them must not make the blocks land in the wrong place.
#[test]
fn shifted_sizes_are_set_right_by_the_blocks() {
    let all: Vec<Bytes> = (0..8_u8).map(|i| Bytes::from(vec![i; 10])).collect();
    let (_, mut source) = written(&all, || 8);
    for order in [[2, 3], [3, 2]] {
        let mut target = create(&Disk::default(), false);
        let mut data = block_on(source.hash_proof(2)).unwrap().unwrap();
        assert_eq!((data.nodes[0].index.get(), data.nodes[1].index.get()), (4, 6));
        data.nodes[0].size += 7;
        data.nodes[1].size -= 7;
        take(&mut target, data);
        for index in order {
            let data = ask(&mut source, &target, index, false, &mut RemoteTree::new()).unwrap();
            assert!(take(&mut target, data).new);
        }
        for index in [2, 3] {
            assert_eq!(block_on(target.get(index)).unwrap(), Some(all[index as usize].clone()));
        }
        assert!(audit(&mut target).is_clean());
    }
}

#[test]
fn what_is_known_is_never_contradicted() {
    let (_, mut source) = written(&blocks(9), || 3);
    let mut target = create(&Disk::default(), false);
    let good = block_on(source.proof(4)).unwrap().unwrap();
    take(&mut target, good.clone());
    let mut other = good.clone();
    other.value = Some(Bytes::from_static(b"another"));
    let error = block_on(target.verify(other)).unwrap_err();
    assert!(matches!(error, VerifyError::Proof(ProofError::WrongHash { at }) if at == NodeIndex::new(8)));
    let mut sibling = block_on(source.proof(5)).unwrap().unwrap();
    sibling.nodes[0].hash = quorate_types::Hash::new([0; 32]);
    assert!(block_on(target.verify(sibling)).is_ok(), "the leaf is known, so that nothing else is looked at");
    let mut far = block_on(source.proof(0)).unwrap().unwrap();
    far.value = Some(Bytes::from_static(b"forged"));
    let error = block_on(target.verify(far)).unwrap_err();
    assert!(
        matches!(error, VerifyError::Proof(ProofError::WrongHash { at }) if at == NodeIndex::new(3)),
        "{error}"
    );
}

struct Refuse(u64);

impl PreAccept for Refuse {
    fn check(&mut self, candidate: &Candidate<'_>) -> Result<(), Refusal> {
        assert_eq!(candidate.length_after, 9);
        if candidate.index == self.0 && candidate.value.is_some() {
            return Err(Refusal { code: 4, reason: "not this one".into() });
        }
        Ok(())
    }
}

#[test]
fn the_hook_runs_before_anything_is_written() {
    let all = blocks(9);
    let (_, mut source) = written(&all, || 9);
    let disk = Disk::default();
    let mut target = create(&disk, false);
    target.set_pre_accept(Box::new(Refuse(3)));
    let data = block_on(source.proof(3)).unwrap().unwrap();
    let block: VerifiedBlock = block_on(target.verify(data)).unwrap();
    let error = block_on(target.put(block)).unwrap_err();
    assert!(matches!(&error, PutError::Refused { index: 3, refusal } if refusal.code == 4));
    assert_eq!(error.to_string(), "block 3 is refused by rule 4: not this one");
    assert_eq!((target.length(), target.bitfield().tree_bits(), disk.data.bytes().len()), (0, 0, 0));
    let data = block_on(source.proof(4)).unwrap().unwrap();
    assert!(take(&mut target, data).new);

    let disk = Disk::default();
    let mut writer = create(&disk, true);
    writer.set_pre_accept(Box::new(Refuse(3)));
    let error = block_on(writer.append(&all)).unwrap_err();
    assert_eq!(error.to_string(), "block 3 is refused by rule 4: not this one");
    assert_eq!((writer.length(), writer.bitfield().tree_bits(), disk.data.bytes().len()), (0, 0, 0));
}

#[test]
fn blocks_of_other_feeds_and_older_roots_are_not_stored() {
    let (_, mut source) = written(&blocks(9), || 1);
    let mut target = create(&Disk::default(), false);
    let early = block_on(source.proof(3)).unwrap().unwrap();
    let first = block_on(target.verify(early.clone())).unwrap();
    let second = block_on(target.verify(early)).unwrap();
    block_on(target.put(first)).unwrap();
    assert!(matches!(block_on(target.put(second)), Err(PutError::Stale { index: 3 })));

    let (public, secret) = quorate_feed::sign::key_pair(&[2; 32]);
    let keys = quorate_feed::Keys { public, secret: Some(secret) };
    let storage = Disk::default().storage();
    let mut other = block_on(Feed::create(keys, storage, quorate_feed::FeedConfig::default())).unwrap();
    let data = block_on(source.proof(2)).unwrap().unwrap();
    let block = block_on(target.verify(data.clone())).unwrap();
    assert!(matches!(block_on(other.put(block)), Err(PutError::OtherFeed { .. })));
    let error = block_on(other.verify(data)).unwrap_err();
    assert!(matches!(error, VerifyError::Proof(ProofError::BadSignature { length: 9 })));
}

#[test]
fn signatures_are_found_at_or_after_a_block() {
    let (_, mut feed) = written(&blocks(10), || 4);
    for (index, expected) in [(0, 4), (3, 4), (4, 8), (7, 8), (8, 10), (9, 10)] {
        let (length, signature) = block_on(feed.signature_for(index)).unwrap().unwrap();
        assert_eq!(length, expected);
        let signed = block_on(feed.signed_roots_at(length)).unwrap().unwrap();
        assert_eq!(signed.signature, signature);
        assert!(signed.verify(quorate_feed::Flavour::Dat, feed.verifier()).is_some());
    }
    assert_eq!(block_on(feed.signature_for(10)).unwrap(), None);
    assert_eq!(block_on(feed.signed_roots_at(5)).unwrap(), None);
    assert_eq!(block_on(feed.roots_at(5)).unwrap().unwrap().length(), 5);
    assert_eq!(block_on(feed.roots_at(11)).unwrap(), None);
}
