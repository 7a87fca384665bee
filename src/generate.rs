//! `seedbed generate`: goes on with a text.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use codec::{Codec, TextStream};
use model::{CpuModel, Head, KvCache, ModelConfig, Sampling, cpu::Tensor};
use pipelines::context::Cancel;
use pipelines::seed::Seed;
use serde_json::json;

use crate::cli::{Threads, Voice, text_or_stdin};
use crate::model_dir::ModelDir;
use crate::show;
use crate::worker::{check, stop_on_signals};

/// Tokens of a prompt that are read between two looks whether to stop.
const PROMPT_TOKENS: usize = 256;

#[derive(Args)]
pub struct Command {
    /// The directory of a causal language model: out/STEP/checkpoint, or one that `transformers` loads
    model: PathBuf,
    /// The text to go on with [default: standard input, without the line end behind it]
    #[arg(long)]
    prompt: Option<String>,
    /// What logits are divided by: below 1 is bolder, 0 always takes the most probable token
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Draw from so many of the most probable tokens [default: from all]
    #[arg(long)]
    top_k: Option<NonZeroUsize>,
    /// Draw from the fewest tokens that together have at least this probability
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Where random choices start from: the same seed gives the same text
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Most tokens of a text, the prompt apart
    #[arg(long, default_value_t = 128)]
    max_tokens: usize,
    /// How many texts
    #[arg(long, default_value = "1")]
    num_samples: NonZeroUsize,
    /// Read the prompt alone, without the token before it that begins a text
    #[arg(long)]
    no_bos: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    voice: Voice,
}

/// Why a text ends.
#[derive(Clone, Copy)]
enum End {
    TextEnded,
    MaxTokens,
    ContextFull(usize),
}

impl End {
    /// A word for programs.
    fn name(self) -> &'static str {
        match self {
            Self::TextEnded => "end-of-text",
            Self::MaxTokens => "max-tokens",
            Self::ContextFull(_) => "context-full",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextEnded => write!(f, "the model ended the text"),
            Self::MaxTokens => write!(f, "as many as --max-tokens allows"),
            Self::ContextFull(tokens) => {
                write!(f, "the context is full: with the prompt it holds {tokens} tokens")
            }
        }
    }
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let sampling =
            Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p };
        sampling.validate()?;
        let dir = ModelDir::open(&self.model, None)?;
        if *dir.config().head() != Head::CausalLm {
            return Err(
                dir.refuse_head("a causal language model (…ForCausalLM, …LMHeadModel)", "generate")
            );
        }
        let prompt = text_or_stdin(self.prompt.clone(), "--prompt")?;
        let (model, codec) = dir.load()?;
        let prompt = self.read_prompt(&dir, &codec, prompt)?;
        let stops = stops(&codec, model.config());
        let cancel = stop_on_signals()?;
        let pool = self.threads.pool()?;
        let mut writer =
            Writer { model, codec, sampling, stops, max_tokens: self.max_tokens, cancel };
        pool.install(|| self.write(&mut writer, &prompt))
    }

    fn read_prompt(&self, dir: &ModelDir, codec: &Codec, text: String) -> anyhow::Result<Prompt> {
        let config = dir.config();
        let first = match (self.no_bos, codec.bos().or(codec.eos())) {
            (true, _) => None,
            (false, None) => stops(codec, config).first().copied(),
            (false, first) => first,
        };
        let mut ids: Vec<u32> = first.into_iter().collect();
        ids.extend(codec.encode(&text)?);
        let context = config.max_position_embeddings();
        if ids.is_empty() {
            bail!("found an empty prompt, expected a text: nothing begins one (--no-bos)");
        }
        if ids.len() > context {
            bail!(
                "found a prompt of {} tokens{}, expected at most {context}: more do not fit the context of {}",
                ids.len(),
                if first.is_some() { " with the one that begins a text" } else { "" },
                dir.name()
            );
        }
        Ok(Prompt { text, ids })
    }

    fn write(&self, writer: &mut Writer, prompt: &Prompt) -> anyhow::Result<()> {
        let (cache, logits) = writer.read(prompt)?;
        for sample in 0..self.num_samples.get() {
            let seed = Draws { seed: Seed::new(self.seed, "generate"), sample: sample as u64 };
            let started = Instant::now();
            if sample > 0 && !self.voice.json && !show::text("\n")? {
                // Whoever read it has gone.
                return Ok(());
            }
            let mut show = |new: &str| if self.voice.json { Ok(true) } else { show::text(new) };
            let start = (cache.clone(), logits.clone());
            let Some(written) = writer.write(prompt, start, seed, &mut show)? else {
                return Ok(());
            };
            let seconds = started.elapsed().as_secs_f64();
            if !self.say(sample, prompt, &written, seconds)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Says what was written, or how it ended; returns whether anyone reads it.
    fn say(
        &self,
        sample: usize,
        prompt: &Prompt,
        written: &Written,
        seconds: f64,
    ) -> anyhow::Result<bool> {
        let Written { text, num_tokens, end } = written;
        if self.voice.json {
            let said = json!({
                "sample": sample, "prompt": prompt.text, "text": text, "tokens": num_tokens, "end": end.name(),
            });
            return show::text(&format!("{said}\n"));
        }
        let is_read = show::text("\n")?;
        if !self.voice.quiet {
            let rate = *num_tokens as f64 / seconds.max(1e-3);
            // Whoever closed standard error does not want the line.
            let _ = writeln!(io::stderr(), "{num_tokens} tokens, {rate:.1} tokens/s; {end}");
        }
        Ok(is_read)
    }
}

/// Tokens that end a text: those of the model's config, and that of its tokenizer.
fn stops(codec: &Codec, config: &ModelConfig) -> Vec<u32> {
    let of_model = match config {
        ModelConfig::Llama(config) => config.eos_token_id.clone(),
        ModelConfig::Gpt2(config) => config.eos_token_id.clone(),
        ModelConfig::Bert(_) => Vec::new(),
    };
    of_model.into_iter().chain(codec.eos()).collect()
}

struct Prompt {
    text: String,
    /// With the token that begins a text.
    ids: Vec<u32>,
}

/// Random numbers of one text: a function of the seed, the text's number, and the token's.
#[derive(Clone, Copy)]
struct Draws {
    seed: Seed,
    sample: u64,
}

/// A text that is written.
struct Written {
    text: String,
    num_tokens: usize,
    end: End,
}

struct Writer {
    model: CpuModel,
    codec: Codec,
    sampling: Sampling,
    stops: Vec<u32>,
    max_tokens: usize,
    cancel: Cancel,
}

impl Writer {
    /// Reads the prompt; gives what the model keeps of it, and the logits of the token that follows.
    fn read(&mut self, prompt: &Prompt) -> anyhow::Result<(KvCache<Tensor>, Vec<f32>)> {
        let (mut cache, mut logits) = (self.model.kv_cache(), Vec::new());
        for tokens in prompt.ids.chunks(PROMPT_TOKENS) {
            check(&self.cancel)?;
            logits = self.model.next_logits(tokens, &mut cache)?;
        }
        Ok((cache, logits))
    }

    /// Goes on until the text ends, and shows what is new of it; `None` if nobody looks any more.
    fn write(
        &mut self,
        prompt: &Prompt,
        (mut cache, mut logits): (KvCache<Tensor>, Vec<f32>),
        draws: Draws,
        show: &mut dyn FnMut(&str) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Option<Written>> {
        let mut stream = TextStream::behind(&self.codec, &prompt.ids)?;
        let (mut text, mut num_tokens) = (String::new(), 0);
        let context = self.model.config().max_position_embeddings();
        let end = loop {
            check(&self.cancel)?;
            if num_tokens == self.max_tokens {
                break End::MaxTokens;
            }
            if prompt.ids.len() + num_tokens == context {
                break End::ContextFull(context);
            }
            let token =
                self.sampling.choose(&logits, draws.seed.unit(draws.sample, num_tokens as u64))?;
            if self.stops.contains(&token) {
                break End::TextEnded;
            }
            num_tokens += 1;
            // A model may have more tokens than its tokenizer, which stand for nothing.
            let new = if (token as usize) < self.codec.vocab_size() {
                stream.push(token)?
            } else {
                String::new()
            };
            if !show(&new)? {
                return Ok(None);
            }
            text.push_str(&new);
            if num_tokens < self.max_tokens && prompt.ids.len() + num_tokens < context {
                logits = self.model.next_logits(&[token], &mut cache)?;
            }
        };
        let rest = stream.finish()?;
        text.push_str(&rest);
        Ok(show(&rest)?.then_some(Written { text, num_tokens, end }))
    }
}
