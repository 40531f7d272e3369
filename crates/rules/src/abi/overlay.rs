//! Writes of a call, which nobody but the call sees until it is accepted.

use std::collections::BTreeMap;

use super::host::Usage;
use crate::limits::{MAX_STATE_BYTES, MAX_STATE_KEYS};
use crate::verdict::Write;

/// Writes of one call over the state before it.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What the state holds with the writes; not known before the first.
    usage: Option<Usage>,
}

/// The state would hold more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverQuota(pub(super) Usage);

impl Overlay {
    /// Returns what was written to a key: `None` when nothing was, `Some(None)` when it was removed.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(Option::as_deref)
    }

    /// Returns whether the host has been asked what the state holds.
    pub(super) const fn knows_usage(&self) -> bool {
        self.usage.is_some()
    }

    /// Takes what the state held before the call.
    pub(super) fn begin(&mut self, before: Usage) {
        self.usage.get_or_insert(before);
    }

    /// Writes a key that holds a value of `old_len` bytes, or none.
    pub(super) fn put(
        &mut self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        old_len: Option<usize>,
    ) -> Result<(), OverQuota> {
        let before = self.usage.unwrap_or_default();
        let (old_bytes, old_keys) = size(key.len(), old_len);
        let (new_bytes, new_keys) = size(key.len(), value.as_ref().map(Vec::len));
        let after = Usage {
            bytes: before.bytes.saturating_sub(old_bytes).saturating_add(new_bytes),
            keys: before.keys.saturating_sub(old_keys).saturating_add(new_keys),
        };
        // A state that is full can still shrink.
        if (after.bytes > MAX_STATE_BYTES && after.bytes > before.bytes)
            || (after.keys > MAX_STATE_KEYS && after.keys > before.keys)
        {
            return Err(OverQuota(after));
        }
        self.usage = Some(after);
        self.writes.insert(key, value);
        Ok(())
    }

    /// Returns the writes by key, and what the state holds with them.
    pub(super) fn finish(self) -> (Vec<Write>, Option<Usage>) {
        let usage = self.usage.filter(|_| !self.writes.is_empty());
        (self.writes.into_iter().collect(), usage)
    }
}

fn size(key_len: usize, value_len: Option<usize>) -> (u64, u64) {
    value_len.map_or((0, 0), |value_len| (key_len.saturating_add(value_len) as u64, 1))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    type State = BTreeMap<Vec<u8>, Vec<u8>>;

    fn usage(state: &State) -> Usage {
        let bytes = state.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        Usage { bytes, keys: state.len() as u64 }
    }

    proptest! {
        #[test]
        fn the_state_with_the_overlay_is_the_state_written_at_once(
            before in btree_map(vec(0..3_u8, 0..3), vec(any::<u8>(), 0..5), 0..8),
            writes in vec((vec(0..3_u8, 0..3), option::of(vec(any::<u8>(), 0..5))), 0..12),
        ) {
            let mut model: State = before.clone();
            let mut overlay = Overlay::default();
            overlay.begin(usage(&before));
            for (key, value) in writes {
                let seen = overlay.get(&key).unwrap_or(before.get(&key).map(Vec::as_slice));
                prop_assert_eq!(seen, model.get(&key).map(Vec::as_slice));
                let old_len = seen.map(<[u8]>::len);
                overlay.put(key.clone(), value.clone(), old_len).unwrap();
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            let (writes, after) = overlay.finish();
            prop_assert!(writes.is_sorted_by(|one, next| one.0 < next.0));
            prop_assert_eq!(after, (!writes.is_empty()).then(|| usage(&model)));
            let mut state = before;
            for (key, value) in writes {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
            prop_assert_eq!(state, model);
        }
    }

    #[test]
    fn a_full_state_can_shrink_and_not_grow() {
        let full = Usage { bytes: MAX_STATE_BYTES, keys: MAX_STATE_KEYS };
        let mut overlay = Overlay::default();
        overlay.begin(full);
        assert!(overlay.put(b"new".to_vec(), Some(vec![]), None).is_err());
        assert!(overlay.put(b"old".to_vec(), Some(vec![0; 5]), Some(4)).is_err());
        assert_eq!(overlay.put(b"old".to_vec(), Some(vec![0; 4]), Some(4)), Ok(()));
        assert_eq!(overlay.put(b"old".to_vec(), None, Some(4)), Ok(()));
        assert_eq!(overlay.put(b"new".to_vec(), Some(vec![0; 4]), None), Ok(()));
        assert_eq!(overlay.finish().1, Some(full));
    }
}
