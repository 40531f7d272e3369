//! Hashes and signatures, computed by the room.

use crate::bytes::{Hash, Key};
use crate::host;

/// Returns the BLAKE2b hash of 32 bytes.
pub fn blake2b(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    host::blake2b_256(bytes, &mut out);
    Hash(out)
}

/// Returns the SHA-256 hash.
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    host::sha256(bytes, &mut out);
    Hash(out)
}

/// Tells whether an Ed25519 signature is valid, strictly: no small-order keys, no malleable form.
pub fn verify(key: Key, message: &[u8], signature: &[u8; 64]) -> bool {
    host::ed25519_verify(&key.0, message, signature) == 1
}
