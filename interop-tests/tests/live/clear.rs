//! Blocks that are deleted while others look on.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use futures_lite::future;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, generated_block, generated_blocks, soon,
};
use quorate_types::BlockRange;
use serde_json::{Value, json};

use crate::support::{Dials, SEED, copy_of, each_generation, each_way, meet, stock_reader};

each_way!(a_stock_peer_clears_a_block, we_clear_blocks);
each_generation!(a_cleared_copy_is_filled_again);

async fn a_stock_peer_clears_a_block(generation: Generation, dials: Dials) -> Result<()> {
    let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen().block_events();
    let mut writer = StockPeer::start(generation, &options)?;
    writer.append_generated(1, 10, 10)?;
    let node = Node::fresh().await?;
    let stream = node.carry_sparse(writer.key(), "").await?;
    meet(dials, &node, &mut writer).await?;
    soon("block", stream.fetch(9)).await??;
    writer.command("clear", json!({ "start": 4, "end": 5 }))?;
    writer.append(["after the clear"])?;
    assert_eq!(soon("block", stream.fetch(10)).await??, "after the clear");

    // Nobody has the block, and nobody is asked for it: nothing but a ping crosses the wire.
    let before = bytes_read(&writer.info()?);
    let wanted = stream.clone();
    let waiting = async move { wanted.fetch(4).await };
    let moment = async {
        sleep(Duration::from_millis(300));
        Err(quorate_node::Failure::new(quorate_node::Code::TimedOut, "as expected"))
    };
    let mut waiting = Box::pin(waiting);
    assert!(future::or(&mut waiting, moment).await.is_err());
    let after = bytes_read(&writer.info()?);
    assert!(after - before <= 2, "expected no request, found {} bytes", after - before);

    // Somebody comes who has it.
    let mut other = StockPeer::start(generation, &PeerOptions::new(FeedOptions::from_seed(SEED)).listen())?;
    other.append_generated(1, 10, 10)?;
    node.node.add_peer(other.address()?);
    assert_eq!(soon("block", waiting).await??, generated_block(1, 4, 10));
    node.shutdown().await
}

fn bytes_read(info: &Value) -> u64 {
    info["connections"].as_array().into_iter().flatten().filter_map(|one| one["bytesRead"].as_u64()).sum()
}

async fn we_clear_blocks(generation: Generation, dials: Dials) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(1, 0, 10, 10)).await?;
    let mut reader = StockPeer::start(generation, &PeerOptions::new(copy_of(&stream).sparse()).listen())?;
    meet(dials, &node, &mut reader).await?;
    reader.command("update", json!({ "minLength": 10 }))?;
    assert_eq!(reader.command("remote-has", json!({ "index": 4 }))?["has"], true);
    assert_eq!(stream.clear(BlockRange::new(4, 6)).await?, 2);
    stream.append(vec!["after the clear".into()]).await?;
    assert_eq!(reader.get(10)?, b"after the clear");
    for (index, has) in [(3, true), (4, false), (5, false), (6, true)] {
        assert_eq!(reader.command("remote-has", json!({ "index": index }))?["has"], has, "{index}");
    }
    // A stock peer asks all the same when it joins later and is told of the rest alone.
    let mut late = stock_reader(generation, &stream)?;
    meet(Dials::They, &node, &mut late).await?;
    late.wait_downloaded(9, PATIENCE)?;
    assert_eq!(late.command("has", json!({ "index": 4 }))?["has"], false);
    assert_eq!(late.get(10)?, b"after the clear");
    node.shutdown().await
}

/// What was cleared here comes back from a stock peer when it is asked for.
async fn a_cleared_copy_is_filled_again(generation: Generation) -> Result<()> {
    let mut writer = StockPeer::start(generation, &PeerOptions::new(FeedOptions::from_seed(SEED)).listen())?;
    writer.append_generated(1, 50, 10)?;
    let node = Node::fresh().await?;
    let stream = node.carry(writer.key(), writer.address()?).await?;
    soon("sync", stream.synced()).await??;
    assert_eq!(stream.clear(BlockRange::new(10, 20)).await?, 10);
    assert_eq!(stream.info().await?.here, 40);
    for index in 10..20 {
        let block = soon("block", stream.fetch(index)).await??;
        assert_eq!(block, generated_block(1, u32::try_from(index)?, 10));
    }
    assert_eq!(stream.info().await?.here, 50);
    node.shutdown().await
}
