//! The rules of the header: their modules come first, and then they hold.

use quorate_rules::state::WriteSet;
use quorate_types::{RoomId, RuleId};

use super::modules::{self, Again};
use super::registry::{ActiveRule, Registry, RuleStatus};
use super::trial::{self, Init};
use crate::chunk::ModuleChunk;
use crate::header::{GenesisRule, StreamHeader};
use crate::identity::rule_id;
use crate::refusal::{Refusal, RoomCode, RuleRef};
use crate::room::{CompileFailure, Context, Lacking, RuleEngine, Stop};

/// Checks a chunk that comes before the genesis rules hold; nothing but the next one is accepted.
pub(crate) fn check_genesis_chunk<E: RuleEngine>(
    context: &mut Context<'_, E>,
    chunk: &ModuleChunk,
    writes: &mut WriteSet,
) -> Result<Option<Registry>, Stop> {
    let wanted = context.header.modules();
    let mut missing = Vec::new();
    for module in wanted {
        if !modules::is_complete(context.state, &module)? {
            missing.push(module);
        }
    }
    let (expected, others) = missing.split_first().ok_or_else(|| Stop::damaged("genesis"))?;
    if chunk.module != *expected {
        let reason = format!(
            "expected a chunk of module {}, of a rule that the room begins with, found one of {}",
            expected.short(),
            chunk.module.short()
        );
        return Err(Refusal::new(RoomCode::NotAllowed, reason).into());
    }
    let index = context.index();
    let taken = modules::take_chunk(context.state, context.prefix, index, chunk, Again::Refused, writes)?;
    let Some(bytes) = taken else {
        return Ok(None);
    };
    context.rules.admit(&chunk.module, &bytes).map_err(|failure| match failure {
        CompileFailure::Refused { reason } => Stop::from(Refusal::new(RoomCode::Gate, reason)),
        CompileFailure::Unable { reason } => Lacking::Other(reason).into(),
    })?;
    if !others.is_empty() {
        return Ok(None);
    }
    let activation = index.saturating_add(1);
    for (id, rule) in genesis_rules(context) {
        let compiled = context.compiled(&rule.module)?;
        let init = Init { id, params: &rule.params, activation, keeps_state: false };
        if let Err(failure) = trial::init(context, &compiled, &init, writes)? {
            let by = RuleRef { id, name: rule.name.as_str().to_owned() };
            return Err(failure.refusal(RoomCode::InitRefused, by).into());
        }
    }
    let mut registry = context.registry.clone();
    registry.set_genesis(activation, writes);
    Ok(Some(registry))
}

/// Lets the genesis rules hold.
pub(crate) fn activate_genesis<E: RuleEngine>(
    context: &mut Context<'_, E>,
    registry: &mut Registry,
    writes: &mut WriteSet,
) -> Result<(), Stop> {
    let since = context.index();
    for (id, rule) in genesis_rules(context) {
        let compiled = context.compiled(&rule.module)?;
        let init = Init { id, params: &rule.params, activation: since, keeps_state: false };
        match trial::init(context, &compiled, &init, writes)? {
            Ok(outcome) => trial::write(&id, outcome, writes),
            // The same call was accepted when the last module had come.
            Err(failure) => return Err(Lacking::Other(failure.to_string()).into()),
        }
        let GenesisRule { name, module, meter, params, locked } = rule;
        registry.put(ActiveRule { id, name, module, meter, params, locked, since }, writes);
    }
    Ok(())
}

/// Describes the rules of the header as they will hold from a block on.
pub(crate) fn genesis_status(room: &RoomId, header: &StreamHeader, since: u64) -> Vec<RuleStatus> {
    let mut rules: Vec<RuleStatus> = (0..)
        .zip(&header.rules)
        .map(|(ordinal, rule)| {
            let GenesisRule { name, module, meter, params, locked } = rule.clone();
            let id = rule_id(room, 0, ordinal);
            RuleStatus { id, name, module, meter, params, locked, since, pending: None }
        })
        .collect();
    rules.sort_by_key(|rule| rule.id);
    rules
}

fn genesis_rules<E: RuleEngine>(context: &Context<'_, E>) -> Vec<(RuleId, GenesisRule)> {
    let rules = (0..).zip(&context.header.rules);
    rules.map(|(ordinal, rule)| (rule_id(context.room, 0, ordinal), rule.clone())).collect()
}
