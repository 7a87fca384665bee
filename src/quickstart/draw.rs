//! Which labelled rows are kept of those that could be.

use std::collections::{BTreeMap, btree_map::Entry};

/// A row with its label.
pub trait Labelled {
    /// Rows of one stratum are counted together.
    type Stratum: Clone + Ord;

    /// What copies of the row have in common.
    fn letters(&self) -> String;

    /// Whether `other`, of equal letters, is labelled alike.
    fn agrees(&self, other: &Self) -> bool;

    /// What it is counted with.
    fn stratum(&self) -> Self::Stratum;

    /// The repository that it comes from.
    fn group(&self) -> &str;
}

/// How many rows of a stratum are drawn at most, inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From all repositories.
    pub max_rows: usize,
    /// From one repository: large ones would otherwise be most of it.
    pub max_per_repository: usize,
}

/// The rows that are kept, in the order of `candidates`.
///
/// Rows of equal letters are kept once, the first; where they are labelled in different ways, none is. Of the others, as
/// many are kept as `bounds` allows each stratum, drawn in the order of a digest of the letters.
pub fn draw<R: Labelled>(candidates: Vec<R>, bounds: impl Fn(&R::Stratum) -> Bounds) -> Vec<R> {
    let mut distinct: BTreeMap<String, (usize, R, bool)> = BTreeMap::new();
    for (order, row) in candidates.into_iter().enumerate() {
        match distinct.entry(row.letters()) {
            Entry::Occupied(mut found) => {
                let (_, first, agree) = found.get_mut();
                *agree &= first.agrees(&row);
            }
            Entry::Vacant(place) => {
                place.insert((order, row, true));
            }
        }
    }
    let mut drawn: Vec<_> = distinct
        .into_iter()
        .filter(|(_, (_, _, agree))| *agree)
        .map(|(letters, (order, row, _))| {
            (*blake3::hash(letters.as_bytes()).as_bytes(), order, row)
        })
        .collect();
    drawn.sort_by_key(|(digest, _, _)| *digest);
    let mut per_stratum: BTreeMap<R::Stratum, usize> = BTreeMap::new();
    let mut per_repository: BTreeMap<(R::Stratum, String), usize> = BTreeMap::new();
    drawn.retain(|(_, _, row)| {
        let stratum = row.stratum();
        let Bounds { max_rows, max_per_repository } = bounds(&stratum);
        let rows = per_stratum.entry(stratum.clone()).or_default();
        let of_repository = per_repository.entry((stratum, row.group().to_owned())).or_default();
        let fits = *rows < max_rows && *of_repository < max_per_repository;
        *rows += usize::from(fits);
        *of_repository += usize::from(fits);
        fits
    });
    drawn.sort_by_key(|(_, order, _)| *order);
    drawn.into_iter().map(|(_, _, row)| row).collect()
}

/// What texts are compared by: their letters, in lower case.
pub fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Row {
        name: String,
        text: String,
        label: char,
        group: String,
    }

    impl Labelled for Row {
        type Stratum = char;

        fn letters(&self) -> String {
            letters(&self.text)
        }

        fn agrees(&self, other: &Self) -> bool {
            self.label == other.label
        }

        fn stratum(&self) -> char {
            self.label
        }

        fn group(&self) -> &str {
            &self.group
        }
    }

    fn row(name: &str, text: &str, label: char, group: &str) -> Row {
        Row { name: name.into(), text: text.into(), label, group: group.into() }
    }

    fn drawn(candidates: Vec<Row>, max_rows: usize) -> Vec<String> {
        let bounds = Bounds { max_rows, max_per_repository: 20 };
        draw(candidates, |_| bounds).into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn equal_letters_are_kept_once() {
        let (a, b) = ("If the index is `8`!", "if THE index is 9");
        let twice = vec![row("1", a, 'p', "x"), row("2", b, 'p', "y"), row("3", "other", 'p', "y")];
        assert_eq!(drawn(twice, 9), ["1", "3"]);
    }

    #[test]
    fn a_row_with_two_labels_is_dropped() {
        assert!(
            drawn(['p', 'e', 'p'].map(|label| row("1", "same", label, "x")).to_vec(), 9).is_empty()
        );
    }

    #[test]
    fn strata_and_repositories_are_bounded() {
        let words: Vec<String> = (0..60_u32)
            .map(|i| (0..6).map(|bit| if i >> bit & 1 == 1 { 'a' } else { 'b' }).collect())
            .collect();
        let candidates = |label: char, group: fn(usize) -> String| -> Vec<Row> {
            let rows = words.iter().enumerate();
            rows.map(|(i, word)| {
                row(&format!("{i:02}"), &format!("{word}{label}"), label, &group(i))
            })
            .collect()
        };
        assert_eq!(drawn(candidates('s', |_| "one".into()), 100).len(), 20);
        let ids = drawn(candidates('s', |i| i.to_string()), 33);
        assert!(ids.len() == 33 && ids.is_sorted());
        let two = [candidates('s', |i| i.to_string()), candidates('e', |i| i.to_string())];
        assert_eq!(drawn(two.concat(), 33).len(), 66);
    }
}
