//! Signatures that were met before, for the simulator: in one run every node verifies the same ones.
//!
//! Test-only. Nothing is remembered outside of [`remembering`], and what is remembered is what the key said.

use std::cell::RefCell;
use std::collections::HashMap;

use blake2b_simd::Params;
use quorate_types::{PublicKey, Signature};

use crate::key::{KeyError, VoteKey};

#[derive(Default)]
struct Memory {
    verified: HashMap<[u8; 32], bool>,
    signed: HashMap<[u8; 32], Signature>,
    keys: HashMap<PublicKey, Result<VoteKey, KeyError>>,
}

thread_local! {
    static MEMORY: RefCell<Option<Memory>> = const { RefCell::new(None) };
}

/// Runs something in whose course this thread does not verify, make or admit the same thing twice.
pub fn remembering<T>(run: impl FnOnce() -> T) -> T {
    MEMORY.set(Some(Memory::default()));
    let result = run();
    MEMORY.set(None);
    result
}

pub(crate) fn verified(
    key: &PublicKey,
    bytes: &[u8],
    signature: &Signature,
    verify: impl FnOnce() -> bool,
) -> bool {
    once(|memory| &mut memory.verified, || digest(&[key.as_ref(), signature.as_ref(), bytes]), verify)
}

pub(crate) fn signed(key: &PublicKey, bytes: &[u8], sign: impl FnOnce() -> Signature) -> Signature {
    once(|memory| &mut memory.signed, || digest(&[key.as_ref(), bytes]), sign)
}

pub(crate) fn admitted(
    key: &PublicKey,
    read: impl FnOnce() -> Result<VoteKey, KeyError>,
) -> Result<VoteKey, KeyError> {
    once(|memory| &mut memory.keys, || *key, read)
}

fn once<K: Eq + std::hash::Hash, T: Clone>(
    of: impl Fn(&mut Memory) -> &mut HashMap<K, T>,
    key: impl FnOnce() -> K,
    make: impl FnOnce() -> T,
) -> T {
    if MEMORY.with_borrow(Option::is_none) {
        return make();
    }
    let key = key();
    let known =
        MEMORY.with_borrow_mut(|memory| memory.as_mut().and_then(|memory| of(memory).get(&key).cloned()));
    known.unwrap_or_else(|| {
        let made = make();
        MEMORY.with_borrow_mut(|memory| memory.as_mut().map(|memory| of(memory).insert(key, made.clone())));
        made
    })
}

/// The parts before the last have fixed lengths.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Params::new().hash_length(32).to_state();
    parts.iter().for_each(|part| {
        state.update(part);
    });
    let mut digest = [0; 32];
    digest.copy_from_slice(state.finalize().as_bytes());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Signer;

    #[test]
    fn what_is_remembered_is_what_was_found() {
        let (one, two) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
        let key = VoteKey::new(one.public()).unwrap();
        remembering(|| {
            for _ in 0..2 {
                let signature = one.sign(b"yes");
                assert_eq!(VoteKey::new(one.public()).unwrap(), key);
                assert_eq!(key.verify(b"yes", &signature), Ok(()));
                assert!(key.verify(b"no", &signature).is_err());
                assert!(key.verify(b"yes", &two.sign(b"yes")).is_err());
                assert!(VoteKey::new(PublicKey::new([2; 32])).is_err());
            }
            let found = MEMORY.with_borrow(|memory| {
                memory.as_ref().map(|memory| (memory.verified.len(), memory.signed.len(), memory.keys.len()))
            });
            assert_eq!(found, Some((3, 2, 2)));
        });
        assert!(MEMORY.with_borrow(Option::is_none));
        assert_eq!(one.sign(b"yes"), remembering(|| one.sign(b"yes")));
    }
}
