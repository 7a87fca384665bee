//! Stochastic gradient descent with momentum.
//!
//! Decay is added to the gradient; the momentum begins with the first one. Source: Sutskever et al. 2013, in the arithmetic of
//! `torch.optim.SGD` without dampening.

use rayon::prelude::*;

use super::{SgdConfig, Step, TASK_VALUES};
use crate::cpu::{
    Tensor,
    simd::{narrow, simd},
};

pub(super) fn step(
    config: &SgdConfig,
    weight: &mut Tensor,
    gradient: &Tensor,
    momentum: &mut Tensor,
    decays: bool,
    step: Step,
) {
    let kept = narrow(config.momentum);
    let rates = Rates {
        gradient: narrow(step.gradient),
        decay: if decays { narrow(config.weight_decay) } else { 0.0 },
        kept,
        // Of the momentum, and of the gradient itself, in the direction of a step.
        along: if config.nesterov { [kept, 1.0] } else { [1.0, 0.0] },
        lr: narrow(step.lr),
    };
    weight
        .values_mut()
        .par_chunks_mut(TASK_VALUES)
        .zip(gradient.values().par_chunks(TASK_VALUES))
        .zip(momentum.values_mut().par_chunks_mut(TASK_VALUES))
        .for_each(|((weight, gradient), momentum)| update(weight, gradient, momentum, rates));
}

#[derive(Clone, Copy)]
struct Rates {
    gradient: f32,
    decay: f32,
    kept: f32,
    along: [f32; 2],
    lr: f32,
}

simd! {
    fn update(weight: &mut [f32], gradient: &[f32], momentum: &mut [f32], rates: Rates) {
        for ((weight, gradient), momentum) in weight.iter_mut().zip(gradient).zip(momentum) {
            let gradient = gradient * rates.gradient + *weight * rates.decay;
            *momentum = *momentum * rates.kept + gradient;
            let direction = *momentum * rates.along[0] + gradient * rates.along[1];
            *weight -= rates.lr * direction;
        }
    }
}
