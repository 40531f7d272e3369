//! A feed against a plain list, under random operations.

use bytes::Bytes;
use futures_lite::future::block_on;
use proptest::prelude::*;
use quorate_types::BlockRange;

use crate::support::{Disk, audit, create, open};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    Get(u64),
    Clear(u64, u64),
    /// Puts a block again that was cleared.
    Restore(u64),
    Flush,
    Reopen,
    Audit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let block = prop::collection::vec(any::<u8>(), 0..40);
    let step = prop_oneof![
        4 => prop::collection::vec(block, 0..12).prop_map(Step::Append),
        4 => (0_u64..200).prop_map(Step::Get),
        1 => (0_u64..200, 0_u64..40).prop_map(|(start, length)| Step::Clear(start, start + length)),
        2 => (0_u64..200).prop_map(Step::Restore),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Audit),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_feed_is_a_list_with_holes(steps in steps()) {
        let disk = Disk::default();
        let mut feed = create(&disk, true);
        // A second writer with the same key and blocks, which keeps everything: a source of proofs.
        let mut whole = create(&Disk::default(), true);
        let mut model: Vec<(Bytes, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Append(blocks) => {
                    let blocks: Vec<Bytes> = blocks.into_iter().map(Bytes::from).collect();
                    let start = model.len() as u64;
                    let range = block_on(feed.append(&blocks)).unwrap();
                    prop_assert_eq!(range, BlockRange::new(start, start + blocks.len() as u64));
                    block_on(whole.append(&blocks)).unwrap();
                    model.extend(blocks.into_iter().map(|block| (block, true)));
                }
                Step::Get(index) => {
                    let here = model.get(index as usize).filter(|(_, here)| *here);
                    prop_assert_eq!(block_on(feed.get(index)).unwrap(), here.map(|(block, _)| block.clone()));
                    prop_assert_eq!(feed.has(index), here.is_some());
                }
                Step::Clear(start, end) => {
                    let mut cleared = 0;
                    for index in start..end.min(model.len() as u64) {
                        cleared += u64::from(std::mem::take(&mut model[index as usize].1));
                    }
                    prop_assert_eq!(block_on(feed.clear(BlockRange::new(start, end))).unwrap(), cleared);
                }
                Step::Restore(index) => {
                    if let Some(data) = block_on(whole.proof(index)).unwrap() {
                        let block = block_on(feed.verify(data)).unwrap();
                        let stored = block_on(feed.put(block)).unwrap();
                        prop_assert_eq!(stored.new, !std::mem::replace(&mut model[index as usize].1, true));
                    }
                }
                Step::Flush => {
                    block_on(feed.flush()).unwrap();
                    prop_assert_eq!(feed.durable_length(), feed.length());
                }
                Step::Reopen => {
                    block_on(feed.flush()).unwrap();
                    let (reopened, recovery) = open(&disk, true);
                    feed = reopened;
                    prop_assert!(recovery.is_clean(), "{:?}", recovery);
                    // What was cleared may be found again where deleted bytes read the same.
                    for (index, (block, here)) in (0..).zip(&mut model) {
                        *here |= feed.has(index) && block.iter().all(|byte| *byte == 0);
                    }
                    prop_assert_eq!(feed.durable_length(), feed.length());
                }
                Step::Audit => {
                    let report = audit(&mut feed);
                    prop_assert!(report.is_clean(), "{:?}", report);
                    prop_assert_eq!(report.blocks, model.iter().filter(|(_, here)| *here).count() as u64);
                }
            }
            prop_assert_eq!(feed.length(), model.len() as u64);
            prop_assert_eq!(feed.byte_length(), model.iter().map(|(block, _)| block.len() as u64).sum::<u64>());
            prop_assert_eq!(feed.roots(), whole.roots());
        }
        prop_assert!(audit(&mut feed).is_clean());
    }
}
