//! Measures the state of a room on disk: steps of two writes in batches of 1024, reads of hot and cold keys.
//!
//!     cargo run --release -p quorate-store --example room_state_speed [STEPS]

use std::time::Instant;

use quorate_rules::state::{ROOM_SPACE, RoomStore, StateStore, Step, WriteSet, state_root};
use quorate_store::room_state::{ROOM_STATE_FILE, RedbStore};
use quorate_types::{Hash, RoomId, RuleId};

const BATCH: u64 = 1024;
const ACCOUNTS: u64 = 10_000;
const HOT_READS: u64 = 2_000_000;
const COLD_READS: u64 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps: u64 = std::env::args().nth(1).map_or(Ok(500_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join(ROOM_STATE_FILE);
    let mut store = RedbStore::open(&path, RoomId::new([1; 32]))?;
    let ledger = RuleId::new([2; 32]);
    let account = |number: u64| blake2b_simd::blake2b(&number.to_le_bytes()).as_bytes()[..32].to_vec();

    // Steps are made beforehand: what they cost is the machine's, not the store's.
    let mut root = store.position().state_root;
    let mut batches = Vec::new();
    for first in (0..steps).step_by(BATCH as usize) {
        let mut batch = Vec::new();
        for index in first..(first + BATCH).min(steps) {
            let number = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ACCOUNTS;
            let writes = WriteSet::from([
                ((ROOM_SPACE, account(number)), Some(index.to_le_bytes().to_vec())),
                ((ledger, account(number)), Some(vec![index as u8; 16])),
            ]);
            root = state_root(&root, index, &writes);
            batch.push(Step { index, writes, root, tree_hash: Hash::new([3; 32]) });
        }
        batches.push(batch);
    }
    let start = Instant::now();
    for batch in batches {
        for step in batch {
            store.stage(step)?;
        }
        store.commit()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{steps} steps of two writes in batches of {BATCH}: {:.0} steps/s", steps as f64 / seconds);

    let start = Instant::now();
    store.sync()?;
    println!("sync: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let keys: Vec<_> = (0..64).map(account).collect();
    let start = Instant::now();
    let mut bytes = 0;
    for read in 0..HOT_READS {
        let key = &keys[(read % 64) as usize];
        bytes += store.get(&ledger, key)?.map_or(0, |value| value.len());
    }
    let each = start.elapsed().as_nanos() as f64 / HOT_READS as f64;
    println!("reads of hot keys: {each:.0} ns each ({bytes} bytes)");

    drop(store);
    println!("file: {:.1} MiB", std::fs::metadata(&path)?.len() as f64 / f64::from(1 << 20));
    let start = Instant::now();
    let mut store = RedbStore::open(&path, RoomId::new([1; 32]))?;
    println!("opening, every page verified: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let start = Instant::now();
    let mut found = 0;
    for read in 0..COLD_READS {
        found += u64::from(store.get(&ledger, &account(read % ACCOUNTS))?.is_some());
    }
    let each = start.elapsed().as_nanos() as f64 / COLD_READS as f64;
    println!("reads after opening: {each:.0} ns each ({found} found)");

    let start = Instant::now();
    let back = store.oldest();
    store.step_back(back)?;
    let taken = steps - back;
    println!("{taken} steps back: {:.0} steps/s", taken as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
