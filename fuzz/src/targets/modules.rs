//! Modules that want to be rules: the gate, the meter, and what a metered module does.

mod compare;
mod seeds;
mod smith;

use std::sync::LazyLock;

use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::builtin;
use quorate_rules::engine::{Engine, EngineConfig};
use quorate_rules::gate;
use quorate_rules::meter::{self, METER_VERSION};
use quorate_rules::state::StateError;
use quorate_rules::verdict::Verdict;
use quorate_types::{Hash, PublicKey};

use crate::Target;

/// The input is a module.
pub(super) const WHOLE: Target = Target { name: "modules", run: check, seeds: seeds::small, cost: 200 };

/// The input says what is changed in a module that is a rule.
pub(super) const DAMAGED: Target =
    Target { name: "damaged-modules", run: |input| check(&damaged(input)), seeds: seeds::damages, cost: 800 };

/// A valid module is made of the input.
pub(super) const SMITH: Target = Target {
    name: "smith-modules",
    run: |input| {
        if let Some(module) = smith::module(input) {
            check(&module);
        }
    },
    seeds: seeds::chance,
    cost: 800,
};

/// Gas of the call by which the engine itself is tried.
const GAS: u64 = 200_000;

/// Bytes of the input that say one change: where, three bytes, how, and with what.
const CHANGE_BYTES: usize = 5;

/// The engine of the nodes.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let config = EngineConfig { instances: 2, cached_module_bytes: 0, ..EngineConfig::default() };
    Engine::new(config).expect("this machine can run rules")
});

/// Whatever a module is, it is refused with a reason, or metered, compiled and run within bounds.
fn check(bytes: &[u8]) {
    let module = match gate::inspect(bytes) {
        Ok(module) => module,
        Err(error) => {
            assert!(error.to_string().contains("expected"), "{error}");
            assert!(error.offset.is_none_or(|offset| offset <= bytes.len()), "{error}");
            return;
        }
    };
    let metered = meter::meter(&module);
    assert_eq!(metered, meter::meter(&module), "the same module is metered in one way");
    assert_eq!(metered.version, METER_VERSION);
    compare::compare(bytes, &metered.bytes);
    let rule = ENGINE.compile(bytes).expect("what passes the gate is compiled");
    assert_eq!(rule.hash(), module.hash());
    for kind in CallKind::ALL {
        let call = Call {
            kind,
            flags: 0,
            index: 3,
            previous: Hash::new([1; 32]),
            author: PublicKey::new([2; 32]),
            params: b"{}",
            payload: b"{\"transfer\":{}}",
            gas: GAS,
        };
        let [one, again] = [(); 2].map(|()| rule.check(&call, &mut Nothing));
        assert_eq!(one, again, "nothing stays between calls");
        assert!(one.gas_used <= GAS);
        match one.verdict {
            Verdict::Accept => {}
            Verdict::Reject { reason, .. } => assert!(!reason.is_empty()),
            Verdict::Unable(why) => panic!("no verdict: {why}"),
        }
    }
}

/// Changes one of the rules that come with the program.
fn damaged(input: &[u8]) -> Vec<u8> {
    let Some((which, changes)) = input.split_first() else { return Vec::new() };
    let mut module = builtin::ALL[usize::from(*which) % builtin::ALL.len()].module.to_vec();
    for change in changes.chunks_exact(CHANGE_BYTES) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        let place = place % module.len().max(1);
        match (module.get_mut(place), change[3] % 5) {
            (None, _) => {}
            (Some(byte), 0) => *byte ^= 1 << (change[4] % 8),
            (Some(byte), 1 | 2) => *byte = change[4],
            (Some(_), 3) => drop(module.remove(place)),
            (Some(_), _) => module.insert(place, change[4]),
        }
    }
    module
}

/// No state, and one block.
struct Nothing;

impl Host for Nothing {
    fn block(&mut self, _: u64) -> Result<bytes::Bytes, Missing> {
        Ok(bytes::Bytes::from_static(b"block"))
    }

    fn get(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        Ok(Usage::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_what_the_targets_begin_with_passes_the_gate() {
        assert!(seeds::small().iter().all(|module| gate::inspect(module).is_ok()));
        let passing =
            |modules: Vec<Vec<u8>>| modules.iter().filter(|module| gate::inspect(module).is_ok()).count();
        let made = seeds::chance().iter().filter_map(|input| smith::module(input)).collect();
        assert!(passing(made) >= 6);
        let damaged = seeds::damages().iter().map(|input| damaged(input)).collect();
        assert!(passing(damaged) >= builtin::ALL.len());
    }
}
