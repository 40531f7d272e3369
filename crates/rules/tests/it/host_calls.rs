//! What host calls do when they are used as they should be.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use quorate_rules::abi::{Call, CallKind, Usage};
use quorate_rules::verdict::{Fault, Unable, Verdict};

use crate::fixture::{assert_accepted, assert_fault, call, check, checking, function, module, refusal, run};
use crate::support::Surroundings;

/// Strings that the bodies use: `key` at 0, `value` at 16.
const DATA: &str = r#"(data (i32.const 0) "key") (data (i32.const 16) "value") "#;

fn with_data(body: &str) -> Vec<u8> {
    module(&format!("{DATA} {}", function(CallKind::Check, body)))
}

#[test]
fn state_is_read_and_written() {
    let body = r#"(local $len i32)
        (local.set $len (call $state_get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 50)))
        (if (i32.eq (local.get $len) (i32.const -1))
            (then (call $state_set (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 5)) (return (i32.const 0))))
        (call $log (i32.const 100) (local.get $len))
        (call $state_del (i32.const 0) (i32.const 3))
        (i32.const 0)"#;
    let module = with_data(body);
    let mut around = Surroundings::default();
    let first = run(&module, &call(b""), &mut around);
    assert_eq!(first.writes, [(b"key".to_vec(), Some(b"value".to_vec()))]);
    assert_eq!(first.usage, Some(Usage { bytes: 8, keys: 1 }));
    assert_eq!(first.reads, 0);
    around.apply(&first);
    let second = run(&module, &call(b""), &mut around);
    assert_eq!(second.logs, ["value"]);
    assert_eq!(second.reads, 5);
    assert_eq!(second.writes, [(b"key".to_vec(), None)]);
    assert_eq!(second.usage, Some(Usage::default()));
    around.apply(&second);
    assert!(around.state.is_empty());
    assert_eq!(around.usage_asked, 2);
}

#[test]
fn reads_see_the_writes_of_the_same_call() {
    let body = r#"
        (call $state_set (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 5))
        (call $log (i32.const 100) (call $state_get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 9)))
        (call $state_set (i32.const 0) (i32.const 3) (i32.const 17) (i32.const 2))
        (call $log (i32.const 100) (call $state_get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 9)))
        (call $state_del (i32.const 0) (i32.const 3))
        (i32.add (i32.const 2) (call $state_get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 9)))"#;
    let mut around = Surroundings::default();
    around.state.insert(b"key".to_vec(), b"before".to_vec());
    let before = around.state.clone();
    let outcome = run(&with_data(body), &call(b""), &mut around);
    assert_eq!(refusal(&outcome).0, 1, "a removed key reads as -1");
    assert_eq!(outcome.logs, ["value", "al"]);
    assert_eq!(around.asked, [b"key".to_vec()], "the host is asked for the value that was replaced, once");
    assert_eq!(around.state, before);
}

#[test]
fn the_last_write_of_a_key_counts_and_keys_are_in_order() {
    let body = r#"
        (call $state_set (i32.const 2) (i32.const 1) (i32.const 16) (i32.const 5))
        (call $state_set (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 1))
        (call $state_set (i32.const 1) (i32.const 1) (i32.const 16) (i32.const 0))
        (call $state_set (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 2))
        (call $state_set (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 1))
        (i32.const 0)"#;
    let outcome = run(&with_data(body), &call(b""), &mut Surroundings::default());
    let expected: [(&[u8], &[u8]); 4] = [(b"", b"v"), (b"e", b""), (b"k", b"va"), (b"y", b"value")];
    let found: Vec<_> =
        outcome.writes.iter().map(|(key, value)| (&key[..], value.as_deref().unwrap())).collect();
    assert_eq!(found, expected);
    assert_eq!(outcome.usage, Some(Usage { bytes: 11, keys: 4 }));
}

#[test]
fn a_value_longer_than_its_place_is_cut_and_its_length_told() {
    let body = r#"
        (i32.store8 (i32.const 103) (i32.const 33))
        (call $log (i32.const 100) (i32.add (i32.const 4)
            (i32.sub (call $state_get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 3)) (i32.const 5))))
        (i32.add (call $state_get (i32.const 0) (i32.const 3) (i32.const 131072) (i32.const 0)) (i32.const 0))"#;
    let mut around = Surroundings::default();
    around.state.insert(b"key".to_vec(), b"value".to_vec());
    let outcome = run(&with_data(body), &call(b""), &mut around);
    assert_eq!(outcome.logs, ["val!"]);
    assert_eq!(refusal(&outcome).0, 5);
    assert_eq!(outcome.reads, 3);
}

#[test]
fn blocks_before_the_entry_can_be_read() {
    let read = |index: i64| {
        let body = format!(
            r#"(local $len i32)
               (local.set $len (call $get_block (i64.const {index}) (i32.const 100) (i32.const 50)))
               (if (i32.gt_s (local.get $len) (i32.const 0)) (then (call $log (i32.const 100) (local.get $len))))
               (i32.add (local.get $len) (i32.const 100))"#
        );
        let blocks = (0..7).map(|index| Bytes::from(format!("block {index}"))).collect();
        run(&checking(&body), &call(b""), &mut Surroundings { blocks, ..Surroundings::default() })
    };
    for index in [0, 6] {
        let outcome = read(index);
        assert_eq!(outcome.logs, [format!("block {index}")]);
        assert_eq!((refusal(&outcome).0, outcome.reads), (107, 7));
    }
    for index in [7, 8, i64::MAX, -1, i64::MIN] {
        assert_eq!(refusal(&read(index)).0, 99, "block {index} is absent");
    }
}

#[test]
fn a_block_that_is_not_here_leaves_the_verdict_open() {
    let module = checking("(call $get_block (i64.const 3) (i32.const 0) (i32.const 10))");
    let mut around = Surroundings::default();
    let outcome = run(&module, &call(b""), &mut around);
    assert_eq!(outcome.verdict, Verdict::Unable(Unable::MissingBlock(3)));
    around.blocks = vec![Bytes::new(); 4];
    assert_accepted(&run(&module, &call(b""), &mut around));
}

#[test]
fn a_state_that_cannot_be_read_leaves_the_verdict_open() {
    for body in [
        "(call $state_get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 10))",
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 10)) (i32.const 5)",
    ] {
        let mut around = Surroundings { is_broken: true, ..Surroundings::default() };
        let outcome = run(&checking(body), &call(b""), &mut around);
        let Verdict::Unable(Unable::State(why)) = &outcome.verdict else { panic!("{:?}", outcome.verdict) };
        assert!(why.contains("the disk is gone"), "{why}");
    }
}

#[test]
fn reasons_are_the_last_that_was_given() {
    let body = r#"
        (call $fail (i32.const 0) (i32.const 3))
        (call $fail (i32.const 16) (i32.const 5))
        (i32.const 9)"#;
    assert_eq!(refusal(&check(&with_data(body))), (9, "value"));
}

#[test]
fn long_reasons_are_cut() {
    let body = r#"
        (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 70000))
        (call $fail (i32.const 0) (i32.const 70000))
        (i32.const 9)"#;
    assert_eq!(refusal(&check(&checking(body))), (9, &*"a".repeat(256)));
}

#[test]
fn digests_are_those_of_the_algorithms() {
    let digest = |name: &str| {
        let body = format!(
            r#"(call ${name} (i32.const 65626) (i32.sub (local.get $length) (i32.const 90)) (i32.const 0))
               (call $state_set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))
               (i32.const 0)"#
        );
        let outcome = run(&checking(&body), &call(b"abc"), &mut Surroundings::default());
        let digest = outcome.writes[0].1.clone().unwrap();
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    // RFC 6234 and RFC 7693 (BLAKE2b with 32 bytes).
    assert_eq!(digest("sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(digest("blake2b_256"), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

#[test]
fn signatures_are_verified() {
    let body = r#"(i32.add (i32.const 1) (call $ed25519_verify
        (i32.const 65626) (i32.const 65722) (i32.sub (local.get $length) (i32.const 186)) (i32.const 65658)))"#;
    let module = checking(body);
    let secret = SigningKey::from_bytes(&[5; 32]);
    let signed = |message: &[u8]| {
        let signature = secret.sign(message).to_bytes();
        [&secret.verifying_key().to_bytes()[..], &signature, message].concat()
    };
    let valid = |payload: &[u8]| refusal(&run(&module, &call(payload), &mut Surroundings::default())).0 == 2;
    for message in [&b""[..], b"message", &[0; 5000]] {
        let payload = signed(message);
        assert!(valid(&payload));
        for bit in [0, 31 * 8, 32 * 8, 95 * 8, payload.len() * 8 - 8] {
            let mut broken = payload.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(!valid(&broken), "bit {bit}");
        }
    }
    // A key of small order, with which a loose check would take any message.
    let mut small = [0; 96];
    small[0] = 1;
    small[32] = 1;
    assert!(!valid(&small));
}

#[test]
fn an_abort_says_what_assemblyscript_says() {
    // Strings of AssemblyScript: the length in bytes, then UTF-16.
    let module = module(&format!(
        r#"(data (i32.const 16) "\08\00\00\00n\00o\00n\00e\00") (data (i32.const 48) "\08\00\00\00a\00.\00t\00s\00")
           {}"#,
        function(
            CallKind::Check,
            "(call $abort (i32.const 20) (i32.const 52) (i32.const 3) (i32.const 14)) (i32.const 0)"
        )
    ));
    assert_fault(&check(&module), Fault::Abort, "none (a.ts:3:14)");
    let odd =
        checking("(call $abort (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 2)) (i32.const 0)");
    assert_fault(&check(&odd), Fault::Abort, "abort");
}

#[test]
fn writes_are_for_checks_and_inits() {
    let bodies = [
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) (i32.const 0)",
        "(call $state_del (i32.const 0) (i32.const 1)) (i32.const 0)",
    ];
    for body in bodies {
        for kind in CallKind::ALL {
            let module = module(&format!(
                "{} {}",
                function(kind, body),
                if kind == CallKind::Check {
                    String::new()
                } else {
                    function(CallKind::Check, "unreachable")
                }
            ));
            let outcome = run(&module, &Call { kind, ..call(b"") }, &mut Surroundings::default());
            if kind.may_write() {
                assert_accepted(&outcome);
                assert_eq!(outcome.writes.len(), 1);
            } else {
                assert_fault(&outcome, Fault::NotAllowed, kind.export());
            }
        }
    }
}

#[test]
fn blocks_are_not_for_inits() {
    let body = "(call $get_block (i64.const 0) (i32.const 0) (i32.const 1))";
    for kind in CallKind::ALL {
        let other =
            if kind == CallKind::Check { String::new() } else { function(CallKind::Check, "unreachable") };
        let module = module(&format!("{} {other}", function(kind, body)));
        let mut around = Surroundings { blocks: vec![Bytes::new()], ..Surroundings::default() };
        let outcome = run(&module, &Call { kind, ..call(b"") }, &mut around);
        if kind == CallKind::Init {
            assert_fault(&outcome, Fault::NotAllowed, "get_block in rule_init");
        } else {
            assert_accepted(&outcome);
        }
    }
}
