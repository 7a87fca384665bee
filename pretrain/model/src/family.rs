//! Families of models, each written once against [`crate::ops::Ops`].

pub mod llama;
