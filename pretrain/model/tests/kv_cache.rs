//! Reading a text a few tokens at a time gives what reading it at once gives.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use model::{
    Activation, BertConfig, Checkpoint, CpuModel, Gpt2Config, Head, LlamaConfig, Model,
    ModelConfig, ModelError, NumericProfile, cpu::Cpu, device::Device, ops::Ops, oracle::Oracle,
};
use pipelines::seed::Seed;

fn cpu() -> Cpu {
    Cpu::new(NumericProfile::resolve()).unwrap()
}

/// Large enough that every kernel splits its work, and that attention has several blocks.
fn llama() -> ModelConfig {
    let config = LlamaConfig {
        vocab_size: 700,
        hidden_size: 72,
        intermediate_size: 560,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: 3,
        head_dim: 12,
        max_position_embeddings: 700,
        rope_theta: 500.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.2,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: false,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    };
    config.into()
}

fn gpt2() -> ModelConfig {
    let config = Gpt2Config {
        vocab_size: 700,
        n_positions: 700,
        n_embd: 72,
        n_layer: 2,
        n_head: 6,
        n_inner: Some(560),
        activation_function: Activation::GeluNew,
        layer_norm_epsilon: 1e-5,
        initializer_range: 0.2,
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    };
    config.into()
}

const FAMILIES: [fn() -> ModelConfig; 2] = [llama, gpt2];

fn model<O: Ops>(config: ModelConfig, ops: O) -> Model<O> {
    Model::new(Checkpoint::fresh(config, 1).unwrap(), ops).unwrap()
}

fn text(len: u64) -> Vec<u32> {
    let seed = Seed::new(3, "text");
    (0..len).map(|at| u32::try_from(seed.below(700, 0, at)).unwrap()).collect()
}

/// Logits behind each cut of the text, which is read from cut to cut.
fn pieces<O: Ops>(model: &mut Model<O>, text: &[u32], cuts: &[usize]) -> Vec<Vec<f32>> {
    let mut cache = model.kv_cache();
    let mut begin = 0;
    cuts.iter()
        .map(|&cut| {
            let logits = model.next_logits(&text[begin..cut], &mut cache).unwrap();
            begin = cut;
            assert_eq!(cache.len(), cut);
            logits
        })
        .collect()
}

/// Logits behind each cut, of the text that is read whole.
fn whole<O: Ops>(model: &mut Model<O>, text: &[u32], cuts: &[usize]) -> Vec<Vec<f32>> {
    let logits = model.logits(&[text].into_iter().collect()).unwrap();
    let rows: Vec<&[f32]> = logits.chunks_exact(700).collect();
    cuts.iter().map(|&cut| rows[cut - 1].to_vec()).collect()
}

#[test]
fn a_text_read_in_pieces_gives_the_bits_of_the_whole_text() {
    let text = text(700);
    let one_by_one: Vec<usize> = (1..=text.len()).collect();
    for family in FAMILIES {
        for cuts in [&one_by_one[..], &[1, 2, 63, 64, 65, 129, 130, 600, 601, 700], &[700]] {
            let mut model = model(family(), cpu());
            let expected = whole(&mut model, &text, cuts);
            for (found, expected) in pieces(&mut model, &text, cuts).iter().zip(&expected) {
                assert!(found == expected, "{}, {} cuts", family().architecture(), cuts.len());
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for family in FAMILIES {
        let on_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let cuts = [150, 151, 152, 200];
            pool.install(|| pieces(&mut model(family(), cpu()), &text(200), &cuts))
        };
        assert!(on_threads(1) == on_threads(3), "{}", family().architecture());
    }
}

#[test]
fn the_oracle_goes_on_as_it_reads() {
    let (text, cuts) = (text(40), [7, 8, 9, 30, 40]);
    // Both are rounded from `f64`.
    let check = |expected: &[Vec<f32>], found: &[Vec<f32>], tolerance: f32| {
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() <= tolerance, "{found} {expected}");
        }
    };
    for family in FAMILIES {
        let mut oracle = model(family(), Oracle);
        let expected = whole(&mut oracle, &text, &cuts);
        check(&expected, &pieces(&mut oracle, &text, &cuts), 1e-6);
        check(&expected, &pieces(&mut model(family(), cpu()), &text, &cuts), 1e-4);
    }
}

#[test]
fn a_device_goes_on_as_the_cpu_reads() {
    let (text, cuts) = (text(700), [1, 2, 255, 256, 257, 400, 690, 691, 700]);
    for family in FAMILIES {
        let expected = whole(&mut model(family(), cpu()), &text, &cuts);
        let mut device = model(family(), Device::cpu());
        for found in [whole(&mut device, &text, &cuts), pieces(&mut device, &text, &cuts)] {
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() <= 1e-4, "{found} {expected}");
            }
        }
    }
}

#[test]
fn copies_of_a_cache_go_on_from_one_beginning() {
    let mut model = model(llama(), cpu());
    let mut cache = model.kv_cache();
    model.next_logits(&[5, 6, 7], &mut cache).unwrap();
    let mut copy = cache.clone();
    model.next_logits(&[9], &mut copy).unwrap();
    let found = model.next_logits(&[8], &mut cache).unwrap();
    assert_eq!(found, whole(&mut model, &[5, 6, 7, 8], &[4])[0]);
    assert_eq!((cache.len(), copy.len(), model.kv_cache().is_empty()), (4, 4, true));
}

#[test]
fn what_cannot_be_read_is_refused_and_changes_nothing() {
    for family in FAMILIES {
        refuses(family());
    }
}

#[track_caller]
fn refuses(config: ModelConfig) {
    let mut model = model(config, cpu());
    let mut cache = model.kv_cache();
    model.next_logits(&text(699), &mut cache).unwrap();
    let mut refused = |tokens: &[u32], words: &str| {
        let error = model.next_logits(tokens, &mut cache).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    };
    refused(&[], "sequence 0 is empty");
    refused(&[700], "token 0 is id 700; expected an id below");
    refused(&[1, 2], "sequence 0 has 701 tokens; the model's context holds 700");
    assert_eq!(cache.len(), 699);
    assert!(model.next_logits(&[1], &mut cache).is_ok());
}

#[test]
fn only_a_causal_language_model_goes_on() {
    let bert = BertConfig {
        vocab_size: 7,
        hidden_size: 4,
        intermediate_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: 8,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head: Head::MaskedLm,
    };
    let classifier = Checkpoint::fresh(llama(), 1).unwrap();
    let classifier = classifier.into_token_classifier(vec!["O".to_owned()], 1).unwrap();
    for checkpoint in [Checkpoint::fresh(bert, 1).unwrap(), classifier] {
        let mut model = CpuModel::from_checkpoint(checkpoint).unwrap();
        let mut cache = model.kv_cache();
        let error = model.next_logits(&[1], &mut cache).unwrap_err();
        assert!(matches!(error, ModelError::WrongHead { .. }), "{error}");
    }
}
