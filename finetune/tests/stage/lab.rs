//! A directory with a tiny checkpoint and tiny examples, and runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use codec::{Codec, PretokenCounts, SpecialTokens, Vocabulary};
use laboratory::{Fate, Given, Laboratory, Ran, Step, Steps};
use model::{Activation, BertConfig, Checkpoint, Gpt2Config, Head, LlamaConfig, ModelConfig};
use pipelines::digest::{Digest, text_id};
use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::output::{Size, TaskOutput};
use pipelines::record::Artifact;
use pipelines::table::TableWriter;
use pipelines::table::documents::RowKey;
use pipelines::table::examples::{Example, Split};
use serde::Serialize;
use serde_json::{Value, json};

/// A row of `examples`.
#[derive(Clone, Serialize)]
pub struct TestRow {
    pub split: Split,
    pub text: String,
    pub text_pair: Option<String>,
    pub labels: Vec<String>,
    pub tokens: Vec<String>,
    pub tags: Vec<String>,
}

/// A row of one label.
pub fn row(split: Split, text: &str, label: &str) -> TestRow {
    let (text, labels) = (text.to_owned(), vec![label.to_owned()]);
    TestRow { split, text, text_pair: None, labels, tokens: Vec::new(), tags: Vec::new() }
}

/// A row of words, each with its tag: `Ada/B-PER met/O`.
pub fn tagged(split: Split, words: &str) -> TestRow {
    let pairs = words.split(' ').filter_map(|word| word.split_once('/'));
    let (tokens, tags): (Vec<String>, Vec<String>) =
        pairs.map(|(word, tag)| (word.to_owned(), tag.to_owned())).unzip();
    TestRow { split, text: tokens.join(" "), text_pair: None, labels: Vec::new(), tokens, tags }
}

/// Rows with people and places in them.
pub fn tagged_rows() -> Vec<TestRow> {
    let people = ["Ada/B-PER", "Bob/B-PER Byron/I-PER", "Eve/B-PER", "Ada/B-PER Byron/I-PER"];
    let (verbs, places) = (["met/O", "saw/O"], ["Rome/B-LOC", "the/O", "Oslo/B-LOC"]);
    let words = |at: usize| {
        let (person, verb, place) = (people[at % 4], verbs[at / 4 % 2], places[at % 3]);
        if at.is_multiple_of(5) {
            format!("{place} {person} {verb}")
        } else {
            format!("{person} {verb} {place}")
        }
    };
    let split = |at: usize| if at < 60 { Split::Train } else { Split::Validation };
    (0..80).map(|at| tagged(split(at), &words(at))).collect()
}

/// The words of [`tagged_rows`], so that each becomes one token.
const TAGGED_WORDS: &str =
    " Ada Ada Bob Bob Byron Byron Eve Eve Rome Rome Oslo Oslo met met saw saw the the";

/// The checkpoint that is learnt from.
#[derive(Clone, Copy, PartialEq, Serialize)]
pub enum Base {
    /// A Llama for labels of texts, with this seed.
    Llama(u64),
    /// A GPT-2 for labels of texts.
    Gpt2,
    /// A GPT-2 for tags of words.
    TaggingGpt2,
    /// A Llama for tags of words.
    TaggingLlama,
    /// A BERT for tags of words.
    TaggingBert,
}

/// Rows whose label is in their text, beside words that say nothing.
pub fn rows() -> Vec<TestRow> {
    let noise = ["a", "the", "of", "and", "is"];
    let text = |at: usize| {
        let sign = ["good", "bad"][at % 2];
        format!("{} {sign} {} {}", noise[at % 5], noise[at / 5 % 5], noise[at / 3 % 5])
    };
    let split = |at: usize| if at < 60 { Split::Train } else { Split::Validation };
    (0..80).map(|at| row(split(at), &text(at), ["positive", "negative"][at % 2])).collect()
}

const MODEL_FILES: [&str; 4] =
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

fn vocabulary(base: Base) -> Result<Vocabulary, codec::CodecError> {
    let (text, size) = match base {
        Base::Llama(_) | Base::Gpt2 => ("good good bad bad the the of of and and", 270),
        _ => (TAGGED_WORDS, 285),
    };
    let mut counts = PretokenCounts::default();
    counts.count(text)?;
    let vocabulary = Vocabulary::train(&counts, size, |_| Ok::<_, codec::CodecError>(()))?;
    if base != Base::TaggingBert {
        return Ok(vocabulary);
    }
    let name = |token: &str| Some(token.to_owned());
    vocabulary.with_special_tokens(SpecialTokens {
        cls: name("[CLS]"),
        sep: name("[SEP]"),
        mask: name("[MASK]"),
    })
}

fn shape(base: Base, codec: &Codec) -> ModelConfig {
    let vocab_size = codec.vocab_size();
    if base == Base::TaggingBert {
        let config = BertConfig {
            vocab_size,
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            max_position_embeddings: 24,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            pad_token_id: codec.pad(),
            pooler: false,
            head: Head::MaskedLm,
        };
        return config.into();
    }
    if let Base::Gpt2 | Base::TaggingGpt2 = base {
        let config = Gpt2Config {
            vocab_size,
            n_positions: 24,
            n_embd: 16,
            n_layer: 2,
            n_head: 2,
            n_inner: None,
            activation_function: Activation::GeluNew,
            layer_norm_epsilon: 1e-5,
            initializer_range: 0.02,
            resid_pdrop: 0.1,
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            classifier_dropout: None,
            tie_word_embeddings: true,
            bos_token_id: codec.bos(),
            eos_token_id: codec.eos().into_iter().collect(),
            pad_token_id: codec.pad(),
            head: Head::CausalLm,
        };
        return config.into();
    }
    let config = LlamaConfig {
        vocab_size,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 24,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: codec.bos(),
        eos_token_id: codec.eos().into_iter().collect(),
        pad_token_id: codec.pad(),
        head: Head::CausalLm,
    };
    config.into()
}

fn write_checkpoint(base: &Base, out: &mut TaskOutput) -> Result<(), TaskError> {
    let vocabulary = vocabulary(*base)?;
    for file in vocabulary.files() {
        out.write(file.name, &file.bytes)?;
    }
    let seed = if let Base::Llama(seed) = base { *seed } else { 1 };
    let checkpoint = Checkpoint::fresh(shape(*base, &Codec::of(&vocabulary)?), seed)?;
    out.write("config.json", checkpoint.config.to_json().as_bytes())?;
    let mut weights = out.create("model.safetensors")?;
    checkpoint.write_weights(&mut weights)?;
    Ok(out.finish(weights, Size::Bytes)?)
}

fn write_examples(rows: &[TestRow], out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut table = TableWriter::create(out, "part.parquet")?;
    for (record, row) in (0..).zip(rows) {
        table.push(Example {
            id: text_id(&row.text),
            key: RowKey { unit: text_id("rows"), record },
            source_id: Some(format!("row-{record}")),
            split: row.split,
            group: None,
            text: row.text.clone(),
            text_pair: row.text_pair.clone(),
            labels: row.labels.clone(),
            tokens: row.tokens.clone(),
            tags: row.tags.clone(),
        })?;
    }
    Ok(table.finish(out)?)
}

/// A directory of results.
pub struct Lab {
    laboratory: Laboratory,
    pub rows: Vec<TestRow>,
    pub base: Base,
}

impl Lab {
    pub fn new() -> Self {
        Self { laboratory: Laboratory::default(), rows: rows(), base: Base::Llama(1) }
    }

    /// With labels of texts, for another base.
    pub fn classifying(base: Base) -> Self {
        Self { base, ..Self::new() }
    }

    /// With tagged rows.
    pub fn tagging(base: Base) -> Self {
        Self { laboratory: Laboratory::default(), rows: tagged_rows(), base }
    }

    fn steps(&self, fields: Value) -> Steps {
        let base = Given::new(Kind::Checkpoint, MODEL_FILES, self.base, write_checkpoint);
        let rows = self.rows.clone();
        let labels = Given::new(Kind::Examples, ["part.parquet"], rows, |rows, out| {
            write_examples(rows, out)
        });
        Steps::from([
            ("base", Step::new(base)),
            ("labels", Step::new(labels)),
            ("task", Step::new(config(fields))),
        ])
    }

    pub fn run(&self, fields: Value) -> Result<Ran, String> {
        self.laboratory.run(&self.steps(fields))
    }

    pub fn run_with_threads(&self, fields: Value, threads: usize) {
        self.laboratory.run_with_threads(&self.steps(fields), threads).unwrap();
    }

    /// Runs until `fate` strikes; the message.
    #[track_caller]
    pub fn interrupt(&self, fields: Value, fate: Fate) -> String {
        self.laboratory.interrupt(&self.steps(fields), fate)
    }

    pub fn dir(&self) -> PathBuf {
        self.laboratory.path("task/checkpoint")
    }

    pub fn artifact(&self) -> Artifact {
        self.laboratory.artifact("task/checkpoint")
    }

    /// Digests of the files by path.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.laboratory.digests("task/checkpoint")
    }

    /// The files of training states that the store holds.
    pub fn states(&self) -> Vec<PathBuf> {
        let prefixes = fs::read_dir(self.laboratory.path(".seedbed/states")).unwrap();
        let files = prefixes.flat_map(|prefix| fs::read_dir(prefix.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    /// The last line of a seed's metrics.
    pub fn last(&self, seed: u64) -> Value {
        let path = self.dir().join(format!("seed-{seed}")).join("metrics.jsonl");
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

/// A config with these fields beside those that it needs.
pub fn config(fields: Value) -> finetune::Config {
    let mut config = json!({ "examples": "labels", "model": "base", "peak_lr": 0.01, "epochs": 8, "seeds": [1, 2] });
    let (Some(config_fields), Value::Object(fields)) = (config.as_object_mut(), fields) else {
        unreachable!()
    };
    config_fields.extend(fields);
    serde_json::from_value(config).unwrap()
}
