//! The metrics.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use quorate_interop_tests::{EventProcess, FeedOptions, Generation, PeerOptions, StockPeer, Workspace};
use serde_json::{Value, json};

use crate::{archives, meter, peer, quorum, rooms};

/// Names, in the order in which they run.
pub(crate) const METRICS: [&str; 23] = [
    "append",
    "append-batch",
    "clone-10k-1k",
    "clone-100k-1k",
    "clone-2k-64k",
    "live-latency",
    "serve-stock-9",
    "large-feed",
    "rule-checks",
    "room-checks",
    "room-signatures",
    "room-replay",
    "room-clone",
    "meter-cost",
    "meter-cost-chess",
    "admission",
    "commit",
    "commit-batch",
    "commit-flood",
    "evidence",
    "archive-5k-files",
    "archive-300-mb",
    "archive-first-byte",
];

const KIB: u64 = 1024;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs one metric; `scale` divides the amount of work.
pub(crate) fn run(name: &str, scale: u64) -> Result<Value> {
    let amount = |count: u64| (count / scale).max(10);
    match name {
        "append" => append(amount(5000), 1, "appends_per_s"),
        "append-batch" => append(amount(50_000), 1000, "blocks_per_s"),
        "clone-10k-1k" => clone(amount(10_000), KIB),
        "clone-100k-1k" => clone(amount(100_000), KIB),
        "clone-2k-64k" => clone(amount(2000), 64 * KIB),
        "live-latency" => live_latency(amount(500)),
        "serve-stock-9" => serve_stock(amount(10_000), KIB),
        "large-feed" => large_feed(amount(1_000_000)),
        "rule-checks" => rooms::rule(amount(200_000) as u32),
        "room-checks" | "room-signatures" => rooms::checks(amount(100_000)),
        "room-replay" => replay_room(amount(100_000)),
        "room-clone" => clone_room(amount(100_000)),
        "meter-cost" | "meter-cost-chess" => meter::cost(amount(200_000) as u32),
        "admission" => rooms::admission(),
        "commit" => quorum::commit(amount(200)),
        "commit-batch" => quorum::commit_batches(amount(40_000)),
        "commit-flood" => quorum::commit_under_flood(amount(200)),
        "evidence" => quorum::evidence(amount(1_000_000)),
        "archive-5k-files" => archives::clone(amount(5000), 2 * KIB),
        "archive-300-mb" => archives::clone(1, amount(300_000_000)),
        "archive-first-byte" => archives::first_byte(),
        other => bail!("expected a metric, found {other:?}"),
    }
}

struct Sharer {
    process: EventProcess,
    key: String,
    address: String,
    workspace: Workspace,
}

fn start(workspace: &Workspace, home: &str) -> Result<EventProcess> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(peer::ROLE).arg(workspace.join(home));
    EventProcess::start(home, &mut command)
}

fn ask(process: &mut EventProcess, name: &str, mut command: Value) -> Result<Value> {
    command["cmd"] = json!(name);
    process.send(&command)?;
    process.event(name, PATIENCE)
}

fn share() -> Result<Sharer> {
    let workspace = Workspace::new()?;
    let mut process = start(&workspace, "sharer")?;
    let reply = ask(&mut process, "share", json!({}))?;
    let text =
        |name: &str| reply[name].as_str().map(str::to_owned).with_context(|| format!("expected {name}"));
    Ok(Sharer { key: text("key")?, address: text("address")?, process, workspace })
}

fn ms(reply: &Value) -> Result<f64> {
    reply["ms"].as_f64().context("expected milliseconds")
}

fn peak_mb(process: &mut EventProcess) -> Result<f64> {
    ask(process, "memory", json!({}))?["peak_mb"].as_f64().context("expected megabytes")
}

fn append(count: u64, batch: u64, figure: &str) -> Result<Value> {
    let mut sharer = share()?;
    let reply = ask(&mut sharer.process, "append", json!({ "count": count, "size": KIB, "batch": batch }))?;
    Ok(json!({ figure: count as f64 / ms(&reply)? * 1e3 }))
}

fn clone(count: u64, size: u64) -> Result<Value> {
    let mut sharer = share()?;
    ask(&mut sharer.process, "append", json!({ "count": count, "size": size, "batch": 1000 }))?;
    let mut cloner = start(&sharer.workspace, "cloner")?;
    let reply = ask(&mut cloner, "clone", json!({ "key": sharer.key, "address": sharer.address }))?;
    anyhow::ensure!(reply["length"] == count, "expected {count} blocks, found {reply}");
    let seconds = ms(&reply)? / 1e3;
    Ok(json!({
        "blocks_per_s": count as f64 / seconds,
        "mb_per_s": (count * size) as f64 / seconds / 1e6,
        "rss_sharer_mb": peak_mb(&mut sharer.process)?,
        "rss_cloner_mb": peak_mb(&mut cloner)?,
    }))
}

fn live_latency(count: u64) -> Result<Value> {
    let mut sharer = share()?;
    ask(&mut sharer.process, "append", json!({ "count": 1, "size": KIB, "batch": 1 }))?;
    let mut cloner = start(&sharer.workspace, "cloner")?;
    ask(&mut cloner, "clone", json!({ "key": sharer.key, "address": sharer.address }))?;
    cloner.send(&json!({ "cmd": "get-live", "start": 1, "count": count }))?;
    let appends =
        ask(&mut sharer.process, "append-live", json!({ "count": count, "size": KIB, "gap_ms": 5 }))?;
    let gets = cloner.event("get-live", PATIENCE)?;
    let times = |reply: &Value| -> Result<Vec<f64>> {
        let at = reply["at"].as_array().context("expected times")?;
        at.iter().map(|at| at.as_f64().context("expected a time")).collect()
    };
    let mut waits: Vec<f64> =
        times(&gets)?.iter().zip(times(&appends)?).map(|(here, from)| here - from).collect();
    waits.sort_by(f64::total_cmp);
    Ok(json!({ "p50_ms": waits[waits.len() / 2], "p95_ms": waits[waits.len() * 95 / 100] }))
}

/// A stock hypercore 9 clones from our node.
fn serve_stock(count: u64, size: u64) -> Result<Value> {
    let mut sharer = share()?;
    ask(&mut sharer.process, "append", json!({ "count": count, "size": size, "batch": 1000 }))?;
    let key: quorate_types::PublicKey = sharer.key.parse()?;
    let feed = FeedOptions::from_key(*key.as_bytes()).in_directory(sharer.workspace.join("stock"));
    let mut stock = StockPeer::start(Generation::Hypercore9, &PeerOptions::new(feed))?;
    let command = json!({ "connect": sharer.address, "count": count });
    let seconds = ms(&stock.command_within("measure-clone", command, PATIENCE)?)? / 1e3;
    Ok(json!({ "blocks_per_s": count as f64 / seconds, "mb_per_s": (count * size) as f64 / seconds / 1e6 }))
}

/// A large feed of small blocks: the time to open it, and the memory of the process that serves all of it.
fn large_feed(count: u64) -> Result<Value> {
    let mut sharer = share()?;
    for _ in 0..count.div_ceil(100_000) {
        let count = count.min(100_000);
        ask(&mut sharer.process, "append", json!({ "count": count, "size": 16, "batch": 10_000 }))?;
    }
    sharer.process.send(&json!({ "cmd": "quit" }))?;
    sharer.process.wait(PATIENCE)?;
    let mut again = start(&sharer.workspace, "sharer")?;
    let opened = ask(&mut again, "open", json!({ "stream": "bench" }))?;
    let mut cloner = start(&sharer.workspace, "cloner")?;
    let started = Instant::now();
    ask(&mut cloner, "clone", json!({ "key": opened["key"], "address": opened["address"] }))?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(json!({
        "open_ms": ms(&opened)?,
        "blocks_per_s": count as f64 / seconds,
        "rss_sharer_mb": peak_mb(&mut again)?,
        "rss_cloner_mb": peak_mb(&mut cloner)?,
    }))
}

/// A room in a data directory, opened by its host for the first time: everything is read, verified, checked, and its
/// state written.
fn replay_room(count: u64) -> Result<Value> {
    let workspace = Workspace::new()?;
    rooms::write(&workspace.join("sharer"), "bench", count, KIB as usize)?;
    let mut host = start(&workspace, "sharer")?;
    let reply = ask(&mut host, "replay", json!({ "stream": "bench" }))?;
    anyhow::ensure!(reply["length"].as_u64() > Some(count), "expected {count} entries, found {reply}");
    let seconds = ms(&reply)? / 1e3;
    Ok(json!({ "s": seconds, "blocks_per_s": count as f64 / seconds, "rss_mb": peak_mb(&mut host)? }))
}

/// A room is cloned and every block has its verdict, beside a plain feed of as many blocks of the same size.
fn clone_room(count: u64) -> Result<Value> {
    let plain = clone(count, KIB)?["blocks_per_s"].as_f64().context("expected a figure")?;
    let workspace = Workspace::new()?;
    let key = rooms::write(&workspace.join("sharer"), "bench", count, KIB as usize)?;
    let mut sharer = start(&workspace, "sharer")?;
    let opened = ask(&mut sharer, "replay", json!({ "stream": "bench" }))?;
    let mut cloner = start(&workspace, "cloner")?;
    let command = json!({ "key": key.to_string(), "address": opened["address"], "checked": true });
    let reply = ask(&mut cloner, "clone", command)?;
    anyhow::ensure!(reply["length"] == opened["length"], "expected {opened}, found {reply}");
    let checked = count as f64 / (ms(&reply)? / 1e3);
    Ok(json!({
        "share": checked / plain,
        "blocks_per_s": checked,
        "plain_blocks_per_s": plain,
        "rss_sharer_mb": peak_mb(&mut sharer)?,
        "rss_cloner_mb": peak_mb(&mut cloner)?,
    }))
}
