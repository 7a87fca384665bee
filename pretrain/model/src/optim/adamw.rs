//! AdamW in one pass over a parameter.
//!
//! Decoupled decay, both moments corrected for their start at zero, `eps` outside the root. Source: Loshchilov and Hutter 2017,
//! arXiv:1711.05101, algorithm 2, in the arithmetic of `torch.optim.AdamW`.

use rayon::prelude::*;

use super::{AdamWConfig, Step, TASK_VALUES};
use crate::cpu::{
    Tensor,
    simd::{narrow, simd},
};

pub(super) fn step(
    config: &AdamWConfig,
    weight: &mut Tensor,
    gradient: &Tensor,
    [first, second]: [&mut Tensor; 2],
    decays: bool,
    step: Step,
) {
    let rates = Rates::new(config, decays, step);
    weight
        .values_mut()
        .par_chunks_mut(TASK_VALUES)
        .zip(gradient.values().par_chunks(TASK_VALUES))
        .zip(first.values_mut().par_chunks_mut(TASK_VALUES))
        .zip(second.values_mut().par_chunks_mut(TASK_VALUES))
        .for_each(|(((weight, gradient), first), second)| {
            update(weight, gradient, first, second, rates);
        });
}

/// The scalars of one step of one parameter.
#[derive(Clone, Copy)]
struct Rates {
    gradient: f32,
    beta1: f32,
    beta2: f32,
    /// `1 - beta1` and `1 - beta2`, rounded once.
    fresh1: f32,
    fresh2: f32,
    /// What decay leaves of a weight.
    keep: f32,
    /// Learning rate, corrected for the first moment's start.
    step: f32,
    /// Root of the second moment's correction.
    root: f32,
    eps: f32,
}

impl Rates {
    fn new(config: &AdamWConfig, decays: bool, step: Step) -> Self {
        let correction = |beta: f64| 1.0 - libm::pow(beta, step.number as f64);
        Self {
            gradient: narrow(step.gradient),
            beta1: narrow(config.beta1),
            beta2: narrow(config.beta2),
            fresh1: narrow(1.0 - config.beta1),
            fresh2: narrow(1.0 - config.beta2),
            keep: if decays { narrow(1.0 - step.lr * config.weight_decay) } else { 1.0 },
            step: narrow(step.lr / correction(config.beta1)),
            root: narrow(correction(config.beta2).sqrt()),
            eps: narrow(config.eps),
        }
    }
}

simd! {
    fn update(weight: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], rates: Rates) {
        let moments = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weight.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * rates.gradient;
            *first = *first * rates.beta1 + gradient * rates.fresh1;
            *second = *second * rates.beta2 + gradient * gradient * rates.fresh2;
            let root = second.sqrt() / rates.root + rates.eps;
            *weight = *weight * rates.keep - rates.step * (*first / root);
        }
    }
}
