//! Matrix products: one skeleton for every instruction set, for `f32` and for bf16.
//!
//! The right factor is laid out in panels as wide as a tile; blocks of rows of the left factor then run over the panels,
//! tile by tile, each tile's sums in registers. Every output is the sum of its products in order, begun anew at each
//! [`Kernels::inner`]-th and added up: what it is depends on its own row and column and on nothing else, so blocks, tiles
//! and threads may be cut as they run fastest.
//!
//! Source: Goto and van de Geijn 2008, doi:10.1145/1356052.1356053; the names of the loops as in BLIS.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod gemv;
mod lanes;
mod matrix;
mod pack;
mod portable;
mod product;
#[cfg(test)]
mod tests;
mod tile;

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

pub(crate) use self::product::Sum;
use self::{
    buffer::Buffer,
    gemv::Layout,
    lanes::Lanes,
    matrix::Matrix,
    product::{Memory, Panels, Piece},
    tile::{ROWS, Tile},
};
use super::tensor::Tensor;
use crate::{ops::Write, profile::NumericProfile};

/// Which instructions products are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernels {
    /// AVX-512, pairs of bf16 summed in `f32`.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// AVX-512, `f32`.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with fused multiply-add, `f32`.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Plain Rust, `f32`.
    Portable,
}

/// Multiplications of one row that are worth a task.
const ROW_PRODUCTS: usize = 65_536;

impl Kernels {
    /// Those of a profile of this processor.
    ///
    /// # Panics
    /// If this processor does not have it: see [`NumericProfile::require`].
    pub(crate) fn of(profile: NumericProfile) -> Self {
        assert!(profile.is_here(), "{profile} is asked for on a processor that has it");
        match profile {
            #[cfg(target_arch = "x86_64")]
            NumericProfile::X86V4Bf16 => Self::Avx512Bf16,
            #[cfg(target_arch = "x86_64")]
            NumericProfile::X86V4 => Self::Avx512,
            #[cfg(target_arch = "x86_64")]
            NumericProfile::X86V3 => Self::Avx2,
            _ => Self::Portable,
        }
    }

    /// Numbers of the inner dimension after which sums begin anew. It is part of the arithmetic.
    const fn inner(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => 2048,
            _ => 1024,
        }
    }

    /// `out = a · b` or `out += a · b`, as [`Self::threaded`]; an `out` that is replaced takes the size of the result.
    pub(crate) fn product(
        self,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        out: &mut Tensor,
        write: Write,
    ) {
        if write == Write::Replace {
            out.resize(a.nrows(), b.ncols());
        }
        self.threaded(out.view_mut(), a, b, write);
    }

    /// `out = a · b` or `out += a · b`, shared out over the threads.
    ///
    /// # Shapes
    /// `out`: `[m, n]`, with rows of neighbours, `a`: `[m, k]`, `b`: `[k, n]`, each by rows or by columns.
    pub(crate) fn threaded(
        self,
        out: ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
    ) {
        self.sums([Sum { out, terms: &[[a, b]], bias: None, write }]);
    }

    /// The same on this thread alone.
    pub(crate) fn serial(
        self,
        out: ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
    ) {
        product::compute(self, 1, [Sum { out, terms: &[[a, b]], bias: None, write }]);
    }

    /// Several sums at once, shared out over the threads: the same bits as one after another, and faster where they have
    /// factors in common.
    pub(crate) fn sums<'a: 'b, 'b>(self, sums: impl IntoIterator<Item = Sum<'a, 'b>>) {
        product::compute(self, rayon::current_num_threads(), sums);
    }
}

impl Kernels {
    /// A product of one row, read from the factors as they lie; returns whether it is one, which it is where [`gemv`] can.
    fn one_row(
        self,
        out: &mut ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
        threads: usize,
    ) -> bool {
        let fused = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => return false,
            Self::Portable => false,
            #[cfg(target_arch = "x86_64")]
            _ => true,
        };
        let (Some(out), Some(a)) = (out.as_slice_mut(), a.as_slice()) else { return false };
        let layout = match b.strides() {
            [_, 1] => Layout::Rows,
            [1, _] => Layout::Columns,
            _ => return false,
        };
        let multiply = |first: usize, out: &mut [f32]| {
            let mut write = write;
            for (chunk, inner) in a.chunks(self.inner()).zip((0..).step_by(self.inner())) {
                let b = b.slice(s![inner..inner + chunk.len(), first..first + out.len()]);
                gemv::multiply(out, chunk, (b, layout), write, fused);
                write = Write::Add;
            }
        };
        let block = (ROW_PRODUCTS / a.len()).max(1).next_multiple_of(gemv::LANES);
        if threads == 1 {
            multiply(0, out);
        } else {
            let blocks = out.par_chunks_mut(block).enumerate();
            blocks.for_each(|(at, out)| multiply(at * block, out));
        }
        true
    }
}

/// How an instruction set cuts a product.
#[derive(Clone, Copy)]
struct Shape {
    /// Columns of a panel, and numbers of the inner dimension in a cell.
    width: usize,
    inner: usize,
}

impl Shape {
    const fn of<L: Lanes>() -> Self {
        Self { width: L::VECTORS * L::WIDTH, inner: L::INNER }
    }
}

impl Kernels {
    const fn shape(self) -> Shape {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Shape::of::<avx512::Bf16>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Shape::of::<avx512::F32>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Shape::of::<avx2::F32>(),
            Self::Portable => Shape::of::<portable::F32>(),
        }
    }
}

/// Defines a function whose body is compiled for each instruction set, and picked by the first argument.
macro_rules! compiled {
    ($(#[$meta:meta])* unsafe fn $name:ident<$lanes:ident>($kernels:ident: Kernels, $($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        unsafe fn $name($kernels: Kernels, $($arg: $ty),*) {
            #[inline(always)]
            unsafe fn plain<$lanes: Lanes>($kernels: Kernels, $($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
            unsafe fn avx512_bf16($kernels: Kernels, $($arg: $ty),*) {
                // SAFETY: that of the caller.
                unsafe { plain::<avx512::Bf16>($kernels, $($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512($kernels: Kernels, $($arg: $ty),*) {
                // SAFETY: that of the caller.
                unsafe { plain::<avx512::F32>($kernels, $($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($kernels: Kernels, $($arg: $ty),*) {
                // SAFETY: that of the caller.
                unsafe { plain::<avx2::F32>($kernels, $($arg),*) }
            }
            // SAFETY: that of the caller, who has `$kernels` of a processor with their instructions.
            unsafe {
                match $kernels {
                    #[cfg(target_arch = "x86_64")]
                    Kernels::Avx512Bf16 => avx512_bf16($kernels, $($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Kernels::Avx512 => avx512($kernels, $($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Kernels::Avx2 => avx2($kernels, $($arg),*),
                    Kernels::Portable => plain::<portable::F32>($kernels, $($arg),*),
                }
            }
        }
    };
}

compiled! {
    /// See [`pack::panel`].
    unsafe fn lay_panel<L>(_kernels: Kernels, panels: &Panels, panel: usize, memory: Memory) {
        let (first, cols) = panels.cols(panel);
        // SAFETY: the memory of a panel has room for all its cells, and for nobody else's.
        unsafe { pack::panel::<L>(panels.b, first, cols.div_ceil(L::WIDTH), panels.place(panel, memory)) }
    }
}

compiled! {
    /// Computes some rows of pieces, one after another, whose panels are laid out.
    unsafe fn run_block<L>(
        _kernels: Kernels,
        pieces: &mut dyn Iterator<Item = &Piece>,
        rows: Range<usize>,
        memory: Memory,
        scratch: &mut Buffer,
    ) {
        let mut last = None;
        for piece in pieces {
            let a = piece.a.part(rows.start, rows.len(), 0, piece.a.cols);
            let (left, stride) = match last {
                Some((of, cells)) if of == a => cells,
                // SAFETY: the caller's, that the processor has the instructions.
                _ => unsafe { left_cells::<L>(a, piece.panels.cells, scratch) },
            };
            last = Some((a, (left, stride)));
            let out = piece.out.wrapping_add(rows.start * piece.out_stride);
            for panel in 0..piece.panels.count() {
                let (col, cols) = piece.panels.cols(panel);
                for row in (0..a.rows).step_by(ROWS) {
                    let tile = Tile {
                        a: left.wrapping_add(row * stride),
                        a_stride: stride,
                        b: piece.panels.place(panel, memory),
                        cells: piece.panels.cells,
                        out: out.wrapping_add(row * piece.out_stride + col),
                        out_stride: piece.out_stride,
                        cols,
                        write: piece.write,
                    };
                    // SAFETY: rows and columns are within the block's, cells and vectors within the panel's.
                    unsafe { tile.compute::<L>(ROWS.min(a.rows - row), cols.div_ceil(L::WIDTH)) };
                }
            }
            if let Some(bias) = piece.bias {
                for row in 0..a.rows {
                    for col in 0..piece.panels.b.cols {
                        // SAFETY: a bias has a number for each column of its piece.
                        unsafe { *out.add(row * piece.out_stride + col) += *bias.add(col) };
                    }
                }
            }
        }
    }
}

/// The cells of a block of the left factor and how far apart its rows are: where they stand, if they can be read there.
#[inline(always)]
unsafe fn left_cells<L: Lanes>(
    a: Matrix,
    cells: usize,
    scratch: &mut Buffer,
) -> (*const u32, usize) {
    if L::INNER == 1 && a.by_rows() {
        return (a.values.cast(), a.row_stride);
    }
    // A cache line more than the cells, so that rows do not fall on the same few places of a cache.
    let stride = cells.next_multiple_of(16) + 16;
    let memory = scratch.reserve(a.rows * stride);
    // SAFETY: each row has room for its cells.
    unsafe { pack::rows::<L>(a, memory, stride) };
    (memory, stride)
}
