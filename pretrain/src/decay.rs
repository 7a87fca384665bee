//! The phase `decay`: from where the decay begins to the finished checkpoint.

use std::num::NonZeroU64;

use model::checkpoint::{GENERATION_CONFIG_FILE, WEIGHTS_FILE};
use model::{CONFIG_FILE, Local};
use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Input, Phase, Task, Training, View};
use serde::Serialize;
use serde_json::json;

use crate::data;
use crate::recipe::Recipe;
use crate::schedule::Decay;
use crate::train::{self, STATE};
use crate::trainer::{Stretch, Trainer};

/// Name of the phase, and of its task.
pub const NAME: &str = "decay";
/// The output with what was measured on the way.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Outputs, and where they stand in the checkpoint; only causal models have the second.
pub const FILES: [(&str, &str); 5] = [
    (CONFIG_FILE, CONFIG_FILE),
    (GENERATION_CONFIG_FILE, GENERATION_CONFIG_FILE),
    (METRICS_FILE, METRICS_FILE),
    (WEIGHTS_FILE, WEIGHTS_FILE),
    (STATE, "state/state"),
];

/// The last steps of a run, and its export. Without steps it only exports.
#[derive(Clone, Debug, Serialize)]
pub struct Finish {
    /// What does not depend on lengths.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// The curve.
    pub decay: Decay,
    /// Optimizer steps done when the phase starts.
    pub from: u64,
    /// Optimizer steps done when it ends.
    pub to: u64,
    /// Optimizer steps from one stored state to the next; not in the key, as in [`Train`](crate::train::Train).
    #[serde(skip)]
    pub save_every: NonZeroU64,
}

impl Phase for Finish {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the config has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let mut inputs = data::inputs(view)?;
        inputs.push(Input::new(STATE, view.output(train::NAME, train::NAME, STATE)));
        // Every step of a decay depends on its length, so its states serve this run alone.
        let training = (self.from < self.to).then(|| Training {
            config: self.config(),
            from: self.from,
            to: Some(self.to),
            state_output: None,
        });
        Ok(vec![Task { training, ..Task::new(NAME, inputs) }])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut trainer = Trainer::new(&self.recipe, inputs, ctx.memory(), Box::new(Local))?;
        let state = inputs.one(STATE)?.map()?;
        trainer.load(&state, state.path(), self.from)?;
        let lr = |step| self.decay.lr(self.recipe.peak_lr, self.from, self.to, step);
        trainer
            .run(&Stretch { to: self.to, is_end: true, lr, save_every: self.save_every }, ctx)?;
        self.write(&trainer, out)
    }
}

impl Finish {
    fn write(&self, trainer: &Trainer<'_>, out: &mut TaskOutput) -> Result<(), TaskError> {
        let checkpoint = trainer.checkpoint();
        out.write(CONFIG_FILE, checkpoint.config.to_json().as_bytes())?;
        if let Some(config) = checkpoint.generation_config() {
            out.write(GENERATION_CONFIG_FILE, config.as_bytes())?;
        }
        out.write(METRICS_FILE, trainer.metrics())?;
        let mut weights = out.create(WEIGHTS_FILE)?;
        checkpoint.write_weights(&mut weights)?;
        out.finish(weights, Size::Bytes)?;
        let mut state = out.create(STATE)?;
        trainer.write_state(&mut state)?;
        out.finish(state, Size::Bytes)?;
        out.details(json!({
            "architecture": checkpoint.config.architecture(),
            "parameters": checkpoint.weights.num_values(),
            "vocab_size": checkpoint.config.vocab_size(),
            "steps": self.to,
            "tokens": self.to * self.recipe.tokens_per_step(),
        }));
        Ok(())
    }
}
