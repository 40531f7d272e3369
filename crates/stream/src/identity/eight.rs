//! Sums `s B - k A`, eight at once, where the processor multiplies 52 bits in vectors (AVX-512 IFMA).
//!
//! What comes out is compared with what a signature begins with. Where that differs it is computed again by the curve's
//! library, so that an error here could not refuse what is good; and to pass, it would have to come to the very 32 bytes
//! that stand in the signature.

#![allow(clippy::indexing_slicing, reason = "lanes and limbs: arrays of 8 and 5, and counters below that")]

mod field;
mod point;

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use curve25519_dalek::scalar::Scalar;
use fearless_simd::{Avx512, Level, kernel};

use self::point::{Addend, Points, mask};
use super::multiples::{Digit, Multiples, digits};

/// Sums that are computed at once.
pub(super) const LANES: usize = 8;

/// The processor does it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eight(Avx512);

/// Multiples of a point `P`, affine: for every `STRIDE`th window of `WIDTH` bits, 0 to `2^(WIDTH - 1)` times its weight.
///
/// The windows between take `WIDTH` doublings for each step away.
#[derive(Debug)]
pub(super) struct Addends<const WIDTH: u32, const STRIDE: u32> {
    rows: Vec<Addend>,
}

/// Multiples of the base point: 32 rows of 129, 528 KB.
pub(super) type BaseAddends = Addends<8, 1>;

/// Multiples of a key: 4 rows of 17, 8.7 KB.
pub(super) type KeyAddends = Addends<5, 13>;

/// Multiples of the base point for scalars that are secret: 64 rows of 9, 74 KB.
pub(super) type SecretAddends = Addends<4, 1>;

/// What is summed up in a lane.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) s: &'a Scalar,
    /// Multiples of the key, negated.
    pub(super) key: &'a KeyAddends,
    pub(super) k: &'a Scalar,
}

impl Eight {
    pub(super) fn detect() -> Option<Self> {
        Level::new().as_avx512().map(Self)
    }

    /// Computes the multiples of the base point.
    pub(super) fn base(self) -> Option<BaseAddends> {
        let [base, ..] = addends(self.0, &[ED25519_BASEPOINT_COMPRESSED.0; LANES]);
        base
    }

    /// Computes the multiples of the base point for scalars that are secret.
    pub(super) fn secret_base(self) -> Option<SecretAddends> {
        let [base, ..] = addends(self.0, &[ED25519_BASEPOINT_COMPRESSED.0; LANES]);
        base
    }

    /// Computes the encodings of the products of the base point with scalars that are secret: neither what is read nor how long
    /// it takes depends on them.
    pub(super) fn secret_products(
        self,
        base: &SecretAddends,
        scalars: &[[&Scalar; LANES]],
    ) -> Vec<[[u8; 32]; LANES]> {
        let products: Vec<Points> =
            scalars.iter().map(|scalars| secret_product(self.0, base, scalars)).collect();
        point::encoded(self.0, &products)
    }

    /// Computes the multiples of keys, of the point that each is the encoding of; nothing where it is none.
    pub(super) fn keys(self, encodings: &[[u8; 32]; LANES]) -> [Option<KeyAddends>; LANES] {
        addends(self.0, encodings)
    }

    /// Computes the encodings of `s B + k A`, with `A` that the multiples are of. All share an inversion.
    pub(super) fn sums(self, base: &BaseAddends, terms: &[[Terms<'_>; LANES]]) -> Vec<[[u8; 32]; LANES]> {
        let sums: Vec<Points> = terms.iter().map(|terms| sum(self.0, base, terms)).collect();
        point::encoded(self.0, &sums)
    }
}

impl<const WIDTH: u32, const STRIDE: u32> Addends<WIDTH, STRIDE> {
    const WINDOWS: u32 = Multiples::<WIDTH, STRIDE>::WINDOWS;
    const ROWS: u32 = Multiples::<WIDTH, STRIDE>::ROWS;
    const ROW: usize = Multiples::<WIDTH, STRIDE>::ROW + 1;

    /// Bytes that the multiples take.
    #[cfg(test)]
    pub(super) const BYTES: usize = Self::ROWS as usize * Self::ROW * size_of::<Addend>();

    /// Puts the neutral point before each row.
    fn of(multiples: &[Addend]) -> Self {
        let rows = multiples.chunks(Self::ROW - 1).flat_map(|row| [&[Addend::NEUTRAL], row].concat());
        Self { rows: rows.collect() }
    }

    #[inline]
    fn pick(&self, row: usize, digit: Digit) -> &Addend {
        self.rows.get(row * Self::ROW + digit.unsigned_abs() as usize).unwrap_or(&Addend::NEUTRAL)
    }
}

/// Computes multiples of eight points.
fn addends<const WIDTH: u32, const STRIDE: u32>(
    lanes: Avx512,
    encodings: &[[u8; 32]; LANES],
) -> [Option<Addends<WIDTH, STRIDE>>; LANES] {
    let (points, are_points) = point::decoded(lanes, encodings);
    let (row, rows) = (Addends::<WIDTH, STRIDE>::ROW - 1, Addends::<WIDTH, STRIDE>::ROWS as usize);
    // The last multiple of a row is 2^(WIDTH - 1) times the first.
    let multiples = point::multiples(lanes, &points, row, rows, WIDTH * (STRIDE - 1) + 1);
    let is_point = |lane: usize| are_points >> lane & 1 == 1;
    std::array::from_fn(|lane| is_point(lane).then(|| Addends::of(&multiples[lane])))
}

kernel!(
    fn sum(lanes: Avx512, base: &BaseAddends, terms: &[Terms<'_>; LANES]) -> Points {
        const STRIDE: usize = 13;
        let add = |sums: &Points, digits: &[Digit; LANES], addends: [&Addend; LANES]| {
            point::added(lanes, sums, addends, mask(|lane| digits[lane] < 0))
        };
        let mut sums = point::neutral(lanes);
        let of_keys = terms.map(|terms| digits::<5>(terms.k));
        for offset in (0..STRIDE).rev() {
            if offset + 1 < STRIDE {
                sums = point::doubled(lanes, &sums, 5);
            }
            for (row, window) in (offset..KeyAddends::WINDOWS as usize).step_by(STRIDE).enumerate() {
                let digits = of_keys.each_ref().map(|digits| digits[window]);
                sums =
                    add(&sums, &digits, std::array::from_fn(|lane| terms[lane].key.pick(row, digits[lane])));
            }
        }
        let of_base = terms.map(|terms| digits::<8>(terms.s));
        for window in 0..BaseAddends::WINDOWS as usize {
            let digits = of_base.each_ref().map(|digits| digits[window]);
            sums = add(&sums, &digits, digits.map(|digit| base.pick(window, digit)));
        }
        sums
    }
);

kernel!(
    fn secret_product(lanes: Avx512, base: &SecretAddends, scalars: &[&Scalar; LANES]) -> Points {
        let of_scalars = scalars.map(digits::<4>);
        let mut products = point::neutral(lanes);
        for (window, row) in base.rows.chunks(SecretAddends::ROW).enumerate() {
            let digits = of_scalars.each_ref().map(|digits| i64::from(digits[window]));
            products = point::added_secretly(lanes, &products, row, &digits);
        }
        products
    }
);

#[cfg(test)]
mod tests;
