//! State root: a hash chain over the writes of every entry.

use quorate_types::StateRoot;

use super::WriteSet;

const DOMAIN: &[u8] = b"quorate state root 1";

/// What is collected before it is hashed, about, bytes.
const PIECE_BYTES: usize = 1024;

/// Computes the root after an entry. One that writes nothing changes the root as well.
///
/// ```text
/// b2b256("quorate state root 1" | root before | u64le index | u32le number of writes |
///        each write, in order: namespace 32 | u32le length | key | u8 1 | u32le length | value,
///                              or u8 0 where the key is removed)
/// ```
///
/// Keys and values are within [`limits`](crate::limits), so lengths fit.
pub fn state_root(before: &StateRoot, index: u64, writes: &WriteSet) -> StateRoot {
    let mut state = blake2b_simd::Params::new().hash_length(StateRoot::LEN).to_state();
    // Hashed in few pieces: each takes as long as a short write.
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    for part in [DOMAIN, before.as_bytes(), &index.to_le_bytes(), &length(writes.len())] {
        bytes.extend_from_slice(part);
    }
    for ((space, key), value) in writes {
        bytes.extend_from_slice(space.as_bytes());
        bytes.extend_from_slice(&length(key.len()));
        bytes.extend_from_slice(key);
        match value {
            Some(value) => {
                bytes.push(1);
                bytes.extend_from_slice(&length(value.len()));
                bytes.extend_from_slice(value);
            }
            None => bytes.push(0),
        }
        if bytes.len() >= PIECE_BYTES / 2 {
            state.update(&bytes);
            bytes.clear();
        }
    }
    state.update(&bytes);
    StateRoot::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::RuleId;

    #[test]
    fn the_root_is_the_hash_of_the_layout() {
        let before = StateRoot::new([7; 32]);
        let writes = WriteSet::from([
            ((RuleId::new([2; 32]), b"b".to_vec()), None),
            ((RuleId::new([1; 32]), b"key".to_vec()), Some(b"value".to_vec())),
        ]);
        let mut bytes = b"quorate state root 1".to_vec();
        bytes.extend([7; 32]);
        bytes.extend([5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        bytes.extend([1; 32]);
        bytes.extend(b"\x03\0\0\0key\x01\x05\0\0\0value");
        bytes.extend([2; 32]);
        bytes.extend(b"\x01\0\0\0b\0");
        let expected = blake2b_simd::Params::new().hash_length(32).hash(&bytes);
        assert_eq!(state_root(&before, 5, &writes).as_bytes(), expected.as_bytes());
    }

    #[test]
    fn every_index_changes_the_root() {
        let start = StateRoot::new([0; 32]);
        let none = WriteSet::new();
        let first = state_root(&start, 0, &none);
        assert_ne!(first, start);
        assert_ne!(state_root(&start, 1, &none), first);
    }
}
