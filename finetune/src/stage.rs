//! Fine-tuning as a stage: its inputs, phases and artifacts.

use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::stage::{ArtifactFile, Assembly, InputField, Phase, Stage, View, Wanted};

use crate::config::Config;
use crate::data::{self, EXAMPLES, MODEL, VOCABULARY_FILES};
use crate::train::{self, FILES, Train};

/// Name of the stage in manifests.
pub const NAME: &str = "finetune";

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
        let artifact = |field, kind, reference: &String| InputField {
            field,
            wanted: Wanted::Artifacts { kind, references: vec![reference.clone()] },
        };
        vec![
            artifact(EXAMPLES, Kind::Examples, &self.examples),
            artifact(MODEL, Kind::Checkpoint, &self.model),
        ]
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![Kind::Checkpoint]
    }

    fn phases(&self, _: u64) -> Vec<Box<dyn Phase>> {
        let Self { labelled_tokens, too_long, weight_decay, max_grad_norm, .. } = self.resolved();
        vec![Box::new(Train {
            init: self.init,
            task: self.task,
            labelled_tokens,
            max_length: self.max_length,
            too_long: too_long.unwrap_or_default(),
            epochs: self.epochs,
            batch_size: self.batch_size,
            micro_batch_size: self.micro_batch_size,
            peak_lr: self.peak_lr,
            warmup_ratio: self.warmup_ratio,
            weight_decay,
            max_grad_norm,
            optimizer: self.optimizer.clone(),
            layer_lr_decay: self.layer_lr_decay,
            dropout: self.dropout,
            freeze: self.freeze.clone(),
            constants: self.constants(),
            shuffle_labels: self.shuffle_labels,
            numeric_profile: self.profile(),
            seeds: self.seeds.clone(),
            recompute: self.recompute,
        })]
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let model = data::artifact(view, MODEL)?;
        let mut files = Vec::new();
        for seed in view.tasks(train::NAME) {
            let file = |name: &str, source| ArtifactFile {
                path: format!("{seed}/{name}"),
                part: seed.clone(),
                source,
            };
            files.extend(FILES.map(|name| file(name, view.output(train::NAME, seed, name))));
            let vocabulary = VOCABULARY_FILES.iter().filter_map(|name| model.file(name));
            files.extend(vocabulary.map(|found| file(&found.path, found.source.clone())));
        }
        let details =
            view.tasks(train::NAME).first().map(|first| (train::NAME.to_owned(), first.clone()));
        Ok(vec![Assembly { kind: Kind::Checkpoint, files, details }])
    }

    fn numeric_profile(&self) -> Option<String> {
        Some(self.profile().to_string())
    }
}
