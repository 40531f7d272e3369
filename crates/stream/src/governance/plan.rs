//! What the changes that wait will make of the rules.

use quorate_types::limits::MAX_RULES;
use quorate_types::{RoomId, RuleId};

use super::registry::{PendingChange, Registry};
use crate::refusal::{Refusal, RoomCode};
use crate::rule_change::Change;

/// Checks that a change fits between those that wait: that its rule will be there, that names stay unique and rules
/// few enough, for it and for those behind it.
///
/// Installations are taken to succeed. When one fails there are fewer rules and fewer names than planned, so that
/// those behind it fit all the more.
pub(super) fn check_plan(room: &RoomId, registry: &Registry, new: &PendingChange) -> Result<(), Refusal> {
    let mut rules: Vec<(RuleId, &str)> =
        registry.rules().iter().map(|rule| (rule.id, rule.name.as_str())).collect();
    let place = registry.pending().partition_point(|other| other.order() < new.order());
    let (before, behind) = registry.pending().split_at_checked(place).unwrap_or_default();
    for change in before.iter().chain([new]).chain(behind) {
        let is_new = change.index == new.index;
        match &change.change {
            Change::Install { name, .. } => {
                let name = name.as_str();
                if rules.iter().any(|(_, other)| *other == name) {
                    let reason = format!("expected a name that no other rule has, found {name}");
                    return Err(Refusal::new(RoomCode::BadRuleName, reason));
                }
                if rules.len() >= MAX_RULES {
                    let reason = format!("expected at most {MAX_RULES} rules, found another");
                    return Err(Refusal::new(RoomCode::TooManyRules, reason));
                }
                rules.push((change.rule(room), name));
            }
            Change::Remove { rule } | Change::Replace { rule, .. } | Change::Params { rule, .. } => {
                if is_new && rules.iter().all(|(id, _)| id != rule) {
                    let reason = format!(
                        "expected a rule that is still there at height {}, found {}, which will be removed",
                        new.activation,
                        rule.short()
                    );
                    return Err(Refusal::new(RoomCode::NoSuchRule, reason));
                }
                if matches!(change.change, Change::Remove { .. }) {
                    rules.retain(|(id, _)| id != rule);
                }
            }
        }
    }
    Ok(())
}
