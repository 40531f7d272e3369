//! Answers as peers of wires A and B2 expect them (hypercore 9 `lib/replicate.js`).

use futures_lite::future::block_on;
use quorate_feed::RemoteTree;
use quorate_proto::dat::Request;

use crate::support::{blocks, written};

fn request(index: u64) -> Request {
    Request { index, ..Request::default() }
}

#[test]
fn value_nodes_and_signature() {
    let all = blocks(9);
    let (_, mut feed) = written(&all, || 9);
    let mut remote = RemoteTree::new();
    let data = block_on(feed.answer(&request(2), &mut remote)).unwrap().unwrap();
    let nodes: Vec<u64> = data.nodes.iter().map(|node| node.index.get()).collect();
    assert_eq!((data.index, data.value.as_ref(), nodes), (2, Some(&all[2]), vec![6, 1, 11, 16]));
    assert_eq!(data.signature.as_ref(), feed.head_signature());

    let hash = Request { hash: true, ..request(2) };
    let data = block_on(feed.answer(&hash, &mut remote)).unwrap().unwrap();
    let nodes: Vec<u64> = data.nodes.iter().map(|node| node.index.get()).collect();
    assert_eq!((data.value, nodes), (None, vec![4, 6, 1, 11, 16]));
    assert!(data.signature.is_some());

    let all_known = Request { nodes: 1, ..request(2) };
    let data = block_on(feed.answer(&all_known, &mut remote)).unwrap().unwrap();
    assert_eq!((data.value.as_ref(), data.nodes, data.signature), (Some(&all[2]), vec![], None));
    assert_eq!(block_on(feed.answer(&request(9), &mut remote)).unwrap(), None);
    assert_eq!(block_on(feed.answer(&request(u64::MAX), &mut remote)).unwrap(), None);
}

#[test]
fn a_byte_names_its_block_once() {
    let all = blocks(9);
    let (_, mut feed) = written(&all, || 9);
    let mut remote = RemoteTree::new();
    let (offset, _) = block_on(feed.byte_range(3)).unwrap().unwrap();
    let bytes = Request { bytes: offset + 1, ..request(0) };
    let data = block_on(feed.answer(&bytes, &mut remote)).unwrap().unwrap();
    assert_eq!((data.index, data.value.as_ref()), (3, Some(&all[3])));
    assert_eq!(block_on(feed.answer(&bytes, &mut remote)).unwrap(), None);
    let behind = Request { bytes: feed.byte_length(), ..request(0) };
    assert_eq!(block_on(feed.answer(&behind, &mut remote)).unwrap(), None);
}

#[test]
fn a_cleared_block_is_proven_and_not_sent() {
    let (_, mut feed) = written(&blocks(9), || 9);
    block_on(feed.clear(quorate_types::BlockRange::new(2, 3))).unwrap();
    let mut remote = RemoteTree::new();
    assert_eq!(block_on(feed.answer(&request(2), &mut remote)).unwrap(), None);
    let hash = Request { hash: true, ..request(2) };
    let data = block_on(feed.answer(&hash, &mut remote)).unwrap().unwrap();
    assert_eq!((data.value, data.nodes.len()), (None, 5));
}

#[test]
fn an_answer_within_a_length_is_that_of_the_feed_as_it_was() {
    let all = blocks(21);
    // Signed after each of these lengths.
    let signed = [1, 2, 5, 8, 13, 20, 21];
    let written_in_parts = |count: usize| {
        let (_, mut feed) = written(&all[..1], || 9);
        for pair in signed.windows(2).filter(|pair| pair[1] <= count) {
            block_on(feed.append(&all[pair[0]..pair[1]])).unwrap();
        }
        feed
    };
    let mut feed = written_in_parts(21);
    for (at_most, expected) in
        [(0, 0), (1, 1), (4, 2), (5, 5), (12, 8), (19, 13), (20, 20), (21, 21), (99, 21)]
    {
        assert_eq!(block_on(feed.signed_at_most(at_most)).unwrap(), expected, "{at_most}");
    }
    for length in signed {
        let mut then = written_in_parts(length);
        assert_eq!(then.length(), length as u64);
        for index in 0..22 {
            for hash in [false, true] {
                let request = Request { hash, ..request(index) };
                let (mut one, mut other) = (RemoteTree::new(), RemoteTree::new());
                let found = block_on(feed.answer_within(&request, &mut one, length as u64)).unwrap();
                let expected = block_on(then.answer(&request, &mut other)).unwrap();
                assert_eq!(found, expected, "block {index} within {length}");
            }
        }
        // A byte of a block that came later is none; the first byte of all goes without saying.
        let bytes = Request { bytes: then.byte_length().max(1), ..request(0) };
        let found = block_on(feed.answer_within(&bytes, &mut RemoteTree::new(), length as u64)).unwrap();
        assert_eq!(found, None, "{length}");
    }
}
