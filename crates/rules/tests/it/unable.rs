//! Where a node cannot come to a verdict, it says so and does not refuse.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quorate_rules::abi::{Call, Host, Missing, Usage};
use quorate_rules::engine::{Engine, EngineConfig, Rule};
use quorate_rules::state::StateError;
use quorate_rules::verdict::{Outcome, Unable, Verdict};

use crate::fixture::{assert_accepted, call, checking};
use crate::support::Surroundings;

#[test]
fn the_backstop_ends_a_call_that_takes_too_long() {
    let engine =
        Engine::new(EngineConfig { instances: 1, timeout_ticks: 3, ..EngineConfig::default() }).unwrap();
    let rule = engine.compile(&checking("(loop (br 0)) i32.const 0")).unwrap();
    let backstop = engine.backstop();
    let is_over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                backstop.tick();
            }
        });
        let gas = u64::try_from(i64::MAX).unwrap();
        let outcome = rule.check(&Call { gas, ..call(b"") }, &mut Surroundings::default());
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.verdict, Verdict::Unable(Unable::Timeout));
    assert_eq!(outcome.writes, []);
}

/// A host that calls another rule of the same engine while the first one waits.
struct Nested {
    rule: Rule,
    inner: Option<Outcome>,
}

impl Host for Nested {
    fn block(&mut self, _: u64) -> Result<Bytes, Missing> {
        self.inner = Some(self.rule.check(&call(b""), &mut Surroundings::default()));
        Ok(Bytes::new())
    }

    fn get(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(Usage::default())
    }
}

#[test]
fn a_full_pool_is_no_verdict() {
    for (instances, expected) in [(1, Verdict::Unable(Unable::OutOfMemory)), (2, Verdict::Accept)] {
        let engine = Engine::new(EngineConfig { instances, ..EngineConfig::default() }).unwrap();
        let outer =
            engine.compile(&checking("(call $get_block (i64.const 0) (i32.const 0) (i32.const 0))")).unwrap();
        let mut host = Nested { rule: engine.compile(&checking("i32.const 0")).unwrap(), inner: None };
        for _ in 0..3 {
            assert_accepted(&outer.check(&call(b""), &mut host));
            assert_eq!(host.inner.take().map(|outcome| outcome.verdict), Some(expected.clone()));
        }
    }
}

#[test]
fn many_threads_come_to_the_same_verdicts() {
    let engine = Engine::new(EngineConfig { instances: 8, ..EngineConfig::default() }).unwrap();
    let bodies = [
        "(i32.load8_u offset=90 (local.get $pointer))",
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (i32.const 3)",
        "(call $state_set (i32.const 0) (i32.const 9) (local.get $pointer) (local.get $length)) (i32.const 0)",
    ];
    let rules = bodies.map(|body| engine.compile(&checking(body)).unwrap());
    let run = |rule: &Rule, payload: u8| rule.check(&call(&[payload]), &mut Surroundings::default());
    let expected: Vec<Outcome> =
        rules.iter().flat_map(|rule| (0..50).map(move |payload| run(rule, payload))).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let found: Vec<Outcome> =
                    rules.iter().flat_map(|rule| (0..50).map(move |payload| run(rule, payload))).collect();
                assert_eq!(found, expected);
            });
        }
    });
}
