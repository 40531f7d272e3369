//! Only one encoding of an entry counts, and only what its author signed for this room.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_proto::quorate1::{Frame, Frames, Message};
use quorate_proto::{Deviation, ProtoError, stream as proto};
use quorate_stream::action::{Action, UnsignedAction, verify_many};
use quorate_stream::entry::{Entry, EntryError, Proof, ProofKind};
use quorate_stream::header::{HeaderError, StreamHeader};
use quorate_stream::identity::{Anchor, Author, Forgery, KnownKeys};
use quorate_stream::payload::{PayloadEncoding, UnknownEncoding};
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::rule_change::{Change, TestVector, UnsignedRuleChange};
use quorate_types::limits::{MAX_ENTRY_BYTES, MAX_FEED_LENGTH, MAX_PAYLOAD_BYTES, MAX_TEST_VECTORS};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId, RuleId, Signature};

use super::samples::*;

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(value.len() as u64), value.to_vec()].concat()
}

/// The fields of the action in full, from which others are made.
fn fields() -> Vec<Vec<u8>> {
    let action = full_action();
    vec![
        bytes(1, action.author.as_ref()),
        number(2, action.sequence),
        number(3, action.anchor.length()),
        bytes(4, action.anchor.hash().as_ref()),
        number(5, action.valid_until),
        bytes(6, &action.payload),
        bytes(7, action.signature.as_ref()),
    ]
}

fn entry_of(fields: &[Vec<u8>]) -> Bytes {
    bytes(1, &fields.concat()).into()
}

fn deviation(block: Bytes) -> Deviation {
    match Entry::decode(block) {
        Err(error @ EntryError::Encoding(ProtoError::NotCanonical { deviation, .. })) => {
            assert_eq!(error.code(), RoomCode::NotCanonical);
            deviation
        }
        other => panic!("expected another encoding to be refused, found {other:?}"),
    }
}

#[test]
fn other_encodings_of_an_action_are_none() {
    assert_eq!(entry_of(&fields()), full_action().encode());
    let with = |at: usize, field: Vec<u8>| {
        let mut fields = fields();
        fields[at] = field;
        deviation(entry_of(&fields))
    };
    // A default value that is written.
    assert_eq!(with(1, number(2, 0)), Deviation::DefaultValue);
    assert_eq!(with(5, bytes(6, b"")), Deviation::DefaultValue);
    // Fields out of order, twice, unknown, of another type.
    let mut swapped = fields();
    swapped.swap(1, 2);
    assert_eq!(deviation(entry_of(&swapped)), Deviation::OutOfOrder);
    let mut twice = fields();
    twice.insert(1, twice[1].clone());
    assert_eq!(deviation(entry_of(&twice)), Deviation::Duplicate);
    let mut unknown = fields();
    unknown.push(number(8, 1));
    assert_eq!(deviation(entry_of(&unknown)), Deviation::UnknownField);
    assert_eq!(with(1, vec![0x15, 9, 0, 0, 0]), Deviation::WireType);
    assert_eq!(with(1, bytes(2, b"\x09")), Deviation::WireType);
    // Varints that are longer than they need to be: a number, a length, a key, and one of no 64 bits.
    assert_eq!(with(1, vec![0x10, 0x89, 0x00]), Deviation::LongVarint);
    let mut payload = bytes(6, &full_action().payload);
    payload.splice(1..2, [payload[1] | 0x80, 0]);
    assert_eq!(with(5, payload), Deviation::LongVarint);
    assert_eq!(with(1, vec![0x90, 0x00, 0x09]), Deviation::LongVarint);
    assert_eq!(with(1, [vec![0x10], vec![0xff; 9], vec![0x02]].concat()), Deviation::LongVarint);
    assert_eq!(with(1, [vec![0x10], vec![0xff; 11]].concat()), Deviation::LongVarint);
    // Bytes that end too early.
    assert_eq!(with(6, vec![0x3a, 0x40, 1]), Deviation::CutShort);
    let block = full_action().encode();
    assert_eq!(deviation(block.slice(..block.len() - 1)), Deviation::CutShort);
    // The same around the action.
    let action = bytes(1, &fields().concat());
    assert_eq!(deviation([&action[..], &action].concat().into()), Deviation::Duplicate);
    assert_eq!(deviation([&action[..], &bytes(8, b"x")].concat().into()), Deviation::UnknownField);
    assert_eq!(deviation(number(1, 1).into()), Deviation::WireType);
    let at = 2 + 34 + 2;
    let mut fields = fields();
    fields.insert(2, number(2, 5));
    let error = Entry::decode(entry_of(&fields)).unwrap_err();
    // The length of the action takes two bytes.
    let expected =
        ProtoError::NotCanonical { message: "action", at: at + 1, deviation: Deviation::Duplicate };
    assert_eq!(error, EntryError::Encoding(expected));
    assert_eq!(
        error.to_string(),
        "action message: expected the canonical encoding, found a field for the second time, at byte 39"
    );
}

#[test]
fn two_entries_in_one_block_are_none() {
    let [action, chunk] = [entries()[0].1.encode(), entries()[2].1.encode()];
    let both = Bytes::from([&action[..], &chunk[..]].concat());
    // Each field is in its canonical encoding; of a oneof the last one would count.
    assert_eq!(deviation(both), Deviation::Differs);
}

#[test]
fn fields_have_their_lengths_and_ranges() {
    let error = |at: usize, field: Vec<u8>| {
        let mut fields = fields();
        fields[at] = field;
        Entry::decode(entry_of(&fields)).unwrap_err()
    };
    let length = |field, expected, found| {
        EntryError::Encoding(ProtoError::Length { message: "action", field, expected, found })
    };
    assert_eq!(error(0, bytes(1, &[1; 31])), length("author", 32, 31));
    assert_eq!(error(0, Vec::new()), length("author", 32, 0));
    assert_eq!(error(2, Vec::new()), length("anchor_hash", 0, 32));
    assert_eq!(error(3, Vec::new()), length("anchor_hash", 32, 0));
    assert_eq!(error(6, bytes(7, &[1; 65])), length("signature", 64, 65));
    let (limit, found) = (MAX_FEED_LENGTH, MAX_FEED_LENGTH + 1);
    let range = |field| ProtoError::OutOfRange { message: "action", field, limit, found };
    assert_eq!(error(1, number(2, found)), EntryError::Encoding(range("sequence")));
    assert_eq!(error(2, number(3, found)), EntryError::Encoding(range("anchor_length")));
    assert_eq!(error(4, number(5, found)), EntryError::Encoding(range("valid_until")));
    let long = error(5, bytes(6, &[0; MAX_PAYLOAD_BYTES + 1]));
    assert_eq!(long.code(), RoomCode::TooLarge);
    let (limit, found) = (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1);
    let expected = ProtoError::TooLong { message: "action", field: "payload", limit, found };
    assert_eq!(long, EntryError::Encoding(expected));
    let large = Entry::decode(vec![0; MAX_ENTRY_BYTES + 1].into()).unwrap_err();
    assert_eq!(large.code(), RoomCode::TooLarge);
}

#[test]
fn what_is_no_entry() {
    let missing = ProtoError::Missing { message: "entry", field: "entry" };
    assert_eq!(Entry::decode(Bytes::new()), Err(EntryError::Encoding(missing)));
    assert!(Entry::decode(Bytes::from_static(b"hello")).is_err());
    assert!(Entry::decode(block_0()).is_err());
    // What they prove is looked at by the room.
    for (field, kind) in [
        (4, ProofKind::ValidatorChange),
        (5, ProofKind::EpochStart),
        (6, ProofKind::Certificate),
        (7, ProofKind::Evidence),
    ] {
        let block: Bytes = bytes(field, &bytes(1, b"body")).into();
        let entry = Entry::decode(block.clone()).unwrap();
        assert_eq!(entry, Entry::Proof(Proof { kind, body: Bytes::from_static(b"body") }));
        assert_eq!(entry.encode(), block);
        assert_eq!(entry.digest(&room()), Err(EntryError::NotSigned));
        assert_eq!(entry.verify(&room()), Err(EntryError::NotSigned));
    }
    let chunk = |size, offset, data: &[u8]| {
        let module = bytes(1, &[1; 32]);
        let offset = if offset == 0 { Vec::new() } else { number(3, offset) };
        Entry::decode(bytes(2, &[module, number(2, size), offset, bytes(4, data)].concat()).into())
    };
    assert!(chunk(10, 0, b"1234567890").is_ok());
    assert!(chunk(10, 9, b"0").is_ok());
    let range = |field, limit, found| {
        Err(EntryError::Encoding(ProtoError::OutOfRange { message: "module chunk", field, limit, found }))
    };
    assert_eq!(chunk(10, 9, b"01"), range("offset plus data", 10, 11));
    assert_eq!(chunk(10, u64::from(u32::MAX), b"0"), range("offset plus data", 10, 1 << 32));
    assert_eq!(chunk(512 * 1024 + 1, 0, b"0"), range("size", 512 * 1024, 512 * 1024 + 1));
}

#[test]
fn what_the_author_did_not_sign_is_forged() {
    let code = |entry: Entry, room: &RoomId| {
        let error = entry.verify(room).unwrap_err();
        assert!(matches!(error, EntryError::Forged { .. }), "{error:?}");
        let refusal = Refusal::from(error);
        assert!(refusal.to_string().ends_with("(E3002)"), "{refusal}");
        refusal.code
    };
    for (name, entry) in entries().into_iter().filter(|(name, _)| name != "module chunk") {
        assert!(entry.clone().verify(&room()).is_ok(), "{name}");
        assert_eq!(code(entry, &RoomId::new([1; 32])), RoomCode::Forged, "{name}");
    }
    let action = full_action().into_inner();
    let altered: [fn(&mut Action); 10] = [
        |action| action.author = alice().public(),
        |action| action.sequence += 1,
        |action| action.anchor = Anchor::new(301, *action.anchor.hash()),
        |action| action.anchor = Anchor::NONE,
        |action| action.valid_until = 0,
        |action| action.payload = Bytes::from_static(b"other"),
        |action| action.signature = first_action().signature,
        |action| action.author = bad_keys()[0],
        |action| action.author = bad_keys()[1],
        |action| {
            // The same point, written with a scalar that is not reduced (S + L).
            let order: [u8; 16] = [
                0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
                0x14,
            ];
            let mut bytes = *action.signature.as_bytes();
            let mut carry = 0;
            for (at, byte) in bytes[32..].iter_mut().enumerate() {
                let term = match at {
                    0..16 => order[at],
                    31 => 0x10,
                    _ => 0,
                };
                let sum = u16::from(*byte) + u16::from(term) + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
            action.signature = Signature::new(bytes);
        },
    ];
    for (at, alter) in altered.into_iter().enumerate() {
        let mut other = action.clone();
        alter(&mut other);
        assert_ne!(other, action, "{at}");
        assert_eq!(code(Entry::Action(other), &room()), RoomCode::Forged, "{at}");
    }
    let (_, install) = rule_changes().remove(0);
    let mut other = install.clone().into_inner();
    other.activation += 1;
    assert_eq!(code(Entry::RuleChange(other), &room()), RoomCode::Forged);
    let mut other = install.into_inner();
    other.vectors[1].code = 1;
    assert_eq!(code(Entry::RuleChange(other), &room()), RoomCode::Forged);
    let chunk = entries().remove(2).1;
    assert_eq!(chunk.verify(&room()), Err(EntryError::NotSigned));
}

#[test]
fn an_action_does_not_pass_for_a_rule_change() {
    // What is signed begins with what it is for.
    let change = rule_changes().remove(0).1;
    let signed = change.signed_bytes(&room());
    let mut action = first_action().into_inner();
    action.signature = change.signature;
    action.payload = signed.into();
    assert!(matches!(action.verify(&room()), Err(EntryError::Forged { why: Forgery::Signature, .. })));
}

#[test]
fn many_are_verified_as_each_one_is() {
    let mut actions = vec![first_action().into_inner(), full_action().into_inner()];
    for (at, key) in bad_keys().into_iter().enumerate() {
        let mut action = actions[at].clone();
        action.author = key;
        actions.push(action);
    }
    let mut altered = actions[0].clone();
    altered.sequence = 1;
    actions.push(altered);
    actions.push(actions[0].clone());
    let each: Vec<_> = actions.iter().map(|action| action.clone().verify(&room())).collect();
    assert_eq!(verify_many(&KnownKeys::new(), &room(), actions), each);
    assert_eq!(each.iter().filter(|result| result.is_ok()).count(), 3);
}

#[test]
fn a_rule_change_has_what_its_operation_uses() {
    let base = |operation| proto::RuleChange {
        author: alice().public(),
        sequence: 0,
        anchor_length: 0,
        anchor_hash: Hash::new([0; 32]),
        valid_until: 0,
        operation,
        name: String::new(),
        rule: None,
        module: None,
        meter: 0,
        params: Bytes::new(),
        activation: 3,
        vectors: Vec::new(),
        signature: Some(Signature::new([1; 64])),
    };
    let error = |change: proto::RuleChange| {
        Entry::decode(proto::Entry::RuleChange(change).encode()).expect_err("it is not taken")
    };
    use proto::RuleOperation::*;
    let (rule, module) = (Some(RuleId::new([1; 32])), Some(ModuleHash::new([2; 32])));
    let lacking = |operation, field| EntryError::Lacking { operation, field };
    let stray = |operation, field| EntryError::Stray { operation, field };
    let install = || proto::RuleChange { name: "a".into(), module, meter: 1, ..base(Install) };
    assert!(Entry::decode(proto::Entry::RuleChange(install()).encode()).is_ok());
    assert_eq!(error(proto::RuleChange { module: None, ..install() }), lacking("install", "module"));
    assert_eq!(error(proto::RuleChange { meter: 0, ..install() }), lacking("install", "meter"));
    assert_eq!(error(proto::RuleChange { rule, ..install() }), stray("install", "rule"));
    assert_eq!(error(base(Remove)), lacking("remove", "rule"));
    let remove = || proto::RuleChange { rule, ..base(Remove) };
    assert_eq!(error(proto::RuleChange { module, ..remove() }), stray("remove", "module"));
    assert_eq!(error(proto::RuleChange { meter: 1, ..remove() }), stray("remove", "meter"));
    assert_eq!(error(proto::RuleChange { name: "a".into(), ..remove() }), stray("remove", "name"));
    let params = Bytes::from_static(b"x");
    assert_eq!(error(proto::RuleChange { params, ..remove() }), stray("remove", "params"));
    let vectors = vec![TestVector { author: None, payload: Bytes::new(), code: 0 }];
    assert_eq!(error(proto::RuleChange { vectors, ..remove() }), stray("remove", "vectors"));
    assert_eq!(error(base(Params)), lacking("params", "rule"));
    let change = proto::RuleChange { rule, module, ..base(Params) };
    assert_eq!(error(change), stray("params", "module"));
    let error_of_name = error(proto::RuleChange { name: "A".into(), ..install() });
    assert_eq!(error_of_name.code(), RoomCode::BadRuleName);
    assert_eq!(error(proto::RuleChange { name: String::new(), ..install() }).code(), RoomCode::BadRuleName);
    // No operation, and one that is not known.
    let operation = |value: u8| {
        let block = proto::Entry::RuleChange(remove()).encode();
        let at = block.windows(2).position(|pair| pair == [0x30, 2]).unwrap();
        let mut block = block.to_vec();
        block[at + 1] = value;
        Entry::decode(block.into())
    };
    assert!(operation(2).is_ok());
    assert_eq!(operation(0).unwrap_err().code(), RoomCode::NotCanonical);
    let unknown = ProtoError::OutOfRange { message: "rule change", field: "operation", limit: 4, found: 5 };
    assert_eq!(operation(5), Err(EntryError::Encoding(unknown)));
}

#[test]
fn test_vectors_are_counted_before_they_are_read() {
    let vector = bytes(13, &[]);
    let block = bytes(3, &vector.repeat(100_000));
    let (limit, found) = (MAX_TEST_VECTORS, MAX_TEST_VECTORS + 1);
    let error = ProtoError::TooLong { message: "rule change", field: "vectors", limit, found };
    assert_eq!(Entry::decode(block.into()), Err(EntryError::Encoding(error)));
}

#[test]
fn what_is_too_large_is_not_signed() {
    let sign = |payload: usize, sequence| {
        let (anchor, valid_until) = (Anchor::NONE, 0);
        let unsigned = UnsignedAction { sequence, anchor, valid_until, payload: vec![0; payload].into() };
        unsigned.sign(&room(), &alice()).map_err(|error| error.field)
    };
    assert!(sign(MAX_PAYLOAD_BYTES, MAX_FEED_LENGTH).is_ok());
    assert_eq!(sign(MAX_PAYLOAD_BYTES + 1, 0), Err("payload"));
    assert_eq!(sign(0, MAX_FEED_LENGTH + 1), Err("sequence"));
    let sign = |change: Change, vectors: usize, size: usize| {
        let vector = TestVector { author: None, payload: vec![0; size].into(), code: 0 };
        let unsigned = UnsignedRuleChange {
            sequence: 0,
            anchor: Anchor::NONE,
            valid_until: 0,
            change,
            activation: 0,
            vectors: vec![vector; vectors],
        };
        unsigned.sign(&room(), &alice()).map_err(|error| error.field)
    };
    let params = |size: usize| Change::Params { rule: rule(), params: vec![0; size].into() };
    assert!(sign(params(16 * 1024), 64, 1000).is_ok());
    assert_eq!(sign(params(16 * 1024 + 1), 0, 0), Err("params"));
    assert_eq!(sign(params(0), 65, 0), Err("vectors"));
    assert_eq!(sign(params(0), 1, MAX_PAYLOAD_BYTES + 1), Err("payload of a test vector"));
    assert_eq!(sign(params(0), 5, 60_000), Err("rule change"));
    assert_eq!(sign(Change::Remove { rule: rule() }, 1, 0), Err("vectors"));
}

#[test]
fn headers() {
    let block = block_0();
    assert_eq!(StreamHeader::parse(&block), Ok(Some(header())));
    assert_eq!(header().modules(), [ModuleHash::of(super::samples::MODULE)]);
    for other in [&b""[..], b"hello", b"\x0a\x0ahyperdrive", b"{\"type\":\"quorate/1\"}"] {
        assert_eq!(StreamHeader::parse(&Bytes::from_static(other)), Ok(None));
    }
    let error = |block: &[u8]| StreamHeader::parse(&Bytes::copy_from_slice(block)).unwrap_err();
    let found = "quorate/2".to_owned();
    assert_eq!(error(b"\x0a\x09quorate/2"), HeaderError::Version { found });
    assert_eq!(error(b"\x0a\x09quorate/1"), HeaderError::Envelope);
    assert_eq!(error(&[&block[..], b"\x18\x01"].concat()), HeaderError::Envelope);
    assert!(matches!(error(b"\x0a\x09quorate/1\x12\x02\x08\x01"), HeaderError::Encoding(_)));
    let long = [&block[..], &[0; 70_000]].concat();
    assert!(matches!(error(&long), HeaderError::TooLarge { .. }));
    let envelope =
        |header: proto::StreamHeader| [&b"\x0a\x09quorate/1"[..], &bytes(2, &header.encode())].concat();
    let json = || proto::StreamHeader { payload_encoding: "json".into(), ..Default::default() };
    assert!(StreamHeader::parse(&envelope(json()).into()).is_ok());
    let key = alice().public();
    let previous =
        proto::Previous { key, length: 1, tree_hash: Hash::new([1; 32]), certificate: Bytes::new() };
    let successor = proto::StreamHeader { previous: Some(previous), ..json() };
    assert_eq!(error(&envelope(successor)), HeaderError::Successor { previous: key });
    let text = proto::StreamHeader { payload_encoding: "text".into(), ..json() };
    let unknown = UnknownEncoding { found: "text".into() };
    assert_eq!(error(&envelope(text)), HeaderError::PayloadEncoding(unknown));
    let refusal = Refusal::from(error(&envelope(proto::StreamHeader { name: "\u{1b}[2J".into(), ..json() })));
    assert_eq!(refusal.code, RoomCode::BadHeader);
    let mut twice = header();
    twice.rules[1].name = twice.rules[0].name.clone();
    assert!(matches!(twice.encode(), Err(HeaderError::SameName { .. })));
    let mut meterless = header();
    meterless.rules[0].meter = 0;
    assert!(matches!(meterless.encode(), Err(HeaderError::Meter { .. })));
    let mut many = header();
    many.rules = vec![many.rules[0].clone(); 17];
    let (limit, found) = (16, 17);
    let too_long = ProtoError::TooLong { message: "stream header", field: "rules", limit, found };
    assert_eq!(many.encode(), Err(HeaderError::Encoding(too_long)));
    let named = StreamHeader::new("x".repeat(257), PayloadEncoding::Binary);
    assert!(matches!(named.encode(), Err(HeaderError::Encoding(ProtoError::TooLong { .. }))));
}

/// Block 0 of every valid room is its own and nobody else's.
fn any_header() -> impl Strategy<Value = StreamHeader> {
    let rule = ("[a-z0-9-]{1,32}", any::<[u8; 32]>(), 1..=u32::MAX, any::<Vec<u8>>(), any::<bool>());
    let encoding =
        prop_oneof![Just(PayloadEncoding::Json), Just(PayloadEncoding::Utf8), Just(PayloadEncoding::Binary)];
    ("[^\\p{Cc}]{0,60}", encoding, proptest::collection::vec(rule, 0..4), 0..MAX_FEED_LENGTH).prop_map(
        |(name, encoding, rules, delay)| {
            let mut header = StreamHeader::new(name, encoding);
            header.rule_delay = delay;
            for (name, module, meter, params, locked) in rules {
                let (name, module) = (name.parse().unwrap(), ModuleHash::new(module));
                if !header.rules.iter().any(|rule| rule.name == name) {
                    let params = params.into();
                    header.rules.push(quorate_stream::header::GenesisRule {
                        name,
                        module,
                        meter,
                        params,
                        locked,
                    });
                }
            }
            header
        },
    )
}

fn any_anchor() -> impl Strategy<Value = Anchor> {
    (prop_oneof![Just(0), 0..MAX_FEED_LENGTH], any::<[u8; 32]>())
        .prop_map(|(length, hash)| Anchor::new(length, Hash::new(hash)))
}

fn any_change() -> impl Strategy<Value = Change> {
    let rule = any::<[u8; 32]>().prop_map(RuleId::new);
    let module = any::<[u8; 32]>().prop_map(ModuleHash::new);
    let params = any::<Vec<u8>>().prop_map(Bytes::from);
    let name = "[a-z0-9-]{1,32}".prop_map(|name| name.parse().unwrap());
    prop_oneof![
        (name, module.clone(), 1..=u32::MAX, params.clone())
            .prop_map(|(name, module, meter, params)| Change::Install { name, module, meter, params }),
        rule.clone().prop_map(|rule| Change::Remove { rule }),
        (rule.clone(), module, 1..=u32::MAX, params.clone())
            .prop_map(|(rule, module, meter, params)| Change::Replace { rule, module, meter, params }),
        (rule, params).prop_map(|(rule, params)| Change::Params { rule, params }),
    ]
}

proptest! {
    #[test]
    fn headers_read_back(header in any_header()) {
        let block = header.encode().unwrap();
        prop_assert_eq!(StreamHeader::parse(&block), Ok(Some(header)));
    }

    #[test]
    fn actions_read_back(
        seed: [u8; 32],
        sequence in 0..MAX_FEED_LENGTH,
        anchor in any_anchor(),
        valid_until in prop_oneof![Just(0), 0..MAX_FEED_LENGTH],
        payload: Vec<u8>,
    ) {
        let unsigned = UnsignedAction { sequence, anchor, valid_until, payload: payload.into() };
        let action = unsigned.sign(&room(), &Author::from_seed(&seed)).unwrap();
        let block = action.encode();
        let entry = Entry::decode(block.clone()).unwrap();
        prop_assert_eq!(entry.encode(), block);
        prop_assert_eq!(entry.digest(&room()), Ok(*action.digest()));
        prop_assert_eq!(entry.verify(&room()), Ok(action.into()));
    }

    #[test]
    fn rule_changes_read_back(
        change in any_change(),
        anchor in any_anchor(),
        activation in 0..MAX_FEED_LENGTH,
        vectors in proptest::collection::vec((any::<Option<[u8; 32]>>(), any::<Vec<u8>>(), any::<u32>()), 0..5),
    ) {
        let vector = |(author, payload, code): (Option<[u8; 32]>, Vec<u8>, u32)| {
            TestVector { author: author.map(PublicKey::new), payload: payload.into(), code }
        };
        let removes = matches!(change, Change::Remove { .. });
        let vectors = vectors.into_iter().map(vector).filter(|_| !removes).collect();
        let (sequence, valid_until) = (1, 0);
        let unsigned = UnsignedRuleChange { sequence, anchor, valid_until, change, activation, vectors };
        let change = unsigned.sign(&room(), &bob()).unwrap();
        let block = change.encode();
        let entry = Entry::decode(block.clone()).unwrap();
        prop_assert_eq!(entry.encode(), block);
        prop_assert_eq!(entry.verify(&room()), Ok(change.into()));
    }

    /// Whatever is taken encodes to the same bytes again.
    #[test]
    fn mutations_are_refused_or_canonical(
        which in 0_usize..7,
        at: prop::sample::Index,
        len in 0_usize..4,
        new in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let block = entries().remove(which).1.encode();
        let start = at.index(block.len());
        let end = (start + len).min(block.len());
        let mut mutated = block.to_vec();
        mutated.splice(start..end, new);
        let mutated = Bytes::from(mutated);
        if let Ok(entry) = Entry::decode(mutated.clone()) {
            prop_assert_eq!(entry.encode(), mutated.clone());
            if mutated != block && !matches!(entry, Entry::Chunk(_)) {
                prop_assert!(entry.verify(&room()).is_err(), "an altered entry verifies");
            }
        }
    }

    #[test]
    fn no_bytes_panic(block: Vec<u8>) {
        let block = Bytes::from(block);
        let _ = Entry::decode(block.clone());
        let _ = StreamHeader::parse(&block);
        let _ = StreamHeader::parse(&[b"\x0a\x09quorate/1\x12", &block[..]].concat().into());
        Frames::new(block).for_each(drop);
    }

    #[test]
    fn mutated_frames_read_back(
        which in 0_usize..9,
        at: prop::sample::Index,
        len in 0_usize..4,
        new in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let frame = messages().remove(which).1.encode();
        let start = at.index(frame.len());
        let mut mutated = frame.to_vec();
        mutated.splice(start..(start + len).min(frame.len()), new);
        for frame in Frames::new(mutated.into()).flatten() {
            let Frame::Message(message) = frame else { continue };
            prop_assert_eq!(Message::decode(message.kind(), message.encode_body().into()), Ok(Some(message)));
        }
    }
}
