//! Named tensors in a fixed order: weights, their gradients, their moments.

use crate::{
    cpu::Tensor,
    error::{ModelError, Result},
    ops::Projection,
};

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter<T> {
    /// Name as in Hugging Face checkpoints.
    pub name: String,
    /// Lengths of its dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub value: T,
}

/// Named tensors in the order of the family's definition, which is the order of every sum over them.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<T> {
    entries: Vec<Parameter<T>>,
}

impl<T> Parameters<T> {
    /// Every tensor, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter<T>> {
        self.entries.iter()
    }

    /// Every tensor, in order.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Parameter<T>> {
        self.entries.iter_mut()
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Parameter<T>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Numbers in all tensors together.
    pub fn num_values(&self) -> usize {
        self.entries.iter().map(|entry| entry.shape.iter().product::<usize>()).sum()
    }

    /// The same names and shapes with other values.
    pub fn map<U>(&self, mut value: impl FnMut(&Parameter<T>) -> U) -> Parameters<U> {
        self.iter()
            .map(|entry| Parameter {
                name: entry.name.clone(),
                shape: entry.shape.clone(),
                value: value(entry),
            })
            .collect()
    }

    /// Checks that `other` has the same names and shapes in the same order.
    ///
    /// # Errors
    /// [`ModelError::ForeignParameter`] names the first that differs.
    pub fn check_same<U>(&self, other: &Parameters<U>) -> Result<()> {
        let named = |name: &str, shape: &[usize]| format!("{name} {shape:?}");
        let ours = self.iter().map(|entry| Some(named(&entry.name, &entry.shape)));
        let theirs = other.iter().map(|entry| Some(named(&entry.name, &entry.shape)));
        let longer = self.entries.len().max(other.entries.len());
        let pairs = ours.chain(std::iter::repeat(None)).zip(theirs.chain(std::iter::repeat(None)));
        for (expected, found) in pairs.take(longer) {
            if expected != found {
                let or_nothing =
                    |entry: Option<String>| entry.unwrap_or_else(|| "nothing".to_owned());
                return Err(ModelError::ForeignParameter {
                    found: or_nothing(found),
                    expected: or_nothing(expected),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn value(&self, idx: usize) -> &T {
        &self.entries[idx].value
    }

    pub(crate) fn value_mut(&mut self, idx: usize) -> &mut T {
        &mut self.entries[idx].value
    }

    /// An output projection.
    pub(crate) fn projection_mut(&mut self, places: Projection<usize>) -> Projection<&mut T> {
        match places.bias {
            None => Projection { weight: self.value_mut(places.weight), bias: None },
            Some(bias) => {
                let [weight, bias] = self.pair_mut([places.weight, bias]);
                Projection { weight, bias: Some(bias) }
            }
        }
    }

    /// Two different tensors at once.
    pub(crate) fn pair_mut(&mut self, pair: [usize; 2]) -> [&mut T; 2] {
        let entries = self.entries.get_disjoint_mut(pair);
        entries.expect("two places of one layout").map(|entry| &mut entry.value)
    }
}

impl Parameters<Tensor> {
    /// Sets every number to zero.
    pub fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.value.values_mut().fill(0.0);
        }
    }
}

impl<T> IntoIterator for Parameters<T> {
    type Item = Parameter<T>;
    type IntoIter = std::vec::IntoIter<Parameter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<T> FromIterator<Parameter<T>> for Parameters<T> {
    fn from_iter<I: IntoIterator<Item = Parameter<T>>>(iter: I) -> Self {
        Self { entries: iter.into_iter().collect() }
    }
}

/// Rows and columns of a tensor of this shape: a vector is one row.
pub(crate) fn matrix_shape(shape: &[usize]) -> (usize, usize) {
    match shape {
        [rows, rest @ ..] if !rest.is_empty() => (*rows, rest.iter().product()),
        vector => (1, vector.iter().product()),
    }
}
