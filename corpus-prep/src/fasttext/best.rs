//! The best labels of a text.

/// The log-probability of a label.
pub(super) type Scored = (f32, u32);

/// Keeps the best scores.
///
/// Of equal scores, which saturated probabilities are, it depends on the heap which are kept and in which order they come:
/// so this is the heap of GNU's C++ library, step by step, with the least score on top.
#[derive(Default)]
pub(super) struct Best {
    heap: Vec<Scored>,
    num: usize,
}

/// Whether `left` comes before `right`.
fn is_better(left: Scored, right: Scored) -> bool {
    left.0 > right.0
}

impl Best {
    /// Forgets what it has, to keep `num` from now on.
    pub(super) fn clear(&mut self, num: usize) {
        self.heap.clear();
        self.num = num;
    }

    /// Whether a score is too low to be kept.
    pub(super) fn is_full_of_better(&self, score: f32) -> bool {
        self.heap.len() == self.num && self.heap.first().is_none_or(|least| score < least.0)
    }

    /// Keeps a score, and lets the least go where there are too many.
    pub(super) fn push(&mut self, scored: Scored) {
        self.heap.push(scored);
        sift_up(&mut self.heap, scored);
        if self.heap.len() > self.num {
            pop_to_end(&mut self.heap);
            self.heap.pop();
        }
    }

    /// What was kept, the best first.
    pub(super) fn sorted(&mut self) -> &[Scored] {
        for end in (2..=self.heap.len()).rev() {
            pop_to_end(&mut self.heap[..end]);
        }
        &self.heap
    }
}

/// Moves `scored` from the last place up to where it belongs.
fn sift_up(heap: &mut [Scored], scored: Scored) {
    sift_up_from(heap, heap.len() - 1, scored);
}

fn sift_up_from(heap: &mut [Scored], mut hole: usize, scored: Scored) {
    while hole > 0 {
        let parent = (hole - 1) / 2;
        if !is_better(heap[parent], scored) {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = scored;
}

/// Moves the top to the last place, and makes a heap of the others.
fn pop_to_end(heap: &mut [Scored]) {
    let Some((last, rest)) = heap.split_last_mut() else { return };
    let Some(top) = rest.first() else { return };
    let moved = std::mem::replace(last, *top);
    // The hole sinks to the bottom first, and `moved` rises from there.
    let mut hole = 0;
    while 2 * hole + 2 < rest.len() {
        let right = 2 * hole + 2;
        let child = if is_better(rest[right], rest[right - 1]) { right - 1 } else { right };
        rest[hole] = rest[child];
        hole = child;
    }
    if 2 * hole + 2 == rest.len() {
        rest[hole] = rest[2 * hole + 1];
        hole = 2 * hole + 1;
    }
    sift_up_from(rest, hole, moved);
}
