//! `gate = committed`: stock peers are shown what the validators of a room have committed, and nothing else.

use std::time::Duration;

use anyhow::{Result, ensure};
use data_encoding::BASE64;
use quorate_interop_tests::{
    Generation, Node, NodeOptions, PATIENCE, StockPeer, Workspace, checksum, soon, until_info,
};
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_node::model::{Encoding, Gate, NewQuorum, NewRoom, NewStream, Say};
use quorate_node::{Identities, Stream};

use crate::support::{Dials, each_way, meet, stock_reader};

each_way!(stock_peers_are_shown_what_is_committed);

/// Time in which something would have come.
const SOON: Duration = Duration::from_millis(1500);

async fn say(node: &Node, payload: &str) -> Result<()> {
    let payloads = vec![BASE64.encode(payload.as_bytes())];
    node.node.say("money", Say { identity: None, payloads, patience_ms: 5000, call: 0 }).await?;
    Ok(())
}

/// What a stock peer has is a part of what is committed, and the same as ours.
async fn compare(peer: &mut StockPeer, stream: &Stream) -> Result<u64> {
    let (length, found) = loop {
        let (length, found) = (peer.length()?, peer.checksum()?);
        if peer.length()? == length {
            break (length, found);
        }
    };
    let info = stream.info().await?;
    let committed = info.room.and_then(|room| room.quorum).map_or(0, |quorum| quorum.committed);
    ensure!(length <= committed, "a stock peer has {length} blocks, of which {committed} are committed");
    ensure!(info.gate.is_some_and(|gate| gate.shown >= length), "it has more than it was shown");
    let mut blocks = Vec::new();
    for index in 0..length {
        blocks.push(stream.get(index).await?);
    }
    ensure!(found == checksum(&blocks), "a stock peer has other blocks");
    Ok(length)
}

async fn stock_peers_are_shown_what_is_committed(generation: Generation, dials: Dials) -> Result<()> {
    let workspace = Workspace::new()?;
    let options = |home| NodeOptions { home: Some(workspace.join(home)), ..NodeOptions::default() };
    let (host, voter) = (Node::open(options("host")).await?, Node::open(options("voter")).await?);
    let validators =
        vec![Identities::open(host.home())?.vote_key()?, Identities::open(voter.home())?.vote_key()?];
    let quorum = NewQuorum { validators, ..NewQuorum::default() };
    let room = NewRoom { rules: Vec::new(), rule_delay: 0, quorum: Some(quorum) };
    host.node.create(NewStream { name: "money".into(), encoding: Encoding::Json, room: Some(room) }).await?;
    // It holds from the next start on.
    host.node.set_gate("money", Gate::Committed)?;
    host.shutdown().await?;
    let host = Node::open(options("host")).await?;
    let stream = host.node.open_stream("money").await?;
    say(&host, "1").await?;
    say(&host, "2").await?;
    assert_eq!(stream.info().await?.length, 3);

    // Nothing is committed: a stock peer sees an empty feed, and one of ours sees all.
    let mut mirror = stock_reader(generation, &stream)?;
    meet(dials, &host, &mut mirror).await?;
    until_info(&stream, "the stock peer", |info| info.peers == 1).await?;
    let reader = Node::fresh().await?;
    let address = host.listen().await?;
    let copy = reader.carry(*stream.key().as_bytes(), &address).await?;
    assert_eq!(soon("sync", copy.synced()).await??, 3);
    AsyncStd.sleep_until(AsyncStd.now() + SOON).await;
    assert_eq!(compare(&mut mirror, &stream).await?, 0);

    // The second validator comes: what is committed is shown, while certificates that are not yet are kept back.
    let voted = voter.carry(*stream.key().as_bytes(), &address).await?;
    assert!(soon("commit", stream.committed(3)).await?? >= 3);
    mirror.wait_downloaded(3, PATIENCE)?;
    assert!(compare(&mut mirror, &stream).await? >= 3);

    // It goes, and what is appended then stays here.
    drop(voted);
    voter.shutdown().await?;
    say(&host, "3").await?;
    let length = until_info(&stream, "the third entry", |info| info.length > 3).await?.length;
    until_info(&copy, "all of it at a node of ours", |info| info.here >= length).await?;
    AsyncStd.sleep_until(AsyncStd.now() + SOON).await;
    let shown = compare(&mut mirror, &stream).await?;
    ensure!(shown < length, "the stock peer has all {length} blocks");

    // It comes back, and so does the rest.
    let voter = Node::open(options("voter")).await?;
    voter.carry(*stream.key().as_bytes(), &address).await?;
    assert!(soon("commit", stream.committed(length)).await?? >= length);
    mirror.wait_downloaded(length, PATIENCE)?;
    assert!(compare(&mut mirror, &stream).await? >= length);
    voter.shutdown().await?;
    reader.shutdown().await?;
    host.shutdown().await
}
