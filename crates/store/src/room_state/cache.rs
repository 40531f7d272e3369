//! Values of hot keys in memory.

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;
use quorate_types::RuleId;
use smallvec::SmallVec;

/// What a kept key costs besides its bytes and those of its value, where these are not in it: the table's slots.
const ENTRY_BYTES: usize = 160;

/// Key; those that most rules use stand in the table itself, where they are found without another look at memory.
pub(super) type Key = SmallVec<[u8; 36]>;

/// Value, if there is one; short ones stand in the table.
pub(super) type Value = Option<SmallVec<[u8; 24]>>;

/// Values of a namespace by key. Strangers choose the keys, so the hash has a secret.
pub(super) type Values = HashMap<Key, Value, RandomState>;

/// Takes a value in.
pub(super) fn kept(value: Option<&[u8]>) -> Value {
    value.map(SmallVec::from_slice)
}

/// Copies a value out.
pub(super) fn copy(value: &Value) -> Option<Vec<u8>> {
    value.as_ref().map(|value| value.to_vec())
}

/// Values by namespace and key, absent ones included; bounded.
///
/// Two generations: when the young one is full it becomes the old one, and the old one is dropped. What is
/// read in the old one moves to the young one, so that a key which is read again and again stays.
#[derive(Debug)]
pub(super) struct Cache {
    young: Generation,
    old: Generation,
    /// Bytes of one generation.
    limit: usize,
}

#[derive(Debug, Default)]
struct Generation {
    /// There are few namespaces, and comparing them is faster than hashing.
    spaces: BTreeMap<RuleId, Values>,
    bytes: usize,
}

impl Cache {
    /// Makes a cache that takes at most about `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), limit: limit / 2 }
    }

    /// Looks a key up: `None` when nothing is known of it.
    pub(super) fn get(&mut self, space: &RuleId, key: &[u8]) -> Option<Value> {
        if let Some(value) = self.young.get(space, key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.take(space, key)?;
        self.put(space, key, value.clone());
        Some(value)
    }

    /// Keeps what is known of a key.
    pub(super) fn put(&mut self, space: &RuleId, key: Key, value: Value) {
        if self.young.bytes.saturating_add(cost(&key, &value)) > self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        if !self.old.spaces.is_empty() {
            self.old.take(space, &key);
        }
        self.young.put(space, key, value);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young = Generation::default();
        self.old = Generation::default();
    }
}

impl Generation {
    fn get(&self, space: &RuleId, key: &[u8]) -> Option<&Value> {
        self.spaces.get(space)?.get(key)
    }

    fn take(&mut self, space: &RuleId, key: &[u8]) -> Option<(Key, Value)> {
        let (key, value) = self.spaces.get_mut(space)?.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(cost(&key, &value));
        Some((key, value))
    }

    fn put(&mut self, space: &RuleId, key: Key, value: Value) {
        self.bytes = self.bytes.saturating_add(cost(&key, &value));
        let freed = key.len();
        let keys = self.spaces.entry(*space).or_default();
        if let Some(before) = keys.insert(key, value) {
            self.bytes =
                self.bytes.saturating_sub(freed + ENTRY_BYTES + before.map_or(0, |value| value.len()));
        }
    }
}

fn cost(key: &[u8], value: &Value) -> usize {
    ENTRY_BYTES + key.len() + value.as_ref().map_or(0, SmallVec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: RuleId = RuleId::new([1; 32]);

    fn key(bytes: &[u8]) -> Key {
        Key::from_slice(bytes)
    }

    fn value(bytes: &[u8]) -> Value {
        Some(SmallVec::from_slice(bytes))
    }

    #[test]
    fn values_and_absences_are_kept() {
        let mut cache = Cache::new(1 << 20);
        assert_eq!(cache.get(&SPACE, b"a"), None);
        cache.put(&SPACE, key(b"a"), value(b"1"));
        cache.put(&SPACE, key(b"b"), None);
        assert_eq!(cache.get(&SPACE, b"a"), Some(value(b"1")));
        assert_eq!(cache.get(&SPACE, b"b"), Some(None));
        assert_eq!(cache.get(&RuleId::new([2; 32]), b"a"), None);
        cache.clear();
        assert_eq!(cache.get(&SPACE, b"a"), None);
    }

    #[test]
    fn the_bytes_stay_within_the_limit_and_what_is_read_stays() {
        let mut cache = Cache::new(100_000);
        cache.put(&SPACE, key(b"hot"), value(b"1"));
        for i in 0..10_000_u32 {
            cache.put(&SPACE, key(&i.to_be_bytes()), value(&vec![0; (i % 50) as usize]));
            assert_eq!(cache.get(&SPACE, b"hot"), Some(value(b"1")), "after {i}");
            assert!(cache.young.bytes + cache.old.bytes <= 100_000);
        }
        assert_eq!(cache.get(&SPACE, &0_u32.to_be_bytes()), None);
        assert!(cache.get(&SPACE, &9_999_u32.to_be_bytes()).is_some());
    }

    #[test]
    fn a_new_value_hides_the_old_one() {
        let mut cache = Cache::new(1000);
        for i in 0..100_u8 {
            cache.put(&SPACE, key(b"key"), value(&[i; 20]));
            cache.put(&SPACE, key(&[i]), None);
            assert_eq!(cache.get(&SPACE, b"key"), Some(value(&[i; 20])));
        }
        let spaces = [&cache.young, &cache.old];
        let counted: usize =
            spaces.iter().flat_map(|g| g.spaces.values()).flatten().map(|(k, v)| cost(k, v)).sum();
        assert_eq!(counted, cache.young.bytes + cache.old.bytes);
    }
}
