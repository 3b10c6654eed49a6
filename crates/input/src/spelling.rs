//! Finds misspelt English words and corrects them.
//!
//! RAID's misspelling attack (Dugan et al. 2024, arXiv 2405.07940) misspells common words: models find misspellings
//! unlikely, and readers overlook them. Honest writers misspell words too. So a text is judged as written, and the
//! report adds the verdict on the corrected text.
//!
//! The dictionary is that of the project typos (crate typos-dict 0.13, MIT or Apache-2.0), as a sorted file: as source code
//! its 80,000 entries take longer to compile than the rest of this crate. It lists common misspellings, except those that are
//! words in some variety of English. `crates/attacks` tests that the file agrees with the crate.

use serde::Serialize;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;
use unicode_segmentation::UnicodeSegmentation;

/// One misspelling a line, in lower case, with a space and the likeliest word behind it; sorted by bytes.
pub const DICTIONARY: &str = include_str!("../data/misspellings.txt");

/// A misspelt word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misspelling {
    /// Byte offset in the text.
    pub start: usize,
    /// Byte offset just after the word.
    pub end: usize,
    /// The word as written.
    pub found: String,
    /// The word that the writer most likely meant.
    pub meant: String,
}

/// The misspelt words of an English text, in order. Names are skipped: words with a capital letter inside a sentence,
/// and words with letters outside the English alphabet.
pub fn misspellings(text: &str) -> Vec<Misspelling> {
    let wrong = text.unicode_word_indices().filter_map(|(start, word)| {
        let (first, rest) = word.as_bytes().split_first()?;
        let is_word = rest.iter().all(u8::is_ascii_lowercase)
            && (first.is_ascii_lowercase() || (first.is_ascii_uppercase() && starts_sentence(&text[..start])));
        let mut meant = is_word.then(|| meant_by(&word.to_ascii_lowercase()))??.to_owned();
        if let Some(letter) = meant.get_mut(..1).filter(|_| first.is_ascii_uppercase()) {
            letter.make_ascii_uppercase();
        }
        Some(Misspelling {
            start,
            end: start + word.len(),
            found: word.to_owned(),
            meant,
        })
    });
    wrong.collect()
}

/// Whether a word in lower case is a common English word: the dictionary corrects some misspelling to it.
pub(crate) fn is_word(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        DICTIONARY
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1))
            .collect()
    });
    WORDS.contains(word)
}

/// What the dictionary has for a word in lower case, by bisection.
fn meant_by(word: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, DICTIONARY.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let mut before = DICTIONARY.as_bytes()[..middle].iter();
        let start = before.rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = DICTIONARY[start..].lines().next()?;
        let (known, meant) = line.split_once(' ')?;
        match word.cmp(known) {
            Ordering::Equal => return Some(meant),
            Ordering::Less => high = start,
            Ordering::Greater => low = start + line.len() + 1,
        }
    }
    None
}

/// The text with these words corrected.
pub fn corrected(text: &str, misspellings: &[Misspelling]) -> String {
    let edits = misspellings.iter();
    edited(text, edits.map(|wrong| (wrong.start..wrong.end, wrong.meant.as_str())))
}

/// Replaces ranges of bytes. The edits must be in the order of the text and must not overlap.
pub fn edited<'a>(text: &str, edits: impl Iterator<Item = (Range<usize>, &'a str)>) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut done = 0;
    for (range, by) in edits {
        changed.push_str(&text[done..range.start]);
        changed.push_str(by);
        done = range.end;
    }
    changed.push_str(&text[done..]);
    changed
}

/// Whether the word after this text begins a sentence.
fn starts_sentence(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '“' | '‘' | '\'' | '('));
    before.is_empty() || before.ends_with(['.', '!', '?', '…', ':', '"', '”'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_of_the_dictionary_is_found() {
        let mut before = "";
        for line in DICTIONARY.lines() {
            let (word, meant) = line.split_once(' ').unwrap();
            assert!(before < word, "{word} is out of order");
            assert_eq!(meant_by(word), Some(meant));
            before = word;
        }
        for word in ["", "a", "house", "zzzzzz", "\u{fc}ber"] {
            assert_eq!(meant_by(word), None, "{word}");
        }
    }

    #[test]
    fn words_are_put_right_where_they_stand() {
        let text = "Becuase it was thier hat, they recieved \u{201c}definately\u{201d} adn.";
        let wrong = misspellings(text);
        let found: Vec<&str> = wrong.iter().map(|wrong| wrong.found.as_str()).collect();
        assert_eq!(found, ["Becuase", "thier", "recieved", "definately", "adn"]);
        assert!(wrong.iter().all(|wrong| text[wrong.start..wrong.end] == wrong.found));
        assert_eq!(
            corrected(text, &wrong),
            "Because it was their hat, they received \u{201c}definitely\u{201d} and."
        );
    }

    #[test]
    fn names_other_letters_and_both_spellings_of_english_are_not_mistakes() {
        for text in [
            "We met Somme and Wether, and a Mr Recieve of BASF, by THIER house.",
            "The colour and the color, to realise and to realize, a theatre, a programme.",
            "don't, it's, na\u{ef}ve, recieve\u{301}, thier2, thier_hat",
            "",
        ] {
            assert_eq!(misspellings(text), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_put_right(text in any::<String>()) {
            let wrong = misspellings(&text);
            prop_assert_eq!(corrected(&text, &wrong) == text, wrong.is_empty());
        }

        #[test]
        fn what_was_put_right_is_right(words in proptest::collection::vec("thier|recieve|hat|teh|\\. |[a-z]{1,6}", 0..40)) {
            let text = words.join(" ");
            let right = corrected(&text, &misspellings(&text));
            prop_assert_eq!(misspellings(&right), []);
        }
    }
}
