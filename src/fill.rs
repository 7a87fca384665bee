//! `seedbed fill`: guesses the masked tokens of a text.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use codec::{Codec, TextStream};
use model::{Candidate, Head, Sampling, SequenceForm, SpecialIds};
use serde_json::json;

use crate::cli::{Threads, text_or_stdin};
use crate::model_dir::ModelDir;
use crate::show;

#[derive(Args)]
pub struct Command {
    /// The directory of a masked language model: out/STEP/checkpoint, or one that `transformers` loads
    model: PathBuf,
    /// A text with the model's mask token, such as `[MASK]`, wherever one is to be guessed [default: standard input, without
    /// the line end behind it]
    #[arg(long)]
    text: Option<String>,
    /// How many guesses for each mask, the most probable first
    #[arg(long, default_value = "5")]
    top: NonZeroUsize,
    /// Say everything as JSON, an object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// A guess for one mask.
struct Guess {
    /// Which mask of the text, from 1.
    mask: usize,
    candidate: Candidate,
    /// The text of the token.
    token: String,
    /// The whole text with the token in place of the mask; other masks stay.
    text: String,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let dir = ModelDir::open(&self.model, None)?;
        if *dir.config().head() != Head::MaskedLm {
            return Err(dir.refuse_head("a masked language model (…ForMaskedLM)", "fill"));
        }
        let text = text_or_stdin(self.text.clone(), "--text")?;
        let guesses = self.threads.pool()?.install(|| self.guess(&dir, &text))?;
        for guess in guesses {
            let Guess { mask, candidate: Candidate { id, probability }, token, text } = guess;
            show::line(if self.json {
                json!({ "mask": mask, "token_id": id, "token": token, "probability": probability, "text": text })
                    .to_string()
            } else {
                // One line each, whatever is in the text.
                let text = text.replace(['\n', '\r'], " ");
                format!("{mask}  {probability:.4}  {:<16}  {text}", format!("{token:?}"))
            })?;
        }
        Ok(())
    }

    fn guess(&self, dir: &ModelDir, text: &str) -> anyhow::Result<Vec<Guess>> {
        let (mut model, codec) = dir.load()?;
        let mask = codec.mask();
        let mask = mask.with_context(|| format!("{} names no mask token", dir.name()))?;
        let special = SpecialIds { eos: codec.eos(), cls: codec.cls(), sep: codec.sep() };
        let form = SequenceForm::of(model.config(), special).map_err(|role| {
            anyhow::anyhow!("{} names no {role}, expected one in every text", dir.name())
        })?;
        let sequence = form.join(&codec.encode_masked(text)?, None);
        let masks: Vec<usize> = places(&sequence.tokens, mask);
        let spelling = codec.token(mask).unwrap_or_default();
        ensure!(
            !masks.is_empty(),
            "found no {spelling} in the text, expected at least one: the model guesses what stands there"
        );
        let (found, context) = (sequence.tokens.len(), model.config().max_position_embeddings());
        if found > context {
            bail!(
                "found a text of {found} tokens, expected at most {context}: more do not fit the context of {}",
                dir.name()
            );
        }
        let logits = model.logits(&[&sequence].into_iter().collect())?;
        let vocab_size = model.config().vocab_size();
        let mut guesses = Vec::new();
        for (number, place) in masks.into_iter().enumerate() {
            let all =
                Sampling::default().candidates(&logits[place * vocab_size..][..vocab_size])?;
            for candidate in all.into_iter().take(self.top.get()) {
                guesses.push(Guess {
                    mask: number + 1,
                    candidate,
                    token: token_text(&codec, candidate.id)?,
                    text: filled(
                        &codec,
                        (text, &spelling),
                        number,
                        &sequence.tokens[..place],
                        candidate.id,
                    )?,
                });
            }
        }
        Ok(guesses)
    }
}

/// Where `mask` stands.
fn places(tokens: &[u32], mask: u32) -> Vec<usize> {
    let all = tokens.iter().enumerate();
    all.filter(|(_, id)| **id == mask).map(|(place, _)| place).collect()
}

/// The text of one token; of a special one, its name.
fn token_text(codec: &Codec, id: u32) -> anyhow::Result<String> {
    match codec.token(id) {
        Some(token) if codec.is_special(id) => Ok(token),
        Some(_) => Ok(codec.decode(&[id])?),
        // Models may have more tokens than their tokenizers.
        None => Ok(String::new()),
    }
}

/// The text with token `id` in place of its mask number `mask`, from 0; `before` are the tokens before it.
fn filled(
    codec: &Codec,
    (text, spelling): (&str, &str),
    mask: usize,
    before: &[u32],
    id: u32,
) -> anyhow::Result<String> {
    let pieces: Vec<&str> = text.split(spelling).collect();
    let (left, right) = (pieces[..=mask].join(spelling), pieces[mask + 1..].join(spelling));
    let mut token = match codec.token(id) {
        // With the space before it, where it begins a word.
        Some(_) if !codec.is_special(id) => TextStream::behind(codec, before)?.push(id)?,
        spelling => spelling.unwrap_or_default(),
    };
    if left.is_empty() || left.ends_with(char::is_whitespace) {
        token = token.trim_start().to_owned();
    }
    Ok(left + &token + &right)
}
