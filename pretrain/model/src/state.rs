//! Everything a training run needs to go on as if it had never stopped.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    checkpoint::{
        Checkpoint, Tensors,
        stored::{Stored, write_stored},
    },
    config::LlamaConfig,
    cpu::Tensor,
    error::Result,
    family::llama::{CpuLlama, specification},
    optim::{AdamW, AdamWConfig},
    param::{Parameters, matrix_shape},
};
