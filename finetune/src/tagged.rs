//! Tagged sentences as token sequences.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use codec::{Window, WordPlace, WordTokens, first_window, overlapping_windows};
use pipelines::error::TaskError;
use pipelines::input::TaskInputs;
use pipelines::table::examples::Split;
use rayon::prelude::*;

use crate::config::{LabelledTokens, TooLong};
use crate::error::FinetuneError;
use crate::rows::{Dataset, Encoder, Named, Rows, Sentence, Tags, Targets, named, quoted};

/// The tag of words outside of entities, which a word without tokens gets.
const OUTSIDE: &str = "O";

/// A sentence, cut into windows.
struct Encoded {
    words: WordTokens,
    windows: Vec<Window>,
    is_truncated: bool,
}

/// Reads and encodes the tagged rows of train and validation; test rows are not looked at.
///
/// # Errors
/// When a table cannot be read, a row has not a tag for each token, is too long, or has a tag that is on no token of train,
/// or when train has no entity.
pub fn read(
    inputs: &TaskInputs,
    encoder: &Encoder<'_>,
    labelled: LabelledTokens,
) -> Result<Dataset, TaskError> {
    let rows = named(inputs)?;
    rows.iter().try_for_each(check_lengths)?;
    let labels = labels(&rows)?;
    let room = room(encoder)?;
    let encoded: Vec<Encoded> =
        rows.par_iter().map(|row| encode(encoder, room, row)).collect::<Result<_, _>>()?;
    let num_truncated = encoded.iter().filter(|row| row.is_truncated).count() as u64;
    let [mut train, mut validation] =
        [(Vec::new(), Tags::default()), (Vec::new(), Tags::default())];
    for (row, encoded) in rows.iter().zip(&encoded) {
        let tags = places(&labels, row)?;
        let split = match row.example.split {
            Split::Train => &mut train,
            _ => &mut validation,
        };
        push(encoder, encoded, tags, labelled, split);
    }
    let rows = |(sequences, tags)| Rows { sequences, targets: Targets::Tags(tags) };
    Ok(Dataset { labels, train: rows(train), validation: rows(validation), num_truncated })
}

fn check_lengths(row: &Named) -> Result<(), FinetuneError> {
    let (tokens, tags) = (row.example.tokens.len(), row.example.tags.len());
    if tokens > 0 && tokens == tags {
        return Ok(());
    }
    Err(FinetuneError::NotTagged { name: row.file.clone(), row: row.row(), tokens, tags })
}

/// `O`, then the other tags of the train split, sorted.
fn labels(rows: &[Named]) -> Result<Vec<String>, FinetuneError> {
    let train = rows.iter().filter(|row| row.example.split == Split::Train);
    let tags: BTreeSet<&String> = train.flat_map(|row| &row.example.tags).collect();
    let others = tags.into_iter().filter(|tag| *tag != OUTSIDE).cloned();
    let labels: Vec<String> = [OUTSIDE.to_owned()].into_iter().chain(others).collect();
    if labels.len() > 1 { Ok(labels) } else { Err(FinetuneError::NoEntity) }
}

/// The places of the row's tags in the list.
fn places(labels: &[String], row: &Named) -> Result<Vec<u32>, FinetuneError> {
    let place = |tag: &String| {
        let place = labels.iter().position(|known| known == tag);
        place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| FinetuneError::UnseenTag {
            name: row.file.clone(),
            row: row.row(),
            split: row.example.split.name(),
            tag: tag.clone(),
            known: quoted(labels),
        })
    };
    row.example.tags.iter().map(place).collect()
}

/// Tokens of a text that fit between the special ones.
fn room(encoder: &Encoder<'_>) -> Result<NonZeroUsize, FinetuneError> {
    let (found, special) = (encoder.max_length, encoder.form.join(&[], None).tokens.len());
    let room = NonZeroUsize::new(found.saturating_sub(special));
    room.ok_or(FinetuneError::NoRoom { found, expected: special + 1 })
}

fn encode(
    encoder: &Encoder<'_>,
    room: NonZeroUsize,
    row: &Named,
) -> Result<Encoded, FinetuneError> {
    let name = || row.file.clone();
    let words = encoder
        .codec
        .encode_words(&row.example.tokens)
        .map_err(|source| FinetuneError::Encode { name: name(), row: row.row(), source })?;
    let num_tokens = words.ids.len();
    let is_too_long = num_tokens > room.get();
    let windows = match encoder.too_long {
        TooLong::Refuse if is_too_long => {
            let expected = encoder.max_length;
            let found = num_tokens + expected - room.get();
            return Err(FinetuneError::TooLongSentence {
                name: name(),
                row: row.row(),
                found,
                expected,
            });
        }
        TooLong::Windows => overlapping_windows(num_tokens, room),
        TooLong::Refuse | TooLong::Truncate => first_window(num_tokens, room),
    };
    let is_truncated = is_too_long && encoder.too_long == TooLong::Truncate;
    Ok(Encoded { words, windows, is_truncated })
}

/// Adds the windows of a sentence that have something to learn, and the sentence.
fn push(
    encoder: &Encoder<'_>,
    encoded: &Encoded,
    tags: Vec<u32>,
    labelled: LabelledTokens,
    (sequences, split): &mut (Vec<Vec<u32>>, Tags),
) {
    let Encoded { words, windows, .. } = encoded;
    let before = usize::from(encoder.form.prefix().is_some());
    let mut numbers = Vec::with_capacity(windows.len());
    for window in windows {
        let sequence = encoder.form.join(&words.ids[window.tokens.clone()], None).tokens;
        let mut targets = vec![None; sequence.len()];
        for token in window.kept.clone() {
            let word = words.word_idx[token];
            let is_first = token == 0 || words.word_idx[token - 1] != word;
            if is_first || labelled == LabelledTokens::All {
                targets[before + token - window.tokens.start] = Some(tags[word]);
            }
        }
        numbers.push(sequences.len());
        // A window in the middle of a long word has no target: it would be read for nothing.
        if targets.iter().any(Option::is_some) {
            sequences.push(sequence);
            split.tokens.push(targets);
        }
    }
    let place =
        |found: WordPlace| WordPlace { window: numbers[found.window], token: before + found.token };
    let places = words.places(windows).into_iter().map(|found| found.map(place)).collect();
    split.sentences.push(Sentence { tags, places });
}
