//! The head of a GGUF file: what it says of its model, and where its tensors stand.
//!
//! Read by hand and not by candle's reader, which panics at an alignment of zero and reads text that is not UTF-8 as
//! something else, and whose errors name no place.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    path::Path,
};

use candle_core::quantized::GgmlDType;
use serde_json::{Map, Value};

use crate::error::{ModelError, Result};

/// What every file begins with.
const MAGIC: [u8; 4] = *b"GGUF";

/// Versions that are read. The first had lengths of 32 bits.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;

/// Largest head that is read, in bytes: of vocabularies of a million tokens there are about 50 MB.
const MAX_HEADER_BYTES: u64 = 1 << 28;

/// Most values in a head, those in lists included: what is kept of one may take more memory than it does in the file.
const MAX_VALUES: u64 = 1 << 23;

/// Most lists within lists.
const MAX_DEPTH: usize = 4;

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: u32 = 4;

/// What the tensors begin at multiples of, in bytes, where the file does not say.
const ALIGNMENT: u64 = 32;

/// The head of a file.
#[derive(Debug)]
pub(super) struct Header {
    /// What is said, by key.
    pub(super) metadata: Map<String, Value>,
    /// The tensors by name.
    pub(super) tensors: BTreeMap<String, TensorInfo>,
    /// Where their numbers begin, in bytes from the start of the file.
    pub(super) data_start: u64,
}

/// What is said of a tensor.
#[derive(Debug)]
pub(super) struct TensorInfo {
    /// Lengths of its dimensions, slowest first.
    pub(super) shape: Vec<usize>,
    /// Number of the type of its numbers, `ggml_type`.
    kind: u32,
    /// Where its numbers begin, in bytes from those of the first tensor.
    pub(super) offset: u64,
}

impl TensorInfo {
    /// The type of its numbers; `None` where it is not read.
    pub(super) fn dtype(&self) -> Option<GgmlDType> {
        Some(match self.kind {
            0 => GgmlDType::F32,
            1 => GgmlDType::F16,
            2 => GgmlDType::Q4_0,
            3 => GgmlDType::Q4_1,
            6 => GgmlDType::Q5_0,
            7 => GgmlDType::Q5_1,
            8 => GgmlDType::Q8_0,
            10 => GgmlDType::Q2K,
            11 => GgmlDType::Q3K,
            12 => GgmlDType::Q4K,
            13 => GgmlDType::Q5K,
            14 => GgmlDType::Q6K,
            30 => GgmlDType::BF16,
            _ => return None,
        })
    }

    /// What that type is called.
    pub(super) fn type_name(&self) -> String {
        match self.dtype() {
            // Those of super-blocks are written `Q4_K`.
            Some(dtype) => format!("{dtype:?}").replace('K', "_K"),
            None => format!("numbers of ggml type {}", self.kind),
        }
    }

    /// How many numbers it has; `None` where they cannot be counted.
    pub(super) fn num_values(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
    }
}

impl Header {
    /// Reads the head of a file of `file_bytes`; `path` names it in errors.
    pub(super) fn read(file: impl Read, file_bytes: u64, path: &Path) -> Result<Self> {
        let mut reader = Reader {
            path,
            file: BufReader::new(file),
            at: 0,
            file_bytes,
            values_left: MAX_VALUES,
            place: "the first bytes".to_owned(),
        };
        reader.version()?;
        let (num_tensors, num_keys) = (reader.u64()?, reader.u64()?);
        let metadata = reader.metadata(num_keys)?;
        let tensors = reader.tensors(num_tensors)?;
        let data_start = reader.at.next_multiple_of(reader.alignment(&metadata)?);
        Ok(Self { metadata, tensors, data_start })
    }
}

/// A file that is read from its start.
struct Reader<'a, R> {
    path: &'a Path,
    file: BufReader<R>,
    /// Bytes that have been read.
    at: u64,
    /// Bytes of the whole file.
    file_bytes: u64,
    /// How many more values may come.
    values_left: u64,
    /// What is being read, for messages.
    place: String,
}

impl<R: Read> Reader<'_, R> {
    fn version(&mut self) -> Result<()> {
        let found = self.array()?;
        let file = self.path.to_owned();
        if found != MAGIC {
            return Err(ModelError::NotGguf { file, found });
        }
        let found = self.u32()?;
        if VERSIONS.contains(&found) {
            Ok(())
        } else if VERSIONS.contains(&found.swap_bytes()) {
            self.refuse("numbers with the highest byte first", "little-endian ones")
        } else {
            let (oldest, newest) = (*VERSIONS.start(), *VERSIONS.end());
            Err(ModelError::GgufVersion { file, found, oldest, newest })
        }
    }

    fn metadata(&mut self, num_keys: u64) -> Result<Map<String, Value>> {
        let mut metadata = Map::new();
        for number in 0..num_keys {
            self.place = format!("key {number} of {num_keys}");
            let key = self.string()?;
            self.place = format!("`{key}`");
            let kind = self.u32()?;
            let value = self.value(kind, 0)?;
            if metadata.insert(key, value).is_some() {
                return self.refuse("the key twice", "each key once");
            }
        }
        Ok(metadata)
    }

    fn tensors(&mut self, num_tensors: u64) -> Result<BTreeMap<String, TensorInfo>> {
        let mut tensors = BTreeMap::new();
        for number in 0..num_tensors {
            self.place = format!("tensor {number} of {num_tensors}");
            let name = self.string()?;
            self.place = format!("tensor `{name}`");
            let info = self.tensor()?;
            if tensors.insert(name, info).is_some() {
                return self.refuse("the tensor twice", "each tensor once");
            }
        }
        Ok(tensors)
    }

    fn tensor(&mut self) -> Result<TensorInfo> {
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            let expected = format!("at most {MAX_DIMENSIONS}");
            return self.refuse(&format!("{dimensions} dimensions"), &expected);
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let length = self.u64()?;
            match usize::try_from(length) {
                Ok(length) => shape.push(length),
                Err(_) => {
                    return self.refuse(&format!("the length {length}"), "one that fits memory");
                }
            }
        }
        // The fastest stands first in the file.
        shape.reverse();
        Ok(TensorInfo { shape, kind: self.u32()?, offset: self.u64()? })
    }

    fn alignment(&mut self, metadata: &Map<String, Value>) -> Result<u64> {
        let Some(found) = metadata.get("general.alignment") else { return Ok(ALIGNMENT) };
        let alignment = found.as_u64().filter(|found| (1..=1 << 20).contains(found));
        self.place = "`general.alignment`".to_owned();
        alignment.map_or_else(|| self.refuse(&found.to_string(), "1 to 2^20 bytes"), Ok)
    }

    /// A value of the type with this number, `gguf_metadata_value_type`.
    fn value(&mut self, kind: u32, depth: usize) -> Result<Value> {
        self.values_left = match self.values_left.checked_sub(1) {
            Some(left) => left,
            None => return self.refuse("too many values", &format!("at most {MAX_VALUES} in all")),
        };
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            6 => {
                let value = f32::from_le_bytes(self.array()?);
                self.finite(shortest(value))?
            }
            7 => match self.array()? {
                [flag @ 0..=1] => (flag == 1).into(),
                [found] => return self.refuse(&format!("the flag {found}"), "0 or 1"),
            },
            8 => self.string()?.into(),
            9 => self.list(depth)?,
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            12 => {
                let value = f64::from_le_bytes(self.array()?);
                self.finite(value)?
            }
            _ => {
                return self.refuse(&format!("a value of type {kind}"), "one of the types 0 to 12");
            }
        })
    }

    /// JSON, by whose rules the values of configs are read, has no other numbers.
    fn finite(&self, value: f64) -> Result<Value> {
        match value.is_finite() {
            true => Ok(value.into()),
            false => self.refuse(&value.to_string(), "a finite number"),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        if depth == MAX_DEPTH {
            return self.refuse("a list within lists", &format!("at most {MAX_DEPTH} of them"));
        }
        let (kind, length) = (self.u32()?, self.u64()?);
        // Every value takes a byte at least.
        self.require(length)?;
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(values.into())
    }

    fn string(&mut self) -> Result<String> {
        let length = self.u64()?;
        self.require(length)?;
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length).read_to_end(&mut bytes);
        let read = read.map_err(|source| self.unreadable(source))?;
        self.at += read as u64;
        if (read as u64) < length {
            return Err(self.truncated(length - read as u64));
        }
        String::from_utf8(bytes).or_else(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            self.refuse(&format!("a text with the byte 0x{byte:02x} at {at}"), "UTF-8")
        })
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.require(N as u64)?;
        let mut bytes = [0; N];
        let read = self.file.read_exact(&mut bytes);
        read.map_err(|source| self.unreadable(source))?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Makes sure that so many bytes follow, and that the head does not grow too large by them.
    fn require(&self, bytes: u64) -> Result<()> {
        let end = self.at.saturating_add(bytes);
        if end > self.file_bytes {
            return Err(self.truncated(bytes));
        }
        if end > MAX_HEADER_BYTES {
            let expected = format!("at most {MAX_HEADER_BYTES} before the tensors");
            return self.refuse(&format!("{end} bytes"), &expected);
        }
        Ok(())
    }

    fn truncated(&self, bytes: u64) -> ModelError {
        ModelError::Truncated {
            file: self.path.to_owned(),
            place: self.place.clone(),
            found: self.file_bytes,
            expected: self.at.saturating_add(bytes),
        }
    }

    fn unreadable(&self, source: std::io::Error) -> ModelError {
        ModelError::Read { path: self.path.to_owned(), source }
    }

    fn refuse<T>(&self, found: &str, expected: &str) -> Result<T> {
        Err(ModelError::Gguf {
            file: self.path.to_owned(),
            place: self.place.clone(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        })
    }
}

/// The number with the fewest digits that is rounded to `value`.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
