//! Several peers of one feed, and several feeds on one connection.

use anyhow::{Context, Result};
use quorate_interop_tests::{
    FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer, block_on, checksum, generated_blocks,
    soon, stream_checksum,
};
use quorate_node::event::Event;
use quorate_types::BlockRange;
use serde_json::json;

use crate::support::{Dials, copy_of, each_way, meet, stock_reader};

each_way!(several_feeds_share_a_connection);

const BLOCKS: u32 = 3000;
const BYTES: usize = 200;

/// Blocks that may come twice. Each of three peers proves its head once, with the block. At the end, what a slower
/// peer has in flight is asked for elsewhere, and the cancel that goes with it is nothing to a stock peer: 16 requests
/// to each of two.
const AGAIN: u64 = 3 + 2 * 16;

/// The origin of a feed that all clients read, and whole copies of it: hypercore 7, hypercore 9, and a node of ours.
struct Copies {
    seven: StockPeer,
    nine: StockPeer,
    ours: Node,
    key: [u8; 32],
    addresses: [String; 3],
}

/// Copies of the parts of the feed that `parts` names, in the order of the fields.
async fn copies(parts: [BlockRange; 3]) -> Result<Copies> {
    let origin = Node::fresh().await?;
    let stream = origin.create("log", generated_blocks(7, 0, BLOCKS, BYTES)).await?;
    let address = origin.listen().await?;
    let key = *stream.key().as_bytes();
    let mut stock = Vec::new();
    for (generation, part) in Generation::ALL.into_iter().zip(parts) {
        let options = PeerOptions::new(copy_of(&stream).sparse()).listen().connect(&address);
        let mut peer = StockPeer::start(generation, &options)?;
        peer.command_within("download", json!({ "start": part.start, "end": part.end }), PATIENCE)?;
        peer.command("close-stream", json!({}))?;
        stock.push(peer);
    }
    let ours = Node::fresh().await?;
    let copy = ours.carry_sparse(key, &address).await?;
    copy.select(quorate_replicate::Selection::Ranges(vec![parts[2]])).await?;
    soon("part", copy.synced()).await??;
    origin.shutdown().await?;
    let nine = stock.pop().context("two stock peers")?;
    let seven = stock.pop().context("two stock peers")?;
    let addresses = [seven.address()?.to_owned(), nine.address()?.to_owned(), ours.listen().await?];
    Ok(Copies { seven, nine, ours, key, addresses })
}

fn uploaded(peer: &mut StockPeer) -> Result<u64> {
    let info = peer.info()?;
    info["stats"]["uploadedBlocks"].as_u64().with_context(|| format!("expected a count in {info}"))
}

#[test]
fn each_block_comes_once_from_one_of_several_peers() -> Result<()> {
    block_on(async {
        let all = BlockRange::new(0, u64::from(BLOCKS));
        let mut copies = copies([all; 3]).await?;
        let reader = Node::fresh().await?;
        let stream = reader.carry(copies.key, "").await?;
        for address in &copies.addresses {
            reader.node.add_peer(address);
        }
        assert_eq!(soon("sync", stream.synced()).await??, u64::from(BLOCKS));
        assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(7, 0, BLOCKS, BYTES)));
        let stock = uploaded(&mut copies.seven)? + uploaded(&mut copies.nine)?;
        let ours = our_uploads(&mut copies.ours).await?;
        assert!(
            stock + ours <= u64::from(BLOCKS) + AGAIN,
            "expected each block once, found {stock} from stock peers and {ours} from ours"
        );
        reader.shutdown().await
    })
}

/// Blocks that a node sent; it must not be asked to send more.
async fn our_uploads(node: &mut Node) -> Result<u64> {
    // The last figures come when the stream is closed.
    node.node.shutdown().await?;
    let mut total = 0;
    while let Some(event) = node.next_event().await {
        if let Event::Uploaded { blocks, .. } = event {
            total += blocks;
        }
    }
    Ok(total)
}

#[test]
fn what_only_one_of_several_peers_has_comes_from_there() -> Result<()> {
    block_on(async {
        let parts = [BlockRange::new(0, 1200), BlockRange::new(800, 2100), BlockRange::new(2000, 3000)];
        let mut copies = copies(parts).await?;
        let reader = Node::fresh().await?;
        let stream = reader.carry(copies.key, "").await?;
        for address in &copies.addresses {
            reader.node.add_peer(address);
        }
        soon("all blocks", async {
            for index in 0..u64::from(BLOCKS) {
                stream.fetch(index).await?;
            }
            anyhow::Ok(())
        })
        .await??;
        assert_eq!(stream_checksum(&stream).await?, checksum(generated_blocks(7, 0, BLOCKS, BYTES)));
        let stock = [uploaded(&mut copies.seven)?, uploaded(&mut copies.nine)?];
        assert!(stock[0] >= 800 && stock[1] >= 800, "{stock:?}");
        let ours = our_uploads(&mut copies.ours).await?;
        assert!(stock[0] + stock[1] + ours <= u64::from(BLOCKS) + AGAIN, "{stock:?} {ours}");
        reader.shutdown().await
    })
}

/// A stock reader of several: our node and stock peers, among them parts that only our node has.
#[test]
fn a_stock_peer_reads_from_us_and_from_others() -> Result<()> {
    for generation in Generation::ALL {
        block_on(async {
            let parts = [BlockRange::new(0, 1600), BlockRange::new(500, 1700), BlockRange::new(1500, 3000)];
            let copies = copies(parts).await?;
            let [seven, nine, ours] = &copies.addresses;
            let stock = if generation == Generation::Hypercore7 { seven } else { nine };
            let options = PeerOptions::new(FeedOptions::from_key(copies.key)).connect(ours);
            let mut reader = StockPeer::start(generation, &options)?;
            reader.command("connect", json!({ "to": stock }))?;
            let wanted = if generation == Generation::Hypercore7 { 3000 } else { 2500 };
            reader.wait_downloaded(wanted, PATIENCE)?;
            let start = 3000 - wanted;
            let here = reader.command("checksum", json!({ "start": start, "end": 3000 }))?;
            let blocks = generated_blocks(7, u32::try_from(start)?, u32::try_from(wanted)?, BYTES);
            assert_eq!(here["hash"], checksum(blocks));
            copies.ours.shutdown().await
        })?;
    }
    Ok(())
}

async fn several_feeds_share_a_connection(generation: Generation, dials: Dials) -> Result<()> {
    let node = Node::fresh().await?;
    let one = node.create("one", ["of ours"]).await?;
    let two = node.create("two", generated_blocks(2, 0, 100, 10)).await?;
    let mut options = PeerOptions::new(copy_of(&one)).feed(copy_of(&two).named("two")).listen();
    options = options.feed(FeedOptions::from_seed([5; 32]).named("theirs"));
    // Nobody else carries this one.
    options = options.feed(FeedOptions::from_seed([6; 32]).named("unknown"));
    let mut peer = StockPeer::start(generation, &options)?;
    peer.command("append", json!({ "feed": "theirs", "seed": 3, "count": 50, "size": 10 }))?;
    let key = peer.command("info", json!({ "feed": "theirs" }))?["key"].clone();
    let key = data_encoding::HEXLOWER.decode(key.as_str().context("a key is text")?.as_bytes())?;
    let theirs = node.carry(key.try_into().ok().context("a key has 32 bytes")?, "").await?;
    meet(dials, &node, &mut peer).await?;

    assert_eq!(peer.command("get", json!({ "feed": "two", "index": 99 }))?["size"], 10);
    let block = peer.command("get", json!({ "index": 0 }))?;
    assert_eq!(block["data"], data_encoding::BASE64.encode(b"of ours"));
    assert_eq!(soon("sync", theirs.synced()).await??, 50);
    assert_eq!(stream_checksum(&theirs).await?, checksum(generated_blocks(3, 0, 50, 10)));
    for stream in [&one, &two] {
        stream.append(vec!["live".into()]).await?;
    }
    assert_eq!(peer.command("get", json!({ "feed": "two", "index": 100 }))?["size"], 4);
    assert_eq!(peer.command("get", json!({ "index": 1 }))?["size"], 4);
    assert_eq!(peer.info()?["connections"].as_array().map(Vec::len), Some(1));

    // A feed that is opened while the connection is there.
    let late = node.create("late", ["late"]).await?;
    let spec = json!({ "name": "late", "key": late.key().to_string() });
    peer.command("open", json!({ "spec": spec }))?;
    assert_eq!(peer.command("get", json!({ "feed": "late", "index": 0 }))?["size"], 4);
    node.shutdown().await
}

/// Both sides of wire A begin with the same feed. Ours begins anew with the one that the peer began with.
#[test]
fn hypercore_7_begins_with_any_of_our_streams() -> Result<()> {
    block_on(async {
        let node = Node::fresh().await?;
        let mut streams = Vec::new();
        for name in ["one", "two", "three"] {
            streams.push(node.create(name, [name]).await?);
        }
        for stream in &streams {
            let mut peer = stock_reader(Generation::Hypercore7, stream)?;
            meet(Dials::We, &node, &mut peer).await?;
            assert_eq!(peer.get(0)?, stream.name().as_bytes());
        }
        node.shutdown().await
    })
}
