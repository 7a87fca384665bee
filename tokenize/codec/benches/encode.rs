//! Speed of encoding on one thread, ours and that of `tokenizers`, in megabytes of UTF-8 per second.
//!
//! `cargo bench -p codec -- VOCABULARY FILE...`, where VOCABULARY is a directory with a `tokenizer.json` or a
//! `vocab.txt`.

use std::{env, error::Error, fs, hint::black_box, path::PathBuf, time::Instant};

use codec::{Codec, TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VOCAB_TXT, tokenizer_json_of_vocab_txt};
use tokenizers::Tokenizer;

/// Bytes of a document, about.
const DOCUMENT_BYTES: usize = 10_000;

/// The best of so many passes counts.
const PASSES: usize = 3;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let Some(vocabulary) = args.next().map(PathBuf::from) else {
        eprintln!("nothing measured: expected VOCABULARY FILE...");
        return Ok(());
    };
    let config = fs::read(vocabulary.join(TOKENIZER_CONFIG_JSON)).ok();
    let tokenizer = match fs::read(vocabulary.join(TOKENIZER_JSON)) {
        Ok(tokenizer) => tokenizer,
        Err(_) => {
            let list = fs::read(vocabulary.join(VOCAB_TXT))?;
            tokenizer_json_of_vocab_txt(&list, config.as_deref())?.bytes
        }
    };
    let codec = Codec::load(&tokenizer, config.as_deref())?;
    let mut oracle = Tokenizer::from_bytes(&tokenizer)?;
    oracle.with_truncation(None)?.with_padding(None);
    let texts = args.map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    let documents: Vec<&str> = texts.iter().flat_map(|text| documents(text)).collect();
    let bytes: usize = documents.iter().map(|document| document.len()).sum();
    eprintln!("{bytes} bytes in {} documents, engine {}", documents.len(), codec.engine().name());
    measure("ours, ids", bytes, &documents, |text| codec.encode(text).map(|ids| ids.len()))?;
    measure("ours, offsets", bytes, &documents, |text| {
        codec.encode_with_offsets(text).map(|spans| spans.len())
    })?;
    measure("tokenizers, ids", bytes, &documents, |text| {
        oracle.encode_fast(text, false).map(|encoding| encoding.len())
    })?;
    measure("tokenizers, offsets", bytes, &documents, |text| {
        oracle.encode(text, false).map(|encoding| encoding.len())
    })
}

/// Stretches of lines.
fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while let Some(end) = rest
        .get(DOCUMENT_BYTES..)
        .and_then(|_| rest.bytes().skip(DOCUMENT_BYTES).position(|byte| byte == b'\n'))
    {
        let (document, behind) = rest.split_at(DOCUMENT_BYTES + end + 1);
        documents.push(document);
        rest = behind;
    }
    documents.push(rest);
    documents
}

fn measure<E>(
    what: &str,
    bytes: usize,
    documents: &[&str],
    encode: impl Fn(&str) -> Result<usize, E>,
) -> Result<(), E> {
    let mut best = f64::INFINITY;
    let mut tokens = 0;
    for _ in 0..PASSES {
        let start = Instant::now();
        tokens = 0;
        for document in documents {
            tokens += black_box(encode(document)?);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    eprintln!("{what:>20}: {:8.1} MB/s, {tokens} tokens", bytes as f64 / 1e6 / best);
    Ok(())
}
