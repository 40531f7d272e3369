//! Limits of one call, to the byte.

use quorate_rules::abi::{Call, CallKind, Usage};
use quorate_rules::limits::{
    MAX_INPUT_BYTES, MAX_KEY_BYTES, MAX_READ_BYTES, MAX_STATE_BYTES, MAX_STATE_KEYS, MAX_VALUE_BYTES,
    MAX_WRITES,
};
use quorate_rules::verdict::Fault;

use crate::fixture::{assert_accepted, assert_fault, bare, call, check, checking, function, refusal, run};
use crate::support::Surroundings;

#[test]
fn keys_have_a_length() {
    for (len, is_allowed) in [(MAX_KEY_BYTES, true), (MAX_KEY_BYTES + 1, false)] {
        for text in [
            "(drop (call $state_get (i32.const 0) {L} (i32.const 0) (i32.const 0)))",
            "(call $state_set (i32.const 0) {L} (i32.const 0) (i32.const 0))",
            "(call $state_del (i32.const 0) {L})",
        ] {
            let body = text.replace("{L}", &format!("(i32.const {len})"));
            let outcome = check(&checking(&format!("{body} (i32.const 0)")));
            if is_allowed {
                assert_accepted(&outcome);
            } else {
                assert_fault(&outcome, Fault::Limit, "a key of 257 bytes, at most 256");
            }
        }
    }
}

#[test]
fn values_have_a_length() {
    let set = |len: usize| {
        let body = format!("(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {len}))");
        check(&checking(&format!("{body} (i32.const 0)")))
    };
    assert_accepted(&set(MAX_VALUE_BYTES));
    assert_fault(&set(MAX_VALUE_BYTES + 1), Fault::Limit, "a value of 65537 bytes, at most 65536");
}

#[test]
fn writes_are_counted() {
    let write = |times: u32| {
        let body = format!(
            r#"(local $left i32) (local.set $left (i32.const {times}))
               (loop $more
                   (call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))
                   (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                   (br_if $more (local.get $left)))
               (i32.const 0)"#
        );
        check(&checking(&body))
    };
    assert_accepted(&write(MAX_WRITES));
    assert_fault(&write(MAX_WRITES + 1), Fault::Limit, "more than 1024 writes");
}

#[test]
fn bytes_that_are_read_are_counted() {
    let reads = MAX_READ_BYTES / 65_536;
    let read = |last: u64| {
        let one = |len: u64| {
            format!("(drop (call $state_get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {len})))")
        };
        let body = format!("{} {} (i32.const 0)", one(65_536).repeat(reads as usize), one(last));
        let mut around = Surroundings::default();
        around.state.insert(vec![0], vec![0; 65_536]);
        run(&checking(&body), &call(b""), &mut around)
    };
    let outcome = read(0);
    assert_accepted(&outcome);
    assert_eq!(outcome.reads, MAX_READ_BYTES);
    assert_fault(&read(1), Fault::Limit, "262145 bytes read, at most 262144");
}

#[test]
fn inputs_have_a_length() {
    let module = checking("i32.const 0");
    let roomy = module_with_room();
    let fits = vec![0; MAX_INPUT_BYTES - 84 - 6];
    assert_accepted(&run(&roomy, &call(&fits), &mut Surroundings::default()));
    assert_fault(
        &run(&module, &call(&fits), &mut Surroundings::default()),
        Fault::BadPointer,
        "bytes at 65536",
    );
    let long = vec![0; MAX_INPUT_BYTES - 84 - 5];
    assert_fault(&run(&roomy, &call(&long), &mut Surroundings::default()), Fault::Limit, "at most 1048576");
}

fn module_with_room() -> Vec<u8> {
    let alloc = r#"(func (export "rule_alloc") (param i32) (result i32) (drop (memory.grow (i32.const 20))) (i32.const 0))"#;
    bare(&format!("{alloc} {}", function(CallKind::Check, "i32.const 0")))
}

#[test]
fn the_state_has_a_quota_of_bytes() {
    let set = |len: usize, before: u64| {
        let body = format!("(call $state_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const {len}))");
        let besides = Usage { bytes: before, keys: 5 };
        let mut around = Surroundings { besides, ..Surroundings::default() };
        run(&checking(&format!("{body} (i32.const 0)")), &call(b""), &mut around)
    };
    let outcome = set(7, MAX_STATE_BYTES - 10);
    assert_accepted(&outcome);
    assert_eq!(outcome.usage, Some(Usage { bytes: MAX_STATE_BYTES, keys: 6 }));
    assert_fault(&set(8, MAX_STATE_BYTES - 10), Fault::Quota, "67108865 bytes in 6 keys");
}

#[test]
fn the_state_has_a_quota_of_keys() {
    let set = |keys: u64| {
        let body = "(call $state_set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1)) (i32.const 0)";
        let mut around = Surroundings { besides: Usage { bytes: 0, keys }, ..Surroundings::default() };
        run(&checking(body), &call(b""), &mut around)
    };
    assert_accepted(&set(MAX_STATE_KEYS - 1));
    assert_fault(&set(MAX_STATE_KEYS), Fault::Quota, "1000001 keys");
}

#[test]
fn gas_is_given_by_the_call() {
    let module = checking("i32.const 0");
    let outcome = check(&module);
    assert_accepted(&outcome);
    let needed = outcome.gas_used;
    assert!(needed > 0 && needed < 100, "{needed}");
    let with = |gas| run(&module, &Call { gas, ..call(b"payload") }, &mut Surroundings::default());
    assert_eq!(with(needed).verdict, outcome.verdict);
    assert_fault(&with(needed - 1), Fault::OutOfGas, "out of gas");
    assert_eq!(with(0).gas_used, 0);
    assert_fault(&with(0), Fault::OutOfGas, "out of gas");
    assert_accepted(&with(u64::try_from(i64::MAX).unwrap()));
}

#[test]
fn host_calls_cost_what_the_schedule_says() {
    let costs = |body: &str| {
        let mut around = Surroundings { blocks: vec![vec![0; 5000].into()], ..Surroundings::default() };
        around.state.insert(vec![0], vec![0; 300]);
        run(&checking(body), &call(b""), &mut around).gas_used
    };
    // The same arguments are given twice, so what they cost falls out.
    let cases = [
        ("(drop (call $get_block (i64.const 0) (i32.const 0) (i32.const 100)))", 10_000 + 5000),
        ("(drop (call $get_block (i64.const 99) (i32.const 0) (i32.const 100)))", 10_000),
        (
            "(drop (call $state_get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 100)))",
            2_000 + 1 + 300,
        ),
        ("(drop (call $state_get (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 100)))", 2_000 + 2),
        ("(call $state_set (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 100))", 4_000 + 2 + 200),
        (
            "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 100))",
            4_000 + 1 + 200 + 300,
        ),
        ("(call $state_del (i32.const 0) (i32.const 1))", 4_000 + 1 + 300),
        ("(call $state_del (i32.const 0) (i32.const 2))", 4_000 + 2),
        ("(call $fail (i32.const 0) (i32.const 1000))", 200 + 1000),
        ("(call $log (i32.const 0) (i32.const 1000))", 200 + 1000),
        ("(call $blake2b_256 (i32.const 0) (i32.const 1000) (i32.const 0))", 300 + 2000),
        ("(call $sha256 (i32.const 0) (i32.const 1000) (i32.const 0))", 300 + 4000),
        (
            "(drop (call $ed25519_verify (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 0)))",
            80_000 + 4000,
        ),
    ];
    for (body, expected) in cases {
        let cost_of_code = 6 + body.matches("const").count() as u64 + body.matches("drop").count() as u64;
        let once = costs(&format!("{body} (i32.const 1)"));
        let none = costs("(i32.const 1)");
        assert_eq!(once - none, expected + cost_of_code, "{body}");
    }
}

#[test]
fn a_key_that_was_read_costs_as_much_to_replace() {
    let outcome = |body: &str| {
        let mut around = Surroundings::default();
        around.state.insert(vec![0], vec![0; 300]);
        run(&checking(&format!("{body} (i32.const 0)")), &call(b""), &mut around)
    };
    let get = |key: u32| {
        format!("(drop (call $state_get (i32.const 0) (i32.const {key}) (i32.const 64) (i32.const 9)))")
    };
    let none = outcome("").gas_used;
    // The key of one byte holds something, the key of two does not.
    for key in [1, 2] {
        let set = format!("(call $state_set (i32.const 0) (i32.const {key}) (i32.const 64) (i32.const 7))");
        let del = format!("(call $state_del (i32.const 0) (i32.const {key}))");
        for write in [&set, &del] {
            let (read, written) = (outcome(&get(key)), outcome(write));
            for both in [format!("{}{write}", get(key)), format!("{write}{}{write}", get(key))] {
                let found = outcome(&both);
                assert_eq!(
                    (&found.verdict, &found.writes, found.usage),
                    (&written.verdict, &written.writes, written.usage)
                );
            }
            let both = outcome(&format!("{}{write}", get(key))).gas_used;
            assert_eq!(both - none, (read.gas_used - none) + (written.gas_used - none), "{write}");
        }
    }
}

#[test]
fn what_is_read_of_a_full_block_is_what_there_is_room_for() {
    let body = "(call $get_block (i64.const 0) (i32.const 0) (i32.const 100))";
    let mut around = Surroundings { blocks: vec![vec![0; 1000].into()], ..Surroundings::default() };
    let outcome = run(&checking(body), &call(b""), &mut around);
    assert_eq!((refusal(&outcome).0, outcome.reads), (1000, 100));
}
