//! Forks of plain feeds: kept, published, and what their readers decide about the key.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, World};

/// A writer whose key is on a second machine, and one who reads both.
struct Forked {
    world: World,
    link: String,
    /// Of the host, while it runs.
    host: Option<(Running, String)>,
    twin: Option<(Running, String)>,
}

impl Forked {
    fn new() -> Self {
        let world = World::new();
        let link = world.json("host", &["new", "log"])["link"].as_str().unwrap().to_string();
        for text in ["one", "two"] {
            world.ok("host", &["append", "log", text]);
        }
        let copy = world.path("copy");
        world.ok("host", &["export", "log", copy.to_str().unwrap(), "--with-secret-key"]);
        world.ok("twin", &["import", copy.to_str().unwrap(), "log"]);
        world.ok("host", &["append", "log", "three"]);
        world.ok("twin", &["append", "log", "other", "--unsafe-only-writer", "--yes"]);
        world.ok("twin", &["append", "log", "and more"]);
        let host = Some(world.share("host", &[]));
        Self { world, link, host, twin: None }
    }

    fn address(&self) -> &str {
        &self.host.as_ref().unwrap().1
    }

    fn start_twin(&mut self) -> String {
        let twin = self.world.share("twin", &[]);
        let address = twin.1.clone();
        self.twin = Some(twin);
        address
    }

    /// A home that follows the host, and has met its twin.
    fn reader(&mut self, home: &str) -> String {
        self.world.json(home, &["clone", &self.link, "log", "--peer", self.address()]);
        let twin = self.start_twin();
        let (mut node, _) = self.world.share(home, &["--peer", &twin]);
        node.object(|event| event["event"] == "fork");
        drop(node);
        self.twin = None;
        let evidence = self.world.ndjson(home, &["fork", "ls", "log"]);
        assert_eq!(evidence.len(), 1, "{evidence:?}");
        let one = &evidence[0];
        assert_eq!((&one["schema"], &one["kind"]), (&json!("quorate.evidence/1"), &json!("writer-fork")));
        assert_eq!((&one["policy"], &one["resolved"]), (&json!("warn"), &json!(false)));
        one["id"].as_str().unwrap().to_string()
    }

    fn resolve(&self, home: &str, id: &str, policy: &str) -> Value {
        self.world.json(home, &["fork", "resolve", "log", id, "--policy", policy])
    }

    fn length(&self, home: &str) -> u64 {
        self.world.json(home, &["info", "log"])["length"].as_u64().unwrap()
    }

    fn until_length(&self, home: &str, length: u64) {
        let until = Instant::now() + PATIENCE;
        while self.length(home) < length {
            assert!(Instant::now() < until, "{home} does not get to {length}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_fork_stays_known_and_is_told_to_others() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    let world = &forked.world;
    // Nothing runs any more, and it is still known.
    let info = world.json("reader", &["info", "log"]);
    assert!(info["fork"].as_str().is_some_and(|fork| fork.contains("two different histories")), "{info}");
    assert_eq!(info["evidence"][0]["id"], json!(id));
    assert_eq!(world.ok("reader", &["cat", "log", "--encoding", "utf-8"]), "one\ntwo\nthree\n");

    // Somebody else, who has met neither the twin nor anybody who has.
    world.json("other", &["clone", &forked.link, "log", "--peer", forked.address()]);
    assert_eq!(world.ndjson("other", &["fork", "ls", "log"]), Vec::<Value>::new());
    let (mut other, other_address) = world.share("other", &[]);
    let nobody = world.run("stranger", &["--json", "fork", "publish", "log", &id]);
    nobody.failure("E1001", 3);
    world.run("reader", &["--json", "fork", "publish", "log", "00000000"]).failure("E3403", 3);

    let (_reader, _) = world.share("reader", &["--peer", &other_address]);
    let until = Instant::now() + PATIENCE;
    let published = loop {
        let said = world.run("reader", &["--json", "fork", "publish", "log", &id[..8]]);
        if said.code == Some(0) {
            break serde_json::from_str::<Value>(said.text()).unwrap();
        }
        said.failure("E4007", 4);
        assert!(Instant::now() < until, "{said:?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((&published["schema"], &published["id"]), (&json!("quorate.published/1"), &json!(id)));
    assert!(published["peers"].as_u64() >= Some(1), "{published}");
    let event = other.object(|event| event["event"] == "evidence");
    assert_eq!((&event["id"], &event["kind"]), (&json!(id), &json!("writer-fork")));
    drop(other);
    assert_eq!(world.ndjson("other", &["fork", "ls", "log"])[0]["id"], json!(id));

    // By hand: the file is checked, and kept although nobody is there to tell.
    let file = world.path("evidence");
    let file = file.to_str().unwrap();
    world.ok("reader", &["fork", "export", "log", &id, "-o", file]);
    world.json("third", &["clone", &forked.link, "log", "--peer", forked.address()]);
    forked.host = None;
    let world = &forked.world;
    let words = ["--json", "--timeout", "1", "fork", "publish", "log", "--file", file];
    world.run("third", &words).failure("E4007", 4);
    assert_eq!(world.ndjson("third", &["fork", "ls", "log"])[0]["id"], json!(id));
    world.json("fourth", &["new", "log"]);
    let failure = world.run("fourth", &words).failure("E3405", 1);
    assert!(failure["message"].as_str().unwrap().contains("found writer-fork by key"), "{failure}");
    let mut bytes = std::fs::read(file).unwrap();
    // Whoever writes it down may name any room: nothing that was signed does.
    let said = world.run("third", &["--json", "fork", "verify", file]);
    let proven: Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!((said.code, &proven["room_proven"]), (Some(7), &json!(false)), "{said:?}");
    bytes[10] ^= 1;
    std::fs::write(file, &bytes).unwrap();
    let said = world.run("third", &["fork", "verify", file]);
    assert!(said.code == Some(7) && said.text().contains("named, not proven"), "{said:?}");
    let failure = world.run("third", &words).failure("E4007", 4);
    let told = format!("{}, which is kept here, proves the same", &id[..8]);
    assert!(failure["message"].as_str().unwrap().contains(&told), "{failure}");
    assert_eq!(world.ndjson("third", &["fork", "ls", "log", "--all"]).len(), 1);
    bytes[10] ^= 1;
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
    world.run("third", &words).failure("E3405", 1);
}

#[test]
fn who_ignores_a_fork_hears_no_more_of_it() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    forked.world.run("reader", &["--json", "fork", "resolve", "log", &id]).failure("E1011", 2);
    let decision = forked.resolve("reader", &id, "ignore");
    assert_eq!((&decision["schema"], &decision["policy"]), (&json!("quorate.decision/1"), &json!("ignore")));
    assert_eq!(forked.world.ndjson("reader", &["fork", "ls", "log"]), Vec::<Value>::new());
    let all = forked.world.ndjson("reader", &["fork", "ls", "log", "--all"]);
    assert_eq!((&all[0]["id"], &all[0]["resolved"]), (&json!(id), &json!(true)));
    assert!(forked.world.json("reader", &["info", "log"])["fork"].is_null());

    // The twin comes again, and goes: nobody is told why.
    let twin = forked.start_twin();
    let (mut node, _) = forked.world.share("reader", &["--peer", &twin]);
    let mut events = Vec::new();
    loop {
        let event: Value = serde_json::from_str(&node.line()).unwrap();
        let is_end = event["event"] == "left" && event["peer"] == json!(twin);
        events.push(event);
        if is_end {
            break;
        }
    }
    assert!(
        events.iter().all(|event| event["event"] != "fork" && event["event"] != "evidence"),
        "{events:?}"
    );
    drop(node);
    assert_eq!(forked.world.ok("reader", &["cat", "log", "--encoding", "utf-8"]), "one\ntwo\nthree\n");

    // Warned again, all is as before.
    forked.resolve("reader", &id, "warn");
    assert!(forked.world.json("reader", &["info", "log"])["fork"].is_string());
    let (mut node, _) = forked.world.share("reader", &["--peer", &twin]);
    node.object(|event| event["event"] == "fork");
}

#[test]
fn what_a_muted_key_wrote_is_marked_and_not_shown() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    let world = &forked.world;
    let key = forked.resolve("reader", &id, "mute")["key"].clone();
    let said = world.run("reader", &["cat", "log", "--encoding", "utf-8"]);
    assert_eq!((said.text(), said.code), ("", Some(0)));
    assert!(said.stderr.contains("3 blocks by keys that are muted are not shown"), "{said:?}");
    let marked = world.ndjson("reader", &["cat", "log"]);
    let expected: Vec<Value> =
        (0..3).map(|index| json!({ "schema": "quorate.payload/1", "index": index, "muted": key })).collect();
    assert_eq!(marked, expected);
    let log = world.ndjson("reader", &["log", "log"]);
    assert!(log.iter().all(|block| block["muted"] == key && block["here"] == true), "{log:?}");
    assert!(world.ok("reader", &["log", "log"]).contains("muted: key"));
    // What is asked for by its number is not hidden, and what others write is not touched.
    assert_eq!(world.ok("reader", &["get", "log", "0"]), "one");
    world.ok("reader", &["new", "mine"]);
    world.ok("reader", &["append", "mine", "hello"]);
    assert_eq!(world.ok("reader", &["cat", "mine"]), "hello\n");
    // It goes on being carried.
    let (_node, _) = world.share("reader", &["--peer", forked.address()]);
    world.ok("host", &["append", "log", "four"]);
    forked.until_length("reader", 4);
    forked.resolve("reader", &id, "warn");
    assert_eq!(forked.world.ok("reader", &["cat", "log", "--encoding", "utf-8"]), "one\ntwo\nthree\nfour\n");
}

#[test]
fn a_stopped_feed_is_neither_fetched_nor_served() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    let host = forked.address().to_owned();
    let (node, address) = forked.world.share("reader", &["--peer", &host]);
    forked.world.ok("host", &["append", "log", "four"]);
    forked.until_length("reader", 4);

    // While it runs: the next block does not come.
    let decision = forked.resolve("reader", &id, "stop-replicating");
    assert_eq!(decision["policy"], "stop-replicating");
    forked.world.ok("host", &["append", "log", "five"]);
    let waits = |home: &str| {
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(forked.length(home), 4);
    };
    waits("reader");
    // Who asks for it here gets nothing, though the connection is taken.
    let words = ["--json", "--timeout", "2", "clone", &forked.link, "log", "--peer", &address];
    assert_eq!(forked.world.run("asker", &words).code, Some(4));
    forked.world.ok("reader", &["new", "mine"]);
    let mine = forked.world.json("reader", &["info", "mine"])["link"].as_str().unwrap().to_owned();
    forked.world.ok("reader", &["append", "mine", "hello"]);
    forked.world.json("asker", &["clone", &mine, "mine", "--peer", &address]);
    drop(node);

    // Nor after a restart; what is here stays readable.
    let (mut node, _) = forked.world.share("reader", &["--peer", &host]);
    node.object(|event| event["event"] == "not-replicated" && event["stream"] == "log");
    waits("reader");
    assert_eq!(forked.world.ok("reader", &["cat", "log", "--encoding", "utf-8"]), "one\ntwo\nthree\nfour\n");
    let again = ["--json", "clone", &forked.link, "--peer", &host];
    forked.world.run("reader", &again).failure("E5004", 7);

    // It is taken up again at once.
    forked.resolve("reader", &id, "warn");
    forked.until_length("reader", 5);
}

#[test]
fn the_writer_says_that_it_was_a_backup() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    // Whose key it was is for its writer to say.
    let words = ["--json", "fork", "resolve", "log", &id, "--own-backup"];
    forked.world.run("reader", &words).failure("E1007", 8);
    let twin = forked.start_twin();
    forked.host = None;
    let (mut host, _) = forked.world.share("host", &["--peer", &twin]);
    host.object(|event| event["event"] == "fork");
    let id = forked.world.ndjson("host", &["fork", "ls", "log"])[0]["id"].as_str().unwrap().to_owned();
    let decision = forked.world.json("host", &["fork", "resolve", "log", &id[..6], "--own-backup"]);
    assert_eq!((&decision["policy"], &decision["own_backup"]["length"]), (&json!("ignore"), &json!(3)));
    drop(host);
    let since = Instant::now();
    let link = forked.link.clone();
    let said = forked.world.run("host", &["--json", "clone", &link, "log", "--peer", &twin]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    let listed = forked.world.ndjson("host", &["fork", "ls", "log", "--all"]);
    let tree_hash = forked.world.json("host", &["info", "log"])["tree_hash"].clone();
    assert_eq!((&listed[0]["resolved"], &listed[0]["own_backup"]["tree_hash"]), (&json!(true), &tree_hash));
    assert!(
        forked.world.ok("host", &["fork", "ls", "log", "--all"]).contains("the history of length 3 stays")
    );
}

#[test]
fn a_fork_that_is_known_is_told_until_something_is_decided() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    let link = forked.link.clone();
    let again = ["--json", "clone", &link, "log", "--peer", forked.address()];
    forked.world.run("reader", &again).failure_after_data("E5001", 7);
    {
        let (mut node, _) = forked.world.share("reader", &[]);
        let told = node.object(|event| event["event"] == "evidence");
        assert_eq!(told["id"], json!(id));
    }
    forked.world.ok("reader", &["fork", "resolve", "log", &id, "--policy", "warn"]);
    forked.world.run("reader", &again).failure_after_data("E5001", 7);
    forked.world.ok("reader", &["fork", "resolve", "log", &id, "--policy", "ignore"]);
    assert_eq!(forked.world.run("reader", &again).code, Some(0));
}

/// What was set out to be fetched is here, or it is nowhere: no other history takes its place.
#[test]
fn a_clone_that_meets_the_other_history_alone_comes_to_an_end() {
    let mut forked = Forked::new();
    let id = forked.reader("reader");
    forked.resolve("reader", &id, "ignore");
    let twin = forked.start_twin();
    let link = forked.link.clone();
    let again = ["--json", "clone", &link, "log", "--peer", &twin];
    let since = Instant::now();
    let said = forked.world.run("reader", &again);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(forked.length("reader"), 3);
    // A block that only the other one could give.
    forked.world.ok("reader", &["clear", "log", "2", "3", "--yes"]);
    let failure = forked.world.run("reader", &again).failure("E5001", 7);
    assert!(failure["message"].as_str().unwrap().contains("2 of 3 blocks are here"), "{failure}");
    // Through a node that runs as well, which dials the host, too.
    forked.host = None;
    {
        let (_node, _) = forked.world.share("reader", &["--peer", &twin]);
        forked.world.run("reader", &again).failure("E5001", 7);
    }
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    forked.host = Some(forked.world.share("host", &[]));
    let from_host = ["--json", "clone", &link, "log", "--peer", forked.address()];
    assert_eq!(forked.world.run("reader", &from_host).code, Some(0));
    assert_eq!(forked.world.ok("reader", &["cat", "log", "--encoding", "utf-8"]), "one\ntwo\nthree\n");
}

#[test]
fn a_fork_parts_nobody_from_other_streams() {
    let mut forked = Forked::new();
    // The host runs already, and carries another stream as well.
    let link = forked.world.json("host", &["new", "diary"])["link"].as_str().unwrap().to_owned();
    let host = forked.address().to_owned();
    forked.world.ok("host", &["append", "diary", "zero"]);
    forked.world.json("twin", &["clone", &link, "diary", "--peer", &host]);
    let (mut twin, _) = forked.world.share("twin", &["--peer", &host]);
    twin.object(|event| event["event"] == "fork");
    // Longer than both sides go on serving the history of each other.
    std::thread::sleep(Duration::from_secs(5));
    for text in ["one", "two"] {
        forked.world.ok("host", &["append", "diary", text]);
        twin.object(|event| {
            assert!(event["event"] != "disconnected", "{event}");
            event["event"] == "downloaded" && event["stream"] == "diary"
        });
    }
    forked.twin = None;
}

#[test]
fn who_follows_a_stream_is_told_of_a_fork() {
    let mut forked = Forked::new();
    forked.world.json("reader", &["clone", &forked.link, "log", "--peer", forked.address()]);
    let twin = forked.start_twin();
    let world = &forked.world;
    let (_node, _) = world.share("reader", &[]);
    let mut log = world.start("reader", &["log", "log", "--live"]);
    let mut objects = world.start("reader", &["--json", "log", "log", "--live"]);
    let mut cat = world.start("reader", &["cat", "log", "--live", "--encoding", "utf-8"]);
    for index in 0..3 {
        assert!(log.line().trim_start().starts_with(&index.to_string()));
        objects.object(|object| object["schema"] == "quorate.block/1" && object["index"] == index);
        cat.line();
    }
    let said = world.run("reader", &["--json", "clone", &forked.link, "--peer", &twin]);
    said.failure("E5001", 7);
    let told: Vec<String> = (0..5).map(|_| log.line()).collect();
    assert!(told[0].starts_with("FORK in log at height ") && told[0].contains(": key "), "{told:?}");
    assert!(told[1].starts_with("  A ") && told[1].ends_with(&format!("seen at {twin}")), "{told:?}");
    assert_eq!(told[2], "  what is here is kept, 3 blocks");
    assert!(told[3].contains("saved") && told[3].contains("next: quorate fork show log "), "{told:?}");
    assert_eq!(told[4], "  usual cause: the same key on two machines, or a restored backup");
    let fork = objects.object(|object| object["schema"] != "quorate.block/1");
    assert_eq!((&fork["schema"], &fork["stream"]), (&json!("quorate.fork/1"), &json!("log")));
    assert_eq!((&fork["kind"], &fork["peer"]), (&json!("writer-fork"), &json!(twin)));
    assert_eq!(fork["heads"].as_array().unwrap().len(), 2, "{fork}");
    let evidence = world.ndjson("reader", &["fork", "ls", "log"]);
    assert_eq!((&fork["id"], &fork["culprit"]), (&evidence[0]["id"], &evidence[0]["culprit"]));

    // Beside the payloads, not among them, and only once.
    let until = Instant::now() + PATIENCE;
    let mut warnings = Vec::new();
    while warnings.is_empty() {
        assert!(Instant::now() < until, "cat says nothing");
        std::thread::sleep(Duration::from_millis(20));
        warnings = cat.warnings();
    }
    assert!(warnings[0].starts_with("FORK in log "), "{warnings:?}");
    world.ok("host", &["append", "log", "four"]);
    assert_eq!(cat.line(), "four");
    assert!(log.line().trim_start().starts_with('3'));
    assert!(cat.warnings().iter().all(|line| !line.contains("FORK")));

    // Who begins later is told at once, until something is decided.
    let mut late = world.start("reader", &["log", "log", "--live"]);
    assert!(late.line().starts_with("FORK in log "));
    world.json("reader", &["fork", "resolve", "log", fork["id"].as_str().unwrap(), "--policy", "ignore"]);
    let mut late = world.start("reader", &["log", "log", "--live"]);
    assert!(late.line().trim_start().starts_with('0'));
}
