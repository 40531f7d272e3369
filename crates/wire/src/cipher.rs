//! XSalsa20, the one cipher of both wires: a continuous stream in each direction.

use std::fmt;

use quorate_types::NoiseNonce;

use crate::xsalsa20::XSalsa20;

/// One direction of a connection. Applying it encrypts on one side and decrypts on the other, and
/// every byte must pass through it exactly once.
pub(crate) struct Cipher(XSalsa20);

impl Cipher {
    /// Starts a stream.
    pub(crate) fn new(key: &[u8; 32], nonce: &NoiseNonce) -> Self {
        Self(XSalsa20::new(key, nonce.as_bytes()))
    }

    /// Encrypts or decrypts the next bytes of the stream in place.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply(bytes);
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
