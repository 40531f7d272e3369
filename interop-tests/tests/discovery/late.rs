//! Whoever comes late is found, and connected, within 5 s of the first word that it says: on either side, in both dialects.
//!
//! Until a stock client speaks its own start takes what it takes; a third host hears when it does.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{
    DatProcess, DatVersion, EventProcess, Lan, PATIENCE, SwarmPackage, SwarmPeer, Workspace, archive_key,
};

use crate::support::{Ours, directory, network, until};

/// Time from the first word to the connection.
const SOON: Duration = Duration::from_secs(5);

/// Time after which the first questions of the one who waits are over.
const OVER: Duration = Duration::from_secs(7);

/// Hosts of a test: ours, the stock client, and one that listens.
const OURS: u8 = 1;
const STOCK: u8 = 2;
const EAR: u8 = 3;

/// A stock client that finds peers by itself.
#[derive(Debug, Clone, Copy)]
enum Client {
    Dat(DatVersion),
    Swarm(SwarmPackage),
}

impl Client {
    const ALL: [Self; 4] = [
        Self::Dat(DatVersion::Dat13),
        Self::Dat(DatVersion::Dat14),
        Self::Swarm(SwarmPackage::DatSdk),
        Self::Swarm(SwarmPackage::Hyperspace),
    ];
}

/// It runs as long as this is held.
enum Running {
    Dat { _process: DatProcess },
    Swarm { peer: SwarmPeer },
}

impl From<DatProcess> for Running {
    fn from(process: DatProcess) -> Self {
        Self::Dat { _process: process }
    }
}

/// A network with the three hosts.
struct Scene<'a> {
    lan: &'a Lan,
    workspace: Workspace,
    client: Client,
    ear: EventProcess,
}

impl<'a> Scene<'a> {
    fn new(lan: &'a Lan, client: Client) -> Result<Self> {
        let mut listen = Command::new(env!("CARGO_BIN_EXE_test-node"));
        listen.args(["listen", &lan.address(EAR)]);
        let mut ear = EventProcess::start("a listener", &mut lan.on(EAR, &listen))?;
        ear.event("listening", PATIENCE)?;
        Ok(Self { lan, workspace: Workspace::new()?, client, ear })
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        directory(&self.workspace, name)
    }

    /// The stock client shares again what it shared before. Nothing of it is waited for.
    fn stock_shares_again(&self, key: &str) -> Result<Running> {
        match self.client {
            Client::Dat(dat) => {
                let (home, shared) = (self.workspace.join("dat-home"), self.path("shared")?);
                Ok(dat.start_share(self.lan, STOCK, &home, &shared)?.into())
            }
            Client::Swarm(_) => {
                let (running, again) = self.stock_shares()?;
                ensure!(again == key, "{:?} goes on with what it shared", self.client);
                Ok(running)
            }
        }
    }

    /// The stock client shares what it makes; returns when it is ready.
    fn stock_shares(&self) -> Result<(Running, String)> {
        match self.client {
            Client::Dat(dat) => {
                let shared = self.path("shared")?;
                std::fs::write(shared.join("file"), "file")?;
                let process = dat.share(self.lan, STOCK, &self.workspace.join("dat-home"), &shared)?;
                Ok((process.into(), archive_key(&shared)?))
            }
            Client::Swarm(package) => {
                let peer = SwarmPeer::start(package, self.lan, STOCK, &self.workspace.join("peer"), None)?;
                let key = peer.key().to_owned();
                Ok((Running::Swarm { peer }, key))
            }
        }
    }

    /// Makes a stream that we have and nobody else who runs.
    fn ours_has_one(&self, ours: &Ours<'_>) -> Result<String> {
        match self.client {
            Client::Dat(_) => {
                let (_running, key) = self.stock_shares()?;
                ours.run(&["clone", &format!("dat://{key}"), "stream"])?;
                Ok(key)
            }
            Client::Swarm(_) => ours.create("stream", &["one"]),
        }
    }

    /// The stock client looks for what it does not have. `dat clone` gives up when nobody answers at once; what waits is
    /// `dat sync`, in a folder that was cloned before.
    fn stock_looks(&self, key: &str, cloned_before: bool) -> Result<Running> {
        let home = self.workspace.join("other-home");
        let folder = self.workspace.join("cloned");
        match self.client {
            Client::Dat(dat) if cloned_before => Ok(dat.sync(self.lan, STOCK, &home, &folder)?.into()),
            Client::Dat(dat) => Ok(dat.start_clone(self.lan, STOCK, &home, key, &folder)?.into()),
            Client::Swarm(package) => {
                let at = self.workspace.join("peer");
                Ok(Running::Swarm { peer: SwarmPeer::start(package, self.lan, STOCK, &at, Some(key))? })
            }
        }
    }

    /// Waits until a host speaks; returns when, milliseconds since 1970.
    fn first_word(&mut self, host: u8, since: u64) -> Result<u64> {
        let from = self.lan.address(host);
        let is_it = |said: &serde_json::Value| {
            said["from"] == from.as_str() && said["ms"].as_u64().is_some_and(|ms| ms >= since)
        };
        self.ear.event_where("said", PATIENCE, is_it)?["ms"].as_u64().context("a time")
    }

    fn check(&self, what: &str, first_word: u64) -> Result<()> {
        let took = Duration::from_millis(now().saturating_sub(first_word));
        println!("{:?}: {what}: {took:?}", self.client);
        ensure!(took < SOON, "{:?}: {what} took {took:?}", self.client);
        Ok(())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// Waits until we are connected with a host.
fn until_connected(share: &mut EventProcess, lan: &Lan, host: u8) -> Result<()> {
    let there = format!("{}:", lan.address(host));
    share.event_where("connected", PATIENCE, |event| {
        event["peer"].as_str().is_some_and(|peer| peer.starts_with(&there))
    })?;
    Ok(())
}

/// The same of a command that prints no events before it is done.
fn until_listed(ours: &Ours<'_>, lan: &Lan, host: u8) -> Result<()> {
    let there = format!("{}:", lan.address(host));
    until("a connection", PATIENCE, || {
        let peers = ours.run(&["peers"])?;
        Ok(peers.iter().any(|peer| {
            peer["schema"] == "quorate.peer/1"
                && peer["address"].as_str().is_some_and(|address| address.starts_with(&there))
        }))
    })
}

#[test]
fn a_stock_client_that_comes_late_finds_us() -> Result<()> {
    for client in Client::ALL {
        let Some(lan) = network(3)? else { return Ok(()) };
        let mut scene = Scene::new(&lan, client)?;
        let ours = Ours::new(&lan, OURS, &scene.workspace)?;
        let key = scene.ours_has_one(&ours)?;
        let mut share = ours.share()?;
        std::thread::sleep(OVER);
        let since = now();
        let _late = scene.stock_looks(&key, false)?;
        let first_word = scene.first_word(STOCK, since)?;
        until_connected(&mut share, &lan, STOCK)?;
        scene.check("a late client, and we share", first_word)?;
    }
    Ok(())
}

#[test]
fn a_stock_client_that_shares_late_is_found_by_us() -> Result<()> {
    for client in Client::ALL {
        let Some(lan) = network(3)? else { return Ok(()) };
        let mut scene = Scene::new(&lan, client)?;
        let (running, key) = scene.stock_shares()?;
        if let Running::Swarm { mut peer } = running {
            peer.append(["one"])?;
        }
        let ours = Ours::new(&lan, OURS, &scene.workspace)?;
        let _clone = ours.start(&["clone", &key, "stream", "--live", "--timeout", "300"])?;
        std::thread::sleep(OVER);
        let since = now();
        let _late = scene.stock_shares_again(&key)?;
        let first_word = scene.first_word(STOCK, since)?;
        until_listed(&ours, &lan, STOCK)?;
        scene.check("a late sharer, and we wait", first_word)?;
        until("the first block", PATIENCE, || {
            Ok(ours.run(&["info", "stream"])?[0]["here"].as_u64() >= Some(1))
        })?;
    }
    Ok(())
}

#[test]
fn we_come_late_and_find_a_stock_client_that_shares() -> Result<()> {
    for client in Client::ALL {
        let Some(lan) = network(3)? else { return Ok(()) };
        let mut scene = Scene::new(&lan, client)?;
        let (mut running, key) = scene.stock_shares()?;
        if let Running::Swarm { peer } = &mut running {
            peer.append(["one"])?;
        }
        std::thread::sleep(OVER);
        let ours = Ours::new(&lan, OURS, &scene.workspace)?;
        let since = now();
        let _clone = ours.start(&["clone", &key, "stream", "--live", "--timeout", "300"])?;
        let first_word = scene.first_word(OURS, since)?;
        until_listed(&ours, &lan, STOCK)?;
        scene.check("a client that shares, and we come late", first_word)?;
    }
    Ok(())
}

#[test]
fn we_share_late_and_find_a_stock_client_that_waits() -> Result<()> {
    for client in Client::ALL {
        let Some(lan) = network(3)? else { return Ok(()) };
        let mut scene = Scene::new(&lan, client)?;
        let ours = Ours::new(&lan, OURS, &scene.workspace)?;
        let key = scene.ours_has_one(&ours)?;
        if let Client::Dat(dat) = client {
            let _share = ours.share()?;
            let folder = scene.workspace.join("cloned");
            dat.clone(&lan, STOCK, &scene.workspace.join("other-home"), &key, &folder)?;
        }
        let since = now();
        let _waits = scene.stock_looks(&key, true)?;
        scene.first_word(STOCK, since)?;
        std::thread::sleep(OVER);
        let since = now();
        let mut share = ours.share()?;
        let first_word = scene.first_word(OURS, since)?;
        until_connected(&mut share, &lan, STOCK)?;
        scene.check("a client that waits, and we share late", first_word)?;
    }
    Ok(())
}

#[test]
fn a_peer_that_was_lost_is_found_when_it_comes_back() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let mut scene = Scene::new(&lan, Client::Swarm(SwarmPackage::DatSdk))?;
    let other = Ours::new(&lan, STOCK, &scene.workspace)?;
    let key = other.create("stream", &["one"])?;
    let share = other.share()?;
    let ours = Ours::new(&lan, OURS, &scene.workspace)?;
    let _clone = ours.start(&["clone", &key, "stream", "--live", "--timeout", "300"])?;
    until_listed(&ours, &lan, STOCK)?;
    drop(share);
    // It is tried again after longer and longer times: the third time in four seconds, the fourth in eight.
    std::thread::sleep(Duration::from_secs(8));
    let since = now();
    let _share = other.share()?;
    let first_word = scene.first_word(STOCK, since)?;
    until_listed(&ours, &lan, STOCK)?;
    scene.check("a node of ours that comes back", first_word)
}
