//! Valid modules that nobody wrote.

use std::convert::Infallible;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use quorate_rules::limits::{MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS};
use wasm_encoder::AbstractHeapType;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::Parser;

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

static SHAPE: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [IMPORTS, EXPORTS].map(|text| wat::parse_str(text).expect("the text is a module")));

/// Makes a module out of arbitrary bytes, within what rules may be; `None` when there are too few. The first byte says
/// whether it may trap.
pub(super) fn module(input: &[u8]) -> Option<Vec<u8>> {
    let (traps, entropy) = input.split_first()?;
    let [imports, exports] = SHAPE.clone();
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
        disallow_traps: traps % 2 == 0,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(entropy)).ok()?;
    let mut out = wasm_encoder::Module::new();
    FunctionsOnly.parse_core_module(&mut out, Parser::new(0), &module.to_bytes()).ok()?;
    Some(out.finish())
}

/// Makes every reference one to a function: rules have no others.
struct FunctionsOnly;

impl Reencode for FunctionsOnly {
    type Error = Infallible;

    fn abstract_heap_type(&mut self, _: wasmparser::AbstractHeapType) -> Result<AbstractHeapType, Error> {
        Ok(AbstractHeapType::Func)
    }
}
