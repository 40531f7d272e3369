//! Host calls that hash, and the one that verifies signatures.

use std::ops::Range;

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::gas;
use super::guest::Guest;
use super::session::{Session, Stopped};

const DIGEST_BYTES: i32 = 32;
const KEY_BYTES: i32 = 32;
const SIGNATURE_BYTES: i32 = 64;

impl Session {
    /// `blake2b_256(pointer, length, out)`: unkeyed BLAKE2b with 32 bytes.
    ///
    /// # Errors
    ///
    /// Gas or bounds.
    pub fn blake2b_256(
        &mut self,
        guest: &mut Guest<'_>,
        pointer: i32,
        length: i32,
        out: i32,
    ) -> Result<(), Stopped> {
        let (range, out) = self.hashed("blake2b_256", guest, (pointer, length, out), gas::BLAKE2B_BYTE)?;
        let digest = blake2b_simd::Params::new().hash_length(32).hash(guest.bytes(&range));
        guest.write(&out, digest.as_bytes());
        Ok(())
    }

    /// `sha256(pointer, length, out)`.
    ///
    /// # Errors
    ///
    /// Gas or bounds.
    pub fn sha256(
        &mut self,
        guest: &mut Guest<'_>,
        pointer: i32,
        length: i32,
        out: i32,
    ) -> Result<(), Stopped> {
        let (range, out) = self.hashed("sha256", guest, (pointer, length, out), gas::SHA2_BYTE)?;
        let digest = Sha256::digest(guest.bytes(&range));
        guest.write(&out, &digest);
        Ok(())
    }

    /// `ed25519_verify(key, message, length, signature) -> i32`: 1 when the signature is valid in the strict sense,
    /// else 0.
    ///
    /// # Errors
    ///
    /// Gas or bounds.
    pub fn ed25519_verify(
        &mut self,
        guest: &mut Guest<'_>,
        key: i32,
        message: i32,
        length: i32,
        signature: i32,
    ) -> Result<i32, Stopped> {
        let name = "ed25519_verify";
        let key = self.range(name, guest, key, KEY_BYTES)?;
        let message = self.range(name, guest, message, length)?;
        let signature = self.range(name, guest, signature, SIGNATURE_BYTES)?;
        self.pay(guest, gas::ED25519_VERIFY, gas::SHA2_BYTE, message.len())?;
        let key = guest.bytes(&key).first_chunk().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let signature = guest.bytes(&signature).first_chunk().map(Signature::from_bytes);
        let (Some(key), Some(signature)) = (key, signature) else { return Ok(0) };
        Ok(key.verify_strict(guest.bytes(&message), &signature).is_ok().into())
    }

    fn hashed(
        &mut self,
        name: &str,
        guest: &mut Guest<'_>,
        (pointer, length, out): (i32, i32, i32),
        byte: u64,
    ) -> Result<(Range<usize>, Range<usize>), Stopped> {
        let range = self.range(name, guest, pointer, length)?;
        let out = self.range(name, guest, out, DIGEST_BYTES)?;
        self.pay(guest, gas::HASH, byte, range.len())?;
        Ok((range, out))
    }

    /// Returns a range in the memory.
    pub(super) fn range(
        &mut self,
        name: &str,
        guest: &Guest<'_>,
        pointer: i32,
        length: i32,
    ) -> Result<Range<usize>, Stopped> {
        guest.range(pointer, length).ok_or_else(|| self.out_of_bounds(name, guest, pointer, length))
    }

    /// Takes gas, some for the call and some for each byte. The meter's global says when it is used up.
    pub(super) fn pay(
        &mut self,
        guest: &mut Guest<'_>,
        call: u64,
        byte: u64,
        bytes: usize,
    ) -> Result<(), Stopped> {
        if guest.pay(call.saturating_add(byte.saturating_mul(bytes as u64))) { Ok(()) } else { Err(Stopped) }
    }
}
