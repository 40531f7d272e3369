//! Undo records: what some steps of a batch found, so that it can be put back.
//!
//! ```text
//! record = step*
//! step   = state root before 32 | tree hash before 32 | u32 number of writes | write*
//! write  = u8 2 * namespace + held | namespace 32, if it is 2 | u32 length | key | u32 length | value, if held is 1
//! namespace
//!        = 0 the room's own
//!        | 1 that of the last write before in the record which is not the room's
//!        | 2 another one
//! held   = 0 the key was not there
//!        | 1 the key held the value
//! ```
//!
//! A record is kept under the index of its first entry. Numbers are big-endian.

use quorate_rules::state::{Position, ROOM_SPACE};
use quorate_types::{Hash, RuleId, StateRoot};

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undo {
    /// Where the state stood.
    pub(super) before: Position,
    /// Keys with what they held, in the order of the writes.
    pub(super) writes: Vec<(RuleId, Vec<u8>, Option<Vec<u8>>)>,
}

/// A record that is being written.
#[derive(Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    /// Namespace of the last write that is not the room's.
    space: Option<RuleId>,
}

impl Record {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), space: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a step: where the state stood, and how many writes follow.
    pub(super) fn begin_step(&mut self, before: &Position, writes: usize) {
        self.bytes.extend_from_slice(before.state_root.as_bytes());
        self.bytes.extend_from_slice(before.tree_hash.as_bytes());
        self.bytes.extend_from_slice(&length(writes));
    }

    /// Appends what one write of the step found.
    pub(super) fn put_write(&mut self, space: &RuleId, key: &[u8], value: Option<&[u8]>) {
        let held = u8::from(value.is_some());
        if *space == ROOM_SPACE {
            self.bytes.push(held);
        } else if self.space.as_ref() == Some(space) {
            self.bytes.push(2 + held);
        } else {
            self.space = Some(*space);
            self.bytes.push(4 + held);
            self.bytes.extend_from_slice(space.as_bytes());
        }
        self.bytes.extend_from_slice(&length(key.len()));
        self.bytes.extend_from_slice(key);
        if let Some(value) = value {
            self.bytes.extend_from_slice(&length(value.len()));
            self.bytes.extend_from_slice(value);
        }
    }
}

/// Writes steps into a record.
pub(super) fn encode(steps: &[Undo]) -> Vec<u8> {
    let mut record = Record::default();
    for undo in steps {
        record.begin_step(&undo.before, undo.writes.len());
        for (space, key, value) in &undo.writes {
            record.put_write(space, key, value.as_deref());
        }
    }
    record.bytes
}

/// Reads a record whose first entry is `first`; `None` when it is damaged.
pub(super) fn decode(first: u64, record: &[u8]) -> Option<Vec<Undo>> {
    let mut steps = Vec::new();
    let mut reader = Reader { left: record, space: None };
    while !reader.left.is_empty() {
        let index = first.checked_add(steps.len() as u64)?;
        let mut writes = Vec::new();
        let before = reader.step(index, |space, key, value| {
            writes.push((space, key.to_vec(), value.map(<[u8]>::to_vec)));
        })?;
        steps.push(Undo { before, writes });
    }
    Some(steps)
}

/// Reads from a record whose first entry is `first` where the state stood before the step from `length`; `None` when the
/// record is damaged so far, or ends before.
pub(super) fn position_at(first: u64, record: &[u8], length: u64) -> Option<Position> {
    let mut reader = Reader { left: record, space: None };
    for index in first..length {
        reader.step(index, |_, _, _| ())?;
    }
    reader.step(length, |_, _, _| ())
}

/// Reads a record from its start.
struct Reader<'a> {
    left: &'a [u8],
    /// Namespace of the last write that is not the room's.
    space: Option<RuleId>,
}

impl<'a> Reader<'a> {
    /// Reads where the state stood before the step from `index`, and hands over what its writes found.
    fn step(
        &mut self,
        index: u64,
        mut found: impl FnMut(RuleId, &'a [u8], Option<&'a [u8]>),
    ) -> Option<Position> {
        let state_root = StateRoot::from_slice(self.take(StateRoot::LEN)?)?;
        let tree_hash = Hash::from_slice(self.take(Hash::LEN)?)?;
        for _ in 0..self.length()? {
            let form = *self.take(1)?.first()?;
            let space = match form / 2 {
                0 => ROOM_SPACE,
                1 => self.space?,
                2 => {
                    let space = RuleId::from_slice(self.take(RuleId::LEN)?)?;
                    *self.space.insert(space)
                }
                _ => return None,
            };
            let key = self.bytes()?;
            let value = if form % 2 == 1 { Some(self.bytes()?) } else { None };
            found(space, key, value);
        }
        Some(Position { length: index, state_root, tree_hash })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.take(LENGTH_BYTES)?.try_into().ok()?)).ok()
    }

    /// Reads bytes behind their length.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.length()?;
        self.take(count)
    }
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Writes a length; what is stored is far below 4 GiB.
pub(super) fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn undo() -> impl Strategy<Value = Vec<Undo>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let space = prop_oneof![Just([0; 32]), Just([1; 32]), Just([2; 32]), any::<[u8; 32]>()];
        let write = (space.prop_map(RuleId::new), bytes(), prop::option::of(bytes()));
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
            let record = encode(&steps);
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
