//! Cuts texts into pieces at the ends of sentences.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The pieces of a text: stretches of whole sentences, each of at least `words` words between white space, without the
/// white space around them. Together they have all words of the text. A sentence of more than `words` words is cut after
/// so many. If fewer than `least` words are left for the last piece, the one before has them too.
pub fn pieces(text: &str, words: usize, least: usize) -> Vec<Range<usize>> {
    let sentences = sentences(text, words);
    let counts = sentences.iter().map(|(_, count)| *count);
    let span = |piece: Range<usize>| sentences[piece.start].0.start..sentences[piece.end - 1].0.end;
    neighbours(counts, words, least).into_iter().map(span).collect()
}

/// The neighbours that make up pieces of at least `words` words, as ranges of places. `counts` has the number of words of
/// each sentence. If fewer than `least` words are left for the last piece, the one before has them too.
pub fn neighbours(counts: impl Iterator<Item = usize> + Clone, words: usize, least: usize) -> Vec<Range<usize>> {
    let mut left: usize = counts.clone().sum();
    let (mut found, mut start, mut in_piece, mut end) = (Vec::new(), 0, 0, 0);
    for count in counts {
        end += 1;
        left -= count;
        in_piece += count;
        if in_piece >= words && left >= least {
            found.push(start..end);
            (start, in_piece) = (end, 0);
        }
    }
    if start < end {
        found.push(start..end);
    }
    found
}

/// Sentences with the number of their words, without the white space around them. A sentence of more than `most` words is
/// cut.
fn sentences(text: &str, most: usize) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, sentence) in text.split_sentence_bound_indices() {
        let end = at + sentence.len();
        // A bound within a word is none.
        if end < text.len() && !sentence.ends_with(char::is_whitespace) {
            continue;
        }
        let parts = parts(&text[start..end], most).into_iter();
        found.extend(parts.map(|(part, count)| (start + part.start..start + part.end, count)));
        start = end;
    }
    found
}

/// A sentence in parts of `most` words, the last with the rest, each with the number of its words and without the white space
/// around it.
pub fn parts(sentence: &str, most: usize) -> Vec<(Range<usize>, usize)> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    for part in sentence.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        if !word.is_empty() {
            words.push(from..from + word.len());
        }
        from += part.len();
    }
    let parts = words.chunks(most);
    parts
        .map(|part| (part[0].start..part[part.len() - 1].end, part.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, words: usize, least: usize) -> Vec<&str> {
        pieces(text, words, least)
            .into_iter()
            .map(|piece| &text[piece])
            .collect()
    }

    #[test]
    fn pieces_end_with_sentences() {
        let text = "One two. Three four!  Five six?\n\nSeven. Eight nine.";
        assert_eq!(
            shown(text, 3, 1),
            ["One two. Three four!", "Five six?\n\nSeven.", "Eight nine."]
        );
        assert_eq!(
            shown(text, 3, 3),
            ["One two. Three four!", "Five six?\n\nSeven. Eight nine."]
        );
        assert_eq!(shown(text, 100, 1), [text]);
        assert_eq!(shown("", 3, 1), [""; 0]);
        assert_eq!(shown("  \n", 3, 1), [""; 0]);
    }

    #[test]
    fn a_sentence_without_an_end_is_cut() {
        assert_eq!(shown("a b c d e f g", 3, 1), ["a b c", "d e f", "g"]);
        assert_eq!(shown("a b c d e f g", 3, 2), ["a b c", "d e f g"]);
        // The exclamation mark ends no sentence within a word.
        assert_eq!(shown("a b!C d", 2, 1), ["a b!C", "d"]);
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_none_comes_twice(text in "([a-z]{1,4}[.!?]?[ \n\u{a0}]{1,2}){0,60}", words in 1..9usize, least in 1..9usize) {
            let found = pieces(&text, words, least);
            let of_pieces: Vec<&str> = found.iter().flat_map(|piece| text[piece.clone()].split_whitespace()).collect();
            prop_assert_eq!(of_pieces, text.split_whitespace().collect::<Vec<_>>());
            let counts: Vec<usize> = found.iter().map(|piece| text[piece.clone()].split_whitespace().count()).collect();
            if let [others @ .., last] = &counts[..] {
                prop_assert!(others.iter().all(|&count| count >= words));
                prop_assert!(others.is_empty() || *last >= least);
            }
        }
    }
}
