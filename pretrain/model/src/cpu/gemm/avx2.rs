//! AVX2 with fused multiply-add: eight sums in a vector.

#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "functions do one thing, for which `Lanes` says what their callers must have seen to"
)]

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// Products of `f32`, each fused with its addition.
#[derive(Clone, Copy)]
pub(super) struct F32;

const WIDTH: usize = 8;

/// The first `count` lanes.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    _mm256_loadu_si256(LANES.as_ptr().add(WIDTH - count.min(WIDTH)).cast())
}

impl Lanes for F32 {
    type Sums = __m256;
    type Cells = __m256;
    const WIDTH: usize = WIDTH;
    const VECTORS: usize = 2;
    const INNER: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        _mm256_setzero_ps()
    }

    #[inline(always)]
    unsafe fn cells(from: *const u32) -> __m256 {
        _mm256_loadu_ps(from.cast())
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m256 {
        _mm256_broadcast_ss(&*from.cast())
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: __m256, a: __m256, b: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, sum)
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> __m256 {
        if count >= WIDTH { _mm256_loadu_ps(from) } else { _mm256_maskload_ps(from, first(count)) }
    }

    #[inline(always)]
    unsafe fn store(sums: __m256, to: *mut f32, count: usize) {
        if count >= WIDTH {
            _mm256_storeu_ps(to, sums);
        } else {
            _mm256_maskstore_ps(to, first(count), sums);
        }
    }

    #[inline(always)]
    unsafe fn prefetch(to: *const f32) {
        _mm_prefetch::<_MM_HINT_ET0>(to.cast());
    }

    #[inline(always)]
    unsafe fn along(from: *const f32, count: usize) -> __m256 {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, _: usize, count: usize, _: usize) -> __m256 {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn put(cells: __m256, to: *mut u32, count: usize) {
        Self::store(cells, to.cast(), count)
    }

    /// Pairs and fours of rows are woven within lanes of 128 bits, then the lanes change places.
    #[inline(always)]
    unsafe fn transpose(square: &mut [__m256; 16]) {
        let mut twos = *square;
        for at in (0..WIDTH).step_by(2) {
            twos[at] = _mm256_unpacklo_ps(square[at], square[at + 1]);
            twos[at + 1] = _mm256_unpackhi_ps(square[at], square[at + 1]);
        }
        let mut fours = twos;
        for at in (0..WIDTH).step_by(4) {
            for half in 0..2 {
                let (upper, lower) = (twos[at + half], twos[at + half + 2]);
                fours[at + 2 * half] = _mm256_shuffle_ps::<0b01_00_01_00>(upper, lower);
                fours[at + 2 * half + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(upper, lower);
            }
        }
        for at in 0..4 {
            let (upper, lower) = (fours[at], fours[at + 4]);
            square[at] = _mm256_permute2f128_ps::<0x20>(upper, lower);
            square[at + 4] = _mm256_permute2f128_ps::<0x31>(upper, lower);
        }
    }
}
