//! The likelihood ratio against an author who may have used any decoding of a family: a composite null hypothesis.
//!
//! For each decoding d let P_d be the author's distribution, and let Q be one mixture for all of them. `Q/P_d` is an
//! e-process against "the author wrote it under d". The minimum over the family is at most the one for the true
//! decoding, whichever it is. So `E_n = min_d Q_n/P_{d,n}` ever exceeds 1/alpha with probability at most alpha under
//! every d.
//!
//! Q mixes the author's own model without truncation, at T = 1.14, 1 and 0.89. The text of a person or of another model
//! leaves a nucleus again and again, and each time P_d loses up to ln(1/share) nats against Q. Q also mixes all other
//! models: token by token over the whole text if they share the author's tokeniser, and word by word
//! ([`super::mixture`]) whatever their tokenisers. For words, the probability under P_d is at most the product over
//! their tokens without the first:
//!
//! ```text
//! prod_words P_d(word) = prod_tokens p_d · a(last border)/a(first border) <= prod_{tokens but the first} p_d
//! ```
//!
//! because the factors of adjacent words cancel, `a(last) <= 1`, and a token that begins with a space has at most the
//! mass `a(first)` of all such tokens.
//!
//! At first the decodings of a grid stand for the family. If they would exclude the author, [`super::max_likelihood`]
//! bounds the likelihood of all decodings of the family instead. docs/THEORY.md 13 has the proofs.

use super::conformal_scores::ln_p_at;
use super::likelihood_ratio::{RatioVoid, same_tokens, same_vocabulary};
use super::max_likelihood::max_ln_likelihood;
use super::mixture::{FixedShare, Mixture};
use super::truncated_likelihood::{LnLikelihoods, members};
use super::word_boundaries::{WordFigures, borders, ln_word_probabilities, token_at};
use super::{ln_union, rejects};
use crate::sampling_params::SamplingFamily;
use crate::token_stats::{DecodingStats, SPACE, TextScores};
use std::ops::Range;

/// Evidence against an author with a family of decodings.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeEvidence {
    /// ln of the evidence, nats: an anytime p-value by [`super::p_value`]; minus infinity when void.
    pub ln_e_value: f64,
    /// ln of the least ratio over tokens, nats.
    pub ln_by_tokens: f64,
    /// ln of the least ratio over words, nats; minus infinity if there is no other model.
    pub ln_by_words: f64,
    /// The index of the decoding under which the tokens are likeliest.
    pub decoding: usize,
    /// Why there is no ratio.
    pub void: Option<RatioVoid>,
}

/// Evidence against "the model `null` wrote the text with a decoding of `family`", for a test at `level`.
///
/// If the evidence reaches this level, or a stricter one, it holds against all decodings of the family. If it does not,
/// it may be the evidence against the decodings of the grid alone, which is never less.
pub fn composite_likelihood_ratio(
    text: &str,
    null: &TextScores,
    family: &SamplingFamily,
    numerators: &[&TextScores],
    level: f64,
) -> CompositeEvidence {
    let void = |reason| CompositeEvidence {
        ln_e_value: f64::NEG_INFINITY,
        ln_by_tokens: f64::NEG_INFINITY,
        ln_by_words: f64::NEG_INFINITY,
        decoding: 0,
        void: Some(reason),
    };
    let grid = LnLikelihoods::new(null, &members(family));
    if null.decoding.is_empty() || grid.decodings() == 0 {
        return void(RatioVoid::NoOutcome);
    }
    if !null.decoding.iter().all(DecodingStats::is_sound) {
        return void(RatioVoid::NotFinite);
    }
    let alone = numerators.is_empty();
    let level = if alone { level } else { level / 2.0 };
    let ratio = |numerator: &Numerator| {
        let (decoding, best) = numerator.best_of(&grid);
        let ln_e = numerator.ln_q - best;
        if family.is_one() || !rejects(ln_e, level) {
            return (decoding, ln_e);
        }
        let enough = numerator.ln_q + level.ln();
        let all = max_ln_likelihood(null, family, numerator.tokens.clone(), best, enough);
        (decoding, numerator.ln_q - all.bound)
    };
    let (decoding, ln_by_tokens) = ratio(&by_tokens(null, numerators));
    let by_words = if alone { None } else { by_words(text, null, numerators) };
    let ln_by_words = by_words.map_or(f64::NEG_INFINITY, |numerator| ratio(&numerator).1);
    let ln_e_value = if alone {
        ln_by_tokens
    } else {
        ln_union(&[(ln_by_tokens, 1.0), (ln_by_words, 1.0)])
    };
    if ln_e_value.is_nan() || ln_e_value == f64::INFINITY {
        return void(RatioVoid::NotFinite);
    }
    CompositeEvidence {
        ln_e_value,
        ln_by_tokens,
        ln_by_words,
        decoding,
        void: None,
    }
}

/// The log-likelihood of the alternative, and the scored tokens that the author's likelihood is taken over.
struct Numerator {
    ln_q: f64,
    tokens: Range<usize>,
}

impl Numerator {
    /// The decoding under which the tokens are likeliest, and their ln likelihood under it.
    fn best_of(&self, grid: &LnLikelihoods) -> (usize, f64) {
        let mut totals = vec![0.0; grid.decodings()];
        for row in grid.rows().take(self.tokens.end).skip(self.tokens.start) {
            for (total, &ln_p) in totals.iter_mut().zip(row) {
                *total += f64::from(ln_p);
            }
        }
        let best = totals.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        best.unwrap_or((0, f64::NEG_INFINITY))
    }
}

/// The mixture of the author's own model and of the models that share its tokeniser.
fn by_tokens(null: &TextScores, numerators: &[&TextScores]) -> Numerator {
    let shares = |scores: &&TextScores| same_vocabulary(null, scores) && scores.first_scored == null.first_scored;
    let sharing = numerators.iter().copied().filter(shares);
    // Each model, with whether it cut the text into the same tokens.
    let experts: Vec<(&TextScores, bool)> = [null]
        .into_iter()
        .chain(sharing)
        .map(|scores| (scores, same_tokens(null, scores)))
        .collect();
    // A text has one temperature throughout. Without a share, the mixture costs the logarithm of the number of experts,
    // once.
    let mut mixture = FixedShare::new(experts.len() * SPACE.len(), 0.0);
    let mut row = Vec::with_capacity(experts.len() * SPACE.len());
    for token in 0..null.decoding.len() {
        row.clear();
        for &(scores, alike) in &experts {
            // An expert that cut the text differently, or whose figures fail, gives these tokens no probability.
            let stats = scores.decoding.get(token).filter(|stats| alike && stats.is_sound());
            let ln_p = |&point: &usize| stats.map_or(f64::NEG_INFINITY, |stats| ln_p_at(stats, point).min(0.0));
            row.extend(SPACE.iter().map(ln_p));
        }
        mixture.push(&row);
    }
    Numerator {
        ln_q: mixture.ln_total(),
        tokens: 0..null.decoding.len(),
    }
}

/// The mixture of all models over the words between the first and the last usable border; none if there is no ratio.
fn by_words(text: &str, null: &TextScores, numerators: &[&TextScores]) -> Option<Numerator> {
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
    // There is no evidence beyond the tokens whose figures are kept.
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
    let (&first, &last) = (usable.first()?, usable.last()?);
    // A token across a border belongs to no word, so the events of the words would not cover the text's own tokens.
    if usable.iter().any(|&border| token_at(null, border).is_none()) {
        return None;
    }
    let row_of = |border| token_at(null, border)?.checked_sub(null.first_scored);
    let (start, end) = (row_of(first)?, row_of(last)?);
    let mut experts = Vec::new();
    for scores in numerators.iter().copied().chain([null]) {
        for (i, &point) in SPACE.iter().enumerate() {
            let figures: Vec<WordFigures> = scores
                .decoding
                .iter()
                .map(|stats| WordFigures {
                    surprisal: -ln_p_at(stats, point),
                    ln_space_mass: f64::from(stats.ln_space[i]),
                })
                .collect();
            experts.push(ln_word_probabilities(scores, &figures, &usable));
        }
    }
    let mut mixture = Mixture::new(experts.len());
    let mut row = vec![0.0; experts.len()];
    for word in 0..usable.len() - 1 {
        for (to, expert) in row.iter_mut().zip(&experts) {
            *to = expert[word].unwrap_or(f64::NEG_INFINITY);
        }
        mixture.push(&row);
    }
    Some(Numerator {
        ln_q: mixture.ln_total(),
        tokens: (start + 1).min(end)..end,
    })
}

#[cfg(test)]
mod tests {
    use super::super::truncated_likelihood::tests::{by_sorting, row};
    use super::*;
    use crate::clopper_pearson;
    use crate::sampling_params::{SamplingFamily, SamplingParams};
    use crate::token_stats::{TILT_COUNT, TokenStats};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const SYMBOLS: usize = 40;

    /// A text of one symbol a token, "a a a …", sampled from rows of logits that depend on the position only.
    fn draw(rows: &[Vec<f64>], decoding: &SamplingParams, rng: &mut StdRng) -> Vec<usize> {
        rows.iter()
            .map(|logits| {
                let mut left: f64 = rng.random();
                let mut drawn = 0;
                for symbol in 0..SYMBOLS {
                    let p = by_sorting(logits, symbol, decoding);
                    if p > 0.0 {
                        drawn = symbol;
                        left -= p;
                        if left <= 0.0 {
                            break;
                        }
                    }
                }
                drawn
            })
            .collect()
    }

    fn scores(rows: &[Vec<f64>], seen: &[usize]) -> TextScores {
        let (decoding, ranks) = rows.iter().zip(seen).map(|(logits, &seen)| row(logits, seen)).unzip();
        TextScores {
            model: "toy".into(),
            vocab: SYMBOLS,
            symbols: [0; 32],
            ids: seen.iter().map(|&symbol| symbol as u32).collect(),
            spans: (0..seen.len()).map(|i| 2 * i..2 * i + 2).collect(),
            first_scored: 0,
            betas: Vec::new(),
            ranks,
            stats: Vec::new(),
            decoding,
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
        }
    }

    fn rows(tokens: usize, sharpness: f64, rng: &mut StdRng) -> Vec<Vec<f64>> {
        (0..tokens)
            .map(|_| {
                (0..SYMBOLS)
                    .map(|_| sharpness * (rng.random::<f64>() - rng.random::<f64>()))
                    .collect()
            })
            .collect()
    }

    /// How many texts exclude the author, and by how much less than the grid alone would, nats.
    fn rejected(
        decoding: &SamplingParams,
        family: &SamplingFamily,
        tokens: usize,
        texts: u64,
        seed: u64,
    ) -> (u64, f64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut count, mut price) = (0, 0.0);
        for _ in 0..texts {
            let rows = rows(tokens, 9.0, &mut rng);
            let mut own = scores(&rows, &draw(&rows, decoding, &mut rng));
            if let SamplingFamily::Stated(coldest, hottest) = family {
                with_temperatures(&mut own, &rows, &[coldest.temperature, *hottest]);
            }
            // A second model with the same tokeniser, and one with another.
            let stranger: Vec<Vec<f64>> = rows
                .iter()
                .map(|logits| logits.iter().map(|l| l + rng.random::<f64>()).collect())
                .collect();
            let seen: Vec<usize> = own.ids.iter().map(|&id| id as usize).collect();
            let sharing = scores(&stranger, &seen);
            let apart = TextScores {
                vocab: SYMBOLS + 1,
                ..sharing.clone()
            };
            let text = " a".repeat(tokens);
            let evidence = composite_likelihood_ratio(&text, &own, family, &[&sharing, &apart], 0.05);
            assert_eq!(evidence.void, None);
            if rejects(evidence.ln_e_value, 0.05) {
                count += 1;
                // No evidence reaches level 0, so nothing is refined.
                let grid = composite_likelihood_ratio(&text, &own, family, &[&sharing, &apart], 0.0);
                assert!(evidence.ln_e_value <= grid.ln_e_value);
                price += grid.ln_e_value - evidence.ln_e_value;
            }
        }
        (count, price / count.max(1) as f64)
    }

    /// Adds the log-partitions at temperatures outside the grid.
    fn with_temperatures(scores: &mut TextScores, rows: &[Vec<f64>], temperatures: &[f64]) {
        scores.betas = temperatures.iter().map(|t| 1.0 / t).collect();
        let stats = rows.iter().zip(&scores.ids).flat_map(|(logits, &seen)| {
            let seen = logits[seen as usize];
            scores.betas.iter().map(move |beta| TokenStats {
                surprisal: logits.iter().map(|l| (beta * (l - seen)).exp()).sum::<f64>().ln(),
                entropy: 0.0,
                varentropy: 0.0,
                ln_space_mass: 0.0,
                cgf: [0.0; TILT_COUNT],
            })
        });
        scores.stats = stats.collect();
    }

    #[test]
    fn the_true_decoding_is_ruled_out_no_more_often_than_alpha() {
        const TEXTS: u64 = 400;
        for (seed, text) in [
            "temperature=1,top-p=0.95",
            "temperature=0.5,top-p=0.8",
            "temperature=1,top-k=20",
            "temperature=0.8421052631578947",
        ]
        .iter()
        .enumerate()
        {
            let decoding: SamplingParams = text.parse().unwrap();
            for family in [
                SamplingFamily::Stated(decoding.clone(), decoding.temperature),
                SamplingFamily::Deployed,
            ] {
                let (count, _) = rejected(&decoding, &family, 60, TEXTS, seed as u64);
                let (low, high) = clopper_pearson(count, TEXTS, 0.999);
                println!("{text} as {family}: {count} of {TEXTS} excluded, {low:.4} to {high:.4}");
                assert!(low <= 0.05, "{text}: {count}");
            }
        }
    }

    #[test]
    fn a_decoding_between_those_of_the_grid_is_ruled_out_no_more_often_than_alpha() {
        const TEXTS: u64 = 200;
        for (seed, (decoding, families)) in [
            ("temperature=0.93,top-p=0.86", ["deployed", "any"]),
            ("temperature=1,top-k=30", ["deployed", "any"]),
            (
                "temperature=0.63,top-p=0.9",
                ["deployed", "temperature=0.6..1,top-p=0.9"],
            ),
            ("temperature=0.85", ["deployed", "temperature=0.3..0.9"]),
        ]
        .into_iter()
        .enumerate()
        {
            for family in families {
                let (count, _) = rejected(
                    &decoding.parse().unwrap(),
                    &family.parse().unwrap(),
                    60,
                    TEXTS,
                    20 + seed as u64,
                );
                let (low, high) = clopper_pearson(count, TEXTS, 0.999);
                println!("{decoding} as {family}: {count} of {TEXTS} excluded, {low:.4} to {high:.4}");
                assert!(low <= 0.05, "{decoding}: {count}");
            }
        }
    }

    #[test]
    fn hot_text_is_excluded_as_deployed() {
        let (count, price) = rejected(
            &SamplingParams::untruncated(1.0 / 0.75),
            &SamplingFamily::Deployed,
            300,
            50,
            9,
        );
        println!("{count} of 50, each by {price:.2} nats less than the grid says");
        assert!(count > 40, "{count}");
        assert!(price < 3.0, "{price}");
    }

    /// A NaN must never count as certainty.
    #[test]
    fn figures_that_are_not_numbers_exclude_nobody() {
        let mut rng = StdRng::seed_from_u64(3);
        let rows = rows(30, 9.0, &mut rng);
        let own = scores(&rows, &draw(&rows, &SamplingParams::untruncated(1.0), &mut rng));
        let text = " a".repeat(30);
        let against = |null: &TextScores, numerators: &[&TextScores]| {
            composite_likelihood_ratio(&text, null, &SamplingFamily::Deployed, numerators, 0.0)
        };
        let broken = |figures: fn(&mut DecodingStats)| {
            let mut scores = own.clone();
            scores.decoding[10..20].iter_mut().for_each(figures);
            scores
        };
        for broken in [
            broken(|stats| stats.seen = f32::NAN),
            broken(|stats| stats.ln_z = stats.ln_z.map(|_| f32::NAN)),
            broken(|stats| stats.ln_z[5] = f32::NEG_INFINITY),
        ] {
            assert!(against(&own, &[&broken]).ln_by_tokens <= against(&own, &[]).ln_by_tokens);
            let void = against(&broken, &[&own]);
            assert_eq!(
                (void.ln_e_value, void.void),
                (f64::NEG_INFINITY, Some(RatioVoid::NotFinite))
            );
        }
    }

    #[test]
    fn a_text_without_scores_says_nothing() {
        let empty = scores(&[], &[]);
        let evidence = composite_likelihood_ratio("", &empty, &SamplingFamily::Deployed, &[], 0.05);
        assert_eq!(
            (evidence.ln_e_value, evidence.void),
            (f64::NEG_INFINITY, Some(RatioVoid::NoOutcome))
        );
    }
}
