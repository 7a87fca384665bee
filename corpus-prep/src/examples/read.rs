//! Phase `read-examples`: the rows of labelled files, each in its split.

use super::format::{FileFormat, RowFormat};
use super::row::{BadRow, Row, RowReader, bad_row};
use super::split::Dealer;
use super::tag::{self, Scheme};
use crate::error::{Error, Result};
use crate::extract::raw_source;
use crate::read::decompress::Decoder;
use pipelines::context::{Context, Unit};
use pipelines::digest::{Digest, text_id};
use pipelines::error::TaskError;
use pipelines::input::{TaskInput, TaskInputs};
use pipelines::output::{Size, TaskOutput};
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::TableWriter;
use pipelines::table::documents::RowKey;
use pipelines::table::examples::{Example, ExampleTask, Split};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Name of the phase.
pub const NAME: &str = "read-examples";

/// The table of examples.
pub const EXAMPLES: &str = "examples";

/// What the phase `label` must know of a part's labels: [`Summary`] as JSON.
pub const SUMMARY: &str = "summary";

/// The ids of a part's rows with their splits, [`ID_BYTES`] each, sorted.
pub const IDS: &str = "ids";

/// Bytes of a row in [`IDS`]: its id as 32 hexadecimal digits, and its split's place in [`Split::ALL`].
pub const ID_BYTES: usize = 33;

/// Input fields by which files are given, and the split of their rows, if that gives it.
pub const FIELDS: [(&str, Option<Split>); 4] = [
    ("examples.files", None),
    ("examples.train", Some(Split::Train)),
    ("examples.validation", Some(Split::Validation)),
    ("examples.test", Some(Split::Test)),
];

/// Reads the rows of a part's files.
#[derive(Clone, Debug, Serialize)]
pub struct ReadExamples {
    /// How rows are read.
    pub reader: RowReader,
    /// How rows are dealt to splits; `None` where their files say it.
    pub dealer: Option<Dealer>,
}

/// A part's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// By label (of tags: type of entity), then split.
    pub labels: BTreeMap<String, BTreeMap<Split, LabelRows>>,
    /// The schemes that allow all tags as they were found; `None` where nothing carries tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemes: Option<BTreeSet<Scheme>>,
}

impl Summary {
    /// Leaves the schemes that are in `found` as well.
    pub fn narrow(&mut self, found: &BTreeSet<Scheme>) {
        match &mut self.schemes {
            Some(schemes) => schemes.retain(|scheme| found.contains(scheme)),
            None => self.schemes = Some(found.clone()),
        }
    }
}

/// The rows of one label in one split, or the entities of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRows {
    /// How many there are.
    pub rows: u64,
    /// The file of the first, by its digest.
    pub first_file: Digest,
    /// The line of the first; `None` where the file is the row.
    pub first_line: Option<u64>,
}

impl Phase for ReadExamples {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        3
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        refuse_shared_files(view)?;
        self.refuse_formats_of_the_other_task(view)?;
        let mut tasks = Vec::new();
        for (field, split) in FIELDS {
            let role = split.map_or("files", Split::name);
            for part in view.parts(field) {
                let unit = |unit: &pipelines::part::Unit| {
                    Input::new(role, raw_source(unit)).tagged(&unit.tag)
                };
                let inputs = part.units.iter().map(unit).collect();
                tasks.push(Task::new(format!("{role}-{}", part.name), inputs));
            }
        }
        Ok(tasks)
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let mut rows = Rows {
            table: TableWriter::create(out, EXAMPLES)?,
            summary: Summary::default(),
            ids: Vec::new(),
            out,
        };
        let units = |split: Option<Split>| inputs.all(split.map_or("files", Split::name));
        let bytes = FIELDS.iter().flat_map(|(_, split)| units(*split)).map(TaskInput::bytes);
        ctx.begin(bytes.sum(), Unit::Bytes);
        for (_, split) in FIELDS {
            for unit in units(split) {
                self.unit(unit, split, &mut rows, ctx)?;
                ctx.advance(unit.bytes());
            }
        }
        rows.finish()
    }
}

/// A file cannot be in two splits.
fn refuse_shared_files(view: &View) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (field, _) in FIELDS {
        for unit in view.parts(field).iter().flat_map(|part| &part.units) {
            let path =
                unit.paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            let (first, first_field) =
                seen.entry(unit.digest).or_insert((path.clone(), field)).clone();
            if first_field != field {
                return Err(Error::InTwoSplits {
                    first,
                    first_field,
                    second: path,
                    second_field: field,
                });
            }
        }
    }
    Ok(())
}

impl ReadExamples {
    fn task(&self) -> ExampleTask {
        match self.reader.tokens {
            Some(_) => ExampleTask::TokenClassification,
            None => ExampleTask::SequenceClassification,
        }
    }

    fn refuse_formats_of_the_other_task(&self, view: &View) -> Result<()> {
        let parts = FIELDS.iter().flat_map(|(field, _)| view.parts(field));
        for unit in parts.flat_map(|part| &part.units) {
            if FileFormat::parse(&unit.tag).is_some_and(|format| !format.fits(self.task())) {
                let file = unit.paths.first().map(|path| path.display().to_string());
                return Err(Error::OtherTask {
                    file: file.unwrap_or_default(),
                    format: unit.tag.clone(),
                    task: self.task().name(),
                });
            }
        }
        Ok(())
    }

    fn unit(
        &self,
        unit: &TaskInput,
        split: Option<Split>,
        rows: &mut Rows,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let format = FileFormat::parse(unit.tag()).ok_or_else(|| Error::Unexpected {
            file: unit.name().to_owned(),
            found: format!("the tag `{}`", unit.tag()),
            expected: "a format of labelled files".into(),
        })?;
        let failed = |source| Error::Io { file: unit.name().to_owned(), source };
        let check =
            || io::copy(&mut unit.open().map_err(Error::from)?, &mut io::sink()).map_err(failed);
        let decoder = Decoder::new(unit.open()?, format.compression).map_err(failed)?;
        let name = unit_name(unit, &format);
        let mut record = 0;
        let mut push = |row: Row| {
            ctx.check_cancelled()?;
            let key = RowKey { unit: name.clone(), record };
            record += 1;
            let (file, line) = (*unit.digest(), row.line);
            if self.reader.tokens.is_some() {
                rows.summary.narrow(&row.schemes);
            }
            let example = self.example(row, split, key);
            rows.push(example, file, line)
        };
        if format.rows == RowFormat::Parquet {
            let read = self.reader.parquet(unit, &mut push);
            // Only all its bytes tell that the file is still the one that was planned for.
            check()?;
            return Ok(read?);
        }
        match self.reader.read(decoder, &format, unit.name(), &mut push) {
            Ok(0) => Ok(()),
            Ok(documents) => {
                rows.out.count("documents", documents);
                Ok(())
            }
            // A corrupt stream decodes to garbage before its checksum tells: then that is what is wrong.
            Err(error) => {
                let decoder = Decoder::new(unit.open()?, format.compression).map_err(failed)?;
                let fault = decoder.find_fault().map_err(failed)?;
                let blamed =
                    fault.map(|fault| bad_row(unit.name(), None, BadRow::BrokenStream(fault)));
                Err(blamed.unwrap_or(error).into())
            }
        }
    }

    fn example(&self, row: Row, split: Option<Split>, key: RowKey) -> Example {
        let id = match &row.text_pair {
            Some(pair) => text_id(&format!("{}\0{pair}", row.text)),
            None => text_id(&row.text),
        };
        let dealt =
            self.dealer.as_ref().map(|dealer| dealer.split(row.group.as_deref().unwrap_or(&id)));
        Example {
            split: split.or(dealt).unwrap_or(Split::Train),
            id,
            key,
            source_id: row.id,
            group: row.group,
            text: row.text,
            text_pair: row.text_pair,
            labels: if row.tokens.is_empty() { vec![row.label] } else { Vec::new() },
            tokens: row.tokens,
            tags: row.tags,
        }
    }
}

/// The unit of a row key: the file's bytes; in a folder of labels, where equal bytes may have two labels, those as well.
fn unit_name(unit: &TaskInput, format: &FileFormat) -> String {
    match &format.rows {
        RowFormat::Folder(label) => text_id(&format!("{}:{label}", unit.digest().hex())),
        _ => unit.digest().row_name(),
    }
}

struct Rows<'a> {
    table: TableWriter<Example>,
    summary: Summary,
    ids: Vec<(String, usize)>,
    out: &'a mut TaskOutput,
}

impl Rows<'_> {
    fn push(&mut self, example: Example, file: Digest, line: Option<u64>) -> Result<()> {
        let split = example.split;
        let labels = example.labels.iter().map(String::as_str);
        for label in labels.chain(tag::entities(&example.tags)) {
            let splits = self.summary.labels.entry(label.to_owned()).or_default();
            let first = LabelRows { rows: 0, first_file: file, first_line: line };
            splits.entry(split).or_insert(first).rows += 1;
        }
        let at = Split::ALL.iter().position(|known| *known == split).unwrap_or_default();
        self.ids.push((example.id.clone(), at));
        self.out.count("read", 1);
        self.out.count("kept", 1);
        self.out.count(&format!("kept/{split}"), 1);
        if !example.tokens.is_empty() {
            let (tokens, tags) = (example.tokens.len(), &example.tags);
            self.out.count(&format!("tokens/{split}"), tokens as u64);
            self.out.count(&format!("entities/{split}"), tag::entities(tags).count() as u64);
        }
        Ok(self.table.push(example)?)
    }

    fn finish(mut self) -> Result<(), TaskError> {
        self.table.finish(self.out)?;
        let summary = serde_json::to_vec(&self.summary).map_err(io::Error::from);
        let summary = summary.map_err(|source| Error::Write { output: SUMMARY, source })?;
        self.out.write(SUMMARY, &summary)?;
        self.ids.sort_unstable();
        let mut file = self.out.create(IDS)?;
        for (id, split) in &self.ids {
            write!(file, "{id}{split}").map_err(|source| Error::Write { output: IDS, source })?;
        }
        Ok(self.out.finish(file, Size::Rows(self.ids.len() as u64))?)
    }
}
