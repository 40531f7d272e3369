//! What came before.

use std::collections::{BTreeSet, VecDeque};

use blake2b_simd::Params;
use quorate_types::Hash;

use super::limits::MAX_SEEN;

/// Hashes of messages, the newest of them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

impl Seen {
    pub(super) fn contains(&self, hash: &Hash) -> bool {
        self.hashes.contains(hash)
    }

    pub(super) fn insert(&mut self, hash: Hash) {
        if !self.hashes.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }
}

/// Hashes a message.
pub(super) fn hash(bytes: &[u8]) -> Hash {
    let mut params = Params::new();
    let hash = params.hash_length(Hash::LEN).hash(bytes);
    Hash::from_slice(hash.as_bytes()).expect("the digest length is set to 32 bytes")
}
