//! Phase `write`: the texts that are kept, as `documents`.

use crate::edit::C4Lines;
use crate::error::{Error, Result};
use crate::rows::rows;
use crate::{decide, extract};
use pipelines::context::{Context, Unit};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::output::TaskOutput;
use pipelines::stage::{Input, Phase, Task, View};
use pipelines::table::decisions::{Decision, Outcome};
use pipelines::table::documents::{Document, Edit, Extracted, Reading};
use pipelines::table::{TableReader, TableWriter};
use serde::Serialize;

/// Name of the phase.
pub const NAME: &str = "write";

/// The table of documents.
pub const DOCUMENTS: &str = "documents";

/// Writes the kept records of a part, in order.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// How texts are edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<C4Lines>,
}

impl Phase for Write {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        2
    }

    fn config(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("the phase has string keys and finite numbers only")
    }

    fn tasks(&self, view: &View) -> Result<Vec<Task>, TaskError> {
        let task = |part: &String| {
            let extracted = view.output(extract::NAME, part, extract::EXTRACTED);
            let decisions = view.output(decide::NAME, part, decide::DECISIONS);
            let inputs =
                vec![Input::new("extracted", extracted), Input::new("decisions", decisions)];
            Task::new(part.clone(), inputs)
        };
        Ok(view.tasks(decide::NAME).iter().map(task).collect())
    }

    fn run(
        &self,
        inputs: &TaskInputs,
        out: &mut TaskOutput,
        ctx: &Context,
    ) -> Result<(), TaskError> {
        let extracted = TableReader::<Extracted>::open(&inputs.one("extracted")?.map()?)?;
        let decisions = TableReader::<Decision>::open(&inputs.one("decisions")?.map()?)?;
        let mut documents = TableWriter::create(out, DOCUMENTS)?;
        ctx.begin(extracted.rows(), Unit::Rows);
        if decisions.rows() != extracted.rows() {
            let found = format!("{} decisions", decisions.rows());
            let expected = format!("one for each of {} records", extracted.rows());
            return Err(
                Error::Unexpected { file: decide::DECISIONS.into(), found, expected }.into()
            );
        }
        for (row, decision) in rows(extracted).zip(rows(decisions)) {
            if let Some(document) = self.document(row?, &decision?, out)? {
                documents.push(document)?;
            }
            ctx.check_cancelled()?;
            ctx.advance(1);
        }
        Ok(documents.finish(out)?)
    }
}

impl Write {
    fn document(
        &self,
        row: Extracted,
        decision: &Decision,
        out: &mut TaskOutput,
    ) -> Result<Option<Document>> {
        let Extracted { key, origin, reading } = row;
        if key != decision.key {
            let [found, expected] = [&decision.key, &key]
                .map(|key| format!("record {} of unit {}", key.record, key.unit));
            return Err(Error::Unexpected { file: decide::DECISIONS.into(), found, expected });
        }
        out.count("read", 1);
        match (&decision.outcome, reading) {
            (Outcome::Kept, Reading::Read { id, text, .. }) => {
                out.count("kept", 1);
                let (text, edits) = self.edit(text);
                out.count("edited_documents", u64::from(!edits.is_empty()));
                Ok(Some(Document { id, key, origin, edits, text }))
            }
            (Outcome::Unreadable { .. }, _) => {
                out.count("unreadable", 1);
                Ok(None)
            }
            _ => {
                out.count("dropped", 1);
                Ok(None)
            }
        }
    }

    /// The text after edits, and what they were.
    fn edit(&self, text: String) -> (String, Vec<Edit>) {
        let Some(edit) = &self.edit else { return (text, Vec::new()) };
        let (edited, _) = edit.edit(&text, None);
        (edited.text(), edited.edits())
    }
}
