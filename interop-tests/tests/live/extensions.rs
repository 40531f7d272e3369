//! Extension messages, by name, of any size, both ways; and those that only one side knows.

use std::time::Duration;

use anyhow::Result;
use quorate_interop_tests::{
    Generation, Node, NodeOptions, PATIENCE, PeerOptions, StockPeer, block_on, generated_block, soon,
};
use serde_json::json;

use crate::support::{Dials, copy_of, each_way, meet};

each_way!(messages_go_both_ways, unknown_extensions_are_ignored_both_ways);

/// Sorted among other names on each side, so that the numbers on the wire differ.
const NAME: &str = "quorate-test/m";

fn options(extensions: &[&str]) -> NodeOptions {
    let extensions = extensions.iter().map(|name| (*name).to_owned()).collect();
    NodeOptions { extensions, ..NodeOptions::default() }
}

/// A node with one block, and a stock peer that has it: both have spoken.
async fn pair(
    generation: Generation,
    dials: Dials,
    ours: &[&str],
    theirs: &[&str],
) -> Result<(Node, quorate_node::Stream, StockPeer)> {
    let node = Node::open(options(ours)).await?;
    let stream = node.create("log", ["a block"]).await?;
    let feed = theirs.iter().fold(copy_of(&stream), |feed, name| feed.extension(name));
    let mut peer = StockPeer::start(generation, &PeerOptions::new(feed).listen())?;
    meet(dials, &node, &mut peer).await?;
    peer.get(0)?;
    Ok((node, stream, peer))
}

async fn messages_go_both_ways(generation: Generation, dials: Dials) -> Result<()> {
    let ours = ["another", NAME];
    let theirs = [NAME, "quorate-test/a", "quorate-test/z"];
    let (node, stream, mut peer) = pair(generation, dials, &ours, &theirs).await?;
    let messages = stream.extensions().await?;
    for size in [200, 60_000, 1] {
        let payload = generated_block(8, 0, size);
        peer.command("send-extension", json!({ "name": NAME, "size": size, "seed": 8 }))?;
        let message = soon("message", messages.recv()).await??;
        assert_eq!((message.name.as_str(), &message.payload[..]), (NAME, &payload[..]));

        assert_eq!(stream.send_extension(NAME, payload.clone().into()).await?, 1);
        let event = peer.event("extension")?;
        assert_eq!((&event["name"], &event["size"]), (&json!(NAME), &json!(size)));
        assert_eq!(event["data"], json!(data_encoding::BASE64.encode(&payload)));
    }
    node.shutdown().await
}

async fn unknown_extensions_are_ignored_both_ways(generation: Generation, dials: Dials) -> Result<()> {
    let ours = ["only-ours", NAME];
    let theirs = [NAME, "only-theirs"];
    let (node, stream, mut peer) = pair(generation, dials, &ours, &theirs).await?;
    let messages = stream.extensions().await?;
    for size in [200, 60_000] {
        let payload = generated_block(8, 0, size);
        peer.command("send-extension", json!({ "name": "only-theirs", "size": size }))?;
        stream.send_extension("only-ours", payload.into()).await?;
    }
    // What both know comes all the same, on the same connection, and it is all that comes.
    peer.command("send-extension", json!({ "name": NAME, "size": 5, "seed": 8 }))?;
    let message = soon("message", messages.recv()).await??;
    assert_eq!((message.name.as_str(), message.payload.len()), (NAME, 5));
    stream.send_extension(NAME, generated_block(8, 0, 7).into()).await?;
    let event = peer.event("extension")?;
    assert_eq!((&event["name"], &event["size"]), (&json!(NAME), &json!(7)));
    stream.append(vec!["another".into()]).await?;
    assert_eq!(peer.get(1)?, b"another");
    assert!(messages.is_empty());
    peer.process().no_event("extension", Duration::from_millis(100))?;
    assert_eq!(peer.info()?["connections"].as_array().map(Vec::len), Some(1));
    node.shutdown().await
}

/// Wire B2 has extensions of the connection besides those of a feed; our node lists none there.
#[test]
fn extensions_of_the_connection_are_ignored() -> Result<()> {
    block_on(async {
        for dials in [Dials::They, Dials::We] {
            let (node, stream, mut peer) = pair(Generation::Hypercore9, dials, &[NAME], &[NAME]).await?;
            peer.command("register-stream-extension", json!({ "name": NAME }))?;
            for size in [200, 60_000] {
                peer.command("send-stream-extension", json!({ "name": NAME, "size": size }))?;
            }
            stream.append(vec!["another".into()]).await?;
            assert_eq!(peer.get(1)?, b"another");
            let messages = stream.extensions().await?;
            peer.command("send-extension", json!({ "name": NAME, "size": 9 }))?;
            assert_eq!(soon("message", messages.recv()).await??.payload.len(), 9);
            assert!(messages.is_empty());
            peer.process().event("handshake", PATIENCE)?;
            peer.process().no_event("close", Duration::from_millis(100))?;
            node.shutdown().await?;
        }
        Ok(())
    })
}
