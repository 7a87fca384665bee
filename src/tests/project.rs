//! A directory with a manifest and data, and what the program makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Words that made-up documents are made of; enough of them to give a vocabulary something to learn.
const WORDS: [&str; 24] = [
    "the",
    "of",
    "and",
    "to",
    "that",
    "with",
    "river",
    "stone",
    "winter",
    "morning",
    "letter",
    "garden",
    "quiet",
    "carries",
    "finds",
    "remembers",
    "between",
    "under",
    "seven",
    "old",
    "silver",
    "window",
    "children",
    "story",
];

/// A project in a fresh directory.
pub struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    /// With this manifest and no data.
    pub fn new(manifest: &str) -> Self {
        let project = Self { dir: tempfile::tempdir().unwrap() };
        project.write("pipeline.toml", manifest.as_bytes());
        project
    }

    /// Where `name` stands.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The program with `arguments`, in the project's directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seedbed"));
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    /// Runs the program to its end, which must be a good one, and gives what it wrote to standard output.
    #[track_caller]
    pub fn seedbed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} ended with {}: {error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program to its end, which must be a bad one, and gives what it wrote to standard error.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, stdout } = self.command(arguments).output().unwrap();
        let error = String::from_utf8(stderr).unwrap();
        assert_eq!(
            status.code(),
            Some(1),
            "{arguments:?}: {error}{}",
            String::from_utf8_lossy(&stdout)
        );
        assert!(!error.contains("panicked"), "{error}");
        error
    }

    /// Every file of every published artifact under `out`, by path.
    pub fn artifacts(&self, out: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.path(out);
        let mut files = BTreeMap::new();
        for step in
            entries(&root).into_iter().filter(|path| path.is_dir() && !path.ends_with(".seedbed"))
        {
            for kind in entries(&step).into_iter().filter(|path| path.is_dir()) {
                collect(&root, &kind, &mut files);
            }
        }
        files
    }

    /// The tasks that the newest run under `out` has started and not ended, as its log says now.
    pub fn open_tasks(&self, out: &str) -> Vec<String> {
        let Ok(runs) = fs::read_dir(self.path(out).join(".seedbed/runs")) else {
            return Vec::new();
        };
        let newest = runs.map(|entry| entry.unwrap().path()).max();
        let log = newest
            .and_then(|run| fs::read_to_string(run.join("log.jsonl")).ok())
            .unwrap_or_default();
        let mut open = Vec::new();
        for line in log.lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if let Some(task) = line["event"]["started"]["task"].as_str() {
                open.push(task.to_owned());
            }
            if let Some(task) = line["event"]["finished"]["task"].as_str() {
                open.retain(|other| other != task);
            }
        }
        open
    }

    /// How many tasks of each `step/phase` the newest run under `out` ran.
    pub fn ran(&self, out: &str) -> BTreeMap<String, u64> {
        let newest = entries(&self.path(out).join(".seedbed/runs")).pop().unwrap();
        let root: serde_json::Value =
            serde_json::from_slice(&fs::read(newest.join("root.json")).unwrap()).unwrap();
        serde_json::from_value(root["ran"].clone()).unwrap()
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for path in entries(dir) {
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

/// Made-up documents `from..to` as JSON lines. Number `at` is always the same document.
pub fn documents(from: u64, to: u64) -> String {
    (from..to)
        .map(|at| {
            format!("{}\n", serde_json::json!({ "id": format!("doc-{at}"), "text": text(at) }))
        })
        .collect()
}

/// Eighty words that depend on `at` alone.
fn text(at: u64) -> String {
    let seed = pipelines::seed::Seed::new(at, "made-up text");
    let word = |place| WORDS[usize::try_from(seed.below(WORDS.len() as u64, 0, place)).unwrap()];
    let sentences: Vec<String> = (0..8)
        .map(|sentence| {
            (0..10).map(|place| word(sentence * 10 + place)).collect::<Vec<_>>().join(" ") + "."
        })
        .collect();
    sentences.join(" ")
}

/// Made-up labelled rows as JSON lines: a text with `river` in it is `wet`, one with `stone` is `dry`.
pub fn labelled(from: u64, to: u64) -> String {
    (from..to)
        .map(|at| {
            let (label, word) = if at % 2 == 0 { ("wet", "river") } else { ("dry", "stone") };
            let filler = WORDS[8 + usize::try_from(at % 16).unwrap()];
            let text = format!("{filler} {word} number {at}");
            format!("{}\n", serde_json::json!({ "text": text, "label": label }))
        })
        .collect()
}
