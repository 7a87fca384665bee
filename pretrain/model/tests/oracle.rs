//! Every pair of passes against finite differences in `f64`, and the CPU and other devices against the oracle.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::io::Write as _;

use model::{
    Activation, BertConfig, Checkpoint, Dropout, Freeze, Gpt2Config, Gradients, Head, LlamaConfig,
    Model, NumericProfile, Sequences, TokenBatch,
    cpu::Cpu,
    device::Device,
    dropout::{Mask, Place},
    ops::{Heads, Linear, Ops, Reach, Write},
    oracle::Oracle,
};
use ndarray::Array2;
use pipelines::seed::Seed;

/// One pair of passes, with what it takes besides tensors.
enum Pair {
    Embedding(Vec<u32>),
    /// With this many outputs, and a bias where there is a third input. Added to a fourth.
    Linear(usize),
    RmsNorm,
    LayerNorm,
    Rotary(Vec<usize>, usize),
    /// With this share of the probabilities dropped.
    Attention(Vec<usize>, Heads, f64),
    Swiglu,
    Gelu,
    GeluTanh,
    Tanh,
    /// Of sequences that begin and end there, with this rate.
    Dropout(Vec<usize>, f64),
    /// Three parts of this many columns.
    Split(usize),
    Join,
    Pick(Vec<usize>),
    /// With a bias where there is a third input.
    CrossEntropy(Vec<Option<u32>>),
}

/// Outputs, and gradients of the inputs for the gradient `dout` of the outputs.
type Ran = (Vec<f64>, Vec<Vec<f64>>);

impl Pair {
    fn run<O: Ops>(&self, ops: &mut O, inputs: &[O::Tensor], dout: &[f32]) -> Ran {
        let mut out = ops.zeros(0, 0);
        let zeros = |ops: &O, like: &O::Tensor| {
            let mut zeros = like.clone();
            ops.clear(&mut zeros);
            zeros
        };
        let mut grads: Vec<O::Tensor> = inputs.iter().map(|input| zeros(ops, input)).collect();
        let like = |ops: &O, out: &O::Tensor, cols: usize| {
            let rows = ops.values(out).len() / cols;
            ops.tensor(rows, cols, &dout[..rows * cols])
        };
        match self {
            Self::Embedding(ids) => {
                ops.embedding(ids, &inputs[0], &mut out);
                let dout = like(ops, &out, ops.values(&out).len() / ids.len());
                ops.embedding_backward(ids, &dout, &mut grads[0]);
            }
            Self::Linear(outputs) => {
                let write = if inputs.len() > 3 { Write::Add } else { Write::Replace };
                if write == Write::Add {
                    out = inputs[3].clone();
                }
                let layer = Linear { weight: &inputs[1], bias: inputs.get(2) };
                ops.linear(&inputs[0], layer, &mut out, write);
                let dout = like(ops, &out, *outputs);
                let (dx, dlayer) = grads.split_first_mut().unwrap();
                let mut dlayer = dlayer.iter_mut();
                let dlayer = [dlayer.next(), dlayer.next()];
                let dx = Some((dx, Write::Replace));
                ops.linear_backward(&inputs[0], &inputs[1], &dout, dx, dlayer);
                if let Some(dbranch) = grads.get_mut(3) {
                    ops.copy(&dout, dbranch);
                }
            }
            Self::LayerNorm => {
                ops.layer_norm(&inputs[0], [&inputs[1], &inputs[2]], 1e-3, &mut out);
                let dout = like(ops, &out, ops.values(&inputs[1]).len());
                let [dx, dw, db] = grads.as_mut_slice() else { unreachable!() };
                let dparameters = [Some(dw), Some(db)];
                ops.layer_norm_backward(&inputs[0], &inputs[1], 1e-3, &dout, Some(dx), dparameters);
            }
            Self::RmsNorm => {
                ops.rms_norm(&inputs[0], &inputs[1], 1e-3, &mut out);
                let dout = like(ops, &out, ops.values(&inputs[1]).len());
                let [dx, dw] = grads.as_mut_slice() else { unreachable!() };
                ops.rms_norm_backward(&inputs[0], &inputs[1], 1e-3, &dout, Some(dx), Some(dw));
            }
            Self::Rotary(offsets, dim) => {
                out = inputs[0].clone();
                ops.rotary(&mut out, offsets, *dim, 100.0);
                grads[0] = like(ops, &out, ops.values(&out).len() / offsets[offsets.len() - 1]);
                ops.rotary_backward(&mut grads[0], offsets, *dim, 100.0);
            }
            Self::Attention(offsets, heads, rate) => {
                let mut sums = ops.zeros(0, 0);
                let (qkv, places) = ([&inputs[0], &inputs[1], &inputs[2]], places(offsets));
                let mask = (*rate > 0.0).then(|| Mask::new(dropout(), 3, *rate, &places));
                ops.attention(qkv, offsets, *heads, mask, &mut out, &mut sums);
                let dout = like(ops, &out, heads.query * heads.dim);
                let [dq, dk, dv] = grads.as_mut_slice() else { unreachable!() };
                let dqkv = [dq, dk, dv];
                ops.attention_backward(qkv, offsets, *heads, mask, &out, &sums, &dout, dqkv);
            }
            Self::Dropout(offsets, rate) => {
                let places = places(offsets);
                let mask = Mask::new(dropout(), 3, *rate, &places);
                out = inputs[0].clone();
                ops.dropout(&mut out, mask);
                grads[0] = like(ops, &out, ops.values(&out).len() / places.len());
                ops.dropout(&mut grads[0], mask);
            }
            Self::Swiglu => {
                ops.swiglu(&inputs[0], &inputs[1], &mut out);
                let dout = like(ops, &out, 5);
                let [dgate, dup] = grads.as_mut_slice() else { unreachable!() };
                ops.swiglu_backward(&inputs[0], &inputs[1], &dout, dgate, dup);
            }
            Self::Gelu => {
                ops.gelu(&inputs[0], &mut out);
                let dout = like(ops, &out, 5);
                ops.gelu_backward(&inputs[0], &dout, &mut grads[0]);
            }
            Self::GeluTanh => {
                ops.gelu_tanh(&inputs[0], &mut out);
                let dout = like(ops, &out, 5);
                ops.gelu_tanh_backward(&inputs[0], &dout, &mut grads[0]);
            }
            Self::Split(width) => {
                let [mut a, mut b, mut c] = [out.clone(), out.clone(), out.clone()];
                ops.split(&inputs[0], [&mut a, &mut b, &mut c]);
                for part in [&a, &b, &c] {
                    ops.append(part, &mut out);
                }
                let dout: Vec<_> = dout.chunks(ops.values(&a).len()).collect();
                let rows = ops.values(&a).len() / width;
                let [a, b, c] = [0, 1, 2].map(|part| ops.tensor(rows, *width, dout[part]));
                ops.join([&a, &b, &c], &mut grads[0]);
            }
            Self::Join => {
                ops.join([&inputs[0], &inputs[1], &inputs[2]], &mut out);
                let dout = like(ops, &out, 15);
                let [a, b, c] = grads.as_mut_slice() else { unreachable!() };
                ops.split(&dout, [a, b, c]);
            }
            Self::Tanh => {
                out = inputs[0].clone();
                ops.tanh(&mut out);
                grads[0] = like(ops, &out, 5);
                ops.tanh_backward(&out, &mut grads[0]);
            }
            Self::Pick(rows) => {
                ops.pick(&inputs[0], rows, &mut out);
                let cols = ops.values(&out).len() / rows.len();
                let tokens = ops.values(&inputs[0]).len() / cols;
                let dout = like(ops, &out, cols);
                ops.pick_backward(&dout, rows, tokens, &mut grads[0]);
            }
            Self::CrossEntropy(targets) => {
                let (mut nats, mut again) = (Vec::new(), Vec::new());
                let projection = Linear { weight: &inputs[1], bias: inputs.get(2) };
                ops.cross_entropy(&inputs[0], projection, targets, &mut nats);
                let (dx, dprojection) = grads.split_first_mut().unwrap();
                let mut dprojection = dprojection.iter_mut();
                ops.cross_entropy_backward(
                    &inputs[0],
                    projection,
                    targets,
                    &mut again,
                    Some(dx),
                    [dprojection.next(), dprojection.next()],
                );
                assert_eq!(nats, again);
                return (nats, grads.iter().map(|grad| ops.values(grad)).collect());
            }
        }
        (ops.values(&out), grads.iter().map(|grad| ops.values(grad)).collect())
    }

    /// Gradient of the loss by the outputs: the loss is the weighted sum of the outputs.
    fn weights(&self) -> Vec<f32> {
        match self {
            Self::CrossEntropy(..) => vec![1.0; 100_000],
            _ => noise(100_000, 99),
        }
    }
}

fn dropout() -> Dropout {
    Dropout { seed: Seed::new(3, "test"), step: 5 }
}

/// Of sequences that are numbered from 40 backwards.
fn places(offsets: &[usize]) -> Vec<Place> {
    let sequences = offsets.windows(2).zip(0..);
    let places = sequences.flat_map(|(bounds, at)| {
        let positions = (0..).take(bounds[1] - bounds[0]);
        positions.map(move |position| Place { sequence: 40 - at, position })
    });
    places.collect()
}

/// Numbers in `[-1, 1)` that an f32 holds exactly.
fn noise(len: usize, salt: u64) -> Vec<f32> {
    let seed = Seed::new(salt, "test");
    let whole = |at| i16::try_from(seed.below(4096, 0, at)).unwrap() - 2048;
    (0..len as u64).map(|at| f32::from(whole(at)) / 2048.0).collect()
}

/// Checks a pair on inputs of these shapes.
#[track_caller]
fn check(pair: &Pair, shapes: &[(usize, usize)]) {
    let weights = pair.weights();
    let values: Vec<Vec<f32>> =
        shapes.iter().zip(0..).map(|(&(rows, cols), salt)| noise(rows * cols, salt)).collect();
    let tensors = |ops: &Oracle| -> Vec<Array2<f64>> {
        shapes
            .iter()
            .zip(&values)
            .map(|(&(rows, cols), values)| ops.tensor(rows, cols, values))
            .collect()
    };
    let mut oracle = Oracle;
    let inputs = tensors(&oracle);
    let (out, grads) = pair.run(&mut oracle, &inputs, &weights);
    let loss = |inputs: &[Array2<f64>]| -> f64 {
        let (out, _) = pair.run(&mut Oracle, inputs, &weights);
        out.iter().zip(&weights).map(|(out, &weight)| out * f64::from(weight)).sum()
    };
    for (input, grad) in grads.iter().enumerate() {
        for at in (0..grad.len()).step_by(grad.len() / 40 + 1) {
            let numeric = slope(|step| {
                let mut moved = inputs.clone();
                moved[input].as_slice_mut().unwrap()[at] += step;
                loss(&moved)
            });
            // Central differences with a step of 1e-5 are good to about 1e-8 here, most of it rounding of large losses.
            assert!(
                (numeric - grad[at]).abs() < 1e-6 * grad[at].abs().max(1.0),
                "input {input}, {at}: {numeric} {}",
                grad[at]
            );
        }
    }
    let expected = (out, grads);
    for profile in profiles_here() {
        let limits = (tolerance(profile, OF_A_PASS), LEAST.max(tolerance(profile, 0.0)));
        let mut cpu = Cpu::new(profile).unwrap();
        check_over(&mut cpu, &profile.to_string(), pair, (shapes, &values), &expected, limits);
    }
    for (name, mut device) in devices_here() {
        check_over(&mut device, name, pair, (shapes, &values), &expected, (OF_A_PASS, LEAST));
    }
}

/// Checks a pair over `ops` against what the oracle gave.
#[track_caller]
fn check_over<O: Ops>(
    ops: &mut O,
    name: &str,
    pair: &Pair,
    (shapes, values): (&[(usize, usize)], &[Vec<f32>]),
    (out, grads): &Ran,
    limits: (f64, f64),
) {
    let inputs = shapes.iter().zip(values);
    let inputs: Vec<_> =
        inputs.map(|(&(rows, cols), values)| ops.tensor(rows, cols, values)).collect();
    let (found_out, found_grads) = pair.run(ops, &inputs, &pair.weights());
    assert_close(&found_out, out, limits, &format!("{name}: output"));
    for (input, (found, expected)) in found_grads.iter().zip(grads).enumerate() {
        assert_close(found, expected, limits, &format!("{name}: gradient {input}"));
    }
}

/// Every arithmetic that this processor has.
fn profiles_here() -> impl Iterator<Item = NumericProfile> {
    NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here())
}

/// Every device that candle computes on here: its own on the CPU always, a CUDA device where the build and the machine have
/// one.
fn devices_here() -> impl Iterator<Item = (&'static str, Device)> {
    let cuda = NumericProfile::Cuda.is_here().then(|| ("cuda", Device::cuda().unwrap()));
    std::iter::once(("candle", Device::cpu())).chain(cuda)
}

/// What f32 is held to, or how far factors of eight bits take a result: some rounding of `2^-9` after another.
fn tolerance(profile: NumericProfile, of_f32: f64) -> f64 {
    match profile {
        NumericProfile::X86V4Bf16 if of_f32 == OF_A_MODEL => 8e-2,
        NumericProfile::X86V4Bf16 => 4e-2,
        _ => of_f32,
    }
}

fn slope(loss: impl Fn(f64) -> f64) -> f64 {
    (loss(1e-5) - loss(-1e-5)) / 2e-5
}

/// Relative rounding of f32 over sums of at most a few hundred products.
const OF_A_PASS: f64 = 2e-6;
/// The same through all passes of a model.
const OF_A_MODEL: f64 = 2e-5;
/// Size below which differences are not taken relative to it.
const LEAST: f64 = 1e-3;

/// Differences of sizes below `least` are held to what is allowed at it: sums that cancel are left with rounding.
#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], (tolerance, least): (f64, f64), what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences = found.iter().zip(expected).map(|(found, expected)| found - expected);
    let (difference, size) = (norm(differences), norm(expected.iter().copied()));
    assert!(difference <= tolerance * size.max(least), "{what}: {difference:e} of {size:e}");
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn embeddings() {
    check(&Pair::Embedding(vec![2]), &[(3, 1)]);
    check(&Pair::Embedding(vec![4, 0, 4, 4, 1]), &[(5, 7)]);
    check(&Pair::Embedding((0..300).map(|at| at % 11).collect()), &[(13, 70)]);
}

#[test]
fn linears() {
    for (tokens, inputs, outputs) in
        [(1, 1, 1), (1, 5, 3), (7, 2, 5), (3, 33, 1), (65, 9, 17), (600, 3, 2)]
    {
        let shapes = [(tokens, inputs), (outputs, inputs), (1, outputs), (tokens, outputs)];
        // Without a bias, with one, and added to what is there.
        for inputs in 2..=4 {
            check(&Pair::Linear(outputs), &shapes[..inputs]);
        }
    }
    check(&Pair::Linear(48), &[(700, 3), (48, 3), (1, 48)]);
}

/// Passes over layers that read the same input, together or each by itself: outputs and all gradients.
fn side_by_side<O: Ops>(ops: &mut O, together: bool) -> Vec<Vec<f64>> {
    const LAYERS: usize = 3;
    let tensor = |ops: &O, salt, rows, cols| ops.tensor(rows, cols, &noise(rows * cols, salt));
    let x = tensor(ops, 1, 130, 40);
    let sizes = [40, 24, 7];
    let weights: [_; LAYERS] = std::array::from_fn(|at| tensor(ops, 2 + at as u64, sizes[at], 40));
    let biases: [_; LAYERS] = std::array::from_fn(|at| tensor(ops, 5 + at as u64, 1, sizes[at]));
    let douts: [_; LAYERS] = std::array::from_fn(|at| tensor(ops, 8 + at as u64, 130, sizes[at]));
    let layers = std::array::from_fn(|at| Linear { weight: &weights[at], bias: Some(&biases[at]) });
    let mut outs = [(); LAYERS].map(|()| ops.zeros(0, 0));
    let mut dx = tensor(ops, 11, 130, 40);
    let mut dlayers: [_; LAYERS] =
        std::array::from_fn(|at| [ops.zeros(sizes[at], 40), ops.zeros(1, sizes[at])]);
    let wanted = dlayers.each_mut().map(|layer| layer.each_mut().map(Some));
    if together {
        ops.linears(&x, layers, outs.each_mut());
        let pairs = std::array::from_fn(|at| [&weights[at], &douts[at]]);
        ops.linears_backward(&x, pairs, Some((&mut dx, Write::Add)), wanted);
    } else {
        for (at, wanted) in wanted.into_iter().enumerate() {
            ops.linear(&x, layers[at], &mut outs[at], Write::Replace);
            let dx = Some((&mut dx, Write::Add));
            ops.linear_backward(&x, &weights[at], &douts[at], dx, wanted);
        }
    }
    let all = outs.iter().chain([&dx]).chain(dlayers.iter().flatten());
    all.map(|tensor| ops.values(tensor)).collect()
}

#[test]
fn layers_of_one_input_are_the_same_bits_together_and_alone() {
    let mut oracle = Oracle;
    assert_eq!(side_by_side(&mut oracle, true), side_by_side(&mut oracle, false));
    for profile in NumericProfile::OF_PROCESSORS.into_iter().filter(|profile| profile.is_here()) {
        let mut cpu = Cpu::new(profile).unwrap();
        let (together, alone) = (side_by_side(&mut cpu, true), side_by_side(&mut cpu, false));
        assert_eq!(together, alone, "{profile}");
    }
}

#[test]
fn layer_norms() {
    // Of two channels the gradient is nothing but what `eps` leaves of it.
    for (tokens, channels) in [(1, 3), (1, 17), (5, 4), (40, 33), (700, 48)] {
        check(&Pair::LayerNorm, &[(tokens, channels), (1, channels), (1, channels)]);
    }
}

#[test]
fn rms_norms() {
    for (tokens, channels) in [(1, 1), (1, 17), (5, 3), (40, 33), (700, 48)] {
        check(&Pair::RmsNorm, &[(tokens, channels), (1, channels)]);
    }
}

#[test]
fn rotaries() {
    check(&Pair::Rotary(vec![0, 1], 2), &[(1, 2)]);
    check(&Pair::Rotary(vec![0, 1, 4, 9], 6), &[(9, 18)]);
}

#[test]
fn attentions() {
    let heads = |query, key_value, dim| Heads { query, key_value, dim, reach: Reach::Causal };
    let cases = [
        (vec![0, 1], heads(1, 1, 2)),
        (vec![0, 1, 2, 5], heads(3, 3, 2)),
        (vec![0, 2, 9], heads(6, 2, 4)),
        (vec![0, 70, 71, 135, 201], heads(3, 1, 6)),
        // Texts of one length, and one with queries of several blocks.
        (vec![0, 4, 8, 268], heads(2, 1, 2)),
    ];
    for (offsets, heads) in cases {
        let tokens = offsets[offsets.len() - 1];
        let widths = [heads.query, heads.key_value, heads.key_value];
        let shapes = widths.map(|width| (tokens, width * heads.dim));
        for reach in [Reach::Causal, Reach::Bidirectional] {
            for rate in [0.0, 0.4] {
                let heads = Heads { reach, ..heads };
                check(&Pair::Attention(offsets.clone(), heads, rate), &shapes);
            }
        }
    }
}

#[test]
fn dropouts() {
    for rate in [0.0, 0.1, 0.75] {
        check(&Pair::Dropout(vec![0, 1], rate), &[(1, 1)]);
        check(&Pair::Dropout(vec![0, 1, 4, 9], rate), &[(9, 5)]);
        check(&Pair::Dropout(vec![0, 70, 71, 301], rate), &[(301, 130)]);
    }
}

#[test]
fn swiglus() {
    check(&Pair::Swiglu, &[(1, 5), (1, 5)]);
    check(&Pair::Swiglu, &[(9, 5), (9, 5)]);
}

#[test]
fn gelus() {
    check(&Pair::Gelu, &[(1, 5)]);
    check(&Pair::Gelu, &[(9, 5)]);
}

#[test]
fn gelus_by_tanh() {
    check(&Pair::GeluTanh, &[(1, 5)]);
    check(&Pair::GeluTanh, &[(9, 5)]);
}

#[test]
fn splits_and_joins() {
    for (rows, width) in [(1, 1), (9, 5), (700, 24)] {
        check(&Pair::Split(width), &[(rows, 3 * width)]);
    }
    for rows in [1, 9, 1300] {
        check(&Pair::Join, &[(rows, 5), (rows, 5), (rows, 5)]);
    }
}

#[test]
fn tanhs() {
    check(&Pair::Tanh, &[(1, 5)]);
    check(&Pair::Tanh, &[(9, 5)]);
}

#[test]
fn picked_tokens() {
    check(&Pair::Pick(vec![0]), &[(1, 3)]);
    check(&Pair::Pick(vec![2, 3, 8]), &[(9, 5)]);
}

#[test]
fn cross_entropies() {
    let many = (0..530).map(|at| (at % 7 != 0).then_some(at % 23)).collect();
    for (targets, hidden, vocab) in
        [(vec![Some(0)], 3, 1), (vec![Some(4), None, Some(0)], 7, 5), (many, 6, 23)]
    {
        let shapes = [(targets.len(), hidden), (vocab, hidden), (1, vocab)];
        check(&Pair::CrossEntropy(targets.clone()), &shapes[..2]);
        check(&Pair::CrossEntropy(targets), &shapes);
    }
}

fn llama(head: Head, tie_word_embeddings: bool) -> Checkpoint {
    let config = LlamaConfig {
        vocab_size: 11,
        hidden_size: 6,
        intermediate_size: 7,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        num_key_value_heads: 1,
        head_dim: 4,
        max_position_embeddings: 80,
        rope_theta: 50.0,
        rms_norm_eps: 1e-4,
        initializer_range: 0.5,
        attention_dropout: 0.0,
        classifier_dropout: None,
        tie_word_embeddings,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    Checkpoint::fresh(config, 5).unwrap()
}

fn bert(head: Head) -> Checkpoint {
    let config = BertConfig {
        vocab_size: 11,
        hidden_size: 6,
        intermediate_size: 7,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        max_position_embeddings: 80,
        type_vocab_size: 2,
        layer_norm_eps: 1e-4,
        initializer_range: 0.5,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        classifier_dropout: None,
        pad_token_id: None,
        pooler: true,
        head,
    };
    with_noise(Checkpoint::fresh(config, 5).unwrap())
}

fn gpt2(head: Head, tie_word_embeddings: bool, activation_function: Activation) -> Checkpoint {
    let config = Gpt2Config {
        vocab_size: 11,
        n_positions: 80,
        n_embd: 6,
        n_layer: 2,
        n_head: 3,
        n_inner: Some(7),
        activation_function,
        layer_norm_epsilon: 1e-4,
        initializer_range: 0.5,
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        classifier_dropout: None,
        tie_word_embeddings,
        bos_token_id: None,
        eos_token_id: vec![],
        pad_token_id: None,
        head,
    };
    with_noise(Checkpoint::fresh(config, 5).unwrap())
}

/// Fresh biases are zero and fresh norms one, which would hide faults.
fn with_noise(mut checkpoint: Checkpoint) -> Checkpoint {
    for (entry, salt) in checkpoint.weights.iter_mut().zip(0..) {
        if entry.shape.len() == 1 {
            let noise = noise(entry.value.len(), salt);
            entry.value.iter_mut().zip(noise).for_each(|(value, noise)| *value += 0.3 * noise);
        }
    }
    checkpoint
}

fn texts() -> Vec<Vec<u32>> {
    vec![vec![3], vec![1, 4, 1, 5, 9], vec![2, 6], (0..67).map(|at| at * at % 11).collect()]
}

/// Texts in two halves.
fn sequences() -> Sequences {
    let mut sequences = Sequences::new();
    for text in texts() {
        let (first, second) = text.split_at(text.len().div_ceil(2));
        sequences.push_pair(first, second);
    }
    sequences
}

/// Targets below `outputs` at most tokens.
fn batch(outputs: u32) -> TokenBatch {
    let mut batch = TokenBatch::new();
    for text in texts() {
        let targets: Vec<_> =
            text.iter().map(|id| (id % 5 != 1).then_some((id * 3 + 1) % outputs)).collect();
        let (first, second) = text.split_at(text.len().div_ceil(2));
        batch.push_pair(first, second, &targets).unwrap();
    }
    batch
}

/// Loss and gradients of a whole model, as a function of it.
trait Objective {
    fn loss<O: Ops>(&self, model: &mut Model<O>) -> f64;
    fn accumulate<O: Ops>(&self, model: &mut Model<O>, gradients: &mut Gradients<O::Tensor>)
    -> f64;
}

/// With targets below this.
struct Tokens(u32);

impl Objective for Tokens {
    fn loss<O: Ops>(&self, model: &mut Model<O>) -> f64 {
        model.token_loss(&batch(self.0)).unwrap().nats
    }

    fn accumulate<O: Ops>(
        &self,
        model: &mut Model<O>,
        gradients: &mut Gradients<O::Tensor>,
    ) -> f64 {
        model.accumulate_tokens(&batch(self.0), gradients).unwrap().nats
    }
}

struct Classes;

impl Objective for Classes {
    fn loss<O: Ops>(&self, model: &mut Model<O>) -> f64 {
        model.class_loss(&sequences(), &[2, 0, 1, 2]).unwrap().nats
    }

    fn accumulate<O: Ops>(
        &self,
        model: &mut Model<O>,
        gradients: &mut Gradients<O::Tensor>,
    ) -> f64 {
        model.accumulate_classes(&sequences(), &[2, 0, 1, 2], gradients).unwrap().nats
    }
}

fn check_model(checkpoint: &Checkpoint, objective: &impl Objective) {
    check_dropped(checkpoint, objective, 0.0);
}

/// Checks a model of which numbers are dropped at this rate: the masks are constants of its loss.
fn check_dropped(checkpoint: &Checkpoint, objective: &impl Objective, rate: f64) {
    let config = checkpoint.config.clone().with_dropout(rate);
    let checkpoint = &Checkpoint { config, weights: checkpoint.weights.clone() };
    let mut model = Model::new(checkpoint.clone(), Oracle).unwrap();
    model.drop_out(Some(dropout()));
    let mut gradients = model.gradients();
    let nats = objective.accumulate(&mut model, &mut gradients);
    let is_same = (nats - objective.loss(&mut model)).abs() < 1e-9;
    assert_eq!(is_same, rate == 0.0);
    let all = Freeze { embeddings: true, layers: model.config().num_hidden_layers() };
    let loss = |model: &mut Model<Oracle>| {
        if rate == 0.0 {
            return objective.loss(model);
        }
        model.drop_out(Some(dropout()));
        let mut least = model.gradients_except(&all).unwrap();
        objective.accumulate(model, &mut least)
    };
    for (idx, entry) in gradients.iter().enumerate() {
        let gradient = entry.value.as_ref().unwrap();
        let largest = gradient.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        assert_eq!(largest < 1e-12, has_no_gradient(&entry.name), "{}: {largest:e}", entry.name);
        for at in 0..gradient.len() {
            let numeric = slope(|step| {
                let mut moved = Model::new(checkpoint.clone(), Oracle).unwrap();
                moved.weights_mut().iter_mut().nth(idx).unwrap().value.as_slice_mut().unwrap()
                    [at] += step;
                loss(&mut moved)
            });
            let found = gradient.as_slice().unwrap()[at];
            // Third derivatives of a whole model cost a few digits.
            assert!(
                (numeric - found).abs() < 1e-5 * found.abs().max(1.0),
                "{} {at}: {numeric} {found}",
                entry.name
            );
        }
    }
    let all: Vec<f64> =
        gradients.iter().filter_map(|entry| entry.value.as_ref()).flatten().copied().collect();
    // Gradients of queries and keys are differences of much larger ones.
    let least = |noise: f64| LEAST.max(noise * norm(all.iter().copied()));
    for profile in profiles_here() {
        // What is kept is scaled, and its rounding with it, forwards and backwards.
        let limits =
            [1e-5, OF_A_MODEL].map(|of_f32| tolerance(profile, of_f32) / (1.0 - rate).powi(2));
        let least = least(tolerance(profile, 0.0));
        let cpu = Model::new(checkpoint.clone(), Cpu::new(profile).unwrap()).unwrap();
        let name = profile.to_string();
        check_model_over(cpu, &name, objective, (nats, &gradients), (limits, least));
    }
    for (name, device) in devices_here() {
        let model = Model::new(checkpoint.clone(), device).unwrap();
        let limits = [1e-5, OF_A_MODEL].map(|of_f32| of_f32 / (1.0 - rate).powi(2));
        let limits = (limits, least(0.0));
        check_model_over(model, name, objective, (nats, &gradients), limits);
    }
}

/// Checks loss and gradients of a model against what the oracle gave.
fn check_model_over<O: Ops>(
    mut model: Model<O>,
    name: &str,
    objective: &impl Objective,
    (nats, gradients): (f64, &Gradients<Array2<f64>>),
    ([of_loss, of_gradient], least): ([f64; 2], f64),
) {
    model.drop_out(Some(dropout()));
    let mut found_gradients = model.gradients();
    let found_nats = objective.accumulate(&mut model, &mut found_gradients);
    assert!((found_nats - nats).abs() < of_loss * nats, "{name}: {found_nats} {nats}");
    for (found, expected) in found_gradients.iter().zip(gradients.iter()) {
        if has_no_gradient(&found.name) {
            continue;
        }
        let values = model.ops().values(found.value.as_ref().unwrap());
        let expected = expected.value.as_ref().unwrap().as_slice().unwrap();
        let what = format!("{name}: {}", found.name);
        assert_close(&values, expected, (of_gradient, least), &what);
    }
}

/// A number added to all keys changes no softmax: their bias has a gradient of nothing but noise.
fn has_no_gradient(name: &str) -> bool {
    name.ends_with("key.bias")
}

fn labels() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

/// Checks that gradients that are not wanted are not there, and that the others do not miss them.
fn check_frozen(checkpoint: &Checkpoint, objective: &impl Objective) {
    let mut model = Model::new(checkpoint.clone(), Oracle).unwrap();
    let mut all = model.gradients();
    objective.accumulate(&mut model, &mut all);
    for (embeddings, layers) in [(false, 1), (true, 0), (true, 1), (true, 2)] {
        let mut gradients = model.gradients_except(&Freeze { embeddings, layers }).unwrap();
        objective.accumulate(&mut model, &mut gradients);
        assert!(gradients.iter().any(|entry| entry.value.is_none()));
        for (found, expected) in gradients.iter().zip(all.iter()) {
            assert!(found.value.is_none() || found.value == expected.value, "{}", found.name);
        }
    }
}

#[test]
fn frozen_models() {
    let (classes, tags) = (
        Head::SequenceClassification { labels: labels() },
        Head::TokenClassification { labels: labels() },
    );
    check_frozen(&llama(Head::CausalLm, true), &Tokens(11));
    check_frozen(&llama(classes.clone(), false), &Classes);
    check_frozen(&bert(Head::MaskedLm), &Tokens(11));
    check_frozen(&bert(classes), &Classes);
    check_frozen(&bert(tags), &Tokens(3));
}

#[test]
fn whole_llamas() {
    check_model(&llama(Head::CausalLm, false), &Tokens(11));
    check_model(&llama(Head::CausalLm, true), &Tokens(11));
    check_model(&llama(Head::SequenceClassification { labels: labels() }, false), &Classes);
    check_model(&llama(Head::TokenClassification { labels: labels() }, false), &Tokens(3));
}

#[test]
fn whole_berts() {
    check_model(&bert(Head::MaskedLm), &Tokens(11));
    check_model(&bert(Head::SequenceClassification { labels: labels() }), &Classes);
    check_model(&bert(Head::TokenClassification { labels: labels() }), &Tokens(3));
}

#[test]
fn whole_gpt2s() {
    use Activation::{Gelu, GeluNew};
    check_model(&gpt2(Head::CausalLm, false, GeluNew), &Tokens(11));
    check_model(&gpt2(Head::CausalLm, true, GeluNew), &Tokens(11));
    let classes = Head::SequenceClassification { labels: labels() };
    check_model(&gpt2(classes, true, Gelu), &Classes);
    let tags = Head::TokenClassification { labels: labels() };
    check_model(&gpt2(tags, true, GeluNew), &Tokens(3));
}

#[test]
fn a_cuda_device_is_held_to_the_oracle_where_there_is_one() {
    let said = if NumericProfile::Cuda.is_here() {
        "run"
    } else {
        "not run (no such device, or a build without the feature `cuda`)"
    };
    // Tests that pass are silent on `eprintln`, and this is to be read.
    writeln!(std::io::stderr(), "== oracle and fixtures over cuda: {said}").unwrap();
}

#[test]
fn a_batch_without_targets_has_no_loss_and_no_gradient() {
    let mut untargeted = TokenBatch::new();
    untargeted.push_pair(&[3, 1], &[4], &[None; 3]).unwrap();
    for batch in [untargeted, TokenBatch::new()] {
        for checkpoint in [
            llama(Head::CausalLm, false),
            bert(Head::MaskedLm),
            gpt2(Head::CausalLm, true, Activation::GeluNew),
        ] {
            check_nothing(&checkpoint, Oracle, &batch);
            for profile in profiles_here() {
                check_nothing(&checkpoint, Cpu::new(profile).unwrap(), &batch);
            }
            devices_here().for_each(|(_, device)| check_nothing(&checkpoint, device, &batch));
        }
    }
}

#[track_caller]
fn check_nothing<O: Ops>(checkpoint: &Checkpoint, ops: O, batch: &TokenBatch) {
    let mut model = Model::new(checkpoint.clone(), ops).unwrap();
    let mut gradients = model.gradients();
    let loss = model.accumulate_tokens(batch, &mut gradients).unwrap();
    assert_eq!((loss.nats, loss.counted), (0.0, 0));
    for entry in gradients.iter() {
        let gradient = model.ops().values(entry.value.as_ref().unwrap());
        assert!(gradient.iter().all(|&value| value == 0.0), "{}", entry.name);
    }
}

#[test]
fn whole_models_with_dropout() {
    let classes = || Head::SequenceClassification { labels: labels() };
    let tags = || Head::TokenClassification { labels: labels() };
    check_dropped(&llama(tags(), true), &Tokens(3), 0.3);
    check_dropped(&bert(Head::MaskedLm), &Tokens(11), 0.3);
    check_dropped(&bert(classes()), &Classes, 0.3);
    check_dropped(&gpt2(Head::CausalLm, true, Activation::GeluNew), &Tokens(11), 0.3);
}
