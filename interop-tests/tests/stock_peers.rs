//! The stock peers among themselves: what the harness promises, and what the reference does, as the
//! baseline of every other test in this folder.

use std::time::Duration;

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, PATIENCE, PeerOptions, StockPeer, Workspace, checksum, generated_blocks,
};
use serde_json::json;

const SEED: [u8; 32] = [7; 32];

fn sharer(generation: Generation, feed: FeedOptions) -> Result<StockPeer> {
    StockPeer::start(generation, &PeerOptions::new(feed).listen())
}

#[test]
fn clones_live_and_from_disk() -> Result<()> {
    for generation in Generation::ALL {
        let workspace = Workspace::new()?;
        let from = FeedOptions::from_seed(SEED).in_directory(workspace.join("sharer"));
        let mut sharer = sharer(generation, from)?;
        assert_eq!(sharer.append_generated(3, 200, 100)?, 200);

        let to = FeedOptions::from_key(sharer.key()).in_directory(workspace.join("cloner"));
        let mut cloner = StockPeer::start(generation, &PeerOptions::new(to).connect(sharer.address()?))?;
        cloner.wait_downloaded(200, PATIENCE)?;
        assert_eq!(cloner.checksum()?, checksum(generated_blocks(3, 0, 200, 100)));

        sharer.append(["live", ""])?;
        assert_eq!(cloner.get(200)?, b"live");
        assert_eq!(cloner.get(201)?, b"");
        assert_eq!(cloner.event("append")?["feed"], "main");
        cloner.quit()?;

        let again = FeedOptions::default().in_directory(workspace.join("cloner"));
        let mut again = StockPeer::start(generation, &PeerOptions::new(again))?;
        assert_eq!((again.key(), again.length()?), (sharer.key(), 202));
        again.quit()?;
        sharer.quit()?;
    }
    Ok(())
}

#[test]
fn finite_streams_end_without_an_error() -> Result<()> {
    for generation in Generation::ALL {
        let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen().finite();
        let mut sharer = StockPeer::start(generation, &options)?;
        sharer.append_generated(1, 50, 10)?;
        let options =
            PeerOptions::new(FeedOptions::from_key(sharer.key())).connect(sharer.address()?).finite();
        let mut cloner = StockPeer::start(generation, &options)?;
        assert_eq!(cloner.event("close")?["error"], json!(null));
        assert_eq!(sharer.event("close")?["error"], json!(null));
        assert_eq!(cloner.info()?["downloaded"], 50);
    }
    Ok(())
}

#[test]
fn a_finite_peer_stays_with_a_live_one() -> Result<()> {
    for generation in Generation::ALL {
        for writer_is_finite in [true, false] {
            let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen();
            let options = if writer_is_finite { options.finite() } else { options };
            let mut sharer = StockPeer::start(generation, &options)?;
            sharer.append_generated(1, 50, 10)?;
            let options = PeerOptions::new(FeedOptions::from_key(sharer.key())).connect(sharer.address()?);
            let options = if writer_is_finite { options } else { options.finite() };
            let mut cloner = StockPeer::start(generation, &options)?;
            cloner.wait_downloaded(50, PATIENCE)?;
            cloner.process().no_event("close", Duration::from_millis(300))?;
        }
    }
    Ok(())
}

#[test]
fn sparse_ranges_fetch_what_is_asked_for() -> Result<()> {
    for generation in Generation::ALL {
        let mut sharer = sharer(generation, FeedOptions::from_seed(SEED))?;
        sharer.append_generated(1, 100, 10)?;
        let feed = FeedOptions::from_key(sharer.key()).sparse();
        let options = PeerOptions::new(feed).connect(sharer.address()?).block_events();
        let mut cloner = StockPeer::start(generation, &options)?;
        cloner.command("download", json!({ "start": 40, "end": 50 }))?;
        assert_eq!(cloner.info()?["downloaded"], 10);
        assert_eq!(cloner.command("has", json!({ "index": 39 }))?["has"], false);
        assert_eq!(cloner.event_indexes("download", 10)?, (40..50).collect::<Vec<_>>());
        cloner.command("clear", json!({ "start": 45, "end": 46 }))?;
        assert_eq!(cloner.command("has", json!({ "index": 45 }))?["has"], false);
    }
    Ok(())
}

#[test]
fn a_cleared_block_is_announced() -> Result<()> {
    for generation in Generation::ALL {
        let mut sharer = sharer(generation, FeedOptions::from_seed(SEED))?;
        sharer.append_generated(1, 10, 10)?;
        let feed = FeedOptions::from_key(sharer.key()).sparse();
        let mut cloner = StockPeer::start(generation, &PeerOptions::new(feed).connect(sharer.address()?))?;
        cloner.command("update", json!({ "minLength": 10 }))?;
        assert_eq!(cloner.command("remote-has", json!({ "index": 4 }))?["has"], true);
        sharer.command("clear", json!({ "start": 4, "end": 5 }))?;
        sharer.append(["after the clear"])?;
        cloner.get(10)?;
        assert_eq!(cloner.command("remote-has", json!({ "index": 4 }))?["has"], false);
    }
    Ok(())
}

#[test]
fn extensions_carry_any_size_by_name() -> Result<()> {
    for generation in Generation::ALL {
        let with = |feed: FeedOptions| feed.extension("quorate-test/a").extension("quorate-test/b");
        let mut sharer = sharer(generation, with(FeedOptions::from_seed(SEED)))?;
        let options = PeerOptions::new(with(FeedOptions::from_key(sharer.key()))).connect(sharer.address()?);
        let mut cloner = StockPeer::start(generation, &options)?;
        sharer.append(["a block, so that both have spoken"])?;
        cloner.get(0)?;
        for size in [200, 60_000] {
            sharer.command("send-extension", json!({ "name": "quorate-test/b", "size": size }))?;
            let event = cloner.event("extension")?;
            assert_eq!((&event["name"], &event["size"]), (&json!("quorate-test/b"), &json!(size)));
            cloner.command("send-extension", json!({ "name": "quorate-test/a", "size": size }))?;
            assert_eq!(sharer.event("extension")?["size"], size);
        }
    }
    Ok(())
}

#[test]
fn streams_have_extensions_of_their_own_in_hypercore_9() -> Result<()> {
    let mut sharer = sharer(Generation::Hypercore9, FeedOptions::from_seed(SEED))?;
    let mut cloner = StockPeer::start(
        Generation::Hypercore9,
        &PeerOptions::new(FeedOptions::from_key(sharer.key())).connect(sharer.address()?),
    )?;
    sharer.event("handshake")?;
    for peer in [&mut sharer, &mut cloner] {
        peer.command("register-stream-extension", json!({ "name": "quorate-test/stream" }))?;
    }
    sharer.command("send-stream-extension", json!({ "name": "quorate-test/stream", "size": 300 }))?;
    assert_eq!(cloner.event("stream-extension")?["size"], 300);
    Ok(())
}

#[test]
fn a_denied_noise_key_ends_the_connection_without_a_reason() -> Result<()> {
    let mut sharer = sharer(Generation::Hypercore9, FeedOptions::from_seed(SEED))?;
    let options = PeerOptions::new(FeedOptions::from_key(sharer.key())).listen();
    let mut cloner = StockPeer::start(Generation::Hypercore9, &options)?;
    let key = data_encoding::HEXLOWER.encode(&cloner.noise_key().expect("hypercore 9 has a Noise key"));
    sharer.command("deny", json!({ "key": key }))?;

    // The denied side sent the last handshake message, so to it the handshake is complete.
    cloner.command("connect", json!({ "to": sharer.address()? }))?;
    cloner.event("handshake")?;
    assert_eq!(sharer.event("authenticate")?["accepted"], false);
    assert_eq!(sharer.event("close")?["error"], "Noise handshake error");
    no_reason(&cloner.event("close")?);

    // The other way round the last message never comes.
    sharer.command("connect", json!({ "to": cloner.address()? }))?;
    assert_eq!(sharer.event("close")?["error"], "Noise handshake error");
    no_reason(&cloner.event("close")?);
    cloner.process().no_event("handshake", Duration::from_millis(50))
}

/// What the denied side sees is the end of the connection, or its reset when something of its own was still unread.
fn no_reason(close: &serde_json::Value) {
    let error = &close["error"];
    assert!(error.is_null() || error == "read ECONNRESET", "{error}");
}

#[test]
fn several_feeds_share_a_connection() -> Result<()> {
    for generation in Generation::ALL {
        let other = FeedOptions::from_seed([8; 32]).named("other");
        let options = PeerOptions::new(FeedOptions::from_seed(SEED)).feed(other).listen();
        let mut sharer = StockPeer::start(generation, &options)?;
        sharer.append(["one"])?;
        sharer.command("append", json!({ "feed": "other", "count": 3, "size": 5 }))?;
        let key = sharer.command("info", json!({ "feed": "other" }))?["key"].clone();
        let key = data_encoding::HEXLOWER.decode(key.as_str().expect("a key is text").as_bytes())?;
        let other = FeedOptions::from_key(key.try_into().expect("a key has 32 bytes")).named("other");
        let options =
            PeerOptions::new(FeedOptions::from_key(sharer.key())).feed(other).connect(sharer.address()?);
        let mut cloner = StockPeer::start(generation, &options)?;
        assert_eq!(cloner.get(0)?, b"one");
        assert_eq!(cloner.command("get", json!({ "feed": "other", "index": 2 }))?["size"], 5);
        assert_eq!(cloner.info()?["connections"].as_array().map(Vec::len), Some(1));
    }
    Ok(())
}

#[test]
fn reconnects_after_a_lost_connection() -> Result<()> {
    for generation in Generation::ALL {
        let mut sharer = sharer(generation, FeedOptions::from_seed(SEED))?;
        let options = PeerOptions::new(FeedOptions::from_key(sharer.key()))
            .connect(sharer.address()?)
            .reconnect(Duration::from_millis(50));
        let mut cloner = StockPeer::start(generation, &options)?;
        cloner.event("handshake")?;
        sharer.command("close-stream", json!({}))?;
        cloner.event("close")?;
        cloner.event("handshake")?;
        sharer.append(["after"])?;
        assert_eq!(cloner.get(0)?, b"after");
    }
    Ok(())
}

#[test]
fn a_fork_is_a_stream_error_to_the_reference() -> Result<()> {
    for generation in Generation::ALL {
        let mut first = sharer(generation, FeedOptions::from_seed(SEED))?;
        first.append(["a", "b"])?;
        let mut second = sharer(generation, FeedOptions::from_seed(SEED))?;
        second.append(["a", "x", "c"])?;
        let options = PeerOptions::new(FeedOptions::from_key(first.key())).connect(first.address()?);
        let mut cloner = StockPeer::start(generation, &options)?;
        cloner.wait_downloaded(2, PATIENCE)?;
        cloner.command("connect", json!({ "to": second.address()? }))?;
        let close = cloner.event("close")?;
        assert_eq!(close["error"], "Remote signature could not be verified");
        assert_eq!(cloner.get(1)?, b"b");
    }
    Ok(())
}

#[test]
fn hypercore_9_signs_what_hypercore_7_does_not_accept() -> Result<()> {
    let workspace = Workspace::new()?;
    let directory = workspace.join("feed");
    let feed = FeedOptions::from_seed(SEED).in_directory(&directory);
    let mut nine = StockPeer::start(Generation::Hypercore9, &PeerOptions::new(feed))?;
    nine.append(["signed over 40 bytes"])?;
    let signature = nine.command("signature", json!({ "index": 0 }))?;
    nine.quit()?;

    let mut seven = sharer(Generation::Hypercore7, FeedOptions::default().in_directory(&directory))?;
    assert_eq!(seven.command("signature", json!({ "index": 0 }))?["signature"], signature["signature"]);
    let options = PeerOptions::new(FeedOptions::from_key(seven.key())).connect(seven.address()?);
    let mut cloner = StockPeer::start(Generation::Hypercore7, &options)?;
    assert_eq!(cloner.event("close")?["error"], "Remote signature could not be verified");
    Ok(())
}
