//! The stock command `dat`, of both generations.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::{EventProcess, Lan};

/// A generation of the command `dat`; versions are pinned in `js/*/package.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatVersion {
    /// dat 13.13.1: wire A, peers by `dat.local`.
    Dat13,
    /// dat 14.0.3: wire A, peers by `hyperswarm.local`.
    Dat14,
}

impl DatVersion {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::Dat13, Self::Dat14];

    const fn folder(self) -> (&'static str, &'static str) {
        match self {
            Self::Dat13 => ("dat-13", "13.13.1"),
            Self::Dat14 => ("dat-14", "14.0.3"),
        }
    }

    /// Makes a command on a host; `home` takes the secret keys.
    ///
    /// # Errors
    ///
    /// The pinned package is missing; the message says what to run.
    pub fn command(self, lan: &Lan, host: u8, home: &Path, arguments: &[&str]) -> Result<Command> {
        let (folder, version) = self.folder();
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(folder).join("node_modules/dat");
        let manifest = fs::read_to_string(package.join("package.json")).with_context(|| {
            format!(
                "expected the pinned package {folder} at {}, found none: run `cargo xtask peers`",
                package.display()
            )
        })?;
        ensure!(
            manifest.contains(&format!("\"version\": \"{version}\"")),
            "expected dat {version} as pinned: run `cargo xtask peers`"
        );
        let mut command = Command::new("node");
        command.arg(package.join("bin/cli.js")).args(arguments).env("HOME", home);
        Ok(lan.on(host, &command))
    }

    /// Starts the DNS-discovery server that dat 13 comes with, on port 5300 of a host.
    pub fn dns_server(lan: &Lan, host: u8) -> Result<EventProcess> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/dat-13/dns-server.js");
        let mut command = Command::new("node");
        command.arg(script);
        let mut process = EventProcess::start("a discovery server", &mut lan.on(host, &command))?;
        process
            .event("listening", PATIENCE)
            .context("expected dns-discovery of the pinned package dat-13: run `cargo xtask peers`")?;
        Ok(process)
    }

    /// Starts nodes of the BitTorrent DHT that dat 13 comes with on a host, on ports from 6881, and a DNS server by which
    /// stock clients find their first nodes there, those of hyperswarm included.
    pub fn bittorrent_nodes(lan: &Lan, host: u8) -> Result<EventProcess> {
        Self::nodes(lan, host, "dat-13", "bittorrent-dht")
    }

    /// Starts nodes of the DHT of hyperswarm 2 on a host, on ports from 49737.
    pub fn hyperswarm_nodes(lan: &Lan, host: u8) -> Result<EventProcess> {
        Self::nodes(lan, host, "dat-sdk-2", "@hyperswarm/dht")
    }

    fn nodes(lan: &Lan, host: u8, folder: &str, package: &str) -> Result<EventProcess> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(folder).join("dht-nodes.js");
        let mut command = Command::new("node");
        command.arg(script).arg(json!({ "address": lan.address(host) }).to_string());
        let mut process = EventProcess::start("nodes of a DHT", &mut lan.on(host, &command))?;
        process.event("listening", PATIENCE).with_context(|| {
            format!("expected {package} of the pinned package {folder}: run `cargo xtask peers`")
        })?;
        Ok(process)
    }

    /// Starts a DNS server and a web server on a host, by the packages that dat 13 comes with; see `name-server.js`.
    pub fn name_server(lan: &Lan, host: u8, options: &Value) -> Result<EventProcess> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/dat-13/name-server.js");
        let mut command = Command::new("node");
        command.arg(script).arg(options.to_string());
        let mut process = EventProcess::start("a name server", &mut lan.on(host, &command))?;
        process
            .event("listening", PATIENCE)
            .context("expected dns-packet of the pinned package dat-13: run `cargo xtask peers`")?;
        Ok(process)
    }

    /// Shares a folder; returns when its files are in the archive.
    pub fn share(self, lan: &Lan, host: u8, home: &Path, folder: &Path) -> Result<DatProcess> {
        self.share_within(PATIENCE, lan, host, home, folder)
    }

    /// The same with a folder that takes its time.
    pub fn share_within(
        self,
        patience: Duration,
        lan: &Lan,
        host: u8,
        home: &Path,
        folder: &Path,
    ) -> Result<DatProcess> {
        let mut process = self.start_share(lan, host, home, folder)?;
        process.wait_within(patience, "Watching for file updates")?;
        Ok(process)
    }

    /// Begins to share a folder.
    pub fn start_share(self, lan: &Lan, host: u8, home: &Path, folder: &Path) -> Result<DatProcess> {
        DatProcess::start(&mut self.command(lan, host, home, &["share", path(folder)?])?)
    }

    /// Clones an archive into a folder, to the end.
    pub fn clone(self, lan: &Lan, host: u8, home: &Path, key: &str, folder: &Path) -> Result<()> {
        self.start_clone(lan, host, home, key, folder)?.wait()
    }

    /// Begins to clone an archive into a folder; it ends by itself.
    pub fn start_clone(
        self,
        lan: &Lan,
        host: u8,
        home: &Path,
        key: &str,
        folder: &Path,
    ) -> Result<DatProcess> {
        let link = format!("dat://{key}");
        DatProcess::start(&mut self.command(lan, host, home, &["clone", &link, path(folder)?])?)
    }

    /// Keeps a cloned folder up to date.
    pub fn sync(self, lan: &Lan, host: u8, home: &Path, folder: &Path) -> Result<DatProcess> {
        DatProcess::start(&mut self.command(lan, host, home, &["sync", path(folder)?])?)
    }
}

/// A running `dat`; killed when dropped.
#[derive(Debug)]
pub struct DatProcess {
    child: Child,
    said: Arc<Mutex<String>>,
}

/// How long a stock command may take.
const PATIENCE: Duration = Duration::from_secs(90);

impl DatProcess {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let said = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().context("standard output was piped")?;
        let stderr = child.stderr.take().context("standard error was piped")?;
        keep(stdout, Arc::clone(&said));
        keep(stderr, Arc::clone(&said));
        Ok(Self { child, said })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the processor time that the command has taken so far, all threads, in seconds.
    pub fn processor_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).context("the process is gone")?;
        // proc(5): fields 14 and 15, and the name that comes second may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
        ensure!(ticks.len() == 2, "expected two times in {stat:?}");
        // USER_HZ is 100 on every architecture that Node.js runs on.
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    /// Waits until the command has said something.
    pub fn wait_for(&mut self, words: &str) -> Result<()> {
        self.wait_within(PATIENCE, words)
    }

    fn wait_within(&mut self, patience: Duration, words: &str) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self.said().contains(words) {
            if let Some(status) = self.child.try_wait()? {
                bail!("expected dat to say {words:?}, but it ended with {status}:\n{}", self.said());
            }
            ensure!(Instant::now() < deadline, "expected dat to say {words:?}, found:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits for a good end.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "expected dat to end well, found {status}:\n{}", self.said());
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "expected the end of dat, found it running:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns what the command said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for DatProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn keep(mut from: impl Read + Send + 'static, to: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned();
            to.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a test's paths are text")
}

/// Reads the key of the archive in a folder that `dat` shares.
pub fn archive_key(folder: &Path) -> Result<String> {
    Ok(HEXLOWER.encode(&fs::read(folder.join(".dat/metadata.key"))?))
}

/// Lists the files of a folder with their bytes, without what begins with a dot.
pub fn files_in(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current)? {
            let entry = entry?;
            let at = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(at);
            } else {
                files.push((at.strip_prefix(folder)?.to_owned(), fs::read(&at)?));
            }
        }
    }
    files.sort();
    Ok(files)
}
