//! The attacks that change words and the space between sentences.

use super::{Edit, draw, misspelling, share, spelling, words};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Articles between spaces go, with the space before them (`attackers/article_deletion.py`). Small letters only, as there.
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

/// American spellings become British ones (`attackers/alternative_spelling.py`), by [`spelling::british`].
///
/// RAID looks for the American spelling anywhere, also inside of other words; here it must be a word.
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

/// Words become common misspellings of theirs (`attackers/perplexity_misspelling.py`), by [`misspelling::misspellings`].
///
/// The rate is of all words, as there, and ends at those that have a misspelling. RAID takes the words that GPT-2 finds
/// most likely first; here they are drawn, because no model is at hand, so the attack is a little weaker.
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

/// Empty lines between sentences (`attackers/insert_paragraphs.py`): the space stays before them, as there.
///
/// RAID splits by NLTK, which knows more abbreviations. A gap that holds a line end already is no candidate here; RAID
/// joins all sentences by spaces first.
pub(super) fn paragraphs(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates = sentence_starts(text);
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|at| Edit::insert(at, "\n\n"))
        .collect()
}

/// Where sentences start behind others in the same line.
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
        // An initial or an abbreviation ends no sentence.
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

/// A word in the case of another: all capitals, a capital first, or small.
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
    fn initials_and_abbreviations_end_no_sentence() {
        let text = "Dr. Smith met J. Smith. \"Well,\" he said. \"Is it so?\" It was, e.g. On Monday! And I. So it goes";
        let starts: Vec<&str> = sentence_starts(text).into_iter().map(|at| &text[at..at + 3]).collect();
        assert_eq!(starts, ["\"We", "\"Is", "It ", "And", "So "]);
    }
}
