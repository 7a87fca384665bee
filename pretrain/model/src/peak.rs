//! What this machine reaches at best, which kernels are measured against.

use std::time::Instant;

use rayon::prelude::*;

use crate::{
    cpu::{Cpu, Tensor, simd::simd},
    error::Result,
    ops::{Linear, Ops, Write},
    profile::NumericProfile,
};

/// Rows, columns and inner size of the product that is timed: large enough that laying its factors out is nothing beside it.
const SIZE: usize = 1536;

/// Numbers in each vector of the triad: 128 MiB, more than caches hold.
const TRIAD: usize = 1 << 25;

/// Numbers of a vector that one task works on.
const TASK_VALUES: usize = 1 << 16;

/// The best of so many runs is taken.
const RUNS: usize = 5;

/// GFLOP/s of large matrix products, on the threads of the present pool.
///
/// # Errors
/// When this processor lacks the profile.
pub fn gemm_gflops(profile: NumericProfile) -> Result<f64> {
    let mut ops = Cpu::new(profile)?;
    let [x, weight, mut out] =
        [1.0, 0.5, 0.0].map(|it| Tensor::new(SIZE, SIZE, vec![it; SIZE * SIZE]));
    let layer = Linear { weight: &weight, bias: None };
    let seconds = best(|| ops.linear(&x, layer, &mut out, Write::Replace));
    Ok(2.0 * (SIZE as f64).powi(3) / seconds / 1e9)
}

/// GB/s that a triad `a = b + 3 c` of long vectors moves, on the threads of the present pool: two are read, one is written.
///
/// Source: McCalpin 1995, STREAM, whose way of counting leaves out that a line is read before it is written.
pub fn triad_gbytes() -> f64 {
    let [mut a, b, c] = [0.0, 1.0, 2.0].map(|it| vec![it; TRIAD]);
    let seconds = best(|| {
        a.par_chunks_mut(TASK_VALUES)
            .zip(b.par_chunks(TASK_VALUES))
            .zip(c.par_chunks(TASK_VALUES))
            .for_each(|((a, b), c)| triad(a, b, c));
    });
    (3 * TRIAD * size_of::<f32>()) as f64 / seconds / 1e9
}

/// Seconds of the fastest run.
fn best(mut run: impl FnMut()) -> f64 {
    let mut seconds = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| seconds()).fold(f64::INFINITY, f64::min)
}

simd! {
    fn triad(a: &mut [f32], b: &[f32], c: &[f32]) {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a = b + 3.0 * c;
        }
    }
}
