//! AVX-512: sixteen sums in a vector, of `f32` products or of pairs of bf16.

#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "functions do one thing, for which `Lanes` says what their callers must have seen to"
)]

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// Products of `f32`, each fused with its addition.
#[derive(Clone, Copy)]
pub(super) struct F32;

/// Products of pairs of bf16, summed in `f32` by the processor's dot product, which takes subnormal numbers for zero.
#[derive(Clone, Copy)]
pub(super) struct Bf16;

const WIDTH: usize = 16;

/// The first `count` lanes.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    u16::MAX
        .checked_shr(u32::try_from(WIDTH.saturating_sub(count)).unwrap_or(u32::MAX))
        .unwrap_or(0)
}

impl Lanes for F32 {
    type Sums = __m512;
    type Cells = __m512;
    const WIDTH: usize = WIDTH;
    const VECTORS: usize = 4;
    const INNER: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        _mm512_setzero_ps()
    }

    #[inline(always)]
    unsafe fn cells(from: *const u32) -> __m512 {
        _mm512_loadu_ps(from.cast())
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512 {
        _mm512_set1_ps(*from.cast::<f32>())
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, sum)
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> __m512 {
        _mm512_maskz_loadu_ps(first(count), from)
    }

    #[inline(always)]
    unsafe fn store(sums: __m512, to: *mut f32, count: usize) {
        _mm512_mask_storeu_ps(to, first(count), sums)
    }

    #[inline(always)]
    unsafe fn prefetch(to: *const f32) {
        _mm_prefetch::<_MM_HINT_ET0>(to.cast());
    }

    #[inline(always)]
    unsafe fn along(from: *const f32, count: usize) -> __m512 {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, _: usize, count: usize, _: usize) -> __m512 {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn put(cells: __m512, to: *mut u32, count: usize) {
        Self::store(cells, to.cast(), count)
    }

    #[inline(always)]
    unsafe fn transpose(square: &mut [__m512; 16]) {
        // Sixteen vectors of 512 bits either way.
        let turned = transpose(std::mem::transmute::<[__m512; 16], [__m512i; 16]>(*square));
        *square = std::mem::transmute::<[__m512i; 16], [__m512; 16]>(turned);
    }
}

impl Lanes for Bf16 {
    type Sums = __m512;
    type Cells = __m512i;
    const WIDTH: usize = WIDTH;
    const VECTORS: usize = 4;
    const INNER: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        _mm512_setzero_ps()
    }

    #[inline(always)]
    unsafe fn cells(from: *const u32) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512i {
        _mm512_set1_epi32(*from.cast::<i32>())
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        let pairs = |cells| std::mem::transmute::<__m512i, __m512bh>(cells);
        _mm512_dpbf16_ps(sum, pairs(a), pairs(b))
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> __m512 {
        F32::load(from, count)
    }

    #[inline(always)]
    unsafe fn store(sums: __m512, to: *mut f32, count: usize) {
        F32::store(sums, to, count)
    }

    #[inline(always)]
    unsafe fn prefetch(to: *const f32) {
        _mm_prefetch::<_MM_HINT_ET0>(to.cast());
    }

    #[inline(always)]
    unsafe fn along(from: *const f32, count: usize) -> __m512i {
        let low = F32::load(from, count);
        let high = F32::load(from.wrapping_add(WIDTH), count.saturating_sub(WIDTH));
        rounded(low, high)
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, stride: usize, count: usize, inner: usize) -> __m512i {
        let low = F32::load(from, count);
        let high = F32::load(from.wrapping_add(stride), if inner > 1 { count } else { 0 });
        _mm512_permutexvar_epi16(interleaved(), rounded(low, high))
    }

    #[inline(always)]
    unsafe fn put(cells: __m512i, to: *mut u32, count: usize) {
        _mm512_mask_storeu_epi32(to.cast(), first(count), cells)
    }

    #[inline(always)]
    unsafe fn transpose(square: &mut [__m512i; 16]) {
        *square = transpose(*square)
    }
}

/// Thirty-two bf16, the nearest to those of `low`, then of `high`.
#[inline(always)]
unsafe fn rounded(low: __m512, high: __m512) -> __m512i {
    std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
}

/// The order that takes two halves of sixteen numbers to sixteen pairs.
#[inline(always)]
unsafe fn interleaved() -> __m512i {
    const ORDER: [u16; 32] = {
        let mut order = [0; 32];
        let mut pair: u16 = 0;
        while pair < 16 {
            order[2 * pair as usize] = pair;
            order[2 * pair as usize + 1] = pair + 16;
            pair += 1;
        }
        order
    };
    std::mem::transmute(ORDER)
}

/// Sixteen rows of sixteen cells become their columns: pairs, fours and eights of rows are woven in turn.
#[inline(always)]
unsafe fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut twos = rows;
    for at in (0..16).step_by(2) {
        twos[at] = _mm512_unpacklo_epi32(rows[at], rows[at + 1]);
        twos[at + 1] = _mm512_unpackhi_epi32(rows[at], rows[at + 1]);
    }
    let mut fours = twos;
    for at in (0..16).step_by(4) {
        for half in 0..2 {
            let (upper, lower) = (twos[at + half], twos[at + half + 2]);
            fours[at + 2 * half] = _mm512_unpacklo_epi64(upper, lower);
            fours[at + 2 * half + 1] = _mm512_unpackhi_epi64(upper, lower);
        }
    }
    // Row `4 g + c` now has column `4 lane + c` of rows `4 g ..` in each 128-bit lane.
    let mut columns = fours;
    for c in 0..4 {
        let [a, b, c_, d] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let ab_even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let ab_odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        let cd_even = _mm512_shuffle_i32x4::<0b10_00_10_00>(c_, d);
        let cd_odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(c_, d);
        columns[c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_even, cd_even);
        columns[4 + c] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_odd, cd_odd);
        columns[8 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_even, cd_even);
        columns[12 + c] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_odd, cd_odd);
    }
    columns
}
