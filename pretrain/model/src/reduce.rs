//! The sum of a step's gradients over its micro-batches, in one order whoever computes which of them.
//!
//! The micro-batches of a step, in order, are the leaves of a binary tree, whose shape depends on their number alone: the sum of
//! `n` leaves is that of the first `2^k` plus that of the others, `2^k` being the largest power of two below `n`; the sum of one
//! leaf is itself. Five leaves are `((0 + 1) + (2 + 3)) + 4`. Every number is so added up at most `ceil(log2 n)` times, and a run of
//! neighbouring leaves is made of subtrees, which another process can go on from: the bits of the total do not depend on how the
//! leaves were shared out.

use std::{convert::Infallible, ops::Range};

use crate::{
    cpu::{Tensor, add},
    error::Result,
    param::Gradients,
    sequences::LossSum,
};

/// Processes that train one model together: each sums a run of the leaves of every step, and all take the same step.
pub trait Collective: Send {
    /// The place of this process among them, from zero.
    fn rank(&self) -> usize;

    /// How many they are, at least one.
    fn world_size(&self) -> usize;

    /// Makes the total of what all of them have summed: joins the subtrees of every rank, in the order of ranks, by
    /// [`TreeSum::join`], and finishes. Every rank then holds the same total.
    ///
    /// # Errors
    /// When another process cannot be reached.
    fn reduce(&mut self, sum: &mut TreeSum) -> Result<()>;

    /// The leaves of this process, of `num_leaves` in a step: as many as any other has, or one more or less.
    fn share(&self, num_leaves: usize) -> Range<usize> {
        let bound = |rank: usize| num_leaves * rank / self.world_size();
        bound(self.rank())..bound(self.rank() + 1)
    }
}

/// This process alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Collective for Local {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }

    fn reduce(&mut self, sum: &mut TreeSum) -> Result<()> {
        sum.finish();
        Ok(())
    }
}

/// The gradients and the loss of one step, as far as they are summed.
///
/// Leaves come in order, and two subtrees become one as soon as both are there, like the digits of a binary counter: of `n` leaves
/// from the first on, it takes `floor(log2 n) + 1` gradient buffers at most. The next step uses them again. One leaf alone is
/// neither added nor copied.
#[derive(Clone, Debug)]
pub struct TreeSum {
    subtrees: Vec<Subtree>,
    spare: Vec<Gradients<Tensor>>,
    /// The leaf that comes next.
    next: usize,
}

/// The sum of a few neighbouring leaves: a power of two of them, the first of which is at a multiple of it.
#[derive(Clone, Debug)]
pub struct Subtree {
    /// Its first leaf.
    pub first: usize,
    /// Its leaves.
    pub num_leaves: usize,
    /// The sum of their gradients.
    pub gradients: Gradients<Tensor>,
    /// The sum of their losses.
    pub loss: LossSum,
}

impl TreeSum {
    /// The sum of no leaves yet, with its first buffer; the others will be like it.
    pub fn new(gradients: Gradients<Tensor>) -> Self {
        Self { subtrees: Vec::new(), spare: vec![gradients], next: 0 }
    }

    /// Begins anew, at the leaf `first`.
    pub fn begin(&mut self, first: usize) {
        let Self { subtrees, spare, next } = self;
        spare.extend(subtrees.drain(..).map(|subtree| subtree.gradients));
        *next = first;
    }

    /// Adds the next leaf, whose gradients `accumulate` adds to zeros.
    ///
    /// # Errors
    /// Those of `accumulate`. The leaf is not added then.
    pub fn leaf<E>(
        &mut self,
        accumulate: impl FnOnce(&mut Gradients<Tensor>) -> std::result::Result<LossSum, E>,
    ) -> std::result::Result<(), E> {
        self.push(1, |gradients| {
            gradients.clear();
            accumulate(gradients)
        })
    }

    /// Adds a subtree of the next `num_leaves` leaves that another process has summed; `fill` overwrites all gradients.
    pub fn join(
        &mut self,
        num_leaves: usize,
        fill: impl FnOnce(&mut Gradients<Tensor>) -> LossSum,
    ) {
        let filled = self.push(num_leaves, |gradients| Ok::<_, Infallible>(fill(gradients)));
        filled.unwrap_or_else(|never| match never {});
    }

    /// What is summed so far, in order.
    pub fn subtrees(&self) -> &[Subtree] {
        &self.subtrees
    }

    /// Adds up what is left where the number of leaves is no power of two, from the right. No leaf comes behind it.
    pub fn finish(&mut self) {
        while self.subtrees.len() > 1 {
            self.merge();
        }
    }

    /// The sums of all leaves.
    ///
    /// # Panics
    /// If there are no leaves, or [`Self::finish`] has not been called.
    pub fn total(&self) -> (&Gradients<Tensor>, LossSum) {
        let [Subtree { gradients, loss, .. }] = self.subtrees.as_slice() else {
            unreachable!("a step has leaves, and its sum is finished")
        };
        (gradients, *loss)
    }

    fn push<E>(
        &mut self,
        num_leaves: usize,
        fill: impl FnOnce(&mut Gradients<Tensor>) -> std::result::Result<LossSum, E>,
    ) -> std::result::Result<(), E> {
        let mut gradients = self.buffer();
        let filled = fill(&mut gradients);
        let loss = match filled {
            Ok(loss) => loss,
            Err(error) => {
                self.spare.push(gradients);
                return Err(error);
            }
        };
        self.subtrees.push(Subtree { first: self.next, num_leaves, gradients, loss });
        self.next += num_leaves;
        while self.ends_with_siblings() {
            self.merge();
        }
        Ok(())
    }

    /// A buffer that is free, with any numbers in it.
    fn buffer(&mut self) -> Gradients<Tensor> {
        if let Some(free) = self.spare.pop() {
            return free;
        }
        // All of them will be free when the next step begins.
        self.spare.reserve(self.subtrees.len() + 1);
        let zeros = |tensor: &Tensor| Tensor::zeros(tensor.rows(), tensor.cols());
        let like = self.subtrees.last().expect("one buffer, free or in use");
        like.gradients.map(|entry| entry.value.as_ref().map(zeros))
    }

    /// Whether the last two are the halves of one subtree.
    fn ends_with_siblings(&self) -> bool {
        let [.., left, right] = self.subtrees.as_slice() else { return false };
        left.num_leaves == right.num_leaves && left.first.is_multiple_of(2 * left.num_leaves)
    }

    /// Adds the last one to the one before it.
    fn merge(&mut self) {
        let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.last_mut()) else {
            return;
        };
        left.num_leaves += right.num_leaves;
        left.loss += right.loss;
        for (left, right) in left.gradients.iter_mut().zip(right.gradients.iter()) {
            if let (Some(left), Some(right)) = (&mut left.value, &right.value) {
                add(left, right);
            }
        }
        self.spare.push(right.gradients);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::param::{Parameter, Part};

    /// Of a matrix, a frozen vector and a vector.
    fn zeros() -> Gradients<Tensor> {
        let entry = |name: &str, value| Parameter {
            name: name.to_owned(),
            shape: vec![1, 3],
            part: Part::Head,
            value,
        };
        let zeros = || Some(Tensor::zeros(1, 3));
        [entry("a", zeros()), entry("frozen", None), entry("b", zeros())].into_iter().collect()
    }

    /// Numbers of very different sizes, so that every order of sums has bits of its own.
    fn value(leaf: usize, at: usize) -> f32 {
        let scale = [1.0, 1e-3, 1e4, 3e-6][(leaf * 7 + at) % 4];
        ((leaf * 31 + at * 17) as f32).sin() * scale
    }

    fn accumulate(leaf: usize, gradients: &mut Gradients<Tensor>) -> Result<LossSum> {
        for (at, tensor) in
            gradients.iter_mut().filter_map(|entry| entry.value.as_mut()).enumerate()
        {
            for (place, sum) in tensor.values_mut().iter_mut().enumerate() {
                *sum += value(leaf, 3 * at + place);
            }
        }
        Ok(LossSum { nats: f64::from(value(leaf, 9)), counted: leaf })
    }

    /// The numbers of a total, and its loss.
    type Total = (Vec<f32>, LossSum);

    fn flat((gradients, loss): (&Gradients<Tensor>, LossSum)) -> Total {
        let tensors = gradients.iter().filter_map(|entry| entry.value.as_ref());
        (tensors.flat_map(|tensor| tensor.values().to_vec()).collect(), loss)
    }

    /// The definition.
    fn sum(leaves: Range<usize>) -> Total {
        if leaves.len() == 1 {
            let mut gradients = zeros();
            let loss = accumulate(leaves.start, &mut gradients).unwrap();
            return flat((&gradients, loss));
        }
        let middle = leaves.start + leaves.len().next_power_of_two() / 2;
        let (mut left, right) = (sum(leaves.start..middle), sum(middle..leaves.end));
        left.0.iter_mut().zip(right.0).for_each(|(left, right)| *left += right);
        left.1 += right.1;
        left
    }

    /// Ranks on threads, which leave their subtrees where all can see them.
    struct Together<'a> {
        rank: usize,
        left: &'a Mutex<Vec<Vec<Subtree>>>,
        barrier: &'a Barrier,
        size: usize,
    }

    impl Collective for Together<'_> {
        fn rank(&self) -> usize {
            self.rank
        }

        fn world_size(&self) -> usize {
            self.size
        }

        fn reduce(&mut self, sum: &mut TreeSum) -> Result<()> {
            self.left.lock().unwrap()[self.rank] = sum.subtrees().to_vec();
            self.barrier.wait();
            let all = self.left.lock().unwrap().concat();
            sum.begin(0);
            for subtree in all {
                sum.join(subtree.num_leaves, |gradients| {
                    *gradients = subtree.gradients;
                    subtree.loss
                });
            }
            sum.finish();
            self.barrier.wait();
            Ok(())
        }
    }

    /// Two steps, with the collective as a trainer uses it.
    fn steps(num_leaves: usize, collective: &mut dyn Collective) -> [Total; 2] {
        let mut total = TreeSum::new(zeros());
        [0, 1].map(|_| {
            let share = collective.share(num_leaves);
            total.begin(share.start);
            for leaf in share {
                total.leaf(|gradients| accumulate(leaf, gradients)).unwrap();
            }
            collective.reduce(&mut total).unwrap();
            flat(total.total())
        })
    }

    #[test]
    fn any_number_of_ranks_gives_the_same_bits() {
        for num_leaves in 1..=9 {
            let expected = sum(0..num_leaves);
            assert_eq!(steps(num_leaves, &mut Local), [expected.clone(), expected.clone()]);
            for size in [1, 2, 3, 5] {
                let (left, barrier) = (Mutex::new(vec![Vec::new(); size]), Barrier::new(size));
                std::thread::scope(|scope| {
                    let run = |rank| {
                        let mut rank = Together { rank, left: &left, barrier: &barrier, size };
                        steps(num_leaves, &mut rank)
                    };
                    let ranks: Vec<_> =
                        (0..size).map(|rank| scope.spawn(move || run(rank))).collect();
                    for rank in ranks {
                        let found = rank.join().unwrap();
                        assert_eq!(
                            found,
                            [expected.clone(), expected.clone()],
                            "{num_leaves} {size}"
                        );
                    }
                });
            }
        }
    }

    #[test]
    fn buffers_are_as_few_as_digits_and_are_used_again() {
        for (num_leaves, expected) in [(1usize, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (9, 4)]
        {
            let mut total = TreeSum::new(zeros());
            for _step in 0..2 {
                total.begin(0);
                for leaf in 0..num_leaves {
                    total.leaf(|gradients| accumulate(leaf, gradients)).unwrap();
                }
                total.finish();
            }
            assert_eq!(total.subtrees.len() + total.spare.len(), expected, "{num_leaves}");
            assert!(expected <= num_leaves.ilog2() as usize + 1);
        }
    }

    #[test]
    fn a_leaf_that_fails_is_not_added() {
        let mut total = TreeSum::new(zeros());
        total.leaf(|gradients| accumulate(0, gradients)).unwrap();
        assert_eq!(total.leaf(|_| Err("no")), Err("no"));
        total.leaf(|gradients| accumulate(1, gradients)).unwrap();
        total.finish();
        assert_eq!(flat(total.total()), sum(0..2));
    }
}
