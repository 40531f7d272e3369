//! How many checks a core does in a second, and how long a module takes to be compiled.
//!
//!     cargo run --release -p quorate-rules --example check_speed
//!
//! Each figure is that of the best of several runs, which other work on the machine disturbs least.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::builtin;
use quorate_rules::engine::{Engine, EngineConfig, Rule};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::StateError;
use quorate_rules::verdict::Verdict;
use quorate_types::{Hash, PublicKey};

const RUNS: u32 = 12;
const CHECKS: u32 = 20_000;

/// State in memory, no blocks.
#[derive(Default)]
struct Memory {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Host for Memory {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        Err(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.state.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(Usage::default())
    }
}

fn main() {
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let empty = module(1, "i32.const 0");
    let sum = module(
        2,
        r#"(local $sum i32) (local $end i32)
           (local.set $end (i32.add (local.get $pointer) (local.get $length)))
           (loop $more
               (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $pointer))))
               (local.set $pointer (i32.add (local.get $pointer) (i32.const 1)))
               (br_if $more (i32.lt_u (local.get $pointer) (local.get $end))))
           (i32.eqz (local.get $sum))"#,
    );
    let hash = module(
        2,
        r#"(call $blake2b_256 (local.get $pointer) (local.get $length) (i32.const 0))
           (i32.eqz (i64.load (i32.const 0)))"#,
    );
    let state = module(
        2,
        r#"(drop (call $state_get (i32.const 0) (i32.const 8) (i32.const 64) (i32.const 64)))
           (drop (call $state_get (i32.const 8) (i32.const 8) (i32.const 64) (i32.const 64)))
           (call $state_set (i32.const 0) (i32.const 8) (i32.const 64) (i32.const 40))
           (call $state_set (i32.const 8) (i32.const 8) (i32.const 64) (i32.const 40))
           (i32.const 0)"#,
    );
    let pages = module(17, "(i32.store (i32.const 1000000) (i32.const 1)) i32.const 0");
    let kib = [7; 1024];
    for (name, module, payload) in [
        ("empty rule, empty payload", &empty, &kib[..0]),
        ("empty rule, 1 KiB", &empty, &kib),
        ("1 MiB of memory, 1 KiB", &pages, &kib),
        ("sum of 1 KiB, byte by byte", &sum, &kib),
        ("BLAKE2b of 1 KiB", &hash, &kib),
        ("two reads and two writes, 1 KiB", &state, &kib),
    ] {
        let rule = engine.compile(module).expect("a module that passes the gate");
        let best = best_of(|| checks(&rule, payload));
        println!("{name:40} {:8.2} us  {:9.0} checks/s", micros(best), 1e6 / micros(best));
    }
    for builtin in builtin::ALL {
        let fresh = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).expect("an engine");
        let started = Instant::now();
        fresh.compile(builtin.module).expect("a shipped rule");
        let (bytes, elapsed) = (builtin.module.len(), started.elapsed());
        println!(
            "{:40} {:8.2} ms  {:9} bytes",
            format!("compile {}", builtin.name),
            micros(elapsed) / 1e3,
            bytes
        );
    }
    let large = large_module();
    let started = Instant::now();
    engine.compile(&large).expect("a module that passes the gate");
    println!(
        "{:40} {:8.2} ms  {:9} bytes",
        "compile a large module",
        micros(started.elapsed()) / 1e3,
        large.len()
    );
}

fn checks(rule: &Rule, payload: &[u8]) -> Duration {
    let call = Call {
        kind: CallKind::Check,
        flags: 0,
        index: 7,
        previous: Hash::new([1; 32]),
        author: PublicKey::new([2; 32]),
        params: b"",
        payload,
        gas: GAS_LIMIT_CHECK.unsigned_abs(),
    };
    let mut host = Memory::default();
    let started = Instant::now();
    for _ in 0..CHECKS {
        assert_eq!(rule.check(&call, &mut host).verdict, Verdict::Accept);
    }
    started.elapsed() / CHECKS
}

fn best_of(mut run: impl FnMut() -> Duration) -> Duration {
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn module(pages: u32, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "rule_v1" "state_get" (func $state_get (param i32 i32 i32 i32) (result i32)))
            (import "rule_v1" "state_set" (func $state_set (param i32 i32 i32 i32)))
            (import "rule_v1" "blake2b_256" (func $blake2b_256 (param i32 i32 i32)))
            (memory (export "memory") {pages})
            (data (i32.const 0) "account1account2")
            (func (export "rule_abi_v1"))
            (func (export "requires_state"))
            (func (export "rule_alloc") (param i32) (result i32) (i32.const 4096))
            (func (export "rule_check") (param $pointer i32) (param $length i32) (result i32) {body}))"#
    );
    wat::parse_str(text).expect("a module")
}

/// A module of 300 KiB or so, of functions as compilers make them: arithmetic, memory, branches, calls.
fn large_module() -> Vec<u8> {
    let step = r#"(local.set 1 (i32.add (i32.load offset=8 (local.get 0)) (i32.mul (local.get 1) (i32.const 31))))
        (if (i32.lt_u (local.get 1) (local.get 2)) (then (local.set 2 (call $f (local.get 1) (i32.const 1) (local.get 2)))))
        (i32.store offset=16 (local.get 0) (local.get 2))"#;
    let one = format!("(func (param i32 i32 i32) (result i32) {} (local.get 2))", step.repeat(20));
    let body = format!(
        "(i32.const 0)) (func $f (param i32 i32 i32) (result i32) (local.get 2)) {} (func",
        one.repeat(300)
    );
    module(1, &body)
}
