//! What is dropped in training: as often as asked, by nothing but its place, and the same however a step is computed.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use model::{
    Activation, BertConfig, Checkpoint, CpuModel, Dropout, Gpt2Config, Gradients, Head,
    LlamaConfig, ModelConfig, NumericProfile, Sequences, TokenBatch,
    cpu::{Cpu, Tensor},
    dropout::{Mask, Place},
    ops::Ops,
};
use pipelines::seed::Seed;

fn dropout(seed: u64, step: u64) -> Dropout {
    Dropout { seed: Seed::new(seed, "test"), step }
}

/// What the kernel makes of ones, for so many tokens of one sequence, at this site and rate.
fn kept(dropout: Dropout, (site, rate): (u32, f64), sequence: u64, size: [u32; 2]) -> Vec<f32> {
    let places: Vec<_> = (0..size[0]).map(|position| Place { sequence, position }).collect();
    let mut cpu = Cpu::new(NumericProfile::resolve()).unwrap();
    let [rows, cols] = size.map(|size| size as usize);
    let mut x = Tensor::new(rows, cols, vec![1.0; rows * cols]);
    cpu.dropout(&mut x, Mask::new(dropout, site, rate, &places));
    x.values().to_vec()
}

#[test]
fn the_share_that_is_dropped_is_the_rate() {
    for rate in [0.01, 0.1, 0.5, 0.9] {
        let found = kept(dropout(1, 2), (3, rate), 4, [1000, 640]);
        let scale = found.iter().copied().fold(0.0, f32::max);
        assert!((f64::from(scale) * (1.0 - rate) - 1.0).abs() < 1e-6, "{scale}");
        assert!(found.iter().all(|value| *value == 0.0 || *value == scale));
        // Of the 64 numbers whose draws are made at once, each in 10,000 groups.
        let (draws, mut excess, mut all) = (10_000.0, 0.0, 0.0);
        for column in 0..64 {
            let dropped = found.iter().skip(column).step_by(64).filter(|value| **value == 0.0);
            let off = dropped.count() as f64 - draws * rate;
            excess += off * off / (draws * rate * (1.0 - rate));
            all += off;
        }
        let error = (64.0 * draws * rate * (1.0 - rate)).sqrt();
        assert!(all.abs() < 5.0 * error, "{rate}: {all} off, with a standard error of {error}");
        // Chi-square of 64 degrees of freedom, within five of its standard deviations.
        assert!((excess - 64.0).abs() < 5.0 * 128f64.sqrt(), "{rate}: {excess}");
    }
}

#[test]
fn masks_differ_by_seed_step_site_sequence_and_position() {
    let of =
        |seed, step, site, sequence| kept(dropout(seed, step), (site, 0.5), sequence, [64, 64]);
    let one = of(1, 2, 3, 4);
    assert_eq!(one, of(1, 2, 3, 4));
    let mut others = vec![of(2, 2, 3, 4), of(1, 3, 3, 4), of(1, 2, 4, 4), of(1, 2, 3, 5)];
    // Each row against the next.
    others.push(one[64..].iter().chain(&one[..64]).copied().collect());
    for (at, other) in others.iter().enumerate() {
        let same = one.iter().zip(other).filter(|(one, other)| one == other).count() as f64;
        // Five standard errors of a fair coin that is thrown 4096 times.
        assert!((same - 2048.0).abs() < 5.0 * 32.0, "{at}: {same}");
    }
    let parts = |part| -> Vec<f64> {
        let places = [Place { sequence: 4, position: 0 }];
        let mask = Mask::new(dropout(1, 2), 3, 0.5, &places);
        mask.factors(part, 0).take(64).collect()
    };
    assert_ne!(parts(0), parts(1));
}

fn labels() -> Vec<String> {
    ["no", "yes", "so"].map(str::to_owned).to_vec()
}

fn llama(head: Head) -> ModelConfig {
    let config = LlamaConfig {
        vocab_size: 60,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 6,
        max_position_embeddings: 128,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.1,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: false,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    config.into()
}

fn bert(head: Head) -> ModelConfig {
    let config = BertConfig {
        vocab_size: 60,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        max_position_embeddings: 128,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.1,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head,
    };
    config.into()
}

fn gpt2(head: Head) -> ModelConfig {
    let config = Gpt2Config {
        vocab_size: 60,
        n_positions: 128,
        n_embd: 24,
        n_layer: 3,
        n_head: 4,
        n_inner: Some(40),
        activation_function: Activation::GeluNew,
        layer_norm_epsilon: 1e-5,
        initializer_range: 0.1,
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: false,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    config.into()
}

/// Every family with every head that it learns by, and this rate.
fn models(rate: f64) -> Vec<CpuModel> {
    let classes = || Head::SequenceClassification { labels: labels() };
    let tags = || Head::TokenClassification { labels: labels() };
    let configs = [
        llama(Head::CausalLm),
        llama(classes()),
        llama(tags()),
        bert(Head::MaskedLm),
        bert(classes()),
        bert(tags()),
        gpt2(Head::CausalLm),
        gpt2(classes()),
        gpt2(tags()),
    ];
    let model = |config: ModelConfig| {
        let fresh = Checkpoint::fresh(config.with_dropout(rate), 1).unwrap();
        CpuModel::from_checkpoint(fresh).unwrap()
    };
    configs.into_iter().map(model).collect()
}

/// Three texts that have no token in common, the last of more queries than attention takes at once.
fn texts() -> Vec<Vec<u32>> {
    [(0u32, 5), (20, 1), (40, 71)]
        .map(|(first, len)| (0..len).map(|at| first + at * at % 20).collect())
        .to_vec()
}

/// Loss and gradients of some of the texts, which are numbered 50, 51, 52 whichever there are.
fn accumulate(model: &mut CpuModel, which: &[usize]) -> (f64, Gradients<Tensor>) {
    let mut gradients = model.gradients();
    let texts = texts();
    let numbers: Vec<u64> = which.iter().map(|text| 50 + *text as u64).collect();
    let loss = if let Head::SequenceClassification { .. } = model.config().head() {
        let mut sequences: Sequences = which.iter().map(|text| &texts[*text]).collect();
        sequences.number(&numbers).unwrap();
        let labels: Vec<u32> = which.iter().map(|text| [2, 0, 1][*text]).collect();
        model.accumulate_classes(&sequences, &labels, &mut gradients).unwrap()
    } else {
        let mut batch = TokenBatch::new();
        for text in which.iter().map(|text| &texts[*text]) {
            let targets: Vec<_> = text.iter().map(|id| (id % 4 != 1).then_some(id % 3)).collect();
            batch.push(text, &targets).unwrap();
        }
        batch.number(&numbers).unwrap();
        model.accumulate_tokens(&batch, &mut gradients).unwrap()
    };
    (loss.nats, gradients)
}

fn assert_same(found: &Gradients<Tensor>, expected: &Gradients<Tensor>) {
    for (found, expected) in found.iter().zip(expected.iter()) {
        assert!(found.value == expected.value, "{}", found.name);
    }
}

#[test]
fn a_sequence_drops_the_same_alone_and_beside_others_and_in_any_order() {
    // A tied output projection would bring the other texts into the embeddings of these tokens.
    let is_tied = |model: &CpuModel| *model.config().head() == Head::MaskedLm;
    for mut model in models(0.2).into_iter().filter(|model| !is_tied(model)) {
        model.drop_out(Some(dropout(1, 7)));
        let name = model.config().architecture();
        let batches = [[0, 1, 2], [2, 1, 0]].map(|which| accumulate(&mut model, &which).1);
        for (which, text) in texts().iter().enumerate() {
            let (_, alone) = accumulate(&mut model, &[which]);
            // Its tokens are its own, and so are the rows of their embeddings.
            let rows = |gradients: &Gradients<Tensor>| -> Vec<f32> {
                let table = gradients.iter().next().unwrap().value.as_ref().unwrap();
                let row = |id: &u32| &table.values()[*id as usize * 24..][..24];
                text.iter().flat_map(row).copied().collect()
            };
            let expected = rows(&alone);
            assert!(batches.iter().all(|batch| rows(batch) == expected), "{name}: {which}");
        }
    }
}

#[test]
fn no_rate_no_dropout_and_losses_alone_are_the_same_bits() {
    for (mut model, mut dropping) in models(0.0).into_iter().zip(models(0.3)) {
        let (loss, expected) = accumulate(&mut model, &[0, 1, 2]);
        let (found, gradients) = accumulate(&mut dropping, &[0, 1, 2]);
        assert_eq!(found, loss, "no dropout was asked for");
        assert_same(&gradients, &expected);
        model.drop_out(Some(dropout(1, 7)));
        let (found, gradients) = accumulate(&mut model, &[0, 1, 2]);
        assert_eq!(found, loss);
        assert_same(&gradients, &expected);
        dropping.drop_out(Some(dropout(1, 7)));
        let sequences: Sequences = texts().iter().collect();
        let hidden = model.hidden_states(&sequences).unwrap();
        assert_eq!(dropping.hidden_states(&sequences).unwrap(), hidden);
        // A Llama that classifies sequences drops of its attention alone, a GPT-2 of all but what the head reads.
        assert_ne!(accumulate(&mut dropping, &[0, 1, 2]).0, loss);
    }
}

#[test]
fn steps_and_numbers_have_masks_of_their_own() {
    for mut model in models(0.3) {
        let mut losses = Vec::new();
        for step in [7, 8] {
            model.drop_out(Some(dropout(1, step)));
            losses.push(accumulate(&mut model, &[2]).0);
        }
        assert_ne!(losses[0], losses[1], "{}", model.config().architecture());
    }
    let mut model = models(0.3).swap_remove(4);
    model.drop_out(Some(dropout(1, 7)));
    let losses = [3, 4].map(|number| {
        let mut sequences: Sequences = texts()[..1].iter().collect();
        sequences.number(&[number]).unwrap();
        let mut gradients = model.gradients();
        model.accumulate_classes(&sequences, &[1], &mut gradients).unwrap().nats
    });
    assert_ne!(losses[0], losses[1]);
}

#[test]
fn threads_and_recomputation_change_no_bit() {
    let in_pool = |threads: usize, model: &mut CpuModel| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| accumulate(model, &[0, 1, 2]))
    };
    for mut model in models(0.2) {
        model.drop_out(Some(dropout(1, 7)));
        let (loss, expected) = in_pool(1, &mut model);
        for (threads, recompute) in [(2, false), (4, false), (1, true), (4, true)] {
            model.recompute(recompute);
            let (found, gradients) = in_pool(threads, &mut model);
            assert_eq!(found, loss);
            assert_same(&gradients, &expected);
        }
    }
}

#[test]
fn nothing_is_learnt_where_nothing_is_predicted() {
    let by_tokens = |model: &CpuModel| !model.config().architecture().contains("Sequence");
    for mut model in models(0.2).into_iter().filter(by_tokens) {
        model.drop_out(Some(dropout(1, 7)));
        let (mut batch, mut gradients) = (TokenBatch::new(), model.gradients());
        batch.push(&[1, 2, 3], &[None; 3]).unwrap();
        assert_eq!(model.accumulate_tokens(&batch, &mut gradients).unwrap().counted, 0);
        let tensors = gradients.iter().filter_map(|entry| entry.value.as_ref());
        assert!(tensors.flat_map(|tensor| tensor.values()).all(|value| *value == 0.0));
    }
}

#[test]
fn there_is_a_number_for_each_sequence() {
    let mut sequences: Sequences = texts().iter().collect();
    let error = sequences.number(&[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "2 numbers were given; expected 3, one for each sequence");
}
