//! Documents longer than the context, cut so that each token is predicted exactly once.
//!
//! The first window predicts the first tokens from the eos token that ended the document before; each next one predicts
//! as many tokens as the context holds, from the token before them; the last, which has fewer left to predict, reads
//! further back, so that its tokens have a full context.
//!
//! Source: `get_rolling_token_windows` and `make_disjoint_window` of lm-evaluation-harness 0.4, `context_len = 1`.

/// A stretch of a document that goes through the model at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Tokens that are read.
    pub tokens: Vec<u32>,
    /// What is predicted at each of them; `None` where a window before has predicted it.
    pub targets: Vec<Option<u32>>,
}

/// The windows of at most `context` tokens of a document that stands behind `prefix`.
///
/// # Panics
/// If `context` is zero.
pub fn windows(prefix: u32, document: &[u32], context: usize) -> Vec<Window> {
    assert!(context > 0, "a context holds at least one token");
    let mut read = vec![prefix];
    read.extend_from_slice(document);
    // `read[at]` is what `document[at]` is predicted from.
    let starts = (0..document.len()).step_by(context);
    let window = |start: usize| {
        let end = document.len().min(start + context);
        let from = end.saturating_sub(context);
        let target = |at: usize| (at >= start).then(|| document[at]);
        Window { tokens: read[from..end].to_vec(), targets: (from..end).map(target).collect() }
    };
    starts.map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_token_is_predicted_once_from_the_one_before(length in 0usize..60, context in 1usize..20) {
            let document: Vec<u32> = (1..).take(length).collect();
            let windows = windows(0, &document, context);
            let mut predicted = Vec::new();
            for window in &windows {
                prop_assert_eq!(window.tokens.len(), window.targets.len());
                prop_assert!(window.tokens.len() <= context);
                prop_assert_eq!(window.tokens.len(), context.min(length));
                for (token, target) in window.tokens.iter().zip(&window.targets) {
                    if let Some(target) = target {
                        prop_assert_eq!(token + 1, *target);
                        predicted.push(*target);
                    }
                }
            }
            prop_assert_eq!(predicted, document);
        }
    }

    #[test]
    fn the_last_window_reads_further_back() {
        let windows = windows(9, &[1, 2, 3, 4, 5], 3);
        assert_eq!(windows.len(), 2);
        assert_eq!(
            windows[0],
            Window { tokens: vec![9, 1, 2], targets: vec![Some(1), Some(2), Some(3)] }
        );
        assert_eq!(
            windows[1],
            Window { tokens: vec![2, 3, 4], targets: vec![None, Some(4), Some(5)] }
        );
    }
}
