//! Rotary positions from a table of cosines and sines on the device.

use candle_core::{Result, Tensor};

use super::{cols, indices, rows};
pub(super) use crate::cpu::rotary::{Direction, positions};
use crate::cpu::{rotary::angles, simd::narrow};

/// Cosines and sines of the positions met so far, for one head width and base.
#[derive(Debug, Default)]
pub(super) struct Table {
    shape: (usize, f64),
    num_positions: usize,
    /// `[positions, dim / 2]` each.
    turns: Option<[Tensor; 2]>,
}

impl Table {
    /// The rows of `x` turned to their `positions`; `shape` is the width of a head and the base.
    pub(super) fn turn(
        &mut self,
        x: &Tensor,
        positions: Vec<usize>,
        shape: (usize, f64),
        direction: Direction,
    ) -> Result<Tensor> {
        let reach = positions.iter().max().map_or(0, |last| last + 1);
        let positions = indices(x.device(), positions.into_iter())?;
        let of_tokens = |turns: &Tensor| turns.index_select(&positions, 0)?.unsqueeze(1);
        let [cosines, sines] = self.reach(reach, shape, x.device())?;
        let (cosines, mut sines) = (of_tokens(cosines)?, of_tokens(sines)?);
        if direction == Direction::Back {
            sines = sines.neg()?;
        }
        let (dim, half) = (shape.0, shape.0 / 2);
        let heads = x.reshape((rows(x), cols(x) / dim, dim))?;
        let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&cosines)? - b.broadcast_mul(&sines)?)?;
        let second = (b.broadcast_mul(&cosines)? + a.broadcast_mul(&sines)?)?;
        Tensor::cat(&[first, second], 2)?.reshape(x.shape())
    }

    /// Makes the table long enough for positions below `reach`.
    fn reach(
        &mut self,
        reach: usize,
        shape: (usize, f64),
        device: &candle_core::Device,
    ) -> Result<&[Tensor; 2]> {
        if self.shape != shape || self.num_positions < reach {
            self.turns = None;
            self.shape = shape;
            // Not a position at a time, as a text goes on.
            self.num_positions = reach.next_power_of_two();
        }
        match &mut self.turns {
            Some(turns) => Ok(turns),
            none => Ok(none.insert(turns(self.num_positions, shape, device)?)),
        }
    }
}

/// Cosines and sines of all positions below `num_positions`.
fn turns(
    num_positions: usize,
    (dim, theta): (usize, f64),
    device: &candle_core::Device,
) -> Result<[Tensor; 2]> {
    let angles = (0..num_positions).flat_map(|position| angles(position, dim, theta));
    let (cosines, sines): (Vec<f32>, Vec<f32>) =
        angles.map(|angle| (narrow(libm::cos(angle)), narrow(libm::sin(angle)))).unzip();
    let tensor = |values| Tensor::from_vec(values, (num_positions, dim / 2), device);
    Ok([tensor(cosines)?, tensor(sines)?])
}
