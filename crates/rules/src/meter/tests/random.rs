//! Modules that nobody wrote: the metered one does what the other does, and counts right.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use wasm_encoder::AbstractHeapType;
use wasm_encoder::reencode::{Error as ReencodeError, Reencode};
use wasmi::{TrapCode, Val};
use wasmparser::{Parser, Validator, WasmFeatures};

use super::super::{DEPTH_EXPORT, GAS_EXPORT, METER_VERSION, MeteredModule, meter, module, survey::Survey};
use super::naive;
use super::run::{Ended, Run};
use crate::gate::{self, Inspected};
use crate::limits::{DEPTH_LIMIT, MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};

/// More than any call here can use.
const ENOUGH_GAS: i64 = 1 << 60;

const IMPORTS: &str = r#"(module
    (import "rule_v1" "get_block" (func (param i64 i32 i32) (result i32)))
    (import "rule_v1" "state_get" (func (param i32 i32 i32 i32) (result i32)))
    (import "rule_v1" "state_set" (func (param i32 i32 i32 i32)))
    (import "rule_v1" "log" (func (param i32 i32)))
    (import "env" "abort" (func (param i32 i32 i32 i32))))"#;

const EXPORTS: &str = r#"(module
    (memory (export "memory") 1)
    (global (export "a") (mut i32) i32.const 0)
    (global (export "b") (mut f64) f64.const 0)
    (func (export "rule_abi_v1"))
    (func (export "requires_state"))
    (func (export "requires_history"))
    (func (export "rule_alloc") (param i32) (result i32) unreachable)
    (func (export "rule_check") (param i32 i32) (result i32) unreachable)
    (func (export "numbers") (param i32 i64 f32 f64) (result i64) unreachable)
    (func (export "several") (param i64) (result i32 f32 i64) unreachable))"#;

static SHAPE: LazyLock<(Vec<u8>, Vec<u8>)> =
    LazyLock::new(|| (wat::parse_str(IMPORTS).unwrap(), wat::parse_str(EXPORTS).unwrap()));

/// Makes a module out of random bytes, within what rules may be. Half of them cannot trap.
fn random_module(seed: u64, length: usize) -> Option<Vec<u8>> {
    let (imports, exports) = SHAPE.clone();
    let config = wasm_smith::Config {
        available_imports: Some(imports),
        exports: Some(exports),
        allow_start_export: false,
        max_funcs: 12,
        max_instructions: 900,
        max_memories: 0,
        max_memory32_bytes: MAX_MEMORY_PAGES << 16,
        memory_max_size_required: true,
        max_tables: 1,
        max_table_elements: MAX_TABLE_ELEMENTS,
        table_max_size_required: true,
        max_data_segments: 4,
        max_element_segments: 4,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        disallow_traps: seed.is_multiple_of(2),
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let entropy = entropy(seed, length);
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&entropy)).ok()?;
    let mut out = wasm_encoder::Module::new();
    FunctionsOnly.parse_core_module(&mut out, Parser::new(0), &module.to_bytes()).unwrap();
    Some(out.finish())
}

/// Makes every reference one to a function: rules have no others.
struct FunctionsOnly;

impl Reencode for FunctionsOnly {
    type Error = std::convert::Infallible;

    fn abstract_heap_type(
        &mut self,
        _: wasmparser::AbstractHeapType,
    ) -> Result<AbstractHeapType, ReencodeError> {
        Ok(AbstractHeapType::Func)
    }
}

/// Random bytes from a number: nothing here depends on the machine.
fn entropy(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

fn calls() -> Vec<(&'static str, Vec<Val>)> {
    let numbers =
        |a, b, c: f32, d: f64| vec![Val::I32(a), Val::I64(b), Val::F32(c.into()), Val::F64(d.into())];
    vec![
        ("rule_abi_v1", vec![]),
        ("rule_alloc", vec![Val::I32(100)]),
        ("rule_check", vec![Val::I32(8), Val::I32(84)]),
        ("numbers", numbers(3, -1, 0.5, -7e9)),
        ("numbers", numbers(i32::MIN, i64::MAX, f32::NAN, f64::INFINITY)),
        ("several", vec![Val::I64(12345)]),
        ("rule_check", vec![Val::I32(-1), Val::I32(7)]),
    ]
}

fn metered_run(metered: &[u8], gas: i64) -> Option<Run> {
    let mut run = Run::new(metered, None)?;
    run.set_global(GAS_EXPORT, gas);
    Some(run)
}

/// What the exhaustion of a metered instance is in its globals.
fn exhausted(run: &Run) -> bool {
    run.global(GAS_EXPORT) < 0 || run.global(DEPTH_EXPORT) < 0
}

/// Compares a module with its metered form. Returns how many calls were compared to their end.
fn compare(module: &Inspected<'_>) -> usize {
    let metered = meter(module).bytes;
    let Some(mut plain) = Run::new(module.bytes(), Some(100_000)) else {
        assert!(Run::new(&metered, None).is_none(), "both trap when they are instantiated");
        return 0;
    };
    let mut one = metered_run(&metered, ENOUGH_GAS).unwrap();
    let mut two = metered_run(&metered, ENOUGH_GAS).unwrap();
    let mut compared = 0;
    for (name, arguments) in calls() {
        let expected = plain.call(name, &arguments);
        if matches!(expected, Ended::Trapped(TrapCode::OutOfFuel | TrapCode::StackOverflow)) {
            // An endless loop or recursion: with bounded gas it must end too.
            let mut bounded = metered_run(&metered, 1_000_000).unwrap();
            bounded.call(name, &arguments);
            return compared;
        }
        let found = one.call(name, &arguments);
        assert!(!exhausted(&one), "{name}: {found:?} with gas {}", one.global(GAS_EXPORT));
        assert_eq!(found, expected, "{name}");
        assert_eq!(one.state(), plain.state(), "{name}");
        if matches!(found, Ended::Returned(_)) {
            assert_eq!(one.global(DEPTH_EXPORT), DEPTH_LIMIT, "{name} gives its depth back");
        }
        assert_eq!(two.call(name, &arguments), found);
        assert_eq!(two.global(GAS_EXPORT), one.global(GAS_EXPORT), "{name} takes the same gas each time");
        compared += 1;
        if matches!(found, Ended::Trapped(_)) {
            return compared;
        }
    }
    compared
}

/// Compares the gas with the obvious account of it. Returns how many calls were compared.
fn compare_gas(module: &Inspected<'_>) -> usize {
    let exact = Survey::of(module, 0).and_then(|survey| module::write(&survey, module.bytes())).unwrap();
    let naive = naive::meter(module);
    let (Some(mut plain), Some(mut naive), Some(mut exact), Some(mut folded)) = (
        Run::new(module.bytes(), Some(100_000)),
        Run::new(&naive, Some(1_000_000)),
        metered_run(&exact, ENOUGH_GAS),
        metered_run(&meter(module).bytes, ENOUGH_GAS),
    ) else {
        return 0;
    };
    let mut compared = 0;
    for (name, arguments) in calls() {
        let ended = plain.call(name, &arguments);
        // The interpreter joins operators that follow each other, and does not do right by all of them: where it
        // disagrees with itself there is nothing to compare with.
        if naive.call(name, &arguments) != ended || !matches!(ended, Ended::Returned(_)) {
            return compared;
        }
        assert_eq!(exact.call(name, &arguments), ended, "{name}");
        assert_eq!(folded.call(name, &arguments), ended, "{name}");
        let spent = naive.global(naive::SPENT);
        assert_eq!(ENOUGH_GAS - exact.global(GAS_EXPORT), spent, "{name}");
        let folded = ENOUGH_GAS - folded.global(GAS_EXPORT);
        assert!(spent <= folded && folded <= 50 * spent, "{name} pays {folded} for {spent}");
        compared += 1;
    }
    compared
}

fn validates(metered: &MeteredModule) {
    assert_eq!(metered.version, METER_VERSION);
    let mut features = WasmFeatures::default();
    features.remove(WasmFeatures::GC_TYPES | WasmFeatures::SIMD | WasmFeatures::THREADS);
    Validator::new_with_features(features).validate_all(&metered.bytes).unwrap();
}

#[test]
fn random_modules_meter_to_modules_that_do_the_same() {
    let (mut passed, mut compared, mut counted) = (0, 0, 0);
    for seed in 0..400 {
        // Longer and longer modules.
        let Some(bytes) = random_module(seed, 2048 + seed as usize * 20) else {
            continue;
        };
        let Ok(module) = gate::inspect(&bytes) else {
            continue;
        };
        passed += 1;
        let metered = meter(&module);
        assert_eq!(metered, meter(&module), "the same bytes each time");
        validates(&metered);
        compared += compare(&module);
        counted += compare_gas(&module);
    }
    assert!(passed > 100 && compared > 100 && counted > 100, "{passed} {compared} {counted}");
}

#[test]
fn the_gate_bears_damaged_modules() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..60 {
        let Some(bytes) = random_module(seed, 2048) else {
            continue;
        };
        for round in 0..50u64 {
            let mut damaged = bytes.clone();
            for step in entropy(seed * 1000 + round, 8).chunks(4) {
                let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % damaged.len();
                match step[2] % 3 {
                    0 => damaged[at] = step[3],
                    1 => damaged[at] ^= 1 << (step[3] % 8),
                    _ => damaged.truncate(at.max(1)),
                }
            }
            match gate::inspect(&damaged) {
                Ok(module) => {
                    validates(&meter(&module));
                    accepted += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 20 && refused > 500, "{accepted} {refused}");
}
