//! Calls that find all answers at hand ask nobody, and come to the same.

use bytes::Bytes;
use quorate_rules::abi::{AtHand, CallKind, Host, Missing, Usage};
use quorate_rules::engine::{STACK_BYTES, with_stack};
use quorate_rules::state::StateError;
use quorate_rules::verdict::{Fault, Outcome};

use crate::fixture::{assert_accepted, assert_fault, call, checking, function, module, rule};
use crate::support::{Partly, Surroundings};

/// Reads "a" and "b", and writes "b".
const BODY: &str = r#"
    (i32.store8 (i32.const 0) (i32.const 97))
    (i32.store8 (i32.const 1) (i32.const 98))
    (drop (call $state_get (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 8)))
    (drop (call $state_get (i32.const 1) (i32.const 1) (i32.const 32) (i32.const 8)))
    (call $state_set (i32.const 1) (i32.const 1) (i32.const 16) (i32.const 3))
    (i32.const 0)"#;

/// A host that counts what it is asked.
struct Counting {
    inner: Partly,
    asked: u32,
}

impl Counting {
    fn new(is_at_hand: fn(&[u8]) -> bool) -> Self {
        let state = [(b"a".to_vec(), b"one".to_vec())].into();
        let around =
            Surroundings { state, blocks: vec![Bytes::from_static(b"block")], ..Surroundings::default() };
        Self { inner: Partly { around, is_at_hand }, asked: 0 }
    }
}

impl Host for Counting {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        self.asked += 1;
        self.inner.block(index)
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.asked += 1;
        self.inner.get(key)
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        self.asked += 1;
        self.inner.usage()
    }

    fn at_hand(&mut self) -> Option<AtHand> {
        self.inner.at_hand()
    }
}

fn outcome(body: &str, is_at_hand: fn(&[u8]) -> bool) -> (Outcome, u32) {
    let mut host = Counting::new(is_at_hand);
    // Each module is another one, so that nothing is left out because of the tests before.
    let rule = rule(&checking(body));
    let outcome = with_stack(|| rule.check(&call(b""), &mut host));
    (outcome, host.asked)
}

#[test]
fn a_host_is_not_asked_for_what_is_at_hand() {
    let (at_once, asked) = outcome(BODY, |_| true);
    assert_accepted(&at_once);
    assert_eq!(asked, 0);
    assert_eq!(at_once.writes, [(b"b".to_vec(), Some(b"one".to_vec()))]);
    assert_eq!((at_once.reads, at_once.usage), (3, Some(Usage { bytes: 8, keys: 2 })));
    let (asking, asked) = outcome(&format!("(nop) {BODY}"), |key| key == b"a");
    assert_eq!(asked, 3, "two values and the usage");
    assert_eq!(Outcome { gas_used: at_once.gas_used, ..asking }, at_once);
}

#[test]
fn blocks_are_asked_for() {
    let body = format!("(drop (call $get_block (i64.const 0) (i32.const 64) (i32.const 9))) {BODY}");
    let (outcome, asked) = outcome(&body, |_| true);
    assert_accepted(&outcome);
    assert_eq!((asked, outcome.reads), (4, 8));
}

#[test]
fn a_short_stack_is_no_place_for_a_call() {
    let run = |host: &mut Counting| rule(&checking(&format!("(nop) (nop) {BODY}"))).check(&call(b""), host);
    let small = std::thread::Builder::new().stack_size(STACK_BYTES / 2);
    let asked = small.spawn(move || {
        let mut host = Counting::new(|_| true);
        assert_accepted(&run(&mut host));
        host.asked
    });
    assert_eq!(asked.unwrap().join().unwrap(), 3);
}

#[test]
fn the_deepest_recursion_ends_by_the_meter_on_a_stack_that_was_grown() {
    let wide = format!(
        "(func $deep (local $x f64) (call $deep) {} (drop (local.get $x)))",
        "(local.set $x (f64.add (local.get $x) (f64.mul (local.get $x) (local.get $x))))".repeat(2000)
    );
    for deep in ["(func $deep (call $deep))", &wide] {
        let rule =
            rule(&module(&format!("{deep} {}", function(CallKind::Check, "(call $deep) (i32.const 0)"))));
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        let outcome =
            small.spawn(move || with_stack(|| rule.check(&call(b""), &mut Counting::new(|_| true))));
        assert_fault(&outcome.unwrap().join().unwrap(), Fault::StackDepth, "stack too deep");
    }
}
