//! Failures: what is said, with which code, and with which exit code.

use std::io::Write;

use crate::help::snapshot;
use crate::support::{Said, World};

fn told(said: &Said, exit: i32) -> String {
    assert_eq!(said.code, Some(exit), "{said:?}");
    assert_eq!(said.text(), "", "a failure prints no data");
    said.stderr.clone()
}

#[test]
fn failures_are_told_as_stored() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let key = world.json("home", &["info", "chess"])["key"].as_str().unwrap().to_string();
    world.ok("home", &["append", "chess", "e4"]);
    world.ok("home", &["key", "new", "alice"]);
    let cases: &[(&str, &[&str], i32)] = &[
        ("no-such-stream", &["info", "nowhere"], 3),
        ("name-taken", &["new", "chess"], 2),
        ("bad-name", &["new", "a/b"], 2),
        ("identity-taken", &["key", "new", "alice"], 2),
        ("bad-link", &["clone", "dat://abc", "--peer", "127.0.0.1:1"], 2),
        ("beyond-the-end", &["get", "chess", "7"], 3),
        ("cat-beyond-the-end", &["cat", "chess", "--end", "9"], 3),
        ("swapped-range", &["cat", "chess", "--start", "1", "--end", "0"], 2),
        ("clear-without-yes", &["clear", "chess", "0"], 2),
        ("no-proof-file", &["verify", "nowhere.proof"], 2),
        ("no-feed", &["import", "nowhere"], 9),
        ("no-streams", &["share", "--port", "0", "--host", "127.0.0.1"], 3),
        ("unknown-option", &["ls", "--nope"], 2),
        ("no-names", &["clone", "dat://archive.example"], 3),
        ("bad-peer", &["share", "--peer", "dat://x"], 2),
        ("missing-stream", &["cat"], 2),
    ];
    for (name, words, exit) in cases {
        let home = if *name == "no-streams" { "empty" } else { "home" };
        let text = told(&world.run(home, words), *exit);
        let text = text.replace(world.path("").to_str().unwrap(), "ROOT/").replace(&key, "KEY");
        snapshot(&format!("error-{name}"), &text);
    }
}

#[test]
fn failures_are_objects_with_json() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let failure = world.run("home", &["--json", "info", "nowhere"]).failure("E1001", 3);
    assert_eq!(failure["kind"], "not-found");
    assert!(failure["message"].as_str().unwrap().contains("nowhere"));
    world.run("home", &["new", "chess", "--json"]).failure("E1002", 2);
    world.run("home", &["cat", "--json"]).failure("E1011", 2);
    world.run("home", &["--json", "nonsense"]).failure("E1011", 2);
    world.run("home", &["--json", "get", "chess", "0"]).failure("E1006", 3);
    world.run("home", &["--json", "clone", "nonsense", "--peer", "127.0.0.1:1"]).failure("E1004", 2);
}

#[test]
fn a_clone_without_a_peer_ends_with_no_peers() {
    let world = World::new();
    let link = format!("dat://{}", "7".repeat(64));
    let said = world.run("home", &["--json", "--timeout", "1", "clone", &link]);
    said.failure("E4001", 4);
    let said = world.run("home", &["--json", "clone", &link, "--peer", "127.0.0.1:1"]);
    said.failure("E4002", 4);
}

#[test]
fn another_wire_has_an_exit_code_of_its_own() {
    let world = World::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let answer = format!("HTTP/1.0 400 Bad Request\r\n\r\n{}", "no ".repeat(500));
        let mut open = Vec::new();
        for mut connection in server.incoming().map_while(Result::ok) {
            if connection.write_all(answer.as_bytes()).is_ok() {
                open.push(connection);
            }
        }
    });
    let link = format!("dat://{}", "7".repeat(64));
    let said = world.run("home", &["--json", "clone", &link, "--peer", &address]);
    said.failure("E4003", 10);
}

#[test]
fn a_stream_is_held_by_one_process() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let mut holder = world.start("home", &["append", "chess"]);
    holder.send("a\n");
    assert_eq!(holder.line(), "appended 1, length 1");
    let failure = world.run("home", &["--json", "append", "chess", "b"]).failure("E2001", 9);
    assert!(failure["message"].as_str().unwrap().contains("process"), "{failure}");
    holder.close_input();
    assert_eq!(holder.wait(), Some(0));
    assert_eq!(world.ok("home", &["append", "chess", "b"]), "appended 1, length 2\n");
}

#[test]
fn one_node_runs_on_a_home() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let (_node, _) = world.share("home", &[]);
    let said = world.run("home", &["--json", "share", "--port", "0", "--host", "127.0.0.1"]);
    said.failure("E2005", 9);
}

#[test]
fn a_port_that_is_taken_is_an_error_when_it_was_asked_for() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = world.run("home", &["--json", "share", "--host", "127.0.0.1", "--port", &port]);
    said.failure("E4006", 1);
}

#[test]
fn what_the_disk_lost_is_found() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    // Only the end of a feed is looked at when it is opened: a crash can have left it unfinished.
    let lines: String = (0..100).map(|number| format!("block {number}\n")).collect();
    world.run_with("home", &["append", "chess", "--batch"], lines.as_bytes());
    let directory = world.json("home", &["info", "chess"])["directory"].as_str().unwrap().to_string();
    let data = std::path::Path::new(&directory).join("data");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&data, bytes).unwrap();
    let said = world.run("home", &["--json", "audit", "chess"]);
    let failure = said.failure_after_data("E2002", 9);
    assert!(failure["message"].as_str().unwrap().contains("fault"), "{failure}");
    assert_eq!(crate::support::objects(said.text())[0]["schema"], "quorate.audit/1");
}
