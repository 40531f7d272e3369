//! Stock JavaScript peers: unmodified hypercore packages under `js/`, run by Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Map, Value, json};

use crate::{EventProcess, Lan, PATIENCE};

/// A generation of the reference; the versions are pinned in `js/*/package.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// hypercore 7.7.1 over hypercore-protocol 6.12.0: wire A, signatures over 32 bytes.
    Hypercore7,
    /// hypercore 9.12.0 over hypercore-protocol 8.0.7: wire B2, signatures over 40 bytes.
    Hypercore9,
}

impl Generation {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::Hypercore7, Self::Hypercore9];

    /// Returns the name of its folder under `js/`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hypercore7 => "hypercore-7",
            Self::Hypercore9 => "hypercore-9",
        }
    }

    /// Returns the pinned version of the npm package hypercore.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Hypercore7 => "7.7.1",
            Self::Hypercore9 => "9.12.0",
        }
    }

    /// Returns its folder.
    pub fn directory(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(self.name())
    }
}

/// One feed of a stock peer.
#[derive(Debug, Clone, Default)]
pub struct FeedOptions {
    /// Name in commands and events; empty means `main`.
    pub name: String,
    /// SLEEP directory; in memory without it.
    pub directory: Option<PathBuf>,
    /// Key of somebody else's feed.
    pub key: Option<[u8; 32]>,
    /// Seed of the key pair of an own feed.
    pub seed: Option<[u8; 32]>,
    /// Fetches only what is asked for.
    pub sparse: bool,
    /// Extensions to announce; hypercore 7 takes them here only.
    pub extensions: Vec<String>,
}

impl FeedOptions {
    /// An own feed in memory.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed: Some(seed), ..Self::default() }
    }

    /// A copy, in memory, of somebody else's feed.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// Puts the feed into a SLEEP directory.
    pub fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Fetches only what is asked for.
    pub fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    /// Names the feed in commands and events.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Announces an extension.
    pub fn extension(mut self, name: &str) -> Self {
        self.extensions.push(name.to_owned());
        self
    }

    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if !self.name.is_empty() {
            fields.insert("name".into(), json!(self.name));
        }
        if let Some(directory) = &self.directory {
            fields.insert("dir".into(), json!(directory));
        }
        if let Some(key) = &self.key {
            fields.insert("key".into(), json!(HEXLOWER.encode(key)));
        }
        if let Some(seed) = &self.seed {
            fields.insert("seed".into(), json!(HEXLOWER.encode(seed)));
        }
        fields.insert("sparse".into(), json!(self.sparse));
        fields.insert("extensions".into(), json!(self.extensions));
        Value::Object(fields)
    }
}

/// How a stock peer runs; `json` adds what has no field here (`js/lib/peer.js` lists the options).
#[derive(Debug, Clone)]
pub struct PeerOptions {
    feeds: Vec<FeedOptions>,
    fields: Map<String, Value>,
}

impl PeerOptions {
    /// A live peer with one feed that neither listens nor dials.
    pub fn new(feed: FeedOptions) -> Self {
        Self { feeds: vec![feed], fields: Map::new() }
    }

    /// Carries one more feed on every connection.
    pub fn feed(mut self, feed: FeedOptions) -> Self {
        self.feeds.push(feed);
        self
    }

    /// Listens on a free port of 127.0.0.1.
    pub fn listen(self) -> Self {
        self.json("listen", json!(0))
    }

    /// Dials `host:port` at once.
    pub fn connect(self, to: &str) -> Self {
        self.json("connect", json!(to))
    }

    /// Dials again this long after a connection closed.
    pub fn reconnect(self, after: Duration) -> Self {
        self.json("reconnectMs", json!(after.as_millis() as u64))
    }

    /// Ends each connection when everything is exchanged.
    pub fn finite(self) -> Self {
        self.json("live", json!(false))
    }

    /// Reports each block that comes and goes (events `download` and `upload`).
    pub fn block_events(self) -> Self {
        self.json("blockEvents", json!(true))
    }

    /// Sets one more option.
    pub fn json(mut self, option: &str, value: Value) -> Self {
        self.fields.insert(option.to_owned(), value);
        self
    }

    fn to_json(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("feeds".into(), self.feeds.iter().map(FeedOptions::to_json).collect());
        Value::Object(fields)
    }
}

/// A running stock peer; killed when dropped.
#[derive(Debug)]
pub struct StockPeer {
    process: EventProcess,
    address: Option<String>,
    noise_key: Option<[u8; 32]>,
    key: [u8; 32],
    next_command: u64,
}

impl StockPeer {
    /// Starts a peer and waits until its feeds are open and it listens, if it was told to.
    ///
    /// # Errors
    ///
    /// Node.js or the pinned packages are missing (the message says what to run), or the peer could not
    /// open its feed.
    pub fn start(generation: Generation, options: &PeerOptions) -> Result<Self> {
        Self::start_in(generation, options, |command| command)
    }

    /// Starts a peer on a host of a private network.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_on(lan: &Lan, host: u8, generation: Generation, options: &PeerOptions) -> Result<Self> {
        Self::start_in(generation, options, |command| lan.on(host, &command))
    }

    fn start_in(
        generation: Generation,
        options: &PeerOptions,
        place: impl FnOnce(Command) -> Command,
    ) -> Result<Self> {
        let directory = generation.directory();
        ensure!(
            directory.join("node_modules/hypercore/package.json").is_file(),
            "expected the pinned stock peer {} under {}, found no node_modules: run `cargo xtask peers`",
            generation.name(),
            directory.display()
        );
        let mut command = Command::new("node");
        command.arg(directory.join("peer.js")).arg(options.to_json().to_string());
        let mut command = place(command);
        let mut process = EventProcess::start(&format!("stock peer {}", generation.name()), &mut command)
            .context("expected Node.js 20 or newer as `node` on PATH")?;
        let ready = process.event("ready", PATIENCE)?;
        let version = ready["versions"]["hypercore"].as_str().unwrap_or("none");
        ensure!(
            version == generation.version(),
            "expected hypercore {} as pinned, found {version}: run `cargo xtask peers`",
            generation.version()
        );
        let key = key_of(&process.event("feed", PATIENCE)?["key"])?;
        let noise_key = match &ready["noiseKey"] {
            Value::Null => None,
            key => Some(key_of(key)?),
        };
        let address = match options.fields.contains_key("listen") {
            true => Some(text_of(&process.event("listening", PATIENCE)?["address"])?),
            false => None,
        };
        Ok(Self { process, address, noise_key, key, next_command: 1 })
    }

    /// Returns the key of the first feed.
    pub const fn key(&self) -> [u8; 32] {
        self.key
    }

    /// Returns the static Noise key; hypercore 7 has none.
    pub const fn noise_key(&self) -> Option<[u8; 32]> {
        self.noise_key
    }

    /// Returns `host:port`.
    ///
    /// # Errors
    ///
    /// The peer was not told to listen.
    pub fn address(&self) -> Result<&str> {
        self.address.as_deref().context("this stock peer was not told to listen")
    }

    /// Returns the process, for events and for killing it.
    pub const fn process(&mut self) -> &mut EventProcess {
        &mut self.process
    }

    /// Waits for the next event of that name.
    pub fn event(&mut self, event: &str) -> Result<Value> {
        self.process.event(event, PATIENCE)
    }

    /// Waits for `count` events of that name (`download`, `upload`) and returns their block indexes, sorted.
    pub fn event_indexes(&mut self, event: &str, count: usize) -> Result<Vec<u64>> {
        let mut indexes =
            (0..count).map(|_| number_of(&self.event(event)?["index"])).collect::<Result<Vec<_>>>()?;
        indexes.sort_unstable();
        Ok(indexes)
    }

    /// Sends a command without waiting; `reply` takes the number.
    pub fn send(&mut self, command: &str, fields: Value) -> Result<u64> {
        let id = self.next_command;
        self.next_command += 1;
        let Value::Object(mut message) = fields else {
            bail!("expected the fields of a command as an object, found {fields}");
        };
        message.insert("id".into(), json!(id));
        message.insert("cmd".into(), json!(command));
        self.process.send(&Value::Object(message))?;
        Ok(id)
    }

    /// Waits for the answer to a command.
    ///
    /// # Errors
    ///
    /// The command failed (the message is the reference's own), or the time is over.
    pub fn reply(&mut self, id: u64, patience: Duration) -> Result<Value> {
        let reply = self.process.event_where("reply", patience, |reply| reply["id"] == id)?;
        match reply["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok(reply),
        }
    }

    /// Sends a command (`js/lib/peer.js` lists them) and waits for its answer.
    pub fn command(&mut self, command: &str, fields: Value) -> Result<Value> {
        self.command_within(command, fields, PATIENCE)
    }

    /// As `command`, with another limit of time.
    pub fn command_within(&mut self, command: &str, fields: Value, patience: Duration) -> Result<Value> {
        let id = self.send(command, fields)?;
        self.reply(id, patience).with_context(|| format!("command {command} of a stock peer"))
    }

    /// Appends blocks in one batch and returns the new length.
    pub fn append<B: AsRef<[u8]>>(&mut self, blocks: impl IntoIterator<Item = B>) -> Result<u64> {
        let blocks: Vec<String> = blocks.into_iter().map(|block| BASE64.encode(block.as_ref())).collect();
        number_of(&self.command("append", json!({ "blocks": blocks }))?["length"])
    }

    /// Appends generated blocks and returns the new length.
    pub fn append_generated(&mut self, seed: u32, count: u32, size: usize) -> Result<u64> {
        let fields = json!({ "seed": seed, "count": count, "size": size });
        number_of(&self.command_within("append", fields, 10 * PATIENCE)?["length"])
    }

    /// Returns a block, waiting until a peer sends it where it is not here.
    pub fn get(&mut self, index: u64) -> Result<Vec<u8>> {
        let reply = self.command("get", json!({ "index": index }))?;
        data_of(&reply)
    }

    /// Returns the feed's length in blocks.
    pub fn length(&mut self) -> Result<u64> {
        number_of(&self.info()?["length"])
    }

    /// Returns what the command `info` says.
    pub fn info(&mut self) -> Result<Value> {
        self.command("info", json!({}))
    }

    /// Returns the hash over all blocks, to compare with [`checksum`](crate::checksum).
    pub fn checksum(&mut self) -> Result<String> {
        text_of(&self.command_within("checksum", json!({}), 10 * PATIENCE)?["hash"])
    }

    /// Waits until that many blocks are here, counted from now and by asking.
    pub fn wait_downloaded(&mut self, blocks: u64, patience: Duration) -> Result<()> {
        let deadline = std::time::Instant::now() + patience;
        loop {
            let here = number_of(&self.info()?["downloaded"])?;
            if here >= blocks {
                return Ok(());
            }
            ensure!(
                std::time::Instant::now() < deadline,
                "expected {blocks} blocks at a stock peer within {patience:?}, found {here}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes the feeds and ends the process in good order.
    pub fn quit(mut self) -> Result<()> {
        self.command("quit", json!({}))?;
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "expected exit code 0 of a stock peer, found {status}");
        Ok(())
    }
}

fn key_of(value: &Value) -> Result<[u8; 32]> {
    let bytes = HEXLOWER.decode(text_of(value)?.as_bytes())?;
    <[u8; 32]>::try_from(bytes).ok().with_context(|| format!("expected a key of 32 bytes, found {value}"))
}

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("expected a text, found {value}"))
}

fn number_of(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("expected a number, found {value}"))
}

fn data_of(event: &Value) -> Result<Vec<u8>> {
    Ok(BASE64.decode(text_of(&event["data"])?.as_bytes())?)
}
