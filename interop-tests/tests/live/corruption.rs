//! Stock peers whose disks were damaged: what they serve is told apart from a fork, and got from somebody else.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PeerOptions, StockPeer, Workspace, checksum, generated_block,
    generated_blocks, soon, stream_checksum,
};
use quorate_node::event::Event;

use crate::support::{Dials, SEED, audit, each_generation, each_way, meet};

each_way!(a_damaged_block);
each_generation!(
    a_damaged_hash,
    a_damaged_root,
    a_damaged_size,
    a_damaged_signature,
    a_block_that_is_another
);

const BLOCKS: u32 = 20;
const BYTES: usize = 30;
const HEADER: u64 = 32;
const NODE: u64 = 40;
const SIGNATURE: u64 = 64;

async fn a_damaged_block(generation: Generation, dials: Dials) -> Result<()> {
    damaged(generation, dials, |directory| flip(&directory.join("data"), 5 * BYTES as u64 + 3, 1)).await
}

/// A node that the proof of the last block contains, and with it that of the head.
async fn a_damaged_hash(generation: Generation) -> Result<()> {
    damaged(generation, Dials::They, |directory| flip(&directory.join("tree"), HEADER + 33 * NODE, 32)).await
}

/// What the writer signed is over a root that is not there any more.
async fn a_damaged_root(generation: Generation) -> Result<()> {
    damaged(generation, Dials::They, |directory| flip(&directory.join("tree"), HEADER + 15 * NODE, 32)).await
}

async fn a_damaged_size(generation: Generation) -> Result<()> {
    damaged(generation, Dials::They, |directory| flip(&directory.join("tree"), HEADER + 11 * NODE - 1, 1))
        .await
}

async fn a_damaged_signature(generation: Generation) -> Result<()> {
    let last = HEADER + u64::from(BLOCKS - 1) * SIGNATURE;
    damaged(generation, Dials::They, |directory| flip(&directory.join("signatures"), last, 8)).await
}

/// Two blocks of the writer, in each other's place.
async fn a_block_that_is_another(generation: Generation) -> Result<()> {
    let blocks = [generated_block(2, 3, BYTES), generated_block(2, 2, BYTES)].concat();
    damaged(generation, Dials::They, |directory| write(&directory.join("data"), 2 * BYTES as u64, &blocks))
        .await
}

fn flip(file: &Path, at: u64, count: usize) -> Result<()> {
    let mut bytes = vec![0; count];
    let mut open = OpenOptions::new().read(true).open(file)?;
    open.seek(SeekFrom::Start(at))?;
    open.read_exact(&mut bytes)?;
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    write(file, at, &bytes)
}

fn write(file: &Path, at: u64, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file.write_all(bytes)?)
}

async fn damaged(
    generation: Generation,
    dials: Dials,
    damage: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let workspace = Workspace::new()?;
    let directory = workspace.join("writer");
    let feed = FeedOptions::from_seed(SEED).in_directory(&directory);
    let mut writer = StockPeer::start(generation, &PeerOptions::new(feed))?;
    writer.append_generated(2, BLOCKS, BYTES)?;
    writer.quit()?;
    damage(&directory)?;

    let feed = FeedOptions::default().in_directory(&directory);
    let mut bad = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
    let mut node = Node::fresh().await?;
    let stream = node.carry(bad.key(), "").await?;
    meet(dials, &node, &mut bad).await?;
    let verdict = node.event("corrupt", is_verdict).await?;
    assert!(matches!(verdict, Event::Corrupt { .. }), "expected corruption, found {verdict:?}");
    assert_eq!(stream.info().await?.fork, None);

    // Somebody whose disk is well completes what is here, whatever that is, without a second verdict of a fork.
    let mut good =
        StockPeer::start(Generation::Hypercore9, &PeerOptions::new(FeedOptions::from_seed(SEED)).listen())?;
    good.append_generated(2, BLOCKS, BYTES)?;
    node.node.add_peer(good.address()?);
    assert_eq!(soon("sync", complete(&stream)).await??, ());
    assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(2, 0, BLOCKS, BYTES)));
    assert_eq!(stream.info().await?.fork, None);
    assert_eq!(audit(&stream).await?.faults, [""; 0]);
    node.shutdown().await
}

async fn complete(stream: &quorate_node::Stream) -> Result<()> {
    for index in 0..u64::from(BLOCKS) {
        stream.fetch(index).await?;
    }
    Ok(())
}

fn is_verdict(event: &Event) -> bool {
    matches!(event, Event::Fork { .. } | Event::Corrupt { .. })
}
