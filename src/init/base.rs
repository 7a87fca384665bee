//! The model that is pre-trained, and for how long, by how much text there is and what it is to learn.

use serde::Serialize;

/// Vocabulary, shape and batch by how much text there is.
struct Size {
    /// Smallest text in bytes that they are for.
    from: u64,
    vocabulary: &'static str,
    shape: &'static str,
    /// Tokens of a sequence of a causal model.
    seq_len: u64,
    /// Sequences of a step of a causal model.
    sequences: u64,
}

/// The first one that is for so much text is taken.
const SIZES: [Size; 3] = [
    Size {
        from: 100_000_000,
        vocabulary: "16_384",
        shape: "hidden_size = 384, num_hidden_layers = 6, num_attention_heads = 6",
        seq_len: 512,
        sequences: 16,
    },
    Size {
        from: 10_000_000,
        vocabulary: "8192",
        shape: "hidden_size = 256, num_hidden_layers = 4, num_attention_heads = 4",
        seq_len: 256,
        sequences: 16,
    },
    Size {
        from: 0,
        vocabulary: "2048",
        shape: "hidden_size = 128, num_hidden_layers = 3, num_attention_heads = 4",
        seq_len: 256,
        sequences: 8,
    },
];

/// A token is about so many bytes of text.
const TOKEN_BYTES: u64 = 4;
/// Tokens of a sequence of a masked model: about what a sentence and its neighbours have.
const MASKED_SEQ_LEN: u64 = 128;
/// How often a masked model reads the corpus: it learns from three tokens in ten each time.
const MASKED_PASSES: u64 = 4;
/// Fewest optimizer steps of a run, and most: what a processor does in minutes, and in hours.
const STEPS: std::ops::RangeInclusive<u64> = 50..=20_000;

/// A pre-training step as the manifest says it.
#[derive(Serialize)]
pub struct Base {
    is_masked: bool,
    vocabulary: &'static str,
    shape: &'static str,
    seq_len: u64,
    sequences: u64,
    peak_lr: &'static str,
    warmup_steps: u64,
    decay_steps: u64,
    total_steps: u64,
    eval_every: u64,
    /// How often the corpus is read, with one digit behind the point.
    passes: String,
}

impl Base {
    /// For so many bytes of text; a masked model if words are to be tagged.
    pub fn new(text_bytes: u64, is_masked: bool) -> Self {
        let size = SIZES.iter().find(|size| text_bytes >= size.from).unwrap_or(&SIZES[2]);
        let tokens_per_step = size.seq_len * size.sequences;
        let (seq_len, passes) =
            if is_masked { (MASKED_SEQ_LEN, MASKED_PASSES) } else { (size.seq_len, 1) };
        let total_steps = (text_bytes * passes / TOKEN_BYTES / tokens_per_step)
            .clamp(*STEPS.start(), *STEPS.end());
        let read_bytes = (total_steps * tokens_per_step * TOKEN_BYTES) as f64;
        Self {
            is_masked,
            vocabulary: size.vocabulary,
            shape: size.shape,
            seq_len,
            sequences: tokens_per_step / seq_len,
            peak_lr: if is_masked { "1e-3" } else { "2e-3" },
            warmup_steps: total_steps / 20,
            decay_steps: total_steps / 5,
            total_steps,
            eval_every: (total_steps / 5).max(1),
            passes: format!("{:.1}", read_bytes / text_bytes.max(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_text_has_a_larger_model_and_a_longer_run() {
        let [little, some, much] =
            [1_000, 20_000_000, 1_000_000_000].map(|bytes| Base::new(bytes, false));
        assert_eq!((little.total_steps, little.vocabulary), (*STEPS.start(), "2048"));
        assert_eq!((some.total_steps, some.passes.as_str()), (1220, "1.0"));
        assert_eq!((much.total_steps, much.vocabulary), (*STEPS.end(), "16_384"));
    }

    #[test]
    fn a_masked_model_reads_shorter_sequences_more_often() {
        let (causal, masked) = (Base::new(20_000_000, false), Base::new(20_000_000, true));
        assert_eq!(masked.seq_len * masked.sequences, causal.seq_len * causal.sequences);
        assert_eq!((masked.seq_len, masked.passes.as_str()), (128, "4.0"));
    }
}
