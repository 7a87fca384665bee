//! What is not trained: it does not change, it has no gradients, and those of the rest are the same bits as without it.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

use model::{
    Activation, AdamWConfig, BertConfig, Checkpoint, CpuModel, Freeze, Gpt2Config, Gradients, Head,
    LlamaConfig, LossSum, MuonConfig, Optimizer, OptimizerConfig, Part, Sequences, SgdConfig,
    TokenBatch, assert_gradients, cpu::Tensor, read_state, write_state,
};

fn labels() -> Vec<String> {
    ["no", "yes", "so"].map(str::to_owned).to_vec()
}

fn llama(head: Head) -> CpuModel {
    let config = LlamaConfig {
        vocab_size: 60,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 6,
        max_position_embeddings: 64,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.1,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap()
}

fn bert(head: Head) -> CpuModel {
    let config = BertConfig {
        vocab_size: 60,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        max_position_embeddings: 64,
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
    CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap()
}

fn gpt2(head: Head) -> CpuModel {
    let config = Gpt2Config {
        vocab_size: 60,
        n_positions: 64,
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
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap()
}

fn models() -> Vec<CpuModel> {
    let classes = || Head::SequenceClassification { labels: labels() };
    let tags = || Head::TokenClassification { labels: labels() };
    vec![
        llama(Head::CausalLm),
        llama(classes()),
        llama(tags()),
        bert(Head::MaskedLm),
        bert(classes()),
        bert(tags()),
        gpt2(Head::CausalLm),
        gpt2(classes()),
        gpt2(tags()),
    ]
}

/// All that can be frozen of three layers.
fn freezes() -> impl Iterator<Item = Freeze> {
    let layers = (0..=3).flat_map(|layers| [false, true].map(|embeddings| (embeddings, layers)));
    layers.map(|(embeddings, layers)| Freeze { embeddings, layers })
}

fn texts() -> Vec<Vec<u32>> {
    [1u32, 7, 23].map(|len| (0..len).map(|at| (at * at + len) % 60).collect()).to_vec()
}

fn accumulate(model: &mut CpuModel, gradients: &mut Gradients<Tensor>) -> LossSum {
    gradients.clear();
    match model.config().head() {
        Head::SequenceClassification { .. } => {
            let sequences: Sequences = texts().iter().collect();
            model.accumulate_classes(&sequences, &[2, 0, 1], gradients).unwrap()
        }
        _ => {
            let mut batch = TokenBatch::new();
            for text in texts() {
                let targets: Vec<_> =
                    text.iter().map(|id| (id % 4 != 1).then_some(id % 3)).collect();
                batch.push(&text, &targets).unwrap();
            }
            model.accumulate_tokens(&batch, gradients).unwrap()
        }
    }
}

fn is_frozen(freeze: &Freeze, part: Part) -> bool {
    match part {
        Part::Embeddings => freeze.embeddings,
        Part::Layer(layer) => layer < freeze.layers,
        Part::Neck | Part::Head => false,
    }
}

#[test]
fn what_is_frozen_has_no_gradient_and_the_others_the_same_bits() {
    for mut model in models() {
        let mut all = model.gradients();
        let loss = accumulate(&mut model, &mut all);
        for freeze in freezes() {
            let mut gradients = model.gradients_except(&freeze).unwrap();
            // Once more, so that memory of the step before cannot show.
            accumulate(&mut model, &mut gradients);
            assert_eq!(accumulate(&mut model, &mut gradients), loss);
            for (entry, whole) in gradients.iter().zip(all.iter()) {
                let said = format!("{} {freeze:?}", entry.name);
                assert_eq!(entry.value.is_none(), is_frozen(&freeze, entry.part), "{said}");
                if entry.value.is_some() {
                    assert!(entry.value == whole.value, "{said}");
                }
            }
            assert_gradients(&gradients).unwrap();
        }
    }
}

#[test]
fn activations_that_are_made_again_change_no_bit() {
    for mut model in models() {
        for freeze in freezes() {
            let mut gradients = model.gradients_except(&freeze).unwrap();
            model.recompute(false);
            let loss = accumulate(&mut model, &mut gradients);
            let kept = gradients.clone();
            model.recompute(true);
            // Once more, so that memory of the step before cannot show.
            accumulate(&mut model, &mut gradients);
            assert_eq!(accumulate(&mut model, &mut gradients), loss);
            for (entry, kept) in gradients.iter().zip(kept.iter()) {
                assert!(entry.value == kept.value, "{} {freeze:?}", entry.name);
            }
        }
    }
}

fn configs() -> [OptimizerConfig; 3] {
    [AdamWConfig::default().into(), MuonConfig::default().into(), SgdConfig::default().into()]
}

/// Steps from the beginning, with a restart after each.
fn train(
    model: &mut CpuModel,
    config: &OptimizerConfig,
    freeze: &Freeze,
    stretches: &[usize],
) -> Vec<u8> {
    let mut gradients = model.gradients_except(freeze).unwrap();
    let fresh = || Optimizer::new(config.clone(), &gradients).unwrap();
    let fresh = || fresh().with_layer_lr_decay(0.8).unwrap();
    let (first, others) = (fresh(), stretches.iter().map(|_| fresh()).collect::<Vec<_>>());
    let (mut optimizer, mut state) = (first, Vec::new());
    for (steps, next) in stretches.iter().zip(others) {
        for _ in 0..*steps {
            let loss = accumulate(model, &mut gradients);
            optimizer.step(model.weights_mut(), &gradients, loss.counted, 1e-3).unwrap();
        }
        state.clear();
        write_state(&mut state, b"", model, &optimizer).unwrap();
        optimizer = next;
        let mut other = CpuModel::from_checkpoint(model.to_checkpoint()).unwrap();
        other.weights_mut().iter_mut().for_each(|entry| entry.value.values_mut().fill(0.5));
        read_state(&state, Path::new("state"), &mut other, &mut optimizer).unwrap();
        *model = other;
    }
    state
}

#[test]
fn four_steps_are_two_then_saved_loaded_and_two() {
    let freezes = [Freeze::default(), Freeze { embeddings: true, layers: 1 }];
    for (config, freeze) in configs().iter().flat_map(|it| freezes.iter().map(move |f| (it, f))) {
        for model in
            [llama, bert].map(|family| family(Head::TokenClassification { labels: labels() }))
        {
            let again = || CpuModel::from_checkpoint(model.to_checkpoint()).unwrap();
            let whole = train(&mut again(), config, freeze, &[4]);
            assert!(whole == train(&mut again(), config, freeze, &[2, 2]), "{}", config.kind());
        }
    }
}

#[test]
fn what_is_frozen_does_not_change() {
    let freeze = Freeze { embeddings: true, layers: 2 };
    for mut model in models() {
        let before = model.to_checkpoint();
        for config in configs() {
            train(&mut model, &config, &freeze, &[2]);
        }
        for (entry, before) in model.to_checkpoint().weights.iter().zip(before.weights.iter()) {
            let is_same = entry.value == before.value;
            assert_eq!(is_same, is_frozen(&freeze, entry.part), "{}", entry.name);
        }
    }
}

#[test]
fn more_layers_than_there_are_cannot_be_frozen() {
    let freeze = Freeze { embeddings: false, layers: 4 };
    let error = llama(Head::CausalLm).gradients_except(&freeze).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`freeze.layers` is 4; expected at most 3, the layers of the model"
    );
}
