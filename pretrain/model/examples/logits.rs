//! Prints the logits of a model directory as JSON: `cargo run --release -p model --example logits -- DIR ID…`.
//!
//! One list of `vocab_size` numbers for each token id. Other programs compare them with their own.

use std::io::Write;
use std::path::Path;

use model::{Checkpoint, CpuLlama};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dir, ids) = arguments.split_first().ok_or("usage: logits DIR ID…")?;
    let ids: Vec<u32> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    let mut model = CpuLlama::from_checkpoint(Checkpoint::read(Path::new(dir))?)?;
    let vocab_size = model.config().vocab_size;
    let logits = model.logits(&[ids].into_iter().collect())?;
    let rows: Vec<&[f32]> = logits.chunks_exact(vocab_size).collect();
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&rows)?)?)
}
