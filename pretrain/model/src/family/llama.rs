//! Llama: root-mean-square norms, rotary positions, grouped-query attention, SwiGLU, no biases.
//!
//! Source: Touvron et al. 2023, arXiv:2302.13971; names and arithmetic as in `transformers`' `LlamaModel`.

mod block;
mod layout;

use self::{
    block::{Activations, Gradients},
    layout::Layout,
};
pub(crate) use layout::specification;

use crate::{
    checkpoint::Checkpoint,
    config::LlamaConfig,
    cpu::{Cpu, simd::narrow},
    error::{ModelError, Result},
    ops::Ops,
    param::{Parameters, matrix_shape},
    sequences::{CausalBatch, LossSum, Sequences},
};

/// A Llama on the CPU.
pub type CpuLlama = Llama<Cpu>;

/// A Llama over one implementation of the passes, with its weights and the memory of a step.
///
/// Memory of a call grows with its tokens: callers cut their data into micro-batches. Results of a sequence do not
/// depend on which others are beside it.
#[derive(Debug)]
pub struct Llama<O: Ops> {
    config: LlamaConfig,
    layout: Layout,
    weights: Parameters<O::Tensor>,
    ops: O,
    work: Work<O::Tensor>,
}

/// Buffers that every step uses again.
#[derive(Debug)]
struct Work<T> {
    /// The residual stream.
    x: T,
    /// Its last tokens, where a class is wanted.
    pooled: T,
    normed: T,
    /// Of each block when its gradients will be wanted, else of the block at work.
    blocks: Vec<Activations<T>>,
    dx: T,
    dpooled: T,
    dnormed: T,
    gradients: Gradients<T>,
    nats: Vec<f64>,
}

/// Whether a backward pass follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Forward,
    ForwardAndBackward,
}

impl CpuLlama {
    /// The model of a checkpoint.
    ///
    /// # Errors
    /// When the weights are not those that the config promises.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self> {
        Self::new(checkpoint, Cpu::new())
    }

    /// Config and weights as a checkpoint.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let weights = self.weights.map(|entry| entry.value.values().to_vec());
        Checkpoint { config: self.config.clone(), weights }
    }
}

impl<O: Ops> Llama<O> {
    /// The model of a checkpoint over `ops`.
    ///
    /// # Errors
    /// When the weights are not those that the config promises.
    pub fn new(checkpoint: Checkpoint, ops: O) -> Result<Self> {
        let Checkpoint { config, weights } = checkpoint;
        config.validate()?;
        specification(&config).check_same(&weights)?;
        let weights = weights.map(|entry| {
            let (rows, cols) = matrix_shape(&entry.shape);
            ops.tensor(rows, cols, &entry.value)
        });
        let work = Work::new(&ops);
        Ok(Self { layout: Layout::new(&config), config, weights, ops, work })
    }

    /// Its shape and constants.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Its weights, in order.
    pub fn weights(&self) -> &Parameters<O::Tensor> {
        &self.weights
    }

    /// Its weights, in order, to be changed.
    pub fn weights_mut(&mut self) -> &mut Parameters<O::Tensor> {
        &mut self.weights
    }

    /// Gradient buffers of zeros, one for each weight.
    pub fn gradients(&self) -> Parameters<O::Tensor> {
        self.weights.map(|entry| {
            let (rows, cols) = matrix_shape(&entry.shape);
            self.ops.zeros(rows, cols)
        })
    }

    /// Adds the gradients of the *sum* of the batch's losses to `gradients`; returns that sum and the tokens counted.
    ///
    /// # Errors
    /// When the batch does not fit the vocabulary or the context, the gradients not the weights, or when the model is
    /// a classifier.
    pub fn accumulate_causal(
        &mut self,
        batch: &CausalBatch,
        gradients: &mut Parameters<O::Tensor>,
    ) -> Result<LossSum> {
        self.check_causal(batch)?;
        self.weights.check_same(gradients)?;
        self.forward(batch.sequences(), Pass::ForwardAndBackward);
        let Self { config, layout, weights, ops, work } = self;
        let (norm, output) = (weights.value(layout.norm), weights.value(layout.output));
        ops.rms_norm(&work.x, norm, config.rms_norm_eps, &mut work.normed);
        ops.cross_entropy_backward(
            &work.normed,
            output,
            batch.targets(),
            &mut work.nats,
            &mut work.dnormed,
            gradients.value_mut(layout.output),
        );
        zeros_like(ops, &work.x, &mut work.dx);
        let dnorm = gradients.value_mut(layout.norm);
        ops.rms_norm_backward(
            &work.x,
            norm,
            config.rms_norm_eps,
            &work.dnormed,
            &mut work.dx,
            dnorm,
        );
        self.backward(batch.sequences(), gradients);
        Ok(LossSum { nats: self.work.nats.iter().sum(), counted: batch.counted() })
    }

    /// Loss over a batch, without gradients.
    ///
    /// # Errors
    /// When the batch does not fit the vocabulary or the context, or when the model is a classifier.
    pub fn causal_loss(&mut self, batch: &CausalBatch) -> Result<LossSum> {
        let nats = self.token_nats(batch)?;
        Ok(LossSum { nats: nats.iter().sum(), counted: batch.counted() })
    }

    /// Negative log-likelihood of each target, in nats; zero at tokens without target.
    ///
    /// # Errors
    /// As [`Self::causal_loss`].
    pub fn token_nats(&mut self, batch: &CausalBatch) -> Result<&[f64]> {
        self.check_causal(batch)?;
        self.forward(batch.sequences(), Pass::Forward);
        let Self { config, layout, weights, ops, work } = self;
        ops.rms_norm(&work.x, weights.value(layout.norm), config.rms_norm_eps, &mut work.normed);
        let output = weights.value(layout.output);
        ops.cross_entropy(&work.normed, output, batch.targets(), &mut work.nats);
        Ok(&work.nats)
    }

    /// Loss of each sequence of a batch, in order.
    ///
    /// # Errors
    /// As [`Self::causal_loss`].
    pub fn sequence_losses(&mut self, batch: &CausalBatch) -> Result<Vec<LossSum>> {
        let nats = self.token_nats(batch)?;
        let bounds = batch.sequences().offsets().windows(2);
        Ok(bounds
            .map(|bounds| LossSum {
                nats: nats[bounds[0]..bounds[1]].iter().sum(),
                counted: batch.targets()[bounds[0]..bounds[1]].iter().flatten().count(),
            })
            .collect())
    }

    /// Logits of every token, `[tokens, vocab]`: for comparisons, since losses never need them all at once.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, or when the model is a classifier.
    pub fn logits(&mut self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.require_head(None)?;
        sequences.check(self.config.vocab_size, self.config.max_position_embeddings)?;
        self.forward(sequences, Pass::Forward);
        let Self { config, layout, weights, ops, work } = self;
        ops.rms_norm(&work.x, weights.value(layout.norm), config.rms_norm_eps, &mut work.normed);
        let mut logits = ops.zeros(0, 0);
        ops.linear(&work.normed, weights.value(layout.output), &mut logits);
        Ok(ops.values(&logits).into_iter().map(narrow).collect())
    }

    /// Adds the gradients of the *sum* of the losses of `labels`, one for each sequence, to `gradients`.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, the labels not the classes, the gradients not the
    /// weights, or when the model is not a classifier.
    pub fn accumulate_classes(
        &mut self,
        sequences: &Sequences,
        labels: &[u32],
        gradients: &mut Parameters<O::Tensor>,
    ) -> Result<LossSum> {
        let targets = self.check_classes(sequences, labels)?;
        self.weights.check_same(gradients)?;
        self.forward(sequences, Pass::ForwardAndBackward);
        self.pool(sequences);
        let Self { config, layout, weights, ops, work } = self;
        ops.cross_entropy_backward(
            &work.normed,
            weights.value(layout.output),
            &targets,
            &mut work.nats,
            &mut work.dnormed,
            gradients.value_mut(layout.output),
        );
        zeros_like(ops, &work.pooled, &mut work.dpooled);
        ops.rms_norm_backward(
            &work.pooled,
            weights.value(layout.norm),
            config.rms_norm_eps,
            &work.dnormed,
            &mut work.dpooled,
            gradients.value_mut(layout.norm),
        );
        ops.last_token_backward(&work.dpooled, sequences.offsets(), &mut work.dx);
        self.backward(sequences, gradients);
        Ok(LossSum { nats: self.work.nats.iter().sum(), counted: labels.len() })
    }

    /// Loss of the labels, without gradients.
    ///
    /// # Errors
    /// As [`Self::accumulate_classes`].
    pub fn class_loss(&mut self, sequences: &Sequences, labels: &[u32]) -> Result<LossSum> {
        let targets = self.check_classes(sequences, labels)?;
        self.forward(sequences, Pass::Forward);
        self.pool(sequences);
        let Self { layout, weights, ops, work, .. } = self;
        ops.cross_entropy(&work.normed, weights.value(layout.output), &targets, &mut work.nats);
        Ok(LossSum { nats: work.nats.iter().sum(), counted: labels.len() })
    }

    /// Logits of every class for each sequence.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, or when the model is not a classifier.
    pub fn class_logits(&mut self, sequences: &Sequences) -> Result<Vec<Vec<f32>>> {
        let num_labels = self.check_classifier(sequences)?;
        self.forward(sequences, Pass::Forward);
        self.pool(sequences);
        let Self { layout, weights, ops, work, .. } = self;
        let mut logits = ops.zeros(0, 0);
        ops.linear(&work.normed, weights.value(layout.output), &mut logits);
        let logits: Vec<f32> = ops.values(&logits).into_iter().map(narrow).collect();
        Ok(logits.chunks_exact(num_labels).map(<[f32]>::to_vec).collect())
    }

    /// Probability of every class for each sequence.
    ///
    /// # Errors
    /// As [`Self::class_logits`].
    pub fn class_probabilities(&mut self, sequences: &Sequences) -> Result<Vec<Vec<f64>>> {
        Ok(self.class_logits(sequences)?.iter().map(|logits| softmax(logits)).collect())
    }

    /// The residual stream after the last block, into `work.x`.
    fn forward(&mut self, sequences: &Sequences, pass: Pass) {
        let Self { config, layout, weights, ops, work } = self;
        let kept = if pass == Pass::Forward { 1 } else { layout.blocks.len() };
        while work.blocks.len() < kept {
            work.blocks.push(Activations::new(ops));
        }
        ops.embedding(sequences.tokens(), weights.value(layout.embedding), &mut work.x);
        for (idx, block) in layout.blocks.iter().enumerate() {
            let kept = if pass == Pass::Forward { 0 } else { idx };
            let model = block::Model { config, weights, block, offsets: sequences.offsets() };
            model.forward(ops, &mut work.x, &mut work.blocks[kept]);
        }
    }

    /// From the gradient of the residual stream after the last block, in `work.dx`, to those of all weights below.
    fn backward(&mut self, sequences: &Sequences, gradients: &mut Parameters<O::Tensor>) {
        let Self { config, layout, weights, ops, work } = self;
        for (block, kept) in layout.blocks.iter().zip(&work.blocks).rev() {
            let model = block::Model { config, weights, block, offsets: sequences.offsets() };
            model.backward(ops, kept, &mut work.dx, &mut work.gradients, gradients);
        }
        let dembedding = gradients.value_mut(layout.embedding);
        ops.embedding_backward(sequences.tokens(), &work.dx, dembedding);
    }

    /// The normed last token of each sequence, into `work.normed`.
    fn pool(&mut self, sequences: &Sequences) {
        let Self { config, layout, weights, ops, work } = self;
        ops.last_token(&work.x, sequences.offsets(), &mut work.pooled);
        let norm = weights.value(layout.norm);
        ops.rms_norm(&work.pooled, norm, config.rms_norm_eps, &mut work.normed);
    }

    fn check_causal(&self, batch: &CausalBatch) -> Result<()> {
        self.require_head(None)?;
        batch.check(self.config.vocab_size, self.config.max_position_embeddings)
    }

    fn check_classifier(&self, sequences: &Sequences) -> Result<usize> {
        let num_labels = self.config.num_labels();
        self.require_head(num_labels.or(Some(0)))?;
        sequences.check(self.config.vocab_size, self.config.max_position_embeddings)?;
        Ok(num_labels.unwrap_or(0))
    }

    /// The labels as targets.
    fn check_classes(&self, sequences: &Sequences, labels: &[u32]) -> Result<Vec<Option<u32>>> {
        let expected = self.check_classifier(sequences)?;
        if labels.len() != sequences.len() {
            return Err(ModelError::WrongCount {
                what: "labels",
                each: "sequence",
                found: labels.len(),
                expected: sequences.len(),
            });
        }
        match labels.iter().position(|&label| label as usize >= expected) {
            Some(row) => Err(ModelError::UnknownLabel { row, found: labels[row], expected }),
            None => Ok(labels.iter().copied().map(Some).collect()),
        }
    }

    /// Refuses a model with another head: `None` asks for a causal one.
    fn require_head(&self, num_labels: Option<usize>) -> Result<()> {
        let expected = if num_labels.is_some() {
            "LlamaForSequenceClassification"
        } else {
            "LlamaForCausalLM"
        };
        let found = self.config.head.architecture();
        if found == expected { Ok(()) } else { Err(ModelError::WrongHead { found, expected }) }
    }
}

impl<T> Work<T> {
    fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            x: empty(),
            pooled: empty(),
            normed: empty(),
            blocks: Vec::new(),
            dx: empty(),
            dpooled: empty(),
            dnormed: empty(),
            gradients: Gradients::new(ops),
            nats: Vec::new(),
        }
    }
}

fn zeros_like<O: Ops>(ops: &mut O, x: &O::Tensor, out: &mut O::Tensor) {
    ops.copy(x, out);
    ops.clear(out);
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&logit| libm::exp(f64::from(logit - max))).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}
