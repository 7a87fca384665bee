//! The check at the start of training that nothing is cut off from the loss.

use crate::{
    cpu::Tensor,
    error::{ModelError, Result},
    param::{Gradients, Parameter},
};

/// Checks that every tensor that is trained received a gradient that is finite and not all zero.
///
/// To be called once, after the first step's gradients: a part of a model that the loss does not reach would
/// otherwise stay as it began, without a word. The bias of BERT's keys is no such part: it adds the same to all scores of a
/// query, so its gradient is zero but for rounding.
///
/// # Errors
/// [`ModelError::Gradient`] names every tensor with a non-finite gradient, else every one without a gradient.
pub fn assert_gradients(gradients: &Gradients<Tensor>) -> Result<()> {
    let with = |fault: fn(&[f32]) -> bool| -> Vec<String> {
        let faulty = |entry: &&Parameter<Option<Tensor>>| {
            entry.value.as_ref().is_some_and(|gradient| fault(gradient.values()))
        };
        gradients.iter().filter(faulty).map(|entry| entry.name.clone()).collect()
    };
    let broken = with(|values| values.iter().any(|value| !value.is_finite()));
    let mut missing = with(|values| values.iter().all(|&value| value == 0.0));
    missing.retain(|name| !name.ends_with("attention.self.key.bias"));
    match (broken.is_empty(), missing.is_empty()) {
        (false, _) => Err(ModelError::Gradient { problem: "non-finite", tensors: broken }),
        (true, false) => Err(ModelError::Gradient { problem: "zero", tensors: missing }),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::Part;

    #[track_caller]
    fn check(values: [[f32; 2]; 2], expected: &str) {
        check_named(["a", "b"], values, expected);
    }

    #[track_caller]
    fn check_named(names: [&str; 2], values: [[f32; 2]; 2], expected: &str) {
        let mut gradients: Gradients<Tensor> = names
            .into_iter()
            .zip(values)
            .map(|(name, values)| Parameter {
                name: name.to_owned(),
                shape: vec![2],
                part: Part::Head,
                value: Some(Tensor::new(1, 2, values.to_vec())),
            })
            .collect();
        let message = assert_gradients(&gradients).err().map(|error| error.to_string());
        assert_eq!(message.unwrap_or_default(), expected);
        gradients.iter_mut().for_each(|entry| entry.value = None);
        assert_gradients(&gradients).unwrap();
    }

    #[test]
    fn tensors_without_a_usable_gradient_are_named() {
        check([[0.0, 1.0], [2.0, 0.0]], "");
        check_named(["a", "attention.self.key.bias"], [[0.0, 1.0], [0.0, 0.0]], "");
        check(
            [[0.0, 0.0], [2.0, 0.0]],
            "at the start of training, these tensors have zero gradients: a",
        );
        check(
            [[0.0, f32::NAN], [f32::INFINITY, 0.0]],
            "at the start of training, these tensors have non-finite gradients: a, b",
        );
    }
}
