//! Acknowledgements, for stock writers that ask for them.

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, generated_blocks, soon,
};
use serde_json::json;

use crate::support::{Dials, SEED, copy_of, each_way, meet};

each_way!(we_acknowledge_blocks, acknowledgements_nobody_asked_for_are_no_trouble);

async fn we_acknowledge_blocks(generation: Generation, dials: Dials) -> Result<()> {
    let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen().json("ack", json!(true));
    let mut writer = StockPeer::start(generation, &options)?;
    writer.append_generated(3, 40, 10)?;
    let node = Node::fresh().await?;
    let stream = node.carry(writer.key(), "").await?;
    meet(dials, &node, &mut writer).await?;
    soon("sync", stream.synced()).await??;
    writer.append(["live"])?;
    soon("block", stream.fetch(40)).await??;
    let mut acknowledged = Vec::new();
    for _ in 0..41 {
        let ack = writer.event("ack")?;
        let (start, length) =
            (ack["start"].as_u64().unwrap_or(u64::MAX), ack["length"].as_u64().unwrap_or(1));
        acknowledged.extend(start..start + length);
    }
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, (0..41).collect::<Vec<_>>());
    node.shutdown().await
}

/// A stock reader with the option on reads from us as it does without.
async fn acknowledgements_nobody_asked_for_are_no_trouble(
    generation: Generation,
    dials: Dials,
) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(3, 0, 40, 10)).await?;
    let options = PeerOptions::new(copy_of(&stream)).listen().json("ack", json!(true));
    let mut reader = StockPeer::start(generation, &options)?;
    meet(dials, &node, &mut reader).await?;
    reader.wait_downloaded(40, PATIENCE)?;
    stream.append(vec!["live".into()]).await?;
    assert_eq!(reader.get(40)?, b"live");
    node.shutdown().await
}
