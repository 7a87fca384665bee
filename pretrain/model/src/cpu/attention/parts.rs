//! What tasks of attention write, shared out over the threads of the present pool.

use std::ops::Range;

use ndarray::{ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::Block;

/// Tensors that are written in parts: the rows of a block's queries, and of their columns a group's, such as a head.
pub(super) struct Parts<'a, const N: usize> {
    blocks: &'a [Block],
    groups: Range<usize>,
    tensors: [ArrayViewMut2<'a, f32>; N],
}

/// Calls `work` once for each part, with its block and its group. Nothing is allocated.
pub(super) fn share_parts<const N: usize>(
    parts: Parts<N>,
    work: impl Fn(&Block, usize, [ArrayViewMut2<f32>; N]) + Sync,
) {
    rayon::iter::split(parts, Parts::halves).for_each(|parts| parts.each(&work));
}

impl<'a, const N: usize> Parts<'a, N> {
    /// The rows of each tensor are the queries of `blocks`, in order; its columns are `groups` of equal width.
    pub(super) fn new(
        blocks: &'a [Block],
        groups: usize,
        tensors: [ArrayViewMut2<'a, f32>; N],
    ) -> Self {
        Self { blocks, groups: 0..groups, tensors }
    }

    /// Blocks are halved first, then groups.
    fn halves(self) -> (Self, Option<Self>) {
        let (blocks, groups) = (self.blocks.len(), self.groups.len());
        match (blocks, groups) {
            (2.., _) => self.split_blocks(blocks / 2),
            (_, 2..) => self.split_groups(groups / 2),
            _ => (self, None),
        }
    }

    fn split_blocks(self, at: usize) -> (Self, Option<Self>) {
        let Self { blocks, groups, tensors } = self;
        let (upper, lower) = blocks.split_at(at);
        let rows = upper.iter().map(|block| block.queries.len()).sum();
        let [above, below] = split(tensors, Axis(0), |_| rows);
        let first = Self { blocks: upper, groups: groups.clone(), tensors: above };
        (first, Some(Self { blocks: lower, groups, tensors: below }))
    }

    fn split_groups(self, at: usize) -> (Self, Option<Self>) {
        let Self { blocks, groups, tensors } = self;
        let middle = groups.start + at;
        let [left, right] = split(tensors, Axis(1), |cols| cols / groups.len() * at);
        let first = Self { blocks, groups: groups.start..middle, tensors: left };
        (first, Some(Self { blocks, groups: middle..groups.end, tensors: right }))
    }

    /// Calls `work` with each part, its block and its group.
    fn each(self, work: &impl Fn(&Block, usize, [ArrayViewMut2<f32>; N])) {
        match self.halves() {
            (first, Some(second)) => {
                first.each(work);
                second.each(work);
            }
            (Self { blocks, groups, tensors }, None) => {
                if let Some(block) = blocks.first()
                    && !groups.is_empty()
                {
                    work(block, groups.start, tensors);
                }
            }
        }
    }
}

/// Cuts each of the tensors in two, at a place that depends on its columns.
fn split<const N: usize>(
    tensors: [ArrayViewMut2<f32>; N],
    axis: Axis,
    at: impl Fn(usize) -> usize,
) -> [[ArrayViewMut2<f32>; N]; 2] {
    let mut halves = tensors.map(|tensor| {
        let middle = at(tensor.ncols());
        let (first, second) = tensor.split_at(axis, middle);
        (first, Some(second))
    });
    let second = halves.each_mut().map(|(_, second)| second.take().expect("taken once"));
    [halves.map(|(first, _)| first), second]
}
