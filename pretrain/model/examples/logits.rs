//! Prints the logits of a model directory as JSON: `cargo run --release -p model --example logits -- DIR ID…`.
//!
//! One list of numbers for each token id, or for the sequence if the model classifies sequences. Other programs compare them with their own.

use std::io::Write;
use std::path::Path;

use model::{Checkpoint, CpuModel, Head};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dir, ids) = arguments.split_first().ok_or("usage: logits DIR ID…")?;
    let ids: Vec<u32> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    let mut model = CpuModel::from_checkpoint(Checkpoint::read(Path::new(dir))?)?;
    let sequences = [&ids].into_iter().collect();
    let rows = match model.config().head() {
        Head::SequenceClassification { .. } => model.class_logits(&sequences)?,
        _ => {
            let logits = model.logits(&sequences)?;
            logits.chunks_exact(logits.len() / ids.len()).map(<[f32]>::to_vec).collect()
        }
    };
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&rows)?)?)
}
