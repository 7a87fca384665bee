//! The model core: kernels, families, optimizers and checkpoints that every model stage shares.
//!
//! A training loop is written by its stage, from these parts:
//!
//! ```
//! use model::{
//!     Checkpoint, CpuModel, Head, LlamaConfig, Optimizer, OptimizerConfig, TokenBatch, TreeSum,
//! };
//!
//! # fn main() -> Result<(), model::ModelError> {
//! let config = LlamaConfig {
//!     vocab_size: 32,
//!     hidden_size: 8,
//!     intermediate_size: 16,
//!     num_hidden_layers: 1,
//!     num_attention_heads: 2,
//!     num_key_value_heads: 1,
//!     head_dim: 4,
//!     max_position_embeddings: 16,
//!     rope_theta: 10_000.0,
//!     rms_norm_eps: 1e-5,
//!     initializer_range: 0.02,
//!     attention_dropout: 0.0,
//!     classifier_dropout: None,
//!     tie_word_embeddings: true,
//!     bos_token_id: None,
//!     eos_token_id: vec![0],
//!     pad_token_id: None,
//!     head: Head::CausalLm,
//! };
//! let mut model = CpuModel::from_checkpoint(Checkpoint::fresh(config, 1337)?)?;
//! let gradients = model.gradients();
//! let mut optimizer = Optimizer::new(OptimizerConfig::default(), &gradients)?;
//! let mut sum = TreeSum::new(gradients);
//! let mut batch = TokenBatch::new();
//! batch.push_window(&[3, 1, 4, 1, 5]);
//!
//! sum.begin(0);
//! for _micro_batch in 0..2 {
//!     sum.leaf(|gradients| model.accumulate_tokens(&batch, gradients))?;
//! }
//! sum.finish();
//! let (gradients, loss) = sum.total();
//! model::assert_gradients(gradients)?;
//! let grad_norm = optimizer.step(model.weights_mut(), gradients, loss.counted, 1e-3)?;
//! assert!(grad_norm > 0.0 && loss.mean().is_some_and(|nats| nats < 4.0));
//! # Ok(())
//! # }
//! ```

mod assertion;
pub mod checkpoint;
mod config;
pub mod cpu;
pub mod device;
pub mod dropout;
mod error;
mod family;
mod form;
mod init;
mod kv_cache;
mod memory;
mod model;
pub mod ops;
pub mod optim;
pub mod oracle;
mod param;
pub mod peak;
mod profile;
pub mod reduce;
mod sampling;
mod sequences;
mod state;

pub use assertion::assert_gradients;
pub use checkpoint::Checkpoint;
pub use config::{Activation, BertConfig, CONFIG_FILE, Gpt2Config, Head, LlamaConfig, ModelConfig};
pub use dropout::Dropout;
pub use error::{ModelError, Result};
pub use form::{Sequence, SequenceForm, SpecialIds};
pub use kv_cache::KvCache;
pub use memory::{Footprint, require_memory};
pub use model::{CpuModel, Model, softmax};
pub use optim::{
    AdamWConfig, Freeze, MuonConfig, MuonScale, Optimizer, OptimizerConfig, SgdConfig,
};
pub use param::{Gradients, Parameter, Parameters, Part};
pub use profile::NumericProfile;
pub use reduce::{Collective, Local, TreeSum};
pub use sampling::{Candidate, Sampling};
pub use sequences::{LossSum, Sequences, TokenBatch};
pub use state::{read_state, write_state};
