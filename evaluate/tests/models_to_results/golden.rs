//! Configs and bytes of every phase. A phase whose bytes change must raise its version; then this is written anew.

use laboratory::short;

use crate::lab::{Lab, steps};

#[test]
fn phases_without_tensors_write_the_bytes_of_their_version() {
    let config = r#"{"baselines":["tfidf"],"examples":"labels","bootstrap":{"resamples":50}}"#;
    let lab = Lab::run(steps(), config).unwrap();
    assert_eq!(
        short(&lab.ran.outputs("report")),
        [
            "baseline/tfidf/predictions 8f0b65ffc992",
            "compare/compare/predictions 8f0b65ffc992",
            "compare/compare/results ef7d052ce967",
        ]
    );
}
