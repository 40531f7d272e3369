//! The program itself against stock peers.

use anyhow::Result;
use quorate_interop_tests::{
    FeedOptions, Generation, PATIENCE, PeerOptions, Quorate, StockPeer, Workspace, checksum, generated_blocks,
};
use serde_json::json;

use crate::support::{SEED, each_generation, stock_writer};

each_generation!(share, clone, clone_of_a_fork);

fn link(key: [u8; 32]) -> String {
    quorate_types::Link::new(key.into()).to_string()
}

async fn share(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let quorate = Quorate::new(workspace.join("home"))?;
    let stream = quorate.json(&["new", "log"])?;
    quorate.stdout(&["append", "log", "one"])?;
    let mut share = quorate.start(&["share", "log", "--host", "127.0.0.1", "--port", "0"])?;
    let address = share.event("listening", PATIENCE)?["address"].clone();
    let key: [u8; 32] = data_encoding::HEXLOWER
        .decode(stream["key"].as_str().unwrap_or_default().as_bytes())?
        .try_into()
        .map_err(|_| anyhow::anyhow!("expected a key of 32 bytes in {stream}"))?;
    let options = PeerOptions::new(FeedOptions::from_key(key)).connect(address.as_str().unwrap_or_default());
    let mut reader = StockPeer::start(generation, &options)?;
    assert_eq!(reader.get(0)?, b"one");
    // The node that runs takes what is appended meanwhile.
    quorate.stdout(&["append", "log", "two"])?;
    assert_eq!(reader.get(1)?, b"two");
    share.event("uploaded", PATIENCE)?;
    Ok(())
}

async fn clone(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let quorate = Quorate::new(workspace.join("home"))?;
    let mut writer = stock_writer(generation)?;
    writer.append_generated(3, 500, 40)?;
    let info = quorate.json(&["clone", &link(writer.key()), "copy", "--peer", writer.address()?])?;
    assert_eq!((&info["length"], &info["here"]), (&json!(500), &json!(500)));
    assert_eq!(quorate.stdout(&["cat", "copy"])?, generated_blocks(3, 0, 500, 40).concat());
    let audit = quorate.json(&["audit", "copy"])?;
    assert_eq!((&audit["blocks"], &audit["missing"]), (&json!(500), &json!(0)));

    // Once more, for what is new.
    writer.append_generated(3, 20, 40)?;
    quorate.stdout(&["clone", &link(writer.key()), "--peer", writer.address()?])?;
    let blocks = quorate.stdout(&["cat", "copy"])?;
    assert_eq!(checksum([blocks]), checksum([generated_blocks(3, 0, 520, 40).concat()]));
    Ok(())
}

async fn clone_of_a_fork(generation: Generation) -> Result<()> {
    let workspace = Workspace::new()?;
    let quorate = Quorate::new(workspace.join("home"))?;
    let mut writers = Vec::new();
    for (seed, blocks) in [(1, 30), (2, 40)] {
        let options = PeerOptions::new(FeedOptions::from_seed(SEED)).listen();
        let mut writer = StockPeer::start(generation, &options)?;
        writer.append_generated(seed, blocks, 10)?;
        writers.push(writer);
    }
    let link = link(writers[0].key());
    quorate.stdout(&["clone", &link, "copy", "--peer", writers[0].address()?])?;
    let output = quorate.run(&["clone", &link, "--peer", writers[1].address()?])?;
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(quorate.stdout(&["cat", "copy"])?, generated_blocks(1, 0, 30, 10).concat());
    Ok(())
}
