//! Two stock writers with one key and two histories: our node keeps the first, proves the fork, and goes on.

use anyhow::{Context, Result, bail};
use quorate_feed::fork::ForkProof;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PeerOptions, StockPeer, checksum, generated_blocks, soon, stream_checksum,
};
use quorate_node::event::Event;
use serde_json::json;

use crate::support::{Dials, each_generation, each_way, meet};

each_generation!(
    histories_of_one_length,
    histories_that_part_at_once,
    a_second_history_that_is_longer,
    a_second_history_that_is_shorter,
    histories_that_part_late,
    a_fork_while_the_first_peer_is_there,
);
each_way!(whoever_dials);

/// Blocks that two histories share, and blocks that each has of its own.
#[derive(Debug, Clone, Copy)]
struct Histories {
    shared: u32,
    first: u32,
    second: u32,
}

async fn histories_of_one_length(generation: Generation) -> Result<()> {
    fork(generation, Dials::They, Histories { shared: 1, first: 1, second: 1 }).await?;
    fork(generation, Dials::They, Histories { shared: 100, first: 50, second: 50 }).await
}

async fn histories_that_part_at_once(generation: Generation) -> Result<()> {
    fork(generation, Dials::They, Histories { shared: 0, first: 1, second: 1 }).await?;
    fork(generation, Dials::They, Histories { shared: 0, first: 5, second: 9 }).await
}

async fn a_second_history_that_is_longer(generation: Generation) -> Result<()> {
    fork(generation, Dials::They, Histories { shared: 1, first: 1, second: 2 }).await?;
    fork(generation, Dials::They, Histories { shared: 100, first: 37, second: 500 }).await
}

async fn a_second_history_that_is_shorter(generation: Generation) -> Result<()> {
    fork(generation, Dials::They, Histories { shared: 1, first: 2, second: 1 }).await?;
    fork(generation, Dials::They, Histories { shared: 100, first: 500, second: 37 }).await
}

async fn histories_that_part_late(generation: Generation) -> Result<()> {
    fork(generation, Dials::They, Histories { shared: 1023, first: 1, second: 3 }).await?;
    fork(generation, Dials::They, Histories { shared: 1023, first: 3, second: 1 }).await
}

async fn whoever_dials(generation: Generation, dials: Dials) -> Result<()> {
    fork(generation, dials, Histories { shared: 20, first: 10, second: 15 }).await?;
    fork(generation, dials, Histories { shared: 20, first: 15, second: 10 }).await
}

/// A writer whose own blocks are made from `seed`.
fn writer(generation: Generation, shared: u32, own: u32, seed: u32) -> Result<StockPeer> {
    let mut writer =
        StockPeer::start(generation, &PeerOptions::new(FeedOptions::from_seed([9; 32])).listen())?;
    for (seed, count) in [(1, shared), (seed, own)] {
        if count > 0 {
            writer.append_generated(seed, count, 20)?;
        }
    }
    Ok(writer)
}

async fn fork(generation: Generation, dials: Dials, histories: Histories) -> Result<()> {
    let Histories { shared, first, second } = histories;
    let mut one = writer(generation, shared, first, 2)?;
    let mut other = writer(generation, shared, second, 3)?;
    let mut node = Node::fresh().await?;
    let stream = node.carry(one.key(), one.address()?).await?;
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(shared + first));
    // The first is gone when the second comes.
    one.command("close-stream", json!({}))?;
    let blocks = one.checksum()?;
    drop(one);
    meet(dials, &node, &mut other).await?;
    let found = node.event("fork", is_verdict).await.with_context(|| format!("{histories:?}"))?;
    let lengths = [u64::from(shared + first), u64::from(shared + second)];
    proves(&found, stream.key(), lengths).with_context(|| format!("{histories:?}"))?;

    let info = stream.info().await?;
    assert_eq!((info.length, info.here), (lengths[0], lengths[0]));
    assert!(info.fork.is_some());
    assert_eq!(stream_checksum(&stream).await?, blocks);
    let expected = [generated_blocks(1, 0, shared, 20), generated_blocks(2, shared, first, 20)].concat();
    assert_eq!(blocks, checksum(expected));
    node.shutdown().await
}

fn is_verdict(event: &Event) -> bool {
    matches!(event, Event::Fork { .. } | Event::Corrupt { .. })
}

/// The evidence decodes, verifies, and is about these two histories.
fn proves(event: &Event, key: &quorate_types::PublicKey, lengths: [u64; 2]) -> Result<()> {
    let Event::Fork { key: of, ours, theirs, evidence, .. } = event else {
        bail!("expected a fork, found {event:?}");
    };
    assert_eq!(of, key);
    assert_eq!((*ours, *theirs), (lengths[0], lengths[1]));
    let evidence = data_encoding::HEXLOWER.decode(evidence.as_bytes())?;
    let proof = ForkProof::decode(&evidence)?.verify()?;
    let proof = proof.proof();
    assert_eq!(&proof.key, key);
    assert!(proof.a.roots.length() <= proof.b.roots.length());
    for length in [proof.a.roots.length(), proof.b.roots.length()] {
        assert!(length <= lengths[0].max(lengths[1]), "{length} is no length of {lengths:?}");
    }
    Ok(())
}

/// The honest peer is not made to pay, and the reader still follows it.
async fn a_fork_while_the_first_peer_is_there(generation: Generation) -> Result<()> {
    let mut one = writer(generation, 20, 10, 2)?;
    let mut other = writer(generation, 20, 11, 3)?;
    let mut node = Node::fresh().await?;
    let stream = node.carry(one.key(), one.address()?).await?;
    assert_eq!(soon("sync", stream.synced()).await??, 30);
    meet(Dials::They, &node, &mut other).await?;
    let found = node.event("fork", is_verdict).await?;
    proves(&found, stream.key(), [30, 31])?;
    for index in 0..30 {
        stream.get(index).await?;
    }
    assert_eq!(one.info()?["connections"].as_array().map(Vec::len), Some(1));
    node.shutdown().await
}
