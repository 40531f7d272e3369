//! Rooms whose host is gone: another one follows, and what was committed stands.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, Said, World, objects};

const VALIDATORS: [&str; 4] = ["host", "bob", "carol", "dave"];

/// A room with four validators, of whom bob and carol may host it after the first host, and their nodes.
pub(crate) struct Room {
    pub(crate) world: World,
    link: String,
    nodes: Vec<(&'static str, Running, String)>,
}

impl Room {
    pub(crate) fn open() -> Self {
        Self::with_hosts(["bob", "carol"])
    }

    fn with_hosts(hosts: [&str; 2]) -> Self {
        let world = World::new();
        let key = |home: &str, words: &[&str]| world.json(home, words)["key"].as_str().unwrap().to_owned();
        let votes = VALIDATORS.map(|home| key(home, &["validator", "key"]));
        let hosts = hosts.map(|home| key(home, &["key", "new", "host"]));
        let mut words = vec!["new", "talk", "--encoding", "json"];
        votes.iter().for_each(|vote| words.extend(["--validator", vote.as_str()]));
        hosts.iter().for_each(|host| words.extend(["--next-host", host.as_str()]));
        let link = world.json("host", &words)["link"].as_str().unwrap().to_owned();
        let mut room = Self { world, link, nodes: Vec::new() };
        VALIDATORS.into_iter().for_each(|home| room.start(home));
        room
    }

    /// Starts a node that knows the link, and all nodes that run.
    pub(crate) fn start(&mut self, home: &'static str) {
        let addresses: Vec<String> = self.nodes.iter().map(|(_, _, address)| address.clone()).collect();
        if let Some(first) = addresses.first()
            && !self.world.path(home).join("streams/talk").exists()
        {
            self.world.json(home, &["clone", &self.link, "talk", "--peer", first]);
        }
        let words: Vec<&str> = addresses.iter().flat_map(|address| ["--peer", address.as_str()]).collect();
        let (node, address) = self.world.share(home, &words);
        self.nodes.push((home, node, address));
    }

    /// Copies the host's key to a second machine, where something else is said behind what the host has said.
    fn twin_says(&self, texts: &[&str]) {
        let copy = self.world.path("copy");
        self.world.ok("host", &["export", "talk", copy.to_str().unwrap(), "--with-secret-key"]);
        self.world.ok("twin", &["import", copy.to_str().unwrap(), "talk"]);
        for text in texts {
            let action = json!({ "said": text }).to_string();
            self.world.ok("twin", &["append", "talk", &action, "--unsafe-only-writer", "--yes"]);
        }
    }

    fn signal(&self, home: &str, signal: Signal) {
        self.nodes.iter().filter(|(name, _, _)| *name == home).for_each(|(_, node, _)| node.signal(signal));
    }

    pub(crate) fn kill(&mut self, home: &str) {
        self.nodes.retain(|(name, _, _)| *name != home);
    }

    /// Ends a node as Ctrl-C does.
    pub(crate) fn interrupt(&mut self, home: &str) {
        for (_, node, _) in self.nodes.extract_if(.., |(name, _, _)| *name == home) {
            node.interrupt();
            node.wait();
        }
    }

    pub(crate) fn say(&self, home: &str, text: &str, wait: &str, seconds: &str) -> Said {
        let action = json!({ "said": text }).to_string();
        let words = ["--json", "append", "talk", &action, "--wait", wait, "--timeout", seconds];
        self.world.run(home, &words)
    }

    pub(crate) fn info(&self, home: &str) -> Value {
        self.world.json(home, &["info", "talk"])
    }

    /// Waits until a home knows something of the room.
    pub(crate) fn until(&self, home: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let info = self.info(home);
            if fits(&info) {
                return info;
            }
            assert!(Instant::now() < until, "{home}: {info:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn committed(&self, home: &str) -> String {
        self.world.ok(home, &["cat", "talk", "--committed"])
    }
}

pub(crate) fn quorum(info: &Value) -> &Value {
    &info["room"]["quorum"]
}

#[test]
fn what_a_lost_host_took_and_nobody_committed_stands_in_the_room_of_the_one_after_it() {
    let mut room = Room::open();
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));
    // Bob follows the host, and Carol will follow him.
    room.kill("host");
    assert_eq!(room.say("dave", "two", "committed", "60").code, Some(0));
    room.kill("dave");
    // Bob takes what Carol says, and two of four commit nothing.
    let action = json!({ "said": "three" }).to_string();
    let words = ["--json", "append", "talk", &action, "--wait", "committed", "--timeout", "120"];
    let mut said = room.world.start("carol", &words);
    let submitted = said.object(|object| object["schema"] == "quorate.submitted/1");
    assert_eq!(submitted["state"], "appended", "{submitted}");
    room.kill("bob");
    // The others give him up before they have seen it.
    room.signal("carol", Signal::STOP);
    room.start("host");
    room.start("dave");
    let other = json!({ "said": "four" }).to_string();
    let mut words = words;
    words[3] = &other;
    let mut beside = room.world.start("dave", &words);
    room.until("dave", |info| {
        let validators = quorum(info)["validators"].as_array().unwrap();
        validators.iter().filter(|one| one["sealed"] == true).count() == 2
    });
    room.signal("carol", Signal::CONT);
    let mut index = submitted["index"].as_u64().unwrap();
    // Where it comes to stand elsewhere, that is told first.
    let committed = loop {
        let object = said.object(|_| true);
        if object["schema"] == "quorate.committed/1" {
            break object["length"].as_u64().unwrap();
        }
        index = object["index"].as_u64().unwrap();
    };
    assert_eq!(said.wait(), Some(0));
    beside.object(|object| object["schema"] == "quorate.committed/1");
    assert!(committed > index, "{committed} blocks, and it is at {index}");
    let info = room.until("dave", |info| quorum(info)["committed"].as_u64() > Some(index));
    assert_eq!(quorum(&info)["epoch"], 2, "{info:#}");
    for home in ["host", "carol", "dave"] {
        room.until(home, |info| quorum(info)["committed"].as_u64() > Some(index));
        let text = room.committed(home);
        for word in ["one", "two", "three", "four"] {
            assert_eq!(text.matches(word).count(), 1, "{home}: {text}");
        }
    }
}

#[test]
fn the_next_host_goes_on_when_the_host_is_gone() {
    let mut room = Room::open();
    room.until("dave", |info| quorum(info)["committed"].as_u64() >= Some(1));
    for text in ["one", "two"] {
        let said = room.say("dave", text, "committed", "30");
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let before = room.committed("dave");
    assert_eq!(before.lines().count(), 2, "{before}");

    // The host dies, and somebody says something.
    room.kill("host");
    let said = room.say("dave", "three", "committed", "60");
    assert_eq!(said.code, Some(0), "{said:?}");
    let index = objects(said.text())[0]["index"].as_u64().unwrap();
    let info = room.until("dave", |info| quorum(info)["committed"].as_u64() > Some(index));
    assert_eq!(quorum(&info)["epoch"], 1, "{info:#}");
    let feeds = quorum(&info)["feeds"].as_array().unwrap().clone();
    assert_eq!((feeds.len(), &feeds[0]["key"]), (2, &info["key"]), "{info:#}");
    assert!(feeds[1]["start"].as_u64() <= Some(index), "{info:#}");
    assert!(room.info("bob")["room"]["host"].as_bool().unwrap());

    // What was committed stands, on all nodes, and the room goes on.
    let said = room.say("carol", "four", "committed", "30");
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = room.say("bob", "five", "committed", "30");
    assert_eq!(said.code, Some(0), "{said:?}");
    for home in ["bob", "carol", "dave"] {
        let info = room.until(home, |info| quorum(info)["committed"].as_u64() > Some(index + 2));
        assert_eq!(info["room"]["checked"], info["length"], "{info:#}");
        let text = room.committed(home);
        assert!(text.starts_with(&before), "{home}: {text}");
        let words = ["one", "two", "three", "four", "five"];
        let heard = words.iter().filter(|word| text.contains(&format!("{{\"said\":\"{word}\"}}"))).count();
        assert_eq!((heard, text.lines().count()), (5, 5), "{home}: {text}");
    }
    let log = room.world.ndjson("carol", &["log", "talk"]);
    assert_eq!(log[index as usize]["entry"]["kind"], "action", "{log:?}");
    assert_eq!(log[index as usize]["entry"]["committed"], true, "{log:?}");

    // Who knows nothing but the first feed's key gets all of it.
    room.start("eve");
    let info = room.until("eve", |info| quorum(info)["committed"].as_u64() > Some(index + 2));
    assert_eq!(quorum(&info)["feeds"], quorum(&room.info("dave"))["feeds"]);
    assert_eq!(room.committed("eve"), room.committed("dave"));
    // Counts are of both feeds: the first has blocks behind those that the next host went on from.
    for home in ["bob", "eve"] {
        let audit = room.world.json(home, &["audit", "talk"]);
        assert_eq!((&audit["faults"], &audit["feeds"]), (&json!([]), &json!(2)), "{audit}");
        let [blocks, missing, length] =
            ["blocks", "missing", "length"].map(|field| audit[field].as_u64().unwrap());
        assert_eq!(blocks + missing, length, "{audit}");
        assert!(length >= audit["room"]["checked"].as_u64().unwrap(), "{audit}");
        let said = room.world.ok(home, &["audit", "talk"]);
        assert!(said.contains("blocks of the 2 feeds of the room hashed again"), "{said}");
    }

    // The host that was gone comes back as one among others.
    room.start("host");
    let info = room
        .until("host", |info| quorum(info)["feeds"].is_array() && info["room"]["checked"] == info["length"]);
    assert_eq!((&info["room"]["host"], &quorum(&info)["feeds"]), (&json!(false), &json!(feeds)), "{info:#}");
    let said = room.say("host", "six", "committed", "30");
    assert_eq!(said.code, Some(0), "{said:?}");

    // All of it is remembered, by hosts and others.
    let committed = objects(said.text())[1]["length"].as_u64();
    for home in ["bob", "dave"] {
        let has_it = |info: &Value| {
            info["room"]["checked"].as_u64().min(quorum(info)["committed"].as_u64()) >= committed
        };
        room.until(home, has_it);
    }
    for home in ["bob", "carol", "dave", "eve", "host"] {
        room.kill(home);
    }
    for home in ["bob", "dave"] {
        let info = room.info(home);
        assert_eq!(
            (&quorum(&info)["epoch"], &info["room"]["host"]),
            (&json!(1), &json!(home == "bob")),
            "{info:#}"
        );
        let words = room.world.ok(home, &["info", info["name"].as_str().unwrap()]);
        let hosts = quorum(&info)["hosts"].as_array().unwrap();
        let feeds = quorum(&info)["feeds"].as_array().unwrap();
        let (host, feed) = (hosts[0].as_str().unwrap(), feeds[1]["key"].as_str().unwrap());
        assert!(words.contains(&format!("identity {host}, feed {feed}")), "{words}");
        let next = words.lines().find(|line| line.trim_start().starts_with("next host")).unwrap();
        assert!(next.ends_with(hosts[1 % hosts.len()].as_str().unwrap()), "{words}");
        assert!(room.committed(home).contains("six"));
    }
}

#[test]
fn what_a_lost_host_said_itself_is_committed_by_the_next() {
    let mut room = Room::open();
    room.until("dave", |info| quorum(info)["committed"].as_u64() >= Some(1));
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));

    // Nobody hears what the host says now, and the host hears nothing of what comes after.
    ["bob", "carol", "dave"].into_iter().for_each(|home| room.kill(home));
    assert_eq!(room.say("host", "two", "appended", "30").code, Some(0));
    let action = json!({ "said": "three" }).to_string();
    let words = ["--json", "append", "talk", &action, "--wait", "committed", "--timeout", "300"];
    let mut waiting = room.world.start("host", &words);
    let appended = waiting.object(|said| said["state"] == "appended")["index"].as_u64().unwrap();
    room.signal("host", Signal::STOP);
    ["bob", "carol", "dave"].into_iter().for_each(|home| room.start(home));
    let said = room.say("dave", "four", "committed", "90");
    assert_eq!(said.code, Some(0), "{said:?}");
    let dropped = room.committed("dave");
    assert!(dropped.contains("four") && !dropped.contains("two"), "{dropped}");

    // It comes back, and who waits there hears where it stands now.
    room.signal("host", Signal::CONT);
    let moved = waiting.object(|said| said["state"] == "appended");
    let committed = waiting.object(|said| said["schema"] == "quorate.committed/1");
    assert!(moved["index"].as_u64() > Some(appended), "{appended}: {moved}");
    assert!(committed["length"].as_u64() > moved["index"].as_u64(), "{moved}: {committed}");
    assert_eq!(waiting.wait(), Some(0));
    for home in ["dave", "host"] {
        let words = ["one", "two", "three", "four"].map(|word| format!("{{\"said\":\"{word}\"}}"));
        room.until(home, |_| words.iter().all(|word| room.committed(home).contains(word)));
        assert_eq!(room.committed(home).lines().count(), 4);
    }
}

#[test]
fn a_next_host_that_never_shows_up_is_passed_over() {
    // Who hosts next has no node.
    let mut room = Room::with_hosts(["ghost", "carol"]);
    room.until("dave", |info| quorum(info)["committed"].as_u64() >= Some(1));
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));
    room.kill("host");
    // It waits for a host, over the end of the command that said it.
    assert_eq!(room.say("dave", "two", "submitted", "5").code, Some(0));
    let info = room.until("dave", |info| quorum(info)["feeds"].is_array());
    assert_eq!(quorum(&info)["epoch"], 2, "{info:#}");
    let feeds = quorum(&info)["feeds"].as_array().unwrap();
    assert_eq!((feeds.len(), &feeds[1]["epoch"]), (2, &json!(2)), "{info:#}");
    room.until("bob", |_| room.committed("bob").contains("two"));
    assert_eq!(room.info("carol")["room"]["host"], true);
}

#[test]
fn a_host_that_signs_two_histories_is_replaced() {
    let mut room = Room::open();
    room.until("dave", |info| quorum(info)["committed"].as_u64() >= Some(1));
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));

    // The host's key on a second machine, where something else was said.
    room.kill("host");
    room.twin_says(&["never"]);
    room.start("host");
    let said = room.say("host", "two", "committed", "30");
    assert_eq!(said.code, Some(0), "{said:?}");
    let committed = objects(said.text())[1]["length"].as_u64().unwrap();
    for home in ["bob", "carol", "dave"] {
        room.until(home, |info| quorum(info)["committed"].as_u64() >= Some(committed));
    }
    let mut log = room.world.start("dave", &["log", "talk", "--live", "--tail", "0"]);
    room.start("twin");
    let told = loop {
        let line = log.line();
        if line.starts_with("FORK in talk at height ") {
            break [log.line(), log.line(), log.line(), log.line()];
        }
    };
    assert!(told[0].starts_with("  A ") && told[1].ends_with(" are committed and not touched"), "{told:?}");
    assert!(told[2].contains(" saved and sent to the peers"), "{told:?}");
    for home in ["bob", "carol", "dave"] {
        let info = room.until(home, |info| quorum(info)["epoch"] == 1 && quorum(info)["feeds"].is_array());
        assert_eq!(quorum(&info)["evidence"][0]["kind"], "writer-fork", "{info:#}");
        assert!(quorum(&info)["committed"].as_u64() >= Some(committed), "{info:#}");
    }
    let said = room.say("dave", "three", "committed", "60");
    assert_eq!(said.code, Some(0), "{said:?}");
    for home in ["bob", "carol"] {
        room.until(home, |_| room.committed(home).contains("three"));
        let text = room.committed(home);
        assert!(text.contains("one") && text.contains("two") && !text.contains("never"), "{text}");
    }

    // The next host puts the evidence into a block, once, so that it is found in the room itself.
    let told = |home: &str| {
        let log = room.world.ndjson(home, &["log", "talk"]);
        log.iter().filter(|block| block["entry"]["kind"] == "evidence").count()
    };
    room.until("dave", |_| told("dave") > 0);

    // Who fetches the room hears of it.
    let address = |room: &Room, of: &str| room.nodes.iter().find(|(home, ..)| *home == of).unwrap().2.clone();
    let words = ["--json", "clone", &room.link, "talk", "--peer", &address(&room, "carol")];
    room.world.run("fresh", &words).failure_after_data("E5001", 7);
    assert!(room.committed("fresh").contains("three"));

    // Who stops the replication of the first feed gets nothing of the later ones either.
    let words = ["--json", "clone", &room.link, "talk", "--peer", &address(&room, "bob")];
    room.world.run("eve", &words).failure_after_data("E5001", 7);
    room.start("eve");
    room.until("eve", |_| room.committed("eve").contains("three"));
    let id = quorum(&room.info("eve"))["evidence"][0]["id"].as_str().unwrap().to_owned();
    room.world.json("eve", &["fork", "resolve", "talk", &id, "--policy", "stop-replicating"]);
    std::thread::sleep(Duration::from_secs(1));
    let length = room.info("eve")["length"].clone();
    let has_stopped = |room: &Room, text: &str| {
        let said = room.say("dave", text, "committed", "60");
        assert_eq!(said.code, Some(0), "{said:?}");
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(room.info("eve")["length"], length);
    };
    has_stopped(&room, "four");
    room.kill("eve");
    room.start("eve");
    has_stopped(&room, "five");
    room.world.json("eve", &["fork", "resolve", "talk", &id, "--policy", "warn"]);
    room.until("eve", |_| room.committed("eve").contains("five"));
    let log = room.world.ndjson("eve", &["log", "talk"]);
    assert_eq!(log.iter().filter(|block| block["entry"]["kind"] == "evidence").count(), 1, "{log:?}");
}

/// The first feed is all here long before anything is heard of the hosts after the first.
#[test]
fn a_clone_ends_where_the_peers_of_the_room_are() {
    let mut room = Room::open();
    room.until("dave", |info| quorum(info)["committed"].as_u64() >= Some(1));
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));
    room.until("host", |info| quorum(info)["committed"].as_u64() >= Some(2));
    // What the host takes alone is dropped by the next one, and comes again when the host is back.
    room.kill("host");
    for text in ["lost", "lost too"] {
        room.say("host", text, "appended", "5");
    }
    assert_eq!(room.say("dave", "two", "committed", "60").code, Some(0));
    room.start("eve");
    room.start("host");
    // Nothing but certificates comes behind it.
    room.until("eve", |_| {
        ["two", "lost", "lost too"].iter().all(|text| room.committed("eve").contains(&format!("\"{text}\"")))
    });
    let (eve, text) = (room.info("eve"), room.committed("eve"));
    let lengths = |info: &Value| {
        let numbers = [&info["length"], &info["here"], &quorum(info)["committed"]];
        numbers.map(|number| number.as_u64().unwrap())
    };
    let address = room.nodes.iter().find(|(home, ..)| *home == "eve").unwrap().2.clone();
    for home in ["one", "two", "three", "four", "five"] {
        let info = room.world.json(home, &["clone", &room.link, "talk", "--peer", &address]);
        let is_all = |info: &Value| lengths(info).iter().zip(lengths(&eve)).all(|(its, all)| *its >= all);
        assert!(is_all(&info) && info["here"] == info["length"], "{info:#}\n{eve:#}");
        // It is on disk.
        let info = room.info(home);
        assert!(is_all(&info), "{info:#}\n{eve:#}");
        assert_eq!(room.committed(home), text);
    }
}

/// A reader and a validator have met nobody but the cheater, and hold what the others never committed.
#[test]
fn who_holds_a_history_that_does_not_count_goes_over_to_the_other_one() {
    let mut room = Room::open();
    for home in VALIDATORS {
        room.until(home, |info| quorum(info)["committed"].as_u64() >= Some(1));
    }
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));
    room.until("carol", |_| room.committed("carol").contains("one"));
    room.kill("host");
    room.kill("carol");
    room.twin_says(&["never", "nor this"]);
    {
        let (_twin, address) = room.world.share("twin", &[]);
        room.world.json("reader", &["clone", &room.link, "talk", "--peer", &address]);
        let _carol = room.world.share("carol", &["--peer", &address]);
        for home in ["reader", "carol"] {
            room.until(home, |_| room.world.ok(home, &["cat", "talk"]).contains("nor this"));
        }
        // She votes for it: there is nothing else that she knows of.
        room.until("twin", |info| {
            let voted = quorum(info)["validators"].as_array().into_iter().flatten();
            voted.filter(|one| one["voted"].as_u64() > Some(2)).count() >= 1
        });
    }

    // The others commit something else, and both meet them.
    room.start("host");
    let said = room.say("host", "two", "committed", "30");
    assert_eq!(said.code, Some(0), "{said:?}");
    for home in ["carol", "reader", "twin"] {
        room.start(home);
    }
    let said = room.say("dave", "three", "committed", "60");
    let told = room.nodes.iter().map(|(home, node, _)| format!("{home}: {:#?}", node.warnings()));
    assert_eq!(said.code, Some(0), "{said:?}\n{}", told.collect::<Vec<_>>().join("\n"));
    for home in ["bob", "carol", "dave", "reader"] {
        room.until(home, |_| room.committed(home).contains("three"));
        let all = room.world.ok(home, &["cat", "talk"]);
        assert!(["one", "two", "three"].iter().all(|text| all.contains(text)), "{home}: {all}");
        assert!(!all.contains("never") && !all.contains("nor this"), "{home}: {all}");
        let info = room.info(home);
        assert_eq!(quorum(&info)["evidence"][0]["kind"], "writer-fork", "{home}: {info:#}");
        assert_eq!(room.world.json(home, &["audit", "talk"])["faults"], json!([]), "{home}");
    }
    // The validator is one like the others again, in the next epoch.
    let key = room.world.json("carol", &["validator", "key"])["key"].clone();
    room.until("bob", |info| {
        let committed = quorum(info)["committed"].as_u64();
        let votes = quorum(info)["validators"].as_array().into_iter().flatten();
        let hers = votes.filter(|one| one["key"] == key);
        hers.into_iter().any(|one| one["voted"].as_u64() >= committed)
    });
}

/// The other history ends before the length that is committed, so that its end alone does not contradict what was voted
/// for.
#[test]
fn a_shorter_history_that_nobody_voted_for_is_never_shown_as_committed() {
    let mut room = Room::open();
    for home in VALIDATORS {
        room.until(home, |info| quorum(info)["committed"].as_u64() >= Some(1));
    }
    assert_eq!(room.say("dave", "one", "committed", "30").code, Some(0));
    room.kill("host");
    room.twin_says(&["never"]);
    room.start("host");
    for text in ["two", "three"] {
        let said = room.say("host", text, "committed", "30");
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let committed = quorum(&room.info("host"))["committed"].as_u64().unwrap();
    room.until("bob", |info| quorum(info)["committed"].as_u64() >= Some(committed));
    room.kill("host");
    {
        let (_twin, address) = room.world.share("twin", &[]);
        room.world.json("reader", &["clone", &room.link, "talk", "--peer", &address]);
        assert!(room.world.ok("reader", &["cat", "talk"]).contains("never"));
    }
    assert!(room.info("reader")["length"].as_u64() < Some(committed));

    for home in ["reader", "twin"] {
        room.start(home);
    }
    room.until("reader", |_| {
        let text = room.committed("reader");
        assert!(!text.contains("never"), "{text}");
        text.contains("three")
    });
    assert!(!room.world.ok("reader", &["cat", "talk"]).contains("never"));
    let info = room.until("twin", |info| {
        assert!(!room.committed("twin").contains("never"), "{}", room.committed("twin"));
        quorum(info)["known"].as_u64() >= Some(committed)
    });
    assert!(quorum(&info)["committed"].as_u64() < Some(committed), "{info:#}");
    let log = room.world.ndjson("twin", &["log", "talk"]);
    let last = log.iter().rfind(|block| block["entry"]["kind"] == "action").unwrap();
    assert_eq!(last["entry"]["committed"], false, "{last}");
    // It stays so after a start.
    room.kill("twin");
    assert!(!room.committed("twin").contains("never"), "{}", room.committed("twin"));
    let never = json!({ "said": "never" }).to_string();
    let words = ["append", "talk", &never, "--wait", "committed", "--timeout", "3"];
    assert_ne!(room.world.run("twin", &words).code, Some(0));
}

#[test]
fn a_commit_that_is_only_heard_of_shows_no_block_of_another_history_after_a_start() {
    let mut room = Room::open();
    room.until("host", |info| quorum(info)["committed"].as_u64() >= Some(1));
    room.kill("host");
    room.twin_says(&["never"]);
    room.start("host");
    for text in ["one", "two", "three"] {
        assert_eq!(room.say("host", text, "committed", "30").code, Some(0));
    }
    let committed = quorum(&room.info("host"))["committed"].as_u64().unwrap();
    room.until("bob", |info| quorum(info)["committed"].as_u64() >= Some(committed));
    room.kill("host");
    room.kill("bob");
    {
        let (_twin, address) = room.world.share("twin", &[]);
        room.world.json("reader", &["clone", &room.link, "talk", "--peer", &address]);
    }
    // The reader has heard of the commit when it was stopped, and of no evidence: it holds the twin's blocks.
    let records = |home| room.world.path(home).join("streams/talk/quorum.redb");
    std::fs::copy(records("bob"), records("reader")).unwrap();
    let info = room.info("reader");
    assert_eq!(quorum(&info)["known"].as_u64(), Some(committed), "{info:#}");
    assert!(room.world.ok("reader", &["cat", "talk"]).contains("never"));
    assert!(!room.committed("reader").contains("never"), "{}", room.committed("reader"));
    // Where the blocks are those that were voted for, they are shown as before.
    assert!(room.committed("bob").contains("three"));
}

#[test]
fn the_demo_shows_a_payment_that_stands() {
    let world = World::new();
    let shown = world.json("home", &["demo", "ledger", "--fork"]);
    assert_eq!((&shown["schema"], &shown["scenario"]), (&json!("quorate.demo/1"), &json!("ledger-fork")));
    let payment = shown["payment"].as_u64().unwrap();
    assert!(shown["committed_before"].as_u64() > Some(payment), "{shown}");
    assert_eq!(
        (&shown["evidence"]["kind"], &shown["evidence"]["culprit"]),
        (&json!("writer-fork"), &shown["key"])
    );
    assert!(
        shown["epoch"].as_u64() >= Some(1)
            && shown["committed"].as_u64() > shown["committed_before"].as_u64()
    );
    let refused = world.run("home", &["--json", "demo", "chess", "--fork"]);
    refused.failure("E1011", 2);
}
