//! How well a model predicts text.

/// Entropy of a unigram distribution in nats per token: `-Σ p ln p` with `p` the share of each token. What a model
/// reaches that knows only how frequent tokens are. 0 without tokens.
pub fn unigram_entropy(counts: &[u64]) -> f64 {
    let total: u64 = counts.iter().sum();
    let of_token = |&count: &u64| {
        let share = count as f64 / total as f64;
        -share * libm::log(share)
    };
    // `abs` turns the -0 of a single kind of token, or of none, into 0.
    counts.iter().filter(|&&count| count > 0).map(of_token).sum::<f64>().abs()
}

/// `exp(nats / tokens)`: negative log-likelihood in nats over predicted tokens.
pub fn perplexity(nats: f64, tokens: u64) -> f64 {
    libm::exp(nats / tokens as f64)
}

/// `nats / (bytes ln 2)`: negative log-likelihood in nats over the UTF-8 bytes of the text, whatever the tokens.
pub fn bits_per_byte(nats: f64, bytes: u64) -> f64 {
    nats / (bytes as f64 * std::f64::consts::LN_2)
}
