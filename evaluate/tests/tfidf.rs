//! The baseline against scikit-learn; `reference/tfidf.py` made the fixture.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use evaluate::tfidf::Tfidf;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    labels: Vec<String>,
    train: Vec<(String, String)>,
    test: Vec<(String, String)>,
    probabilities: Vec<Vec<f64>>,
}

#[test]
fn probabilities_are_those_of_scikit_learn() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("reference/tfidf.json")).unwrap();
    for case in cases {
        let number = |label: &String| {
            u32::try_from(case.labels.iter().position(|known| known == label).unwrap()).unwrap()
        };
        let texts: Vec<_> = case.train.iter().map(|(text, _)| (text.as_str(), None)).collect();
        let labels: Vec<u32> = case.train.iter().map(|(_, label)| number(label)).collect();
        let fitted = Tfidf::fit(&texts, &labels, case.labels.len(), "made-up", || Ok(())).unwrap();
        for ((text, _), expected) in case.test.iter().zip(&case.probabilities) {
            let found = fitted.probabilities((text, None));
            let near = found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() <= 1e-4);
            assert!(near, "{text}: found {found:?}, expected {expected:?}");
        }
    }
}
