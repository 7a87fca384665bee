//! TensorBoard event files: what training measures, for whoever watches a run.
//!
//! A file is a sequence of TFRecords: length (u64), masked CRC-32C of the length, bytes, masked CRC-32C of the bytes, all
//! little-endian. The bytes are a protobuf `tensorflow.Event`: of the first record the file's version, of the others a step
//! with its scalars.
//!
//! Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

/// CRC-32C (Castagnoli).
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
/// What the first event of every file says of the file.
const FILE_VERSION: &str = "brain.Event:2";

/// The event file of one curve in one run.
pub(crate) struct EventFile {
    file: File,
    /// The last step of each scalar.
    last: BTreeMap<String, u64>,
}

impl EventFile {
    /// Starts a file in `dir`, at `time` seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(dir: &Path, time: f64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!("events.out.tfevents.{time:010.0}.seedbed"));
        let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
        file.write_all(&record(&file_version(time)))?;
        Ok(Self { file, last: BTreeMap::new() })
    }

    /// Adds the numbers of a line of `metrics.jsonl` under the line's `step`.
    ///
    /// A task that starts again tells what it measured before. Training gives the same numbers again, so a step that stands
    /// there already is left out.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, time: f64, line: &Value) -> io::Result<()> {
        let (Some(step), Some(fields)) = (line["step"].as_u64(), line.as_object()) else {
            return Ok(());
        };
        let is_new = |name: &str| self.last.get(name).is_none_or(|last| *last < step);
        let scalars: Vec<(&str, f64)> = fields
            .iter()
            .filter(|(name, _)| *name != "step" && is_new(name))
            .filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)))
            .collect();
        if scalars.is_empty() {
            return Ok(());
        }
        self.file.write_all(&record(&event(time, step, &scalars)))?;
        self.last.extend(scalars.into_iter().map(|(name, _)| (name.to_owned(), step)));
        Ok(())
    }
}

/// `bytes` as a TFRecord.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), bytes, &masked_crc(bytes)].concat()
}

/// Rotated and shifted, so that the sum of bytes that hold such a sum is still a good one.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// `Event { wall_time = 1, file_version = 3 }`.
fn file_version(time: f64) -> Vec<u8> {
    [double(1, time), text(3, FILE_VERSION.as_bytes())].concat()
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } … } }`.
fn event(time: f64, step: u64, scalars: &[(&str, f64)]) -> Vec<u8> {
    let value = |(name, value): &(&str, f64)| {
        #[expect(clippy::cast_possible_truncation, reason = "event files hold 32-bit floats")]
        let value = *value as f32;
        text(1, &[text(1, name.as_bytes()), float(2, value)].concat())
    };
    let summary: Vec<u8> = scalars.iter().flat_map(value).collect();
    [double(1, time), integer(2, step), text(5, &summary)].concat()
}

/// A number of 7 bits a byte, the lowest first.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn integer(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[field << 3 | 1], &value.to_le_bytes()[..]].concat()
}

/// A string, bytes or a message.
fn text(field: u8, value: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(value.len() as u64), value.to_vec()].concat()
}

fn float(field: u8, value: f32) -> Vec<u8> {
    [&[field << 3 | 5], &value.to_le_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    // Python, tensorboard 2.21:
    //   from tensorboard.compat.proto.event_pb2 import Event
    //   from tensorboard.summary.writer.record_writer import RecordWriter
    //   event = Event(wall_time=1.5, file_version="brain.Event:2"), then
    //   event = Event(wall_time=2.5, step=300); event.summary.value.add(tag="lr", simple_value=0.5);
    //   event.summary.value.add(tag="train_loss", simple_value=2.25)
    //   RecordWriter(io.BytesIO()).write(event.SerializeToString())
    #[test]
    fn records_are_those_of_tensorboard() {
        assert_eq!(
            hex(&record(&file_version(1.5))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
        let scalars = [("lr", 0.5), ("train_loss", 2.25)];
        assert_eq!(
            hex(&record(&event(2.5, 300, &scalars))),
            "2c00000000000000f4aecc4509000000000000044010ac022a1e0a090a026c72150000003f0a110a0a747261696e5f6c6f737315000010404b96538f"
        );
    }

    #[test]
    fn a_step_that_is_told_twice_stands_there_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(&dir.path().join("base"), 7.0).unwrap();
        let path = dir.path().join("base/events.out.tfevents.0000000007.seedbed");
        let mut lengths = vec![std::fs::metadata(&path).unwrap().len()];
        for line in [
            json!({ "step": 10, "train_loss": 2.0 }),
            json!({ "step": 10, "train_loss": 2.0 }),
            json!({ "step": 10, "validation_loss": 3.0 }),
            json!({ "step": 20, "train_loss": 1.0 }),
            json!({ "no": "step" }),
        ] {
            file.add(8.0, &line).unwrap();
            lengths.push(std::fs::metadata(&path).unwrap().len());
        }
        let grew: Vec<bool> = lengths.windows(2).map(|pair| pair[0] < pair[1]).collect();
        assert_eq!(grew, [true, false, true, true, false]);
    }
}
