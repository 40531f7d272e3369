//! Rooms whose validators change: the same host goes on in the same feed, or another one follows.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::handover::{Room, quorum};
use crate::support::World;

fn offer(world: &World, home: &str) -> String {
    world.ok(home, &["validator", "key", "--offer"]).trim().to_owned()
}

fn vote_key(world: &World, home: &str) -> String {
    world.json(home, &["validator", "key"])["key"].as_str().unwrap().to_owned()
}

/// Waits until a home is in an epoch with so many validators, and that is committed.
fn in_epoch(room: &Room, home: &str, epoch: u64, validators: usize, start: u64) -> Value {
    room.until(home, |info| {
        let quorum = quorum(info);
        let found = quorum["validators"].as_array().map(Vec::len);
        quorum["epoch"] == epoch && found == Some(validators) && quorum["committed"].as_u64() > Some(start)
    })
}

fn says(room: &Room, home: &str, text: &str) -> u64 {
    let said = room.say(home, text, "committed", "60");
    assert_eq!(said.code, Some(0), "{said:?}");
    crate::support::objects(said.text())[0]["index"].as_u64().unwrap()
}

#[test]
fn validators_come_and_go_and_the_room_goes_on() {
    let mut room = Room::open();
    says(&room, "dave", "one");
    // Eve comes: her node carries the room, and she gives the host her key and the proof that she has it.
    let eve = offer(&room.world, "eve");
    room.start("eve");
    let refused = room.world.run("bob", &["--json", "validator", "add", "talk", &eve]);
    refused.failure("E3410", 8);
    let changed = room.world.json("host", &["validator", "add", "talk", &eve]);
    assert_eq!((&changed["schema"], &changed["epoch"]), (&json!("quorate.validators/1"), &json!(1)));
    assert_eq!((changed["validators"].as_array().unwrap().len(), &changed["needed"]), (5, &json!(4)));
    let start = changed["index"].as_u64().unwrap() + 1;
    for home in ["host", "bob", "carol", "dave", "eve"] {
        in_epoch(&room, home, 1, 5, start);
    }
    let log = room.world.ndjson("dave", &["log", "talk"]);
    let kind = |index: u64| &log[usize::try_from(index).unwrap()]["entry"]["kind"];
    assert_eq!((kind(start - 1), kind(start)), (&json!("validators"), &json!("epoch")), "{log:?}");
    let again = room.world.run("host", &["--json", "validator", "add", "talk", &eve]);
    again.failure("E3404", 2);

    // Four of five commit, so hers is needed when another one is gone.
    room.kill("carol");
    says(&room, "eve", "two");

    // Carol goes, while she is not there.
    let carol = vote_key(&room.world, "carol");
    let changed = room.world.json("host", &["validator", "remove", "talk", &carol]);
    assert_eq!((changed["validators"].as_array().unwrap().len(), &changed["needed"]), (4, &json!(3)));
    let start = changed["index"].as_u64().unwrap() + 1;
    for home in ["host", "bob", "dave", "eve"] {
        in_epoch(&room, home, 2, 4, start);
    }
    room.start("carol");
    let info = in_epoch(&room, "carol", 2, 4, start);
    let feeds = quorum(&info)["feeds"].as_array().unwrap();
    assert!(feeds.iter().all(|feed| feed["key"] == info["key"]), "{info:#}");
    says(&room, "carol", "three");

    // The host begins again where it stood.
    room.kill("host");
    room.start("host");
    room.until("host", |info| info["room"]["checked"] == info["length"] && quorum(info)["epoch"] == 2);
    says(&room, "host", "four");

    // Without the host the next one takes over, with the validators of the last epoch.
    room.kill("host");
    let five = says(&room, "dave", "five");
    let info = in_epoch(&room, "dave", 3, 4, five);
    let feeds = quorum(&info)["feeds"].as_array().unwrap();
    assert_eq!(feeds.iter().filter(|feed| feed["key"] == info["key"]).count(), 3, "{info:#}");
    assert_eq!(feeds.len(), 4, "{info:#}");

    // Who comes late gets all of it.
    room.start("frank");
    in_epoch(&room, "frank", 3, 4, five);
    let text = room.committed("frank");
    assert_eq!(text, room.committed("dave"));
    for word in ["one", "two", "three", "four", "five"] {
        assert!(text.contains(&format!("{{\"said\":\"{word}\"}}")), "{text}");
    }
    assert_eq!(room.world.json("frank", &["audit", "talk"])["faults"], json!([]));
}

#[test]
fn a_newcomer_who_is_needed_is_waited_for() {
    let world = World::new();
    let alone = vote_key(&world, "host");
    world.ok("host", &["new", "talk", "--encoding", "utf-8", "--validator", &alone]);
    let link = world.json("host", &["info", "talk"])["link"].as_str().unwrap().to_owned();
    let (host, address) = world.share("host", &[]);
    let append = |text: &str, seconds: &str| {
        let words = ["--json", "append", "talk", text, "--wait", "committed", "--timeout", seconds];
        world.run("host", &words)
    };
    assert_eq!(append("one", "30").code, Some(0));
    // Both of two commit, and the second one is not there.
    let bob = offer(&world, "bob");
    let changed = world.json("host", &["validator", "add", "talk", &bob]);
    assert_eq!((&changed["needed"], &changed["epoch"]), (&json!(2), &json!(1)));
    let again = world.run("host", &["--json", "validator", "remove", "talk", &alone]);
    let failure = again.failure("E3411", 1);
    assert!(failure["message"].as_str().unwrap().contains("under way"), "{failure}");
    let said = append("two", "2");
    assert_ne!(said.code, Some(0), "{said:?}");
    // The host begins again, and still waits.
    drop(host);
    let (_host, address) = {
        let _ = address;
        world.share("host", &[])
    };
    let kinds = |home: &str| -> Vec<String> {
        let log = world.ndjson(home, &["log", "talk"]);
        log.iter().map(|block| block["entry"]["kind"].as_str().unwrap_or("none").to_owned()).collect()
    };
    let waits = kinds("host");
    assert_eq!(waits.last().map(String::as_str), Some("validators"), "{waits:?}");
    // He comes, and it goes on with what was said meanwhile.
    world.json("bob", &["clone", &link, "talk", "--peer", &address]);
    let (_bob, _) = world.share("bob", &["--peer", &address]);
    assert_eq!(append("three", "60").code, Some(0));
    let info = world.json("bob", &["info", "talk"]);
    assert_eq!((&quorum(&info)["epoch"], &quorum(&info)["needed"]), (&json!(1), &json!(2)), "{info:#}");
    let text = world.ok("bob", &["cat", "talk"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["one", "two", "three"]);
}

/// A room in which the change that removes dave waits for him and carol.
fn waiting_for_a_change() -> Room {
    let mut room = Room::open();
    says(&room, "dave", "one");
    room.kill("carol");
    room.kill("dave");
    let dave = vote_key(&room.world, "dave");
    room.world.json("host", &["validator", "remove", "talk", &dave]);
    room
}

fn waits(room: &Room, home: &str, text: &str, count: u64) {
    let said = room.say(home, text, "appended", "3");
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_eq!(room.info(home)["room"]["waiting"], count, "{home}");
}

/// Waits until nothing that a home said is on its way.
fn waits_no_longer(room: &Room, home: &str, within: Duration) {
    let until = Instant::now() + within;
    let mut info = room.info(home);
    while info["room"]["waiting"] != 0 {
        assert!(Instant::now() < until, "{home}: {info:#}");
        std::thread::sleep(Duration::from_millis(200));
        info = room.info(home);
    }
}

#[test]
fn what_is_said_while_a_change_waits_follows_it() {
    let mut room = waiting_for_a_change();
    waits(&room, "host", "two", 1);
    waits(&room, "bob", "three", 1);
    waits(&room, "host", "four", 2);
    room.start("carol");
    room.start("dave");
    for home in ["host", "bob", "carol"] {
        in_epoch(&room, home, 1, 3, 0);
    }
    let began = Instant::now();
    waits_no_longer(&room, "host", Duration::from_secs(8));
    waits_no_longer(&room, "bob", Duration::from_secs(8));
    // Their authors go on.
    says(&room, "bob", "five");
    says(&room, "host", "six");
    // Nobody has anything against the host, which took all of it as soon as it might.
    while began.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(500));
    }
    let six = says(&room, "host", "seven");
    for home in ["host", "bob", "carol"] {
        let info = room.until(home, |info| quorum(info)["committed"].as_u64() > Some(six));
        assert_eq!(quorum(&info)["epoch"], 1, "{home}: {info:#}");
        let text = room.committed(home);
        for word in ["one", "two", "three", "four", "five", "six", "seven"] {
            assert_eq!(text.matches(word).count(), 1, "{home}: {text}");
        }
        assert!(text.find("two") < text.find("four"), "{text}");
    }
}

#[test]
fn what_waits_for_a_change_outlasts_the_node_of_the_host() {
    let mut room = waiting_for_a_change();
    waits(&room, "host", "two", 1);
    waits(&room, "bob", "three", 1);
    room.kill("host");
    assert_eq!(room.info("host")["room"]["waiting"], 1);
    // No node runs on the home.
    waits(&room, "host", "four", 2);
    room.start("host");
    assert_eq!(room.info("host")["room"]["waiting"], 2);
    waits(&room, "host", "five", 3);
    // It ends in good order this time.
    room.interrupt("host");
    room.start("host");
    assert_eq!(room.info("host")["room"]["waiting"], 3);
    room.start("carol");
    room.start("dave");
    for home in ["host", "bob", "carol"] {
        in_epoch(&room, home, 1, 3, 0);
        waits_no_longer(&room, home, Duration::from_secs(8));
    }
    let six = says(&room, "host", "six");
    for home in ["host", "bob", "carol"] {
        let info = room.until(home, |info| quorum(info)["committed"].as_u64() > Some(six));
        assert_eq!(quorum(&info)["epoch"], 1, "{home}: {info:#}");
        let text = room.committed(home);
        for word in ["one", "two", "three", "four", "five", "six"] {
            assert_eq!(text.matches(word).count(), 1, "{home}: {text}");
        }
    }
}

#[test]
fn rules_decide_who_validates() {
    let world = World::new();
    let [host, bob, carol] = ["host", "bob", "carol"].map(|home| vote_key(&world, home));
    let admin = world.json("bob", &["key", "new", "admin"])["key"].as_str().unwrap().to_owned();
    let params = json!({ "admins": [admin] }).to_string();
    let words = ["new", "club", "--rule", "builtin:access-control", "--params", &params];
    let validators = ["--validator", &host, "--validator", &bob, "--validator", &carol];
    world.ok("host", &[&words[..], &validators[..]].concat());
    // The host is no admin, and the room has its rule.
    let refused = world.run("host", &["--json", "validator", "remove", "club", &carol]);
    let failure = refused.failure("E3203", 5);
    assert!(failure["message"].as_str().unwrap().contains("not an admin"), "{failure}");
    let kinds = world.ndjson("host", &["log", "club"]);
    assert!(kinds.iter().all(|block| block["entry"]["kind"] != "validators"), "{kinds:?}");
    // What is no offer is said so.
    let wrong = world.run("host", &["validator", "add", "club", &host]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("KEY.PROOF"), "{wrong:?}");
    let forged = format!("{}.{}", admin, "11".repeat(64));
    world.run("host", &["--json", "validator", "add", "club", &forged]).failure("E3404", 2);
    // A room without validators gets none.
    world.ok("host", &["new", "open", "--room"]);
    let offered = offer(&world, "dave");
    world.run("host", &["--json", "validator", "add", "open", &offered]).failure("E3401", 3);
}

#[test]
fn a_host_that_may_take_nothing_is_not_given_up() {
    let world = World::new();
    let [host, bob] = ["host", "bob"].map(|home| vote_key(&world, home));
    let next = world.json("bob", &["key", "new", "host"])["key"].as_str().unwrap().to_owned();
    let words = ["new", "talk", "--validator", &host, "--validator", &bob, "--next-host", &next];
    world.ok("host", &words);
    let link = world.json("host", &["info", "talk"])["link"].as_str().unwrap().to_owned();
    let (_host, address) = world.share("host", &[]);
    world.json("bob", &["clone", &link, "talk", "--peer", &address]);
    let (_bob, _) = world.share("bob", &["--peer", &address]);
    let append = |home: &str, text: &str, seconds: &str| {
        let action = json!({ "said": text }).to_string();
        let words = ["--json", "append", "talk", &action, "--wait", "committed", "--timeout", seconds];
        world.run(home, &words).code
    };
    assert_eq!(append("bob", "one", "30"), Some(0));
    // All three commit from then on, and the third one does not come for longer than the patience with a host lasts.
    let carol = offer(&world, "carol");
    world.json("host", &["validator", "add", "talk", &carol]);
    assert_eq!(append("bob", "two", "14"), Some(4));
    assert_eq!(append("host", "three", "1"), Some(4));
    world.json("carol", &["clone", &link, "talk", "--peer", &address]);
    let (_carol, _) = world.share("carol", &["--peer", &address]);
    assert_eq!(append("bob", "four", "30"), Some(0));
    assert_eq!(append("host", "five", "30"), Some(0));
    let info = world.json("bob", &["info", "talk"]);
    assert_eq!((&quorum(&info)["epoch"], &info["room"]["waiting"]), (&json!(1), &json!(0)), "{info:#}");
    assert!(quorum(&info)["validators"].as_array().unwrap().iter().all(|one| one["sealed"] == false));
    let text = world.ok("carol", &["cat", "talk"]);
    for word in ["one", "two", "three", "four", "five"] {
        assert_eq!(text.matches(word).count(), 1, "{text}");
    }
}

#[test]
fn what_waits_at_a_host_that_is_replaced_goes_to_the_next_one() {
    let mut room = Room::open();
    says(&room, "dave", "one");
    let eve = offer(&room.world, "eve");
    room.start("eve");
    room.kill("carol");
    room.kill("dave");
    room.world.json("host", &["validator", "add", "talk", &eve]);
    waits(&room, "host", "two", 1);
    room.kill("host");
    waits(&room, "host", "three", 2);
    // Four of five go on without it.
    room.start("carol");
    room.start("dave");
    let four = says(&room, "bob", "four");
    let info = room.until("bob", |info| quorum(info)["committed"].as_u64() > Some(four));
    let last = quorum(&info)["feeds"].as_array().unwrap().last().unwrap().clone();
    assert_ne!(last["key"], info["key"], "{info:#}");
    // It is the host no longer, and its actions go to the one that is.
    room.start("host");
    waits_no_longer(&room, "host", Duration::from_secs(30));
    let five = says(&room, "host", "five");
    for home in ["host", "bob", "carol"] {
        room.until(home, |info| quorum(info)["committed"].as_u64() > Some(five));
        let text = room.committed(home);
        for word in ["one", "two", "three", "four", "five"] {
            assert_eq!(text.matches(word).count(), 1, "{home}: {text}");
        }
    }
}
