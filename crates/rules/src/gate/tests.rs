//! Tests of the gate: every limit at its bound and beyond, everything else that is refused, and where.

use super::{GateError, Limit, inspect};
use crate::limits;

/// What every rule has; functions 0 to 2.
const ABI: &str = r#"
    (func (export "rule_abi_v1"))
    (func (export "rule_alloc") (param i32) (result i32) (i32.const 0))
    (func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))"#;

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// Index of the first function behind those that every rule has.
const OWN: u32 = 3;

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {text})")).unwrap_or_else(|error| panic!("{error}"))
}

/// A rule with something in addition, imports first.
fn rule(imports: &str, more: &str) -> Vec<u8> {
    module(&format!("{imports} {MEMORY} {ABI} {more}"))
}

fn refusal(module: &[u8]) -> GateError {
    inspect(module).map(|module| module.sizes()).expect_err("the gate lets it through")
}

/// A module with so many of what a limit counts.
type Make = fn(u64) -> Vec<u8>;

fn many(text: &str, count: u64) -> String {
    text.repeat(usize::try_from(count).unwrap())
}

/// A body of so many bytes, in which few operators are.
fn body_of(bytes: u64) -> String {
    // The count of its locals and the last `end` take one byte each.
    let (long, short) = ((bytes - 2) / 12, (bytes - 2) % 12);
    let constant = "i64.const 0x7fffffffffffffff drop ";
    format!("(func {} {})", many(constant, long), many("nop ", short))
}

/// A module of so many bytes, most of them in a section that nobody reads.
fn padded_to(bytes: u64) -> Vec<u8> {
    let mut module = rule("", "");
    let bytes = usize::try_from(bytes).unwrap();
    // Id, five bytes of length, a name of no characters.
    let content = bytes - module.len() - 6;
    module.push(0);
    let mut length = content;
    for _ in 0..4 {
        module.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    module.push(length as u8);
    module.resize(bytes, 0);
    module
}

/// Functions whose flow together is so much: some at the limit of one body, and one with the rest.
fn flow_of(sum: u64) -> Vec<u8> {
    let one = flow_body(limits::MAX_BODY_FLOW);
    let rest = format!("(func (param i32) {})", many("(block)", sum % limits::MAX_BODY_FLOW));
    rule("", &format!("{} {rest}", many(&one, sum / limits::MAX_BODY_FLOW)))
}

fn flow_body(flow: u64) -> String {
    format!("(func (local {}) {})", many("i64 ", 512), many("(block)", flow / 512))
}

/// Every limit that counts: the most, what is one step beyond, and a module with as many.
const COUNTED: [(Limit, u64, u64, Make); 22] = [
    (Limit::ModuleBytes, 524_288, 524_289, padded_to),
    (Limit::Types, 1024, 1025, |count| {
        let own =
            "(type (func)) (type (func (param i32) (result i32))) (type (func (param i32 i32) (result i32)))";
        module(&format!("{own} {} {MEMORY} {ABI}", many("(type (func))", count - 3)))
    }),
    (Limit::Parameters, 128, 129, |count| {
        rule("", &format!("(type (func (param {})))", many("i32 ", count)))
    }),
    (Limit::Results, 16, 17, |count| rule("", &format!("(type (func (result {})))", many("i64 ", count)))),
    (Limit::Imports, 64, 65, |count| {
        rule(&many(r#"(import "rule_v1" "log" (func (param i32 i32)))"#, count), "")
    }),
    (Limit::Functions, 4096, 4097, |count| rule("", &many("(func)", count - 3))),
    (Limit::Tables, 1, 2, |count| rule("", &many("(table 1 funcref)", count))),
    (Limit::TableElements, 4096, 4097, |count| rule("", &format!("(table {count} funcref)"))),
    (Limit::Memories, 1, 2, |count| rule("", &many("(memory 1)", count - 1))),
    (Limit::MemoryPages, 256, 257, |count| module(&format!(r#"(memory (export "memory") {count}) {ABI}"#))),
    (Limit::Globals, 256, 257, |count| rule("", &many("(global i32 (i32.const 0))", count))),
    (Limit::Exports, 1024, 1025, |count| {
        let exports: String =
            (0..count - 4).map(|number| format!("(export \"{number}\" (func 0))")).collect();
        rule("", &exports)
    }),
    (Limit::ElementSegments, 256, 257, |count| rule("", &many("(elem func 0)", count))),
    (Limit::Elements, 8192, 8193, |count| rule("", &format!("(elem func {})", many("0 ", count)))),
    (Limit::DataSegments, 4096, 4097, |count| rule("", &many("(data \"\")", count))),
    (Limit::DataBytes, 262_144, 262_145, |count| rule("", &format!("(data \"{}\")", many("x", count)))),
    (Limit::BodyBytes, 65_536, 65_537, |bytes| rule("", &body_of(bytes))),
    (Limit::BodyOperators, 40_000, 40_001, |count| rule("", &format!("(func {})", many("nop ", count - 1)))),
    (Limit::Locals, 1024, 1025, |count| {
        rule("", &format!("(func (param i32) (local {}))", many("i64 ", count - 1)))
    }),
    (Limit::Operands, 1024, 1025, |count| {
        rule("", &format!("(func {} {})", many("i32.const 0 ", count), many("drop ", count)))
    }),
    (Limit::Nesting, 512, 513, |count| {
        rule("", &format!("(func {} {})", many("(block ", count), many(")", count)))
    }),
    (Limit::BranchTargets, 20_000, 20_001, |count| {
        rule("", &format!("(func (block (br_table {} (i32.const 0))))", many("0 ", count)))
    }),
];

/// Limits on what is in a body, which name the function.
const OF_BODIES: [Limit; 6] = [
    Limit::BodyBytes,
    Limit::BodyOperators,
    Limit::Locals,
    Limit::Operands,
    Limit::Nesting,
    Limit::BranchTargets,
];

#[test]
fn what_is_counted_ends_at_its_limit() {
    for (limit, most, beyond, make) in COUNTED {
        if let Err(error) = inspect(&make(most)) {
            panic!("{limit:?}: {error}");
        }
        let large = make(beyond);
        let error = refusal(&large);
        assert_eq!(error.limit, limit, "{error}");
        assert!(error.expected.starts_with(&format!("at most {most} ")), "{error}");
        assert_eq!(error.found, beyond.to_string());
        assert_eq!(error.function, OF_BODIES.contains(&limit).then_some(OWN), "{error}");
        if limit == Limit::ModuleBytes {
            assert_eq!(error.offset, None, "a module that is too long is not parsed");
        } else {
            assert!(error.offset.is_some_and(|offset| offset <= large.len()), "{error}");
        }
    }
}

#[test]
fn flow_is_bounded_in_each_body_and_in_all() {
    let one = |flow| rule("", &flow_body(flow));
    assert_eq!(inspect(&one(262_144)).unwrap().sizes().flow, 262_144);
    let error = refusal(&one(262_144 + 512));
    assert_eq!((error.limit, error.function, error.found.as_str()), (Limit::BodyFlow, Some(OWN), "262656"));
    assert_eq!(inspect(&flow_of(2_097_152)).unwrap().sizes().flow, 2_097_152);
    let error = refusal(&flow_of(2_097_153));
    assert_eq!((error.limit, error.function, error.found.as_str()), (Limit::Flow, Some(OWN + 8), "2097153"));
}

#[test]
fn every_branch_counts_towards_the_flow() {
    let flow = |body: &str| {
        let rule = rule("", &format!("(func (param i32 i32) {body})"));
        inspect(&rule).unwrap().sizes().flow
    };
    assert_eq!(flow(""), 0);
    for (body, branches) in [
        ("(block)", 1),
        ("(loop)", 1),
        ("(if (local.get 0) (then))", 1),
        ("(if (local.get 0) (then) (else (nop)))", 2),
        ("(br_if 0 (local.get 0))", 1),
        ("(br_table 0 0 0 (local.get 0))", 1),
        ("(br 0)", 0),
        ("(return)", 0),
    ] {
        assert_eq!(flow(body), 2 * branches, "{body}");
    }
}

#[test]
fn locals_are_counted_before_they_are_made() {
    // One declaration of four thousand million locals, in five bytes. The body comes last, and so does its section.
    let whole = rule("", "(func (local i64))");
    let body = [4, 1, 1, 0x7e, 0x0b];
    let (start, found) = whole.split_at(whole.len() - body.len());
    assert_eq!(found, body);
    let bodies = start.iter().rposition(|byte| *byte == 10).unwrap();
    let mut module = start.to_vec();
    module[bodies + 1] += 4;
    module.extend([8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7e, 0x0b]);
    let error = refusal(&module);
    assert_eq!((error.limit, error.found.as_str()), (Limit::Locals, "4294967295"), "{error}");
}

#[test]
fn only_the_imports_of_the_abi_are_let_in() {
    for (imports, limit) in [
        (r#"(import "rule_v1" "time" (func (result i64)))"#, Limit::ImportName),
        (r#"(import "env" "log" (func (param i32 i32)))"#, Limit::ImportName),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            Limit::ImportName,
        ),
        (r#"(import "rule_v1" "log" (func (param i32)))"#, Limit::ImportType),
        (r#"(import "rule_v1" "fail" (func (param i32 i64)))"#, Limit::ImportType),
        (r#"(import "env" "abort" (func (param i32 i32 i32)))"#, Limit::ImportType),
        (r#"(import "env" "abort" (func (param i32 i32 i32 i32) (result i32)))"#, Limit::ImportType),
        (r#"(import "rule_v1" "memory" (memory 1))"#, Limit::ImportKind),
        (r#"(import "rule_v1" "table" (table 1 funcref))"#, Limit::ImportKind),
        (r#"(import "rule_v1" "global" (global i32))"#, Limit::ImportKind),
        (r#"(import "rule_v1" "state_get" (func (param i32 i32 i32 i32) (result i32)))"#, Limit::Marker),
        (r#"(import "rule_v1" "state_set" (func (param i32 i32 i32 i32)))"#, Limit::Marker),
        (r#"(import "rule_v1" "state_del" (func (param i32 i32)))"#, Limit::Marker),
        (r#"(import "rule_v1" "get_block" (func (param i64 i32 i32) (result i32)))"#, Limit::Marker),
    ] {
        let error = refusal(&rule(imports, ""));
        // A second memory or table may be met first.
        assert_eq!(error.limit, limit, "{imports}: {error}");
        assert!(error.offset.is_some(), "{error}");
    }
    let all = r#"
        (import "rule_v1" "get_block" (func (param i64 i32 i32) (result i32)))
        (import "rule_v1" "state_get" (func (param i32 i32 i32 i32) (result i32)))
        (import "rule_v1" "state_set" (func (param i32 i32 i32 i32)))
        (import "rule_v1" "state_del" (func (param i32 i32)))
        (import "rule_v1" "fail" (func (param i32 i32)))
        (import "rule_v1" "log" (func (param i32 i32)))
        (import "rule_v1" "blake2b_256" (func (param i32 i32 i32)))
        (import "rule_v1" "sha256" (func (param i32 i32 i32)))
        (import "rule_v1" "ed25519_verify" (func (param i32 i32 i32 i32) (result i32)))
        (import "env" "abort" (func (param i32 i32 i32 i32)))"#;
    let markers = r#"(func (export "requires_state")) (func (export "requires_history"))"#;
    let rule = rule(all, markers);
    let inspected = inspect(&rule).unwrap();
    assert_eq!(inspected.imports().len(), 10);
    assert!(inspected.exports().state && inspected.exports().history);
}

#[test]
fn what_the_abi_needs_is_there_and_of_its_type() {
    let parts = [
        ("memory", MEMORY),
        ("rule_abi_v1", r#"(func (export "rule_abi_v1"))"#),
        ("rule_alloc", r#"(func (export "rule_alloc") (param i32) (result i32) (i32.const 0))"#),
        ("rule_check", r#"(func (export "rule_check") (param i32 i32) (result i32) (i32.const 0))"#),
    ];
    for (missing, _) in parts {
        let rest: String = parts.iter().filter(|(name, _)| *name != missing).map(|(_, text)| *text).collect();
        let error = refusal(&module(&rest));
        assert_eq!((error.limit, error.expected), (Limit::ExportMissing, format!("an export {missing}")));
        let of_another_kind = format!("{rest} (global (export \"{missing}\") i32 (i32.const 0))");
        assert_eq!(refusal(&module(&of_another_kind)).limit, Limit::ExportType, "{missing}");
    }
    for wrong in [
        r#"(func (export "rule_init") (param i32) (result i32) (i32.const 0))"#,
        r#"(func (export "rule_change") (param i32 i32) (result i64) (i64.const 0))"#,
        r#"(func (export "rule_query"))"#,
        r#"(func (export "requires_state") (result i32) (i32.const 0))"#,
        r#"(table (export "requires_history") 1 funcref)"#,
    ] {
        assert_eq!(refusal(&rule("", wrong)).limit, Limit::ExportType, "{wrong}");
    }
    for reserved in ["quorate_gas", "quorate_depth", "quorate_"] {
        let error = refusal(&rule("", &format!("(global (export \"{reserved}\") i64 (i64.const 0))")));
        assert_eq!((error.limit, error.found.as_str()), (Limit::ReservedName, reserved));
    }
}

#[test]
fn nothing_runs_at_instantiation() {
    let error = refusal(&rule("", "(func $f) (start $f)"));
    assert_eq!((error.limit, error.found.as_str()), (Limit::Start, "function 3"));
}

#[test]
fn other_extensions_are_refused_where_they_are_used() {
    for (text, place) in [
        ("(func (param v128))", None),
        ("(func (drop (i64x2.add (v128.const i64x2 1 2) (v128.const i64x2 1 2))))", Some(OWN)),
        ("(func (return_call 0))", Some(OWN)),
        ("(func (param externref))", None),
        ("(func (drop (ref.null extern)))", Some(OWN)),
        (
            "(func (drop (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))) drop)",
            Some(OWN),
        ),
        ("(func (param i32) (drop (i32.atomic.load (local.get 0))))", Some(OWN)),
        ("(tag)", None),
        ("(global i32 (i32.add (i32.const 1) (i32.const 2)))", None),
        ("(type (struct))", None),
    ] {
        let error = refusal(&rule("", text));
        assert!(matches!(error.limit, Limit::Feature | Limit::Validity), "{text}: {error}");
        assert_eq!(error.function, place, "{text}: {error}");
        assert!(error.offset.is_some(), "{error}");
    }
    let memory64 = format!(r#"(memory (export "memory") i64 1) {ABI}"#);
    assert!(matches!(refusal(&module(&memory64)).limit, Limit::Feature | Limit::Validity));
    let shared = format!(r#"(memory (export "memory") 1 2 shared) {ABI}"#);
    assert!(matches!(refusal(&module(&shared)).limit, Limit::Feature | Limit::Validity));
    let component = wat::parse_str("(component)").unwrap();
    assert!(matches!(refusal(&component).limit, Limit::Feature | Limit::Validity));
}

#[test]
fn what_is_no_module_is_refused() {
    let whole = rule("", "(func (param i32) (drop (local.get 0)))");
    for length in 0..whole.len() {
        let error = refusal(&whole[..length]);
        assert!(error.expected.contains("valid") || error.limit == Limit::ExportMissing, "{length}: {error}");
    }
    let mut typed_wrong = whole.clone();
    let last = typed_wrong.len() - 3;
    assert_eq!(typed_wrong[last - 1..last + 1], [0x20, 0]);
    typed_wrong[last] = 9;
    let error = refusal(&typed_wrong);
    assert_eq!((error.limit, error.function), (Limit::Validity, Some(OWN)), "{error}");
    assert_eq!(error.offset, Some(last - 1));
}
