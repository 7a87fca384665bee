//! Rotary positions from a table of cosines and sines.

use rayon::prelude::*;

use super::{
    simd::{narrow, simd},
    tensor::{Tensor, rows_per_task},
};

/// Which way pairs are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

/// Cosines and sines of every position met so far, for one head width and base.
#[derive(Debug, Default)]
pub(super) struct Table {
    dim: usize,
    theta: f64,
    /// For each position `dim / 2` cosines, then `dim / 2` sines.
    turns: Vec<f32>,
    /// Position of each token of the present call.
    positions: Vec<usize>,
}

/// The position of each token of sequences that are read from their beginning.
pub(crate) fn positions(offsets: &[usize]) -> impl Iterator<Item = usize> {
    offsets.windows(2).flat_map(|bounds| 0..bounds[1] - bounds[0])
}

/// By how much each pair of a head is turned at a position. Frequencies and angles are rounded to f32, as in
/// `transformers`.
pub(crate) fn angles(position: usize, dim: usize, theta: f64) -> impl Iterator<Item = f64> {
    (0..dim / 2).map(move |pair| {
        let exponent = -2.0 * pair as f64 / dim as f64;
        f64::from(position as f32 * narrow(libm::pow(theta, exponent)))
    })
}

impl Table {
    pub(super) fn turn(
        &mut self,
        x: &mut Tensor,
        positions: impl Iterator<Item = usize>,
        dim: usize,
        theta: f64,
        direction: Direction,
    ) {
        self.reach(positions, dim, theta);
        let cols = x.cols();
        let rows = rows_per_task(cols);
        let turns = &self.turns;
        x.values_mut().par_chunks_mut(rows * cols).zip(self.positions.par_chunks(rows)).for_each(
            |(x, positions)| {
                for (row, position) in x.chunks_exact_mut(cols).zip(positions) {
                    turn_row(row, &turns[position * dim..][..dim], direction);
                }
            },
        );
    }

    /// Keeps the `positions` and makes the table long enough for them.
    fn reach(&mut self, positions: impl Iterator<Item = usize>, dim: usize, theta: f64) {
        self.positions.clear();
        self.positions.extend(positions);
        if (self.dim, self.theta) != (dim, theta) {
            self.turns.clear();
            (self.dim, self.theta) = (dim, theta);
        }
        let needed = self.positions.iter().max().map_or(0, |last| last + 1);
        for position in self.turns.len() / dim..needed {
            let angles: Vec<f64> = angles(position, dim, theta).collect();
            self.turns.extend(angles.iter().map(|&angle| narrow(libm::cos(angle))));
            self.turns.extend(angles.iter().map(|&angle| narrow(libm::sin(angle))));
        }
    }
}

simd! {
    fn turn_row(row: &mut [f32], turns: &[f32], direction: Direction) {
        let half = turns.len() / 2;
        let (cosines, sines) = turns.split_at(half);
        let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
        for head in row.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                let sin = sign * sin;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
