//! Time on the wall, told as a speed and its share of what this machine reaches.

use std::time::{Duration, Instant};

use criterion::{
    Throughput,
    measurement::{Measurement, ValueFormatter, WallTime},
};

/// Time on the wall, and the peaks that speeds are held against.
pub(super) struct OfPeak {
    pub(super) gemm_gflops: f64,
    pub(super) triad_gbytes: f64,
}

impl OfPeak {
    /// What is counted, in units of a billion, its peak a second, and its name.
    fn unit(&self, throughput: &Throughput) -> (f64, f64, &'static str) {
        let billions = |count: u64| count as f64 / 1e9;
        match *throughput {
            Throughput::Elements(flops) => (billions(flops), self.gemm_gflops, "GFLOP/s"),
            Throughput::BytesDecimal(bytes) => (billions(bytes), self.triad_gbytes, "GB/s"),
            ref other => unreachable!("kernels count operations or bytes, not {other:?}"),
        }
    }
}

impl Measurement for OfPeak {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        WallTime.start()
    }

    fn end(&self, start: Instant) -> Duration {
        WallTime.end(start)
    }

    fn add(&self, first: &Duration, second: &Duration) -> Duration {
        WallTime.add(first, second)
    }

    fn zero(&self) -> Duration {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

/// Values are nanoseconds.
impl ValueFormatter for OfPeak {
    fn format_throughput(&self, throughput: &Throughput, value: f64) -> String {
        let (billions, peak, unit) = self.unit(throughput);
        let speed = billions / (value / 1e9);
        format!("{speed:.1} {unit} = {:.0} %", speed / peak * 100.0)
    }

    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        _typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        let (billions, _, unit) = self.unit(throughput);
        values.iter_mut().for_each(|value| *value = billions / (*value / 1e9));
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
