//! `quorate demo share`: a stream is shared, appended to, and verified at the other ends.

use std::process::Command;
use std::time::Instant;

use serde::Serialize;

use super::child::{Actor, Stage};
use super::stock::{self, Running, Stock};
use super::{StockReport, compare, directory, expect, first, ms, number_of, say, text_of};
use crate::context::Context;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// Blocks that are there before anybody joins.
const FIRST: u64 = 1000;
/// Blocks that are appended while everybody watches.
const LIVE: u64 = 100;
/// Blocks that each stock client writes.
const THEIRS: u64 = 100;
/// What came out.
#[derive(Debug, Default, Serialize)]
struct Report {
    schema: &'static str,
    key: String,
    blocks: u64,
    bytes: u64,
    clone_ms: f64,
    live_blocks: u64,
    live_median_ms: f64,
    live_slowest_ms: f64,
    audited_blocks: u64,
    audited_signatures: u64,
    stock: Vec<StockReport>,
    stock_missing: Option<&'static str>,
    elapsed_ms: f64,
}

/// Two nodes, and the stock clients that are here.
pub(super) fn share(context: &mut Context) -> Outcome {
    let started = Instant::now();
    let directory = directory()?;
    let stage = Stage::open(directory.path(), context)?;
    let mut play = Play { stage, output: &mut context.output, blocks: Vec::new(), report: Report::default() };
    play.report.schema = "quorate.demo/1";
    play.run()?;
    let mut report = play.report;
    report.elapsed_ms = ms(started.elapsed());
    let output = &mut context.output;
    if output.json {
        return output.object(&report);
    }
    let verified = output.paint.green("everything verified");
    output.line(&format!("{verified}, in {}", text::duration(started.elapsed())))?;
    let next = [context.command("new my-stream"), context.command("share my-stream")];
    context.output.flush()?;
    context.output.next(&next);
    Ok(())
}

struct Play<'a> {
    stage: Stage,
    output: &'a mut Output,
    /// What every reader must come to have.
    blocks: Vec<Vec<u8>>,
    report: Report,
}

impl Play<'_> {
    fn run(&mut self) -> Outcome {
        self.say("two nodes, alice and bob, each with a home of its own, on the loopback network")?;
        let link = self.create()?;
        let (alice, address) = self.share()?;
        let bob = self.clone(&link, &address)?;
        let (mut stocks, missing) = stock::present();
        let mut cloners = Vec::new();
        for stock in &stocks {
            cloners.push(Running::cloner(&self.stage, stock, &self.report.key, &address)?);
        }
        self.live()?;
        self.check_bob()?;
        for cloner in cloners {
            self.check_cloner(cloner)?;
        }
        for stock in stocks.drain(..) {
            self.take_from(&stock)?;
        }
        if let Some(reason) = missing {
            self.say(&format!("stock clients   {reason}"))?;
        }
        self.report.stock_missing = missing;
        bob.end();
        alice.end();
        Ok(())
    }

    /// Says what has been done.
    fn say(&mut self, text: &str) -> Outcome {
        say(self.output, text)
    }

    fn quorate(&self, home: &str, words: &[&str]) -> Command {
        self.stage.quorate(home, words)
    }

    /// Alice creates a stream and appends to it.
    fn create(&mut self) -> Outcome<String> {
        let created = self.stage.run("quorate new", &mut self.quorate("alice", &["new", "demo"]), &[])?;
        let created = first(&created, "quorate new")?;
        self.report.key = text_of(created, "key")?;
        let link = text_of(created, "link")?;
        let lines = self.write(FIRST);
        let started = Instant::now();
        let batches = self.stage.run(
            "quorate append",
            &mut self.quorate("alice", &["append", "demo", "--batch"]),
            &lines,
        )?;
        expect("the length", FIRST, number_of(first(&batches, "quorate append")?, "length")?)?;
        self.say(&format!("alice   quorate new demo          {link}"))?;
        self.say(&format!(
            "alice   quorate append demo       {} in {}",
            text::count(FIRST, "block"),
            text::duration(started.elapsed())
        ))?;
        Ok(link)
    }

    /// Makes blocks up, and the lines that append them.
    fn write(&mut self, count: u64) -> Vec<u8> {
        let mut lines = Vec::new();
        for _ in 0..count {
            let line = line(self.blocks.len());
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
            self.blocks.push(line.into_bytes());
        }
        lines
    }

    fn share(&mut self) -> Outcome<(Actor, String)> {
        let mut command = self.quorate("alice", &["share", "demo", "--host", "127.0.0.1", "--port", "0"]);
        let mut alice = self.stage.start("quorate share", &mut command)?;
        let address = self.stage.wait(&mut alice, "a node that listens", |event| {
            (event["event"] == "listening").then(|| event["address"].as_str().map(str::to_string)).flatten()
        })?;
        self.say(&format!("alice   quorate share demo        listening on {address}"))?;
        Ok((alice, address))
    }

    /// Bob clones, and goes on with what comes.
    fn clone(&mut self, link: &str, address: &str) -> Outcome<Actor> {
        let started = Instant::now();
        let mut command = self.quorate("bob", &["clone", link, "demo", "--peer", address, "--live"]);
        let mut bob = self.stage.start("quorate clone", &mut command)?;
        let info = self.stage.wait(&mut bob, "a clone that is complete", |object| {
            (object["schema"] == "quorate.stream/1").then(|| object.clone())
        })?;
        expect("the blocks of the clone", FIRST, number_of(&info, "here")?)?;
        self.report.clone_ms = ms(started.elapsed());
        self.say(&format!(
            "bob     quorate clone dat://...   {} ({}) in {}, each verified",
            text::count(FIRST, "block"),
            text::bytes(number_of(&info, "byte_length")?),
            text::duration(started.elapsed())
        ))?;
        Ok(bob)
    }

    /// Alice appends while Bob reads; each block is timed from the one to the other.
    fn live(&mut self) -> Outcome {
        let mut appender =
            self.stage.start("quorate append", &mut self.quorate("alice", &["append", "demo"]))?;
        let start = FIRST.to_string();
        let mut reader = self.stage.start(
            "quorate cat",
            &mut self.quorate("bob", &["cat", "demo", "--start", &start, "--live", "--encoding", "utf-8"]),
        )?;
        let mut times = Vec::new();
        for index in FIRST..FIRST + LIVE {
            let line = self.write(1);
            let at = Instant::now();
            appender.send(&line)?;
            let payload = self.stage.wait(&mut reader, "a live block", |object| {
                (object["index"] == index).then(|| object["payload"].as_str().map(str::to_string)).flatten()
            })?;
            times.push(at.elapsed());
            compare("bob", index, self.blocks.last(), Some(payload.as_bytes()))?;
        }
        appender.end();
        reader.end();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let slowest = times.last().copied().unwrap_or_default();
        self.report.live_blocks = LIVE;
        self.report.live_median_ms = ms(median);
        self.report.live_slowest_ms = ms(slowest);
        self.say(&format!(
            "live    alice appends, bob reads  {}: append to read {} (median), {} (slowest)",
            text::count(LIVE, "block"),
            text::duration(median),
            text::duration(slowest)
        ))
    }

    /// Everything that Bob has is compared, hashed again, and one block proved offline.
    fn check_bob(&mut self) -> Outcome {
        let read = self.stage.run(
            "quorate cat",
            &mut self.quorate("bob", &["cat", "demo", "--encoding", "utf-8"]),
            &[],
        )?;
        expect("the blocks that bob reads", self.blocks.len() as u64, read.len() as u64)?;
        for (index, (block, object)) in self.blocks.iter().zip(&read).enumerate() {
            compare("bob", index as u64, Some(block), object["payload"].as_str().map(str::as_bytes))?;
        }
        self.report.blocks = self.blocks.len() as u64;
        self.report.bytes = self.blocks.iter().map(|block| block.len() as u64).sum();
        let audit = self.stage.run("quorate audit", &mut self.quorate("bob", &["audit", "demo"]), &[])?;
        let audit = first(&audit, "quorate audit")?;
        self.report.audited_blocks = number_of(audit, "blocks")?;
        self.report.audited_signatures = number_of(audit, "signatures")?;
        expect("the blocks of the audit", self.report.blocks, self.report.audited_blocks)?;
        self.say(&format!(
            "bob     quorate audit demo        {} hashed again, {}: all verify",
            text::count(self.report.audited_blocks, "block"),
            text::count(self.report.audited_signatures, "signature")
        ))?;
        let file = self.stage.directory.join("block.proof");
        let path = file.to_string_lossy().into_owned();
        let index = (FIRST / 2).to_string();
        self.stage.run(
            "quorate proof",
            &mut self.quorate("bob", &["proof", "demo", &index, "-o", &path]),
            &[],
        )?;
        let verified =
            self.stage.run("quorate verify", &mut self.quorate("nobody", &["verify", &path]), &[])?;
        expect(
            "the block that is proved",
            FIRST / 2,
            number_of(first(&verified, "quorate verify")?, "index")?,
        )?;
        self.say(&format!("anyone  quorate verify FILE       a proof of block {index} holds, offline"))
    }

    /// Every block of a stock client that cloned is compared.
    fn check_cloner(&mut self, mut cloner: Running) -> Outcome {
        for (index, block) in self.blocks.iter().enumerate() {
            let index = index as u64;
            let received = cloner.get(&self.stage, index)?;
            compare(&cloner.version, index, Some(block), received.as_deref())?;
        }
        let received = self.blocks.len() as u64;
        let client = cloner.version.clone();
        cloner.end();
        self.say(&format!(
            "stock   {client:<18}        cloned from alice: {received} of {received} blocks, all equal"
        ))?;
        self.report.stock.push(StockReport { client, received, sent: 0 });
        Ok(())
    }

    /// A stock client writes, and Bob clones from it.
    fn take_from(&mut self, stock: &Stock) -> Outcome {
        let mut writer = Running::writer(&self.stage, stock)?;
        let blocks: Vec<Vec<u8>> = (0..THEIRS as usize).map(|index| line(index).into_bytes()).collect();
        writer.append(&self.stage, &blocks)?;
        let address = writer.address.clone().unwrap_or_default();
        let name = stock.title.replace(' ', "-");
        let words = ["clone", &writer.key, &name, "--peer", &address];
        let cloned = self.stage.run("quorate clone", &mut self.quorate("bob", &words), &[])?;
        expect("the blocks of the clone", THEIRS, number_of(first(&cloned, "quorate clone")?, "here")?)?;
        let read = self.stage.run(
            "quorate cat",
            &mut self.quorate("bob", &["cat", &name, "--encoding", "utf-8"]),
            &[],
        )?;
        expect("the blocks that bob reads", THEIRS, read.len() as u64)?;
        for (index, (block, object)) in blocks.iter().zip(&read).enumerate() {
            compare("bob", index as u64, Some(block), object["payload"].as_str().map(str::as_bytes))?;
        }
        let client = writer.version.clone();
        writer.end();
        self.say(&format!(
            "stock   {client:<18}        cloned by bob: {THEIRS} of {THEIRS} blocks, all equal"
        ))?;
        if let Some(report) = self.report.stock.iter_mut().find(|report| report.client == client) {
            report.sent = THEIRS;
        }
        Ok(())
    }
}

/// Text of a block, different for each and of different lengths.
fn line(index: usize) -> String {
    format!("block {index} {}", "on and ".repeat(index % 20))
}
