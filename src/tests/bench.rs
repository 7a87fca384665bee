//! `seedbed bench model` on models of every family that take no time.

use std::fs;

use serde_json::{Value, json};

use crate::project::Project;

fn config(architecture: &str, rest: Value) -> String {
    let mut config = json!({ "architectures": [architecture], "vocab_size": 300 });
    config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    config.to_string()
}

fn configs() -> [(&'static str, String); 3] {
    let sizes = json!({
        "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 32,
    });
    let with = |more: Value| {
        let mut all = sizes.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let llama = with(json!({ "model_type": "llama", "tie_word_embeddings": true }));
    let gpt2 =
        json!({ "model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32 });
    let bert = with(json!({ "model_type": "bert", "type_vocab_size": 2 }));
    ["LlamaForCausalLM", "GPT2LMHeadModel", "BertForMaskedLM"]
        .into_iter()
        .zip([llama, gpt2, bert])
        .map(|(name, rest)| (name, config(name, rest)))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn a_model_of_each_family_is_timed() {
    for (architecture, config) in configs() {
        let project = Project::new("");
        fs::write(project.path("config.json"), config).unwrap();
        let bench = ["bench", "model", "--config", "config.json", "--batch-size", "2"];
        let json = project.seedbed(&[&bench[..], &["--steps", "1", "--json"]].concat());
        let found: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(found["architecture"], architecture);
        assert_eq!(found["seq_len"], 32, "the model's context is shorter than 256");
        assert_eq!(found["losses"].as_array().unwrap().len(), 3);
        for number in ["tokens_per_s", "gflops", "gemm_peak_gflops", "step_s", "parameters"] {
            assert!(found[number].as_f64().unwrap() > 0.0, "{architecture}: {number}");
        }
        let said = project.seedbed(&[&bench[..], &["--steps", "1"]].concat());
        assert!(said.contains("step 3: loss ") && said.contains(" tokens/s"), "{said}");
    }
}

#[test]
fn what_cannot_be_timed_is_told_before_it_is_tried() {
    let project = Project::new("");
    let [(_, llama), ..] = configs();
    fs::write(project.path("config.json"), &llama).unwrap();
    let bench = ["bench", "model", "--config", "config.json"];
    let long = project.refused(&[&bench[..], &["--seq-len", "33"]].concat());
    assert!(
        long.contains("--seq-len: found 33, expected at most the model's context, 32"),
        "{long}"
    );
    let huge = llama.replace("\"num_hidden_layers\":2", "\"num_hidden_layers\":2000000000");
    fs::write(project.path("config.json"), huge).unwrap();
    let refused = project.refused(&bench);
    assert!(refused.contains("bytes of memory"), "{refused}");
}
