//! Rooms from the command line: actions, refusals, hosts that are away, rules that come and go.

use std::process::Command;
use std::time::{Duration, Instant};

use quorate_feed::{Feed, FeedConfig};
use quorate_net::runtime::AsyncStd;
use quorate_store::{FeedDirectory, Home};
use quorate_stream::action::UnsignedAction;
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_types::Hash;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Said, World, finish, objects};

/// Makes an identity, and returns its key.
fn key(world: &World, home: &str, name: &str) -> String {
    world.json(home, &["key", "new", name])["key"].as_str().unwrap().to_string()
}

/// Makes a room with a ledger whose issuer is the host's identity `bank`; returns its link and that key.
fn money(world: &World) -> (String, String) {
    let bank = key(world, "host", "bank");
    let params = json!({ "issuer": bank }).to_string();
    let made = world.json("host", &["new", "money", "--rule", "builtin:ledger", "--params", &params]);
    assert_eq!((&made["kind"], &made["encoding"]), (&json!("room"), &json!("json")));
    (made["link"].as_str().unwrap().to_string(), bank)
}

fn mint(to: &str, amount: u64) -> String {
    json!({ "mint": { "to": to, "amount": amount } }).to_string()
}

fn pay(to: &str, amount: u64) -> String {
    json!({ "transfer": { "to": to, "amount": amount } }).to_string()
}

/// Waits until the room at a home has as many checked blocks.
fn settled(world: &World, home: &str, length: u64) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let room = world.json(home, &["info", "money"])["room"].clone();
        if room["checked"] == length {
            return room;
        }
        assert!(Instant::now() < until, "{room}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command to its end that may use as much address space, in KiB.
fn within_address_space(world: &World, kib: u64, words: &[&str]) -> Said {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {kib}; exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_quorate"), "--json"]).args(words);
    finish(command.env("QUORATE_HOME", world.path("host")).env("QUORATE_ANNOUNCE", "none"), b"")
}

#[test]
fn rules_run_in_little_address_space_and_with_too_little_the_limit_is_named() {
    let world = World::new();
    let (_, bank) = money(&world);
    let append = ["append", "money", &mint(&bank, 10), "--as", "bank"];
    let said = within_address_space(&world, 64 << 20, &append);
    assert_eq!(said.code, Some(0), "{said:?}");
    let failure = within_address_space(&world, 4 << 20, &append).failure("E3301", 1);
    assert!(failure["message"].as_str().unwrap().contains("ulimit -v"), "{failure}");
    assert_eq!(world.json("host", &["info", "money"])["length"], 3);
}

#[test]
fn what_the_rules_refuse_is_not_appended() {
    let world = World::new();
    let (_, bank) = money(&world);
    let alice = key(&world, "host", "alice");
    let said = world.run("host", &["append", "money", &mint(&alice, 10), "--as", "bank"]);
    assert_eq!((said.code, said.text(), said.stderr.as_str()), (Some(0), "appended at 2\n", ""), "{said:?}");
    let said = world.run("host", &["append", "money", &pay(&bank, 11), "--as", "alice"]);
    assert_eq!((said.code, said.text()), (Some(5), ""));
    let mut lines = said.stderr.lines();
    let refusal = lines.next().unwrap();
    assert!(refusal.starts_with("refused by rule ledger: "), "{refusal}");
    assert!(
        refusal.contains(" has 10, needs 11  (E3101, rule ") && refusal.ends_with(", height 3)"),
        "{refusal}"
    );
    assert_eq!(lines.collect::<Vec<_>>(), ["nothing was appended"]);
    let said = world.run("host", &["--json", "append", "money", &pay(&bank, 11), "--as", "alice"]);
    said.failure_after_data("E3101", 5);
    let object: Value = serde_json::from_str(said.text()).unwrap();
    assert_eq!((&object["schema"], &object["state"]), (&json!("quorate.submitted/1"), &json!("refused")));
    assert_eq!(world.json("host", &["info", "money"])["length"], 3);

    // What is no JSON, bytes as they are, a batch, and somebody who is nobody.
    world.run("host", &["--json", "append", "money", "ten", "--as", "bank"]).failure("E1011", 2);
    world.run("host", &["--json", "append", "money", "1", "--as", "eve"]).failure("E1012", 3);
    world.run("host", &["--json", "append", "money", "--batch"]).failure("E1011", 2);
    world.ok("host", &["new", "plain"]);
    world.run("host", &["--json", "append", "plain", "x", "--as", "bank"]).failure("E1014", 2);

    // Lines: the first that is refused ends it, and those before it stand.
    let lines = format!("{}\n{}\n{}\n", pay(&bank, 4), pay(&bank, 7), pay(&bank, 1));
    let said = world.run_with("host", &["--json", "append", "money", "--as", "alice"], lines.as_bytes());
    said.failure_after_data("E3101", 5);
    assert_eq!(world.json("host", &["info", "money"])["length"], 4);
    let lines = format!("{}\n{}\n", pay(&bank, 1), pay(&bank, 7));
    let said = world.run_with("host", &["append", "money", "--as", "alice"], lines.as_bytes());
    assert_eq!((said.code, said.text()), (Some(5), "appended at 4\n"), "{said:?}");
    assert!(said.stderr.ends_with("\n1 action before it was appended, and nothing after it\n"), "{said:?}");
    assert!(!said.stderr.contains("nothing was appended"), "{said:?}");
    // So it is where one of them is no action.
    let lines = format!("{}\nten\n{}\n", pay(&bank, 1), pay(&bank, 1));
    let said = world.run_with("host", &["append", "money", "--as", "alice"], lines.as_bytes());
    assert_eq!((said.code, said.text()), (Some(2), "appended at 5\n"), "{said:?}");
    assert!(said.stderr.contains("expected JSON in line 2") && said.stderr.contains("; it was not appended"));
}

#[test]
fn a_room_tells_who_said_what_and_what_the_rules_say() {
    let world = World::new();
    let (_, bank) = money(&world);
    world.ok("host", &["append", "money", &mint(&bank, 10), "--as", "bank"]);
    let log = world.ndjson("host", &["log", "money"]);
    let kinds: Vec<&Value> = log.iter().map(|block| &block["entry"]["kind"]).collect();
    assert_eq!(kinds, ["header", "module", "action"]);
    assert_eq!(log[2]["entry"]["author"], json!(bank));
    assert!(log.iter().all(|block| block["entry"]["verdict"] == "accepted"), "{log:?}");
    assert_eq!(world.ok("host", &["cat", "money"]), format!("{}\n", mint(&bank, 10)));
    let cat = world.json("host", &["cat", "money"]);
    assert_eq!((&cat["index"], &cat["author"], &cat["sequence"]), (&json!(2), &json!(bank), &json!(0)));
    assert_eq!(cat["payload"]["mint"]["amount"], 10);
    let room = world.json("host", &["info", "money"])["room"].clone();
    assert_eq!((&room["host"], &room["checked"], &room["waiting"]), (&json!(true), &json!(3), &json!(0)));
    assert_eq!(room["rules"][0]["name"], "ledger");
    let audit = world.json("host", &["audit", "money"]);
    assert_eq!((&audit["room"]["checked"], &audit["room"]["state_root"]), (&json!(3), &room["state_root"]));
    assert!(world.ok("host", &["info", "money"]).contains("appended is all there is"));
}

#[test]
fn an_action_goes_to_the_host_or_waits_for_it() {
    let world = World::new();
    let (link, bank) = money(&world);
    let alice = key(&world, "alice", "alice");
    world.ok("host", &["append", "money", &mint(&alice, 10), "--as", "bank"]);
    let (host, address) = world.share("host", &[]);
    world.json("alice", &["clone", &link, "money", "--peer", &address]);
    assert_eq!(world.ok("alice", &["append", "money", &pay(&bank, 3), "--as", "alice"]), "appended at 3\n");
    let said = world.run("alice", &["--json", "append", "money", &pay(&bank, 8), "--as", "alice"]);
    said.failure_after_data("E3101", 5);
    settled(&world, "host", 4);
    host.interrupt();
    assert_eq!(host.wait(), Some(130));

    // The host is away: what is said is kept, in its order.
    let said = world.run("alice", &["append", "money", &pay(&bank, 2), "--as", "alice"]);
    assert_eq!((said.code, said.text()), (Some(4), "submitted, waiting for the host\n"), "{said:?}");
    let waits = ["append", "money", &pay(&bank, 1), "--as", "alice", "--wait", "submitted"];
    assert_eq!(world.ok("alice", &waits), "submitted, waiting for the host\n");
    let too_much = ["append", "money", &pay(&bank, 9), "--as", "alice", "--wait", "submitted"];
    world.ok("alice", &too_much);
    assert_eq!(world.json("alice", &["info", "money"])["room"]["waiting"], 3);
    assert!(world.ok("alice", &["info", "money"]).contains("3 actions, waiting for the host"));

    // It comes back, elsewhere: what was kept reaches it without being said again.
    let (_host, address) = world.share("host", &[]);
    let (mut alice, _) = world.share("alice", &["--peer", &address]);
    for _ in 0..2 {
        alice.object(|event| event["event"] == "submission" && event["state"] == "appended");
    }
    alice.object(|event| event["event"] == "submission" && event["state"] == "refused");
    let room = settled(&world, "alice", 6);
    assert_eq!((&room["waiting"], &room["checked"]), (&json!(0), &json!(6)));
    // What the host refused while nobody waited to hear of it is told after the next start, too.
    alice.interrupt();
    assert_eq!(alice.wait(), Some(130));
    let ended = world.json("alice", &["info", "money"])["room"]["not_appended"].clone();
    assert_eq!((ended.as_array().map(Vec::len), &ended[0]["code"]), (Some(1), &json!("E3101")), "{ended}");
    assert_eq!((&ended[0]["state"], &ended[0]["sequence"]), (&json!("refused"), &json!(3)), "{ended}");
    let told = world.ok("alice", &["info", "money"]);
    assert!(told.contains("#3: refused by rule ledger: "), "{told}");
    assert_eq!(room["state_root"], world.json("host", &["info", "money"])["room"]["state_root"]);
    let amounts: Vec<Value> = world
        .ndjson("host", &["cat", "money", "--start", "3"])
        .iter()
        .map(|line| line["payload"]["transfer"]["amount"].clone())
        .collect();
    assert_eq!(amounts, [3, 2, 1]);
}

#[test]
fn rules_come_and_go_at_their_height() {
    let world = World::new();
    world.ok("host", &["new", "talk", "--room", "--encoding", "utf-8"]);
    world.ok("host", &["append", "talk", "one"]);
    world.ok("host", &["append", "talk", "two"]);
    let params = "{\"actions\":1,\"blocks\":100}";
    // What it would have said: the second is one too many.
    let replay = ["rule", "replay", "talk", "--rule", "builtin:rate-limit", "--params", params];
    let codes: Vec<Value> = world.ndjson("host", &replay).iter().map(|line| line["code"].clone()).collect();
    assert_eq!(codes, [0, 2]);
    let refused = world.ndjson("host", &[&replay[..], &["--refused"]].concat());
    assert_eq!((refused.len(), &refused[0]["index"]), (1, &json!(2)));

    let add = ["rule", "add", "talk", "builtin:rate-limit:slow", "--params", params];
    let said = world.json("host", &add);
    assert_eq!(said["state"], "appended");
    let rules = world.ndjson("host", &["rule", "ls", "talk"]);
    assert_eq!(
        (rules.len(), &rules[0]["name"], &rules[0]["schema"]),
        (1, &json!("slow"), &json!("quorate.rule/1"))
    );
    world.ok("host", &["append", "talk", "three"]);
    world.run("host", &["--json", "append", "talk", "four"]).failure_after_data("E3101", 5);
    // The same again is refused: the name is taken.
    world.run("host", &[&["--json"], &add[..]].concat()).failure_after_data("E3210", 5);

    let wider = "{\"actions\":2,\"blocks\":100}";
    world.ok("host", &["rule", "params", "talk", "slow", wider]);
    world.ok("host", &["append", "talk", "four"]);
    world.run("host", &["--json", "append", "talk", "five"]).failure_after_data("E3101", 5);
    world.ok("host", &["rule", "replace", "talk", "slow", "builtin:rate-limit", "--params", params]);
    world.run("host", &["--json", "append", "talk", "five"]).failure_after_data("E3101", 5);
    world.run("host", &["--json", "rule", "remove", "talk", "fast"]).failure("E3207", 5);
    // It holds until its height, and its height is the next.
    world.ok("host", &["rule", "remove", "talk", "slow"]);
    world.ok("host", &["append", "talk", "five"]);
    assert_eq!(world.ndjson("host", &["rule", "ls", "talk"]).len(), 0);
    assert_eq!(world.ok("host", &["cat", "talk"]), "one\ntwo\nthree\nfour\nfive\n");
    let audit = world.json("host", &["audit", "talk"]);
    assert_eq!(audit["faults"], json!([]));
}

#[test]
fn a_locked_rule_stays_and_a_broken_module_is_told_before_anything_is_made() {
    let world = World::new();
    let bank = key(&world, "host", "bank");
    let params = format!("ledger={}", json!({ "issuer": bank }));
    let new = ["new", "money", "--rule", "builtin:ledger", "--rule", "builtin:chess:game"];
    // Params are for one of the two, and each needs its own.
    world.run("host", &[&["--json"], &new[..], &["--params", "{}"]].concat()).failure("E1011", 2);
    world.run("host", &[&["--json"], &new[..], &["--params", &params]].concat()).failure("E3209", 5);
    assert_eq!(world.ndjson("host", &["ls"]).len(), 0, "nothing was made");
    let limit = r#"limit={"actions":9,"blocks":1}"#;
    let new = ["new", "money", "--rule", "builtin:ledger", "--params", &params, "--lock", "ledger"];
    world.ok(
        "host",
        &[&new[..], &["--rule", "builtin:rate-limit:limit", "--params", limit, "--lock", "limit"]].concat(),
    );
    // The ledger is asked, and lets its issuer decide; the limit cannot be asked.
    key(&world, "host", "thief");
    let other = json!({ "issuer": key(&world, "host", "eve") }).to_string();
    for words in [
        &["remove", "money", "ledger"][..],
        &["replace", "money", "ledger", "builtin:ledger", "--params", &other],
        &["params", "money", "ledger", &other],
    ] {
        let said = world.run("host", &[&["--json", "rule"], words, &["--as", "thief"]].concat());
        said.failure_after_data("E3203", 5);
    }
    for words in [&["remove", "money", "limit"][..], &["replace", "money", "limit", "builtin:rate-limit"]] {
        let said = world.run("host", &[&["--json", "rule"], words, &["--as", "bank"]].concat());
        said.failure_after_data("E3206", 5);
    }
    let committed = ["--json", "rule", "remove", "money", "ledger", "--as", "bank", "--wait", "committed"];
    world.run("host", &committed).failure("E3401", 3);
    world.ok("host", &["rule", "remove", "money", "ledger", "--as", "bank"]);
    std::fs::write(world.path("broken.wasm"), b"\0asm\x01\0\0\0").unwrap();
    world.run("host", &["--json", "new", "other", "--rule", "broken.wasm"]).failure("E3201", 5);
    world.run("host", &["--json", "rule", "add", "money", "broken.wasm"]).failure("E3201", 5);
}

#[test]
fn blocks_of_a_room_can_be_carried_without_a_verdict() {
    let world = World::new();
    let (link, bank) = money(&world);
    world.ok("host", &["append", "money", &mint(&bank, 10), "--as", "bank"]);
    let (_host, address) = world.share("host", &[]);
    let info = world.json("carrier", &["clone", &link, "money", "--peer", &address, "--no-check"]);
    assert_eq!((&info["here"], &info["room"]), (&json!(3), &Value::Null));
    assert!(info["unchecked"].as_str().unwrap().contains("asked for"));
    let log = world.ndjson("carrier", &["log", "money"]);
    assert!(log.iter().all(|block| block["entry"]["verdict"] == "unchecked"));
    world.run("carrier", &["--json", "append", "money", "1"]).failure("E3301", 1);
    let audit = world.json("carrier", &["audit", "money"]);
    assert_eq!(audit["room"], Value::Null);
    assert!(audit["unchecked"].as_str().unwrap().contains("asked for"), "{audit}");
    // A sparse copy has not even the block that says whether it is a room, and neither has a clone that met nobody.
    world.json("sparse", &["clone", &link, "money", "--peer", &address, "--sparse"]);
    let nobody = ["--json", "clone", &link, "money", "--peer", "127.0.0.1:1", "--timeout", "2"];
    assert_eq!(world.run("early", &nobody).code, Some(4));
    for (home, why) in [("sparse", "block 0, which says"), ("early", "nothing of it is here yet")] {
        let audit = world.json(home, &["audit", "money"]);
        assert!(audit["unchecked"].as_str().unwrap().contains(why), "{audit}");
        assert!(world.ok(home, &["audit", "money"]).contains("the rules of the room were not run"));
        for more in [&[][..], &["--wait", "submitted"]] {
            let said = world.run(home, &[&["--json", "append", "money", "1"], more].concat());
            let failure = said.failure("E1005", 3);
            assert!(failure["message"].as_str().unwrap().contains(why), "{failure}");
            assert!(failure["next"].as_str().unwrap().starts_with(&format!("quorate clone {link}")));
        }
    }
    // Without the flag they are checked after all.
    let info = world.json("carrier", &["clone", &link, "money", "--peer", &address]);
    assert_eq!((&info["room"]["checked"], &info["unchecked"]), (&json!(3), &Value::Null));
    assert_eq!(world.json("carrier", &["audit", "money"])["room"]["checked"], json!(3));
}

/// Signs an action by an identity of the host and appends it behind the back of its program, which would check it.
fn append_unchecked(world: &World, stream: &str, identity: &str, sequence: u64, payload: &str) {
    let home = Home::open(world.path("host")).unwrap();
    let author = home.identity(&identity.parse().unwrap()).unwrap();
    let author = Author::from_secret(&author.secret).unwrap();
    let stored = home.find(stream).unwrap();
    AsyncStd::block_on(async {
        let FeedDirectory { keys, storage, lock, .. } = FeedDirectory::open(&stored.files).await.unwrap();
        let (mut feed, _) = Feed::open(keys, storage, FeedConfig::default()).await.unwrap();
        let room = room_id(&stored.key, &feed.get(0).await.unwrap().unwrap());
        let anchor = Anchor::new(0, Hash::new([0; 32]));
        let action = UnsignedAction { sequence, anchor, valid_until: 0, payload: payload.to_owned().into() };
        feed.append(&[action.sign(&room, &author).unwrap().encode()]).await.unwrap();
        feed.flush().await.unwrap();
        drop(lock);
    });
}

#[test]
fn a_room_is_shown_up_to_the_block_that_its_rules_refuse() {
    let world = World::new();
    let (link, bank) = money(&world);
    let minted = mint(&bank, 10);
    world.ok("host", &["append", "money", &minted, "--as", "bank"]);
    let nobody = key(&world, "host", "nobody");
    // The host takes what its rule refuses, and goes on behind it.
    append_unchecked(&world, "money", "bank", 1, &pay(&nobody, 11));
    append_unchecked(&world, "money", "bank", 2, &pay(&nobody, 1));
    let shown = format!("{minted}\n");
    for home in ["host", "reader"] {
        let _serving = (home == "reader").then(|| {
            let (host, address) = world.share("host", &[]);
            let said = world.run("reader", &["--json", "clone", &link, "money", "--peer", &address]);
            said.failure("E3302", 5);
            host
        });
        let said = world.run(home, &["cat", "money"]);
        assert_eq!((said.code, said.text()), (Some(5), shown.as_str()), "{home}: {said:?}");
        assert!(
            said.stderr.contains("block 3 refused by rule ledger: ") && said.stderr.contains("(E3302)"),
            "{said:?}"
        );
        assert!(said.stderr.contains("next: quorate log money --start 3"), "{said:?}");
        let said = world.run(home, &["--json", "cat", "money"]);
        said.failure_after_data("E3302", 5);
        assert_eq!(objects(said.text()).len(), 1, "{said:?}");
        // Whoever asks for what stands before it has it; the bytes of the block itself are kept as proof.
        assert_eq!(world.ok(home, &["cat", "money", "--end", "3"]), shown);
        let said = world.run(home, &["--json", "cat", "money", "--start", "3"]);
        said.failure("E3302", 5);
        let live = world.run(home, &["--json", "cat", "money", "--live"]);
        live.failure_after_data("E3302", 5);
        world.json(home, &["get", "money", "3"]);
        let log = world.ndjson(home, &["log", "money", "--start", "2", "--end", "4"]);
        let verdicts: Vec<&Value> = log.iter().map(|block| &block["entry"]["verdict"]).collect();
        assert_eq!(verdicts, ["accepted", "refused"], "{log:?}");
        world.run(home, &["--json", "audit", "money"]).failure_after_data("E3302", 5);
    }
}

#[test]
fn nothing_is_fetched_behind_a_block_that_was_refused_before() {
    let world = World::new();
    let (link, bank) = money(&world);
    append_unchecked(&world, "money", "bank", 0, &pay(&bank, 11));
    let clone = |address: &str| {
        let said = world.run("reader", &["--json", "clone", &link, "money", "--peer", address]);
        said.failure("E3302", 5);
    };
    let here = || world.json("reader", &["info", "money"])["here"].clone();
    {
        let (_host, address) = world.share("host", &[]);
        clone(&address);
    }
    let before = here();
    for sequence in 1..40 {
        append_unchecked(&world, "money", "bank", sequence, &pay(&bank, 1));
    }
    let (_host, address) = world.share("host", &[]);
    for _ in 0..3 {
        clone(&address);
        let (mut reader, _) = world.share("reader", &["--peer", &address]);
        reader.object(|event| event["event"] == "refused");
        reader.interrupt();
        reader.wait();
    }
    assert_eq!(here(), before);
}

#[test]
fn a_room_of_which_blocks_are_missing_is_fetched_and_checked() {
    let world = World::new();
    let (link, bank) = money(&world);
    let lines: String = (0..30).map(|_| mint(&bank, 1) + "\n").collect();
    world.run_with("host", &["append", "money", "--as", "bank"], lines.as_bytes());
    let (_host, address) = world.share("host", &[]);
    world.json("reader", &["clone", &link, "money", "--peer", &address, "--no-check"]);
    // It is as long as before, and has a gap, as a fetch that was interrupted leaves it.
    world.ok("reader", &["clear", "money", "9", "20", "--yes"]);
    let info = world.json("reader", &["clone", &link, "money", "--peer", &address, "--timeout", "20"]);
    assert_eq!((&info["here"], &info["room"]["checked"]), (&json!(32), &json!(32)), "{info}");
}

#[test]
fn who_follows_the_log_of_a_room_sees_each_block_with_its_verdict() {
    let world = World::new();
    let link = world.json("host", &["new", "talk", "--room"])["link"].as_str().unwrap().to_owned();
    let (_host, address) = world.share("host", &[]);
    let mut reader = world.start("reader", &["--json", "clone", &link, "talk", "--peer", &address, "--live"]);
    reader.object(|object| object["schema"] == "quorate.stream/1");
    let mut log = world.start("reader", &["log", "talk", "--live"]);
    let mut objects = world.start("reader", &["--json", "log", "talk", "--live", "--start", "1"]);
    assert!(log.line().ends_with("accepted"));
    for number in 0..20 {
        let lines: String = (0..50).map(|line| format!("\"{number} {line}\"\n")).collect();
        assert_eq!(world.run_with("host", &["append", "talk"], lines.as_bytes()).code, Some(0));
        for _ in 0..50 {
            let line = log.line();
            assert!(line.ends_with("accepted"), "{line}");
            let object = objects.object(|_| true);
            assert_eq!(object["entry"]["verdict"], "accepted", "{object}");
        }
    }
    // Where nothing is checked the line says so, and does not wait.
    drop(reader);
    drop(log);
    world.json("carrier", &["clone", &link, "talk", "--peer", &address, "--no-check"]);
    let mut log = world.start("carrier", &["log", "talk", "--live", "--tail", "1"]);
    assert!(log.line().ends_with("not checked"));
    world.ok("host", &["append", "talk", "\"more\""]);
    assert!(log.line().ends_with("not checked"));
}

#[test]
fn the_demo_of_a_chat_admits_and_removes() {
    let world = World::new();
    let shown = world.json("home", &["demo", "chat"]);
    assert_eq!((&shown["schema"], &shown["scenario"]), (&json!("quorate.demo/1"), &json!("chat")));
    assert_eq!(shown["actions"], json!(10));
    let refused = shown["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 2, "{shown}");
    for one in refused {
        assert_eq!((&one["who"], &one["code"]), (&json!("carol"), &json!("E3101")), "{one}");
        assert!(one["reason"].as_str().unwrap().contains("is not a member"), "{one}");
    }
    let text = world.ok("home", &["demo", "chat"]);
    for words in
        ["makes carol a member", "nothing was appended", "removes carol", "only members spoke: 10 actions"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!world.path("home").exists(), "it plays in temporary directories");
}

/// The reasons for which a demo of a room had something refused; stock clients that were there have read all of it.
fn refusals(shown: &Value) -> Vec<String> {
    for client in shown["stock"].as_array().unwrap() {
        assert_eq!(client["received"], shown["blocks"], "{shown}");
    }
    let refused = shown["refused"].as_array().unwrap().iter();
    refused
        .map(|one| {
            assert_eq!(one["code"], "E3101", "{one}");
            one["reason"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn the_demo_of_chess_plays_a_game_to_its_end() {
    let world = World::new();
    let shown = world.json("home", &["demo", "chess"]);
    assert_eq!((&shown["scenario"], &shown["actions"]), (&json!("chess"), &json!(33)));
    assert_eq!(shown["blocks"], json!(35), "a header, the rule and the moves");
    let reasons = refusals(&shown);
    let expected = ["it is white's turn", "not a legal move of the pawn", "white mated black"];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (reason, words) in reasons.iter().zip(expected) {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn the_demo_of_a_ledger_refuses_what_is_not_there() {
    let world = World::new();
    let shown = world.json("home", &["demo", "ledger"]);
    assert_eq!((&shown["scenario"], &shown["actions"]), (&json!("ledger"), &json!(3)));
    let reasons = refusals(&shown);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].ends_with("has 55, needs 56") && reasons[1].ends_with("is not the issuer"));
}

#[test]
fn the_demo_of_sharing_clones_and_audits() {
    let world = World::new();
    let shown = world.json("home", &["demo", "share"]);
    assert_eq!((&shown["blocks"], &shown["audited_blocks"]), (&json!(1100), &json!(1100)), "{shown}");
    refusals(&json!({ "stock": shown["stock"], "blocks": shown["blocks"], "refused": [] }));
    assert!(!world.path("home").exists(), "it plays in temporary directories");
}
