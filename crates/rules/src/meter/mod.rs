//! METER v1: gas and logical stack depth, counted by code that is written into the module.
//!
//! What an engine counts on its own changes from version to version; what the module itself counts does not. The
//! metered bytes are a function of the module, the version of the meter is part of a rule's reference and stays with
//! it. `docs/rules/meter-v1.md` pins everything that another implementation needs.

mod body;
mod module;
mod quiet;
mod schedule;
mod segments;
mod survey;
#[cfg(test)]
mod tests;

use schedule::FOLD_COST;
use survey::Survey;

use crate::gate::Inspected;

/// Version of this meter.
pub const METER_VERSION: u32 = 1;

/// Export of the global with the gas that is left: a mutable i64, 0 at first. It is to be set before the first call.
/// Below zero after a call, however that ended, the gas was used up.
pub const GAS_EXPORT: &str = "quorate_gas";

/// Export of the global with the depth that is left: a mutable i64, [`DEPTH_LIMIT`](crate::limits::DEPTH_LIMIT) at
/// first. Below zero after a call, with gas left, the depth was used up.
pub const DEPTH_EXPORT: &str = "quorate_depth";

/// A module that counts what it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredModule {
    /// The module to compile.
    pub bytes: Vec<u8>,
    /// Version of the meter that made it.
    pub version: u32,
}

/// Writes the metered form of a module.
///
/// The same module always gives the same bytes. They are valid, import what the module imports, export what it exports
/// and the two globals besides, and have no custom sections.
pub fn meter(module: &Inspected<'_>) -> MeteredModule {
    let bytes = Survey::of(module, FOLD_COST)
        .and_then(|survey| module::write(&survey, module.bytes()))
        .expect("the gate has read every part of this module that is read here");
    MeteredModule { bytes, version: METER_VERSION }
}
