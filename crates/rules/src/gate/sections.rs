//! The limits of the sections of a module, in the order in which they come.

use wasmparser::{
    DataSectionReader, ElementItems, ElementSectionReader, ExportSectionReader, ExternalKind, FuncType,
    FuncValidatorAllocations, FunctionBody, FunctionSectionReader, ImportSectionReader, MemorySectionReader,
    Payload, SectionLimited, TableSectionReader, TypeRef, TypeSectionReader, ValidPayload, Validator,
    WasmFeatures,
};

use super::abi::Surface;
use super::body;
use super::error::{GateError, Limit, at_most};
use super::inspected::{BodyFacts, Inspected, Sizes};
use crate::limits;

/// What is known of a module while it is read.
///
/// Counts are compared before the validator sees a section, so that it never makes room for more than the limits.
pub(super) struct Module {
    validator: Validator,
    allocations: FuncValidatorAllocations,
    types: Vec<FuncType>,
    /// Type indexes of the functions, imported ones first.
    functions: Vec<u32>,
    bodies: Vec<BodyFacts>,
    surface: Surface,
    sizes: Sizes,
}

impl Module {
    pub(super) fn new(features: WasmFeatures) -> Self {
        Self {
            validator: Validator::new_with_features(features),
            allocations: FuncValidatorAllocations::default(),
            types: Vec::new(),
            functions: Vec::new(),
            bodies: Vec::new(),
            surface: Surface::default(),
            sizes: Sizes::default(),
        }
    }

    /// Takes the next part of the module.
    pub(super) fn take(&mut self, payload: &Payload<'_>) -> Result<(), GateError> {
        self.count(payload)?;
        if let ValidPayload::Func(function, body) = self.validator.payload(payload)? {
            return self.body(function, &body);
        }
        match payload {
            Payload::TypeSection(reader) => self.types(reader),
            Payload::ImportSection(reader) => self.imports(reader),
            Payload::FunctionSection(reader) => self.functions(reader),
            Payload::TableSection(reader) => self.tables(reader),
            Payload::MemorySection(reader) => self.memories(reader),
            Payload::ExportSection(reader) => self.exports(reader),
            Payload::ElementSection(reader) => elements(reader),
            Payload::DataSection(reader) => self.data(reader),
            _ => Ok(()),
        }
    }

    /// Looks at what can be seen only at the end.
    pub(super) fn finish(mut self, bytes: &[u8]) -> Result<Inspected<'_>, GateError> {
        let exports = self.surface.finish()?;
        self.sizes.module_bytes = bytes.len();
        let imports = self.surface.imports();
        Ok(Inspected { bytes, exports, imports, sizes: self.sizes, bodies: self.bodies })
    }

    /// Compares the number of items of a section with its limit.
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), GateError> {
        match payload {
            Payload::TypeSection(reader) => items(reader, Limit::Types, limits::MAX_TYPES),
            Payload::ImportSection(reader) => items(reader, Limit::Imports, limits::MAX_IMPORTS),
            Payload::FunctionSection(reader) => {
                let found = self.functions.len() as u64 + u64::from(reader.count());
                at_most(Limit::Functions, limits::MAX_FUNCTIONS.into(), found, reader.range().start)
            }
            Payload::TableSection(reader) => items(reader, Limit::Tables, 1),
            Payload::MemorySection(reader) => items(reader, Limit::Memories, 1),
            Payload::GlobalSection(reader) => {
                self.sizes.globals = reader.count();
                items(reader, Limit::Globals, limits::MAX_GLOBALS)
            }
            Payload::ExportSection(reader) => items(reader, Limit::Exports, limits::MAX_EXPORTS),
            Payload::ElementSection(reader) => {
                items(reader, Limit::ElementSegments, limits::MAX_ELEMENT_SEGMENTS)
            }
            Payload::DataSection(reader) => items(reader, Limit::DataSegments, limits::MAX_DATA_SEGMENTS),
            Payload::StartSection { func, range } => {
                let found = format!("function {func}");
                Err(GateError::other(Limit::Start, "no start function", found).at(range.start))
            }
            _ => Ok(()),
        }
    }

    fn types(&mut self, reader: &TypeSectionReader<'_>) -> Result<(), GateError> {
        let offset = reader.range().start;
        for ty in reader.clone().into_iter_err_on_gc_types() {
            let ty = ty?;
            at_most(Limit::Parameters, limits::MAX_PARAMETERS.into(), ty.params().len() as u64, offset)?;
            at_most(Limit::Results, limits::MAX_RESULTS.into(), ty.results().len() as u64, offset)?;
            self.types.push(ty);
        }
        Ok(())
    }

    fn imports(&mut self, reader: &ImportSectionReader<'_>) -> Result<(), GateError> {
        for import in reader.clone().into_imports_with_offsets() {
            let (offset, import) = import?;
            let TypeRef::Func(index) = import.ty else {
                let found = format!("{}.{}, which is none", import.module, import.name);
                return Err(GateError::other(Limit::ImportKind, "imports to be functions", found).at(offset));
            };
            let Some(ty) = self.types.get(index as usize) else {
                return Err(GateError::other(Limit::Validity, "a type", format!("index {index}")).at(offset));
            };
            self.surface.import(import.module, import.name, ty, offset)?;
            self.functions.push(index);
        }
        self.sizes.imports = reader.count();
        self.sizes.functions = reader.count();
        Ok(())
    }

    fn functions(&mut self, reader: &FunctionSectionReader<'_>) -> Result<(), GateError> {
        for index in reader.clone() {
            self.functions.push(index?);
        }
        self.sizes.functions += reader.count();
        Ok(())
    }

    fn tables(&mut self, reader: &TableSectionReader<'_>) -> Result<(), GateError> {
        for table in reader.clone() {
            let found = table?.ty.initial;
            at_most(Limit::TableElements, limits::MAX_TABLE_ELEMENTS, found, reader.range().start)?;
            self.sizes.table_elements = found;
        }
        Ok(())
    }

    fn memories(&mut self, reader: &MemorySectionReader<'_>) -> Result<(), GateError> {
        for memory in reader.clone() {
            let found = memory?.initial;
            at_most(Limit::MemoryPages, limits::MAX_MEMORY_PAGES, found, reader.range().start)?;
            self.sizes.memory_pages = found;
        }
        Ok(())
    }

    fn exports(&mut self, reader: &ExportSectionReader<'_>) -> Result<(), GateError> {
        for export in reader.clone().into_iter_with_offsets() {
            let (offset, export) = export?;
            let what = match export.kind {
                ExternalKind::Func => self
                    .functions
                    .get(export.index as usize)
                    .and_then(|index| self.types.get(*index as usize))
                    .ok_or("an unknown function"),
                ExternalKind::Memory => Err("memory"),
                ExternalKind::Table => Err("a table"),
                ExternalKind::Global => Err("a global"),
                _ => Err("something else"),
            };
            self.surface.export(export.name, what, offset)?;
        }
        Ok(())
    }

    fn data(&mut self, reader: &DataSectionReader<'_>) -> Result<(), GateError> {
        for segment in reader.clone() {
            let segment = segment?;
            self.sizes.data_bytes += segment.data.len() as u64;
            let most = limits::MAX_DATA_BYTES as u64;
            at_most(Limit::DataBytes, most, self.sizes.data_bytes, segment.range.start)?;
        }
        Ok(())
    }

    fn body(
        &mut self,
        function: wasmparser::FuncToValidate<wasmparser::ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), GateError> {
        let index = function.index;
        let parameters = self.types.get(function.ty as usize).map_or(0, |ty| ty.params().len());
        let parameters = u32::try_from(parameters).unwrap_or(u32::MAX);
        let allocations = std::mem::take(&mut self.allocations);
        let (facts, allocations) = body::inspect(function, body, parameters, allocations)
            .map_err(|error| error.in_function(index))?;
        self.allocations = allocations;
        self.sizes.operators += u64::from(facts.operators);
        self.sizes.flow += facts.flow;
        at_most(Limit::Flow, limits::MAX_FLOW, self.sizes.flow, body.range().start)
            .map_err(|error| error.in_function(index))?;
        self.sizes.longest_body_bytes = self.sizes.longest_body_bytes.max(body.range().len());
        self.sizes.most_operators = self.sizes.most_operators.max(facts.operators);
        self.sizes.most_locals = self.sizes.most_locals.max(facts.locals);
        self.bodies.push(facts);
        Ok(())
    }
}

fn elements(reader: &ElementSectionReader<'_>) -> Result<(), GateError> {
    let mut elements = 0;
    for segment in reader.clone() {
        let segment = segment?;
        elements += u64::from(match &segment.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
        at_most(Limit::Elements, limits::MAX_ELEMENTS.into(), elements, segment.range.start)?;
    }
    Ok(())
}

fn items<T>(reader: &SectionLimited<'_, T>, limit: Limit, most: u32) -> Result<(), GateError> {
    at_most(limit, most.into(), reader.count().into(), reader.range().start)
}
