//! Speed of every kernel, on shapes of training, beside what this machine reaches at best.
//!
//! `RAYON_NUM_THREADS=2 cargo bench -p model --bench kernels -- [FILTER]`
//!
//! The first line of a profile says both peaks of so many threads ([`model::peak`]). The line `thrpt` of a kernel is its speed, at
//! worst, on the whole and at best, each with the share of the peak that it is held against:
//!
//! | unit | kernels | counted | peak |
//! |---|---|---|---|
//! | GFLOP/s | products, linear layers, attention, cross-entropy, Muon | a multiplication and an addition as two; of attention, scores that are seen | large matrix products |
//! | GB/s | all others | each tensor once for reading it, once for writing it | a triad of vectors that no cache holds |
//!
//! Tensors that a cache holds may be moved faster than the second peak says. A kernel far below it computes more than it moves.
//!
//! What multiplies matrices runs in each profile of this processor, the others in the best f32 one: they are the same in all.

mod activations;
mod attention;
mod norms;
mod of_peak;
mod optimizers;
mod positions;
mod products;
mod vocabulary;

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use model::{NumericProfile, Result, cpu::Tensor, peak};

use self::of_peak::OfPeak;

/// Tokens of a batch, those of a sequence, and the shape of a Llama of 13.8 million parameters.
const TOKENS: usize = 4096;
const SEQ_LEN: usize = 256;
const HIDDEN: usize = 384;
const INTERMEDIATE: usize = 1024;
const HEADS: usize = 6;
const VOCAB: usize = 8192;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    // One pool around everything, since entering one takes microseconds.
    rayon::ThreadPoolBuilder::new().build()?.install(measure)?;
    Ok(())
}

fn measure() -> Result<()> {
    let triad_gbytes = peak::triad_gbytes();
    for profile in NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here()) {
        let peak = OfPeak { gemm_gflops: peak::gemm_gflops(profile)?, triad_gbytes };
        say(profile, &peak);
        let mut criterion = Criterion::default()
            .with_measurement(peak)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(800))
            .configure_from_args();
        products::bench(&mut criterion, profile)?;
        attention::bench(&mut criterion, profile)?;
        vocabulary::bench_cross_entropy(&mut criterion, profile)?;
        if profile == NumericProfile::resolve() {
            vocabulary::bench_embedding(&mut criterion, profile)?;
            positions::bench(&mut criterion, profile)?;
            norms::bench(&mut criterion, profile)?;
            activations::bench(&mut criterion, profile)?;
            optimizers::bench(&mut criterion)?;
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn say(profile: NumericProfile, peak: &OfPeak) {
    println!(
        "{profile} on {} threads: {:.1} GFLOP/s of large matrix products, {:.1} GB/s of a triad\n",
        rayon::current_num_threads(),
        peak.gemm_gflops,
        peak.triad_gbytes
    );
}

/// A group of kernels. Samples are of equally many runs, for the slow ones take a tenth of a second.
fn kernels<'a>(criterion: &'a mut Criterion<OfPeak>, name: &str) -> BenchmarkGroup<'a, OfPeak> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// A tensor of numbers between -1 and 1.
fn tensor(rows: usize, cols: usize) -> Tensor {
    let values = (0..rows * cols).map(|at| (at as f32 * 0.7).sin()).collect();
    Tensor::new(rows, cols, values)
}

/// Operations of a product `[rows, inner] · [inner, cols]`.
fn product_flops(rows: usize, inner: usize, cols: usize) -> Throughput {
    flops(2 * rows * inner * cols)
}

fn flops(flops: usize) -> Throughput {
    Throughput::Elements(flops as u64)
}

/// So many tensors of f32 that are read or written.
fn moved(tensors: usize, rows: usize, cols: usize) -> Throughput {
    Throughput::BytesDecimal((tensors * rows * cols * size_of::<f32>()) as u64)
}

/// Where each sequence of a batch begins.
fn offsets() -> Vec<usize> {
    (0..=TOKENS).step_by(SEQ_LEN).collect()
}
