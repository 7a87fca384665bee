//! A classifier as a file, which `docs/formats.md` describes byte by byte.

use super::features::Features;
use super::{Classifier, Output, Platt};
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"SBCLASSF";

/// Version of the format.
pub const VERSION: u32 = 1;

const DIGEST_BYTES: usize = 32;

impl Classifier {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Features { bucket_bits, word_pairs, characters } = self.features;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([bucket_bits, u8::from(word_pairs), characters.unwrap_or(0), 0]);
        bytes.extend(length(self.labels.len()));
        bytes.extend(length(self.buckets.len()));
        for label in &self.labels {
            bytes.extend(length(label.len()));
            bytes.extend(label.as_bytes());
        }
        for Output { bias, platt } in &self.outputs {
            bytes.extend(bias.to_le_bytes());
            bytes.extend(platt.slope.to_le_bytes());
            bytes.extend(platt.offset.to_le_bytes());
        }
        for (bucket, weights) in self.buckets.iter().zip(self.weights.chunks(self.outputs.len())) {
            bytes.extend(bucket.to_le_bytes());
            weights.iter().for_each(|weight| bytes.extend(weight.to_le_bytes()));
        }
        let digest = blake3::hash(&bytes);
        bytes.extend(digest.as_bytes());
        bytes
    }

    /// Reads the bytes of a file; `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::BadClassifier`] when they are no classifier, one of another version, or damaged.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self> {
        read(bytes).map_err(|(found, expected)| Error::BadClassifier {
            file: file.into(),
            found,
            expected,
        })
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("labels and buckets are few and short").to_le_bytes()
}

/// What was found, and what was expected.
type Problem = (String, &'static str);

fn problem<T>(found: impl Into<String>, expected: &'static str) -> Result<T, Problem> {
    Err((found.into(), expected))
}

fn read(bytes: &[u8]) -> Result<Classifier, Problem> {
    let mut head = Reader(bytes);
    if head.take(MAGIC.len()).ok() != Some(MAGIC.as_slice()) {
        let found = bytes[..bytes.len().min(MAGIC.len())].escape_ascii();
        return problem(format!("`{found}` at its begin"), "`SBCLASSF`");
    }
    let version = head.u32()?;
    if version != VERSION {
        return problem(format!("format version {version}"), "version 1");
    }
    let (content, digest) =
        bytes.split_last_chunk::<DIGEST_BYTES>().unwrap_or((&[], &[0; DIGEST_BYTES]));
    if blake3::hash(content) != *digest {
        return problem(
            format!("{} bytes with another checksum", bytes.len()),
            "the bytes that were written",
        );
    }
    let mut reader = Reader(&content[MAGIC.len() + 4..]);
    let classifier = read_content(&mut reader)?;
    match reader.0.len() {
        0 => Ok(classifier),
        left => problem(format!("{left} bytes behind the weights"), "none"),
    }
}

/// What is behind the version. The checksum is right, so that only a writer could have made it wrong.
fn read_content(reader: &mut Reader) -> Result<Classifier, Problem> {
    let features = read_features(reader)?;
    let num_labels = reader.u32()? as usize;
    let num_buckets = reader.u32()? as usize;
    if num_labels < 2 || num_buckets > features.num_buckets() {
        let found = format!("{num_labels} labels and {num_buckets} buckets");
        return problem(found, "at least 2 labels, and at most as many buckets as there are");
    }
    let mut labels = Vec::new();
    for _ in 0..num_labels {
        let length = reader.u32()? as usize;
        match str::from_utf8(reader.take(length)?) {
            Ok(label) => labels.push(label.to_owned()),
            Err(error) => return problem(format!("a label with {error}"), "UTF-8"),
        }
    }
    let num_outputs = if num_labels == 2 { 1 } else { num_labels };
    let mut outputs = Vec::new();
    for _ in 0..num_outputs {
        let bias = reader.weight()?;
        let platt = Platt { slope: reader.f64()?, offset: reader.f64()? };
        outputs.push(Output { bias, platt });
    }
    let (mut buckets, mut weights) = (Vec::new(), Vec::new());
    for _ in 0..num_buckets {
        buckets.push(reader.u32()?);
        for _ in 0..num_outputs {
            weights.push(reader.weight()?);
        }
    }
    let is_in = buckets.last().is_none_or(|last| (*last as usize) < features.num_buckets());
    if !is_in || !buckets.is_sorted_by(|left, right| left < right) {
        return problem("buckets out of order", "numbers that rise, within the bits of a bucket");
    }
    Ok(Classifier { features, labels, outputs, buckets, weights })
}

fn read_features(reader: &mut Reader) -> Result<Features, Problem> {
    let [bucket_bits, word_pairs, characters, zero] = reader.array()?;
    let features = Features {
        bucket_bits,
        word_pairs: word_pairs == 1,
        characters: (characters > 0).then_some(characters),
    };
    match features.are_valid() && word_pairs < 2 && zero == 0 {
        true => Ok(features),
        false => problem(
            format!("features {:?}", [bucket_bits, word_pairs, characters, zero]),
            "those of version 1",
        ),
    }
}

/// Bytes that are left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, num: usize) -> Result<&'a [u8], Problem> {
        match self.0.split_at_checked(num) {
            Some((taken, left)) => {
                self.0 = left;
                Ok(taken)
            }
            None => problem("a file that ends early", "all that its header promises"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn weight(&mut self) -> Result<f32, Problem> {
        let weight = f32::from_le_bytes(self.array()?);
        if weight.is_finite() { Ok(weight) } else { problem(weight.to_string(), "a finite weight") }
    }

    fn f64(&mut self) -> Result<f64, Problem> {
        let number = f64::from_le_bytes(self.array()?);
        if number.is_finite() { Ok(number) } else { problem(number.to_string(), "a finite number") }
    }
}
