//! The head of a file: what it is, and how the model was trained.

use super::BadModel;
use super::cursor::Cursor;

const MAGIC: i32 = 793_712_314;

/// The versions that are read; the layout of both is the same.
const VERSIONS: [i32; 2] = [11, 12];

/// Longest n-grams that are believed. Texts take time in proportion to it, and models have single digits.
const MAX_NGRAM: u32 = 64;

/// What a model was trained with, as far as predictions depend on it.
#[derive(Clone, Debug)]
pub(super) struct Args {
    /// Columns of both matrices; at least 1.
    pub(super) dim: usize,
    /// Longest n-grams of words, in words. `0` and `1`: words alone.
    pub(super) word_ngrams: usize,
    /// What scores mean.
    pub(super) loss: LossName,
    /// Rows that n-grams share; at least 1 where there are n-grams.
    pub(super) bucket: u32,
    /// Shortest n-grams of characters, in characters.
    pub(super) minn: usize,
    /// Longest n-grams of characters, in characters. `0`: none.
    pub(super) maxn: usize,
}

/// The losses of supervised models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossName {
    HierarchicalSoftmax,
    NegativeSampling,
    Softmax,
    OneVsAll,
}

impl Args {
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, BadModel> {
        let version = read_version(cursor)?;
        let dim = cursor.small("the dimension", i32::MAX.cast_unsigned())? as usize;
        cursor.skip(4, 4, "window, epochs, least count and negatives")?;
        let word_ngrams = cursor.small("the longest n-gram of words", MAX_NGRAM)? as usize;
        let loss = read_loss(cursor)?;
        expect_supervised(cursor)?;
        let bucket = cursor.small("the number of buckets", i32::MAX.cast_unsigned())?;
        let minn = cursor.small("the shortest n-gram of characters", MAX_NGRAM)? as usize;
        let maxn = cursor.small("the longest n-gram of characters", MAX_NGRAM)? as usize;
        cursor.skip(1, 4 + 8, "update rate and sampling threshold")?;
        // Supervised models of version 11 have no n-grams of characters, whatever they say.
        let maxn = if version == 11 { 0 } else { maxn };
        if dim == 0 {
            return Err(cursor.unlike("the dimension", dim, "at least 1"));
        }
        if bucket == 0 && (maxn > 0 || word_ngrams > 1) {
            return Err(cursor.unlike(
                "the number of buckets",
                bucket,
                "at least 1, as there are n-grams",
            ));
        }
        Ok(Self { dim, word_ngrams, loss, bucket, minn, maxn })
    }
}

fn read_version(cursor: &mut Cursor) -> Result<i32, BadModel> {
    let magic = cursor.i32("the mark of fastText")?;
    if magic != MAGIC {
        return Err(cursor.unlike("the mark of fastText", magic, MAGIC));
    }
    let version = cursor.i32("the version")?;
    match VERSIONS.contains(&version) {
        true => Ok(version),
        false => Err(cursor.unlike("the version", version, "11 or 12")),
    }
}

fn read_loss(cursor: &mut Cursor) -> Result<LossName, BadModel> {
    match cursor.i32("the loss")? {
        1 => Ok(LossName::HierarchicalSoftmax),
        2 => Ok(LossName::NegativeSampling),
        3 => Ok(LossName::Softmax),
        4 => Ok(LossName::OneVsAll),
        other => Err(cursor.unlike("the loss", other, "1 to 4")),
    }
}

fn expect_supervised(cursor: &mut Cursor) -> Result<(), BadModel> {
    match cursor.i32("the kind of model")? {
        3 => Ok(()),
        other => Err(cursor.unlike("the kind of model", other, "3 (a supervised model)")),
    }
}
