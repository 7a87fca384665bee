//! What a processor reaches at best, and how much memory this process has taken.

use std::fs;
use std::time::Instant;

use model::cpu::Cpu;
use model::ops::{Linear, Ops, Write};
use model::{NumericProfile, Result};

/// Rows, columns and inner size of the product that is timed: large enough that laying its factors out is nothing beside it.
const SIZE: usize = 1536;

/// The best of so many products is taken.
const PRODUCTS: usize = 5;

/// GFLOP/s of large matrix products, on the threads of the present pool.
///
/// # Errors
/// When this processor lacks the profile.
pub fn gemm_gflops(profile: NumericProfile) -> Result<f64> {
    let mut ops = Cpu::new(profile)?;
    let [x, weight, mut out] =
        [1.0, 0.5, 0.0].map(|it| ops.tensor(SIZE, SIZE, &vec![it; SIZE * SIZE]));
    let mut seconds = || {
        let start = Instant::now();
        ops.linear(&x, Linear { weight: &weight, bias: None }, &mut out, Write::Replace);
        start.elapsed().as_secs_f64()
    };
    let best = (0..PRODUCTS).map(|_| seconds()).fold(f64::INFINITY, f64::min);
    Ok(2.0 * (SIZE as f64).powi(3) / best / 1e9)
}

/// Bytes of memory that this process has held at most, and holds now; `None` where the system does not say.
pub fn memory() -> Option<Memory> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let of = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024.0)
    };
    Some(Memory { most: of("VmHWM:")?, now: of("VmRSS:")? })
}

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    pub most: f64,
    pub now: f64,
}
