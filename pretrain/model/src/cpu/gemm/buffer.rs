//! Memory for cells, on whole cache lines, that is kept from one use to the next.

/// A cache line of cells: vectors that begin on one do not cross into another.
#[derive(Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "cells are reached by pointers to the first")]
struct Line([u32; CELLS]);

const CELLS: usize = 16;

/// Memory that grows to the largest use.
#[derive(Default)]
pub(super) struct Buffer(Vec<Line>);

impl Buffer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Room for so many cells; what they are is not said, only that reading them is safe.
    pub(super) fn reserve(&mut self, cells: usize) -> *mut u32 {
        let lines = cells.div_ceil(CELLS);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; CELLS]));
        }
        self.0.as_mut_ptr().cast()
    }
}
