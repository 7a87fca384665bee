//! What every user of a vocabulary needs: train one, write it, load it, encode and decode with it.
//!
//! A vocabulary of ours is byte-level BPE over the GPT-2 pre-token pattern. It is trained in two steps that fit a
//! cluster: pre-tokens are counted part by part ([`PretokenCounts`], mergeable in any order), then
//! [`Vocabulary::train`] learns the merges from the summed counts alone.
//!
//! [`Codec`] loads any `tokenizer.json`. Where the file is byte-level BPE with the GPT-2 pattern, or WordPiece over
//! BERT's words, an engine of our own encodes; it has to prove itself against the `tokenizers` crate when loaded, which
//! does everything else. A BERT vocabulary may also be a `vocab.txt` ([`tokenizer_json_of_vocab_txt`]), a
//! byte-level one may stand in a GGUF file ([`tokenizer_files_of_gguf`]).
//!
//! For labelled words, [`Codec::encode_words`] says which token is of which word, [`WordTokens`] takes labels from words
//! to tokens and back, and [`windows`] cuts what is too long for a model; [`WordRule`] finds the words of plain
//! text. [`TextStream`] gives the text of tokens as they come.
//!
//! ```
//! use codec::{Codec, CodecError, PretokenCounts, Vocabulary};
//!
//! let mut counts = PretokenCounts::default();
//! counts.count("low lower lowest, slow slower slowest")?;
//! let vocabulary = Vocabulary::train(&counts, 270, |_| Ok::<_, CodecError>(()))?;
//! let codec = Codec::of(&vocabulary)?;
//! let ids = codec.encode("lower")?;
//! assert_eq!(codec.decode(&ids)?, "lower");
//! assert!(ids.len() < "lower".len());
//! # Ok::<_, CodecError>(())
//! ```

mod alphabet;
mod bert;
mod bpe;
mod cache;
mod category;
mod codec;
mod count;
mod error;
mod files;
mod gguf;
mod idle;
mod recognise;
mod special;
mod split;
mod stream;
mod train;
mod vocab_txt;
mod vocabulary;
mod windows;
mod word_piece;
mod word_spans;
mod words;

pub use codec::{Codec, Engine, TokenSpan};
pub use count::PretokenCounts;
pub use error::CodecError;
pub use files::{TOKENIZER_CONFIG_JSON, TOKENIZER_JSON, VocabularyFile};
pub use gguf::tokenizer_files_of_gguf;
pub use special::SpecialTokens;
pub use split::{Pretokens, pretokens};
pub use stream::TextStream;
pub use vocab_txt::{VOCAB_TXT, tokenizer_json_of_vocab_txt};
pub use vocabulary::{END_OF_TEXT, MIN_SIZE, Vocabulary};
pub use windows::{Window, first_window, overlapping_windows, windows};
pub use word_spans::WordRule;
pub use words::{LabelledTokens, WordPlace, WordTokens};
