//! Evaluation as a stage: its inputs, phases and artifact.

use pipelines::{
    error::TaskError,
    kind::Kind,
    stage::{ArtifactFile, Assembly, InputField, Phase, Stage, View, Wanted},
    table::examples::ExampleTask,
};

use crate::{
    baseline::FitBaseline,
    classify::{Classify, MODELS, PREDICTIONS},
    compare::{self, Compare, RESULTS},
    config::Config,
    held_out::EXAMPLES,
    likelihood::{LANGUAGE_MODELS, LIKELIHOODS, SHARDS, Score},
    tag::{TAG_PREDICTIONS, Tag},
};

/// Name of the stage in manifests.
pub const NAME: &str = "evaluate";

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
        let field = |field, kind, references: Vec<String>| InputField {
            field,
            wanted: Wanted::Artifacts { kind, references },
        };
        [
            field(MODELS, Kind::Checkpoint, self.models.clone()),
            field(EXAMPLES, Kind::Examples, self.examples.iter().cloned().collect()),
            field(LANGUAGE_MODELS, Kind::Checkpoint, self.language_models.clone()),
            field(SHARDS, Kind::TokenShards, self.shards.iter().cloned().collect()),
        ]
        .into_iter()
        .filter(|field| matches!(&field.wanted, Wanted::Artifacts { references, .. } if !references.is_empty()))
        .collect()
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![Kind::Results]
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        let numeric_profile = self.profile();
        let mut phases: Vec<Box<dyn Phase>> = Vec::new();
        let Self { too_long, entity_mode, decoding, .. } = self.resolved();
        let (split, max_length) = (self.split, self.max_length);
        let too_long = too_long.unwrap_or_default();
        if !self.models.is_empty() {
            phases.push(match decoding {
                None => Box::new(Classify { split, max_length, too_long, numeric_profile }),
                Some(decoding) => {
                    Box::new(Tag { split, max_length, too_long, decoding, numeric_profile })
                }
            });
        }
        for &baseline in &self.baselines {
            phases.push(Box::new(FitBaseline { baseline, split: self.split }));
        }
        if !self.language_models.is_empty() {
            phases.push(Box::new(Score { numeric_profile }));
        }
        let (pairs, bootstrap) = (self.pairs(), self.bootstrap);
        let seed = self.seed.unwrap_or(seed);
        phases.push(Box::new(Compare { split, pairs, bootstrap, seed, entity_mode, decoding }));
        phases
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let file = |path: &str, output: &str| ArtifactFile {
            path: path.to_owned(),
            part: String::new(),
            source: view.output(compare::NAME, compare::NAME, output),
        };
        let mut files = vec![file("results.json", RESULTS)];
        if self.task == ExampleTask::TokenClassification {
            files.push(file("tag_predictions.parquet", TAG_PREDICTIONS));
        } else if !self.classifiers().is_empty() {
            files.push(file("predictions.parquet", PREDICTIONS));
        }
        if !self.language_models.is_empty() {
            files.push(file("likelihoods.parquet", LIKELIHOODS));
        }
        Ok(vec![Assembly { kind: Kind::Results, files, details: None }])
    }

    fn numeric_profile(&self) -> Option<String> {
        let has_tensors = !self.models.is_empty() || !self.language_models.is_empty();
        has_tensors.then(|| self.profile().to_string())
    }
}
