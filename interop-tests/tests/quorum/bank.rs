//! A room with a ledger: four processes vote, and people on each of them pay each other.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use quorate_interop_tests::{EventProcess, Lan, PATIENCE, Quorate, Workspace};
use serde_json::{Value, json};

use crate::history::{Entry, History};

/// Name of the room in every home.
pub(crate) const ROOM: &str = "money";

/// Nodes that vote. The first one hosts the room; the second and the third may follow it.
pub(crate) const MEMBERS: usize = 4;

/// Port of a node that has an address of its own.
const PORT: u16 = 3282;

/// A node, and who is on it.
pub(crate) struct Member {
    quorate: Quorate,
    host: u8,
    address: String,
    /// Key of the person on it.
    pub(crate) key: String,
    pub(crate) process: Option<EventProcess>,
}

/// The room and its nodes.
pub(crate) struct Bank {
    lan: Option<Lan>,
    pub(crate) members: Vec<Member>,
    /// Key of the first feed.
    pub(crate) key: [u8; 32],
    _workspace: Workspace,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is committed at this height, with so many blocks.
    Committed { index: u64, length: u64 },
    /// It is in no block, and will be in none.
    Refused,
    /// Nobody can tell yet.
    Open,
}

impl Bank {
    /// Makes the room; its nodes are on hosts 1 to 4 of a network, or all on loopback.
    pub(crate) fn open(lan: Option<Lan>) -> Result<Self> {
        let workspace = Workspace::new()?;
        let mut members = Vec::new();
        for host in 1..=MEMBERS as u8 {
            let quorate = Quorate::new(workspace.join(&format!("home-{host}")))?;
            let address = match &lan {
                Some(lan) => format!("{}:{PORT}", lan.address(host)),
                // Free now; whoever takes it meanwhile fails the test, and is told so.
                None => TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string(),
            };
            let key = text(&quorate.json(&["key", "new", "person"])?, "key")?;
            members.push(Member { quorate, host, address, key, process: None });
        }
        let mut bank = Self { lan, members, key: [0; 32], _workspace: workspace };
        bank.make_room()?;
        Ok(bank)
    }

    fn make_room(&mut self) -> Result<()> {
        let params = json!({ "issuer": self.members[3].key }).to_string();
        let mut words: Vec<String> =
            ["new", ROOM, "--rule", "builtin:ledger", "--params", &params].map(String::from).into();
        for member in &self.members {
            words.extend(["--validator".into(), text(&member.quorate.json(&["validator", "key"])?, "key")?]);
        }
        for member in &self.members[1..3] {
            words.extend(["--next-host".into(), member.key.clone()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let made = self.members[0].quorate.json(&words)?;
        let (link, key) = (text(&made, "link")?, text(&made, "key")?);
        let key = data_encoding::HEXLOWER.decode(key.as_bytes())?;
        self.key = key.as_slice().try_into().context("a key of 32 bytes")?;
        self.start(0, None)?;
        let first = self.members[0].address.clone();
        for at in 1..MEMBERS {
            let said = self.command(at, &["clone", &link, ROOM, "--peer", &first]).output()?;
            ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            self.start(at, None)?;
        }
        Ok(())
    }

    /// Makes a command of a member, where it is.
    pub(crate) fn command(&self, at: usize, words: &[&str]) -> Command {
        let member = &self.members[at];
        let command = member.quorate.command([&["--json"], words].concat());
        match &self.lan {
            Some(lan) => lan.on(member.host, &command),
            None => command,
        }
    }

    /// Starts a node that dials all others; `wrap` makes another command of it.
    pub(crate) fn start(&mut self, at: usize, wrap: Option<&dyn Fn(&Command) -> Command>) -> Result<()> {
        let (address, port) = self.members[at].address.rsplit_once(':').context("an address has a port")?;
        let mut words = vec!["share", ROOM, "--host", address, "--port", port];
        if self.lan.is_some() {
            // Stock peers look at these nodes, and see what is committed.
            words.extend(["--gate", "committed"]);
        }
        for (other, member) in self.members.iter().enumerate() {
            if other != at {
                words.extend(["--peer", &member.address]);
            }
        }
        let command = self.command(at, &words);
        let mut command = wrap.map_or(command, |wrap| wrap(&self.command(at, &words)));
        let mut process = EventProcess::start(&format!("node {at}"), &mut command)?;
        if wrap.is_none() {
            process.event("listening", PATIENCE)?;
        }
        self.members[at].process = Some(process);
        Ok(())
    }

    /// Waits until nothing of a node that was killed is left: the threads of a traced process end one after the other.
    pub(crate) fn until_gone(&self, at: usize) -> Result<()> {
        let (socket, until) = (self.members[at].quorate.home().join("api.sock"), Instant::now() + PATIENCE);
        while UnixStream::connect(&socket).is_ok() {
            ensure!(Instant::now() < until, "member {at} was killed and goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    pub(crate) fn address(&self, at: usize) -> &str {
        &self.members[at].address
    }

    pub(crate) fn lan(&self) -> Result<&Lan> {
        self.lan.as_ref().context("the nodes are on loopback")
    }

    /// Begins to say something, and to wait until it is committed.
    pub(crate) fn say(&self, at: usize, action: &Value, seconds: u64) -> Result<EventProcess> {
        let (action, seconds) = (action.to_string(), seconds.to_string());
        let words = ["append", ROOM, &action, "--as", "person", "--wait", "committed", "--timeout", &seconds];
        EventProcess::start(&format!("append of {at}"), &mut self.command(at, &words))
    }

    /// Waits for what became of it.
    pub(crate) fn outcome(process: &mut EventProcess) -> Result<Outcome> {
        let mut objects = Vec::new();
        while let Some(object) = process.next(2 * PATIENCE)? {
            objects.push(object);
        }
        let code = process.wait(PATIENCE)?.code();
        // Another host may have taken it to another place.
        let said = objects.iter().rfind(|object| object["schema"] == "quorate.submitted/1");
        let committed = objects.iter().find(|object| object["schema"] == "quorate.committed/1");
        match (code, said, committed) {
            (Some(0), Some(said), Some(committed)) => Ok(Outcome::Committed {
                index: said["index"].as_u64().context("an index")?,
                length: committed["length"].as_u64().context("a length")?,
            }),
            (Some(5), ..) => Ok(Outcome::Refused),
            // The node was killed, or nothing was committed in time.
            (Some(1 | 4 | 6 | 9), ..) => Ok(Outcome::Open),
            _ => bail!("expected an outcome, found exit code {code:?}, {objects:?}, {}", process.stderr()),
        }
    }

    /// Reads what a member holds for committed.
    pub(crate) fn read(&self, at: usize) -> Result<History> {
        let output = self.command(at, &["cat", ROOM, "--committed"]).output()?;
        ensure!(output.status.success(), "cat at {at}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout)?;
        let entries = lines.lines().map(|line| Entry::parse(&serde_json::from_str(line)?));
        History::new(entries.collect::<Result<_>>()?)
    }

    /// Says how the quorum stands for a member.
    pub(crate) fn quorum(&self, at: usize) -> Result<Value> {
        Ok(self.room(at)?["quorum"].clone())
    }

    /// Blocks of the first feed that a member shows to stock peers.
    pub(crate) fn shown(&self, at: usize) -> Result<u64> {
        let info = self.info(at)?;
        info["gate"]["shown"].as_u64().with_context(|| format!("expected a gate at {at}: {info}"))
    }

    fn room(&self, at: usize) -> Result<Value> {
        Ok(self.info(at)?["room"].clone())
    }

    fn info(&self, at: usize) -> Result<Value> {
        let output = self.command(at, &["info", ROOM]).output()?;
        ensure!(output.status.success(), "info at {at}: {}", String::from_utf8_lossy(&output.stderr));
        let info: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(info["fork"].is_null(), "a fork at {at}: {info}");
        ensure!(info["room"]["refused"].is_null(), "a block was refused at {at}: {info}");
        Ok(info)
    }

    /// Checks that nobody has signed two things that contradict each other, as far as a member knows.
    pub(crate) fn check_votes(&self, at: usize) -> Result<()> {
        let quorum = self.quorum(at)?;
        ensure!(quorum["evidence"] == json!([]), "member {at} holds evidence: {}", quorum["evidence"]);
        let votes = quorum["votes"].as_array().context("votes")?;
        let mut seen = std::collections::BTreeMap::new();
        for vote in votes {
            let key = (vote["validator"].to_string(), vote["length"].as_u64());
            if let Some(before) = seen.insert(key, vote["tree_hash"].clone()) {
                ensure!(before == vote["tree_hash"], "two votes, as member {at} knows: {votes:?}");
            }
        }
        Ok(())
    }

    /// Waits until a member holds so many blocks for committed.
    pub(crate) fn until_committed(&self, at: usize, length: u64, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            let room = self.room(at)?;
            let committed = room["quorum"]["committed"].as_u64().unwrap_or(0);
            let checked = room["checked"].as_u64().unwrap_or(0);
            if committed.min(checked) >= length {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "expected {length} blocks to be committed at member {at} within {patience:?}, found {committed}, and \
                 {checked} here"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn text(object: &Value, field: &str) -> Result<String> {
    Ok(object[field].as_str().with_context(|| format!("expected {field} in {object}"))?.to_owned())
}
