//! Plain Rust for every processor: four sums in a vector, products rounded before they are added.

#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "functions do one thing, for which `Lanes` says what their callers must have seen to"
)]

use super::lanes::Lanes;

/// Products of `f32`.
#[derive(Clone, Copy)]
pub(super) struct F32;

const WIDTH: usize = 4;

impl Lanes for F32 {
    type Sums = [f32; WIDTH];
    type Cells = [f32; WIDTH];
    const WIDTH: usize = WIDTH;
    const VECTORS: usize = 2;
    const INNER: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> [f32; WIDTH] {
        [0.0; WIDTH]
    }

    #[inline(always)]
    unsafe fn cells(from: *const u32) -> [f32; WIDTH] {
        *from.cast()
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> [f32; WIDTH] {
        [*from.cast::<f32>(); WIDTH]
    }

    #[inline(always)]
    unsafe fn multiply_add(sum: [f32; WIDTH], a: [f32; WIDTH], b: [f32; WIDTH]) -> [f32; WIDTH] {
        std::array::from_fn(|lane| sum[lane] + a[lane] * b[lane])
    }

    #[inline(always)]
    unsafe fn add(a: [f32; WIDTH], b: [f32; WIDTH]) -> [f32; WIDTH] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32, count: usize) -> [f32; WIDTH] {
        if count >= WIDTH {
            return *from.cast();
        }
        std::array::from_fn(|lane| if lane < count { *from.add(lane) } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(sums: [f32; WIDTH], to: *mut f32, count: usize) {
        for (lane, sum) in sums.into_iter().take(count).enumerate() {
            *to.add(lane) = sum;
        }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    #[inline(always)]
    unsafe fn along(from: *const f32, count: usize) -> [f32; WIDTH] {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn across(from: *const f32, _: usize, count: usize, _: usize) -> [f32; WIDTH] {
        Self::load(from, count)
    }

    #[inline(always)]
    unsafe fn put(cells: [f32; WIDTH], to: *mut u32, count: usize) {
        Self::store(cells, to.cast(), count)
    }

    #[inline(always)]
    unsafe fn transpose(square: &mut [[f32; WIDTH]; 16]) {
        let rows = *square;
        for (at, row) in square.iter_mut().take(WIDTH).enumerate() {
            *row = std::array::from_fn(|lane| rows[lane][at]);
        }
    }
}
