//! Muon: momentum, made as orthogonal as a few cheap iterations make it, for the matrices of hidden layers.
//!
//! Source: Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>, in the arithmetic of `torch.optim.Muon`, but for its
//! products in bf16, which are in f32 here.

use rayon::prelude::*;

use super::{MuonConfig, MuonScale, Step, TASK_VALUES, by_tasks, newton_schulz::NewtonSchulz};
use crate::{
    cpu::{
        Kernels, Tensor,
        simd::{narrow, simd},
    },
    profile::NumericProfile,
};

/// The memory of its steps, which every matrix uses again.
#[derive(Clone, Debug)]
pub(super) struct Muon {
    kernels: Kernels,
    direction: Tensor,
    newton_schulz: NewtonSchulz,
}

impl Muon {
    /// With the f32 products of a profile.
    pub(super) fn new(profile: NumericProfile) -> Self {
        Self {
            kernels: Kernels::of(profile.in_f32()),
            direction: Tensor::default(),
            newton_schulz: NewtonSchulz::default(),
        }
    }

    pub(super) fn step(
        &mut self,
        config: &MuonConfig,
        weight: &mut Tensor,
        gradient: &Tensor,
        momentum: &mut Tensor,
        step: Step,
    ) {
        let lr = step.lr * config.lr_factor;
        let fresh = narrow(1.0 - config.momentum);
        let blend = Blend {
            gradient: narrow(step.gradient),
            fresh,
            ahead: if config.nesterov { fresh } else { 0.0 },
        };
        self.direction.resize(weight.rows(), weight.cols());
        self.direction
            .values_mut()
            .par_chunks_mut(TASK_VALUES)
            .zip(gradient.values().par_chunks(TASK_VALUES))
            .zip(momentum.values_mut().par_chunks_mut(TASK_VALUES))
            .for_each(|((out, gradient), momentum)| direct(out, gradient, momentum, blend));
        self.newton_schulz.orthogonalize(&mut self.direction, self.kernels);
        let keep = narrow(1.0 - lr * config.adamw.weight_decay);
        let along = narrow(lr * scale(config.scale, weight.rows(), weight.cols()));
        by_tasks(weight, &self.direction, |weight, out| update(weight, out, keep, along));
    }
}

/// What the learning rate of a matrix is multiplied with.
fn scale(scale: MuonScale, rows: usize, cols: usize) -> f64 {
    match scale {
        MuonScale::Original => (rows as f64 / cols as f64).max(1.0).sqrt(),
        MuonScale::MatchRmsAdamw => 0.2 * (rows.max(cols) as f64).sqrt(),
    }
}

/// How the gradient goes into the momentum, and the momentum into the direction.
#[derive(Clone, Copy)]
struct Blend {
    gradient: f32,
    /// Share of the gradient in the momentum.
    fresh: f32,
    /// Share of the gradient in the direction, in which the rest is the momentum: Nesterov's step ahead.
    ahead: f32,
}

simd! {
    fn direct(out: &mut [f32], gradient: &[f32], momentum: &mut [f32], blend: Blend) {
        for ((out, gradient), momentum) in out.iter_mut().zip(gradient).zip(momentum) {
            let gradient = gradient * blend.gradient;
            *momentum += (gradient - *momentum) * blend.fresh;
            *out = *momentum + (gradient - *momentum) * blend.ahead;
        }
    }
}

simd! {
    fn update(weight: &mut [f32], direction: &[f32], keep: f32, along: f32) {
        for (weight, direction) in weight.iter_mut().zip(direction) {
            *weight = *weight * keep - along * direction;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Muon {
        /// Where its memory is.
        pub(in super::super) fn memory(&self) -> Vec<*const f32> {
            let own = std::iter::once(self.direction.values().as_ptr());
            own.chain(self.newton_schulz.memory()).collect()
        }
    }

    #[test]
    fn tall_matrices_take_longer_steps() {
        assert_eq!(scale(MuonScale::Original, 4, 1), 2.0);
        assert_eq!(scale(MuonScale::Original, 1, 4), 1.0);
        assert_eq!(scale(MuonScale::MatchRmsAdamw, 25, 4), 1.0);
        assert_eq!(scale(MuonScale::MatchRmsAdamw, 4, 25), 1.0);
    }
}
