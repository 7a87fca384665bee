//! The training loop.

use std::num::NonZeroU64;
use std::path::Path;

use codec::Codec;
use model::{
    Checkpoint, Collective, CpuModel, Dropout, Footprint, Freeze, LossSum, Optimizer, TokenBatch,
    TreeSum,
};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::OutputFile;
use pipelines::seed::Seed;
use pipelines::stream::TokenStream;

use crate::data::{self, Validation};
use crate::error::PretrainError;
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
    model: CpuModel,
    optimizer: Optimizer,
    collective: Box<dyn Collective>,
    sum: TreeSum,
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
        let mut model = CpuModel::with_profile(fresh, recipe.numeric_profile)?;
        model.recompute(recipe.recompute);
        let reading = Reading { recipe, codec };
        let gradients = model.gradients();
        let optimizer = Optimizer::new(recipe.optimizer.clone(), &gradients)?
            .with_profile(recipe.numeric_profile)?;
        let (sum, batch) = (TreeSum::new(gradients), TokenBatch::new());
        let order = Seed::new(recipe.seed, "pretrain/order");
        Ok(Self {
            recipe,
            reading,
            order,
            stream,
            validation,
            model,
            optimizer,
            collective,
            sum,
            batch,
            metrics: Vec::new(),
        })
    }

    /// Goes to the state in `bytes`, reached after `step` steps; `file` names it in errors.
    ///
    /// # Errors
    /// When it is no state of such a model, or of another step.
    pub fn load(&mut self, bytes: &[u8], file: &Path, step: u64) -> Result<(), TaskError> {
        let notes = model::read_state(bytes, file, &mut self.model, &mut self.optimizer)?;
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
        self.optimizer.steps()
    }

    /// The lines of `metrics.jsonl` so far.
    pub fn metrics(&self) -> &[u8] {
        &self.metrics
    }

    /// The model as it is now.
    pub fn checkpoint(&self) -> Checkpoint {
        self.model.to_checkpoint()
    }

    /// Writes the state.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_state(&self, out: &mut OutputFile) -> std::io::Result<()> {
        model::write_state(out, &self.metrics, &self.model, &self.optimizer)
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
        let (done, step) = (self.steps(), self.steps() + 1);
        let failed = |source| PretrainError::Step { step, source: Box::new(source) };
        self.accumulate(done)?;
        self.collective.reduce(&mut self.sum).map_err(failed)?;
        let (gradients, loss) = self.sum.total();
        let train_loss = loss.mean().unwrap_or(f64::NAN);
        if !train_loss.is_finite() {
            return Err(PretrainError::LossDiverged { step, found: train_loss }.into());
        }
        if done == 0 {
            model::assert_gradients(gradients)?;
        }
        let stepped = self.optimizer.step(self.model.weights_mut(), gradients, loss.counted, lr);
        let grad_norm = stepped.map_err(failed)?;
        if step.is_multiple_of(self.recipe.log_every.get()) {
            let tokens = step * self.recipe.tokens_per_step();
            let line = StepLine { step, train_loss, lr, grad_norm, tokens };
            metrics::push(&mut self.metrics, &line);
            ctx.measured(&line);
            ctx.note(&format!("step {step}: loss {train_loss:.4} nats/token, lr {lr:.2e}, grad norm {grad_norm:.3}"));
        }
        Ok(())
    }

    /// Sums the gradients of this process's micro-batches of the step behind those that are `done`.
    fn accumulate(&mut self, done: u64) -> Result<(), TaskError> {
        let Self { recipe, reading, order, stream, model, collective, sum, batch, .. } = self;
        let failed = |source| PretrainError::Step { step: done + 1, source: Box::new(source) };
        let micro_batch_size = u64::from(recipe.micro_batch_size.get());
        model.drop_out(Some(Dropout { seed: Seed::new(recipe.seed, DROPOUT), step: done }));
        let share = collective.share(recipe.micro_batches_per_step.get() as usize);
        sum.begin(share.start);
        for micro_batch in share {
            batch.clear();
            let first = done * recipe.sequences_per_step() + micro_batch as u64 * micro_batch_size;
            for sample in first..first + micro_batch_size {
                let window = stream.sample(*order, sample);
                reading.push(batch, MASK, sample, &window)?;
            }
            let numbers: Vec<u64> = (first..first + micro_batch_size).collect();
            batch.number(&numbers).map_err(failed)?;
            sum.leaf(|gradients| model.accumulate_tokens(batch, gradients)).map_err(failed)?;
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
            loss += self.model.token_loss(&self.batch).map_err(failed)?;
        }
        let mean = loss.mean().unwrap_or(f64::NAN);
        if !mean.is_finite() {
            return Err(PretrainError::LossDiverged { step, found: mean }.into());
        }
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
