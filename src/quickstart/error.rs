//! How writing the sample data can fail.

use std::{io, path::PathBuf};

/// Why the sample data could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    #[error(
        "{registry}: holds the sources of {found} of at least {wanted} packages that this program is made of; \
         `cargo fetch` in the project's folder brings them, CARGO_HOME says where cargo keeps them"
    )]
    MissingSources { registry: PathBuf, found: usize, wanted: usize },
    #[error("{path}: not a manifest or lock file as cargo writes them")]
    Manifest { path: PathBuf, source: toml::de::Error },
    #[error("{path}: not part of this sample; remove it, or choose another folder")]
    Foreign { path: PathBuf },
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
}
