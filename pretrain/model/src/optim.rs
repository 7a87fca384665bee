//! AdamW with decay groups and clipping by the global norm.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cpu::{
        Tensor,
        simd::{narrow, simd},
    },
    error::{ModelError, Result},
    param::Parameters,
};

/// Constants of AdamW; the learning rate comes with each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Share of the first moment that stays at each step; from 0, below 1.
    pub beta1: f64,
    /// Share of the second moment that stays at each step; from 0, below 1.
    pub beta2: f64,
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Share of a weight, times the learning rate, that it loses at each step; 0 or more. Tensors with two or more
    /// dimensions decay, vectors do not.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient of all parameters together, above 0; `None` does not clip.
    pub max_grad_norm: Option<f64>,
}

impl Default for AdamWConfig {
    /// As in nanoGPT.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, max_grad_norm: Some(1.0) }
    }
}

impl AdamWConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad field, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let clip = self.max_grad_norm.unwrap_or(1.0);
        let decay = self.weight_decay;
        for (field, found, holds, expected) in [
            ("beta1", self.beta1, share(self.beta1), "0 or more and below 1"),
            ("beta2", self.beta2, share(self.beta2), "0 or more and below 1"),
            ("eps", self.eps, positive(self.eps), "a positive number"),
            ("weight_decay", decay, decay == 0.0 || positive(decay), "0 or more"),
            ("max_grad_norm", clip, positive(clip), "a positive number"),
        ] {
            if !holds {
                return Err(ModelError::Optimizer { field, found, expected });
            }
        }
        Ok(())
    }
}

/// AdamW and its state.
///
/// Decoupled decay, both moments corrected for their start at zero, `eps` outside the root; clipping multiplies by
/// `max_grad_norm / (norm + 1e-6)`, at most 1. Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2, in the
/// arithmetic of `torch.optim.AdamW` and `clip_grad_norm_`.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    pub(crate) step: u64,
    pub(crate) first: Parameters<Tensor>,
    pub(crate) second: Parameters<Tensor>,
}

impl AdamW {
    /// Before the first step.
    ///
    /// # Errors
    /// When the config does not validate.
    pub fn new(config: AdamWConfig, weights: &Parameters<Tensor>) -> Result<Self> {
        config.validate()?;
        let zeros = || weights.map(|entry| Tensor::zeros(entry.value.rows(), entry.value.cols()));
        Ok(Self { config, step: 0, first: zeros(), second: zeros() })
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Takes one step on the mean gradient: `gradients` is a sum over `counted` tokens (or labels) of the whole step.
    ///
    /// Returns the norm of the mean gradient before clipping.
    ///
    /// # Errors
    /// [`ModelError::Diverged`] when the norm is not finite, and when the parameters are not those that the state was
    /// made for. Nothing has changed then.
    pub fn step(
        &mut self,
        weights: &mut Parameters<Tensor>,
        gradients: &Parameters<Tensor>,
        counted: usize,
        lr: f64,
    ) -> Result<f64> {
        self.first.check_same(weights)?;
        self.first.check_same(gradients)?;
        let mean = 1.0 / counted.max(1) as f64;
        let norm = grad_norm(gradients) * mean;
        if !norm.is_finite() {
            return Err(ModelError::Diverged { step: self.step + 1, found: norm });
        }
        self.step += 1;
        let clip = self.config.max_grad_norm.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0));
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        let rates = Rates::new(&self.config, self.step, lr, mean * clip);
        for (((weight, gradient), first), second) in weights
            .iter_mut()
            .zip(gradients.iter())
            .zip(moments)
            .map(|((w, g), (m, v))| (((w, g), m), v))
        {
            let decays = weight.shape.len() >= 2;
            let rates = Rates { keep: if decays { rates.keep } else { 1.0 }, ..rates };
            weight
                .value
                .values_mut()
                .par_chunks_mut(TASK_VALUES)
                .zip(gradient.value.values().par_chunks(TASK_VALUES))
                .zip(first.value.values_mut().par_chunks_mut(TASK_VALUES))
                .zip(second.value.values_mut().par_chunks_mut(TASK_VALUES))
                .for_each(|(((weight, gradient), first), second)| {
                    update(weight, gradient, first, second, rates);
                });
        }
        Ok(norm)
    }
}

/// L2 norm of all gradients together, summed in `f64` in a shape that depends on the parameters only.
pub fn grad_norm(gradients: &Parameters<Tensor>) -> f64 {
    let tensors = gradients.iter().map(|entry| {
        let tasks: Vec<f64> =
            entry.value.values().par_chunks(TASK_VALUES).map(sum_of_squares).collect();
        tasks.iter().sum::<f64>()
    });
    tensors.sum::<f64>().sqrt()
}

/// Numbers that one task updates or sums; part of the shape of the norm's sum.
const TASK_VALUES: usize = 16_384;

/// The scalars of one step.
#[derive(Clone, Copy)]
struct Rates {
    /// Turns the summed gradient into the clipped mean.
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
    fn new(config: &AdamWConfig, step: u64, lr: f64, gradient: f64) -> Self {
        let correction = |beta: f64| 1.0 - libm::pow(beta, step as f64);
        Self {
            gradient: narrow(gradient),
            beta1: narrow(config.beta1),
            beta2: narrow(config.beta2),
            fresh1: narrow(1.0 - config.beta1),
            fresh2: narrow(1.0 - config.beta2),
            keep: narrow(1.0 - lr * config.weight_decay),
            step: narrow(lr / correction(config.beta1)),
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

simd! {
    fn sum_of_squares(values: &[f32]) -> f64 {
        let mut lanes = [0.0f64; 8];
        let mut whole = values.chunks_exact(8);
        for chunk in whole.by_ref() {
            for lane in 0..8 {
                lanes[lane] += f64::from(chunk[lane]) * f64::from(chunk[lane]);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(whole.remainder()) {
            *lane += f64::from(value) * f64::from(value);
        }
        lanes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::Parameter;

    fn parameters(values: &[f32]) -> Parameters<Tensor> {
        let one = |name: &str, shape: Vec<usize>| Parameter {
            name: name.to_owned(),
            shape,
            value: Tensor::new(1, values.len(), values.to_vec()),
        };
        [one("matrix", vec![1, values.len()]), one("vector", vec![values.len()])]
            .into_iter()
            .collect()
    }

    #[test]
    fn only_matrices_decay() {
        let config = AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() };
        let mut weights = parameters(&[1.0, -2.0]);
        let mut optimizer = AdamW::new(config, &weights).unwrap();
        optimizer.step(&mut weights, &parameters(&[0.0, 0.0]), 1, 0.1).unwrap();
        assert_eq!(weights.value(0).values(), [0.95, -1.9]);
        assert_eq!(weights.value(1).values(), [1.0, -2.0]);
    }

    #[test]
    fn a_diverged_step_changes_nothing() {
        let mut weights = parameters(&[1.0]);
        let mut optimizer = AdamW::new(AdamWConfig::default(), &weights).unwrap();
        let error = optimizer.step(&mut weights, &parameters(&[f32::NAN]), 1, 0.1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the gradient norm of step 1 is NaN; expected a finite number"
        );
        assert_eq!((weights, optimizer.steps()), (parameters(&[1.0]), 0));
    }

    #[test]
    fn bad_constants_are_named() {
        let config = AdamWConfig { beta2: 1.0, ..AdamWConfig::default() };
        let message = config.validate().unwrap_err().to_string();
        assert_eq!(message, "`beta2` is 1; expected 0 or more and below 1");
        AdamWConfig { max_grad_norm: None, weight_decay: 0.0, ..AdamWConfig::default() }
            .validate()
            .unwrap();
    }
}
