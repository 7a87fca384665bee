//! Tiny models, examples and shards, and evaluations of them.

use std::fs;
use std::path::PathBuf;

use codec::{Codec, CodecError, PretokenCounts, Vocabulary};
use evaluate::Results;
use laboratory::{Given, Laboratory, Ran, Step, Steps};
use model::{Checkpoint, Head, LlamaConfig};
use pipelines::digest::text_id;
use pipelines::error::TaskError;
use pipelines::input::Mapped;
use pipelines::kind::Kind;
use pipelines::output::TaskOutput;
use pipelines::shard::{ShardWriter, TokenWidth};
use pipelines::table::documents::RowKey;
use pipelines::table::examples::{Example, Split};
use pipelines::table::{Row, TableWriter, read_all};

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
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    };
    Checkpoint::fresh(config, seed).unwrap()
}

const MODEL_FILES: [&str; 4] =
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

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

/// Classifiers of the labels `b` and `a`, one a seed.
pub fn classifier(seeds: &[u64]) -> Step {
    let of = |seed: &u64| MODEL_FILES.map(|name| format!("seed-{seed}/{name}"));
    let files = seeds.iter().flat_map(of);
    Step::new(Given::new(Kind::Checkpoint, files, seeds.to_vec(), |seeds, out| {
        seeds.iter().try_for_each(|&seed| {
            let model = checkpoint(seed).into_classifier(vec!["b".into(), "a".into()], seed)?;
            write_model(&model, &format!("seed-{seed}/"), out)
        })
    }))
}

/// Token classifiers of these tags, one a seed.
pub fn tagger(seeds: &[u64], tags: &[&str]) -> Step {
    let of = |seed: &u64| MODEL_FILES.map(|name| format!("seed-{seed}/{name}"));
    let files = seeds.iter().flat_map(of);
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let made_of = (seeds.to_vec(), tags);
    Step::new(Given::new(Kind::Checkpoint, files, made_of, |(seeds, tags), out| {
        seeds.iter().try_for_each(|&seed| {
            let model = checkpoint(seed).into_token_classifier(tags.clone(), seed)?;
            write_model(&model, &format!("seed-{seed}/"), out)
        })
    }))
}

/// Sentences of words, each with its tag, and their documents.
pub type Tagged = (String, Option<String>);

/// Tagged test rows as an artifact.
pub fn sentences(rows: Vec<Tagged>) -> Step {
    let files = ["rows.parquet", "labels.json"];
    Step::new(Given::new(Kind::Examples, files, rows, |rows, out| {
        let mut table = TableWriter::create(out, "rows.parquet")?;
        for (record, (words, group)) in (0..).zip(rows) {
            let pairs = words.split(' ').filter_map(|word| word.split_once('/'));
            let (tokens, tags): (Vec<String>, Vec<String>) =
                pairs.map(|(word, tag)| (word.to_owned(), tag.to_owned())).unzip();
            table.push(Example {
                id: text_id(&tokens.join(" ")),
                key: RowKey { unit: text_id("unit"), record },
                source_id: Some(format!("row-{record}")),
                split: Split::Test,
                group: group.clone(),
                text: tokens.join(" "),
                text_pair: None,
                labels: Vec::new(),
                tokens,
                tags,
            })?;
        }
        table.finish(out)?;
        let list = br#"{"task":"token-classification","labels":["O","B-PER","I-PER"]}"#;
        Ok(out.write("labels.json", list)?)
    }))
}

/// Sentences of which two each are of one document, the last longer than the context.
pub fn tagged_examples() -> Vec<Tagged> {
    let words = |at: usize| {
        let name = ["good/B-PER", "bad/B-PER poor/I-PER", "fine/B-LOC"][at % 3];
        format!("the/O {name} was/O {at}/O")
    };
    let mut rows: Vec<_> = (0..24).map(|at| (words(at), Some((at / 2).to_string()))).collect();
    rows.push(("the/O good/B-PER was/O ".repeat(12), None));
    rows
}

/// Two fine-tuned steps that tag, and sentences.
pub fn tagging_steps() -> Steps {
    let tags = ["O", "B-LOC", "B-PER", "I-PER"];
    Steps::from([
        ("ner", tagger(&[1, 2], &tags)),
        ("scratch", tagger(&[3], &tags)),
        ("sentences", sentences(tagged_examples())),
    ])
}

/// An evaluation of them.
pub const TAGGING: &str = r#"{"task":"token-classification","models":["ner","scratch"],
    "examples":"sentences","bootstrap":{"resamples":200}}"#;

/// A language model.
pub fn language_model(seed: u64) -> Step {
    Step::new(Given::new(Kind::Checkpoint, MODEL_FILES, seed, |seed, out| {
        write_model(&checkpoint(*seed), "", out)
    }))
}

/// Text, label and split.
pub type Labelled = (String, String, Split);

/// Labelled rows as an artifact.
pub fn labelled(rows: Vec<Labelled>) -> Step {
    let files = ["rows.parquet", "labels.json"];
    Step::new(Given::new(Kind::Examples, files, rows, |rows, out| write_examples(rows, out)))
}

fn write_examples(rows: &[Labelled], out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut table = TableWriter::create(out, "rows.parquet")?;
    for (record, (text, label, split)) in (0..).zip(rows) {
        table.push(Example {
            id: text_id(text),
            key: RowKey { unit: text_id("unit"), record },
            source_id: Some(format!("row-{record}")),
            split: *split,
            group: None,
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

/// Documents of these texts as a validation shard.
pub fn shards(texts: &[&str]) -> Step {
    let files = [
        "validation-00000.bin",
        "validation-00000.idx",
        "validation-00000.docs.parquet",
        "tokenizer.json",
    ];
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Step::new(Given::new(Kind::TokenShards, files, texts, |texts, out| write_shards(texts, out)))
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

/// Rows of two labels that their words tell apart.
pub fn examples() -> Vec<Labelled> {
    let row = |at: usize| {
        let (words, label) = [("good fine", "a"), ("bad poor", "b")][at % 2];
        let split = if at < 20 { Split::Train } else { Split::Test };
        (format!("{words} {}", at / 7), label.to_owned(), split)
    };
    (0..60).map(row).collect()
}

/// Two fine-tuned steps, examples, a language model and shards.
pub fn steps() -> Steps {
    let texts =
        ["good film", "the film was bad the film was poor the film was fine and good", "fine"];
    Steps::from([
        ("triage", classifier(&[1, 2])),
        ("scratch", classifier(&[3])),
        ("labels", labelled(examples())),
        ("base", language_model(4)),
        ("shards", shards(&texts)),
    ])
}

/// An evaluation of all of them.
pub const ALL: &str = r#"{"models":["triage","scratch"],"baselines":["tfidf"],"examples":"labels",
    "language_models":["base"],"shards":"shards","bootstrap":{"resamples":200}}"#;

/// A finished evaluation.
pub struct Lab {
    laboratory: Laboratory,
    pub ran: Ran,
}

impl Lab {
    /// Evaluates `given` as `config` says.
    pub fn run(mut given: Steps, config: &str) -> Result<Self, String> {
        let config: evaluate::Config = serde_json::from_str(config).unwrap();
        given.insert("report", Step::new(config));
        let laboratory = Laboratory::default();
        let ran = laboratory.run(&given)?;
        Ok(Self { laboratory, ran })
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.laboratory.path("report/results").join(file)
    }

    pub fn results(&self) -> Results {
        Results::from_json(&fs::read(self.path("results.json")).unwrap()).unwrap()
    }

    /// The rows of a table.
    pub fn rows<R: Row>(&self, file: &str) -> Vec<R> {
        read_all(&Mapped::whole(self.path(file)).unwrap()).unwrap()
    }
}
