//! Processes that are killed (SIGKILL) while they append and while they clone, at random points.
//!
//! `QUORATE_CRASH_RUNS` and `QUORATE_CRASH_SEED` set the number of kills of each test and the chance behind them;
//! `cargo xtask crash` does that for the long run. A failure names the seed.

mod crash {
    pub(crate) mod follower;
    pub(crate) mod ledger;
    pub(crate) mod relay;
}

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{
    Chance, EventProcess, Node, PATIENCE, Workspace, block_on, checksum, generated_blocks, soon,
};
use serde_json::Value;

use crash::follower::Follower;
use crash::ledger::{Ledger, reopen, reopen_copy};
use crash::relay::Relay;

/// Kills of each test where nothing else is said.
const RUNS: u64 = 20;

/// Kills of one stream, after which the next begins with nothing.
const KILLS_OF_ONE_STREAM: u64 = 8;

/// Tasks that append at once.
const WRITERS: u64 = 3;

fn runs() -> Result<u64> {
    from_environment("QUORATE_CRASH_RUNS", RUNS)
}

fn seed() -> Result<u64> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).context("the system gives random numbers")?;
    from_environment("QUORATE_CRASH_SEED", u64::from(u32::from_le_bytes(random)))
}

fn from_environment(name: &str, fallback: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("expected a number as {name}, found {text:?}")),
        Err(_) => Ok(fallback),
    }
}

fn test_node(arguments: &[&str]) -> Result<EventProcess> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-node"));
    EventProcess::start(&format!("test-node {}", arguments.join(" ")), command.args(arguments))
}

/// Names the seed in every failure.
fn with_seed(test: impl FnOnce(u64, u64) -> Result<()>) -> Result<()> {
    let (seed, runs) = (seed()?, runs()?);
    println!("{runs} kills, seed {seed}");
    test(seed, runs).with_context(|| format!("QUORATE_CRASH_SEED={seed} QUORATE_CRASH_RUNS={runs}"))
}

#[test]
fn a_writer_that_is_killed_loses_nothing_and_signs_nothing_twice() -> Result<()> {
    with_seed(|seed, runs| {
        let mut chance = Chance::new(seed);
        let (mut kills, mut blocks) = (0, 0);
        while kills < runs {
            let count = KILLS_OF_ONE_STREAM.min(runs - kills);
            blocks +=
                block_on(one_writer(&mut chance, count)).with_context(|| format!("after {kills} kills"))?;
            kills += count;
        }
        println!("{kills} kills, {blocks} blocks acknowledged, none lost, no length signed twice");
        Ok(())
    })
}

/// Kills the writer of one stream so many times; returns how many blocks were acknowledged.
async fn one_writer(chance: &mut Chance, kills: u64) -> Result<u64> {
    let workspace = Workspace::new()?;
    let home = workspace.join("home");
    let home_text = home.to_str().context("a temporary directory has a name in UTF-8")?;
    let mut ledger = Ledger::default();
    let mut follower = Follower::start().await?;
    for kill in 0..kills {
        // Some are killed before they have begun.
        let longest = if chance.one_in(4) { 40 } else { 500 };
        let life = chance.time(Duration::from_millis(longest));
        let seed = chance.number().to_string();
        let mut writer = test_node(&["append", home_text, &seed, &WRITERS.to_string()])?;
        let end = Instant::now() + life;
        // The first kill often comes before there is a stream to follow.
        if life > Duration::from_millis(60)
            && let Ok(open) = writer.event("open", PATIENCE)
        {
            ledger.note(&open)?;
            follower.follow(&open).await?;
        }
        thread::sleep(end.saturating_duration_since(Instant::now()));
        writer.kill()?;
        while let Some(event) = writer.next(PATIENCE)? {
            ledger.note(&event).with_context(|| format!("kill {kill}: {event}"))?;
        }
        ensure!(!writer.stderr().contains("panicked"), "{}", writer.stderr());
        follower.check_against(&mut ledger)?;
        ledger.check_copy(&home, chance).await.with_context(|| format!("kill {kill}, after {life:?}"))?;
        if chance.one_in(5) {
            follower.reopen().await?;
        }
    }
    follower.check_against(&mut ledger)?;
    follower.shutdown().await?;
    Ok(ledger.acknowledged())
}

/// Largest file of a writer whose disk is full, in the units of `ulimit -f`: 512 or 1024 bytes.
const FULL_DISK: u32 = 400;

#[test]
fn a_writer_whose_disk_is_full_shows_nothing_that_it_may_lose() -> Result<()> {
    with_seed(|seed, _| {
        let mut chance = Chance::new(seed ^ 3);
        block_on(async {
            let workspace = Workspace::new()?;
            let home = workspace.join("home");
            let home_text = home.to_str().context("a temporary directory has a name in UTF-8")?;
            let mut ledger = Ledger::default();
            let mut command = Command::new("sh");
            let script = format!("trap '' XFSZ; ulimit -f {FULL_DISK}; exec \"$@\"");
            command.args([
                "-c",
                &script,
                "sh",
                env!("CARGO_BIN_EXE_test-node"),
                "append",
                home_text,
                "1",
                "2",
            ]);
            let mut writer = EventProcess::start("a writer on a full disk", &mut command)?;
            let open = writer.event("open", PATIENCE)?;
            ledger.note(&open)?;
            writer.event("failed", PATIENCE)?;
            // Who comes now is shown what is on disk, or nothing.
            let mut follower = Follower::start().await?;
            follower.follow(&open).await?;
            thread::sleep(Duration::from_secs(2));
            writer.kill()?;
            while let Some(event) = writer.next(PATIENCE)? {
                // What the process says of itself is for its owner, and may be lost.
                if event["event"] == "acked" {
                    ledger.note(&event)?;
                }
            }
            follower.check_against(&mut ledger)?;
            ledger.check_copy(&home, &mut chance).await?;
            let mut writer = test_node(&["append", home_text, "2", "2"])?;
            let open = writer.event("open", PATIENCE)?;
            ledger.note(&open)?;
            follower.follow(&open).await?;
            thread::sleep(Duration::from_secs(1));
            writer.kill()?;
            while let Some(event) = writer.next(PATIENCE)? {
                ledger.note(&event)?;
            }
            follower.check_against(&mut ledger)?;
            ledger.check_copy(&home, &mut chance).await?;
            follower.shutdown().await
        })
    })
}

/// A source that goes on appending while it is cloned.
struct Source {
    node: Node,
    stream: quorate_node::Stream,
    address: String,
    seed: u32,
    blocks: u32,
    size: usize,
}

impl Source {
    async fn start(chance: &mut Chance, blocks: u32, size: usize) -> Result<Self> {
        let seed = chance.number() as u32;
        let node = Node::fresh().await?;
        let stream = node.create("log", generated_blocks(seed, 0, blocks, size)).await?;
        let address = node.listen().await?;
        Ok(Self { node, stream, address, seed, blocks, size })
    }

    async fn append(&mut self, count: u32) -> Result<()> {
        let blocks = generated_blocks(self.seed, self.blocks, count, self.size);
        self.stream.append(blocks.into_iter().map(Into::into).collect()).await?;
        self.blocks += count;
        Ok(())
    }

    fn clone_into(&self, home: &str, address: &str) -> Result<EventProcess> {
        test_node(&["clone", home, &self.stream.link().to_string(), address])
    }

    fn block(&self, index: u64) -> Vec<u8> {
        quorate_interop_tests::generated_block(self.seed, index as u32, self.size)
    }
}

#[test]
fn a_clone_that_is_killed_goes_on_where_it_was() -> Result<()> {
    with_seed(|seed, runs| {
        let mut chance = Chance::new(seed ^ 1);
        let mut kills = 0;
        while kills < runs {
            let count = KILLS_OF_ONE_STREAM.min(runs - kills);
            block_on(one_clone(&mut chance, count)).with_context(|| format!("after {kills} kills"))?;
            kills += count;
        }
        println!("{kills} kills of a clone, each found whole, each stream completed");
        Ok(())
    })
}

/// Kills a clone so many times, then lets it come to its end.
async fn one_clone(chance: &mut Chance, kills: u64) -> Result<()> {
    let workspace = Workspace::new()?;
    let home = workspace.join("home");
    let home_text = home.to_str().context("a temporary directory has a name in UTF-8")?;
    let size = chance.within(100..3000) as usize;
    let mut source = Source::start(chance, 4000, size).await?;
    let mut synced = 0;
    for kill in 0..kills {
        let life = chance.time(Duration::from_millis(600));
        let mut clone = source.clone_into(home_text, &source.address)?;
        let until_synced = chance.one_in(3);
        let end = Instant::now() + life;
        source.append(chance.within(1..20) as u32).await?;
        if until_synced {
            clone.event("synced", PATIENCE).map(|event| synced = synced.max(number(&event, "here")))?;
        } else {
            thread::sleep(end.saturating_duration_since(Instant::now()));
        }
        clone.kill()?;
        while let Some(event) = clone.next(PATIENCE)? {
            ensure!(event["event"] != "trouble", "kill {kill}: {event}");
            if event["event"] == "synced" {
                synced = synced.max(number(&event, "here"));
            }
        }
        ensure!(!clone.stderr().contains("panicked"), "{}", clone.stderr());
        let what = || format!("kill {kill}, after {life:?}, {synced} blocks synced");
        let Some(mut copy) = reopen_copy(&home).await.with_context(what)? else {
            ensure!(synced == 0, "{}: the stream is gone", what());
            continue;
        };
        let here = copy.check_blocks(|index| source.block(index)).await.with_context(what)?;
        ensure!(here >= synced, "{}: found {here}", what());
    }
    complete(&source, home_text).await?;
    let mut whole = reopen(&home).await?.context("a clone that is complete is there")?;
    whole.check_blocks(|index| source.block(index)).await?;
    source.node.shutdown().await
}

/// Lets a clone run to its end and compares it with the source.
async fn complete(source: &Source, home: &str) -> Result<u64> {
    let mut clone = source.clone_into(home, &source.address)?;
    let open = clone.event("open", PATIENCE)?;
    clone.event_where("synced", PATIENCE, |event| number(event, "here") == u64::from(source.blocks))?;
    clone.close_stdin();
    ensure!(clone.wait(PATIENCE)?.success(), "{}", clone.stderr());
    let node =
        Node::open(quorate_interop_tests::NodeOptions { home: Some(home.into()), ..Default::default() })
            .await?;
    let copy = node.node.open_stream("log").await?;
    let expected = checksum(generated_blocks(source.seed, 0, source.blocks, source.size));
    ensure!(quorate_interop_tests::stream_checksum(&copy).await? == expected, "the clone has other blocks");
    node.shutdown().await?;
    Ok(number(&open, "here"))
}

/// Long enough for what came to have been written down.
const SLOW_CLONE: Duration = Duration::from_millis(3500);

#[test]
fn what_a_killed_clone_had_written_down_is_not_fetched_again() -> Result<()> {
    with_seed(|seed, _| {
        let mut chance = Chance::new(seed ^ 2);
        block_on(async {
            let workspace = Workspace::new()?;
            let home = workspace.join("home");
            let home_text = home.to_str().context("a temporary directory has a name in UTF-8")?;
            let source = Source::start(&mut chance, 3000, 1000).await?;
            // Five seconds for all of it.
            let relay = Relay::start(&source.address, 600_000)?;
            let mut clone = source.clone_into(home_text, relay.address())?;
            clone.event("open", PATIENCE)?;
            thread::sleep(SLOW_CLONE);
            clone.kill()?;
            let mut copy = reopen_copy(&home).await?.context("the stream is there")?;
            let here = copy.check_blocks(|index| source.block(index)).await?;
            ensure!(here > 500 && here < 2900, "{here} blocks are here after {SLOW_CLONE:?}");
            let resumed = soon("the rest", complete(&source, home_text)).await??;
            ensure!(resumed == here, "expected {here} blocks at the beginning, found {resumed}");
            source.node.shutdown().await
        })
    })
}

fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or(0)
}
