//! What metered modules look like.

use wasmi::Val;
use wasmparser::{Parser, Payload};

use super::super::meter;
use super::run::{Ended, Run, rule};
use crate::gate;

fn metered(bytes: &[u8]) -> Vec<u8> {
    meter(&gate::inspect(bytes).unwrap()).bytes
}

fn maxima(bytes: &[u8]) -> (Option<u64>, Option<u64>) {
    let (mut memory, mut table) = (None, None);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::MemorySection(reader) => memory = reader.into_iter().next().unwrap().unwrap().maximum,
            Payload::TableSection(reader) => table = reader.into_iter().next().unwrap().unwrap().ty.maximum,
            _ => {}
        }
    }
    (memory, table)
}

fn with_limits(memory: &str, table: &str) -> Vec<u8> {
    let text = rule("").len();
    assert!(text > 0);
    let abi = super::run::ABI.replace("(memory (export \"memory\") 1)", "");
    wat::parse_str(format!("(module (memory (export \"memory\") {memory}) (table {table} funcref) {abi})"))
        .unwrap()
}

#[test]
fn maxima_are_bounded_and_smaller_ones_stay() {
    assert_eq!(maxima(&metered(&with_limits("1", "0"))), (Some(256), Some(4096)));
    assert_eq!(maxima(&metered(&with_limits("1 65536", "1 100000"))), (Some(256), Some(4096)));
    assert_eq!(maxima(&metered(&with_limits("1 3", "1 2"))), (Some(3), Some(2)));
}

#[test]
fn custom_sections_are_left_out() {
    let named = rule("(func $with_a_name)");
    let metered = metered(&named);
    let custom = |bytes: &[u8]| {
        Parser::new(0).parse_all(bytes).filter(|part| matches!(part, Ok(Payload::CustomSection(_)))).count()
    };
    assert_eq!((custom(&named), custom(&metered)), (1, 0));
}

#[test]
fn functions_with_several_results_share_a_type() {
    let bytes = rule(
        "(func (export \"a\") (param i32) (result i32 i64) (if (local.get 0) (then (return (i32.const 1) (i64.const 2)))) (i32.const 3) (i64.const 4))
         (func (export \"b\") (param i64) (result i32 i64) (i32.const 5) (i64.const 6))",
    );
    let mut types = Vec::new();
    let metered = metered(&bytes);
    for payload in Parser::new(0).parse_all(&metered) {
        if let Payload::TypeSection(reader) = payload.unwrap() {
            types.extend(reader.into_iter_err_on_gc_types().map(Result::unwrap));
        }
    }
    let several = |ty: &&wasmparser::FuncType| ty.params().is_empty() && ty.results().len() == 2;
    assert_eq!(types.iter().filter(several).count(), 1);
    let mut run = Run::new(&metered, None).unwrap();
    run.set_global("quorate_gas", 100);
    let results =
        |first: i32, second: i64| Ended::Returned(vec![format!("i32 {first}"), format!("i64 {second}")]);
    assert_eq!(run.call("a", &[Val::I32(1)]), results(1, 2));
    assert_eq!(run.call("a", &[Val::I32(0)]), results(3, 4));
    assert_eq!(run.call("b", &[Val::I64(0)]), results(5, 6));
}

#[test]
fn a_quiet_function_is_not_wrapped() {
    let bytes = rule("(func $q (result i32) i32.const 1) (func $f (drop (call $q)) (return))");
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(&metered(&bytes)) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            let operators = body.get_operators_reader().unwrap().into_iter();
            bodies.push(operators.map(|operator| format!("{:?}", operator.unwrap())).collect::<Vec<_>>());
        }
    }
    assert_eq!(bodies[0], ["I32Const { value: 1 }", "End"]);
    assert!(bodies[1].len() > 10 && bodies[1][0].starts_with("Block"));
    assert!(bodies[1].contains(&"Br { relative_depth: 0 }".to_owned()), "a return leaves the wrapped body");
}
