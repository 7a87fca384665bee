//! `seedbed predict`: labels of texts, or entities in them, for files of one's own.

mod answer;
mod input;
mod output;
mod spans;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use codec::WordRule;
use evaluate::{Classifier, EvaluateError, Loaded, Tagger, TooLong};
use metrics::Decoding;
use model::Head;
use pipelines::context::Unit;
use pipelines::run::Observer;
use pipelines::task::Event;

use self::answer::{Answers, Model};
use self::input::{Batch, Content, Input, Question};
use self::output::Output;
use crate::cli::{Threads, Voice};
use crate::model_dir::ModelDir;
use crate::progress::Progress;
use crate::worker::stop_on_signals;

/// What progress is shown for.
const TASK: &str = "predict/rows/all";

#[derive(Args)]
pub struct Command {
    /// The directory of a fine-tuned model: out/STEP/checkpoint, or one that `transformers` loads
    model: PathBuf,
    /// The rows: .jsonl, .csv, .tsv (also with .gz, .zst or .bz2) or .parquet; - is standard input
    #[arg(long)]
    input: PathBuf,
    /// How rows stand in the input [default: by the end of its name; jsonl of standard input]
    #[arg(long)]
    format: Option<Format>,
    /// The column or field of texts
    #[arg(long, default_value = input::TEXT)]
    text: String,
    /// The column or field of second texts, for models of pairs
    #[arg(long, conflicts_with = "tokens")]
    text_pair: Option<String>,
    /// The field of lists of words, for models that tag words; in place of texts
    #[arg(long, conflicts_with = "text")]
    tokens: Option<String>,
    /// What a word of a text is, for models that tag words [default: unicode]
    #[arg(long, conflicts_with = "tokens")]
    words: Option<Words>,
    /// The column or field of names of rows, which every row then has [default: id, where there is one]
    #[arg(long)]
    id: Option<String>,
    /// Where predictions go: .jsonl, .csv or .parquet; a file is replaced once all are made [default: standard output, as JSON
    /// lines]
    #[arg(long)]
    output: Option<PathBuf>,
    /// Which of the seeds of a fine-tuned model [default: the lowest]
    #[arg(long)]
    seed: Option<u64>,
    /// Most tokens that are read together, special ones included [default: what the model was fine-tuned with, where its
    /// artifact.json says so, or else its context]
    #[arg(long)]
    max_length: Option<NonZeroUsize>,
    /// What happens to longer texts [default: windows for models that tag words, else refuse]
    #[arg(long)]
    too_long: Option<Longer>,
    /// Most rows that are asked for together; what comes out does not depend on it
    #[arg(long, default_value = "256")]
    batch_size: NonZeroUsize,
    #[command(flatten)]
    threads: Threads,
    /// Say nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// How rows stand in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// The same with tabs
    Tsv,
    /// Parquet
    Parquet,
    /// A text a line; blank lines are no rows
    Lines,
}

/// What a word of a text is.
#[derive(Clone, Copy, ValueEnum)]
enum Words {
    /// What Unicode's word boundaries part (UAX 29): every punctuation mark is one
    Unicode,
    /// What white space parts
    Whitespace,
}

/// What happens to texts that are too long.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Longer {
    /// They are an error
    Refuse,
    /// Their first tokens are read
    Truncate,
    /// They are read in windows; of models that tag words only
    Windows,
}

/// What was done.
#[derive(Default)]
struct Done {
    rows: u64,
    entities: u64,
    cut: u64,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let dir = ModelDir::open(&self.model, self.seed)?;
        let is_tagger = matches!(dir.config().head(), Head::TokenClassification { .. });
        if !is_tagger && !matches!(dir.config().head(), Head::SequenceClassification { .. }) {
            let expected = "a classifier (…ForSequenceClassification or …ForTokenClassification)";
            return Err(dir.refuse_head(expected, "predict"));
        }
        self.refuse_options_of_the_other_head(is_tagger)?;
        let max_length = self.max_length(&dir)?;
        // Before there is a file to be removed.
        let cancel = stop_on_signals()?;
        let mut input = Input::open(&self, &cancel)?;
        let mut output = Output::create(self.output.as_deref(), &cancel)?;
        let mut model = self.load(&dir, is_tagger, max_length)?;
        let pool = self.threads.pool()?;
        let mut progress = Progress::new(Voice { quiet: self.quiet, json: false });
        progress.wave(&[("predict/rows".to_owned(), 1)].into());
        progress.event(0, &Event::Started { task: TASK.into(), pid: std::process::id() });
        progress.event(0, &Event::Total { total: input.num_bytes(), unit: Unit::Bytes });
        let started = std::time::Instant::now();
        let mut done = Done::default();
        while let Some(Batch { rows, num_bytes }) = input.next(&cancel)? {
            let answered = pool.install(|| model.answer(rows, &cancel));
            let (answers, refusal) = answered.map_err(|error| self.in_our_words(error, &dir))?;
            done.add(&answers);
            if !output.write(&answers, model.labels())? {
                // Whoever read it has gone.
                progress.end();
                return Ok(());
            }
            if let Some(refusal) = refusal {
                return Err(self.in_our_words(refusal, &dir));
            }
            progress.event(0, &Event::Advanced { done: num_bytes });
        }
        input.finish()?;
        output.finish(&model)?;
        let seconds = started.elapsed().as_secs_f64();
        progress.event(0, &Event::Finished { task: TASK.into(), seconds });
        progress.end();
        if !self.quiet {
            // Whoever closed standard error does not want the line.
            let _ = writeln!(std::io::stderr(), "{}", self.said(&done, &dir, is_tagger, seconds));
        }
        Ok(())
    }

    fn refuse_options_of_the_other_head(&self, is_tagger: bool) -> anyhow::Result<()> {
        if is_tagger {
            ensure!(
                self.text_pair.is_none(),
                "--text-pair is for classifiers of texts, but this model tags words"
            );
        } else {
            ensure!(
                self.tokens.is_none(),
                "--tokens is for models that tag words, but this one classifies texts"
            );
            ensure!(
                self.words.is_none(),
                "--words is for models that tag words, but this one classifies texts"
            );
            if self.too_long == Some(Longer::Windows) {
                bail!(
                    "--too-long windows is for models that tag words, but this one classifies texts"
                );
            }
        }
        Ok(())
    }

    /// Most tokens that are read together; `None` is the context.
    fn max_length(&self, dir: &ModelDir) -> anyhow::Result<Option<NonZeroUsize>> {
        let context = dir.config().max_position_embeddings();
        match self.max_length {
            None => Ok(dir.max_length()),
            Some(found) if found.get() > context => bail!(
                "--max-length is {found} tokens, expected at most {context}, the context of {}",
                dir.name()
            ),
            given => Ok(given),
        }
    }

    /// Says of a text that is too long what this command can do about it; manifests call that otherwise.
    fn in_our_words(&self, error: anyhow::Error, dir: &ModelDir) -> anyhow::Error {
        let (place, found, expected, advice) = match error.downcast_ref() {
            Some(EvaluateError::TooLong { place, found, expected, .. }) => {
                (place, found, expected, format!("--too-long truncate reads the first {expected}"))
            }
            Some(EvaluateError::TooLongSentence { place, found, expected, .. }) => {
                (place, found, expected, "--too-long windows reads them in windows".to_owned())
            }
            _ => return error,
        };
        let bound = match (self.max_length, dir.max_length()) {
            (Some(_), _) => "as --max-length says".to_owned(),
            (None, Some(_)) => format!("what {} was fine-tuned with", dir.name()),
            (None, None) => format!("the context of {}", dir.name()),
        };
        anyhow!("{place}: {found} tokens, expected at most {expected}, {bound}; {advice}")
    }

    fn load(
        &self,
        dir: &ModelDir,
        is_tagger: bool,
        max_length: Option<NonZeroUsize>,
    ) -> anyhow::Result<Model> {
        let (model, codec) = dir.load()?;
        let loaded = Loaded::new(dir.name(), dir.seed, model, codec)?;
        let too_long = match self.too_long {
            Some(Longer::Refuse) => TooLong::Refuse,
            Some(Longer::Truncate) => TooLong::Truncate,
            Some(Longer::Windows) => TooLong::Windows,
            None if is_tagger => TooLong::Windows,
            None => TooLong::Refuse,
        };
        Ok(if is_tagger {
            Model::Tagger {
                tagger: Tagger::new(loaded, max_length, too_long, Decoding::Legal)?,
                rule: match self.words {
                    None | Some(Words::Unicode) => WordRule::Unicode,
                    Some(Words::Whitespace) => WordRule::Whitespace,
                },
            }
        } else {
            Model::Classifier(Classifier::new(loaded, max_length, too_long)?)
        })
    }

    fn said(&self, done: &Done, dir: &ModelDir, is_tagger: bool, seconds: f64) -> String {
        let Done { rows, entities, cut } = done;
        let rate = *rows as f64 / seconds.max(1e-3);
        let mut said = format!("{rows} rows, {rate:.1} rows/s, by {}", dir.name());
        if is_tagger {
            said += &format!("; {entities} entities");
        }
        if *cut > 0 {
            let texts = if *cut == 1 { "text" } else { "texts" };
            said += &format!("; of {cut} {texts} only the first tokens were read");
        }
        if let Some(path) = &self.output {
            said += &format!("; {}", path.display());
        }
        said
    }
}

impl Done {
    fn add(&mut self, answers: &Answers) {
        self.rows += answers.num_rows();
        self.entities += answers.num_entities();
        self.cut += answers.num_cut();
    }
}
