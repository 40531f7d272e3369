//! Vote keys: who may hold one, signing and verifying.
//!
//! A vote key is never a feed key: Dat feeds sign 32 or 40 bytes that say nothing of what they are for.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use quorate_types::{PublicKey, SecretKey, Signature};
use zeroize::Zeroizing;

/// What a proof of possession signs before the key.
pub const POSSESSION_CONTEXT: &[u8] = b"quorate/1 vote key\0";

/// Why a key may not vote, or a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is no point of the curve.
    #[error("expected an Ed25519 public key, found 32 bytes that are no point of the curve: {key}")]
    NoPoint {
        /// The bytes.
        key: PublicKey,
    },
    /// The key is not the canonical encoding of its point, so that one key would have two names.
    #[error("expected the canonical encoding of an Ed25519 public key, found another: {key}")]
    NotCanonical {
        /// The bytes.
        key: PublicKey,
    },
    /// The key has a part of small order: others could sign for it, or it has siblings that verify alike.
    #[error("expected an Ed25519 public key without a part of small order, found {key}")]
    Torsion {
        /// The bytes.
        key: PublicKey,
    },
    /// The signature is not the key's over these bytes.
    #[error("expected a signature by {key}, found one that does not verify")]
    Signature {
        /// The key.
        key: PublicKey,
    },
    /// The two halves of a secret key do not belong together.
    #[error("expected a secret key that ends with its public key {key}, found another")]
    Torn {
        /// Public key that the seed gives.
        key: PublicKey,
    },
}

/// Public key that is fit to vote: on the curve, canonical, without a part of small order.
#[derive(Clone, Copy)]
pub struct VoteKey {
    public: PublicKey,
    key: VerifyingKey,
}

impl VoteKey {
    /// Reads a public key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for a key under which signatures could be anyone's, or that has several names.
    pub fn new(public: PublicKey) -> Result<Self, KeyError> {
        #[cfg(feature = "memo")]
        return crate::memo::admitted(&public, || Self::read(public));
        #[cfg(not(feature = "memo"))]
        Self::read(public)
    }

    fn read(public: PublicKey) -> Result<Self, KeyError> {
        let key =
            VerifyingKey::from_bytes(public.as_bytes()).map_err(|_| KeyError::NoPoint { key: public })?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != public.as_bytes() {
            return Err(KeyError::NotCanonical { key: public });
        }
        if key.is_weak() || !point.is_torsion_free() {
            return Err(KeyError::Torsion { key: public });
        }
        Ok(Self { public, key })
    }

    /// Admits a key whose holder proves to hold it: no key that was made out of other keys can be brought in.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for an unfit key, and for a proof that does not verify.
    pub fn admit(public: PublicKey, proof: &Signature) -> Result<Self, KeyError> {
        let key = Self::new(public)?;
        key.verify(&possession_bytes(&public), proof)?;
        Ok(key)
    }

    /// Returns the key's bytes.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Verifies as everyone must who decides by it: `verify_strict`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Signature`].
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), KeyError> {
        #[cfg(feature = "memo")]
        let holds = crate::memo::verified(&self.public, bytes, signature, || self.holds(bytes, signature));
        #[cfg(not(feature = "memo"))]
        let holds = self.holds(bytes, signature);
        if holds { Ok(()) } else { Err(KeyError::Signature { key: self.public }) }
    }

    fn holds(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.key.verify_strict(bytes, &signature).is_ok()
    }
}

impl PartialEq for VoteKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for VoteKey {}

impl fmt::Debug for VoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoteKey({})", self.public)
    }
}

/// Key pair that signs statements: a validator's vote key, or the identity of a host.
///
/// Its memory is cleared when it is dropped, and its `Debug` prints the public half alone.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Makes the key pair of a seed, which must come from a source of entropy and stay secret.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// Reads a secret key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Torn`] when it names another public key than its own.
    pub fn from_secret(secret: &SecretKey) -> Result<Self, KeyError> {
        let signer = Self::from_seed(&Zeroizing::new(secret.expose_seed()));
        let (_, named) = secret.expose().split_at(32);
        if named != signer.public().as_bytes() {
            return Err(KeyError::Torn { key: signer.public() });
        }
        Ok(signer)
    }

    /// Returns the public key.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.key.verifying_key().to_bytes())
    }

    /// Proves that the holder of the secret key wants the public key to vote.
    pub fn prove_possession(&self) -> Signature {
        self.sign(&possession_bytes(&self.public()))
    }

    /// Signs bytes that begin with what they are for.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        let sign = || Signature::new(self.key.sign(bytes).to_bytes());
        #[cfg(feature = "memo")]
        return crate::memo::signed(&self.public(), bytes, sign);
        #[cfg(not(feature = "memo"))]
        sign()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

fn possession_bytes(key: &PublicKey) -> Vec<u8> {
    [POSSESSION_CONTEXT, key.as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point of order 8 (curve25519-dalek, `EIGHT_TORSION`), and with it a key that has a part of small order.
    const ORDER_8: &str = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa";

    #[test]
    fn a_key_is_admitted_by_its_holder_alone() {
        let (one, two) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
        let key = VoteKey::admit(one.public(), &one.prove_possession()).unwrap();
        assert_eq!(*key.public(), one.public());
        let error = VoteKey::admit(one.public(), &two.prove_possession()).unwrap_err();
        assert_eq!(error, KeyError::Signature { key: one.public() });
        assert_eq!(format!("{one:?}"), format!("Signer({})", one.public()));
    }

    #[test]
    fn keys_of_small_order_or_with_such_a_part_do_not_vote() {
        let small: PublicKey = ORDER_8.parse().unwrap();
        assert_eq!(VoteKey::new(small).unwrap_err(), KeyError::Torsion { key: small });
        let good = Signer::from_seed(&[1; 32]).key.verifying_key().to_edwards();
        let small = VerifyingKey::from_bytes(small.as_bytes()).unwrap().to_edwards();
        let mixed = PublicKey::new(*(good + small).compress().as_bytes());
        assert_eq!(VoteKey::new(mixed).unwrap_err(), KeyError::Torsion { key: mixed });
        let mut bytes = [0; 32];
        bytes[0] = 2;
        let none = PublicKey::new(bytes);
        assert_eq!(VoteKey::new(none).unwrap_err(), KeyError::NoPoint { key: none });
        // y = 1 written as 1 + p.
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xee, 0x7f);
        let other = PublicKey::new(bytes);
        assert_eq!(VoteKey::new(other).unwrap_err(), KeyError::NotCanonical { key: other });
    }

    #[test]
    fn a_torn_secret_key_is_refused() {
        let pair = SigningKey::from_bytes(&[1; 32]).to_keypair_bytes();
        assert!(Signer::from_secret(&SecretKey::new(pair)).is_ok());
        let mut torn = pair;
        torn[40] ^= 1;
        let public = Signer::from_seed(&[1; 32]).public();
        assert_eq!(Signer::from_secret(&SecretKey::new(torn)).unwrap_err(), KeyError::Torn { key: public });
    }
}
