//! Every way to verify says what `verify_strict` of ed25519-dalek says, of whatever it is given.

use curve25519_dalek::constants::EIGHT_TORSION;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;

use super::*;

/// Verifies in every way there is; returns what all of them say.
fn verify(key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> Result<(), Forgery> {
    let strict = VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(text, &ed25519_dalek::Signature::from_bytes(signature)).is_ok());
    let (key, signature) = (PublicKey::new(*key), Signature::new(*signature));
    let alone = Verifier::new(&key).and_then(|verifier| verifier.verify(text, &signature));
    assert_eq!(alone.is_ok(), strict, "alone: {alone:?} for {key}");
    // Among others, so that sums and encodings are made together.
    let other = SigningKey::from_bytes(&[9; 32]);
    let (public, by_other) = (PublicKey::new(other.verifying_key().to_bytes()), other.sign(b"other"));
    let by_other = Signature::new(by_other.to_bytes());
    let ways = KnownKeys::in_each_way();
    for keys in &ways {
        keys.know(&key);
        keys.know(&public);
    }
    for keys in ways.iter().chain([&KnownKeys::new()]) {
        let mut together = Together::new(keys);
        for _ in 0..LANES {
            together.add(&public, b"other", &by_other);
            together.add(&key, text, &signature);
            together.add(&public, b"another", &by_other);
        }
        for three in together.settle().chunks(3) {
            assert_eq!(three, [Ok(()), alone, Err(Forgery::Signature)], "together, for {key}");
        }
    }
    alone
}

fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s);
    bytes
}

fn challenge(r: &[u8; 32], key: &[u8; 32], text: &[u8]) -> Scalar {
    let digest = Sha512::new().chain_update(r).chain_update(key).chain_update(text);
    Scalar::from_bytes_mod_order_wide(&digest.finalize().into())
}

/// Signatures that some verifiers take and others do not: R or the key with a part of small order.
#[test]
fn parts_of_small_order_pass_where_they_pass_strictly() {
    let secret = Scalar::from_bytes_mod_order([7; 32]);
    let (mut strict, mut loose, mut refused) = (0, 0, 0);
    for torsion in &EIGHT_TORSION {
        let key = (EdwardsPoint::mul_base(&secret) + torsion).compress().to_bytes();
        for (text, nonce) in (0..64_u8).zip([0_u64, 0, 0, 3].into_iter().cycle()) {
            let nonce = Scalar::from(nonce * (u64::from(text) + 1));
            let part = &EIGHT_TORSION[usize::from(text / 8 + text) % 8];
            let r = (EdwardsPoint::mul_base(&nonce) + part).compress().to_bytes();
            let s = nonce + challenge(&r, &key, &[text]) * secret;
            let bytes = signature(&r, s.as_bytes());
            let passes = verify(&key, &[text], &bytes).is_ok();
            let usual = VerifyingKey::from_bytes(&key).unwrap();
            let by_others = ed25519_dalek::Verifier::verify(
                &usual,
                &[text],
                &ed25519_dalek::Signature::from_bytes(&bytes),
            );
            strict += usize::from(passes);
            loose += usize::from(!passes && by_others.is_ok());
            refused += usize::from(!passes);
        }
    }
    assert!(strict > 10 && loose > 10 && refused > 100, "{strict} pass, {loose} elsewhere, {refused} do not");
}

/// All encodings of points of small order, those that no encoder gives among them, as keys and as R.
#[test]
fn points_of_small_order_are_refused_in_every_encoding() {
    let mut encodings: Vec<[u8; 32]> = Vec::new();
    let field = |low: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, 0x7f);
        bytes
    };
    for point in EIGHT_TORSION {
        encodings.push(point.compress().to_bytes());
    }
    // The field's order and one more are other encodings of 0 and 1; zero has two signs, which are not canonical either.
    let mut more = vec![field(0xed), field(0xee)];
    for y in [[0; 32], ends(1, 0, 0), field(0xec), field(0xed), field(0xee)] {
        let mut signed = y;
        signed[31] |= 0x80;
        more.push(signed);
    }
    encodings.extend(more);
    encodings.sort_unstable();
    encodings.dedup();
    assert_eq!(encodings.len(), 14);
    let good = SigningKey::from_bytes(&[3; 32]);
    let scalars = [Scalar::ZERO, Scalar::ONE, Scalar::from_bytes_mod_order([5; 32])];
    for one in &encodings {
        for other in &encodings {
            for s in &scalars {
                assert!(verify(one, b"text", &signature(other, s.as_bytes())).is_err());
            }
        }
        // A good key whose equation holds with an R of small order, where that can be had.
        let key = good.verifying_key().to_bytes();
        let s = challenge(one, &key, b"text") * good.to_scalar();
        assert_eq!(verify(&key, b"text", &signature(one, s.as_bytes())), Err(Forgery::Signature));
        assert!(verify(one, b"text", &good.sign(b"text").to_bytes()).is_err());
    }
}

/// The edge cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020): message, key, signature.
/// <https://github.com/novifinancial/ed25519-speccheck>, cases 0 to 9. Only 3 passes strictly.
const EDGES: [[&str; 3]; 10] = [
    [
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
    ],
    [
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ],
    [
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ],
    [
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ],
    [
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ],
    [
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ],
    [
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ],
    [
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ],
    [
        "fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607",
    ],
    [
        "84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09",
    ],
];

#[test]
fn published_edge_cases_pass_where_they_pass_strictly() {
    let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let passing: Vec<usize> = (0..EDGES.len())
        .filter(|case| {
            let [text, key, signature] = EDGES[*case].map(bytes);
            verify(&key.try_into().unwrap(), &text, &signature.try_into().unwrap()).is_ok()
        })
        .collect();
    assert_eq!(passing, [3]);
}

#[test]
fn a_key_becomes_familiar_by_good_signatures_alone() {
    for keys in KnownKeys::in_each_way() {
        let author = SigningKey::from_bytes(&[1; 32]);
        let key = PublicKey::new(author.verifying_key().to_bytes());
        let good = Signature::new(author.sign(b"text").to_bytes());
        let round = |text: &[u8]| {
            let mut together = Together::new(&keys);
            together.add(&key, text, &good);
            together.settle()
        };
        for _ in 0..2 * keys.needed() {
            assert_eq!(round(b"test"), [Err(Forgery::Signature)]);
        }
        assert!(!keys.is_familiar(&key));
        for _ in 0..keys.needed() {
            assert_eq!(round(b"text"), [Ok(())]);
        }
        assert!(keys.is_familiar(&key));
        for _ in 0..3 {
            assert_eq!((round(b"test"), round(b"text")), (vec![Err(Forgery::Signature)], vec![Ok(())]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_signed_passes_and_nothing_else(
        seed: [u8; 32],
        text in proptest::collection::vec(any::<u8>(), 0..200),
        flip in 0..64 * 8_usize,
        key_flip in 0..32 * 8_usize,
        torsion in 0..8_usize,
    ) {
        let author = SigningKey::from_bytes(&seed);
        let (key, good) = (author.verifying_key().to_bytes(), author.sign(&text).to_bytes());
        prop_assert_eq!(verify(&key, &text, &good), Ok(()));
        let mut bad = good;
        bad[flip / 8] ^= 1 << (flip % 8);
        prop_assert_eq!(verify(&key, &text, &bad), Err(Forgery::Signature));
        let mut other = key;
        other[key_flip / 8] ^= 1 << (key_flip % 8);
        prop_assert!(verify(&other, &text, &good).is_err());
        prop_assert!(verify(&key, &[&text[..], &[0]].concat(), &good).is_err());
        // The same signature with s and the group's order added, as far as that fits.
        let mut more = good;
        let mut carry = 0;
        for (byte, order) in more[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        prop_assert_eq!(verify(&key, &text, &more), Err(Forgery::Signature));
        // A key with a part of small order, by its secret: it passes when the parts cancel.
        let mixed = (EdwardsPoint::mul_base(&author.to_scalar()) + EIGHT_TORSION[torsion]).compress().to_bytes();
        let nonce = Scalar::from_bytes_mod_order(seed);
        let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
        let s = nonce + challenge(&r, &mixed, &text) * author.to_scalar();
        let _ = verify(&mixed, &text, &signature(&r, s.as_bytes()));
    }

    /// Products are those with whole numbers, for points of any order.
    #[test]
    fn products_are_what_repeated_addition_gives(seed: [u8; 32], torsion in 0..8_usize, bytes: [u8; 32], small: u64) {
        let point = EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(seed)) + EIGHT_TORSION[torsion];
        let multiples = super::super::known_keys::KeyMultiples::of(&point);
        let edge = -Scalar::from(small % 3 + 1);
        for scalar in [Scalar::from_bytes_mod_order(bytes), Scalar::from(small), Scalar::ZERO, Scalar::ONE, edge] {
            // By hand: double and add, from the highest bit on.
            let mut expected = EdwardsPoint::default();
            for bit in (0..256).rev() {
                expected += expected;
                if scalar.as_bytes()[bit / 8] >> (bit % 8) & 1 == 1 {
                    expected += point;
                }
            }
            prop_assert_eq!(multiples.product(&scalar), expected);
            prop_assert_eq!(BaseMultiples::of(&point).add_product(&scalar, point), expected + point);
        }
    }
}

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
