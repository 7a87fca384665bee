//! The training loop of one classifier.

use std::path::Path;

use model::{
    Checkpoint, Collective, CpuModel, Dropout, Gradients, LossSum, Optimizer, Sequences,
    TokenBatch, TreeSum, cpu::Tensor,
};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::seed::{Permutation, Seed};
use pipelines::table::examples::ExampleTask;

use crate::error::FinetuneError;
use crate::notes::Notes;
use crate::rows::{Dataset, Rows, Tags, Targets};
use crate::score::{EntityValidation, EpochLine, LabelValidation, Validation};
use crate::train::Train;

/// Where the order of rows comes from.
const ORDER: &str = "finetune/order";
/// Where shuffled labels come from.
const LABELS: &str = "finetune/labels";

/// Where it comes from what is dropped.
const DROPOUT: &str = "finetune/dropout";

/// A classifier in training.
pub struct Trainer<'a> {
    phase: &'a Train,
    dataset: &'a Dataset,
    seed: u64,
    model: CpuModel,
    collective: Box<dyn Collective>,
    sum: TreeSum,
    optimizer: Optimizer,
    notes: Notes,
}

impl<'a> Trainer<'a> {
    /// Starts from `classifier`, which the processes of `collective` train.
    ///
    /// # Errors
    /// When weights or constants are refused, or more layers are to be frozen than there are.
    pub fn new(
        phase: &'a Train,
        dataset: &'a Dataset,
        seed: u64,
        classifier: Checkpoint,
        collective: Box<dyn Collective>,
    ) -> Result<Self, TaskError> {
        let mut model = CpuModel::with_profile(classifier, phase.numeric_profile)?;
        model.recompute(phase.recompute);
        let gradients = model.gradients_except(&phase.freeze())?;
        let optimizer = Optimizer::new(phase.constants.clone(), &gradients)?
            .with_profile(phase.numeric_profile)?
            .with_layer_lr_decay(phase.layer_lr_decay.unwrap_or(1.0))?;
        let (sum, notes) = (TreeSum::new(gradients), Notes::default());
        Ok(Self { phase, dataset, seed, model, collective, sum, optimizer, notes })
    }

    /// Trains for all epochs, from the latest state that `ctx` has; gives the classifier and the lines of `metrics.jsonl`, one
    /// an epoch. The state is stored after each epoch, and where the run is told to stop.
    ///
    /// # Errors
    /// When a loss or gradient is not finite, a state cannot be read or written, or the run is told to stop.
    pub fn run(mut self, ctx: &Context) -> Result<(Checkpoint, Vec<u8>), TaskError> {
        let epochs = self.phase.epochs.get();
        ctx.begin(self.total_steps(), Unit::Steps);
        if let Some((step, bytes)) = ctx.latest_state()? {
            self.load(&bytes, bytes.path(), step)?;
            ctx.advance(step);
            // So that the log of a run that goes on has the whole curve.
            self.notes.lines().for_each(|line| ctx.measured(&line));
        }
        let start = self.optimizer.steps();
        let targets = self.training_targets();
        for epoch in self.notes.epochs() + 1..=epochs {
            if self.epoch(epoch, &targets, ctx)?.is_none() {
                // The state at the start is stored already.
                if self.optimizer.steps() > start {
                    self.save(ctx)?;
                }
                ctx.check_cancelled()?;
            }
            if epoch < epochs {
                self.save(ctx)?;
            }
        }
        Ok((self.model.to_checkpoint(), self.notes.into_metrics()))
    }

    fn save(&self, ctx: &Context) -> Result<(), TaskError> {
        let notes = self.notes.to_bytes();
        Ok(ctx.save_state(self.optimizer.steps(), |out| {
            model::write_state(out, &notes, &self.model, &self.optimizer)
        })?)
    }

    /// Goes to the state in `bytes`, reached after `step` steps; `file` names it in errors.
    fn load(&mut self, bytes: &[u8], file: &Path, step: u64) -> Result<(), TaskError> {
        let notes = model::read_state(bytes, file, &mut self.model, &mut self.optimizer)?;
        let found = self.optimizer.steps();
        match Notes::read(notes) {
            Some(notes) if found == step => self.notes = notes,
            _ => {
                let name = file.display().to_string();
                return Err(FinetuneError::WrongState { name, found, expected: step }.into());
            }
        }
        Ok(())
    }

    fn steps_per_epoch(&self) -> u64 {
        let sequences = self.dataset.train.sequences.len() as u64;
        sequences.div_ceil(self.phase.batch_size.get() as u64)
    }

    fn total_steps(&self) -> u64 {
        self.steps_per_epoch() * u64::from(self.phase.epochs.get())
    }

    /// What is learnt of the training rows, dealt anew where that is asked for: labels among rows, tags among the tokens
    /// that carry one.
    fn training_targets(&self) -> Targets {
        let mut targets = self.dataset.train.targets.clone();
        if self.phase.shuffle_labels {
            match &mut targets {
                Targets::Labels(labels) => self.deal(labels.iter_mut().collect()),
                Targets::Tags(tags) => {
                    self.deal(tags.tokens.iter_mut().flatten().flatten().collect())
                }
            }
        }
        targets
    }

    fn deal(&self, mut labels: Vec<&mut u32>) {
        let order = order(Seed::new(self.seed, LABELS), 0, labels.len());
        let dealt: Vec<u32> = order.map(|row| *labels[row]).collect();
        labels.iter_mut().zip(dealt).for_each(|(label, dealt)| **label = dealt);
    }

    /// Takes the steps of an epoch that are left and validates; `None` if the run is told to stop meanwhile.
    fn epoch(
        &mut self,
        epoch: u32,
        targets: &Targets,
        ctx: &Context,
    ) -> Result<Option<()>, TaskError> {
        let train = &self.dataset.train.sequences;
        let order: Vec<usize> =
            order(Seed::new(self.seed, ORDER), u64::from(epoch), train.len()).collect();
        let before = u64::from(epoch - 1) * self.steps_per_epoch();
        let batches = (before..).zip(order.chunks(self.phase.batch_size.get()));
        let done = self.optimizer.steps();
        for (_, batch) in batches.skip_while(|(step, _)| *step < done) {
            if ctx.is_cancelled() {
                return Ok(None);
            }
            let loss = self.step(batch, targets)?;
            self.notes.add(loss);
            ctx.advance(1);
        }
        let Some(validation) = self.validate(ctx)? else { return Ok(None) };
        let (step, train_loss) = (self.optimizer.steps(), self.notes.loss().mean().unwrap_or(0.0));
        let line = EpochLine { epoch, step, train_loss, validation };
        ctx.note(&note(self.phase.task, self.seed, &line));
        self.notes.end_epoch(&line);
        ctx.measured(&line);
        Ok(Some(()))
    }

    /// Takes a step over some of the training sequences.
    fn step(&mut self, batch: &[usize], targets: &Targets) -> Result<LossSum, TaskError> {
        let (done, step) = (self.optimizer.steps(), self.optimizer.steps() + 1);
        self.model.drop_out(Some(Dropout { seed: Seed::new(self.seed, DROPOUT), step: done }));
        let failed = |source| FinetuneError::Step { step, source: Box::new(source) };
        self.accumulate(batch, targets).map_err(failed)?;
        self.collective.reduce(&mut self.sum).map_err(failed)?;
        let (gradients, loss) = self.sum.total();
        let found = loss.mean().unwrap_or(f64::NAN);
        if !found.is_finite() {
            return Err(FinetuneError::LossDiverged { step, found }.into());
        }
        if done == 0 {
            model::assert_gradients(gradients)?;
        }
        let lr = lr(self.phase.peak_lr, self.phase.warmup_ratio, self.total_steps(), done);
        self.optimizer
            .step(self.model.weights_mut(), gradients, loss.counted, lr)
            .map_err(failed)?;
        Ok(loss)
    }

    /// Sums the gradients of this process's micro-batches of some of the training sequences.
    fn accumulate(&mut self, batch: &[usize], targets: &Targets) -> model::Result<()> {
        let Self { phase, dataset, model, collective, sum, .. } = self;
        let train = &dataset.train.sequences;
        let micro_batches = batch.chunks(phase.micro_batch_size());
        let share = collective.share(micro_batches.len());
        sum.begin(share.start);
        for rows in micro_batches.skip(share.start).take(share.len()) {
            sum.leaf(|gradients| accumulate(model, (train, targets), rows, gradients))?;
        }
        Ok(())
    }

    /// How the validation rows are judged, if there are any; `None` if the run is told to stop meanwhile.
    fn validate(&mut self, ctx: &Context) -> Result<Option<Option<Validation>>, TaskError> {
        let Rows { sequences, targets } = &self.dataset.validation;
        if self.dataset.validation.num_rows() == 0 {
            return Ok(Some(None));
        }
        let mut logits = Vec::with_capacity(sequences.len());
        for batch in sequences.chunks(self.phase.micro_batch_size()) {
            if ctx.is_cancelled() {
                return Ok(None);
            }
            let batch: Sequences = batch.iter().collect();
            match targets {
                Targets::Labels(_) => logits.extend(self.model.class_logits(&batch)?),
                Targets::Tags(_) => logits.extend(self.tag_logits(&batch)?),
            }
        }
        let labels = &self.dataset.labels;
        Ok(Some(Some(match targets {
            Targets::Labels(truth) => {
                let num_labels = u32::try_from(labels.len()).expect("labels have u32 places");
                Validation::Labels(LabelValidation::of(&logits, truth, num_labels)?)
            }
            Targets::Tags(tags) => {
                Validation::Entities(EntityValidation::of(&logits, tags, labels)?)
            }
        })))
    }

    /// Logits of every tag for each token of each sequence, `[sequences][tokens, tags]`.
    fn tag_logits(&mut self, batch: &Sequences) -> model::Result<Vec<Vec<f32>>> {
        let (logits, num_tags) = (self.model.logits(batch)?, self.dataset.labels.len());
        let bounds = batch.offsets().windows(2);
        Ok(bounds.map(|at| logits[at[0] * num_tags..at[1] * num_tags].to_vec()).collect())
    }
}

/// Adds up the gradients of the sum of the losses of some of the training sequences.
fn accumulate(
    model: &mut CpuModel,
    (train, targets): (&[Vec<u32>], &Targets),
    rows: &[usize],
    gradients: &mut Gradients<Tensor>,
) -> model::Result<LossSum> {
    let numbers: Vec<u64> = rows.iter().map(|row| *row as u64).collect();
    match targets {
        Targets::Labels(labels) => {
            let mut sequences: Sequences = rows.iter().map(|row| &train[*row]).collect();
            sequences.number(&numbers)?;
            let labels: Vec<u32> = rows.iter().map(|row| labels[*row]).collect();
            model.accumulate_classes(&sequences, &labels, gradients)
        }
        Targets::Tags(Tags { tokens, .. }) => {
            let mut tagged = TokenBatch::new();
            rows.iter().try_for_each(|row| tagged.push(&train[*row], &tokens[*row]))?;
            tagged.number(&numbers)?;
            model.accumulate_tokens(&tagged, gradients)
        }
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

fn note(task: ExampleTask, seed: u64, line: &EpochLine) -> String {
    let each = match task {
        ExampleTask::SequenceClassification => "row",
        ExampleTask::TokenClassification => "tag",
    };
    let head =
        format!("seed {seed}, epoch {}: loss {:.4} nats/{each}", line.epoch, line.train_loss);
    match &line.validation {
        None => head,
        Some(Validation::Labels(found)) => {
            format!("{head}, validation accuracy {:.3}", found.validation_accuracy)
        }
        Some(Validation::Entities(found)) => {
            format!("{head}, validation F1 {:.3}", found.validation_f1)
        }
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
