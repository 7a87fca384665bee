//! A step of AdamW, and one of Muon, on one matrix.

use criterion::{Criterion, Throughput};
use model::{
    AdamWConfig, MuonConfig, Optimizer, OptimizerConfig, Parameter, Parameters, Part, Result,
};

use super::{HIDDEN, INTERMEDIATE, OfPeak, VOCAB, flops, kernels, moved, tensor};

pub(super) fn bench(criterion: &mut Criterion<OfPeak>) -> Result<()> {
    // Weights and both moments are read and written, the gradient is read, and read before for its norm.
    let adamw = moved(8, VOCAB, HIDDEN);
    bench_step(criterion, AdamWConfig::default(), (VOCAB, HIDDEN), adamw)?;
    bench_step(criterion, MuonConfig::default(), (HIDDEN, INTERMEDIATE), muon_flops())
}

/// Operations of five iterations, each of which multiplies the matrix with itself, that square with itself, and what is made of
/// them with the matrix.
fn muon_flops() -> Throughput {
    flops(5 * 2 * HIDDEN * HIDDEN * (2 * INTERMEDIATE + HIDDEN))
}

fn bench_step(
    criterion: &mut Criterion<OfPeak>,
    config: impl Into<OptimizerConfig>,
    (rows, cols): (usize, usize),
    throughput: Throughput,
) -> Result<()> {
    let (name, shape, part) = ("matrix".to_owned(), vec![rows, cols], Part::Layer(0));
    let entry = Parameter { name, shape, part, value: tensor(rows, cols) };
    let mut weights: Parameters<_> = [entry].into_iter().collect();
    let gradients = weights.map(|entry| Some(entry.value.clone()));
    let mut optimizer = Optimizer::new(config, &gradients)?;
    let mut group = kernels(criterion, "f32/optimizer");
    group.throughput(throughput);
    let name = optimizer.config().kind().to_string();
    let mut stepped = Ok(0.0);
    group.bench_function(name, |bencher| {
        bencher.iter(|| stepped = optimizer.step(&mut weights, &gradients, 1, 1e-3));
    });
    stepped.map(|_| ())
}
