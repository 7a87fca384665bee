//! Kernels that depend on where a token stands: rotary positions, and dropout.

use criterion::Criterion;
use model::{
    Dropout, NumericProfile, Result,
    cpu::Cpu,
    dropout::{Mask, Place},
    ops::Ops,
};
use pipelines::seed::Seed;

use super::{HEADS, HIDDEN, OfPeak, TOKENS, kernels, moved, offsets, tensor};

pub(super) fn bench(criterion: &mut Criterion<OfPeak>, profile: NumericProfile) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let (mut x, offsets) = (tensor(TOKENS, HIDDEN), offsets());
    let mut group = kernels(criterion, "f32/positions");
    group.throughput(moved(2, TOKENS, HIDDEN));
    group.bench_function("rotary", |bencher| {
        bencher.iter(|| ops.rotary(&mut x, &offsets, HIDDEN / HEADS, 10_000.0));
    });
    let places: Vec<_> =
        (0..).map(|position| Place { sequence: 0, position }).take(TOKENS).collect();
    let dropout = Dropout { seed: Seed::new(1, "bench"), step: 0 };
    let mask = Mask::new(dropout, 0, 0.1, &places);
    group.bench_function("dropout", |bencher| bencher.iter(|| ops.dropout(&mut x, mask)));
    Ok(())
}
