//! Numbers modulo `p = 2^255 - 19`, eight at once, in the lanes of vectors.

use std::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_blend_epi64, _mm512_mullo_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_sub_epi64,
};

use fearless_simd::{Avx512, SimdFrom as _, kernel, u64x8};

/// Bits of a limb.
const LIMB_BITS: u32 = 51;

/// The 51 lowest bits.
const LOW: u64 = (1 << LIMB_BITS) - 1;

/// Numbers modulo `p`, one in each lane: five limbs of 51 bits, the least first.
///
/// The limbs of what functions here take and return are below `2^51 + 2^14`, so that a sum of two that was not carried
/// is below `2^53`, and what is multiplied is below `2^52`: the multiplication sees no more of a limb.
#[derive(Clone, Copy)]
pub(super) struct Field(pub(super) [__m512i; 5]);

/// A number modulo `p` as five limbs of 51 bits, of which the highest bits may be more than is canonical.
pub(super) type Limbs = [u64; 5];

/// -121665 / 121666, the d of the curve (RFC 8032, section 5.1).
pub(super) const D: Limbs = [
    929_955_233_495_203,
    466_365_720_129_213,
    1_662_059_464_998_953,
    2_033_849_074_728_123,
    1_442_794_654_840_575,
];

/// A square root of -1.
pub(super) const SQRT_M1: Limbs = [
    1_718_705_420_411_056,
    234_908_883_556_509,
    2_233_514_472_574_048,
    2_117_202_627_021_982,
    765_476_049_583_133,
];

pub(super) const ZERO: Limbs = [0; 5];
pub(super) const ONE: Limbs = [1, 0, 0, 0, 0];

kernel!(
    /// The same number in each lane.
    #[inline]
    pub(super) fn splat(_lanes: Avx512, number: &Limbs) -> Field {
        Field(number.map(|limb| _mm512_set1_epi64(limb.cast_signed())))
    }
);

kernel!(
    #[inline]
    pub(super) fn mul(lanes: Avx512, a: &Field, b: &Field) -> Field {
        // Products of two limbs, the 52 low bits and those above: these weigh 2^52, twice the next limb.
        let mut low = [_mm512_setzero_si512(); 10];
        let mut high = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.0[i], b.0[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a.0[i], b.0[j]);
            }
        }
        folded(lanes, &low, &high)
    }
);

kernel!(
    #[inline]
    pub(super) fn square(lanes: Avx512, a: &Field) -> Field {
        let mut low = [_mm512_setzero_si512(); 10];
        let mut high = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a.0[i], a.0[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a.0[i], a.0[j]);
            }
        }
        // Each of these comes twice.
        for sum in low.iter_mut().chain(&mut high) {
            *sum = _mm512_add_epi64(*sum, *sum);
        }
        for i in 0..5 {
            low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a.0[i], a.0[i]);
            high[2 * i + 1] = _mm512_madd52hi_epu64(high[2 * i + 1], a.0[i], a.0[i]);
        }
        folded(lanes, &low, &high)
    }
);

kernel!(
    /// Folds what is above 2^255, where it is 19 times as much.
    #[inline]
    fn folded(lanes: Avx512, low: &[__m512i; 10], high: &[__m512i; 10]) -> Field {
        // Below 2^55: five low products below 2^52, and twice five high ones, of which each is little above 2^50 at most.
        let sum = |at: usize| _mm512_add_epi64(low[at], _mm512_add_epi64(high[at], high[at]));
        let nineteen = _mm512_set1_epi64(19);
        // Below 2^60.
        let mut limbs = [_mm512_setzero_si512(); 5];
        for (at, limb) in limbs.iter_mut().enumerate() {
            *limb = _mm512_add_epi64(sum(at), _mm512_mullo_epi64(sum(at + 5), nineteen));
        }
        carried(lanes, &limbs)
    }
);

kernel!(
    /// Carries what is above 51 bits, from all limbs at once. Of limbs below 2^60 that is below 2^9, and the highest comes back
    /// 19 times, so that they come out below `2^51 + 2^14`.
    #[inline]
    fn carried(_lanes: Avx512, limbs: &[__m512i; 5]) -> Field {
        let low = _mm512_set1_epi64(LOW.cast_signed());
        let [a, b, c, d, e] = limbs.map(|limb| _mm512_and_si512(limb, low));
        let [over_a, over_b, over_c, over_d, over_e] = limbs.map(|limb| _mm512_srli_epi64::<LIMB_BITS>(limb));
        Field([
            _mm512_madd52lo_epu64(a, over_e, _mm512_set1_epi64(19)),
            _mm512_add_epi64(b, over_a),
            _mm512_add_epi64(c, over_b),
            _mm512_add_epi64(d, over_c),
            _mm512_add_epi64(e, over_d),
        ])
    }
);

kernel!(
    #[inline]
    pub(super) fn add(lanes: Avx512, a: &Field, b: &Field) -> Field {
        let mut sums = a.0;
        for (sum, limb) in sums.iter_mut().zip(&b.0) {
            *sum = _mm512_add_epi64(*sum, *limb);
        }
        carried(lanes, &sums)
    }
);

kernel!(
    /// Subtracts, with 4 p added, whose limbs are above those of `b`.
    #[inline]
    pub(super) fn sub(lanes: Avx512, a: &Field, b: &Field) -> Field {
        let mut differences = a.0;
        for (at, (difference, limb)) in differences.iter_mut().zip(&b.0).enumerate() {
            let more = 4 * if at == 0 { LOW - 18 } else { LOW };
            let more = _mm512_set1_epi64(more.cast_signed());
            *difference = _mm512_sub_epi64(_mm512_add_epi64(*difference, more), *limb);
        }
        carried(lanes, &differences)
    }
);

kernel!(
    #[inline]
    pub(super) fn negated(lanes: Avx512, a: &Field) -> Field {
        sub(lanes, &splat(lanes, &ZERO), a)
    }
);

kernel!(
    /// Takes `yes` in the lanes whose bit is set, and `no` in the others.
    #[inline]
    pub(super) fn chosen(_lanes: Avx512, mask: __mmask8, yes: &Field, no: &Field) -> Field {
        Field(std::array::from_fn(|at| _mm512_mask_blend_epi64(mask, no.0[at], yes.0[at])))
    }
);

kernel!(
    /// Twice the d of the curve.
    #[inline]
    pub(super) fn twice_d(lanes: Avx512) -> Field {
        let d = splat(lanes, &D);
        add(lanes, &d, &d)
    }
);

kernel!(
    /// Squares some times.
    #[inline]
    fn squared(lanes: Avx512, a: &Field, times: u32) -> Field {
        let mut square = *a;
        for _ in 0..times {
            square = self::square(lanes, &square);
        }
        square
    }
);

kernel!(
    /// Returns `a^(2^250 - 1)` and `a^11`.
    #[inline]
    fn power_250(lanes: Avx512, a: &Field) -> (Field, Field) {
        let times = |a: &Field, b: &Field| mul(lanes, a, b);
        let two = squared(lanes, a, 1);
        let nine = times(&squared(lanes, &two, 2), a);
        let eleven = times(&nine, &two);
        // Each is a to the power of 2 to its number, less one.
        let of_5 = times(&squared(lanes, &eleven, 1), &nine);
        let of_10 = times(&squared(lanes, &of_5, 5), &of_5);
        let of_20 = times(&squared(lanes, &of_10, 10), &of_10);
        let of_40 = times(&squared(lanes, &of_20, 20), &of_20);
        let of_50 = times(&squared(lanes, &of_40, 10), &of_10);
        let of_100 = times(&squared(lanes, &of_50, 50), &of_50);
        let of_200 = times(&squared(lanes, &of_100, 100), &of_100);
        (times(&squared(lanes, &of_200, 50), &of_50), eleven)
    }
);

kernel!(
    /// Inverts: `a^(p - 2)`, which is 0 for 0.
    #[inline]
    pub(super) fn inverted(lanes: Avx512, a: &Field) -> Field {
        let (power, eleven) = power_250(lanes, a);
        mul(lanes, &squared(lanes, &power, 5), &eleven)
    }
);

kernel!(
    /// Returns `a^((p - 5) / 8)`.
    #[inline]
    pub(super) fn power_p58(lanes: Avx512, a: &Field) -> Field {
        let (power, _) = power_250(lanes, a);
        mul(lanes, &squared(lanes, &power, 2), a)
    }
);

/// Puts numbers into lanes.
#[inline]
pub(super) fn gathered(lanes: Avx512, numbers: &[Limbs; 8]) -> Field {
    let mut limbs = [[0; 8]; 5];
    for (lane, number) in numbers.iter().enumerate() {
        for (limb, value) in limbs.iter_mut().zip(number) {
            limb[lane] = *value;
        }
    }
    Field(limbs.map(|limb| u64x8::simd_from(lanes, limb).into()))
}

/// Takes numbers out of lanes.
#[inline]
pub(super) fn scattered(lanes: Avx512, field: &Field) -> [Limbs; 8] {
    let limbs = field.0.map(|limb| <[u64; 8]>::from(u64x8::simd_from(lanes, limb)));
    std::array::from_fn(|lane| limbs.map(|limb| limb[lane]))
}

/// Reads the 255 low bits of a number, little-endian.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [a, b, c, d] = words;
    [
        a & LOW,
        (a >> 51 | b << 13) & LOW,
        (b >> 38 | c << 26) & LOW,
        (c >> 25 | d << 39) & LOW,
        (d >> 12) & LOW,
    ]
}

/// Writes a number as it is canonical: below `p`, little-endian.
pub(super) fn to_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut limbs = *limbs;
    // Twice: what the first carry leaves above is little, and goes with the second.
    for _ in 0..2 {
        let mut over = 0;
        for limb in &mut limbs {
            *limb += over;
            over = *limb >> LIMB_BITS;
            *limb &= LOW;
        }
        limbs[0] += 19 * over;
    }
    // At most 2^255 + 18: p is taken away once, if adding 19 goes beyond 2^255.
    let mut over = 19;
    for limb in limbs {
        over = (limb + over) >> LIMB_BITS;
    }
    let mut carry = 19 * over;
    for limb in &mut limbs {
        *limb += carry;
        carry = *limb >> LIMB_BITS;
        *limb &= LOW;
    }
    let [a, b, c, d, e] = limbs;
    let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12];
    let mut bytes = [0; 32];
    for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    bytes
}
