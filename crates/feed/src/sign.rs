//! What a writer signs, and how signatures are verified.
//!
//! | form | signed bytes | written by |
//! |---|---|---|
//! | [`Form::Tree`] | tree hash (32) | hypercore 7 and 8, and new Dat feeds here: every stock Dat client reads it |
//! | [`Form::TreeLength`] | tree hash, u64be length (40) | hypercore 9 |
//! | [`Form::Compat`] | name space, tree hash, u64le length, u64le fork (80) | hypercore 10 and 11, key = public key |
//! | [`Form::Manifest`] | name space, manifest hash, tree hash, u64le length, u64le fork (112) | hypercore 11 |
//!
//! The 32-byte form does not bind the length by itself: whatever is decided by it names the peaks.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use quorate_types::{Hash, PublicKey, SecretKey, Signature};

use crate::Flavour;

/// Name space `TREE` of hypercore 10 and 11 (`lib/caps.js`).
pub const TREE_NAMESPACE: [u8; 32] = [
    0x9f, 0xac, 0x70, 0xb5, 0x0c, 0xa1, 0x4e, 0xfc, 0x4e, 0x91, 0xc8, 0x33, 0xb2, 0x04, 0xe7, 0x5b, 0x8b,
    0x5a, 0xad, 0x8b, 0x58, 0x81, 0xbf, 0xc0, 0xad, 0xb5, 0xef, 0x38, 0xa3, 0x27, 0x5b, 0x9c,
];

/// Longest signable, bytes.
const MAX_SIGNABLE_BYTES: usize = 112;

/// Form of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The tree hash alone: 32 bytes.
    Tree,
    /// Tree hash and length: 40 bytes.
    TreeLength,
    /// Name space, tree hash, length and fork: 80 bytes.
    Compat {
        /// How many times the writer has rewritten its history.
        fork: u64,
    },
    /// Name space, manifest hash, tree hash, length and fork: 112 bytes.
    Manifest {
        /// Hash of the manifest, which is the key of the feed.
        manifest: Hash,
        /// How many times the writer has rewritten its history.
        fork: u64,
    },
}

/// Bytes that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Signable {
    bytes: [u8; MAX_SIGNABLE_BYTES],
    len: usize,
}

impl Form {
    /// Writes what is signed for a tree hash at a length of `length` blocks.
    pub fn signable(&self, tree: &Hash, length: u64) -> Signable {
        let mut signable = Signable { bytes: [0; MAX_SIGNABLE_BYTES], len: 0 };
        match self {
            Self::Tree => signable.push(tree.as_bytes()),
            Self::TreeLength => {
                signable.push(tree.as_bytes());
                signable.push(&length.to_be_bytes());
            }
            Self::Compat { fork } => {
                signable.push(&TREE_NAMESPACE);
                signable.push(tree.as_bytes());
                signable.push(&length.to_le_bytes());
                signable.push(&fork.to_le_bytes());
            }
            Self::Manifest { manifest, fork } => {
                signable.push(&TREE_NAMESPACE);
                signable.push(manifest.as_bytes());
                signable.push(tree.as_bytes());
                signable.push(&length.to_le_bytes());
                signable.push(&fork.to_le_bytes());
            }
        }
        signable
    }
}

impl Signable {
    fn push(&mut self, part: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(part) {
            *to = *from;
        }
        self.len = self.len.saturating_add(part.len()).min(MAX_SIGNABLE_BYTES);
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Why a key can neither sign nor verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The public key is no point of the curve.
    #[error("expected an Ed25519 public key, found 32 bytes that are no point of the curve: {key}")]
    NoPoint {
        /// The bytes.
        key: PublicKey,
    },
    /// The public key has small order, so that a signature would not bind what is signed.
    #[error("expected an Ed25519 public key, found one of small order, which anyone can sign for: {key}")]
    Weak {
        /// The bytes.
        key: PublicKey,
    },
    /// The secret key belongs to another public key.
    #[error("expected the secret key of {expected}, found that of {found}")]
    Mismatch {
        /// Public key of the feed.
        expected: PublicKey,
        /// Public key that the seed gives.
        found: PublicKey,
    },
}

/// Verifies the signatures of one key.
#[derive(Debug, Clone)]
pub struct Verifier {
    public: PublicKey,
    key: VerifyingKey,
}

impl Verifier {
    /// Reads a public key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] for bytes under which signatures prove nothing.
    pub fn new(public: PublicKey) -> Result<Self, KeyError> {
        let key =
            VerifyingKey::from_bytes(public.as_bytes()).map_err(|_| KeyError::NoPoint { key: public })?;
        if key.is_weak() {
            return Err(KeyError::Weak { key: public });
        }
        Ok(Self { public, key })
    }

    /// Returns the public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Tells whether the signature is one of exactly this form (`verify_strict`).
    pub fn verify_form(&self, form: Form, tree: &Hash, length: u64, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.key.verify_strict(form.signable(tree, length).as_bytes(), &signature).is_ok()
    }

    /// Finds the form in which a tree hash was signed; `None` when the signature does not verify.
    ///
    /// A Dat feed signs either form: 40 bytes are tried first, then 32 (hypercore 9 `index.js`,
    /// `verifyCompat`). A hypercore-10 feed signs the 80-byte form of fork 0.
    pub fn verify(&self, flavour: Flavour, tree: &Hash, length: u64, signature: &Signature) -> Option<Form> {
        let forms: &[Form] = match flavour {
            Flavour::Dat => &[Form::TreeLength, Form::Tree],
            Flavour::Hypercore10 => &[Form::Compat { fork: 0 }],
        };
        forms.iter().copied().find(|form| self.verify_form(*form, tree, length, signature))
    }
}

/// Signs for one key; its memory is cleared when it is dropped.
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Reads a secret key and checks that it belongs to the public key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Mismatch`] when the seed gives another public key, or the secret key names one.
    pub fn new(public: &PublicKey, secret: &SecretKey) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(&secret.expose_seed());
        let found = PublicKey::new(key.verifying_key().to_bytes());
        let (_, named) = secret.expose().split_at(32);
        if found != *public {
            return Err(KeyError::Mismatch { expected: *public, found });
        }
        if named != public.as_bytes() {
            let found = PublicKey::from_slice(named).unwrap_or(found);
            return Err(KeyError::Mismatch { expected: *public, found });
        }
        Ok(Self { key })
    }

    /// Signs a tree hash at a length, in one form.
    pub fn sign(&self, form: Form, tree: &Hash, length: u64) -> Signature {
        Signature::new(self.key.sign(form.signable(tree, length).as_bytes()).to_bytes())
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// Makes the key pair of a seed.
pub fn key_pair(seed: &[u8; 32]) -> (PublicKey, SecretKey) {
    let key = SigningKey::from_bytes(seed);
    (PublicKey::new(key.verifying_key().to_bytes()), SecretKey::new(key.to_keypair_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_length_and_verifies_as_itself_alone() {
        let (public, secret) = key_pair(&[1; 32]);
        let (signer, verifier) = (Signer::new(&public, &secret).unwrap(), Verifier::new(public).unwrap());
        let tree = Hash::new([9; 32]);
        let forms = [
            (Form::Tree, 32),
            (Form::TreeLength, 40),
            (Form::Compat { fork: 0 }, 80),
            (Form::Manifest { manifest: Hash::new([1; 32]), fork: 0 }, 112),
        ];
        for (form, len) in forms {
            assert_eq!(form.signable(&tree, 3).as_bytes().len(), len);
            let signature = signer.sign(form, &tree, 3);
            for (other, _) in forms {
                assert_eq!(verifier.verify_form(other, &tree, 3, &signature), other == form);
            }
            let dat = verifier.verify(Flavour::Dat, &tree, 3, &signature);
            assert_eq!(dat, Some(form).filter(|_| len <= 40));
            assert_eq!(verifier.verify(Flavour::Dat, &Hash::new([8; 32]), 3, &signature), None);
        }
    }

    #[test]
    fn keys_that_prove_nothing_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let weak = PublicKey::new(identity);
        assert_eq!(Verifier::new(weak).unwrap_err(), KeyError::Weak { key: weak });
        let mut bytes = [0; 32];
        bytes[0] = 2;
        let none = PublicKey::new(bytes);
        assert_eq!(Verifier::new(none).unwrap_err(), KeyError::NoPoint { key: none });
        let (one, secret) = key_pair(&[1; 32]);
        let (two, _) = key_pair(&[2; 32]);
        assert_eq!(Signer::new(&two, &secret).unwrap_err(), KeyError::Mismatch { expected: two, found: one });
        let mut bytes = *secret.expose();
        bytes[32..].copy_from_slice(two.as_bytes());
        let torn = SecretKey::new(bytes);
        assert_eq!(Signer::new(&one, &torn).unwrap_err(), KeyError::Mismatch { expected: one, found: two });
        assert_eq!(format!("{:?}", Signer::new(&one, &secret).unwrap()), "Signer(..)");
    }
}
