//! Texts to weighted terms.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{Texts, words::Words};

/// A row's terms with their weights, by ascending term; the weights have length one.
pub(super) type SparseRow = Vec<(u32, f64)>;

/// Terms, single words and pairs of neighbours, with how telling each is.
///
/// `weight(t, row) = count(t, row) * (ln((1 + rows) / (1 + rows with t)) + 1)`, then each row is divided by its length.
///
/// Source: defaults of `TfidfVectorizer` of scikit-learn with `ngram_range=(1, 2)`.
pub(super) struct Vectorizer {
    words: Words,
    terms: HashMap<String, u32>,
    /// By term.
    idf: Vec<f64>,
}

impl Vectorizer {
    /// Learns the terms of `texts`; returns their rows as well.
    pub(super) fn fit(texts: &[Texts<'_>]) -> (Self, Vec<SparseRow>) {
        let words = Words::new();
        // `collect` keeps the order, and terms are numbered as they come, so nothing depends on the threads.
        let counted: Vec<_> = texts.par_iter().map(|texts| count(&words, *texts)).collect();
        let mut terms = HashMap::new();
        let mut rows_with: Vec<u64> = Vec::new();
        let rows: Vec<BTreeMap<u32, u32>> = counted
            .into_iter()
            .map(|counts| {
                let number = |(term, count): (String, u32)| {
                    let next =
                        u32::try_from(terms.len()).expect("fewer than 2^32 terms fit in memory");
                    let term = *terms.entry(term).or_insert(next);
                    if term == next {
                        rows_with.push(0);
                    }
                    rows_with[term as usize] += 1;
                    (term, count)
                };
                counts.into_iter().map(number).collect()
            })
            .collect();
        let num_rows = texts.len() as f64;
        let idf = |with: &u64| libm::log((1.0 + num_rows) / (1.0 + *with as f64)) + 1.0;
        let idf = rows_with.iter().map(idf).collect();
        let vectorizer = Self { words, terms, idf };
        let rows = rows.into_iter().map(|counts| vectorizer.weigh(counts)).collect();
        (vectorizer, rows)
    }

    /// Number of terms.
    pub(super) fn num_terms(&self) -> usize {
        self.idf.len()
    }

    /// The row of other texts; terms that were not learnt are left out.
    pub(super) fn row(&self, texts: Texts<'_>) -> SparseRow {
        let counts = count(&self.words, texts);
        self.weigh(
            counts
                .iter()
                .filter_map(|(term, count)| Some((*self.terms.get(term)?, *count)))
                .collect(),
        )
    }

    fn weigh(&self, counts: BTreeMap<u32, u32>) -> SparseRow {
        let weight = |(term, count): (u32, u32)| (term, f64::from(count) * self.idf[term as usize]);
        let mut row: SparseRow = counts.into_iter().map(weight).collect();
        let length = row.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|(_, weight)| *weight /= length);
        }
        row
    }
}

/// How often each term stands in the texts.
fn count(words: &Words, (text, pair): Texts<'_>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for text in [Some(text), pair].into_iter().flatten() {
        let text = text.to_lowercase();
        let words = words.of(&text);
        for neighbours in words.windows(2) {
            *counts.entry(neighbours.join(" ")).or_insert(0) += 1;
        }
        for word in words {
            *counts.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_words_and_neighbours_within_one_text() {
        let counts = count(&Words::new(), ("Low lower low", Some("lower still")));
        let counts: Vec<_> = counts.iter().map(|(term, count)| (term.as_str(), *count)).collect();
        assert_eq!(
            counts,
            [
                ("low", 2),
                ("low lower", 1),
                ("lower", 2),
                ("lower low", 1),
                ("lower still", 1),
                ("still", 1)
            ]
        );
    }

    #[test]
    fn rows_have_length_one_and_rare_terms_weigh_more() {
        let (vectorizer, rows) = Vectorizer::fit(&[("aa bb", None), ("aa", None)]);
        assert_eq!(vectorizer.num_terms(), 3);
        assert_eq!(rows[1], [(vectorizer.terms["aa"], 1.0)]);
        let length: f64 = rows[0].iter().map(|(_, weight)| weight * weight).sum();
        assert!((length - 1.0).abs() < 1e-12);
        assert_eq!(vectorizer.idf[vectorizer.terms["aa"] as usize], 1.0);
        assert_eq!(vectorizer.idf[vectorizer.terms["bb"] as usize], libm::log(1.5) + 1.0);
        assert_eq!(vectorizer.row(("zz", None)), []);
    }
}
