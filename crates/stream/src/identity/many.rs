//! Many texts that one author signs at once (RFC 8032, section 5.1.6).

use std::sync::OnceLock;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::hazmat::ExpandedSecretKey;
use ed25519_dalek::{Signer as _, SigningKey};
use quorate_types::{PublicKey, Signature};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::eight::{Eight, KeyAddends, LANES, SecretAddends, Terms};
use super::strict::{Verifier, base_addends};

/// Texts whose encodings of R share an inversion.
const TOGETHER: usize = 128;

/// Texts for which it is worth what is computed of the key first, as long as signing six or seven.
const WORTH_A_KEY: usize = 32;

/// Signs texts, each as the library does it alone.
///
/// What is secret is computed with in constant time: by the library, or eight products at once. Those are not let out before
/// they verify: an R that is wrong would tell the secret together with the right one.
pub(super) fn sign_many(key: &SigningKey, texts: &[Vec<u8>]) -> Vec<Signature> {
    let secret = ExpandedSecretKey::from(key.as_bytes());
    let public = key.verifying_key().to_bytes();
    let eight = Eight::detect().filter(|_| texts.len() >= WORTH_A_KEY);
    let checked = eight.and_then(|eight| Checked::new(eight, &public));
    let mut signed = Vec::with_capacity(texts.len());
    for texts in texts.chunks(TOGETHER) {
        let nonces: Vec<Zeroizing<Scalar>> =
            texts.iter().map(|text| Zeroizing::new(scalar([&secret.hash_prefix, text, &[]]))).collect();
        let encoded = match &checked {
            Some(checked) => checked.products(&nonces),
            None => products(&nonces),
        };
        let equations: Vec<Equation> = (texts.iter().zip(&nonces).zip(encoded))
            .map(|((text, nonce), r)| {
                let k = scalar([&r, &public, text]);
                Equation { r, s: k * secret.scalar + **nonce, k }
            })
            .collect();
        let good = checked.as_ref().map(|checked| checked.verify(&equations));
        for (at, (text, Equation { r, s, .. })) in texts.iter().zip(&equations).enumerate() {
            let is_good = good.as_ref().is_none_or(|good| good.get(at) == Some(&true));
            let made = if is_good {
                ed25519_dalek::Signature::from_components(*r, s.to_bytes())
            } else {
                key.sign(text)
            };
            signed.push(Signature::new(made.to_bytes()));
        }
    }
    signed
}

/// What a signature says: `R = s B - k A`.
struct Equation {
    r: [u8; 32],
    s: Scalar,
    k: Scalar,
}

/// Computes eight products at once, and verifies what comes of them.
struct Checked {
    eight: Eight,
    base: &'static SecretAddends,
    /// Of the public key, negated.
    key: KeyAddends,
}

impl Checked {
    fn new(eight: Eight, public: &[u8; 32]) -> Option<Self> {
        static BASE: OnceLock<Option<SecretAddends>> = OnceLock::new();
        let base = BASE.get_or_init(|| eight.secret_base()).as_ref()?;
        let negated = Verifier::new(&PublicKey::new(*public)).ok()?.negated_bytes();
        let [key, ..] = eight.keys(&[negated; LANES]);
        Some(Self { eight, base, key: key? })
    }

    fn products(&self, nonces: &[Zeroizing<Scalar>]) -> Vec<[u8; 32]> {
        let groups: Vec<[&Scalar; LANES]> = eights(nonces).map(|some| some.map(|nonce| &**nonce)).collect();
        let mut encoded = self.eight.secret_products(self.base, &groups).into_flattened();
        encoded.truncate(nonces.len());
        encoded
    }

    fn verify(&self, equations: &[Equation]) -> Vec<bool> {
        let Some(base) = base_addends(self.eight) else { return Vec::new() };
        let terms: Vec<[Terms<'_>; LANES]> = eights(equations)
            .map(|some| some.map(|Equation { s, k, .. }| Terms { s, key: &self.key, k }))
            .collect();
        let found = self.eight.sums(base, &terms).into_flattened();
        equations.iter().zip(found).map(|(equation, found)| equation.r == found).collect()
    }
}

/// Takes things by eight; the first one of the last ones fills their places up.
fn eights<T>(all: &[T]) -> impl Iterator<Item = [&T; LANES]> {
    all.chunks(LANES).filter_map(|some| {
        let [first, ..] = some else { return None };
        Some(std::array::from_fn(|lane| some.get(lane).unwrap_or(first)))
    })
}

/// Computes the products by the library, with one inversion for the encodings of all.
fn products(nonces: &[Zeroizing<Scalar>]) -> Vec<[u8; 32]> {
    let points: Vec<EdwardsPoint> = nonces.iter().map(|nonce| EdwardsPoint::mul_base(nonce)).collect();
    EdwardsPoint::compress_batch_alloc(&points).into_iter().map(|encoded| encoded.0).collect()
}

fn scalar(parts: [&[u8]; 3]) -> Scalar {
    let digest = parts.into_iter().fold(Sha512::new(), |hash, part| hash.chain_update(part));
    Scalar::from_bytes_mod_order_wide(&digest.finalize().into())
}
