//! Rows of tables, chosen and given back.
//!
//! A gradient goes back by gathering alone: every row of the result asks which row comes to it, and most are answered with
//! a row of zeros. candle's `index_add` and `scatter_add` over rows would do it in one call, but on an NVIDIA device
//! one thread then walks through all tokens for each column.

use candle_core::{DType, Result, Tensor};

use super::{cols, empty, indices, rows};

/// `x[places[i]]`.
pub(super) fn pick(x: &Tensor, places: &[usize]) -> Result<Tensor> {
    match places {
        [] => Ok(empty(cols(x))),
        _ => x.index_select(&indices(x.device(), places.iter().copied())?, 0),
    }
}

/// A tensor of `num_rows` rows in which row `i` of `x` stands at `places[i]`, and elsewhere zeros.
pub(super) fn spread(x: &Tensor, places: &[usize], num_rows: usize) -> Result<Tensor> {
    assert_eq!(rows(x), places.len(), "a place for each row");
    let nothing = rows(x);
    let mut sources = vec![nothing; num_rows];
    for (source, &place) in places.iter().enumerate() {
        sources[place] = source;
    }
    pick(&with_zeros(x)?, &sources)
}

/// `dtable`, and each row of `dout` added to the row that it came from.
///
/// Tokens are sorted by id, so that those of one id stand together; then neighbours of one id are added in pairs until one
/// row is left of each. That is linear work in as many steps as the commonest id has binary digits, and a sum of a fixed
/// shape. A product with a matrix of ones and zeros would be one step of `ids * tokens` work.
pub(super) fn backward(ids: &[u32], dout: &Tensor, dtable: &Tensor) -> Result<Tensor> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&token| ids[token]);
    let groups = order.chunk_by(|&a, &b| ids[a] == ids[b]);
    let (distinct, mut lengths): (Vec<usize>, Vec<usize>) =
        groups.map(|group| (ids[group[0]] as usize, group.len())).unzip();
    let mut sums = pick(dout, &order)?;
    while lengths.iter().any(|&length| length > 1) {
        let pairs = pairs(&lengths, rows(&sums));
        let [left, right] = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).collect());
        let (left, right): (Vec<usize>, Vec<usize>) = (left, right);
        let ended = with_zeros(&sums)?;
        sums = (pick(&ended, &left)? + pick(&ended, &right)?)?;
        lengths.iter_mut().for_each(|length| *length = length.div_ceil(2));
    }
    dtable + spread(&sums, &distinct, rows(dtable))?
}

/// The first two rows of each group, the next two, and so on; where a group ends with one alone, it and `nothing`.
fn pairs(lengths: &[usize], nothing: usize) -> Vec<[usize; 2]> {
    let mut pairs = Vec::with_capacity(nothing.div_ceil(2) + lengths.len());
    let mut first = 0;
    for length in lengths {
        let end = first + length;
        let second = |left| if left + 1 < end { left + 1 } else { nothing };
        pairs.extend((first..end).step_by(2).map(|left| [left, second(left)]));
        first = end;
    }
    pairs
}

/// The same rows, and one of zeros behind them.
fn with_zeros(x: &Tensor) -> Result<Tensor> {
    Tensor::cat(&[x, &Tensor::zeros((1, cols(x)), DType::F32, x.device())?], 0)
}
