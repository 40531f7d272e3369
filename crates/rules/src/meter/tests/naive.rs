//! The same account, kept in the most obvious way: each operator pays for itself, just before it is executed.

use wasm_encoder::{Encode, InstructionSink, ValType};
use wasmparser::{Operator, Parser, Payload};

use super::super::schedule::{Rate, cost, rate};
use crate::gate::Inspected;

/// Export of the global that counts up.
pub(super) const SPENT: &str = "quorate_spent";

/// Writes a module in which every operator pays for itself.
pub(super) fn meter(module: &Inspected<'_>) -> Vec<u8> {
    let bytes = module.bytes();
    let mut out = wasm_encoder::Module::new();
    let mut code = wasm_encoder::CodeSection::new();
    let (mut spent, mut globals_written, mut bodies) = (0, false, module.bodies().iter());
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.unwrap();
        match &payload {
            Payload::GlobalSection(reader) => {
                spent = reader.count();
                out.section(&section(
                    6,
                    spent,
                    &bytes[reader.original_position()..reader.range().end],
                    GLOBAL,
                ));
                globals_written = true;
            }
            Payload::ExportSection(reader) => {
                if !globals_written {
                    out.section(&section(6, 0, &[], GLOBAL));
                }
                let mut export = Vec::new();
                SPENT.encode(&mut export);
                export.push(3);
                spent.encode(&mut export);
                let items = &bytes[reader.original_position()..reader.range().end];
                out.section(&section(7, reader.count(), items, &export));
            }
            Payload::CodeSectionEntry(body) => {
                code.raw(&function(bytes, body, bodies.next().unwrap().locals, spent));
                if bodies.len() == 0 {
                    out.section(&code);
                }
            }
            Payload::CodeSectionStart { .. } | Payload::CustomSection(_) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    out.section(&wasm_encoder::RawSection { id, data: &bytes[range] });
                }
            }
        }
    }
    out.finish()
}

/// A mutable i64 that begins with 0.
const GLOBAL: &[u8] = &[0x7e, 1, 0x42, 0, 0x0b];

struct Section(u8, Vec<u8>);

fn section(id: u8, count: u32, items: &[u8], added: &[u8]) -> Section {
    let mut data = Vec::new();
    (count + 1).encode(&mut data);
    data.extend_from_slice(items);
    data.extend_from_slice(added);
    Section(id, data)
}

impl Encode for Section {
    fn encode(&self, sink: &mut Vec<u8>) {
        self.1.encode(sink);
    }
}

impl wasm_encoder::Section for Section {
    fn id(&self) -> u8 {
        self.0
    }
}

fn function(bytes: &[u8], body: &wasmparser::FunctionBody<'_>, length: u32, spent: u32) -> Vec<u8> {
    let locals = body.get_locals_reader().unwrap();
    let mut reader = body.get_operators_reader().unwrap();
    let mut code = Vec::new();
    (locals.get_count() + 1).encode(&mut code);
    code.extend_from_slice(&bytes[locals.original_position()..reader.original_position()]);
    1u32.encode(&mut code);
    ValType::I32.encode(&mut code);
    while !reader.eof() {
        let start = reader.original_position();
        let operator: Operator<'_> = reader.read().unwrap();
        let mut sink = InstructionSink::new(&mut code);
        if cost(&operator) > 0 {
            sink.global_get(spent).i64_const(cost(&operator).try_into().unwrap()).i64_add().global_set(spent);
        }
        if let Some(rate) = rate(&operator) {
            sink.local_set(length).global_get(spent).local_get(length).i64_extend_i32_u();
            match rate {
                Rate::Fraction(bits) => sink.i64_const(1 << bits).i64_div_u(),
                Rate::Multiple(bits) => sink.i64_const(1 << bits).i64_mul(),
            };
            sink.i64_add().global_set(spent).local_get(length);
        }
        code.extend_from_slice(&bytes[start..reader.original_position()]);
    }
    code
}
