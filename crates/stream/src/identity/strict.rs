//! Strict verification: with the result of `verify_strict` of ed25519-dalek, which everyone must come to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use quorate_types::{PublicKey, Signature};
use sha2::{Digest as _, Sha512};

use super::Forgery;
use super::known_keys::{KnownKey, KnownKeys};
use super::multiples::Multiples;

/// Multiples of the base point: 32 rows of 128, 656 KB.
type BaseMultiples = Multiples<8, 1>;

/// Public key that was found good to verify with.
#[derive(Clone)]
pub(crate) struct Verifier {
    key: PublicKey,
    /// The point of the key, negated.
    negated: EdwardsPoint,
}

/// Signatures that are verified together, each with the result that it has alone.
pub(crate) struct Together<'a> {
    keys: &'a KnownKeys,
    /// What is known of each before the candidates are settled.
    begun: Vec<Result<Arc<KnownKey>, Forgery>>,
    /// Of those that are not refused yet, in their order.
    candidates: Vec<Candidate>,
}

/// A signature that is good when the point that was computed for it has the encoding that it begins with.
///
/// Encoding many points together takes one inversion for all of them.
struct Candidate {
    point: EdwardsPoint,
    expected: [u8; 32],
}

/// What a signature says of a text, as numbers: `R` is expected to be `s B - k A`.
struct Equation {
    expected: [u8; 32],
    s: Scalar,
    k: Scalar,
}

impl Verifier {
    pub(crate) fn new(key: &PublicKey) -> Result<Self, Forgery> {
        let point = CompressedEdwardsY(*key.as_bytes()).decompress().ok_or(Forgery::NoKey)?;
        if point.is_small_order() {
            return Err(Forgery::WeakKey);
        }
        Ok(Self { key: *key, negated: -point })
    }

    /// Returns the point of the key, negated.
    pub(super) const fn negated(&self) -> &EdwardsPoint {
        &self.negated
    }

    /// Verifies a signature over bytes.
    pub(crate) fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), Forgery> {
        let Candidate { point, expected } = self.candidate(bytes, signature)?;
        if point.compress().as_bytes() == &expected { Ok(()) } else { Err(Forgery::Signature) }
    }

    fn candidate(&self, bytes: &[u8], signature: &Signature) -> Result<Candidate, Forgery> {
        let Equation { expected, s, k } = self.equation(bytes, signature)?;
        let point = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &self.negated, &s);
        Ok(Candidate { point, expected })
    }

    /// Reads a signature as `verify_strict` does, but for decompressing R, which takes a seventh of the time of it all: R is
    /// compared with the encoding of a point, so that nothing passes but canonical encodings of points, and eight of those
    /// have small order.
    fn equation(&self, bytes: &[u8], signature: &Signature) -> Result<Equation, Forgery> {
        let refused = Forgery::Signature;
        let (expected, s) = signature.as_bytes().split_first_chunk::<32>().ok_or(refused)?;
        let s = s.first_chunk::<32>().ok_or(refused)?;
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s)).ok_or(refused)?;
        if is_small_order(expected) {
            return Err(refused);
        }
        let digest =
            Sha512::new().chain_update(expected).chain_update(self.key.as_bytes()).chain_update(bytes);
        let k = Scalar::from_bytes_mod_order_wide(&digest.finalize().into());
        Ok(Equation { expected: *expected, s, k })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.key)
    }
}

impl<'a> Together<'a> {
    pub(crate) const fn new(keys: &'a KnownKeys) -> Self {
        Self { keys, begun: Vec::new(), candidates: Vec::new() }
    }

    /// Adds a signature of a key over bytes.
    pub(crate) fn add(&mut self, key: &PublicKey, bytes: &[u8], signature: &Signature) {
        let begun = self.keys.get(key).and_then(|known| {
            self.candidates.push(known.candidate(bytes, signature)?);
            Ok(known)
        });
        self.begun.push(begun);
    }

    /// Says of each signature whether it is good, in the order in which they were added.
    pub(crate) fn settle(self) -> Vec<Result<(), Forgery>> {
        let points: Vec<EdwardsPoint> = self.candidates.iter().map(|candidate| candidate.point).collect();
        let found = EdwardsPoint::compress_batch_alloc(&points);
        let mut settled = self.candidates.iter().zip(&found);
        let settle = |begun: Result<Arc<KnownKey>, Forgery>| {
            let known = begun?;
            match settled.next() {
                Some((candidate, found)) if found.as_bytes() == &candidate.expected => {
                    known.note_good();
                    Ok(())
                }
                _ => Err(Forgery::Signature),
            }
        };
        self.begun.into_iter().map(settle).collect()
    }
}

impl KnownKey {
    fn candidate(&self, bytes: &[u8], signature: &Signature) -> Result<Candidate, Forgery> {
        let Some(multiples) = self.multiples() else { return self.verifier().candidate(bytes, signature) };
        let Equation { expected, s, k } = self.verifier().equation(bytes, signature)?;
        let point = base_multiples().add_product(&s, multiples.product(&k));
        Ok(Candidate { point, expected })
    }
}

fn base_multiples() -> &'static BaseMultiples {
    static BASE: OnceLock<BaseMultiples> = OnceLock::new();
    BASE.get_or_init(|| BaseMultiples::of(&ED25519_BASEPOINT_POINT))
}

/// Tells whether a point's canonical encoding is that of one of the eight points of small order.
fn is_small_order(point: &[u8; 32]) -> bool {
    /// The y of each: orders 1, 2, 4, 8, 8. The sign of x is the highest bit.
    const YS: [[u8; 32]; 5] = [
        ends(1, 0, 0),
        ends(0xec, 0xff, 0x7f),
        ends(0, 0, 0),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    YS.contains(&y)
}

const fn ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [start, .., end] = &mut bytes;
    (*start, *end) = (first, last);
    bytes
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
