//! The likelihood ratio of other models against the supposed author.
//!
//! `E_n = prod Q(x_i | past) / P(x_i | past)` is a nonnegative supermartingale of mean at most 1 while P writes, for
//! any sub-probability Q that depends on the past only. If Q is the truth, it is the best e-value against P (the
//! Neyman-Pearson lemma; J. L. Kelly 1956; P. Grünwald, R. de Heide and W. Koolen, *Safe testing*, JRSS B 86, 2024). Q
//! is the fixed-share mixture of all numerators ([`super::mixture`]).
//!
//! The x_i are tokens if all models have one tokeniser, and words ([`super::word_boundaries`]) if they do not.
//! docs/THEORY.md 7 has the proofs and the conditions. It also says why the value at the last border of a text must be
//! read as a p-value and combined with other tests by [`super::e_value::ln_union`].

use super::mixture::Mixture;
use super::word_boundaries::{LnProbability, NoProbability, borders, ln_word_probabilities, stats_of, word_figures};
use crate::token_stats::TextScores;

/// A model's scores of the text, and the index into `betas` of the inverse temperature to use.
pub type Scored<'a> = (&'a TextScores, usize);

/// What the ratio is a product over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatioUnit {
    /// Tokens of the tokeniser that all models share.
    Token,
    /// Words between borders.
    Word,
}

/// Why a ratio could not be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatioVoid {
    /// There is no other model.
    #[error("there is no other model to compare with")]
    NoNumerator,
    /// The figures do not belong to the text: spans, scores and temperatures do not fit together.
    #[error("the scores do not fit the text")]
    Malformed,
    /// No word lies between two borders, or no token is scored by all models.
    #[error("the text has no complete word that all models scored")]
    NoOutcome,
    /// A border lies inside a token of the model under test.
    #[error("a token of the model under test spans a word border")]
    Straddled,
    /// A figure of the model under test is not finite.
    #[error("a figure of the model under test is not a finite number")]
    NotFinite,
    /// Some word has probability 0 under every numerator.
    #[error("no other model could have produced some part of the text")]
    NumeratorsFail,
}

/// The evidence of the likelihood ratio against a model.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioEvidence {
    /// ln of the ratio at the last token or border, in nats; minus infinity when void.
    pub ln_e_value: f64,
    /// ln of the ratio after every outcome, in nats; empty when void. By Ville's inequality its maximum also exceeds
    /// ln(1/alpha) with probability at most alpha.
    pub path: Vec<f64>,
    /// What the ratio is a product over.
    pub unit: RatioUnit,
    /// The number of outcomes.
    pub outcomes: usize,
    /// Why there is no ratio.
    pub void: Option<RatioVoid>,
}

impl RatioEvidence {
    fn void(unit: RatioUnit, outcomes: usize, reason: RatioVoid) -> Self {
        Self {
            ln_e_value: f64::NEG_INFINITY,
            path: Vec::new(),
            unit,
            outcomes,
            void: Some(reason),
        }
    }
}

/// Evidence against "`null` wrote the text": the mixture ([`Mixture`]) of the `numerators` over the null.
///
/// It goes token by token if all models share a vocabulary, else word by word for all of them. An outcome that some
/// model has not scored is left out for every model. If a numerator's figures fail on an outcome, it gives it
/// probability 0. If the null's figures fail, the ratio is void.
pub fn likelihood_ratio(text: &str, null: Scored, numerators: &[Scored]) -> RatioEvidence {
    // The text must not decide what the outcomes are, or the better of two ratios would be taken.
    let shared = numerators.iter().all(|&(scores, _)| same_vocabulary(null.0, scores));
    let unit = if shared { RatioUnit::Token } else { RatioUnit::Word };
    if numerators.is_empty() {
        return RatioEvidence::void(unit, 0, RatioVoid::NoNumerator);
    }
    let alike = !shared || numerators.iter().all(|&(scores, _)| same_tokens(null.0, scores));
    if !alike || !numerators.iter().chain([&null]).all(|scored| fits(text, scored)) {
        return RatioEvidence::void(unit, 0, RatioVoid::Malformed);
    }
    let outcomes_of: Box<dyn Fn(Scored) -> Vec<LnProbability>> = match unit {
        RatioUnit::Token => {
            let first = numerators
                .iter()
                .map(|(scores, _)| scores.first_scored)
                .fold(null.0.first_scored, usize::max);
            Box::new(move |scored| ln_token_probabilities(scored, first))
        }
        RatioUnit::Word => {
            let begin = numerators
                .iter()
                .chain([&null])
                .map(|(scores, _)| first_scored_byte(scores))
                .max();
            let usable: Vec<usize> = borders(text).into_iter().filter(|&i| Some(i) >= begin).collect();
            Box::new(move |(scores, beta)| ln_word_probabilities(scores, &word_figures(scores, beta), &usable))
        }
    };
    let denominator = outcomes_of(null);
    let experts: Vec<Vec<LnProbability>> = numerators.iter().map(|&scored| outcomes_of(scored)).collect();
    ratio(unit, &denominator, &experts)
}

/// The running ratio, from every outcome's probability under the null and under each expert.
fn ratio(unit: RatioUnit, null: &[LnProbability], experts: &[Vec<LnProbability>]) -> RatioEvidence {
    let void = |reason| RatioEvidence::void(unit, null.len(), reason);
    if null.is_empty() {
        return void(RatioVoid::NoOutcome);
    }
    let mut mixture = Mixture::new(experts.len());
    let mut path = Vec::with_capacity(null.len());
    let mut ln_null = 0.0;
    for (i, ln_p) in null.iter().enumerate() {
        ln_null += match ln_p {
            Ok(value) => value,
            Err(NoProbability::Straddled) => return void(RatioVoid::Straddled),
            Err(NoProbability::NotFinite | NoProbability::Unscored) => return void(RatioVoid::NotFinite),
        };
        let row: Vec<f64> = experts
            .iter()
            .map(|expert| {
                expert
                    .get(i)
                    .copied()
                    .unwrap_or(Err(NoProbability::Unscored))
                    .unwrap_or(f64::NEG_INFINITY)
            })
            .collect();
        mixture.push(&row);
        path.push(mixture.ln_total() - ln_null);
    }
    match path.last() {
        Some(&last) if last.is_finite() => RatioEvidence {
            ln_e_value: last,
            path,
            unit,
            outcomes: null.len(),
            void: None,
        },
        Some(&last) if last == f64::NEG_INFINITY => void(RatioVoid::NumeratorsFail),
        _ => void(RatioVoid::NotFinite),
    }
}

/// Whether two models have one vocabulary. This does not depend on the text.
pub fn same_vocabulary(a: &TextScores, b: &TextScores) -> bool {
    a.vocab == b.vocab && a.symbols == b.symbols
}

/// Whether two models cut this text into the same tokens. Models of one vocabulary do, unless their tokenisers merge in
/// different orders.
pub fn same_tokens(a: &TextScores, b: &TextScores) -> bool {
    a.ids == b.ids && a.spans == b.spans
}

/// Whether the parts of a model's scores fit each other and the text.
fn fits(text: &str, &(scores, beta): &Scored) -> bool {
    let tokens = scores.spans.len();
    let covered = scores.spans.first().map_or(0, |span| span.start) == 0
        && scores.spans.last().map_or(0, |span| span.end) == text.len()
        && scores.spans.windows(2).all(|pair| pair[0].end == pair[1].start);
    covered
        && beta < scores.betas.len()
        && scores.ids.len() == tokens
        && tokens
            .checked_sub(scores.first_scored)
            .is_some_and(|n| scores.stats.len() == n * scores.betas.len())
}

/// Where the first scored token begins; the text's end if there is none.
fn first_scored_byte(scores: &TextScores) -> usize {
    let end = scores.spans.last().map_or(0, |span| span.end);
    scores.spans.get(scores.first_scored).map_or(end, |span| span.start)
}

/// `ln p(token | past)`, in nats, of every token from `first` on.
fn ln_token_probabilities((scores, beta): Scored, first: usize) -> Vec<LnProbability> {
    (first..scores.spans.len())
        .map(|token| match stats_of(scores, beta, token) {
            None => Err(NoProbability::Unscored),
            Some(stats) if stats.surprisal.is_finite() => Ok(-stats.surprisal.max(0.0)),
            Some(_) => Err(NoProbability::NotFinite),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_stats::{TILT_COUNT, TokenStats};

    fn stats(surprisal: f64, ln_space_mass: f64) -> TokenStats {
        TokenStats {
            surprisal,
            entropy: 1.0,
            varentropy: 1.0,
            ln_space_mass,
            cgf: [0.0; TILT_COUNT],
        }
    }

    /// Scores at one inverse temperature.
    fn scores(spans: &[(usize, usize)], first_scored: usize, surprisals: &[f64]) -> TextScores {
        TextScores {
            model: "toy".into(),
            vocab: 9,
            // Tokenisers that cut the text differently have different vocabularies.
            symbols: [spans.iter().map(|&(begin, end)| begin + 7 * end).sum::<usize>() as u8; 32],
            ids: (0..spans.len() as u32).collect(),
            spans: spans.iter().map(|&(a, b)| a..b).collect(),
            first_scored,
            betas: vec![1.0],
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
            ranks: vec![1; surprisals.len()],
            stats: surprisals.iter().map(|&s| stats(s, -0.1)).collect(),
        }
    }

    const TEXT: &str = "ab cd ef gh";
    const BY_WORD: [(usize, usize); 4] = [(0, 2), (2, 5), (5, 8), (8, 11)];
    const SPLIT: [(usize, usize); 5] = [(0, 2), (2, 4), (4, 5), (5, 8), (8, 11)];

    #[test]
    fn models_of_one_tokeniser_are_compared_token_by_token() {
        let null = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let other = scores(&BY_WORD, 0, &[3.0, 1.0, 1.5, 1.0]);
        let evidence = likelihood_ratio(TEXT, (&null, 0), &[(&other, 0)]);
        assert_eq!(
            (evidence.unit, evidence.outcomes, evidence.void),
            (RatioUnit::Token, 4, None)
        );
        assert!((evidence.ln_e_value - 3.5).abs() < 1e-12);
        assert_eq!(evidence.path.len(), 4);
        let inverse = likelihood_ratio(TEXT, (&other, 0), &[(&null, 0)]);
        assert!((inverse.ln_e_value + 3.5).abs() < 1e-12);
    }

    #[test]
    fn a_token_that_one_model_did_not_score_is_left_out_of_both() {
        let null = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let other = scores(&BY_WORD, 1, &[1.0, 1.5, 1.0]);
        for evidence in [
            likelihood_ratio(TEXT, (&null, 0), &[(&other, 0)]),
            likelihood_ratio(TEXT, (&other, 0), &[(&null, 0)]),
        ] {
            assert_eq!((evidence.outcomes, evidence.void), (3, None));
            assert!((evidence.ln_e_value.abs() - 2.5).abs() < 1e-12);
        }
    }

    #[test]
    fn models_of_different_tokenisers_meet_at_the_borders() {
        let null = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let other = scores(&SPLIT, 0, &[3.0, 0.5, 0.5, 1.5, 1.0]);
        let evidence = likelihood_ratio(TEXT, (&null, 0), &[(&other, 0)]);
        assert_eq!(
            (evidence.unit, evidence.outcomes, evidence.void),
            (RatioUnit::Word, 2, None)
        );
        // " cd" and " ef"; the first stretch and the last word are left out.
        assert!((evidence.ln_e_value - (3.0 - 1.0 + 2.0 - 1.5)).abs() < 1e-12);
    }

    /// The models decide whether tokens are compared, and not the way in which a text happens to be cut.
    #[test]
    fn what_is_compared_does_not_depend_on_the_text() {
        let null = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let coincident = TextScores {
            symbols: [9; 32],
            ..scores(&BY_WORD, 0, &[3.0, 1.0, 1.5, 1.0])
        };
        let evidence = likelihood_ratio(TEXT, (&null, 0), &[(&coincident, 0)]);
        assert_eq!((evidence.unit, evidence.void), (RatioUnit::Word, None));
        let merged_otherwise = TextScores {
            symbols: null.symbols,
            ..scores(&SPLIT, 0, &[3.0, 0.5, 0.5, 1.5, 1.0])
        };
        let evidence = likelihood_ratio(TEXT, (&null, 0), &[(&merged_otherwise, 0)]);
        assert_eq!(
            (evidence.unit, evidence.void),
            (RatioUnit::Token, Some(RatioVoid::Malformed))
        );
    }

    #[test]
    fn one_stranger_among_the_numerators_takes_all_to_the_borders() {
        let null = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let kin = scores(&BY_WORD, 0, &[3.0, 1.0, 1.5, 1.0]);
        let stranger = scores(&SPLIT, 0, &[3.0, 0.5, 0.5, 1.5, 1.0]);
        let evidence = likelihood_ratio(TEXT, (&null, 0), &[(&kin, 0), (&stranger, 0)]);
        assert_eq!((evidence.unit, evidence.outcomes), (RatioUnit::Word, 2));
    }

    #[test]
    fn a_straddled_border_fails_a_numerator_and_voids_a_null() {
        let plain = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let straddling = scores(&[(0, 2), (2, 6), (6, 8), (8, 11)], 0, &[0.1, 0.1, 0.1, 0.1]);
        let alone = likelihood_ratio(TEXT, (&plain, 0), &[(&straddling, 0)]);
        assert_eq!(
            (alone.ln_e_value, alone.void),
            (f64::NEG_INFINITY, Some(RatioVoid::NumeratorsFail))
        );
        let helped = likelihood_ratio(TEXT, (&plain, 0), &[(&straddling, 0), (&plain, 0)]);
        assert!(helped.void.is_none() && helped.ln_e_value < 0.0);
        let null = likelihood_ratio(TEXT, (&straddling, 0), &[(&plain, 0)]);
        assert_eq!(
            (null.ln_e_value, null.void),
            (f64::NEG_INFINITY, Some(RatioVoid::Straddled))
        );
    }

    #[test]
    fn what_is_not_finite_never_rejects() {
        let good = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let broken = scores(&BY_WORD, 0, &[4.0, 3.0, bad, 1.0]);
            for evidence in [
                likelihood_ratio(TEXT, (&broken, 0), &[(&good, 0)]),
                likelihood_ratio(TEXT, (&good, 0), &[(&broken, 0)]),
            ] {
                assert_eq!(evidence.ln_e_value, f64::NEG_INFINITY);
                assert!(evidence.void.is_some());
            }
        }
    }

    #[test]
    fn scores_that_do_not_fit_the_text_are_void_and_do_not_panic() {
        let good = scores(&BY_WORD, 0, &[4.0, 3.0, 2.0, 1.0]);
        let ill = [
            scores(&BY_WORD, 0, &[4.0]),
            scores(&BY_WORD, 9, &[]),
            scores(&BY_WORD[..2], 0, &[1.0, 1.0]),
            scores(&[], 0, &[]),
            scores(&[(0, 2), (4, 5), (2, 11)], 0, &[1.0; 3]),
        ];
        for bad in &ill {
            for evidence in [
                likelihood_ratio(TEXT, (bad, 0), &[(&good, 0)]),
                likelihood_ratio(TEXT, (&good, 0), &[(bad, 0)]),
            ] {
                assert_eq!(evidence.void, Some(RatioVoid::Malformed));
            }
        }
        let no_temperature = likelihood_ratio(TEXT, (&good, 3), &[(&good, 0)]);
        assert_eq!(no_temperature.void, Some(RatioVoid::Malformed));
    }

    #[test]
    fn a_text_without_a_complete_word_or_another_model_has_no_ratio() {
        let null = scores(&[(0, 2), (2, 5)], 0, &[1.0, 1.0]);
        let other = scores(&[(0, 2), (2, 3), (3, 5)], 0, &[1.0, 1.0, 1.0]);
        let evidence = likelihood_ratio("ab cd", (&null, 0), &[(&other, 0)]);
        assert_eq!((evidence.void, evidence.outcomes), (Some(RatioVoid::NoOutcome), 0));
        assert_eq!(
            likelihood_ratio("ab cd", (&null, 0), &[]).void,
            Some(RatioVoid::NoNumerator)
        );
        let empty = scores(&[], 0, &[]);
        assert_eq!(
            likelihood_ratio("", (&empty, 0), &[(&empty, 0)]).void,
            Some(RatioVoid::NoOutcome)
        );
    }
}
