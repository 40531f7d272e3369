//! Rooms with validators: votes, commits, forks, and homes that were copied.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, World};

const VALIDATORS: [&str; 4] = ["host", "bob", "carol", "dave"];

fn vote_key(world: &World, home: &str) -> String {
    world.json(home, &["validator", "key"])["key"].as_str().unwrap().to_string()
}

/// A room with a ledger, four validators, and their nodes.
struct Bank {
    world: World,
    link: String,
    issuer: String,
    /// Of the host first.
    nodes: Vec<(Running, String)>,
}

impl Bank {
    /// Makes the room, and starts so many of the nodes.
    fn open(running: usize) -> Self {
        let world = World::new();
        let issuer = world.json("host", &["key", "new", "bank"])["key"].as_str().unwrap().to_string();
        let params = json!({ "issuer": issuer }).to_string();
        let keys = VALIDATORS.map(|home| vote_key(&world, home));
        let mut words = vec!["new", "money", "--rule", "builtin:ledger", "--params", &params];
        for key in &keys {
            words.extend(["--validator", key]);
        }
        let link = world.json("host", &words)["link"].as_str().unwrap().to_string();
        let mut bank = Self { world, link, issuer, nodes: Vec::new() };
        for home in &VALIDATORS[..running] {
            bank.start(home);
        }
        bank
    }

    fn start(&mut self, home: &str) {
        let node = match self.nodes.first() {
            None => self.world.share(home, &[]),
            Some((_, host)) => {
                let host = host.clone();
                self.world.json(home, &["clone", &self.link, "money", "--peer", &host]);
                self.world.share(home, &["--peer", &host])
            }
        };
        self.nodes.push(node);
    }

    fn mint(&self, amount: u64, more: &[&str]) -> crate::support::Said {
        let action = json!({ "mint": { "to": self.issuer, "amount": amount } }).to_string();
        let mut words = vec!["--json", "append", "money", &action, "--as", "bank"];
        words.extend(more);
        self.world.run("host", &words)
    }

    fn quorum(&self, home: &str) -> Value {
        self.world.json(home, &["info", "money"])["room"]["quorum"].clone()
    }

    /// Waits until a home knows something of the quorum.
    fn until(&self, home: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let quorum = self.quorum(home);
            if fits(&quorum) {
                return quorum;
            }
            assert!(Instant::now() < until, "{home}: {quorum}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_quorum_commits_and_less_does_not() {
    let mut bank = Bank::open(2);
    // Two of four: appended, and no more.
    let said = bank.mint(10, &["--wait", "committed", "--timeout", "3"]);
    let failure = said.failure_after_data("E3402", 6);
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("committed 0, ") && message.contains("waiting for 1 more vote"), "{message}");
    assert_eq!(failure["next"], "quorate votes money");
    assert_eq!(crate::support::objects(said.text())[0]["state"], "appended");
    assert_eq!(bank.world.ok("host", &["cat", "money", "--committed"]), "");
    let votes = bank.world.ok("host", &["votes", "money"]);
    assert_eq!((votes.matches("yes").count() >= 2, votes.contains("committed")), (true, false), "{votes}");

    // The third makes the quorum, of all that was appended.
    bank.start("carol");
    bank.until("host", |quorum| quorum["committed"].as_u64() >= Some(3));
    let said = bank.mint(20, &["--wait", "committed"]);
    let objects = crate::support::objects(said.text());
    assert_eq!((&objects[1]["schema"], said.code), (&json!("quorate.committed/1"), Some(0)), "{said:?}");
    let index = objects[0]["index"].as_u64().unwrap();
    assert!(objects[1]["length"].as_u64() > Some(index));
    let said = bank.world.ok("carol", &["cat", "money", "--committed"]);
    assert!(said.lines().count() <= 2 && said.contains("\"amount\":10"), "{said}");
    bank.until("carol", |quorum| quorum["committed"].as_u64() > Some(index));

    // One who only reads sees the same, from certificate blocks and votes alike.
    let host = bank.nodes[0].1.clone();
    bank.world.json("reader", &["clone", &bank.link, "money", "--peer", &host]);
    let (_reader, _) = bank.world.share("reader", &["--peer", &host]);
    bank.until("reader", |quorum| quorum["committed"].as_u64() > Some(index));
    let log = bank.world.ndjson("reader", &["log", "money"]);
    let entry = |index: u64| &log[index as usize]["entry"];
    assert_eq!((&entry(index)["kind"], &entry(index)["committed"]), (&json!("action"), &json!(true)));
    assert!(log.iter().any(|block| block["entry"]["kind"] == "certificate"), "{log:?}");
    let listed = bank.world.ndjson("reader", &["validator", "ls", "money"]);
    assert_eq!(listed.len(), 4);
    assert_eq!(bank.world.json("reader", &["audit", "money"])["faults"], json!([]));
    let seen = bank.world.json("host", &["votes", "money"]);
    assert_eq!((&seen["schema"], &seen["needed"]), (&json!("quorate.votes/1"), &json!(3)));

    // Nodes that end and begin again remember what is committed, and go on.
    let committed = bank.quorum("bob")["committed"].as_u64();
    bank.nodes.truncate(1);
    assert_eq!(bank.quorum("bob")["committed"].as_u64(), committed);
    for home in ["bob", "carol"] {
        let host = bank.nodes[0].1.clone();
        let node = bank.world.share(home, &["--peer", &host]);
        bank.nodes.push(node);
    }
    let said = bank.mint(30, &["--wait", "committed"]);
    assert_eq!(said.code, Some(0), "{said:?}");

    // A change of rules is waited for like an action.
    let params = json!({ "issuer": bank.issuer }).to_string();
    let words =
        ["--json", "rule", "params", "money", "ledger", &params, "--as", "bank", "--wait", "committed"];
    let said = bank.world.run("host", &words);
    let objects = crate::support::objects(said.text());
    assert_eq!((&objects[1]["schema"], said.code), (&json!("quorate.committed/1"), Some(0)), "{said:?}");
    assert!(objects[1]["length"].as_u64() > objects[0]["index"].as_u64(), "{said:?}");
    bank.nodes.truncate(1);
    let said = bank.world.run("host", &[&words[..], &["--timeout", "2"]].concat());
    said.failure_after_data("E3402", 6);
}

#[test]
fn a_fork_becomes_evidence_and_what_is_committed_stands() {
    let mut bank = Bank::open(4);
    bank.until("host", |quorum| quorum["committed"].as_u64() >= Some(1));
    let said = bank.mint(10, &["--wait", "committed"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let committed = crate::support::objects(said.text())[1]["length"].as_u64().unwrap();

    // The host's key on a second machine, and a payment that was never made there.
    let copy = bank.world.path("copy");
    bank.nodes.remove(0);
    bank.world.ok("host", &["export", "money", copy.to_str().unwrap(), "--with-secret-key"]);
    bank.world.ok("twin", &["import", copy.to_str().unwrap(), "money"]);
    assert_eq!(bank.mint(11, &[]).code, Some(0));
    let (_host, host) = bank.world.share("host", &[]);
    let bob = bank.nodes[0].1.clone();
    copy_directory(&bank.world.path("host/identities"), &bank.world.path("twin/identities"));
    let action = json!({ "mint": { "to": bank.issuer, "amount": 99 } }).to_string();
    let words = ["append", "money", &action, "--as", "bank", "--unsafe-only-writer", "--yes"];
    bank.world.ok("twin", &words);
    let (_twin, _) = bank.world.share("twin", &["--peer", &bob, "--peer", &host]);

    let quorum = bank.until("bob", |quorum| quorum["evidence"].as_array().is_some_and(|all| !all.is_empty()));
    let evidence = &quorum["evidence"][0];
    assert_eq!(evidence["kind"], "writer-fork");
    assert!(evidence["bytes"].as_u64() <= Some(3 * 1024), "{evidence}");
    assert!(quorum["committed"].as_u64() >= Some(committed), "{quorum}");
    let id = evidence["id"].as_str().unwrap().to_string();

    // It is a file that anyone can check, without a home that knows anything.
    let file = bank.world.path("evidence");
    let file = file.to_str().unwrap();
    bank.world.ok("bob", &["fork", "export", "money", &id[..8], "--output", file]);
    let said = bank.world.run("stranger", &["--json", "fork", "verify", file]);
    let proven: Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!(
        (said.code, &proven["kind"], &proven["id"]),
        (Some(7), &json!("writer-fork"), &json!(id)),
        "{said:?}"
    );
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    bank.world.run("stranger", &["--json", "fork", "verify", file]).failure("E3405", 1);
    bank.world.run("bob", &["--json", "fork", "show", "money", "00000000"]).failure("E3403", 3);
    let listed = bank.world.ndjson("bob", &["fork", "ls", "money"]);
    assert_eq!(listed[0]["schema"], "quorate.evidence/1");

    // It is told again, and stands in the list with what is done about the key.
    let published = bank.world.json("bob", &["fork", "publish", "money", &id]);
    assert_eq!((&published["in_room"], published["peers"].as_u64() >= Some(1)), (&json!(true), true));
    let decision = bank.world.json("bob", &["fork", "resolve", "money", &id, "--policy", "mute"]);
    assert_eq!(decision["key"], evidence["culprit"]);
    assert_eq!(bank.world.json("bob", &["votes", "money"])["evidence"][0]["policy"], "mute");
    let said = bank.world.run("bob", &["cat", "money", "--committed"]);
    assert_eq!((said.text(), said.stderr.contains("muted")), ("", true), "{said:?}");
    bank.world.json("bob", &["fork", "resolve", "money", &id, "--policy", "warn"]);

    // New commits stop; readers still read.
    bank.until("host", |quorum| quorum["evidence"].as_array().is_some_and(|all| !all.is_empty()));
    let waited = bank.mint(12, &["--wait", "committed", "--timeout", "2"]);
    let failure = waited.failure_after_data("E3402", 6);
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("waiting in vain: the host of now signed a contradiction"), "{message}");
    assert!(message.contains("the room names no next host") && message.contains(&id[..8]), "{message}");
    assert!(bank.world.ok("bob", &["cat", "money", "--committed"]).contains("\"amount\":10"));
}

#[test]
fn votes_are_followed_live() {
    let bank = Bank::open(3);
    bank.until("bob", |quorum| quorum["committed"].as_u64() >= Some(1));
    let mut votes = bank.world.start("bob", &["--json", "votes", "money", "--live"]);
    let mut next = || -> Value { serde_json::from_str(&votes.line()).unwrap() };
    let first = next();
    assert_eq!((&first["schema"], &first["needed"]), (&json!("quorate.votes/1"), &json!(3)));
    let said = bank.mint(10, &["--wait", "committed"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let committed = crate::support::objects(said.text())[1]["length"].as_u64();
    let mut shown = first;
    while shown["committed"].as_u64() < committed {
        let changed = next();
        assert_ne!(changed, shown, "what has not changed is not shown again");
        shown = changed;
    }
    let voters =
        shown["validators"].as_array().unwrap().iter().filter(|one| one["voted"].as_u64() >= committed);
    assert!(voters.count() >= 3, "{shown}");
    votes.interrupt();
    assert_eq!(votes.wait(), Some(130));
}

#[test]
fn who_follows_the_log_hears_how_far_it_is_committed() {
    let bank = Bank::open(3);
    bank.until("bob", |quorum| quorum["committed"].as_u64() >= Some(1));
    let mut log = bank.world.start("bob", &["log", "money", "--live", "--tail", "0"]);
    let mut json = bank.world.start("bob", &["--json", "log", "money", "--live", "--tail", "0"]);
    let said = bank.mint(10, &["--wait", "committed"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let committed = crate::support::objects(said.text())[1]["length"].as_u64();
    loop {
        let line = log.line();
        if line.strip_prefix("committed ").and_then(|length| length.parse().ok()) >= committed {
            break;
        }
    }
    json.object(|line| line["schema"] == "quorate.committed/1" && line["length"].as_u64() >= committed);
}

#[test]
fn a_copied_home_does_not_vote() {
    let mut bank = Bank::open(3);
    bank.until("bob", |quorum| quorum["committed"].as_u64() >= Some(1));
    bank.nodes.truncate(1);
    copy_directory(&bank.world.path("bob"), &bank.world.path("restored"));
    let silent = bank.quorum("restored")["silent"].clone();
    assert!(silent.as_str().is_some_and(|why| why.contains("copy")), "{silent}");
    assert!(bank.quorum("bob")["silent"].is_null());
    assert!(bank.world.ok("restored", &["info", "money"]).contains("does not vote"));

    // Records that are gone are lost: they are not begun anew as if nothing had been signed.
    std::fs::remove_file(bank.world.path("bob/streams/money/quorum.redb")).unwrap();
    for _ in 0..2 {
        let silent = bank.quorum("bob")["silent"].clone();
        assert!(silent.as_str().is_some_and(|why| why.contains("lost")), "{silent}");
    }
}

#[test]
fn a_validator_serves_rooms_and_names_those_of_others() {
    let mut bank = Bank::open(3);
    bank.until("bob", |quorum| quorum["committed"].as_u64() >= Some(1));
    let host = bank.nodes[0].1.clone();
    // The second node ends, and goes on as a validator that is told where it votes.
    bank.nodes.remove(1);
    let words = ["validator", "serve", "--host", "127.0.0.1", "--port", "0", "--peer", &host];
    let mut bob = bank.world.start("bob", &words);
    bob.line();
    let said = bank.mint(10, &["--wait", "committed"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let votes = bank.quorum("host")["votes"].clone();
    let key = vote_key(&bank.world, "bob");
    let of_bob = votes.as_array().unwrap().iter().filter(|vote| vote["validator"] == key.as_str());
    assert!(of_bob.count() > 0, "{votes}");
    assert!(bob.warnings().iter().all(|line| !line.contains("none of its validators")));

    // One who is none of them is told so, and serves all the same; without a vote key nothing is served.
    bank.world.json("reader", &["clone", &bank.link, "money", "--peer", &host]);
    bank.world.run("reader", &["--json", "validator", "serve"]).failure("E3412", 8);
    vote_key(&bank.world, "reader");
    let words = ["validator", "serve", "money", "--host", "127.0.0.1", "--port", "0"];
    let mut reader = bank.world.start("reader", &words);
    reader.line();
    let mut told = Vec::new();
    let until = Instant::now() + PATIENCE;
    while !told.iter().any(|line: &String| line.contains("none of its validators")) {
        assert!(Instant::now() < until, "{told:?}");
        std::thread::sleep(Duration::from_millis(20));
        told.extend(reader.warnings());
    }
    reader.interrupt();
    assert_eq!(reader.wait(), Some(130));
}

#[test]
fn what_is_no_quorum_is_refused() {
    let world = World::new();
    let key = vote_key(&world, "host");
    assert_eq!(vote_key(&world, "host"), key, "a home has one vote key");
    let twice = ["--json", "new", "money", "--validator", &key, "--validator", &key];
    world.run("host", &twice).failure("E3404", 2);
    let keys: Vec<String> = ["a", "b", "c", "d"].iter().map(|home| vote_key(&world, home)).collect();
    let mut words = vec!["--json", "new", "money", "--quorum", "2"];
    keys.iter().for_each(|key| words.extend(["--validator", key.as_str()]));
    let failure = world.run("host", &words).failure("E3404", 2);
    assert!(failure["message"].as_str().unwrap().contains("3 to 4"), "{failure}");
    world.run("host", &["--json", "new", "money", "--quorum", "2"]).failure("E1011", 2);

    // A vote key is for votes alone, and a proof that comes with it is checked.
    let identity = world.json("host", &["key", "new", "alice"])["key"].as_str().unwrap().to_owned();
    let named = ["--json", "new", "money", "--validator", &identity];
    let failure = world.run("host", &named).failure("E3404", 2);
    assert!(failure["message"].as_str().unwrap().contains("the identity alice"), "{failure}");
    let both = ["--json", "new", "money", "--validator", &keys[0], "--next-host", &keys[0]];
    world.run("host", &both).failure("E3404", 2);
    let offer = |home| world.ok(home, &["validator", "key", "--offer"]).trim().to_owned();
    let (_, proof) =
        offer("b").split_once('.').map(|(key, proof)| (key.to_owned(), proof.to_owned())).unwrap();
    let wrong = format!("{}.{proof}", keys[0]);
    world.run("host", &["--json", "new", "money", "--validator", &wrong]).failure("E3404", 2);
    world.run("host", &["--json", "new", "money", "--validator", "no.proof"]).failure("E1011", 2);
    let made = world.json("host", &["new", "money", "--validator", &offer("a")]);
    assert_eq!(made["room"]["quorum"]["validators"][0]["key"], json!(keys[0]), "{made}");

    // Where nobody commits, nothing waits for it.
    world.ok("host", &["new", "plain"]);
    world.ok("host", &["new", "room", "--room"]);
    for words in [
        &["--json", "votes", "plain"][..],
        &["--json", "votes", "room"],
        &["--json", "cat", "room", "--committed"],
        &["--json", "append", "room", "1", "--wait", "committed"],
    ] {
        world.run("host", words).failure("E3401", 3);
    }
    assert_eq!(world.json("host", &["info", "room"])["length"], 1);
    assert_eq!(world.ndjson("host", &["fork", "ls", "room"]), Vec::<Value>::new());

    // Nor is there anything for a gate to open for; what was refused is not kept.
    world.ok("host", &["new", "empty"]);
    for stream in ["empty", "plain", "room"] {
        if stream == "plain" {
            world.ok("host", &["append", "plain", "one"]);
        }
        let words = ["--json", "share", stream, "--host", "127.0.0.1", "--port", "0", "--gate", "committed"];
        world.run("host", &words).failure("E3401", 3);
        assert!(world.json("host", &["info", stream])["gate"].is_null());
    }
    world.run("host", &["--json", "share", "--gate", "committed"]).failure("E1011", 2);
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_directory(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_copy_of_a_home_is_told_from_a_peer() {
    let world = World::new();
    let link = world.json("home", &["new", "log"])["link"].as_str().unwrap().to_string();
    world.ok("home", &["append", "log", "one"]);
    // The network key is made by the first node.
    world.ok("home", &["key", "ls"]);
    copy_directory(&world.path("home"), &world.path("copy"));
    let (_node, address) = world.share("home", &[]);
    let words = ["--json", "clone", &link, "log", "--peer", &address, "--timeout", "20"];
    let failure = world.run("copy", &words).failure("E4009", 4);
    assert!(
        failure["message"].as_str().unwrap().contains("one of the two is a copy of the other"),
        "{failure}"
    );
    // With another key it is a peer like any other.
    std::fs::remove_file(world.path("copy").join("noise_key")).unwrap();
    assert_eq!(world.run("copy", &words).code, Some(0));
}

#[test]
fn records_that_cannot_be_read_are_damage() {
    let world = World::new();
    let key = vote_key(&world, "host");
    world.ok("host", &["new", "talk", "--validator", &key]);
    world.ok("host", &["append", "talk", "1", "--wait", "committed"]);
    let records = std::fs::OpenOptions::new().write(true).open(world.path("host/streams/talk/quorum.redb"));
    records.unwrap().set_len(3000).unwrap();
    for words in [&["votes", "talk"][..], &["cat", "talk", "--committed"], &["append", "talk", "2"]] {
        world.run("host", &[&["--json"], words].concat()).failure("E2002", 9);
    }
    let said = world.run("host", &["--json", "audit", "talk"]);
    said.failure_after_data("E2002", 9);
    assert_eq!(crate::support::objects(said.text())[0]["faults"].as_array().unwrap().len(), 1);
    let info = world.json("host", &["info", "talk"]);
    assert!(info["damaged"].as_str().unwrap().contains("quorum.redb"), "{info}");
}

#[test]
fn what_was_refused_may_be_said_again_when_it_is_right() {
    // Two of four: the committed head, which actions name, stays where it is.
    let bank = Bank::open(2);
    let poor = bank.world.json("host", &["key", "new", "poor"])["key"].as_str().unwrap().to_string();
    let transfer = json!({ "transfer": { "to": bank.issuer, "amount": 5 } }).to_string();
    let pay = ["--json", "append", "money", &transfer, "--as", "poor"];
    for _ in 0..2 {
        bank.world.run("host", &pay).failure_after_data("E3101", 5);
    }
    let mint = json!({ "mint": { "to": poor, "amount": 5 } }).to_string();
    bank.world.ok("host", &["append", "money", &mint, "--as", "bank"]);
    assert_eq!(bank.world.run("host", &pay).code, Some(0));
    bank.world.run("host", &pay).failure_after_data("E3101", 5);
}
