//! Speed of training steps and of evaluation, in tokens per second.
//!
//! `cargo bench -p model --bench step -- [threads]`

use std::time::Instant;

use model::{
    BertConfig, Checkpoint, CpuModel, Gradients, Head, LlamaConfig, LossSum, MuonConfig,
    NumericProfile, Optimizer, OptimizerConfig, Result, Sequences, SgdConfig, TokenBatch,
    cpu::Tensor,
};

const STEPS: usize = 3;

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

/// The shape of MiniLM-L6: 22.7 million parameters, half of them in the embedding of tokens.
fn minilm() -> BertConfig {
    BertConfig {
        vocab_size: 30_522,
        hidden_size: 384,
        intermediate_size: 1536,
        num_hidden_layers: 6,
        num_attention_heads: 12,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head: Head::MaskedLm,
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(measure)?;
    Ok(())
}

fn measure() -> Result<()> {
    let mut batch = TokenBatch::new();
    (0..16).for_each(|_| batch.push_window(&text(257, 8192)));
    let model = Checkpoint::fresh(llama(), 1)?;
    let adamw = OptimizerConfig::default();
    for config in [&adamw, &MuonConfig::default().into(), &SgdConfig::default().into()] {
        let (what, tokens) = ("llama, next tokens", batch.sequences().tokens().len());
        steps(what, (model.clone(), config), tokens, |model, gradients| {
            model.accumulate_tokens(&batch, gradients)
        })?;
    }

    let fresh = Checkpoint::fresh(minilm(), 1)?;
    let labels = ["no", "yes"].map(str::to_owned).to_vec();
    let texts: Sequences = (0..32).map(|_| text(128, 30_522)).collect();
    let classes: Vec<u32> = (0..32).map(|at| at % 2).collect();
    let classifier = fresh.clone().into_classifier(labels, 1)?;
    steps(
        "minilm, classes of texts",
        (classifier, &adamw),
        texts.tokens().len(),
        |model, gradients| model.accumulate_classes(&texts, &classes, gradients),
    )?;

    let mut batch = TokenBatch::new();
    for _ in 0..32 {
        let text = text(128, 30_522);
        let masked = |(at, id): (usize, &u32)| (at % 7 == 0).then_some(*id);
        batch.push(&text, &text.iter().enumerate().map(masked).collect::<Vec<_>>())?;
    }
    steps(
        "minilm, masked tokens",
        (fresh, &adamw),
        batch.sequences().tokens().len(),
        |model, gradients| model.accumulate_tokens(&batch, gradients),
    )
}

/// What `SEEDBED_PROFILE` says, such as `x86-v4-bf16`, or the best in f32.
fn profile() -> NumericProfile {
    let named = |name: String| serde_json::from_value(name.into()).ok();
    std::env::var("SEEDBED_PROFILE").ok().and_then(named).unwrap_or_else(NumericProfile::resolve)
}

fn text(len: u32, vocab_size: u32) -> Vec<u32> {
    (0..len).map(|at| at * at % vocab_size).collect()
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn steps(
    what: &str,
    (checkpoint, config): (Checkpoint, &OptimizerConfig),
    tokens: usize,
    mut accumulate: impl FnMut(&mut CpuModel, &mut Gradients<Tensor>) -> Result<LossSum>,
) -> Result<()> {
    let mut model = CpuModel::with_profile(checkpoint, profile())?;
    let mut gradients = model.gradients();
    let mut optimizer = Optimizer::new(config.clone(), &gradients)?;
    for _ in 0..STEPS {
        let start = Instant::now();
        gradients.clear();
        let loss = accumulate(&mut model, &mut gradients)?;
        let middle = start.elapsed();
        optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3)?;
        let whole = start.elapsed();
        println!(
            "{what}: {:.0} tokens/s, of {:.0} ms {} {:.0}",
            tokens as f64 / whole.as_secs_f64(),
            whole.as_secs_f64() * 1e3,
            config.kind(),
            (whole - middle).as_secs_f64() * 1e3
        );
    }
    Ok(())
}
