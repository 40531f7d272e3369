//! A node in a process of its own, for tests that kill it or measure its memory.
//!
//! `test-node append HOME SEED WRITERS` appends to the stream `log`, which is made when it is not there, from several
//! tasks at once and without end. It prints `open`, `acked` for each batch that was acknowledged, `failed` for each that
//! was not, and `head` for each root that it has seen itself.
//! `test-node clone HOME LINK PEER[,PEER]` prints `open`, `downloaded` and `synced`, and stays.
//! `test-node fill HOME BLOCKS BYTES` makes the stream `log` and ends.
//! `test-node serve HOME` opens the stream `log` and serves it.
//!
//! `test-node large BLOCKS BYTES` measures how a feed of that size is opened, served and cloned.
//!
//! `test-node listen ADDRESS` prints who speaks on the group of multicast DNS, and when. `test-node pester ADDRESS TOPIC
//! SECONDS` says there, and as a node of both distributed hash tables, what nobody should say.
//!
//! All but `fill`, `large`, `listen` and `pester` end with standard input. A panic of any task ends the process at once.

mod datagrams;
mod large;

use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use quorate_interop_tests::{Chance, generated_batch, generated_block};
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_node::event::Event;
use quorate_node::model::{CloneStream, Encoding, NewStream};
use quorate_node::{Code, Listen, Node, NodeConfig, Stream};
use serde_json::{Value, json};

/// Name of the stream.
const NAME: &str = "log";

/// Time between an append that failed and the next.
const RETRY: Duration = Duration::from_millis(50);

/// Blocks of one batch of `fill`.
const FILL_BATCH: u64 = 2000;

fn main() -> Result<()> {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    AsyncStd::block_on(async {
        match arguments.as_slice() {
            ["append", home, seed, writers] => append(home, seed.parse()?, writers.parse()?).await,
            ["clone", home, link, peers] => clone(home, link, peers).await,
            ["fill", home, blocks, bytes] => fill(home, blocks.parse()?, bytes.parse()?).await,
            ["serve", home] => serve(home).await,
            ["large", blocks, bytes] => large::measure(blocks, bytes),
            ["listen", address] => datagrams::listen(address),
            ["pester", address, topic, seconds] => datagrams::pester(address, topic, seconds),
            other => bail!(
                "expected append, clone, fill, serve, large, listen or pester with their arguments, found {other:?}"
            ),
        }
    })
}

fn print(event: &Value) {
    // One line is one write, so that whoever kills this process finds no half of one.
    println!("{event}");
}

/// Waits for the end of standard input.
async fn end_of_input() {
    let (ended, end) = async_channel::bounded::<()>(1);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    let _ = end.recv().await;
}

async fn open(home: &str) -> Result<Node> {
    Ok(Node::open(NodeConfig::new(Path::new(home))).await?)
}

async fn listen(node: &Node) -> Result<String> {
    let listen = Listen { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0, or_next_free: false };
    Ok(node.listen(listen).await?.to_string())
}

async fn open_or_create(node: &Node) -> Result<Stream> {
    match node.open_stream(NAME).await {
        Err(failure) if failure.code == Code::StreamNotFound => {
            Ok(node.create(NewStream { name: NAME.into(), encoding: Encoding::Binary, room: None }).await?)
        }
        opened => Ok(opened?),
    }
}

async fn append(home: &str, seed: u64, writers: u64) -> Result<()> {
    let node = open(home).await?;
    let stream = open_or_create(&node).await?;
    print(&standing("open", &stream, &listen(&node).await?).await?);
    let mut chance = Chance::new(seed);
    for _ in 0..writers {
        let (stream, mut chance) = (stream.clone(), Chance::new(chance.number()));
        AsyncStd.spawn(Box::pin(async move {
            loop {
                let seed = chance.number() as u32;
                match stream.append(generated_batch(seed)).await {
                    Ok(appended) => print(&json!({ "event": "acked", "start": appended.start, "length": appended.length, "seed": seed })),
                    Err(failure) => {
                        print(&json!({ "event": "failed", "code": failure.code.to_string() }));
                        AsyncStd.sleep_until(AsyncStd.now() + RETRY).await;
                    }
                }
                if chance.one_in(3) {
                    print(&standing("head", &stream, "").await.expect("an open stream says how it stands"));
                }
            }
        }));
    }
    end_of_input().await;
    Ok(())
}

/// Says how a stream stands: its length and the root that belongs to it.
async fn standing(event: &str, stream: &Stream, address: &str) -> Result<Value> {
    let info = stream.info().await?;
    let hash = info.tree_hash.map(|hash| hash.to_string());
    Ok(json!({
        "event": event,
        "key": info.key.to_string(),
        "length": info.length,
        "here": info.here,
        "hash": hash,
        "address": address,
    }))
}

async fn clone(home: &str, link: &str, peers: &str) -> Result<()> {
    let node = open(home).await?;
    let mut events = node.events();
    let peers = peers.split(',').map(str::to_owned).collect();
    let wanted =
        CloneStream { link: link.into(), name: Some(NAME.into()), peers, sparse: false, no_check: false };
    let stream = node.clone_stream(wanted, true).await?;
    print(&standing("open", &stream, "").await?);
    let watch = async {
        while let Some(event) = events.next().await {
            match event {
                Event::Downloaded { blocks, here, .. } => {
                    print(&json!({ "event": "downloaded", "blocks": blocks, "here": here }));
                }
                Event::Synced { .. } => print(&standing("synced", &stream, "").await?),
                Event::Fork { .. } | Event::Corrupt { .. } | Event::StorageFailed { .. } => {
                    print(&json!({ "event": "trouble", "what": format!("{event:?}") }));
                }
                _ => {}
            }
        }
        anyhow::Ok(())
    };
    futures_lite::future::or(watch, async {
        end_of_input().await;
        Ok(())
    })
    .await?;
    Ok(node.shutdown().await?)
}

async fn fill(home: &str, blocks: u64, bytes: usize) -> Result<()> {
    let node = open(home).await?;
    let stream = open_or_create(&node).await?;
    for start in (0..blocks).step_by(FILL_BATCH as usize) {
        let batch = (start..blocks.min(start + FILL_BATCH)).map(|index| block(index, bytes)).collect();
        stream.append(batch).await?;
    }
    print(&json!({ "event": "filled" }));
    Ok(node.shutdown().await?)
}

fn block(index: u64, bytes: usize) -> Bytes {
    generated_block(1, index as u32, bytes).into()
}

async fn serve(home: &str) -> Result<()> {
    let started = Instant::now();
    let node = open(home).await?;
    let mut events = node.events();
    let stream = node.open_stream(NAME).await.context("fill comes first")?;
    let open_us = started.elapsed().as_micros() as u64;
    let mut said = standing("open", &stream, &listen(&node).await?).await?;
    said["open_us"] = open_us.into();
    print(&said);
    let watch = async {
        while let Some(event) = events.next().await {
            match event {
                Event::Disconnected { peer, reason } => {
                    print(&json!({ "event": "disconnected", "peer": peer, "reason": reason }));
                }
                Event::StorageFailed { .. } => {
                    print(&json!({ "event": "trouble", "what": format!("{event:?}") }));
                }
                _ => {}
            }
        }
    };
    futures_lite::future::or(watch, end_of_input()).await;
    Ok(node.shutdown().await?)
}
