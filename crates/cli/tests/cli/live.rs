//! Nodes that run, and commands beside them.

use serde_json::json;

use crate::support::{PATIENCE, World, objects};

fn with_blocks(world: &World, home: &str, name: &str, count: usize) -> String {
    let link = world.json(home, &["new", name])["link"].as_str().unwrap().to_string();
    let lines: String = (0..count).map(|number| format!("block {number}\n")).collect();
    let said = world.run_with(home, &["append", name, "--batch"], lines.as_bytes());
    assert_eq!(said.code, Some(0), "{said:?}");
    link
}

#[test]
fn a_stream_is_shared_cloned_and_followed() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 100);
    let (mut alice, address) = world.share("alice", &[]);
    let sharing = alice.object(|event| event["event"] == "sharing");
    assert_eq!((&sharing["stream"], &sharing["length"]), (&json!("chess"), &json!(100)));

    let cloned = world.json("bob", &["clone", &link, "copy", "--peer", &address]);
    assert_eq!(cloned["schema"], "quorate.stream/1");
    assert_eq!(
        (&cloned["here"], &cloned["length"], &cloned["writable"]),
        (&json!(100), &json!(100), &json!(false))
    );
    assert_eq!(
        world.ok("bob", &["cat", "copy", "--encoding", "utf-8"]),
        world.ok("alice", &["cat", "chess"])
    );
    assert_eq!(world.json("bob", &["audit", "copy"])["blocks"], 100);
    alice.object(|event| event["event"] == "connected" && event["direction"] == "incoming");
    alice.object(|event| event["event"] == "uploaded");

    // Through the local API of the node that runs.
    assert_eq!(world.ok("alice", &["append", "chess", "more"]), "appended 1, length 101\n");
    alice.object(|event| event["event"] == "appended" && event["length"] == 101);
    let again = world.run("bob", &["clone", &link, "--peer", &address]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stderr.contains("100 blocks of it are here"), "{}", again.stderr);
    assert!(again.text().contains("copy: all 101 blocks"), "{}", again.text());
    assert_eq!(world.ok("bob", &["get", "copy", "100"]), "more");

    alice.interrupt();
    assert_eq!(alice.wait(), Some(130));
    assert_eq!(world.ok("alice", &["get", "chess", "100"]), "more");
}

#[test]
fn live_commands_follow_and_end_with_ctrl_c() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 10);
    let (alice, address) = world.share("alice", &[]);
    let mut bob = world.start("bob", &["--json", "clone", &link, "chess", "--peer", &address, "--live"]);
    let first = bob.object(|_| true);
    assert_eq!((&first["schema"], &first["here"]), (&json!("quorate.stream/1"), &json!(10)));
    let mut cat = world.start("bob", &["cat", "chess", "--tail", "1", "--live", "--encoding", "utf-8"]);
    assert_eq!(cat.line(), "block 9");
    let mut log = world.start("bob", &["log", "chess", "--tail", "1", "--live"]);
    assert!(log.line().split_whitespace().next() == Some("9"), "it follows before anything is appended");
    for number in 10..30 {
        world.ok("alice", &["append", "chess", &format!("block {number}")]);
        assert_eq!(cat.line(), format!("block {number}"));
        assert!(log.line().split_whitespace().next() == Some(number.to_string().as_str()));
    }
    bob.object(|event| event["event"] == "downloaded" && event["here"] == 30);
    let peers = world.ndjson("bob", &["peers", "chess"]);
    assert_eq!(peers.len(), 1);
    assert_eq!((&peers[0]["direction"], &peers[0]["wire"]), (&json!("outgoing"), &json!("B2")));
    assert!(world.ok("alice", &["peers"]).contains("Dat 2, quorate"));
    for running in [cat, log, bob, alice] {
        running.interrupt();
        assert_eq!(running.wait(), Some(130));
    }
}

#[test]
fn a_reader_that_follows_takes_what_others_append() {
    let world = World::new();
    with_blocks(&world, "home", "chess", 1);
    let mut cat = world.start("home", &["cat", "chess", "--live"]);
    assert_eq!(cat.line(), "block 0");
    assert_eq!(world.ok("home", &["append", "chess", "from beside"]), "appended 1, length 2\n");
    assert_eq!(cat.line(), "from beside");
    cat.interrupt();
    assert_eq!(cat.wait(), Some(130));
}

#[test]
fn a_sparse_clone_has_the_head_and_no_block() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 20);
    let (_alice, address) = world.share("alice", &[]);
    let cloned = world.json("bob", &["clone", &link, "head", "--peer", &address, "--sparse"]);
    assert_eq!(
        (&cloned["length"], &cloned["here"], &cloned["sparse"]),
        (&json!(20), &json!(0), &json!(true))
    );
    world.run("bob", &["--json", "get", "head", "3"]).failure("E1005", 3);
    // Who wants all of it later says so, through a node that runs, too.
    let again = world.json("bob", &["clone", &link, "head", "--peer", &address, "--sparse"]);
    assert_eq!((&again["here"], &again["sparse"]), (&json!(0), &json!(true)));
    let whole = world.json("bob", &["clone", &link, "head", "--peer", &address]);
    assert_eq!((&whole["here"], &whole["sparse"]), (&json!(20), &json!(false)));
    world.json("carol", &["clone", &link, "head", "--peer", &address, "--sparse"]);
    let (_carol, _) = world.share("carol", &[]);
    let whole = world.json("carol", &["clone", &link, "head", "--peer", &address]);
    assert_eq!((&whole["here"], &whole["sparse"]), (&json!(20), &json!(false)));
}

#[test]
fn a_clone_through_a_running_node_is_complete_when_it_ends() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 50);
    with_blocks(&world, "bob", "own", 1);
    let (_alice, address) = world.share("alice", &[]);
    let (mut bob, _) = world.share("bob", &[]);
    let cloned = world.json("bob", &["clone", &link, "chess", "--peer", &address]);
    assert_eq!((&cloned["here"], &cloned["length"]), (&json!(50), &json!(50)));
    bob.object(|event| event["event"] == "synced" && event["stream"] == "chess");
    let again = world.json("bob", &["clone", &link, "--peer", &address]);
    assert_eq!(again["here"], 50);
}

#[test]
fn everything_works_beside_a_running_node() {
    let world = World::new();
    with_blocks(&world, "home", "chess", 5);
    let (_node, _) = world.share("home", &["chess"]);
    assert_eq!(world.ok("home", &["cat", "chess", "--tail", "2"]), "block 3\nblock 4\n");
    assert_eq!(world.ok("home", &["get", "chess", "0"]), "block 0");
    let copy = world.path("copy");
    world.ok("home", &["export", "chess", copy.to_str().unwrap()]);
    world.run("home", &["--json", "export", "chess", copy.to_str().unwrap()]).failure("E2006", 2);
    world.ok("other", &["import", copy.to_str().unwrap(), "chess"]);
    assert_eq!(world.ok("other", &["get", "chess", "4"]), "block 4");
    assert!(!copy.join("secret_key").exists() && !copy.join("quorate.lock").exists());
    assert_eq!(world.ndjson("home", &["log", "chess"]).len(), 5);
    assert_eq!(world.json("home", &["audit", "chess"])["blocks"], 5);
    let path = world.path("p");
    world.ok("home", &["proof", "chess", "2", "-o", path.to_str().unwrap()]);
    world.ok("home", &["verify", path.to_str().unwrap()]);
    assert_eq!(world.json("home", &["new", "second"])["length"], 0);
    assert_eq!(world.ndjson("home", &["ls"]).len(), 2);
    let lines: String = (0..3000).map(|number| format!("{number}\n")).collect();
    let said = world.run_with("home", &["--json", "append", "second"], lines.as_bytes());
    assert_eq!(objects(said.text()).last().unwrap()["length"], 3000, "{said:?}");
    world.run("home", &["--json", "info", "third"]).failure("E1001", 3);
    assert_eq!(world.ndjson("home", &["key", "ls"]).len(), 3);
    world.json("home", &["clear", "chess", "0", "--yes"]);
    world.run("home", &["--json", "get", "chess", "0"]).failure("E1005", 3);
}

#[test]
fn a_clone_is_served_on() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 30);
    let (alice, address) = world.share("alice", &[]);
    world.json("bob", &["clone", &link, "chess", "--peer", &address]);
    alice.interrupt();
    assert_eq!(alice.wait(), Some(130));
    let (_bob, address) = world.share("bob", &[]);
    let cloned = world.json("carol", &["clone", &link, "chess", "--peer", &address]);
    assert_eq!(cloned["here"], 30);
}

#[test]
fn a_fork_has_an_exit_code_of_its_own() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 10);
    let copy = world.path("copy");
    world.ok("alice", &["export", "chess", copy.to_str().unwrap(), "--with-secret-key"]);
    world.ok("twin", &["import", copy.to_str().unwrap(), "chess"]);
    world.ok("alice", &["append", "chess", "one history"]);
    world.ok("twin", &["append", "chess", "another history", "--unsafe-only-writer", "--yes"]);
    let (_alice, ours) = world.share("alice", &[]);
    let (_twin, theirs) = world.share("twin", &[]);
    world.json("bob", &["clone", &link, "chess", "--peer", &ours]);
    world.ok("twin", &["append", "chess", "and on"]);
    let said = world.run("bob", &["--json", "clone", &link, "--peer", &theirs]);
    let failure = said.failure("E5001", 7);
    assert_eq!(failure["kind"], "fork");
    assert_eq!(world.ok("bob", &["get", "chess", "10"]), "one history", "what was there is kept");
    assert_eq!(world.json("bob", &["audit", "chess"])["blocks"], 11);
}

#[test]
fn corruption_is_no_fork() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 100);
    let directory = world.json("alice", &["info", "chess"])["directory"].as_str().unwrap().to_string();
    let data = std::path::Path::new(&directory).join("data");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&data, bytes).unwrap();
    let (_alice, address) = world.share("alice", &[]);
    let said = world.run("bob", &["--json", "--timeout", "10", "clone", &link, "chess", "--peer", &address]);
    said.failure("E5002", 1);
    world.run("bob", &["--json", "get", "chess", "0"]).failure("E1005", 3);
}

#[test]
fn a_clone_is_resumed_where_it_was_killed() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 20_000);
    let (_alice, address) = world.share("alice", &[]);
    let mut here = 0;
    for _ in 0..5 {
        let clone = world.start("bob", &["--json", "clone", &link, "chess", "--peer", &address]);
        // On a busy machine the program takes longer than that to begin.
        let until = std::time::Instant::now() + PATIENCE;
        while !world.path("bob").join("streams/chess").exists() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(60));
        drop(clone);
        let streams = world.ndjson("bob", &["ls"]);
        let now = streams.first().map_or(0, |info| info["here"].as_u64().unwrap());
        assert!(now >= here, "{now} blocks are here, {here} were");
        here = now;
    }
    let cloned = world.json("bob", &["clone", &link, "--peer", &address]);
    assert_eq!((&cloned["here"], &cloned["name"]), (&json!(20_000), &json!("chess")));
    let audit = world.json("bob", &["audit", "chess"]);
    assert_eq!((&audit["blocks"], &audit["missing"]), (&json!(20_000), &json!(0)));
}

#[test]
fn an_interrupted_clone_says_so() {
    let world = World::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let link = format!("dat://{}", "7".repeat(64));
    let clone = world.start("bob", &["clone", &link, "chess", "--peer", &address]);
    drop(silent.accept().map(|(connection, _)| std::mem::forget(connection)));
    clone.interrupt();
    assert_eq!(clone.wait(), Some(130));
}

#[test]
fn a_clone_remembers_its_peers() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 3);
    let (_alice, address) = world.share("alice", &[]);
    world.json("bob", &["clone", &link, "chess", "--peer", &address]);
    world.ok("alice", &["append", "chess", "more"]);
    assert_eq!(world.json("bob", &["clone", &link])["here"], 4);
    let mut cat = world.start("bob", &["cat", "chess", "--tail", "0", "--live", "--encoding", "utf-8"]);
    world.ok("alice", &["append", "chess", "and more"]);
    assert_eq!(cat.line(), "and more");
    cat.interrupt();
    assert_eq!(cat.wait(), Some(130));
}

#[test]
fn a_node_asked_to_share_with_a_peer_follows_it() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 3);
    let (_alice, address) = world.share("alice", &[]);
    world.json("bob", &["clone", &link, "chess", "--peer", &address]);
    let (mut bob, _) = world.share("bob", &["--peer", &address]);
    bob.object(|event| event["event"] == "connected" && event["direction"] == "outgoing");
    world.ok("alice", &["append", "chess", "more"]);
    bob.object(|event| event["event"] == "downloaded" && event["here"] == 4);
    bob.interrupt();
    assert_eq!(bob.wait(), Some(130));
    assert_eq!(world.ok("bob", &["get", "chess", "3"]), "more");
}

#[test]
fn what_a_writer_cleared_comes_back_from_whoever_has_it() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 6);
    {
        let (_alice, address) = world.share("alice", &[]);
        world.json("bob", &["clone", &link, "chess", "--peer", &address]);
    }
    let (_bob, address) = world.share("bob", &[]);
    world.ok("alice", &["clear", "chess", "1", "3", "--yes"]);
    world.run("alice", &["--json", "get", "chess", "1"]).failure("E1005", 3);
    let cloned = world.json("alice", &["clone", &link, "--peer", &address]);
    assert_eq!((&cloned["here"], &cloned["writable"]), (&json!(6), &json!(true)));
    assert_eq!(world.ok("alice", &["get", "chess", "1"]), "block 1");
    // Through a node that runs as well.
    world.ok("alice", &["clear", "chess", "4", "--yes"]);
    let (_alice, _) = world.share("alice", &[]);
    let cloned = world.json("alice", &["clone", &link, "--peer", &address]);
    assert_eq!(cloned["here"], json!(6));
    assert_eq!(world.ok("alice", &["append", "chess", "more"]), "appended 1, length 7\n");
}

#[test]
fn a_stream_that_is_here_keeps_its_name() {
    let world = World::new();
    let link = with_blocks(&world, "alice", "chess", 3);
    let (_alice, address) = world.share("alice", &[]);
    let unnamed = world.json("bob", &["clone", &link, "--peer", &address]);
    let name = unnamed["name"].as_str().unwrap().to_owned();
    world.ok("alice", &["append", "chess", "more"]);
    for beside in [false, true] {
        let _node = beside.then(|| world.share("bob", &[]));
        let said = world.run("bob", &["--json", "clone", &link, "copy", "--peer", &address]);
        let failure = said.failure("E1002", 2);
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("copy") && message.contains(&format!("here as {name}")), "{failure}");
        assert!(failure["next"].as_str().unwrap().contains(&link), "{failure}");
    }
    assert_eq!(world.json("bob", &["clone", &link, &name, "--peer", &address])["here"], 4);
    assert_eq!(world.ndjson("bob", &["ls"]).len(), 1);
}

#[test]
fn a_peer_that_is_remembered_and_named_has_one_connection() {
    let world = World::new();
    let links = ["chess", "diary"].map(|name| (with_blocks(&world, "alice", name, 3), name));
    let (mut alice, address) = world.share("alice", &[]);
    for (link, name) in &links {
        world.json("bob", &["clone", link, name, "--peer", &address]);
        alice.object(|event| event["event"] == "disconnected");
    }
    let (mut bob, _) = world.share("bob", &["--peer", &address]);
    let mut joined: Vec<String> = Vec::new();
    while joined.len() < 2 {
        let event = bob.object(|event| event["event"] == "joined");
        joined.push(event["stream"].as_str().unwrap().to_owned());
    }
    joined.sort();
    assert_eq!(joined, ["chess", "diary"]);
    // Longer than a second connection takes.
    std::thread::sleep(std::time::Duration::from_secs(1));
    for home in ["alice", "bob"] {
        let peers = world.ndjson(home, &["peers"]);
        assert_eq!(peers.len(), 1, "{home}: {peers:?}");
        assert_eq!(peers[0]["streams"].as_array().unwrap().len(), 2, "{peers:?}");
    }
    // What is asked for later goes over it, too.
    let link = with_blocks(&world, "alice", "third", 2);
    assert_eq!(world.json("bob", &["clone", &link, "third", "--peer", &address])["here"], 2);
    assert_eq!(world.ndjson("bob", &["peers"]).len(), 1);
}

#[test]
fn who_appends_through_a_node_that_ends_learns_what_was_appended() {
    let world = World::new();
    with_blocks(&world, "home", "chess", 1);
    for kill in [false, true] {
        let before = world.json("home", &["info", "chess"])["length"].as_u64().unwrap();
        let (node, _) = world.share("home", &[]);
        let mut append = world.start("home", &["--json", "append", "chess", "-"]);
        append.send("one\n");
        assert_eq!(append.object(|_| true)["length"], before + 1);
        if kill {
            drop(node);
        } else {
            node.interrupt();
            assert_eq!(node.wait(), Some(130));
        }
        append.send("two\n");
        append.close_input();
        let mut failure = None;
        let until = std::time::Instant::now() + PATIENCE;
        while failure.is_none() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(20));
            failure = append.warnings().pop();
        }
        let failure = objects(&failure.unwrap()).remove(0);
        assert_eq!((&failure["code"], &failure["exit"]), (&json!("E4008"), &json!(4)), "{failure}");
        let message = failure["message"].as_str().unwrap();
        assert!(
            message.contains("appended and on disk: 1 block; not appended: 1 block and what comes behind"),
            "{message}"
        );
        assert_eq!(append.wait(), Some(4));
        assert_eq!(world.json("home", &["info", "chess"])["length"], before + 1);
    }
}
