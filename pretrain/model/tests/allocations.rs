//! A training step after the first takes no memory: forward and backward pass, the sum of micro-batches, clipping and update.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use model::{
    Activation, AdamWConfig, BertConfig, Checkpoint, CpuModel, Dropout, Gpt2Config, Head,
    LlamaConfig, ModelConfig, MuonConfig, Optimizer, OptimizerConfig, SgdConfig, TokenBatch,
    TreeSum,
};
use pipelines::seed::Seed;

/// The system's allocator, which counts what is asked of it on threads that [`COUNTS`].
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Held while anything is counted, since tests run beside each other.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

impl Counting {
    fn note(bytes: usize) {
        if COUNTS.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing, and neither does the thread's
// flag, which is a constant without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: that of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: that of the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::note(new_size);
        // SAFETY: that of the caller.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: that of the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What was asked of the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    allocations: usize,
    bytes: usize,
}

fn asked(work: impl FnOnce()) -> Asked {
    let now = || Asked {
        allocations: ALLOCATIONS.load(Ordering::Relaxed),
        bytes: BYTES.load(Ordering::Relaxed),
    };
    let before = now();
    work();
    let after = now();
    Asked { allocations: after.allocations - before.allocations, bytes: after.bytes - before.bytes }
}

/// Steps after the first, among which one on two threads asks for nothing.
const MAX_STEPS: usize = 50;

const VOCAB: u32 = 700;

/// Tokens of the sequences of a micro-batch: more than attention takes at once, and so many that products are shared out.
const LENGTHS: [u32; 3] = [70, 1, 66];

fn llama() -> LlamaConfig {
    LlamaConfig {
        vocab_size: VOCAB as usize,
        hidden_size: 72,
        intermediate_size: 144,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 18,
        max_position_embeddings: 80,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        initializer_range: 0.05,
        attention_dropout: 0.1,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn gpt2() -> Gpt2Config {
    Gpt2Config {
        vocab_size: VOCAB as usize,
        n_positions: 80,
        n_embd: 72,
        n_layer: 2,
        n_head: 4,
        n_inner: None,
        activation_function: Activation::GeluNew,
        layer_norm_epsilon: 1e-5,
        initializer_range: 0.05,
        resid_pdrop: 0.1,
        embd_pdrop: 0.1,
        attn_pdrop: 0.1,
        classifier_dropout: None,
        tie_word_embeddings: true,
        bos_token_id: None,
        eos_token_id: vec![0],
        pad_token_id: None,
        head: Head::CausalLm,
    }
}

fn bert() -> BertConfig {
    BertConfig {
        vocab_size: VOCAB as usize,
        hidden_size: 72,
        intermediate_size: 144,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        max_position_embeddings: 80,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.05,
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.1,
        classifier_dropout: None,
        pad_token_id: Some(0),
        pooler: true,
        head: Head::MaskedLm,
    }
}

fn classifier(config: impl Into<ModelConfig>) -> ModelConfig {
    let labels = ["no", "yes"].map(str::to_owned).to_vec();
    config.into().with_head(Head::SequenceClassification { labels })
}

/// What a step is made of.
struct Case {
    config: ModelConfig,
    optimizer: OptimizerConfig,
    recompute: bool,
}

impl Case {
    fn new(config: impl Into<ModelConfig>) -> Self {
        let optimizer = AdamWConfig::default().into();
        Self { config: config.into(), optimizer, recompute: false }
    }
}

/// A trainer with all that it uses from step to step.
struct Trainer {
    model: CpuModel,
    sum: TreeSum,
    optimizer: Optimizer,
    batch: TokenBatch,
    windows: Vec<Vec<u32>>,
}

impl Trainer {
    fn new(Case { config, optimizer, recompute }: Case) -> Self {
        let mut model = CpuModel::from_checkpoint(Checkpoint::fresh(config, 1).unwrap()).unwrap();
        model.recompute(recompute);
        let gradients = model.gradients();
        let ids = |length| (0..=length).map(|at| at * at % VOCAB).collect();
        Self {
            optimizer: Optimizer::new(optimizer, &gradients).unwrap(),
            sum: TreeSum::new(gradients),
            model,
            batch: TokenBatch::new(),
            windows: LENGTHS.map(ids).to_vec(),
        }
    }

    /// A step of three micro-batches, or of three batches of labelled sequences.
    fn step(&mut self) {
        let Self { model, sum, optimizer, batch, windows } = self;
        let is_classifier = model.config().head().labels().is_some();
        let dropout = Dropout { seed: Seed::new(3, "dropout"), step: optimizer.steps() };
        model.drop_out(Some(dropout));
        sum.begin(0);
        for _micro_batch in 0..3 {
            batch.clear();
            windows.iter().for_each(|window| batch.push_window(window));
            let leaf = |gradients: &mut _| match is_classifier {
                true => model.accumulate_classes(batch.sequences(), &[1, 0, 1], gradients),
                false => model.accumulate_tokens(batch, gradients),
            };
            sum.leaf(leaf).unwrap();
        }
        sum.finish();
        let (gradients, loss) = sum.total();
        optimizer.step(model.weights_mut(), gradients, loss.counted, 1e-3).unwrap();
    }
}

/// Lets a trainer that has taken its first step `work` on so many threads, on which all is counted.
fn trained<T: Send>(
    case: Case,
    threads: usize,
    work: impl FnOnce(&mut dyn FnMut() -> Asked) -> T + Send,
) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = |_| COUNTS.set(true);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(counted);
    pool.build().unwrap().install(|| {
        let mut trainer = Trainer::new(case);
        trainer.step();
        work(&mut || asked(|| trainer.step()))
    })
}

#[track_caller]
fn check(case: impl Fn() -> Case) {
    let nothing = Asked { allocations: 0, bytes: 0 };
    assert_eq!(trained(case(), 1, |step| [step(), step()]), [nothing; 2]);
    // Scores and blocks of factors stand in memory of each thread, which grows with the first large task that the thread takes,
    // whichever step that is in. Nothing else may be asked for, so before long a step asks for nothing.
    let asked = trained(case(), 2, |step| (0..MAX_STEPS).map(|_| step()).find(|it| *it == nothing));
    assert_eq!(asked, Some(nothing), "{MAX_STEPS} steps on two threads all took memory");
}

#[test]
fn steps_of_every_family_ask_for_no_memory() {
    check(|| Case::new(llama()));
    check(|| Case::new(gpt2()));
    check(|| Case::new(bert()));
}

#[test]
fn steps_of_classifiers_ask_for_no_memory() {
    check(|| Case::new(classifier(llama())));
    check(|| Case::new(classifier(gpt2())));
    check(|| Case::new(classifier(bert())));
}

#[test]
fn steps_of_every_optimizer_ask_for_no_memory() {
    check(|| Case { optimizer: MuonConfig::default().into(), ..Case::new(llama()) });
    check(|| Case { optimizer: SgdConfig::default().into(), ..Case::new(llama()) });
}

#[test]
fn steps_that_make_activations_again_ask_for_no_memory() {
    check(|| Case { recompute: true, ..Case::new(llama()) });
    check(|| Case { recompute: true, ..Case::new(gpt2()) });
    check(|| Case { recompute: true, ..Case::new(bert()) });
}
