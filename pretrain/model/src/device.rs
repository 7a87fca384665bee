//! The implementation over candle's tensors: `f32` on an NVIDIA device, or on candle's own CPU device, which tests it.
//!
//! Every pass is written by hand in operations of candle that are fast and exact on a device; its autograd, its fused
//! operations and its `index_add` are not used. candle's tensors do not change, so an output is a new tensor in the
//! caller's place, and what was there is let go.
//!
//! Sums have a fixed shape for one shape of inputs, so a call repeated gives the same numbers. But the device's library
//! picks its kernel by shape: a row beside others, or a text read in pieces, agrees to rounding, not in its bits.
//!
//! # Panics
//! Passes return no errors, so they also panic when the device fails, as it does when its memory is full.

mod attention;
mod cross_entropy;
mod embedding;
mod gelu;
mod gelu_tanh;
mod layer_norm;
mod linear;
mod rms_norm;
mod rotary;
mod swiglu;

pub use candle_core::Tensor;
use candle_core::{DType, Result};

use crate::{
    cpu::simd::narrow,
    dropout::Mask,
    error::ModelError,
    ops::{Heads, Linear, Ops, Write},
};

/// A device that candle computes on, with the tables that stay there.
#[derive(Debug)]
pub struct Device {
    device: candle_core::Device,
    rotary: rotary::Table,
    masks: attention::Masks,
}

impl Device {
    /// The first NVIDIA device of this machine.
    ///
    /// # Errors
    /// [`ModelError::Device`] when this build is one without the feature `cuda`, or when there is no such device.
    pub fn cuda() -> crate::Result<Self> {
        let opened = candle_core::Device::new_cuda(0);
        opened.map(Self::on).map_err(|source| ModelError::Device { source: Box::new(source) })
    }

    /// candle's CPU device: for tests, [`crate::cpu::Cpu`] is faster.
    pub fn cpu() -> Self {
        Self::on(candle_core::Device::Cpu)
    }

    fn on(device: candle_core::Device) -> Self {
        Self { device, rotary: rotary::Table::default(), masks: attention::Masks::default() }
    }
}

/// What a device made of tensors whose shapes agree.
fn made<T>(result: Result<T>) -> T {
    result.expect("shapes agree, and the device has memory for the result")
}

/// A tensor of `cols` columns and no rows. It stands on the CPU, since not every device gives out memory for nothing.
fn empty(cols: usize) -> Tensor {
    made(Tensor::zeros((0, cols), DType::F32, &candle_core::Device::Cpu))
}

/// Whether a pass over the rows of `x` has nothing to do; a device cannot be asked to do nothing.
fn is_empty(x: &Tensor) -> bool {
    x.elem_count() == 0
}

/// The result of a pass over the rows of `x`, which has `cols` columns.
fn of_rows(x: &Tensor, cols: usize, pass: impl FnOnce() -> Result<Tensor>) -> Tensor {
    if is_empty(x) { empty(cols) } else { made(pass()) }
}

/// The result of a pass that gives each number of `x` another.
fn of_each(x: &Tensor, pass: impl FnOnce() -> Result<Tensor>) -> Tensor {
    of_rows(x, cols(x), pass)
}

fn rows(x: &Tensor) -> usize {
    x.dims()[0]
}

fn cols(x: &Tensor) -> usize {
    x.dims()[1]
}

/// Places of rows, for candle to select.
fn indices(device: &candle_core::Device, indices: impl Iterator<Item = usize>) -> Result<Tensor> {
    let narrow = |index| u32::try_from(index).map_err(candle_core::Error::wrap);
    Tensor::new(indices.map(narrow).collect::<Result<Vec<u32>>>()?, device)
}

impl Ops for Device {
    type Tensor = Tensor;

    fn zeros(&self, rows: usize, cols: usize) -> Tensor {
        match rows * cols {
            0 => made(empty(0).reshape((rows, cols))),
            _ => made(Tensor::zeros((rows, cols), DType::F32, &self.device)),
        }
    }

    fn tensor(&self, rows: usize, cols: usize, values: &[f32]) -> Tensor {
        assert_eq!(rows * cols, values.len(), "a tensor has rows times columns values");
        match values {
            [] => self.zeros(rows, cols),
            _ => made(Tensor::from_slice(values, (rows, cols), &self.device)),
        }
    }

    fn values(&self, tensor: &Tensor) -> Vec<f64> {
        let values = made(tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()));
        values.into_iter().map(f64::from).collect()
    }

    fn clear(&self, tensor: &mut Tensor) {
        *tensor = self.zeros(rows(tensor), cols(tensor));
    }

    fn embedding(&mut self, ids: &[u32], table: &Tensor, out: &mut Tensor) {
        let rows: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        *out = made(embedding::pick(table, &rows));
    }

    fn embedding_backward(&mut self, ids: &[u32], dout: &Tensor, dtable: &mut Tensor) {
        assert_eq!(ids.len(), rows(dout), "a gradient for each token");
        if !is_empty(dout) {
            *dtable = made(embedding::backward(ids, dout, dtable));
        }
    }

    fn linear(&mut self, x: &Tensor, layer: Linear<&Tensor>, out: &mut Tensor, write: Write) {
        let pass = || linear::forward(x, layer, (write == Write::Add).then_some(&*out));
        *out = of_rows(x, rows(layer.weight), pass);
    }

    fn linear_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        dout: &Tensor,
        dx: Option<(&mut Tensor, Write)>,
        dlayer: [Option<&mut Tensor>; 2],
    ) {
        if let Some((dx, write)) = dx {
            let pass = || linear::input_gradient(w, dout, (write == Write::Add).then_some(&*dx));
            *dx = of_rows(x, cols(x), pass);
        }
        if !is_empty(x) {
            made(linear::backward(x, dout, dlayer));
        }
    }

    fn rms_norm(&mut self, x: &Tensor, w: &Tensor, eps: f64, out: &mut Tensor) {
        *out = of_each(x, || rms_norm::forward(x, w, eps));
    }

    fn rms_norm_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dout: &Tensor,
        dx: Option<&mut Tensor>,
        dw: Option<&mut Tensor>,
    ) {
        if !is_empty(x) {
            made(rms_norm::backward(x, w, eps, dout, dx, dw));
        }
    }

    fn layer_norm(&mut self, x: &Tensor, parameters: [&Tensor; 2], eps: f64, out: &mut Tensor) {
        *out = of_each(x, || layer_norm::forward(x, parameters, eps));
    }

    fn layer_norm_backward(
        &mut self,
        x: &Tensor,
        w: &Tensor,
        eps: f64,
        dout: &Tensor,
        dx: Option<&mut Tensor>,
        dparameters: [Option<&mut Tensor>; 2],
    ) {
        if !is_empty(x) {
            made(layer_norm::backward(x, w, eps, dout, dx, dparameters));
        } else if let Some(dx) = dx {
            *dx = empty(cols(x));
        }
    }

    fn rotary(&mut self, x: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.turn(
            x,
            rotary::positions(offsets).collect(),
            (dim, theta),
            rotary::Direction::Forward,
        );
    }

    fn rotary_backward(&mut self, dx: &mut Tensor, offsets: &[usize], dim: usize, theta: f64) {
        self.turn(dx, rotary::positions(offsets).collect(), (dim, theta), rotary::Direction::Back);
    }

    fn rotary_from(&mut self, x: &mut Tensor, first: usize, dim: usize, theta: f64) {
        let positions = (first..first + rows(x)).collect();
        self.turn(x, positions, (dim, theta), rotary::Direction::Forward);
    }

    fn attention(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &mut Tensor,
        log_sums: &mut Tensor,
    ) {
        let [q, ..] = qkv;
        [*out, *log_sums] = if is_empty(q) {
            [empty(cols(q)), empty(heads.query)]
        } else {
            made(attention::forward(qkv, offsets, heads, mask, &mut self.masks))
        };
    }

    fn attention_backward(
        &mut self,
        qkv: [&Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &Tensor,
        log_sums: &Tensor,
        dout: &Tensor,
        dqkv: [&mut Tensor; 3],
    ) {
        let [q, ..] = qkv;
        let gradients = if is_empty(q) {
            qkv.map(|x| empty(cols(x)))
        } else {
            let results = [out, log_sums, dout];
            made(attention::backward(qkv, offsets, heads, results, (mask, &mut self.masks)))
        };
        dqkv.into_iter().zip(gradients).for_each(|(into, gradient)| *into = gradient);
    }

    fn attention_of_last(
        &mut self,
        qkv: [&Tensor; 3],
        heads: Heads,
        out: &mut Tensor,
        log_sums: &mut Tensor,
    ) {
        [*out, *log_sums] = made(attention::forward_of_last(qkv, heads, &mut self.masks));
    }

    fn dropout(&mut self, x: &mut Tensor, mask: Mask) {
        let (rows, cols) = (rows(x), cols(x));
        let factors = (0..rows).flat_map(|row| mask.factors(0, row).take(cols)).map(narrow);
        let factors: Vec<f32> = factors.collect();
        *x = of_each(x, || &*x * Tensor::from_vec(factors, (rows, cols), x.device())?);
    }

    fn swiglu(&mut self, gate: &Tensor, up: &Tensor, out: &mut Tensor) {
        *out = of_each(gate, || swiglu::forward(gate, up));
    }

    fn swiglu_backward(
        &mut self,
        gate: &Tensor,
        up: &Tensor,
        dout: &Tensor,
        dgate: &mut Tensor,
        dup: &mut Tensor,
    ) {
        *dgate = of_each(gate, || swiglu::gate_gradient(gate, up, dout));
        *dup = of_each(gate, || swiglu::up_gradient(gate, dout));
    }

    fn gelu(&mut self, x: &Tensor, out: &mut Tensor) {
        *out = of_each(x, || gelu::forward(x));
    }

    fn gelu_backward(&mut self, x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
        *dx = of_each(x, || gelu::backward(x, dout));
    }

    fn gelu_tanh(&mut self, x: &Tensor, out: &mut Tensor) {
        *out = of_each(x, || gelu_tanh::forward(x));
    }

    fn gelu_tanh_backward(&mut self, x: &Tensor, dout: &Tensor, dx: &mut Tensor) {
        *dx = of_each(x, || gelu_tanh::backward(x, dout));
    }

    fn tanh(&mut self, x: &mut Tensor) {
        *x = of_each(x, || x.tanh());
    }

    fn tanh_backward(&mut self, out: &Tensor, dx: &mut Tensor) {
        *dx = of_each(out, || &*dx * (1.0 - out.sqr()?)?);
    }

    fn add(&mut self, x: &mut Tensor, branch: &Tensor) {
        *x = of_each(x, || &*x + branch);
    }

    fn copy(&mut self, x: &Tensor, out: &mut Tensor) {
        *out = x.clone();
    }

    fn append(&mut self, x: &Tensor, out: &mut Tensor) {
        *out = match (is_empty(x), is_empty(out)) {
            (_, true) => x.clone(),
            (true, false) => out.clone(),
            (false, false) => made(Tensor::cat(&[&*out, x], 0)),
        };
    }

    fn split(&mut self, x: &Tensor, parts: [&mut Tensor; 3]) {
        let width = cols(x) / parts.len();
        for (at, part) in parts.into_iter().enumerate() {
            *part = of_rows(x, width, || x.narrow(1, at * width, width)?.contiguous());
        }
    }

    fn join(&mut self, parts: [&Tensor; 3], out: &mut Tensor) {
        let width = parts.map(cols).iter().sum();
        *out = of_rows(parts[0], width, || Tensor::cat(&parts, 1));
    }

    fn pick(&mut self, x: &Tensor, rows: &[usize], out: &mut Tensor) {
        *out = made(embedding::pick(x, rows));
    }

    fn pick_backward(&mut self, dout: &Tensor, rows: &[usize], tokens: usize, dx: &mut Tensor) {
        *dx = if is_empty(dout) {
            self.zeros(tokens, cols(dout))
        } else {
            made(embedding::spread(dout, rows, tokens))
        };
    }

    fn cross_entropy(
        &mut self,
        x: &Tensor,
        projection: Linear<&Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
    ) {
        *nats = made(cross_entropy::forward(x, projection, targets));
    }

    fn cross_entropy_backward(
        &mut self,
        x: &Tensor,
        projection: Linear<&Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
        dx: Option<&mut Tensor>,
        dprojection: [Option<&mut Tensor>; 2],
    ) {
        *nats = made(cross_entropy::backward(x, projection, targets, dx, dprojection));
    }
}

impl Device {
    fn turn(
        &mut self,
        x: &mut Tensor,
        positions: Vec<usize>,
        shape: (usize, f64),
        direction: rotary::Direction,
    ) {
        *x = of_each(x, || self.rotary.turn(x, positions, shape, direction));
    }
}
