//! Rules that are compiled, each module once.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use quorate_types::ModuleHash;

use super::engine::{CompileFailure, RuleEngine};
use super::prefix::Lacking;

/// Modules that are kept compiled: twice as many as rules can hold, for those that are tried out and those that wait.
const MAX_COMPILED: usize = 32;

/// An engine, and what it has compiled for a room.
pub(crate) struct Compiled<E: RuleEngine> {
    engine: E,
    rules: BTreeMap<ModuleHash, (E::Rule, u64)>,
    /// Counts uses, so that what was not used for longest goes first.
    clock: u64,
}

impl<E: RuleEngine> Compiled<E> {
    pub(super) const fn new(engine: E) -> Self {
        Self { engine, rules: BTreeMap::new(), clock: 0 }
    }

    /// Returns the same, to be used beside this.
    pub(super) fn beside(&self) -> Self
    where
        E: Clone,
    {
        Self { engine: self.engine.clone(), rules: self.rules.clone(), clock: self.clock }
    }

    pub(crate) const fn engine(&self) -> &E {
        &self.engine
    }

    /// Returns a module that is compiled already.
    pub(crate) fn find(&mut self, module: &ModuleHash) -> Option<E::Rule> {
        self.clock = self.clock.saturating_add(1);
        let (rule, used) = self.rules.get_mut(module)?;
        *used = self.clock;
        Some(rule.clone())
    }

    /// Returns the module of a rule that holds or has been accepted, which `assemble` gets from the blocks.
    pub(crate) fn get(
        &mut self,
        module: &ModuleHash,
        assemble: impl FnOnce(&ModuleHash) -> Result<Option<Bytes>, Lacking>,
    ) -> Result<E::Rule, Lacking> {
        if let Some(rule) = self.find(module) {
            return Ok(rule);
        }
        let why = || format!("module {} does not stand in the blocks before", module.short());
        let bytes = assemble(module)?.ok_or_else(|| Lacking::Other(why()))?;
        // The gate has let it through when it was accepted.
        self.admit(module, &bytes).map_err(|failure| Lacking::Other(failure.to_string()))
    }

    /// Compiles a module, which may not be fit to be a rule.
    pub(crate) fn admit(&mut self, module: &ModuleHash, bytes: &[u8]) -> Result<E::Rule, CompileFailure> {
        if let Some(rule) = self.find(module) {
            return Ok(rule);
        }
        let rule = self.engine.compile(bytes)?;
        if self.rules.len() >= MAX_COMPILED {
            let oldest = self.rules.iter().min_by_key(|(_, (_, used))| *used).map(|(module, _)| *module);
            oldest.map(|oldest| self.rules.remove(&oldest));
        }
        self.rules.insert(*module, (rule.clone(), self.clock));
        Ok(rule)
    }
}

impl<E: RuleEngine> fmt::Debug for Compiled<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.keys()).finish()
    }
}
