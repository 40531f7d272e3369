//! Feeds of stock writers that pass through our node to other stock readers, byte by byte as they were signed.

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, Workspace, block_on, soon,
};
use serde_json::{Value, json};

use crate::support::{SEED, audit, end_of_connection};

/// A stock feed on disk, in batches of several sizes, and our copy of it, which listens.
async fn relayed(generation: Generation, workspace: &Workspace) -> Result<(StockPeer, Node, String)> {
    let feed = FeedOptions::from_seed(SEED).in_directory(workspace.join("writer"));
    let mut writer = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
    for batch in [1, 1, 5, 30, 1] {
        writer.append_generated(2, batch, 33)?;
    }
    let node = Node::fresh().await?;
    let stream = node.carry(writer.key(), writer.address()?).await?;
    soon("sync", stream.synced()).await??;
    let audit = audit(&stream).await?;
    assert_eq!((audit.blocks, audit.faults.len()), (38, 0));
    assert!(audit.signatures > 0);
    let address = node.listen().await?;
    Ok((writer, node, address))
}

/// The writer's signatures, and its tree, as another stock peer of some generation has them now.
async fn arrives_unchanged(from: Generation, to: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let (mut writer, node, address) = relayed(from, &workspace).await?;
    let feed = FeedOptions::from_key(writer.key()).in_directory(workspace.join("reader"));
    let mut reader = StockPeer::start(to, &PeerOptions::new(feed).connect(&address))?;
    reader.wait_downloaded(38, PATIENCE)?;
    assert_eq!(reader.checksum()?, writer.checksum()?);
    let signature = |peer: &mut StockPeer| -> Result<Value> {
        Ok(peer.command("signature", json!({ "index": 37 }))?["signature"].clone())
    };
    assert_eq!(signature(&mut reader)?, signature(&mut writer)?);
    reader.quit()?;
    writer.quit()?;
    let read = |of: &str, file: &str| std::fs::read(workspace.join(of).join(file));
    assert_eq!(read("reader", "tree")?, read("writer", "tree")?);
    assert_eq!(read("reader", "data")?, read("writer", "data")?);
    node.shutdown().await
}

#[test]
fn forty_signed_bytes_of_hypercore_9_reach_hypercore_9() -> Result<()> {
    block_on(arrives_unchanged(Generation::Hypercore9, Generation::Hypercore9))
}

#[test]
fn thirty_two_signed_bytes_of_hypercore_7_reach_hypercore_9() -> Result<()> {
    block_on(arrives_unchanged(Generation::Hypercore7, Generation::Hypercore9))
}

#[test]
fn thirty_two_signed_bytes_of_hypercore_7_reach_hypercore_7() -> Result<()> {
    block_on(arrives_unchanged(Generation::Hypercore7, Generation::Hypercore7))
}

/// Hypercore 7 does not know the form, whoever passes it on; our node is none the worse for it.
#[test]
fn forty_signed_bytes_are_none_of_hypercore_7() -> Result<()> {
    block_on(async {
        let workspace = Workspace::new()?;
        let (writer, node, address) = relayed(Generation::Hypercore9, &workspace).await?;
        let feed = FeedOptions::from_key(writer.key());
        let mut reader = StockPeer::start(Generation::Hypercore7, &PeerOptions::new(feed).connect(&address))?;
        assert_eq!(end_of_connection(&mut reader)?, "Remote signature could not be verified");
        let feed = FeedOptions::from_key(writer.key());
        let mut other = StockPeer::start(Generation::Hypercore9, &PeerOptions::new(feed).connect(&address))?;
        other.wait_downloaded(38, PATIENCE)?;
        node.shutdown().await
    })
}
