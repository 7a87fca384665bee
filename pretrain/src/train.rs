//! The phase `train`: from fresh weights to where the decay begins.

use std::num::NonZeroU64;

use model::Local;
use pipelines::context::Context;
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Phase, Task, Training, View};
use serde::Serialize;

use crate::data;
use crate::recipe::Recipe;
use crate::schedule;
use crate::trainer::{Stretch, Trainer};

/// Name of the phase, and of its task.
pub const NAME: &str = "train";
/// The output: the state where the decay begins.
pub const STATE: &str = "state";

/// Training before the decay. The run's whole length is no part of it.
#[derive(Clone, Debug, Serialize)]
pub struct Train {
    /// What does not depend on lengths.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Optimizer steps of linear warm-up.
    pub warmup_steps: u64,
    /// Optimizer steps of this phase.
    pub steps: u64,
    /// Optimizer steps from one stored state to the next. Like the number of threads it changes no byte, and so is not
    /// in the key.
    #[serde(skip)]
    pub save_every: NonZeroU64,
}

impl Phase for Train {
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
        let mut without_length = self.config();
        if let Some(fields) = without_length.as_object_mut() {
            fields.remove("steps");
        }
        let training = Training {
            config: without_length,
            from: 0,
            to: Some(self.steps),
            state_output: Some(STATE.to_owned()),
        };
        Ok(vec![Task { training: Some(training), ..Task::new(NAME, data::inputs(view)?) }])
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut trainer = Trainer::new(&self.recipe, inputs, ctx.memory(), Box::new(Local))?;
        let lr = |step| schedule::warm_up(self.recipe.peak_lr, self.warmup_steps, step);
        trainer.run(
            &Stretch { to: self.steps, is_end: false, lr, save_every: self.save_every },
            ctx,
        )?;
        let mut state = out.create(STATE)?;
        trainer.write_state(&mut state)?;
        out.finish(state, Size::Bytes)?;
        Ok(())
    }
}
