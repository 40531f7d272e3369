//! Directories that change hands: written by one program, appended to by the other, and back.

use std::path::Path;

use anyhow::{Context, Result};
use quorate_interop_tests::{
    FeedOptions, Generation, Node, NodeOptions, PATIENCE, PeerOptions, StockPeer, Workspace, checksum,
    generated_block, generated_blocks, soon, stream_checksum,
};
use quorate_node::Stream;
use quorate_types::BlockRange;
use serde_json::json;

use crate::support::{SEED, audit, each_generation, stock};

each_generation!(
    a_stock_directory_goes_round,
    our_directory_goes_round,
    a_sparse_stock_directory_is_completed_here,
    our_sparse_directory_is_completed_there,
);

/// More than four bitfield pages, 8 192 blocks each.
const BLOCKS: u32 = 33_000;
const BYTES: usize = 9;

/// Blocks that are deleted: within a page, across an edge of pages, and across the edge that ends the first four.
const CLEARED: [BlockRange; 3] =
    [BlockRange::new(100, 200), BlockRange::new(8190, 8200), BlockRange::new(32_760, 32_770)];
const GONE: u64 = 120;

fn other(generation: Generation) -> Generation {
    match generation {
        Generation::Hypercore7 => Generation::Hypercore9,
        Generation::Hypercore9 => Generation::Hypercore7,
    }
}

async fn open(home: &Path) -> Result<Node> {
    Node::open(NodeOptions { home: Some(home.to_owned()), ..NodeOptions::default() }).await
}

async fn import(node: &Node, directory: &Path, take_secret_key: bool) -> Result<Stream> {
    let found = quorate_node::Node::feeds_in(directory)?;
    let feed = found.first().context("a feed in the directory")?;
    let stream = node.node.import(&feed.files, "log", take_secret_key, &mut |_, _| {}).await?;
    if take_secret_key {
        trust(&stream).await?;
    }
    Ok(stream)
}

/// What somebody else has written is not written on, before the user says that nobody else does.
async fn trust(stream: &Stream) -> Result<()> {
    assert!(!stream.is_writable() && stream.info().await?.recovering.is_some());
    Ok(stream.trust_only_writer().await?)
}

/// Hashes and signatures are as they should be, and so many blocks are missing.
async fn is_clean(stream: &Stream, missing: u64) -> Result<()> {
    let audit = audit(stream).await?;
    assert_eq!(audit.faults, [""; 0]);
    assert_eq!((audit.missing, audit.blocks), (missing, audit.length - missing));
    assert!(audit.signatures > 0);
    Ok(())
}

async fn holds(stream: &Stream, length: u64, cleared: &[BlockRange]) -> Result<()> {
    assert_eq!(stream.info().await?.length, length);
    for index in [0, 99, 200, 8189, 8191, 8200, 32_759, 32_767, 32_768, 32_770, length - 1] {
        let is_gone = cleared.iter().any(|range| (range.start..range.end).contains(&index));
        match stream.get(index).await {
            Ok(found) => {
                assert!(!is_gone, "block {index} was cleared");
                assert_eq!(found, generated_block(4, u32::try_from(index)?, BYTES), "block {index}");
            }
            Err(failure) => assert!(is_gone, "block {index}: {failure}"),
        }
    }
    Ok(())
}

async fn append(stream: &Stream, count: u32) -> Result<()> {
    let start = u32::try_from(stream.info().await?.length)?;
    // More than one signature.
    for index in start..start + count {
        stream.append(vec![generated_block(4, index, BYTES).into()]).await?;
    }
    Ok(())
}

/// A stock peer opens the directory, finds all as it should be, and appends.
fn stock_appends(generation: Generation, directory: &Path, length: u64, cleared: bool) -> Result<()> {
    let feed = FeedOptions::default().in_directory(directory);
    let mut peer = StockPeer::start(generation, &PeerOptions::new(feed))?;
    assert_eq!(peer.length()?, length);
    for (index, is_gone) in [(99, false), (150, cleared), (8195, cleared), (32_765, cleared), (32_770, false)]
    {
        assert_eq!(peer.command("has", json!({ "index": index }))?["has"], !is_gone, "block {index}");
    }
    let (start, end) = (32_770, length);
    let here = peer.command_within("checksum", json!({ "start": start, "end": end }), PATIENCE)?;
    let blocks = generated_blocks(4, start, u32::try_from(end)? - start, BYTES);
    assert_eq!(here["hash"], checksum(blocks));
    assert_eq!(peer.append_generated(4, 5, BYTES)?, length + 5);
    peer.quit()
}

/// Stock clients delete blocks from the bitfield and leave their bytes in the file. A copy of ours takes the
/// bitfield's word; a writer of ours, of whom others may have nothing yet, claims again whatever is there and verifies.
async fn a_stock_directory_goes_round(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let (theirs, home) = (workspace.join("theirs"), workspace.join("home"));
    let feed = FeedOptions::from_seed(SEED).in_directory(&theirs);
    let mut writer = StockPeer::start(generation, &PeerOptions::new(feed))?;
    writer.append_generated(4, BLOCKS, BYTES)?;
    for range in CLEARED {
        writer.command("clear", json!({ "start": range.start, "end": range.end }))?;
    }
    writer.quit()?;

    let node = Node::fresh().await?;
    let copy = import(&node, &theirs, false).await?;
    assert!(!copy.is_writable());
    is_clean(&copy, GONE).await?;
    holds(&copy, u64::from(BLOCKS), &CLEARED).await?;
    node.shutdown().await?;

    let node = open(&home).await?;
    let stream = import(&node, &theirs, true).await?;
    is_clean(&stream, 0).await?;
    append(&stream, 3).await?;
    holds(&stream, u64::from(BLOCKS) + 3, &[]).await?;
    is_clean(&stream, 0).await?;
    let ours = node.directory(&stream);
    node.shutdown().await?;

    let mut length = u64::from(BLOCKS) + 3;
    for generation in [generation, other(generation)] {
        stock_appends(generation, &ours, length, false)?;
        length += 5;
        let node = open(&home).await?;
        let stream = node.node.open_stream("log").await?;
        is_clean(&stream, 0).await?;
        trust(&stream).await?;
        append(&stream, 2).await?;
        length += 2;
        holds(&stream, length, &[]).await?;
        node.shutdown().await?;
    }
    Ok(())
}

async fn our_directory_goes_round(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let (home, exported, back) = (workspace.join("home"), workspace.join("exported"), workspace.join("back"));
    let node = open(&home).await?;
    let stream = node.create("log", generated_blocks(4, 0, BLOCKS, BYTES)).await?;
    for range in CLEARED {
        stream.clear(range).await?;
    }
    is_clean(&stream, GONE).await?;
    node.node.export("log", &exported, true, &mut |_, _| {}).await?;
    node.shutdown().await?;

    stock_appends(generation, &exported, u64::from(BLOCKS), true)?;
    let node = open(&back).await?;
    let stream = import(&node, &exported, true).await?;
    is_clean(&stream, GONE).await?;
    append(&stream, 2).await?;
    holds(&stream, u64::from(BLOCKS) + 7, &CLEARED).await?;
    let ours = node.directory(&stream);
    node.shutdown().await?;
    stock_appends(other(generation), &ours, u64::from(BLOCKS) + 7, true)?;
    let node = open(&back).await?;
    let stream = node.node.open_stream("log").await?;
    is_clean(&stream, GONE).await?;
    holds(&stream, u64::from(BLOCKS) + 12, &CLEARED).await?;
    node.shutdown().await
}

/// A stock copy of which a part was fetched becomes ours, and the rest comes from elsewhere.
async fn a_sparse_stock_directory_is_completed_here(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let blocks = 9000;
    let mut writer = stock(generation, FeedOptions::from_seed(SEED))?;
    writer.append_generated(4, blocks, BYTES)?;
    let theirs = workspace.join("theirs");
    let feed = FeedOptions::from_key(writer.key()).sparse().in_directory(&theirs);
    let mut reader = StockPeer::start(generation, &PeerOptions::new(feed).connect(writer.address()?))?;
    for (start, end) in [(10, 20), (8000, 8400), (8999, 9000)] {
        reader.command("download", json!({ "start": start, "end": end }))?;
    }
    reader.quit()?;

    let node = Node::fresh().await?;
    let stream = import(&node, &theirs, true).await?;
    is_clean(&stream, 9000 - 411).await?;
    assert_eq!(stream.get(8199).await?, generated_block(4, 8199, BYTES));
    node.node.add_peer(writer.address()?);
    assert_eq!(soon("sync", stream.synced()).await??, u64::from(blocks));
    is_clean(&stream, 0).await?;
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(4, 0, blocks, BYTES)));
    node.shutdown().await
}

/// Our copy of which a part was fetched is opened by a stock peer, which fetches the rest.
async fn our_sparse_directory_is_completed_there(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let (home, blocks) = (workspace.join("home"), 9000);
    let mut writer = stock(generation, FeedOptions::from_seed(SEED))?;
    writer.append_generated(4, blocks, BYTES)?;
    let node = open(&home).await?;
    let stream = node.carry_sparse(writer.key(), writer.address()?).await?;
    let ranges = vec![BlockRange::new(10, 20), BlockRange::new(8000, 8400), BlockRange::new(8999, 9000)];
    stream.select(quorate_replicate::Selection::Ranges(ranges)).await?;
    soon("ranges", stream.synced()).await??;
    stream.clear(BlockRange::new(8100, 8300)).await?;
    is_clean(&stream, 9000 - 211).await?;
    let ours = node.directory(&stream);
    node.shutdown().await?;

    let feed = FeedOptions::from_key(writer.key()).in_directory(&ours);
    let mut reader = StockPeer::start(generation, &PeerOptions::new(feed))?;
    let info = reader.info()?;
    assert_eq!((&info["length"], &info["downloaded"]), (&json!(9000), &json!(211)));
    reader.command("connect", json!({ "to": writer.address()? }))?;
    reader.wait_downloaded(u64::from(blocks), PATIENCE)?;
    assert_eq!(reader.checksum()?, writer.checksum()?);
    reader.quit()?;

    let node = open(&home).await?;
    let stream = node.node.open_stream(&quorate_types::Link::new(writer.key().into()).to_string()).await?;
    is_clean(&stream, 0).await?;
    node.shutdown().await
}
