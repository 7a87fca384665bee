//! Work shared out over the threads of the present pool.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Runs `worker` on so many threads at once, if they are idle.
fn take(threads: usize, worker: &(impl Fn() + Sync)) {
    if threads < 2 {
        worker();
    } else {
        rayon::join(worker, || take(threads - 1, worker));
    }
}
