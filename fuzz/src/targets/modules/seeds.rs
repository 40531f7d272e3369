//! Inputs to begin from.

use quorate_rules::builtin;

use crate::mutate::{MAX_INPUT_BYTES, Random};

const PRELUDE: &str = r#"
    (import "rule_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i32)))
    (import "rule_v1" "fail" (func $fail (param i32 i32)))
    (memory (export "memory") 1 4)
    (func (export "rule_abi_v1"))
    (func (export "requires_state"))
    (func (export "rule_alloc") (param i32) (result i32) (i32.const 1024))"#;

const BODIES: [&str; 6] = [
    // Branches of all kinds, and a loop.
    r#"(func (export "rule_check") (param $p i32) (param $n i32) (result i32) (local $sum i32)
        (block $out (loop $more
            (br_if $out (i32.eqz (local.get $n)))
            (if (i32.and (local.get $n) (i32.const 1)) (then
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $p)))))
                (else (local.set $sum (i32.rotl (local.get $sum) (i32.const 3)))))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $more)))
        (block $2 (block $1 (block $0 (br_table $0 $1 $2 (local.get $sum))) (return (i32.const 0)))
            (return (i32.const 5)))
        (i32.const 7))"#,
    // Calls, recursion, a table.
    r#"(type $t (func (param i32) (result i32))) (table (export "table") 4 20 funcref) (elem (i32.const 1) $f $g)
    (func $f (type $t) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))))
    (func $g (type $t) (i32.mul (local.get 0) (i32.const 3)))
    (func $grow (drop (table.grow (ref.null func) (i32.const 5))) (table.fill (i32.const 4) (ref.func $g) (i32.const 2)))
    (func (export "rule_check") (param i32 i32) (result i32) (call $grow)
        (call_indirect (type $t) (local.get 1) (i32.const 1))
        (call_indirect (type $t) (local.get 1) (i32.const 2))
        (i32.sub))"#,
    // Bulk memory and growth.
    r#"(data $d "some bytes to copy")
    (func (export "rule_check") (param i32 i32) (result i32)
        (memory.init $d (i32.const 64) (i32.const 0) (i32.const 10)) (data.drop $d)
        (memory.fill (i32.const 2000) (i32.const 255) (i32.const 3000))
        (memory.copy (i32.const 1) (i32.const 1999) (i32.const 600))
        (drop (memory.grow (i32.const 2))) (drop (memory.grow (i32.const 9)))
        (i32.load8_u (i32.const 601)))"#,
    // Floats, globals, several results.
    r#"(global $g (export "g") (mut f64) (f64.const 1.5)) (global $h (export "h") (mut i64) (i64.const 9))
    (func $pair (param f64) (result f64 i64)
        (f64.sqrt (f64.div (local.get 0) (f64.const 0))) (i64.trunc_sat_f64_s (local.get 0)))
    (func (export "rule_check") (param i32 i32) (result i32)
        (call $pair (f64.convert_i32_s (local.get 0))) (global.set $h) (global.set $g)
        (i32.wrap_i64 (i64.rem_s (global.get $h) (i64.extend_i32_s (local.get 1)))))"#,
    // Host calls, and the optional exports.
    r#"(func (export "rule_init") (param i32 i32) (result i32) (i32.const 0))
    (func (export "rule_change") (param i32 i32) (result i32) (unreachable))
    (func (export "rule_query") (param i32 i32) (result i32) (loop (br 0)) (i32.const 0))
    (func (export "rule_check") (param i32 i32) (result i32)
        (if (i32.lt_s (call $get (i32.const 0) (i32.const 3) (i32.const 8) (i32.const 8)) (i32.const 0))
            (then (call $fail (i32.const 0) (i32.const 12)) (return (i32.const 4))))
        (i32.const 0))"#,
    // Without an end, in two ways.
    r#"(func $deep (param i32) (call $deep (i32.add (local.get 0) (i32.const 1))))
    (func (export "deep") (call $deep (i32.const 0)))
    (func (export "rule_check") (param i32 i32) (result i32)
        (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000)) (br $l)) (i32.const 0))"#,
];

/// Small rules, whole.
pub(super) fn small() -> Vec<Vec<u8>> {
    let module = |body| wat::parse_str(format!("(module {PRELUDE} {body})")).expect("the text is a module");
    BODIES.map(module).to_vec()
}

/// Changes to the rules that come with the program: none, one, and several.
pub(super) fn damages() -> Vec<Vec<u8>> {
    let mut random = Random::new(7);
    let mut seeds = Vec::new();
    for which in 0..builtin::ALL.len() as u8 {
        for changes in [0, 1, 1, 2, 5] {
            let bytes = (0..5 * changes).map(|_| random.next() as u8);
            seeds.push([which].into_iter().chain(bytes).collect());
        }
    }
    seeds
}

/// What modules are made of: enough for many functions.
pub(super) fn chance() -> Vec<Vec<u8>> {
    let mut random = Random::new(8);
    (0..12).map(|_| (0..MAX_INPUT_BYTES).map(|_| random.next() as u8).collect()).collect()
}
