//! Rows picked by number: embeddings, and some tokens of all.

use rayon::prelude::*;

use super::{
    share::share_columns,
    tensor::{Tensor, rows_per_task},
};

pub(super) fn forward(ids: &[u32], table: &Tensor, out: &mut Tensor) {
    let cols = table.cols();
    out.resize(ids.len(), cols);
    let rows = rows_per_task(cols);
    out.values_mut().par_chunks_mut(rows * cols).zip(ids.par_chunks(rows)).for_each(
        |(out, ids)| {
            for (row, &id) in out.chunks_exact_mut(cols).zip(ids) {
                row.copy_from_slice(&table.values()[id as usize * cols..][..cols]);
            }
        },
    );
}

pub(super) fn backward(ids: &[u32], dout: &Tensor, dtable: &mut Tensor) {
    share_columns(dtable.view_mut(), dout.view(), |mut sums, dout| {
        for (&id, row) in ids.iter().zip(dout.rows()) {
            let mut sum = sums.row_mut(id as usize);
            sum += &row;
        }
    });
}

pub(super) fn pick(x: &Tensor, rows: &[usize], out: &mut Tensor) {
    let cols = x.cols();
    out.resize(rows.len(), cols);
    let task = rows_per_task(cols);
    out.values_mut().par_chunks_mut(task * cols).zip(rows.par_chunks(task)).for_each(
        |(out, rows)| {
            for (out, row) in out.chunks_exact_mut(cols).zip(rows) {
                out.copy_from_slice(&x.values()[row * cols..][..cols]);
            }
        },
    );
}

pub(super) fn pick_backward(dout: &Tensor, rows: &[usize], tokens: usize, dx: &mut Tensor) {
    let cols = dout.cols();
    dx.resize(tokens, cols);
    dx.clear();
    for (dout, row) in dout.values().chunks_exact(cols).zip(rows) {
        dx.values_mut()[row * cols..][..cols].copy_from_slice(dout);
    }
}
