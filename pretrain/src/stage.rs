//! Pre-training as a stage: its inputs, phases and artifacts.

use model::checkpoint::GENERATION_CONFIG_FILE;
use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::stage::{ArtifactFile, Assembly, InputField, Phase, Stage, View, Wanted};

use crate::config::Config;
use crate::data;
use crate::decay::{self, FILES, Finish};
use crate::train::Train;

/// Name of the stage in manifests.
pub const NAME: &str = "pretrain";

impl Stage for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn validate(&self) -> Result<(), String> {
        Config::validate(self)
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self.resolved())
            .expect("the config has string keys and finite numbers only")
    }

    fn inputs(&self) -> Vec<InputField> {
        let wanted =
            Wanted::Artifacts { kind: Kind::TokenShards, references: vec![self.shards.clone()] };
        vec![InputField { field: data::SHARDS, wanted }]
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![Kind::Checkpoint]
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        let (recipe, schedule) = (self.recipe(seed), &self.schedule);
        let train = Train {
            recipe: recipe.clone(),
            warmup_steps: schedule.warmup_steps,
            steps: schedule.decay_start(),
            save_every: self.save_every,
        };
        let finish = Finish {
            recipe,
            decay: schedule.decay,
            from: schedule.decay_start(),
            to: schedule.total_steps,
            save_every: self.save_every,
        };
        vec![Box::new(train), Box::new(finish)]
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let is_made = |output| output != GENERATION_CONFIG_FILE || self.objective.is_causal();
        let made = FILES.iter().filter(|(output, _)| is_made(*output));
        let mut files: Vec<_> = made
            .map(|(output, path)| ArtifactFile {
                path: (*path).to_owned(),
                part: String::new(),
                source: view.output(decay::NAME, decay::NAME, output),
            })
            .collect();
        let is_ours = |path: &str| FILES.iter().any(|(_, ours)| *ours == path);
        files.extend(
            data::vocabulary(data::artifact(view)?).filter(|file| !is_ours(&file.path)).cloned(),
        );
        let details = Some((decay::NAME.to_owned(), decay::NAME.to_owned()));
        Ok(vec![Assembly { kind: Kind::Checkpoint, files, details }])
    }

    fn numeric_profile(&self) -> Option<String> {
        Some(self.profile().to_string())
    }
}
