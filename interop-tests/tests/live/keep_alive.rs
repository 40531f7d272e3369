//! A minute without a word but pings, on every kind of connection at once.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use quorate_interop_tests::{FeedOptions, Generation, Node, StockPeer, block_on, soon};
use serde_json::Value;

use crate::support::{Dials, meet, stock, stock_reader};

/// Longer than a minute, and longer than every time-out of both generations: 5 s and 20 s.
const IDLE: Duration = Duration::from_secs(63);

struct Idle {
    peer: StockPeer,
    connection: Value,
}

fn established(mut peer: StockPeer) -> Result<Idle> {
    let connection = peer.event("handshake")?["connection"].clone();
    Ok(Idle { peer, connection })
}

#[test]
fn idle_connections_last() -> Result<()> {
    block_on(async {
        let node = Node::fresh().await?;
        let stream = node.create("log", ["a block"]).await?;
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for (seed, generation) in (1..).zip(Generation::ALL) {
            for dials in [Dials::They, Dials::We] {
                let mut reader = stock_reader(generation, &stream)?;
                meet(dials, &node, &mut reader).await?;
                reader.get(0)?;
                readers.push(established(reader)?);
            }
            let mut writer = stock(generation, FeedOptions::from_seed([seed; 32]))?;
            writer.append(["first"])?;
            let copy = node.carry(writer.key(), writer.address()?).await?;
            soon("sync", copy.synced()).await??;
            writers.push((established(writer)?, copy));
        }
        sleep(IDLE);
        stream.append(vec!["after a minute".into()]).await?;
        for idle in &mut readers {
            assert_eq!(idle.peer.get(1)?, b"after a minute");
            still_there(idle)?;
        }
        for (idle, copy) in &mut writers {
            idle.peer.append(["after a minute"])?;
            assert_eq!(soon("block", copy.fetch(1)).await??, "after a minute");
            still_there(idle)?;
        }
        node.shutdown().await
    })
}

/// The only connection is the one from before.
fn still_there(idle: &mut Idle) -> Result<()> {
    let info = idle.peer.info()?;
    let connections: Vec<&Value> = info["connections"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|connection| &connection["connection"])
        .collect();
    assert_eq!(connections, [&idle.connection]);
    Ok(())
}
