//! Work shared out over the threads of the present pool.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::tensor::rows_per_task;

/// Columns that one task adds up, at least: a cache line's worth of several rows.
const TASK_COLUMNS: usize = 64;

/// Calls `work` once for each number below `tasks`. Threads take the next one when they are free; the caller begins at
/// once, and does not wait for threads that wake up late. Nothing is allocated.
pub(crate) fn share(tasks: usize, work: impl Fn(usize) + Sync) {
    let threads = rayon::current_num_threads().min(tasks);
    let next = AtomicUsize::new(0);
    take(threads, &|| {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(task);
        }
    });
}

/// Calls `add` with runs of columns of `sums` and the same ones of `rows`, which it adds to them. Tasks own columns and not rows,
/// so that each adds its rows in order. Nothing is allocated.
pub(super) fn share_columns(
    sums: ArrayViewMut2<f32>,
    rows: ArrayView2<f32>,
    add: impl Fn(ArrayViewMut2<f32>, ArrayView2<f32>) + Sync,
) {
    let least = rows_per_task(rows.nrows() * TASK_COLUMNS) * TASK_COLUMNS;
    rayon::iter::split((sums, rows), |(sums, rows)| {
        if sums.ncols() < 2 * least {
            return ((sums, rows), None);
        }
        let middle = (sums.ncols() / 2).next_multiple_of(TASK_COLUMNS);
        let (left, right) = sums.split_at(Axis(1), middle);
        let (left_rows, right_rows) = rows.split_at(Axis(1), middle);
        ((left, left_rows), Some((right, right_rows)))
    })
    .for_each(|(sums, rows)| add(sums, rows));
}

/// Runs `worker` on so many threads at once, if they are idle.
fn take(threads: usize, worker: &(impl Fn() + Sync)) {
    if threads < 2 {
        worker();
    } else {
        rayon::join(worker, || take(threads - 1, worker));
    }
}
