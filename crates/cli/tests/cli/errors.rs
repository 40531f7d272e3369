//! Failures: what is said, with which code, and with which exit code.

use std::io::Write;

use crate::help::snapshot;
use crate::support::{Said, World, bare, finish};

fn told(said: &Said, exit: i32) -> String {
    assert_eq!(said.code, Some(exit), "{said:?}");
    assert_eq!(said.text(), "", "a failure prints no data");
    said.stderr.clone()
}

#[test]
fn commands_to_type_next_name_the_home_that_was_given() {
    let world = World::new();
    let home = world.path("elsewhere").display().to_string();
    let run = |words: &[&str]| finish(&mut bare(&[&["--home", &home], words].concat()), b"");
    let white = "1".repeat(64);
    let params = format!("{{\"white\":\"{white}\",\"black\":\"{}\"}}", "2".repeat(64));
    let made = run(&["new", "room", "--rule", "builtin:chess", "--params", &params]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.stderr.contains(&format!(
            "next: quorate --home {home} append room '{{\"move\":\"e2e4\"}}' --as WHITE\n"
        ))
    );
    assert!(made.stderr.contains("      quorate clone dat://"), "it is for another home: {made:?}");
    for (words, next) in [
        (&["info", "nowhere"][..], "ls"),
        (&["votes", "room"], "info room"),
        (&["fork", "show", "room", "0000"], "fork ls room"),
    ] {
        let said = run(words);
        assert!(said.stderr.contains(&format!("next: quorate --home {home} {next}\n")), "{said:?}");
    }
    assert!(!run(&["rule", "check", "nowhere"]).stderr.contains("--home "));
    std::fs::write(world.path("t.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let file = world.path("t.wasm").display().to_string();
    let twice = format!("{file}:a");
    let said = run(&["new", "two", "--rule", &twice, "--rule", &twice]);
    assert!(said.stderr.contains(&format!("next: --rule {file}:OTHER-NAME\n")), "{said:?}");
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

/// What answers in text is no peer, however short the answer is, and however it ends.
#[test]
fn a_short_answer_is_another_wire_too() {
    let world = World::new();
    for answer in ["HTTP/1.0 400 Bad Request\r\n\r\n", "500\r\n"] {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for mut connection in server.incoming().map_while(Result::ok) {
                // All that was sent is read first: else the answer may be lost with the connection.
                let mut bytes = [0; 512];
                let _ = std::io::Read::read(&mut connection, &mut bytes);
                let _ = connection.write_all(answer.as_bytes());
            }
        });
        let link = format!("dat://{}", "7".repeat(64));
        let said = world.run("home", &["--json", "clone", &link, "--peer", &address]);
        said.failure("E4003", 10);
    }
}

#[test]
fn wrong_usage_has_its_code_in_words_too() {
    let world = World::new();
    for words in [
        &["ls", "--nope"][..],
        &["cat"],
        &["nonsense"],
        &["cat", "a", "--start", "x"],
        &["ls", "-q", "-v"],
        &[],
    ] {
        let said = world.run("home", words);
        assert_eq!(said.code, Some(2), "{said:?}");
        let first = said.stderr.split("\n\n").next().unwrap();
        assert!(first.starts_with("error: ") && first.ends_with("  (E1011)"), "{words:?}: {first}");
        world.run("home", &[&["--json"], words].concat()).failure("E1011", 2);
    }
}

#[test]
fn what_is_kept_about_a_stream_is_told_with_its_line() {
    let world = World::new();
    world.ok("home", &["new", "chess"]);
    let file = world.path("home/streams/chess/quorate.json");
    std::fs::write(&file, "{\n  \"schema\": \"quorate.stream/1\",\n  \"peers\": 3\n}\n").unwrap();
    for words in [&["info", "chess"][..], &["append", "chess", "e4"], &["ls"]] {
        let failure = world.run("home", &[&["--json"], words].concat()).failure("E2002", 9);
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("line 3 of") && message.contains("chess/quorate.json"), "{message}");
        assert!(message.contains("expected a sequence"), "{message}");
        let next = failure["next"].as_str().unwrap();
        assert!(next.contains("correct the line") && next.contains("no block is lost"), "{next}");
    }
    // As it says.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(world.ok("home", &["append", "chess", "e4"]), "appended 1, length 1\n");
}

#[test]
fn a_home_without_room_for_its_socket_is_told_so() {
    let world = World::new();
    let home = "h".repeat(110);
    world.ok(&home, &["new", "chess"]);
    for words in [&["share", "--host", "127.0.0.1", "--port", "0"][..], &["cat", "chess", "--live"]] {
        let failure = world.run(&home, &[&["--json"], words].concat()).failure("E1011", 2);
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("107 bytes") && message.contains(&home), "{message}");
        assert!(failure["next"].as_str().unwrap().contains("symbolic link"), "{failure}");
    }
    // What needs no socket works, and so does what is told to be done.
    world.ok(&home, &["append", "chess", "e4"]);
    std::os::unix::fs::symlink(world.path(&home), world.path("short")).unwrap();
    let (_node, _) = world.share("short", &[]);
    assert_eq!(world.ok("short", &["append", "chess", "e5"]), "appended 1, length 2\n");
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
