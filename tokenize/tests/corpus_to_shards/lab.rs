//! Tiny corpora, and runs that make vocabularies and shards of them.

use std::path::Path;

use laboratory::{Given, Laboratory, Ran, Step, Steps, told};
use pipelines::digest::text_id;
use pipelines::error::TaskError;
use pipelines::input::Mapped;
use pipelines::kind::Kind;
use pipelines::output::TaskOutput;
use pipelines::shard::{Shard, ShardDocument};
use pipelines::table::documents::{Document, RowKey};
use pipelines::table::{TableWriter, read_all};

/// The texts of each part.
pub type Parts = Vec<Vec<String>>;

/// Texts of two parts, a third of them alike, some empty, some hard.
pub fn parts() -> Parts {
    let text = |part: usize, at: usize| match at % 5 {
        0 => String::new(),
        1 => format!("the lower the slower {part}"),
        2 => "it's the same <|endoftext|> text".to_owned(),
        3 => format!("naïve café 日本語 {at}"),
        _ => "ab".repeat(at * 20),
    };
    (0..2).map(|part| (0..30).map(|at| text(part, at)).collect()).collect()
}

const PART_NAMES: [&str; 2] = ["part-a", "part-b"];

/// Stands for corpus preparation: the texts of each part as documents.
fn corpus(parts: &[Vec<String>]) -> Step {
    let files = PART_NAMES[..parts.len()].iter().map(|name| format!("{name}.parquet"));
    let write = |parts: &Parts, out: &mut TaskOutput| {
        parts.iter().zip(PART_NAMES).try_for_each(|(texts, name)| write_part(name, texts, out))
    };
    Step::new(Given::new(Kind::Documents, files, parts.to_vec(), write).in_parts())
}

fn write_part(name: &str, texts: &[String], out: &mut TaskOutput) -> Result<(), TaskError> {
    let mut documents = TableWriter::create(out, &format!("{name}.parquet"))?;
    for (record, text) in (0..).zip(texts) {
        documents.push(Document {
            id: text_id(text),
            key: RowKey { unit: text_id(name), record },
            origin: Default::default(),
            edits: Vec::new(),
            text: text.clone(),
        })?;
    }
    Ok(documents.finish(out)?)
}

/// The config of a vocabulary of the corpus.
pub fn vocabulary() -> tokenize::Config {
    told("train = { documents = \"clean\", size = 300 }").unwrap()
}

/// The config of shards of the corpus, with more fields.
pub fn encoding(fields: &str) -> Result<tokenize::Config, String> {
    told(&format!("documents = \"clean\"\nvocabulary = \"vocab\"\n{fields}"))
}

/// Learns a vocabulary and encodes, or says why not.
pub fn run(laboratory: &Laboratory, parts: &[Vec<String>], fields: &str) -> Result<Ran, String> {
    run_on(2, laboratory, parts, fields)
}

/// The same on so many threads.
pub fn run_on(
    threads: usize,
    laboratory: &Laboratory,
    parts: &[Vec<String>],
    fields: &str,
) -> Result<Ran, String> {
    let steps = Steps::from([
        ("clean", corpus(parts)),
        ("vocab", Step::new(vocabulary())),
        ("shards", Step::new(encoding(fields)?)),
    ]);
    laboratory.run_with_threads(&steps, threads)
}

/// The documents and tokens of a shard.
pub fn shard(dir: &Path, name: &str) -> Vec<(ShardDocument, Vec<u32>)> {
    let map = |suffix: &str| Mapped::whole(dir.join(format!("{name}.{suffix}"))).unwrap();
    let shard = Shard::open(map("bin"), map("idx")).unwrap();
    let documents: Vec<ShardDocument> = read_all(&map("docs.parquet")).unwrap();
    assert_eq!(documents.len() as u64, shard.documents());
    documents.into_iter().zip((0..).map(|at| shard.document(at))).collect()
}
