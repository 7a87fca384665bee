//! Tokenizing as a stage: its inputs, phases and artifacts.

use codec::{TOKENIZER_CONFIG_JSON, TOKENIZER_JSON};
use pipelines::{
    error::TaskError,
    kind::Kind,
    stage::{ArtifactFile, ArtifactView, Assembly, Input, InputField, Phase, Stage, View, Wanted},
};

use crate::{
    Config, TokenizeError,
    config::Job,
    count::Count,
    encode::{self, Encode},
    merge::{self, Merge},
};

/// Name of the stage in manifests.
pub const NAME: &str = "tokenize";

/// The field, and the role, of documents.
pub(crate) const DOCUMENTS: &str = "documents";

/// The field of the vocabulary, and the part its files belong to.
const VOCABULARY: &str = "vocabulary";

/// Files of a shard, by what follows its name.
const SHARD_FILES: [&str; 3] = ["bin", "idx", "docs.parquet"];

impl Stage for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn validate(&self) -> Result<(), String> {
        self.job().map(|_| ())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self.resolved())
            .expect("the config has string keys and finite numbers only")
    }

    fn inputs(&self) -> Vec<InputField> {
        let artifact = |field, kind, reference: &str| InputField {
            field,
            wanted: Wanted::Artifacts { kind, references: vec![reference.to_owned()] },
        };
        match self.job() {
            Ok(Job::Train(train)) => {
                vec![artifact("train.documents", Kind::Documents, &train.documents)]
            }
            Ok(Job::Encode { documents, vocabulary }) => vec![
                artifact(DOCUMENTS, Kind::Documents, documents),
                artifact(VOCABULARY, Kind::Vocabulary, vocabulary),
            ],
            Err(_) => Vec::new(),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        match self.job() {
            Ok(Job::Train(_)) => vec![Kind::Vocabulary],
            Ok(Job::Encode { .. }) => vec![Kind::TokenShards],
            Err(_) => Vec::new(),
        }
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        match self.job() {
            Ok(Job::Train(train)) => {
                let (size, special_tokens) = (train.size, train.special_tokens.clone());
                vec![Box::new(Count {}), Box::new(Merge { size, special_tokens })]
            }
            Ok(Job::Encode { .. }) => {
                let seed = self.seed.unwrap_or(seed);
                vec![Box::new(Encode { validation: self.validation(), seed })]
            }
            Err(_) => Vec::new(),
        }
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        Ok(vec![match self.job()? {
            Job::Train(_) => assemble_vocabulary(view),
            Job::Encode { .. } => assemble_shards(view)?,
        }])
    }
}

/// The parts of the documents that `field` names, each as an input.
pub(crate) fn document_parts<'a>(
    view: &'a View,
    field: &str,
) -> impl Iterator<Item = (String, Input)> + use<'a> {
    view.artifacts(field)
        .iter()
        .flat_map(|artifact| artifact.files_ending(".parquet"))
        .map(|file| (file.part.clone(), Input::new(DOCUMENTS, file.source.clone())))
}

/// A file of the vocabulary that encodes.
pub(crate) fn vocabulary_file<'a>(
    view: &'a View,
    file: &'static str,
) -> Result<&'a ArtifactFile, TokenizeError> {
    let artifact = vocabulary(view)?;
    let missing = || TokenizeError::MissingFile { name: artifact.name.clone(), file };
    artifact.file(file).ok_or_else(missing)
}

fn vocabulary(view: &View) -> Result<&ArtifactView, TokenizeError> {
    let missing = TokenizeError::MissingInput { field: VOCABULARY };
    view.artifacts(VOCABULARY).first().ok_or(missing)
}

fn assemble_vocabulary(view: &View) -> Assembly {
    let file = |name: &str| ArtifactFile {
        path: name.to_owned(),
        part: String::new(),
        source: view.output(merge::NAME, merge::NAME, name),
    };
    Assembly {
        kind: Kind::Vocabulary,
        files: vec![file(TOKENIZER_JSON), file(TOKENIZER_CONFIG_JSON)],
        details: Some((merge::NAME.to_owned(), merge::NAME.to_owned())),
    }
}

/// The shards, numbered by part within their split, and the vocabulary that they need.
fn assemble_shards(view: &View) -> Result<Assembly, TaskError> {
    let parts = view.tasks(encode::NAME);
    let mut files = Vec::new();
    for split in encode::SPLITS {
        for (number, part) in parts.iter().enumerate() {
            files.extend(SHARD_FILES.map(|suffix| ArtifactFile {
                path: format!("{split}-{number:05}.{suffix}"),
                part: part.clone(),
                source: view.output(encode::NAME, part, &format!("{split}.{suffix}")),
            }));
        }
    }
    files.extend(vocabulary(view)?.files.iter().cloned());
    let details = parts.first().map(|part| (encode::NAME.to_owned(), part.clone()));
    Ok(Assembly { kind: Kind::TokenShards, files, details })
}
