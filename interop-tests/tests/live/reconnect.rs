//! Connections that break in the middle of a transfer, and transfers that go on where they were.

use std::time::Duration;

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, NodeOptions, PATIENCE, PeerOptions, Relay, StockPeer, Workspace, checksum,
    generated_blocks, soon, stream_checksum, until_info,
};
use serde_json::json;

use crate::support::{Dials, SEED, copy_of, each_generation, each_way, stock_writer};

each_way!(we_clone_through_broken_connections, a_stock_peer_clones_through_broken_connections);
each_generation!(we_go_on_after_our_own_end, we_go_on_after_the_other_side_was_killed);

const BLOCKS: u32 = 2000;
const BYTES: usize = 100;

/// Both in the middle of the blocks, wherever the second connection begins.
const BREAKS: [usize; 2] = [100_000, 60_000];

/// Requests that a stock peer has in flight, which are lost with a connection.
const IN_FLIGHT: u64 = 32;

async fn we_clone_through_broken_connections(generation: Generation, dials: Dials) -> Result<()> {
    let options =
        PeerOptions::new(FeedOptions::from_seed(SEED)).listen().reconnect(Duration::from_millis(50));
    let mut writer = StockPeer::start(generation, &options)?;
    writer.append_generated(6, BLOCKS, BYTES)?;
    let node = Node::fresh().await?;
    let stream = node.carry(writer.key(), "").await?;
    let relay = through_relay(dials, &node, &mut writer).await?;
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(BLOCKS));
    assert_eq!(relay.breaks_left(), 0);
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(6, 0, BLOCKS, BYTES)));
    // What was here was not fetched again.
    let info = writer.info()?;
    let sent = info["stats"]["uploadedBlocks"].as_u64().unwrap_or(u64::MAX);
    assert!(sent <= u64::from(BLOCKS) + IN_FLIGHT * BREAKS.len() as u64, "{info}");
    node.shutdown().await
}

async fn a_stock_peer_clones_through_broken_connections(generation: Generation, dials: Dials) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.create("log", generated_blocks(6, 0, BLOCKS, BYTES)).await?;
    let options = PeerOptions::new(copy_of(&stream)).listen().reconnect(Duration::from_millis(50));
    let mut reader = StockPeer::start(generation, &options)?;
    let relay = through_relay(dials, &node, &mut reader).await?;
    reader.wait_downloaded(u64::from(BLOCKS), PATIENCE)?;
    assert_eq!(relay.breaks_left(), 0);
    assert_eq!(reader.checksum()?, checksum(generated_blocks(6, 0, BLOCKS, BYTES)));
    node.shutdown().await
}

async fn through_relay(dials: Dials, node: &Node, peer: &mut StockPeer) -> Result<Relay> {
    let relay = match dials {
        Dials::We => {
            let relay = Relay::start(peer.address()?, BREAKS)?;
            node.node.add_peer(relay.address());
            relay
        }
        Dials::They => {
            let relay = Relay::start(&node.listen().await?, BREAKS)?;
            peer.command("connect", json!({ "to": relay.address() }))?;
            relay
        }
    };
    Ok(relay)
}

async fn we_go_on_after_our_own_end(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let home = || NodeOptions { home: Some(workspace.join("home")), ..NodeOptions::default() };
    let mut writer = stock_writer(generation)?;
    writer.append_generated(6, BLOCKS, BYTES)?;

    let node = Node::open(home()).await?;
    // No more than this comes before the end.
    let relay = Relay::start(writer.address()?, [80_000])?;
    let stream = node.carry(writer.key(), relay.address()).await?;
    let first = until_info(&stream, "some blocks", |info| info.here >= 100).await?.here;
    node.shutdown().await?;
    assert!(first < u64::from(BLOCKS), "expected an end in the middle, found {first} blocks here");

    let node = Node::open(home()).await?;
    let stream = node.carry(writer.key(), writer.address()?).await?;
    assert!(stream.info().await?.here >= first);
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(BLOCKS));
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(6, 0, BLOCKS, BYTES)));
    let info = writer.info()?;
    let sent = info["stats"]["uploadedBlocks"].as_u64().unwrap_or(u64::MAX);
    assert!(sent <= u64::from(BLOCKS) + 2 * IN_FLIGHT, "{info}");
    node.shutdown().await
}

async fn we_go_on_after_the_other_side_was_killed(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let directory = workspace.join("writer");
    let feed = FeedOptions::from_seed(SEED).in_directory(&directory);
    let mut writer = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
    writer.append_generated(6, BLOCKS, BYTES)?;
    let (key, address) = (writer.key(), writer.address()?.to_owned());
    let port: u16 = address.rsplit(':').next().unwrap_or_default().parse()?;

    let node = Node::fresh().await?;
    // The breaks leave time for the kill.
    let relay = Relay::start(&address, [50_000])?;
    let stream = node.carry(key, relay.address()).await?;
    until_info(&stream, "some blocks", |info| info.here >= 100).await?;
    writer.process().kill()?;
    let left = stream.info().await?.here;
    assert!(left < u64::from(BLOCKS), "expected a kill in the middle, found {left} blocks here");

    let feed = FeedOptions::default().in_directory(&directory);
    let options = PeerOptions::new(feed).json("listen", json!(port));
    let mut writer = StockPeer::start(generation, &options)?;
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(BLOCKS));
    assert_eq!(stream_checksum(&stream).await?, writer.checksum()?);
    node.shutdown().await
}
