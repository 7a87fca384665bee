//! What a manifest says about an optimizer: one table, whose `kind` decides which constants belong into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{
    AdamWConfig, MAX_GRAD_NORM, MuonConfig, MuonScale, OptimizerConfig, SgdConfig,
};

/// Which optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// AdamW for all parameters.
    #[default]
    Adamw,
    /// Muon for the matrices of hidden layers, AdamW for the embeddings, the output projection and all vectors.
    Muon,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

impl Kind {
    fn is_adamw(&self) -> bool {
        *self == Self::Adamw
    }
}

/// An optimizer and its constants.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "OptimizerConfig")]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Which optimizer.
    #[serde(default, skip_serializing_if = "Kind::is_adamw")]
    kind: Kind,
    /// Share of the first moment that stays at each step; from 0, below 1. Of `adamw` and `muon`; `None` is 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beta1: Option<f64>,
    /// Share of the second moment that stays at each step; from 0, below 1. Of `adamw` and `muon`; `None` is 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beta2: Option<f64>,
    /// Added to the root of the second moment; above 0. Of `adamw` and `muon`; `None` is 1e-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eps: Option<f64>,
    /// Share of the momentum that stays at each step; from 0, below 1. Of `muon`, where `None` is 0.95, and of `sgd`, where it is
    /// 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// Whether a step goes along the momentum as the next gradient would leave it. Of `muon`, where `None` is that it does, and
    /// of `sgd`, where it is that it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    /// How the learning rate of a hidden matrix follows from its shape. Of `muon`; `None` is `original`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<MuonScale>,
    /// Learning rate of hidden matrices, as a factor of that of all other parameters; above 0. Of `muon`; `None` is 20, and 1 with
    /// `scale = "match-rms-adamw"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lr_factor: Option<f64>,
    /// Share of a weight, times the learning rate, that it loses at each step; 0 or more. Tensors with two or more dimensions
    /// decay, vectors do not. `None` is 0.1, and 0 of `sgd`, whose decay is added to the gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    /// Largest L2 norm of the gradient of all parameters together, above 0.
    #[serde(default = "default_max_grad_norm")]
    max_grad_norm: Option<f64>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for a value of the field's type")]
fn default_max_grad_norm() -> Option<f64> {
    Some(MAX_GRAD_NORM)
}

impl Fields {
    /// Refuses constants of other kinds.
    fn refuse_foreign(&self) -> std::result::Result<(), String> {
        let adamw = (self.kind == Kind::Sgd, "\"adamw\"` or `\"muon\"");
        let momentum = (self.kind == Kind::Adamw, "\"muon\"` or `\"sgd\"");
        let muon = (self.kind != Kind::Muon, "\"muon\"");
        let given = [
            ("beta1", self.beta1.is_some(), adamw),
            ("beta2", self.beta2.is_some(), adamw),
            ("eps", self.eps.is_some(), adamw),
            ("momentum", self.momentum.is_some(), momentum),
            ("nesterov", self.nesterov.is_some(), momentum),
            ("scale", self.scale.is_some(), muon),
            ("lr_factor", self.lr_factor.is_some(), muon),
        ];
        match given.into_iter().find(|(_, is_given, (is_foreign, _))| *is_given && *is_foreign) {
            Some((field, _, (_, kinds))) => Err(format!("`{field}` belongs to `kind = {kinds}`")),
            None => Ok(()),
        }
    }

    fn adamw(&self) -> AdamWConfig {
        let default = AdamWConfig::default();
        AdamWConfig {
            beta1: self.beta1.unwrap_or(default.beta1),
            beta2: self.beta2.unwrap_or(default.beta2),
            eps: self.eps.unwrap_or(default.eps),
            weight_decay: self.weight_decay.unwrap_or(default.weight_decay),
            max_grad_norm: self.max_grad_norm,
        }
    }

    fn muon(&self) -> MuonConfig {
        let default = MuonConfig::default();
        let scale = self.scale.unwrap_or_default();
        let lr_factor = match scale {
            MuonScale::Original => default.lr_factor,
            MuonScale::MatchRmsAdamw => 1.0,
        };
        MuonConfig {
            adamw: self.adamw(),
            momentum: self.momentum.unwrap_or(default.momentum),
            nesterov: self.nesterov.unwrap_or(default.nesterov),
            scale,
            lr_factor: self.lr_factor.unwrap_or(lr_factor),
        }
    }

    fn sgd(&self) -> SgdConfig {
        let default = SgdConfig::default();
        SgdConfig {
            momentum: self.momentum.unwrap_or(default.momentum),
            nesterov: self.nesterov.unwrap_or(default.nesterov),
            weight_decay: self.weight_decay.unwrap_or(default.weight_decay),
            max_grad_norm: self.max_grad_norm,
        }
    }
}

impl TryFrom<Fields> for OptimizerConfig {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<Self, String> {
        fields.refuse_foreign()?;
        Ok(match fields.kind {
            Kind::Adamw => fields.adamw().into(),
            Kind::Muon => fields.muon().into(),
            Kind::Sgd => fields.sgd().into(),
        })
    }
}

impl From<AdamWConfig> for Fields {
    fn from(config: AdamWConfig) -> Self {
        Self {
            beta1: Some(config.beta1),
            beta2: Some(config.beta2),
            eps: Some(config.eps),
            weight_decay: Some(config.weight_decay),
            max_grad_norm: config.max_grad_norm,
            ..Self::default()
        }
    }
}

impl From<OptimizerConfig> for Fields {
    fn from(config: OptimizerConfig) -> Self {
        match config {
            OptimizerConfig::AdamW(config) => config.into(),
            OptimizerConfig::Muon(config) => Self {
                kind: Kind::Muon,
                momentum: Some(config.momentum),
                nesterov: Some(config.nesterov),
                scale: Some(config.scale),
                lr_factor: Some(config.lr_factor),
                ..config.adamw.into()
            },
            OptimizerConfig::Sgd(config) => Self {
                kind: Kind::Sgd,
                momentum: Some(config.momentum),
                nesterov: Some(config.nesterov),
                weight_decay: Some(config.weight_decay),
                max_grad_norm: config.max_grad_norm,
                ..Self::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<OptimizerConfig, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(text: &str, expected: impl Into<OptimizerConfig>) {
        let expected = expected.into();
        assert_eq!(read(text).unwrap(), expected);
        expected.validate().unwrap();
        let written = serde_json::to_string(&expected).unwrap();
        assert_eq!(read(&written).unwrap(), expected, "{written}");
    }

    #[test]
    fn a_kind_fills_in_its_own_constants() {
        check("{}", AdamWConfig::default());
        check(r#"{"beta2":0.5}"#, AdamWConfig { beta2: 0.5, ..AdamWConfig::default() });
        check(
            r#"{"weight_decay":0.0,"max_grad_norm":null}"#,
            AdamWConfig { weight_decay: 0.0, max_grad_norm: None, ..AdamWConfig::default() },
        );
        check(r#"{"kind":"muon"}"#, MuonConfig::default());
        check(
            r#"{"kind":"muon","scale":"match-rms-adamw"}"#,
            MuonConfig { scale: MuonScale::MatchRmsAdamw, lr_factor: 1.0, ..MuonConfig::default() },
        );
        check(
            r#"{"kind":"sgd","nesterov":true}"#,
            SgdConfig { nesterov: true, ..SgdConfig::default() },
        );
    }

    #[test]
    fn adamw_is_written_as_it_was_before_there_were_kinds() {
        let written = serde_json::to_value(OptimizerConfig::default()).unwrap();
        let expected = serde_json::json!({
            "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "max_grad_norm": 1.0,
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn constants_of_another_kind_and_misspelt_ones_are_refused() {
        let refused = |text: &str| read(text).unwrap_err();
        assert_eq!(
            refused(r#"{"momentum":0.9}"#),
            "`momentum` belongs to `kind = \"muon\"` or `\"sgd\"`"
        );
        assert_eq!(
            refused(r#"{"kind":"sgd","beta1":0.9}"#),
            "`beta1` belongs to `kind = \"adamw\"` or `\"muon\"`"
        );
        assert_eq!(
            refused(r#"{"kind":"sgd","lr_factor":2.0}"#),
            "`lr_factor` belongs to `kind = \"muon\"`"
        );
        let misspelt = refused(r#"{"betal":0.9}"#);
        assert!(misspelt.starts_with("unknown field `betal`, expected one of `kind`, `beta1`"));
        let other = refused(r#"{"kind":"lion"}"#);
        assert!(
            other.starts_with("unknown variant `lion`, expected one of `adamw`, `muon`, `sgd`")
        );
    }

    #[test]
    fn bad_constants_are_named() {
        let refused = |text: &str| read(text).unwrap().validate().unwrap_err().to_string();
        assert_eq!(refused(r#"{"beta2":1.0}"#), "`beta2` is 1; expected 0 or more and below 1");
        assert_eq!(
            refused(r#"{"kind":"muon","momentum":1.0}"#),
            "`momentum` is 1; expected 0 or more and below 1"
        );
        assert_eq!(
            refused(r#"{"kind":"muon","lr_factor":0.0}"#),
            "`lr_factor` is 0; expected a positive number"
        );
        assert_eq!(
            refused(r#"{"kind":"sgd","max_grad_norm":0.0}"#),
            "`max_grad_norm` is 0; expected a positive number"
        );
    }
}
