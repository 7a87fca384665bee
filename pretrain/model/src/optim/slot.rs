//! One trained parameter: what is kept of it from step to step, and the rule that moves it.

use super::{MuonConfig, OptimizerConfig, Step, adamw, muon::Muon, sgd};
use crate::{
    cpu::Tensor,
    param::{Parameter, Part},
};

/// What is known of a parameter that is trained.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Its learning rate, as a factor of the step's.
    pub(super) lr: f64,
    /// Whether it loses weight: matrices do, vectors do not.
    decays: bool,
    state: State,
}

/// What the steps so far have left of its gradients, by the rule that moves it.
#[derive(Clone, Debug)]
enum State {
    AdamW { first: Tensor, second: Tensor },
    Muon { momentum: Tensor },
    Sgd { momentum: Tensor },
}

impl Slot {
    pub(super) fn new<T>(
        config: &OptimizerConfig,
        entry: &Parameter<T>,
        gradient: &Tensor,
    ) -> Self {
        let zeros = || Tensor::zeros(gradient.rows(), gradient.cols());
        let is_matrix = entry.shape.len() >= 2;
        let state = match config {
            OptimizerConfig::Sgd(_) => State::Sgd { momentum: zeros() },
            OptimizerConfig::Muon(_) if is_matrix && matches!(entry.part, Part::Layer(_)) => {
                State::Muon { momentum: zeros() }
            }
            OptimizerConfig::AdamW(_) | OptimizerConfig::Muon(_) => {
                State::AdamW { first: zeros(), second: zeros() }
            }
        };
        Self { lr: 1.0, decays: is_matrix, state }
    }

    pub(super) fn step(
        &mut self,
        config: &OptimizerConfig,
        muon: &mut Muon,
        weight: &mut Tensor,
        gradient: &Tensor,
        step: Step,
    ) {
        let (step, decays) = (Step { lr: step.lr * self.lr, ..step }, self.decays);
        match (&mut self.state, config) {
            (State::AdamW { first, second }, OptimizerConfig::AdamW(config))
            | (
                State::AdamW { first, second },
                OptimizerConfig::Muon(MuonConfig { adamw: config, .. }),
            ) => adamw::step(config, weight, gradient, [first, second], decays, step),
            (State::Muon { momentum }, OptimizerConfig::Muon(config)) => {
                muon.step(config, weight, gradient, momentum, step);
            }
            (State::Sgd { momentum }, OptimizerConfig::Sgd(config)) => {
                sgd::step(config, weight, gradient, momentum, decays, step);
            }
            _ => unreachable!("states are made by the config"),
        }
    }

    /// What is kept in a training state, by the prefix of its name.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let tensors = match &self.state {
            State::AdamW { first, second } => {
                [Some(("first_moment.", first)), Some(("second_moment.", second))]
            }
            State::Muon { momentum } | State::Sgd { momentum } => {
                [Some(("momentum.", momentum)), None]
            }
        };
        tensors.into_iter().flatten()
    }

    /// The same tensors in the same order.
    pub(crate) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        let tensors = match &mut self.state {
            State::AdamW { first, second } => [Some(first), Some(second)],
            State::Muon { momentum } | State::Sgd { momentum } => [Some(momentum), None],
        };
        tensors.into_iter().flatten()
    }
}
