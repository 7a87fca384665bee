//! Matrix products in the three layouts of a linear layer, and the layer with its bias.

use criterion::Criterion;
use model::{
    NumericProfile, Result,
    cpu::{Cpu, Tensor},
    ops::{Linear, Ops, Write},
};

use super::{HIDDEN, INTERMEDIATE, OfPeak, VOCAB, flops, kernels, product_flops, tensor};

/// Rows of a product, fewer than of a batch: plain Rust takes its time.
const ROWS: usize = 1024;

/// Inputs and outputs of the layers of attention, into and out of the feed-forward part, and a quarter of the projection.
const LAYERS: [(usize, usize); 4] =
    [(HIDDEN, HIDDEN), (HIDDEN, INTERMEDIATE), (INTERMEDIATE, HIDDEN), (HIDDEN, VOCAB / 4)];

pub(super) fn bench(criterion: &mut Criterion<OfPeak>, profile: NumericProfile) -> Result<()> {
    let mut ops = Cpu::new(profile)?;
    for (inputs, outputs) in LAYERS {
        bench_products(criterion, profile, &mut ops, (inputs, outputs));
    }
    bench_layer(criterion, profile, &mut ops);
    Ok(())
}

fn bench_products(
    criterion: &mut Criterion<OfPeak>,
    profile: NumericProfile,
    ops: &mut Cpu,
    (inputs, outputs): (usize, usize),
) {
    let (x, dout) = (tensor(ROWS, inputs), tensor(ROWS, outputs));
    let (w, mut dw) = (tensor(outputs, inputs), Tensor::zeros(outputs, inputs));
    let [mut out, mut dx] = [0; 2].map(|_| Tensor::zeros(0, 0));
    let mut group = kernels(criterion, &format!("{profile}/product"));
    group.throughput(product_flops(ROWS, inputs, outputs));
    let shape = format!("{ROWS} tokens, {inputs} to {outputs}");
    group.bench_function(format!("x·wT, {shape}"), |bencher| {
        let layer = Linear { weight: &w, bias: None };
        bencher.iter(|| ops.linear(&x, layer, &mut out, Write::Replace));
    });
    group.bench_function(format!("dout·w, {shape}"), |bencher| {
        bencher.iter(|| {
            let dx = Some((&mut dx, Write::Replace));
            ops.linear_backward(&x, &w, &dout, dx, [None, None]);
        });
    });
    group.bench_function(format!("doutT·x, {shape}"), |bencher| {
        bencher.iter(|| ops.linear_backward(&x, &w, &dout, None, [Some(&mut dw), None]));
    });
}

fn bench_layer(criterion: &mut Criterion<OfPeak>, profile: NumericProfile, ops: &mut Cpu) {
    let (x, dout) = (tensor(ROWS, HIDDEN), tensor(ROWS, INTERMEDIATE));
    let (w, b) = (tensor(INTERMEDIATE, HIDDEN), tensor(1, INTERMEDIATE));
    let [mut out, mut dx] = [0; 2].map(|_| Tensor::zeros(0, 0));
    let [mut dw, mut db] = [&w, &b].map(|x| Tensor::zeros(x.rows(), x.cols()));
    let mut group = kernels(criterion, &format!("{profile}/linear"));
    group.throughput(product_flops(ROWS, HIDDEN, INTERMEDIATE));
    group.bench_function("forward", |bencher| {
        let layer = Linear { weight: &w, bias: Some(&b) };
        bencher.iter(|| ops.linear(&x, layer, &mut out, Write::Replace));
    });
    group.throughput(flops(4 * ROWS * HIDDEN * INTERMEDIATE));
    group.bench_function("backward", |bencher| {
        bencher.iter(|| {
            let (dx, dlayer) = ((&mut dx, Write::Replace), [Some(&mut dw), Some(&mut db)]);
            ops.linear_backward(&x, &w, &dout, Some(dx), dlayer);
        });
    });
}
