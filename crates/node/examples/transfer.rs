//! Moves a stream between two processes and says how fast it went, for profiling.
//!
//! `transfer share DIR BLOCKS BYTES` makes a stream, prints its link and address, and serves until it is killed.
//! `transfer clone DIR LINK ADDRESS` fetches all of it, writes it down, and prints blocks per second.
//! `transfer append DIR BATCHES BLOCKS BYTES` appends batches, each of them durable, and prints blocks per second.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use quorate_net::runtime::AsyncStd;
use quorate_node::model::{CloneStream, Encoding, NewStream};
use quorate_node::{Listen, Node, NodeConfig};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    AsyncStd::block_on(async {
        match arguments.as_slice() {
            ["share", directory, blocks, bytes] => share(directory, number(blocks), number(bytes)).await,
            ["clone", directory, link, address] => clone(directory, link, address).await,
            ["append", directory, batches, blocks, bytes] => {
                append(directory, number(batches), number(blocks), number(bytes)).await;
            }
            _ => eprintln!("expected share, clone or append with their arguments"),
        }
    });
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn block(index: usize, bytes: usize) -> Bytes {
    (0..bytes).map(|at| (index * 31 + at * 7) as u8).collect()
}

async fn open(directory: &str) -> Node {
    Node::open(NodeConfig::new(Path::new(directory))).await.expect("a home")
}

async fn share(directory: &str, blocks: usize, bytes: usize) {
    let node = open(directory).await;
    let new = NewStream { name: "transfer".into(), encoding: Encoding::Binary, room: None };
    let stream = node.create(new).await.expect("a stream");
    for start in (0..blocks).step_by(1000) {
        let batch = (start..blocks.min(start + 1000)).map(|index| block(index, bytes)).collect();
        stream.append(batch).await.expect("appended");
    }
    let listen = Listen { host: Some([127, 0, 0, 1].into()), port: 0, or_next_free: false };
    let address = node.listen(listen).await.expect("a port");
    println!("{} {address}", stream.link());
    std::future::pending().await
}

async fn clone(directory: &str, link: &str, address: &str) {
    let node = open(directory).await;
    let started = Instant::now();
    let wanted = CloneStream {
        link: link.into(),
        name: None,
        peers: vec![address.into()],
        sparse: false,
        no_check: false,
    };
    let stream = node.clone_stream(wanted, true).await.expect("a clone");
    let length = stream.synced().await.expect("synced");
    let seconds = started.elapsed().as_secs_f64();
    let info = stream.info().await.expect("info");
    println!(
        "{length} blocks in {seconds:.3} s: {:.0} blocks/s, {:.1} MB/s",
        length as f64 / seconds,
        info.byte_length as f64 / seconds / 1e6
    );
    node.shutdown().await.expect("written down");
}

async fn append(directory: &str, batches: usize, blocks: usize, bytes: usize) {
    let node = open(directory).await;
    let new = NewStream { name: "transfer".into(), encoding: Encoding::Binary, room: None };
    let stream = node.create(new).await.expect("a stream");
    let batch: Vec<Bytes> = (0..blocks).map(|index| block(index, bytes)).collect();
    let started = Instant::now();
    for _ in 0..batches {
        stream.append(batch.clone()).await.expect("appended");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{:.0} blocks/s, {:.3} ms a batch",
        (batches * blocks) as f64 / seconds,
        seconds * 1e3 / batches as f64
    );
}
