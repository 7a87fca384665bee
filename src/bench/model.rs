//! `seedbed bench model`: the speed of training steps.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use model::{
    Checkpoint, Dropout, Footprint, Freeze, Head, LlamaConfig, Local, ModelConfig, NumericProfile,
    OptimizerConfig, TokenBatch, peak,
};
use pipelines::error::TaskError;
use pipelines::seed::Seed;
use pretrain::learner::{Learner, Measured};
use serde_json::json;

use super::memory::{self, Resident};
use crate::cli::{Threads, Voice};
use crate::run::available_memory;
use crate::show;

/// Learning rate of the steps.
const LR: f64 = 3e-4;

/// Of a masked language model, every such token is guessed: as many as masks usually hide.
const MASKED_EVERY: usize = 7;

/// Steps before the timed ones: the first take memory.
const WARM_UP: usize = 2;

#[derive(Args)]
pub struct Command {
    /// The config.json of a model [default: a Llama of 13.8 million parameters]
    #[arg(long)]
    config: Option<PathBuf>,
    /// The numbers that matrix products multiply; weights and sums are f32 in both
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// Sequences of a step
    #[arg(long, default_value = "16")]
    batch_size: NonZeroUsize,
    /// Tokens of a sequence [default: 256, or the model's context where that is shorter]
    #[arg(long)]
    seq_len: Option<NonZeroUsize>,
    /// Steps that are timed, after two that are not
    #[arg(long, default_value = "5")]
    steps: NonZeroUsize,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    voice: Voice,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
}

impl Dtype {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// The arithmetic of this processor with such numbers.
    fn profile(self) -> anyhow::Result<NumericProfile> {
        match self {
            Self::F32 => Ok(NumericProfile::resolve()),
            Self::Bf16 if NumericProfile::X86V4Bf16.is_here() => Ok(NumericProfile::X86V4Bf16),
            Self::Bf16 => bail!(
                "--dtype bf16: found a processor without AVX512-BF16, expected one that has it, or --dtype f32"
            ),
        }
    }
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let profile = self.dtype.profile()?;
        let config = self.model_config()?;
        let context = config.max_position_embeddings();
        let seq_len = self.seq_len.map_or(context.min(256), NonZeroUsize::get);
        ensure!(
            seq_len <= context,
            "--seq-len: found {seq_len}, expected at most the model's context, {context}"
        );
        let pool = self.threads.pool()?;
        let shape = Shape { config, sequences: self.batch_size.get(), seq_len };
        let threads = pool.current_num_threads();
        let bench = pool.install(|| self.measure(shape, profile))?;
        if self.voice.json {
            return show::line(bench.json(self.dtype, profile, threads));
        }
        if !self.voice.quiet {
            for (step, loss) in bench.losses.iter().enumerate() {
                show::line(format_args!("step {}: loss {loss:.4} nats/token", step + 1))?;
            }
        }
        show::line(bench.words(profile, threads))
    }

    fn model_config(&self) -> anyhow::Result<ModelConfig> {
        let Some(path) = &self.config else { return Ok(llama().into()) };
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = ModelConfig::from_json(&bytes, path)?;
        let head = config.language_head();
        Ok(config.with_head(head))
    }

    fn measure(&self, shape: Shape, profile: NumericProfile) -> anyhow::Result<Bench> {
        let before = memory::resident();
        let optimizer = OptimizerConfig::default();
        let footprint = Footprint {
            optimizer: &optimizer,
            freeze: &Freeze::default(),
            micro_batches: 1,
            tokens: shape.tokens() as u64,
            recompute: false,
        };
        model::require_memory(&shape.config, &footprint, Some(available_memory()))?;
        let checkpoint = Checkpoint::fresh(shape.config.clone(), 0)?;
        let parameters = checkpoint.weights.num_values();
        let mut learner = Learner::new(checkpoint, optimizer, profile, Box::new(Local))?;
        let mut losses = Vec::new();
        let mut seconds = Vec::new();
        for step in 0..WARM_UP + self.steps.get() {
            let start = Instant::now();
            // What the config says is dropped out, as in training.
            let seed = Seed::new(0, "bench/dropout");
            learner.model.drop_out(Some(Dropout { seed, step: step as u64 }));
            let filled = |_: u64, batch: &mut TokenBatch| shape.fill(step as u64, batch);
            let Measured { loss, .. } =
                learner.step(1, LR, filled).map_err(anyhow::Error::from_boxed)?;
            seconds.push(start.elapsed().as_secs_f64());
            losses.push(loss);
        }
        let step_s = median(seconds.split_off(WARM_UP));
        let memory = memory::resident();
        // Only now, so that its factors are not among the memory of the steps.
        let gemm_peak_gflops = peak::gemm_gflops(profile)?;
        Ok(Bench { shape, parameters, losses, step_s, before, memory, gemm_peak_gflops })
    }
}

/// A model, and what it reads in a step.
struct Shape {
    config: ModelConfig,
    sequences: usize,
    seq_len: usize,
}

impl Shape {
    fn tokens(&self) -> usize {
        self.sequences * self.seq_len
    }

    /// Random tokens for a step.
    fn fill(&self, step: u64, batch: &mut TokenBatch) -> Result<(), TaskError> {
        let seed = Seed::new(0, "bench/tokens");
        let bound = self.config.vocab_size() as u64;
        let per_sequence = self.seq_len as u64 + 1;
        for sequence in 0..self.sequences as u64 {
            let first = sequence * per_sequence;
            let token = |at| u32::try_from(seed.below(bound, step, at)).unwrap_or_default();
            let window: Vec<u32> = (first..first + per_sequence).map(token).collect();
            match self.config.language_head() {
                Head::MaskedLm => {
                    let text = &window[1..];
                    let masked = |at: usize| at.is_multiple_of(MASKED_EVERY);
                    let target = |(at, &id)| masked(at).then_some(id);
                    let targets: Vec<_> = text.iter().enumerate().map(target).collect();
                    batch.push(text, &targets)?;
                }
                _ => batch.push_window(&window),
            }
        }
        Ok(())
    }

    /// Floating-point operations of a step, a multiplication and an addition being two: six for each weight that a token meets
    /// in a matrix, the output projection where there is a target, and attention over the tokens that are seen.
    fn flops(&self, parameters: usize) -> f64 {
        let config = &self.config;
        let (hidden, tokens) = (config.hidden_size() as f64, self.tokens() as f64);
        let projection = config.vocab_size() as f64 * hidden;
        let (targets, seen) = match config.language_head() {
            Head::MaskedLm => (tokens / MASKED_EVERY as f64, self.seq_len as f64),
            _ => (tokens, self.seq_len as f64 / 2.0),
        };
        let looked_up = config.embedding_rows() as f64 * hidden;
        let projected = if config.ties_word_embeddings() { 0.0 } else { projection };
        let matrices = parameters as f64 - looked_up - projected;
        let attention = 12.0 * config.num_hidden_layers() as f64 * hidden * seen;
        (6.0 * matrices + attention) * tokens + 6.0 * projection * targets
    }
}

/// What was measured.
struct Bench {
    shape: Shape,
    parameters: usize,
    losses: Vec<f64>,
    /// Median of the timed steps.
    step_s: f64,
    before: Option<Resident>,
    memory: Option<Resident>,
    gemm_peak_gflops: f64,
}

impl Bench {
    fn tokens_per_s(&self) -> f64 {
        self.shape.tokens() as f64 / self.step_s
    }

    fn gflops(&self) -> f64 {
        self.shape.flops(self.parameters) / self.step_s / 1e9
    }

    fn json(&self, dtype: Dtype, profile: NumericProfile, threads: usize) -> serde_json::Value {
        let megabytes = |memory: Option<f64>| memory.map(|bytes| bytes / 1e6);
        let above = self.memory.zip(self.before).map(|(after, before)| after.most - before.now);
        json!({
            "architecture": self.shape.config.architecture(), "parameters": self.parameters,
            "dtype": dtype.name(), "numeric_profile": profile, "threads": threads,
            "batch_size": self.shape.sequences, "seq_len": self.shape.seq_len,
            "step_s": self.step_s, "tokens_per_s": self.tokens_per_s(), "gflops": self.gflops(),
            "gemm_peak_gflops": self.gemm_peak_gflops,
            "peak_rss_mb": megabytes(self.memory.map(|memory| memory.most)),
            "peak_rss_above_start_mb": megabytes(above), "losses": self.losses,
        })
    }

    fn words(&self, profile: NumericProfile, threads: usize) -> String {
        let Shape { config, sequences, seq_len } = &self.shape;
        let memory = self.memory.map_or_else(String::new, |memory| {
            format!("; {} of memory at most", show::bytes(memory.most))
        });
        format!(
            "{}, {:.1} million parameters, {profile}, {threads} threads, steps of {sequences} x {seq_len} tokens\n\
             {:.0} tokens/s, {:.3} s a step\n\
             {:.0} GFLOP/s, {:.0} % of the {:.0} that large matrix products reach here{memory}",
            config.architecture(),
            self.parameters as f64 / 1e6,
            self.tokens_per_s(),
            self.step_s,
            self.gflops(),
            self.gflops() / self.gemm_peak_gflops * 100.0,
            self.gemm_peak_gflops,
        )
    }
}

/// 13.8 million parameters.
fn llama() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 8192,
        hidden_size: 384,
        intermediate_size: 1024,
        num_hidden_layers: 6,
        num_attention_heads: 6,
        num_key_value_heads: 6,
        head_dim: 64,
        max_position_embeddings: 256,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
    }

    #[test]
    fn a_tied_model_has_six_operations_for_each_parameter_of_a_matrix() {
        let shape = Shape { config: llama().into(), sequences: 16, seq_len: 256 };
        let attention = 12.0 * 6.0 * 384.0 * 128.0;
        let expected = (6.0 * 13_767_552.0 + attention) * 4096.0;
        assert_eq!(shape.flops(13_767_552), expected);
    }

    #[test]
    fn an_output_projection_of_its_own_changes_no_operations() {
        let flops = |tie_word_embeddings, parameters| {
            let config = LlamaConfig { tie_word_embeddings, ..llama() }.into();
            Shape { config, sequences: 2, seq_len: 8 }.flops(parameters)
        };
        assert_eq!(flops(true, 13_767_552), flops(false, 13_767_552 + 8192 * 384));
    }
}
