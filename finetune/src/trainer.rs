//! The training loop of one classifier.

use model::{
    AdamW, AdamWConfig, Checkpoint, CpuLlama, LossSum, Parameters, Sequences, cpu::Tensor,
};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::seed::{Permutation, Seed};

use crate::error::FinetuneError;
use crate::rows::{Dataset, Rows};
use crate::score::{EpochLine, Validation};
use crate::train::Train;

/// Where the order of rows comes from.
const ORDER: &str = "finetune/order";
/// Where shuffled labels come from.
const LABELS: &str = "finetune/labels";

/// A classifier in training.
pub struct Trainer<'a> {
    phase: &'a Train,
    dataset: &'a Dataset,
    seed: u64,
    model: CpuLlama,
    gradients: Parameters<Tensor>,
    optimizer: AdamW,
}

impl<'a> Trainer<'a> {
    /// Starts from `classifier`.
    ///
    /// # Errors
    /// When weights or constants are refused.
    pub fn new(
        phase: &'a Train,
        dataset: &'a Dataset,
        seed: u64,
        classifier: Checkpoint,
    ) -> Result<Self, TaskError> {
        let model = CpuLlama::from_checkpoint(classifier)?;
        let constants = AdamWConfig {
            beta2: 0.999,
            weight_decay: phase.weight_decay,
            max_grad_norm: Some(phase.max_grad_norm),
            ..AdamWConfig::default()
        };
        let optimizer = AdamW::new(constants, model.weights())?;
        Ok(Self { phase, dataset, seed, gradients: model.gradients(), model, optimizer })
    }

    /// Trains for all epochs; gives the classifier and one line an epoch.
    ///
    /// # Errors
    /// When a loss or gradient is not finite, or the run is told to stop.
    pub fn run(mut self, ctx: &Context) -> Result<(Checkpoint, Vec<EpochLine>), TaskError> {
        let epochs = self.phase.epochs.get();
        ctx.begin(self.total_steps(), Unit::Steps);
        let labels = self.training_labels();
        let mut lines = Vec::new();
        for epoch in 1..=epochs {
            let train_loss = self.epoch(epoch, &labels, ctx)?;
            let validation = self.validate(ctx)?;
            let line = EpochLine { epoch, step: self.optimizer.steps(), train_loss, validation };
            ctx.note(&note(self.seed, &line));
            lines.push(line);
        }
        Ok((self.model.to_checkpoint(), lines))
    }

    fn num_rows(&self) -> u64 {
        self.dataset.train.sequences.len() as u64
    }

    fn total_steps(&self) -> u64 {
        self.num_rows().div_ceil(self.phase.batch_size.get() as u64)
            * u64::from(self.phase.epochs.get())
    }

    /// The labels of the training rows, dealt anew where that is asked for.
    fn training_labels(&self) -> Vec<u32> {
        let labels = &self.dataset.train.labels;
        if !self.phase.shuffle_labels {
            return labels.clone();
        }
        order(Seed::new(self.seed, LABELS), 0, labels.len()).map(|row| labels[row]).collect()
    }

    fn epoch(&mut self, epoch: u32, labels: &[u32], ctx: &Context) -> Result<f64, TaskError> {
        let train = &self.dataset.train.sequences;
        let order: Vec<usize> =
            order(Seed::new(self.seed, ORDER), u64::from(epoch), train.len()).collect();
        let mut loss = LossSum::default();
        for batch in order.chunks(self.phase.batch_size.get()) {
            ctx.check_cancelled()?;
            let sequences: Sequences = batch.iter().map(|row| &train[*row]).collect();
            let labels: Vec<u32> = batch.iter().map(|row| labels[*row]).collect();
            loss += self.step(&sequences, &labels)?;
            ctx.advance(1);
        }
        Ok(loss.mean().unwrap_or(0.0))
    }

    fn step(&mut self, sequences: &Sequences, labels: &[u32]) -> Result<LossSum, TaskError> {
        let (done, step) = (self.optimizer.steps(), self.optimizer.steps() + 1);
        let failed = |source| FinetuneError::Step { step, source: Box::new(source) };
        self.gradients.clear();
        let loss = self
            .model
            .accumulate_classes(sequences, labels, &mut self.gradients)
            .map_err(failed)?;
        let found = loss.mean().unwrap_or(f64::NAN);
        if !found.is_finite() {
            return Err(FinetuneError::LossDiverged { step, found }.into());
        }
        if done == 0 {
            model::assert_gradients(&self.gradients)?;
        }
        let lr = lr(self.phase.peak_lr, self.phase.warmup_ratio, self.total_steps(), done);
        self.optimizer
            .step(self.model.weights_mut(), &self.gradients, loss.counted, lr)
            .map_err(failed)?;
        Ok(loss)
    }

    fn validate(&mut self, ctx: &Context) -> Result<Option<Validation>, TaskError> {
        let Rows { sequences, labels } = &self.dataset.validation;
        if labels.is_empty() {
            return Ok(None);
        }
        let mut logits = Vec::with_capacity(labels.len());
        for batch in sequences.chunks(self.phase.batch_size.get()) {
            ctx.check_cancelled()?;
            logits.extend(self.model.class_logits(&batch.iter().collect())?);
        }
        let num_labels = u32::try_from(self.dataset.labels.len()).expect("labels have u32 places");
        Ok(Some(Validation::of(&logits, labels, num_labels)?))
    }
}

/// Rows in the order of an epoch.
fn order(seed: Seed, epoch: u64, len: usize) -> impl Iterator<Item = usize> {
    let permutation = Permutation::new(seed, epoch, len as u64);
    (0..len as u64)
        .map(move |at| usize::try_from(permutation.at(at)).expect("a place below a usize is one"))
}

/// Learning rate of step `step`, counted from zero: linear warm-up, then a line to zero after the last of `total` steps.
fn lr(peak_lr: f64, warmup_ratio: f64, total: u64, step: u64) -> f64 {
    let warmup = (total as f64 * warmup_ratio).ceil();
    let (done, total) = ((step + 1) as f64, total as f64);
    if done <= warmup {
        peak_lr * (done / warmup)
    } else {
        peak_lr * ((total - step as f64) / (total - warmup))
    }
}

fn note(seed: u64, line: &EpochLine) -> String {
    let head = format!("seed {seed}, epoch {}: loss {:.4} nats/row", line.epoch, line.train_loss);
    match &line.validation {
        None => head,
        Some(found) => format!("{head}, validation accuracy {:.3}", found.validation_accuracy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let rates =
            |ratio, total| (0..total).map(|step| lr(2.0, ratio, total, step)).collect::<Vec<_>>();
        assert_eq!(rates(0.5, 4), [1.0, 2.0, 2.0, 1.0]);
        assert_eq!(rates(0.0, 2), [2.0, 1.0]);
        assert_eq!(rates(1.0, 2), [1.0, 2.0]);
    }
}
