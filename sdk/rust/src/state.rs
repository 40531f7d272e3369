//! The rule's own state. It changes only when the entry is accepted, by every rule of the room.
//!
//! The module needs the marker: `rule! { ..., needs: [state] }`.

use crate::buffer::{buffer, filled};
use crate::bytes::{Hash, Key};
use crate::host;

/// Longest key, in bytes.
const KEY_BYTES: usize = 256;

/// Bytes that [`get`] tries with first.
const FIRST_TRY: usize = 512;

/// Returns the value of a key, at most 64 KiB; `None` when there is none.
pub fn get(key: impl AsRef<[u8]>) -> Option<&'static [u8]> {
    let key = key.as_ref();
    filled(FIRST_TRY, |out| host::state_get(key, out))
}

/// Tells whether a key has a value.
pub fn has(key: impl AsRef<[u8]>) -> bool {
    host::state_get(key.as_ref(), &mut []) >= 0
}

/// Puts a value, at most 64 KiB.
pub fn set(key: impl AsRef<[u8]>, value: &[u8]) {
    host::state_set(key.as_ref(), value);
}

/// Takes a value away, if there is one.
pub fn del(key: impl AsRef<[u8]>) {
    host::state_del(key.as_ref());
}

/// Returns the number that [`set_number`] has put, or 0.
///
/// Panics when there is a value that is no number.
pub fn number(key: impl AsRef<[u8]>) -> u64 {
    let mut bytes = [0; 8];
    match host::state_get(key.as_ref(), &mut bytes) {
        8 => u64::from_le_bytes(bytes),
        size if size < 0 => 0,
        _ => panic!("a value that is no number"),
    }
}

/// Puts a number, as 8 little-endian bytes.
pub fn set_number(key: impl AsRef<[u8]>, value: u64) {
    host::state_set(key.as_ref(), &value.to_le_bytes());
}

/// A key of the state, put together of parts: `slot("balance/").key(author)`. `&slot` is what the functions here take
/// where it is used again.
///
/// Panics, and so traps, above 256 bytes.
#[derive(Debug)]
pub struct Slot {
    bytes: &'static mut [u8],
    size: usize,
}

/// Begins a key of the state with a word.
pub fn slot(word: &str) -> Slot {
    Slot { bytes: buffer(KEY_BYTES), size: 0 }.bytes(word.as_bytes())
}

impl Slot {
    /// Appends a word.
    #[must_use]
    pub fn word(self, word: &str) -> Self {
        self.bytes(word.as_bytes())
    }

    /// Appends the 32 bytes of a key.
    #[must_use]
    pub fn key(self, key: Key) -> Self {
        self.bytes(&key.0)
    }

    /// Appends the 32 bytes of a hash.
    #[must_use]
    pub fn hash(self, hash: Hash) -> Self {
        self.bytes(&hash.0)
    }

    /// Appends a number as 8 bytes, so that keys sort as the numbers do.
    #[must_use]
    pub fn number(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let end = self.size + bytes.len();
        self.bytes[self.size..end].copy_from_slice(bytes);
        self.size = end;
        self
    }
}

impl AsRef<[u8]> for Slot {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_its_parts() {
        let slot = slot("a").word("/").number(258).key(Key([7; 32])).hash(Hash([9; 32])).bytes(&[1, 2]);
        let expected = [&b"a/"[..], &[0, 0, 0, 0, 0, 0, 1, 2], &[7; 32], &[9; 32], &[1, 2]].concat();
        assert_eq!(slot.as_ref(), expected);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_slot_has_256_bytes_at_most() {
        let full = slot("").bytes(&[0; 256]);
        assert_eq!(full.as_ref().len(), 256);
        let _ = full.word("x");
    }
}
