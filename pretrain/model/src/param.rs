//! Named tensors in a fixed order: weights, their gradients, what an optimizer keeps of them.

use crate::{
    cpu::Tensor,
    error::{ModelError, Result},
    ops::Linear,
};

/// Where in a model a parameter stands, from the bottom up.
///
/// The family says it of each of its parameters; freezing, learning rates by layer and the choice of an optimizer's rule go by
/// it, never by names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The embeddings, with what stands between them and the first block; also the output projection that is tied to them.
    Embeddings,
    /// A block, counted from zero at the bottom.
    Layer(usize),
    /// What stands between the last block and the output projection: the last norm, a pooler, a transform.
    Neck,
    /// The output projection.
    Head,
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter<T> {
    /// Name as in Hugging Face checkpoints.
    pub name: String,
    /// Lengths of its dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Where it stands.
    pub part: Part,
    /// Its numbers.
    pub value: T,
}

impl<T> Parameter<T> {
    /// The same tensor with other numbers.
    pub fn with<U>(&self, value: U) -> Parameter<U> {
        Parameter { name: self.name.clone(), shape: self.shape.clone(), part: self.part, value }
    }
}

/// The gradient of each parameter; of those that are not trained, none.
pub type Gradients<T> = Parameters<Option<T>>;

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
        self.iter().map(|entry| entry.with(value(entry))).collect()
    }

    /// Checks that `other` has the same names and shapes in the same order.
    ///
    /// # Errors
    /// [`ModelError::ForeignParameter`] names the first that differs.
    pub fn check_same<U>(&self, other: &Parameters<U>) -> Result<()> {
        let same = |(ours, theirs): (&Parameter<T>, &Parameter<U>)| {
            ours.name == theirs.name && ours.shape == theirs.shape
        };
        let common = self.iter().zip(other.iter()).take_while(|pair| same(*pair)).count();
        if common == self.entries.len().max(other.entries.len()) {
            return Ok(());
        }
        Err(ModelError::ForeignParameter {
            found: other.described(common),
            expected: self.described(common),
        })
    }

    /// Name and shape of the tensor at a place.
    fn described(&self, at: usize) -> String {
        let named = |entry: &Parameter<T>| format!("{} {:?}", entry.name, entry.shape);
        self.entries.get(at).map_or_else(|| "nothing".to_owned(), named)
    }

    pub(crate) fn value(&self, idx: usize) -> &T {
        &self.entries[idx].value
    }

    /// The weights of a linear layer.
    pub(crate) fn linear(&self, places: Linear<usize>) -> Linear<&T> {
        places.map(|at| self.value(at))
    }
}

impl<T> Gradients<T> {
    /// The lowest part of which a gradient is wanted: how far down a backward pass has to go. The head if none is.
    pub(crate) fn lowest(&self) -> Part {
        let wanted = self.iter().filter(|entry| entry.value.is_some());
        wanted.map(|entry| entry.part).min().unwrap_or(Part::Head)
    }

    /// The gradient at a place, if it is wanted.
    pub(crate) fn wanted(&mut self, at: usize) -> Option<&mut T> {
        self.entries[at].value.as_mut()
    }

    /// Those at two different places.
    pub(crate) fn wanted_pair(&mut self, pair: [usize; 2]) -> [Option<&mut T>; 2] {
        let entries = self.entries.get_disjoint_mut(pair);
        entries.expect("two places of one layout").map(|entry| entry.value.as_mut())
    }

    /// Those of several linear layers' weights and biases.
    pub(crate) fn wanted_linears<const N: usize>(
        &mut self,
        layers: [Linear<usize>; N],
    ) -> [[Option<&mut T>; 2]; N] {
        let mut wanted = std::array::from_fn(|_| [None, None]);
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let of = |layer: &Linear<usize>| [Some(layer.weight), layer.bias];
            let mut places = layers.iter().map(of).zip(&mut wanted);
            let place = places.find_map(|(places, wanted)| {
                let place = places.iter().position(|place| *place == Some(at))?;
                Some(&mut wanted[place])
            });
            if let Some(place) = place {
                *place = entry.value.as_mut();
            }
        }
        wanted
    }

    /// Those of a linear layer's weight and bias.
    pub(crate) fn wanted_linear(&mut self, places: Linear<usize>) -> [Option<&mut T>; 2] {
        match places.bias {
            None => [self.wanted(places.weight), None],
            Some(bias) => self.wanted_pair([places.weight, bias]),
        }
    }
}

impl Gradients<Tensor> {
    /// Sets every number to zero.
    pub fn clear(&mut self) {
        for tensor in self.entries.iter_mut().filter_map(|entry| entry.value.as_mut()) {
            tensor.clear();
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
