//! Words that are spelt wrong, and the text with them put right.
//!
//! RAID's misspelling attack (Dugan et al. 2024, arXiv 2405.07940) spells common words wrong, because a model finds that
//! unlikely and a reader does not mind. People spell wrong without any such wish, so a text is judged as it is written, and
//! what it would be taken for with its words put right is told beside it.
//!
//! What is wrong is said by the dictionary of the project typos, which holds common misspellings of English and leaves out
//! what is a word in any of its varieties.

use serde::Serialize;
use std::ops::Range;
use typos_dict::WORD;
use unicase::UniCase;
use unicode_segmentation::UnicodeSegmentation;

/// A word that is spelt wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misspelling {
    /// Byte offset in the text.
    pub start: usize,
    /// Byte offset in the text, just behind it.
    pub end: usize,
    /// The word as it is spelt.
    pub found: String,
    /// The word that was most likely meant.
    pub meant: String,
}

/// The words of an English text that are spelt wrong, in its order. Names are passed over: words with a capital letter
/// anywhere but at the beginning of a sentence, and words with other letters than those of the alphabet.
pub fn misspellings(text: &str) -> Vec<Misspelling> {
    let wrong = text.unicode_word_indices().filter_map(|(start, word)| {
        let (first, rest) = word.as_bytes().split_first()?;
        let is_word = rest.iter().all(u8::is_ascii_lowercase)
            && (first.is_ascii_lowercase() || (first.is_ascii_uppercase() && starts_sentence(&text[..start])));
        let meant = WORD.find(&UniCase::new(word)).filter(|_| is_word)?.first()?;
        let mut meant = (*meant).to_owned();
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

/// The text with these words put right.
pub fn corrected(text: &str, misspellings: &[Misspelling]) -> String {
    let edits = misspellings.iter();
    edited(text, edits.map(|wrong| (wrong.start..wrong.end, wrong.meant.as_str())))
}

/// Makes changes that are in the order of the text and do not overlap: the bytes that go, and what comes in their place.
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

/// Whether what follows this is the first word of a sentence.
fn starts_sentence(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '“' | '‘' | '\'' | '('));
    before.is_empty() || before.ends_with(['.', '!', '?', '…', ':', '"', '”'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn names_other_letters_and_both_spellings_of_english_are_no_mistakes() {
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
