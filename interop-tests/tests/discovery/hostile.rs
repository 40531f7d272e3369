//! A host that means no good, on the network of a node that runs: it says what is broken, huge, endless or a lie to the group
//! of multicast DNS, and is the one node of both distributed hash tables that our node is told of.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{EventProcess, Lan, Memory, PATIENCE, Workspace};
use quorate_net::discovery::Topic;
use quorate_types::PublicKey;
use quorate_types::limits::MAX_FOUND_PEERS;
use serde_json::Value;

use crate::support::{Ours, network};

/// How long it goes on.
const SECONDS: u64 = 20;

/// Most memory of the node that is pestered, MiB.
const MOST_MIB: u64 = 64;

/// Hosts: the node that is pestered, whoever pesters it, and an honest one.
const OURS: u8 = 1;
const PEST: u8 = 2;
const HONEST: u8 = 3;

/// A node that looks everywhere, and begins with the pest.
fn everywhere<'a>(lan: &'a Lan, host: u8, workspace: &Workspace) -> Result<Ours<'a>> {
    let mut ours = Ours::new(lan, host, workspace)?;
    ours.set("QUORATE_ANNOUNCE", "lan,dht");
    ours.set("QUORATE_BITTORRENT_NODES", &lan.address(PEST));
    ours.set("QUORATE_HYPERSWARM_NODES", &lan.address(PEST));
    Ok(ours)
}

fn pester(lan: &Lan, key: &str) -> Result<EventProcess> {
    let key: PublicKey = key.parse().ok().context("a key")?;
    let topic = Topic::of(&key.discovery_key()).to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-node"));
    command.args(["pester", &lan.address(PEST), &topic, &SECONDS.to_string()]);
    let mut pest = EventProcess::start("a pest", &mut lan.on(PEST, &command))?;
    pest.event("listening", PATIENCE)?;
    Ok(pest)
}

/// Waits until the pest has said all it had to say.
fn over(pest: &mut EventProcess) -> Result<()> {
    let said = pest.event("said", PATIENCE + Duration::from_secs(SECONDS))?;
    println!("{} datagrams", said["datagrams"]);
    ensure!(said["datagrams"].as_u64() > Some(10_000), "{said}");
    Ok(())
}

/// Checks that a node that was pestered is there, and held no more than it may.
fn check(ours: &Ours<'_>, running: &EventProcess) -> Result<()> {
    let peak = Memory::of(running.id()).peak_mib()?;
    println!("{peak} MiB at most");
    ensure!(peak <= MOST_MIB, "{peak} MiB");
    let states = ours.run(&["peers"])?;
    let state = |service: &str| states.iter().find(|state| state["service"] == service);
    let lan = state("lan").with_context(|| format!("{states:?}"))?;
    ensure!(lan["working"] == true && lan["heard"] != 0, "{lan}");
    ensure!(lan["known"].as_u64() <= Some(MAX_FOUND_PEERS as u64), "{lan}");
    // It has talked with the pest: what was said there was read.
    let asked = |service| state(service).is_some_and(|state| state["asked"].as_u64() > Some(0));
    ensure!(asked("bittorrent") && asked("hyperswarm"), "{states:?}");
    Ok(())
}

fn here(infos: &[Value]) -> Option<u64> {
    infos.first()?["here"].as_u64()
}

#[test]
fn a_node_that_shares_is_found_while_it_is_pestered_and_after() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let ours = everywhere(&lan, OURS, &workspace)?;
    let key = ours.create("stream", &["one", "two"])?;
    let share = ours.share()?;
    let mut pest = pester(&lan, &key)?;
    let honest = Ours::new(&lan, HONEST, &workspace)?;
    ensure!(here(&honest.run(&["clone", &key, "stream"])?) == Some(2));
    over(&mut pest)?;
    check(&ours, &share)?;
    ours.run(&["append", "stream", "three"])?;
    ensure!(here(&honest.run(&["clone", &key, "stream"])?) == Some(3));
    Ok(())
}

#[test]
fn a_node_that_looks_for_a_sharer_finds_it_among_lies() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let honest = Ours::new(&lan, HONEST, &workspace)?;
    let key = honest.create("stream", &["one", "two"])?;
    let ours = everywhere(&lan, OURS, &workspace)?;
    let mut pest = pester(&lan, &key)?;
    let clone = ours.start(&["clone", &key, "stream", "--live", "--timeout", "300"])?;
    // Its table is full of strangers by now.
    std::thread::sleep(Duration::from_secs(5));
    let share = honest.share()?;
    crate::support::until("the blocks", PATIENCE, || Ok(here(&ours.run(&["info", "stream"])?) == Some(2)))?;
    over(&mut pest)?;
    check(&ours, &clone)?;
    drop(share);
    Ok(())
}
