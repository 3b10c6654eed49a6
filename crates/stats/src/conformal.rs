//! Conformal p-values: a text's score against the scores of texts whose author is known.
//!
//! Let S_1..S_n be the scores of calibration texts and S the score of the text at hand. One rule computes all of them,
//! fixed before any is seen. If the n + 1 texts are exchangeable, every rank of S among the scores is equally likely,
//! so
//!
//! ```text
//! p = (1 + #{i : S_i at least as extreme as S}) / (n + 1)          P(p <= alpha) <= alpha
//! ```
//!
//! for every alpha and every distribution of texts (V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random
//! World*, 2005, proposition 2.4; docs/THEORY.md 11). Exchangeability is the only assumption, and it is necessary: a
//! text of another kind than the calibration texts is not covered. The verdict says which kinds are.
//!
//! **Documents.** Texts that answer one prompt, or come from one document, resemble each other, and a new text is
//! exchangeable with only one of them. So the caller gives the scores of one text per document, which it chooses at random
//! ([`super::calibration`]).
//!
//! **Groups** (Mondrian). Calibration texts may come in groups, such as genres of human-written texts or ways of
//! sampling from a model. The largest of the groups' p-values is valid for a text of *any* group, and of any mixture of
//! groups, because it is at least the p-value of the text's own group, whichever that is. So no group's authors pay for
//! another group.
//!
//! **Confidence.** The probability above is over the calibration and the text together. Given one calibration, a score that
//! is fixed excludes a share of its author's texts that is at most Beta(r, n + 1 - r) distributed over calibrations, if all
//! texts with rank (n + 1) p up to r are excluded. [`confident_p`] is a quantile of it (docs/THEORY.md 11).

use super::e_bh::ROUNDING;
use super::interval::beta_quantile;

/// The conformal p-value of a score for which low values are extreme.
///
/// A score that is not a number has p-value 1, so it is evidence against nobody. Calibration scores that are not
/// numbers count as low. Without calibration scores the p-value is 1.
pub fn p_of_low(calibration: &[f64], score: f64) -> f64 {
    if score.is_nan() {
        return 1.0;
    }
    share(
        calibration.iter().filter(|&&s| s <= score || s.is_nan()).count(),
        calibration.len(),
    )
}

/// The score, or the least of all if it is not a number.
pub(crate) fn nan_as_least(score: f64) -> f64 {
    if score.is_nan() { f64::NEG_INFINITY } else { score }
}

/// The p-value of a text, if this many of the known texts are as extreme.
fn share(as_low: usize, known: usize) -> f64 {
    (1 + as_low) as f64 / (1 + known) as f64
}

/// A conformal p-value among `known` texts, raised to the quantile of the share of its author's texts that it excludes: with
/// probability `confidence` over calibrations, at most a share u of the author's texts has such a value of u or less, for
/// each u.
///
/// It needs one score that is fixed before the known texts are drawn, and known texts that are independent (V. Vovk,
/// *Conditional validity of inductive conformal predictors*, 2012, proposition 2a; docs/THEORY.md 11).
pub fn confident_p(p_value: f64, known: usize, confidence: f64) -> f64 {
    let rank = (p_value * (1 + known) as f64).round();
    let above = (1 + known) as f64 - rank;
    if above < 1.0 {
        return 1.0;
    }
    beta_quantile(rank, above, confidence).max(p_value)
}

/// The greatest [`p_of_low`] whose [`confident_p`] is at most alpha; 0 if there is none.
pub fn level_of_confident(alpha: f64, known: usize, confidence: f64) -> f64 {
    let of_rank = |rank: usize| rank as f64 / (1 + known) as f64;
    let ranks: Vec<usize> = (1..=known).collect();
    let excluded = ranks.partition_point(|&rank| confident_p(of_rank(rank), known, confidence) <= alpha);
    of_rank(excluded)
}

/// The greatest calibration score below which a score has a [`p_of_low`] of at most alpha. Minus infinity if there are
/// too few texts for any score to have one.
pub fn threshold_of_low(calibration: &[f64], alpha: f64) -> f64 {
    // p = (1 + as low)/(texts + 1) <= alpha.
    let as_low = alpha * (1 + calibration.len()) as f64 * (1.0 + ROUNDING) - 1.0;
    if as_low < 0.0 {
        return f64::NEG_INFINITY;
    }
    let mut sorted = calibration.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(as_low as usize).copied().unwrap_or(f64::INFINITY)
}

/// The joint p-value of several scores. `scores[j][i]` is score j of text i, low if the author is unlikely; the last
/// text is the one at hand.
///
/// Each score ranks all texts, including the one at hand. A text counts by the least of its ranks, and the p-value is
/// the share of texts whose least rank is as low. This is the smallest of several p-values (P. H. Westfall and S. S.
/// Young, *Resampling-Based Multiple Testing*, 1993); exchangeability makes their correction exact (docs/THEORY.md 11).
/// No score needs a weight, and redundant scores cost nothing. With one score it equals [`p_of_low`].
pub fn p_of_low_jointly(scores: &[Vec<f64>]) -> f64 {
    let texts = scores.first().map_or(0, Vec::len);
    if texts == 0
        || scores
            .iter()
            .any(|score| score.len() != texts || score[texts - 1].is_nan())
    {
        return 1.0;
    }
    let mut least = vec![usize::MAX; texts];
    for score in scores {
        // A score that is not a number ranks lowest.
        let mut sorted: Vec<f64> = score.iter().copied().map(nan_as_least).collect();
        sorted.sort_by(f64::total_cmp);
        for (least, &value) in least.iter_mut().zip(score) {
            *least = (*least).min(sorted.partition_point(|&other| other <= nan_as_least(value)));
        }
    }
    let own = least[texts - 1];
    share(
        least[..texts - 1].iter().filter(|&&rank| rank <= own).count(),
        texts - 1,
    )
}

/// The largest of the groups' p-values, and the index of its group; 1 and none if there is no group.
pub fn largest_p_value(p_values: &[f64]) -> (f64, Option<usize>) {
    let of = (0..p_values.len()).max_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    (of.map_or(1.0, |i| p_values[i]), of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clopper_pearson;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn ties_and_nan_favour_the_author() {
        assert_eq!(p_of_low(&[1.0, 2.0, 3.0], 0.0), 0.25);
        assert_eq!(p_of_low(&[1.0, 2.0, 3.0], 2.0), 0.75);
        assert_eq!(p_of_low(&[1.0, f64::NAN, 3.0], 0.0), 0.5);
        assert_eq!(p_of_low(&[1.0, 2.0], f64::NAN), 1.0);
        assert_eq!(p_of_low(&[], -9.0), 1.0);
        assert_eq!(largest_p_value(&[0.25, 1.0, 0.5]), (1.0, Some(1)));
        assert_eq!(largest_p_value(&[]), (1.0, None));
        assert_eq!(threshold_of_low(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(p_of_low(&[3.0, 1.0, 2.0], 1.9), 0.5);
        assert_eq!(threshold_of_low(&[3.0, 1.0, 2.0], 0.2), f64::NEG_INFINITY);
        assert_eq!(p_of_low_jointly(&[]), 1.0);
        assert_eq!(p_of_low_jointly(&[vec![1.0, f64::NAN, 0.0]]), 2.0 / 3.0);
        assert_eq!(p_of_low_jointly(&[vec![1.0, 2.0, f64::NAN]]), 1.0);
    }

    #[test]
    fn the_least_confident_value_has_a_closed_form() {
        for (known, confidence) in [(59, 0.95), (299, 0.95), (100, 0.5), (30, 0.999)] {
            let least = confident_p(1.0 / (known + 1) as f64, known, confidence);
            let closed = 1.0 - (1.0 - confidence).powf(1.0 / known as f64);
            assert!((least - closed.max(1.0 / (known + 1) as f64)).abs() < 1e-12, "{known}");
        }
        // One document fewer is too few.
        let least = |known: usize| confident_p(1.0 / (known + 1) as f64, known, 0.95);
        assert!(least(59) <= 0.05 && least(58) > 0.05 && least(299) <= 0.01 && least(298) > 0.01);
        assert_eq!(level_of_confident(0.05, 58, 0.95), 0.0);
        // A p-value is never lowered.
        assert_eq!(confident_p(0.3, 9, 0.01), 0.3);
        assert_eq!((confident_p(1.0, 9, 0.95), confident_p(1.0, 0, 0.95)), (1.0, 1.0));
    }

    /// The guarantee itself: of so many calibrations, how many exclude more than alpha of all texts.
    #[test]
    fn few_calibrations_exclude_more_than_alpha() {
        const CALIBRATIONS: u64 = 4_000;
        let mut rng = StdRng::seed_from_u64(11);
        for (known, alpha, confidence) in [
            (59, 0.05, 0.95),
            (93, 0.05, 0.95),
            (177, 0.05, 0.95),
            (301, 0.01, 0.95),
            (473, 0.01, 0.95),
            (400, 0.05, 0.99),
            (60, 0.2, 0.6),
        ] {
            let level = level_of_confident(alpha, known, confidence);
            assert!(level > 0.0);
            let exceeding = (0..CALIBRATIONS).filter(|_| {
                // A score that is uniform is below the threshold with a probability equal to it.
                let scores: Vec<f64> = (0..known).map(|_| rng.random()).collect();
                let error = threshold_of_low(&scores, level);
                let is_excluded = |score: f64| confident_p(p_of_low(&scores, score), known, confidence) <= alpha;
                assert!(is_excluded(error.next_down()) && !is_excluded(error));
                error > alpha
            });
            let exceeding = exceeding.count() as u64;
            println!("{known} texts, {alpha}, {confidence}: {exceeding} of {CALIBRATIONS}");
            assert!(clopper_pearson(exceeding, CALIBRATIONS, 0.999).0 <= 1.0 - confidence);
        }
    }

    proptest! {
        /// Exactness without a distribution: over all choices of the text at hand out of n + 1, at most a share alpha
        /// has a p-value of at most alpha.
        #[test]
        fn over_all_places_in_the_order_p_is_uniform_or_greater(
            scores in prop::collection::vec(-3i8..3, 1..40), alpha in 0.0..1.0f64
        ) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let rejected = (0..scores.len()).filter(|&i| {
                let mut others = scores.clone();
                let score = others.remove(i);
                p_of_low(&others, score) <= alpha
            });
            prop_assert!(rejected.count() as f64 <= alpha * scores.len() as f64);
        }

        /// The same for two and three scores at once.
        #[test]
        fn several_scores_jointly_are_as_exact_as_one(
            scores in prop::collection::vec(prop::collection::vec(-3i8..3, 12), 1..4), alpha in 0.0..1.0f64
        ) {
            let scores: Vec<Vec<f64>> = scores.iter().map(|s| s.iter().map(|&v| f64::from(v)).collect()).collect();
            let p = |i: usize| {
                let rotated: Vec<Vec<f64>> = scores
                    .iter()
                    .map(|s| [&s[i + 1..], &s[..=i]].concat())
                    .collect();
                p_of_low_jointly(&rotated)
            };
            let rejected = (0..12).filter(|&i| p(i) <= alpha).count();
            prop_assert!(rejected as f64 <= alpha * 12.0);
            if let [only] = &scores[..] {
                let (own, others) = only.split_last().unwrap();
                prop_assert_eq!(p_of_low_jointly(&scores), p_of_low(others, *own));
            }
        }
    }

    /// Groups that differ as much as possible: a text of each, and of a mixture, is rejected at most alpha of the time.
    #[test]
    fn texts_of_every_group_are_covered_whatever_the_other_groups_are() {
        let mut rng = StdRng::seed_from_u64(11);
        let draw = |group: usize, rng: &mut StdRng| -> f64 {
            let u: f64 = rng.random();
            match group {
                0 => u,
                1 => 10.0 + u * u,
                _ => 0.5 - (1.0 - u).ln(),
            }
        };
        const RUNS: u64 = 4_000;
        let mut rejected = [0u64; 4];
        for run in 0..RUNS {
            let groups: Vec<Vec<f64>> = (0..3).map(|g| (0..60).map(|_| draw(g, &mut rng)).collect()).collect();
            for (case, count) in rejected.iter_mut().enumerate() {
                let group = if case == 3 { (run % 3) as usize } else { case };
                let score = draw(group, &mut rng);
                let p_values: Vec<f64> = groups.iter().map(|scores| p_of_low(scores, score)).collect();
                let (p, _) = largest_p_value(&p_values);
                *count += u64::from(p <= 0.05);
            }
        }
        for (case, &count) in rejected.iter().enumerate() {
            let (low, high) = clopper_pearson(count, RUNS, 0.999);
            println!("case {case}: {count} of {RUNS} rejected at 0.05, {low:.4} to {high:.4}");
            assert!(low <= 0.05, "case {case}: {count}");
        }
    }
}
