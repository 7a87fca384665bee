//! A directory with tiny token shards, and runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use codec::{Codec, PretokenCounts, SpecialTokens, Vocabulary};
use laboratory::{Fate, Given, Laboratory, Step, Steps, told};
use pipelines::digest::{Digest, text_id};
use pipelines::error::TaskError;
use pipelines::kind::Kind;
use pipelines::output::TaskOutput;
use pipelines::record::Artifact;
use pipelines::shard::{ShardWriter, TokenWidth};
use pipelines::table::documents::RowKey;
use serde::Serialize;
use serde_json::Value;

/// Documents of each split, whether tokens are stored wider than they need, and whether the vocabulary has all special
/// tokens.
#[derive(Clone, Copy, Serialize)]
pub struct Shards {
    pub train: usize,
    pub validation: usize,
    pub wide: bool,
    pub special: bool,
}

const FILES: [&str; 8] = [
    "train-00000.bin",
    "train-00000.idx",
    "train-00000.docs.parquet",
    "validation-00000.bin",
    "validation-00000.idx",
    "validation-00000.docs.parquet",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// A text that can be learnt: words follow each other in one of three orders.
fn text(at: usize) -> String {
    let words = ["the", "slow", "river", "runs", "low"];
    (0..8 + at % 5).map(|word| words[(word * (1 + at % 3)) % 5]).collect::<Vec<_>>().join(" ")
}

fn write(shards: &Shards, out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut counts = PretokenCounts::default();
    counts.count(&text(0))?;
    let vocabulary = Vocabulary::train(&counts, 265, |_| Ok::<_, codec::CodecError>(()))?;
    let name = |name: &str| shards.special.then(|| name.to_owned());
    let special = SpecialTokens { cls: name("[CLS]"), sep: name("[SEP]"), mask: name("[MASK]") };
    let vocabulary = vocabulary.with_special_tokens(special)?;
    for file in vocabulary.files() {
        out.write(file.name, &file.bytes)?;
    }
    let codec = Codec::of(&vocabulary)?;
    let width = if shards.wide { TokenWidth::Wide } else { TokenWidth::Narrow };
    for (split, documents) in [("train", shards.train), ("validation", shards.validation)] {
        let mut shard = ShardWriter::create(out, &format!("{split}-00000"), width)?;
        for at in 0..documents {
            let text = text(at);
            let mut tokens = codec.encode(&text)?;
            tokens.extend(codec.eos());
            let key = RowKey { unit: text_id(split), record: at as u64 };
            shard.push(&text_id(&text), &key, text.len() as u64, &tokens)?;
        }
        shard.finish(out)?;
    }
    Ok(())
}

/// The config with these fields beside the one that it needs.
pub fn config(fields: &str) -> Result<pretrain::Config, String> {
    told(&format!("shards = \"shards\"\n{fields}"))
}

/// A directory of results.
pub struct Lab {
    laboratory: Laboratory,
    shards: Shards,
}

impl Lab {
    pub fn new() -> Self {
        Self::with(Shards { train: 40, validation: 6, wide: false, special: false })
    }

    pub fn with(shards: Shards) -> Self {
        Self { laboratory: Laboratory::default(), shards }
    }

    fn steps(&self, fields: &str) -> Result<Steps, String> {
        let shards = Given::new(Kind::TokenShards, FILES, self.shards, write);
        Ok(Steps::from([("shards", Step::new(shards)), ("base", Step::new(config(fields)?))]))
    }

    /// Runs to the end; the advances of the training tasks that ran.
    pub fn run(&self, fields: &str) -> Result<Vec<u64>, String> {
        Ok(self.laboratory.run(&self.steps(fields)?)?.advances())
    }

    pub fn run_with_threads(&self, fields: &str, threads: usize) {
        self.laboratory.run_with_threads(&self.steps(fields).unwrap(), threads).unwrap();
    }

    /// Runs until `fate` strikes; the message.
    pub fn interrupt(&self, fields: &str, fate: Fate) -> String {
        self.laboratory.interrupt(&self.steps(fields).unwrap(), fate)
    }

    pub fn dir(&self) -> PathBuf {
        self.laboratory.path("base/checkpoint")
    }

    pub fn artifact(&self) -> Artifact {
        self.laboratory.artifact("base/checkpoint")
    }

    /// Digests of the checkpoint's files by path.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.laboratory.digests("base/checkpoint")
    }

    pub fn metrics(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir().join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
