//! Classifiers that fastText trained: its files `.bin` and `.ftz`, and what it would predict with them.
//!
//! A text is cut at white space into words (`line.rs`). A word is a row of the input matrix, and so are its n-grams of
//! characters and the n-grams of words, which share hashed rows (`dictionary.rs`). The mean of a text's rows times the output
//! matrix gives the scores of labels, and the loss that the model was trained with says how they become probabilities
//! (`loss.rs`, `tree.rs`). Matrices are dense or quantized (`matrix.rs`) and stay where the file's bytes are.
//!
//! Source: Joulin et al. 2016, arXiv:1607.01759, and arXiv:1612.03651 for quantized matrices; the file format and every
//! detail by fastText 0.9.2. Written anew.

pub mod error;

mod args;
mod best;
mod cursor;
mod dictionary;
mod line;
mod loss;
mod matrix;
mod predict;
mod tree;

pub use error::BadModel;
pub use predict::{Prediction, Predictor};

use crate::error::{Error, Result};
use args::Args;
use cursor::Cursor;
use dictionary::Dictionary;
use loss::Loss;
use matrix::Matrix;
use std::sync::Arc;

/// A classifier, as it lies in a file. Threads share it, each with a [`Predictor`] of its own.
#[derive(Clone)]
pub struct Model {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    dictionary: Dictionary,
    input: Matrix,
    output: Matrix,
    loss: Loss,
    dim: usize,
    file: String,
}

impl Model {
    /// Reads the model that `bytes` hold, which may be those of a mapped file; `file` names them in errors.
    ///
    /// Bytes behind the model are ignored, as fastText ignores them.
    ///
    /// # Errors
    /// [`Error::FastText`] when they hold no supervised model of version 11 or 12. What the file promises is compared with its
    /// length before memory is taken for it.
    pub fn open(bytes: impl AsRef<[u8]> + Send + Sync + 'static, file: &str) -> Result<Self> {
        let bytes: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(bytes);
        let mut cursor = Cursor::new((*bytes).as_ref());
        let problem = |problem| Error::FastText { file: file.into(), problem };
        let args = Args::read(&mut cursor).map_err(problem)?;
        let (dictionary, input, output) = read(&mut cursor, &args).map_err(problem)?;
        let loss = Loss::new(args.loss, dictionary.label_counts());
        Ok(Self { bytes, dictionary, input, output, loss, dim: args.dim, file: file.into() })
    }

    /// The labels, such as `__label__en`, in the order of [`Prediction::label`].
    pub fn labels(&self) -> &[String] {
        self.dictionary.labels()
    }

    /// Something that predicts labels with this model.
    pub fn predictor(&self) -> Predictor<'_> {
        Predictor::new(self)
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }
}

fn read(cursor: &mut Cursor, args: &Args) -> Result<(Dictionary, Matrix, Matrix), BadModel> {
    let dictionary = Dictionary::read(cursor, args)?;
    let input_is_quantized = cursor.flag("whether the input matrix is quantized")?;
    if !input_is_quantized && dictionary.is_pruned() {
        return Err(cursor.unlike(
            "the input matrix",
            "dense",
            "quantized, as the dictionary is pruned",
        ));
    }
    let input = Matrix::read(cursor, input_is_quantized, dictionary.num_rows(), args.dim)?;
    // A dense model may say this too, and then it means what comes next time it is quantized.
    let output_is_quantized = cursor.flag("whether the output matrix is quantized")?;
    let num_labels = dictionary.labels().len();
    let output =
        Matrix::read(cursor, input_is_quantized && output_is_quantized, num_labels, args.dim)?;
    Ok((dictionary, input, output))
}

#[cfg(test)]
mod tests;
