//! Matrices of weights, dense or quantized, whose rows stay in the bytes of the file.

use super::BadModel;
use super::cursor::Cursor;
use std::ops::Range;

/// Centroids of a quantizer: as many as a byte has values.
const CENTROIDS: usize = 256;

/// A matrix of `f32`.
#[derive(Clone)]
pub(super) enum Matrix {
    /// One number after the other.
    Dense { at: usize, cols: usize },
    /// One byte for several numbers.
    Quantized(Quantized),
}

/// Rows as codes: each names centroids, one for each stretch of columns, and a length if these were normalized.
#[derive(Clone)]
pub(super) struct Quantized {
    codes: Range<usize>,
    quantizer: Quantizer,
    norms: Option<(Range<usize>, Quantizer)>,
}

impl Matrix {
    /// Reads a matrix that should have `rows` rows and `cols` columns.
    pub(super) fn read(
        cursor: &mut Cursor,
        is_quantized: bool,
        rows: usize,
        cols: usize,
    ) -> Result<Self, BadModel> {
        if is_quantized {
            return Quantized::read(cursor, rows, cols).map(Self::Quantized);
        }
        cursor.exactly("the rows of a matrix", rows)?;
        cursor.exactly("the columns of a matrix", cols)?;
        let row_bytes = cols.saturating_mul(4);
        let stretch = cursor.skip(rows, row_bytes, "a matrix")?;
        Ok(Self::Dense { at: stretch.start, cols })
    }

    /// Adds row `row` to `sum`; `bytes` are those of the file.
    pub(super) fn add_row(&self, bytes: &[u8], row: usize, sum: &mut [f32]) {
        match self {
            Self::Dense { at, cols } => {
                sum.iter_mut()
                    .zip(dense(bytes, *at, *cols, row))
                    .for_each(|(sum, weight)| *sum += weight);
            }
            Self::Quantized(quantized) => quantized.add_row(bytes, row, sum),
        }
    }

    /// Row `row` times `vector`, summed in order as fastText does.
    pub(super) fn dot_row(&self, bytes: &[u8], row: usize, vector: &[f32]) -> f32 {
        match self {
            Self::Dense { at, cols } => dot(dense(bytes, *at, *cols, row), vector),
            Self::Quantized(quantized) => quantized.dot_row(bytes, row, vector),
        }
    }
}

fn dense(bytes: &[u8], at: usize, cols: usize, row: usize) -> impl Iterator<Item = f32> {
    numbers(&bytes[at + row * cols * 4..][..cols * 4])
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four))
}

fn dot(weights: impl Iterator<Item = f32>, vector: &[f32]) -> f32 {
    weights.zip(vector).fold(0.0, |sum, (weight, value)| sum + weight * value)
}

impl Quantized {
    fn read(cursor: &mut Cursor, rows: usize, cols: usize) -> Result<Self, BadModel> {
        let has_norms = cursor.flag("whether the lengths of rows are quantized")?;
        cursor.exactly("the rows of a matrix", rows)?;
        cursor.exactly("the columns of a matrix", cols)?;
        let num_codes = cursor.small("the number of codes", i32::MAX.cast_unsigned())? as usize;
        let codes = cursor.skip(num_codes, 1, "the codes of a matrix")?;
        let quantizer = Quantizer::read(cursor, cols)?;
        if rows.checked_mul(quantizer.num_stretches) != Some(num_codes) {
            let expected = format!("{} for each of {rows} rows", quantizer.num_stretches);
            return Err(cursor.unlike("the number of codes", num_codes, expected));
        }
        let norms = match has_norms {
            true => {
                Some((cursor.skip(rows, 1, "the lengths of rows")?, Quantizer::read(cursor, 1)?))
            }
            false => None,
        };
        Ok(Self { codes, quantizer, norms })
    }

    /// The codes of a row, and what the weights that they name are to be multiplied by.
    fn row<'a>(&self, bytes: &'a [u8], row: usize) -> (&'a [u8], f32) {
        let num = self.quantizer.num_stretches;
        let norm = match &self.norms {
            Some((codes, quantizer)) => quantizer.centroid(0, bytes[codes.start + row], 1)[0],
            None => 1.0,
        };
        (&bytes[self.codes.start + row * num..][..num], norm)
    }

    fn add_row(&self, bytes: &[u8], row: usize, sum: &mut [f32]) {
        let (codes, norm) = self.row(bytes, row);
        let stretches = sum.chunks_mut(self.quantizer.width);
        for (at, (stretch, code)) in stretches.zip(codes).enumerate() {
            let centroid = self.quantizer.centroid(at, *code, stretch.len());
            stretch.iter_mut().zip(centroid).for_each(|(sum, weight)| *sum += norm * weight);
        }
    }

    fn dot_row(&self, bytes: &[u8], row: usize, vector: &[f32]) -> f32 {
        let (codes, norm) = self.row(bytes, row);
        let stretches = vector.chunks(self.quantizer.width);
        let sum = stretches.zip(codes).enumerate().fold(0.0, |sum, (at, (stretch, code))| {
            let centroid = self.quantizer.centroid(at, *code, stretch.len());
            centroid.iter().zip(stretch).fold(sum, |sum, (weight, value)| sum + weight * value)
        });
        sum * norm
    }
}

/// A product quantizer: columns cut into stretches of one width, of which the last may be narrower.
#[derive(Clone)]
struct Quantizer {
    num_stretches: usize,
    width: usize,
    centroids: Vec<f32>,
}

impl Quantizer {
    fn read(cursor: &mut Cursor, cols: usize) -> Result<Self, BadModel> {
        let max = i32::MAX.cast_unsigned();
        let mut number = |what| cursor.small(what, max).map(|number| number as usize);
        let found_cols = number("the columns of a quantizer")?;
        let num_stretches = number("the number of stretches of a quantizer")?;
        let width = number("the width of a stretch")?;
        let last_width = number("the width of the last stretch")?;
        let expected_num = if width == 0 { 0 } else { cols.div_ceil(width) };
        let expected_last = cols - expected_num.saturating_sub(1) * width;
        let found = (found_cols, num_stretches, last_width);
        let expected = (cols, expected_num, expected_last);
        if width == 0 || found != expected {
            let found = format!(
                "{found_cols} columns in {num_stretches} stretches of {width}, the last of {last_width},"
            );
            return Err(cursor.unlike(
                "a quantizer",
                found,
                format!("{cols} columns in as many stretches as they take"),
            ));
        }
        let stretch = cursor.skip(cols, CENTROIDS * 4, "the centroids of a quantizer")?;
        let centroids = numbers(cursor.bytes(stretch)).collect();
        Ok(Self { num_stretches, width, centroids })
    }

    /// The weights of a stretch of `width` columns that a code names.
    fn centroid(&self, stretch: usize, code: u8, width: usize) -> &[f32] {
        &self.centroids[stretch * CENTROIDS * self.width + usize::from(code) * width..][..width]
    }
}
