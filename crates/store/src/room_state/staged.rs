//! Steps that wait for a commit.

use std::collections::BTreeMap;

use quorate_rules::state::{Position, Step};
use quorate_types::RuleId;

use super::cache::{Key, Value, Values};
use super::undo::Record;

/// Bytes after which another undo record begins: together with what the database adds they fit a page of
/// 64 KiB, which is zeroed and written whole, and little is read for one step.
pub(super) const RECORD_BYTES: usize = 60 << 10;

/// Room for the last step of a record, bytes.
const RECORD_SLACK: usize = 2 << 10;

/// Keys of a namespace for which there is room between commits, at most: 96 bytes each.
const KEPT_KEYS: usize = 8192;

/// What steps wrote that are not committed, and how to take them back.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// There are few namespaces, and comparing them is faster than hashing.
    spaces: BTreeMap<RuleId, Values>,
    /// Undo records, each with its first entry.
    records: Vec<(u64, Record)>,
    steps: usize,
    bytes: usize,
}

impl Staged {
    /// Returns what was written to a key: `None` when nothing was, `Some(None)` when it was removed.
    pub(super) fn get(&self, space: &RuleId, key: &[u8]) -> Option<&Value> {
        self.spaces.get(space)?.get(key)
    }

    /// Adds a step before which the state stands at `before`. `found` are the values before it of those of its keys
    /// that have not been written yet, in the order of the writes.
    pub(super) fn add(&mut self, before: &Position, step: Step, found: Vec<Value>) {
        if self.records.last().is_none_or(|(_, record)| record.bytes().len() >= RECORD_BYTES) {
            self.records.push((step.index, Record::with_capacity(RECORD_BYTES + RECORD_SLACK)));
        }
        let Some((_, record)) = self.records.last_mut() else { return };
        record.begin_step(before, step.writes.len());
        let mut found = found.into_iter();
        for ((space, key), value) in step.writes {
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            let values = self.spaces.entry(space).or_default();
            let value = value.map(|value| value.as_slice().into());
            if let Some(old) = values.get_mut(key.as_slice()) {
                record.put_write(&space, &key, old.as_deref());
                *old = value;
            } else {
                record.put_write(&space, &key, found.next().flatten().as_deref());
                values.insert(Key::from_slice(&key), value);
            }
        }
        self.steps += 1;
    }

    /// Returns the steps.
    pub(super) const fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the bytes of all that was written, what is written over by now included.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the undo records, each with its first entry.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        self.records.iter().map(|(first, record)| (*first, record.bytes()))
    }

    /// Returns the last value of each key, in the order of namespaces and keys.
    pub(super) fn values(&self) -> impl Iterator<Item = (&RuleId, &[u8], Option<&[u8]>)> {
        self.spaces.iter().flat_map(|(space, values)| {
            let mut values: Vec<_> =
                values.iter().map(|(key, value)| (space, key.as_slice(), value.as_deref())).collect();
            values.sort_unstable_by_key(|(_, key, _)| *key);
            values
        })
    }

    /// Forgets the steps; what they wrote goes to `keep`. Tables of a usual size that were written to are kept.
    pub(super) fn clear(&mut self, mut keep: impl FnMut(&RuleId, Key, Value)) {
        (self.steps, self.bytes) = (0, 0);
        self.records.clear();
        self.spaces.retain(|_, values| !values.is_empty());
        for (space, values) in &mut self.spaces {
            values.drain().for_each(|(key, value)| keep(space, key, value));
            if values.capacity() > KEPT_KEYS {
                *values = Values::default();
            }
        }
    }
}
