//! Entities, from CoNLL files to results: a tagger that was pre-trained, beside one from scratch.

use std::fs;

use serde_json::Value;

use crate::project::{Project, documents};

const MANIFEST: &str = r#"
name = "tagging"
seed = 7

[steps.clean.corpus-prep]
inputs = ["data/*.jsonl"]
filters = "none"

[steps.names.corpus-prep]
examples = { task = "token-classification", format = "conll", train = "train.conll", validation = "validation.conll", test = "test.conll" }

[steps.vocab.tokenize]
train = { documents = "clean", size = 420, special_tokens = { cls = "[CLS]", sep = "[SEP]", mask = "[MASK]" } }

[steps.shards.tokenize]
documents = "clean"
vocabulary = "vocab"
validation = 0.1

[steps.base.pretrain]
shards = "shards"
objective = "masked"
model = { family = "bert", hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, intermediate_size = 64 }
seq_len = 32
micro_batch_size = 8
schedule = { peak_lr = 3e-3, warmup_steps = 5, decay_steps = 10, total_steps = 60 }

[steps.tagger.finetune]
task = "token-classification"
model = "base"
examples = "names"
epochs = 8
batch_size = 8
peak_lr = 2e-3
seeds = [1, 2]

[steps.scratch.finetune]
task = "token-classification"
model = "base"
init = "scratch"
examples = "names"
epochs = 3
batch_size = 8
peak_lr = 2e-3
seeds = [1, 2]

[steps.report.evaluate]
task = "token-classification"
models = ["tagger", "scratch"]
examples = "names"
"#;

/// Documents of two sentences in CoNLL columns, in which rivers and stones are named; one sentence is longer than a context.
fn conll(from: usize, to: usize) -> String {
    let sentence = |at: usize| {
        let name = [
            "river B-RIVER",
            "silver B-STONE\nstone I-STONE",
            "stone B-STONE",
            "old B-RIVER\nriver I-RIVER",
        ][at % 4];
        let verb = ["finds", "carries", "remembers"][at % 3];
        let filler = "the O\nwinter O\n".repeat(if at % 10 == 9 { 30 } else { 1 });
        format!("{filler}{name}\n{verb} O\nthe O\n{} O\n\n", ["letter", "garden"][at / 2 % 2])
    };
    let document = |at: usize| format!("{}{}", ["-DOCSTART- O\n\n", ""][at % 2], sentence(at));
    (from..to).map(document).collect()
}

/// A project from raw text and CoNLL files to entities.
pub fn project() -> Project {
    let project = Project::new(MANIFEST);
    for file in 0..4 {
        let name = format!("data/{file}.jsonl");
        project.write(&name, documents(file * 60, file * 60 + 60).as_bytes());
    }
    project.write("train.conll", conll(0, 60).as_bytes());
    project.write("validation.conll", conll(60, 80).as_bytes());
    project.write("test.conll", conll(80, 120).as_bytes());
    project
}

#[test]
fn one_manifest_goes_from_conll_files_to_measured_entities() {
    let project = project();
    let said = project.seedbed(&["run"]);
    for word in ["tagger - scratch", "entity F1", "RIVER", "in 10 groups"] {
        assert!(said.contains(word), "{said:?} does not say {word:?}");
    }
    let json = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(project.path(path)).unwrap()).unwrap()
    };
    let config = json("out/tagger/checkpoint/seed-2/config.json");
    assert_eq!(config["architectures"][0], "BertForTokenClassification");
    assert_eq!(config["id2label"]["0"], "O");
    let results = json("out/report/results/results.json");
    let entities = &results["entities"];
    assert!(results["classification"].is_null());
    // Equal documents are one.
    assert_eq!((&entities["rows"], &entities["units"]), (&40.into(), &10.into()));
    let f1 = |at: usize| entities["models"][at]["micro_f1"]["value"].as_f64().unwrap();
    assert!(f1(0) > 0.95, "{entities}");
    let first = &entities["comparisons"][0];
    let number = |name: &str| first["difference"][name].as_f64().unwrap();
    // From scratch it learns for less long, so that there is a difference to find.
    assert_eq!((&first["metric"], &first["verdict"]), (&"micro_f1".into(), &"better".into()));
    assert!((number("value") - (f1(0) - f1(1))).abs() < 1e-12, "{first}");
    assert!(number("low") <= number("value") && number("value") <= number("high"), "{first}");
    // Plain text, behind a space of three bytes.
    project.write(
        "text.jsonl",
        "{\"text\": \" the winter silver stone\\nfinds the letter\"}".as_bytes(),
    );
    let said = project.seedbed(&["predict", "out/tagger", "--input", "text.jsonl", "--seed", "2"]);
    let row: Value = serde_json::from_str(&said).unwrap();
    let entity = &row["entities"][0];
    assert_eq!(row["entities"].as_array().unwrap().len(), 1, "{row}");
    assert_eq!((&entity["type"], &entity["text"]), (&"STONE".into(), &"silver stone".into()));
    assert_eq!((&entity["start"], &entity["end"]), (&12.into(), &24.into()));
    // By chance it would be 0.2.
    assert!(entity["score"].as_f64().unwrap() > 0.25, "{row}");
    assert!(project.seedbed(&["run"]).starts_with("nothing to do"));
    project.seedbed(&["run", "--quiet", "--workers", "1", "--out", "one"]);
    assert!(
        project.artifacts("out") == project.artifacts("one"),
        "one worker gives other bytes than several"
    );
}
