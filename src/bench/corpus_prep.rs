//! `seedbed bench corpus-prep`: the speed of filters.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ::corpus_prep::cascade::Cascade;
use ::corpus_prep::edit::C4Lines;
use ::corpus_prep::filters::Filters;
use ::corpus_prep::read::rows::{NamedRows, RowFormat};
use ::corpus_prep::rule::Rules;
use ::corpus_prep::signal::Dialect;
use anyhow::{Context, anyhow, ensure};
use clap::Args;
use rayon::prelude::*;
use serde_json::json;

use crate::cli::{Threads, Voice};
use crate::show;

/// What is filtered where no file is named: this program's own documentation, as many times as take about a second.
const DOCUMENTATION: [&str; 4] = [
    include_str!("../../README.md"),
    include_str!("../../ARCHITECTURE.md"),
    include_str!("../../docs/formats.md"),
    include_str!("../../corpus-prep/README.md"),
];

/// Copies of it.
const COPIES: usize = 100;

/// The column of texts.
const TEXT: &str = "text";

/// Times that everything is judged; the median counts.
const ROUNDS: usize = 3;

#[derive(Args)]
pub struct Command {
    /// The filters, as a manifest names them
    #[arg(long, default_value = "fineweb")]
    filters: String,
    /// How words are cut, as a manifest names it
    #[arg(long, default_value = "uax29")]
    dialect: String,
    /// A file of rows with the column `text`: JSON lines, CSV or Parquet [default: this program's documentation]
    #[arg(long)]
    input: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    voice: Voice,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let filters: Filters = named("--filters", &self.filters)?;
        let dialect: Dialect = named("--dialect", &self.dialect)?;
        let texts = match &self.input {
            Some(path) => read(path)?,
            None => DOCUMENTATION.repeat(COPIES).into_iter().map(str::to_owned).collect(),
        };
        ensure!(!texts.is_empty(), "--input: found no texts, expected one at least");
        let pool = self.threads.pool()?;
        let threads = pool.current_num_threads();
        let mut rounds = Vec::new();
        let mut kept = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            kept = pool.install(|| judge(&texts, filters, dialect))?;
            rounds.push(start.elapsed().as_secs_f64());
        }
        rounds.sort_by(f64::total_cmp);
        let seconds = rounds[ROUNDS / 2];
        let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
        let [mb_per_s, documents_per_s] = [megabytes, texts.len() as f64].map(|all| all / seconds);
        if self.voice.json {
            return show::line(json!({
                "filters": filters, "dialect": dialect, "threads": threads,
                "documents": texts.len(), "megabytes": megabytes, "kept": kept,
                "mb_per_s": mb_per_s, "documents_per_s": documents_per_s,
            }));
        }
        show::line(format_args!(
            "{} documents of {megabytes:.1} MB, {kept} kept; {threads} threads\n\
             {mb_per_s:.1} MB/s, {documents_per_s:.0} documents/s, {:.1} MB/s a thread",
            texts.len(),
            mb_per_s / threads as f64,
        ))
    }
}

/// What a manifest would call `name`.
fn named<T: serde::de::DeserializeOwned>(option: &str, name: &str) -> anyhow::Result<T> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).with_context(|| format!("{option}: found `{name}`"))
}

/// The texts of a file.
fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let format = RowFormat::of(&path.display().to_string())?;
    let rows = NamedRows::open(path, format, &[TEXT])?;
    rows.must_have_texts(TEXT)?;
    rows.map(|row| Ok(row?.text(TEXT)?.to_owned())).collect()
}

/// How many texts are kept.
fn judge(texts: &[String], filters: Filters, dialect: Dialect) -> anyhow::Result<usize> {
    let (rules, lines) = (Rules::default(), C4Lines::default());
    let cascade = || Cascade::new(filters, &rules, &lines, dialect);
    cascade().map_err(|signal| anyhow!("nobody measures the signal `{signal}`"))?;
    let is_kept = |cascade: &mut Option<Cascade>, text: &String| {
        cascade.as_mut().is_some_and(|cascade| cascade.judge(text).first_failed().is_none())
    };
    let kept = texts.par_iter().map_init(|| cascade().ok(), is_kept);
    Ok(kept.filter(|kept| *kept).count())
}
