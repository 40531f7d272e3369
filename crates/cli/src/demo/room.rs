//! What the demos of rooms share: a host, participants with homes of their own, and stock clients that read along.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::child::{Actor, Stage};
use super::stock::{self, Running};
use super::{StockReport, compare, expect, first, ms, number_of, say, text_of, wrong};
use crate::context::Context;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// Time between two looks at a node.
const LOOK: Duration = Duration::from_millis(50);

/// Time that blocks get to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) schema: &'static str,
    pub(super) scenario: &'static str,
    key: String,
    /// Blocks of the room at its end.
    blocks: u64,
    /// Actions that were appended.
    pub(super) actions: u64,
    /// Those that were not.
    pub(super) refused: Vec<Refused>,
    /// Digest of the state, the same at every node.
    state_root: String,
    stock: Vec<StockReport>,
    stock_missing: Option<&'static str>,
    pub(super) elapsed_ms: f64,
}

/// An action that was refused.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    who: String,
    payload: Value,
    code: String,
    reason: String,
}

/// A room on the stage.
pub(super) struct Room<'a> {
    pub(super) stage: Stage,
    pub(super) output: &'a mut Output,
    pub(super) report: Report,
    name: &'static str,
    link: String,
    address: String,
    /// Node of the host.
    host: Option<Actor>,
    /// Nodes of the participants.
    nodes: Vec<(&'static str, Actor)>,
}

impl<'a> Room<'a> {
    /// Makes keys, the room, and its host.
    pub(super) fn open(
        stage: Stage,
        output: &'a mut Output,
        name: &'static str,
        rule: &str,
        participants: &[&'static str],
        params: impl FnOnce(&[String]) -> Value,
    ) -> Outcome<Self> {
        let mut room = Self {
            stage,
            output,
            report: Report { schema: "quorate.demo/1", scenario: name, ..Report::default() },
            name,
            link: String::new(),
            address: String::new(),
            host: None,
            nodes: Vec::new(),
        };
        let mut keys = Vec::new();
        for who in participants {
            let made = room.run(who, "quorate key new", &["key", "new", who])?;
            let key = text_of(first(&made, "quorate key new")?, "key")?;
            room.say(&format!("{who:<7} quorate key new {who:<8} {key}"))?;
            keys.push(key);
        }
        let rule = format!("builtin:{rule}");
        let params = params(&keys).to_string();
        let made = room.run("host", "quorate new", &["new", name, "--rule", &rule, "--params", &params])?;
        let made = first(&made, "quorate new")?;
        room.report.key = text_of(made, "key")?;
        room.link = text_of(made, "link")?;
        let link = room.link.clone();
        room.say(&format!("host    quorate new {name} --rule {rule}    {link}"))?;
        let words = ["share", name, "--host", "127.0.0.1", "--port", "0"];
        let mut host = room.stage.start("quorate share", &mut room.stage.quorate("host", &words))?;
        room.address = room.stage.wait(&mut host, "a node that listens", |event| {
            (event["event"] == "listening").then(|| event["address"].as_str().map(str::to_string)).flatten()
        })?;
        room.host = Some(host);
        for who in participants {
            room.join(who)?;
        }
        Ok(room)
    }

    /// A participant clones the room, checks it, and follows it.
    fn join(&mut self, who: &'static str) -> Outcome {
        let words = ["clone", &self.link, self.name, "--peer", &self.address, "--live"];
        let mut node =
            self.stage.start(&format!("quorate clone {who}"), &mut self.stage.quorate(who, &words))?;
        let info = self.stage.wait(&mut node, "a clone that is complete", |object| {
            (object["schema"] == "quorate.stream/1").then(|| object.clone())
        })?;
        let blocks = text::count(number_of(&info, "length")?, "block");
        self.nodes.push((who, node));
        self.say(&format!("{who:<7} quorate clone dat://...  {blocks}, with the rule in them; all checked"))
    }

    fn run(&self, home: &str, what: &str, words: &[&str]) -> Outcome<Vec<Value>> {
        self.stage.run(what, &mut self.stage.quorate(home, words), &[])
    }

    /// Says what has been done.
    pub(super) fn say(&mut self, text: &str) -> Outcome {
        say(self.output, text)
    }

    /// Somebody says something that the rules accept; returns the height of its block.
    pub(super) fn act(&mut self, who: &str, payload: &Value) -> Outcome<u64> {
        let said = payload.to_string();
        let said = self.run(who, "quorate append", &["append", self.name, &said, "--as", who])?;
        self.report.actions += 1;
        number_of(first(&said, "quorate append")?, "index")
    }

    /// Somebody says something that the rules refuse; returns the reason. Nothing is appended.
    pub(super) fn refused(&mut self, who: &str, payload: &Value) -> Outcome<String> {
        let before = self.length("host")?;
        let said = payload.to_string();
        let mut command = self.stage.quorate(who, &["append", self.name, &said, "--as", who]);
        let said = self.stage.run_to(5, "quorate append", &mut command, &[])?;
        let said = first(&said, "quorate append")?;
        let (code, reason) = (text_of(said, "code")?, text_of(said, "reason")?);
        expect("the length after a refusal", before, self.length("host")?)?;
        let shown = format!("{who:<7} quorate append {} {payload}", self.name);
        self.say(&format!("{shown}\n        {reason}  ({code}, {})", text_of(said, "place")?))?;
        self.say("        nothing was appended")?;
        let (who, payload) = (who.to_string(), payload.clone());
        self.report.refused.push(Refused { who, payload, code, reason: reason.clone() });
        Ok(reason)
    }

    fn length(&self, home: &str) -> Outcome<u64> {
        number_of(first(&self.run(home, "quorate info", &["info", self.name])?, "quorate info")?, "length")
    }

    /// Reads the actions that a participant has, each with its author.
    pub(super) fn read(&self, who: &str) -> Outcome<Vec<(String, Value)>> {
        let read = self.run(who, "quorate cat", &["cat", self.name])?;
        read.iter().map(|line| Ok((text_of(line, "author")?, line["payload"].clone()))).collect()
    }

    /// Reads like [`read`](Self::read), and waits until so many actions have come.
    pub(super) fn read_all(&self, who: &str, count: usize) -> Outcome<Vec<(String, Value)>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let read = self.read(who)?;
            if read.len() >= count || Instant::now() >= until {
                return Ok(read);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until everybody has checked every block, and compares the states; then stock clients read the feed.
    pub(super) fn end(mut self) -> Outcome<Report> {
        let blocks = self.length("host")?;
        let host = self.run("host", "quorate info", &["info", self.name])?;
        let root = first(&host, "quorate info")?["room"]["state_root"].clone();
        let people: Vec<&str> = self.nodes.iter().map(|(who, _)| *who).collect();
        for who in &people {
            self.agrees(who, blocks, &root)?;
        }
        self.report.blocks = blocks;
        self.report.state_root = root.as_str().unwrap_or_default().to_string();
        let short = self.report.state_root.get(..8).unwrap_or_default().to_string();
        self.say(&format!("all     {blocks} blocks checked by everybody, state root {short}… at each"))?;
        let (stocks, missing) = stock::present();
        for stock in &stocks {
            let mut cloner = Running::cloner(&self.stage, stock, &self.report.key, &self.address)?;
            for index in 0..blocks {
                let words = ["get", self.name, &index.to_string()];
                let ours = self.run("host", "quorate get", &words)?;
                let ours = first(&ours, "quorate get")?["base64"].as_str().unwrap_or_default();
                let ours = data_encoding::BASE64.decode(ours.as_bytes()).ok();
                let theirs = cloner.get(&self.stage, index)?;
                compare(&cloner.version, index, ours.as_ref(), theirs.as_deref())?;
            }
            let client = cloner.version.clone();
            cloner.end();
            self.say(&format!(
                "stock   {client:<18}      cloned the room: {blocks} of {blocks} blocks, all equal"
            ))?;
            self.report.stock.push(StockReport { client, received: blocks, sent: 0 });
        }
        if let Some(reason) = missing {
            self.say(&format!("stock clients   {reason}"))?;
        }
        self.report.stock_missing = missing;
        for (_, node) in self.nodes.drain(..) {
            node.end();
        }
        if let Some(host) = self.host.take() {
            host.end();
        }
        Ok(self.report)
    }

    /// Waits until a participant has checked every block; its state must be the host's.
    fn agrees(&mut self, who: &str, blocks: u64, root: &Value) -> Outcome {
        let position = self.nodes.iter().position(|(name, _)| *name == who);
        let node = position.and_then(|position| self.nodes.get_mut(position));
        let Some((_, node)) = node else { return Err(wrong(format!("expected {who} on the stage"))) };
        let found = self.stage.wait(node, "a room that is checked", |event| {
            (event["event"] == "checked" && event["length"] == blocks).then(|| event["state_root"].clone())
        })?;
        if found != *root {
            return Err(wrong(format!("expected the state root {root} at {who}, found {found}")));
        }
        Ok(())
    }
}

/// Prints what came out: that all went `well`, how many `things` were said, and what to type `next`.
pub(super) fn conclude(
    context: &mut Context,
    mut report: Report,
    started: Instant,
    (well, thing): (&str, &str),
    next: &[&str],
) -> Outcome {
    report.elapsed_ms = ms(started.elapsed());
    let output = &mut context.output;
    if output.json {
        return output.object(&report);
    }
    let said = text::count(report.actions, thing);
    let refusals = text::count(report.refused.len() as u64, "refusal");
    let well = output.paint.green(well);
    output.line(&format!("{well}: {said} and {refusals}, in {}", text::duration(started.elapsed())))?;
    output.flush()?;
    let next: Vec<String> = next.iter().map(|words| context.command(words)).collect();
    context.output.next(&next);
    Ok(())
}

/// Writes what somebody says.
pub(super) fn payload(field: &str, value: impl Into<Value>) -> Value {
    json!({ field: value.into() })
}
