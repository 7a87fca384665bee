//! Reads a model directory and writes it as we write one: `cargo run --release -p model --example rewrite -- DIR OUT`.
//!
//! OUT has to exist. Other programs are shown what we write of a model that they know.

use std::path::Path;

use model::Checkpoint;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, out] = arguments.as_slice() else { return Err("usage: rewrite DIR OUT".into()) };
    Ok(Checkpoint::read(Path::new(dir))?.write(Path::new(out))?)
}
