//! Layer norm and root-mean-square norm.

use criterion::Criterion;
use model::{
    NumericProfile, Result,
    cpu::{Cpu, Tensor},
    ops::Ops,
};

use super::{HIDDEN, OfPeak, TOKENS, kernels, moved, tensor};

const EPS: f64 = 1e-5;

pub(super) fn bench(criterion: &mut Criterion<OfPeak>, profile: NumericProfile) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let [x, dout] = [0; 2].map(|_| tensor(TOKENS, HIDDEN));
    let [w, b] = [0; 2].map(|_| tensor(1, HIDDEN));
    let [mut out, mut dx] = [0; 2].map(|_| Tensor::zeros(TOKENS, HIDDEN));
    let [mut dw, mut db] = [0; 2].map(|_| Tensor::zeros(1, HIDDEN));

    let mut group = kernels(criterion, "f32/layer-norm");
    group.throughput(moved(2, TOKENS, HIDDEN));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| ops.layer_norm(&x, [&w, &b], EPS, &mut out));
    });
    group.throughput(moved(3, TOKENS, HIDDEN));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| {
            let dparameters = [Some(&mut dw), Some(&mut db)];
            ops.layer_norm_backward(&x, &w, EPS, &dout, Some(&mut dx), dparameters);
        });
    });
    group.finish();

    let mut group = kernels(criterion, "f32/rms-norm");
    group.throughput(moved(2, TOKENS, HIDDEN));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| ops.rms_norm(&x, &w, EPS, &mut out));
    });
    // The gradient is added to one that is read too.
    group.throughput(moved(4, TOKENS, HIDDEN));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| {
            ops.rms_norm_backward(&x, &w, EPS, &dout, Some(&mut dx), Some(&mut dw));
        });
    });
    Ok(())
}
