//! Digests against the reference's, and what pipelining costs.

use proptest::prelude::*;
use quorate_proto::dat::Request;

use super::model::{Claimed, Model};
use crate::LocalFeed;
use crate::digest::expected;

/// A replica that was given these blocks of a feed, in this order.
fn replica(writer: &Model, blocks: &[u64]) -> Model {
    let mut replica = Model::default();
    for &index in blocks {
        let request = Request { index, nodes: replica.digest(index), ..Request::default() };
        let data = writer.answer(&request, &mut Claimed::default()).expect("a block of the writer");
        replica.put(&data).expect("an honest block");
    }
    replica
}

proptest! {
    #[test]
    fn without_a_run_the_digest_is_the_reference_s(
        length in 1u64..200,
        blocks in proptest::collection::vec(any::<u64>(), 1..20),
        index in any::<u64>(),
    ) {
        let mut writer = Model::default();
        writer.append(length);
        let blocks: Vec<u64> = blocks.into_iter().map(|block| block % length).collect();
        let replica = replica(&writer, &blocks);
        let index = index % length;
        prop_assert_eq!(expected(&replica, index, index).nodes, replica.reference_digest(index));
    }

    #[test]
    fn answers_in_order_verify_although_their_digests_were_taken_before(
        first in 1u64..100,
        more in 0u64..100,
        held in proptest::collection::vec(any::<u64>(), 0..10),
        start in any::<u64>(),
    ) {
        let mut writer = Model::default();
        writer.append(first);
        let held: Vec<u64> = held.into_iter().map(|block| block % first).chain([first - 1]).collect();
        let mut replica = replica(&writer, &held);
        if more > 0 {
            // The feed grew: peaks of the old length are inside the new tree.
            writer.append(more);
            let nodes = replica.digest(first);
            let request = Request { index: first, nodes, ..Request::default() };
            let data = writer.answer(&request, &mut Claimed::default()).unwrap();
            replica.put(&data).unwrap();
        }
        let length = replica.length();
        let start = start % length;
        let mut run_start = start;
        let mut requests = Vec::new();
        for index in (start..length).filter(|&index| !replica.has(index)) {
            let digest = expected(&replica, index, run_start);
            if !digest.solid {
                run_start = index + 1;
            }
            requests.push(Request { index, nodes: digest.nodes, ..Request::default() });
        }
        for request in requests {
            let data = writer.answer(&request, &mut Claimed::default()).unwrap();
            prop_assert_eq!(replica.put(&data), Ok((true, false)), "block {}", request.index);
        }
        prop_assert!((start..length).all(|index| replica.has(index)));
    }
}

#[test]
fn a_pipelined_download_brings_each_node_once() {
    let mut writer = Model::default();
    writer.append(4096);
    let mut replica = replica(&writer, &[0]);
    let mut nodes = 0;
    let requests: Vec<Request> = (1..4096)
        .map(|index| Request { index, nodes: expected(&replica, index, 1).nodes, ..Request::default() })
        .collect();
    for request in requests {
        let data = writer.answer(&request, &mut Claimed::default()).unwrap();
        assert!(data.signature.is_none());
        nodes += data.nodes.len();
        replica.put(&data).unwrap();
    }
    assert!(nodes <= 4096, "{nodes} nodes for 4096 blocks");
}
