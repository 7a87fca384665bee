//! The tree of a hierarchical softmax.

use super::best::Best;
use super::dictionary::MAX_COUNT;
use super::loss::{log, narrow, sigmoid};

/// Huffman's tree over the labels, built from their counts as fastText does, which expects these from high to low.
///
/// Nodes `0..num_labels` are the labels; the last node is the root, and an inner node has a row of the output matrix.
#[derive(Clone)]
pub(super) struct Tree {
    num_labels: usize,
    /// Left and right child of each inner node.
    children: Vec<[u32; 2]>,
}

impl Tree {
    /// The tree for counts that are at least one, and each below [`MAX_COUNT`].
    pub(super) fn new(counts: &[i64]) -> Self {
        let num_labels = counts.len();
        let mut all = vec![MAX_COUNT; 2 * num_labels - 1];
        all[..num_labels].copy_from_slice(counts);
        let mut labels = (0..num_labels).rev().peekable();
        let mut nodes = num_labels..;
        let mut children = Vec::with_capacity(num_labels - 1);
        for node in num_labels..all.len() {
            let mut next = || {
                // A node that is not made yet counts more than every label, so it is never taken.
                labels
                    .next_if(|label| all[*label] < all[nodes.start])
                    .or_else(|| nodes.next())
                    .expect("nodes do not end")
            };
            let pair = [next(), next()];
            all[node] = all[pair[0]].saturating_add(all[pair[1]]);
            children.push(
                pair.map(|child| u32::try_from(child).expect("sizes of dictionaries fit 32 bits")),
            );
        }
        Self { num_labels, children }
    }

    /// Keeps the best labels of those whose log-probability is at least that of `threshold`.
    ///
    /// `score` gives the score of a row of the output matrix; `open` is memory that is used again.
    pub(super) fn search(
        &self,
        threshold: f32,
        open: &mut Vec<(u32, f32)>,
        best: &mut Best,
        mut score: impl FnMut(usize) -> f32,
    ) {
        let root =
            u32::try_from(2 * self.num_labels - 2).expect("sizes of dictionaries fit 32 bits");
        let least = log(threshold);
        open.clear();
        open.push((root, 0.0));
        while let Some((node, logarithm)) = open.pop() {
            if logarithm < least || best.is_full_of_better(logarithm) {
                continue;
            }
            let Some(inner) = (node as usize).checked_sub(self.num_labels) else {
                best.push((logarithm, node));
                continue;
            };
            let right = sigmoid(score(inner));
            let left = narrow(1.0 - f64::from(right));
            let [left_child, right_child] = self.children[inner];
            // The left one is looked at first, with all below it.
            open.push((right_child, logarithm + log(right)));
            open.push((left_child, logarithm + log(left)));
        }
    }
}
