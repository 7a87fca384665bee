//! `seedbed convert`: a model of llama.cpp's form in the layout of Hugging Face's libraries.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use codec::{
    Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VocabularyFile, tokenizer_files_of_gguf,
};
use model::Checkpoint;
use model::checkpoint::Gguf;

use crate::show;
use crate::whole_dir::WholeDir;
use crate::worker::{check, stop_on_signals};

/// Files of a tokenizer; the first has to be there.
const TOKENIZER_FILES: [&str; 3] = [TOKENIZER_JSON, TOKENIZER_CONFIG_JSON, "chat_template.jinja"];

#[derive(Args)]
pub struct Command {
    /// A GGUF file of a Llama, quantized or not
    file: PathBuf,
    /// The directory to write; nothing may be there yet
    dir: PathBuf,
    /// Take the tokenizer from this directory, and not the vocabulary in the file: its tokenizer.json, and beside it
    /// tokenizer_config.json and chat_template.jinja where they are there
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        WholeDir::require_free(&self.dir)?;
        let gguf = Gguf::open(&self.file)?;
        let tokenizer = match &self.tokenizer {
            Some(dir) => read_tokenizer(dir)?,
            None => tokenizer_files_of_gguf(gguf.metadata())
                .with_context(|| {
                    format!("cannot use the vocabulary of {} (--tokenizer)", self.file.display())
                })?
                .into(),
        };
        let num_tokens = self.num_tokens(&tokenizer)?;
        let checkpoint = gguf.checkpoint()?;
        let rows = checkpoint.config.vocab_size();
        ensure!(
            num_tokens <= rows,
            "{}: found a tokenizer of {num_tokens} tokens, expected at most the {rows} of the model",
            self.tokenizer.as_ref().unwrap_or(&self.file).display()
        );
        let cancel = stop_on_signals()?;
        let dir = WholeDir::create(&self.dir)?;
        for file in tokenizer {
            let path = dir.partial().join(file.name);
            let written = fs::write(&path, file.bytes);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        checkpoint.write(dir.partial())?;
        check(&cancel)?;
        dir.publish()?;
        self.say(&gguf, &checkpoint, num_tokens)
    }

    /// How many tokens a tokenizer has that can be used.
    fn num_tokens(&self, tokenizer: &[VocabularyFile]) -> anyhow::Result<usize> {
        let file = |name: &str| {
            tokenizer.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice())
        };
        let bytes = file(TOKENIZER_JSON).unwrap_or_default();
        let codec = Codec::load(bytes, file(TOKENIZER_CONFIG_JSON)).with_context(|| {
            let from = self.tokenizer.as_ref().unwrap_or(&self.file);
            format!("cannot use the tokenizer of {}", from.display())
        })?;
        Ok(codec.vocab_size())
    }

    fn say(&self, gguf: &Gguf, checkpoint: &Checkpoint, num_tokens: usize) -> anyhow::Result<()> {
        let types: Vec<String> =
            gguf.types().iter().map(|(name, count)| format!("{count} {name}")).collect();
        show::line(format!(
            "{}: a {} of {:.1} million parameters (tensors: {}), {num_tokens} tokens",
            self.dir.display(),
            checkpoint.config.architecture(),
            checkpoint.weights.num_values() as f64 / 1e6,
            types.join(", ")
        ))?;
        let cannot = || format!("cannot read {}", self.dir.display());
        let mut written = Vec::new();
        for entry in fs::read_dir(&self.dir).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let bytes = entry.metadata().with_context(cannot)?.len();
            written.push((entry.file_name().to_string_lossy().into_owned(), bytes));
        }
        written.sort();
        for (name, bytes) in written {
            show::line(format!("  {name}  {}", show::bytes(bytes as f64)))?;
        }
        Ok(())
    }
}

/// The files of a tokenizer that stand in a directory.
fn read_tokenizer(dir: &Path) -> anyhow::Result<Vec<VocabularyFile>> {
    let mut files = Vec::new();
    for name in TOKENIZER_FILES {
        let path = dir.join(name);
        if name == TOKENIZER_JSON || path.exists() {
            let bytes = fs::read(&path);
            let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
            files.push(VocabularyFile { name, bytes });
        }
    }
    Ok(files)
}
