//! What the skeleton of a product is written over: vectors of sums, and of the cells that are multiplied into them.
//!
//! A *cell* is what one multiply-add takes from each factor for each sum: one `f32`, or two neighbours of the inner
//! dimension as bf16. Both have 32 bits, so that packed factors look the same and only these few functions differ.

/// Vectors of one instruction set and one type of number.
///
/// # Safety
/// All functions compute with instructions that the processor must have: whoever picks an implementation has asked.
/// Functions that take pointers read or write what they say, and nothing else.
pub(super) trait Lanes: Copy {
    /// `WIDTH` sums, each an `f32`.
    type Sums: Copy;
    /// `WIDTH` cells.
    type Cells: Copy;
    /// Numbers in a vector.
    const WIDTH: usize;
    /// Vectors of columns in the widest tile: as many as the registers hold with [`super::tile::ROWS`] rows.
    const VECTORS: usize;
    /// Numbers of the inner dimension in a cell, 1 or 2.
    const INNER: usize;

    /// Sums of nothing.
    unsafe fn zero() -> Self::Sums;
    /// Reads `WIDTH` cells.
    unsafe fn cells(from: *const u32) -> Self::Cells;
    /// One cell for all lanes.
    unsafe fn splat(from: *const u32) -> Self::Cells;
    /// `sum + a * b`; of pairs, `sum + a.0 * b.0 + a.1 * b.1`.
    unsafe fn multiply_add(sum: Self::Sums, a: Self::Cells, b: Self::Cells) -> Self::Sums;
    /// `a + b`.
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// Reads the first `count` numbers, at most `WIDTH`; the others are zero.
    unsafe fn load(from: *const f32, count: usize) -> Self::Sums;
    /// Writes the first `count` numbers, at most `WIDTH`.
    unsafe fn store(sums: Self::Sums, to: *mut f32, count: usize);
    /// Brings the numbers at a place near, for they will be written.
    unsafe fn prefetch(to: *const f32);

    /// `WIDTH` cells along the inner dimension, from `count` numbers that are neighbours in memory, at most
    /// `WIDTH * INNER`; what is missing is zero.
    unsafe fn along(from: *const f32, count: usize) -> Self::Cells;
    /// Cells of `count` rows or columns, at most `WIDTH`, that are neighbours in memory; the next numbers of the inner
    /// dimension, if there are `inner > 1`, are `stride` behind. What is missing is zero.
    unsafe fn across(from: *const f32, stride: usize, count: usize, inner: usize) -> Self::Cells;
    /// Writes the first `count` cells, at most `WIDTH`.
    unsafe fn put(cells: Self::Cells, to: *mut u32, count: usize);
    /// Turns a square of `WIDTH` vectors, of which a caller with fewer hands in zeros.
    unsafe fn transpose(square: &mut [Self::Cells; 16]);
}
