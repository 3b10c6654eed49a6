//! Word borders: where models of different tokenisers meet.
//!
//! A **border** is a byte of the text that is a space and follows a character that is not white space. A **word** is
//! the stretch between two consecutive borders. It begins with a space, ends with a character that is not white space,
//! and has no border inside. The text before the first border, and the text after the last, belong to no word.
//!
//! For a model, the event of a word is "the tokens that spell the word, and then a token that begins with a space",
//! given that the next token begins with a space. For one model the events of two different words exclude each other,
//! so the probabilities
//!
//! ```text
//! P(word) = prod p(token) · a(end) / a(start),     a = the model's mass on tokens that begin with a space
//! ```
//!
//! sum to at most 1 over all words. docs/THEORY.md 6 has the proof and the conditions on the tokeniser. The factor
//! `a(end)` makes words prefix-free; without it, "a" and "ab" would not exclude each other.

use crate::token_stats::{TextScores, TokenStats};

/// Byte offsets of the borders of a text, ascending.
pub fn borders(text: &str) -> Vec<usize> {
    let mut before_is_word = false;
    let mut found = Vec::new();
    for (i, c) in text.char_indices() {
        if c == ' ' && before_is_word {
            found.push(i);
        }
        before_is_word = !c.is_whitespace();
    }
    found
}

/// Why a model gives a word no probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoProbability {
    /// One of the word's borders lies inside a token of the model.
    Straddled,
    /// A token of the word, or the token that ends it, was not scored.
    Unscored,
    /// A figure is not finite, or contradicts another.
    NotFinite,
}

/// `ln P(word | past)` in nats, or why there is none.
pub type LnProbability = Result<f64, NoProbability>;

/// Rounding may make a token that begins with a space likelier than all such tokens together, by this much, in nats.
const SPACE_MASS_TOLERANCE: f64 = 0.01;

/// The figures from which words get their probabilities, for one scored token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WordFigures {
    /// Surprisal of the token, nats.
    pub surprisal: f64,
    /// Logarithm of the model's mass on tokens that begin with a space, nats.
    pub ln_space_mass: f64,
}

/// The figures of every scored token at the inverse temperature `betas[beta]`; none if there is no such index.
pub fn word_figures(scores: &TextScores, beta: usize) -> Vec<WordFigures> {
    let figures = |stats: &TokenStats| WordFigures {
        surprisal: stats.surprisal,
        ln_space_mass: stats.ln_space_mass,
    };
    if beta < scores.betas.len() {
        scores.at(beta).map(figures).collect()
    } else {
        Vec::new()
    }
}

/// `ln P(word | past)`, in nats and at most 0, of every word between consecutive `borders`, under one model whose
/// scored tokens have these figures. One entry per word, that is, one fewer than borders.
///
/// The tokens that begin at the two borders give `a(start)` and `a(end)`.
pub fn ln_word_probabilities(scores: &TextScores, figures: &[WordFigures], borders: &[usize]) -> Vec<LnProbability> {
    let starts: Vec<Option<usize>> = borders.iter().map(|&border| token_at(scores, border)).collect();
    starts
        .windows(2)
        .map(|pair| ln_word_probability(scores.first_scored, figures, pair[0], pair[1]))
        .collect()
}

/// One word, from the indices of the tokens that begin at its borders.
fn ln_word_probability(
    first_scored: usize,
    figures: &[WordFigures],
    start: Option<usize>,
    end: Option<usize>,
) -> LnProbability {
    let (start, end) = (
        start.ok_or(NoProbability::Straddled)?,
        end.ok_or(NoProbability::Straddled)?,
    );
    let figures = |token: usize| {
        let row = token.checked_sub(first_scored).and_then(|row| figures.get(row));
        row.ok_or(NoProbability::Unscored)
    };
    let first = figures(start)?;
    if -first.surprisal > first.ln_space_mass + SPACE_MASS_TOLERANCE {
        return Err(NoProbability::NotFinite);
    }
    let mut ln_p = figures(end)?.ln_space_mass - first.ln_space_mass;
    for token in start..end {
        ln_p -= figures(token)?.surprisal;
    }
    if ln_p.is_finite() {
        Ok(ln_p.min(0.0))
    } else {
        Err(NoProbability::NotFinite)
    }
}

/// The token that begins at `border`, if one does.
pub(super) fn token_at(scores: &TextScores, border: usize) -> Option<usize> {
    let token = scores.spans.partition_point(|span| span.start < border);
    let begins = scores.spans.get(token)?.start == border;
    let previous_ends = token == 0 || scores.spans[token - 1].end <= border;
    (begins && previous_ends).then_some(token)
}

/// The figures of a token of the text; none if it was not scored.
pub(super) fn stats_of(scores: &TextScores, beta: usize, token: usize) -> Option<&TokenStats> {
    let row = token.checked_sub(scores.first_scored)?;
    (beta < scores.betas.len()).then(|| scores.stats.get(row * scores.betas.len() + beta))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_stats::TILT_COUNT;
    use proptest::prelude::*;

    fn scores(spans: &[(usize, usize)], first_scored: usize, stats: &[(f64, f64)]) -> TextScores {
        TextScores {
            model: "toy".into(),
            vocab: 9,
            symbols: [0; 32],
            ids: vec![0; spans.len()],
            spans: spans.iter().map(|&(a, b)| a..b).collect(),
            first_scored,
            betas: vec![1.0],
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
            ranks: vec![1; stats.len()],
            stats: stats
                .iter()
                .map(|&(surprisal, ln_space_mass)| TokenStats {
                    surprisal,
                    entropy: 1.0,
                    varentropy: 1.0,
                    ln_space_mass,
                    cgf: [0.0; TILT_COUNT],
                })
                .collect(),
        }
    }

    #[test]
    fn a_border_is_a_space_after_a_character_that_is_not_white_space() {
        assert_eq!(borders(""), Vec::<usize>::new());
        assert_eq!(borders(" a b"), vec![2]);
        assert_eq!(borders("a  b \n c d "), vec![1, 4, 8, 10]);
        assert_eq!(borders("é\u{a0} x\u{3000} y\tz"), Vec::<usize>::new());
        assert_eq!(borders("é x"), vec![2]);
    }

    #[test]
    fn a_word_carries_the_probability_that_it_ends() {
        // "ab cd e": tokens "ab", " c", "d", " e".
        let s = scores(
            &[(0, 2), (2, 4), (4, 5), (5, 7)],
            0,
            &[(1.0, -3.0), (2.0, -0.5), (0.7, -2.0), (1.1, -0.25)],
        );
        let words = ln_word_probabilities(&s, &word_figures(&s, 0), &borders("ab cd e"));
        assert_eq!(words.len(), 1);
        assert!((words[0].unwrap() - (-2.0 - 0.7 - 0.25 + 0.5)).abs() < 1e-12);
    }

    #[test]
    fn a_border_inside_a_token_leaves_both_its_words_without_probability() {
        // "a b c d": the token "b c" swallows the border at 3.
        let s = scores(&[(0, 1), (1, 2), (2, 5), (5, 7)], 0, &[(1.0, -1.0); 4]);
        let text_borders = borders("a b c d");
        assert_eq!(text_borders, vec![1, 3, 5]);
        assert_eq!(
            ln_word_probabilities(&s, &word_figures(&s, 0), &text_borders),
            vec![Err(NoProbability::Straddled); 2]
        );
    }

    #[test]
    fn a_word_whose_figures_are_missing_or_wrong_has_no_probability() {
        let text_borders = [1, 3];
        let spans = [(0, 1), (1, 3), (3, 5)];
        let good = scores(&spans, 0, &[(1.0, -1.0), (1.0, -0.5), (1.0, -0.5)]);
        assert!(ln_word_probabilities(&good, &word_figures(&good, 0), &text_borders)[0].is_ok());
        assert_eq!(
            ln_word_probabilities(&good, &word_figures(&good, 1), &text_borders)[0],
            Err(NoProbability::Unscored)
        );
        let cut = scores(&spans, 0, &[(1.0, -1.0), (1.0, -0.5)]);
        assert_eq!(
            ln_word_probabilities(&cut, &word_figures(&cut, 0), &text_borders)[0],
            Err(NoProbability::Unscored)
        );
        let late = scores(&spans, 2, &[(1.0, -1.0)]);
        assert_eq!(
            ln_word_probabilities(&late, &word_figures(&late, 0), &text_borders)[0],
            Err(NoProbability::Unscored)
        );
        for (first, last) in [
            ((f64::NAN, -0.5), (1.0, -0.5)),
            ((f64::INFINITY, -0.5), (1.0, -0.5)),
            ((1.0, f64::NEG_INFINITY), (1.0, f64::NEG_INFINITY)),
            ((1.0, -0.5), (1.0, f64::NEG_INFINITY)),
            ((1.0, -0.5), (1.0, f64::NAN)),
            ((1.0, f64::NAN), (1.0, -0.5)),
            // The token seen begins with a space and is likelier than all that do.
            ((1.0, -4.0), (1.0, -0.5)),
        ] {
            let bad = scores(&spans, 0, &[(1.0, -1.0), first, last]);
            assert_eq!(
                ln_word_probabilities(&bad, &word_figures(&bad, 0), &text_borders)[0],
                Err(NoProbability::NotFinite)
            );
        }
    }

    proptest! {
        /// The heart of THEORY 6.1: no word followed by a space is the beginning of another.
        #[test]
        fn words_followed_by_a_space_are_prefix_free(text in "[ab \u{a0}\n]{0,40}") {
            let b = borders(&text);
            for pair in b.windows(2) {
                let word = &text[pair[0]..pair[1]];
                prop_assert!(word.starts_with(' ') && !word.ends_with(char::is_whitespace));
                prop_assert!(borders(word).is_empty());
                let ended = format!("{word} ");
                for other in b.windows(2).map(|q| &text[q[0]..q[1]]) {
                    prop_assert!(!other.starts_with(&ended));
                }
            }
        }
    }
}
