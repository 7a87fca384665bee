//! Models that other programs wrote: a directory as Hugging Face's libraries lay it out.

use std::fs;

use model::checkpoint::{INDEX_FILE, WEIGHTS_FILE, write_safetensors};
use model::{Checkpoint, Parameter, Parameters};

use crate::project::Project;
use crate::training;

/// Fine-tunes `MODEL` as the manifest of [`training::project`] does.
const MANIFEST: &str = r#"
name = "elsewhere"
seed = 7
[steps.labels.corpus-prep]
examples = { task = "sequence-classification", train = "train.jsonl", validation = "validation.jsonl", test = "test.jsonl" }
[steps.tuned.finetune]
model = "MODEL"
examples = "labels"
epochs = 2
seeds = [1, 2]
[steps.report.evaluate]
models = ["tuned"]
examples = "labels"
"#;

/// A project with a run behind it, and its model in `models/base` as someone else might have left it there.
fn project() -> Project {
    let project = training::project(10, 2);
    project.seedbed(&["run", "--quiet"]);
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let bytes = fs::read(project.path("out/base/checkpoint").join(name)).unwrap();
        project.write(&format!("models/base/{name}"), &bytes);
    }
    project.write("models/base/pytorch_model.bin", b"weights in another form");
    project.write("other.toml", MANIFEST.replace("MODEL", "models/base").as_bytes());
    project
}

/// The weights that fine-tuning came to.
fn tuned(project: &Project, out: &str) -> Vec<u8> {
    let path = project.path(out).join("tuned/checkpoint/seed-2/model.safetensors");
    fs::read(path).unwrap()
}

#[test]
fn a_model_of_others_is_named_by_its_directory() {
    let project = project();
    project.seedbed(&["run", "other.toml", "--quiet", "--out", "other"]);
    assert!(tuned(&project, "other") == tuned(&project, "out"));
    let record = fs::read(project.path("other/tuned/checkpoint/artifact.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["inputs"][1]["name"], "models/base");
    // What no task reads changes nothing, nor does a file of the same bytes.
    project.write("models/base/pytorch_model.bin", b"other weights in another form");
    let config = fs::read(project.path("models/base/config.json")).unwrap();
    project.write("models/base/config.json", &config);
    let said = project.seedbed(&["run", "other.toml", "--out", "other"]);
    assert!(said.starts_with("nothing to do"), "{said}");
}

/// Cuts the weights of `models/base` into two files; those of the second are multiplied by `factor`.
fn shard(project: &Project, factor: f32) {
    let weights = Checkpoint::read(&project.path("out/base/checkpoint")).unwrap().weights;
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut shards: [Vec<Parameter<Vec<f32>>>; 2] = [Vec::new(), Vec::new()];
    let mut map = serde_json::Map::new();
    for (at, mut entry) in weights.into_iter().enumerate() {
        if at % 2 == 1 {
            entry.value.iter_mut().for_each(|value| *value *= factor);
        }
        map.insert(entry.name.clone(), names[at % 2].into());
        shards[at % 2].push(entry);
    }
    for (name, entries) in names.into_iter().zip(shards) {
        let (mut bytes, parameters) = (Vec::new(), Parameters::from_iter(entries));
        write_safetensors(&mut bytes, &parameters).unwrap();
        project.write(&format!("models/base/{name}"), &bytes);
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    project.write(&format!("models/base/{INDEX_FILE}"), index.as_bytes());
}

#[test]
fn weights_in_several_files_are_all_read() {
    let project = project();
    fs::remove_file(project.path("models/base").join(WEIGHTS_FILE)).unwrap();
    shard(&project, 1.0);
    let measured = MANIFEST.replace("MODEL", "models/base")
        + "language_models = [\"models/base\"]\nshards = \"out/shards/token-shards\"\n";
    project.write("other.toml", measured.as_bytes());
    let arguments = ["run", "other.toml", "--quiet", "--out", "other"];
    project.seedbed(&arguments);
    assert!(tuned(&project, "other") == tuned(&project, "out"));
    let prompt = ["--prompt", "the river", "--temperature", "0"];
    let go_on = |model: &str| project.seedbed(&[&["generate", model][..], &prompt].concat());
    assert_eq!(go_on("models/base"), go_on("out/base"));
    // What stands in the second of them counts.
    shard(&project, 0.5);
    project.seedbed(&arguments);
    assert!(tuned(&project, "other") != tuned(&project, "out"));
    fs::remove_file(project.path("models/base/model-00002-of-00002.safetensors")).unwrap();
    let words = "names the file `model-00002-of-00002.safetensors`, which is missing beside it";
    let error = project.refused(&["run", "other.toml", "--out", "other"]);
    assert!(error.contains(words), "{error}");
    let error = project.refused(&["generate", "models/base", "--prompt", "a"]);
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_model_of_others_can_be_imported_and_pinned() {
    let project = project();
    let said = project.seedbed(&["import", "models/base", "--out", "pinned"]);
    let pin = said.lines().last().unwrap().replace("STEP", "base");
    fs::remove_dir_all(project.path("models")).unwrap();
    let step = "[steps.base.pretrain]\nshards = \"nowhere/\"\n";
    let manifest = format!("{}{step}[pins]\n{pin}\n", MANIFEST.replace("MODEL", "base"));
    let manifest = manifest.replace("nowhere/", "out/shards/token-shards");
    project.write("pinned.toml", manifest.as_bytes());
    project.seedbed(&["run", "pinned.toml", "--quiet", "--out", "pinned"]);
    assert!(tuned(&project, "pinned") == tuned(&project, "out"));
}

#[test]
fn a_directory_that_is_no_model_is_refused_with_what_would_be_right() {
    let project = project();
    let refused = |model: &str| {
        project.write("wrong.toml", MANIFEST.replace("MODEL", model).as_bytes());
        project.refused(&["run", "wrong.toml", "--out", "wrong"])
    };
    assert!(refused("models/absent").contains("cannot read models/absent"));
    assert!(refused("models/").contains("expected artifact.json, the config.json of a model"));
    fs::remove_file(project.path("models/base/model.safetensors")).unwrap();
    let error = refused("models/base");
    assert!(error.contains("models/base: it holds no model.safetensors"), "{error}");
    fs::remove_file(project.path("models/base/config.json")).unwrap();
    let error = refused("models/base");
    assert!(
        error.contains("found an artifact of vocabulary, expected one of checkpoint"),
        "{error}"
    );
}
