//! What a family of models is made of: pairs of a forward and a backward pass.
//!
//! Families are written once against [`Ops`]. Tensors are dense matrices; a row is a token, a class or a channel.
//! Outputs are buffers of the caller: a forward pass gives them the right size and overwrites them, so on the CPU a step
//! after the first allocates nothing. Backward passes *overwrite* gradients of activations unless [`Write::Add`] says
//! otherwise, and *add to* gradients of parameters, so micro-batches accumulate. A gradient that is `None` is not wanted, and
//! nothing is computed for it; the others are the same bits without it.
//!
//! Implementations are [`crate::oracle::Oracle`] (plain `f64`), [`crate::cpu::Cpu`] (threaded `f32`) and
//! [`crate::device::Device`] (`f32` on other devices), and agree to rounding. Every row of an output depends on its own
//! inputs only, never on how many rows stand beside it; over a device the last bits may.

use std::fmt::Debug;

use crate::dropout::Mask;

/// What happens to the numbers that stand in an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// They are replaced; the output takes the size of the result.
    Replace,
    /// The result is added to them.
    Add,
}

/// Which keys of its sequence a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those up to its own token.
    Causal,
    /// All of them.
    Bidirectional,
}

/// Shape of attention: how rows of `q`, `k` and `v` split into heads, and what they see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; query heads `i * query / key_value ..` share head `i`.
    pub key_value: usize,
    /// Width of one head.
    pub dim: usize,
    /// Which keys a query sees.
    pub reach: Reach,
}

/// A linear layer: its weights, or their places.
#[derive(Clone, Copy, Debug)]
pub struct Linear<T> {
    /// `[outputs, inputs]`, as Hugging Face stores it.
    pub weight: T,
    /// `[1, outputs]`, added to each row; `None` adds nothing.
    pub bias: Option<T>,
}

impl<T> Linear<T> {
    /// The same of what each of both stands for.
    pub fn map<U>(self, each: impl Fn(T) -> U) -> Linear<U> {
        Linear { weight: each(self.weight), bias: self.bias.map(each) }
    }
}

/// Forward and backward passes over tensors of one kind.
///
/// # Panics
/// All passes panic when shapes disagree: families check what users give before the first pass.
pub trait Ops: 'static {
    /// A dense matrix, rows by columns.
    type Tensor: Clone + Debug + Send + Sync;

    /// A tensor of zeros.
    fn zeros(&self, rows: usize, cols: usize) -> Self::Tensor;

    /// A tensor of `rows * cols` numbers, row by row.
    fn tensor(&self, rows: usize, cols: usize, values: &[f32]) -> Self::Tensor;

    /// The numbers of a tensor, row by row, exact.
    fn values(&self, tensor: &Self::Tensor) -> Vec<f64>;

    /// Sets every number to zero and keeps the size.
    fn clear(&self, tensor: &mut Self::Tensor);

    /// `out[t] = table[ids[t]]`.
    fn embedding(&mut self, ids: &[u32], table: &Self::Tensor, out: &mut Self::Tensor);

    /// Adds each row of `dout` to the row of `dtable` that it came from, in order.
    fn embedding_backward(&mut self, ids: &[u32], dout: &Self::Tensor, dtable: &mut Self::Tensor);

    /// `out = x · wᵀ + b`, or `out += x · wᵀ + b`, as a branch is added to its residual stream.
    ///
    /// `x`: `[tokens, in]`, `out`: `[tokens, out]`. The product is added first, then the bias.
    fn linear(
        &mut self,
        x: &Self::Tensor,
        layer: Linear<&Self::Tensor>,
        out: &mut Self::Tensor,
        write: Write,
    );

    /// `dx = dout · w`, `dw += doutᵀ · x` and `db += Σ dout[t]`, in order; `dlayer` is `dw` and `db`.
    fn linear_backward(
        &mut self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        dout: &Self::Tensor,
        dx: Option<(&mut Self::Tensor, Write)>,
        dlayer: [Option<&mut Self::Tensor>; 2],
    );

    /// Several layers that read the same input, each as [`Ops::linear`] that replaces.
    fn linears<const N: usize>(
        &mut self,
        x: &Self::Tensor,
        layers: [Linear<&Self::Tensor>; N],
        outs: [&mut Self::Tensor; N],
    ) {
        for (layer, out) in layers.into_iter().zip(outs) {
            self.linear(x, layer, out, Write::Replace);
        }
    }

    /// Their backward passes, each as [`Ops::linear_backward`]: the gradients of the input that they share are added up in
    /// order. `layers` are pairs of `w` and `dout`.
    fn linears_backward<const N: usize>(
        &mut self,
        x: &Self::Tensor,
        layers: [[&Self::Tensor; 2]; N],
        mut dx: Option<(&mut Self::Tensor, Write)>,
        dlayers: [[Option<&mut Self::Tensor>; 2]; N],
    ) {
        for ([w, dout], dlayer) in layers.into_iter().zip(dlayers) {
            let into = dx.as_mut().map(|(dx, write)| (&mut **dx, *write));
            self.linear_backward(x, w, dout, into, dlayer);
            dx = dx.map(|(dx, _)| (dx, Write::Add));
        }
    }

    /// `out[t, c] = w[c] * x[t, c] / sqrt(mean(x[t, ..]^2) + eps)`, with `w`: `[1, channels]`.
    ///
    /// Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4; `eps` as in Llama.
    fn rms_norm(&mut self, x: &Self::Tensor, w: &Self::Tensor, eps: f64, out: &mut Self::Tensor);

    /// Adds to `dx`, because a norm always branches off a residual stream that already carries a gradient.
    fn rms_norm_backward(
        &mut self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        eps: f64,
        dout: &Self::Tensor,
        dx: Option<&mut Self::Tensor>,
        dw: Option<&mut Self::Tensor>,
    );

    /// `out[t, c] = w[c] * (x[t, c] - mean(x[t, ..])) / sqrt(variance(x[t, ..]) + eps) + b[c]`.
    ///
    /// `w`, `b`: `[1, channels]`; the variance divides by the number of channels. Source: Ba et al. 2016,
    /// arXiv:1607.06450, equation 4; `eps` as in BERT.
    fn layer_norm(
        &mut self,
        x: &Self::Tensor,
        parameters: [&Self::Tensor; 2],
        eps: f64,
        out: &mut Self::Tensor,
    );

    /// Overwrites `dx`; `parameters` are `w` and `b`, and so are the gradients that are added to.
    fn layer_norm_backward(
        &mut self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        eps: f64,
        dout: &Self::Tensor,
        dx: Option<&mut Self::Tensor>,
        dparameters: [Option<&mut Self::Tensor>; 2],
    );

    /// Turns each pair `(x[i], x[i + dim / 2])` of each head by `position * theta^(-2 i / dim)`, in place.
    ///
    /// The position counts from the beginning of each sequence. Source: Su et al. 2021, arXiv:2104.09864, in the
    /// half-rotation convention of Hugging Face's Llama.
    fn rotary(&mut self, x: &mut Self::Tensor, offsets: &[usize], dim: usize, theta: f64);

    /// Turns the gradient back by the same angles, in place.
    fn rotary_backward(&mut self, dx: &mut Self::Tensor, offsets: &[usize], dim: usize, theta: f64);

    /// The same for tokens of one text that begin at position `first`, before which others were read. Has no backward pass.
    fn rotary_from(&mut self, x: &mut Self::Tensor, first: usize, dim: usize, theta: f64);

    /// Attention within each sequence, as far as `heads.reach`: `out = softmax(q · kᵀ / sqrt(dim)) · v` for each head.
    ///
    /// `q`, `out`: `[tokens, query * dim]`, `k`, `v`: `[tokens, key_value * dim]`; `log_sums`: `[tokens, query]`, the
    /// logarithm of each softmax's denominator, is kept for the backward pass instead of the probabilities.
    ///
    /// With a mask, probabilities are dropped before they meet `v`: it has a place for each token, and of it the head is the
    /// part, the query's token the row, and the position of the key the number in that row.
    fn attention(
        &mut self,
        qkv: [&Self::Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &mut Self::Tensor,
        log_sums: &mut Self::Tensor,
    );

    /// Gradients of `q`, `k` and `v`; `out` and `log_sums` are those of the forward pass, under the same mask.
    #[expect(
        clippy::too_many_arguments,
        reason = "three inputs, two results of the forward pass, three gradients"
    )]
    fn attention_backward(
        &mut self,
        qkv: [&Self::Tensor; 3],
        offsets: &[usize],
        heads: Heads,
        mask: Option<Mask>,
        out: &Self::Tensor,
        log_sums: &Self::Tensor,
        dout: &Self::Tensor,
        dqkv: [&mut Self::Tensor; 3],
    );

    /// Attention of the last tokens of one text: `q` has their rows alone, `k` and `v` those of all its tokens. They give
    /// what [`Ops::attention`] gives for them. Has no backward pass.
    fn attention_of_last(
        &mut self,
        qkv: [&Self::Tensor; 3],
        heads: Heads,
        out: &mut Self::Tensor,
        log_sums: &mut Self::Tensor,
    );

    /// `out = gate * sigmoid(gate) * up`.
    ///
    /// Source: Shazeer 2020, arXiv:2002.05202, equation 6.
    fn swiglu(&mut self, gate: &Self::Tensor, up: &Self::Tensor, out: &mut Self::Tensor);

    /// Gradients of `gate` and `up`.
    fn swiglu_backward(
        &mut self,
        gate: &Self::Tensor,
        up: &Self::Tensor,
        dout: &Self::Tensor,
        dgate: &mut Self::Tensor,
        dup: &mut Self::Tensor,
    );

    /// `out = x * Φ(x)`, with the normal distribution's `Φ(x) = (1 + erf(x / √2)) / 2`.
    ///
    /// Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2: the exact form, not its approximations.
    fn gelu(&mut self, x: &Self::Tensor, out: &mut Self::Tensor);

    /// `dx = dout * (Φ(x) + x * φ(x))`, with the density `φ`.
    fn gelu_backward(&mut self, x: &Self::Tensor, dout: &Self::Tensor, dx: &mut Self::Tensor);

    /// `out = x * (1 + tanh(u)) / 2`, with `u = √(2/π) * (x + 0.044715 * x^3)`.
    ///
    /// Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2: the first of its approximations, `gelu_new` of
    /// `transformers`.
    fn gelu_tanh(&mut self, x: &Self::Tensor, out: &mut Self::Tensor);

    /// `dx = dout * ((1 + tanh(u)) / 2 + x * (1 - tanh(u)^2) / 2 * du/dx)`.
    fn gelu_tanh_backward(&mut self, x: &Self::Tensor, dout: &Self::Tensor, dx: &mut Self::Tensor);

    /// `x = tanh(x)`, in place.
    fn tanh(&mut self, x: &mut Self::Tensor);

    /// `dx *= 1 - out^2`, in place: `dx` comes as the gradient of `out`, which is what the forward pass gave.
    fn tanh_backward(&mut self, out: &Self::Tensor, dx: &mut Self::Tensor);

    /// Drops numbers of `x`, in place: each is multiplied with the mask's factor, 0 or `1 / (1 - rate)`. All of `x` is part 0
    /// of the mask. The same on a gradient is the backward pass.
    ///
    /// Source: Srivastava et al. 2014, JMLR 15, section 4; what is kept is scaled in training, as in torch.
    fn dropout(&mut self, x: &mut Self::Tensor, mask: Mask);

    /// `x += branch`. The backward pass is the identity: both inputs have the gradient of the sum.
    fn add(&mut self, x: &mut Self::Tensor, branch: &Self::Tensor);

    /// Copies `x`.
    fn copy(&mut self, x: &Self::Tensor, out: &mut Self::Tensor);

    /// Puts the rows of `x` behind those of `out`, which has as many columns or is empty.
    fn append(&mut self, x: &Self::Tensor, out: &mut Self::Tensor);

    /// Three tensors of equal width, whose columns stand one after another in `x`. Its backward pass is [`Ops::join`].
    fn split(&mut self, x: &Self::Tensor, parts: [&mut Self::Tensor; 3]);

    /// The columns of three tensors of equal width, one after another. Its backward pass is [`Ops::split`].
    fn join(&mut self, parts: [&Self::Tensor; 3], out: &mut Self::Tensor);

    /// Some tokens: `out[i] = x[rows[i]]`.
    fn pick(&mut self, x: &Self::Tensor, rows: &[usize], out: &mut Self::Tensor);

    /// The gradient of the picked tokens goes back to them; that of all others of the `tokens` is zero.
    ///
    /// No row may be picked twice.
    fn pick_backward(
        &mut self,
        dout: &Self::Tensor,
        rows: &[usize],
        tokens: usize,
        dx: &mut Self::Tensor,
    );

    /// Negative log-likelihood of each target under `softmax(x · weightᵀ + bias)`, in nats; zero where there is no
    /// target.
    ///
    /// `x`: `[tokens, hidden]`. The logits are made and used up a few hundred tokens at a time, so `[tokens, vocab]`
    /// never exists.
    fn cross_entropy(
        &mut self,
        x: &Self::Tensor,
        projection: Linear<&Self::Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
    );

    /// The same, with the gradients of the *sum* over all targets: `dx` is overwritten, those of the projection's weight and
    /// bias are added to.
    fn cross_entropy_backward(
        &mut self,
        x: &Self::Tensor,
        projection: Linear<&Self::Tensor>,
        targets: &[Option<u32>],
        nats: &mut Vec<f64>,
        dx: Option<&mut Self::Tensor>,
        dprojection: [Option<&mut Self::Tensor>; 2],
    );
}
