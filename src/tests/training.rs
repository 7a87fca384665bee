//! All five stages on made-up text: from raw files to a measured model.

use std::fs;

use crate::project::{Project, documents, labelled};

const MANIFEST: &str = r#"
name = "training"
seed = 7

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
filters = "none"

[steps.labels.corpus-prep]
examples = { task = "sequence-classification", train = "train.jsonl", validation = "validation.jsonl", test = "test.jsonl" }

[steps.vocab.tokenize]
train = { documents = "clean", size = 320 }

[steps.shards.tokenize]
documents = "clean"
vocabulary = "vocab"
validation = 0.1

[steps.base.pretrain]
shards = "shards"
model = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 64 }
seq_len = 64
micro_batch_size = 4
eval_every = 20
save_every = 7
schedule = { peak_lr = 3e-3, warmup_steps = 5, decay_steps = DECAY, total_steps = TOTAL }

[steps.tuned.finetune]
model = "base"
examples = "labels"
epochs = 2
seeds = [1, 2]

[steps.scratch.finetune]
model = "base"
init = "scratch"
examples = "labels"
epochs = 2
seeds = [1, 2]

[steps.report.evaluate]
models = ["tuned", "scratch"]
examples = "labels"
baselines = ["tfidf"]
language_models = ["base"]
shards = "shards"
"#;

fn manifest(total_steps: u64, decay_steps: u64) -> String {
    MANIFEST.replace("TOTAL", &total_steps.to_string()).replace("DECAY", &decay_steps.to_string())
}

/// A project with all five stages and data for them.
pub fn project(total_steps: u64, decay_steps: u64) -> Project {
    let project = Project::new(&manifest(total_steps, decay_steps));
    for file in 0..4 {
        project
            .write(&format!("data/{file}.jsonl"), documents(file * 60, file * 60 + 60).as_bytes());
    }
    project.write("train.jsonl", labelled(0, 60).as_bytes());
    project.write("validation.jsonl", labelled(60, 80).as_bytes());
    project.write("test.jsonl", labelled(80, 120).as_bytes());
    project
}

#[test]
fn one_manifest_makes_a_measured_model() {
    let project = project(40, 10);
    let said = project.seedbed(&["run"]);
    for word in ["tuned", "scratch", "tfidf", "accuracy", "bits/byte"] {
        assert!(said.contains(word), "{said:?} does not say {word:?}");
    }
    for file in ["config.json", "model.safetensors", "tokenizer.json", "metrics.jsonl"] {
        assert!(project.path("out/base/checkpoint").join(file).exists(), "{file}");
        assert!(project.path("out/tuned/checkpoint/seed-1").join(file).exists(), "{file}");
    }
    check_predictions(&project);
    let written = project.seedbed(&["generate", "out/base", "--prompt", "the river"]);
    assert!(written.len() > 20, "{written:?}");
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    project.seedbed(&["run", "--quiet", "--workers", "1", "--out", "one"]);
    assert!(
        project.artifacts("out") == project.artifacts("one"),
        "one worker gives other bytes than several"
    );
}

/// Predicts the test rows with one seed of the tuned model: it must be right as often as the results say.
fn check_predictions(project: &Project) {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let said = project.seedbed(&["predict", "out/tuned", "--input", "test.jsonl", "--seed", "2"]);
    let rows = fs::read_to_string(project.path("test.jsonl")).unwrap();
    let pairs = said.lines().map(parse).zip(rows.lines().map(parse));
    let right = pairs.filter(|(predicted, row)| predicted["label"] == row["label"]).count();
    let results = fs::read_to_string(project.path("out/report/results/results.json")).unwrap();
    let results = parse(&results);
    let models = results["classification"]["models"].as_array().unwrap();
    let tuned = models.iter().find(|model| model["model"] == "tuned").unwrap();
    let seed = tuned["seeds"].as_array().unwrap().iter().find(|seed| seed["seed"] == 2).unwrap();
    let found = right as f64 / said.lines().count() as f64;
    assert!((seed["accuracy"].as_f64().unwrap() - found).abs() < 1e-12, "{found} {seed}");
}

/// Runs `from` steps, extends to `to`, and compares with a run of `to` from nothing; the plan must say `words`.
fn check_extension(from: u64, to: u64, decay_steps: u64, words: &str) {
    let project = project(from, decay_steps);
    project.seedbed(&["run", "--quiet"]);
    project.write("pipeline.toml", manifest(to, decay_steps).as_bytes());
    let plan = project.seedbed(&["plan"]);
    assert!(plan.contains(words), "{plan}");
    let status = project.seedbed(&["status"]);
    let base = status.lines().find(|line| line.starts_with("base ")).unwrap();
    assert!(base.contains(" done; resumes at ") && !base.contains("not started"), "{base}");
    project.seedbed(&["run", "--quiet"]);
    project.seedbed(&["run", "--quiet", "--out", "fresh"]);
    assert!(
        project.artifacts("out") == project.artifacts("fresh"),
        "an extended run differs from one of full length"
    );
}

#[test]
fn a_longer_run_goes_on_where_the_decay_began() {
    check_extension(30, 50, 6, "resumes at 24 of 50, trains 26 optimizer steps");
}

#[test]
fn a_longer_run_without_decay_goes_on_where_the_shorter_ended() {
    check_extension(30, 50, 0, "resumes at 30 of 50, trains 20 optimizer steps");
}

#[test]
fn a_bert_goes_from_raw_text_to_results() {
    let manifest = manifest(20, 4)
        .replace(
            "size = 320",
            "size = 320, special_tokens = { cls = \"[CLS]\", sep = \"[SEP]\", mask = \"[MASK]\" }",
        )
        .replace("model = { hidden", "objective = \"masked\"\nmodel = { family = \"bert\", hidden")
        .replace("language_models = [\"base\"]\nshards = \"shards\"\n", "");
    let project = project(20, 4);
    project.write("pipeline.toml", manifest.as_bytes());
    project.seedbed(&["run", "--quiet"]);
    let architecture = |model: &str| {
        let config = fs::read(project.path(&format!("out/{model}config.json"))).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["architectures"][0].as_str().unwrap().to_owned()
    };
    assert_eq!(architecture("base/checkpoint/"), "BertForMaskedLM");
    assert_eq!(architecture("tuned/checkpoint/seed-2/"), "BertForSequenceClassification");
    let results = fs::read(project.path("out/report/results/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap();
    assert_eq!(results["classification"]["models"].as_array().unwrap().len(), 3);
}

#[test]
fn a_gpt2_goes_from_raw_text_to_results_and_goes_on_with_texts() {
    let project = project(20, 4);
    let manifest = manifest(20, 4).replace("{ hidden", "{ family = \"gpt2\", hidden");
    project.write("pipeline.toml", manifest.as_bytes());
    let said = project.seedbed(&["run"]);
    for word in ["tuned", "scratch", "tfidf", "accuracy", "bits/byte"] {
        assert!(said.contains(word), "{said:?} does not say {word:?}");
    }
    check_predictions(&project);
    let written = project.seedbed(&["generate", "out/base", "--prompt", "the river"]);
    assert!(written.len() > 20, "{written:?}");
    for (model, class) in [
        ("base/checkpoint", "LMHeadModel"),
        ("tuned/checkpoint/seed-2", "ForSequenceClassification"),
    ] {
        let config = fs::read_to_string(project.path(&format!("out/{model}/config.json"))).unwrap();
        assert!(config.contains(&format!("\"GPT2{class}\"")), "{config}");
    }
}

#[test]
fn the_checkpoint_is_for_transformers() {
    let project = project(10, 2);
    project.seedbed(&["run", "--quiet"]);
    let config = fs::read_to_string(project.path("out/base/checkpoint/config.json")).unwrap();
    assert!(
        config.contains("\"LlamaForCausalLM\"") && config.contains("\"model_type\""),
        "{config}"
    );
}

#[test]
fn an_extension_that_is_stopped_at_once_leaves_the_shorter_run_whole() {
    let project = project(30, 6);
    project.seedbed(&["run", "--quiet"]);
    project.write("pipeline.toml", manifest(3000, 6).as_bytes());
    let mut run = project.command(&["run", "--quiet"]).spawn().unwrap();
    while !project.open_tasks("out").iter().any(|task| task.starts_with("base/")) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let id = run.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130), "an interrupted run says so");
    project.write("pipeline.toml", manifest(30, 6).as_bytes());
    assert!(project.seedbed(&["plan"]).ends_with("nothing to do: everything is made\n"));
}
