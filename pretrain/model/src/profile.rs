//! Which arithmetic a step computes with.

use std::{fmt, sync::LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    device::Device,
    error::{ModelError, Result},
};

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
    /// Those of processors, the plainest first.
    pub const OF_PROCESSORS: [Self; 4] =
        [Self::Portable, Self::X86V3, Self::X86V4, Self::X86V4Bf16];

    /// The profile of what is not computed in bf16 in one that is.
    pub(crate) fn in_f32(self) -> Self {
        if self == Self::X86V4Bf16 { Self::X86V4 } else { self }
    }

    /// The best f32 profile of this processor.
    pub fn resolve() -> Self {
        let best = [Self::X86V4, Self::X86V3].into_iter().find(|profile| profile.is_here());
        best.unwrap_or(Self::Portable)
    }

    /// Whether this processor and this build compute with `self`; of [`Self::Cuda`], whether an NVIDIA device can be opened.
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Cuda => has_cuda(),
            #[cfg(target_arch = "x86_64")]
            Self::X86V3 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::X86V4 => {
                Self::X86V3.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::X86V4Bf16 => Self::X86V4.is_here() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::X86V3 | Self::X86V4 | Self::X86V4Bf16 => false,
        }
    }

    /// Checks that this processor and this build compute with `self`. A better processor does, in the same bits.
    ///
    /// # Errors
    /// [`ModelError::Profile`] names it, and the best f32 profile of this processor.
    pub fn require(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(self.refused())
    }

    /// The same, and that it is a profile of processors.
    pub(crate) fn require_of_processor(self) -> Result<()> {
        if Self::OF_PROCESSORS.contains(&self) { self.require() } else { Err(self.refused()) }
    }

    fn refused(self) -> ModelError {
        ModelError::Profile { found: Self::resolve(), expected: self }
    }
}

/// Asked once, for it takes a second to open a device.
fn has_cuda() -> bool {
    static HAS_CUDA: LazyLock<bool> = LazyLock::new(|| Device::cuda().is_ok());
    *HAS_CUDA
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
    fn a_node_computes_with_the_profiles_that_it_has() {
        NumericProfile::resolve().require().unwrap();
        NumericProfile::Portable.require().unwrap();
        let message = NumericProfile::Cuda.require_of_processor().unwrap_err().to_string();
        assert!(
            message.starts_with("numeric profile `cuda` was asked for; this processor"),
            "{message}"
        );
    }

    #[test]
    fn a_device_is_there_if_it_can_be_opened() {
        assert_eq!(NumericProfile::Cuda.is_here(), NumericProfile::Cuda.require().is_ok());
        if !cfg!(feature = "cuda") {
            let error = Device::cuda().unwrap_err();
            assert!(matches!(error, ModelError::Device { .. }), "{error}");
        }
    }
}
