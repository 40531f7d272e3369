//! Results, traps, and that nothing stays between calls.

use quorate_rules::abi::CallKind;
use quorate_rules::engine::CompileError;
use quorate_rules::verdict::{Fault, Verdict};
use quorate_types::ModuleHash;

use crate::fixture::{
    FIRST_FUNCTION, assert_accepted, assert_fault, bare, call, check, checking, engine, function, module,
    refusal, rule, run,
};
use crate::support::Surroundings;

#[test]
fn zero_accepts_and_codes_refuse() {
    assert_accepted(&check(&checking("i32.const 0")));
    for code in [1, 2, 255, 65_534] {
        let outcome = check(&checking(&format!("i32.const {code}")));
        assert_eq!(refusal(&outcome), (code, &*format!("the rule gives code {code} and no reason")));
    }
}

#[test]
fn other_results_are_malformed() {
    for result in [65_535, 65_536, 65_540, i32::MAX, -1, i32::MIN] {
        let outcome = check(&checking(&format!("i32.const {result}")));
        assert_fault(&outcome, Fault::MalformedResult, &result.to_string());
    }
}

#[test]
fn traps_name_what_happened_and_where() {
    let cases = [
        ("unreachable", "unreachable"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.div_s (i32.const 0x80000000) (i32.const -1))", "integer overflow"),
        ("(i32.trunc_f64_s (f64.const 1e30))", "integer overflow"),
        ("(i32.trunc_f64_s (f64.const nan))", "invalid conversion to integer"),
        ("(i32.load (i32.const 131072))", "out of bounds memory access"),
        ("(i32.load offset=4294967295 (i32.const 1))", "out of bounds memory access"),
        ("(memory.fill (i32.const 131071) (i32.const 0) (i32.const 2)) i32.const 0", "out of bounds memory"),
        ("(call_indirect (type $f) (i32.const 9))", "out of bounds table access"),
        ("(call_indirect (type $f) (i32.const 1))", "uninitialized element"),
        ("(call_indirect (type $f) (i32.const 0))", "indirect call type mismatch"),
    ];
    for (body, text) in cases {
        let table =
            "(type $f (func (result i32))) (table 2 4 funcref) (elem (i32.const 0) $other) (func $other)";
        let check_function = function(CallKind::Check, "(call $inner)");
        let inner = format!("(func $inner (result i32) {body})");
        let outcome = check(&module(&format!("{check_function} {inner} {table}")));
        assert_fault(&outcome, Fault::Trap, text);
        let place = format!("in function {}", FIRST_FUNCTION + 2);
        assert!(refusal(&outcome).1.ends_with(&place), "{:?}", refusal(&outcome));
    }
}

#[test]
fn segments_that_do_not_fit_are_a_trap() {
    let outcome = check(&module(&format!(
        "{} (data (i32.const 131071) \"ab\")",
        function(CallKind::Check, "i32.const 0")
    )));
    assert_fault(&outcome, Fault::Trap, "out of bounds memory access");
    assert_eq!(outcome.gas_used, 0);
}

#[test]
fn the_input_is_where_rule_alloc_says() {
    let module = checking(
        r#"(call $log (i32.add (local.get $pointer) (i32.const 84)) (i32.sub (local.get $length) (i32.const 84)))
           (if (i32.ne (i32.load16_u (local.get $pointer)) (i32.const 1)) (then (return (i32.const 1))))
           (if (i32.ne (i32.load8_u offset=2 (local.get $pointer)) (i32.const 1)) (then (return (i32.const 2))))
           (if (i64.ne (i64.load offset=4 (local.get $pointer)) (i64.const 7)) (then (return (i32.const 3))))
           (if (i32.ne (i32.load8_u offset=12 (local.get $pointer)) (i32.const 1)) (then (return (i32.const 4))))
           (if (i32.ne (i32.load8_u offset=75 (local.get $pointer)) (i32.const 2)) (then (return (i32.const 5))))
           (i32.add (i32.load offset=76 (local.get $pointer)) (i32.load offset=80 (local.get $pointer)))"#,
    );
    let outcome = check(&module);
    assert_eq!(refusal(&outcome).0, 6 + 7);
    assert_eq!(outcome.logs, ["paramspayload"]);
}

#[test]
fn rule_alloc_may_grow_the_memory() {
    let alloc = r#"(func (export "rule_alloc") (param i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))"#;
    let check_function = function(CallKind::Check, "(i32.load8_u offset=90 (local.get $pointer))");
    let outcome = check(&bare(&format!("{alloc} {check_function}")));
    assert_eq!(refusal(&outcome).0, u32::from(b'p'));
}

#[test]
fn bad_pointers_of_rule_alloc_are_a_fault() {
    for pointer in [-1, -84, i32::MIN, i32::MAX, 131_072, 131_072 - 96] {
        let alloc = format!(r#"(func (export "rule_alloc") (param i32) (result i32) (i32.const {pointer}))"#);
        let check_function = function(CallKind::Check, "i32.const 0");
        let outcome = check(&bare(&format!("{alloc} {check_function}")));
        assert_fault(&outcome, Fault::BadPointer, "in a memory of 131072 bytes");
    }
    let last =
        r#"(func (export "rule_alloc") (param i32) (result i32) (i32.sub (i32.const 131072) (local.get 0)))"#;
    let check_function = function(CallKind::Check, "i32.const 0");
    assert_accepted(&check(&bare(&format!("{last} {check_function}"))));
}

#[test]
fn rule_alloc_can_fail_like_any_call() {
    let cases = [("unreachable", Fault::Trap), ("(loop (br 0)) i32.const 0", Fault::OutOfGas)];
    for (body, fault) in cases {
        let alloc = format!(r#"(func (export "rule_alloc") (param i32) (result i32) {body})"#);
        let check_function = function(CallKind::Check, "i32.const 0");
        assert_fault(&check(&bare(&format!("{alloc} {check_function}"))), fault, "");
    }
}

#[test]
fn nothing_stays_between_calls() {
    let module = module(&format!(
        r#"(global $count (mut i32) (i32.const 0)) (table 4 8 funcref) (func $other) (elem declare func $other)
           (data (i32.const 200) "abc") {}"#,
        function(
            CallKind::Check,
            r#"(local $seen i32)
               (local.set $seen (i32.add (global.get $count) (i32.load (i32.const 100))))
               (local.set $seen (i32.add (local.get $seen) (i32.load (i32.const 8000))))
               (local.set $seen (i32.add (local.get $seen) (i32.load (i32.const 65532))))
               (local.set $seen (i32.add (local.get $seen) (i32.load (i32.const 69632))))
               (local.set $seen (i32.add (local.get $seen) (i32.load (i32.const 131068))))
               (local.set $seen (i32.add (local.get $seen) (i32.sub (i32.load8_u (i32.const 200)) (i32.const 97))))
               (local.set $seen (i32.add (local.get $seen) (i32.sub (memory.size) (i32.const 2))))
               (local.set $seen (i32.add (local.get $seen) (i32.sub (table.size) (i32.const 4))))
               (local.set $seen (i32.add (local.get $seen) (i32.eqz (ref.is_null (table.get (i32.const 1))))))
               (global.set $count (i32.const 1))
               (i32.store (i32.const 100) (i32.const 1))
               (i32.store (i32.const 8000) (i32.const 1))
               (i32.store (i32.const 65532) (i32.const 1))
               (i32.store (i32.const 69632) (i32.const 1))
               (i32.store (i32.const 131068) (i32.const 1))
               (i32.store (i32.const 200) (i32.const 5))
               (table.set (i32.const 1) (ref.func $other))
               (drop (memory.grow (i32.const 3)))
               (drop (table.grow (ref.null func) (i32.const 2)))
               (local.set $seen (i32.add (local.get $seen) (i32.load (i32.const 200000))))
               (i32.store (i32.const 200000) (i32.const 1))
               (if (local.get $seen) (then (return (i32.const 1))))
               (if (i32.load8_u (i32.add (local.get $pointer) (i32.const 90))) (then unreachable))
               (i32.const 0)"#
        )
    ));
    let rule = rule(&module);
    for round in 0..200_u32 {
        let payload = [u8::from(round % 3 == 0)];
        let outcome = rule.check(&call(&payload), &mut Surroundings::default());
        match outcome.verdict {
            Verdict::Accept => assert_ne!(round % 3, 0),
            Verdict::Reject { code, .. } => assert_eq!((code, round % 3), (Fault::Trap.code(), 0)),
            Verdict::Unable(why) => panic!("{why}"),
        }
    }
}

#[test]
fn kinds_that_a_rule_does_not_offer() {
    let module = checking("unreachable");
    for kind in [CallKind::Init, CallKind::Change] {
        let outcome =
            run(&module, &quorate_rules::abi::Call { kind, ..call(b"") }, &mut Surroundings::default());
        assert_accepted(&outcome);
        assert_eq!(outcome.gas_used, 0);
    }
    let query = quorate_rules::abi::Call { kind: CallKind::Query, ..call(b"") };
    assert_fault(&run(&module, &query, &mut Surroundings::default()), Fault::NotAllowed, "no rule_query");
}

#[test]
fn each_kind_has_its_function() {
    let text: String =
        CallKind::ALL.map(|kind| function(kind, &format!("i32.const {}", 10 + kind as i32))).concat();
    let module = module(&text);
    for kind in CallKind::ALL {
        let call = quorate_rules::abi::Call { kind, ..call(b"") };
        let outcome = run(&module, &call, &mut Surroundings::default());
        assert_eq!(refusal(&outcome).0, 10 + kind as u32);
    }
    assert!(rule(&module).exports().query);
}

#[test]
fn modules_are_compiled_once_and_known_by_their_hash() {
    let module = checking("i32.const 77");
    let rule = rule(&module);
    assert_eq!(rule.hash(), ModuleHash::of(&module));
    assert_eq!(engine().compiled(&rule.hash()).map(|rule| rule.hash()), Some(rule.hash()));
    assert_eq!(engine().compiled(&ModuleHash::new([0; 32])).map(|rule| rule.hash()), None);
}

#[test]
fn the_gate_speaks_first() {
    let error = engine().compile(b"no module").unwrap_err();
    assert!(matches!(error, CompileError::Gate(_)), "{error}");
    assert!(engine().compile(&vec![0; 600_000]).is_err());
}
