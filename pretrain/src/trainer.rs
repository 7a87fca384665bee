//! The training loop.

use std::num::NonZeroU64;
use std::path::Path;

use codec::Codec;
use model::{Checkpoint, Collective, Dropout, Footprint, Freeze, LossSum, TokenBatch};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::OutputFile;
use pipelines::seed::Seed;
use pipelines::stream::TokenStream;

use crate::data::{self, Validation};
use crate::error::PretrainError;
use crate::learner::{self, Learner, Measured};
use crate::mask::Masker;
use crate::metrics::{self, EvaluationLine, StepLine};
use crate::recipe::Recipe;

/// Where the masks of training come from, and those of validation, which are always the same.
const MASK: &str = "pretrain/mask";
const VALIDATION_MASK: &str = "pretrain/validation-mask";
/// Where it comes from what is dropped.
const DROPOUT: &str = "pretrain/dropout";

/// A model in training.
///
/// What it holds after `n` steps is a function of recipe, data, `n` and the learning rates so far.
pub struct Trainer<'a> {
    recipe: &'a Recipe,
    reading: Reading<'a>,
    order: Seed,
    stream: TokenStream,
    validation: Option<Validation>,
    learner: Learner,
    batch: TokenBatch,
    metrics: Vec<u8>,
}

/// A stretch of a run.
pub struct Stretch<F> {
    /// Steps done when it ends.
    pub to: u64,
    /// Whether the model is finished then, and so evaluated.
    pub is_end: bool,
    /// Learning rate of a step, counted from zero.
    pub lr: F,
    /// Steps from one stored state to the next.
    pub save_every: NonZeroU64,
}

impl<'a> Trainer<'a> {
    /// A fresh model over the shards that the task reads, in `memory` bytes, trained by the processes of `collective`.
    ///
    /// # Errors
    /// When the shards cannot be read or do not fit the recipe, the model does not fit into memory, or this machine lacks the
    /// numeric profile.
    pub fn new(
        recipe: &'a Recipe,
        inputs: &TaskInputs,
        memory: Option<u64>,
        collective: Box<dyn Collective>,
    ) -> Result<Self, TaskError> {
        recipe.numeric_profile.require()?;
        let codec: Codec = data::codec(inputs)?;
        let stream = data::training(inputs, recipe.text_len(), codec.vocab_size())?;
        let validation = data::validation(inputs, recipe.text_len(), codec.vocab_size())?;
        let config = recipe.model_config(&codec);
        let sequences = u64::from(recipe.micro_batch_size.get());
        let footprint = Footprint {
            optimizer: &recipe.optimizer,
            freeze: &Freeze::default(),
            micro_batches: recipe.micro_batches_per_step.get().into(),
            tokens: sequences.saturating_mul(recipe.seq_len.get() as u64),
            recompute: recipe.recompute,
        };
        model::require_memory(&config, &footprint, memory)?;
        let fresh = Checkpoint::fresh(config, recipe.seed)?;
        let (optimizer, profile) = (recipe.optimizer.clone(), recipe.numeric_profile);
        let mut learner = Learner::new(fresh, optimizer, profile, collective)?;
        learner.model.recompute(recipe.recompute);
        let (reading, batch) = (Reading { recipe, codec }, TokenBatch::new());
        let order = Seed::new(recipe.seed, "pretrain/order");
        Ok(Self { recipe, reading, order, stream, validation, learner, batch, metrics: Vec::new() })
    }

    /// Goes to the state in `bytes`, reached after `step` steps; `file` names it in errors.
    ///
    /// # Errors
    /// When it is no state of such a model, or of another step.
    pub fn load(&mut self, bytes: &[u8], file: &Path, step: u64) -> Result<(), TaskError> {
        let notes =
            model::read_state(bytes, file, &mut self.learner.model, &mut self.learner.optimizer)?;
        self.metrics = notes.to_vec();
        let found = self.steps();
        if found != step {
            let name = file.display().to_string();
            return Err(PretrainError::WrongStep { name, found, expected: step }.into());
        }
        Ok(())
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.learner.steps()
    }

    /// The lines of `metrics.jsonl` so far.
    pub fn metrics(&self) -> &[u8] {
        &self.metrics
    }

    /// The model as it is now.
    pub fn checkpoint(&self) -> Checkpoint {
        self.learner.model.to_checkpoint()
    }

    /// Writes the state.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_state(&self, out: &mut OutputFile) -> std::io::Result<()> {
        model::write_state(out, &self.metrics, &self.learner.model, &self.learner.optimizer)
    }

    /// Trains to the end of `stretch`, from the latest state that `ctx` has. A run that is told to stop stores its
    /// state first.
    ///
    /// # Errors
    /// When a loss or gradient is not finite, a state cannot be read or written, or the run is told to stop.
    pub fn run(
        &mut self,
        stretch: &Stretch<impl Fn(u64) -> f64>,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut start = self.steps();
        ctx.begin(stretch.to - start, Unit::Steps);
        if let Some((step, bytes)) = ctx.latest_state()? {
            ctx.advance(step - start);
            self.load(&bytes, bytes.path(), step)?;
            start = step;
        }
        // So that the log of a run that goes on has the whole curve.
        metrics::lines(&self.metrics).for_each(|line| ctx.measured(&line));
        loop {
            if ctx.is_cancelled() || self.evaluate_if_due(stretch, ctx)?.is_none() {
                // The state at the start is stored already.
                if self.steps() > start {
                    ctx.save_state(self.steps(), |out| self.write_state(out))?;
                }
                ctx.check_cancelled()?;
            }
            if self.steps() >= stretch.to {
                return Ok(());
            }
            self.step((stretch.lr)(self.steps()), ctx)?;
            ctx.advance(1);
            if self.steps().is_multiple_of(stretch.save_every.get()) && self.steps() < stretch.to {
                ctx.save_state(self.steps(), |out| self.write_state(out))?;
            }
        }
    }

    fn step(&mut self, lr: f64, ctx: &Context) -> Result<(), TaskError> {
        let Self { recipe, reading, order, stream, learner, .. } = self;
        let step = learner.steps() + 1;
        let sequences = u64::from(recipe.micro_batch_size.get());
        let first_of_step = learner.steps() * recipe.sequences_per_step();
        let num_micro_batches = recipe.micro_batches_per_step.get() as usize;
        let seed = Seed::new(recipe.seed, DROPOUT);
        learner.model.drop_out(Some(Dropout { seed, step: learner.steps() }));
        let Measured { loss, grad_norm } =
            learner.step(num_micro_batches, lr, |micro_batch, batch| {
                let first = first_of_step + micro_batch * sequences;
                let samples: Vec<u64> = (first..first + sequences).collect();
                for &sample in &samples {
                    reading.push(batch, MASK, sample, &stream.sample(*order, sample))?;
                }
                Ok(batch.number(&samples)?)
            })?;
        if step.is_multiple_of(recipe.log_every.get()) {
            let tokens = step * recipe.tokens_per_step();
            let line = StepLine { step, train_loss: loss, lr, grad_norm, tokens };
            metrics::push(&mut self.metrics, &line);
            ctx.measured(&line);
            ctx.note(&format!(
                "step {step}: loss {loss:.4} nats/token, lr {lr:.2e}, grad norm {grad_norm:.3}"
            ));
        }
        Ok(())
    }

    /// Evaluates if it is time to; `None` if the run is told to stop meanwhile.
    fn evaluate_if_due(
        &mut self,
        stretch: &Stretch<impl Fn(u64) -> f64>,
        ctx: &Context,
    ) -> Result<Option<()>, TaskError> {
        let step = self.steps();
        let is_last = stretch.is_end && step == stretch.to;
        let due = is_last || step.is_multiple_of(self.recipe.eval_every.get());
        if !due || metrics::ends_with_evaluation(&self.metrics, step) {
            return Ok(Some(()));
        }
        let Some(validation) = &self.validation else { return Ok(Some(())) };
        let windows = validation.stream.windows();
        let sequences = windows.min(self.recipe.eval_sequences.get());
        let failed = |source| PretrainError::Step { step, source: Box::new(source) };
        let mut loss = LossSum::default();
        for sequence in 0..sequences {
            if ctx.is_cancelled() {
                return Ok(None);
            }
            self.batch.clear();
            let place = spread(sequence, sequences, windows);
            let window = validation.stream.window(place);
            self.reading.push(&mut self.batch, VALIDATION_MASK, place, &window)?;
            loss += self.learner.model.token_loss(&self.batch).map_err(failed)?;
        }
        let mean = learner::mean(loss, step)?;
        let tokens_per_byte = self.recipe.mask.is_none().then_some(validation.tokens_per_byte);
        let line = EvaluationLine::new(step, mean, loss.counted as u64, tokens_per_byte);
        let bits = line.validation_bits_per_byte;
        let bits = bits.map_or_else(String::new, |bits| format!(", {bits:.4} bits/byte"));
        ctx.note(&format!("step {step}: validation loss {mean:.4} nats/token{bits}"));
        metrics::push(&mut self.metrics, &line);
        ctx.measured(&line);
        Ok(Some(()))
    }
}

/// How windows become what the model reads.
struct Reading<'a> {
    recipe: &'a Recipe,
    codec: Codec,
}

impl Reading<'_> {
    /// Adds a window of text and the token behind it to a batch; `number` is that of the sequence among those of `site`.
    fn push(
        &self,
        batch: &mut TokenBatch,
        site: &str,
        number: u64,
        window: &[u32],
    ) -> Result<(), TaskError> {
        let Some(mask) = &self.recipe.mask else {
            batch.push_window(window);
            return Ok(());
        };
        let masker = Masker::new(mask, &self.codec, self.recipe.seed, site)?;
        let text = &window[..window.len() - 1];
        Ok(masker.push(batch, number, text)?)
    }
}

/// The window of sequence `at` of `sequences`, which are spread evenly over `windows`.
fn spread(at: u64, sequences: u64, windows: u64) -> u64 {
    let wide = u128::from(at) * u128::from(windows) / u128::from(sequences);
    u64::try_from(wide).expect("a place below the number of windows is a u64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_is_spread_over_the_whole_split() {
        let places = |sequences, windows| {
            (0..sequences).map(|at| spread(at, sequences, windows)).collect::<Vec<_>>()
        };
        assert_eq!(places(3, 3), [0, 1, 2]);
        assert_eq!(places(3, 10), [0, 3, 6]);
        assert_eq!(places(1, u64::MAX), [0]);
    }
}
