//! Which keys queries do not see, on the device.

use candle_core::{Result, Tensor};

use super::run::BLOCK;

/// One wide mask, of which that of every block of queries is a part: zero where row `i` sees a key, minus infinity
/// elsewhere.
#[derive(Debug, Default)]
pub(in crate::device) struct Masks {
    /// `[BLOCK, before + BLOCK]`: row `i` sees `before + i + 1` keys.
    wide: Option<Tensor>,
    before: usize,
}

impl Masks {
    /// That of `queries` in a row, the first of which has `before` keys before its own.
    pub(super) fn of(
        &mut self,
        queries: usize,
        before: usize,
        device: &candle_core::Device,
    ) -> Result<Tensor> {
        if self.before < before {
            // Not a key at a time, as a text goes on.
            (self.wide, self.before) = (None, before.next_power_of_two());
        }
        let wide = match &mut self.wide {
            Some(wide) => wide,
            none => none.insert(wide(self.before, device)?),
        };
        wide.narrow(0, 0, queries)?.narrow(1, self.before - before, before + queries)
    }
}

fn wide(before: usize, device: &candle_core::Device) -> Result<Tensor> {
    let sees = |row: usize, key: usize| key <= before + row;
    let cols = before + BLOCK;
    let values: Vec<f32> = (0..BLOCK * cols)
        .map(|at| if sees(at / cols, at % cols) { 0.0 } else { f32::NEG_INFINITY })
        .collect();
    Tensor::from_vec(values, (BLOCK, cols), device)
}
