//! The node that is attacked, in a process of its own, and what is measured of it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use quorate_interop_tests::{EventProcess, Memory, PATIENCE, Workspace, generated_block};
use quorate_proto::dat::{FeedMessage, Request};
use quorate_types::{PublicKey, Wire};
use quorate_wire::Event;

use quorate_interop_tests::attacker::Attacker;

/// Blocks of the feed.
pub(crate) const BLOCKS: u64 = 2000;

/// Size of each, bytes.
pub(crate) const BLOCK_BYTES: usize = 8 * 1024;

/// Time within which an honest peer gets a block while others attack.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// A node that serves a feed.
pub(crate) struct Victim {
    process: EventProcess,
    pub(crate) address: SocketAddr,
    pub(crate) key: PublicKey,
    _workspace: Workspace,
}

/// Starts a command of `test-node`.
pub(crate) fn test_node(arguments: &[&str]) -> Result<EventProcess> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-node"));
    EventProcess::start(&format!("test-node {}", arguments.join(" ")), command.args(arguments))
}

impl Victim {
    /// Makes a feed and serves it.
    pub(crate) fn start() -> Result<Self> {
        let workspace = Workspace::new()?;
        let home = workspace.join("home");
        let home = home.to_str().context("a temporary directory has a name in UTF-8")?;
        let mut fill = test_node(&["fill", home, &BLOCKS.to_string(), &BLOCK_BYTES.to_string()])?;
        fill.event("filled", PATIENCE)?;
        ensure!(fill.wait(PATIENCE)?.success(), "{}", fill.stderr());
        let mut process = test_node(&["serve", home])?;
        let open = process.event("open", PATIENCE)?;
        let address = open["address"].as_str().context("an address")?.parse()?;
        let key = open["key"].as_str().context("a key")?.parse().ok().context("a key")?;
        Ok(Self { process, address, key, _workspace: workspace })
    }

    /// Attacks while honest peers come and go, and says what it cost. `most_mib` bounds the memory of the process.
    pub(crate) fn suffer(
        &mut self,
        what: &str,
        most_mib: u64,
        attack: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let memory = Memory::of(self.process.id());
        memory.reset()?;
        let over = AtomicBool::new(false);
        let (address, key) = (self.address, self.key);
        let (attacked, slowest) = thread::scope(|scope| {
            let honest = scope.spawn(|| {
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    for wire in [Wire::A, Wire::B2] {
                        slowest = slowest.max(is_served(address, &key, wire)?);
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                anyhow::Ok(slowest)
            });
            let attacked = attack(self);
            over.store(true, Ordering::Relaxed);
            (attacked, honest.join())
        });
        let slowest = slowest.map_err(|_| anyhow::anyhow!("the honest peer panicked"))?;
        let stderr = self.process.stderr();
        ensure!(!stderr.contains("panicked"), "{what}: {stderr}");
        attacked.with_context(|| what.to_owned())?;
        let slowest = slowest.with_context(|| format!("{what}: an honest peer is not served; {stderr}"))?;
        // And afterwards.
        for wire in [Wire::A, Wire::B2] {
            is_served(address, &key, wire).with_context(|| format!("after {what}; {stderr}"))?;
        }
        let peak = memory.peak_mib()?;
        println!(
            "{what:<48} {peak:>4} MiB at most, {:>4} after; honest peers served in {:>5} ms at most",
            memory.resident_mib()?,
            slowest.as_millis()
        );
        ensure!(peak < most_mib, "{what}: {peak} MiB, at most {most_mib} were allowed");
        Ok(())
    }

    /// Waits until the victim says why it ended a connection.
    pub(crate) fn ended_because(&mut self, patience: Duration, reason: &str) -> Result<()> {
        let says =
            |event: &serde_json::Value| event["reason"].as_str().is_some_and(|said| said.contains(reason));
        self.process.event_where("disconnected", patience, says).map(drop)
    }

    /// Ends it in order.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        self.process.close_stdin();
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "{status}: {}", self.process.stderr());
        Ok(())
    }
}

/// Connects as an honest peer and fetches a block; returns how long it took.
pub(crate) fn is_served(address: SocketAddr, key: &PublicKey, wire: Wire) -> Result<Duration> {
    let started = Instant::now();
    let mut peer = Attacker::dial(address, key, wire)?;
    let index = u64::from(started.elapsed().subsec_nanos()) % BLOCKS;
    peer.send(&FeedMessage::Request(Request { index, ..Request::default() }))?;
    peer.flush()?;
    while started.elapsed() < SERVED_WITHIN {
        for event in peer.receive(Duration::from_secs(1))? {
            if let Event::Message { message: FeedMessage::Data(data), .. } = event {
                let expected = generated_block(1, index as u32, BLOCK_BYTES);
                ensure!(
                    data.index == index && data.value.is_some_and(|value| value == expected),
                    "another block"
                );
                return Ok(started.elapsed());
            }
        }
    }
    bail!("expected a block on wire {wire} within {SERVED_WITHIN:?}")
}
