//! What the tests of this folder share.

use anyhow::Result;
use quorate_interop_tests::{FeedOptions, Generation, Node, PATIENCE, PeerOptions, StockPeer};
use quorate_node::Stream;
use quorate_node::model::AuditSummary;
use serde_json::{Value, json};

/// Seed of the key pair of stock writers.
pub(crate) const SEED: [u8; 32] = [7; 32];

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dials {
    /// Our node.
    We,
    /// The stock peer.
    They,
}

/// Makes tests of functions that take a [`Generation`] and [`Dials`]: one for each pair.
macro_rules! each_way {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use quorate_interop_tests::{Generation, block_on};
            use $crate::support::Dials;

            #[test]
            fn hypercore_7_dials_us() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore7, Dials::They))
            }

            #[test]
            fn we_dial_hypercore_7() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore7, Dials::We))
            }

            #[test]
            fn hypercore_9_dials_us() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore9, Dials::They))
            }

            #[test]
            fn we_dial_hypercore_9() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore9, Dials::We))
            }
        }
    )+};
}

/// Makes tests of functions that take a [`Generation`]: one for each.
macro_rules! each_generation {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use quorate_interop_tests::{Generation, block_on};

            #[test]
            fn hypercore_7() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore7))
            }

            #[test]
            fn hypercore_9() -> anyhow::Result<()> {
                block_on(super::$test(Generation::Hypercore9))
            }
        }
    )+};
}

pub(crate) use {each_generation, each_way};

/// Starts a stock writer that listens.
pub(crate) fn stock_writer(generation: Generation) -> Result<StockPeer> {
    stock(generation, FeedOptions::from_seed(SEED))
}

/// Starts a stock reader of a stream of ours that listens, and knows nobody yet.
pub(crate) fn stock_reader(generation: Generation, stream: &Stream) -> Result<StockPeer> {
    stock(generation, copy_of(stream))
}

/// Starts a stock peer that listens.
pub(crate) fn stock(generation: Generation, feed: FeedOptions) -> Result<StockPeer> {
    StockPeer::start(generation, &PeerOptions::new(feed).listen())
}

/// A stock copy, in memory, of a stream of ours.
pub(crate) fn copy_of(stream: &Stream) -> FeedOptions {
    FeedOptions::from_key(*stream.key().as_bytes())
}

/// Connects a node of ours that has the stream open with a stock peer that listens.
pub(crate) async fn meet(dials: Dials, node: &Node, peer: &mut StockPeer) -> Result<()> {
    match dials {
        Dials::We => node.node.add_peer(peer.address()?),
        Dials::They => {
            let address = node.listen().await?;
            peer.command("connect", json!({ "to": address }))?;
        }
    }
    Ok(())
}

/// Hashes all of a stream again and checks every signature.
pub(crate) async fn audit(stream: &Stream) -> Result<AuditSummary> {
    // Nobody reads the progress.
    let (to, _) = async_channel::bounded(1);
    Ok(stream.audit(to).await?)
}

/// Waits for the end of the first connection of a stock peer on which both sides understood each other, and
/// returns the error that it reports. To hypercore 7 our node speaks the wire of hypercore 9 first, in vain.
pub(crate) fn end_of_connection(peer: &mut StockPeer) -> Result<Value> {
    let connection = peer.event("handshake")?["connection"].clone();
    let close = peer.process().event_where("close", PATIENCE, |close| close["connection"] == connection)?;
    Ok(close["error"].clone())
}
