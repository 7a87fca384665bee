//! Loops compiled once for each vector width, and the exact functions they share.
//!
//! No loop here is reassociated or contracted by the compiler, and sums run in [`LANES`] interleaved partial sums
//! whatever the width, so every width gives the same bits.

/// Defines a function whose body is compiled for AVX-512, for AVX2 and for the baseline, and picks at run time.
macro_rules! simd {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn wide($($arg: $ty),*) $(-> $ret)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn half($($arg: $ty),*) $(-> $ret)? {
                    plain($($arg),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has every feature that `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has the feature that `half` is compiled for.
                    return unsafe { half($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}
pub(crate) use simd;

/// Partial sums that a sum over a row runs in.
pub(crate) const LANES: usize = 16;

/// `e^x`, within 2 units in the last place; `x` is held to `[-87, 88]`, where neither end leaves the normal numbers.
///
/// Our own, because the one in the system's library differs between machines.
///
/// Source: Cephes `expf` (Moshier): reduction by `ln 2` in two parts, a polynomial of degree 7.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "constants as published")]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Comparisons and not `clamp`, so that a NaN stays one.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_375) - n * -2.121_944_40e-4;
    let mut p = 1.987_569_150_0e-4;
    p = p * r + 1.398_199_950_7e-3;
    p = p * r + 8.333_451_907_3e-3;
    p = p * r + 4.166_579_589_4e-2;
    p = p * r + 1.666_666_545_9e-1;
    p = p * r + 5.000_000_120_1e-1;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    ((p * r * r + r) + 1.0) * f32::from_bits(power)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function, within 2 units in the last place.
///
/// Both branches are computed and one is taken, so that loops over it stay loops over vectors.
///
/// Source: two minimax polynomials of N. Juffa, of `erf(x) / x` below 475/512 and of `ln(1 - erf(x))` above.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "constants as published")]
pub(crate) fn erf(x: f32) -> f32 {
    let (t, s) = (x.abs(), x * x);
    let mut tail = -1.728_534_70e-5 * t + 3.831_971_26e-4;
    let rest = -3.883_964_38e-3 * t + 2.425_462_19e-2;
    tail = tail * s + rest;
    tail = tail * t - 1.067_778_77e-1;
    tail = tail * t - 6.348_466_87e-1;
    tail = tail * t - 1.287_175_12e-1;
    let tail = (1.0 - exp(tail * t - t)).copysign(x);
    let mut near = -5.967_617_03e-4;
    near = near * s + 4.991_194_23e-3;
    near = near * s - 2.676_813_49e-2;
    near = near * s + 1.128_199_25e-1;
    near = near * s - 3.761_253_36e-1;
    near = near * s + 1.283_791_66e-1;
    if t > 0.927_734_375 { tail } else { near * x + x }
}

/// Adds the lanes in a tree.
#[inline(always)]
pub(crate) fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ a[i] * b[i]`, in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |a, b| a * b)
}

/// `Σ term(a[i], b[i])`, in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (mut whole_a, mut whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in whole_a.by_ref().zip(whole_b.by_ref()) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(whole_a.remainder().iter().zip(whole_b.remainder()))
    {
        *lane += term(*a, *b);
    }
    sum_lanes(lanes)
}

simd! {
    /// The largest number of a row; negative infinity for an empty one.
    pub(crate) fn row_max(row: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let mut whole = row.chunks_exact(LANES);
        for chunk in whole.by_ref() {
            for lane in 0..LANES {
                lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
            }
        }
        let largest = |max: f32, &value: &f32| if value > max { value } else { max };
        let max = whole.remainder().iter().fold(f32::NEG_INFINITY, largest);
        lanes.iter().fold(max, largest)
    }
}

simd! {
    /// `row[i] = e^((row[i] - shift) * scale)`; returns their sum.
    pub(crate) fn exp_sum(row: &mut [f32], shift: f32, scale: f32) -> f32 {
        let mut lanes = [0.0; LANES];
        let mut whole = row.chunks_exact_mut(LANES);
        for chunk in whole.by_ref() {
            for lane in 0..LANES {
                chunk[lane] = exp((chunk[lane] - shift) * scale);
                lanes[lane] += chunk[lane];
            }
        }
        for (lane, value) in lanes.iter_mut().zip(whole.into_remainder()) {
            *value = exp((*value - shift) * scale);
            *lane += *value;
        }
        sum_lanes(lanes)
    }
}

simd! {
    /// `row[i] *= factor`.
    pub(crate) fn scale(row: &mut [f32], factor: f32) {
        for value in row {
            *value *= factor;
        }
    }
}

/// The nearest `f32`.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what it is for")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
            x += 0.003_7;
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) > 0.0 && exp(f32::INFINITY).is_finite());
    }

    #[test]
    fn erf_is_within_two_units_in_the_last_place() {
        let mut x = -9.0f32;
        while x < 9.0 {
            let exact = libm::erf(f64::from(x));
            let error = (f64::from(erf(x)) - exact).abs() / exact.abs().max(1e-3);
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
            x += 0.000_37;
        }
        assert_eq!((erf(0.0), erf(f32::INFINITY), erf(f32::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(erf(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_every_length() {
        for len in [0u16, 1, 15, 16, 17, 33] {
            let row: Vec<f32> = (0..len).map(f32::from).collect();
            let n = f32::from(len);
            assert_eq!(dot(&row, &vec![1.0; row.len()]), n * (n - 1.0) / 2.0, "{len}");
            assert_eq!(row_max(&row), if len == 0 { f32::NEG_INFINITY } else { n - 1.0 });
            assert_eq!(exp_sum(&mut vec![3.0; row.len()], 3.0, 0.5), n);
        }
    }
}
