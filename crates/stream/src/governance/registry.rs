//! The rules that hold, and the changes that wait.

use bytes::Bytes;
use quorate_rules::state::{StateError, StateStore, WriteSet};
use quorate_types::{ModuleHash, RoomId, RuleId};

use super::record;
use crate::header::StreamHeader;
use crate::identity::{RuleName, rule_id};
use crate::refusal::RuleRef;
use crate::room::keys;
use crate::rule_change::Change;

/// A rule that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRule {
    /// Its id, which it keeps for as long as it is there.
    pub id: RuleId,
    /// Name that no other rule of the room has.
    pub name: RuleName,
    /// Hash of its module.
    pub module: ModuleHash,
    /// Version of the meter.
    pub meter: u32,
    /// Its parameters.
    pub params: Bytes,
    /// It can be neither removed nor replaced.
    pub locked: bool,
    /// First block that was checked by it as it is now.
    pub since: u64,
}

/// A change that is accepted and waits for its activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingChange {
    /// First block that will be checked by the changed rules.
    pub activation: u64,
    /// Block of the change.
    pub index: u64,
    /// What will be done.
    pub change: Change,
}

/// A rule as people see it: it holds, or waits to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStatus {
    /// Its id.
    pub id: RuleId,
    /// Its name.
    pub name: RuleName,
    /// Hash of its module.
    pub module: ModuleHash,
    /// Version of the meter.
    pub meter: u32,
    /// Its parameters.
    pub params: Bytes,
    /// It can be neither removed nor replaced.
    pub locked: bool,
    /// First block that was, or will be, checked by it as it is described here.
    pub since: u64,
    /// The next change that waits, `install`, `remove`, `replace` or `params`, and its activation.
    pub pending: Option<(&'static str, u64)>,
}

/// Rules of a room at one position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// By id.
    rules: Vec<ActiveRule>,
    /// In the order in which they take effect.
    pending: Vec<PendingChange>,
    genesis: Genesis,
}

/// How far the rules of the header have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Genesis {
    /// Their modules are coming in: nothing else is accepted.
    #[default]
    Coming,
    /// All modules are there; the rules hold from this block on.
    From(u64),
    /// There are none.
    None,
}

impl ActiveRule {
    /// Returns how refusals name the rule.
    pub fn reference(&self) -> RuleRef {
        RuleRef { id: self.id, name: self.name.as_str().to_owned() }
    }
}

impl PendingChange {
    /// Returns the rule that it is about; a new one has an id already.
    pub fn rule(&self, room: &RoomId) -> RuleId {
        self.change.rule().copied().unwrap_or_else(|| rule_id(room, self.index, 0))
    }

    pub(crate) const fn order(&self) -> (u64, u64) {
        (self.activation, self.index)
    }
}

impl Registry {
    /// Returns the rules that hold, by id.
    pub fn rules(&self) -> &[ActiveRule] {
        &self.rules
    }

    /// Returns the changes that wait, in the order in which they take effect.
    pub fn pending(&self) -> &[PendingChange] {
        &self.pending
    }

    /// Finds a rule that holds.
    pub fn rule(&self, id: &RuleId) -> Option<&ActiveRule> {
        let place = self.rules.binary_search_by_key(id, |rule| rule.id).ok()?;
        self.rules.get(place)
    }

    /// Finds a rule that holds by its name.
    pub fn named(&self, name: &str) -> Option<&ActiveRule> {
        self.rules.iter().find(|rule| rule.name.as_str() == name)
    }

    pub(crate) fn status(&self, room: &RoomId) -> Vec<RuleStatus> {
        let next = |id: &RuleId| {
            let change = self.pending.iter().find(|change| change.rule(room) == *id);
            change.map(|change| (change.change.verb(), change.activation))
        };
        let holds = self.rules.iter().map(|rule| {
            let ActiveRule { id, name, module, meter, params, locked, since } = rule.clone();
            RuleStatus { id, name, module, meter, params, locked, since, pending: next(&id) }
        });
        let waits = self.pending.iter().filter_map(|waiting| match &waiting.change {
            Change::Install { name, module, meter, params } => {
                let id = waiting.rule(room);
                Some(RuleStatus {
                    id,
                    name: name.clone(),
                    module: *module,
                    meter: *meter,
                    params: params.clone(),
                    locked: false,
                    since: waiting.activation,
                    pending: next(&id),
                })
            }
            _ => None,
        });
        holds.chain(waits).collect()
    }

    /// Returns the first block for which the rules of the header hold, once all their modules are there.
    pub(crate) const fn begins_at(&self) -> Option<u64> {
        match self.genesis {
            Genesis::From(index) => Some(index),
            Genesis::Coming | Genesis::None => None,
        }
    }

    pub(crate) const fn genesis(&self) -> Genesis {
        self.genesis
    }

    /// Reads the registry of a room from its state.
    pub(crate) fn load(header: &StreamHeader, state: &dyn StateStore) -> Result<Self, StateError> {
        let mut rules = record::read_rules(&keys::get(state, keys::RULES)?.unwrap_or_default())?;
        for rule in &mut rules {
            rule.params = keys::get(state, &keys::params(&rule.id))?.unwrap_or_default().into();
        }
        let mut pending = Vec::new();
        for (activation, index) in
            record::read_pending(&keys::get(state, keys::PENDING)?.unwrap_or_default())?
        {
            let key = keys::change(index);
            let bytes = keys::get(state, &key)?.ok_or_else(|| keys::damaged(&key))?;
            pending.push(PendingChange { activation, index, change: record::read_change(index, &bytes)? });
        }
        let genesis = match keys::get_u64(state, keys::GENESIS)? {
            Some(index) => Genesis::From(index),
            None if header.rules.is_empty() => Genesis::None,
            None => Genesis::Coming,
        };
        Ok(Self { rules, pending, genesis })
    }

    /// Lets the rules of the header hold from a block on.
    pub(crate) fn set_genesis(&mut self, index: u64, writes: &mut WriteSet) {
        self.genesis = Genesis::From(index);
        keys::put(writes, keys::GENESIS.to_vec(), index.to_le_bytes().to_vec());
    }

    /// Adds a rule, or puts it in the place of the one with its id.
    pub(crate) fn put(&mut self, rule: ActiveRule, writes: &mut WriteSet) {
        keys::put(writes, keys::params(&rule.id), rule.params.to_vec());
        match self.rules.binary_search_by_key(&rule.id, |other| other.id) {
            Ok(place) => {
                if let Some(other) = self.rules.get_mut(place) {
                    *other = rule;
                }
            }
            Err(place) => self.rules.insert(place, rule),
        }
        self.write_rules(writes);
    }

    /// Takes a rule away; its state stays, out of reach.
    pub(crate) fn remove(&mut self, id: &RuleId, writes: &mut WriteSet) {
        self.rules.retain(|rule| rule.id != *id);
        keys::remove(writes, keys::params(id));
        self.write_rules(writes);
    }

    /// Lets a change wait.
    pub(crate) fn wait(&mut self, change: PendingChange, writes: &mut WriteSet) {
        keys::put(writes, keys::change(change.index), record::write_change(&change.change));
        let place = self.pending.partition_point(|other| other.order() < change.order());
        self.pending.insert(place, change);
        self.write_pending(writes);
    }

    /// Takes the next change that takes effect before a block.
    pub(crate) fn take_due(&mut self, index: u64, writes: &mut WriteSet) -> Option<PendingChange> {
        if self.pending.first().is_none_or(|change| change.activation > index) {
            return None;
        }
        let change = self.pending.remove(0);
        keys::remove(writes, keys::change(change.index));
        self.write_pending(writes);
        Some(change)
    }

    fn write_rules(&self, writes: &mut WriteSet) {
        keys::put(writes, keys::RULES.to_vec(), record::write_rules(&self.rules));
    }

    fn write_pending(&self, writes: &mut WriteSet) {
        keys::put(writes, keys::PENDING.to_vec(), record::write_pending(&self.pending));
    }
}
