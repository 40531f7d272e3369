//! Blocks of a room.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use quorate_stream::action::UnsignedAction;
use quorate_stream::chunk;
use quorate_stream::entry::{Entry, VerifiedEntry};
use quorate_stream::header::{GenesisRule, StreamHeader};
use quorate_stream::identity::{Anchor, Author};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::rule_change::{Change, TestVector, UnsignedRuleChange};
use quorate_types::{Hash, ModuleHash, RoomId, RuleId};

use crate::Target;

pub(super) const TARGET: Target = Target { name: "entries", run, seeds, cost: 8 };

pub(super) const ROOM: RoomId = RoomId::new([5; 32]);

/// Blocks that their authors signed.
static SIGNED: LazyLock<BTreeSet<Bytes>> =
    LazyLock::new(|| signed().iter().map(VerifiedEntry::encode).collect());

fn run(input: &[u8]) {
    let block = Bytes::copy_from_slice(input);
    if let Ok(Some(header)) = StreamHeader::parse(&block) {
        assert_eq!(header.encode().as_ref(), Ok(&block), "block 0 has one encoding");
    }
    let Ok(entry) = Entry::decode(block.clone()) else {
        return;
    };
    assert_eq!(entry.encode(), block, "an entry has one encoding");
    let digest = entry.digest(&ROOM);
    match entry.verify(&ROOM) {
        Ok(verified) => {
            assert!(SIGNED.contains(&block), "nobody signed this: {verified:?}");
            assert_eq!(digest.as_ref(), Ok(verified.digest()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Entries with signatures, one of each kind.
pub(super) fn signed() -> Vec<VerifiedEntry> {
    let author = Author::from_seed(&[2; 32]);
    let anchor = Anchor::new(300, Hash::new([7; 32]));
    let (module, rule) = (ModuleHash::of(b"module"), RuleId::new([4; 32]));
    let action = |sequence, anchor, valid_until, payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        let action = UnsignedAction { sequence, anchor, valid_until, payload };
        VerifiedEntry::from(action.sign(&ROOM, &author).expect("every field is small"))
    };
    let change = |sequence, change, vectors| {
        let (valid_until, activation) = (0, 320);
        let change = UnsignedRuleChange { sequence, anchor, valid_until, change, activation, vectors };
        VerifiedEntry::from(change.sign(&ROOM, &author).expect("every field is small"))
    };
    let vector = TestVector { author: Some(author.public()), payload: Bytes::from_static(b"{}"), code: 1 };
    let params = Bytes::from_static(b"{}");
    let name = "chess".parse().expect("a name of five letters is one");
    let install = Change::Install { name, module, meter: 1, params: params.clone() };
    vec![
        action(0, Anchor::NONE, 0, b"{\"move\":\"e2e4\"}"),
        action(300, anchor, 400, b""),
        change(1, install, vec![vector]),
        change(2, Change::Remove { rule }, Vec::new()),
        change(3, Change::Replace { rule, module, meter: 1, params: Bytes::new() }, Vec::new()),
        change(4, Change::Params { rule, params }, Vec::new()),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let mut header = StreamHeader::new("a room", PayloadEncoding::Json);
    header.rules.push(GenesisRule {
        name: "chess".parse().expect("a name of five letters is one"),
        module: ModuleHash::of(b"module"),
        meter: 1,
        params: Bytes::from_static(b"{}"),
        locked: true,
    });
    header.rule_delay = 10;
    let mut blocks = vec![header.encode().expect("the header is valid")];
    let chunks = chunk::split(&Bytes::from_static(b"module")).expect("the module is small");
    blocks.extend(chunks.into_iter().map(|chunk| Entry::Chunk(chunk).encode()));
    blocks.extend(signed().iter().map(VerifiedEntry::encode));
    // The first field of an entry that only a room with validators has.
    blocks.push(Bytes::from_static(b"\x22\x03\x0a\x01x"));
    blocks.into_iter().map(Into::into).collect()
}
