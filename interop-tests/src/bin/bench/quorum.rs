//! What a quorum costs: the time to a commit, entries committed in batches, evidence of a fork.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use data_encoding::BASE64;
use quorate_feed::fork::{ForkProof, find_link};
use quorate_feed::sign::{Form, Signer, key_pair};
use quorate_feed::{Flavour, MemoryTree, SignedRoots};
use quorate_interop_tests::{Node, Workspace, block_on, soon, within};
use quorate_node::model::{Encoding, NewQuorum, NewRoom, NewStream, SaidState, Say};
use quorate_node::{Identities, Stream, evidence};
use quorate_quorum::evidence::{Claim, Evidence};
use quorate_types::RoomId;
use serde_json::{Value, json};

const VALIDATORS: usize = 4;

/// Payload of an entry of a batch, bytes.
const PAYLOAD: usize = 256;

/// Entries that are said at once.
const BATCH: u64 = 4000;

/// Time that a batch gets.
const PATIENCE: Duration = Duration::from_secs(120);

/// A room and its validators, each a node with files of its own, over loopback.
struct Room {
    nodes: Vec<Node>,
    stream: Stream,
}

impl Room {
    async fn open() -> Result<Self> {
        let mut nodes = Vec::new();
        let mut validators = Vec::new();
        for _ in 0..VALIDATORS {
            let node = Node::fresh().await?;
            validators.push(Identities::open(node.home())?.vote_key()?);
            nodes.push(node);
        }
        let quorum = NewQuorum { validators, ..NewQuorum::default() };
        let room = NewRoom { rules: Vec::new(), rule_delay: 0, quorum: Some(quorum) };
        let new = NewStream { name: "room".into(), encoding: Encoding::Json, room: Some(room) };
        let stream = nodes[0].node.create(new).await?;
        let address = nodes[0].listen().await?;
        for node in &nodes[1..] {
            node.carry(*stream.key().as_bytes(), &address).await?;
        }
        let room = Self { nodes, stream };
        let length = room.say(vec![payload(0, PAYLOAD)]).await?;
        soon("the first commit", room.stream.committed(length)).await??;
        Ok(room)
    }

    /// Says payloads at the host; returns the length with the last of them.
    async fn say(&self, payloads: Vec<String>) -> Result<u64> {
        let say = Say { identity: None, payloads, patience_ms: 60_000 };
        let said = self.nodes[0].node.say("room", say).await?;
        match said.last().map(|last| &last.state) {
            Some(SaidState::Appended { index }) => Ok(index + 1),
            state => anyhow::bail!("expected an action that is appended, found {state:?}"),
        }
    }

    async fn close(self) -> Result<()> {
        for node in self.nodes {
            node.shutdown().await?;
        }
        Ok(())
    }
}

fn payload(number: u64, bytes: usize) -> String {
    let text = format!("{{\"n\":{number},\"text\":\"");
    let fill = bytes.saturating_sub(text.len() + 2);
    BASE64.encode(format!("{text}{}\"}}", "x".repeat(fill)).as_bytes())
}

/// One action after the other: from the call that says it until it is committed at the host.
pub(super) fn commit(count: u64) -> Result<Value> {
    let before = fsync()?;
    let mut times = block_on(async {
        let room = Room::open().await?;
        let mut times = Vec::new();
        for number in 0..count {
            let started = Instant::now();
            let length = room.say(vec![payload(number, 64)]).await?;
            within(PATIENCE, "a commit", room.stream.committed(length)).await??;
            times.push(started.elapsed());
        }
        room.close().await?;
        anyhow::Ok(times)
    })?;
    // The disk is not the same all the time.
    let fsync = (before + fsync()?) / 2;
    let median = median(&mut times);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let over = ms(median) - 4.0 * ms(fsync);
    Ok(json!({
        "over_fsyncs_ms": over,
        "median_ms": ms(median),
        "p99_ms": ms(times[times.len() * 99 / 100]),
        "fsync_ms": ms(fsync),
        "fsyncs": ms(median) / ms(fsync),
    }))
}

/// As many at once as are waiting: until all of them are committed at the host.
pub(super) fn commit_batches(count: u64) -> Result<Value> {
    block_on(async {
        let room = Room::open().await?;
        let batches: Vec<Vec<String>> = (0..count.div_ceil(BATCH))
            .map(|batch| {
                let numbers = batch * BATCH..((batch + 1) * BATCH).min(count);
                numbers.map(|number| payload(number, PAYLOAD)).collect()
            })
            .collect();
        let started = Instant::now();
        let mut length = 0;
        for payloads in batches {
            length = room.say(payloads).await?;
        }
        within(PATIENCE, "a commit", room.stream.committed(length)).await??;
        let seconds = started.elapsed().as_secs_f64();
        room.close().await?;
        Ok(json!({ "entries_per_s": count as f64 / seconds }))
    })
}

/// A writer that signed two histories of about this length, which part at seven tenths of it.
pub(super) fn evidence(blocks: u64) -> Result<Value> {
    let (key, secret) = key_pair(&[5; 32]);
    let writer = Signer::new(&key, &secret)?;
    let tree = |length: u64| -> Result<MemoryTree> {
        let mut tree = MemoryTree::new(Flavour::Dat);
        for index in 0..length {
            let fork = if index < blocks * 7 / 10 { 0 } else { length };
            tree.push(format!("block {index} of {fork}").as_bytes())?;
        }
        Ok(tree)
    };
    let (one, other) = (tree(blocks)?, tree(blocks - 1)?);
    let signed = |tree: &MemoryTree| {
        let hash = tree.roots().tree_hash(Flavour::Dat);
        let signature = writer.sign(Form::Tree, &hash, tree.roots().length());
        SignedRoots { roots: tree.roots().clone(), signature }
    };
    let link = find_link(other.roots(), one.roots(), |node| one.node(node.get()))
        .context("expected the nodes that link two lengths")?;
    let proof = ForkProof { key, flavour: Flavour::Dat, a: signed(&other), b: signed(&one), link };
    let claim = Claim::WriterFork(Box::new(proof));
    let bytes: Bytes = Evidence { room: RoomId::new([7; 32]), claim }.encode();
    let mut times = Vec::new();
    for _ in 0..500 {
        let started = Instant::now();
        let proven = evidence::verify(&bytes)?;
        times.push(started.elapsed());
        ensure!(proven.culprit == key, "expected the writer, found {}", proven.culprit);
    }
    Ok(json!({ "check_ms": median(&mut times).as_secs_f64() * 1e3, "bytes": bytes.len() }))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Median time of a write of one page and its sync, on the disk on which the nodes are.
fn fsync() -> Result<Duration> {
    let workspace = Workspace::new()?;
    let mut file = File::create(workspace.join("page"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(median(&mut times))
}
