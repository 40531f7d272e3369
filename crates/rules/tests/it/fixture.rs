//! Rules written by hand, and calls of them.

use std::sync::LazyLock;

use quorate_rules::abi::{Call, CallKind};
use quorate_rules::engine::{Engine, EngineConfig, Rule};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::verdict::{Fault, Outcome, Verdict};
use quorate_types::{Hash, PublicKey};

use crate::support::{Surroundings, assert_same, assert_same_at_hand, second_opinion};

/// Everything that can be imported, the markers, two pages of memory, and an input at 65536.
const PRELUDE: &str = r#"
    (import "rule_v1" "get_block" (func $get_block (param i64 i32 i32) (result i32)))
    (import "rule_v1" "state_get" (func $state_get (param i32 i32 i32 i32) (result i32)))
    (import "rule_v1" "state_set" (func $state_set (param i32 i32 i32 i32)))
    (import "rule_v1" "state_del" (func $state_del (param i32 i32)))
    (import "rule_v1" "fail" (func $fail (param i32 i32)))
    (import "rule_v1" "log" (func $log (param i32 i32)))
    (import "rule_v1" "blake2b_256" (func $blake2b_256 (param i32 i32 i32)))
    (import "rule_v1" "sha256" (func $sha256 (param i32 i32 i32)))
    (import "rule_v1" "ed25519_verify" (func $ed25519_verify (param i32 i32 i32 i32) (result i32)))
    (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    (memory (export "memory") 2)
    (func (export "rule_abi_v1"))
    (func (export "requires_state"))
    (func (export "requires_history"))
"#;

/// Index of the first function that is a rule's own, after imports and markers.
pub(crate) const FIRST_FUNCTION: u32 = 13;

const ALLOC: &str = r#"(func (export "rule_alloc") (param i32) (result i32) (i32.const 65536))"#;

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(EngineConfig { instances: 16, ..EngineConfig::default() }).unwrap());

pub(crate) fn engine() -> &'static Engine {
    &ENGINE
}

/// Makes a module with everything but `rule_alloc` and the functions that are called.
pub(crate) fn bare(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PRELUDE} {text})")).unwrap()
}

/// Makes a module of functions, one of which is `rule_check`.
pub(crate) fn module(text: &str) -> Vec<u8> {
    bare(&format!("{ALLOC} {text}"))
}

/// Makes a module whose `rule_check` has a body, which may use `$pointer` and `$length`.
pub(crate) fn checking(body: &str) -> Vec<u8> {
    module(&function(CallKind::Check, body))
}

/// Makes an exported function for a kind of call.
pub(crate) fn function(kind: CallKind, body: &str) -> String {
    let name = kind.export();
    format!(r#"(func (export "{name}") (param $pointer i32) (param $length i32) (result i32) {body})"#)
}

pub(crate) fn rule(module: &[u8]) -> Rule {
    ENGINE.compile(module).unwrap()
}

pub(crate) fn call(payload: &[u8]) -> Call<'_> {
    Call {
        kind: CallKind::Check,
        flags: 0,
        index: 7,
        previous: Hash::new([1; 32]),
        author: PublicKey::new([2; 32]),
        params: b"params",
        payload,
        gas: u64::try_from(GAS_LIMIT_CHECK).unwrap(),
    }
}

/// Calls a module in both engines, and with its state at hand, which must agree.
pub(crate) fn run(module: &[u8], call: &Call<'_>, around: &mut Surroundings) -> Outcome {
    let mut again = around.clone();
    let rule = rule(module);
    let outcome = rule.check(call, around);
    assert_same_at_hand(&rule, call, &again, &outcome);
    let second = second_opinion(module, call, &mut again);
    assert_same(&outcome, &second, "the engines disagree");
    assert_eq!(*around, again, "the engines ask for other things");
    outcome
}

/// Calls `rule_check` of a module in both engines, in empty surroundings.
pub(crate) fn check(module: &[u8]) -> Outcome {
    run(module, &call(b"payload"), &mut Surroundings::default())
}

/// Returns the code and the reason of a refusal.
pub(crate) fn refusal(outcome: &Outcome) -> (u32, &str) {
    match &outcome.verdict {
        Verdict::Reject { code, reason } => {
            assert_eq!(outcome.writes, [], "a refusal writes nothing");
            assert_eq!(outcome.usage, None);
            (*code, reason)
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// Checks that an outcome is a fault, and that its reason has a text.
pub(crate) fn assert_fault(outcome: &Outcome, fault: Fault, text: &str) {
    let (code, reason) = refusal(outcome);
    assert_eq!(Fault::from_code(code), Some(fault), "{reason}");
    assert!(reason.contains(text), "expected {text:?} in {reason:?}");
}

/// Checks that a call is accepted.
pub(crate) fn assert_accepted(outcome: &Outcome) {
    assert_eq!(outcome.verdict, Verdict::Accept);
}
