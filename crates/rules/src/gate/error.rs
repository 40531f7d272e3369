//! What the gate says to a module that it refuses.

use std::fmt;

/// Longest text of a module that an error repeats, in characters.
const MAX_QUOTED: usize = 120;

/// Why the gate refuses a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateError {
    /// What the module breaks.
    pub limit: Limit,
    /// Index of the function in which it does, imported functions counted first.
    pub function: Option<u32>,
    /// Offset from the start of the module, in bytes.
    pub offset: Option<usize>,
    /// What would have been right.
    pub expected: String,
    /// What the module has.
    pub found: String,
}

/// What a module can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Bytes of the module.
    ModuleBytes,
    /// The binary format and the validation of WebAssembly.
    Validity,
    /// The extensions of WebAssembly that rules may use.
    Feature,
    /// Function types.
    Types,
    /// Parameters of a function type.
    Parameters,
    /// Results of a function type.
    Results,
    /// Imports.
    Imports,
    /// Imports are functions.
    ImportKind,
    /// Imports have a name of the ABI.
    ImportName,
    /// Imports have the type of the ABI.
    ImportType,
    /// An import that needs a marker has it.
    Marker,
    /// Functions.
    Functions,
    /// Tables.
    Tables,
    /// Elements of a table.
    TableElements,
    /// Memories.
    Memories,
    /// Pages of a memory.
    MemoryPages,
    /// Globals.
    Globals,
    /// Exports.
    Exports,
    /// Exports that the ABI needs are there.
    ExportMissing,
    /// Exports with a name of the ABI have its type.
    ExportType,
    /// Names that the meter adds are free.
    ReservedName,
    /// No code runs at instantiation.
    Start,
    /// Element segments.
    ElementSegments,
    /// Elements of all element segments.
    Elements,
    /// Data segments.
    DataSegments,
    /// Bytes of all data segments.
    DataBytes,
    /// Bytes of a body.
    BodyBytes,
    /// Operators of a body.
    BodyOperators,
    /// Locals of a function.
    Locals,
    /// Operands that a body has on its stack at once.
    Operands,
    /// Blocks inside each other.
    Nesting,
    /// Targets of the branch tables of a body.
    BranchTargets,
    /// Locals times branches of a body.
    BodyFlow,
    /// Locals times branches of all bodies.
    Flow,
}

impl Limit {
    /// Names what a countable limit counts.
    const fn noun(self) -> &'static str {
        match self {
            Self::ModuleBytes => "bytes in the module",
            Self::Types => "types",
            Self::Parameters => "parameters of a type",
            Self::Results => "results of a type",
            Self::Imports => "imports",
            Self::Functions => "functions, imported ones included",
            Self::Tables => "tables",
            Self::TableElements => "elements in the table",
            Self::Memories => "memories",
            Self::MemoryPages => "pages of memory",
            Self::Globals => "globals",
            Self::Exports => "exports",
            Self::ElementSegments => "element segments",
            Self::Elements => "elements in all element segments",
            Self::DataSegments => "data segments",
            Self::DataBytes => "bytes in all data segments",
            Self::BodyBytes => "bytes in a body",
            Self::BodyOperators => "operators in a body",
            Self::Locals => "locals of a function, parameters included",
            Self::Operands => "operands on the stack of a body",
            Self::Nesting => "blocks inside each other",
            Self::BranchTargets => "targets of br_table in a body",
            Self::BodyFlow => "as the product of locals and branches of a body",
            Self::Flow => "as the sum of these products over all bodies",
            Self::Validity
            | Self::Feature
            | Self::ImportKind
            | Self::ImportName
            | Self::ImportType
            | Self::Marker
            | Self::ExportMissing
            | Self::ExportType
            | Self::ReservedName
            | Self::Start => "",
        }
    }
}

impl GateError {
    /// Says that there are more of something than a limit allows.
    pub(super) fn above(limit: Limit, most: u64, found: u64) -> Self {
        Self::other(limit, format!("at most {most} {}", limit.noun()), found.to_string())
    }

    /// Says anything else. Text of the module that is in it is cut and made printable.
    pub(super) fn other(limit: Limit, expected: impl Into<String>, found: impl AsRef<str>) -> Self {
        Self {
            limit,
            function: None,
            offset: None,
            expected: expected.into(),
            found: printable(found.as_ref()),
        }
    }

    /// Adds the function where it happened.
    pub(super) fn in_function(mut self, index: u32) -> Self {
        self.function.get_or_insert(index);
        self
    }

    /// Adds the offset where it happened, in bytes from the start of the module.
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.offset.get_or_insert(offset);
        self
    }
}

/// Returns an error when there are more of something than a limit allows.
pub(super) fn at_most(limit: Limit, most: u64, found: u64, offset: usize) -> Result<(), GateError> {
    if found > most { Err(GateError::above(limit, most, found).at(offset)) } else { Ok(()) }
}

/// Cuts a text and replaces what a terminal would act on.
fn printable(text: &str) -> String {
    let mut quoted: String = text.chars().take(MAX_QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

impl From<wasmparser::Error> for GateError {
    fn from(error: wasmparser::Error) -> Self {
        let (limit, expected) = match error.missing_wasm_feature() {
            Some(_) => (Limit::Feature, "only the features that rules may use"),
            None => (Limit::Validity, "a valid WebAssembly module"),
        };
        Self::other(limit, expected, error.message()).at(error.offset())
    }
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = self.function {
            write!(f, "function {function}, ")?;
        }
        if let Some(offset) = self.offset {
            write!(f, "offset {offset:#x}: ")?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for GateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_what() {
        let error = GateError::above(Limit::Locals, 1024, 1025).in_function(7).at(0x1f);
        assert_eq!(
            error.to_string(),
            "function 7, offset 0x1f: expected at most 1024 locals of a function, parameters included, found 1025"
        );
    }

    #[test]
    fn the_innermost_place_stays() {
        let error = GateError::above(Limit::Types, 1, 2).at(5).at(9).in_function(1).in_function(2);
        assert_eq!((error.offset, error.function), (Some(5), Some(1)));
    }

    #[test]
    fn text_of_the_module_is_cut_and_made_printable() {
        let error = GateError::other(Limit::ImportName, "a", format!("\u{1b}[2J{}", "x".repeat(200)));
        assert!(error.found.starts_with("\\u{1b}[2Jx"));
        assert!(error.found.ends_with('…') && error.found.len() < 140);
    }
}
