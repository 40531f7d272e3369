//! What a room offers, from the room in miniature that runs on this thread.

pub(crate) use crate::testing::host::{
    blake2b_256, ed25519_verify, fail, get_block, log, sha256, state_del, state_get, state_set,
};
