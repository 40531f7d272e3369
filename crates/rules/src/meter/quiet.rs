//! Quiet functions: small leaves, for which their callers pay.

use std::collections::BTreeSet;

use wasmparser::{Operator, Result};

use super::schedule::QUIET_OPERATORS;
use super::survey::Function;

/// Which functions are quiet: small, without loops, calling nothing but imports, and reached by `call` alone.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    candidates: BTreeSet<u32>,
    named: BTreeSet<u32>,
}

impl Quiet {
    /// Notes that a function can be reached in another way than by `call`.
    pub(super) fn name(&mut self, function: u32) {
        self.named.insert(function);
    }

    /// Looks at a body: whether it may be quiet, and which functions it names.
    ///
    /// # Errors
    ///
    /// None for a module that has passed the gate.
    pub(super) fn look_at(&mut self, index: u32, function: &Function<'_>, imported: u32) -> Result<()> {
        let mut small = function.facts.operators <= QUIET_OPERATORS;
        let mut reader = function.body.get_operators_reader()?;
        while !reader.eof() {
            match reader.read()? {
                Operator::RefFunc { function_index } => self.name(function_index),
                Operator::Loop { .. } | Operator::CallIndirect { .. } => small = false,
                Operator::Call { function_index } => small &= function_index < imported,
                _ => {}
            }
        }
        if small {
            self.candidates.insert(index);
        }
        Ok(())
    }

    /// Returns whether a function is quiet, once all have been looked at.
    pub(super) fn has(&self, index: u32) -> bool {
        self.candidates.contains(&index) && !self.named.contains(&index)
    }
}
