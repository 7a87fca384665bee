//! Attention over sequences laid end to end, a block of queries of one head at a time.
//!
//! Only `[BLOCK, keys]` scores of a head exist at once on a thread; the backward pass makes them again from the
//! logarithms of their sums, and what is dropped of them from its place.
//!
//! Source: Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4, with whole rows of keys.

mod parts;

use std::{cell::Cell, ops::Range};

use ndarray::{ArrayView2, ArrayViewMut2, s};

use self::parts::{Parts, share_parts};
use super::{
    dropout::{self, Drops, drop_row},
    gemm::Kernels,
    simd::{dot, exp_sum, narrow, row_max, scale, simd},
    tensor::Tensor,
};
use crate::{
    dropout::{Mask, Place},
    ops::{Heads, Reach, Write},
};

/// Queries whose scores exist at once.
const BLOCK: usize = 64;

thread_local! {
    /// Memory for the scores that this thread works on.
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::new()) };
}

pub(super) fn forward(
    kernels: Kernels,
    qkv: [&Tensor; 3],
    (offsets, blocks): (&[usize], &mut Vec<Block>),
    heads: Heads,
    mask: Option<Mask>,
    out_and_log_sums: [&mut Tensor; 2],
) {
    blocks.clear();
    blocks.extend(sequences(offsets).flat_map(|all| query_blocks(all.clone(), all, heads.reach)));
    forward_blocks(kernels, qkv, (blocks, 0), heads, mask, out_and_log_sums);
}

/// Attention of the last tokens of one text, whose queries alone stand in `q`.
pub(super) fn forward_of_last(
    kernels: Kernels,
    [q, k, v]: [&Tensor; 3],
    blocks: &mut Vec<Block>,
    heads: Heads,
    out_and_log_sums: [&mut Tensor; 2],
) {
    let (keys, read) = (k.rows(), k.rows() - q.rows());
    blocks.clear();
    blocks.extend(query_blocks(0..keys, read..keys, heads.reach));
    forward_blocks(kernels, [q, k, v], (blocks, read), heads, None, out_and_log_sums);
}

/// The first row of `q` is the query of token `first`, in the order of the keys.
fn forward_blocks(
    kernels: Kernels,
    [q, k, v]: [&Tensor; 3],
    (blocks, first): (&[Block], usize),
    heads: Heads,
    mask: Option<Mask>,
    [out, log_sums]: [&mut Tensor; 2],
) {
    out.resize(q.rows(), q.cols());
    log_sums.resize(q.rows(), heads.query);
    let (q, k, v) = (q.view(), k.view(), v.view());
    let written = [out.view_mut(), log_sums.view_mut()];
    share_parts(Parts::new(blocks, heads.query, written), |block, head, written| {
        let shared = head * heads.key_value / heads.query;
        let rows = block.queries.start - first..block.queries.end - first;
        let q = part(&q, &rows, head, heads.dim);
        let [k, v] = [&k, &v].map(|x| part(x, &block.keys(), shared, heads.dim));
        let drops = mask.map(|mask| DroppedRows::new(&mask, rows, head));
        let mut scratch = SCRATCH.take();
        forward_block(kernels, block, [q, k, v], drops, written, &mut scratch.p);
        SCRATCH.set(scratch);
    });
}

/// `[out, log_sums, dout]` are what the forward pass gave, and the gradient of `out`.
pub(super) fn backward(
    kernels: Kernels,
    [q, k, v]: [&Tensor; 3],
    (offsets, blocks): (&[usize], &mut Vec<Block>),
    heads: Heads,
    mask: Option<Mask>,
    [out, log_sums, dout]: [&Tensor; 3],
    dqkv: [&mut Tensor; 3],
) {
    blocks.clear();
    blocks.extend(sequences(offsets).map(|all| Block::whole(all, heads.reach)));
    let [dq, dk, dv] = dqkv;
    for (gradient, x) in [(&mut *dq, q), (&mut *dk, k), (&mut *dv, v)] {
        gradient.resize(x.rows(), x.cols());
    }
    let views = [q, k, v, out, log_sums, dout].map(Tensor::view);
    let written = [dq, dk, dv].map(Tensor::view_mut);
    share_parts(Parts::new(blocks, heads.key_value, written), |block, shared, dqkv| {
        let mut scratch = SCRATCH.take();
        backward_group(kernels, block, shared, (heads, mask), &views, dqkv, &mut scratch);
        SCRATCH.set(scratch);
    });
}

/// A run of queries of one sequence.
#[derive(Debug)]
pub(super) struct Block {
    sequence: Range<usize>,
    queries: Range<usize>,
    reach: Reach,
}

impl Block {
    /// All queries of a sequence.
    fn whole(sequence: Range<usize>, reach: Reach) -> Self {
        Self { queries: sequence.clone(), sequence, reach }
    }

    /// The keys that the last of the queries sees; the others see them all, or a part of them.
    fn keys(&self) -> Range<usize> {
        match self.reach {
            Reach::Causal => self.sequence.start..self.queries.end,
            Reach::Bidirectional => self.sequence.clone(),
        }
    }

    /// How many of the keys query `row` of the block sees.
    fn seen(&self, row: usize) -> usize {
        match self.reach {
            Reach::Causal => self.queries.start - self.sequence.start + row + 1,
            Reach::Bidirectional => self.sequence.len(),
        }
    }
}

/// What is dropped of the probabilities of a head, of some queries.
#[derive(Clone, Copy)]
struct DroppedRows<'a> {
    drops: Drops,
    places: &'a [Place],
}

impl<'a> DroppedRows<'a> {
    fn new(mask: &Mask<'a>, queries: Range<usize>, head: usize) -> Self {
        Self { drops: Drops::new(mask, head), places: &mask.places()[queries] }
    }
}

/// The tokens of each sequence.
fn sequences(offsets: &[usize]) -> impl Iterator<Item = Range<usize>> {
    offsets.windows(2).map(|bounds| bounds[0]..bounds[1])
}

/// The `queries` of a sequence, in order.
fn query_blocks(
    sequence: Range<usize>,
    queries: Range<usize>,
    reach: Reach,
) -> impl Iterator<Item = Block> {
    queries.clone().step_by(BLOCK).map(move |first| Block {
        sequence: sequence.clone(),
        queries: first..(first + BLOCK).min(queries.end),
        reach,
    })
}

fn forward_block(
    kernels: Kernels,
    block: &Block,
    [q, k, v]: [ArrayView2<f32>; 3],
    drops: Option<DroppedRows>,
    [mut out, mut log_sums]: [ArrayViewMut2<f32>; 2],
    scratch: &mut Vec<f32>,
) {
    let factor = narrow(1.0 / (q.ncols() as f64).sqrt());
    let keys = k.nrows();
    scratch.resize(q.nrows() * keys, 0.0);
    kernels.serial(matrix(scratch, keys), q, k.reversed_axes(), Write::Replace);
    for (row, scores) in scratch.chunks_exact_mut(keys).enumerate() {
        let (seen, unseen) = scores.split_at_mut(block.seen(row));
        let max = row_max(seen);
        let sum = exp_sum(seen, max, factor);
        scale(seen, 1.0 / sum);
        if let Some(DroppedRows { drops, places }) = drops {
            drop_row(seen, drops, places[row]);
        }
        unseen.fill(0.0);
        log_sums[[row, 0]] = narrow(f64::from(max * factor) + libm::log(f64::from(sum)));
    }
    kernels.serial(out.view_mut(), matrix(scratch, keys).view(), v, Write::Replace);
}

/// Scores and their gradients of one block of queries.
#[derive(Default)]
struct Scratch {
    p: Vec<f32>,
    ds: Vec<f32>,
}

impl Scratch {
    const fn new() -> Self {
        Self { p: Vec::new(), ds: Vec::new() }
    }
}

/// All query heads that share one key head of one sequence, which therefore own its `dk` and `dv`.
fn backward_group(
    kernels: Kernels,
    Block { sequence, reach, .. }: &Block,
    shared: usize,
    (heads, mask): (Heads, Option<Mask>),
    [q, k, v, out, log_sums, dout]: &[ArrayView2<f32>; 6],
    [mut dq, mut dk, mut dv]: [ArrayViewMut2<f32>; 3],
    scratch: &mut Scratch,
) {
    dk.fill(0.0);
    dv.fill(0.0);
    let (group, dim) = (heads.query / heads.key_value, heads.dim);
    for within in 0..group {
        let head = shared * group + within;
        for block in query_blocks(sequence.clone(), sequence.clone(), *reach) {
            let queries = [q, out, dout].map(|x| part(x, &block.queries, head, dim));
            let keys = [k, v].map(|x| part(x, &block.keys(), shared, dim));
            let log_sums = log_sums.slice(s![block.queries.clone(), head]);
            let within_sequence = |token: usize| token - sequence.start;
            let from = within_sequence(block.queries.start);
            let to = within_sequence(block.queries.end);
            let keys_to = within_sequence(block.keys().end);
            let dqkv = [
                dq.slice_mut(s![from..to, within * dim..(within + 1) * dim]),
                dk.slice_mut(s![..keys_to, ..]),
                dv.slice_mut(s![..keys_to, ..]),
            ];
            let drops = mask.map(|mask| DroppedRows::new(&mask, block.queries.clone(), head));
            let log_sums = log_sums.iter().copied();
            backward_block(kernels, &block, queries, keys, log_sums, drops, dqkv, scratch);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one block of a pass that has many inputs")]
fn backward_block(
    kernels: Kernels,
    block: &Block,
    [q, out, dout]: [ArrayView2<f32>; 3],
    [k, v]: [ArrayView2<f32>; 2],
    log_sums: impl Iterator<Item = f32>,
    drops: Option<DroppedRows>,
    [dq, dk, dv]: [ArrayViewMut2<f32>; 3],
    scratch: &mut Scratch,
) {
    let factor = narrow(1.0 / (q.ncols() as f64).sqrt());
    let keys = k.nrows();
    scratch.p.resize(q.nrows() * keys, 0.0);
    scratch.ds.resize(q.nrows() * keys, 0.0);
    kernels.serial(matrix(&mut scratch.p, keys), q, k.reversed_axes(), Write::Replace);
    kernels.serial(matrix(&mut scratch.ds, keys), dout, v.reversed_axes(), Write::Replace);
    let rows = scratch.p.chunks_exact_mut(keys).zip(scratch.ds.chunks_exact_mut(keys));
    for ((row, (p, ds)), log_sum) in rows.enumerate().zip(log_sums) {
        let mean = row_dot(contiguous(&out, row), contiguous(&dout, row));
        let seen = block.seen(row);
        exp_scores(&mut p[..seen], factor, log_sum);
        let (of_p, of_ds) = (&mut p[..seen], &mut ds[..seen]);
        match drops {
            None => score_gradients(of_p, of_ds, mean, factor),
            Some(DroppedRows { drops, places }) => {
                dropout::score_gradients(of_p, of_ds, mean, factor, drops, places[row]);
            }
        }
        p[seen..].fill(0.0);
        ds[seen..].fill(0.0);
    }
    let (p, ds) = (matrix(&mut scratch.p, keys), matrix(&mut scratch.ds, keys));
    kernels.serial(dv, p.view().reversed_axes(), dout, Write::Add);
    kernels.serial(dq, ds.view(), k, Write::Replace);
    kernels.serial(dk, ds.view().reversed_axes(), q, Write::Add);
}

/// Rows of one head.
fn part<'a>(
    x: &ArrayView2<'a, f32>,
    rows: &Range<usize>,
    head: usize,
    dim: usize,
) -> ArrayView2<'a, f32> {
    x.slice_move(s![rows.clone(), head * dim..(head + 1) * dim])
}

fn contiguous<'a>(x: &'a ArrayView2<f32>, row: usize) -> &'a [f32] {
    x.row(row).to_slice().expect("the numbers of one token's head stand side by side")
}

fn matrix(values: &mut [f32], cols: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((values.len() / cols, cols), values).expect("whole rows of scores")
}

simd! {
    fn row_dot(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

simd! {
    /// `p = e^(p * factor - log_sum)`.
    fn exp_scores(p: &mut [f32], factor: f32, log_sum: f32) {
        for p in p {
            *p = super::simd::exp(*p * factor - log_sum);
        }
    }
}

simd! {
    /// `ds = p * (ds - mean) * factor`.
    fn score_gradients(p: &[f32], ds: &mut [f32], mean: f32, factor: f32) {
        for (ds, p) in ds.iter_mut().zip(p) {
            *ds = p * (*ds - mean) * factor;
        }
    }
}
