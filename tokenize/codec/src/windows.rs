//! Long texts in windows that a model can read.

use std::{num::NonZeroUsize, ops::Range};

/// Tokens that a model reads together, and those of them that it answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What is read.
    pub tokens: Range<usize>,
    /// What is kept of the answers. The windows of a text keep every token once, in order.
    pub kept: Range<usize>,
}

/// Cuts `num_tokens` tokens into windows of `max_tokens` (special tokens apart), each beginning with the last `overlap`
/// tokens of the one before; the last window may be shorter. `overlap` is the `stride` of `transformers`.
///
/// Every token is kept from the window that shows most of its neighbourhood: where the smaller of the numbers of tokens
/// to its left and to its right is largest. The ends of the text hide nothing. Of equals, the earlier window keeps it.
///
/// `None` if `overlap` is not below `max_tokens`: the windows would not move on.
///
/// ```
/// let windows = codec::windows(9, 6.try_into()?, 2).expect("2 is below 6");
/// assert_eq!((windows[0].tokens.clone(), windows[0].kept.clone()), (0..6, 0..5));
/// assert_eq!((windows[1].tokens.clone(), windows[1].kept.clone()), (4..9, 5..9));
/// # Ok::<_, std::num::TryFromIntError>(())
/// ```
pub fn windows(num_tokens: usize, max_tokens: NonZeroUsize, overlap: usize) -> Option<Vec<Window>> {
    let step = max_tokens.get().checked_sub(overlap).filter(|&step| step > 0)?;
    let mut windows: Vec<Window> = Vec::new();
    let mut start = 0usize;
    let mut first_kept = 0;
    while first_kept < num_tokens {
        let end = num_tokens.min(start.saturating_add(max_tokens.get()));
        let next = start + step;
        // The next window shows more of a token where fewer are left in this one than there are before it in that one.
        let kept_end = if end == num_tokens { end } else { (next + end).div_ceil(2) };
        windows.push(Window { tokens: start..end, kept: first_kept..kept_end });
        start = next;
        first_kept = kept_end;
    }
    Some(windows)
}

/// Share of a window, as one part of so many, that the next one shows again.
const OVERLAP_PARTS: usize = 4;

/// As many windows as `num_tokens` tokens need, each beginning with the last quarter of the one before: what is learnt from
/// a text in windows, and what is asked of it.
pub fn overlapping_windows(num_tokens: usize, max_tokens: NonZeroUsize) -> Vec<Window> {
    windows(num_tokens, max_tokens, max_tokens.get() / OVERLAP_PARTS)
        .expect("a quarter is below the whole")
}

/// The first `max_tokens` tokens alone; of no tokens, no window.
pub fn first_window(num_tokens: usize, max_tokens: NonZeroUsize) -> Vec<Window> {
    let shown = 0..num_tokens.min(max_tokens.get());
    if shown.is_empty() { Vec::new() } else { vec![Window { tokens: shown.clone(), kept: shown }] }
}
