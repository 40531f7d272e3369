//! Multiples of a point, computed beforehand, so that a product with it is a sum: no doublings.

use std::cmp::Ordering;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;

/// Bits of a scalar below the order of the base point.
const SCALAR_BITS: u32 = 253;

/// Multiples of a point `P` for windows of `WIDTH` bits: for every `STRIDE`th window, `P` times 1 to `2^(WIDTH - 1)` times
/// the weight of the window. The windows between take `WIDTH` doublings for each step away.
///
/// A product is that with the scalar as a whole number, for points of any order.
#[derive(Debug)]
pub(super) struct Multiples<const WIDTH: u32, const STRIDE: u32> {
    /// Rows of the windows 0, `STRIDE`, twice that...
    rows: Vec<EdwardsPoint>,
}

/// A digit of a scalar: what is added or subtracted.
pub(super) type Digit = i32;

impl<const WIDTH: u32, const STRIDE: u32> Multiples<WIDTH, STRIDE> {
    pub(super) const WINDOWS: u32 = SCALAR_BITS.div_ceil(WIDTH);
    pub(super) const ROWS: u32 = Self::WINDOWS.div_ceil(STRIDE);
    pub(super) const ROW: usize = 1 << (WIDTH - 1);

    /// Bytes that the multiples take.
    #[cfg(test)]
    pub(super) const BYTES: usize = Self::ROWS as usize * Self::ROW * size_of::<EdwardsPoint>();

    /// Computes the multiples: an addition for each, and a doubling for each bit of a scalar.
    pub(super) fn of(point: &EdwardsPoint) -> Self {
        let mut rows = Vec::with_capacity(Self::ROWS as usize * Self::ROW);
        let mut base = *point;
        for _ in 0..Self::ROWS {
            let mut multiple = base;
            rows.push(multiple);
            for _ in 1..Self::ROW {
                multiple += base;
                rows.push(multiple);
            }
            // The last one is 2^(WIDTH - 1) times the first.
            base = doubled(multiple, WIDTH * (STRIDE - 1) + 1);
        }
        Self { rows }
    }

    /// Computes the product of the point with a scalar, which is below the order of the base point.
    pub(super) fn product(&self, scalar: &Scalar) -> EdwardsPoint {
        self.add_product(scalar, EdwardsPoint::identity())
    }

    /// Adds the product of the point with a scalar, which is below the order of the base point.
    pub(super) fn add_product(&self, scalar: &Scalar, to: EdwardsPoint) -> EdwardsPoint {
        let digits = digits::<WIDTH>(scalar);
        // All at once, so that the memory they lie in is waited for once and not before each addition.
        let mut picked = [EdwardsPoint::identity(); 64];
        for (at, (digit, place)) in digits.iter().zip(&mut picked).take(Self::WINDOWS as usize).enumerate() {
            let row = at / STRIDE as usize * Self::ROW;
            if let Some(multiple) = self.rows.get((row + digit.unsigned_abs() as usize).wrapping_sub(1))
                && *digit != 0
            {
                *place = *multiple;
            }
        }
        let mut product = if STRIDE == 1 { to } else { EdwardsPoint::identity() };
        for offset in (0..STRIDE as usize).rev() {
            if offset + 1 < STRIDE as usize {
                product = doubled(product, WIDTH);
            }
            let terms = digits.iter().zip(&picked).take(Self::WINDOWS as usize);
            for (digit, multiple) in terms.skip(offset).step_by(STRIDE as usize) {
                match digit.cmp(&0) {
                    Ordering::Greater => product += multiple,
                    Ordering::Less => product -= multiple,
                    Ordering::Equal => {}
                }
            }
        }
        if STRIDE == 1 { product } else { product + to }
    }
}

/// Splits a scalar into digits from `-2^(WIDTH - 1)` to `2^(WIDTH - 1)`, the least first.
pub(super) fn digits<const WIDTH: u32>(scalar: &Scalar) -> [Digit; 64] {
    let mut bits = Bits::of(scalar);
    let mut carry = 0;
    let mut digits = [0; 64];
    for digit in digits.iter_mut().take(SCALAR_BITS.div_ceil(WIDTH) as usize) {
        let window = bits.take(WIDTH) + carry;
        // The highest window has a bit to spare, so that nothing is carried out of it.
        carry = Digit::from(window >= 1 << (WIDTH - 1));
        *digit = window - (carry << WIDTH);
    }
    digits
}

/// Bits of a scalar from the least on.
struct Bits {
    words: [u64; 4],
}

impl Bits {
    fn of(scalar: &Scalar) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(scalar.as_bytes().as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self { words }
    }

    /// Takes the next `count` bits, at most 16.
    fn take(&mut self, count: u32) -> Digit {
        let [a, b, c, d] = self.words;
        let taken = a & ((1 << count) - 1);
        let shifted = |low: u64, high: u64| (low >> count) | (high << (u64::BITS - count));
        self.words = [shifted(a, b), shifted(b, c), shifted(c, d), d >> count];
        Digit::try_from(taken).unwrap_or_default()
    }
}

/// Doubles a point some times.
fn doubled(mut point: EdwardsPoint, mut times: u32) -> EdwardsPoint {
    while times >= 3 {
        // Three doublings, with less between them than in three additions.
        point = point.mul_by_cofactor();
        times -= 3;
    }
    for _ in 0..times {
        point += point;
    }
    point
}
