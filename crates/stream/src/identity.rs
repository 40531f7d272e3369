//! Who signs, and for which room and history.

#[cfg(target_arch = "x86_64")]
mod eight;
#[cfg(not(target_arch = "x86_64"))]
#[path = "identity/eight/none.rs"]
mod eight;
mod known_keys;
mod many;
mod multiples;
mod strict;

use std::fmt;
use std::str::FromStr;

use blake2b_simd::many::{HashManyJob, hash_many};
use ed25519_dalek::{Signer as _, SigningKey};
use quorate_types::limits::MAX_RULE_NAME_BYTES;
use quorate_types::{Hash, PublicKey, RoomId, RuleId, SecretKey, Signature};
use zeroize::Zeroizing;

pub use self::known_keys::KnownKeys;

pub(crate) use self::strict::{Together, Verifier};

/// Computes the unkeyed BLAKE2b hash of 32 bytes.
pub fn b2b256(bytes: &[u8]) -> Hash {
    b2b256_of(&[bytes])
}

/// Computes the hash of parts, one behind the other.
pub(crate) fn b2b256_of(parts: &[&[u8]]) -> Hash {
    let mut state = blake2b_simd::Params::new().hash_length(Hash::LEN).to_state();
    for part in parts {
        state.update(part);
    }
    Hash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

/// Computes the hash of each text, side by side.
pub(crate) fn b2b256_many(texts: &[Vec<u8>]) -> Vec<Hash> {
    let mut params = blake2b_simd::Params::new();
    params.hash_length(Hash::LEN);
    let mut jobs: Vec<_> = texts.iter().map(|text| HashManyJob::new(&params, text)).collect();
    hash_many(jobs.iter_mut());
    let hash = |job: &HashManyJob<'_>| {
        Hash::from_slice(job.to_hash().as_bytes()).expect("the digest length is set to 32 bytes")
    };
    jobs.iter().map(hash).collect()
}

/// Computes the id of a room from the key of its first feed and block 0 of that feed:
/// `b2b256("quorate room" | feed key | b2b256(block 0))`.
pub fn room_id(feed_key: &PublicKey, block_0: &[u8]) -> RoomId {
    let block = b2b256(block_0);
    RoomId::new(*b2b256_of(&[b"quorate room", feed_key.as_ref(), block.as_ref()]).as_bytes())
}

/// Computes the id of a rule: `b2b256("quorate rule" | room | u64le index | u32le ordinal)`.
///
/// The index is that of the block that installs it and the ordinal 0; for a genesis rule the index is 0 and the
/// ordinal its place in the header.
pub fn rule_id(room: &RoomId, index: u64, ordinal: u32) -> RuleId {
    let (index, ordinal) = (index.to_le_bytes(), ordinal.to_le_bytes());
    RuleId::new(*b2b256_of(&[b"quorate rule", room.as_ref(), &index, &ordinal]).as_bytes())
}

/// Head of a room that an author has seen.
///
/// What it signs is valid only in a history that contains that head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Anchor {
    length: u64,
    hash: Hash,
}

impl Anchor {
    /// No head: valid in every history.
    pub const NONE: Self = Self { length: 0, hash: Hash::new([0; 32]) };

    /// Names a head by its length, blocks, and the tree hash of those blocks; a length of 0 is [`NONE`](Self::NONE).
    pub const fn new(length: u64, hash: Hash) -> Self {
        if length == 0 { Self::NONE } else { Self { length, hash } }
    }

    /// Returns the length, blocks; 0 for no head.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Returns the tree hash; zeros for no head.
    pub const fn hash(&self) -> &Hash {
        &self.hash
    }
}

/// Name of a rule: 1 to 32 of `a`-`z`, `0`-`9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(String);

/// Why a text is no name of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a rule name of 1 to {MAX_RULE_NAME_BYTES} characters a-z, 0-9 and -, found {found:?}")]
pub struct RuleNameError {
    /// The text, cut after 100 characters.
    pub found: String,
}

impl RuleName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuleName {
    type Err = RuleNameError;

    fn from_str(text: &str) -> Result<Self, RuleNameError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > MAX_RULE_NAME_BYTES || !text.bytes().all(is_plain) {
            return Err(RuleNameError { found: text.chars().take(100).collect() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key pair that signs: a participant's identity, or the host's feed key for receipts.
///
/// Its memory is cleared when it is dropped, and its `Debug` prints the public half alone.
#[derive(Clone)]
pub struct Author {
    key: SigningKey,
}

/// The two halves of a secret key do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a secret key that ends with its public key {expected}, found one that ends with {found}")]
pub struct TornKey {
    /// Public key that the seed gives.
    pub expected: PublicKey,
    /// Public key that stands in the secret key.
    pub found: PublicKey,
}

impl Author {
    /// Makes the key pair of a seed, which must come from a source of entropy and stay secret.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// Reads a secret key.
    ///
    /// # Errors
    ///
    /// [`TornKey`] when it names another public key than its own.
    pub fn from_secret(secret: &SecretKey) -> Result<Self, TornKey> {
        let author = Self::from_seed(&Zeroizing::new(secret.expose_seed()));
        let (_, named) = secret.expose().split_at(32);
        match PublicKey::from_slice(named) {
            Some(found) if found != author.public() => Err(TornKey { expected: author.public(), found }),
            _ => Ok(author),
        }
    }

    /// Returns the public key.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.key.verifying_key().to_bytes())
    }

    /// Returns the secret key, for writing the key file.
    pub fn secret(&self) -> SecretKey {
        SecretKey::new(*Zeroizing::new(self.key.to_keypair_bytes()))
    }

    /// Signs bytes that begin with what they are for: `quorate/1`, a kind and a zero.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        Signature::new(self.key.sign(bytes).to_bytes())
    }

    /// Signs texts as [`sign`](Self::sign) does each of them, in less time.
    pub(crate) fn sign_many(&self, texts: &[Vec<u8>]) -> Vec<Signature> {
        many::sign_many(&self.key, texts)
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Author({})", self.public())
    }
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forgery {
    /// The key is no point of the curve.
    #[error("the key is no Ed25519 public key")]
    NoKey,
    /// The key has small order, so that anyone can sign for it.
    #[error("anyone can sign for the key: it has small order")]
    WeakKey,
    /// The signature is not the key's over these bytes.
    #[error("the signature is not the key's over these bytes")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_keeps_its_secret() {
        let author = Author::from_seed(&[1; 32]);
        let again = Author::from_secret(&author.secret()).unwrap();
        assert_eq!(again.public(), author.public());
        assert_eq!(format!("{author:?}"), format!("Author({})", author.public()));
        let mut torn = *author.secret().expose();
        torn[40] ^= 1;
        let error = Author::from_secret(&SecretKey::new(torn)).unwrap_err();
        assert_eq!(error.expected, author.public());
    }

    #[test]
    fn many_signatures_are_those_of_each_text() {
        let author = Author::from_seed(&[3; 32]);
        let texts: Vec<Vec<u8>> = (0..200_u8).map(|at| vec![at; usize::from(at) * 3]).collect();
        for count in [0, 1, 2, 8, 200] {
            let signed = author.sign_many(&texts[..count]);
            let alone: Vec<Signature> = texts[..count].iter().map(|text| author.sign(text)).collect();
            assert_eq!(signed, alone);
        }
    }

    #[test]
    fn a_signature_is_of_one_key_over_one_text() {
        let (author, other) = (Author::from_seed(&[1; 32]), Author::from_seed(&[2; 32]));
        let signature = author.sign(b"text");
        let verify = |key: &PublicKey, text: &[u8]| Verifier::new(key)?.verify(text, &signature);
        assert_eq!(verify(&author.public(), b"text"), Ok(()));
        assert_eq!(verify(&author.public(), b"test"), Err(Forgery::Signature));
        assert_eq!(verify(&other.public(), b"text"), Err(Forgery::Signature));
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(verify(&PublicKey::new(identity), b"text"), Err(Forgery::WeakKey));
        identity[0] = 2;
        assert_eq!(verify(&PublicKey::new(identity), b"text"), Err(Forgery::NoKey));
    }

    #[test]
    fn rule_names() {
        assert_eq!("chess-2".parse::<RuleName>().unwrap().as_str(), "chess-2");
        for bad in ["", "Chess", "a b", "é", &"a".repeat(33)] {
            assert_eq!(bad.parse::<RuleName>(), Err(RuleNameError { found: bad.to_owned() }));
        }
    }
}
