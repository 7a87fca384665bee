//! Baseline `tfidf`: logistic regression on weighted words and pairs of words.
//!
//! What a person gets in scikit-learn with `TfidfVectorizer(ngram_range=(1, 2))` and `LogisticRegression()`, fitted to its
//! optimum: a model that is not worth more than this has learnt little. Data of texts, fitted in seconds, no tensors:
//! sums have a fixed order and `exp` and `ln` come from `libm`, so that bits depend on nothing but the rows.

mod logistic;
mod vectorizer;
mod words;

use crate::error::{EvaluateError, Result};
use logistic::Logistic;
use vectorizer::Vectorizer;

/// A fitted baseline.
pub struct Tfidf {
    vectorizer: Vectorizer,
    logistic: Logistic,
}

/// The one text or the two texts of an example. Pairs of words do not cross from one to the other.
pub type Texts<'a> = (&'a str, Option<&'a str>);

impl Tfidf {
    /// Fits texts with their labels, numbers below `num_labels`; `name` is what errors call the examples.
    ///
    /// `check` is called before every iteration and may stop the fit.
    ///
    /// # Errors
    /// When the texts hold no word, the fit does not converge, or `check` fails.
    pub fn fit(
        texts: &[Texts<'_>],
        labels: &[u32],
        num_labels: usize,
        name: &str,
        check: impl FnMut() -> pipelines::error::Result<()>,
    ) -> Result<Self> {
        let (vectorizer, rows) = Vectorizer::fit(texts);
        if vectorizer.num_terms() == 0 {
            return Err(EvaluateError::NoWords { name: name.to_owned() });
        }
        let logistic = Logistic::fit(&rows, vectorizer.num_terms(), labels, num_labels, check)?;
        Ok(Self { vectorizer, logistic })
    }

    /// Number of terms learnt.
    pub fn num_terms(&self) -> usize {
        self.vectorizer.num_terms()
    }

    /// Probability of each label.
    pub fn probabilities(&self, texts: Texts<'_>) -> Vec<f64> {
        self.logistic.probabilities(&self.vectorizer.row(texts))
    }
}
