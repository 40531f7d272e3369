//! Changes that take effect.

use quorate_rules::state::WriteSet;
use quorate_types::RuleId;

use super::registry::{ActiveRule, PendingChange, Registry};
use super::trial::{self, Init, RuleFailure};
use crate::room::{Context, RuleEngine, Stop};
use crate::rule_change::Change;

/// A change that came to its activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The rule that it is about.
    pub rule: RuleId,
    /// The change.
    pub change: PendingChange,
    /// What became of it.
    pub result: Activated,
}

/// What became of a change at its activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activated {
    /// It holds.
    Done,
    /// Its rule is not there any more: nothing changes.
    NoRule,
    /// The rule does not begin, on the state that it has by now: nothing changes.
    InitRefused(RuleFailure),
}

/// Lets the changes hold that are due before the block that is checked.
pub(crate) fn activate<E: RuleEngine>(
    context: &mut Context<'_, E>,
    registry: &mut Registry,
    writes: &mut WriteSet,
) -> Result<Vec<Activation>, Stop> {
    let mut activations = Vec::new();
    while let Some(change) = registry.take_due(context.index(), writes) {
        let rule = change.rule(context.room);
        let result = activate_one(context, registry, rule, &change, writes)?;
        activations.push(Activation { rule, change, result });
    }
    Ok(activations)
}

fn activate_one<E: RuleEngine>(
    context: &mut Context<'_, E>,
    registry: &mut Registry,
    id: RuleId,
    change: &PendingChange,
    writes: &mut WriteSet,
) -> Result<Activated, Stop> {
    let since = change.activation;
    let before = registry.rule(&id).cloned();
    let keeps_state = before.is_some();
    let after = match (before, &change.change) {
        (_, Change::Install { name, module, meter, params }) => ActiveRule {
            id,
            name: name.clone(),
            module: *module,
            meter: *meter,
            params: params.clone(),
            locked: false,
            since,
        },
        (None, _) => return Ok(Activated::NoRule),
        (Some(_), Change::Remove { .. }) => {
            registry.remove(&id, writes);
            return Ok(Activated::Done);
        }
        (Some(rule), Change::Replace { module, meter, params, .. }) => {
            ActiveRule { module: *module, meter: *meter, params: params.clone(), since, ..rule }
        }
        (Some(rule), Change::Params { params, .. }) => ActiveRule { params: params.clone(), since, ..rule },
    };
    let compiled = context.compiled(&after.module)?;
    let init = Init { id, params: &after.params, activation: since, keeps_state };
    Ok(match trial::init(context, &compiled, &init, writes)? {
        Ok(outcome) => {
            trial::write(&id, outcome, writes);
            registry.put(after, writes);
            Activated::Done
        }
        Err(failure) => Activated::InitRefused(failure),
    })
}
