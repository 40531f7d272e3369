//! Calls in a row: one turn and one store serve several of them, each in an instance of its own.
//!
//! To make a store and to drop it takes a tenth of the time of a small call. What an instance had goes back when its store
//! is dropped, so a store serves few calls, and none of them may have used much.

use std::cell::RefCell;
use std::sync::Arc;

use wasmtime::{Engine, Store};

use super::config::KEPT_MEMORY_BYTES;
use super::data::Data;
use super::turns::{Turn, Turns};

thread_local! {
    static ROW: RefCell<Row> = const { RefCell::new(Row { depth: 0, kept: None, turns: Vec::new() }) };
}

/// The calls that one thread makes in a row; a call that is in none is one of its own.
struct Row {
    /// How many rows there are around the next call, each within the one before.
    depth: u32,
    kept: Option<Serving>,
    /// One of each engine that was called.
    turns: Vec<Turn>,
}

/// A store, and the calls that it can still serve.
pub(super) struct Serving {
    pub(super) store: Store<Data>,
    left: u32,
}

impl Serving {
    pub(super) fn new(store: Store<Data>, calls: u32) -> Self {
        Self { store, left: calls }
    }

    /// Takes the store of this row, if it has one of this engine.
    pub(super) fn take(engine: &Engine) -> Option<Self> {
        let kept = ROW.with_borrow_mut(|row| row.kept.take())?;
        Engine::same(kept.store.engine(), engine).then_some(kept)
    }

    /// Keeps the store for the next call of the row, in which every call is. No other call sees what this one has left in it: its instance goes with
    /// the store, and the rest is replaced.
    pub(super) fn keep(mut self) {
        self.left = self.left.saturating_sub(1);
        let used = self.store.data().memory_bytes(&self.store);
        if self.left > 0 && used <= KEPT_MEMORY_BYTES {
            ROW.with_borrow_mut(|row| row.kept = Some(self));
        }
    }
}

/// Makes calls in a row.
pub(super) fn in_a_row<R>(act: impl FnOnce() -> R) -> R {
    /// Ends the row, however that comes.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            let ended = ROW.with_borrow_mut(|row| {
                row.depth = row.depth.saturating_sub(1);
                (row.depth == 0).then(|| (row.kept.take(), std::mem::take(&mut row.turns)))
            });
            // The places are free before the turn is.
            if let Some((kept, turns)) = ended {
                drop(kept);
                drop(turns);
            }
        }
    }

    ROW.with_borrow_mut(|row| row.depth = row.depth.saturating_add(1));
    let _end = End;
    act()
}

/// Makes a call when its row has its turn, which the row keeps until it ends. A call within a call waits for nothing: the turn that
/// it would wait for may be its own.
pub(super) fn in_turn<R>(turns: &Arc<Turns>, call: impl FnOnce() -> R) -> R {
    in_a_row(|| {
        if !ROW.with_borrow(|row| row.turns.iter().any(|turn| turn.is_of(turns))) {
            let turn = turns.wait();
            ROW.with_borrow_mut(|row| row.turns.push(turn));
        }
        call()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;

    use bytes::Bytes;
    use quorate_types::{Hash, PublicKey, RuleId};

    use crate::abi::{AtHand, Call, CallKind, Host, Missing, Usage};
    use crate::engine::{Engine, EngineConfig, Rule, with_stack};
    use crate::state::{InMemory, StateError};
    use crate::verdict::{Fault, Verdict};

    /// Says 1, 2, 3 or 4 where it finds what another call has left in memory, its size, a global or a table; leaves
    /// all of that, and does what its payload says.
    const TRACES: &str = r#"(module
        (memory (export "memory") 1)
        (table $table 4 funcref)
        (elem declare func $check)
        (global $global (mut i32) (i32.const 5))
        (func (export "rule_abi_v1"))
        (func (export "rule_alloc") (param i32) (result i32) (i32.const 4096))
        (func $check (export "rule_check") (param $pointer i32) (param $length i32) (result i32)
            (if (i32.or (i32.load (i32.const 8)) (i32.load (i32.const 65532))) (then (return (i32.const 1))))
            (if (i32.ne (memory.size) (i32.const 1)) (then (return (i32.const 2))))
            (if (i32.ne (global.get $global) (i32.const 5)) (then (return (i32.const 3))))
            (if (i32.eqz (ref.is_null (table.get $table (i32.const 2)))) (then (return (i32.const 4))))
            (i32.store (i32.const 8) (i32.const -1))
            (i32.store (i32.const 65532) (i32.const -1))
            (global.set $global (i32.const 6))
            (table.set $table (i32.const 2) (ref.func $check))
            (local.set $length (i32.load8_u (i32.add (local.get $pointer) (i32.sub (local.get $length) (i32.const 1)))))
            (if (i32.eq (local.get $length) (i32.const 103)) (then (drop (memory.grow (i32.const 1)))))
            (if (i32.eq (local.get $length) (i32.const 116)) (then (unreachable)))
            (if (i32.eq (local.get $length) (i32.const 110)) (then (return (i32.const 9))))
            (i32.const 0)))"#;

    #[derive(Debug)]
    struct Nothing;

    impl InMemory for Nothing {
        fn get(&self, _: &RuleId, _: &[u8]) -> Option<Option<Vec<u8>>> {
            Some(None)
        }
    }

    impl Host for Nothing {
        fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
            Err(Missing { index })
        }

        fn get(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }

        fn usage(&mut self) -> Result<Usage, StateError> {
            Ok(Usage::default())
        }

        fn at_hand(&mut self) -> Option<AtHand> {
            Some(AtHand { state: Arc::new(Self), space: RuleId::new([7; 32]), usage: Usage::default() })
        }
    }

    fn engine() -> Engine {
        Engine::new(EngineConfig { instances: 2, ..EngineConfig::default() }).unwrap()
    }

    /// Places of the pool that are taken.
    fn taken(engine: &Engine) -> u64 {
        engine.shared.wasm.pooling_allocator_metrics().unwrap().core_instances()
    }

    fn code(rule: &Rule, payload: &[u8]) -> u32 {
        let call = Call {
            kind: CallKind::Check,
            flags: 0,
            index: 7,
            previous: Hash::new([1; 32]),
            author: PublicKey::new([2; 32]),
            params: b"",
            payload,
            gas: 1_000_000,
        };
        match rule.check(&call, &mut Nothing).verdict {
            Verdict::Accept => 0,
            Verdict::Reject { code, .. } => code,
            Verdict::Unable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_store_serves_calls_of_a_row_and_none_after_it() {
        let engine = engine();
        let calls = u64::from(EngineConfig::default().calls_a_store);
        let rule = engine.compile(&wat::parse_str(TRACES).unwrap()).unwrap();
        assert_eq!((code(&rule, b"."), taken(&engine)), (0, 0), "no row");
        with_stack(|| {
            let places: Vec<u64> = (0..2 * calls)
                .map(|_| {
                    assert_eq!(code(&rule, b"."), 0);
                    taken(&engine)
                })
                .collect();
            let one: Vec<u64> = (1..=calls).map(|at| at % calls).collect();
            assert_eq!(places, one.repeat(2));
            code(&rule, b".");
            with_stack(|| assert_eq!((code(&rule, b"."), taken(&engine)), (0, 2)));
            assert_eq!(taken(&engine), 2, "the row goes on");
        });
        assert_eq!(taken(&engine), 0);
        let call = AssertUnwindSafe(|| with_stack(|| panic!("after {}", code(&rule, b"."))));
        let panics = std::panic::catch_unwind(call);
        assert_eq!((panics.is_err(), taken(&engine)), (true, 0));
    }

    #[test]
    fn calls_of_a_row_see_nothing_of_each_other() {
        let engines = [engine(), engine()];
        let module = wat::parse_str(TRACES).unwrap();
        let other = wat::parse_str(TRACES.replace("(i32.const 9)", "(i32.const 8)")).unwrap();
        let rules: Vec<Rule> = engines
            .iter()
            .flat_map(|engine| [&module, &other].map(|module| engine.compile(module).unwrap()))
            .collect();
        let trap = Fault::Trap.code();
        let expected = BTreeMap::from([(b'.', [0; 2]), (b'g', [0; 2]), (b't', [trap; 2]), (b'n', [9, 8])]);
        with_stack(|| {
            for round in 0..200_usize {
                let what = b"...g.n..t..ng"[(round * round / 3) % 13];
                let rule = (round / 7) % 4;
                assert_eq!(code(&rules[rule], &[what]), expected[&what][rule % 2], "round {round}");
                let most = engines.each_ref().map(taken).into_iter().sum::<u64>();
                assert!(most < EngineConfig::default().calls_a_store.into(), "{most} places are taken");
            }
        });
    }

    #[test]
    fn what_has_used_much_or_did_not_return_keeps_no_place() {
        let engine = engine();
        let rule = engine.compile(&wat::parse_str(TRACES).unwrap()).unwrap();
        with_stack(|| {
            for what in [b"g", b"t"] {
                assert_eq!((code(&rule, b"."), taken(&engine)), (0, 1));
                code(&rule, what);
                assert_eq!(taken(&engine), 0);
            }
        });
    }

    #[test]
    fn more_threads_than_there_are_places_for_take_turns() {
        for calls_a_store in [1, 3] {
            let config = EngineConfig { instances: 2, calls_a_store, ..EngineConfig::default() };
            let engine = Engine::new(config).unwrap();
            let rule = engine.compile(&wat::parse_str(TRACES).unwrap()).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..16 {
                    let rule = rule.clone();
                    scope.spawn(move || {
                        for _ in 0..50 {
                            let call = || assert_eq!(code(&rule, b"."), 0);
                            if thread % 3 == 0 { call() } else { with_stack(|| (0..20).for_each(|_| call())) }
                        }
                    });
                }
            });
            assert_eq!(taken(&engine), 0);
        }
    }

    #[test]
    fn a_turn_comes_back_after_a_panic() {
        let engine = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).unwrap();
        let rule = engine.compile(&wat::parse_str(TRACES).unwrap()).unwrap();
        let elsewhere = rule.clone();
        let panics = std::thread::spawn(move || with_stack(|| panic!("after {}", code(&elsewhere, b"."))));
        assert!(panics.join().is_err());
        assert_eq!(code(&rule, b"."), 0);
    }
}
