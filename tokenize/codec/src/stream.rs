//! Text of tokens that come one after another.

use crate::{Codec, CodecError};

/// Gives the text of tokens as they come, in whole characters: what every token adds, and only once no later token can
/// change it. Parts of a character wait for its other bytes; bytes that never become UTF-8 are U+FFFD.
///
/// Source: `DecodeStream` of tokenizers 0.23.
///
/// ```
/// use codec::{Codec, CodecError, PretokenCounts, TextStream, Vocabulary};
///
/// let vocabulary = Vocabulary::train(&PretokenCounts::default(), 257, |_| Ok::<_, CodecError>(()))?;
/// let codec = Codec::of(&vocabulary)?;
/// let ids = codec.encode("né")?;
/// let mut stream = TextStream::behind(&codec, &[])?;
/// let pieces: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect::<Result<_, _>>()?;
/// assert_eq!(pieces, ["n", "", "é"]);
/// assert_eq!(stream.finish()?, "");
/// # Ok::<_, CodecError>(())
/// ```
pub struct TextStream<'a> {
    codec: &'a Codec,
    /// The tokens whose text was given last, since decoders look at neighbours, and those whose text was not given.
    ids: Vec<u32>,
    /// How many of them were given, and their text.
    num_given: usize,
    given: String,
}

impl<'a> TextStream<'a> {
    /// What comes behind the tokens `before`, whose own text is not given.
    ///
    /// # Errors
    /// If an id is not below the codec's vocabulary size.
    pub fn behind(codec: &'a Codec, before: &[u32]) -> Result<Self, CodecError> {
        let given = codec.decode(before)?;
        Ok(Self { codec, ids: before.to_vec(), num_given: before.len(), given })
    }

    /// Takes a token, and gives the text that is certain now; often that of the token, sometimes none.
    ///
    /// # Errors
    /// If the id is not below the codec's vocabulary size.
    pub fn push(&mut self, id: u32) -> Result<String, CodecError> {
        self.ids.push(id);
        let text = self.codec.decode(&self.ids)?;
        match text.strip_prefix(&self.given) {
            Some(new) if !new.is_empty() && !new.ends_with(char::REPLACEMENT_CHARACTER) => {
                let new = new.to_owned();
                self.ids.drain(..self.num_given);
                self.num_given = self.ids.len();
                self.given = self.codec.decode(&self.ids)?;
                Ok(new)
            }
            _ => Ok(String::new()),
        }
    }

    /// What waited for tokens that do not come.
    ///
    /// # Errors
    /// None that [`push`](Self::push) did not have.
    pub fn finish(self) -> Result<String, CodecError> {
        let text = self.codec.decode(&self.ids)?;
        let same = text.chars().zip(self.given.chars()).take_while(|(a, b)| a == b);
        let given: usize = same.map(|(same, _)| same.len_utf8()).sum();
        Ok(text[given..].to_owned())
    }
}
