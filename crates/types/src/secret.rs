//! Secret keys: zeroed when dropped, never printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Ed25519 secret key as stock peers keep it: 32 bytes of seed, then the public key.
///
/// It has no `Display`, no `Serialize`, and its `Debug` prints no byte of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 64]);

/// Static X25519 secret key of a node on wire B2.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct NoiseSecretKey([u8; 32]);

impl SecretKey {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Wraps seed and public key as they are.
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Returns all 64 bytes, for writing the key file.
    pub const fn expose(&self) -> &[u8; 64] {
        &self.0
    }

    /// Returns the 32-byte seed, for signing.
    pub fn expose_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        for (to, from) in seed.iter_mut().zip(self.0.iter()) {
            *to = *from;
        }
        seed
    }
}

impl NoiseSecretKey {
    /// Wraps the key as it is.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the handshake and the key file.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Debug for NoiseSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoiseSecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte_of_a_key() {
        assert_eq!(format!("{:?}", SecretKey::new([9; 64])), "SecretKey(..)");
        assert_eq!(format!("{:?}", NoiseSecretKey::new([9; 32])), "NoiseSecretKey(..)");
    }
}
