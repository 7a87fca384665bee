//! `seedbed init`: a commented manifest for one's own data, by looking at the files.

mod base;
mod head;
mod labels;
mod manifest;
mod text;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use crate::cli::base_of;
use crate::implied;
use crate::show;
use labels::Labels;
use manifest::Parts;
use text::Corpus;

#[derive(Args)]
pub struct Command {
    /// Files or folders of raw text
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,
    /// A labelled file to fine-tune on: CSV, TSV, JSON lines or CoNLL, also compressed, or Parquet
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The manifest to write; its paths are relative to it
    #[arg(long, default_value = "pipeline.toml")]
    manifest: PathBuf,
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(
            !self.manifest.exists(),
            "{} is there already; choose another --manifest",
            self.manifest.display()
        );
        let base = base_of(&self.manifest);
        let corpus = Corpus::look(&self.data, self.labels.as_deref(), &base)?;
        let labels = self.labels.as_deref().map(Labels::look).transpose()?;
        let text = Parts::new(&corpus, labels.as_ref(), &base)?.render()?;
        // What is written is a manifest that this program takes.
        implied::parse(&text, &self.manifest)?;
        fs::File::create_new(&self.manifest)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", self.manifest.display()))?;
        show::line(format!(
            "{}: {} files, {} of text; next: seedbed plan {0}",
            self.manifest.display(),
            corpus.files,
            show::bytes(corpus.text_bytes as f64)
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("notes/a.jsonl", "{\"title\":\"x\",\"body\":\"a long body of a note\"}\n");
        write("notes/deep/b.md", "# Heading\n\nText.\n");
        write("notes/image.png", "no text");
        write(
            "triage.csv",
            "note,urgency,patient\none long note,high,p1\nanother note,low,p2\na third note,low,p1\n",
        );
        dir
    }

    fn made(dir: &Path, labels: Option<&str>) -> anyhow::Result<String> {
        let command = Command {
            data: vec![dir.join("notes")],
            labels: labels.map(|name| dir.join(name)),
            manifest: dir.join("pipeline.toml"),
        };
        command.run()?;
        Ok(fs::read_to_string(dir.join("pipeline.toml"))?)
    }

    #[test]
    fn a_manifest_says_what_was_seen() {
        let dir = project();
        let text = made(dir.path(), Some("triage.csv")).unwrap();
        for words in [
            r#"inputs = ["notes/**/*.jsonl", "notes/**/*.md"]"#,
            r#"fields = { text = "body" }"#,
            r#"files = "triage.csv""#,
            r#"text = "note", label = "urgency", group = "patient""#,
        ] {
            assert!(text.contains(words), "{text} does not say {words}");
        }
    }

    #[test]
    fn without_labels_there_is_a_language_model_alone() {
        let dir = project();
        let text = made(dir.path(), None).unwrap();
        assert!(!text.contains("finetune") && text.contains("language_models"), "{text}");
    }

    #[test]
    fn a_manifest_that_is_there_is_left_alone() {
        let dir = project();
        fs::write(dir.path().join("pipeline.toml"), "mine").unwrap();
        let error = made(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("pipeline.toml")).unwrap(), "mine");
    }

    #[test]
    fn results_and_hidden_folders_are_no_data_and_labels_must_not_be() {
        let dir = project();
        for folder in ["notes/.git", "notes/out/.seedbed", "notes/[1]"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["notes/.git/a.txt", "notes/out/b.txt"] {
            fs::write(dir.path().join(file), "no data").unwrap();
        }
        assert!(!made(dir.path(), None).unwrap().contains("txt"));
        fs::remove_file(dir.path().join("pipeline.toml")).unwrap();
        fs::rename(dir.path().join("triage.csv"), dir.path().join("notes/triage.csv")).unwrap();
        let error = made(dir.path(), Some("notes/triage.csv")).unwrap_err().to_string();
        assert!(error.contains("found the labelled file among the raw text"), "{error}");
    }

    #[test]
    fn letters_that_globs_are_made_of_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in [1]")).unwrap();
        fs::write(dir.path().join("in [1]/a.txt"), "text").unwrap();
        let corpus = Corpus::look(&[dir.path().join("in [1]")], None, dir.path()).unwrap();
        let glob = corpus.globs[0].to_str().unwrap();
        assert!(glob.ends_with("in [[]1[]]/**/*.txt"), "{glob}");
    }

    #[test]
    fn data_that_nothing_reads_is_told_with_what_would_be_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("notes")).unwrap();
        fs::write(dir.path().join("notes/a.docx"), "").unwrap();
        let error = made(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("notes") && error.contains(".jsonl"), "{error}");
    }
}
