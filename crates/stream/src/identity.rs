//! Who a room, its authors and its history are.

use quorate_types::{Hash, PublicKey, RoomId};

/// Computes the id of a room: BLAKE2b-256 over `quorate room`, the feed key of epoch 0, and the hash of block 0.
pub fn room_id(feed_key: &PublicKey, block_0: &[u8]) -> RoomId {
    let mut state = params().to_state();
    state.update(b"quorate room");
    state.update(feed_key.as_bytes());
    state.update(b2b256(block_0).as_bytes());
    RoomId::new(*digest(state.finalize()).as_bytes())
}

/// Computes the unkeyed BLAKE2b hash of 32 bytes.
pub fn b2b256(bytes: &[u8]) -> Hash {
    digest(params().hash(bytes))
}

fn params() -> blake2b_simd::Params {
    let mut params = blake2b_simd::Params::new();
    params.hash_length(Hash::LEN);
    params
}

fn digest(hash: blake2b_simd::Hash) -> Hash {
    Hash::from_slice(hash.as_bytes()).expect("the digest length is set to 32 bytes")
}
