//! Attacks that change words or the space between sentences.

use super::{Edit, draw, misspelling, share, spelling, words};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Deletes articles and the space before them (`attackers/article_deletion.py`). Like RAID, it needs spaces on both
/// sides and small letters.
pub(super) fn articles(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates: Vec<(usize, usize)> = text
        .match_indices(' ')
        .filter_map(|(start, _)| {
            let end = start + 1 + text[start + 1..].find(' ')?;
            matches!(&text[start + 1..end], "a" | "an" | "the").then_some((start, end))
        })
        .collect();
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|(start, end)| Edit {
            start,
            end,
            by: String::new(),
        })
        .collect()
}

/// Replaces American spellings by British ones (`attackers/alternative_spelling.py`), using [`spelling::british`].
///
/// RAID replaces the American spelling even inside another word. Here it must be a word of its own.
pub(super) fn british(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates: Vec<(usize, &str, &str)> = words(text)
        .into_iter()
        .filter_map(|(start, word)| Some((start, word, spelling::british(&word.to_lowercase())?)))
        .collect();
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|(start, word, by)| replacement(start, word, by))
        .collect()
}

/// Replaces words by common misspellings (`attackers/perplexity_misspelling.py`), using [`misspelling::misspellings`].
///
/// Like RAID's, the rate is a share of all words, limited by the number of words with a known misspelling. RAID first
/// takes the words that GPT-2 finds most likely. Without a model, this draws at random, so the attack is a little
/// weaker.
pub(super) fn misspellings(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let all = words(text);
    let candidates: Vec<(usize, &str, &[&str])> = all
        .iter()
        .filter_map(|&(start, word)| Some((start, word, misspelling::misspellings(&word.to_lowercase())?)))
        .collect();
    draw(&candidates, share(all.len(), rate), rng)
        .into_iter()
        .filter_map(|(start, word, choices)| Some(replacement(start, word, choices.choose(rng)?)))
        .collect()
}

/// Puts empty lines between sentences (`attackers/insert_paragraphs.py`). Like RAID, it keeps the space before them.
///
/// RAID splits sentences with NLTK, which knows more abbreviations. RAID first joins all sentences with spaces; here a
/// gap with a line end stays as it is.
pub(super) fn paragraphs(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates = sentence_starts(text);
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|at| Edit::insert(at, "\n\n"))
        .collect()
}

/// The starts of sentences that follow another sentence on the same line.
fn sentence_starts(text: &str) -> Vec<usize> {
    const ABBREVIATIONS: [&str; 18] = [
        "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "cf", "fig", "no", "vol", "e.g", "i.e", "gen",
        "rev",
    ];
    let mut starts = Vec::new();
    for (at, _) in text.match_indices(' ') {
        let after = &text[at + 1..];
        let starts_one = after
            .trim_start_matches(['"', '“', '‘', '\'', '('])
            .starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
        let before = text[..at].trim_end_matches(['"', '”', '’', '\'', ')']);
        if !starts_one || !before.ends_with(['.', '!', '?', '…']) {
            continue;
        }
        // An initial or an abbreviation does not end a sentence.
        let before = before.trim_end_matches('.');
        let word = before
            .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '“'))
            .next()
            .unwrap_or_default();
        let is_initial = word.chars().count() == 1 && word != "I" && word.starts_with(char::is_uppercase);
        let is_abbreviation =
            text[before.len()..].starts_with('.') && ABBREVIATIONS.contains(&word.to_lowercase().as_str());
        if !is_initial && !is_abbreviation {
            starts.push(at + 1);
        }
    }
    starts
}

fn replacement(start: usize, word: &str, by: &str) -> Edit {
    Edit {
        start,
        end: start + word.len(),
        by: in_case_of(word, by),
    }
}

/// Writes a word in the case of another one: all capitals, one capital first, or small letters.
fn in_case_of(model: &str, word: &str) -> String {
    let is_capital = |c: char| c.is_uppercase();
    let letters = || model.chars().filter(|c| c.is_alphabetic());
    if letters().count() > 1 && letters().all(is_capital) {
        return word.to_uppercase();
    }
    let mut rest = word.chars();
    match rest.next() {
        Some(first) if model.starts_with(is_capital) => first.to_uppercase().chain(rest).collect(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_word_is_kept() {
        assert_eq!(in_case_of("COLOR", "colour"), "COLOUR");
        assert_eq!(in_case_of("Color", "colour"), "Colour");
        assert_eq!(in_case_of("color", "colour"), "colour");
        assert_eq!(in_case_of("A", "an"), "An");
    }

    #[test]
    fn initials_and_abbreviations_do_not_end_a_sentence() {
        let text = "Dr. Smith met J. Smith. \"Well,\" he said. \"Is it so?\" It was, e.g. On Monday! And I. So it goes";
        let starts: Vec<&str> = sentence_starts(text).into_iter().map(|at| &text[at..at + 3]).collect();
        assert_eq!(starts, ["\"We", "\"Is", "It ", "And", "So "]);
    }
}
