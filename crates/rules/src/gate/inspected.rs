//! A module that has passed the gate.

use quorate_types::ModuleHash;

/// A module that has passed the gate: the proof that the meter asks for.
#[derive(Debug, Clone)]
pub struct Inspected<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) exports: RuleExports,
    pub(super) imports: Vec<&'static str>,
    pub(super) sizes: Sizes,
    pub(super) bodies: Vec<BodyFacts>,
}

impl<'a> Inspected<'a> {
    /// Returns the bytes, as the author published them.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the name of the module: the hash of its bytes.
    pub fn hash(&self) -> ModuleHash {
        ModuleHash::of(self.bytes)
    }

    /// Returns which optional parts of the ABI the module has.
    pub fn exports(&self) -> RuleExports {
        self.exports
    }

    /// Returns the names of the functions that the module imports, in its order, for people.
    pub fn imports(&self) -> &[&'static str] {
        &self.imports
    }

    /// Returns how big the module is, for people.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Returns what was counted in the bodies, in their order.
    pub(crate) fn bodies(&self) -> &[BodyFacts] {
        &self.bodies
    }
}

/// Which optional parts of the ABI a module has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleExports {
    /// Whether it has `rule_init`.
    pub init: bool,
    /// Whether it has `rule_change`.
    pub change: bool,
    /// Whether it has `rule_query`.
    pub query: bool,
    /// Whether it asks for a state (`requires_state`).
    pub state: bool,
    /// Whether it asks for earlier blocks (`requires_history`).
    pub history: bool,
}

/// How big a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Bytes of the module.
    pub module_bytes: usize,
    /// Functions, imported ones included.
    pub functions: u32,
    /// Imported functions.
    pub imports: u32,
    /// Globals.
    pub globals: u32,
    /// Pages that the memory begins with.
    pub memory_pages: u64,
    /// Elements that the table begins with.
    pub table_elements: u64,
    /// Bytes of all data segments.
    pub data_bytes: u64,
    /// Operators of all bodies.
    pub operators: u64,
    /// Locals times branches, of all bodies: with the operators, a measure of the work to compile the module.
    pub flow: u64,
    /// Bytes of the longest body.
    pub longest_body_bytes: usize,
    /// Operators of the body that has most.
    pub most_operators: u32,
    /// Locals of the function that has most, parameters included.
    pub most_locals: u32,
}

/// What the gate counts in a body, and the meter uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyFacts {
    /// Parameters and locals.
    pub(crate) locals: u32,
    /// Operators, the last `end` included.
    pub(crate) operators: u32,
    /// Most operands on the stack after any operator.
    pub(crate) operands: u32,
    /// Locals times branches.
    pub(crate) flow: u64,
}
