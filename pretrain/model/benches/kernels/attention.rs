//! Causal attention.

use criterion::Criterion;
use model::{
    NumericProfile, Result,
    cpu::{Cpu, Tensor},
    ops::{Heads, Ops, Reach},
};

use super::{HEADS, HIDDEN, OfPeak, SEQ_LEN, TOKENS, flops, kernels, offsets, tensor};

/// Operations of one product over all scores that are seen.
const SEEN_FLOPS: usize = 2 * HIDDEN * TOKENS * (SEQ_LEN + 1) / 2;

pub(super) fn bench(criterion: &mut Criterion<OfPeak>, profile: NumericProfile) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let dim = HIDDEN / HEADS;
    let heads = Heads { query: HEADS, key_value: HEADS, dim, reach: Reach::Causal };
    let offsets = offsets();
    let [q, k, v, dout] = [0; 4].map(|_| tensor(TOKENS, HIDDEN));
    let [mut out, mut log_sums, mut dq, mut dk, mut dv] = [0; 5].map(|_| Tensor::zeros(0, 0));
    let mut group = kernels(criterion, &format!("{profile}/attention"));
    // Scores, and their product with the values.
    group.throughput(flops(2 * SEEN_FLOPS));
    let mut forward =
        || ops.attention([&q, &k, &v], &offsets, heads, None, &mut out, &mut log_sums);
    group.bench_function("forward", |bencher| bencher.iter(&mut forward));
    forward();
    // Scores again, and the gradients of probabilities, values, queries and keys.
    group.throughput(flops(5 * SEEN_FLOPS));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| {
            let (qkv, dqkv) = ([&q, &k, &v], [&mut dq, &mut dk, &mut dv]);
            ops.attention_backward(qkv, &offsets, heads, None, &out, &log_sums, &dout, dqkv);
        });
    });
    Ok(())
}
