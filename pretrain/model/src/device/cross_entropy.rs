//! Cross-entropy fused with the output projection, a block of tokens at a time.

use candle_core::{Result, Tensor};

use super::{cols, empty, linear, rows};
use crate::ops::Linear;

/// Tokens whose logits exist at once. The weight's gradient is summed block by block, so this is part of the arithmetic.
const BLOCK: usize = 512;

pub(super) fn forward(
    x: &Tensor,
    projection: Linear<&Tensor>,
    targets: &[Option<u32>],
) -> Result<Vec<f64>> {
    let judged = blocks(x, targets).map(|block| {
        let (x, targets) = block?;
        Softmax::of(&linear::forward(&x, projection, None)?, targets)?.terms()
    });
    losses(&judged.collect::<Result<Vec<_>>>()?, targets)
}

/// Replaces `dx`, adds to the gradients of the projection, and gives the losses.
pub(super) fn backward(
    x: &Tensor,
    projection: Linear<&Tensor>,
    targets: &[Option<u32>],
    dx: Option<&mut Tensor>,
    [mut dw, mut dbias]: [Option<&mut Tensor>; 2],
) -> Result<Vec<f64>> {
    let (mut terms, mut dxs) = (Vec::new(), Vec::new());
    for block in blocks(x, targets) {
        let (x, targets) = block?;
        let softmax = Softmax::of(&linear::forward(&x, projection, None)?, targets)?;
        terms.push(softmax.terms()?);
        let dlogits = softmax.gradient(targets)?;
        if dx.is_some() {
            dxs.push(linear::input_gradient(projection.weight, &dlogits, None)?);
        }
        linear::backward(&x, &dlogits, [dw.as_deref_mut(), dbias.as_deref_mut()])?;
    }
    if let Some(dx) = dx {
        *dx = if dxs.is_empty() { empty(cols(x)) } else { Tensor::cat(&dxs, 0)? };
    }
    losses(&terms, targets)
}

/// The rows of each block, and their targets.
fn blocks<'a>(
    x: &'a Tensor,
    targets: &'a [Option<u32>],
) -> impl Iterator<Item = Result<(Tensor, &'a [Option<u32>])>> {
    assert_eq!(rows(x), targets.len(), "a target or none for each token");
    targets
        .chunks(BLOCK)
        .enumerate()
        .map(|(block, targets)| Ok((x.narrow(0, block * BLOCK, targets.len())?, targets)))
}

/// The softmax of rows of logits, before it is divided by its sums.
struct Softmax {
    /// `e^(logit - max)`, `[tokens, vocab]`.
    weights: Tensor,
    /// Of each row, `[tokens, 1]`: the largest logit, the sum of the weights, the target's logit.
    max: Tensor,
    sum: Tensor,
    logit: Tensor,
    /// The target of each row, or any where there is none, `[tokens, 1]`.
    ids: Tensor,
}

impl Softmax {
    fn of(logits: &Tensor, targets: &[Option<u32>]) -> Result<Self> {
        let ids: Vec<u32> = targets.iter().map(|target| target.unwrap_or(0)).collect();
        let ids = Tensor::from_vec(ids, (targets.len(), 1), logits.device())?;
        let max = logits.max_keepdim(1)?;
        let weights = logits.broadcast_sub(&max)?.exp()?;
        let (sum, logit) = (weights.sum_keepdim(1)?, logits.gather(&ids, 1)?);
        Ok(Self { weights, max, sum, logit, ids })
    }

    /// What the loss of each row is made of, `[tokens, 3]`.
    fn terms(&self) -> Result<Tensor> {
        Tensor::cat(&[&self.sum, &self.max, &self.logit], 1)
    }

    /// The gradient of the logits: probabilities, less one at the target; nothing in rows without one.
    fn gradient(self, targets: &[Option<u32>]) -> Result<Tensor> {
        let counts: Vec<f32> = targets.iter().map(|it| f32::from(u8::from(it.is_some()))).collect();
        let counts = Tensor::from_vec(counts, (targets.len(), 1), self.sum.device())?;
        let probabilities = self.weights.broadcast_mul(&(&counts / &self.sum)?)?;
        // One number in each row: here `scatter_add` has a thread for each. In place, for nobody else holds them yet.
        probabilities.scatter_add_set(&self.ids, &counts.neg()?, 1)?;
        Ok(probabilities)
    }
}

/// `ln(sum) + max - logit` of each row with a target, in nats, from the terms of all blocks.
fn losses(terms: &[Tensor], targets: &[Option<u32>]) -> Result<Vec<f64>> {
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let terms = Tensor::cat(terms, 0)?;
    let loss = |(terms, target): (Vec<f32>, &Option<u32>)| {
        let [sum, max, logit] = [terms[0], terms[1], terms[2]].map(f64::from);
        if target.is_some() { libm::log(sum) + (max - logit) } else { 0.0 }
    };
    Ok(terms.to_vec2()?.into_iter().zip(targets).map(loss).collect())
}
