//! Undo records: what some steps of a batch found, so that it can be put back.
//!
//! ```text
//! record = step*
//! step   = state root before 32 | tree hash before 32 | u32 number of writes | write*
//! write  = namespace 32 | u32 length | key | u8 0                       the key was not there
//!        | namespace 32 | u32 length | key | u8 1 | u32 length | value  what the key held
//! ```
//!
//! A record is kept under the index of its first entry. Numbers are big-endian.

use quorate_rules::state::Position;
use quorate_types::{Hash, RuleId, StateRoot};

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undo {
    /// Where the state stood.
    pub(super) before: Position,
    /// Keys with what they held, in the order of the writes.
    pub(super) writes: Vec<(RuleId, Vec<u8>, Option<Vec<u8>>)>,
}

/// Begins a step in a record: where the state stood, and how many writes follow.
pub(super) fn begin_step(before: &Position, writes: usize, record: &mut Vec<u8>) {
    record.extend_from_slice(before.state_root.as_bytes());
    record.extend_from_slice(before.tree_hash.as_bytes());
    record.extend_from_slice(&length(writes));
}

/// Appends what one write of the step found.
pub(super) fn put_write(space: &RuleId, key: &[u8], value: Option<&[u8]>, record: &mut Vec<u8>) {
    record.extend_from_slice(space.as_bytes());
    record.extend_from_slice(&length(key.len()));
    record.extend_from_slice(key);
    match value {
        None => record.push(0),
        Some(value) => {
            record.push(1);
            record.extend_from_slice(&length(value.len()));
            record.extend_from_slice(value);
        }
    }
}

/// Appends a step to a record.
pub(super) fn encode(undo: &Undo, record: &mut Vec<u8>) {
    begin_step(&undo.before, undo.writes.len(), record);
    for (space, key, value) in &undo.writes {
        put_write(space, key, value.as_deref(), record);
    }
}

/// Reads a record whose first entry is `first`; `None` when it is damaged.
pub(super) fn decode(first: u64, mut record: &[u8]) -> Option<Vec<Undo>> {
    let mut steps = Vec::new();
    while !record.is_empty() {
        let index = first.checked_add(steps.len() as u64)?;
        let mut writes = Vec::new();
        let before = read_step(index, &mut record, |space, key, value| {
            writes.push((space, key.to_vec(), value.map(<[u8]>::to_vec)));
        })?;
        steps.push(Undo { before, writes });
    }
    Some(steps)
}

/// Reads from a record whose first entry is `first` where the state stood before the step from `length`; `None` when the
/// record is damaged so far, or ends before.
pub(super) fn position_at(first: u64, mut record: &[u8], length: u64) -> Option<Position> {
    for index in first..length {
        read_step(index, &mut record, |_, _, _| ())?;
    }
    read_step(length, &mut record, |_, _, _| ())
}

/// Reads where the state stood before the step from `index`, and hands over what its writes found.
fn read_step<'a>(
    index: u64,
    record: &mut &'a [u8],
    mut found: impl FnMut(RuleId, &'a [u8], Option<&'a [u8]>),
) -> Option<Position> {
    let state_root = StateRoot::from_slice(take(record, StateRoot::LEN)?)?;
    let tree_hash = Hash::from_slice(take(record, Hash::LEN)?)?;
    for _ in 0..take_length(record)? {
        let space = RuleId::from_slice(take(record, RuleId::LEN)?)?;
        let key_len = take_length(record)?;
        let key = take(record, key_len)?;
        let value = match take(record, 1)? {
            [0] => None,
            [1] => {
                let value_len = take_length(record)?;
                Some(take(record, value_len)?)
            }
            _ => return None,
        };
        found(space, key, value);
    }
    Some(Position { length: index, state_root, tree_hash })
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Writes a length; what is stored is far below 4 GiB.
pub(super) fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length = take(bytes, LENGTH_BYTES)?;
    usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn undo() -> impl Strategy<Value = Vec<Undo>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let write = (any::<[u8; 32]>().prop_map(RuleId::new), bytes(), prop::option::of(bytes()));
        let step = (any::<[u8; 32]>(), any::<[u8; 32]>(), prop::collection::vec(write, 0..4));
        prop::collection::vec(step, 0..6).prop_map(|steps| {
            let step = |(at, (root, tree, writes)): (usize, ([u8; 32], [u8; 32], _))| Undo {
                before: Position {
                    length: 7 + at as u64,
                    state_root: StateRoot::new(root),
                    tree_hash: Hash::new(tree),
                },
                writes,
            };
            steps.into_iter().enumerate().map(step).collect()
        })
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(steps in undo()) {
            let mut record = Vec::new();
            for step in &steps {
                encode(step, &mut record);
            }
            for end in 0..record.len() {
                // A record that was cut is damaged, or ends with a whole step.
                let cut = decode(7, &record[..end]);
                prop_assert!(cut.is_none_or(|cut| cut == steps[..cut.len()]));
            }
            for (length, step) in (7..).zip(&steps) {
                prop_assert_eq!(position_at(7, &record, length), Some(step.before));
            }
            prop_assert_eq!(position_at(7, &record, 7 + steps.len() as u64), None);
            prop_assert_eq!(decode(7, &record), Some(steps));
        }

        #[test]
        fn no_record_panics(record in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(u64::MAX, &record);
            let _ = position_at(u64::MAX - 3, &record, u64::MAX);
        }
    }
}
