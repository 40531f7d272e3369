//! Writes the metered module.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, Encode, ExportKind, GlobalSection, GlobalType, MemorySection,
    RawSection, RefType, SectionId, TableSection, ValType,
};
use wasmparser::{FuncType, Result};

use super::body::{self, Form, Globals};
use super::segments::analyse;
use super::survey::{Items, Survey};
use super::{DEPTH_EXPORT, GAS_EXPORT};
use crate::limits;

/// Writes the module: the same sections in the same order, without the custom ones.
///
/// # Errors
///
/// None for a module that has passed the gate.
pub(super) fn write(survey: &Survey<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let gas = survey.global_items.count;
    let globals = Globals { gas, depth: gas + 1 };
    let mut blocks = BlockTypes::new(&survey.types);
    let code = code(survey, bytes, globals, &mut blocks)?;
    let mut out = Output { module: wasm_encoder::Module::new(), survey };
    out.extended(SectionId::Type, survey.type_items, blocks.added, &blocks.encoded);
    out.kept(SectionId::Import);
    out.kept(SectionId::Function);
    out.limits();
    out.extended(SectionId::Global, survey.global_items, 2, &new_globals());
    out.extended(SectionId::Export, survey.export_items, 2, &new_exports(globals));
    out.kept(SectionId::Element);
    out.kept(SectionId::DataCount);
    out.module.section(&code);
    out.kept(SectionId::Data);
    Ok(out.module.finish())
}

fn code(
    survey: &Survey<'_>,
    bytes: &[u8],
    globals: Globals,
    blocks: &mut BlockTypes<'_>,
) -> Result<CodeSection> {
    let mut code = CodeSection::new();
    for (index, function) in (survey.callees.imported..).zip(&survey.functions) {
        let flow = analyse(&function.body, &survey.callees)?;
        let form = if survey.callees.quiet.contains_key(&index) {
            Form::Quiet
        } else {
            Form::Full(blocks.returning(function.ty))
        };
        code.raw(&body::write(bytes, function, &flow, globals, form)?);
    }
    Ok(code)
}

fn new_globals() -> Vec<u8> {
    let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    let mut globals = GlobalSection::new();
    globals.global(ty, &ConstExpr::i64_const(0));
    globals.global(ty, &ConstExpr::i64_const(limits::DEPTH_LIMIT));
    // Length of the section and count of items come first, a byte each in a section this small.
    let mut section = Vec::new();
    globals.encode(&mut section);
    section.split_off(2)
}

fn new_exports(globals: Globals) -> Vec<u8> {
    let mut exports = Vec::new();
    for (name, index) in [(GAS_EXPORT, globals.gas), (DEPTH_EXPORT, globals.depth)] {
        name.encode(&mut exports);
        ExportKind::Global.encode(&mut exports);
        index.encode(&mut exports);
    }
    exports
}

struct Output<'a> {
    module: wasm_encoder::Module,
    survey: &'a Survey<'a>,
}

impl Output<'_> {
    /// Writes a section as it was, if it was there.
    fn kept(&mut self, id: SectionId) {
        if let Some(data) = self.survey.kept.get(&u8::from(id)) {
            self.module.section(&RawSection { id: id.into(), data });
        }
    }

    /// Writes the items of a section as they were, and more after them.
    fn extended(&mut self, id: SectionId, items: Items<'_>, added: u32, more: &[u8]) {
        let mut data = Vec::new();
        (items.count + added).encode(&mut data);
        data.extend_from_slice(items.bytes);
        data.extend_from_slice(more);
        self.module.section(&RawSection { id: id.into(), data: &data });
    }

    /// Writes the table and the memory with bounded maxima.
    fn limits(&mut self) {
        if let Some(table) = &self.survey.table {
            let mut tables = TableSection::new();
            tables.table(wasm_encoder::TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: table.initial,
                maximum: Some(smaller(table.maximum, limits::MAX_TABLE_ELEMENTS)),
                shared: false,
            });
            self.module.section(&tables);
        }
        if let Some(memory) = &self.survey.memory {
            let mut memories = MemorySection::new();
            memories.memory(wasm_encoder::MemoryType {
                minimum: memory.initial,
                maximum: Some(smaller(memory.maximum, limits::MAX_MEMORY_PAGES)),
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
            self.module.section(&memories);
        }
    }
}

fn smaller(declared: Option<u64>, most: u64) -> u64 {
    declared.map_or(most, |declared| declared.min(most))
}

/// Types of the blocks that bodies become.
struct BlockTypes<'a> {
    types: &'a [FuncType],
    /// Types without parameters that the module did not have.
    missing: Vec<&'a [wasmparser::ValType]>,
    added: u32,
    encoded: Vec<u8>,
}

impl<'a> BlockTypes<'a> {
    fn new(types: &'a [FuncType]) -> Self {
        Self { types, missing: Vec::new(), added: 0, encoded: Vec::new() }
    }

    /// Returns the type of a block with the results of a function type. Several results need a function type.
    fn returning(&mut self, function_type: u32) -> BlockType {
        let results = self.types.get(function_type as usize).map_or(&[][..], FuncType::results);
        match results {
            [] => BlockType::Empty,
            [one] => BlockType::Result(value_type(*one)),
            several => BlockType::FunctionType(self.without_parameters(several)),
        }
    }

    fn without_parameters(&mut self, results: &'a [wasmparser::ValType]) -> u32 {
        let known = self.types.iter().position(|ty| ty.params().is_empty() && ty.results() == results);
        let added = || self.missing.iter().position(|missing| *missing == results);
        if let Some(index) = known.or_else(|| Some(self.types.len() + added()?)) {
            return u32::try_from(index).unwrap_or(u32::MAX);
        }
        // A function type: its byte, no parameters, the results.
        self.encoded.extend([0x60, 0]);
        results.len().encode(&mut self.encoded);
        results.iter().for_each(|ty| value_type(*ty).encode(&mut self.encoded));
        self.missing.push(results);
        self.added += 1;
        u32::try_from(self.types.len() + self.missing.len() - 1).unwrap_or(u32::MAX)
    }
}

/// The gate lets no other reference through than `funcref`.
fn value_type(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(_) => ValType::FUNCREF,
    }
}
