//! Entries and messages with fixed keys, one of each kind and a few at their limits.

use bytes::Bytes;
use quorate_proto::quorate1::{Message, Module, Outcome, Receipt, Refused, Status, Submit, WantModule};
use quorate_stream::action::{UnsignedAction, VerifiedAction};
use quorate_stream::chunk;
use quorate_stream::entry::Entry;
use quorate_stream::header::{GenesisRule, StreamHeader};
use quorate_stream::identity::{Anchor, Author, room_id, rule_id};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::rule_change::{Change, TestVector, UnsignedRuleChange, VerifiedRuleChange};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId, Signature};

pub(crate) const MODULE: &[u8] = b"\0asm\x01\0\0\0";

pub(crate) fn feed() -> Author {
    Author::from_seed(&[1; 32])
}

pub(crate) fn alice() -> Author {
    Author::from_seed(&[2; 32])
}

pub(crate) fn bob() -> Author {
    Author::from_seed(&[3; 32])
}

pub(crate) fn header() -> StreamHeader {
    let rule = |name: &str, locked, params: &'static [u8]| GenesisRule {
        name: name.parse().unwrap(),
        module: ModuleHash::of(MODULE),
        meter: 1,
        params: Bytes::from_static(params),
        locked,
    };
    let mut header = StreamHeader::new("a game of chess", PayloadEncoding::Json);
    header.rules = vec![rule("chess", false, b"{}"), rule("members", true, b"")];
    header.rule_delay = 10;
    header
}

pub(crate) fn block_0() -> Bytes {
    header().encode().unwrap()
}

pub(crate) fn room() -> RoomId {
    room_id(&feed().public(), &block_0())
}

pub(crate) fn anchor() -> Anchor {
    Anchor::new(300, Hash::new([7; 32]))
}

pub(crate) fn first_action() -> VerifiedAction {
    let payload = Bytes::from_static(br#"{"move":"e2e4"}"#);
    let action = UnsignedAction { sequence: 0, anchor: Anchor::NONE, valid_until: 0, payload };
    action.sign(&room(), &alice()).unwrap()
}

pub(crate) fn full_action() -> VerifiedAction {
    let payload = Bytes::from_static("\u{fffd}payload\n".as_bytes());
    let action = UnsignedAction { sequence: 9, anchor: anchor(), valid_until: 400, payload };
    action.sign(&room(), &bob()).unwrap()
}

pub(crate) fn rule() -> RuleId {
    rule_id(&room(), 0, 1)
}

pub(crate) fn rule_changes() -> Vec<(&'static str, VerifiedRuleChange)> {
    let module = ModuleHash::of(MODULE);
    let params = Bytes::from_static(b"{\"per_minute\":6}");
    let vectors = vec![
        TestVector { author: None, payload: Bytes::from_static(b"{}"), code: 0 },
        TestVector { author: Some(bob().public()), payload: Bytes::new(), code: 70_000 },
    ];
    let rule = rule();
    let changes = [
        (
            "install",
            Change::Install { name: "rate-limit".parse().unwrap(), module, meter: 1, params: params.clone() },
            vectors.clone(),
        ),
        ("remove", Change::Remove { rule }, Vec::new()),
        ("replace", Change::Replace { rule, module, meter: 1, params: Bytes::new() }, Vec::new()),
        ("params", Change::Params { rule, params }, vectors),
    ];
    let sign = |(at, (name, change, vectors)): (usize, (&'static str, Change, Vec<TestVector>))| {
        let (sequence, valid_until, activation) = (at as u64, 0, 320);
        let unsigned =
            UnsignedRuleChange { sequence, anchor: anchor(), valid_until, change, activation, vectors };
        (name, unsigned.sign(&room(), &alice()).unwrap())
    };
    changes.into_iter().enumerate().map(sign).collect()
}

/// One entry of each kind.
pub(crate) fn entries() -> Vec<(String, Entry)> {
    let chunk = chunk::split(&Bytes::from_static(MODULE)).unwrap().remove(0);
    let mut entries = vec![
        ("action".to_owned(), Entry::Action(first_action().into_inner())),
        ("action in full".to_owned(), Entry::Action(full_action().into_inner())),
        ("module chunk".to_owned(), Entry::Chunk(chunk)),
    ];
    let changes = rule_changes().into_iter();
    entries.extend(changes.map(|(name, change)| (name.to_owned(), Entry::RuleChange(change.into_inner()))));
    entries
}

pub(crate) fn refused() -> Refused {
    Refused {
        code: 3101,
        rule: Some((rule(), "chess".to_owned())),
        rule_code: 7,
        reason: "it is black's turn".to_owned(),
    }
}

pub(crate) fn outcomes() -> Vec<(&'static str, Outcome)> {
    let unknown = Refused { code: 3004, rule: None, rule_code: 0, reason: "expected 3".to_owned() };
    vec![
        ("appended", Outcome::Appended { index: 301 }),
        ("appended at 0", Outcome::Appended { index: 0 }),
        ("refused by a rule", Outcome::Refused(refused())),
        ("refused", Outcome::Refused(unknown)),
    ]
}

/// One message of each type of `quorate/1`. The signature of the receipt is none.
pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    let (room, module) = (room(), ModuleHash::of(MODULE));
    let digest = *first_action().digest();
    let receipt = |outcome| Receipt { room, digest, outcome, signature: Signature::new([8; 64]) };
    let mut messages = vec![
        ("status", Message::Status(Status { length: 301, tree_hash: Some(Hash::new([7; 32])), distance: 2 })),
        ("status of nothing", Message::Status(Status::default())),
        ("submit", Message::Submit(Submit { room, entry: first_action().encode() })),
        (
            "module",
            Message::Module(Module {
                room,
                module,
                size: 8,
                offset: 4,
                data: Bytes::from_static(&MODULE[4..]),
            }),
        ),
        ("want module", Message::WantModule(WantModule { room, module, offset: 4 })),
    ];
    messages.extend(outcomes().into_iter().map(|(name, outcome)| (name, Message::Receipt(receipt(outcome)))));
    messages
}

/// Keys under which anybody can sign, or nobody.
pub(crate) fn bad_keys() -> [PublicKey; 2] {
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut none = [0; 32];
    none[0] = 2;
    [PublicKey::new(weak), PublicKey::new(none)]
}
