//! A feed on a disk that fails, at every write and every sync of it: what was flushed is there
//! afterwards, and all of it verifies.

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::{Feed, FeedConfig, Keys, Storage};
use quorate_store::{Backend, CacheConfig, Fault, FaultyDisk, When};
use quorate_types::{BlockRange, PublicKey, SecretKey};

/// So small that writes reach the disk long before a flush.
const TINY: CacheConfig = CacheConfig { page_bytes: 64, clean_bytes: 256, dirty_bytes: 300 };

fn keys() -> Keys {
    let public = PublicKey::new(*include_bytes!("fixtures/hypercore-9/key"));
    Keys { public, secret: Some(SecretKey::new(*include_bytes!("fixtures/hypercore-9/secret_key"))) }
}

async fn storage(disk: &FaultyDisk, config: Option<CacheConfig>) -> Option<Storage<Backend>> {
    let mut files = Vec::new();
    for name in ["signatures", "bitfield", "data", "tree"] {
        let file = disk.file(name);
        files.push(match config {
            Some(config) => Backend::cached_faulty(file, config).await.ok()?,
            None => Backend::Faulty(file),
        });
    }
    Some(Storage { tree: files.pop()?, data: files.pop()?, bitfield: files.pop()?, signatures: files.pop()? })
}

fn block(index: u64) -> Bytes {
    Bytes::from(format!("block {index} {}", "x".repeat((index % 5 * 40) as usize)))
}

/// Appends, flushes, clears and goes on until something fails; returns the length that was flushed last.
async fn write(disk: &FaultyDisk, config: Option<CacheConfig>) -> u64 {
    let mut flushed = 0;
    let Some(storage) = storage(disk, config).await else { return 0 };
    let Ok(mut feed) = Feed::create(keys(), storage, FeedConfig::default()).await else { return 0 };
    for batch in 0..6_u64 {
        let blocks: Vec<Bytes> = (0..=batch % 3).map(|at| block(feed.length() + at)).collect();
        if feed.append(&blocks).await.is_err() || feed.flush().await.is_err() {
            return flushed;
        }
        flushed = feed.length();
        if batch == 3 && feed.clear(BlockRange::new(1, 3)).await.is_err() {
            return flushed;
        }
    }
    flushed
}

/// Opens what a crash has left, checks it, and goes on with it.
async fn check(disk: &FaultyDisk, flushed: u64, case: &str) {
    let storage = storage(disk, Some(TINY)).await.expect("the disk works again");
    let (mut feed, recovery) = match Feed::open(keys(), storage, FeedConfig::default()).await {
        Ok(opened) => opened,
        Err(error) => panic!("{case}: {error}"),
    };
    assert!(feed.length() >= flushed, "{case}: {flushed} flushed, {recovery:?}");
    for index in 0..feed.length() {
        match feed.get(index).await.expect("the block can be read") {
            Some(found) => assert_eq!(found, block(index), "{case}, block {index}"),
            None => assert!((1..3).contains(&index), "{case}: block {index} is lost, {recovery:?}"),
        }
    }
    let report = feed.audit(&mut |_, _| {}).await.expect("the audit can read");
    assert!(report.is_clean(), "{case}: {report:?}");
    let next = feed.length();
    feed.append(&[block(next)]).await.expect("the feed goes on");
    feed.flush().await.expect("the feed goes on");
    assert_eq!(feed.get(next).await.expect("it is there"), Some(block(next)), "{case}");
}

fn try_all(config: Option<CacheConfig>) {
    block_on(async {
        let calm = FaultyDisk::new(0);
        let length = write(&calm, config).await;
        assert_eq!(length, 12);
        check(&calm.crash(1), length, "no fault").await;
        let (writes, syncs) = (calm.writes(), calm.syncs());
        assert!(writes > 20 && syncs > 10, "{writes} writes, {syncs} syncs");
        let places = (0..writes).map(When::Write).chain((0..syncs).map(When::Sync));
        for place in places {
            for fault in [Fault::Io, Fault::NoSpace, Fault::Torn, Fault::PowerCut] {
                let disk = FaultyDisk::new(5);
                disk.plan(place, fault);
                let flushed = write(&disk, config).await;
                for seed in 0..4 {
                    let case = format!("{fault:?} at {place:?}, seed {seed}");
                    check(&disk.crash(seed), flushed, &case).await;
                }
            }
        }
    });
}

#[test]
fn behind_the_cache_nothing_flushed_is_lost() {
    try_all(Some(TINY));
}

#[test]
fn behind_the_cache_of_real_files_nothing_flushed_is_lost() {
    try_all(Some(CacheConfig::DATA));
}

#[test]
fn without_a_cache_nothing_flushed_is_lost() {
    try_all(None);
}
