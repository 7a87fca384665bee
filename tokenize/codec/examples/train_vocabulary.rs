//! Trains a vocabulary on text files and writes it as a directory that `transformers` loads.
//!
//! `cargo run --release -p codec --example train_vocabulary -- SIZE OUT_DIR FILE...`

use std::{env, error::Error, fs, path::PathBuf};

use codec::{CodecError, PretokenCounts, Vocabulary};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let size = args.next().ok_or("expected SIZE OUT_DIR FILE...")?.parse()?;
    let out = PathBuf::from(args.next().ok_or("expected OUT_DIR after SIZE")?);
    let mut counts = PretokenCounts::default();
    for file in args {
        counts.count(&fs::read_to_string(file)?)?;
    }
    let vocabulary = Vocabulary::train(&counts, size, |_| Ok::<_, CodecError>(()))?;
    fs::create_dir_all(&out)?;
    for file in vocabulary.files() {
        fs::write(out.join(file.name), file.bytes)?;
    }
    Ok(())
}
