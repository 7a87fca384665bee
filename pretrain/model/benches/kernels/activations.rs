//! Activations of feed-forward parts: both forms of GELU, and SwiGLU.

use criterion::Criterion;
use model::{
    NumericProfile, Result,
    cpu::{Cpu, Tensor},
    ops::Ops,
};

use super::{INTERMEDIATE, OfPeak, TOKENS, kernels, moved, tensor};

pub(super) fn bench(criterion: &mut Criterion<OfPeak>, profile: NumericProfile) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    let [x, up, dout] = [0; 3].map(|_| tensor(TOKENS, INTERMEDIATE));
    let [mut out, mut dx, mut dup] = [0; 3].map(|_| Tensor::zeros(0, 0));
    let moved = |tensors| moved(tensors, TOKENS, INTERMEDIATE);

    let mut group = kernels(criterion, "f32/gelu");
    group.throughput(moved(2));
    group.bench_function("forward", |bencher| bencher.iter(|| ops.gelu(&x, &mut out)));
    group.bench_function("forward by tanh", |bencher| {
        bencher.iter(|| ops.gelu_tanh(&x, &mut out));
    });
    group.throughput(moved(3));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| ops.gelu_backward(&x, &dout, &mut dx));
    });
    group.bench_function("backward by tanh", |bencher| {
        bencher.iter(|| ops.gelu_tanh_backward(&x, &dout, &mut dx));
    });
    group.finish();

    let mut group = kernels(criterion, "f32/swiglu");
    group.throughput(moved(3));
    group.bench_function("forward", |bencher| bencher.iter(|| ops.swiglu(&x, &up, &mut out)));
    group.throughput(moved(5));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| ops.swiglu_backward(&x, &up, &dout, &mut dx, &mut dup));
    });
    Ok(())
}
