//! What a feed is after a crash.

use bytes::Bytes;
use futures_lite::future::block_on;
use proptest::prelude::*;
use quorate_feed::OpenError;
use quorate_types::{BlockIndex, BlockRange};

use crate::support::{Disk, File, audit, blocks, create, dice, open, try_open, written};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any part of what was not synced may be on disk, or a torn half of it. Whatever was flushed or
    /// committed is there, whatever is there verifies, it ends where a batch ended, and appending goes on.
    #[test]
    fn a_writer_keeps_whole_batches(seed in any::<u64>(), count in 1_usize..60) {
        let mut roll = dice(seed);
        let all = blocks(count as u64);
        let disk = Disk::default();
        let mut feed = create(&disk, true);
        let (mut flushed, mut ends, mut at) = (0, vec![0], 0);
        while at < count {
            let end = (at + 1 + roll(9)).min(count);
            block_on(feed.append(&all[at..end])).unwrap();
            at = end;
            ends.push(end as u64);
            match roll(8) {
                0 => block_on(feed.flush()).unwrap(),
                1 => block_on(feed.commit()).unwrap(),
                _ => continue,
            }
            flushed = at;
        }
        if roll(2) == 0 {
            flush_in_part(&disk, &mut feed);
        }
        drop(feed);
        disk.crash(roll);
        let (mut feed, recovery) = open(&disk, true);
        prop_assert!(recovery.lost().is_empty() && recovery.damaged.is_empty(), "{:?}", recovery);
        prop_assert!(feed.length() >= flushed as u64);
        prop_assert!(ends.contains(&feed.length()), "{} of {:?}", feed.length(), ends);
        for index in 0..feed.length() {
            let block = block_on(feed.get(index)).unwrap();
            prop_assert_eq!(block.as_ref(), all.get(index as usize), "block {} of {:?}, {:?}", index, feed, recovery);
        }
        prop_assert!(audit(&mut feed).is_clean());
        let rest = &all[feed.length() as usize..];
        block_on(feed.append(rest)).unwrap();
        block_on(feed.append(&[Bytes::from_static(b"after")])).unwrap();
        prop_assert!(audit(&mut feed).is_clean());
        let (feed, recovery) = open(&disk, true);
        prop_assert!(recovery.is_clean(), "{:?}", recovery);
        prop_assert_eq!(feed.length(), count as u64 + 1);
    }

    /// The same for a replica: it keeps what was flushed, and claims nothing that does not verify.
    #[test]
    fn a_replica_keeps_what_was_flushed(seed in any::<u64>(), count in 1_u64..60) {
        let mut roll = dice(seed);
        let all = blocks(count);
        let (_, mut source) = written(&all, || 1 + roll(9));
        let disk = Disk::default();
        let mut target = create(&disk, false);
        let mut flushed = Vec::new();
        let mut here = Vec::new();
        for _ in 0..count {
            let index = if roll(2) == 0 { here.len() } else { roll(count as usize) } as u64 % count;
            let data = block_on(source.proof(index)).unwrap().unwrap();
            let block = block_on(target.verify(data)).unwrap();
            block_on(target.put(block)).unwrap();
            here.push(index);
            if roll(6) == 0 {
                block_on(target.flush()).unwrap();
                flushed.clone_from(&here);
            }
        }
        if roll(2) == 0 {
            flush_in_part(&disk, &mut target);
        }
        drop(target);
        disk.crash(roll);
        let (mut target, recovery) = open(&disk, false);
        prop_assert!(recovery.lost().is_empty() && recovery.damaged.is_empty(), "{:?}", recovery);
        let gone: Vec<_> = flushed.iter().filter(|index| !target.has(**index)).collect();
        prop_assert!(gone.is_empty(), "{:?} of {:?} in {:?}, {:?}", gone, flushed, target, recovery);
        for index in 0..target.length() {
            if let Some(block) = block_on(target.get(index)).unwrap() {
                prop_assert_eq!(&block, &all[index as usize]);
            }
        }
        let report = audit(&mut target);
        prop_assert!(report.is_clean(), "{:?}", report);
        for index in 0..count {
            let data = block_on(source.proof(index)).unwrap().unwrap();
            let block = block_on(target.verify(data)).unwrap();
            block_on(target.put(block)).unwrap();
        }
        prop_assert!(audit(&mut target).is_clean());
    }
}

/// A flush that does not come to its end: blocks, nodes and signatures are durable, and the bitfield is
/// written and not synced.
fn flush_in_part(disk: &Disk, feed: &mut quorate_feed::Feed<File>) {
    let before = disk.bitfield.bytes();
    block_on(feed.flush()).unwrap();
    let after = disk.bitfield.bytes();
    disk.bitfield.set(before);
    let mut file = disk.bitfield.clone();
    // Sector by sector: each of them may be lost, or torn.
    for (number, sector) in after.chunks(512).enumerate() {
        let write = random_access_storage::RandomAccess::write(&mut file, 512 * number as u64, sector);
        block_on(write).unwrap();
    }
}

#[test]
fn blocks_that_no_page_claims_are_found() {
    let all = blocks(40);
    let (disk, feed) = written(&all[..25], || 5);
    drop(feed);
    let (mut feed, _) = open(&disk, true);
    let page = disk.bitfield.bytes();
    for batch in all[25..].chunks(4) {
        block_on(feed.append(batch)).unwrap();
    }
    block_on(feed.flush()).unwrap();
    disk.bitfield.set(page);
    let whole = disk.copy();
    for writable in [true, false] {
        let disk = whole.copy();
        let (mut feed, recovery) = open(&disk, writable);
        assert_eq!((recovery.claimed, recovery.length), (25, 40));
        assert_eq!(
            (recovery.recovered, recovery.dropped),
            (BlockRange::new(25, 40), BlockRange::new(40, 40))
        );
        assert_eq!(feed.durable_length(), 40);
        assert!(audit(&mut feed).is_clean());
        let (_, recovery) = open(&disk, writable);
        assert!(recovery.is_clean());
        assert!(recovery.recovered.is_empty());
    }
    // Block 34 is in the batch 33..37: the batches before it are whole.
    let disk = whole.copy();
    let offset: usize = all[..34].iter().map(Bytes::len).sum();
    disk.data.flip(offset);
    let (mut feed, recovery) = open(&disk, true);
    assert_eq!((recovery.recovered, recovery.dropped), (BlockRange::new(25, 33), BlockRange::new(33, 40)));
    assert!(!recovery.is_clean() && recovery.lost().is_empty());
    assert!(audit(&mut feed).is_clean());
    assert_eq!(block_on(feed.signature_for(33)).unwrap(), None);
    // A replica knows the signed length, and lacks the block and what comes after it.
    let disk = whole.copy();
    disk.data.flip(offset);
    let (mut feed, recovery) = open(&disk, false);
    assert_eq!((feed.length(), recovery.recovered), (40, BlockRange::new(25, 34)));
    assert!(!feed.has(34) && feed.has(33));
    assert!(audit(&mut feed).is_clean());
}

#[test]
fn history_that_was_lost_is_said() {
    let all = blocks(20);
    let (whole, _) = written(&all, || 5);
    // The last signature.
    let disk = whole.copy();
    disk.signatures.flip(32 + 64 * 19);
    let (mut feed, recovery) = open(&disk, true);
    assert_eq!((recovery.claimed, recovery.length, recovery.lost()), (20, 15, BlockRange::new(15, 20)));
    assert_eq!(recovery.dropped, BlockRange::new(15, 20));
    assert!(audit(&mut feed).is_clean());
    // The bytes of the last block: the history stays, the block goes.
    let disk = whole.copy();
    let last = disk.data.bytes().len() - 1;
    disk.data.flip(last);
    let (feed, recovery) = open(&disk, true);
    assert_eq!((feed.length(), recovery.damaged), (20, vec![BlockIndex::new(19)]));
    assert!(!feed.has(19));
    // Another key: nothing is touched.
    let disk = whole.copy();
    let (public, _) = quorate_feed::sign::key_pair(&[9; 32]);
    let keys = quorate_feed::Keys { public, secret: None };
    let error = block_on(quorate_feed::Feed::open(keys, disk.storage(), quorate_feed::FeedConfig::default()))
        .unwrap_err();
    assert!(matches!(error, OpenError::NothingVerifies { claimed: 20, key } if key == public));
    assert!(open(&disk, true).1.is_clean());
}

#[test]
fn files_that_are_none_of_a_feed_are_refused() {
    let (whole, _) = written(&blocks(3), || 3);
    for at in [0, 3, 4, 6] {
        for file in 0..3 {
            let disk = whole.copy();
            [&disk.tree, &disk.signatures, &disk.bitfield][file].flip(at);
            let refused = try_open(&disk, true);
            assert!(matches!(refused, Err(OpenError::Header { .. })), "{at} {refused:?}");
        }
    }
    let created = block_on(quorate_feed::Feed::create(
        crate::support::keys(true),
        whole.storage(),
        quorate_feed::FeedConfig::default(),
    ));
    assert!(matches!(created, Err(OpenError::Exists { .. })));
}
