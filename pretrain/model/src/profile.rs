//! Which arithmetic a step computes with.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// The arithmetic of a step with tensors.
///
/// Within a profile results are bit-identical, whatever threads, workers, order of tasks or resumes; across profiles
/// they agree to rounding. A profile is part of the key of what was computed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NumericProfile {
    /// AVX-512 with bf16 products accumulated in f32.
    X86V4Bf16,
    /// AVX-512, f32.
    X86V4,
    /// AVX2 with fused multiply-add, f32.
    X86V3,
    /// Scalar f32 in the same order everywhere.
    Portable,
    /// An NVIDIA device.
    Cuda,
}

impl NumericProfile {
    /// The f32 profile that this processor and this build compute with.
    pub fn resolve() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let v3 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let v4 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match (v3, v4) {
                (true, true) => return Self::X86V4,
                (true, false) => return Self::X86V3,
                (false, _) => {}
            }
        }
        Self::Portable
    }

    /// Checks that this processor and this build compute with `self`.
    ///
    /// A better processor is refused as well: crate `gemm` picks its kernel by processor, so the bits would differ.
    ///
    /// # Errors
    /// [`ModelError::Profile`] names both profiles.
    pub fn require(self) -> Result<()> {
        let found = Self::resolve();
        if found == self { Ok(()) } else { Err(ModelError::Profile { found, expected: self }) }
    }
}

impl fmt::Display for NumericProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86V4Bf16 => "x86-v4-bf16",
            Self::X86V4 => "x86-v4",
            Self::X86V3 => "x86-v3",
            Self::Portable => "portable",
            Self::Cuda => "cuda",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_files_and_messages() {
        use NumericProfile::{Cuda, Portable, X86V3, X86V4, X86V4Bf16};
        for profile in [X86V4Bf16, X86V4, X86V3, Portable, Cuda] {
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.to_string());
        }
    }

    #[test]
    fn a_node_computes_with_its_own_profile_only() {
        NumericProfile::resolve().require().unwrap();
        let message = NumericProfile::Cuda.require().unwrap_err().to_string();
        assert!(
            message.starts_with("numeric profile `cuda` was asked for; this processor"),
            "{message}"
        );
    }
}
