//! Words and numbers on standard output.

use std::io::{self, Write};

use anyhow::Context;

/// Writes a line to standard output. A reader that went away, such as `head`, is no error.
pub fn line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    text(&format!("{line}\n")).map(|_| ())
}

/// Writes a text to standard output as it is, at once. Returns whether anyone reads it.
pub fn text(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write standard output"),
    }
}

/// `text` with its control characters spelt out, but for line ends and tabs: messages quote what stands in files, and a
/// terminal would obey it.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => printable.push(character),
            _ if character.is_control() => printable.extend(character.escape_default()),
            _ => printable.push(character),
        }
    }
    printable
}

/// `12.3 MB`, in powers of ten.
pub fn bytes(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// `1:02:03`, or `2:03` below an hour.
pub fn time(seconds: f64) -> String {
    let whole = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `1 task`, `2 tasks`.
pub fn tasks(count: usize) -> String {
    if count == 1 { "1 task".into() } else { format!("{count} tasks") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(printable("né\tb\n"), "né\tb\n");
        assert_eq!(printable("a\0\u{1b}[31m\u{9b}"), "a\\u{0}\\u{1b}[31m\\u{9b}");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0.0, 999.0, 1500.0, 2e6].map(bytes), ["0 B", "999 B", "1.5 kB", "2.0 MB"]);
        assert_eq!([0.4, 63.0, 3661.0].map(time), ["0:00", "1:03", "1:01:01"]);
    }
}
