//! Rules that were compiled lately.

use std::collections::BTreeMap;

use quorate_types::ModuleHash;

use super::rule::Rule;

/// Rules by module, the least lately used going first when their modules are more than the bound.
#[derive(Debug)]
pub(super) struct Cache {
    bound_bytes: usize,
    bytes: usize,
    clock: u64,
    entries: BTreeMap<ModuleHash, Entry>,
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(super) const fn new(bound_bytes: usize) -> Self {
        Self { bound_bytes, bytes: 0, clock: 0, entries: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, hash: &ModuleHash) -> Option<Rule> {
        self.clock = self.clock.saturating_add(1);
        let entry = self.entries.get_mut(hash)?;
        entry.used = self.clock;
        Some(entry.rule.clone())
    }

    /// Adds a rule whose module has some bytes. One that is larger than the bound is not kept.
    pub(super) fn put(&mut self, rule: Rule, bytes: usize) {
        self.clock = self.clock.saturating_add(1);
        let entry = Entry { bytes, used: self.clock, rule };
        if let Some(old) = self.entries.insert(entry.rule.hash(), entry) {
            self.bytes = self.bytes.saturating_sub(old.bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        while self.bytes > self.bound_bytes {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            let Some(removed) = oldest.and_then(|hash| self.entries.remove(&hash)) else { break };
            self.bytes = self.bytes.saturating_sub(removed.bytes);
        }
    }
}
