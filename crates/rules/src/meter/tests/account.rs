//! What calls take, counted by hand.

use wasmi::{TrapCode, Val};

use super::super::{DEPTH_EXPORT, GAS_EXPORT, meter};
use super::run::{Ended, Run, rule};
use crate::gate;
use crate::limits::DEPTH_LIMIT;

const GAS: i64 = 1_000_000;

/// Runs something that recurses as deep as it may: the interpreter takes native stack for it.
fn deeply(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 << 20).spawn(work).unwrap().join().unwrap();
}

fn run(text: &str) -> Run {
    let bytes = rule(text);
    let mut run = Run::new(&meter(&gate::inspect(&bytes).unwrap()).bytes, None).unwrap();
    assert_eq!(run.global(GAS_EXPORT), 0);
    assert_eq!(run.global(DEPTH_EXPORT), DEPTH_LIMIT);
    run.set_global(GAS_EXPORT, GAS);
    run
}

/// Gas of a call of `f` that returns.
fn gas(run: &mut Run, argument: i32) -> i64 {
    let before = run.global(GAS_EXPORT);
    assert!(matches!(run.call("f", &[Val::I32(argument)]), Ended::Returned(_)));
    assert_eq!(run.global(DEPTH_EXPORT), DEPTH_LIMIT);
    before - run.global(GAS_EXPORT)
}

/// A function `f` of one i32.
fn f(body: &str) -> String {
    format!("(func $f (export \"f\") (param i32) {body})")
}

/// Operators that cost this much together: an even number.
fn work(cost: usize) -> String {
    "(drop (i32.const 0)) ".repeat(cost / 2)
}

#[test]
fn each_operator_of_a_straight_line_is_paid_once() {
    assert_eq!(gas(&mut run(&f("")), 0), 0);
    assert_eq!(gas(&mut run(&f("(drop (i32.add (local.get 0) (i32.const 1)))")), 0), 4);
    assert_eq!(gas(&mut run(&f("(drop (i32.div_u (local.get 0) (i32.const 1)))")), 0), 15);
    assert_eq!(gas(&mut run(&f("(i64.store (i32.const 0) (i64.load (i32.const 8)))")), 0), 6);
    assert_eq!(gas(&mut run(&f("block nop nop end")), 0), 0);
}

#[test]
fn the_arm_that_is_taken_is_paid() {
    let text = f(&format!("(if (local.get 0) (then {}) (else {})) {}", work(30), work(50), work(10)));
    let mut run = run(&text);
    assert_eq!(gas(&mut run, 1), 2 + 30 + 10);
    assert_eq!(gas(&mut run, 0), 2 + 50 + 10);
}

#[test]
fn a_small_arm_is_always_paid() {
    let mut small = run(&f(&format!("(if (local.get 0) (then {}))", work(16))));
    assert_eq!((gas(&mut small, 1), gas(&mut small, 0)), (18, 18));
    let mut big = run(&f(&format!("(if (local.get 0) (then {}))", work(18))));
    assert_eq!((gas(&mut big, 1), gas(&mut big, 0)), (20, 2));
}

#[test]
fn what_a_branch_skips_is_not_paid() {
    let text = f(&format!("block (br_if 0 (local.get 0)) {} end {}", work(40), work(20)));
    let mut run = run(&text);
    assert_eq!((gas(&mut run, 1), gas(&mut run, 0)), (22, 62));
}

#[test]
fn what_follows_a_way_out_is_paid_by_those_who_reach_it() {
    let text = f(&format!("(if (local.get 0) (then (return))) {}", work(40)));
    let mut run = run(&text);
    // The arm, a return, is small and always paid.
    assert_eq!((gas(&mut run, 1), gas(&mut run, 0)), (3, 43));
}

#[test]
fn each_arm_of_a_switch_pays_for_itself() {
    let text = f(&format!(
        "block block block (br_table 0 1 2 (local.get 0)) end {} br 1 end {} end {}",
        work(20),
        work(40),
        work(60)
    ));
    let mut run = run(&text);
    let head = 1 + 4;
    assert_eq!(gas(&mut run, 0), head + 20 + 1 + 60);
    assert_eq!(gas(&mut run, 1), head + 40 + 60);
    assert_eq!(gas(&mut run, 2), head + 60);
}

#[test]
fn a_loop_pays_each_time() {
    let body = "(local.tee 0 (i32.sub (local.get 0) (i32.const 1)))";
    let mut run = run(&f(&format!("(loop (br_if 0 {body})) {}", work(10))));
    assert_eq!((gas(&mut run, 1), gas(&mut run, 10)), (5 + 10, 50 + 10));
}

#[test]
fn the_way_to_a_trap_is_free() {
    let panic = format!("{} (unreachable)", work(500));
    let mut run = run(&f(&format!("(if (local.get 0) (then {panic}))")));
    assert_eq!(gas(&mut run, 0), 2);
    assert_eq!(run.call("f", &[Val::I32(1)]), Ended::Trapped(TrapCode::UnreachableCodeReached));
    assert_eq!(GAS - run.global(GAS_EXPORT), 4);
}

#[test]
fn callers_pay_for_quiet_functions() {
    let callee = "(param i32) (result i32) (i32.add (local.get 0) (i32.const 1))";
    let caller = f("(drop (call $g (local.get 0)))");
    let quiet = gas(&mut run(&format!("(func $g {callee}) {caller}")), 0);
    let full = gas(&mut run(&format!("(func $g (export \"g\") {callee}) {caller}")), 0);
    assert_eq!((quiet, full), (1 + 6 + 1 + 3, 1 + 6 + 1 + 3));
}

#[test]
fn a_quiet_function_pays_for_its_own_branches() {
    let callee = format!("(param i32) (if (local.get 0) (then {}))", work(40));
    let mut run = run(&format!("(func $g {callee}) {}", f("(call $g (local.get 0))")));
    assert_eq!((gas(&mut run, 1), gas(&mut run, 0)), (1 + 6 + 2 + 40, 1 + 6 + 2));
}

#[test]
fn bulk_operators_pay_for_their_length() {
    for (operator, each) in [
        ("memory.fill (i32.const 0) (i32.const 7) (local.get 0)", [0, 0, 1, 100]),
        ("memory.copy (i32.const 0) (i32.const 7) (local.get 0)", [0, 0, 1, 100]),
    ] {
        let mut run = run(&f(&format!("({operator})")));
        for (length, cost) in [0, 7, 8, 800].into_iter().zip(each) {
            assert_eq!(gas(&mut run, length), 3 + 32 + cost, "{operator} {length}");
        }
    }
    let mut grow = run(&f("(drop (memory.grow (local.get 0)))"));
    assert_eq!((gas(&mut grow, 0), gas(&mut grow, 2)), (258, 258 + 2 * 8192));
    let table = "(table 10 funcref)";
    let mut fill = run(&format!("{table} {}", f("(table.fill (i32.const 0) (ref.null func) (local.get 0))")));
    assert_eq!(gas(&mut fill, 10), 3 + 32 + 80);
    let mut grow = run(&format!("{table} {}", f("(drop (table.grow (ref.null func) (local.get 0)))")));
    assert_eq!(gas(&mut grow, 10), 3 + 256 + 160);
}

#[test]
fn lengths_are_unsigned_and_cannot_overflow_the_account() {
    for text in [
        f("(drop (memory.grow (local.get 0)))"),
        format!("(table 0 funcref) {}", f("(drop (table.grow (ref.null func) (local.get 0)))")),
    ] {
        let mut run = run(&text);
        assert!(matches!(run.call("f", &[Val::I32(-1)]), Ended::Trapped(TrapCode::UnreachableCodeReached)));
        assert!(run.global(GAS_EXPORT) < 0 && run.global(DEPTH_EXPORT) > 0);
    }
}

#[test]
fn an_endless_loop_ends() {
    for body in [
        "(loop (br 0))",
        "(loop (loop (br 1)))",
        "(loop (br_if 0 (i32.const 1)))",
        "(loop (br_table 0 0 (i32.const 5)))",
        "(i32.const 1) (loop (param i32) (br_if 1 (i32.eqz)) (i32.const 1) (br 0))",
        "(loop (drop (memory.grow (i32.const 0))) (br 0))",
        "(loop (block (loop (br_if 1 (i32.const 1)) (br 0))) (br 0))",
    ] {
        let mut run = run(&f(body));
        let ended = run.call("f", &[Val::I32(0)]);
        assert_eq!(ended, Ended::Trapped(TrapCode::UnreachableCodeReached), "{body}");
        let left = run.global(GAS_EXPORT);
        assert!((-300..0).contains(&left), "{body} leaves {left}");
        assert!(run.global(DEPTH_EXPORT) >= 0);
    }
}

#[test]
fn a_call_may_return_in_debt() {
    // The arm is too big to be paid by others and too small to look at what is left.
    let mut run = run(&f(&format!("(if (local.get 0) (then {}))", work(40))));
    run.set_global(GAS_EXPORT, 10);
    assert_eq!(run.call("f", &[Val::I32(1)]), Ended::Returned(vec![]));
    assert_eq!(run.global(GAS_EXPORT), 10 - 42);
}

#[test]
fn a_big_arm_looks_at_what_is_left() {
    let mut run = run(&f(&format!("(if (local.get 0) (then {}))", work(64))));
    run.set_global(GAS_EXPORT, 10);
    assert_eq!(run.call("f", &[Val::I32(1)]), Ended::Trapped(TrapCode::UnreachableCodeReached));
}

#[test]
fn a_call_takes_what_its_function_has() {
    deeply(|| {
        // 4, no locals, 2 operands, 6 operators.
        let count = "(global.set $n (i32.add (global.get $n) (i32.const 1)))";
        let text = format!(
            "(global $n (export \"n\") (mut i32) (i32.const 0)) (func $f (export \"f\") {count} call $f)"
        );
        let mut run = run(&text);
        assert_eq!(run.call("f", &[]), Ended::Trapped(TrapCode::UnreachableCodeReached));
        assert!(run.global(GAS_EXPORT) >= 0 && run.global(DEPTH_EXPORT) < 0);
        assert_eq!(run.state().2, [("n".to_owned(), format!("i32 {}", DEPTH_LIMIT / 12))]);
    });
}

#[test]
fn locals_and_operands_count() {
    deeply(|| {
        let frames = |function: &str| {
            let text = format!("(global $n (export \"n\") (mut i32) (i32.const 0)) {function}");
            let mut run = run(&text);
            assert_eq!(run.call("f", &[]), Ended::Trapped(TrapCode::UnreachableCodeReached));
            run.state().2[0].1.trim_start_matches("i32 ").parse::<i64>().unwrap()
        };
        let count = "(global.set $n (i32.add (global.get $n) (i32.const 1)))";
        let locals = format!("(func $f (export \"f\") (local i32 i64 i64) {count} call $f)");
        assert_eq!(frames(&locals), DEPTH_LIMIT / 15);
        let operands = format!(
            "(func $f (export \"f\") {count} {} {} call $f)",
            "i32.const 0 ".repeat(9),
            "drop ".repeat(9)
        );
        assert_eq!(frames(&operands), DEPTH_LIMIT / (4 + 9 + 6 + 18));
        // A quiet function takes nothing for good, but there must be room for it: 4, 1 local, 1 operand, 2 operators.
        let quiet = format!(
            "(func $q (param i32) (result i32) local.get 0) (func $f (export \"f\") {count} (drop (call $q (i32.const 1))) call $f)"
        );
        assert_eq!(frames(&quiet), (DEPTH_LIMIT - 8) / 15);
        // A leaf that is not quiet takes its own while it runs.
        let leaf =
            format!("(func $g (export \"g\") (loop)) (func $f (export \"f\") {count} call $g call $f)");
        assert_eq!(frames(&leaf), DEPTH_LIMIT / 13);
    });
}

#[test]
fn every_way_out_gives_the_depth_back() {
    let leaf = "(func $g (export \"g\") (param i32) (result i32) local.get 0)";
    for body in [
        "(call $g (local.get 0)) drop",
        "(call $g (local.get 0)) drop return",
        "(drop (call $g (local.get 0))) (br 0)",
        "(block (block (br_if 2 (call $g (i32.const 1)))))",
        "(block (block (br_table 0 1 2 (call $g (local.get 0)))))",
        "(loop (if (call $g (i32.const 1)) (then (return))) (br 0))",
        "(if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))",
    ] {
        let mut run = run(&format!("{leaf} {}", f(body)));
        for argument in 0..4 {
            gas(&mut run, argument);
        }
    }
}

#[test]
fn gas_counts_before_depth() {
    let mut run = run("(func $f (export \"f\") call $f)");
    run.set_global(GAS_EXPORT, 100);
    assert_eq!(run.call("f", &[]), Ended::Trapped(TrapCode::UnreachableCodeReached));
    assert!(run.global(GAS_EXPORT) < 0);
}
