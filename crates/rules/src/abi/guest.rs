//! The rule's memory and gas, as a host call sees them.

use std::ops::Range;

/// What a host call may touch of a rule.
#[derive(Debug)]
pub struct Guest<'a> {
    /// The whole memory.
    pub memory: &'a mut [u8],
    /// Gas that is left. Below zero it is used up.
    pub gas: &'a mut i64,
}

impl Guest<'_> {
    /// Takes gas; false when it is used up.
    #[must_use]
    pub(super) fn pay(&mut self, gas: u64) -> bool {
        *self.gas = self.gas.saturating_sub(i64::try_from(gas).unwrap_or(i64::MAX));
        *self.gas >= 0
    }

    /// Returns the range of a pointer and a length, which are unsigned; `None` when it is not in the memory.
    pub(super) fn range(&self, pointer: i32, length: i32) -> Option<Range<usize>> {
        let start = usize::try_from(pointer.cast_unsigned()).ok()?;
        let end = start.checked_add(usize::try_from(length.cast_unsigned()).ok()?)?;
        (end <= self.memory.len()).then_some(start..end)
    }

    /// Returns the bytes of a range that [`range`](Self::range) gave; a memory never shrinks.
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.memory.get(range.clone()).unwrap_or_default()
    }

    /// Writes as much of the bytes as the range takes, and returns how much.
    pub(super) fn write(&mut self, range: &Range<usize>, bytes: &[u8]) -> usize {
        let len = bytes.len().min(range.len());
        let place = range.start..range.start.saturating_add(len);
        match (self.memory.get_mut(place), bytes.get(..len)) {
            (Some(place), Some(bytes)) => {
                place.copy_from_slice(bytes);
                len
            }
            _ => 0,
        }
    }
}
