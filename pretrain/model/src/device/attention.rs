//! Attention over sequences laid end to end, a block of queries at a time.
//!
//! Consecutive sequences of one length are multiplied together, all heads at once, and query heads that share a key head
//! stand below one another, so that no key is copied for them. Only the scores of one block exist at once; the backward
//! pass makes them again from the logarithms of their sums.
//!
//! Source: Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4, with whole rows of keys.

mod masks;
mod run;

use candle_core::{Result, Tensor};

pub(super) use masks::Masks;
use run::{Run, runs};

use super::rows;
use crate::{dropout::Mask, ops::Heads};

/// `out` and `log_sums`.
pub(super) fn forward(
    qkv: [&Tensor; 3],
    offsets: &[usize],
    heads: Heads,
    dropped: Option<Mask>,
    masks: &mut Masks,
) -> Result<[Tensor; 2]> {
    joined(runs(offsets, heads).map(|run| {
        let [q, k, v] = qkv;
        let qkv = [run.queries(q)?, run.keys(k)?, run.keys(v)?];
        forward_run(&run, qkv, 0, (dropped, masks))
    }))
}

/// Attention of the last tokens of one text, whose queries alone stand in `q`.
pub(super) fn forward_of_last(
    [q, k, v]: [&Tensor; 3],
    heads: Heads,
    masks: &mut Masks,
) -> Result<[Tensor; 2]> {
    let all = Run { first: 0, num_sequences: 1, len: rows(k), heads };
    let last = Run { len: rows(q), ..all };
    let qkv = [last.queries(q)?, all.keys(k)?, all.keys(v)?];
    forward_run(&last, qkv, rows(k) - rows(q), (None, masks))
}

/// `dq`, `dk` and `dv`; `results` are what the forward pass gave, and the gradient of `out`.
pub(super) fn backward(
    [q, k, v]: [&Tensor; 3],
    offsets: &[usize],
    heads: Heads,
    results: [&Tensor; 3],
    (dropped, masks): (Option<Mask>, &mut Masks),
) -> Result<[Tensor; 3]> {
    joined(runs(offsets, heads).map(|run| {
        let qkv = [run.queries(q)?, run.keys(k)?, run.keys(v)?];
        let [out, log_sums, dout] = results;
        let results = [run.queries(out)?, run.queries(log_sums)?, run.queries(dout)?];
        backward_run(&run, qkv, results, (dropped, &mut *masks))
    }))
}

/// The results of all runs, one after another.
fn joined<const N: usize>(parts: impl Iterator<Item = Result<[Tensor; N]>>) -> Result<[Tensor; N]> {
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let mut whole = parts[0].clone();
    if parts.len() > 1 {
        for (at, whole) in whole.iter_mut().enumerate() {
            let parts: Vec<&Tensor> = parts.iter().map(|part| &part[at]).collect();
            *whole = Tensor::cat(&parts, 0)?;
        }
    }
    Ok(whole)
}

/// `before` keys of each sequence stand before the first query.
fn forward_run(
    run: &Run,
    [q, k, v]: [Tensor; 3],
    before: usize,
    (dropped, masks): (Option<Mask>, &mut Masks),
) -> Result<[Tensor; 2]> {
    let (q, mut outs, mut log_sums) = ((q * run.factor())?, Vec::new(), Vec::new());
    for block in run.blocks(before) {
        let scores = block.of(&q)?.matmul(&block.seen(&k)?.t()?)?;
        let scores = block.masked(scores, masks)?;
        let max = scores.max_keepdim(2)?;
        let weights = scores.broadcast_sub(&max)?.exp()?;
        let sums = weights.sum_keepdim(2)?;
        let weights = match dropped {
            Some(mask) => (&weights * block.factors(run, mask, weights.device())?)?,
            None => weights,
        };
        let out = weights.matmul(&block.seen(&v)?)?.broadcast_div(&sums)?;
        outs.push(block.split(&out)?);
        log_sums.push(block.split(&(max + sums.log()?)?)?);
    }
    Ok([run.back(&Tensor::cat(&outs, 2)?)?, run.back(&Tensor::cat(&log_sums, 2)?)?])
}

fn backward_run(
    run: &Run,
    [q, k, v]: [Tensor; 3],
    [out, log_sums, dout]: [Tensor; 3],
    (dropped, masks): (Option<Mask>, &mut Masks),
) -> Result<[Tensor; 3]> {
    let q = (q * run.factor())?;
    let means = (&out * &dout)?.sum_keepdim(3)?;
    let (mut dqs, mut dk, mut dv) = (Vec::new(), k.zeros_like()?, v.zeros_like()?);
    for block in run.blocks(0) {
        let [q, dout, means, log_sums] =
            [block.of(&q)?, block.of(&dout)?, block.of(&means)?, block.of(&log_sums)?];
        let (k, v) = (block.seen(&k)?, block.seen(&v)?);
        let scores = block.masked(q.matmul(&k.t()?)?, masks)?;
        let p = scores.broadcast_sub(&log_sums)?.exp()?;
        let (mut dp, mut kept) = (dout.matmul(&v.t()?)?, p.clone());
        if let Some(mask) = dropped {
            let factors = block.factors(run, mask, p.device())?;
            (dp, kept) = ((dp * &factors)?, (kept * factors)?);
        }
        let ds = (&p * dp.broadcast_sub(&means)?)?;
        dqs.push(block.split(&(ds.matmul(&k)? * run.factor())?)?);
        // `q` carries the factor.
        dk = block.added(&dk, &ds.t()?.matmul(&q)?)?;
        dv = block.added(&dv, &kept.t()?.matmul(&dout)?)?;
    }
    Ok([
        run.back(&Tensor::cat(&dqs, 2)?)?,
        run.back(&dk.unsqueeze(1)?)?,
        run.back(&dv.unsqueeze(1)?)?,
    ])
}
