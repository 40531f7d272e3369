//! Two engines, the same metered code: verdict, code, gas, reads, writes, logs and questions to the host are the same.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use quorate_rules::abi::{Call, CallKind, Usage};
use quorate_rules::gate;
use quorate_rules::limits::{MAX_STATE_BYTES, MAX_STATE_KEYS};
use quorate_rules::verdict::{Fault, Verdict};
use wasm_encoder::{CodeSection, Function, RawSection};
use wasm_smith::Config;
use wasmparser::{ExternalKind, Parser, Payload};

use crate::fixture::{call, function, module, run};
use crate::support::Surroundings;

/// A rule that runs what the payload says: records of an operation and four numbers. What the calls return is mixed
/// into one number, which can be stored and so be written.
const SCRIPT: &str = r#"
    (global $mix (mut i32) (i32.const 0))
    (func $mixed (param i32)
        (global.set $mix (i32.xor (i32.rotl (global.get $mix) (i32.const 5)) (local.get 0))))
    (func $run (param $pointer i32) (param $length i32) (result i32)
        (local $p i32) (local $op i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32)
        (local.set $p (i32.add (local.get $pointer) (i32.const 90)))
        (loop $next
            (if (i32.gt_u (i32.add (local.get $p) (i32.const 17)) (i32.add (local.get $pointer) (local.get $length)))
                (then (return (i32.const 0))))
            (local.set $op (i32.load8_u (local.get $p)))
            (local.set $a (i32.load offset=1 (local.get $p)))
            (local.set $b (i32.load offset=5 (local.get $p)))
            (local.set $c (i32.load offset=9 (local.get $p)))
            (local.set $d (i32.load offset=13 (local.get $p)))
            (local.set $p (i32.add (local.get $p) (i32.const 17)))
            (block $12 (block $11 (block $10 (block $9 (block $8 (block $7 (block $6 (block $5 (block $4 (block $3
            (block $2 (block $1 (block $0
                (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 (local.get $op)))
            (call $mixed (call $get_block (i64.extend_i32_s (local.get $a)) (local.get $b) (local.get $c))) (br $next))
            (call $mixed (call $state_get (local.get $a) (local.get $b) (local.get $c) (local.get $d))) (br $next))
            (call $state_set (local.get $a) (local.get $b) (local.get $c) (local.get $d)) (br $next))
            (call $state_del (local.get $a) (local.get $b)) (br $next))
            (call $fail (local.get $a) (local.get $b)) (br $next))
            (call $log (local.get $a) (local.get $b)) (br $next))
            (call $blake2b_256 (local.get $a) (local.get $b) (local.get $c)) (br $next))
            (call $sha256 (local.get $a) (local.get $b) (local.get $c)) (br $next))
            (call $mixed (call $ed25519_verify (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
            (br $next))
            (i32.store (local.get $a) (global.get $mix)) (br $next))
            (call $mixed (memory.grow (local.get $a))) (br $next))
            (memory.fill (local.get $a) (local.get $b) (local.get $c)) (br $next))
            (return (local.get $a)))
        (unreachable))
"#;

const RETURN: u8 = 12;

fn script_module() -> Vec<u8> {
    let functions =
        CallKind::ALL.map(|kind| function(kind, "(call $run (local.get $pointer) (local.get $length))"));
    module(&format!("{SCRIPT} {}", functions.concat()))
}

/// Numbers that are mostly in bounds, and else just outside, or far.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        12 => 0..40_i32,
        4 => 0..300_i32,
        2 => 0..66_000_i32,
        1 => 131_040..131_080_i32,
        1 => prop_oneof![Just(-1), Just(i32::MIN), Just(i32::MAX), any::<i32>()],
    ]
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let record = (0..RETURN, number(), number(), number(), number());
    let last = (Just(RETURN), prop_oneof![3 => Just(0), 1 => number()], number(), number(), number());
    (vec(record, 0..24), last).prop_map(|(mut records, last)| {
        records.push(last);
        let mut script = Vec::new();
        for (op, a, b, c, d) in records {
            script.push(op);
            [a, b, c, d].into_iter().for_each(|number| script.extend(number.to_le_bytes()));
        }
        script
    })
}

fn surroundings() -> impl Strategy<Value = Surroundings> {
    let state = btree_map(vec(0..2_u8, 0..3), vec(any::<u8>(), 0..300), 0..6);
    let besides = prop_oneof![
        6 => Just(Usage::default()),
        1 => (0..600_u64).prop_map(|less| Usage { bytes: MAX_STATE_BYTES - less, keys: 3 }),
        1 => (0..6_u64).prop_map(|less| Usage { bytes: 3, keys: MAX_STATE_KEYS - less }),
    ];
    let blocks = vec(vec(any::<u8>(), 0..500).prop_map(Bytes::from), 0..9);
    (blocks, state, besides).prop_map(|(blocks, state, besides)| Surroundings {
        blocks,
        state,
        besides,
        ..Surroundings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn host_calls_agree(
        script in script(),
        mut around in surroundings(),
        kind in prop_oneof![6 => Just(0), 1 => 1..4_usize],
        gas in prop_oneof![4 => Just(20_000_000_u64), 1 => 0..100_000_u64],
    ) {
        let module = script_module();
        let call = Call { kind: CallKind::ALL[kind], gas, ..call(&script) };
        let outcome = run(&module, &call, &mut around);
        prop_assert!(outcome.gas_used <= gas);
        if outcome.verdict != Verdict::Accept {
            prop_assert_eq!(&outcome.writes, &vec![]);
        }
        around.apply(&outcome);
        run(&module, &call, &mut around);
    }
}

/// Bytes that look like chance and are always the same.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = blake2b_simd::blake2b(&seed.to_le_bytes()).as_bytes().to_vec();
    let mut bytes = Vec::new();
    while bytes.len() < len {
        state = blake2b_simd::blake2b(&state).as_bytes().to_vec();
        bytes.extend(&state);
    }
    bytes
}

/// A module of a rule's shape whose functions nobody would write.
fn smith(seed: u64) -> Option<Vec<u8>> {
    let functions = CallKind::ALL.map(|kind| function(kind, "unreachable"));
    let config = Config {
        module_shape: Some(module(&functions.concat())),
        allow_start_export: false,
        bulk_memory_enabled: seed.is_multiple_of(2),
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        max_instructions: 400,
        max_memory32_bytes: 16 * 1024 * 1024,
        max_table_elements: 100,
        memory64_enabled: false,
        // Or else it uses externref, which the gate refuses.
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let noise = noise(seed, 6000);
    let module = wasm_smith::Module::new(config, &mut arbitrary::Unstructured::new(&noise)).ok()?;
    Some(with_a_place_for_inputs(&module.to_bytes()))
}

/// Puts a `rule_alloc` into a module that returns a pointer, so that more than this one function is run.
fn with_a_place_for_inputs(module: &[u8]) -> Vec<u8> {
    let (mut imported, mut alloc, mut body_index) = (0, None, 0);
    let mut code = CodeSection::new();
    let mut result = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.unwrap();
        match &payload {
            Payload::ImportSection(imports) => imported = imports.count(),
            Payload::ExportSection(exports) => {
                let mut exports = exports.clone().into_iter().map(Result::unwrap);
                alloc = exports.find(|export| export.name == "rule_alloc").map(|export| {
                    assert_eq!(export.kind, ExternalKind::Func);
                    export.index - imported
                });
            }
            Payload::CodeSectionEntry(body) => {
                if Some(body_index) == alloc {
                    let mut constant = Function::new([]);
                    constant.instructions().i32_const(65_536).end();
                    code.function(&constant);
                } else {
                    code.raw(&module[body.range()]);
                }
                body_index += 1;
                continue;
            }
            Payload::DataSection(_) | Payload::CustomSection(_) | Payload::End(_) if !code.is_empty() => {
                result.section(&std::mem::take(&mut code));
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && !matches!(payload, Payload::CodeSectionStart { .. })
        {
            result.section(&RawSection { id, data: &module[range] });
        }
    }
    result.finish()
}

#[test]
fn modules_of_chance_agree() {
    let mut admitted = 0;
    let mut verdicts = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..400 {
        let Some(module) = smith(seed) else { continue };
        if gate::inspect(&module).is_err() {
            continue;
        }
        admitted += 1;
        let mut around =
            Surroundings { blocks: vec![Bytes::from_static(b"block"); 7], ..Surroundings::default() };
        for kind in CallKind::ALL {
            let payload = noise(seed + 1_000_000, 100);
            let call = Call { kind, gas: 300_000, ..call(&payload) };
            let outcome = run(&module, &call, &mut around);
            around.apply(&outcome);
            let name = match &outcome.verdict {
                Verdict::Accept => "accept".to_owned(),
                Verdict::Reject { code, .. } => {
                    Fault::from_code(*code).map_or("code".to_owned(), |fault| format!("{fault:?}"))
                }
                Verdict::Unable(why) => panic!("{why}"),
            };
            *verdicts.entry(name).or_default() += 1;
        }
    }
    assert!(admitted > 100, "the gate admits only {admitted}");
    assert!(verdicts.len() >= 5, "{verdicts:?}");
}
