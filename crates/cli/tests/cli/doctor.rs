//! `quorate doctor`, with nothing said on the network.

use std::fs;

use serde_json::Value;

use crate::support::World;

fn state<'a>(report: &'a Value, check: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check);
    found.unwrap_or_else(|| panic!("{check}: {report}"))["state"].as_str().unwrap()
}

#[test]
fn a_new_home_is_well_and_nothing_is_made_up() {
    let world = World::new();
    let report = world.json("home", &["doctor"]);
    assert_eq!((&report["schema"], &report["healthy"]), (&"quorate.doctor/1".into(), &true.into()));
    for check in ["home", "disk", "clock", "streams", "port"] {
        assert_eq!(state(&report, check), "good", "{report}");
    }
    for check in ["multicast", "servers"] {
        assert_eq!(state(&report, check), "skipped", "{report}");
    }
    let text = world.ok("home", &["doctor"]);
    assert!(text.lines().any(|line| line.contains("streams") && line.contains("0 streams")), "{text}");
}

#[test]
fn a_damaged_stream_is_told_and_the_others_are_looked_at() {
    let world = World::new();
    for name in ["bad", "good"] {
        world.ok("home", &["new", name]);
        world.ok("home", &["append", name, "x"]);
    }
    fs::write(world.path("home/streams/bad/key"), "short").unwrap();
    let said = world.run("home", &["--json", "doctor"]);
    let failure = said.failure_after_data("E1021", 1);
    assert!(failure["message"].as_str().unwrap().contains("bad"), "{failure}");
    let report: Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!(report["healthy"], false);
    assert_eq!(state(&report, "streams"), "bad");
    assert_eq!(report["checks"].as_array().unwrap().iter().filter(|it| it["state"] == "bad").count(), 1);
}

#[test]
fn a_running_node_and_a_peer_are_told() {
    let world = World::new();
    let link = world.ok("home", &["new", "feed"]).trim_end().to_string();
    world.ok("home", &["append", "feed", "x"]);
    let (_node, address) = world.share("home", &[]);
    let report = world.json("home", &["doctor"]);
    assert_eq!(state(&report, "streams"), "good");
    assert!(report["checks"].to_string().contains("a node runs on this home"), "{report}");
    // It announces nothing, so its port is not known.
    assert_eq!(state(&report, "port"), "skipped");
    let report = world.json("other", &["doctor", &link, "--peer", &address]);
    assert_eq!(state(&report, "link"), "good");
    assert!(report["checks"].to_string().contains("1 block, from"), "{report}");
    assert!(!world.path("other/streams/feed").exists());
}

#[test]
fn a_stream_that_nobody_carries_is_told() {
    let world = World::new();
    let link = format!("dat://{}", "ab".repeat(32));
    let nowhere = world.run("home", &["--json", "doctor", &link]);
    let failure = nowhere.failure_after_data("E1021", 1);
    assert!(failure["message"].as_str().unwrap().contains("--announce is none"), "{failure}");
    let said = world.run("home", &["--json", "--timeout", "1", "doctor", &link, "--peer", "127.0.0.1:1"]);
    assert_eq!(state(&serde_json::from_str(said.text()).unwrap(), "link"), "bad");
    said.failure_after_data("E1021", 1);
}
