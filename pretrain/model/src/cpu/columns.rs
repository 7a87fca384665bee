//! Three tensors of equal width beside each other, and apart.

use rayon::prelude::*;

use super::tensor::{Tensor, rows_per_task};

pub(super) fn split(x: &Tensor, parts: [&mut Tensor; 3]) {
    let cols = x.cols();
    let width = cols / parts.len();
    let task_rows = rows_per_task(cols);
    for (at, part) in parts.into_iter().enumerate() {
        part.resize(x.rows(), width);
        part.values_mut()
            .par_chunks_mut(task_rows * width)
            .zip(x.values().par_chunks(task_rows * cols))
            .for_each(|(part, x)| {
                for (part, x) in part.chunks_exact_mut(width).zip(x.chunks_exact(cols)) {
                    part.copy_from_slice(&x[at * width..][..width]);
                }
            });
    }
}

pub(super) fn join(parts: [&Tensor; 3], out: &mut Tensor) {
    let (rows, width) = (parts[0].rows(), parts[0].cols());
    let cols = parts.len() * width;
    out.resize(rows, cols);
    let task_rows = rows_per_task(cols);
    out.values_mut().par_chunks_mut(task_rows * cols).enumerate().for_each(|(task, out)| {
        for (row, out) in (task * task_rows..).zip(out.chunks_exact_mut(cols)) {
            for (part, out) in parts.iter().zip(out.chunks_exact_mut(width)) {
                out.copy_from_slice(&part.values()[row * width..][..width]);
            }
        }
    });
}
