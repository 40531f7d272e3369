//! The distributed hash tables of BitTorrent and of hyperswarm, where multicast goes nowhere.
//!
//! Host 1 has the nodes of both, as the stock packages run them, and the names that stock clients begin with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{
    DatVersion, EventProcess, Lan, SwarmPackage, SwarmPeer, Workspace, archive_key, files_in,
};
use serde_json::Value;

use crate::support::{Ours, directory, network_without_multicast, until};

/// Time in which somebody is found who is there.
const SOON: Duration = Duration::from_secs(60);

/// The nodes of both tables.
struct Tables {
    bittorrent: EventProcess,
    hyperswarm: EventProcess,
}

impl Tables {
    fn start(lan: &Lan) -> Result<Self> {
        let bittorrent = DatVersion::bittorrent_nodes(lan, 1)?;
        Ok(Self { bittorrent, hyperswarm: DatVersion::hyperswarm_nodes(lan, 1)? })
    }

    /// The table that a generation of dat looks into.
    fn of(&mut self, dat: DatVersion) -> &mut EventProcess {
        match dat {
            DatVersion::Dat13 => &mut self.bittorrent,
            DatVersion::Dat14 => &mut self.hyperswarm,
        }
    }
}

/// A node of ours that knows both tables, and nothing else.
fn ours<'a>(lan: &'a Lan, host: u8, workspace: &Workspace) -> Result<Ours<'a>> {
    let mut ours = Ours::new(lan, host, workspace)?;
    ours.set("QUORATE_ANNOUNCE", "dht");
    ours.set("QUORATE_BITTORRENT_NODES", &format!("{}:6881", lan.address(1)));
    ours.set("QUORATE_HYPERSWARM_NODES", &lan.address(1));
    Ok(ours)
}

/// Waits until a host has announced itself at a node.
fn announced(table: &mut EventProcess, lan: &Lan, host: u8) -> Result<Value> {
    let at = lan.address(host);
    table.event_where("announced", SOON, |event| event["host"] == at.as_str())
}

fn state(listed: &[Value], service: &str) -> Result<Value> {
    let found = listed.iter().find(|object| object["service"] == service);
    found.cloned().with_context(|| format!("expected the state of {service}, found {listed:?}"))
}

fn write_files(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("sub"))?;
    fs::write(folder.join("hello.txt"), "hello")?;
    fs::write(folder.join("sub/large.bin"), vec![7; 300_000])?;
    Ok(())
}

#[test]
fn a_feed_of_ours_is_found_by_stock_peers_of_hyperswarm() -> Result<()> {
    for package in SwarmPackage::ALL {
        let Some(lan) = network_without_multicast(3)? else { return Ok(()) };
        let mut tables = Tables::start(&lan)?;
        let workspace = Workspace::new()?;
        let ours = ours(&lan, 2, &workspace)?;
        let key = ours.create("feed", &["one", "two"])?;
        let mut share = ours.share()?;
        let event = announced(&mut tables.hyperswarm, &lan, 2)?;
        ensure!(event["port"] == 3282, "{event}");
        let bootstrap = [format!("{}:49737", lan.address(1))];
        let at = workspace.join("peer");
        let mut peer = SwarmPeer::start_with(package, &lan, 3, &at, Some(&key), &bootstrap)?;
        ensure!(peer.get(1)? == b"two", "{package:?}");
        share.event("connected", SOON)?;
        ours.run(&["append", "feed", "three"])?;
        ensure!(peer.get(2)? == b"three", "{package:?}");
        let state = state(&ours.run(&["peers"])?, "hyperswarm")?;
        ensure!(state["working"] == true && state["answered"] != 0 && state["port"] == 3282, "{state}");
        // Who ends in good order takes back what was announced.
        ensure!(Command::new("kill").args(["-INT", &share.id().to_string()]).status()?.success());
        let event = tables.hyperswarm.event("unannounced", SOON)?;
        ensure!(event["host"] == lan.address(2).as_str() && event["port"] == 3282, "{event}");
    }
    Ok(())
}

#[test]
fn a_feed_of_stock_peers_of_hyperswarm_is_found() -> Result<()> {
    for package in SwarmPackage::ALL {
        let Some(lan) = network_without_multicast(3)? else { return Ok(()) };
        let mut tables = Tables::start(&lan)?;
        let workspace = Workspace::new()?;
        let bootstrap = [format!("{}:49737", lan.address(1))];
        let at = workspace.join("peer");
        let mut peer = SwarmPeer::start_with(package, &lan, 3, &at, None, &bootstrap)?;
        peer.append(["one", "two"])?;
        announced(&mut tables.hyperswarm, &lan, 3)?;
        let ours = ours(&lan, 2, &workspace)?;
        let cloned = ours.run(&["clone", peer.key(), "feed"])?;
        ensure!(cloned[0]["here"] == 2, "{package:?}: {cloned:?}");
    }
    Ok(())
}

#[test]
fn an_archive_goes_from_stock_dat_to_us_and_from_us_to_stock_dat() -> Result<()> {
    for dat in DatVersion::ALL {
        let Some(lan) = network_without_multicast(4)? else { return Ok(()) };
        let mut tables = Tables::start(&lan)?;
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let sharer = dat.share(&lan, 3, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        announced(tables.of(dat), &lan, 3)?;
        let ours = ours(&lan, 2, &workspace)?;
        let cloned = ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        ensure!(cloned[0]["archive"]["files"] == 2, "{dat:?}: {cloned:?}");
        // Now nobody but us has it.
        drop(sharer);
        let _share = ours.share()?;
        let event = announced(tables.of(dat), &lan, 2)?;
        ensure!(event["port"] == 3282, "{event}");
        let again = workspace.join("again");
        dat.clone(&lan, 4, &workspace.join("other-home"), &key, &again)?;
        ensure!(files_in(&again)? == files_in(&shared)?, "{dat:?}");
    }
    Ok(())
}

#[test]
fn our_node_is_the_bridge_between_the_tables() -> Result<()> {
    for (sharer, cloner) in [(DatVersion::Dat13, DatVersion::Dat14), (DatVersion::Dat14, DatVersion::Dat13)] {
        let Some(lan) = network_without_multicast(4)? else { return Ok(()) };
        let mut tables = Tables::start(&lan)?;
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let _dat = sharer.share(&lan, 3, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        announced(tables.of(sharer), &lan, 3)?;
        let ours = ours(&lan, 2, &workspace)?;
        ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        let _share = ours.share()?;
        announced(tables.of(cloner), &lan, 2)?;
        let cloned = workspace.join("cloned");
        cloner.clone(&lan, 4, &workspace.join("other-home"), &key, &cloned)?;
        ensure!(files_in(&cloned)? == files_in(&shared)?, "{sharer:?} to {cloner:?}");
    }
    Ok(())
}

#[test]
fn each_table_alone_brings_our_nodes_together_and_tells_how_it_stands() -> Result<()> {
    for (table, other) in [("bittorrent", "hyperswarm"), ("hyperswarm", "bittorrent")] {
        let Some(lan) = network_without_multicast(3)? else { return Ok(()) };
        let _tables = Tables::start(&lan)?;
        let workspace = Workspace::new()?;
        let node = |host| -> Result<Ours<'_>> {
            let mut node = ours(&lan, host, &workspace)?;
            let variable = match other {
                "hyperswarm" => "QUORATE_HYPERSWARM_NODES",
                _ => "QUORATE_BITTORRENT_NODES",
            };
            node.set(variable, "none");
            Ok(node)
        };
        let (first, second) = (node(2)?, node(3)?);
        // The clone waits: it has asked before anybody was there.
        let key = first.create("feed", &["one"])?;
        let _clone = second.start(&["clone", &key, "feed", "--live", "--timeout", "300"])?;
        std::thread::sleep(Duration::from_secs(3));
        let _share = first.share()?;
        until("the block", SOON, || Ok(second.run(&["info", "feed"])?[0]["here"] == 1))?;
        let listed = first.run(&["peers"])?;
        ensure!(listed.iter().filter(|object| object["service"].is_string()).count() == 1, "{listed:?}");
        let told = state(&listed, table)?;
        ensure!(told["working"] == true && told["answered"] != 0, "{told}");
        let shown = &first.run(&["info", "feed"])?[0]["discovery"][0];
        ensure!(
            shown["service"] == table
                && shown["state"].as_str().is_some_and(|it| it.contains("nodes answer")),
            "{shown}"
        );
        let told = state(&second.run(&["peers"])?, table)?;
        ensure!(told["heard"] != 0 && told["port"].is_null() && told["answered"] == 0, "{told}");
    }
    Ok(())
}

#[test]
fn the_doctor_says_which_table_answers() -> Result<()> {
    let Some(lan) = network_without_multicast(2)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let ours = ours(&lan, 2, &workspace)?;
    let says = |ours: &Ours<'_>| -> Result<Vec<(bool, String)>> {
        let report = ours.report(&["doctor"])?;
        let checks = report["checks"].as_array().context("a report has checks")?;
        let of_dht = checks.iter().filter(|check| check["check"] == "dht");
        Ok(of_dht
            .map(|check| (check["state"] == "good", check["says"].as_str().unwrap_or("").to_owned()))
            .collect())
    };
    let silent = [(false, "BitTorrent's does not answer"), (false, "hyperswarm's does not answer")];
    let expected = |list: [(bool, &str); 2]| list.map(|(good, text)| (good, text.to_owned())).to_vec();
    ensure!(says(&ours)? == expected(silent), "{:?}", says(&ours)?);
    let _table = DatVersion::hyperswarm_nodes(&lan, 1)?;
    let one = [(false, "BitTorrent's does not answer"), (true, "hyperswarm's answers")];
    ensure!(says(&ours)? == expected(one), "{:?}", says(&ours)?);
    Ok(())
}
