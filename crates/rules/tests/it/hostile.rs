//! Rules that mean harm: each has its code and its reason, and leaves nothing behind.

use std::time::Instant;

use quorate_rules::abi::CallKind;
use quorate_rules::engine::CompileError;
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::verdict::{Fault, Verdict};

use crate::fixture::{
    assert_accepted, assert_fault, call, check, checking, engine, function, module, refusal, rule, run,
};
use crate::support::Surroundings;

#[test]
fn endless_loops_run_out_of_gas() {
    let bodies = [
        "(loop (br 0)) i32.const 0",
        "(loop (drop (i32.div_u (i32.const 1) (i32.const 1))) (br 0)) i32.const 0",
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 100000)) (br 0)) i32.const 0",
        "(loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 100000)) (br 0)) i32.const 0",
        "(loop (drop (memory.grow (i32.const 0))) (br 0)) i32.const 0",
        "(loop (drop (memory.grow (i32.const -1))) (br 0)) i32.const 0",
        "(loop (drop (call $state_get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))) (br 0)) i32.const 0",
        "(loop (drop (call $get_block (i64.const -1) (i32.const 0) (i32.const 1))) (br 0)) i32.const 0",
        "(loop (call $log (i32.const 0) (i32.const 10000)) (br 0)) i32.const 0",
        "(loop (call $fail (i32.const 0) (i32.const 131072)) (br 0)) i32.const 0",
        "(loop (call $sha256 (i32.const 0) (i32.const 131072) (i32.const 0)) (br 0)) i32.const 0",
        "(loop (call $blake2b_256 (i32.const 0) (i32.const 131072) (i32.const 0)) (br 0)) i32.const 0",
        "(loop (drop (call $ed25519_verify (i32.const 0) (i32.const 0) (i32.const 131072) (i32.const 0))) (br 0))
         i32.const 0",
    ];
    for body in bodies {
        let started = Instant::now();
        let outcome = check(&checking(body));
        assert_fault(&outcome, Fault::OutOfGas, "out of gas");
        assert_eq!(outcome.gas_used, GAS_LIMIT_CHECK as u64);
        assert!(started.elapsed().as_secs() < 30, "{body}");
    }
}

#[test]
fn what_is_logged_without_end_is_not_kept() {
    let outcome = check(&checking("(loop (call $log (i32.const 0) (i32.const 1)) (br 0)) i32.const 0"));
    assert_eq!(outcome.logs.len(), 1024);
    let outcome = check(&checking("(loop (call $log (i32.const 0) (i32.const 131072)) (br 0)) i32.const 0"));
    assert!(outcome.logs.iter().map(String::len).sum::<usize>() <= 256 * 1024);
}

#[test]
fn deep_recursion_ends_before_the_native_stack() {
    let functions = [
        "(func $deep (call $deep))".to_owned(),
        "(func $deep (call $other)) (func $other (call $deep))".to_owned(),
        "(table 1 funcref) (elem (i32.const 0) $deep) (func $deep (call_indirect (i32.const 0)))".to_owned(),
        format!("(func $deep (local {}) (call $deep))", "i64 ".repeat(1000)),
        format!("(func $deep {} (call $deep) {})", "i64.const 1 ".repeat(900), "drop ".repeat(900)),
        format!(
            "(func $inner (param {0}) {1} (call $inner)) (func $deep {1} (call $inner))",
            "i64 ".repeat(100),
            "(i64.const 1)".repeat(100)
        ),
        format!(
            "(func $deep (local $x f64) (call $deep) {} (drop (local.get $x)))",
            "(local.set $x (f64.add (local.get $x) (f64.mul (local.get $x) (local.get $x))))".repeat(2000)
        ),
    ];
    for text in functions {
        let body = function(CallKind::Check, "(call $deep) (i32.const 0)");
        let module = module(&format!("{text} {body}"));
        let outcome = check(&module);
        assert_fault(&outcome, Fault::StackDepth, "stack too deep");
        // The engine's stack is its own: a small one of the caller's makes no difference, and no crash.
        let rule = rule(&module);
        let small = std::thread::Builder::new().stack_size(128 * 1024);
        let again = small.spawn(move || rule.check(&call(b"payload"), &mut Surroundings::default())).unwrap();
        assert_eq!(again.join().unwrap(), outcome);
    }
}

#[test]
fn memory_bombs_stay_within_their_pages() {
    let body = r#"(local $pages i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.fill (i32.const 0) (i32.const 7) (i32.mul (memory.size) (i32.const 65536)))
        (i32.add (memory.size) (i32.load8_u (i32.const 16777215)))"#;
    let bomb = checking(body);
    for _ in 0..20 {
        assert_eq!(refusal(&check(&bomb)).0, 256 + 7);
    }
    let clean = checking("(i32.add (memory.size) (i32.load8_u (i32.const 100000)))");
    assert_eq!(refusal(&check(&clean)).0, 2);
    let at_once = checking("(i32.eq (memory.grow (i32.const 255)) (i32.const -1))");
    assert_eq!(refusal(&check(&at_once)).0, 1, "two pages and 255 are more than 256");
}

#[test]
fn tables_stay_within_their_elements() {
    let body = r#"(drop (table.grow (ref.null func) (i32.const 4086)))
        (if (i32.ne (table.grow (ref.null func) (i32.const 1)) (i32.const -1)) (then (return (i32.const 1))))
        (table.size)"#;
    let outcome = check(&module(&format!("(table 10 funcref) {}", function(CallKind::Check, body))));
    assert_eq!(refusal(&outcome).0, 4096);
}

/// Each host call with a range that is not in the memory of 131072 bytes, for each range that it takes.
#[test]
fn ranges_outside_the_memory_are_a_fault_in_every_host_call() {
    let calls = [
        ("(drop (call $get_block (i64.const 0) {P} {L}))", true),
        ("(drop (call $state_get {P} {L} (i32.const 0) (i32.const 1)))", true),
        ("(drop (call $state_get (i32.const 0) (i32.const 1) {P} {L}))", true),
        ("(call $state_set {P} {L} (i32.const 0) (i32.const 1))", true),
        ("(call $state_set (i32.const 0) (i32.const 1) {P} {L})", true),
        ("(call $state_del {P} {L})", true),
        ("(call $fail {P} {L})", true),
        ("(call $log {P} {L})", true),
        ("(call $blake2b_256 {P} {L} (i32.const 0))", true),
        ("(call $blake2b_256 (i32.const 0) (i32.const 1) {P})", false),
        ("(call $sha256 {P} {L} (i32.const 0))", true),
        ("(call $sha256 (i32.const 0) (i32.const 1) {P})", false),
        ("(drop (call $ed25519_verify {P} (i32.const 0) (i32.const 1) (i32.const 0)))", false),
        ("(drop (call $ed25519_verify (i32.const 0) {P} {L} (i32.const 0)))", true),
        ("(drop (call $ed25519_verify (i32.const 0) (i32.const 0) (i32.const 1) {P}))", false),
    ];
    let ranges = [
        (131_071, 2),
        (131_072, 1),
        (131_073, 0),
        (0, 131_073),
        (0, -1),
        (1, i32::MAX),
        (i32::MAX, i32::MAX),
        (i32::MIN, 1),
        (-1, 1),
        (-1, -1),
        (-1, 0),
    ];
    for (text, takes_length) in calls {
        for (pointer, length) in ranges {
            if !takes_length && (0..131_040).contains(&pointer) {
                continue;
            }
            let set = |value: i32| format!("(i32.const {value})");
            let body = text.replace("{P}", &set(pointer)).replace("{L}", &set(length));
            let outcome = check(&checking(&format!("{body} (i32.const 0)")));
            assert_fault(&outcome, Fault::OutOfBounds, "in a memory of 131072 bytes");
        }
    }
}

#[test]
fn memory_that_has_grown_is_in_bounds_and_none_beyond() {
    let body = r#"(drop (memory.grow (i32.const 1)))
        (call $sha256 (i32.const 131072) (i32.const 65536) (i32.const 196576))
        (if (i32.ne (i32.load8_u (i32.const 196576)) (i32.const 0xde)) (then (return (i32.const 1))))
        (call $sha256 (i32.const 131072) (i32.const 65537) (i32.const 0))
        (i32.const 0)"#;
    assert_fault(&check(&checking(body)), Fault::OutOfBounds, "in a memory of 196608 bytes");
}

#[test]
fn a_refusal_keeps_nothing_of_what_was_written() {
    let body = "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))";
    for end in ["i32.const 1", "i32.const -1", "unreachable", "(loop (br 0)) i32.const 0"] {
        let mut around = Surroundings::default();
        let outcome = run(&checking(&format!("{body} {end}")), &call(b""), &mut around);
        refusal(&outcome);
        around.apply(&outcome);
        assert!(around.state.is_empty());
    }
}

/// What a compiler can be made to do within the gate's bounds takes seconds at most, and what results runs.
#[test]
fn compile_bombs_go_off_within_bounds() {
    let small = "(func (drop (i32.div_u (i32.const 1) (i32.const 1))))".repeat(4000);
    let branches = format!("(func {} {})", "(block ".repeat(1000), ")".repeat(1000));
    let wide = format!(
        "(func (local {}) {})",
        "i64 ".repeat(20),
        "(local.set 0 (i64.add (local.get 1) (local.get 2)))".repeat(6000)
    );
    let wide = wide.repeat(8);
    let targets = format!(
        "(func (param i32) {} (br_table {} (local.get 0)) {})",
        "(block ".repeat(100),
        (0..15_000).map(|target| format!("{} ", target % 100)).collect::<String>(),
        ")".repeat(100)
    );
    let check_function = function(CallKind::Check, "i32.const 0");
    for text in [small, branches, wide, targets] {
        let started = Instant::now();
        match engine().compile(&module(&format!("{check_function} {text}"))) {
            Ok(rule) => {
                let outcome = rule.check(&call(b""), &mut Surroundings::default());
                assert_eq!(outcome.verdict, Verdict::Accept);
            }
            Err(error) => assert!(matches!(error, CompileError::Gate(_)), "{error}"),
        }
        assert!(started.elapsed().as_secs() < 60);
    }
    assert_accepted(&check(&checking("i32.const 0")));
}
