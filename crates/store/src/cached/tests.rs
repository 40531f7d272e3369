use futures_lite::future::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use random_access_storage::{RandomAccess, RandomAccessError};

use super::{CacheConfig, Cached, DIRECT_WRITE_BYTES};
use crate::faulty::{Fault, Faulty, FaultyDisk, When};

const TINY: CacheConfig = CacheConfig { page_bytes: 16, clean_bytes: 48, dirty_bytes: 400 };

fn open(disk: &FaultyDisk, config: CacheConfig) -> Cached<Faulty> {
    block_on(Cached::new(disk.file("file"), config)).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    Large(u64, u8),
    Read(u64, u64),
    Del(u64, u64),
    Truncate(u64),
    WriteOut,
    Sync,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || prop_oneof![0..100_u64, 0..12_000_u64];
    prop_oneof![
        8 => (at(), vec(1..=255_u8, 0..60)).prop_map(|(at, data)| Step::Write(at, data)),
        2 => (at(), vec(1..=255_u8, 300..600)).prop_map(|(at, data)| Step::Write(at, data)),
        1 => (at(), 1..=255_u8).prop_map(|(at, byte)| Step::Large(at, byte)),
        6 => (at(), 0..300_u64).prop_map(|(at, len)| Step::Read(at, len)),
        2 => (at(), 0..300_u64).prop_map(|(at, len)| Step::Del(at, len)),
        1 => at().prop_map(Step::Truncate),
        1 => Just(Step::WriteOut),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
    ]
}

fn write_model(model: &mut Vec<u8>, at: u64, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let (start, end) = (at as usize, at as usize + data.len());
    model.resize(model.len().max(end), 0);
    model[start..end].copy_from_slice(data);
}

fn run(steps: Vec<Step>, config: CacheConfig) -> Result<(), TestCaseError> {
    let disk = FaultyDisk::new(0);
    let mut cached = open(&disk, config);
    let mut model: Vec<u8> = Vec::new();
    for step in steps {
        let length = model.len() as u64;
        match step {
            Step::Write(at, data) => {
                block_on(cached.write(at, &data)).unwrap();
                write_model(&mut model, at, &data);
            }
            Step::Large(at, byte) => {
                let data = vec![byte; DIRECT_WRITE_BYTES + 5];
                block_on(cached.write(at, &data)).unwrap();
                write_model(&mut model, at, &data);
            }
            Step::Read(at, len) if at + len > length => {
                let refused =
                    matches!(block_on(cached.read(at, len)), Err(RandomAccessError::OutOfBounds { .. }));
                prop_assert!(refused);
            }
            Step::Read(at, len) => {
                prop_assert_eq!(
                    block_on(cached.read(at, len)).unwrap(),
                    &model[at as usize..(at + len) as usize]
                );
            }
            Step::Del(at, len) => {
                prop_assert_eq!(block_on(cached.del(at, len)).is_ok(), at <= length);
                if at <= length && len > 0 && at + len >= length {
                    model.truncate(at as usize);
                } else if at <= length {
                    model[at as usize..(at + len) as usize].fill(0);
                }
            }
            Step::Truncate(len) => {
                block_on(cached.truncate(len)).unwrap();
                model.resize(len as usize, 0);
            }
            Step::WriteOut => {
                block_on(cached.write_out()).unwrap();
                prop_assert_eq!(&disk.bytes("file").unwrap(), &model);
            }
            Step::Sync => {
                block_on(cached.sync_all()).unwrap();
                prop_assert_eq!(&disk.crash(length).bytes("file").unwrap(), &model);
            }
            Step::Reopen => {
                block_on(cached.sync_all()).unwrap();
                cached = open(&disk, config);
            }
        }
        prop_assert_eq!(block_on(cached.len()).unwrap(), model.len() as u64);
        prop_assert!(cached.dirty.held_bytes() <= config.dirty_bytes.max(100));
    }
    let all = block_on(cached.read(0, model.len() as u64)).unwrap();
    prop_assert!(all == model);
    block_on(cached.sync_all()).unwrap();
    prop_assert!(disk.bytes("file").unwrap() == model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_behaves_as_plain_bytes(steps in vec(step(), 0..60)) {
        run(steps, TINY)?;
    }

    #[test]
    fn page_sizes_do_not_matter(steps in vec(step(), 0..40), page in 1..5000_usize, dirty in 0..5000_usize) {
        run(steps, CacheConfig { page_bytes: page, clean_bytes: 3 * page, dirty_bytes: dirty })?;
    }
}

#[test]
fn appended_bytes_reach_the_storage_in_one_call_and_nothing_is_read() {
    let disk = FaultyDisk::new(0);
    disk.set_bytes("file", vec![9; 100]);
    let mut cached = open(&disk, CacheConfig::DATA);
    for at in 0..1000 {
        block_on(cached.write(100 + 10 * at, &[at as u8; 10])).unwrap();
    }
    assert_eq!(disk.writes(), 0);
    assert_eq!(cached.held_bytes() / 1000, 10, "only what was written is held");
    block_on(cached.sync_all()).unwrap();
    assert_eq!((disk.writes(), disk.syncs()), (1, 1));
    block_on(cached.sync_all()).unwrap();
    assert_eq!((disk.writes(), disk.syncs()), (1, 1), "there is nothing to sync");
}

#[test]
fn nodes_written_out_of_order_become_one_run() {
    let disk = FaultyDisk::new(0);
    let mut cached = open(&disk, CacheConfig::TREE);
    for at in [0, 2, 1, 4, 6, 5, 3, 8, 12] {
        block_on(cached.write(32 + 40 * at, &[at as u8 + 1; 40])).unwrap();
    }
    block_on(cached.write_out()).unwrap();
    assert_eq!(disk.writes(), 1, "the holes are bridged");
    let bytes = disk.bytes("file").unwrap();
    assert_eq!((bytes[32], bytes[32 + 40 * 7], bytes[32 + 40 * 12]), (1, 0, 13));
}

#[test]
fn runs_far_apart_are_not_bridged() {
    let disk = FaultyDisk::new(0);
    let mut cached = open(&disk, CacheConfig::DATA);
    for at in [0, 100_000, 200_000] {
        block_on(cached.write(at, &[1; 10])).unwrap();
    }
    block_on(cached.write_out()).unwrap();
    assert_eq!(disk.writes(), 3);
}

#[test]
fn memory_stays_within_its_bounds() {
    let disk = FaultyDisk::new(0);
    let config = CacheConfig { page_bytes: 4096, clean_bytes: 64 * 1024, dirty_bytes: 128 * 1024 };
    let mut cached = open(&disk, config);
    let mut most = 0;
    for at in 0..4000_u64 {
        block_on(cached.write(at * 1000, &[1; 1000])).unwrap();
        block_on(cached.read(at * 37 % (at * 1000 + 1), 10)).unwrap();
        most = most.max(cached.held_bytes());
    }
    // 40-byte writes all over, which never touch one another.
    for at in 0..20_000_u64 {
        block_on(cached.write(at * 6151 % 4_000_000, &[2; 40])).unwrap();
        most = most.max(cached.held_bytes());
    }
    assert!(most <= 64 * 1024 + 128 * 1024 + 1000, "{most}");
}

#[test]
fn a_failed_write_or_sync_is_not_forgotten() {
    for when in [When::Write(0), When::Sync(0)] {
        let disk = FaultyDisk::new(0);
        disk.plan(when, Fault::NoSpace);
        let mut cached = open(&disk, CacheConfig::TREE);
        block_on(cached.write(0, &[1; 10])).unwrap();
        match block_on(cached.sync_all()) {
            Err(RandomAccessError::IO { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
            }
            other => panic!("expected an error, found {other:?}"),
        }
        assert!(block_on(cached.sync_all()).is_err(), "the kernel may have dropped what it could not write");
        assert!(block_on(cached.write(0, &[1])).is_err() && block_on(cached.read(0, 1)).is_err());
        assert!(block_on(cached.del(0, 1)).is_err() && block_on(cached.truncate(0)).is_err());
    }
}

#[test]
fn offsets_beyond_all_numbers_are_refused() {
    let mut cached = open(&FaultyDisk::new(0), CacheConfig::TREE);
    assert!(matches!(block_on(cached.write(u64::MAX, &[1])), Err(RandomAccessError::OutOfBounds { .. })));
    assert!(matches!(block_on(cached.read(u64::MAX, 2)), Err(RandomAccessError::OutOfBounds { .. })));
    assert!(matches!(block_on(cached.del(1, u64::MAX)), Err(RandomAccessError::OutOfBounds { .. })));
}
