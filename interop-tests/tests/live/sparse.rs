//! Parts of feeds: only what is asked for crosses the wire.

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PeerOptions, StockPeer, checksum, generated_block, generated_blocks, soon,
};
use quorate_replicate::Selection;
use quorate_types::BlockRange;
use serde_json::json;

use crate::support::{Dials, SEED, audit, copy_of, each_generation, each_way, meet};

each_way!(we_fetch_ranges, a_stock_peer_fetches_ranges);
each_generation!(a_stock_peer_seeks_in_our_feed, a_stock_peer_learns_our_length);

async fn we_fetch_ranges(generation: Generation, dials: Dials) -> Result<()> {
    let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen().block_events();
    let mut writer = StockPeer::start(generation, &options)?;
    writer.append_generated(4, 3000, 20)?;
    let node = Node::fresh().await?;
    let stream = node.carry_sparse(writer.key(), "").await?;
    let ranges = vec![BlockRange::new(40, 50), BlockRange::new(2990, 3000)];
    stream.select(Selection::Ranges(ranges)).await?;
    meet(dials, &node, &mut writer).await?;
    soon("ranges", stream.synced()).await??;
    assert_eq!(soon("block", stream.fetch(1234)).await??, generated_block(4, 1234, 20));

    let info = stream.info().await?;
    assert_eq!((info.length, info.here), (3000, 21));
    for index in (40..50).chain(2990..3000) {
        assert_eq!(stream.get(index).await?, generated_block(4, u32::try_from(index)?, 20));
    }
    assert!(stream.get(39).await.is_err());
    let mut uploaded = writer.event_indexes("upload", 21)?;
    uploaded.dedup();
    // The head is proved by the last block, which was asked for anyway.
    assert_eq!(uploaded, (40..50).chain([1234]).chain(2990..3000).collect::<Vec<_>>());
    let audit = audit(&stream).await?;
    assert_eq!((audit.blocks, audit.missing, audit.faults.len()), (21, 2979, 0));
    node.shutdown().await
}

async fn a_stock_peer_fetches_ranges(generation: Generation, dials: Dials) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(4, 0, 3000, 20)).await?;
    let options = PeerOptions::new(copy_of(&stream).sparse()).listen().block_events();
    let mut reader = StockPeer::start(generation, &options)?;
    meet(dials, &node, &mut reader).await?;
    reader.command("download", json!({ "start": 40, "end": 50 }))?;
    reader.command("download", json!({ "start": 2990, "end": 3000 }))?;
    assert_eq!(reader.get(1234)?, generated_block(4, 1234, 20));
    assert_eq!(reader.info()?["downloaded"], 21);
    let wanted: Vec<u64> = (40..50).chain([1234]).chain(2990..3000).collect();
    assert_eq!(reader.event_indexes("download", 21)?, wanted);
    let here = reader.command("checksum", json!({ "start": 40, "end": 50 }))?;
    assert_eq!(here["hash"], checksum(generated_blocks(4, 40, 10, 20)));
    node.shutdown().await
}

/// A request by byte offset.
async fn a_stock_peer_seeks_in_our_feed(generation: Generation) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", (0..100).map(|size| generated_block(4, size, size as usize))).await?;
    let mut reader = StockPeer::start(generation, &PeerOptions::new(copy_of(&stream).sparse()).listen())?;
    meet(Dials::They, &node, &mut reader).await?;
    // A sparse reader seeks within a length that it knows.
    reader.get(99)?;
    for block in [2_u64, 3, 37, 64, 98] {
        let start = block * (block - 1) / 2;
        for offset in [0, block - 1] {
            let reply = reader.command("seek", json!({ "bytes": start + offset }))?;
            assert_eq!((&reply["index"], &reply["offset"]), (&json!(block), &json!(offset)));
        }
    }
    node.shutdown().await
}

/// The head alone, which hypercore 9 asks for with a request for hashes.
async fn a_stock_peer_learns_our_length(generation: Generation) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(4, 0, 777, 20)).await?;
    let mut reader = StockPeer::start(generation, &PeerOptions::new(copy_of(&stream).sparse()).listen())?;
    meet(Dials::They, &node, &mut reader).await?;
    assert_eq!(reader.command("update", json!({ "minLength": 777 }))?["length"], 777);
    let info = reader.info()?;
    assert_eq!(info["byteLength"], 777 * 20);
    let blocks = if generation == Generation::Hypercore9 { 0 } else { 1 };
    assert_eq!(info["downloaded"], blocks);
    node.shutdown().await
}
