//! Blocks with their proofs, offline and on their way into a feed.

use bytes::Bytes;
use futures_lite::future::block_on;
use quorate_feed::proof::verify_standalone;
use quorate_feed::sign::Verifier;
use quorate_feed::{Feed, FeedConfig, Flavour, Keys, Storage};
use quorate_proto::dat::{Data, FeedMessage};
use random_access_memory::RandomAccessMemory;

use super::world;
use crate::Target;

/// The bodies of one or more data messages, each after its length (u16, little-endian): one feed gets them
/// one after the other.
pub(super) const TARGET: Target = Target { name: "proofs", run, seeds, cost: 20 };

/// Most messages of one input.
const MAX_MESSAGES: usize = 8;

fn run(input: &[u8]) {
    let (public, _) = world::keys();
    let verifier = Verifier::new(public).expect("the key is a point of the curve");
    let memory = || RandomAccessMemory::new(1024);
    let storage = Storage { tree: memory(), data: memory(), signatures: memory(), bitfield: memory() };
    let keys = Keys { public, secret: None };
    block_on(async {
        let mut feed =
            Feed::create(keys, storage, FeedConfig::default()).await.expect("memory does not fail");
        for data in messages(input) {
            for flavour in [Flavour::Dat, Flavour::Hypercore10] {
                if verify_standalone(flavour, &verifier, &data).is_ok() {
                    assert_genuine(&data);
                }
            }
            let genuine = data.clone();
            if let Ok(verified) = feed.verify(data).await {
                assert_genuine(&genuine);
                feed.put(verified).await.expect("what is verified is stored");
            }
        }
        assert!([0, world::LENGTH].contains(&feed.length()), "a length that nobody signed");
        for index in 0..feed.length() {
            if let Some(block) = feed.get(index).await.expect("memory does not fail") {
                assert_eq!(block, world::block(index));
            }
        }
    });
}

/// Nothing but the writer's own blocks may verify.
fn assert_genuine(data: &Data) {
    if let Some(value) = &data.value {
        assert!(data.index < world::LENGTH && *value == world::block(data.index), "forged: {data:?}");
    }
}

fn messages(mut input: &[u8]) -> Vec<Data> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let (body, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        messages.extend(Data::decode(Bytes::copy_from_slice(body)));
        input = rest;
        if messages.len() == MAX_MESSAGES {
            break;
        }
    }
    messages
}

fn seeds() -> Vec<Vec<u8>> {
    let proofs = [Flavour::Dat, Flavour::Hypercore10].map(world::proofs).concat();
    let coded: Vec<Vec<u8>> = proofs
        .into_iter()
        .map(|data| {
            let body = world::body(&FeedMessage::Data(data));
            [&(body.len() as u16).to_le_bytes()[..], &body].concat()
        })
        .collect();
    let pairs = coded.windows(3).map(<[Vec<u8>]>::concat);
    coded.iter().cloned().chain(pairs).collect()
}
