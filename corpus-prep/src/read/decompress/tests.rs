use super::*;
use std::io::Write;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn decode(raw: &[u8], compression: Compression) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(raw, compression).map_err(DecodeError::Io)?;
    let (mut out, mut buffer) = (Vec::new(), [0; 7]);
    loop {
        match decoder.read_decoded(&mut buffer)? {
            0 => return Ok(out),
            bytes => out.extend(&buffer[..bytes]),
        }
    }
}

#[test]
fn all_members_and_frames_are_read() {
    let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(decode(&members, Compression::Gzip).unwrap(), b"one two");
    let frames = [&b"one "[..], b"two"].map(|text| zstd::encode_all(text, 1).unwrap()).concat();
    assert_eq!(decode(&frames, Compression::Zstd).unwrap(), b"one two");
    let streams = [&b"one "[..], b"two"].map(|text| compressed(text, Compression::Bzip2));
    assert_eq!(decode(&streams.concat(), Compression::Bzip2).unwrap(), b"one two");
}

#[track_caller]
fn check_broken(raw: &[u8], compression: Compression, found: &str, expected: &str) {
    match decode(raw, compression) {
        Err(DecodeError::Broken(Fault { offset, found: f, expected: e, .. })) => {
            assert_eq!((offset, f.as_str(), e.as_str()), (raw.len() as u64, found, expected));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cut_anywhere_inside_a_member_is_noticed() {
    let whole = [gzip(b"the first member"), gzip(b"the second member")].concat();
    let boundary = gzip(b"the first member").len();
    for cut in (0..whole.len()).filter(|cut| *cut != boundary) {
        let rest = "the rest of a gzip member";
        check_broken(&whole[..cut], Compression::Gzip, "the end of the file", rest);
    }
}

#[test]
fn a_cut_inside_a_frame_or_stream_is_noticed() {
    for compression in [Compression::Zstd, Compression::Bzip2] {
        let whole = compressed(b"one piece of some bytes", compression);
        for cut in 1..whole.len() {
            let rest = format!("the rest of a {}", compression.piece());
            check_broken(&whole[..cut], compression, "the end of the file", &rest);
        }
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let mut raw = gzip(b"some text");
    let crc = raw.len() - 8;
    raw[crc] ^= 1;
    let found = "corrupt gzip stream does not have a matching checksum";
    check_broken(&raw, Compression::Gzip, found, "a sound gzip member from compressed byte 0 on");
}

/// What is sound of `raw`, with `|` for each fault, and the faults.
fn sound(raw: &[u8], compression: Compression, goes_on: bool) -> (Vec<Fault>, Vec<u8>) {
    let decoder = Decoder::new(raw, compression).unwrap();
    let mut decoder = decoder.scouted(raw, goes_on).unwrap();
    let (mut faults, mut out, mut buffer) = (Vec::new(), Vec::new(), [0; 999]);
    loop {
        match decoder.read_decoded(&mut buffer) {
            Ok(0) => return (faults, out),
            Ok(bytes) => out.extend(&buffer[..bytes]),
            Err(DecodeError::Broken(fault)) => {
                faults.push(fault);
                out.push(b'|');
            }
            Err(DecodeError::Io(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn nothing_of_a_corrupt_member_is_trusted_and_all_before_a_cut_is() {
    let text = b"the text of the second member, which is no longer what it was";
    let stored = |level| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let first = gzip(b"the first member");
    let second = stored(flate2::Compression::none());
    let whole = [first.clone(), second.clone()].concat();
    let (faults, out) = sound(&whole, Compression::Gzip, false);
    assert_eq!((faults, out), (vec![], [&b"the first member"[..], text].concat()));
    let mut corrupt = whole.clone();
    corrupt[first.len() + 20] ^= 1;
    let (faults, out) = sound(&corrupt, Compression::Gzip, false);
    assert_eq!(out, b"the first member|");
    assert_eq!((faults[0].offset, faults[0].resumed), (whole.len() as u64, None));
    let start = format!("from compressed byte {} on", first.len());
    assert!(faults[0].expected.ends_with(&start), "{}", faults[0]);
    let (faults, out) = sound(&whole[..whole.len() - 20], Compression::Gzip, false);
    assert!(out.len() > 40 && faults.len() == 1, "{out:?}");
}

#[test]
fn nothing_of_a_corrupt_frame_or_stream_is_trusted() {
    for compression in [Compression::Zstd, Compression::Bzip2] {
        let mut raw = [b"one piece".as_slice(), b"another piece"]
            .map(|text| compressed(text, compression))
            .concat();
        let last = raw.len() - 5;
        raw[last] ^= 1;
        let (faults, out) = sound(&raw, compression, false);
        assert_eq!(out, b"one piece|");
        let expected = format!("a sound {}", compression.piece());
        assert!(faults[0].expected.starts_with(&expected), "{}", faults[0]);
    }
}

/// One piece, with its checksum.
fn compressed(text: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Plain => text.to_vec(),
        Compression::Gzip => gzip(text),
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let level = bzip2::Compression::fast();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn whatever_byte_of_a_piece_is_wrong_the_next_one_is_read() {
    // A block of zstd whose length is wrong takes up to 128 KiB with it, and must not reach the end of the file.
    let rest: Vec<u8> = (0..1u32 << 18).map(|at| at.wrapping_mul(at).to_le_bytes()[1]).collect();
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Bzip2] {
        let pieces = [b"one ", &b"two, which is damaged somewhere "[..], &rest]
            .map(|text| compressed(text, compression));
        let ends = (pieces[0].len(), pieces[0].len() + pieces[1].len());
        for at in ends.0..ends.1 {
            let mut raw = pieces.concat();
            raw[at] ^= 0x55;
            let (faults, out) = sound(&raw, compression, true);
            // Of gzip, the time and the system are bytes that change nothing.
            let is_harmless = faults.is_empty() && out.starts_with(b"one two, which");
            let is_told = faults.len() == 1 && out == [b"one |", &rest[..]].concat();
            assert!(is_harmless || is_told, "{compression:?} {at}: {faults:?}");
            let resumed = faults.first().map(|fault| fault.resumed.unwrap().get());
            assert_eq!(resumed.unwrap_or(ends.1 as u64), ends.1 as u64, "{compression:?} {at}");
        }
    }
}

#[test]
fn a_file_of_false_starts_takes_no_time_that_grows_faster_than_it() {
    // Each start is followed by a stored block that takes in those behind it, and whose checksum is wrong.
    let start = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\xf0\xff\x0f\0";
    let raw = start.repeat(200_000);
    let started = std::time::Instant::now();
    let (faults, _) = sound(&raw, Compression::Gzip, true);
    assert!(!faults.is_empty());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
