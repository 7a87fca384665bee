//! A model of any family: losses, gradients and logits of its head.

use std::ops::Range;

use crate::{
    checkpoint::Checkpoint,
    config::{Head, ModelConfig},
    cpu::{Cpu, simd::narrow},
    dropout::{Dropout, Masks, Place, Site},
    error::{ModelError, Result},
    family::{Family, Pass, Training, family, specification},
    kv_cache::KvCache,
    ops::{Linear, Ops, Write},
    optim::Freeze,
    param::{Gradients, Parameter, Parameters, Part, matrix_shape},
    profile::NumericProfile,
    sequences::{LossSum, Sequences, TokenBatch},
};

/// A model on the CPU.
pub type CpuModel = Model<Cpu>;

/// A model over one implementation of the passes, with its weights and the memory of a step.
///
/// Heads are of two kinds. Those of tokens (the next token, masked tokens, classes of tokens) are trained on a
/// [`TokenBatch`], that of sequences on a label for each. Memory of a call grows with its tokens: callers cut their data
/// into micro-batches. Results of a sequence do not depend on which others are beside it.
#[derive(Debug)]
pub struct Model<O: Ops> {
    config: ModelConfig,
    weights: Parameters<O::Tensor>,
    ops: O,
    family: Box<dyn Family<O>>,
    /// Tokens of a slice, unless it is a single sequence.
    max_tokens: usize,
    work: Work<O::Tensor>,
    recompute: bool,
    dropout: Option<Dropout>,
}

/// Numbers of activations that a backward pass may need at once, about 512 MiB. Where a batch would need more, its sequences
/// go through the model in slices, which changes how sums over tokens are added up, and so is part of the arithmetic.
const MAX_KEPT: usize = 1 << 27;

/// What a block keeps of a token for its backward pass, about, in hidden states.
const KEPT_STATES: usize = 12;

/// Tokens of a slice, unless it is a single sequence.
pub(crate) fn max_tokens(config: &ModelConfig) -> usize {
    let states = config.num_hidden_layers().saturating_mul(config.hidden_size());
    MAX_KEPT / states.saturating_mul(KEPT_STATES)
}

/// Some sequences of a batch, and the tokens among them that the head reads.
#[derive(Debug, Default)]
struct Slice {
    sequences: Sequences,
    rows: Vec<usize>,
}

impl Slice {
    /// Takes a run of sequences; returns the places of their tokens in the batch.
    fn copy(&mut self, batch: &Sequences, run: Range<usize>) -> Range<usize> {
        self.sequences.clear();
        self.sequences.extend(batch, run.clone());
        batch.offsets()[run.start]..batch.offsets()[run.end]
    }
}

/// Buffers that every step uses again.
#[derive(Debug)]
struct Work<T> {
    slice: Slice,
    /// The hidden states of the tokens that the head reads, before and after the neck.
    picked: T,
    read: T,
    dpicked: T,
    dread: T,
    /// Of each of them.
    nats: Vec<f64>,
    /// Of each token.
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
        let weights = self.weights.map(|entry| entry.value.values().to_vec());
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
        let (family, work) = (family(&config, &ops), Work::new(&ops));
        let max_tokens = max_tokens(&config);
        let (recompute, dropout) = (false, None);
        Ok(Self { config, weights, ops, family, max_tokens, work, recompute, dropout })
    }

    /// Its shape and constants.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What it computes with.
    pub fn ops(&self) -> &O {
        &self.ops
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
        self.weights.map(|entry| {
            let (rows, cols) = matrix_shape(&entry.shape);
            is_wanted(entry.part).then(|| self.ops.zeros(rows, cols))
        })
    }

    /// Whether training keeps the input of each block alone, and makes what else the backward pass needs again there: less
    /// memory, about a third more time, and the same bits. At first it keeps everything.
    ///
    /// Source: Chen et al. 2016, arXiv:1604.06174, section 4, with a segment a block.
    pub fn recompute(&mut self, recompute: bool) {
        self.recompute = recompute;
    }

    /// What decides which numbers are dropped while gradients are accumulated, each with the probability that the config gives
    /// its place. `None`, as at first, drops none. Losses and logits alone never drop any.
    ///
    /// Sequences of one step are told apart by their [numbers](Sequences::number).
    pub fn drop_out(&mut self, dropout: Option<Dropout>) {
        self.dropout = dropout;
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
        let (rows, targets) = targeted(batch);
        self.accumulate(projection, (batch.sequences(), &rows), &targets, gradients)
    }

    /// Loss over a batch, without gradients.
    ///
    /// # Errors
    /// When the batch does not fit the vocabulary, the context or the classes, or when the head is none of tokens.
    pub fn token_loss(&mut self, batch: &TokenBatch) -> Result<LossSum> {
        let projection = self.check_batch(batch)?;
        let (rows, targets) = targeted(batch);
        Ok(self.loss(projection, (batch.sequences(), &rows), &targets))
    }

    /// Negative log-likelihood of each target, in nats; zero at tokens without target.
    ///
    /// # Errors
    /// As [`Self::token_loss`].
    pub fn token_nats(&mut self, batch: &TokenBatch) -> Result<&[f64]> {
        let projection = self.check_batch(batch)?;
        let (rows, targets) = targeted(batch);
        self.loss(projection, (batch.sequences(), &rows), &targets);
        let Work { nats, token_nats, .. } = &mut self.work;
        token_nats.clear();
        token_nats.resize(batch.targets().len(), 0.0);
        for (row, nats) in rows.into_iter().zip(nats) {
            token_nats[row] = *nats;
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
        let all: Vec<usize> = (0..sequences.tokens().len()).collect();
        Ok(self.project(projection, (sequences, &all)))
    }

    /// The cache of a text of which nothing was read, for [`Self::next_logits`].
    pub fn kv_cache(&self) -> KvCache<O::Tensor> {
        KvCache::new(&self.ops, self.config.num_hidden_layers())
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
        let Self { weights, ops, family, work, .. } = self;
        let Some(causal) = family.causal() else { return Err(wrong_head()) };
        causal.go_on(ops, weights, tokens, cache);
        ops.pick(family.hidden(), &[tokens.len() - 1], &mut work.picked);
        family.neck(ops, weights, &work.picked, &mut work.read);
        Ok(self.project_read(projection))
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
        let targets: Vec<_> = labels.iter().copied().map(Some).collect();
        let rows = self.pooled(sequences);
        self.accumulate(projection, (sequences, &rows), &targets, gradients)
    }

    /// Loss of the labels, without gradients.
    ///
    /// # Errors
    /// As [`Self::accumulate_classes`].
    pub fn class_loss(&mut self, sequences: &Sequences, labels: &[u32]) -> Result<LossSum> {
        let projection = self.check_labels(sequences, labels)?;
        let targets: Vec<_> = labels.iter().copied().map(Some).collect();
        let rows = self.pooled(sequences);
        Ok(self.loss(projection, (sequences, &rows), &targets))
    }

    /// Logits of every class for each sequence.
    ///
    /// # Errors
    /// When the sequences do not fit the vocabulary or the context, or when the head is none of sequences.
    pub fn class_logits(&mut self, sequences: &Sequences) -> Result<Vec<Vec<f32>>> {
        let projection = self.require(Kind::Sequences)?;
        self.config.check(sequences)?;
        let rows = self.pooled(sequences);
        let logits = self.project(projection, (sequences, &rows));
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
        let Self { weights, ops, family, work, .. } = self;
        family.forward(ops, weights, sequences, Pass::Forward);
        family.last_hidden_states(ops, weights, &mut work.read);
        Ok(ops.values(&work.read).into_iter().map(narrow).collect())
    }

    /// What the output projection reads for some tokens, into `work.read`.
    fn read(&mut self, (sequences, rows): (&Sequences, &[usize]), pass: Pass) {
        let Self { weights, ops, family, work, .. } = self;
        family.forward(ops, weights, sequences, pass);
        ops.pick(family.hidden(), rows, &mut work.picked);
        family.neck(ops, weights, &work.picked, &mut work.read);
    }

    fn project(&mut self, projection: Linear<usize>, tokens: (&Sequences, &[usize])) -> Vec<f32> {
        self.read(tokens, Pass::Forward);
        self.project_read(projection)
    }

    /// The logits of what stands in `work.read`.
    fn project_read(&mut self, projection: Linear<usize>) -> Vec<f32> {
        let Self { weights, ops, work, .. } = self;
        let mut logits = ops.zeros(0, 0);
        ops.linear(&work.read, weights.linear(projection), &mut logits, Write::Replace);
        ops.values(&logits).into_iter().map(narrow).collect()
    }

    fn loss(
        &mut self,
        projection: Linear<usize>,
        tokens: (&Sequences, &[usize]),
        targets: &[Option<u32>],
    ) -> LossSum {
        self.read(tokens, Pass::Forward);
        let Self { weights, ops, work, .. } = self;
        ops.cross_entropy(&work.read, weights.linear(projection), targets, &mut work.nats);
        LossSum { nats: work.nats.iter().sum(), counted: targets.len() }
    }

    /// Slices of a batch that fit the memory of activations, one after another; `rows` are in order.
    fn accumulate(
        &mut self,
        projection: Linear<usize>,
        (sequences, rows): (&Sequences, &[usize]),
        targets: &[Option<u32>],
        gradients: &mut Gradients<O::Tensor>,
    ) -> Result<LossSum> {
        self.weights.check_same(gradients)?;
        let mut total = LossSum::default();
        let (mut next_sequence, mut next_row) = (0, 0);
        while next_sequence < sequences.len() {
            let mut slice = std::mem::take(&mut self.work.slice);
            let run = sequences.run(next_sequence, self.max_tokens);
            let tokens = slice.copy(sequences, run.clone());
            let end = next_row + rows[next_row..].partition_point(|row| *row < tokens.end);
            slice.rows.clear();
            slice.rows.extend(rows[next_row..end].iter().map(|row| row - tokens.start));
            total += self.accumulate_slice(projection, &slice, &targets[next_row..end], gradients);
            self.work.slice = slice;
            (next_sequence, next_row) = (run.end, end);
        }
        Ok(total)
    }

    fn accumulate_slice(
        &mut self,
        projection: Linear<usize>,
        Slice { sequences, rows }: &Slice,
        targets: &[Option<u32>],
        gradients: &mut Gradients<O::Tensor>,
    ) -> LossSum {
        let lowest = gradients.lowest();
        let masks = Masks::new(self.dropout, sequences.places());
        let training = Training { lowest, recompute: self.recompute, masks };
        self.read((sequences, rows), Pass::Training(training));
        let places: Vec<Place> = rows.iter().map(|row| sequences.places()[*row]).collect();
        let masks = Masks::new(self.dropout, &places);
        let mask = masks.at(Site::Classifier, self.config.head_dropout());
        let Self { weights, ops, family, work, .. } = self;
        if let Some(mask) = mask {
            ops.dropout(&mut work.read, mask);
        }
        ops.cross_entropy_backward(
            &work.read,
            weights.linear(projection),
            targets,
            &mut work.nats,
            (lowest < Part::Head).then_some(&mut work.dread),
            gradients.wanted_linear(projection),
        );
        if lowest < Part::Head {
            if let Some(mask) = mask {
                ops.dropout(&mut work.dread, mask);
            }
            let (read, below) = ((&work.picked, &work.dread), lowest < Part::Neck);
            let dpicked = below.then_some(&mut work.dpicked);
            family.neck_backward(ops, weights, read, dpicked, gradients);
        }
        if lowest < Part::Neck {
            let tokens = sequences.tokens().len();
            ops.pick_backward(&work.dpicked, rows, tokens, family.dhidden());
            family.backward(ops, weights, sequences, training, gradients);
        }
        LossSum { nats: work.nats.iter().sum(), counted: targets.len() }
    }

    /// The token by which each sequence is classified.
    fn pooled(&self, sequences: &Sequences) -> Vec<usize> {
        let bounds = sequences.offsets().windows(2);
        bounds.map(|bounds| self.family.pooled_token([bounds[0], bounds[1]])).collect()
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
        match self.family.projection() {
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

impl<T> Work<T> {
    fn new<O: Ops<Tensor = T>>(ops: &O) -> Self {
        let empty = || ops.zeros(0, 0);
        Self {
            slice: Slice::default(),
            picked: empty(),
            read: empty(),
            dpicked: empty(),
            dread: empty(),
            nats: Vec::new(),
            token_nats: Vec::new(),
        }
    }
}

/// The tokens of a batch that have targets, and those targets.
fn targeted(batch: &TokenBatch) -> (Vec<usize>, Vec<Option<u32>>) {
    let tokens = batch.targets().iter().enumerate();
    tokens.filter(|(_, target)| target.is_some()).unzip()
}

/// The probabilities of classes, from their logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&logit| libm::exp(f64::from(logit - max))).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::LlamaConfig, oracle::Oracle};

    fn model() -> Model<Oracle> {
        let config = LlamaConfig {
            vocab_size: 11,
            hidden_size: 8,
            intermediate_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 4,
            max_position_embeddings: 16,
            rope_theta: 1e4,
            rms_norm_eps: 1e-5,
            initializer_range: 0.2,
            attention_dropout: 0.0,
            classifier_dropout: None,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: vec![0],
            pad_token_id: None,
            head: Head::CausalLm,
        };
        Model::new(Checkpoint::fresh(config, 1).unwrap(), Oracle).unwrap()
    }

    #[test]
    fn slices_add_up_to_the_batch() {
        let mut batch = TokenBatch::new();
        for window in [&[1, 2, 3, 4, 5][..], &[6, 7], &[8, 9, 10, 1]] {
            batch.push_window(window);
        }
        let of = |max_tokens: usize| {
            let mut model = Model { max_tokens, ..model() };
            let mut gradients = model.gradients();
            let loss = model.accumulate_tokens(&batch, &mut gradients).unwrap();
            let all: Vec<f64> =
                gradients.iter().filter_map(|it| it.value.as_ref()).flatten().copied().collect();
            (loss, all)
        };
        let (whole, gradients) = of(100);
        for max_tokens in [1, 4, 5] {
            let (loss, sliced) = of(max_tokens);
            assert_eq!(loss.counted, whole.counted);
            assert!((loss.nats - whole.nats).abs() < 1e-12);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(sliced.iter().zip(&gradients).all(close), "{max_tokens}");
        }
    }

    #[test]
    fn slices_are_as_long_as_activations_allow() {
        let model = model();
        assert_eq!(model.max_tokens, MAX_KEPT / (2 * 8 * KEPT_STATES));
    }
}
