//! Corpus preparation as a stage: its inputs, phases and artifacts.

use crate::config::Config;
use crate::decide::Decide;
use crate::deduplicate::Deduplicate;
use crate::examples::config::ExamplesConfig;
use crate::examples::label::{self, Label};
use crate::examples::read::{FIELDS, ReadExamples};
use crate::examples::row::{Columns, RowReader};
use crate::examples::split::Dealer;
use crate::examples::{format, read as read_examples};
use crate::extract::Extract;
use crate::globs::Globs;
use crate::measure::Measure;
use crate::read::{Format, Parser};
use crate::remeasure::Remeasure;
use crate::write::Write;
use crate::{decide, extract, measure, remeasure, write};
use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::part::Cut;
use pipelines::stage::{ArtifactFile, Assembly, FileSet, InputField, Phase, Stage, View, Wanted};
use std::path::Path;

/// Name of the stage in manifests.
pub const NAME: &str = "corpus-prep";

impl Stage for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn validate(&self) -> Result<(), String> {
        Config::validate(self)
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the config has string keys and finite numbers only")
    }

    fn inputs(&self) -> Vec<InputField> {
        match &self.examples {
            None => vec![self.files("inputs", &self.inputs, raw_tag, cut)],
            Some(examples) => {
                let tag = format::tag(examples.format);
                let field = |(field, split)| (field, examples.globs(split));
                let given = FIELDS.into_iter().map(field).filter(|(_, globs)| !globs.is_empty());
                given.map(|(field, globs)| self.files(field, globs, tag, |_| Cut::Whole)).collect()
            }
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        match &self.examples {
            None => self.tables().map(|(kind, ..)| kind).to_vec(),
            Some(_) => vec![Kind::Examples],
        }
    }

    fn phases(&self, seed: u64) -> Vec<Box<dyn Phase>> {
        match &self.examples {
            None => self.corpus_phases(),
            Some(examples) => example_phases(examples, seed),
        }
    }

    fn artifacts(&self, view: &View) -> Result<Vec<Assembly>, TaskError> {
        match &self.examples {
            None => Ok(self.tables().map(|table| assemble(view, table)).to_vec()),
            Some(_) => Ok(vec![assemble_examples(view)]),
        }
    }
}

impl Config {
    /// The artifacts of a corpus: kind, phase and output.
    fn tables(&self) -> [(Kind, &'static str, &'static str); 4] {
        let edited = self.filters.edit(&self.c4_lines).is_some();
        let measured = if edited { remeasure::NAME } else { measure::NAME };
        [
            (Kind::Extracted, extract::NAME, extract::EXTRACTED),
            (Kind::Signals, measured, measure::SIGNALS),
            (Kind::Decisions, decide::NAME, decide::DECISIONS),
            (Kind::Documents, write::NAME, write::DOCUMENTS),
        ]
    }

    fn files(
        &self,
        field: &'static str,
        globs: &Globs,
        tag: fn(&Path) -> Result<String, String>,
        cut: fn(&str) -> Cut,
    ) -> InputField {
        let files = FileSet { globs: globs.0.clone(), part_size: self.part_size.0, tag, cut };
        InputField { field, wanted: Wanted::Files(files) }
    }

    fn corpus_phases(&self) -> Vec<Box<dyn Phase>> {
        let parser = Parser {
            fields: self.fields.clone(),
            invalid_utf8: self.invalid_utf8,
            max_record_bytes: self.max_record_bytes,
            delimiter: self.delimiter,
            namespaces: self.namespaces.clone(),
        };
        let mut phases: Vec<Box<dyn Phase>> = vec![
            Box::new(Extract {
                parser,
                unreadable: self.unreadable,
                exclude: self.exclude.clone(),
            }),
            Box::new(Measure { words: self.words, ranges: self.ranges }),
        ];
        let edit = self.filters.edit(&self.c4_lines);
        if let Some(edit) = edit.clone() {
            phases.push(Box::new(Remeasure { edit, words: self.words }));
        }
        phases.push(Box::new(Deduplicate { ranges: self.ranges }));
        phases.push(Box::new(Decide { filters: self.filters, rules: self.rules.clone() }));
        phases.push(Box::new(Write { edit }));
        phases
    }
}

fn raw_tag(path: &Path) -> Result<String, String> {
    let format = Format::of(&path.to_string_lossy());
    format.map(|format| format.to_string()).map_err(|error| error.to_string())
}

fn cut(tag: &str) -> Cut {
    tag.parse::<Format>().map_or(Cut::Whole, Format::cut)
}

fn example_phases(examples: &ExamplesConfig, seed: u64) -> Vec<Box<dyn Phase>> {
    let columns = Columns {
        text: examples.text.clone(),
        text_pair: examples.text_pair.clone(),
        label: examples.label.clone(),
        group: examples.group.clone(),
        id: examples.id.clone(),
    };
    let (encoding, delimiter) = (examples.encoding, examples.delimiter);
    let reader = RowReader { columns, encoding, delimiter, tokens: examples.token_columns() };
    // Where files say the split nothing is drawn, and the seed stays out of the key.
    let dealer =
        (!examples.files.is_empty()).then(|| Dealer { seed, shares: examples.shares.clone() });
    vec![Box::new(ReadExamples { reader, dealer }), Box::new(Label { task: examples.task })]
}

/// One table a part.
fn assemble(view: &View, (kind, phase, output): (Kind, &str, &str)) -> Assembly {
    let file = |part: &String| ArtifactFile {
        path: format!("{part}.parquet"),
        part: part.clone(),
        source: view.output(phase, part, output),
    };
    Assembly { kind, files: view.tasks(phase).iter().map(file).collect(), details: None }
}

/// One table a part, and the label list.
fn assemble_examples(view: &View) -> Assembly {
    let mut assembly =
        assemble(view, (Kind::Examples, read_examples::NAME, read_examples::EXAMPLES));
    assembly.files.push(ArtifactFile {
        path: "labels.json".into(),
        part: String::new(),
        source: view.output(label::NAME, label::NAME, label::LABELS),
    });
    assembly.details = Some((label::NAME.into(), label::NAME.into()));
    assembly
}
