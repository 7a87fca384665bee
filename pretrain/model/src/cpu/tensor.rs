//! A dense `f32` matrix that keeps its memory when it shrinks.

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::simd::simd;

/// Numbers that one task works on: large enough to pay for handing it over, small enough to share a step out.
const TASK_VALUES: usize = 16_384;

/// A dense matrix, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Tensor {
    /// A matrix of `values`, row by row.
    ///
    /// # Panics
    /// If there are not `rows * cols` values.
    pub fn new(rows: usize, cols: usize, values: Vec<f32>) -> Self {
        assert_eq!(rows * cols, values.len(), "a tensor has rows times columns values");
        Self { values, rows, cols }
    }

    /// A matrix of zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self::new(rows, cols, vec![0.0; rows * cols])
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All numbers, row by row.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Changes the size; what the numbers are then is not said, only that reading them is safe.
    pub(crate) fn resize(&mut self, rows: usize, cols: usize) {
        self.values.resize(rows * cols, 0.0);
        (self.rows, self.cols) = (rows, cols);
    }

    /// Sets every number to zero.
    pub(crate) fn clear(&mut self) {
        self.values.par_chunks_mut(TASK_VALUES).for_each(|values| values.fill(0.0));
    }

    /// Becomes a copy of `other`.
    pub(super) fn copy(&mut self, other: &Self) {
        self.resize(other.rows, other.cols);
        self.values
            .par_chunks_mut(TASK_VALUES)
            .zip(other.values.par_chunks(TASK_VALUES))
            .for_each(|(values, others)| values.copy_from_slice(others));
    }

    /// Puts the rows of `other` behind its own; an empty one takes its columns.
    pub(super) fn append(&mut self, other: &Self) {
        if self.rows == 0 {
            self.cols = other.cols;
        }
        assert_eq!(self.cols, other.cols, "rows have one length");
        self.values.extend_from_slice(&other.values);
        self.rows += other.rows;
    }

    pub(crate) fn view(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, self.cols), &self.values)
            .expect("a tensor holds rows times columns values")
    }

    pub(crate) fn view_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        ArrayViewMut2::from_shape((self.rows, self.cols), &mut self.values)
            .expect("a tensor holds rows times columns values")
    }

    /// The numbers of the rows that one task works on.
    pub(super) fn task_len(&self) -> usize {
        rows_per_task(self.cols) * self.cols
    }
}

impl AsRef<[f32]> for Tensor {
    fn as_ref(&self) -> &[f32] {
        &self.values
    }
}

/// Rows of `cols` numbers that one task works on.
pub(super) fn rows_per_task(cols: usize) -> usize {
    (TASK_VALUES / cols.max(1)).max(1)
}

/// `x += branch`.
pub(crate) fn add(x: &mut Tensor, branch: &Tensor) {
    assert_eq!((x.rows, x.cols), (branch.rows, branch.cols), "both sides of a sum have one shape");
    x.values
        .par_chunks_mut(TASK_VALUES)
        .zip(branch.values.par_chunks(TASK_VALUES))
        .for_each(|(x, branch)| add_slice(x, branch));
}

simd! {
    /// `x += y`.
    pub(super) fn add_slice(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}
