//! The likelihood ratio against an author who may have used any decoding of a family.
//!
//! For each decoding d let P_d be the author's distribution, and Q one mixture for all of them. `Q/P_d` is an e-process
//! against "the author wrote it under d", so that the least of them over the family is no greater than the right one,
//! whichever that is: `E_n = min_d Q_n/P_{d,n}` exceeds 1/alpha at any time with probability at most alpha under every d.
//!
//! Q mixes the author's own model without truncation at T = 1.14, 1 and 0.89: what a person or another model writes
//! leaves a nucleus again and again, and each time costs P_d up to ln(1/share) nats against Q. It mixes all other models
//! as well: token by token where they share the author's tokeniser, and at word borders where they do not. There, the
//! words' probability under P_d is bounded by that of their tokens without the first:
//!
//! ```text
//! prod_words P_d(word) = prod_tokens p_d · a(last border)/a(first border) <= prod_{tokens but the first} p_d
//! ```
//!
//! because the factors of adjacent words cancel, `a(last) <= 1`, and a token that begins with a space has at most the
//! mass `a(first)` of all that do. docs/THEORY.md 13 has the proof, and what is between the decodings of the grid.

use super::attribution::ln_p_at;
use super::decoding::LnLikelihoods;
use super::likelihood_ratio::{RatioVoid, same_tokens};
use super::ln_union;
use super::mixture::{FixedShare, SHARE};
use super::words::{WordFigures, borders, ln_word_probabilities, token_at};
use crate::scoring::{SPACE, TextScores};

/// What the ratio says against an author with a family of decodings.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyEvidence {
    /// ln of the evidence, nats: a p-value at any time, by [`super::p_value`]; minus infinity when void.
    pub ln_e_value: f64,
    /// ln of the least ratio over tokens, nats.
    pub ln_by_tokens: f64,
    /// ln of the least ratio over words, nats; minus infinity where all models share one tokeniser.
    pub ln_by_words: f64,
    /// The index of the decoding that explains the tokens best.
    pub decoding: usize,
    /// Why there is no ratio.
    pub void: Option<RatioVoid>,
}

/// Evidence against "the model `null` wrote the text with one of the decodings of `family`".
pub fn family_ratio(
    text: &str,
    null: &TextScores,
    family: &LnLikelihoods,
    numerators: &[&TextScores],
) -> FamilyEvidence {
    let (sharing, apart): (Vec<&TextScores>, Vec<&TextScores>) = numerators
        .iter()
        .copied()
        .partition(|scores| same_tokens(null, scores) && scores.first_scored == null.first_scored);
    let void = |reason| FamilyEvidence {
        ln_e_value: f64::NEG_INFINITY,
        ln_by_tokens: f64::NEG_INFINITY,
        ln_by_words: f64::NEG_INFINITY,
        decoding: 0,
        void: Some(reason),
    };
    if null.decoding.is_empty() || family.decodings() == 0 {
        return void(RatioVoid::NoOutcome);
    }
    let mut experts = vec![null];
    experts.extend(sharing);
    let mut mixture = FixedShare::new(experts.len() * SPACE.len(), SHARE);
    let mut row = Vec::with_capacity(experts.len() * SPACE.len());
    for token in 0..null.decoding.len() {
        row.clear();
        for scores in &experts {
            row.extend(
                SPACE
                    .iter()
                    .map(|&rung| ln_p_at(&scores.decoding[token], rung).min(0.0)),
            );
        }
        mixture.push(&row);
    }
    let totals = family.totals(null.decoding.len());
    let decoding = (0..totals.len())
        .max_by(|&a, &b| totals[a].total_cmp(&totals[b]))
        .unwrap_or(0);
    let ln_by_tokens = mixture.ln_total() - totals[decoding];
    let ln_by_words = match apart.is_empty() {
        true => f64::NEG_INFINITY,
        false => by_words(text, null, family, numerators),
    };
    let ln_e_value = match apart.is_empty() {
        true => ln_by_tokens,
        false => ln_union(&[(ln_by_tokens, 1.0), (ln_by_words, 1.0)]),
    };
    if ln_e_value.is_nan() || ln_e_value == f64::INFINITY {
        return void(RatioVoid::NotFinite);
    }
    FamilyEvidence {
        ln_e_value,
        ln_by_tokens,
        ln_by_words,
        decoding,
        void: None,
    }
}

/// ln of the least ratio over the words between the first and the last usable border, nats; minus infinity where there
/// is none.
fn by_words(text: &str, null: &TextScores, family: &LnLikelihoods, numerators: &[&TextScores]) -> f64 {
    let scored_from = |scores: &TextScores| {
        scores
            .spans
            .get(scores.first_scored)
            .map_or(usize::MAX, |span| span.start)
    };
    let begin = numerators
        .iter()
        .copied()
        .chain([null])
        .map(scored_from)
        .max()
        .unwrap_or(0);
    // Beyond the tokens whose figures are kept there is no evidence.
    let kept_to = |scores: &TextScores| {
        scores
            .spans
            .get(scores.first_scored + scores.decoding.len())
            .map_or(usize::MAX, |span| span.start)
    };
    let end = numerators.iter().copied().chain([null]).map(kept_to).min().unwrap_or(0);
    let usable: Vec<usize> = borders(text)
        .into_iter()
        .filter(|&border| border >= begin && border < end)
        .collect();
    let (Some(&first), Some(&last)) = (usable.first(), usable.last()) else {
        return f64::NEG_INFINITY;
    };
    // A token across a border belongs to no word: the words' events then leave the text's own tokens out.
    if usable.iter().any(|&border| token_at(null, border).is_none()) {
        return f64::NEG_INFINITY;
    }
    let row_of = |border| token_at(null, border)?.checked_sub(null.first_scored);
    let (Some(start), Some(end)) = (row_of(first), row_of(last)) else {
        return f64::NEG_INFINITY;
    };
    let mut ln_null = vec![0.0; family.decodings()];
    for row in family.rows().take(end).skip(start + 1) {
        for (total, &ln_p) in ln_null.iter_mut().zip(row) {
            *total += f64::from(ln_p);
        }
    }
    let mut experts = Vec::new();
    for scores in numerators.iter().copied().chain([null]) {
        for (i, &rung) in SPACE.iter().enumerate() {
            let figures: Vec<WordFigures> = scores
                .decoding
                .iter()
                .map(|stats| WordFigures {
                    surprisal: -ln_p_at(stats, rung),
                    ln_space_mass: f64::from(stats.ln_space[i]),
                })
                .collect();
            experts.push(ln_word_probabilities(scores, &figures, &usable));
        }
    }
    let mut mixture = FixedShare::new(experts.len(), SHARE);
    let mut row = vec![0.0; experts.len()];
    for word in 0..usable.len() - 1 {
        for (to, expert) in row.iter_mut().zip(&experts) {
            *to = expert[word].unwrap_or(f64::NEG_INFINITY);
        }
        mixture.push(&row);
    }
    mixture.ln_total() - ln_null.into_iter().fold(f64::NEG_INFINITY, f64::max)
}
