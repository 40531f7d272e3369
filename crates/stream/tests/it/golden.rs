//! The bytes of every message and of all that is signed, which may never change.
//!
//! `golden/stream.txt` holds `name hex` in each line. It was compared with what protobufjs 7 writes from the same
//! `.proto` files and with what another implementation of BLAKE2b and Ed25519 gives (`golden/README.md`).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use quorate_stream::action::ACTION_CONTEXT;
use quorate_stream::entry::Entry;
use quorate_stream::rule_change::RULE_CHANGE_CONTEXT;
use quorate_stream::submit::{RECEIPT_CONTEXT, receipt_bytes};

use super::samples::*;

const GOLDEN: &str = include_str!("../golden/stream.txt");

/// Every vector, made now.
fn vectors() -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    let mut add = |name: String, bytes: &[u8]| {
        assert_eq!(vectors.insert(name.replace(' ', "-"), bytes.to_vec()), None);
    };
    add("block 0".into(), &block_0());
    add("feed key".into(), feed().public().as_ref());
    add("room id".into(), room().as_ref());
    add("rule id".into(), rule().as_ref());
    for (name, entry) in entries() {
        add(format!("entry {name}"), &entry.encode());
        match &entry {
            Entry::Action(action) => add(format!("signed {name}"), &action.signed_bytes(&room())),
            Entry::RuleChange(change) => add(format!("signed {name}"), &change.signed_bytes(&room())),
            Entry::Chunk(_) | Entry::Proof(_) => continue,
        }
        add(format!("digest {name}"), entry.digest(&room()).unwrap().as_ref());
    }
    for (name, message) in messages() {
        add(format!("frame {name}"), &message.encode());
    }
    for (name, outcome) in outcomes() {
        add(format!("signed receipt {name}"), &receipt_bytes(&room(), first_action().digest(), &outcome));
    }
    vectors
}

#[test]
fn bytes_are_what_they_were() {
    let text: String =
        vectors().iter().map(|(name, bytes)| format!("{name} {}\n", HEXLOWER.encode(bytes))).collect();
    if std::env::var_os("QUORATE_WRITE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/stream.txt"), &text).unwrap();
    }
    for (now, before) in text.lines().zip(GOLDEN.lines()) {
        assert_eq!(now, before);
    }
    assert_eq!(text.lines().count(), GOLDEN.lines().count());
}

#[test]
fn golden_entries_verify() {
    let golden: BTreeMap<&str, Vec<u8>> = GOLDEN
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, HEXLOWER.decode(hex.as_bytes()).unwrap()))
        .collect();
    let entries = golden.iter().filter(|(name, _)| name.starts_with("entry-"));
    for (name, block) in entries {
        let entry = Entry::decode(block.clone().into()).unwrap();
        match entry {
            Entry::Chunk(_) => {}
            _ => assert!(entry.verify(&room()).is_ok(), "{name}"),
        }
    }
}

/// Signed bytes of one kind never pass for those of another, nor for what a feed's key signs otherwise (32, 40, 80 or
/// 112 bytes, the longer ones after a name space that begins with 0x9f).
#[test]
fn what_is_signed_says_what_it_is_for() {
    let contexts = [ACTION_CONTEXT, RULE_CHANGE_CONTEXT, RECEIPT_CONTEXT];
    for (at, context) in contexts.into_iter().enumerate() {
        assert!(context.starts_with(b"quorate/1 ") && context.ends_with(b"\0"));
        assert!(contexts.into_iter().skip(at + 1).all(|other| !other.starts_with(context)));
    }
    let shortest = receipt_bytes(&room(), first_action().digest(), &outcomes()[0].1);
    assert!(shortest.len() > 80);
}
