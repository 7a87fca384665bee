//! Kernels over the vocabulary: embeddings, and cross-entropy fused with the output projection.

use criterion::Criterion;
use model::{
    NumericProfile, Result,
    cpu::{Cpu, Tensor},
    ops::{Linear, Ops},
};

use super::{HIDDEN, OfPeak, TOKENS, VOCAB, flops, kernels, moved, product_flops, tensor};

/// Tokens that are guessed, fewer than of a batch: plain Rust takes its time.
const TARGETS: usize = 512;

pub(super) fn bench_embedding(
    criterion: &mut Criterion<OfPeak>,
    profile: NumericProfile,
) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let ids: Vec<u32> = ids().take(TOKENS).collect();
    let (table, dout) = (tensor(VOCAB, HIDDEN), tensor(TOKENS, HIDDEN));
    let (mut out, mut dtable) = (Tensor::zeros(0, 0), Tensor::zeros(VOCAB, HIDDEN));
    let mut group = kernels(criterion, "f32/embedding");
    group.throughput(moved(2, TOKENS, HIDDEN));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| ops.embedding(&ids, &table, &mut out));
    });
    group.throughput(moved(3, TOKENS, HIDDEN));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| ops.embedding_backward(&ids, &dout, &mut dtable));
    });
    Ok(())
}

pub(super) fn bench_cross_entropy(
    criterion: &mut Criterion<OfPeak>,
    profile: NumericProfile,
) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let targets: Vec<_> = ids().map(Some).take(TARGETS).collect();
    let (x, w) = (tensor(TARGETS, HIDDEN), tensor(VOCAB, HIDDEN));
    let (mut dx, mut dw) = (Tensor::zeros(0, 0), Tensor::zeros(VOCAB, HIDDEN));
    let mut nats = Vec::new();
    let projection = Linear { weight: &w, bias: None };
    let mut group = kernels(criterion, &format!("{profile}/cross-entropy"));
    group.throughput(product_flops(TARGETS, HIDDEN, VOCAB));
    group.bench_function("loss", |bencher| {
        bencher.iter(|| ops.cross_entropy(&x, projection, &targets, &mut nats));
    });
    group.throughput(flops(6 * TARGETS * HIDDEN * VOCAB));
    group.bench_function("loss and gradients", |bencher| {
        bencher.iter(|| {
            let (dx, dprojection) = (Some(&mut dx), [Some(&mut dw), None]);
            ops.cross_entropy_backward(&x, projection, &targets, &mut nats, dx, dprojection);
        });
    });
    Ok(())
}

/// Tokens from everywhere in the vocabulary.
fn ids() -> impl Iterator<Item = u32> {
    (0usize..).map(|at| u32::try_from(at * 7919 % VOCAB).unwrap_or_default())
}
