//! Speed of training steps and of evaluation, in tokens per second.
//!
//! `cargo bench -p model -- [threads]`

use std::time::Instant;

use model::{AdamW, AdamWConfig, CausalBatch, Checkpoint, CpuLlama, Head, LlamaConfig};

/// Sequences of a step, and tokens of each.
const BATCH: usize = 16;
const SEQ_LEN: usize = 256;
const STEPS: usize = 3;

/// 13.8 million parameters.
fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 8192,
        hidden_size: 384,
        intermediate_size: 1024,
        num_hidden_layers: 6,
        num_attention_heads: 6,
        num_key_value_heads: 6,
        head_dim: 64,
        max_position_embeddings: SEQ_LEN,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.02,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(measure)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn measure() -> Result<(), model::ModelError> {
    let mut model = CpuLlama::from_checkpoint(Checkpoint::fresh(config(), 1)?)?;
    let mut optimizer = AdamW::new(AdamWConfig::default(), model.weights())?;
    let mut gradients = model.gradients();
    let mut batch = CausalBatch::new();
    let window: Vec<u32> = (0..=256u32).map(|at| at * at % 8192).collect();
    (0..BATCH).for_each(|_| batch.push_window(&window));
    for _ in 0..STEPS {
        let start = Instant::now();
        gradients.clear();
        let loss = model.accumulate_causal(&batch, &mut gradients)?;
        let middle = start.elapsed();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3)?;
        report("train", start);
        println!("  of which optimizer {:.0} ms", (start.elapsed() - middle).as_secs_f64() * 1e3);
        let start = Instant::now();
        model.causal_loss(&batch)?;
        report("evaluate", start);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn report(what: &str, start: Instant) {
    let tokens = (BATCH * SEQ_LEN) as f64;
    println!("{what}: {:.0} tokens/s", tokens / start.elapsed().as_secs_f64());
}
