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

#[test]
fn a_file_of_blocks_that_is_too_short_is_damage() {
    let world = World::new();
    world.ok("home", &["new", "feed"]);
    let lines: String = (0..100).map(|number| format!("block {number}\n")).collect();
    world.run_with("home", &["append", "feed", "--batch"], lines.as_bytes());
    world.ok("home", &["new", "room", "--room"]);
    world.ok("home", &["append", "room", "\"x\""]);
    let text = world.ok("home", &["doctor"]);
    assert!(text.contains("quorate audit STREAM hashes the blocks again"), "{text}");
    for stream in ["feed", "room"] {
        fs::write(world.path("home/streams").join(stream).join("data"), "").unwrap();
        // As often as it is tried.
        for _ in 0..2 {
            let failure = world.run("home", &["--json", "append", stream, "\"y\""]).failure("E2002", 9);
            assert!(failure["message"].as_str().unwrap().contains("nothing was appended"), "{failure}");
            assert_eq!(failure["next"], format!("quorate audit {stream}"));
        }
        let said = world.run("home", &["--json", "doctor"]);
        let failure = said.failure_after_data("E1021", 1);
        assert!(failure["message"].as_str().unwrap().contains(&format!("{stream} is damaged")), "{failure}");
        assert!(failure["next"].as_str().unwrap().contains(&format!("quorate audit {stream}")), "{failure}");
        world.run("home", &["--json", "audit", stream]).failure_after_data("E2002", 9);
        let (_node, _) = world.share("home", &[]);
        world.run("home", &["--json", "append", stream, "\"y\""]).failure("E2002", 9);
        world.run("home", &["--json", "doctor"]).failure_after_data("E1021", 1);
        drop(_node);
        fs::rename(world.path("home/streams").join(stream), world.path(stream)).unwrap();
    }
    // What was cleared is not lost.
    world.ok("home", &["new", "short"]);
    world.run_with("home", &["append", "short", "--batch"], b"one\ntwo\nthree\n");
    world.ok("home", &["clear", "short", "1", "3", "--yes"]);
    assert_eq!(world.ok("home", &["append", "short", "four"]), "appended 1, length 4\n");
    assert_eq!(state(&world.json("home", &["doctor"]), "streams"), "good");
}
