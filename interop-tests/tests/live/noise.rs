//! Noise keys that are turned away (wire B2; wire A knows none).

use std::time::Duration;

use anyhow::{Context, Result};
use quorate_interop_tests::{
    FeedOptions, Generation, Node, NodeOptions, PeerOptions, StockPeer, block_on, soon,
};
use quorate_node::event::Event;
use serde_json::json;

use crate::support::{Dials, SEED, copy_of, meet, stock_reader, stock_writer};

const NINE: Generation = Generation::Hypercore9;
const MOMENT: Duration = Duration::from_millis(300);

#[test]
fn stock_peers_turn_our_key_away() -> Result<()> {
    block_on(async {
        for dials in [Dials::They, Dials::We] {
            let mut writer = stock_writer(NINE)?;
            writer.append(["a block"])?;
            let mut node = Node::fresh().await?;
            let ours = node.node.noise_key().to_string();
            writer.command("deny", json!({ "key": ours }))?;
            let stream = node.carry(writer.key(), "").await?;
            meet(dials, &node, &mut writer).await?;
            let asked = writer.event("authenticate")?;
            assert_eq!((&asked["key"], &asked["accepted"]), (&json!(ours), &json!(false)));
            assert_eq!(writer.event("close")?["error"], "Noise handshake error");
            if dials == Dials::We {
                // Whoever dials has said the last word of the handshake: only the end tells.
                let ended =
                    |event: &Event| matches!(event, Event::Disconnected { .. } | Event::DialFailed { .. });
                node.event("end", ended).await?;
            }
            assert_eq!(stream.info().await?.length, 0);

            // Once it is let in, it gets what it came for.
            writer.command("allow", json!({ "key": ours }))?;
            if dials == Dials::They {
                let address = listening(&mut node).await?;
                writer.command("connect", json!({ "to": address }))?;
            }
            assert_eq!(soon("block", stream.fetch(0)).await??, "a block");
            node.shutdown().await?;
        }
        Ok(())
    })
}

async fn listening(node: &mut Node) -> Result<String> {
    match node.event("listening", |event| matches!(event, Event::Listening { .. })).await? {
        Event::Listening { address } => Ok(address),
        other => anyhow::bail!("expected the event listening, found {other:?}"),
    }
}

#[test]
fn we_turn_the_key_of_a_stock_peer_away() -> Result<()> {
    block_on(async {
        for dials in [Dials::They, Dials::We] {
            let seed = "11".repeat(32);
            let options = PeerOptions::new(FeedOptions::from_seed(SEED)).json("noiseSeed", json!(seed));
            let denied = StockPeer::start(NINE, &options)?.noise_key().context("hypercore 9 has a key")?;
            let node = Node::open(NodeOptions { denied: vec![denied], ..NodeOptions::default() }).await?;
            let stream = node.create("log", ["a block"]).await?;
            let options = PeerOptions::new(copy_of(&stream)).listen().json("noiseSeed", json!(seed));
            let mut peer = StockPeer::start(NINE, &options)?;
            assert_eq!(peer.noise_key(), Some(denied));
            meet(dials, &node, &mut peer).await?;
            peer.event("close")?;
            assert_eq!(peer.info()?["length"], 0);
            if dials == Dials::We {
                // It never heard the last word of the handshake.
                peer.process().no_event("handshake", MOMENT)?;
            }

            // Others are served.
            let mut other = stock_reader(NINE, &stream)?;
            match dials {
                Dials::We => node.node.add_peer(other.address()?),
                Dials::They => meet(dials, &node, &mut other).await?,
            }
            assert_eq!(other.get(0)?, b"a block");
            node.shutdown().await?;
        }
        Ok(())
    })
}
