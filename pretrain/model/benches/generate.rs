//! Speed of generating, in tokens per second: the prompt at once, then a token at a time.
//!
//! `cargo bench -p model --bench generate -- [threads]`

use std::time::Instant;

use model::{Checkpoint, CpuModel, Head, LlamaConfig, Result, Sampling};

const PROMPT: u32 = 128;
const TOKENS: u64 = 256;

/// 34.6 million parameters.
fn llama() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 16_384,
        hidden_size: 512,
        intermediate_size: 1408,
        num_hidden_layers: 8,
        num_attention_heads: 8,
        num_key_value_heads: 8,
        head_dim: 64,
        max_position_embeddings: 1024,
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

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(measure)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn measure() -> Result<()> {
    let mut model = CpuModel::from_checkpoint(Checkpoint::fresh(llama(), 1)?)?;
    let prompt: Vec<u32> = (0..PROMPT).collect();
    for (name, sampling) in [
        ("greedy", Sampling { temperature: 0.0, ..Sampling::default() }),
        ("top_p = 0.9", Sampling { top_p: 0.9, ..Sampling::default() }),
    ] {
        let mut cache = model.kv_cache();
        let start = Instant::now();
        let mut logits = model.next_logits(&prompt, &mut cache)?;
        let read = start.elapsed().as_secs_f64();
        for at in 0..TOKENS {
            let token = sampling.choose(&logits, at as f64 / TOKENS as f64)?;
            logits = model.next_logits(&[token], &mut cache)?;
        }
        let generated = start.elapsed().as_secs_f64() - read;
        println!(
            "{name}: {:.0} tokens/s of the prompt, {:.1} tokens/s after it",
            f64::from(PROMPT) / read,
            TOKENS as f64 / generated
        );
    }
    Ok(())
}
