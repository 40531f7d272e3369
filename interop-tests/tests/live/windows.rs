//! A feed of more blocks than one want names, from and to stock peers.

use anyhow::Result;
use bytes::Bytes;
use quorate_interop_tests::{
    FeedOptions, Generation, Node, NodeOptions, PeerOptions, StockPeer, Workspace, block_on, soon,
};
use quorate_node::model::{Encoding, NewStream};
use quorate_replicate::Selection;
use quorate_types::BlockRange;
use quorate_types::limits::WANT_WINDOW_BLOCKS;
use serde_json::json;

use crate::support::{Dials, copy_of, meet};

/// A second window and the beginning of a third.
const BLOCKS: u64 = 2 * WANT_WINDOW_BLOCKS + 5000;
const BATCH: u64 = 65_536;

/// Blocks around every edge.
const LOOKED_AT: [u64; 8] = [
    0,
    1_000_000,
    WANT_WINDOW_BLOCKS - 1,
    WANT_WINDOW_BLOCKS,
    WANT_WINDOW_BLOCKS + 777,
    2 * WANT_WINDOW_BLOCKS - 1,
    2 * WANT_WINDOW_BLOCKS,
    BLOCKS - 1,
];

fn block(index: u64) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes()[5..])
}

#[test]
fn blocks_beyond_the_first_window_come_and_go() -> Result<()> {
    block_on(async {
        let workspace = Workspace::new()?;
        let node =
            Node::open(NodeOptions { home: Some(workspace.join("home")), ..NodeOptions::default() }).await?;
        let new = NewStream { name: "big".into(), encoding: Encoding::Binary, room: None };
        let stream = node.node.create(new).await?;
        for start in (0..BLOCKS).step_by(BATCH as usize) {
            stream.append((start..BLOCKS.min(start + BATCH)).map(block).collect()).await?;
        }
        for generation in Generation::ALL {
            goes_out(&node, &stream, generation).await?;
        }
        let directory = node.directory(&stream);
        let (key, length) = (*stream.key().as_bytes(), stream.info().await?.length);
        node.shutdown().await?;
        for generation in Generation::ALL {
            let feed = FeedOptions::default().in_directory(&directory);
            let mut peer = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
            assert_eq!((peer.key(), peer.length()?), (key, length));
            comes_in(&mut peer, length).await?;
            peer.quit()?;
        }
        Ok(())
    })
}

async fn goes_out(node: &Node, stream: &quorate_node::Stream, generation: Generation) -> Result<()> {
    let mut reader = StockPeer::start(generation, &PeerOptions::new(copy_of(stream).sparse()).listen())?;
    meet(Dials::They, node, &mut reader).await?;
    for index in LOOKED_AT {
        assert_eq!(reader.get(index)?, block(index), "block {index}");
    }
    let (start, end) = (WANT_WINDOW_BLOCKS - 20, WANT_WINDOW_BLOCKS + 20);
    reader.command("download", json!({ "start": start, "end": end }))?;
    assert_eq!(reader.get(end - 1)?, block(end - 1));
    let length = stream.append(vec!["live".into()]).await?.length;
    assert_eq!(reader.get(length - 1)?, b"live");
    Ok(())
}

async fn comes_in(peer: &mut StockPeer, length: u64) -> Result<()> {
    let node = Node::fresh().await?;
    let stream = node.carry_sparse(peer.key(), peer.address()?).await?;
    for index in LOOKED_AT {
        assert_eq!(soon("block", stream.fetch(index)).await??, block(index), "block {index}");
    }
    assert_eq!(stream.info().await?.length, length);
    let edge = BlockRange::new(2 * WANT_WINDOW_BLOCKS - 300, 2 * WANT_WINDOW_BLOCKS + 300);
    stream.select(Selection::Ranges(vec![edge])).await?;
    soon("range", stream.synced()).await??;
    for index in edge.start..edge.end {
        assert_eq!(stream.get(index).await?, block(index));
    }
    node.shutdown().await
}
