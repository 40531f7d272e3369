//! A first walk over the module: where its parts are, and what is known of each function.

use std::collections::BTreeMap;

use wasmparser::{
    ConstExpr, ElementItems, ExternalKind, FuncType, FunctionBody, MemoryType, Operator, OperatorsReader,
    Parser, Payload, Result, SectionLimited, TableType, TypeRef,
};

use super::quiet::Quiet;
use super::schedule::CALL_DEPTH;
use super::segments::{Callees, analyse};
use crate::gate::{BodyFacts, Inspected};

/// The items of a section, without their count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Items<'a> {
    pub(super) count: u32,
    pub(super) bytes: &'a [u8],
}

/// A function with a body.
pub(super) struct Function<'a> {
    pub(super) ty: u32,
    pub(super) body: FunctionBody<'a>,
    pub(super) facts: BodyFacts,
}

impl Function<'_> {
    /// Depth that a call of this function takes.
    pub(super) fn depth(&self) -> u64 {
        let BodyFacts { locals, operators, operands, .. } = self.facts;
        CALL_DEPTH + u64::from(locals) + u64::from(operands) + u64::from(operators)
    }
}

/// The module, taken apart.
pub(super) struct Survey<'a> {
    /// Contents of the sections that stay as they are, by id.
    pub(super) kept: BTreeMap<u8, &'a [u8]>,
    pub(super) types: Vec<FuncType>,
    pub(super) type_items: Items<'a>,
    pub(super) table: Option<TableType>,
    pub(super) memory: Option<MemoryType>,
    pub(super) global_items: Items<'a>,
    pub(super) export_items: Items<'a>,
    pub(super) functions: Vec<Function<'a>>,
    pub(super) callees: Callees,
}

impl<'a> Survey<'a> {
    /// Takes a module apart and finds the functions that their callers pay for. Segments that cost at most `fold` are
    /// paid with others.
    ///
    /// # Errors
    ///
    /// None for a module that has passed the gate.
    pub(super) fn of(module: &Inspected<'a>, fold: u64) -> Result<Self> {
        let mut survey = Self {
            kept: BTreeMap::new(),
            types: Vec::new(),
            type_items: Items::default(),
            table: None,
            memory: None,
            global_items: Items::default(),
            export_items: Items::default(),
            functions: Vec::new(),
            callees: Callees::imported(0, fold),
        };
        let mut quiet = Quiet::default();
        let mut types = Vec::new();
        let bytes = module.bytes();
        for payload in Parser::new(0).parse_all(bytes) {
            survey.take(&payload?, bytes, module.bodies(), &mut types, &mut quiet)?;
        }
        for (index, function) in (survey.callees.imported..).zip(&survey.functions) {
            quiet.look_at(index, function, survey.callees.imported)?;
        }
        let imported = Callees::imported(survey.callees.imported, fold);
        for (index, function) in (imported.imported..).zip(&survey.functions) {
            if quiet.has(index) {
                let flow = analyse(&function.body, &imported)?;
                survey.callees.quiet.insert(index, (flow.entry_cost(), function.depth()));
            }
        }
        Ok(survey)
    }

    fn take(
        &mut self,
        payload: &Payload<'a>,
        bytes: &'a [u8],
        facts: &[BodyFacts],
        types: &mut Vec<u32>,
        quiet: &mut Quiet,
    ) -> Result<()> {
        match payload {
            Payload::TypeSection(reader) => {
                self.type_items = items(reader, bytes);
                for ty in reader.clone().into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
                return Ok(());
            }
            Payload::TableSection(reader) => {
                for table in reader.clone() {
                    self.table = Some(table?.ty);
                }
                return Ok(());
            }
            Payload::MemorySection(reader) => {
                for memory in reader.clone() {
                    self.memory = Some(memory?);
                }
                return Ok(());
            }
            Payload::GlobalSection(reader) => {
                self.global_items = items(reader, bytes);
                for global in reader.clone() {
                    name_in(&global?.init_expr, quiet)?;
                }
                return Ok(());
            }
            Payload::ExportSection(reader) => {
                self.export_items = items(reader, bytes);
                for export in reader.clone() {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        quiet.name(export.index);
                    }
                }
                return Ok(());
            }
            Payload::CodeSectionStart { .. } | Payload::CustomSection(_) => return Ok(()),
            Payload::CodeSectionEntry(body) => {
                let at = self.functions.len();
                if let (Some(ty), Some(facts)) = (types.get(at), facts.get(at)) {
                    self.functions.push(Function { ty: *ty, body: body.clone(), facts: *facts });
                }
                return Ok(());
            }
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    self.callees.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader.clone() {
                    types.push(ty?);
                }
            }
            Payload::ElementSection(reader) => {
                for segment in reader.clone() {
                    match segment?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                quiet.name(function?);
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                name_in(&expression?, quiet)?;
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(content) = bytes.get(range)
        {
            self.kept.insert(id, content);
        }
        Ok(())
    }
}

/// Notes the functions that a constant expression refers to.
fn name_in(expression: &ConstExpr<'_>, quiet: &mut Quiet) -> Result<()> {
    let mut reader: OperatorsReader<'_> = expression.get_operators_reader();
    while !reader.eof() {
        if let Operator::RefFunc { function_index } = reader.read()? {
            quiet.name(function_index);
        }
    }
    Ok(())
}

fn items<'a, T>(reader: &SectionLimited<'_, T>, bytes: &'a [u8]) -> Items<'a> {
    let range = reader.original_position()..reader.range().end;
    Items { count: reader.count(), bytes: bytes.get(range).unwrap_or_default() }
}
