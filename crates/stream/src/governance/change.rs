//! Whether a change of rules may stand.

use quorate_quorum::validators::ValidatorSet;
use quorate_rules::abi::CallKind;
use quorate_rules::meter::METER_VERSION;
use quorate_rules::state::WriteSet;
use quorate_types::{ModuleHash, PublicKey};

use super::registry::{ActiveRule, PendingChange, Registry};
use super::trial::{self, Init, VectorFailure};
use super::{MAX_ACTIVATION_AHEAD, MAX_PENDING_CHANGES, modules, plan, record};
use crate::identity::RuleName;
use crate::refusal::{Refusal, RoomCode, RuleRef};
use crate::room::{CompileFailure, Context, Lacking, RuleEngine, RuleUse, Stop};
use crate::rule_change::{Change, RuleChange};

/// Checks a rule change whose signature, sequence, anchor and validity hold; returns the registry in which it waits.
///
/// What costs least is checked first: what it is about, when it is to hold, whether it fits between the changes that
/// wait; then its module, its test vectors, its beginning, and what the rules that hold say.
pub(crate) fn check_change<E: RuleEngine>(
    context: &mut Context<'_, E>,
    change: &RuleChange,
    uses: &mut Vec<RuleUse>,
    writes: &mut WriteSet,
) -> Result<Registry, Stop> {
    let target = target(context, change)?;
    check_lock(context, &change.change, target.as_ref())?;
    check_activation(context, change.activation)?;
    let waiting = PendingChange {
        activation: change.activation,
        index: context.index(),
        change: change.change.clone(),
    };
    plan::check_plan(context.room, context.registry, &waiting)?;
    if context.registry.pending().len() >= MAX_PENDING_CHANGES {
        let reason = format!("expected at most {MAX_PENDING_CHANGES} changes that wait, found another");
        return Err(Refusal::new(RoomCode::TooManyRules, reason).into());
    }
    let by = RuleRef {
        id: waiting.rule(context.room),
        name: name_of(&change.change, target.as_ref())
            .map_or_else(String::new, |name| name.as_str().to_owned()),
    };
    if let Some(module) = module_of(&change.change, target.as_ref()) {
        try_out(context, change, &module, target.is_some(), &by)?;
    }
    ask_rules(context, change, target.as_ref(), uses)?;
    let mut registry = context.registry.clone();
    registry.wait(waiting, writes);
    Ok(registry)
}

/// Finds the rule that a change is about; `None` for a new one.
fn target<E: RuleEngine>(
    context: &Context<'_, E>,
    change: &RuleChange,
) -> Result<Option<ActiveRule>, Refusal> {
    let Some(id) = change.change.rule() else { return Ok(None) };
    let rule = context.registry.rule(id).ok_or_else(|| {
        Refusal::new(RoomCode::NoSuchRule, format!("expected a rule that holds, found {}", id.short()))
    })?;
    Ok(Some(rule.clone()))
}

/// Refuses the end of a locked rule that cannot be asked: nobody can say yes in its place. One that has an opinion is
/// asked like any other.
fn check_lock<E: RuleEngine>(
    context: &mut Context<'_, E>,
    change: &Change,
    target: Option<&ActiveRule>,
) -> Result<(), Stop> {
    let ends = matches!(change, Change::Remove { .. } | Change::Replace { .. });
    let Some(rule) = target.filter(|rule| rule.locked && ends) else { return Ok(()) };
    let compiled = context.compiled(&rule.module)?;
    if context.rules.engine().has_opinion(&compiled) {
        return Ok(());
    }
    let reason = format!(
        "rule {} is locked and has no opinion on changes: it can be neither removed nor replaced",
        rule.name
    );
    Err(Refusal::new(RoomCode::Locked, reason).into())
}

fn check_activation<E: RuleEngine>(context: &Context<'_, E>, found: u64) -> Result<(), Refusal> {
    let delay = context.header.rule_delay.max(1);
    let earliest = context.index().saturating_add(delay);
    let latest = earliest.saturating_add(MAX_ACTIVATION_AHEAD);
    if found < earliest || found > latest {
        let reason = format!("expected an activation at height {earliest} to {latest}, found {found}");
        return Err(Refusal::new(RoomCode::ActivationTooEarly, reason));
    }
    Ok(())
}

fn name_of<'a>(change: &'a Change, target: Option<&'a ActiveRule>) -> Option<&'a RuleName> {
    match change {
        Change::Install { name, .. } => Some(name),
        _ => target.map(|rule| &rule.name),
    }
}

/// Returns the module that runs once the change holds; `None` when the rule goes away.
fn module_of(change: &Change, target: Option<&ActiveRule>) -> Option<ModuleHash> {
    match change {
        Change::Install { module, .. } | Change::Replace { module, .. } => Some(*module),
        Change::Params { .. } => target.map(|rule| rule.module),
        Change::Remove { .. } => None,
    }
}

/// Checks the module, the test vectors and the beginning of what will hold.
fn try_out<E: RuleEngine>(
    context: &mut Context<'_, E>,
    change: &RuleChange,
    module: &ModuleHash,
    keeps_state: bool,
    by: &RuleRef,
) -> Result<(), Stop> {
    if let Some(meter) = change.change.meter().filter(|meter| *meter != METER_VERSION) {
        let reason = format!("expected version {METER_VERSION} of the meter, found {meter}");
        return Err(Refusal::new(RoomCode::Gate, reason).into());
    }
    if !modules::is_complete(context.state, module)? {
        let reason = format!("expected all of module {} in the blocks before", module.short());
        return Err(Refusal::new(RoomCode::ModuleIncomplete, reason).into());
    }
    let compiled = match context.rules.find(module) {
        Some(compiled) => compiled,
        None => {
            let bytes = modules::assemble(context.state, context.prefix, module)?
                .ok_or_else(|| Stop::damaged("module"))?;
            context.rules.admit(module, &bytes).map_err(|failure| match failure {
                CompileFailure::Refused { reason } => Stop::from(Refusal::new(RoomCode::Gate, reason)),
                CompileFailure::Unable { reason } => Lacking::Other(reason).into(),
            })?
        }
    };
    let params = change.change.params().cloned().unwrap_or_default();
    let vectors = trial::run_vectors(context.rules.engine(), &compiled, &params, &change.vectors)?;
    vectors.map_err(|failure| vector_refusal(failure, by))?;
    let init = Init { id: by.id, params: &params, activation: change.activation, keeps_state };
    trial::init(context, &compiled, &init, &WriteSet::new())?
        .map_err(|failure| failure.refusal(RoomCode::InitRefused, by.clone()))?;
    Ok(())
}

fn vector_refusal(failure: VectorFailure, by: &RuleRef) -> Refusal {
    match failure {
        VectorFailure::Init(failure) => failure.refusal(RoomCode::InitRefused, by.clone()),
        VectorFailure::Vector { number, expected, found, reason } => {
            let words = format!("test vector {number}: expected code {expected}, found {found} {reason}");
            Refusal::by_rule(RoomCode::Vectors, by.clone(), found, words.trim_end())
        }
        VectorFailure::Block { number } => Refusal::new(
            RoomCode::Vectors,
            format!("test vector {number}: the rule reads a block, and test vectors have none"),
        ),
    }
}

/// Asks every rule that holds, by id. One that would be removed has no say, unless it is locked.
fn ask_rules<E: RuleEngine>(
    context: &mut Context<'_, E>,
    change: &RuleChange,
    target: Option<&ActiveRule>,
    uses: &mut Vec<RuleUse>,
) -> Result<(), Stop> {
    let Some(name) = name_of(&change.change, target) else { return Ok(()) };
    let is_removal = matches!(change.change, Change::Remove { .. });
    for rule in context.registry.rules() {
        let is_target = change.change.rule() == Some(&rule.id);
        if is_target && is_removal && !rule.locked {
            continue;
        }
        let payload = record::opinion_payload(&change.change, name, is_target, change.activation);
        uses.push(ask(context, rule, change.author, &payload)?);
    }
    Ok(())
}

/// Asks every rule that holds, by id, what it thinks of other validators from the block after this one on. The question
/// comes from the host.
pub(crate) fn ask_about_validators<E: RuleEngine>(
    context: &mut Context<'_, E>,
    host: PublicKey,
    next: &ValidatorSet,
) -> Result<Vec<RuleUse>, Stop> {
    let payload = record::validators_payload(next, context.index().saturating_add(1));
    let registry = context.registry;
    registry.rules().iter().map(|rule| ask(context, rule, host, &payload)).collect()
}

/// Asks a rule for its opinion on a change.
fn ask<E: RuleEngine>(
    context: &mut Context<'_, E>,
    rule: &ActiveRule,
    author: PublicKey,
    payload: &[u8],
) -> Result<RuleUse, Stop> {
    let outcome = context.ask(CallKind::Change, rule, author, payload)?;
    match trial::decided(outcome)? {
        Ok(mut outcome) => Ok(RuleUse::of(rule, &mut outcome)),
        Err(failure) => Err(failure.refusal(RoomCode::Objection, rule.reference()).into()),
    }
}
