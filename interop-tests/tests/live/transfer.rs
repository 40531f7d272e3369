//! Whole feeds, live: what is there, and what is appended later.

use anyhow::Result;
use quorate_interop_tests::{
    Generation, Node, PATIENCE, checksum, generated_block, generated_blocks, soon, stream_checksum,
};

use crate::support::{Dials, audit, each_generation, each_way, meet, stock_reader, stock_writer};

each_way!(we_clone_a_stock_peer_and_follow_it, a_stock_peer_clones_us_and_follows);
each_generation!(ten_thousand_blocks_come, ten_thousand_blocks_go, blocks_of_all_sizes);

async fn we_clone_a_stock_peer_and_follow_it(generation: Generation, dials: Dials) -> Result<()> {
    let mut peer = stock_writer(generation)?;
    peer.append_generated(3, 1000, 100)?;
    let node = Node::fresh().await?;
    let stream = node.carry(peer.key(), "").await?;
    meet(dials, &node, &mut peer).await?;
    assert_eq!(soon("sync", stream.synced()).await??, 1000);
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(3, 0, 1000, 100)));
    peer.append(["live", ""])?;
    assert_eq!(soon("live block", stream.fetch(1000)).await??, "live");
    assert_eq!(soon("empty block", stream.fetch(1001)).await??, "");
    assert_eq!(stream_checksum(&stream).await?, peer.checksum()?);
    node.shutdown().await
}

async fn a_stock_peer_clones_us_and_follows(generation: Generation, dials: Dials) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(3, 0, 1000, 100)).await?;
    let mut peer = stock_reader(generation, &stream)?;
    meet(dials, &node, &mut peer).await?;
    peer.wait_downloaded(1000, PATIENCE)?;
    assert_eq!(peer.checksum()?, checksum(generated_blocks(3, 0, 1000, 100)));
    stream.append(vec!["live".into(), "".into()]).await?;
    assert_eq!(peer.get(1000)?, b"live");
    assert_eq!(peer.get(1001)?, b"");
    node.shutdown().await
}

async fn ten_thousand_blocks_come(generation: Generation) -> Result<()> {
    let mut peer = stock_writer(generation)?;
    peer.append_generated(5, 10_000, 64)?;
    let node = Node::fresh().await?;
    let stream = node.carry(peer.key(), peer.address()?).await?;
    assert_eq!(soon("sync", stream.synced()).await??, 10_000);
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(5, 0, 10_000, 64)));
    let audit = audit(&stream).await?;
    assert_eq!((audit.blocks, audit.faults.as_slice()), (10_000, [].as_slice()));
    node.shutdown().await
}

async fn ten_thousand_blocks_go(generation: Generation) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(5, 0, 10_000, 64)).await?;
    let mut peer = stock_reader(generation, &stream)?;
    meet(Dials::They, &node, &mut peer).await?;
    peer.wait_downloaded(10_000, 3 * PATIENCE)?;
    assert_eq!(peer.checksum()?, checksum(generated_blocks(5, 0, 10_000, 64)));
    node.shutdown().await
}

/// Nothing, a byte, a MiB, and all of them mixed.
async fn blocks_of_all_sizes(generation: Generation) -> Result<()> {
    let sizes = [0, 1, 1 << 20, 0, 0, 1 << 20, 1 << 20, 1, 200, 0, 1, 1 << 20, 65_536, 0];
    let blocks: Vec<Vec<u8>> =
        (0_u32..).zip(sizes).map(|(index, size)| generated_block(9, index, size)).collect();

    let node = Node::fresh().await?;
    let ours = node.create("log", blocks.clone()).await?;
    let mut reader = stock_reader(generation, &ours)?;
    meet(Dials::They, &node, &mut reader).await?;
    reader.wait_downloaded(sizes.len() as u64, PATIENCE)?;
    assert_eq!(reader.checksum()?, checksum(&blocks));

    let mut writer = stock_writer(generation)?;
    writer.append(&blocks)?;
    let theirs = node.carry(writer.key(), writer.address()?).await?;
    soon("sync", theirs.synced()).await??;
    assert_eq!(stream_checksum(&theirs).await?, checksum(&blocks));

    // The same sizes, one at a time, to somebody who waits.
    for (index, block) in (sizes.len() as u64..).zip(&blocks) {
        ours.append(vec![block.clone().into()]).await?;
        assert_eq!(&reader.get(index)?, block);
        writer.append([block])?;
        assert_eq!(soon("block", theirs.fetch(index)).await??, block);
    }
    node.shutdown().await
}
