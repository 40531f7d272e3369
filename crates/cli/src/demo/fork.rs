//! `quorate demo ledger --fork`: a host that presents a second history, in which nobody was paid.

use std::fs;
use std::time::{Duration, Instant};

use quorate_node::{Code, Failure};
use serde::Serialize;
use serde_json::{Value, json};

use super::child::{Actor, Stage};
use super::{directory, first, ms, number_of, say, text_of, wrong};
use crate::context::Context;
use crate::output::Output;
use crate::stop::{Outcome, Stop};
use crate::text;

const ROOM: &str = "money";

/// Who votes; the first one hosts the room.
const VALIDATORS: [&str; 4] = ["host", "bob", "carol", "dave"];

/// Who hosts it afterwards, in their turn.
const NEXT_HOSTS: [&str; 2] = ["bob", "carol"];

/// Who pays and is paid.
const PEOPLE: [&str; 3] = ["bank", "buyer", "seller"];

/// Time between two looks at a node.
const LOOK: Duration = Duration::from_millis(100);

/// Time that anything gets.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came out.
#[derive(Debug, Default, Serialize)]
struct Report {
    schema: &'static str,
    scenario: &'static str,
    key: String,
    /// Height of the payment that was to be forgotten.
    payment: u64,
    /// Blocks that were committed when the second history appeared.
    committed_before: u64,
    /// Evidence against the host: id, kind, culprit, bytes.
    evidence: Value,
    /// Epoch in which the next host goes on.
    epoch: u64,
    /// Blocks that are committed at the end, by all validators that are left.
    committed: u64,
    elapsed_ms: f64,
}

struct Play<'a> {
    stage: Stage,
    output: &'a mut Output,
    link: String,
    keys: Vec<String>,
    /// Nodes that run, with their addresses.
    nodes: Vec<(&'static str, Actor, String)>,
}

/// `quorate demo ledger --fork`.
pub(super) fn fork(context: &mut Context) -> Outcome {
    let started = Instant::now();
    let directory = directory()?;
    let stage = Stage::open(directory.path(), context)?;
    let output = &mut context.output;
    let mut play = Play { stage, output, link: String::new(), keys: Vec::new(), nodes: Vec::new() };
    let mut report = Report { schema: "quorate.demo/1", scenario: "ledger-fork", ..Report::default() };
    play.open(&mut report)?;
    play.pay(&mut report)?;
    play.attack(&mut report)?;
    play.go_on(&mut report)?;
    play.end();
    report.elapsed_ms = ms(started.elapsed());
    let output = &mut context.output;
    if output.json {
        return output.object(&report);
    }
    let well = output.paint.green("nobody could make the others forget what happened");
    output.line(&format!("{well}, in {}", text::duration(started.elapsed())))?;
    output.flush()?;
    let next = [
        context.command("validator key"),
        context.command("new money --rule builtin:ledger --params '{\"issuer\":\"KEY\"}' --validator KEY... --next-host KEY..."),
    ];
    context.output.next(&next);
    Ok(())
}

impl Play<'_> {
    fn say(&mut self, text: &str) -> Outcome {
        say(self.output, text)
    }

    fn run(&self, home: &str, words: &[&str]) -> Outcome<Vec<Value>> {
        self.stage.run(&format!("quorate {}", words[0]), &mut self.stage.quorate(home, words), &[])
    }

    fn run_one(&self, home: &str, words: &[&str]) -> Outcome<Value> {
        let objects = self.run(home, words)?;
        Ok(first(&objects, words[0])?.clone())
    }

    fn key(&self, who: &str) -> Outcome<&str> {
        let place = PEOPLE.iter().position(|one| *one == who);
        let key = place.and_then(|place| self.keys.get(place));
        key.map(String::as_str).ok_or_else(|| wrong(format!("expected {who} to have a key")))
    }

    /// Makes keys and the room, and starts a node for each validator and for buyer and seller.
    fn open(&mut self, report: &mut Report) -> Outcome {
        let mut votes = Vec::new();
        for home in VALIDATORS {
            votes.push(text_of(&self.run_one(home, &["validator", "key"])?, "key")?);
        }
        for (home, vote) in VALIDATORS.iter().zip(&votes) {
            self.say(&format!("{home:<7} quorate validator key          {vote}"))?;
        }
        let mut hosts = Vec::new();
        for home in NEXT_HOSTS {
            hosts.push(text_of(&self.run_one(home, &["key", "new", "host"])?, "key")?);
        }
        for who in PEOPLE {
            let home = if who == "bank" { "dave" } else { who };
            let key = text_of(&self.run_one(home, &["key", "new", who])?, "key")?;
            self.keys.push(key);
        }
        let params = json!({ "issuer": self.key("bank")? }).to_string();
        let mut words = vec!["new", ROOM, "--rule", "builtin:ledger", "--params", &params];
        votes.iter().for_each(|vote| words.extend(["--validator", vote.as_str()]));
        hosts.iter().for_each(|host| words.extend(["--next-host", host.as_str()]));
        let made = self.run_one("host", &words)?;
        report.key = text_of(&made, "key")?;
        self.link = text_of(&made, "link")?;
        let link = self.link.clone();
        self.say(&format!("host    quorate new {ROOM} --rule builtin:ledger, with 4 validators    {link}"))?;
        for home in VALIDATORS.into_iter().chain(["buyer", "seller"]) {
            self.start(home)?;
        }
        self.say("all     quorate share: 3 of 4 votes commit; bob hosts next, then carol")
    }

    /// Starts a node that knows all that run.
    fn start(&mut self, home: &'static str) -> Outcome {
        let addresses: Vec<String> = self.nodes.iter().map(|(_, _, address)| address.clone()).collect();
        if let Some(address) = addresses.first()
            && !self.stage.directory.join(home).join("streams").join(ROOM).is_dir()
        {
            self.run(home, &["clone", &self.link, ROOM, "--peer", address])?;
        }
        let mut words = vec!["share", ROOM, "--host", "127.0.0.1", "--port", "0"];
        addresses.iter().for_each(|address| words.extend(["--peer", address.as_str()]));
        let mut node =
            self.stage.start(&format!("quorate share {home}"), &mut self.stage.quorate(home, &words))?;
        let address = self.stage.wait(&mut node, "a node that listens", |event| {
            (event["event"] == "listening").then(|| event["address"].as_str().map(str::to_string)).flatten()
        })?;
        self.nodes.push((home, node, address));
        Ok(())
    }

    fn stop(&mut self, home: &str) {
        for (_, node, _) in self.nodes.extract_if(.., |(name, _, _)| *name == home) {
            node.end();
        }
    }

    /// Somebody says something, and waits until it is committed; returns its height.
    fn act(&mut self, home: &str, who: &str, what: &str, payload: &Value) -> Outcome<u64> {
        let payload = payload.to_string();
        let words = ["append", ROOM, &payload, "--as", who, "--wait", "committed", "--timeout", "60"];
        let said = self.run(home, &words)?;
        let index = number_of(first(&said, "quorate append")?, "index")?;
        self.say(&format!("{who:<7} {what:<32} appended at {index}, committed"))?;
        Ok(index)
    }

    fn pay(&mut self, report: &mut Report) -> Outcome {
        let mint = json!({ "mint": { "to": self.key("buyer")?, "amount": 100 } });
        self.act("dave", "bank", "mints 100 for the buyer", &mint)?;

        // What the host keeps for later: the room as it is before the payment.
        self.stop("host");
        let copy = self.stage.directory.join("copy");
        let copy = copy.to_string_lossy();
        self.run("host", &["export", ROOM, &copy, "--with-secret-key"])?;
        self.run("twin", &["import", &copy, ROOM])?;
        self.start("host")?;

        let payment = json!({ "transfer": { "to": self.key("seller")?, "amount": 60 } });
        report.payment = self.act("buyer", "buyer", "pays the seller 60", &payment)?;
        self.until("seller", "the payment", |play| {
            let (payments, _) = play.committed("seller")?;
            Ok(payments.contains(&payment).then_some(()))
        })?;
        self.say("seller  quorate cat money --committed: paid. The goods are on their way")?;
        let info = self.run_one("seller", &["info", ROOM])?;
        report.committed_before = number_of(&info["room"]["quorum"], "committed")?;
        Ok(())
    }

    /// The host goes back to its copy, and writes a history in which the buyer has spent the money elsewhere.
    fn attack(&mut self, report: &mut Report) -> Outcome {
        self.stop("host");
        let (from, to) = (self.stage.directory.join("buyer"), self.stage.directory.join("twin"));
        copy_identities(&from, &to)?;
        let elsewhere = json!({ "transfer": { "to": self.key("bank")?, "amount": 100 } }).to_string();
        let words = ["append", ROOM, &elsewhere, "--as", "buyer", "--unsafe-only-writer", "--yes"];
        let said = self.run_one("twin", &words)?;
        let height = number_of(&said, "index")?;
        self.say(&format!(
            "host    goes back to a copy of before the payment, and writes another block {height}: the buyer's 100 went elsewhere"
        ))?;
        // Both of its machines run now.
        self.start("host")?;
        self.start("twin")?;
        report.evidence = self.until("seller", "evidence", |play| {
            let info = play.run_one("seller", &["info", ROOM])?;
            let found = info["room"]["quorum"]["evidence"].as_array().and_then(|all| all.first()).cloned();
            Ok(found)
        })?;
        let id = text_of(&report.evidence, "id")?;
        let shown = self.run_one("seller", &["fork", "show", ROOM, &id])?;
        let bytes = number_of(&report.evidence, "bytes")?;
        let short = |text: &str| text.chars().take(8).collect::<String>();
        let (culprit, kind) = (text_of(&shown, "culprit")?, text_of(&shown, "kind")?);
        self.say(&format!(
            "seller  FORK: key {} signed a contradiction, {kind}; evidence {}, {bytes} bytes",
            short(&culprit),
            short(&id)
        ))?;
        if let Some(what) = shown["what"].as_str() {
            for line in what.lines() {
                self.say(&format!("        {}", text::clean(line)))?;
            }
        }
        expect_text("the culprit", &report.key, &culprit)?;
        let file = self.stage.directory.join("evidence");
        let file = file.to_string_lossy();
        self.run("seller", &["fork", "export", ROOM, &id, "--output", &file])?;
        let mut verify = self.stage.quorate("stranger", &["fork", "verify", &file]);
        self.stage.run_to(7, "quorate fork verify", &mut verify, &[])?;
        self.say("anyone  quorate fork verify evidence: it holds, checked offline with no other knowledge")
    }

    /// The room goes on under the next host, with the payment in it.
    fn go_on(&mut self, report: &mut Report) -> Outcome {
        let epoch = self.until("seller", "the next host", |play| {
            let info = play.run_one("seller", &["info", ROOM])?;
            let quorum = &info["room"]["quorum"];
            let epoch = quorum["epoch"].as_u64().filter(|epoch| *epoch > 0);
            Ok(epoch.filter(|_| quorum["feeds"].is_array()))
        })?;
        report.epoch = epoch;
        self.say(&format!(
            "all     the validators sealed the epoch: bob hosts the room now, in epoch {epoch}"
        ))?;
        let back = json!({ "transfer": { "to": self.key("buyer")?, "amount": 15 } });
        let index = self.act("seller", "seller", "pays 15 back", &back)?;
        let payment = json!({ "transfer": { "to": self.key("seller")?, "amount": 60 } });
        let stolen = json!({ "transfer": { "to": self.key("bank")?, "amount": 100 } });
        for home in ["bob", "carol", "dave", "buyer", "seller"] {
            report.committed = self.until(home, "the last payment", |play| {
                let (payments, committed) = play.committed(home)?;
                if payments.contains(&stolen) || committed > index && !payments.contains(&payment) {
                    return Err(wrong(format!(
                        "expected the payment of 60 to stand at {home}, found another history"
                    )));
                }
                Ok((committed > index && payments.contains(&back)).then_some(committed))
            })?;
        }
        self.say(&format!("all     the payment at {} stands, at everybody", report.payment))
    }

    /// Returns what is committed at a node: the payloads, and how many blocks.
    fn committed(&self, home: &str) -> Outcome<(Vec<Value>, u64)> {
        let read = self.run(home, &["cat", ROOM, "--committed"])?;
        let info = self.run_one(home, &["info", ROOM])?;
        let committed = number_of(&info["room"]["quorum"], "committed")?;
        Ok((read.iter().map(|line| line["payload"].clone()).collect(), committed))
    }

    /// Looks at a node until there is something to see.
    fn until<T>(&mut self, home: &str, what: &str, look: impl Fn(&Self) -> Outcome<Option<T>>) -> Outcome<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if Instant::now() >= until {
                let message = format!("expected {what} at {home}, found nothing in time");
                return Err(Failure::new(Code::TimedOut, message).into());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn end(&mut self) {
        for (_, node, _) in self.nodes.drain(..) {
            node.end();
        }
    }
}

fn copy_identities(from: &std::path::Path, to: &std::path::Path) -> Outcome {
    let failed = |error: std::io::Error| Stop::io("copying an identity", &error);
    let to = to.join("identities");
    fs::create_dir_all(&to).map_err(failed)?;
    for entry in fs::read_dir(from.join("identities")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
    }
    Ok(())
}

fn expect_text(what: &str, expected: &str, found: &str) -> Outcome {
    if expected == found {
        return Ok(());
    }
    Err(wrong(format!("expected {what} to be {expected}, found {found}")))
}
