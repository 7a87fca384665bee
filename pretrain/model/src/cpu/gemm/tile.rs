//! A tile of a product: sums of a few rows and vectors of columns, held in registers over the inner dimension.

use super::lanes::Lanes;
use crate::ops::Write;

/// Most rows of a tile.
pub(super) const ROWS: usize = 6;

/// Most columns of a tile: four vectors of sixteen.
const MAX_WIDTH: usize = 64;

/// What one tile reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Cells of the left factor, one row after another, `a_stride` apart.
    pub(super) a: *const u32,
    pub(super) a_stride: usize,
    /// Cells of a panel of the right factor: for each place of the inner dimension a vector for each of the tile's.
    pub(super) b: *const u32,
    /// Places of the inner dimension, in cells.
    pub(super) cells: usize,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// Columns that are written.
    pub(super) cols: usize,
    pub(super) write: Write,
}

impl Tile {
    /// Computes the tile of `rows` rows, at most [`ROWS`], and `vectors` vectors, at most `L::VECTORS`.
    ///
    /// # Safety
    /// The processor has the instructions of `L`; the left factor has `rows` rows of `cells` cells, the panel `cells` times
    /// `vectors` vectors, and `out` has `rows` rows of `cols` numbers, which nobody else reads or writes meanwhile.
    #[inline(always)]
    pub(super) unsafe fn compute<L: Lanes>(self, rows: usize, vectors: usize) {
        let width = vectors * L::WIDTH;
        if self.cols == width {
            // SAFETY: that of the caller.
            return unsafe { self.whole::<L>(rows, vectors) };
        }
        // Whole vectors would end outside: they go through memory of our own.
        let mut sums = [0.0; ROWS * MAX_WIDTH];
        let inside =
            Self { out: sums.as_mut_ptr(), out_stride: width, write: Write::Replace, ..self };
        // SAFETY: as above, and the memory has room for every row of every shape.
        unsafe { inside.whole::<L>(rows, vectors) };
        for (row, sums) in sums.chunks_exact(width).take(rows).enumerate() {
            for (col, sum) in sums.iter().take(self.cols).enumerate() {
                // SAFETY: `cols` columns of each of the rows are within `out`.
                let to = unsafe { &mut *self.out.add(row * self.out_stride + col) };
                *to = if self.write == Write::Add { *to + sum } else { *sum };
            }
        }
    }

    #[inline(always)]
    unsafe fn whole<L: Lanes>(self, rows: usize, vectors: usize) {
        macro_rules! shapes {
            ($($rows:literal)*) => {
                // SAFETY: that of the caller.
                unsafe {
                    match (rows, vectors) {
                        $(
                            ($rows, 1) => self.sum::<L, $rows, 1>(),
                            ($rows, 2) => self.sum::<L, $rows, 2>(),
                            ($rows, 3) => self.sum::<L, $rows, 3>(),
                            ($rows, 4) => self.sum::<L, $rows, 4>(),
                        )*
                        shape => unreachable!("a tile has no shape {shape:?}"),
                    }
                }
            };
        }
        shapes!(1 2 3 4 5 6)
    }

    /// Loops run over places and not over items: those the compiler unrolls, so that sums stay in registers.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "see above")]
    unsafe fn sum<L: Lanes, const ROWS: usize, const VECTORS: usize>(self) {
        let Self { mut a, a_stride, mut b, cells, .. } = self;
        // SAFETY: all places are within what the caller of `compute` has promised.
        unsafe {
            for row in 0..ROWS {
                for at in 0..VECTORS {
                    L::prefetch(self.out.add(row * self.out_stride + at * L::WIDTH));
                }
            }
            let mut sums = [[L::zero(); VECTORS]; ROWS];
            for _ in 0..cells {
                let mut vectors = [L::cells(b); VECTORS];
                for at in 1..VECTORS {
                    vectors[at] = L::cells(b.add(at * L::WIDTH));
                }
                for row in 0..ROWS {
                    let factor = L::splat(a.add(row * a_stride));
                    for at in 0..VECTORS {
                        sums[row][at] = L::multiply_add(sums[row][at], factor, vectors[at]);
                    }
                }
                a = a.add(1);
                b = b.add(VECTORS * L::WIDTH);
            }
            for row in 0..ROWS {
                for at in 0..VECTORS {
                    let to = self.out.add(row * self.out_stride + at * L::WIDTH);
                    let sum = match self.write {
                        Write::Replace => sums[row][at],
                        Write::Add => L::add(L::load(to, L::WIDTH), sums[row][at]),
                    };
                    L::store(sum, to, L::WIDTH);
                }
            }
        }
    }
}
