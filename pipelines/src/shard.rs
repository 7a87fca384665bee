//! Token shards in Megatron's `IndexedDataset` layout, with a table of the documents behind them.
//!
//! `X.bin` holds the tokens of all documents behind each other, little-endian. `X.idx` is, little-endian throughout:
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | 9 bytes | `MMIDIDX` and two zero bytes |
//! | 9 | u64 | version, 1 |
//! | 17 | u8 | type of a token: 8 = u16, 4 = i32 |
//! | 18 | u64 | S, number of sequences |
//! | 26 | u64 | D, number of documents + 1 |
//! | 34 | i32 × S | length of each sequence in tokens |
//! | 34 + 4 S | i64 × S | offset of each sequence in `.bin`, in bytes |
//! | 34 + 12 S | i64 × D | first sequence of each document; starts with 0, ends with S |
//!
//! Here every document is one sequence. Nothing is aligned, so arrays are read a value at a time, and never copied whole.
//! `X.docs.parquet` names the document behind each sequence.
//!
//! Source: megatron-core 0.16.1, `core/datasets/indexed_dataset.py`.

use std::io::Write;

use crate::error::{Error, Result};
use crate::input::Mapped;
use crate::output::{OutputFile, Size, TaskOutput};
use crate::table::documents::RowKey;
use crate::table::{BuildColumns, Columns, Row, TableWriter};

const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
const VERSION: u64 = 1;
const HEADER_BYTES: u64 = 34;
/// Vocabularies below this size are stored in 16 bits, as Megatron does.
const MAX_NARROW_VOCAB: u32 = 65_500;

/// How a token is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenWidth {
    /// `u16`, code 8.
    Narrow,
    /// `i32`, code 4.
    Wide,
}

impl TokenWidth {
    /// The width for a vocabulary of `vocab_size` tokens.
    pub fn for_vocab(vocab_size: u32) -> Self {
        if vocab_size < MAX_NARROW_VOCAB { TokenWidth::Narrow } else { TokenWidth::Wide }
    }

    /// Bytes of a token.
    pub fn bytes(self) -> u64 {
        match self {
            TokenWidth::Narrow => 2,
            TokenWidth::Wide => 4,
        }
    }

    fn code(self) -> u8 {
        match self {
            TokenWidth::Narrow => 8,
            TokenWidth::Wide => 4,
        }
    }
}

/// A row of `.docs.parquet`: the document behind a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDocument {
    /// BLAKE3-128 of its text.
    pub id: String,
    /// Which record it was.
    pub key: RowKey,
    /// Its tokens, with those that were added, such as the end of the document.
    pub tokens: u64,
    /// UTF-8 bytes of its text.
    pub bytes: u64,
}

impl Row for ShardDocument {
    const TABLE: &'static str = "shard-documents";
    const VERSION: u64 = 1;

    fn build(rows: &[Self], columns: &mut BuildColumns) {
        columns.text("id", rows.iter().map(|row| row.id.as_str()));
        RowKey::build(rows.iter().map(|row| &row.key), columns);
        columns.u64("tokens", rows.iter().map(|row| row.tokens));
        columns.u64("bytes", rows.iter().map(|row| row.bytes));
    }

    fn read(columns: &Columns<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            id: columns.text("id", at)?,
            key: RowKey::read(columns, at)?,
            tokens: columns.u64("tokens", at)?,
            bytes: columns.u64("bytes", at)?,
        })
    }

    fn weight(&self) -> usize {
        112
    }
}

/// Writes one shard as the outputs `NAME.bin`, `NAME.idx` and `NAME.docs.parquet`.
pub struct ShardWriter {
    name: String,
    width: TokenWidth,
    bin: OutputFile,
    documents: TableWriter<ShardDocument>,
    lengths: Vec<i32>,
    tokens: u64,
}

impl ShardWriter {
    /// Starts the shard `name`.
    ///
    /// # Errors
    /// When an output cannot be made.
    pub fn create(out: &TaskOutput, name: &str, width: TokenWidth) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            width,
            bin: out.create(&format!("{name}.bin"))?,
            documents: TableWriter::create(out, &format!("{name}.docs.parquet"))?,
            lengths: Vec::new(),
            tokens: 0,
        })
    }

    /// Adds a document of `bytes` bytes of text with its tokens.
    ///
    /// # Errors
    /// When it cannot be written, is longer than 2^31 - 1 tokens, or a token does not fit the width.
    pub fn push(&mut self, id: &str, key: &RowKey, bytes: u64, tokens: &[u32]) -> Result<()> {
        let too_long = |found: String, expected: &str| Error::Format {
            path: self.name.clone().into(),
            found,
            expected: expected.to_owned(),
        };
        let length = i32::try_from(tokens.len()).map_err(|_| {
            too_long(format!("a document of {} tokens", tokens.len()), "at most 2147483647")
        })?;
        let mut encoded = Vec::with_capacity(tokens.len() * 4);
        for &token in tokens {
            match self.width {
                TokenWidth::Narrow => {
                    let narrow = u16::try_from(token).map_err(|_| {
                        too_long(format!("token {token}"), "a token that fits 16 bits")
                    })?;
                    encoded.extend(narrow.to_le_bytes());
                }
                TokenWidth::Wide => encoded.extend(token.to_le_bytes()),
            }
        }
        self.bin.write_all(&encoded).map_err(|source| self.cannot_write(source))?;
        self.lengths.push(length);
        self.tokens += tokens.len() as u64;
        let tokens = tokens.len() as u64;
        self.documents.push(ShardDocument { id: id.to_owned(), key: key.clone(), tokens, bytes })
    }

    fn cannot_write(&self, source: std::io::Error) -> Error {
        Error::Io { action: "write shard", path: self.name.clone().into(), source }
    }

    /// Tokens written so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Ends the shard.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, out: &mut TaskOutput) -> Result<()> {
        let mut idx = out.create(&format!("{}.idx", self.name))?;
        self.write_index(&mut idx).map_err(|source| self.cannot_write(source))?;
        out.finish(self.bin, Size::Tokens(self.tokens))?;
        out.finish(idx, Size::Bytes)?;
        self.documents.finish(out)
    }

    fn write_index(&self, idx: &mut impl Write) -> std::io::Result<()> {
        let sequences = self.lengths.len() as u64;
        idx.write_all(MAGIC)?;
        idx.write_all(&VERSION.to_le_bytes())?;
        idx.write_all(&[self.width.code()])?;
        idx.write_all(&sequences.to_le_bytes())?;
        idx.write_all(&(sequences + 1).to_le_bytes())?;
        for length in &self.lengths {
            idx.write_all(&length.to_le_bytes())?;
        }
        let mut offset = 0u64;
        for length in &self.lengths {
            idx.write_all(&offset.to_le_bytes())?;
            offset += u64::from(length.unsigned_abs()) * self.width.bytes();
        }
        (0..=sequences).try_for_each(|document| idx.write_all(&document.to_le_bytes()))
    }
}

/// A shard in memory maps.
#[derive(Clone)]
pub struct Shard {
    bin: Mapped,
    idx: Mapped,
    width: TokenWidth,
    sequences: u64,
}

impl Shard {
    /// Opens a shard by its two files.
    ///
    /// # Errors
    /// When `idx` is not such an index or of a newer version, or the two do not belong together.
    pub fn open(bin: Mapped, idx: Mapped) -> Result<Self> {
        let wrong = |found: String, expected: String| Error::Format {
            path: idx.path().to_owned(),
            found,
            expected,
        };
        if idx.len() < 34 || idx[..9] != *MAGIC {
            let head = &idx[..idx.len().min(9)];
            return Err(wrong(
                format!("a start of {head:02x?}"),
                "a shard index, which starts with MMIDIDX".into(),
            ));
        }
        let version = u64_at(&idx, 9);
        if version != VERSION {
            let (path, what) = (idx.path().to_owned(), "shard index");
            return Err(Error::TooNew { path, what, found: version, supported: VERSION });
        }
        let width = match idx[17] {
            8 => TokenWidth::Narrow,
            4 => TokenWidth::Wide,
            other => return Err(wrong(format!("token type {other}"), "8 (u16) or 4 (i32)".into())),
        };
        let (sequences, documents) = (u64_at(&idx, 18), u64_at(&idx, 26));
        if documents.checked_sub(1) != Some(sequences) {
            let found = format!("{sequences} sequences and {documents} ends of documents");
            return Err(wrong(found, "one document a sequence".into()));
        }
        let expected = sequences.checked_mul(12).zip(documents.checked_mul(8)).and_then(
            |(lengths, documents)| lengths.checked_add(documents)?.checked_add(HEADER_BYTES),
        );
        if expected != Some(idx.len() as u64) {
            let header = expected.map_or("more than 2^64".into(), |bytes| bytes.to_string());
            return Err(wrong(
                format!("{} bytes", idx.len()),
                format!("{header} bytes, as its header promises; was the writer interrupted?"),
            ));
        }
        let shard = Self { bin, idx, width, sequences };
        shard.check_tokens()?;
        Ok(shard)
    }

    /// Checks that the sequences stand behind each other and fill the tokens.
    fn check_tokens(&self) -> Result<()> {
        let mut end = 0u64;
        for at in 0..self.sequences {
            let (offset, length) = self.place(at);
            if offset != end || length > u64::from(i32::MAX.unsigned_abs()) {
                return Err(Error::Format {
                    path: self.idx.path().to_owned(),
                    found: format!("sequence {at} of {length} tokens at byte {offset}"),
                    expected: format!("one that starts at byte {end}, where the one before ends"),
                });
            }
            end += length * self.width.bytes();
        }
        if end == self.bin.len() as u64 {
            return Ok(());
        }
        Err(Error::Format {
            path: self.bin.path().to_owned(),
            found: format!("{} bytes", self.bin.len()),
            expected: format!("{end} bytes, as its index promises; was the writer interrupted?"),
        })
    }

    /// Number of documents.
    pub fn documents(&self) -> u64 {
        self.sequences
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.bin.len() as u64 / self.width.bytes()
    }

    /// How tokens are stored.
    pub fn width(&self) -> TokenWidth {
        self.width
    }

    /// First byte in `.bin`, and length in tokens, of document `at`.
    fn place(&self, at: u64) -> (u64, u64) {
        let at = usize::try_from(at).expect("an index in a mapped file fits usize");
        let sequences =
            usize::try_from(self.sequences).expect("the count of a mapped file fits usize");
        let length = u64::from(u32_at(&self.idx, 34 + 4 * at));
        (u64_at(&self.idx, 34 + 4 * sequences + 8 * at), length)
    }

    /// The tokens of document `at`.
    ///
    /// # Panics
    /// If there is no such document.
    pub fn document(&self, at: u64) -> Vec<u32> {
        assert!(at < self.sequences, "document {at} of {}", self.sequences);
        let (offset, length) = self.place(at);
        let mut tokens = Vec::new();
        self.read(offset / self.width.bytes(), length, &mut tokens);
        tokens
    }

    /// Appends `length` tokens from token `from` on, across documents, to `tokens`.
    ///
    /// # Panics
    /// If the shard has fewer.
    pub fn read(&self, from: u64, length: u64, tokens: &mut Vec<u32>) {
        let width = self.width.bytes();
        let byte = |token: u64| {
            usize::try_from(token * width).expect("an offset in a mapped file fits usize")
        };
        let bytes = &self.bin[byte(from)..byte(from + length)];
        match self.width {
            TokenWidth::Narrow => {
                tokens.extend(
                    bytes
                        .chunks_exact(2)
                        .map(|two| u32::from(u16::from_le_bytes([two[0], two[1]]))),
                );
            }
            TokenWidth::Wide => tokens.extend(bytes.chunks_exact(4).map(|four| u32_at(four, 0))),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::store::Store;
    use proptest::prelude::*;

    fn write(documents: &[Vec<u32>], width: TokenWidth) -> (tempfile::TempDir, Mapped, Mapped) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut out = TaskOutput::new(&store).unwrap();
        let mut shard = ShardWriter::create(&out, "train", width).unwrap();
        for (at, tokens) in documents.iter().enumerate() {
            let key = RowKey { unit: "0".repeat(32), record: at as u64 };
            shard.push("id", &key, 1, tokens).unwrap();
        }
        shard.finish(&mut out).unwrap();
        let record = out.commit(Digest::of(b"key")).unwrap();
        let map = |name: &str| {
            Mapped::whole(store.object_path(&record.outputs.get(name).unwrap().digest)).unwrap()
        };
        let (bin, idx) = (map("train.bin"), map("train.idx"));
        (dir, bin, idx)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn documents_read_back(
            documents in prop::collection::vec(prop::collection::vec(0u32..60_000, 0..20), 0..10),
            wide: bool,
        ) {
            let width = if wide { TokenWidth::Wide } else { TokenWidth::Narrow };
            let (_dir, bin, idx) = write(&documents, width);
            let shard = Shard::open(bin, idx).unwrap();
            let read: Vec<Vec<u32>> = (0..shard.documents()).map(|at| shard.document(at)).collect();
            prop_assert_eq!(&read, &documents);
            let mut all = Vec::new();
            shard.read(0, shard.tokens(), &mut all);
            prop_assert_eq!(all, documents.concat());
        }
    }

    #[test]
    fn the_index_is_the_bytes_that_megatron_writes() {
        let (_dir, bin, idx) = write(&[vec![1, 2, 3], vec![], vec![65_499]], TokenWidth::Narrow);
        let mut expected = b"MMIDIDX\0\0".to_vec();
        expected.extend(1u64.to_le_bytes());
        expected.push(8);
        expected.extend([3u64, 4].map(u64::to_le_bytes).concat());
        expected.extend([3i32, 0, 1].map(i32::to_le_bytes).concat());
        expected.extend([0i64, 6, 6].map(i64::to_le_bytes).concat());
        expected.extend([0i64, 1, 2, 3].map(i64::to_le_bytes).concat());
        assert_eq!(&idx[..], expected);
        assert_eq!(&bin[..], [1, 0, 2, 0, 3, 0, 0xdb, 0xff]);
    }

    #[test]
    fn vocabularies_from_65500_on_are_wide() {
        assert_eq!(TokenWidth::for_vocab(65_499), TokenWidth::Narrow);
        assert_eq!(TokenWidth::for_vocab(65_500), TokenWidth::Wide);
    }

    fn refused(change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Error {
        let (dir, bin, idx) = write(&[vec![1, 2, 3]], TokenWidth::Narrow);
        let (mut bin, mut idx) = (bin.to_vec(), idx.to_vec());
        change(&mut bin, &mut idx);
        let map = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).unwrap();
            Mapped::whole(dir.path().join(name)).unwrap()
        };
        Shard::open(map("x.bin", &bin), map("x.idx", &idx)).err().unwrap()
    }

    #[test]
    fn cut_foreign_and_newer_files_are_refused_by_name() {
        let cut_index = refused(|_, idx| idx.truncate(40));
        assert!(cut_index.to_string().contains("was the writer interrupted?"), "{cut_index}");
        let cut_tokens = refused(|bin, _| bin.truncate(4));
        assert!(cut_tokens.to_string().contains("x.bin: found 4 bytes"), "{cut_tokens}");
        let foreign = refused(|_, idx| idx[0] = b'X');
        assert!(foreign.to_string().contains("which starts with MMIDIDX"), "{foreign}");
        let newer = refused(|_, idx| idx[9] = 2);
        assert!(matches!(newer, Error::TooNew { found: 2, .. }), "{newer}");
        let typed = refused(|_, idx| idx[17] = 7);
        assert!(typed.to_string().contains("token type 7"), "{typed}");
        let huge = refused(|_, idx| idx[18..26].fill(0xff));
        assert!(huge.to_string().contains("one document a sequence"), "{huge}");
        let moved = refused(|_, idx| idx[38] = 2);
        assert!(moved.to_string().contains("at byte 2"), "{moved}");
        let negative = refused(|_, idx| idx[37] = 0x80);
        assert!(negative.to_string().contains("2147483651 tokens"), "{negative}");
    }
}
