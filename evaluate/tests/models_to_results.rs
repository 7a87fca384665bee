//! The stage as a whole, on tiny models: from checkpoints, examples and shards to results.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path};

use codec::{Codec, CodecError, PretokenCounts, Vocabulary};
use evaluate::{Results, results::Origin};
use model::{Checkpoint, Head, LlamaConfig};
use pipelines::{
    context::{Cancel, Context},
    digest::{Digest, text_id},
    engine::InProcess,
    error::{TaskError, chain},
    input::{Mapped, TaskInputs},
    kind::Kind,
    manifest::Manifest,
    output::TaskOutput,
    publish::OutDir,
    run::{Run, Unobserved},
    shard::{ShardWriter, TokenWidth},
    stage::{ArtifactFile, Assembly, InputField, Phase, Stage, Task, View},
    table::{
        TableWriter,
        documents::RowKey,
        examples::{Example, Split},
        likelihoods::Likelihood,
        predictions::Prediction,
        read_all,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The stages of these tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TestStage {
    Evaluate(Box<evaluate::Config>),
    Given(Given),
}

/// Stands for the stages before: an artifact that is simply there.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Given {
    /// Sequence classifiers by seed; whether they are of the labels `a` and `b`.
    Classifier {
        seeds: Vec<u64>,
        labels: Vec<String>,
    },
    LanguageModel {
        seed: u64,
    },
    /// Text, label, group and split.
    Examples(Vec<(String, String, Option<String>, Split)>),
    Shards(Vec<String>),
}

fn vocabulary() -> Vocabulary {
    let mut counts = PretokenCounts::default();
    counts.count("good fine good fine bad poor bad poor the the film film was was").unwrap();
    Vocabulary::train(&counts, 280, |_| Ok::<_, CodecError>(())).unwrap()
}

fn checkpoint(seed: u64) -> Checkpoint {
    let config = LlamaConfig {
        vocab_size: vocabulary().tokens().len(),
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 4,
        max_position_embeddings: 16,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.3,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    };
    Checkpoint::fresh(config, seed).unwrap()
}

impl Given {
    fn kind(&self) -> Kind {
        match self {
            Self::Classifier { .. } | Self::LanguageModel { .. } => Kind::Checkpoint,
            Self::Examples(_) => Kind::Examples,
            Self::Shards(_) => Kind::TokenShards,
        }
    }

    fn files(&self) -> Vec<String> {
        let model = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Classifier { seeds, .. } => seeds
                .iter()
                .flat_map(|seed| model.map(|name| format!("seed-{seed}/{name}")))
                .collect(),
            Self::LanguageModel { .. } => files(&model),
            Self::Examples(_) => files(&["rows.parquet", "labels.json"]),
            Self::Shards(_) => files(&[
                "validation-00000.bin",
                "validation-00000.idx",
                "validation-00000.docs.parquet",
                "tokenizer.json",
            ]),
        }
    }
}

impl Phase for Given {
    fn name(&self) -> &'static str {
        "give"
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> Value {
        json!(self)
    }

    fn tasks(&self, _: &View) -> Result<Vec<Task>, TaskError> {
        Ok(vec![Task::new("give", Vec::new())])
    }

    fn run(&self, _: &TaskInputs, out: &mut TaskOutput, _: &Context) -> Result<(), TaskError> {
        match self {
            Self::Classifier { seeds, labels } => {
                for &seed in seeds {
                    let model = checkpoint(seed).into_classifier(labels.clone(), seed)?;
                    write_model(&model, &format!("seed-{seed}/"), out)?;
                }
            }
            Self::LanguageModel { seed } => write_model(&checkpoint(*seed), "", out)?,
            Self::Examples(rows) => write_examples(rows, out)?,
            Self::Shards(texts) => write_shards(texts, out)?,
        }
        Ok(())
    }
}

fn write_model(model: &Checkpoint, dir: &str, out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut weights = Vec::new();
    model.write_weights(&mut weights)?;
    out.write(&format!("{dir}config.json"), model.config.to_json().as_bytes())?;
    out.write(&format!("{dir}model.safetensors"), &weights)?;
    for file in vocabulary().files() {
        out.write(&format!("{dir}{}", file.name), &file.bytes)?;
    }
    Ok(())
}

fn write_examples(
    rows: &[(String, String, Option<String>, Split)],
    out: &mut TaskOutput,
) -> Result<(), TaskError> {
    let mut table = TableWriter::create(out, "rows.parquet")?;
    for (record, (text, label, group, split)) in (0..).zip(rows) {
        table.push(Example {
            id: text_id(text),
            key: RowKey { unit: text_id("unit"), record },
            source_id: Some(format!("row-{record}")),
            split: *split,
            group: group.clone(),
            text: text.clone(),
            text_pair: None,
            labels: vec![label.clone()],
            tokens: Vec::new(),
            tags: Vec::new(),
        })?;
    }
    table.finish(out)?;
    Ok(out.write("labels.json", br#"{"task":"sequence-classification","labels":["a","b"]}"#)?)
}

fn write_shards(texts: &[String], out: &mut TaskOutput) -> Result<(), TaskError> {
    let codec = Codec::of(&vocabulary())?;
    let mut shard = ShardWriter::create(out, "validation-00000", TokenWidth::Narrow)?;
    for (record, text) in (0..).zip(texts) {
        let mut tokens = codec.encode(text)?;
        tokens.push(0);
        let key = RowKey { unit: text_id("unit"), record };
        shard.push(&text_id(text), &key, text.len() as u64, &tokens)?;
    }
    shard.finish(out)?;
    Ok(out.write("tokenizer.json", &vocabulary().files()[0].bytes)?)
}

impl Stage for TestStage {
    fn name(&self) -> &'static str {
        match self {
            Self::Evaluate(config) => config.name(),
            Self::Given(_) => "given",
        }
    }

    fn validate(&self) -> Result<(), String> {
        match self {
            Self::Evaluate(config) => config.validate(),
            Self::Given(_) => Ok(()),
        }
    }

    fn config(&self) -> Value {
        json!({})
    }

    fn inputs(&self) -> Vec<InputField> {
        match self {
            Self::Evaluate(config) => config.inputs(),
            Self::Given(_) => Vec::new(),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::Evaluate(config) => config.kinds(),
            Self::Given(given) => vec![given.kind()],
        }
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        match self {
            Self::Evaluate(config) => config.phases(seed),
            Self::Given(given) => vec![Box::new(given.clone())],
        }
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let given = match self {
            Self::Evaluate(config) => return config.artifacts(view),
            Self::Given(given) => given,
        };
        let file = |path: String| ArtifactFile {
            source: view.output("give", "give", &path),
            part: String::new(),
            path,
        };
        let files = given.files().into_iter().map(file).collect();
        Ok(vec![Assembly { kind: given.kind(), files, details: None }])
    }
}

fn examples() -> Vec<(String, String, Option<String>, Split)> {
    let row = |at: usize| {
        let (words, label) = [("good fine", "a"), ("bad poor", "b")][at % 2];
        let split = if at < 20 { Split::Train } else { Split::Test };
        (format!("{words} {}", at / 7), label.to_owned(), None, split)
    };
    (0..60).map(row).collect()
}

fn classifier(seeds: &[u64]) -> Given {
    Given::Classifier { seeds: seeds.to_vec(), labels: vec!["b".into(), "a".into()] }
}

fn steps() -> BTreeMap<&'static str, Given> {
    let texts =
        ["good film", "the film was bad the film was poor the film was fine and good", "fine"];
    BTreeMap::from([
        ("triage", classifier(&[1, 2])),
        ("scratch", classifier(&[3])),
        ("labels", Given::Examples(examples())),
        ("base", Given::LanguageModel { seed: 4 }),
        ("shards", Given::Shards(texts.map(str::to_owned).to_vec())),
    ])
}

const ALL: &str = r#"{"models":["triage","scratch"],"baselines":["tfidf"],"examples":"labels",
    "language_models":["base"],"shards":"shards","bootstrap":{"resamples":200}}"#;

struct Lab(tempfile::TempDir);

impl Lab {
    fn run(given: BTreeMap<&'static str, Given>, config: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let config = serde_json::from_str(config).unwrap();
        let mut steps: BTreeMap<String, TestStage> = given
            .into_iter()
            .map(|(name, given)| (name.to_owned(), TestStage::Given(given)))
            .collect();
        steps.insert("report".into(), TestStage::Evaluate(config));
        let manifest = Manifest { name: "test".into(), seed: 7, steps, pins: BTreeMap::new() };
        let out = OutDir::open(dir.path()).map_err(|error| chain(&error))?;
        let run = Run { manifest: &manifest, base: dir.path(), out: &out };
        run.run(&InProcess, None, &Cancel::default(), &mut Unobserved)
            .map_err(|error| chain(&error))?;
        Ok(Self(dir))
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.0.path().join("report/results").join(file)
    }

    fn results(&self) -> Results {
        Results::from_json(&fs::read(self.path("results.json")).unwrap()).unwrap()
    }
}

fn mapped(path: &Path) -> Mapped {
    Mapped::whole(path.to_owned()).unwrap()
}

#[test]
fn models_and_baselines_are_measured_on_the_same_rows() {
    let lab = Lab::run(steps(), ALL).unwrap();
    let found = lab.results().classification.unwrap();
    assert_eq!(
        (found.rows, found.units, found.labels.as_slice()),
        (40, 40, &["a".into(), "b".into()][..])
    );
    let models: Vec<_> = found
        .models
        .iter()
        .map(|model| (model.model.as_str(), model.origin, model.seeds.len()))
        .collect();
    assert_eq!(
        models,
        [
            ("triage", Origin::Model, 2),
            ("scratch", Origin::Model, 1),
            ("tfidf", Origin::Baseline, 1)
        ]
    );
    assert_eq!(found.models[2].accuracy.estimate.value, 1.0);
    assert!((found.majority_share - 0.5).abs() < 1e-12);
    assert_eq!(found.comparisons.len(), 6);
    assert_eq!(
        (found.comparisons[0].model.as_str(), found.comparisons[0].other.as_str()),
        ("triage", "scratch")
    );
    let rows: Vec<Prediction> = read_all(&mapped(&lab.path("predictions.parquet"))).unwrap();
    assert_eq!(rows.len(), 160);
    for row in &rows {
        assert!((row.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        let best = if row.probabilities[0] >= row.probabilities[1] { "a" } else { "b" };
        assert_eq!(row.predicted, best);
    }
}

#[test]
fn language_models_predict_every_token_of_every_document_once() {
    let lab = Lab::run(steps(), ALL).unwrap();
    let found = lab.results().language.unwrap();
    let rows: Vec<Likelihood> = read_all(&mapped(&lab.path("likelihoods.parquet"))).unwrap();
    assert_eq!((found.documents, rows.len()), (3, 3));
    assert!(rows[1].tokens > 16, "the second document is longer than the context");
    assert_eq!(found.tokens, rows.iter().map(|row| row.tokens).sum::<u64>());
    let loss = rows.iter().map(|row| row.nats).sum::<f64>() / found.tokens as f64;
    let scores = &found.models[0];
    assert!((scores.nats_per_token.estimate.value - loss).abs() < 1e-12);
    assert!((scores.perplexity.estimate.value - loss.exp()).abs() < 1e-9 * loss.exp());
    assert!((scores.below_unigram - (found.unigram_entropy - loss)).abs() < 1e-12);
    let table = evaluate::table(&lab.results());
    for part in ["triage - scratch", "tfidf", "bits/byte", "unigram entropy"] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
}

#[test]
fn a_second_run_gives_the_same_bytes() {
    let bytes = || fs::read(Lab::run(steps(), ALL).unwrap().path("results.json")).unwrap();
    assert_eq!(bytes(), bytes());
}

#[track_caller]
fn refused(change: impl FnOnce(&mut BTreeMap<&'static str, Given>), config: &str, expected: &str) {
    let mut given = steps();
    change(&mut given);
    let message = Lab::run(given, config).err().unwrap_or_default();
    assert!(message.contains(expected), "{message}");
}

fn one_row(text: &str, label: &str) -> Given {
    let mut rows = examples();
    rows.push((text.into(), label.into(), None, Split::Test));
    Given::Examples(rows)
}

#[test]
fn what_cannot_be_measured_is_refused_by_name_and_place() {
    let models = r#"{"models":["triage"],"examples":"labels"}"#;
    let baseline = r#"{"baselines":["tfidf"],"examples":"labels"}"#;
    let language = r#"{"language_models":["base"],"shards":"shards"}"#;
    let put = |name, given| {
        move |steps: &mut BTreeMap<&'static str, Given>| drop(steps.insert(name, given))
    };
    refused(
        put("labels", one_row("good", "c")),
        models,
        "(`row-60`): triage does not know the label `c`, expected one of b, a",
    );
    refused(put("labels", one_row("good", "c")), baseline, "tfidf does not know the label `c`");
    refused(
        put("labels", one_row(&"x ".repeat(40), "a")),
        models,
        "but the context of triage holds 16",
    );
    refused(
        put("triage", Given::LanguageModel { seed: 1 }),
        models,
        "is a LlamaForCausalLM, expected a LlamaForSequenceClassification",
    );
    refused(put("base", classifier(&[1])), language, "holds no config.json");
    refused(put("shards", Given::Shards(Vec::new())), language, "has no document in validation");
    let train: Vec<_> = examples().into_iter().filter(|row| row.3 == Split::Train).collect();
    refused(put("labels", Given::Examples(train)), models, "has no row in test");
    let wordless =
        examples().into_iter().map(|row| ("!".to_owned(), row.1, row.2, row.3)).collect();
    refused(put("labels", Given::Examples(wordless)), baseline, "hold no word of two characters");
}

#[test]
fn long_texts_are_cut_where_the_config_says_so() {
    let mut given = steps();
    given.insert("labels", one_row(&"x ".repeat(40), "a"));
    let config = r#"{"models":["triage"],"examples":"labels","too_long":"truncate","bootstrap":{"resamples":50}}"#;
    assert_eq!(Lab::run(given, config).unwrap().results().classification.unwrap().rows, 41);
}

#[test]
fn phases_without_tensors_write_the_bytes_of_their_version() {
    let config = r#"{"baselines":["tfidf"],"examples":"labels","bootstrap":{"resamples":50}}"#;
    let lab = Lab::run(steps(), config).unwrap();
    let digest = |file: &str| Digest::of(&fs::read(lab.path(file)).unwrap()).short();
    // Version 1 of `baseline` and of `compare`.
    assert_eq!(
        [digest("predictions.parquet"), digest("results.json")],
        ["8f0b65ffc992", "ef7d052ce967"]
    );
}
