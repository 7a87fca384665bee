//! Sums of products at work: which panels are laid out, which blocks of rows run over them, and in which order.
//!
//! A product is cut into *pieces*, each a chunk of columns and of the inner dimension. A *round* is as many pieces as have
//! room for their panels: first all panels are laid out, then blocks of rows run over them. Pieces of one output stay
//! together and in order, so that a block adds them up while it is in the cache; so do pieces of one left factor, which is
//! laid out once for all of them. Threads meet twice a round, however many products there are.

use std::{cell::Cell, ops::Range};

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Kernels, Shape, buffer::Buffer, lay_panel, matrix::Matrix, run_block, tile::ROWS};
use crate::{cpu::share::share, ops::Write};

/// Multiplications below which a round stays on one thread: handing it over costs some ten microseconds.
const SHARED_PRODUCTS: usize = 4_000_000;

/// Rows of the largest block: its cells of one inner chunk stay in the second-level cache.
const BLOCK_ROWS: usize = 16 * ROWS;

/// Blocks for each thread that are wanted, so that none waits long for the last.
const BLOCKS_PER_THREAD: usize = 4;

/// Cells of right factors that are laid out at once, 8 MiB.
const PANEL_CELLS: usize = 2 << 20;

thread_local! {
    /// The round that this thread gathers, and memory for the rows of a block that it works on.
    static ROUND: Cell<Round> = const { Cell::new(Round::new()) };
    static BLOCK: Cell<Buffer> = const { Cell::new(Buffer::new()) };
}

/// `out = Σ a · b + bias`, or that added to `out`: products first, in order, then the bias.
pub(crate) struct Sum<'a, 'b> {
    /// `[m, n]`, with rows of neighbours.
    pub(crate) out: ArrayViewMut2<'a, f32>,
    /// Pairs of `a`: `[m, k]` and `b`: `[k, n]`, each by rows or by columns.
    pub(crate) terms: &'b [[ArrayView2<'a, f32>; 2]],
    /// `n` numbers that are added to every row.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) write: Write,
}

impl Sum<'_, '_> {
    fn check(&self) {
        let (rows, cols) = self.out.dim();
        for [a, b] in self.terms {
            let outer = (a.nrows(), b.ncols());
            assert_eq!((rows, cols), outer, "a product has the outer shape of its factors");
            assert_eq!(a.ncols(), b.nrows(), "factors share their inner size");
        }
        let fits = self.bias.is_none_or(|bias| bias.len() == cols);
        assert!(fits, "a bias has a number for each column");
    }
}

/// Computes sums on up to `threads` threads.
pub(super) fn compute<'a: 'b, 'b>(
    kernels: Kernels,
    threads: usize,
    sums: impl IntoIterator<Item = Sum<'a, 'b>>,
) {
    let mut round = ROUND.take();
    for (at, sum) in sums.into_iter().enumerate() {
        sum.check();
        if !sum.out.is_empty() {
            round.take_in(kernels, threads, at, sum);
        }
    }
    round.run(kernels, threads);
    ROUND.set(round);
}

/// Pieces that are computed together.
#[derive(Default)]
struct Round {
    pieces: Vec<Piece>,
    groups: Vec<Group>,
    /// Panels of all pieces, and the cells that they take.
    panels: usize,
    cells: usize,
    memory: Buffer,
}

/// A chunk of columns and of the inner dimension of one product.
pub(super) struct Piece {
    pub(super) a: Matrix,
    pub(super) panels: Panels,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    pub(super) write: Write,
    /// What is added to its columns once it is computed.
    pub(super) bias: Option<*const f32>,
    /// The output that it is a piece of, by number.
    sum: usize,
    group: usize,
}

// SAFETY: what pieces point to is borrowed by the caller of `compute`, who waits until they are computed. Factors are only
// read; of an output each block of rows is written by one thread.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

/// A chunk of a right factor in panels, which threads write apart from each other and then read together.
pub(super) struct Panels {
    pub(super) b: Matrix,
    /// Cells of the inner dimension.
    pub(super) cells: usize,
    shape: Shape,
    /// Panels of the round before the first of these, and the cell of its memory where that begins.
    first: usize,
    at: usize,
}

/// The memory of a round's panels.
#[derive(Clone, Copy)]
pub(super) struct Memory(*mut u32);

// SAFETY: each panel is written by one thread; they are read when all are written.
unsafe impl Sync for Memory {}

/// Pieces that a block of rows goes through, one after another.
struct Group {
    rows: usize,
    /// Rows of a block, and the blocks of the groups before.
    block: usize,
    first: usize,
}

impl Round {
    const fn new() -> Self {
        Self { pieces: Vec::new(), groups: Vec::new(), panels: 0, cells: 0, memory: Buffer::new() }
    }

    /// Takes in a sum: a single row is computed at once, where it can be; all else is cut into pieces.
    fn take_in(&mut self, kernels: Kernels, threads: usize, at: usize, sum: Sum) {
        let Sum { mut out, terms, mut bias, mut write } = sum;
        let mut waiting = false;
        for (term, [a, b]) in terms.iter().enumerate().filter(|(_, [a, _])| a.ncols() > 0) {
            let alone = !waiting && out.nrows() == 1;
            if !alone || !kernels.one_row(&mut out, a.view(), b.view(), write, threads) {
                let bias = if term + 1 == terms.len() { bias.take() } else { None };
                let (a, b) = (Matrix::new(a.view()), Matrix::new(b.view()));
                self.cut(kernels, threads, (a, b), Part { at, bias, write, out: out.view_mut() });
                waiting = true;
            }
            write = Write::Add;
        }
        if write == Write::Replace {
            out.fill(0.0);
        }
        if let Some(bias) = bias {
            out += &ndarray::aview1(bias);
        }
    }

    /// Cuts a product into pieces; where they have no room, those that are here are computed first.
    fn cut(&mut self, kernels: Kernels, threads: usize, (a, b): (Matrix, Matrix), mut part: Part) {
        let shape = kernels.shape();
        let into = Matrix::new(part.out.view());
        assert!(into.by_rows(), "the rows of a product lie in memory one after another");
        let out = part.out.as_mut_ptr();
        let longest = kernels.inner().min(b.rows);
        let chunk = PANEL_CELLS / longest.div_ceil(shape.inner) / shape.width;
        let chunk = chunk.max(1) * shape.width;
        for col in (0..b.cols).step_by(chunk) {
            let cols = chunk.min(b.cols - col);
            for inner in (0..b.rows).step_by(longest) {
                let length = longest.min(b.rows - inner);
                let panels = Panels::new(shape, b.part(inner, length, col, cols));
                if self.cells + panels.size() > PANEL_CELLS {
                    self.run(kernels, threads);
                }
                let last = inner + length == b.rows;
                self.push(Piece {
                    a: a.part(0, a.rows, inner, length),
                    panels,
                    out: out.wrapping_add(col),
                    out_stride: into.row_stride,
                    write: if inner == 0 { part.write } else { Write::Add },
                    bias: part.bias.filter(|_| last).map(|bias| bias[col..].as_ptr()),
                    sum: part.at,
                    group: 0,
                });
            }
        }
    }

    /// Puts a piece behind the others: its panels are those of a piece with the same right factor, if there is one.
    fn push(&mut self, mut piece: Piece) {
        let panels = &mut piece.panels;
        panels.first = self.panels;
        match self.pieces.iter().find(|other| other.panels.b == panels.b) {
            Some(other) => panels.at = other.panels.at,
            None => {
                panels.at = self.cells;
                self.panels += panels.count();
                self.cells += panels.size();
            }
        }
        let mut others = self.pieces.iter();
        let like = others.clone().find(|other| other.sum == piece.sum);
        let like = like.or_else(|| others.find(|other| other.a == piece.a));
        piece.group = like.map_or(self.groups.len(), |other| other.group);
        if like.is_none() {
            self.groups.push(Group { rows: piece.a.rows, block: 0, first: 0 });
        }
        self.pieces.push(piece);
    }

    /// Computes all pieces, which are gone then.
    fn run(&mut self, kernels: Kernels, threads: usize) {
        let products = |piece: &Piece| piece.a.rows * piece.a.cols * piece.panels.b.cols;
        let all: usize = self.pieces.iter().map(products).sum();
        let threads = if all < SHARED_PRODUCTS { 1 } else { threads };
        let run = |tasks: usize, work: &(dyn Fn(usize) + Sync)| match threads {
            1 => (0..tasks).for_each(work),
            _ => share(tasks, work),
        };
        let blocks = self.share_out(threads);
        let memory = &Memory(self.memory.reserve(self.cells));
        let (pieces, groups) = (&self.pieces, &self.groups);
        run(self.panels, &|task| {
            let piece = pieces.partition_point(|piece| piece.panels.first <= task) - 1;
            let panels = &pieces[piece].panels;
            // SAFETY: the processor has the instructions, see `Kernels::of`; each panel has its own memory.
            unsafe { lay_panel(kernels, panels, task - panels.first, *memory) }
        });
        run(blocks, &|task| {
            let at = groups.partition_point(|group| group.first <= task) - 1;
            let rows = groups[at].block_at(task);
            let pieces = &mut pieces.iter().filter(|piece| piece.group == at);
            let mut scratch = BLOCK.take();
            // SAFETY: as above; no two groups write to the same output, and no two blocks to the same rows.
            unsafe { run_block(kernels, pieces, rows, *memory, &mut scratch) };
            BLOCK.set(scratch);
        });
        self.pieces.clear();
        self.groups.clear();
        (self.panels, self.cells) = (0, 0);
    }

    /// Cuts the rows of each group into blocks, whole tiles of them, few enough that every thread gets several; returns how
    /// many blocks there are.
    fn share_out(&mut self, threads: usize) -> usize {
        let mut blocks = 0;
        for group in &mut self.groups {
            let shared = group.rows.div_ceil(threads * BLOCKS_PER_THREAD).next_multiple_of(ROWS);
            group.block = if threads == 1 { BLOCK_ROWS } else { shared.min(BLOCK_ROWS) };
            group.first = blocks;
            blocks += group.rows.div_ceil(group.block);
        }
        blocks
    }
}

/// Where a product goes, and what is added when it is done.
struct Part<'a> {
    at: usize,
    out: ArrayViewMut2<'a, f32>,
    write: Write,
    bias: Option<&'a [f32]>,
}

impl Group {
    /// The rows of a block, by its number in the round.
    fn block_at(&self, task: usize) -> Range<usize> {
        let first = (task - self.first) * self.block;
        first..self.rows.min(first + self.block)
    }
}

impl Panels {
    fn new(shape: Shape, b: Matrix) -> Self {
        Self { b, cells: b.rows.div_ceil(shape.inner), shape, first: 0, at: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.b.cols.div_ceil(self.shape.width)
    }

    /// Cells of all panels.
    fn size(&self) -> usize {
        self.count() * self.cells * self.shape.width
    }

    /// The first column of a panel, and how many there are.
    pub(super) fn cols(&self, panel: usize) -> (usize, usize) {
        let first = panel * self.shape.width;
        (first, self.shape.width.min(self.b.cols - first))
    }

    /// Where a panel lies.
    pub(super) fn place(&self, panel: usize, Memory(memory): Memory) -> *mut u32 {
        memory.wrapping_add(self.at + panel * self.cells * self.shape.width)
    }
}
