//! One stage alone: `seedbed tokenize key=value… --config FILE --out DIR`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pipelines::manifest::Manifest;
use toml::{Table, Value};

use crate::cli::Voice;
use crate::implied;
use crate::run::{EngineArgs, Work};
use crate::stages::Stage;

#[derive(Args)]
pub struct Command {
    /// What a manifest would say under the step, as key=value; a dot goes into a table. Artifacts are named by their
    /// directories
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A TOML file with such keys; those on the command line come on top
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where results go, under the stage's name
    #[arg(long)]
    out: PathBuf,
    /// Where random choices start from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    voice: Voice,
}

impl Command {
    pub fn run(self, stage: &str) -> anyhow::Result<()> {
        let mut table = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                text.parse::<Table>().with_context(|| path.display().to_string())?
            }
            None => Table::new(),
        };
        for setting in &self.settings {
            set(&mut table, setting)?;
        }
        // Through the text, so that an error shows the place in the settings.
        let text = toml::to_string(&Table::from_iter([(stage.to_owned(), Value::Table(table))]))?;
        let step: Stage =
            toml::from_str(&text).with_context(|| format!("the settings of {stage}"))?;
        let steps = BTreeMap::from([(stage.to_owned(), step)]);
        let mut manifest = Manifest::new(stage, self.seed, steps);
        implied::write_out(&mut manifest, Path::new("")).map_err(anyhow::Error::msg)?;
        manifest.validate()?;
        let (base, out) = (Path::new(""), &self.out);
        let work = Work { manifest: &manifest, base, out, place: None };
        work.make(None, self.engine, self.voice).map(|_| ())
    }
}

/// Puts `a.b=value` into the table. A value that is not TOML is a text.
fn set(table: &mut Table, setting: &str) -> anyhow::Result<()> {
    let Some((key, value)) = setting.split_once('=') else {
        bail!("`{setting}`: found no `=`, expected KEY=VALUE");
    };
    let value = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    let value = value.unwrap_or_else(|| Value::String(setting[key.len() + 1..].to_owned()));
    let mut names: Vec<&str> = key.split('.').collect();
    let last = names.pop().unwrap_or(key);
    let mut inner = table;
    for name in names {
        let next = inner.entry(name).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else {
            bail!("`{setting}`: `{name}` is a value, expected a table")
        };
        inner = next;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(settings: &[&str]) -> String {
        let mut table = Table::new();
        for setting in settings {
            set(&mut table, setting).unwrap();
        }
        toml::to_string(&table).unwrap()
    }

    #[test]
    fn settings_are_toml_or_else_text() {
        assert_eq!(table(&["seed=7", "text=note"]), "seed = 7\ntext = \"note\"\n");
        assert_eq!(table(&["inputs=[\"a.txt\"]"]), "inputs = [\"a.txt\"]\n");
        assert_eq!(table(&["url=a=b"]), "url = \"a=b\"\n");
    }

    #[test]
    fn a_dot_goes_into_a_table() {
        assert_eq!(
            table(&["train.size=512", "train.documents=a/b"]),
            "[train]\ndocuments = \"a/b\"\nsize = 512\n"
        );
        assert!(set(&mut "train = 1".parse::<Table>().unwrap(), "train.size=2").is_err());
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        let error = set(&mut Table::new(), "documents").unwrap_err().to_string();
        assert_eq!(error, "`documents`: found no `=`, expected KEY=VALUE");
    }
}
