//! The stage as a whole, on tiny corpora: from documents to a vocabulary, and to token shards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use codec::{Codec, PretokenCounts};
use pipelines::{
    context::{Cancel, Context},
    digest::{Digest, text_id},
    engine::{Engine, InProcess},
    error::{TaskError, chain},
    input::{Mapped, TaskInputs},
    kind::Kind,
    manifest::Manifest,
    output::TaskOutput,
    publish::OutDir,
    record::Artifact,
    roots::Root,
    run::{Run, Unobserved},
    shard::{Shard, ShardDocument},
    stage::{ArtifactFile, Assembly, InputField, Phase, Stage, Task, View},
    table::{
        TableWriter,
        documents::{Document, RowKey},
        read_all,
    },
    task::{Event, TaskArray},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The stages of these tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TestStage {
    Tokenize(tokenize::Config),
    Write(Corpus),
}

/// Stands for corpus preparation: writes the texts of each part as documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Corpus {
    parts: Vec<Vec<String>>,
}

impl TestStage {
    fn stage(&self) -> &dyn Stage {
        match self {
            Self::Tokenize(config) => config,
            Self::Write(corpus) => corpus,
        }
    }
}

impl Stage for TestStage {
    fn name(&self) -> &'static str {
        self.stage().name()
    }

    fn validate(&self) -> Result<(), String> {
        self.stage().validate()
    }

    fn config(&self) -> Value {
        self.stage().config()
    }

    fn inputs(&self) -> Vec<InputField> {
        self.stage().inputs()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.stage().kinds()
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        self.stage().phases(seed)
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        self.stage().artifacts(view)
    }
}

impl Stage for Corpus {
    fn name(&self) -> &'static str {
        "write"
    }

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    fn config(&self) -> Value {
        json!({})
    }

    fn inputs(&self) -> Vec<InputField> {
        Vec::new()
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![Kind::Documents]
    }

    fn phases(&self, _: u64) -> Vec<Box<dyn Phase>> {
        let part = |(at, texts): (usize, &Vec<String>)| -> Box<dyn Phase> {
            Box::new(WritePart { name: PART_NAMES[at], texts: texts.clone() })
        };
        self.parts.iter().enumerate().map(part).collect()
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        let file = |name: &&str| ArtifactFile {
            path: format!("{name}.parquet"),
            part: (*name).to_owned(),
            source: view.output(name, name, "documents"),
        };
        let files = PART_NAMES[..self.parts.len()].iter().map(file).collect();
        Ok(vec![Assembly { kind: Kind::Documents, files, details: None }])
    }
}

const PART_NAMES: [&str; 3] = ["part-a", "part-b", "part-c"];

/// One part, as a phase of its own, so that its texts are in no other part's key.
#[derive(Serialize)]
struct WritePart {
    name: &'static str,
    texts: Vec<String>,
}

impl Phase for WritePart {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        1
    }

    fn config(&self) -> Value {
        json!(self)
    }

    fn tasks(&self, _: &View) -> Result<Vec<Task>, TaskError> {
        Ok(vec![Task::new(self.name, Vec::new())])
    }

    fn run(&self, _: &TaskInputs, out: &mut TaskOutput, _: &Context) -> Result<(), TaskError> {
        let mut documents = TableWriter::create(out, "documents")?;
        for (record, text) in (0..).zip(&self.texts) {
            documents.push(Document {
                id: text_id(text),
                key: RowKey { unit: text_id(self.name), record },
                origin: Default::default(),
                edits: Vec::new(),
                text: text.clone(),
            })?;
        }
        Ok(documents.finish(out)?)
    }
}

/// Texts of two parts, a third of them alike, some empty, some hard.
fn parts() -> Vec<Vec<String>> {
    let text = |part: usize, at: usize| match at % 5 {
        0 => String::new(),
        1 => format!("the lower the slower {part}"),
        2 => "it's the same <|endoftext|> text".to_owned(),
        3 => format!("naïve café 日本語 {at}"),
        _ => "ab".repeat(at * 20),
    };
    (0..2).map(|part| (0..30).map(|at| text(part, at)).collect()).collect()
}

fn manifest(parts: &[Vec<String>], shards: &str) -> String {
    format!(
        "name = \"test\"\nseed = 7\n\
         [steps.clean.write]\nparts = {}\n\
         [steps.vocab.tokenize]\ntrain = {{ documents = \"clean\", size = 300 }}\n\
         [steps.shards.tokenize]\ndocuments = \"clean\"\nvocabulary = \"vocab\"\n{shards}\n",
        json!(parts)
    )
}

/// Runs tasks in this process, on so many threads.
struct Threads(usize);

impl Engine<TestStage> for Threads {
    fn workers(&self) -> usize {
        1
    }

    fn run(
        &self,
        array: &TaskArray<TestStage>,
        list: &Path,
        cancel: &Cancel,
        hear: &mut dyn FnMut(usize, Event),
    ) -> Result<(), pipelines::error::Error> {
        let array = TaskArray { threads: self.0, ..array.clone() };
        InProcess.run(&array, list, cancel, hear)
    }
}

/// Runs a manifest in `dir`, or says why it failed.
fn run(dir: &Path, manifest: &str) -> Result<Root, String> {
    run_on(2, dir, manifest)
}

fn run_on(threads: usize, dir: &Path, manifest: &str) -> Result<Root, String> {
    let say = |error: pipelines::error::Error| chain(&error);
    let manifest = Manifest::<TestStage>::parse(manifest, Path::new("test.toml")).map_err(say)?;
    let out = OutDir::open(dir).map_err(say)?;
    let run = Run { manifest: &manifest, base: dir, out: &out };
    run.run(&Threads(threads), None, &Cancel::default(), &mut Unobserved).map_err(say)
}

fn artifact(dir: &Path) -> Artifact {
    let path = dir.join(Artifact::FILE);
    Artifact::read(&path, &fs::read(&path).unwrap()).unwrap()
}

/// The documents and tokens of a shard.
fn shard(dir: &Path, name: &str) -> Vec<(ShardDocument, Vec<u32>)> {
    let map = |suffix: &str| Mapped::whole(dir.join(format!("{name}.{suffix}"))).unwrap();
    let shard = Shard::open(map("bin"), map("idx")).unwrap();
    let documents: Vec<ShardDocument> = read_all(&map("docs.parquet")).unwrap();
    assert_eq!(documents.len() as u64, shard.documents());
    documents.into_iter().zip((0..).map(|at| shard.document(at))).collect()
}

#[test]
fn every_document_is_in_one_shard_with_its_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let parts = parts();
    run(dir.path(), &manifest(&parts, "validation = 0.3")).unwrap();
    let shards = dir.path().join("shards/token-shards");
    let read = |file: &str| fs::read(shards.join(file)).unwrap();
    let codec = Codec::load(&read("tokenizer.json"), Some(&read("tokenizer_config.json"))).unwrap();
    let eos = codec.eos().unwrap();
    let mut split_of = [BTreeSet::new(), BTreeSet::new()];
    for (number, texts) in parts.iter().enumerate() {
        let mut found = Vec::new();
        for (split, ids) in ["train", "validation"].iter().zip(&mut split_of) {
            let documents = shard(&shards, &format!("{split}-{number:05}"));
            assert!(documents.iter().map(|(row, _)| &row.key).is_sorted(), "input order is kept");
            ids.extend(documents.iter().map(|(row, _)| row.id.clone()));
            found.extend(documents);
        }
        found.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        assert_eq!(found.len(), texts.len());
        for ((row, tokens), text) in found.iter().zip(texts) {
            assert_eq!((&row.id, row.bytes), (&text_id(text), text.len() as u64));
            assert_eq!(row.tokens, tokens.len() as u64);
            let (last, body) = tokens.split_last().unwrap();
            assert_eq!(*last, eos);
            assert!(!body.contains(&eos), "{text:?}");
            assert_eq!(codec.decode(body).unwrap(), *text);
        }
    }
    let [train, validation] = split_of;
    assert!(train.is_disjoint(&validation), "copies stay together");
    assert!(!train.is_empty() && !validation.is_empty());
}

#[test]
fn counts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &manifest(&parts(), "validation = 0.3")).unwrap();
    let shards = artifact(&dir.path().join("shards/token-shards"));
    let count = |name: &str| shards.counts["encode"][name];
    assert_eq!(count("documents"), 60);
    assert_eq!(count("train_documents") + count("validation_documents"), 60);
    let bytes: usize = parts().concat().iter().map(String::len).sum();
    assert_eq!(count("train_bytes") + count("validation_bytes"), bytes as u64);
    let tokens: u64 = shards.parts.iter().filter_map(|part| part.tokens).sum();
    assert_eq!(count("train_tokens") + count("validation_tokens"), tokens);
    let vocab = artifact(&dir.path().join("vocab/vocabulary"));
    assert_eq!(shards.details["vocab_size"], vocab.details["vocab_size"]);
    assert_eq!(shards.details["engine"], "byte-level-bpe");
    assert_eq!(shards.config["validation"], 0.3);
}

#[test]
fn a_changed_part_is_counted_and_encoded_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut parts = parts();
    let first = run(dir.path(), &manifest(&parts, "")).unwrap();
    assert_eq!(
        (first.ran["vocab/count"], first.ran["vocab/merge"], first.ran["shards/encode"]),
        (2, 1, 2)
    );
    assert!(run(dir.path(), &manifest(&parts, "")).unwrap().ran.is_empty());
    // The same pre-tokens in another order: counts and vocabulary stay, and one shard changes.
    parts[1].swap(1, 3);
    let again = run(dir.path(), &manifest(&parts, "")).unwrap();
    assert_eq!(again.ran["vocab/count"], 1);
    assert_eq!(again.ran.get("vocab/merge"), None);
    assert_eq!(again.ran["shards/encode"], 1);
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(run(fresh.path(), &manifest(&parts, "")).unwrap().artifacts, again.artifacts);
}

#[test]
fn another_split_leaves_the_vocabulary() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &manifest(&parts(), "validation = 0.1")).unwrap();
    for change in ["validation = 0.2", "validation = 0.1\nseed = 8"] {
        let ran = run(dir.path(), &manifest(&parts(), change)).unwrap().ran;
        assert_eq!(ran.into_iter().collect::<Vec<_>>(), [("shards/encode".to_owned(), 2)]);
    }
}

#[test]
fn one_thread_and_many_write_the_same_bytes() {
    let artifacts = [1, 4].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        run_on(threads, dir.path(), &manifest(&parts(), "validation = 0.3")).unwrap().artifacts
    });
    assert_eq!(artifacts[0], artifacts[1]);
}

#[test]
fn nothing_held_out_is_an_empty_shard() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &manifest(&parts(), "validation = 0.0")).unwrap();
    assert_eq!(shard(&dir.path().join("shards/token-shards"), "validation-00001"), []);
}

/// Digests of the outputs of each phase on fixed input. Where bytes change on purpose, raise the phase's `version`.
#[test]
fn bytes_of_each_phase_are_golden() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &manifest(&parts(), "validation = 0.3")).unwrap();
    let digests = |kind: &str, names: &[&str]| -> Vec<String> {
        let parts = artifact(&dir.path().join(kind)).parts;
        let digest =
            |name: &&str| parts.iter().find(|part| part.path == **name).unwrap().blake3.short();
        names.iter().map(digest).collect()
    };
    // Phase `count`: what the sum of one part is, written, stands in the store.
    let mut counts = PretokenCounts::default();
    parts()[0].iter().for_each(|text| counts.count(text).unwrap());
    let mut bytes = Vec::new();
    counts.write(&mut bytes).unwrap();
    let digest = Digest::of(&bytes);
    assert!(OutDir::open(dir.path()).unwrap().store.has_object(&digest, bytes.len() as u64));
    assert_eq!(digest.short(), "95cdce32c397");
    // Phase `merge`.
    assert_eq!(
        digests("vocab/vocabulary", &["tokenizer.json", "tokenizer_config.json"]),
        ["8eac4a1b5923", "e29d033baf1d"]
    );
    // Phase `encode`.
    assert_eq!(
        digests(
            "shards/token-shards",
            &[
                "train-00000.bin",
                "train-00000.idx",
                "train-00000.docs.parquet",
                "validation-00001.bin"
            ]
        ),
        ["3a74da908800", "f8ac6587dad1", "aaac8cf584b3", "82ae0060ab8a"]
    );
}

#[track_caller]
fn check_error(manifest: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let error = run(dir.path(), manifest).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(!dir.path().join("shards").exists(), "nothing is published");
}

#[test]
fn what_cannot_be_done_is_said() {
    check_error(
        &manifest(&[vec![String::new()]], ""),
        "the documents hold no text to learn a vocabulary from",
    );
    check_error(
        &manifest(&parts(), "validation = 1.5"),
        "`validation` is 1.5; expected at least 0 and below 1",
    );
    check_error(&manifest(&parts(), "validaton = 0.5"), "validaton");
    check_error(
        &manifest(&parts(), "train = { documents = \"clean\", size = 300 }"),
        "`train` excludes `documents` and `vocabulary`",
    );
}
