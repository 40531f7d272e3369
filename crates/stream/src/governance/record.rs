//! Encodings of rules and changes in the room's state; `room::keys` has the layout.

use bytes::Bytes;
use quorate_quorum::validators::ValidatorSet;
use quorate_rules::state::StateError;
use quorate_types::{ModuleHash, RuleId};

use super::registry::{ActiveRule, PendingChange};
use crate::identity::RuleName;
use crate::room::keys::{self, Reader};
use crate::rule_change::{Change, RuleOperation};

const NO_RULE: RuleId = RuleId::new([0; RuleId::LEN]);
/// Number of a change of validators, where rules are asked about it.
const VALIDATORS: u8 = 5;
const NO_MODULE: ModuleHash = ModuleHash::new([0; ModuleHash::LEN]);

pub(super) fn write_rules(rules: &[ActiveRule]) -> Vec<u8> {
    let mut value = Vec::new();
    for rule in rules {
        value.extend_from_slice(rule.id.as_bytes());
        value.extend_from_slice(rule.module.as_bytes());
        value.extend_from_slice(&rule.meter.to_le_bytes());
        value.push(u8::from(rule.locked));
        value.extend_from_slice(&rule.since.to_le_bytes());
        write_name(&rule.name, &mut value);
    }
    value
}

/// Reads rules without their parameters, which are kept apart.
pub(super) fn read_rules(value: &[u8]) -> Result<Vec<ActiveRule>, StateError> {
    let mut reader = Reader(value);
    let mut rules = Vec::new();
    while !reader.is_empty() {
        rules.push(read_rule(&mut reader).ok_or_else(|| keys::damaged(keys::RULES))?);
    }
    Ok(rules)
}

fn read_rule(reader: &mut Reader<'_>) -> Option<ActiveRule> {
    let (id, module) = (RuleId::new(reader.array()?), ModuleHash::new(reader.array()?));
    let meter = reader.u32()?;
    let locked = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let since = reader.u64()?;
    let name = read_name(reader)?;
    Some(ActiveRule { id, name, module, meter, params: Bytes::new(), locked, since })
}

fn write_name(name: &RuleName, value: &mut Vec<u8>) {
    let name = name.as_str();
    // At most 32 bytes.
    value.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    value.extend_from_slice(name.as_bytes());
}

fn read_name(reader: &mut Reader<'_>) -> Option<RuleName> {
    let length = usize::from(reader.u8()?);
    std::str::from_utf8(reader.take(length)?).ok()?.parse().ok()
}

pub(super) fn write_pending(pending: &[PendingChange]) -> Vec<u8> {
    let numbers = pending.iter().flat_map(|change| [change.activation, change.index]);
    numbers.flat_map(u64::to_le_bytes).collect()
}

pub(super) fn read_pending(value: &[u8]) -> Result<Vec<(u64, u64)>, StateError> {
    let mut reader = Reader(value);
    let mut pending = Vec::new();
    while !reader.is_empty() {
        let change = reader.u64().zip(reader.u64());
        pending.push(change.ok_or_else(|| keys::damaged(keys::PENDING))?);
    }
    Ok(pending)
}

pub(super) fn write_change(change: &Change) -> Vec<u8> {
    let mut value = vec![number(change.operation())];
    value.extend_from_slice(change.rule().unwrap_or(&NO_RULE).as_bytes());
    value.extend_from_slice(change.module().unwrap_or(&NO_MODULE).as_bytes());
    value.extend_from_slice(&change.meter().unwrap_or(0).to_le_bytes());
    match change {
        Change::Install { name, .. } => write_name(name, &mut value),
        _ => value.push(0),
    }
    value.extend_from_slice(change.params().map_or(&[], |params| params.as_ref()));
    value
}

pub(super) fn read_change(index: u64, value: &[u8]) -> Result<Change, StateError> {
    change_of(value).ok_or_else(|| keys::damaged(&keys::change(index)))
}

fn change_of(value: &[u8]) -> Option<Change> {
    let mut reader = Reader(value);
    let operation = reader.u8()?;
    let (rule, module) = (RuleId::new(reader.array()?), ModuleHash::new(reader.array()?));
    let meter = reader.u32()?;
    let name_length = usize::from(reader.u8()?);
    let name = std::str::from_utf8(reader.take(name_length)?).ok()?;
    let params = Bytes::copy_from_slice(reader.rest());
    Some(match operation {
        1 => Change::Install { name: name.parse().ok()?, module, meter, params },
        2 => Change::Remove { rule },
        3 => Change::Replace { rule, module, meter, params },
        4 => Change::Params { rule, params },
        _ => return None,
    })
}

/// Number of an operation, here and in what rules are asked about it.
pub(super) const fn number(operation: RuleOperation) -> u8 {
    match operation {
        RuleOperation::Install => 1,
        RuleOperation::Remove => 2,
        RuleOperation::Replace => 3,
        RuleOperation::Params => 4,
    }
}

/// What a rule is asked about a change: `u8 operation | u8 target | u64 activation | rule 32 | module 32 |
/// u32 name length | u32 parameters length | name | parameters`. The name is that of the rule that is concerned.
pub(super) fn opinion_payload(change: &Change, name: &RuleName, is_target: bool, activation: u64) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let params = change.params().map_or(&[][..], |params| params.as_ref());
    [
        &[number(change.operation()), u8::from(is_target)][..],
        &activation.to_le_bytes(),
        change.rule().unwrap_or(&NO_RULE).as_bytes(),
        change.module().unwrap_or(&NO_MODULE).as_bytes(),
        &length(name.as_str().len()),
        &length(params.len()),
        name.as_str().as_bytes(),
        params,
    ]
    .concat()
}

/// What a rule is asked about other validators, in the same layout: operation 5, no rule, no module, no name, and as
/// parameters `u32 quorum | key 32 of each validator, ascending`.
pub(super) fn validators_payload(next: &ValidatorSet, activation: u64) -> Vec<u8> {
    let mut params = u32::try_from(next.quorum()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    next.keys().for_each(|key| params.extend_from_slice(key.as_bytes()));
    [
        &[VALIDATORS, 0][..],
        &activation.to_le_bytes(),
        NO_RULE.as_bytes(),
        NO_MODULE.as_bytes(),
        &0_u32.to_le_bytes(),
        &u32::try_from(params.len()).unwrap_or(u32::MAX).to_le_bytes(),
        &params,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = RuleName> {
        "[a-z0-9-]{1,32}".prop_map(|name| name.parse().unwrap())
    }

    fn params() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn rule_id() -> impl Strategy<Value = RuleId> {
        any::<[u8; 32]>().prop_map(RuleId::new)
    }

    fn module() -> impl Strategy<Value = ModuleHash> {
        any::<[u8; 32]>().prop_map(ModuleHash::new)
    }

    fn rule() -> impl Strategy<Value = ActiveRule> {
        (rule_id(), name(), module(), any::<u32>(), any::<bool>(), any::<u64>()).prop_map(
            |(id, name, module, meter, locked, since)| ActiveRule {
                id,
                name,
                module,
                meter,
                params: Bytes::new(),
                locked,
                since,
            },
        )
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (name(), module(), any::<u32>(), params())
                .prop_map(|(name, module, meter, params)| Change::Install { name, module, meter, params }),
            rule_id().prop_map(|rule| Change::Remove { rule }),
            (rule_id(), module(), any::<u32>(), params())
                .prop_map(|(rule, module, meter, params)| Change::Replace { rule, module, meter, params }),
            (rule_id(), params()).prop_map(|(rule, params)| Change::Params { rule, params }),
        ]
    }

    proptest! {
        #[test]
        fn rules_are_read_as_they_were_written(rules in prop::collection::vec(rule(), 0..5)) {
            let value = write_rules(&rules);
            prop_assert_eq!(read_rules(&value), Ok(rules));
            if !value.is_empty() {
                prop_assert!(read_rules(&value[..value.len() - 1]).is_err());
            }
        }

        #[test]
        fn changes_are_read_as_they_were_written(change in change(), index in any::<u64>()) {
            prop_assert_eq!(read_change(index, &write_change(&change)), Ok(change));
        }

        #[test]
        fn no_bytes_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read_rules(&value), read_pending(&value), read_change(0, &value));
        }
    }
}
