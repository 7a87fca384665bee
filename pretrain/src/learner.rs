//! A model that learns: one optimizer step after another.

use model::{
    Checkpoint, Collective, CpuModel, LossSum, ModelError, NumericProfile, Optimizer,
    OptimizerConfig, TokenBatch, TreeSum,
};
use pipelines::error::TaskError;

use crate::error::PretrainError;

/// A model, what moves its weights, and the memory of a step, which takes none anew after the first.
pub struct Learner {
    /// The model.
    pub model: CpuModel,
    /// What moves its weights.
    pub optimizer: Optimizer,
    collective: Box<dyn Collective>,
    sum: TreeSum,
    batch: TokenBatch,
}

/// What a step has measured on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Nats per counted token, before the step.
    pub loss: f64,
    /// L2 norm of the mean gradient, before clipping.
    pub grad_norm: f64,
}

impl Learner {
    /// Starts from `checkpoint`, which the processes of `collective` train.
    ///
    /// # Errors
    /// When the checkpoint or the constants are refused, or this processor lacks the profile.
    pub fn new(
        checkpoint: Checkpoint,
        optimizer: OptimizerConfig,
        profile: NumericProfile,
        collective: Box<dyn Collective>,
    ) -> Result<Self, ModelError> {
        let model = CpuModel::with_profile(checkpoint, profile)?;
        let gradients = model.gradients();
        let optimizer = Optimizer::new(optimizer, &gradients)?.with_profile(profile)?;
        let (sum, batch) = (TreeSum::new(gradients), TokenBatch::new());
        Ok(Self { model, optimizer, collective, sum, batch })
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Takes a step on the mean gradient of `num_micro_batches`; `fill` puts each that is this process's into an empty batch.
    ///
    /// # Errors
    /// Those of `fill`; when a loss or gradient is not finite, or a weight gets no gradient in the first step.
    pub fn step(
        &mut self,
        num_micro_batches: usize,
        lr: f64,
        mut fill: impl FnMut(u64, &mut TokenBatch) -> Result<(), TaskError>,
    ) -> Result<Measured, TaskError> {
        let (done, step) = (self.steps(), self.steps() + 1);
        let failed = |source| PretrainError::Step { step, source: Box::new(source) };
        let Self { model, optimizer, collective, sum, batch } = self;
        let share = collective.share(num_micro_batches);
        sum.begin(share.start);
        for micro_batch in share {
            batch.clear();
            fill(micro_batch as u64, batch)?;
            sum.leaf(|gradients| model.accumulate_tokens(batch, gradients)).map_err(failed)?;
        }
        collective.reduce(sum).map_err(failed)?;
        let (gradients, total) = sum.total();
        let loss = mean(total, step)?;
        if done == 0 {
            model::assert_gradients(gradients)?;
        }
        let stepped = optimizer.step(model.weights_mut(), gradients, total.counted, lr);
        Ok(Measured { loss, grad_norm: stepped.map_err(failed)? })
    }
}

/// Nats per counted token after `step` steps.
///
/// # Errors
/// When it is not finite.
pub fn mean(loss: LossSum, step: u64) -> Result<f64, PretrainError> {
    let found = loss.mean().unwrap_or(f64::NAN);
    if found.is_finite() { Ok(found) } else { Err(PretrainError::LossDiverged { step, found }) }
}
