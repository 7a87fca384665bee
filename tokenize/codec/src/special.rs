//! Special tokens beside the end of text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CodecError, END_OF_TEXT};

/// Special tokens of a vocabulary beside the end of text, by what they are for: those of models that guess masked tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecialTokens {
    /// Begins a sequence, which is classified by it; for example `[CLS]`. `None` has no such token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cls: Option<String>,
    /// Ends each text of a sequence; for example `[SEP]`. `None` has no such token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sep: Option<String>,
    /// Stands where a token is to be guessed; for example `[MASK]`. `None` has no such token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

impl SpecialTokens {
    /// The tokens that there are, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [&self.cls, &self.sep, &self.mask].into_iter().flatten().map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that they can be told apart.
    ///
    /// # Errors
    /// [`CodecError::SpecialToken`] names the first that is empty, the end of text, or there twice.
    pub fn validate(&self) -> Result<(), CodecError> {
        let mut seen = vec!["", END_OF_TEXT];
        for token in self.iter() {
            if seen.contains(&token) {
                return Err(CodecError::SpecialToken { token: token.to_owned() });
            }
            seen.push(token);
        }
        Ok(())
    }
}
