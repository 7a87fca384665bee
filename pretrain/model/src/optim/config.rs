//! Optimizers and their constants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Fields;
use crate::error::{ModelError, Result};

/// An optimizer and its constants; the learning rate comes with each step.
///
/// In a manifest it is one table: `kind`, and the constants of that kind. One that belongs to another is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Fields", into = "Fields")]
#[schemars(with = "Fields")]
pub enum OptimizerConfig {
    /// AdamW for all parameters.
    AdamW(AdamWConfig),
    /// Muon for the matrices of hidden layers, AdamW for the others.
    Muon(MuonConfig),
    /// Stochastic gradient descent with momentum for all parameters.
    Sgd(SgdConfig),
}

/// Constants of AdamW. The default is nanoGPT's.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Share of the first moment that stays at each step; from 0, below 1.
    pub beta1: f64,
    /// Share of the second moment that stays at each step; from 0, below 1.
    pub beta2: f64,
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Share of a weight, times the learning rate, that it loses at each step; 0 or more. Tensors with two or more
    /// dimensions decay, vectors do not.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient of all parameters together, above 0; `None` does not clip.
    pub max_grad_norm: Option<f64>,
}

/// Constants of Muon. The default is that of its reference, with a learning rate of 0.02 where others have the 1e-3 that is
/// pre-training's default.
#[derive(Clone, Debug, PartialEq)]
pub struct MuonConfig {
    /// Of the embeddings, the output projection and all vectors; decay and clipping are those of the hidden matrices too.
    pub adamw: AdamWConfig,
    /// Share of the momentum that stays at each step; from 0, below 1.
    pub momentum: f64,
    /// Whether a step goes along the momentum as the next gradient would leave it.
    pub nesterov: bool,
    /// How the learning rate of a matrix follows from its shape.
    pub scale: MuonScale,
    /// Learning rate of the hidden matrices, as a factor of that of all others; above 0.
    pub lr_factor: f64,
}

/// How the learning rate of a matrix follows from its shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MuonScale {
    /// Times `max(1, rows / columns)^0.5`, as in Muon's reference.
    #[default]
    Original,
    /// Times `0.2 * max(rows, columns)^0.5`, so that steps are as long as AdamW's, and its rates can be kept. Source: Liu et al.
    /// 2025, arXiv:2502.16982, section 2.2.
    MatchRmsAdamw,
}

/// Constants of stochastic gradient descent.
#[derive(Clone, Debug, PartialEq)]
pub struct SgdConfig {
    /// Share of the momentum that stays at each step; from 0, below 1.
    pub momentum: f64,
    /// Whether a step goes along the momentum as the next gradient would leave it.
    pub nesterov: bool,
    /// Share of a weight that is added to its gradient; 0 or more. Of matrices, not of vectors.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient of all parameters together, above 0; `None` does not clip.
    pub max_grad_norm: Option<f64>,
}

/// The learning rate of hidden matrices under [`MuonScale::Original`], in those of the others.
const ORIGINAL_LR_FACTOR: f64 = 20.0;
pub(super) const MAX_GRAD_NORM: f64 = 1.0;

impl Default for OptimizerConfig {
    fn default() -> Self {
        AdamWConfig::default().into()
    }
}

impl Default for AdamWConfig {
    fn default() -> Self {
        let max_grad_norm = Some(MAX_GRAD_NORM);
        Self { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, max_grad_norm }
    }
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            adamw: AdamWConfig::default(),
            momentum: 0.95,
            nesterov: true,
            scale: MuonScale::Original,
            lr_factor: ORIGINAL_LR_FACTOR,
        }
    }
}

impl Default for SgdConfig {
    fn default() -> Self {
        let max_grad_norm = Some(MAX_GRAD_NORM);
        Self { momentum: 0.9, nesterov: false, weight_decay: 0.0, max_grad_norm }
    }
}

impl From<AdamWConfig> for OptimizerConfig {
    fn from(config: AdamWConfig) -> Self {
        Self::AdamW(config)
    }
}

impl From<MuonConfig> for OptimizerConfig {
    fn from(config: MuonConfig) -> Self {
        Self::Muon(config)
    }
}

impl From<SgdConfig> for OptimizerConfig {
    fn from(config: SgdConfig) -> Self {
        Self::Sgd(config)
    }
}

impl OptimizerConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first bad field, its value, and what was expected.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::AdamW(config) => config.validate(),
            Self::Muon(config) => {
                require("momentum", config.momentum, is_share, SHARE)?;
                require("lr_factor", config.lr_factor, is_positive, POSITIVE)?;
                config.adamw.validate()
            }
            Self::Sgd(config) => {
                require("momentum", config.momentum, is_share, SHARE)?;
                require("weight_decay", config.weight_decay, is_decay, DECAY)?;
                config.max_grad_norm.map_or(Ok(()), require_clip)
            }
        }
    }

    /// Largest norm of the gradient of all parameters together.
    pub fn max_grad_norm(&self) -> Option<f64> {
        match self {
            Self::AdamW(config) | Self::Muon(MuonConfig { adamw: config, .. }) => {
                config.max_grad_norm
            }
            Self::Sgd(config) => config.max_grad_norm,
        }
    }

    /// Its name in manifests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AdamW(_) => "adamw",
            Self::Muon(_) => "muon",
            Self::Sgd(_) => "sgd",
        }
    }
}

impl AdamWConfig {
    fn validate(&self) -> Result<()> {
        require("beta1", self.beta1, is_share, SHARE)?;
        require("beta2", self.beta2, is_share, SHARE)?;
        require("eps", self.eps, is_positive, POSITIVE)?;
        require("weight_decay", self.weight_decay, is_decay, DECAY)?;
        self.max_grad_norm.map_or(Ok(()), require_clip)
    }
}

const SHARE: &str = "0 or more and below 1";
const POSITIVE: &str = "a positive number";
const DECAY: &str = "0 or more";

fn is_share(value: f64) -> bool {
    (0.0..1.0).contains(&value)
}

fn is_positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

fn is_decay(value: f64) -> bool {
    value == 0.0 || is_positive(value)
}

fn require_clip(found: f64) -> Result<()> {
    require("max_grad_norm", found, is_positive, POSITIVE)
}

fn require(
    field: &'static str,
    found: f64,
    holds: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<()> {
    if holds(found) { Ok(()) } else { Err(ModelError::Optimizer { field, found, expected }) }
}
