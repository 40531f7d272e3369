//! Points of the curve, eight at once (Hisil, Wong, Carter, Dawson: "Twisted Edwards Curves Revisited", 2008).

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_abs_epi64, _mm512_cmpeq_epi64_mask, _mm512_mask_blend_epi64,
    _mm512_movepi64_mask, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use fearless_simd::{SimdFrom as _, kernel, u64x8};

use super::field::{self, Field, Limbs};

/// Points in extended coordinates: `x = X / Z`, `y = Y / Z`, `x y = T / Z`.
#[derive(Clone, Copy)]
pub(super) struct Points {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

/// A point that is added: `y + x`, `y - x` and `2 d x y`, each of five limbs.
#[derive(Debug, Clone, Copy)]
#[repr(align(128))]
pub(super) struct Addend([u64; 16]);

impl Addend {
    /// The neutral point.
    pub(super) const NEUTRAL: Self = Self([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    fn new(parts: [&Limbs; 3]) -> Self {
        let mut limbs = [0; 16];
        for (place, limb) in limbs.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *limb;
        }
        Self(limbs)
    }
}

kernel!(
    /// The neutral point in each lane.
    #[inline]
    pub(super) fn neutral(lanes: Avx512) -> Points {
        let (zero, one) = (field::splat(lanes, &field::ZERO), field::splat(lanes, &field::ONE));
        Points { x: zero, y: one, z: one, t: zero }
    }
);

kernel!(
    /// Adds a point in each lane, or subtracts it where `negative` has a bit.
    #[inline]
    pub(super) fn added(lanes: Avx512, to: &Points, addends: [&Addend; 8], negative: __mmask8) -> Points {
        let halves = addends.map(|addend| addend.0.as_chunks::<8>().0);
        let vector =
            |lane: usize, half: usize| -> __m512i { u64x8::simd_from(lanes, halves[lane][half]).into() };
        let first = transposed(lanes, &std::array::from_fn(|lane| vector(lane, 0)));
        let second = transposed(lanes, &std::array::from_fn(|lane| vector(lane, 1)));
        added_parts(lanes, to, &Parts::of(first, second), negative)
    }
);

kernel!(
    /// Adds in each lane the multiple of a row that a digit names, or subtracts it where the digit is negative. The digits are
    /// secret: all of the row is read, and chosen from by masks.
    #[inline]
    pub(super) fn added_secretly(lanes: Avx512, to: &Points, row: &[Addend], digits: &[i64; 8]) -> Points {
        let digits: __m512i = u64x8::simd_from(lanes, digits.map(i64::cast_unsigned)).into();
        let (size, negative) = (_mm512_abs_epi64(digits), _mm512_movepi64_mask(digits));
        let number = |limb: u64| _mm512_set1_epi64(limb.cast_signed());
        let mut chosen = Addend::NEUTRAL.0.map(number);
        for (multiple, addend) in (0..).zip(row) {
            let is_it = _mm512_cmpeq_epi64_mask(size, number(multiple));
            for (place, limb) in chosen.iter_mut().zip(addend.0) {
                *place = _mm512_mask_blend_epi64(is_it, *place, number(limb));
            }
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = chosen;
        let parts = Parts::of([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]);
        added_parts(lanes, to, &parts, negative)
    }
);

kernel!(
    /// Adds affine points, or subtracts them where `negative` has a bit.
    #[inline]
    fn added_parts(lanes: Avx512, to: &Points, parts: &Parts, negative: __mmask8) -> Points {
        let Parts { sum, difference, product } = parts;
        let addend = Parts {
            sum: field::chosen(lanes, negative, difference, sum),
            difference: field::chosen(lanes, negative, sum, difference),
            product: field::chosen(lanes, negative, &field::negated(lanes, product), product),
        };
        combined(lanes, to, &addend, &field::add(lanes, &to.z, &to.z))
    }
);

/// Of points that are added, `Y + X`, `Y - X` and `2 d T`.
#[derive(Clone, Copy)]
struct Parts {
    sum: Field,
    difference: Field,
    product: Field,
}

impl Parts {
    /// Takes the limbs of an [`Addend`], a vector for each.
    #[inline]
    const fn of(first: [__m512i; 8], second: [__m512i; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = first;
        let [i, j, k, l, m, n, o, _] = second;
        Self {
            sum: Field([a, b, c, d, e]),
            difference: Field([f, g, h, i, j]),
            product: Field([k, l, m, n, o]),
        }
    }
}

kernel!(
    /// Takes apart points that are added.
    #[inline]
    fn parts(lanes: Avx512, points: &Points) -> Parts {
        Parts {
            sum: field::add(lanes, &points.y, &points.x),
            difference: field::sub(lanes, &points.y, &points.x),
            product: field::mul(lanes, &points.t, &field::twice_d(lanes)),
        }
    }
);

kernel!(
    /// Adds points whose Z times that of the others, twice, is `zz`: `add-2008-hwcd-3`, which holds for all points.
    #[inline]
    fn combined(lanes: Avx512, to: &Points, addend: &Parts, zz: &Field) -> Points {
        let a = field::mul(lanes, &field::sub(lanes, &to.y, &to.x), &addend.difference);
        let b = field::mul(lanes, &field::add(lanes, &to.y, &to.x), &addend.sum);
        let c = field::mul(lanes, &to.t, &addend.product);
        let (e, f) = (field::sub(lanes, &b, &a), field::sub(lanes, zz, &c));
        let (g, h) = (field::add(lanes, zz, &c), field::add(lanes, &b, &a));
        Points {
            x: field::mul(lanes, &e, &f),
            y: field::mul(lanes, &g, &h),
            t: field::mul(lanes, &e, &h),
            z: field::mul(lanes, &f, &g),
        }
    }
);

kernel!(
    /// Doubles some times, once at least: `dbl-2008-hwcd`.
    #[inline]
    pub(super) fn doubled(lanes: Avx512, points: &Points, times: u32) -> Points {
        let mut doubled = *points;
        for time in 1..=times {
            let Points { x, y, z, .. } = &doubled;
            let (a, b, c) = (field::square(lanes, x), field::square(lanes, y), field::square(lanes, z));
            let h = field::add(lanes, &a, &b);
            let e = field::sub(lanes, &h, &field::square(lanes, &field::add(lanes, x, y)));
            let g = field::sub(lanes, &a, &b);
            let f = field::add(lanes, &field::add(lanes, &c, &c), &g);
            doubled = Points {
                x: field::mul(lanes, &e, &f),
                y: field::mul(lanes, &g, &h),
                z: field::mul(lanes, &f, &g),
                // Nothing needs it but what is added next.
                t: if time == times { field::mul(lanes, &e, &h) } else { *x },
            };
        }
        doubled
    }
);

kernel!(
    /// Makes columns of rows.
    #[inline]
    fn transposed(_lanes: Avx512, rows: &[__m512i; 8]) -> [__m512i; 8] {
        let [a, b, c, d, e, f, g, h] = *rows;
        // In pairs of rows, then in pairs of those: `0x88` takes the even quarters of two vectors, `0xdd` the odd ones.
        let columns = |pairs: [__m512i; 4]| {
            let [a, b, c, d] = pairs;
            let (ab_even, ab_odd) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b));
            let (cd_even, cd_odd) = (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d));
            [
                _mm512_shuffle_i64x2::<0x88>(ab_even, cd_even),
                _mm512_shuffle_i64x2::<0x88>(ab_odd, cd_odd),
                _mm512_shuffle_i64x2::<0xdd>(ab_even, cd_even),
                _mm512_shuffle_i64x2::<0xdd>(ab_odd, cd_odd),
            ]
        };
        let low = |a, b| _mm512_unpacklo_epi64(a, b);
        let high = |a, b| _mm512_unpackhi_epi64(a, b);
        let [a0, a2, a4, a6] = columns([low(a, b), low(c, d), low(e, f), low(g, h)]);
        let [a1, a3, a5, a7] = columns([high(a, b), high(c, d), high(e, f), high(g, h)]);
        [a0, a1, a2, a3, a4, a5, a6, a7]
    }
);

kernel!(
    /// Computes the canonical encodings.
    #[inline]
    pub(super) fn encoded(lanes: Avx512, points: &[Points]) -> Vec<[[u8; 32]; 8]> {
        let encode = |(x, y): (Field, Field)| {
            let (xs, ys) = (field::scattered(lanes, &x), field::scattered(lanes, &y));
            std::array::from_fn(|lane| {
                let mut bytes = field::to_bytes(&ys[lane]);
                bytes[31] |= (field::to_bytes(&xs[lane])[0] & 1) << 7;
                bytes
            })
        };
        affine(lanes, points).into_iter().map(encode).collect()
    }
);

kernel!(
    /// Computes `x` and `y` of points, with one inversion for all: of the product of their Z (Montgomery).
    #[inline]
    fn affine(lanes: Avx512, points: &[Points]) -> Vec<(Field, Field)> {
        let mut product = field::splat(lanes, &field::ONE);
        // Of each, the product of the Z of all before it; then x and y.
        let mut affine = Vec::with_capacity(points.len());
        for point in points {
            affine.push((product, product));
            product = field::mul(lanes, &product, &point.z);
        }
        let mut inverse = field::inverted(lanes, &product);
        for (point, place) in points.iter().zip(&mut affine).rev() {
            let of_z = field::mul(lanes, &inverse, &place.0);
            inverse = field::mul(lanes, &inverse, &point.z);
            *place = (field::mul(lanes, &point.x, &of_z), field::mul(lanes, &point.y, &of_z));
        }
        affine
    }
);

kernel!(
    /// Reads encodings of points (RFC 8032, section 5.1.3), and tells by bits which of them are some.
    #[inline]
    pub(super) fn decoded(lanes: Avx512, encodings: &[[u8; 32]; 8]) -> (Points, __mmask8) {
        let times = |a: &Field, b: &Field| field::mul(lanes, a, b);
        let (one, d) = (field::splat(lanes, &field::ONE), field::splat(lanes, &field::D));
        let y = field::gathered(lanes, &encodings.map(|bytes| field::from_bytes(&bytes)));
        let yy = field::square(lanes, &y);
        let (u, v) = (field::sub(lanes, &yy, &one), field::add(lanes, &times(&yy, &d), &one));
        // A root of u / v, or of its negative: u v^3 (u v^7)^((p - 5) / 8).
        let v3 = times(&field::square(lanes, &v), &v);
        let v7 = times(&field::square(lanes, &v3), &v);
        let root = times(&times(&u, &v3), &field::power_p58(lanes, &times(&u, &v7)));
        let other = times(&root, &field::splat(lanes, &field::SQRT_M1));
        let bytes = |field: &Field| field::scattered(lanes, field).map(|limbs| field::to_bytes(&limbs));
        let squares = |root: &Field| bytes(&times(&field::square(lanes, root), &v));
        let wanted = bytes(&u);
        let equal = |found: [[u8; 32]; 8]| mask(|lane| found[lane] == wanted[lane]);
        let (is_root, is_other) = (equal(squares(&root)), equal(squares(&other)));
        let x = field::chosen(lanes, is_root, &root, &other);
        let odd = bytes(&x);
        let negative = mask(|lane| odd[lane][0] & 1 != encodings[lane][31] >> 7);
        let x = field::chosen(lanes, negative, &field::negated(lanes, &x), &x);
        (Points { x, y, z: one, t: times(&x, &y) }, is_root | is_other)
    }
);

kernel!(
    /// Computes the multiples 1, 2, 3... of points, and of those for each further row `step` doublings away from the last
    /// multiple of the row before: row after row, for each lane.
    #[inline]
    pub(super) fn multiples(
        lanes: Avx512,
        of: &Points,
        row: usize,
        rows: usize,
        step: u32,
    ) -> [Vec<Addend>; 8] {
        let mut points = Vec::with_capacity(row * rows);
        let mut base = *of;
        for _ in 0..rows {
            let parts = parts(lanes, &base);
            let mut multiple = base;
            points.push(multiple);
            for _ in 1..row {
                let zz = field::mul(lanes, &multiple.z, &base.z);
                multiple = combined(lanes, &multiple, &parts, &field::add(lanes, &zz, &zz));
                points.push(multiple);
            }
            base = doubled(lanes, &multiple, step);
        }
        addends(lanes, &points)
    }
);

kernel!(
    /// Makes points what is added, for each lane.
    #[inline]
    fn addends(lanes: Avx512, points: &[Points]) -> [Vec<Addend>; 8] {
        let twice_d = field::twice_d(lanes);
        let mut addends: [Vec<Addend>; 8] = std::array::from_fn(|_| Vec::with_capacity(points.len()));
        for (x, y) in affine(lanes, points) {
            let sums = field::scattered(lanes, &field::add(lanes, &y, &x));
            let differences = field::scattered(lanes, &field::sub(lanes, &y, &x));
            let xy = field::mul(lanes, &x, &y);
            let products = field::scattered(lanes, &field::mul(lanes, &xy, &twice_d));
            for (lane, addends) in addends.iter_mut().enumerate() {
                addends.push(Addend::new([&sums[lane], &differences[lane], &products[lane]]));
            }
        }
        addends
    }
);

/// A bit for each lane of which something is true.
#[inline]
pub(super) fn mask(of: impl Fn(usize) -> bool) -> __mmask8 {
    (0..8).fold(0, |mask, lane| mask | u8::from(of(lane)) << lane)
}
