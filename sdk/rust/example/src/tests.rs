extern crate std;

use std::format;
use std::string::String;

use quorate_rule::testing::{Room, key};

use super::*;

fn hex(who: &str) -> String {
    Text::new().key(key(who)).as_str().into()
}

fn params(players: &[&str]) -> String {
    let keys: std::vec::Vec<String> = players.iter().map(|who| format!("\"{}\"", hex(who))).collect();
    format!("{{\"players\":[{}]}}", keys.join(","))
}

#[test]
fn players_take_turns() {
    let mut room = Room::new(RULE, params(&["alice", "bob", "carol"]));
    for (who, code) in
        [("alice", 0), ("alice", 3), ("carol", 3), ("bob", 0), ("eve", 2), ("carol", 0), ("alice", 0)]
    {
        assert_eq!(room.act(who, "a move").code, code, "{who}");
    }
    assert_eq!(room.ask("\"turn\"").unwrap(), format!("\"{}\"", hex("bob")));
    assert_eq!(room.act("alice", "").reason, format!("it is the turn of {}", &hex("bob")[..8]));
}

#[test]
fn nobody_passes_after_a_pass() {
    let mut room = Room::new(RULE, params(&["alice", "bob"]));
    assert_eq!(room.act("alice", "{\"pass\": true}").code, 0);
    assert_eq!(room.act("bob", "{\"pass\": true}").code, 4);
    assert_eq!(room.act("bob", "{\"pass\": false}").code, 0);
    assert_eq!(room.act("alice", "{\"pass\": true}").code, 0);
}

#[test]
fn params_are_looked_at_when_the_rule_is_installed() {
    let mut room = Room::new(RULE, params(&["alice", "bob"]));
    for wrong in [
        "",
        "{}",
        "[]",
        "{\"players\":[]}",
        "{\"player\":[]}",
        &params(&["alice"]),
        &params(&["alice", "alice"]),
    ] {
        assert_eq!(room.install(wrong, false).code, 1, "{wrong}");
    }
    room.act("alice", "");
    assert_eq!(room.install(params(&["bob", "carol"]), true).code, 0);
    assert_eq!(room.act("bob", "").code, 3, "the turn goes on where it was");
    assert_eq!(room.act("carol", "").code, 0);
}
