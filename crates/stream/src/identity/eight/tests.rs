//! What is computed in lanes is what whole numbers and the curve's library give.

use std::array::from_fn;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use proptest::prelude::*;

use super::field::{self, D, Field, Limbs, SQRT_M1, from_bytes, gathered, scattered, to_bytes};
use super::*;

/// Bits of a limb, the most that functions here are given.
const MOST: u64 = (1 << 51) + (1 << 14) - 1;

/// Numbers modulo p, computed bit by bit: 256 bits, the least word first.
mod whole {
    pub(super) type Number = [u64; 4];

    const P: Number = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

    fn less(a: &Number, b: &Number) -> bool {
        a.iter().rev().lt(b.iter().rev())
    }

    fn minus(a: &Number, b: &Number) -> Number {
        let mut borrowed = false;
        std::array::from_fn(|at| {
            let (word, first) = a[at].overflowing_sub(b[at]);
            let (word, second) = word.overflowing_sub(u64::from(borrowed));
            borrowed = first || second;
            word
        })
    }

    fn reduced(a: Number) -> Number {
        if less(&a, &P) { a } else { reduced(minus(&a, &P)) }
    }

    pub(super) fn add(a: Number, b: Number) -> Number {
        let mut carry = 0;
        reduced(std::array::from_fn(|at| {
            let sum = u128::from(a[at]) + u128::from(b[at]) + carry;
            carry = sum >> 64;
            sum as u64
        }))
    }

    pub(super) fn negated(a: Number) -> Number {
        reduced(minus(&P, &reduced(a)))
    }

    pub(super) fn mul(a: Number, b: Number) -> Number {
        let mut product = [0; 4];
        for bit in (0..256).rev() {
            product = add(product, product);
            if b[bit / 64] >> (bit % 64) & 1 == 1 {
                product = add(product, a);
            }
        }
        product
    }

    /// The number that limbs of 51 bits and more stand for.
    pub(super) fn of(limbs: &super::Limbs) -> Number {
        let mut number = [0; 4];
        for limb in limbs.iter().rev() {
            for _ in 0..51 {
                number = add(number, number);
            }
            number = add(number, reduced([*limb, 0, 0, 0]));
        }
        number
    }

    pub(super) fn bytes(number: Number) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(number) {
            *place = word.to_le_bytes();
        }
        bytes
    }
}

/// The lanes, where this processor has them.
fn lanes() -> Option<Avx512> {
    let eight = Eight::detect();
    if eight.is_none() {
        eprintln!("skipped: this processor has no AVX-512 IFMA");
    }
    eight.map(|eight| eight.0)
}

/// Limbs as large as they may be, as small, and between.
fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(MOST),
        Just((1 << 51) - 1),
        Just(1 << 51),
        Just((1 << 51) - 19),
        0..=MOST
    ]
}

fn numbers() -> impl Strategy<Value = [Limbs; 8]> {
    proptest::array::uniform8(proptest::array::uniform5(limb()))
}

/// Expects each lane of a result to be a number, in limbs that may be computed with.
fn expect(lanes: Avx512, found: &Field, expected: impl Fn(usize) -> whole::Number) {
    for (lane, limbs) in scattered(lanes, found).iter().enumerate() {
        assert!(limbs.iter().all(|limb| *limb <= MOST), "{limbs:?}");
        assert_eq!(to_bytes(limbs), whole::bytes(expected(lane)), "lane {lane}");
    }
}

#[test]
fn the_constants_are_what_they_are_called() {
    let small = |number: u64| [number, 0, 0, 0];
    assert_eq!(whole::mul(whole::of(&D), small(121_666)), whole::negated(small(121_665)));
    assert_eq!(whole::mul(whole::of(&SQRT_M1), whole::of(&SQRT_M1)), whole::negated(small(1)));
}

#[test]
fn the_largest_limbs_are_multiplied_without_loss() {
    let Some(lanes) = lanes() else { return };
    let most = field::splat(lanes, &[MOST; 5]);
    let number = whole::of(&[MOST; 5]);
    expect(lanes, &field::mul(lanes, &most, &most), |_| whole::mul(number, number));
    expect(lanes, &field::square(lanes, &most), |_| whole::mul(number, number));
    expect(lanes, &field::add(lanes, &most, &most), |_| whole::add(number, number));
    let zero = field::splat(lanes, &field::ZERO);
    expect(lanes, &field::sub(lanes, &zero, &most), |_| whole::negated(number));
    expect(lanes, &field::inverted(lanes, &zero), |_| [0; 4]);
}

#[test]
fn only_points_are_decoded() {
    let Some(eight) = Eight::detect() else { return };
    let (mut points, mut others) = (0, 0);
    for number in 0..64_u8 {
        let encodings: [[u8; 32]; 8] =
            from_fn(|lane| [number.wrapping_mul(37).wrapping_add(lane as u8 * 31); 32]);
        for (addends, encoding) in eight.keys(&encodings).into_iter().zip(&encodings) {
            let expected = CompressedEdwardsY(*encoding).decompress();
            assert_eq!(addends.is_some(), expected.is_some(), "{encoding:?}");
            points += usize::from(addends.is_some());
            others += usize::from(addends.is_none());
        }
    }
    assert!(points > 100 && others > 100, "{points} points, {others} others");
}

/// Scalars at the ends of their windows.
fn scalar() -> impl Strategy<Value = Scalar> {
    let edge = |bytes: [u8; 32]| Just(Scalar::from_bytes_mod_order(bytes));
    prop_oneof![
        Just(Scalar::ZERO),
        Just(Scalar::ONE),
        Just(-Scalar::ONE),
        edge([0x80; 32]),
        edge([0x7f; 32]),
        edge([0x10; 32]),
        edge([0x0f; 32]),
        edge([0xff; 32]),
        any::<[u8; 32]>().prop_map(Scalar::from_bytes_mod_order),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_are_computed_with_modulo_p(a in numbers(), b in numbers(), bits: u8) {
        let Some(lanes) = lanes() else { return Ok(()) };
        let (x, y) = (gathered(lanes, &a), gathered(lanes, &b));
        let (of_a, of_b) = (a.map(|limbs| whole::of(&limbs)), b.map(|limbs| whole::of(&limbs)));
        prop_assert_eq!(scattered(lanes, &x), a);
        expect(lanes, &field::mul(lanes, &x, &y), |lane| whole::mul(of_a[lane], of_b[lane]));
        expect(lanes, &field::square(lanes, &x), |lane| whole::mul(of_a[lane], of_a[lane]));
        expect(lanes, &field::add(lanes, &x, &y), |lane| whole::add(of_a[lane], of_b[lane]));
        expect(lanes, &field::sub(lanes, &x, &y), |lane| whole::add(of_a[lane], whole::negated(of_b[lane])));
        expect(lanes, &field::negated(lanes, &x), |lane| whole::negated(of_a[lane]));
        let chosen = field::chosen(lanes, bits, &x, &y);
        expect(lanes, &chosen, |lane| whole::add(if bits >> lane & 1 == 1 { of_a[lane] } else { of_b[lane] }, [0; 4]));
    }

    #[test]
    fn inverses_and_encodings_are_those_of_the_numbers(a in numbers()) {
        let Some(lanes) = lanes() else { return Ok(()) };
        let inverses = scattered(lanes, &field::inverted(lanes, &gathered(lanes, &a)));
        for (limbs, inverse) in a.iter().zip(inverses) {
            let (number, one) = (whole::of(limbs), [1, 0, 0, 0]);
            let product = whole::mul(number, whole::of(&inverse));
            prop_assert_eq!(product, if number == [0; 4] { number } else { one });
            prop_assert_eq!(whole::of(&from_bytes(&to_bytes(limbs))), number);
        }
    }

    /// Products with what is secret, at the ends of the windows, are those of the library.
    #[test]
    fn secret_products_are_those_of_the_library(scalars in proptest::array::uniform8(scalar())) {
        let Some(eight) = Eight::detect() else { return Ok(()) };
        let base = eight.secret_base().unwrap();
        let expected = scalars.map(|scalar| EdwardsPoint::mul_base(&scalar).compress().0);
        let groups = [scalars.each_ref(), scalars.each_ref()];
        prop_assert_eq!(eight.secret_products(&base, &groups), [expected, expected]);
    }

    /// For keys of any order, and scalars at the ends of their windows: without what is computed again when it differs.
    #[test]
    fn sums_are_those_of_the_library(
        seeds in proptest::array::uniform8(any::<[u8; 32]>()),
        torsion in proptest::array::uniform8(0..8_usize),
        s in proptest::array::uniform8(scalar()),
        k in proptest::array::uniform8(scalar()),
    ) {
        let Some(eight) = Eight::detect() else { return Ok(()) };
        let base = eight.base().unwrap();
        let points: [EdwardsPoint; 8] = from_fn(|lane| {
            // Small ones among them, the neutral point and those of small order.
            let secret = if seeds[lane][0] < 32 { Scalar::ZERO } else { Scalar::from_bytes_mod_order(seeds[lane]) };
            EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[torsion[lane]]
        });
        let keys = eight.keys(&points.map(|point| point.compress().0));
        let terms: [Terms<'_>; 8] = from_fn(|lane| Terms { s: &s[lane], key: keys[lane].as_ref().unwrap(), k: &k[lane] });
        let expected: [[u8; 32]; 8] = from_fn(|lane| {
            // By hand: the library takes scalars modulo the order of the base point, which the key may not have.
            let mut product = EdwardsPoint::identity();
            for bit in (0..256).rev() {
                product += product;
                if k[lane].as_bytes()[bit / 8] >> (bit % 8) & 1 == 1 {
                    product += points[lane];
                }
            }
            (EdwardsPoint::mul_base(&s[lane]) + product).compress().0
        });
        // Several at once, in other orders, share an inversion.
        let turned = from_fn(|lane| terms[7 - lane]);
        let mut other = expected;
        other.reverse();
        prop_assert_eq!(eight.sums(&base, &[terms, turned, terms]), [expected, other, expected]);
        prop_assert_eq!(eight.sums(&base, &[]), Vec::<[[u8; 32]; 8]>::new());
    }
}
