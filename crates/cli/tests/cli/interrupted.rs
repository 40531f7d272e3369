//! Ctrl-C while a room is waited for: one is enough, and what was said is kept.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Running, World};

/// Params of a rule that refuses nothing here.
const LIMIT: &str = "{\"actions\":9,\"blocks\":9}";

/// Time after which a wait has begun, and is not near its end.
const BEGUN: Duration = Duration::from_millis(1500);

/// Time in which an interrupted command ends, on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Interrupts a command that waits, once; returns what it has said on standard error.
fn ends_at_once(running: Running, signal: Signal) -> Vec<String> {
    std::thread::sleep(BEGUN);
    let pressed = Instant::now();
    running.signal(signal);
    let (code, errors) = running.wait_and_hear();
    assert_eq!(code, Some(130), "{errors:?}");
    assert!(pressed.elapsed() < AT_ONCE, "{:?}", pressed.elapsed());
    errors
}

#[test]
fn one_interrupt_ends_the_wait_for_a_commit() {
    let world = World::new();
    let keys = ["host", "bob"]
        .map(|home| world.json(home, &["validator", "key"])["key"].as_str().unwrap().to_string());
    let [own, other] = &keys;
    world.ok("host", &["new", "room", "--validator", own, "--validator", other]);
    let append = ["append", "room", "1", "--wait", "committed", "--timeout", "50"];
    // Without a node, and through one.
    let mut running = world.start("host", &append);
    assert_eq!(running.line(), "appended at 1");
    let errors = ends_at_once(running, Signal::INT).join("\n");
    assert!(errors.contains("interrupted: 1 action appended, not known to be committed"), "{errors}");
    let (_node, _) = world.share("host", &[]);
    let mut running = world.start("host", &append);
    assert_eq!(running.line(), "appended at 2");
    let errors = ends_at_once(running, Signal::TERM).join("\n");
    assert!(errors.contains("interrupted: 1 action appended"), "{errors}");
    // A change of rules waits in the same way.
    let add = [
        "rule",
        "add",
        "room",
        "builtin:rate-limit",
        "--params",
        LIMIT,
        "--wait",
        "committed",
        "--timeout",
        "50",
    ];
    ends_at_once(world.start("host", &add), Signal::INT);
    assert!(world.json("host", &["info", "room"])["length"].as_u64() > Some(3));
}

#[test]
fn one_interrupt_ends_the_wait_for_the_host_and_what_is_said_is_kept() {
    let world = World::new();
    let link = world.json("host", &["new", "room", "--room"])["link"].as_str().unwrap().to_string();
    let (host, address) = world.share("host", &[]);
    world.json("bob", &["clone", &link, "room", "--peer", &address]);
    // Somebody else carries the room: a connection leads on, and the host is away.
    let (_bob, between) = world.share("bob", &[]);
    world.json("alice", &["clone", &link, "room", "--peer", &between]);
    host.interrupt();
    assert_eq!(host.wait(), Some(130));
    let append = ["append", "room", "{\"n\":1}", "--timeout", "50"];
    for waiting in 1..=2 {
        // Without a node, and through one.
        let node = (waiting == 2).then(|| world.share("alice", &["--peer", &between]));
        let mut running = world.start("alice", &append);
        std::thread::sleep(BEGUN);
        let pressed = Instant::now();
        running.interrupt();
        assert_eq!(running.line(), "submitted, waiting for the host");
        let (code, errors) = running.wait_and_hear();
        assert_eq!(code, Some(130), "{errors:?}");
        assert!(pressed.elapsed() < AT_ONCE, "{:?}", pressed.elapsed());
        assert!(errors.join("\n").contains("interrupted: 1 action submitted: kept"), "{errors:?}");
        assert_eq!(world.json("alice", &["info", "room"])["room"]["waiting"], waiting);
        drop(node);
    }
    // It comes back, and gets both.
    let (_host, address) = world.share("host", &[]);
    let (mut alice, _) = world.share("alice", &["--peer", &address]);
    for _ in 0..2 {
        alice.object(|event| event["event"] == "submission" && event["state"] == "appended");
    }
    assert_eq!(world.json("host", &["info", "room"])["length"], json!(3));
}
