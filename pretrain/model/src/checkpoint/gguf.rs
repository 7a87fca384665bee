//! Models in one file of llama.cpp's form, GGUF, whose numbers may be quantized.
//!
//! Source: `ggml/docs/gguf.md` of ggml; names of tensors and keys: `gguf-py/gguf/constants.py` of llama.cpp.

mod header;

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use candle_core::{
    Device,
    quantized::{GgmlDType, ggml_file::qtensor_from_ggml},
};
use serde_json::{Map, Value};

use self::header::{Header, TensorInfo};
use crate::{
    Checkpoint,
    config::{LlamaConfig, ModelConfig},
    error::{ModelError, Result},
    family::specification,
    param::Parameter,
};

/// The types of numbers that are read, as messages list them.
const TYPES: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K";

/// The embedding of tokens.
const EMBEDDING: &str = "token_embd.weight";

/// The output projection; a file that lacks it has the embedding for one.
const OUTPUT: &str = "output.weight";

/// Factors of the rotary frequencies, as of Llama 3.1.
const ROTARY_FACTORS: &str = "rope_freqs.weight";

/// The parts of a block, as a GGUF file calls them and as `transformers` does.
const BLOCK_PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// A GGUF file with a Llama, of which the head has been read.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    file: File,
    header: Header,
}

impl Gguf {
    /// Reads the head of a file, and makes sure that all its tensors are in it.
    ///
    /// # Errors
    /// When it cannot be read, is no GGUF file of a version that is known, or is cut.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let file_bytes = file.metadata().map_err(unreadable)?.len();
        let header = Header::read(&file, file_bytes, path)?;
        let opened = Self { path: path.to_owned(), file, header };
        opened.require_whole(file_bytes)?;
        Ok(opened)
    }

    /// What the file says of its model and its vocabulary, by key. Numbers of single precision are those that are written
    /// with the fewest digits: `1e-5` where a converter rounded that.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.header.metadata
    }

    /// How many tensors there are of each type of numbers, by the name of the type.
    pub fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for info in self.header.tensors.values() {
            *types.entry(info.type_name()).or_default() += 1;
        }
        types
    }

    /// The shape of the model.
    ///
    /// # Errors
    /// When the file is of another architecture than `llama`, a part of a model, or asks for something that is not
    /// implemented, such as experts or scaled rotary; and when a key is missing or contradicts the tensors.
    pub fn config(&self) -> Result<LlamaConfig> {
        let tensors = &self.header.tensors;
        let rows = tensors.get(EMBEDDING).and_then(|info| info.shape.first().copied());
        let config = LlamaConfig::from_gguf(
            &self.header.metadata,
            (rows, !tensors.contains_key(OUTPUT)),
            &self.path,
        )?;
        // Every layer has tensors, so this bounds what is listed of a config that nobody checked.
        if config.num_hidden_layers > tensors.len() {
            return Err(ModelError::TooManyLayers {
                file: self.path.clone(),
                found: config.num_hidden_layers,
                tensors: tensors.len(),
            });
        }
        Ok(config)
    }

    /// The model, its weights as `f32`: one tensor after another is read and dequantized, so that memory holds the weights
    /// and one tensor of the file, as it is stored and as it is widened.
    ///
    /// Rows of the queries and keys stand in the file as interleaved rotary wants them, and are put back into the order of
    /// `transformers`.
    ///
    /// # Errors
    /// As of [`Self::config`]; when a tensor is missing, unexpected, of another shape than the config promises, or of a
    /// type that is not read.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let config = self.config()?;
        let head_dim = config.head_dim;
        let config = ModelConfig::from(config);
        let specification = specification(&config);
        let stored: BTreeMap<String, &str> =
            specification.iter().map(|entry| (stored_name(&entry.name), &*entry.name)).collect();
        self.refuse_others(&stored, &config)?;
        let weights: Result<_> = specification
            .iter()
            .map(|entry| {
                let Parameter { name, shape, .. } = entry;
                let mut value = self.floats(&stored_name(name), shape)?;
                if is_rotated(name) {
                    value = halves_of_pairs(&value, head_dim, shape[1]);
                }
                Ok(entry.with(value))
            })
            .collect();
        Ok(Checkpoint { weights: weights?, config })
    }

    /// Refuses tensors that a model does not have.
    fn refuse_others(&self, stored: &BTreeMap<String, &str>, config: &ModelConfig) -> Result<()> {
        let file = self.path.clone();
        match self.header.tensors.keys().find(|name| !stored.contains_key(*name)) {
            Some(name) if name == ROTARY_FACTORS => Err(ModelError::Gguf {
                file,
                place: format!("tensor `{name}`"),
                found: "factors of the rotary frequencies".to_owned(),
                expected: "none: scaled rotary is not implemented".to_owned(),
            }),
            Some(name) => Err(ModelError::UnexpectedTensor {
                file,
                tensor: name.clone(),
                whose: config.architecture(),
            }),
            None => Ok(()),
        }
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (file, tensor) = (self.path.clone(), name.to_owned());
        let Some(info) = self.header.tensors.get(name) else {
            return Err(ModelError::MissingTensor { file, tensor, expected: shape.to_vec() });
        };
        if info.shape != shape {
            let found = info.shape.clone();
            return Err(ModelError::WrongShape { file, tensor, found, expected: shape.to_vec() });
        }
        let dtype = self.dtype(name, info)?;
        let (start, bytes) = self.place(name, info, dtype)?;
        let mut stored = vec![0; bytes];
        let read = self.file.read_exact_at(&mut stored, start);
        read.map_err(|source| ModelError::Read { path: self.path.clone(), source })?;
        let convert = || {
            let quantized = qtensor_from_ggml(dtype, &stored, shape.to_vec(), &Device::Cpu)?;
            quantized.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
        };
        convert().map_err(|source: candle_core::Error| ModelError::Convert {
            file,
            tensor,
            source: Box::new(source),
        })
    }

    /// Refuses a file that ends before its last tensor does.
    fn require_whole(&self, file_bytes: u64) -> Result<()> {
        for (name, info) in &self.header.tensors {
            // Those of types that are not read are told when they are.
            let Some(dtype) = info.dtype() else { continue };
            let (start, bytes) = self.place(name, info, dtype)?;
            let end = start.saturating_add(bytes as u64);
            if end > file_bytes {
                return Err(ModelError::Truncated {
                    file: self.path.clone(),
                    place: format!("tensor `{name}`"),
                    found: file_bytes,
                    expected: end,
                });
            }
        }
        Ok(())
    }

    /// Where the numbers of a tensor begin in the file, and how many bytes they take.
    fn place(&self, name: &str, info: &TensorInfo, dtype: GgmlDType) -> Result<(u64, usize)> {
        let blocks = info.num_values().filter(|values| values.is_multiple_of(dtype.block_size()));
        let bytes =
            blocks.and_then(|values| (values / dtype.block_size()).checked_mul(dtype.type_size()));
        let start = self.header.data_start.checked_add(info.offset);
        start.zip(bytes).ok_or_else(|| ModelError::Gguf {
            file: self.path.clone(),
            place: format!("tensor `{name}`"),
            found: format!("{} with shape {:?}", info.type_name(), info.shape),
            expected: format!("whole blocks of {} numbers", dtype.block_size()),
        })
    }

    fn dtype(&self, name: &str, info: &TensorInfo) -> Result<GgmlDType> {
        info.dtype().ok_or_else(|| ModelError::WrongType {
            file: self.path.clone(),
            tensor: name.to_owned(),
            found: info.type_name(),
            expected: TYPES,
        })
    }
}

/// What a GGUF file calls a tensor of a Llama.
fn stored_name(name: &str) -> String {
    match name {
        "model.embed_tokens.weight" => return EMBEDDING.to_owned(),
        "model.norm.weight" => return "output_norm.weight".to_owned(),
        "lm_head.weight" => return OUTPUT.to_owned(),
        _ => {}
    }
    let of_block = || {
        let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let part = part.strip_suffix(".weight")?;
        let (stored, _) = BLOCK_PARTS.iter().find(|(_, known)| *known == part)?;
        Some(format!("blk.{layer}.{stored}.weight"))
    };
    of_block().unwrap_or_else(|| name.to_owned())
}

/// Whether rotary turns what a tensor gives.
fn is_rotated(name: &str) -> bool {
    name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight")
}

/// Rows of heads in which rotary turns neighbours, in the order in which it turns the two halves of a head.
///
/// Row `half * head_dim / 2 + pair` of a head is row `2 * pair + half` of it in the file.
///
/// Source: the inverse of `LlamaModel.permute` in `convert_hf_to_gguf.py` of llama.cpp.
fn halves_of_pairs(rows: &[f32], head_dim: usize, row: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(rows.len());
    for head in rows.chunks(head_dim * row) {
        for half in 0..2 {
            for pair in 0..head_dim / 2 {
                ordered.extend_from_slice(&head[(2 * pair + half) * row..][..row]);
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_each_head_become_halves() {
        let rows: Vec<f32> =
            [0, 1, 2, 3, 4, 5, 6, 7].into_iter().flat_map(|row| [row as f32; 2]).collect();
        let found: Vec<f32> = halves_of_pairs(&rows, 4, 2).into_iter().step_by(2).collect();
        assert_eq!(found, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    #[test]
    fn tensors_are_named_as_llama_cpp_names_them() {
        assert_eq!(stored_name("model.layers.12.mlp.down_proj.weight"), "blk.12.ffn_down.weight");
        assert_eq!(stored_name("model.norm.weight"), "output_norm.weight");
        assert_eq!(stored_name("lm_head.weight"), "output.weight");
    }
}
