//! `seedbed init`: a commented manifest for one's own data, by looking at the files.

mod labels;
mod text;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use corpus_prep::read::Format;

use crate::cli::base_of;
use crate::implied;
use crate::show;
use labels::Labels;
use text::Corpus;

#[derive(Args)]
pub struct Command {
    /// Files or folders of raw text
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,
    /// A labelled file to fine-tune on: CSV, TSV or JSON lines
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The manifest to write; its paths are relative to it
    #[arg(long, default_value = "pipeline.toml")]
    manifest: PathBuf,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(
            !self.manifest.exists(),
            "{} is there already; choose another --manifest",
            self.manifest.display()
        );
        let base = base_of(&self.manifest);
        let corpus = Corpus::look(&self.data, self.labels.as_deref())?;
        let labels = self.labels.as_deref().map(Labels::look).transpose()?;
        let text = manifest(&corpus, labels.as_ref(), &base)?;
        // What is written is a manifest that this program takes.
        implied::parse(&text, &self.manifest)?;
        fs::File::create_new(&self.manifest)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", self.manifest.display()))?;
        show::line(format!(
            "{}: {} files, {} of text; next: seedbed plan {0}",
            self.manifest.display(),
            corpus.files,
            show::bytes(corpus.text_bytes as f64)
        ))
    }
}

/// Vocabulary and model by how much text there is.
struct Sizes {
    /// Smallest text in bytes that they are for.
    from: u64,
    vocabulary: &'static str,
    model: &'static str,
    seq_len: u64,
    sequences: u64,
}

/// The largest one that fits is taken. A byte of text is about a quarter of a token.
const SIZES: [Sizes; 3] = [
    Sizes {
        from: 100_000_000,
        vocabulary: "16_384",
        model: "{ hidden_size = 384, num_hidden_layers = 6, num_attention_heads = 6, intermediate_size = 1024 }",
        seq_len: 512,
        sequences: 16,
    },
    Sizes {
        from: 10_000_000,
        vocabulary: "8192",
        model: "{ hidden_size = 256, num_hidden_layers = 4, num_attention_heads = 4, intermediate_size = 704 }",
        seq_len: 256,
        sequences: 16,
    },
    Sizes {
        from: 0,
        vocabulary: "2048",
        model: "{ hidden_size = 128, num_hidden_layers = 3, num_attention_heads = 4, intermediate_size = 352 }",
        seq_len: 256,
        sequences: 8,
    },
];

impl Sizes {
    fn of(text_bytes: u64) -> &'static Self {
        SIZES.iter().find(|sizes| text_bytes >= sizes.from).unwrap_or(&SIZES[SIZES.len() - 1])
    }
}

/// Fewest optimizer steps of a run, and most: what a processor does in minutes, and in hours.
const STEPS: std::ops::RangeInclusive<u64> = 50..=20_000;

fn manifest(corpus: &Corpus, labels: Option<&Labels>, base: &Path) -> anyhow::Result<String> {
    let sizes = Sizes::of(corpus.text_bytes);
    let steps = (corpus.text_bytes / 4 / (sizes.seq_len * sizes.sequences))
        .clamp(*STEPS.start(), *STEPS.end());
    let inputs: Vec<String> = corpus
        .globs
        .iter()
        .map(|glob| relative(glob, base).map(|glob| quoted(&glob)))
        .collect::<anyhow::Result<_>>()?;
    let fields = match &corpus.text_field {
        Some(field) if field != "text" => {
            format!(
                "fields = {{ text = {} }}                # the longest field of its records\n",
                quoted(field)
            )
        }
        _ => String::new(),
    };
    let mut text = format!(
        r#"# `seedbed plan` says what would run, `seedbed run` makes it; results stand under `out`.
name = {name}
seed = 1337                                # where random choices start from

# Clean the corpus: Gopher's rules, and no text twice. A bound is changed or switched off by its name:
# rules = {{ gopher_quality = {{ short_doc = 20, below_alpha = "off" }} }}
[steps.clean.corpus-prep]
inputs = [{inputs}]
{fields}
# Learn a vocabulary. In [pins] it can be held still while the corpus changes.
[steps.vocab.tokenize]
train = {{ documents = "clean", size = {vocabulary} }}

[steps.shards.tokenize]
documents = "clean"
vocabulary = "vocab"
validation = 0.02                          # share of documents that no training sees

# Pre-train. {steps} steps are about one pass over this corpus; a longer run goes on where a shorter one ended.
[steps.base.pretrain]
shards = "shards"
model = {model}
seq_len = {seq_len}                              # tokens
micro_batch_size = {sequences}
micro_batches_per_step = 1
schedule = {{ peak_lr = 2e-3, warmup_steps = {warmup}, decay_steps = {decay}, total_steps = {steps} }}
eval_every = {every}
"#,
        name = quoted(&name(base)),
        inputs = inputs.join(", "),
        vocabulary = sizes.vocabulary,
        model = sizes.model,
        seq_len = sizes.seq_len,
        sequences = sizes.sequences,
        warmup = steps / 20,
        decay = steps / 5,
        every = (steps / 5).max(1),
    );
    text.push_str(&match labels {
        None => String::from(
            r#"
# How well it predicts the documents that it has not seen.
[steps.report.evaluate]
language_models = ["base"]
shards = "shards"
"#,
        ),
        Some(labels) => task(labels, base)?,
    });
    Ok(text)
}

/// The steps from labelled rows to results.
fn task(labels: &Labels, base: &Path) -> anyhow::Result<String> {
    let group = match &labels.group {
        Some(group) => format!(", group = {}", quoted(group)),
        None => String::new(),
    };
    let hint = match labels.group {
        Some(_) => "Rows of a group stand in one split",
        None => {
            "If rows depend on each other, such as those of a patient, name the column: group = \"patient\""
        }
    };
    Ok(format!(
        r#"
# Labelled rows ({rows} looked at, {distinct} labels), dealt to train, validation and test. {hint}.
[steps.labels.corpus-prep]
examples = {{ files = {file}, task = "sequence-classification", text = {text}, label = {label}{group} }}

# The same model fine-tuned from what it learnt, and from nothing: whether pre-training pays.
[steps.pretrained.finetune]
model = "base"
examples = "labels"
too_long = "truncate"
epochs = 5
seeds = [1, 2, 3]

[steps.scratch.finetune]
model = "base"
init = "scratch"
examples = "labels"
too_long = "truncate"
epochs = 5
seeds = [1, 2, 3]

# Both, and TF-IDF with logistic regression, with intervals.
[steps.report.evaluate]
models = ["pretrained", "scratch"]
examples = "labels"
too_long = "truncate"
baselines = ["tfidf"]
language_models = ["base"]
shards = "shards"
"#,
        rows = labels.rows,
        distinct = labels.distinct,
        file = quoted(&relative(&labels.file, base)?),
        text = quoted(&labels.text),
        label = quoted(&labels.label),
    ))
}

/// The name of the folder that the manifest stands in.
fn name(base: &Path) -> String {
    let whole = fs::canonicalize(if base.as_os_str().is_empty() { Path::new(".") } else { base });
    let name = whole.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    name.unwrap_or_else(|| "pipeline".to_owned())
}

/// `path` as the manifest in `base` names it.
fn relative(path: &Path, base: &Path) -> anyhow::Result<String> {
    let inner = path.strip_prefix(base).unwrap_or(path);
    let outside = inner == path && !base.as_os_str().is_empty();
    let named = match outside && inner.is_relative() {
        // The data is named from where the program runs, the manifest stands elsewhere.
        true => std::env::current_dir().context("cannot find the current directory")?.join(inner),
        false => inner.to_owned(),
    };
    match named.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{}: the path is not UTF-8", path.display()),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Whether `path` has a name that corpus preparation knows.
fn is_readable(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| Format::of(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("notes/a.jsonl", "{\"title\":\"x\",\"body\":\"a long body of a note\"}\n");
        write("notes/deep/b.md", "# Heading\n\nText.\n");
        write("notes/image.png", "no text");
        write(
            "triage.csv",
            "note,urgency,patient\none long note,high,p1\nanother note,low,p2\na third note,low,p1\n",
        );
        dir
    }

    fn made(dir: &Path, labels: Option<&str>) -> anyhow::Result<String> {
        let command = Command {
            data: vec![dir.join("notes")],
            labels: labels.map(|name| dir.join(name)),
            manifest: dir.join("pipeline.toml"),
        };
        command.run()?;
        Ok(fs::read_to_string(dir.join("pipeline.toml"))?)
    }

    #[test]
    fn a_manifest_says_what_was_seen() {
        let dir = project();
        let text = made(dir.path(), Some("triage.csv")).unwrap();
        for words in [
            r#"inputs = ["notes/**/*.jsonl", "notes/**/*.md"]"#,
            r#"fields = { text = "body" }"#,
            r#"files = "triage.csv""#,
            r#"text = "note", label = "urgency", group = "patient""#,
        ] {
            assert!(text.contains(words), "{text} does not say {words}");
        }
    }

    #[test]
    fn without_labels_there_is_a_language_model_alone() {
        let dir = project();
        let text = made(dir.path(), None).unwrap();
        assert!(!text.contains("finetune") && text.contains("language_models"), "{text}");
    }

    #[test]
    fn a_manifest_that_is_there_is_left_alone() {
        let dir = project();
        fs::write(dir.path().join("pipeline.toml"), "mine").unwrap();
        let error = made(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("pipeline.toml")).unwrap(), "mine");
    }

    #[test]
    fn results_and_hidden_folders_are_no_data_and_labels_must_not_be() {
        let dir = project();
        for folder in ["notes/.git", "notes/out/.seedbed", "notes/[1]"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["notes/.git/a.txt", "notes/out/b.txt"] {
            fs::write(dir.path().join(file), "no data").unwrap();
        }
        assert!(!made(dir.path(), None).unwrap().contains("txt"));
        fs::remove_file(dir.path().join("pipeline.toml")).unwrap();
        fs::rename(dir.path().join("triage.csv"), dir.path().join("notes/triage.csv")).unwrap();
        let error = made(dir.path(), Some("notes/triage.csv")).unwrap_err().to_string();
        assert!(error.contains("found the labelled file among the raw text"), "{error}");
    }

    #[test]
    fn letters_that_globs_are_made_of_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in [1]")).unwrap();
        fs::write(dir.path().join("in [1]/a.txt"), "text").unwrap();
        let corpus = Corpus::look(&[dir.path().join("in [1]")], None).unwrap();
        let glob = corpus.globs[0].to_str().unwrap();
        assert!(glob.ends_with("in [[]1[]]/**/*.txt"), "{glob}");
    }

    #[test]
    fn data_that_nothing_reads_is_told_with_what_would_be_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("notes")).unwrap();
        fs::write(dir.path().join("notes/a.docx"), "").unwrap();
        let error = made(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("notes") && error.contains(".jsonl"), "{error}");
    }
}
