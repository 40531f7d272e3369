//! Plain feeds: dat-sdk 2, hyperspace 3, and our own nodes.

use std::time::{Duration, Instant};

use anyhow::Result;
use quorate_interop_tests::{DatVersion, SwarmPackage, SwarmPeer, Workspace};

use crate::support::{Ours, network, until};

/// Time within which a peer is found and the first block is fetched, with the time that programs take to start on a busy machine.
/// No client asks again so soon (30 s). How long finding alone takes is measured in `late.rs`.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn stock_peers_find_a_feed_of_ours() -> Result<()> {
    for package in SwarmPackage::ALL {
        let Some(lan) = network(2)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let ours = Ours::new(&lan, 1, &workspace)?;
        let key = ours.create("feed", &["one", "two"])?;
        let mut share = ours.share()?;
        let mut peer = SwarmPeer::start(package, &lan, 2, &workspace.join("peer"), Some(&key))?;
        let started = Instant::now();
        assert_eq!(peer.get(1)?, b"two", "{package:?}");
        assert!(started.elapsed() < SOON, "{package:?} took {:?}", started.elapsed());
        assert_eq!(peer.get(0)?, b"one");
        // What is appended later comes, too.
        ours.run(&["append", "feed", "three"])?;
        assert_eq!(peer.get(2)?, b"three");
        share.event("connected", SOON)?;
        let states = ours.run(&["peers"])?;
        let lan_state = states.iter().find(|state| state["schema"] == "quorate.discovery/1");
        assert!(
            lan_state.is_some_and(|state| state["working"] == true && state["answered"] != 0),
            "{states:?}"
        );
    }
    Ok(())
}

#[test]
fn a_feed_of_stock_peers_is_found() -> Result<()> {
    for package in SwarmPackage::ALL {
        let Some(lan) = network(2)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let mut peer = SwarmPeer::start(package, &lan, 2, &workspace.join("peer"), None)?;
        peer.append(["one", "two"])?;
        let ours = Ours::new(&lan, 1, &workspace)?;
        let started = Instant::now();
        let cloned = ours.run(&["clone", peer.key(), "feed"])?;
        assert!(started.elapsed() < SOON, "{package:?} took {:?}", started.elapsed());
        assert_eq!(cloned[0]["here"], 2, "{package:?}");
        let payloads = ours.run(&["cat", "feed", "--encoding", "utf-8"])?;
        assert_eq!(payloads.iter().map(|block| &block["payload"]).collect::<Vec<_>>(), ["one", "two"]);
    }
    Ok(())
}

#[test]
fn our_nodes_find_each_other_and_keep_one_connection() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let first = Ours::new(&lan, 1, &workspace)?;
    let key = first.create("feed", &["one", "two", "three"])?;
    let _first = first.share()?;
    let others = [Ours::new(&lan, 2, &workspace)?, Ours::new(&lan, 3, &workspace)?];
    for other in &others {
        assert_eq!(other.run(&["clone", &key, "feed"])?[0]["here"], 3);
    }
    let _shares = [others[0].share()?, others[1].share()?];
    let connections = |node: &Ours| -> Result<usize> {
        let listed = node.run(&["peers"])?;
        Ok(listed.iter().filter(|peer| peer["schema"] == "quorate.peer/1").count())
    };
    // Everyone dials everyone, and connections that cross are settled.
    for node in [&first, &others[0], &others[1]] {
        until("two connections", Duration::from_secs(10), || Ok(connections(node)? == 2))?;
    }
    std::thread::sleep(Duration::from_secs(3));
    for node in [&first, &others[0], &others[1]] {
        assert_eq!(connections(node)?, 2);
    }
    Ok(())
}

#[test]
fn a_discovery_server_of_dat_13_brings_nodes_together() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let mut server = DatVersion::dns_server(&lan, 1)?;
    let at = format!("{}:5300", lan.address(1));
    let by_server = ["--announce", "dns", "--dns-server", &at];
    let ours = Ours::new(&lan, 2, &workspace)?;
    let key = ours.create("feed", &["one"])?;
    let _share = ours.start(&[&["share"], &by_server[..]].concat())?;
    let announced = server.event("announced", Duration::from_secs(10))?;
    assert_eq!((&announced["host"], &announced["port"]), (&lan.address(2).into(), &3282.into()));
    let other = Ours::new(&lan, 3, &workspace)?;
    let cloned = other.run(&[&["clone", key.as_str(), "feed"], &by_server[..]].concat())?;
    assert_eq!(cloned[0]["here"], 1);
    let states = ours.run(&["peers"])?;
    let state = states.iter().find(|state| state["service"] == "dns");
    assert!(state.is_some_and(|state| state["working"] == true), "{states:?}");
    assert!(!states.iter().any(|state| state["service"] == "lan"), "{states:?}");
    Ok(())
}

#[test]
fn a_clone_that_waits_hears_of_a_sharer_from_the_server() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let _server = DatVersion::dns_server(&lan, 1)?;
    let at = format!("{}:5300", lan.address(1));
    let by_server = ["--announce", "dns", "--dns-server", &at];
    let ours = Ours::new(&lan, 2, &workspace)?;
    let key = ours.create("feed", &["one"])?;
    let other = Ours::new(&lan, 3, &workspace)?;
    let _clone = other.start(&[&["clone", key.as_str(), "feed", "--live"], &by_server[..]].concat())?;
    std::thread::sleep(Duration::from_secs(3));
    // It has asked, and asks again in a minute: the server tells it before that.
    let _share = ours.start(&[&["share"], &by_server[..]].concat())?;
    until("the block", Duration::from_secs(15), || Ok(other.run(&["info", "feed"])?[0]["here"] == 1))
}

#[test]
fn nothing_is_said_where_none_is_asked_for() -> Result<()> {
    let Some(lan) = network(2)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let ours = Ours::new(&lan, 1, &workspace)?;
    let key = ours.create("feed", &["one"])?;
    let _share = ours.start(&["share", "--announce", "none"])?;
    let other = Ours::new(&lan, 2, &workspace)?;
    let refused = other.run(&["clone", &key, "--timeout", "3"]).unwrap_err().to_string();
    assert!(refused.contains("E4001"), "{refused}");
    Ok(())
}

#[test]
fn the_doctor_hears_itself_and_finds_who_shares() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let _server = DatVersion::dns_server(&lan, 3)?;
    let at = format!("{}:5300", lan.address(3));
    let ours = Ours::new(&lan, 1, &workspace)?;
    let key = ours.create("feed", &["one", "two"])?;
    let _share = ours.share()?;
    let other = Ours::new(&lan, 2, &workspace)?;
    let asked = ["doctor", &key, "--announce", "lan,dns", "--dns-server", &at];
    let report = other.run(&asked)?.pop().unwrap_or_default();
    assert_eq!(report["healthy"], true, "{report}");
    let says = |check: &str| {
        let checks = report["checks"].as_array();
        let found = checks.and_then(|checks| checks.iter().find(|found| found["check"] == check));
        found.and_then(|found| found["says"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(says("multicast"), format!("works on eth0 {}", lan.address(2)), "{report}");
    assert_eq!(says("servers"), format!("{} answers", lan.address(3)), "{report}");
    assert!(says("link").starts_with(&format!("2 blocks, from {}:3282", lan.address(1))), "{report}");
    // The node that shares is reached where it announces.
    let report = ours.run(&["doctor"])?.pop().unwrap_or_default();
    assert!(report.to_string().contains("3282: the node on this home announces it"), "{report}");
    // A server that is not there is said.
    let nobody = format!("{}:5301", lan.address(3));
    let refused =
        other.run(&["doctor", "--announce", "dns", "--dns-server", &nobody]).unwrap_err().to_string();
    assert!(refused.contains("does not answer") && refused.contains("E1021"), "{refused}");
    Ok(())
}
