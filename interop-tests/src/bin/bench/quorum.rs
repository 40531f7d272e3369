//! What a quorum costs: the time to a commit, entries committed in batches, evidence of a fork.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use data_encoding::BASE64;
use futures_lite::future::zip;
use quorate_feed::fork::{ForkProof, find_link};
use quorate_feed::sign::{Form, Signer, key_pair};
use quorate_feed::{Flavour, MemoryTree, SignedRoots};
use quorate_interop_tests::attacker::Attacker;
use quorate_interop_tests::{Node, Workspace, block_on, soon, within};
use quorate_node::model::{Encoding, NewQuorum, NewRoom, NewStream, SaidState, Say};
use quorate_node::{Identities, Stream, evidence};
use quorate_proto::quorate1::{Message, QuorumMessage};
use quorate_quorum::evidence::{Claim, Evidence};
use quorate_quorum::head::Head;
use quorate_quorum::statement::{Common, Signed, Target, Vote};
use quorate_quorum::validators::ValidatorSet;
use quorate_types::{Hash, PublicKey, RoomId, RulesHash, Signature, StateRoot, Wire};
use serde_json::{Value, json};

const VALIDATORS: usize = 4;

/// Payload of an entry of a batch, bytes.
const PAYLOAD: usize = 256;

/// Entries that one participant says at once: two of them stay below what may wait at a host.
const BATCH: u64 = 2000;

/// The second of two participants.
const OTHER: &str = "other";

/// Time that a batch gets.
const PATIENCE: Duration = Duration::from_secs(120);

/// A room and its validators, each a node with files of its own, over loopback.
struct Room {
    nodes: Vec<Node>,
    stream: Stream,
    /// Where the host listens.
    address: String,
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
        let room = Self { nodes, stream, address };
        let length = room.say(vec![payload(0, PAYLOAD)]).await?;
        soon("the first commit", room.stream.committed(length)).await??;
        Ok(room)
    }

    /// Says payloads at the host; returns the length with the last of them.
    async fn say(&self, payloads: Vec<String>) -> Result<u64> {
        self.say_as(None, payloads).await
    }

    /// Says payloads at the host, as an identity of its home.
    async fn say_as(&self, identity: Option<&str>, payloads: Vec<String>) -> Result<u64> {
        let identity = identity.map(str::to_owned);
        let say = Say { identity, payloads, patience_ms: 60_000, call: 0 };
        let said = self.nodes[0].node.say("room", say).await?;
        match said.last().map(|last| &last.state) {
            Some(SaidState::Appended { index }) => Ok(index + 1),
            state => anyhow::bail!("expected an action that is appended, found {state:?}"),
        }
    }

    /// Says one action after the other; returns how long each took to be committed at the host.
    async fn commits(&self, count: u64) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for number in 0..count {
            let started = Instant::now();
            let length = self.say(vec![payload(number, 64)]).await?;
            within(PATIENCE, "a commit", self.stream.committed(length)).await??;
            times.push(started.elapsed());
        }
        Ok(times)
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
        let times = room.commits(count).await?;
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

/// Votes with bad signatures that one peer says in a second.
const BAD_VOTES: u32 = 10_000;

/// How many of them it says on one connection, which the first of them ends.
const BAD_VOTES_AT_ONCE: u32 = 1000;

/// How many of them are in one message.
const BAD_VOTES_A_MESSAGE: u32 = 100;

/// One action after the other, alone and while a peer says nothing but votes with bad signatures.
pub(super) fn commit_under_flood(count: u64) -> Result<Value> {
    block_on(async {
        let room = Room::open().await?;
        let mut quiet = room.commits(count).await?;
        let (key, address) = (*room.stream.key(), room.address.parse()?);
        let info = room.stream.info().await?.room.context("a room")?;
        let quorum = info.quorum.context("validators")?;
        let keys = quorum.validators.iter().map(|validator| validator.key);
        let vset = *ValidatorSet::new(keys, quorum.needed).context("the validators")?.hash();
        let common = Common { room: info.id, epoch: 0, vset, signer: quorum.validators[1].key };
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let flood = thread::spawn(move || say_bad_votes(address, &key, common, &ended));
        let started = Instant::now();
        let mut flooded = room.commits(count).await?;
        let seconds = started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let said = flood.join().map_err(|_| anyhow!("the flood panicked"))??;
        let validators = room.stream.info().await?.room.and_then(|room| room.quorum).context("validators")?;
        ensure!(validators.evidence.is_empty(), "bad signatures are evidence against nobody");
        room.close().await?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(json!({
            "median_ms": ms(median(&mut flooded)),
            "p99_ms": ms(flooded[flooded.len() * 99 / 100]),
            "quiet_median_ms": ms(median(&mut quiet)),
            "bad_votes_per_s": f64::from(said) / seconds,
        }))
    })
}

/// Says votes of a validator that it did not sign, each another one, until it is told to stop; returns how many.
fn say_bad_votes(address: SocketAddr, key: &PublicKey, common: Common, stop: &AtomicBool) -> Result<u32> {
    let bad_vote = |number: u32| -> Result<Bytes> {
        let head = Head::new(1 + u64::from(number % 500), Hash::new([3; 32])).context("a head")?;
        let (state_root, rules_hash) = (StateRoot::new([1; 32]), RulesHash::new([2; 32]));
        let target = Target { head, state_root, rules_hash };
        let mut signature = [0; 64];
        signature[..4].copy_from_slice(&number.to_le_bytes());
        let statement = Vote { common, feed: *key, target, ack: None };
        let signed = Signed { statement, signature: Signature::new(signature) };
        Ok(Message::Quorum(QuorumMessage::Vote(signed.encode().into())).encode())
    };
    let started = Instant::now();
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut attacker = Attacker::dial(address, key, Wire::B2)?;
        for message in 0..BAD_VOTES_AT_ONCE / BAD_VOTES_A_MESSAGE {
            let first = said + message * BAD_VOTES_A_MESSAGE;
            let votes = (first..first + BAD_VOTES_A_MESSAGE).map(bad_vote).collect::<Result<Vec<_>>>()?;
            // The connection may have ended.
            let _ = attacker.extension(&votes.concat());
        }
        // The first of them ends the connection, unless so many were checked that it has to wait.
        attacker.is_ended_within(Duration::from_millis(100));
        said += BAD_VOTES_AT_ONCE;
        let due = Duration::from_secs(1) * said / BAD_VOTES;
        thread::sleep(due.saturating_sub(started.elapsed()));
    }
    Ok(said)
}

/// Batches of two participants, each of whom says its next one when the last is appended: until all of them are committed at
/// the host.
pub(super) fn commit_batches(count: u64) -> Result<Value> {
    block_on(async {
        let room = Room::open().await?;
        let batches: Vec<Vec<String>> = (0..count.div_ceil(BATCH))
            .map(|batch| {
                let numbers = batch * BATCH..((batch + 1) * BATCH).min(count);
                numbers.map(|number| payload(number, PAYLOAD)).collect()
            })
            .collect();
        Identities::open(room.nodes[0].home())?.create(OTHER)?;
        let (some, others): (Vec<_>, Vec<_>) =
            batches.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
        let started = Instant::now();
        let say = async |identity, batches: Vec<(usize, Vec<String>)>| {
            let mut length = 0;
            for (_, payloads) in batches {
                length = room.say_as(identity, payloads).await?;
            }
            anyhow::Ok(length)
        };
        let (length, other) = zip(say(None, some), say(Some(OTHER), others)).await;
        let length = length?.max(other?);
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
