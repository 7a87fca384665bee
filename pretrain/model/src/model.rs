//! A model of any family: losses, gradients and logits of its head.

mod passes;
mod slice;

use self::{
    passes::Passes,
    slice::{Slice, Targeted},
};
use crate::{
    checkpoint::Checkpoint,
    config::{Head, ModelConfig},
    cpu::Cpu,
    dropout::Dropout,
    error::{ModelError, Result},
    family::{family, specification},
    kv_cache::KvCache,
    ops::{Linear, Ops},
    optim::Freeze,
    param::{Gradients, Parameter, Parameters, Part, matrix_shape},
    profile::NumericProfile,
    sequences::{LossSum, Sequences, TokenBatch},
};

pub(crate) use self::slice::MaxTokens;

/// A model on the CPU.
pub type CpuModel = Model<Cpu>;

/// A model over one implementation of the passes, with its weights and the memory of a step.
///
/// Heads are of two kinds. Those of tokens (the next token, masked tokens, classes of tokens) are trained on a
/// [`TokenBatch`], that of sequences on a label for each. What needs more than 640 MB of activations goes through in
/// slices. Results of a sequence do not depend on which others are beside it.
#[derive(Debug)]
pub struct Model<O: Ops> {
    config: ModelConfig,
    passes: Passes<O>,
    max_tokens: MaxTokens,
    slice: Slice,
    /// Of the present batch.
    targeted: Targeted,
    /// The loss of each of them, and of each token of the batch.
    nats: Vec<f64>,
    token_nats: Vec<f64>,
}

impl CpuModel {
    /// The model of a checkpoint, in the best f32 arithmetic of this processor.
    ///
    /// # Errors
    /// When the weights are not those that the config promises.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self> {
        Self::with_profile(checkpoint, NumericProfile::resolve())
    }

    /// The model of a checkpoint, in the arithmetic of a profile. Weights, their gradients and all sums are f32 in each.
    ///
    /// # Errors
    /// When this processor does not have the profile, and when the weights are not those that the config promises.
    pub fn with_profile(checkpoint: Checkpoint, profile: NumericProfile) -> Result<Self> {
        Self::new(checkpoint, Cpu::new(profile)?)
    }

    /// Config and weights as a checkpoint.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let weights = self.passes.weights.map(|entry| entry.value.values().to_vec());
        Checkpoint { config: self.config.clone(), weights }
    }
}

impl<O: Ops> Model<O> {
    /// The model of a checkpoint over `ops`.
    ///
    /// # Errors
    /// When the weights are not those that the config promises.
    pub fn new(checkpoint: Checkpoint, ops: O) -> Result<Self> {
        let Checkpoint { config, weights } = checkpoint;
        config.validate()?;
        specification(&config).check_same(&weights)?;
        let tensor = |Parameter { name, shape, part, value }: Parameter<Vec<f32>>| {
            let (rows, cols) = matrix_shape(&shape);
            // The numbers go once they stand in their tensor, so that memory never holds all of them twice.
            Parameter { value: ops.tensor(rows, cols, &value), name, shape, part }
        };
        let weights = weights.into_iter().map(tensor).collect();
        let family = family(&config, &ops);
        let passes = Passes::new(weights, ops, family, config.head_dropout());
        Ok(Self {
            max_tokens: MaxTokens::new(&config),
            config,
            passes,
            slice: Slice::default(),
            targeted: Targeted::default(),
            nats: Vec::new(),
            token_nats: Vec::new(),
        })
    }

    /// Its shape and constants.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What it computes with.
    pub fn ops(&self) -> &O {
        &self.passes.ops
    }

    /// Its weights, in order.
    pub fn weights(&self) -> &Parameters<O::Tensor> {
        &self.passes.weights
    }

    /// Its weights, in order, to be changed.
    pub fn weights_mut(&mut self) -> &mut Parameters<O::Tensor> {
        &mut self.passes.weights
    }

    /// Gradient buffers of zeros, one for each weight.
    pub fn gradients(&self) -> Gradients<O::Tensor> {
        self.gradients_of(|_| true)
    }

    /// Gradient buffers of zeros, one for each weight that is not frozen. Whatever is given gradients without a buffer spends
    /// nothing on what belongs there: a backward pass ends with the lowest part that has one.
    ///
    /// # Errors
    /// When more layers are to be frozen than there are.
    pub fn gradients_except(&self, freeze: &Freeze) -> Result<Gradients<O::Tensor>> {
        freeze.check(self.config.num_hidden_layers())?;
        Ok(self.gradients_of(|part| !freeze.holds(part)))
    }

    fn gradients_of(&self, is_wanted: impl Fn(Part) -> bool) -> Gradients<O::Tensor> {
        let Passes { weights, ops, .. } = &self.passes;
        weights.map(|entry| {
            let (rows, cols) = matrix_shape(&entry.shape);
            is_wanted(entry.part).then(|| ops.zeros(rows, cols))
        })
    }

    /// Whether training keeps the input of each block alone, and makes what else the backward pass needs again there: less
    /// memory, about a third more time, and the same bits. At first it keeps everything.
    ///
    /// Source: Chen et al. 2016, arXiv:1604.06174, section 4, with a segment a block.
    pub fn recompute(&mut self, recompute: bool) {
        self.passes.recompute = recompute;
    }

    /// What decides which numbers are dropped while gradients are accumulated, each with the probability that the config gives
    /// its place. `None`, as at first, drops none. Losses and logits alone never drop any.
    ///
    /// Sequences of one step are told apart by their [numbers](Sequences::number).
    pub fn drop_out(&mut self, dropout: Option<Dropout>) {
        self.passes.dropout = dropout;
    }

    /// Adds the gradients of the *sum* of the batch's losses to `gradients`; returns that sum and the tokens counted.
    ///
    /// # Errors
    /// When the batch does not fit the vocabulary, the context or the classes, the gradients not the weights, or when the
    /// head is none of tokens.
    pub fn accumulate_tokens(
        &mut self,
        batch: &TokenBatch,
        gradients: &mut Gradients<O::Tensor>,
    ) -> Result<LossSum> {
        let projection = self.check_batch(batch)?;
        self.targeted.read_batch(batch);
        self.accumulate(projection, batch.sequences(), gradients)
    }

    /// Loss over a batch, without gradients.
    ///
    /// # Errors
    /// When the batch does not fit the vocabulary, the context or the classes, or when the head is none of tokens.
    pub fn token_loss(&mut self, batch: &TokenBatch) -> Result<LossSum> {
        let projection = self.check_batch(batch)?;
        self.targeted.read_batch(batch);
        Ok(self.loss(projection, batch.sequences()))
    }

    /// Negative log-likelihood of each target, in nats; zero at tokens without target.
    ///
    /// # Errors
    /// As [`Self::token_loss`].
    pub fn token_nats(&mut self, batch: &TokenBatch) -> Result<&[f64]> {
        self.token_loss(batch)?;
        let Self { targeted, token_nats, nats, .. } = self;
        token_nats.clear();
        token_nats.resize(batch.targets().len(), 0.0);
        for (row, nats) in targeted.rows.iter().zip(nats) {
            token_nats[*row] = *nats;
        }
        Ok(token_nats)
    }

    /// Loss of each sequence of a batch, in order.
    ///
    /// # Errors
    /// As [`Self::token_loss`].
    pub fn sequence_losses(&mut self, batch: &TokenBatch) -> Result<Vec<LossSum>> {
        let nats = self.token_nats(batch)?;
        let bounds = batch.sequences().offsets().windows(2);
        Ok(bounds
            .map(|bounds| LossSum {
                nats: nats[bounds[0]..bounds[1]].iter().sum(),
                counted: batch.targets()[bounds[0]..bounds[1]].iter().flatten().count(),
            })
            .collect())
    }

    /// Logits of every token, `[tokens, vocab]` or `[tokens, classes]`. Over a vocabulary that is for comparisons, since
    /// losses never need them all at once.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, or when the head is none of tokens.
    pub fn logits(&mut self, sequences: &Sequences) -> Result<Vec<f32>> {
        let projection = self.require(Kind::Tokens)?;
        self.config.check(sequences)?;
        self.targeted.read((0..sequences.tokens().len()).map(|row| (row, None)));
        Ok(self.project(projection, sequences))
    }

    /// The cache of a text of which nothing was read, for [`Self::next_logits`].
    pub fn kv_cache(&self) -> KvCache<O::Tensor> {
        KvCache::new(&self.passes.ops, self.config.num_hidden_layers())
    }

    /// Reads `tokens` behind those in `cache`, which takes them in, and gives the logits of the token that follows them.
    ///
    /// They are the bits that [`Self::logits`] gives for the whole text, at the price of the new tokens alone.
    ///
    /// # Errors
    /// When there are no tokens, one is outside the vocabulary, they do not fit the context behind those in the cache, or
    /// when the model is no causal language model.
    ///
    /// # Panics
    /// If the cache is that of a model of another shape.
    pub fn next_logits(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache<O::Tensor>,
    ) -> Result<Vec<f32>> {
        let projection = self.require(Kind::Tokens)?;
        let wrong_head = || ModelError::WrongHead {
            found: self.config.architecture(),
            expected: "causal language model".to_owned(),
        };
        if *self.config.head() != Head::CausalLm {
            return Err(wrong_head());
        }
        self.config.check(&[tokens].into_iter().collect())?;
        let (found, expected) = (cache.len() + tokens.len(), self.config.max_position_embeddings());
        if found > expected {
            return Err(ModelError::SequenceTooLong { sequence: 0, found, expected });
        }
        assert_eq!(cache.layers.len(), self.config.num_hidden_layers(), "a cache of this model");
        self.passes.project_next(projection, tokens, cache).ok_or_else(wrong_head)
    }

    /// Adds the gradients of the *sum* of the losses of `labels`, one for each sequence, to `gradients`.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, the labels not the classes, the gradients not the
    /// weights, or when the head is none of sequences.
    pub fn accumulate_classes(
        &mut self,
        sequences: &Sequences,
        labels: &[u32],
        gradients: &mut Gradients<O::Tensor>,
    ) -> Result<LossSum> {
        let projection = self.check_labels(sequences, labels)?;
        self.read_labels(sequences, labels);
        self.accumulate(projection, sequences, gradients)
    }

    /// Loss of the labels, without gradients.
    ///
    /// # Errors
    /// As [`Self::accumulate_classes`].
    pub fn class_loss(&mut self, sequences: &Sequences, labels: &[u32]) -> Result<LossSum> {
        let projection = self.check_labels(sequences, labels)?;
        self.read_labels(sequences, labels);
        Ok(self.loss(projection, sequences))
    }

    /// Logits of every class for each sequence.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, or when the head is none of sequences.
    pub fn class_logits(&mut self, sequences: &Sequences) -> Result<Vec<Vec<f32>>> {
        let projection = self.require(Kind::Sequences)?;
        self.config.check(sequences)?;
        self.targeted.read(self.passes.pooled(sequences).map(|row| (row, None)));
        let logits = self.project(projection, sequences);
        Ok(logits.chunks_exact(self.num_outputs()).map(<[f32]>::to_vec).collect())
    }

    /// Probability of every class for each sequence.
    ///
    /// # Errors
    /// As [`Self::class_logits`], and [`ModelError::ClassLogit`] names the first logit that is no finite number.
    pub fn class_probabilities(&mut self, sequences: &Sequences) -> Result<Vec<Vec<f64>>> {
        let probabilities = |logits: Vec<f32>| match logits.iter().position(|it| !it.is_finite()) {
            Some(class) => Err(ModelError::ClassLogit { class, found: logits[class] }),
            None => Ok(softmax(&logits)),
        };
        self.class_logits(sequences)?.into_iter().map(probabilities).collect()
    }

    /// The last hidden states of every token, `[tokens, hidden]`, whatever the head.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context.
    pub fn hidden_states(&mut self, sequences: &Sequences) -> Result<Vec<f32>> {
        self.config.check(sequences)?;
        Ok(self.passes.hidden_states(sequences))
    }

    /// Makes the labels of sequences what their pooled tokens are to say.
    fn read_labels(&mut self, sequences: &Sequences, labels: &[u32]) {
        let rows = self.passes.pooled(sequences);
        self.targeted.read(rows.zip(labels.iter().copied().map(Some)));
    }

    /// Logits of the targeted tokens.
    fn project(&mut self, projection: Linear<usize>, sequences: &Sequences) -> Vec<f32> {
        let Self { passes, slice, targeted, max_tokens, .. } = self;
        let mut logits = Vec::new();
        slice.each((sequences, targeted), max_tokens.forward, |slice| {
            logits.extend(passes.project(projection, slice));
        });
        logits
    }

    /// Loss of the targeted tokens.
    fn loss(&mut self, projection: Linear<usize>, sequences: &Sequences) -> LossSum {
        let Self { passes, slice, targeted, max_tokens, nats, .. } = self;
        nats.clear();
        slice.each((sequences, targeted), max_tokens.forward, |slice| {
            nats.extend(passes.losses(projection, slice));
        });
        LossSum { nats: nats.iter().sum(), counted: nats.len() }
    }

    /// Adds up gradients and losses of the targeted tokens.
    fn accumulate(
        &mut self,
        projection: Linear<usize>,
        sequences: &Sequences,
        gradients: &mut Gradients<O::Tensor>,
    ) -> Result<LossSum> {
        let Self { passes, slice, targeted, max_tokens, .. } = self;
        passes.weights.check_same(gradients)?;
        let mut total = LossSum::default();
        slice.each((sequences, targeted), max_tokens.training, |slice| {
            total += passes.accumulate(projection, slice, gradients);
        });
        Ok(total)
    }

    /// Classes of the head, or tokens of the vocabulary.
    fn num_outputs(&self) -> usize {
        self.config.head().labels().map_or(self.config.vocab_size(), <[String]>::len)
    }

    fn check_batch(&self, batch: &TokenBatch) -> Result<Linear<usize>> {
        let projection = self.require(Kind::Tokens)?;
        self.config.check(batch.sequences())?;
        let expected = self.num_outputs();
        let outside = |target: &Option<u32>| target.is_some_and(|id| id as usize >= expected);
        let Some(token) = batch.targets().iter().position(outside) else { return Ok(projection) };
        let found = batch.targets()[token].unwrap_or_default();
        Err(match self.config.head().labels() {
            Some(_) => ModelError::UnknownTokenLabel { token, found, expected },
            None => ModelError::UnknownToken { token, found, expected },
        })
    }

    fn check_labels(&self, sequences: &Sequences, labels: &[u32]) -> Result<Linear<usize>> {
        let projection = self.require(Kind::Sequences)?;
        self.config.check(sequences)?;
        let (found, expected) = (labels.len(), sequences.len());
        if found != expected {
            return Err(ModelError::WrongCount {
                what: "labels",
                each: "sequence",
                found,
                expected,
            });
        }
        let expected = self.num_outputs();
        match labels.iter().position(|&label| label as usize >= expected) {
            Some(row) => Err(ModelError::UnknownLabel { row, found: labels[row], expected }),
            None => Ok(projection),
        }
    }

    /// The output projection; refuses a model with a head of another kind.
    fn require(&self, kind: Kind) -> Result<Linear<usize>> {
        let found = match self.config.head() {
            Head::SequenceClassification { .. } => Kind::Sequences,
            _ => Kind::Tokens,
        };
        let wanted = match kind {
            Kind::Sequences => Head::SequenceClassification { labels: Vec::new() },
            Kind::Tokens => self.config.language_head(),
        };
        match self.passes.family.projection() {
            Some(projection) if found == kind => Ok(projection),
            _ => Err(ModelError::WrongHead {
                found: self.config.architecture(),
                expected: self.config.architecture_with(&wanted),
            }),
        }
    }
}

/// What a head says something about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tokens,
    Sequences,
}

/// The probabilities of classes, from their logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&logit| libm::exp(f64::from(logit - max))).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}
