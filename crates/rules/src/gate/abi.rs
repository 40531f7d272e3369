//! What a rule may import, and what it exports: ABI v1.

use wasmparser::{FuncType, ValType};

use super::error::{GateError, Limit};
use super::inspected::RuleExports;

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;

/// Module of the functions that the engine offers.
const MODULE: &str = "rule_v1";

/// Prefix of names that are the meter's.
const RESERVED_PREFIX: &str = "quorate_";

/// Export without which no engine can reach the rule's memory.
const MEMORY: &str = "memory";

/// A capability that a rule asks for with an empty function of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    State,
    History,
}

impl Marker {
    const fn name(self) -> &'static str {
        match self {
            Self::State => "requires_state",
            Self::History => "requires_history",
        }
    }

    const fn is_in(self, exports: &RuleExports) -> bool {
        match self {
            Self::State => exports.state,
            Self::History => exports.history,
        }
    }
}

/// A function of the engine.
struct Import {
    module: &'static str,
    name: &'static str,
    parameters: &'static [ValType],
    results: &'static [ValType],
    needs: Option<Marker>,
}

const fn import(
    name: &'static str,
    parameters: &'static [ValType],
    results: &'static [ValType],
    needs: Option<Marker>,
) -> Import {
    Import { module: MODULE, name, parameters, results, needs }
}

/// Everything that a rule may import.
const IMPORTS: [Import; 10] = [
    import("get_block", &[I64, I32, I32], &[I32], Some(Marker::History)),
    import("state_get", &[I32, I32, I32, I32], &[I32], Some(Marker::State)),
    import("state_set", &[I32, I32, I32, I32], &[], Some(Marker::State)),
    import("state_del", &[I32, I32], &[], Some(Marker::State)),
    import("fail", &[I32, I32], &[], None),
    import("log", &[I32, I32], &[], None),
    import("blake2b_256", &[I32, I32, I32], &[], None),
    import("sha256", &[I32, I32, I32], &[], None),
    import("ed25519_verify", &[I32, I32, I32, I32], &[I32], None),
    Import { module: "env", name: "abort", parameters: &[I32, I32, I32, I32], results: &[], needs: None },
];

/// Exported functions that mean something to the engine, with their types, and whether they must be there.
const EXPORTS: [(&str, &[ValType], &[ValType], bool); 8] = [
    ("rule_abi_v1", &[], &[], true),
    ("rule_alloc", &[I32], &[I32], true),
    ("rule_check", &[I32, I32], &[I32], true),
    ("rule_init", &[I32, I32], &[I32], false),
    ("rule_change", &[I32, I32], &[I32], false),
    ("rule_query", &[I32, I32], &[I32], false),
    (Marker::State.name(), &[], &[], false),
    (Marker::History.name(), &[], &[], false),
];

/// The imports and exports of a module, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Surface {
    imports: Vec<&'static str>,
    needs: Vec<(&'static str, Marker, usize)>,
    exports: Vec<&'static str>,
}

impl Surface {
    /// Takes an imported function.
    pub(super) fn import(
        &mut self,
        module: &str,
        name: &str,
        ty: &FuncType,
        offset: usize,
    ) -> Result<(), GateError> {
        let Some(known) = IMPORTS.iter().find(|known| known.module == module && known.name == name) else {
            let found = format!("{module}.{name}");
            return Err(GateError::other(Limit::ImportName, "an import of the rule ABI", found).at(offset));
        };
        if ty.params() != known.parameters || ty.results() != known.results {
            let expected = format!("{module}.{name} to be {}", signature(known.parameters, known.results));
            return Err(GateError::other(Limit::ImportType, expected, type_of(ty)).at(offset));
        }
        self.imports.push(known.name);
        if let Some(marker) = known.needs {
            self.needs.push((known.name, marker, offset));
        }
        Ok(())
    }

    /// Takes an export: of a function with its type, or of something else with the word for it.
    pub(super) fn export(
        &mut self,
        name: &str,
        what: Result<&FuncType, &str>,
        offset: usize,
    ) -> Result<(), GateError> {
        if name.starts_with(RESERVED_PREFIX) {
            let expected = format!("no export whose name begins with {RESERVED_PREFIX}");
            return Err(GateError::other(Limit::ReservedName, expected, name).at(offset));
        }
        let wrong = |expected: String| {
            let found = match what {
                Ok(ty) => format!("a function {}", type_of(ty)),
                Err(word) => word.to_owned(),
            };
            Err(GateError::other(Limit::ExportType, format!("export {name} to be {expected}"), found)
                .at(offset))
        };
        if name == MEMORY {
            return if what == Err(MEMORY) {
                self.exports.push(MEMORY);
                Ok(())
            } else {
                wrong("the memory".into())
            };
        }
        let Some((name, parameters, results, _)) = EXPORTS.iter().find(|(known, ..)| *known == name) else {
            return Ok(());
        };
        if !what.is_ok_and(|ty| ty.params() == *parameters && ty.results() == *results) {
            return wrong(format!("a function {}", signature(parameters, results)));
        }
        self.exports.push(name);
        Ok(())
    }

    /// Returns the names of what was imported, in the module's order.
    pub(super) fn imports(self) -> Vec<&'static str> {
        self.imports
    }

    /// Looks at all of it together.
    pub(super) fn finish(&self) -> Result<RuleExports, GateError> {
        let has = |name| self.exports.contains(&name);
        let needed = EXPORTS.iter().filter(|(.., needed)| *needed).map(|(name, ..)| *name);
        if let Some(missing) = std::iter::once(MEMORY).chain(needed).find(|name| !has(name)) {
            return Err(GateError::other(Limit::ExportMissing, format!("an export {missing}"), "none"));
        }
        let exports = RuleExports {
            init: has("rule_init"),
            change: has("rule_change"),
            query: has("rule_query"),
            state: has(Marker::State.name()),
            history: has(Marker::History.name()),
        };
        if let Some((name, marker, offset)) = self.needs.iter().find(|(_, marker, _)| !marker.is_in(&exports))
        {
            let expected = format!("an export {} with import {name}", marker.name());
            return Err(GateError::other(Limit::Marker, expected, "none").at(*offset));
        }
        Ok(exports)
    }
}

fn type_of(ty: &FuncType) -> String {
    signature(ty.params(), ty.results())
}

fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ValType::to_string).collect::<Vec<_>>().join(" ");
    format!("({}) -> ({})", list(parameters), list(results))
}
