//! How much memory this process has taken.

use std::fs;

/// Bytes of memory that this process has held at most, and holds now; `None` where the system does not say.
pub fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let of = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024.0)
    };
    Some(Resident { most: of("VmHWM:")?, now: of("VmRSS:")? })
}

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub struct Resident {
    pub most: f64,
    pub now: f64,
}
