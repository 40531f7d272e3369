//! Replications that end: everything is there, and nobody reports an error.
//!
//! Among stock peers a connection ends when both sides are finite, and else stays (`stock_peers.rs`). Our live node
//! lets a finite reader go that has everything.

use std::time::Duration;

use anyhow::{Result, bail};
use quorate_interop_tests::{
    FeedOptions, Generation, Node, NodeOptions, PATIENCE, PeerOptions, StockPeer, checksum, generated_blocks,
    soon, stream_checksum,
};
use quorate_node::event::Event;
use serde_json::json;

use crate::support::{Dials, SEED, copy_of, each_way, end_of_connection, meet};

each_way!(
    a_finite_stock_reader_ends_with_our_live_node,
    a_finite_stock_reader_ends_with_our_finite_node,
    our_finite_node_ends_with_a_finite_stock_writer,
    our_live_node_stays_with_a_finite_stock_writer,
    a_live_stock_writer_stays_with_our_finite_node,
    a_finite_stock_reader_of_an_empty_feed_ends,
);

const BLOCKS: u32 = 300;

fn finite() -> NodeOptions {
    NodeOptions { finite: true, ..NodeOptions::default() }
}

async fn a_finite_stock_reader_ends_with_our_live_node(generation: Generation, dials: Dials) -> Result<()> {
    finite_reader(generation, dials, NodeOptions::default(), BLOCKS).await
}

async fn a_finite_stock_reader_ends_with_our_finite_node(generation: Generation, dials: Dials) -> Result<()> {
    finite_reader(generation, dials, finite(), BLOCKS).await
}

async fn a_finite_stock_reader_of_an_empty_feed_ends(generation: Generation, dials: Dials) -> Result<()> {
    finite_reader(generation, dials, finite(), 0).await
}

async fn finite_reader(
    generation: Generation,
    dials: Dials,
    options: NodeOptions,
    blocks: u32,
) -> Result<()> {
    let mut node = Node::open(options).await?;
    let stream = node.create("log", generated_blocks(2, 0, blocks, 50)).await?;
    let options = PeerOptions::new(copy_of(&stream)).listen().finite();
    let mut reader = StockPeer::start(generation, &options)?;
    meet(dials, &node, &mut reader).await?;
    assert_eq!(end_of_connection(&mut reader)?, json!(null));
    assert_eq!(reader.info()?["downloaded"], blocks);
    assert_eq!(reader.checksum()?, checksum(generated_blocks(2, 0, blocks, 50)));
    ended_in_order(&mut node).await?;
    node.shutdown().await
}

async fn our_finite_node_ends_with_a_finite_stock_writer(generation: Generation, dials: Dials) -> Result<()> {
    let (mut node, mut writer) = finite_writer(generation, dials, finite(), true).await?;
    assert_eq!(end_of_connection(&mut writer)?, json!(null));
    ended_in_order(&mut node).await?;
    node.shutdown().await
}

async fn our_live_node_stays_with_a_finite_stock_writer(generation: Generation, dials: Dials) -> Result<()> {
    let (node, writer) = finite_writer(generation, dials, NodeOptions::default(), true).await?;
    stays(node, writer).await
}

async fn a_live_stock_writer_stays_with_our_finite_node(generation: Generation, dials: Dials) -> Result<()> {
    let (node, writer) = finite_writer(generation, dials, finite(), false).await?;
    stays(node, writer).await
}

async fn finite_writer(
    generation: Generation,
    dials: Dials,
    options: NodeOptions,
    is_finite: bool,
) -> Result<(Node, StockPeer)> {
    let feed = PeerOptions::new(FeedOptions::from_seed(SEED)).listen();
    let mut writer = StockPeer::start(generation, &if is_finite { feed.finite() } else { feed })?;
    writer.append_generated(2, BLOCKS, 50)?;
    let node = Node::open(options).await?;
    let stream = node.carry(writer.key(), "").await?;
    meet(dials, &node, &mut writer).await?;
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(BLOCKS));
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(2, 0, BLOCKS, 50)));
    Ok((node, writer))
}

/// The connection is there, and goes on until we end it.
async fn stays(node: Node, mut writer: StockPeer) -> Result<()> {
    let connection = writer.event("handshake")?["connection"].clone();
    // The way of our node to hypercore 7 begins with a connection that fails.
    while let Ok(failed) = writer.process().event("close", Duration::from_millis(500)) {
        assert_ne!(failed["connection"], connection);
    }
    assert_eq!(writer.info()?["connections"].as_array().map(Vec::len), Some(1));
    node.shutdown().await?;
    let close = writer.process().event_where("close", PATIENCE, |close| close["connection"] == connection)?;
    assert_eq!(close["error"], json!(null));
    Ok(())
}

/// The first connection that ended did so because one side closed it.
async fn ended_in_order(node: &mut Node) -> Result<()> {
    let event = node.event("disconnected", |event| matches!(event, Event::Disconnected { .. })).await?;
    let Event::Disconnected { reason, .. } = event else { bail!("expected {event:?} to be the end") };
    assert!(
        ["the peer closed the connection", "closed by this node"].contains(&reason.as_str()),
        "expected a connection that one side closed, found: {reason}"
    );
    Ok(())
}
