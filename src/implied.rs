//! Steps that a manifest implies: `examples = "data/triage.csv"` inside a step stands for a step of corpus-prep that reads
//! the file, so that all raw data enters by one door and is split there once.

use std::path::Path;

use corpus_prep::examples::{ExamplesConfig, FileFormat};
use pipelines::error::Result;
use pipelines::manifest::Manifest;
use pipelines::table::examples::ExampleTask;

use crate::cli::base_of;
use crate::stages::Stage;

/// Reads the manifest at `path`, with the steps that it implies.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn read(path: &Path) -> Result<Manifest<Stage>> {
    Manifest::read(path, |manifest| write_out(manifest, &base_of(path)))
}

/// Reads a manifest from `text`, as if it stood at `path`.
///
/// # Errors
/// When it is wrong.
pub fn parse(text: &str, path: &Path) -> Result<Manifest<Stage>> {
    Manifest::parse(text, path, |manifest| write_out(manifest, &base_of(path)))
}

/// Writes out the steps that `manifest` implies, and lets the fields that imply them name them. Steps that name the same file
/// share one. Paths are relative to `base`.
///
/// # Errors
/// With the message for the user, when another step has the name of an implied one, or a file has a name that tells no format.
pub fn write_out(manifest: &mut Manifest<Stage>, base: &Path) -> Result<(), String> {
    let mut implied = Vec::new();
    for (step, stage) in &mut manifest.steps {
        let Some((examples, task)) = examples_of(stage) else { continue };
        refuse_unknown_format(examples, base).map_err(|message| {
            format!("step `{step}`: `examples = \"{examples}\"` is a file, and {message}")
        })?;
        if names_files(examples) {
            let name = name_of(examples);
            let files = std::mem::replace(examples, name.clone());
            implied.push((step.clone(), name, files, task));
        }
    }
    for (step, name, files, task) in implied {
        let config = ExamplesConfig::new(task, files.clone());
        let config = corpus_prep::Config { examples: Some(config), ..Default::default() };
        let stage = Stage::CorpusPrep(Box::new(config));
        let known = manifest.steps.entry(name.clone()).or_insert_with(|| stage.clone());
        if *known != stage {
            return Err(format!(
                "step `{step}`: `examples = \"{files}\"` would be read by a step `{name}`, but there is another one; \
                 name the file in a step of your own: `[steps.NAME.corpus-prep]`"
            ));
        }
    }
    Ok(())
}

/// The field `examples` of a step that learns from or is measured on some, and what its rows are for.
fn examples_of(stage: &mut Stage) -> Option<(&mut String, ExampleTask)> {
    match stage {
        Stage::Finetune(config) => Some((&mut config.examples, config.task)),
        Stage::Evaluate(config) => Some((config.examples.as_mut()?, config.task)),
        Stage::CorpusPrep(_) | Stage::Tokenize(_) | Stage::Pretrain(_) => None,
    }
}

/// Whether a reference names labelled files, and neither a step nor the directory of an artifact.
fn names_files(reference: &str) -> bool {
    reference.contains('*') || FileFormat::of(Path::new(reference), None).is_ok()
}

/// Refuses a file that is none of labelled rows. What stands there otherwise is the directory of an artifact.
fn refuse_unknown_format(reference: &str, base: &Path) -> Result<(), String> {
    match !names_files(reference) && base.join(reference).is_file() {
        true => FileFormat::of(Path::new(reference), None).map(drop),
        false => Ok(()),
    }
}

/// `triage-examples` for `data/triage.csv.gz`.
fn name_of(files: &str) -> String {
    let name = Path::new(files).file_name().map_or(files.into(), |name| name.to_string_lossy());
    let stem = name.split('.').next().unwrap_or_default();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("{}-examples", stem.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: &str = r#"
name = "short"
[steps.tuned.finetune]
model = "models/base"
examples = "data/triage.csv"
[steps.report.evaluate]
models = ["tuned"]
examples = "data/triage.csv"
"#;

    fn written_out(text: &str) -> Result<Manifest<Stage>, String> {
        parse(text, Path::new("p.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn pins_and_resources_may_be_those_of_an_implied_step() {
        let digest = format!("b3:{}", "0".repeat(64));
        let tables = format!(
            "[engine.triage-examples]\nworkers = 1\n[pins]\ntriage-examples = \"{digest}\"\n"
        );
        let manifest = written_out(&(MODELS.to_owned() + &tables)).unwrap();
        assert!(manifest.steps.contains_key("triage-examples"));
        let strange = tables.replace("triage-examples", "other-examples");
        let error = written_out(&(MODELS.to_owned() + &strange)).unwrap_err();
        assert!(error.contains("there are only the steps report, triage-examples"), "{error}");
    }

    #[test]
    fn a_labelled_file_inside_steps_is_one_step_of_its_own() {
        let manifest = written_out(MODELS).unwrap();
        let written = r#"
[steps.triage-examples.corpus-prep]
examples = { task = "sequence-classification", files = "data/triage.csv" }
"#;
        let long = MODELS.replace("\"data/triage.csv\"", "\"triage-examples\"") + written;
        assert_eq!(manifest.steps, written_out(&long).unwrap().steps);
    }

    #[test]
    fn steps_and_artifacts_stay_what_they_are() {
        for reference in ["labels", "out/labels/examples", "./labels"] {
            assert!(!names_files(reference), "{reference}");
        }
        for files in ["triage.csv", "data/*.jsonl", "data/*", "a.conll.gz", "/data/rows.parquet"] {
            assert!(names_files(files), "{files}");
        }
    }

    #[test]
    fn a_step_of_the_implied_name_that_is_another_is_an_error() {
        let other = "[steps.triage-examples.corpus-prep]\ninputs = \"a.txt\"\n";
        let error = written_out(&(MODELS.to_owned() + other)).unwrap_err();
        assert!(error.contains("step `triage-examples`, but there is another one"), "{error}");
        let tags = MODELS.replace(
            "models = [\"tuned\"]",
            "task = \"token-classification\"\nmodels = [\"tuned\"]",
        );
        assert!(written_out(&tags).is_err());
    }
}
