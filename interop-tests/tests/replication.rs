//! Our node and stock peers of both generations, in both directions.

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, block_on, checksum, generated_blocks,
    soon, stream_checksum,
};

const SEED: [u8; 32] = [7; 32];

fn sharer(generation: Generation, blocks: u32, size: usize) -> Result<StockPeer> {
    let mut peer = StockPeer::start(generation, &PeerOptions::new(FeedOptions::from_seed(SEED)).listen())?;
    peer.append_generated(3, blocks, size)?;
    Ok(peer)
}

#[test]
fn we_clone_a_stock_peer_and_follow_it() -> Result<()> {
    for generation in Generation::ALL {
        block_on(async {
            let mut peer = sharer(generation, 1000, 100)?;
            let node = Node::fresh().await?;
            let stream = node.carry(peer.key(), peer.address()?).await?;
            assert_eq!(soon("sync", stream.synced()).await??, 1000);
            assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(3, 0, 1000, 100)));
            peer.append(["live", ""])?;
            assert_eq!(soon("live block", stream.fetch(1000)).await??, "live");
            assert_eq!(soon("empty block", stream.fetch(1001)).await??, "");
            assert_eq!(stream_checksum(&stream).await?, peer.checksum()?);
            node.shutdown().await
        })?;
    }
    Ok(())
}

#[test]
fn a_stock_peer_clones_us_and_follows() -> Result<()> {
    for generation in Generation::ALL {
        block_on(async {
            let node = Node::fresh().await?;
            let stream = node.create("log", generated_blocks(3, 0, 1000, 100)).await?;
            let address = node.listen().await?;
            let feed = FeedOptions::from_key(*stream.key().as_bytes());
            let mut peer = StockPeer::start(generation, &PeerOptions::new(feed).connect(&address))?;
            peer.wait_downloaded(1000, PATIENCE)?;
            assert_eq!(peer.checksum()?, checksum(generated_blocks(3, 0, 1000, 100)));
            stream.append(vec!["live".into(), "".into()]).await?;
            assert_eq!(peer.get(1000)?, b"live");
            assert_eq!(peer.get(1001)?, b"");
            node.shutdown().await
        })?;
    }
    Ok(())
}
