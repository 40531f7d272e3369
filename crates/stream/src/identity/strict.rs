//! Strict verification: with the result of `verify_strict` of ed25519-dalek, which everyone must come to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use quorate_types::{PublicKey, Signature};
use sha2::{Digest as _, Sha512};

use super::Forgery;
use super::eight::{BaseAddends, Eight, LANES, Terms};
use super::known_keys::{KnownKey, KnownKeys, compute_ahead};
use super::multiples::Multiples;

/// Multiples of the base point: 32 rows of 128, 656 KB.
type BaseMultiples = Multiples<8, 1>;

/// Signatures for which eight sums are computed though fewer are needed: they take as long as three without.
const WORTH_EIGHT: usize = 3;

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
    begun: Vec<Result<Begun, Forgery>>,
}

/// A signature that was read, and whose equation is not settled yet.
struct Begun {
    known: Arc<KnownKey>,
    equation: Equation,
    is_good: bool,
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

    pub(super) const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the point of the key, negated.
    pub(super) const fn negated(&self) -> &EdwardsPoint {
        &self.negated
    }

    /// Returns an encoding of the point of the key, negated: x has the other sign.
    pub(super) fn negated_bytes(&self) -> [u8; 32] {
        let mut bytes = *self.key.as_bytes();
        let [.., last] = &mut bytes;
        *last ^= 0x80;
        bytes
    }

    /// Verifies a signature over bytes.
    pub(crate) fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), Forgery> {
        let equation = self.equation(bytes, signature)?;
        let is_good = self.point(&equation).compress().as_bytes() == &equation.expected;
        if is_good { Ok(()) } else { Err(Forgery::Signature) }
    }

    /// Computes `s B - k A`.
    fn point(&self, Equation { s, k, .. }: &Equation) -> EdwardsPoint {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &self.negated, s)
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
        Self { keys, begun: Vec::new() }
    }

    /// Adds a signature of a key over bytes.
    pub(crate) fn add(&mut self, key: &PublicKey, bytes: &[u8], signature: &Signature) {
        let begun = self.keys.get(key).and_then(|known| {
            let equation = known.verifier().equation(bytes, signature)?;
            Ok(Begun { known, equation, is_good: false })
        });
        self.begun.push(begun);
    }

    /// Says of each signature whether it is good, in the order in which they were added.
    pub(crate) fn settle(mut self) -> Vec<Result<(), Forgery>> {
        self.settle_by_eight();
        self.settle_by_points();
        let settle = |begun: Result<Begun, Forgery>| {
            let Begun { known, is_good, .. } = begun?;
            if is_good {
                known.note_good();
            }
            if is_good { Ok(()) } else { Err(Forgery::Signature) }
        };
        self.begun.into_iter().map(settle).collect()
    }

    /// Finds what is good among the signatures of familiar keys, where the processor computes eight sums at once.
    fn settle_by_eight(&mut self) {
        let Some(eight) = self.keys.eight() else { return };
        let Some(base) = base_addends(eight) else { return };
        compute_ahead(eight, self.begun.iter().flatten().map(|begun| &begun.known));
        let familiar: Vec<(usize, Terms<'_>, &[u8; 32])> = (self.begun.iter().enumerate())
            .filter_map(|(at, begun)| {
                let Begun { known, equation: Equation { expected, s, k }, .. } = begun.as_ref().ok()?;
                Some((at, Terms { s, key: known.addends()?, k }, expected))
            })
            .collect();
        let eights: Vec<[Terms<'_>; LANES]> = (familiar.chunks(LANES))
            .filter(|some| some.len() >= WORTH_EIGHT)
            .filter_map(|some| {
                let [(_, first, _), ..] = some else { return None };
                Some(std::array::from_fn(|lane| some.get(lane).map_or(*first, |(_, terms, _)| *terms)))
            })
            .collect();
        let found = eight.sums(base, &eights);
        let good: Vec<usize> = (familiar.iter().zip(found.as_flattened()))
            .filter(|((.., expected), found)| *found == *expected)
            .map(|((at, ..), _)| *at)
            .collect();
        for at in good {
            if let Some(Ok(begun)) = self.begun.get_mut(at) {
                begun.is_good = true;
            }
        }
    }

    /// Settles what is not known to be good by the curve's library. Encoding many points together takes one inversion for
    /// all of them.
    fn settle_by_points(&mut self) {
        let left = self.begun.iter().flatten().filter(|begun| !begun.is_good);
        let by_sums = self.keys.eight().is_none();
        let point = |Begun { known, equation, .. }: &Begun| match by_sums.then(|| known.multiples()).flatten()
        {
            Some(multiples) => base_multiples().add_product(&equation.s, multiples.product(&equation.k)),
            None => known.verifier().point(equation),
        };
        let points: Vec<EdwardsPoint> = left.map(point).collect();
        let mut found = EdwardsPoint::compress_batch_alloc(&points).into_iter();
        for begun in self.begun.iter_mut().flatten().filter(|begun| !begun.is_good) {
            begun.is_good = found.next().is_some_and(|found| found.as_bytes() == &begun.equation.expected);
        }
    }
}

fn base_multiples() -> &'static BaseMultiples {
    static BASE: OnceLock<BaseMultiples> = OnceLock::new();
    BASE.get_or_init(|| BaseMultiples::of(&ED25519_BASEPOINT_POINT))
}

pub(super) fn base_addends(eight: Eight) -> Option<&'static BaseAddends> {
    static BASE: OnceLock<Option<BaseAddends>> = OnceLock::new();
    BASE.get_or_init(|| eight.base()).as_ref()
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
