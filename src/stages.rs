//! The list of stages.

use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::stage::{Assembly, InputField, Phase, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

// The enum is externally tagged on purpose: a typing error in a manifest is then reported with its line, column and the
// names that would have been right. Editors show what stands in doc comments here.
/// Every stage a manifest can name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Raw text and labelled rows in; clean documents, decisions and examples out.
    CorpusPrep(Box<corpus_prep::Config>),
    /// Documents in; a vocabulary, or token shards out.
    Tokenize(Box<tokenize::Config>),
    /// Token shards in; a language model out.
    Pretrain(Box<pretrain::Config>),
    /// A model and examples in; a task model out, one a seed.
    Finetune(Box<finetune::Config>),
    /// Models and held-out data in; results with intervals out.
    Evaluate(Box<evaluate::Config>),
}

impl Stage {
    fn inner(&self) -> &dyn pipelines::stage::Stage {
        match self {
            Stage::CorpusPrep(config) => &**config,
            Stage::Tokenize(config) => &**config,
            Stage::Pretrain(config) => &**config,
            Stage::Finetune(config) => &**config,
            Stage::Evaluate(config) => &**config,
        }
    }
}

impl pipelines::stage::Stage for Stage {
    fn name(&self) -> &'static str {
        self.inner().name()
    }

    fn validate(&self) -> Result<(), String> {
        self.inner().validate()
    }

    fn config(&self) -> Value {
        self.inner().config()
    }

    fn inputs(&self) -> Vec<InputField> {
        self.inner().inputs()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.inner().kinds()
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        self.inner().phases(seed)
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        self.inner().artifacts(view)
    }

    fn numeric_profile(&self) -> Option<String> {
        self.inner().numeric_profile()
    }
}
