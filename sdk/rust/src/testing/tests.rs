use super::*;
use crate::{
    Answer, Call, Change, Code, Hash, Slot, Text, Verdict, crypto, ensure, history, log, reject, slot, state,
};

crate::rule! { check: check, init: init, change: change, query: query, needs: [state, history] }

const NO: Code = Code::new(7);

/// Does what the first word of the payload says.
fn check(call: &Call) -> Verdict {
    let text = core::str::from_utf8(call.payload()).map_err(|_| reject(NO, "no text"))?;
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "count" => state::set_number(counter(call), state::number(counter(call)) + 1),
        "forget" => state::del(counter(call)),
        "huge" => state::set("huge", &std::vec![0; 65537]),
        "long" => state::set([0; 257], b""),
        "many" => (0..1025u64).for_each(|number| state::set_number(slot("").number(number), 0)),
        "read" => (0..5).for_each(|_| assert!(state::get("large").is_some())),
        "large" => state::set("large", &std::vec![7; 60_000]),
        "panic" => panic!("on purpose"),
        "log" => log(rest),
        "author" => {
            let action = history::action(call.index() - 1).ok_or_else(|| reject(NO, "no action"))?;
            let words = core::str::from_utf8(action.payload).unwrap_or_default();
            reject!(
                NO,
                Text::new().short(action.author).words(" ").number(action.sequence).words(" ").words(words)
            );
        }
        "later" => ensure!(history::block(call.index()).is_some(), NO, "not yet"),
        "hash" => reject!(
            NO,
            Text::new().hex(&crypto::blake2b(rest.as_bytes()).0).hex(&crypto::sha256(rest.as_bytes()).0)
        ),
        "sign" => ensure!(crypto::verify(call.author(), rest.as_bytes(), &[1; 64]), NO, "not signed"),
        _ => reject!(NO, text),
    }
    Ok(())
}

fn counter(call: &Call) -> Slot {
    slot("count/").key(call.author())
}

fn init(call: &Call) -> Verdict {
    ensure!(call.author() == Key::ZERO && call.previous() == Hash::ZERO, NO, "somebody");
    ensure!(call.params() != b"bad", NO, "bad params");
    if call.params() == b"look" {
        let _ = history::block(0);
    }
    if !call.keeps_state() {
        state::set("made", call.params());
    }
    Ok(())
}

fn change(call: &Call, change: &Change) -> Verdict {
    if change.name() == b"write" {
        state::set("x", b"");
    }
    ensure!(change.operation() != Operation::Remove, NO, "never");
    ensure!(change.activation() > call.index() + 10 || !change.is_about_this_rule(), NO, "too soon");
    Ok(())
}

fn query(call: &Call) -> Answer {
    ensure!(call.payload() == b"made", NO, "only what was made");
    let made = state::get("made").unwrap_or_default();
    Ok(Text::of("made of ").words(core::str::from_utf8(made).unwrap_or_default()))
}

fn room() -> Room {
    Room::new(RULE, "sand")
}

#[test]
fn the_state_moves_when_an_action_is_accepted() {
    let mut room = room();
    assert_eq!(room.index(), 1);
    for _ in 0..300 {
        assert_eq!(room.act("alice", "count").code, 0);
    }
    assert_eq!(room.check("bob", "count").writes.len(), 1);
    assert_eq!(room.index(), 301);
    let at = slot("count/").key(key("alice")).as_ref().to_vec();
    assert_eq!(room.state()[&at], 300u64.to_le_bytes());
    assert_eq!(room.act("alice", "forget").code, 0);
    assert!(!room.state().contains_key(&at));
    let outcome = room.act("alice", "nonsense");
    assert_eq!((outcome.code, outcome.reason.as_str(), room.index()), (7, "nonsense", 302));
}

#[test]
fn what_a_room_would_trap_on_is_a_code() {
    let mut room = room();
    assert_eq!(room.act("alice", "large").code, 0);
    for (payload, code) in [
        ("huge", code::LIMIT),
        ("long", code::LIMIT),
        ("many", code::LIMIT),
        ("read", code::LIMIT),
        ("panic", code::TRAP),
    ] {
        let outcome = room.act("alice", payload);
        assert_eq!(outcome.code, code, "{payload}: {outcome:?}");
        assert!(outcome.writes.is_empty() && !outcome.reason.is_empty());
    }
    let mut bare = Room {
        rule: Rule { state: false, history: false, ..RULE },
        params: Vec::new(),
        host: room.host.clone(),
    };
    bare.host = host::Host::new(bare.rule);
    assert_eq!(bare.act("alice", "count").code, code::NOT_ALLOWED);
    assert_eq!(bare.act("alice", "later").code, code::NOT_ALLOWED);
}

#[test]
fn init_may_refuse_and_then_nothing_changes() {
    let mut room = room();
    assert_eq!(room.ask("made").unwrap(), "made of sand");
    assert_eq!(room.install("bad", false).code, 7);
    assert_eq!(room.ask("made").unwrap(), "made of sand");
    assert_eq!(room.install("glass", true).code, 0);
    assert_eq!(room.ask("made").unwrap(), "made of sand");
    assert_eq!(room.install("glass", false).code, 0);
    assert_eq!(room.ask("made").unwrap(), "made of glass");
    assert_eq!(room.install("look", false).code, code::NOT_ALLOWED);
    assert_eq!(room.ask("else").unwrap_err().reason, "only what was made");
}

#[test]
fn changes_are_asked_about() {
    let mut room = room();
    let proposal = Proposal {
        operation: Operation::Params,
        about_this_rule: true,
        activation: 100,
        rule: Hash::ZERO,
        module: Hash::ZERO,
        name: "me",
        params: b"x",
    };
    assert_eq!(room.change("alice", &proposal).code, 0);
    assert_eq!(room.change("alice", &Proposal { activation: 5, ..proposal.clone() }).reason, "too soon");
    assert_eq!(room.change("alice", &Proposal { operation: Operation::Remove, ..proposal.clone() }).code, 7);
    assert_eq!(room.change("alice", &Proposal { name: "write", ..proposal }).code, code::NOT_ALLOWED);
}

#[test]
fn earlier_blocks_are_read() {
    let mut room = room();
    let mut action = Vec::from([0x0a, 32]);
    action.extend([5; 32]);
    action.extend([0x10, 0x96, 0x01, 0x32, 2]);
    action.extend(b"hi");
    let mut block = Vec::from([0x0a, action.len() as u8]);
    block.extend(action);
    room.put_block(0, block);
    assert_eq!(room.act("alice", "author").reason, "05050505 150 hi");
    room.put_block(0, [0x12, 0]);
    assert_eq!(room.act("alice", "author").reason, "no action");
    assert_eq!(room.act("alice", "later").reason, "not yet");
}

#[test]
fn hashes_and_signatures() {
    let mut room = room();
    let hashes = room.act("alice", "hash abc").reason;
    let (blake, sha) = hashes.split_at(64);
    assert_eq!(blake, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_eq!(sha, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // Of more than one block, the last one full.
    let long = Text::new().hex(&blake2b::hash(&[b'a'; 256])).hex(&sha256::hash(&[b'a'; 119]));
    let (blake, sha) = long.as_str().split_at(64);
    assert_eq!(blake, "eae4d3a7627549b383179dc18049964f91a6fed14c9f3fb26705eda3eeda5558");
    assert_eq!(sha, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
    assert_eq!(room.act("alice", "sign it").reason, "not signed");
    room.put_signature(key("alice"), "it", [1; 64]);
    assert_eq!(room.act("alice", "sign it").code, 0);
    assert_eq!(room.act("bob", "sign it").reason, "not signed");
}

#[test]
fn logs_and_reasons_are_kept_as_a_room_keeps_them() {
    let mut room = room();
    assert_eq!(room.act("alice", "log hello there").logs, ["hello there"]);
    let outcome = room.act("alice", format!("x{}", "é".repeat(200)));
    assert_eq!(outcome.reason, format!("x{}", "é".repeat(127)));
}

#[test]
fn names_stand_for_keys() {
    let alice = "a67e57833f3a55f9a8307f1bf98a96f95cb375c1850bbefac40a74bfd112f823";
    assert_eq!(Text::new().key(key("alice")).as_str(), alice);
    let digits = "0123456789abcdef".repeat(4);
    assert_eq!(Text::new().key(key(&digits)).as_str(), digits);
    assert_ne!(key("alice"), key("bob"));
}
