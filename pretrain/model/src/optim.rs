//! What stands between gradients and weights: optimizers, which parameters they move, and how far.

mod adamw;
mod config;
mod fields;
mod freeze;
mod muon;
mod newton_schulz;
mod norm;
mod sgd;
mod slot;

use rayon::prelude::*;

pub(crate) use self::slot::Slot;
pub use self::{
    config::{AdamWConfig, MuonConfig, MuonScale, OptimizerConfig, SgdConfig},
    freeze::Freeze,
};
use self::{muon::Muon, norm::sum_of_squares};
use crate::{
    cpu::Tensor,
    error::{ModelError, Result},
    param::{Gradients, Parameters, Part},
    profile::NumericProfile,
};

/// Numbers that one task updates or sums; part of the shape of the norm's sum.
const TASK_VALUES: usize = 16_384;

/// An optimizer and its state.
///
/// A step is split by shape and never by the number of threads, so its bits do not depend on it. Nothing is allocated in it
/// after the first, but what matrix products of [`OptimizerConfig::Muon`] take for themselves.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    pub(crate) step: u64,
    pub(crate) slots: Parameters<Option<Slot>>,
    muon: Muon,
    partials: Vec<f64>,
}

/// The scalars of one step that all parameters share.
#[derive(Clone, Copy)]
struct Step {
    /// Steps taken when it is done.
    number: u64,
    lr: f64,
    /// Turns the summed gradient into the clipped mean.
    gradient: f64,
}

impl Optimizer {
    /// Before the first step, for the parameters that have a gradient; the others stay as they are.
    ///
    /// # Errors
    /// When the config does not validate.
    pub fn new(config: impl Into<OptimizerConfig>, gradients: &Gradients<Tensor>) -> Result<Self> {
        let config = config.into();
        config.validate()?;
        let slots = gradients.map(|entry| Some(Slot::new(&config, entry, entry.value.as_ref()?)));
        Ok(Self {
            config,
            step: 0,
            slots,
            muon: Muon::new(NumericProfile::resolve()),
            partials: Vec::new(),
        })
    }

    /// The same in the arithmetic of a profile, and not in the best of this processor.
    ///
    /// # Errors
    /// When this processor does not have it.
    pub fn with_profile(mut self, profile: NumericProfile) -> Result<Self> {
        profile.require_of_processor()?;
        self.muon = Muon::new(profile);
        Ok(self)
    }

    /// The same with learning rates that fall from layer to layer: the neck and the head have that of the step, the highest layer
    /// `decay` times it, each further down `decay` times that of the one above, and the embeddings the lowest.
    ///
    /// Source: Clark et al. 2020, arXiv:2003.10555, appendix B, where the highest layer has `decay^2`.
    ///
    /// # Errors
    /// When `decay` is not above 0 and at most 1.
    pub fn with_layer_lr_decay(mut self, decay: f64) -> Result<Self> {
        if !(decay > 0.0 && decay <= 1.0) {
            let (field, expected) = ("layer_lr_decay", "above 0 and at most 1");
            return Err(ModelError::Optimizer { field, found: decay, expected });
        }
        let layer = |part| if let Part::Layer(layer) = part { layer + 1 } else { 0 };
        let num_layers = self.slots.iter().map(|entry| layer(entry.part)).max().unwrap_or(0);
        for entry in self.slots.iter_mut() {
            let below = match entry.part {
                Part::Embeddings => num_layers + 1,
                Part::Layer(layer) => num_layers - layer,
                Part::Neck | Part::Head => 0,
            };
            if let Some(slot) = &mut entry.value {
                slot.lr = (0..below).fold(1.0, |lr, _| lr * decay);
            }
        }
        Ok(self)
    }

    /// Its constants.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Takes one step on the mean gradient: `gradients` is a sum over `counted` tokens (or labels) of the whole step.
    ///
    /// Returns the L2 norm of the mean gradient of all trained parameters together, before clipping. Clipping multiplies by
    /// `max_grad_norm / (norm + 1e-6)`, at most 1, as `torch.nn.utils.clip_grad_norm_`.
    ///
    /// # Errors
    /// [`ModelError::Diverged`] when the norm is not finite, and when the parameters are not those that the state was
    /// made for. Nothing has changed then.
    pub fn step(
        &mut self,
        weights: &mut Parameters<Tensor>,
        gradients: &Gradients<Tensor>,
        counted: usize,
        lr: f64,
    ) -> Result<f64> {
        self.slots.check_same(weights)?;
        self.slots.check_wanted(gradients)?;
        let mean = 1.0 / counted.max(1) as f64;
        let norm = self.grad_norm(gradients) * mean;
        if !norm.is_finite() {
            return Err(ModelError::Diverged { step: self.step + 1, found: norm });
        }
        self.step += 1;
        let max = self.config.max_grad_norm();
        let clip = max.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0));
        let step = Step { number: self.step, lr, gradient: mean * clip };
        let entries = weights.iter_mut().zip(gradients.iter()).zip(self.slots.iter_mut());
        for ((weight, gradient), slot) in entries {
            if let (Some(gradient), Some(slot)) = (&gradient.value, &mut slot.value) {
                slot.step(&self.config, &mut self.muon, &mut weight.value, gradient, step);
            }
        }
        Ok(norm)
    }

    /// Summed in `f64` in a shape that depends on the parameters only.
    fn grad_norm(&mut self, gradients: &Gradients<Tensor>) -> f64 {
        let trained = gradients.iter().filter_map(|entry| entry.value.as_ref());
        trained.map(|tensor| sum_of_squares(tensor, &mut self.partials)).sum::<f64>().sqrt()
    }
}

impl Parameters<Option<Slot>> {
    /// Checks that there are gradients of the same parameters, and for just those that are trained.
    fn check_wanted(&self, gradients: &Gradients<Tensor>) -> Result<()> {
        self.check_same(gradients)?;
        let pairs = self.iter().zip(gradients.iter());
        let of = |name: &str, is_trained| {
            format!("{name}{}", if is_trained { "" } else { " without a gradient" })
        };
        for (slot, gradient) in pairs {
            let (expected, found) = (slot.value.is_some(), gradient.value.is_some());
            if expected != found {
                return Err(ModelError::ForeignParameter {
                    found: of(&slot.name, found),
                    expected: of(&slot.name, expected),
                });
            }
        }
        Ok(())
    }
}

/// Calls `each` with the parts of two tensors that one task works on.
fn by_tasks(first: &mut Tensor, second: &Tensor, each: impl Fn(&mut [f32], &[f32]) + Send + Sync) {
    let tasks = first.values_mut().par_chunks_mut(TASK_VALUES);
    let tasks = tasks.zip(second.values().par_chunks(TASK_VALUES));
    tasks.for_each(|(first, second)| each(first, second));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::Parameter;

    fn parameters(values: &[f32]) -> Parameters<Tensor> {
        let one = |name: &str, shape: Vec<usize>| Parameter {
            name: name.to_owned(),
            shape,
            part: Part::Layer(0),
            value: Tensor::new(1, values.len(), values.to_vec()),
        };
        [one("matrix", vec![1, values.len()]), one("vector", vec![values.len()])]
            .into_iter()
            .collect()
    }

    fn gradients(values: &[f32]) -> Gradients<Tensor> {
        parameters(values).map(|entry| Some(entry.value.clone()))
    }

    fn configs() -> [OptimizerConfig; 3] {
        let adamw = AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() };
        let sgd = SgdConfig { weight_decay: 0.5, ..SgdConfig::default() };
        let muon = MuonConfig { adamw: adamw.clone(), lr_factor: 1.0, ..MuonConfig::default() };
        [adamw.into(), muon.into(), sgd.into()]
    }

    #[test]
    fn only_matrices_decay() {
        for config in configs() {
            let mut weights = parameters(&[1.0, -2.0]);
            let mut optimizer = Optimizer::new(config, &gradients(&[0.0, 0.0])).unwrap();
            optimizer.step(&mut weights, &gradients(&[0.0, 0.0]), 1, 0.1).unwrap();
            assert_eq!(weights.value(0).values(), [0.95, -1.9]);
            assert_eq!(weights.value(1).values(), [1.0, -2.0]);
        }
    }

    #[test]
    fn a_diverged_step_changes_nothing() {
        for config in configs() {
            let mut weights = parameters(&[1.0]);
            let mut optimizer = Optimizer::new(config, &gradients(&[0.0])).unwrap();
            let broken = gradients(&[f32::NAN]);
            let error = optimizer.step(&mut weights, &broken, 1, 0.1).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the gradient norm of step 1 is NaN; expected a finite number"
            );
            assert_eq!((weights, optimizer.steps()), (parameters(&[1.0]), 0));
        }
    }

    #[test]
    fn a_gradient_that_was_not_there_is_refused() {
        let mut frozen = gradients(&[1.0]);
        frozen.iter_mut().next().unwrap().value = None;
        let mut optimizer = Optimizer::new(AdamWConfig::default(), &frozen).unwrap();
        let error = optimizer.step(&mut parameters(&[1.0]), &gradients(&[1.0]), 1, 0.1);
        assert_eq!(
            error.unwrap_err().to_string(),
            "parameter `matrix` stands where `matrix without a gradient` was expected"
        );
    }

    #[test]
    fn a_step_after_the_first_takes_no_memory() {
        for config in configs() {
            let (mut weights, gradients) = (parameters(&[1.0; 70]), gradients(&[0.5; 70]));
            let mut optimizer = Optimizer::new(config, &gradients).unwrap();
            let mut memory = || {
                optimizer.step(&mut weights, &gradients, 1, 0.1).unwrap();
                (optimizer.partials.as_ptr(), optimizer.muon.memory())
            };
            assert_eq!(memory(), memory());
        }
    }

    #[test]
    fn rates_fall_from_the_head_to_the_embeddings() {
        let parts = [Part::Embeddings, Part::Layer(0), Part::Layer(1), Part::Neck, Part::Head];
        let entry = |part| Parameter {
            name: format!("{part:?}"),
            shape: vec![1],
            part,
            value: Some(Tensor::zeros(1, 1)),
        };
        let gradients: Gradients<Tensor> = parts.into_iter().map(entry).collect();
        let optimizer = Optimizer::new(AdamWConfig::default(), &gradients).unwrap();
        let rates = |optimizer: Optimizer| -> Vec<f64> {
            optimizer.slots.iter().map(|entry| entry.value.as_ref().unwrap().lr).collect()
        };
        assert_eq!(rates(optimizer.clone()), [1.0; 5]);
        let decayed = optimizer.clone().with_layer_lr_decay(0.5).unwrap();
        assert_eq!(rates(decayed), [0.125, 0.25, 0.5, 1.0, 1.0]);
        let error = optimizer.with_layer_lr_decay(1.5).unwrap_err().to_string();
        assert_eq!(error, "`layer_lr_decay` is 1.5; expected above 0 and at most 1");
    }
}
