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
mod tile;

use std::{cell::Cell, ops::Range};

use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

use self::{
    buffer::Buffer,
    gemv::Layout,
    lanes::Lanes,
    matrix::Matrix,
    tile::{ROWS, Tile},
};
use super::{share::share, tensor::Tensor};
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

/// Multiplications below which a product stays on one thread: handing it over costs some ten microseconds.
const SHARED_PRODUCTS: usize = 4_000_000;

/// Multiplications of one row that are worth a task.
const ROW_PRODUCTS: usize = 65_536;

/// Rows of the largest block: its cells of one inner chunk stay in the second-level cache.
const BLOCK_ROWS: usize = 16 * ROWS;

/// Blocks for each thread that are wanted, so that none waits long for the last.
const BLOCKS_PER_THREAD: usize = 4;

/// Cells of the right factor that are laid out at once, 8 MiB.
const PANEL_CELLS: usize = 2 << 20;

thread_local! {
    /// Memory for the panels of a product that this thread started, and for the rows of a block that it works on.
    static PANELS: Cell<Buffer> = const { Cell::new(Buffer::new()) };
    static BLOCK: Cell<Buffer> = const { Cell::new(Buffer::new()) };
}

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
        let threads = rayon::current_num_threads();
        let products = a.nrows() * a.ncols() * b.ncols();
        let shared = products >= if a.nrows() == 1 { ROW_PRODUCTS } else { SHARED_PRODUCTS };
        self.multiply(out, a, b, write, if shared { threads } else { 1 });
    }

    /// The same on this thread alone.
    pub(crate) fn serial(
        self,
        out: ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
    ) {
        self.multiply(out, a, b, write, 1);
    }

    fn multiply(
        self,
        mut out: ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
        threads: usize,
    ) {
        assert_eq!(
            out.dim(),
            (a.nrows(), b.ncols()),
            "a product has the outer shape of its factors"
        );
        assert_eq!(a.ncols(), b.nrows(), "factors share their inner size");
        if out.is_empty() {
            return;
        }
        if a.ncols() == 0 {
            if write == Write::Replace {
                out.fill(0.0);
            }
            return;
        }
        if out.nrows() == 1 && self.one_row(&mut out, a, b, write, threads) {
            return;
        }
        let product = Product::new(self, &mut out, a, b, write);
        let mut panels = PANELS.take();
        product.compute(&mut panels, threads);
        PANELS.set(panels);
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

/// A product at work.
struct Product {
    kernels: Kernels,
    a: Matrix,
    b: Matrix,
    out: *mut f32,
    out_stride: usize,
    write: Write,
}

// SAFETY: threads write to rows and columns of `out` of their own, which is borrowed exclusively meanwhile.
unsafe impl Sync for Product {}

impl Product {
    fn new(
        kernels: Kernels,
        out: &mut ArrayViewMut2<f32>,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        write: Write,
    ) -> Self {
        let into = Matrix::new(out.view());
        assert!(into.by_rows(), "the rows of a product lie in memory one after another");
        let (a, b) = (Matrix::new(a), Matrix::new(b));
        Self { kernels, a, b, out: out.as_mut_ptr(), out_stride: into.row_stride, write }
    }

    /// A chunk of columns and of the inner dimension after another: its panels, then the blocks of rows that run over them.
    fn compute(&self, panels: &mut Buffer, threads: usize) {
        let shape = self.kernels.shape();
        let run = |tasks: usize, work: &(dyn Fn(usize) + Sync)| match threads {
            1 => (0..tasks).for_each(work),
            _ => share(tasks, work),
        };
        let Self { a, b, .. } = *self;
        let longest = self.kernels.inner().min(b.rows);
        let chunk =
            (PANEL_CELLS / longest.div_ceil(shape.inner) / shape.width).max(1) * shape.width;
        for col in (0..b.cols).step_by(chunk) {
            let cols = chunk.min(b.cols - col);
            for inner in (0..b.rows).step_by(longest) {
                let length = longest.min(b.rows - inner);
                let panels = Panels::new(shape, b.part(inner, length, col, cols), panels);
                run(panels.count(), &|panel| {
                    // SAFETY: the processor has the instructions, see `Kernels::of`; each panel has its own memory.
                    unsafe { lay_panel(self.kernels, &panels, panel) }
                });
                let part = Part {
                    a: a.part(0, a.rows, inner, length),
                    out: self.out.wrapping_add(col),
                    out_stride: self.out_stride,
                    write: if inner == 0 { self.write } else { Write::Add },
                };
                let block = block_rows(a.rows, threads);
                run(a.rows.div_ceil(block), &|at| {
                    let rows = at * block..a.rows.min((at + 1) * block);
                    let mut scratch = BLOCK.take();
                    // SAFETY: as above; no two blocks share a row of `out`.
                    unsafe { run_block(self.kernels, &part, &panels, rows, &mut scratch) };
                    BLOCK.set(scratch);
                });
            }
        }
    }
}

/// Rows of a block: few enough that every thread gets several, whole tiles of them.
fn block_rows(rows: usize, threads: usize) -> usize {
    let shared = rows.div_ceil(threads * BLOCKS_PER_THREAD).next_multiple_of(ROWS);
    if threads == 1 { BLOCK_ROWS } else { shared.min(BLOCK_ROWS) }
}

/// A chunk of the right factor in panels, which threads write apart from each other, and then read together.
struct Panels {
    shape: Shape,
    b: Matrix,
    cells: usize,
    memory: *mut u32,
}

// SAFETY: see `Product::compute`.
unsafe impl Sync for Panels {}

impl Panels {
    fn new(shape: Shape, b: Matrix, memory: &mut Buffer) -> Self {
        let cells = b.rows.div_ceil(shape.inner);
        let panels = Self { shape, b, cells, memory: std::ptr::null_mut() };
        let memory = memory.reserve(panels.count() * cells * shape.width);
        Self { memory, ..panels }
    }

    fn count(&self) -> usize {
        self.b.cols.div_ceil(self.shape.width)
    }

    /// The first column of a panel, and how many there are.
    fn cols(&self, panel: usize) -> (usize, usize) {
        let first = panel * self.shape.width;
        (first, self.shape.width.min(self.b.cols - first))
    }

    fn at(&self, panel: usize) -> *mut u32 {
        self.memory.wrapping_add(panel * self.cells * self.shape.width)
    }
}

/// What blocks of rows make of one chunk of panels.
struct Part {
    a: Matrix,
    out: *mut f32,
    out_stride: usize,
    write: Write,
}

// SAFETY: threads write to rows of `out` of their own, which is borrowed exclusively meanwhile.
unsafe impl Sync for Part {}

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
    unsafe fn lay_panel<L>(_kernels: Kernels, panels: &Panels, panel: usize) {
        let (first, cols) = panels.cols(panel);
        // SAFETY: the memory of a panel has room for all its cells, and for nobody else's.
        unsafe { pack::panel::<L>(panels.b, first, cols.div_ceil(L::WIDTH), panels.at(panel)) }
    }
}

compiled! {
    /// Computes some rows of the columns whose panels are laid out.
    unsafe fn run_block<L>(
        _kernels: Kernels,
        part: &Part,
        panels: &Panels,
        rows: Range<usize>,
        scratch: &mut Buffer,
    ) {
        let a = part.a.part(rows.start, rows.len(), 0, part.a.cols);
        // SAFETY: the caller's, that the processor has the instructions.
        let (left, stride) = unsafe { left_cells::<L>(a, panels.cells, scratch) };
        for panel in 0..panels.count() {
            let (col, cols) = panels.cols(panel);
            for row in (0..a.rows).step_by(ROWS) {
                let tile = Tile {
                    a: left.wrapping_add(row * stride),
                    a_stride: stride,
                    b: panels.at(panel),
                    cells: panels.cells,
                    out: part.out.wrapping_add((rows.start + row) * part.out_stride + col),
                    out_stride: part.out_stride,
                    cols,
                    write: part.write,
                };
                // SAFETY: rows and columns are within the block's, cells and vectors within the panel's.
                unsafe { tile.compute::<L>(ROWS.min(a.rows - row), cols.div_ceil(L::WIDTH)) };
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

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;

    fn matrix(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, cols), |(row, col)| {
            let mixed =
                (row * 7919 + col * 104_729 + salt * 31).wrapping_mul(2_654_435_761) % 65_521;
            mixed as f32 / 32_760.5 - 1.0
        })
    }

    /// Shapes on both sides of what tiles, panels, blocks, cells and chunks of the inner dimension end at.
    const SHAPES: [(usize, usize, usize); 14] = [
        (1, 1, 1),
        (1, 5, 3),
        (7, 1, 2),
        (2, 2, 513),
        (3, 4, 0),
        (0, 4, 3),
        (5, 70, 1030),
        (6, 64, 1025),
        (13, 129, 33),
        (97, 65, 2050),
        (16, 16, 16),
        (130, 90, 64),
        (250, 200, 300),
        (2, 2100, 600),
    ];

    fn here() -> impl Iterator<Item = NumericProfile> {
        NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here())
    }

    /// Rounding of the factors to bf16, or of the sums to f32, each of which adds up to some few of its kind.
    fn tolerance(profile: NumericProfile) -> f64 {
        if profile == NumericProfile::X86V4Bf16 { 1e-2 } else { 2e-6 }
    }

    fn norm(values: impl Iterator<Item = f64>) -> f64 {
        values.map(|value| value * value).sum::<f64>().sqrt()
    }

    /// Both factors by rows and by columns.
    fn products(
        a: &Array2<f32>,
        b: &Array2<f32>,
        mut each: impl FnMut(ArrayView2<f32>, ArrayView2<f32>),
    ) {
        let columns = |x: &Array2<f32>| x.t().as_standard_layout().into_owned();
        let (a_columns, b_columns) = (columns(a), columns(b));
        for a in [a.view(), a_columns.t()] {
            for b in [b.view(), b_columns.t()] {
                each(a, b);
            }
        }
    }

    #[test]
    fn products_agree_with_f64_in_every_layout() {
        for profile in here() {
            let kernels = Kernels::of(profile);
            for (m, n, k) in SHAPES {
                let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
                let expected = a.mapv(f64::from).dot(&b.mapv(f64::from));
                let mut first: Option<Array2<f32>> = None;
                products(&a, &b, |a, b| {
                    let mut out = Array2::from_elem((m, n), 7.0);
                    kernels.threaded(out.view_mut(), a, b, Write::Replace);
                    let same = first.get_or_insert_with(|| out.clone());
                    assert_eq!(*same, out, "{profile} {m} {n} {k}: layouts differ");
                    kernels.threaded(out.view_mut(), a, b, Write::Add);
                    let error =
                        out.iter().zip(&expected).map(|(out, it)| f64::from(*out) - 2.0 * it);
                    let scale = 2.0 * norm(expected.iter().copied());
                    assert!(norm(error) <= tolerance(profile) * scale, "{profile} {m} {n} {k}");
                });
            }
        }
    }

    #[test]
    fn a_row_alone_gives_the_bits_it_gives_in_a_batch() {
        for profile in here() {
            let kernels = Kernels::of(profile);
            for (m, n, k) in SHAPES.into_iter().filter(|shape| shape.0 > 0) {
                products(&matrix(m, k, 3), &matrix(k, n, 4), |a, b| {
                    let mut batch = Array2::zeros((m, n));
                    kernels.threaded(batch.view_mut(), a, b, Write::Replace);
                    for row in [0, m / 2, m - 1] {
                        let mut alone = Array2::zeros((1, n));
                        let a = a.slice(s![row..=row, ..]);
                        kernels.serial(alone.view_mut(), a, b, Write::Replace);
                        assert_eq!(
                            alone.row(0),
                            batch.row(row),
                            "{profile} {m} {n} {k}: row {row}"
                        );
                    }
                });
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let (m, n, k) = (301, 390, 1100);
        let (a, b) = (matrix(m, k, 5), matrix(k, n, 6));
        for kernels in here().map(Kernels::of) {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut out = Array2::zeros((m, n));
                pool.install(|| {
                    kernels.threaded(out.view_mut(), a.view(), b.view(), Write::Replace)
                });
                out
            };
            let one = on(1);
            assert!([2, 3, 4].into_iter().all(|threads| on(threads) == one), "{kernels:?}");
        }
    }

    #[test]
    fn only_the_product_is_written() {
        let (a, b) = (matrix(11, 70, 7), matrix(70, 75, 8));
        for kernels in here().map(Kernels::of) {
            let mut out = Array2::from_elem((13, 80), 3.0);
            kernels.serial(out.slice_mut(s![1..12, 2..77]), a.view(), b.view(), Write::Replace);
            let inside = |row: usize, col: usize| (1..12).contains(&row) && (2..77).contains(&col);
            assert!(out.indexed_iter().all(|((row, col), it)| inside(row, col) || *it == 3.0));
        }
    }
}
