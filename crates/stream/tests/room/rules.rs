//! Small rules, as their authors would compile them.

use bytes::Bytes;

/// What all of them have: a place for the input, and where the payload begins in it.
const COMMON: &str = r#"
    (memory (export "memory") 4)
    (func (export "rule_abi_v1"))
    (func (export "rule_alloc") (param i32) (result i32) (i32.const 65536))
    (func $params (param $input i32) (result i32) (i32.add (local.get $input) (i32.const 84)))
    (func $payload (param $input i32) (result i32)
        (i32.add (call $params (local.get $input)) (i32.load offset=76 (local.get $input))))
    (func $index (param $input i32) (result i64) (i64.load offset=4 (local.get $input)))
"#;

const STATE: &str = r#"
    (import "rule_v1" "state_get" (func $state_get (param i32 i32 i32 i32) (result i32)))
    (import "rule_v1" "state_set" (func $state_set (param i32 i32 i32 i32)))
    (import "rule_v1" "state_del" (func $state_del (param i32 i32)))
    (func (export "requires_state"))
"#;

fn module(imports: &str, functions: &str) -> Bytes {
    let text = format!("(module {imports} {COMMON} {functions})");
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}")).into()
}

/// Accepts everything; no two seeds give the same module.
pub(crate) fn accepting(seed: u32) -> Bytes {
    let check = format!(
        r#"(func (export "rule_check") (param i32 i32) (result i32)
            (drop (i32.const {seed})) (i32.const 0))"#
    );
    module("", &check)
}

/// Takes more than one chunk.
pub(crate) fn large() -> Bytes {
    let data: String = (0..100_000).map(|at: u64| char::from(b'a' + (at * at % 26) as u8)).collect();
    let functions = format!(
        r#"(data (i32.const 0) "{data}")
        (func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))"#
    );
    module("", &functions)
}

/// Transfers: the payload is who gets it, 32 bytes, how much, u64, and anything. Parameters are who begins with how
/// much, in the same form. Code 1: not enough. Code 2: no transfer.
pub(crate) fn ledger() -> Bytes {
    module(
        &format!(r#"(import "rule_v1" "fail" (func $fail (param i32 i32))) {STATE}"#),
        r#"
    (data (i32.const 16) "not enough")
    (func $balance (param $key i32) (result i64)
        (i64.store (i32.const 8) (i64.const 0))
        (drop (call $state_get (local.get $key) (i32.const 32) (i32.const 8) (i32.const 8)))
        (i64.load (i32.const 8)))
    (func $set (param $key i32) (param $amount i64)
        (i64.store (i32.const 8) (local.get $amount))
        (if (i64.eqz (local.get $amount))
            (then (call $state_del (local.get $key) (i32.const 32)))
            (else (call $state_set (local.get $key) (i32.const 32) (i32.const 8) (i32.const 8)))))
    (func (export "rule_init") (param $input i32) (param i32) (result i32) (local $at i32)
        (if (i32.load8_u offset=3 (local.get $input)) (then (return (i32.const 0))))
        (local.set $at (call $params (local.get $input)))
        (block $done (loop $next
            (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const 40)) (call $payload (local.get $input))))
            (call $set (local.get $at) (i64.load offset=32 (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 40)))
            (br $next)))
        (i32.const 0))
    (func (export "rule_check") (param $input i32) (param i32) (result i32)
        (local $from i32) (local $to i32) (local $amount i64)
        (if (i32.lt_u (i32.load offset=80 (local.get $input)) (i32.const 40)) (then (return (i32.const 2))))
        (local.set $from (i32.add (local.get $input) (i32.const 44)))
        (local.set $to (call $payload (local.get $input)))
        (local.set $amount (i64.load offset=32 (local.get $to)))
        (if (i64.lt_u (call $balance (local.get $from)) (local.get $amount))
            (then (call $fail (i32.const 16) (i32.const 10)) (return (i32.const 1))))
        (call $set (local.get $from) (i64.sub (call $balance (local.get $from)) (local.get $amount)))
        (call $set (local.get $to) (i64.add (call $balance (local.get $to)) (local.get $amount)))
        (i32.const 0))
    "#,
    )
}

/// Adds `step` to the number at key `n` with each action, up to the first byte of the parameters: then code 5.
/// A fresh start sets it to 0, a kept state stays.
pub(crate) fn counter(step: u8) -> Bytes {
    let functions = format!(
        r#"
    (data (i32.const 0) "n")
    (func (export "rule_init") (param $input i32) (param i32) (result i32)
        (i32.store8 (i32.const 8) (i32.const 0))
        (if (i32.eqz (i32.load8_u offset=3 (local.get $input)))
            (then (call $state_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1))))
        (i32.const 0))
    (func (export "rule_check") (param $input i32) (param i32) (result i32)
        (drop (call $state_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
        (if (i32.ge_u (i32.load8_u (i32.const 8)) (i32.load8_u (call $params (local.get $input))))
            (then (return (i32.const 5))))
        (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const {step})))
        (call $state_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1))
        (i32.const 0))
    "#
    );
    module(STATE, &functions)
}

/// Refuses payloads that begin with the first byte of the parameters: code 3. Traps at 0xff, runs for ever at 0xfe.
pub(crate) fn picky() -> Bytes {
    module(
        "",
        r#"
    (func (export "rule_check") (param $input i32) (param i32) (result i32) (local $first i32)
        (local.set $first (i32.load8_u (call $payload (local.get $input))))
        (if (i32.eq (local.get $first) (i32.const 0xff)) (then (unreachable)))
        (if (i32.eq (local.get $first) (i32.const 0xfe)) (then (loop $for_ever (br $for_ever))))
        (if (i32.eq (local.get $first) (i32.load8_u (call $params (local.get $input))))
            (then (return (i32.const 3))))
        (i32.const 0))
    "#,
    )
}

/// Refuses an action when the block before has a length that 5 divides, code 4, and reads the third block as well.
pub(crate) fn historian() -> Bytes {
    module(
        r#"(import "rule_v1" "get_block" (func $get_block (param i64 i32 i32) (result i32)))
        (func (export "requires_history"))"#,
        r#"
    (func (export "rule_check") (param $input i32) (param i32) (result i32)
        (if (i32.lt_s (call $get_block (i64.const 2) (i32.const 0) (i32.const 16)) (i32.const 0))
            (then (return (i32.const 6))))
        (if (i32.ge_s (call $get_block (call $index (local.get $input)) (i32.const 0) (i32.const 16)) (i32.const 0))
            (then (return (i32.const 7))))
        (if (i32.eqz (i32.rem_u
                (call $get_block (i64.sub (call $index (local.get $input)) (i64.const 1))
                    (i32.const 0) (i32.const 16))
                (i32.const 5)))
            (then (return (i32.const 4))))
        (i32.const 0))
    "#,
    )
}

/// Objects to changes whose operation has its bit set in the first byte of the parameters, with code 40 + operation,
/// and 20 more when the change is about itself. With parameters that begin with 0xff it traps.
pub(crate) fn objector() -> Bytes {
    module(
        "",
        r#"
    (func (export "rule_change") (param $input i32) (param i32) (result i32)
        (local $payload i32) (local $operation i32) (local $mask i32)
        (local.set $payload (call $payload (local.get $input)))
        (local.set $operation (i32.load8_u (local.get $payload)))
        (local.set $mask (i32.load8_u (call $params (local.get $input))))
        (if (i32.eq (local.get $mask) (i32.const 0xff)) (then (unreachable)))
        (if (i32.eqz (i32.and (local.get $mask) (i32.shl (i32.const 1) (local.get $operation))))
            (then (return (i32.const 0))))
        (i32.add
            (i32.add (i32.const 40) (local.get $operation))
            (i32.mul (i32.const 20) (i32.load8_u offset=1 (local.get $payload)))))
    (func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))
    "#,
    )
}

/// `rule_init` returns the first byte of the parameters, or the second where the state is kept; actions set the
/// state that makes later inits on a kept state return 9.
pub(crate) fn beginner() -> Bytes {
    module(
        STATE,
        r#"
    (func (export "rule_init") (param $input i32) (param i32) (result i32)
        (if (i32.ge_s (call $state_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)) (i32.const 0))
            (then (return (i32.const 9))))
        (i32.load8_u (i32.add (call $params (local.get $input)) (i32.load8_u offset=3 (local.get $input)))))
    (func (export "rule_check") (param i32 i32) (result i32)
        (call $state_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1))
        (i32.const 0))
    "#,
    )
}

/// Answers questions with themselves.
pub(crate) fn echo() -> Bytes {
    module(
        r#"(import "rule_v1" "log" (func $log (param i32 i32)))"#,
        r#"
    (func (export "rule_query") (param $input i32) (param i32) (result i32)
        (call $log (call $payload (local.get $input)) (i32.load offset=80 (local.get $input)))
        (i32.const 0))
    (func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))
    "#,
    )
}

/// WebAssembly, and no rule.
pub(crate) fn broken() -> Bytes {
    wat::parse_str("(module (func (export \"rule_check\") (param i32 i32) (result i32) (i32.const 0)))")
        .unwrap()
        .into()
}
