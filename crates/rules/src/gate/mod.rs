//! The gate: which modules may become rules. A pure function of the bytes, and part of consensus.
//!
//! It refuses what the meter could not count, what an engine could not compile within its bounds, and what
//! no rule needs. The list is in `docs/rules/gate.md`.

mod abi;
mod body;
mod error;
mod inspected;
mod sections;
#[cfg(test)]
mod tests;

pub use error::{GateError, Limit};
pub(crate) use inspected::BodyFacts;
pub use inspected::{Inspected, RuleExports, Sizes};

use wasmparser::{Parser, WasmFeatures};

use crate::limits::MAX_MODULE_BYTES;

/// Extensions of WebAssembly 1.0 that rules may use. `externref` is not among them: it needs a garbage collector.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS);

/// Looks at a module and says whether it may become a rule.
///
/// Takes time and memory in proportion to the bytes, of which there are at most [`MAX_MODULE_BYTES`].
///
/// # Errors
///
/// The module is not valid, uses what rules may not use, or breaks a limit; the error says which, where, what was
/// expected and what was found. Which of several errors of a module is reported is not part of consensus.
pub fn inspect(bytes: &[u8]) -> Result<Inspected<'_>, GateError> {
    if bytes.len() > MAX_MODULE_BYTES {
        return Err(GateError::above(Limit::ModuleBytes, MAX_MODULE_BYTES as u64, bytes.len() as u64));
    }
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut module = sections::Module::new(FEATURES);
    for payload in parser.parse_all(bytes) {
        module.take(&payload?)?;
    }
    module.finish(bytes)
}
