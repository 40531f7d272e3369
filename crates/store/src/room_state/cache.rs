//! Values of hot keys in memory.

use std::collections::{BTreeMap, HashMap};

use quorate_types::RuleId;

/// What a kept key costs besides its bytes and those of its value: the two allocations and the table's slots.
const ENTRY_BYTES: usize = 112;

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
    spaces: BTreeMap<RuleId, HashMap<Vec<u8>, Option<Vec<u8>>>>,
    bytes: usize,
}

impl Cache {
    /// Makes a cache that takes at most about `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), limit: limit / 2 }
    }

    /// Looks a key up: `None` when nothing is known of it.
    pub(super) fn get(&mut self, space: &RuleId, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.young.get(space, key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.take(space, key)?;
        self.put(space, key, value.clone());
        Some(value)
    }

    /// Keeps what is known of a key.
    pub(super) fn put(&mut self, space: &RuleId, key: Vec<u8>, value: Option<Vec<u8>>) {
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
    fn get(&self, space: &RuleId, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.spaces.get(space)?.get(key)
    }

    fn take(&mut self, space: &RuleId, key: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (key, value) = self.spaces.get_mut(space)?.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(cost(&key, &value));
        Some((key, value))
    }

    fn put(&mut self, space: &RuleId, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes = self.bytes.saturating_add(cost(&key, &value));
        let freed = key.len();
        let keys = self.spaces.entry(*space).or_default();
        if let Some(before) = keys.insert(key, value) {
            self.bytes =
                self.bytes.saturating_sub(freed + ENTRY_BYTES + before.map_or(0, |value| value.len()));
        }
    }
}

fn cost(key: &[u8], value: &Option<Vec<u8>>) -> usize {
    ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: RuleId = RuleId::new([1; 32]);

    #[test]
    fn values_and_absences_are_kept() {
        let mut cache = Cache::new(1 << 20);
        assert_eq!(cache.get(&SPACE, b"a"), None);
        cache.put(&SPACE, b"a".to_vec(), Some(b"1".to_vec()));
        cache.put(&SPACE, b"b".to_vec(), None);
        assert_eq!(cache.get(&SPACE, b"a"), Some(Some(b"1".to_vec())));
        assert_eq!(cache.get(&SPACE, b"b"), Some(None));
        assert_eq!(cache.get(&RuleId::new([2; 32]), b"a"), None);
        cache.clear();
        assert_eq!(cache.get(&SPACE, b"a"), None);
    }

    #[test]
    fn the_bytes_stay_within_the_limit_and_what_is_read_stays() {
        let mut cache = Cache::new(100_000);
        cache.put(&SPACE, b"hot".to_vec(), Some(b"1".to_vec()));
        for i in 0..10_000_u32 {
            cache.put(&SPACE, i.to_be_bytes().to_vec(), Some(vec![0; (i % 50) as usize]));
            assert_eq!(cache.get(&SPACE, b"hot"), Some(Some(b"1".to_vec())), "after {i}");
            assert!(cache.young.bytes + cache.old.bytes <= 100_000);
        }
        assert_eq!(cache.get(&SPACE, &0_u32.to_be_bytes()), None);
        assert!(cache.get(&SPACE, &9_999_u32.to_be_bytes()).is_some());
    }

    #[test]
    fn a_new_value_hides_the_old_one() {
        let mut cache = Cache::new(1000);
        for i in 0..100_u8 {
            cache.put(&SPACE, b"key".to_vec(), Some(vec![i; 20]));
            cache.put(&SPACE, vec![i], None);
            assert_eq!(cache.get(&SPACE, b"key"), Some(Some(vec![i; 20])));
        }
        let spaces = [&cache.young, &cache.old];
        let counted: usize =
            spaces.iter().flat_map(|g| g.spaces.values()).flatten().map(|(k, v)| cost(k, v)).sum();
        assert_eq!(counted, cache.young.bytes + cache.old.bytes);
    }
}
