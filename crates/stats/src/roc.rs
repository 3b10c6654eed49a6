//! How well a score tells texts of one kind from texts of another: the area under the ROC curve, and the share that is found
//! at a given share of false alarms. No guarantee: these are measurements on texts whose authors are known.
//!
//! The area is the probability that a text of the kind that is looked for has a greater score than one of the other kind,
//! where a tie counts one half (the Mann-Whitney statistic). Its standard error is that of DeLong, DeLong and Clarke-Pearson
//! (1988). Texts of one document are not independent, so the components of a document's texts are added first (Obuchowski
//! 1997); if every text has a document of its own, both are the same.
//!
//! # References
//!
//! - E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, *Comparing the areas under two or more correlated receiver operating
//!   characteristic curves: a nonparametric approach*, Biometrics 44(3), 1988.
//! - N. A. Obuchowski, *Nonparametric analysis of clustered ROC curve data*, Biometrics 53(2), 1997, section 2.
//! - X. Sun, W. Xu, *Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver operating
//!   characteristic curves*, IEEE Signal Processing Letters 21(11), 2014: the components from ranks.

use crate::conformal::nan_as_least;
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// A text with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredText<'a> {
    /// The score, greater for texts of the kind that is looked for. One that is not a number counts as the least.
    pub score: f64,
    /// Whether the text is of this kind.
    pub is_sought: bool,
    /// The document that it is from.
    pub document: &'a str,
}

/// The area under a ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The area, from 0 to 1; 0.5 if the score tells nothing.
    pub value: f64,
    /// Its standard error. It is 0 if the two kinds do not overlap, which does not mean that the area is known exactly.
    pub standard_error: f64,
}

impl Area {
    /// The area under the ROC curve of these texts. None if one of the kinds comes from fewer than two documents.
    pub fn of(texts: &[ScoredText]) -> Option<Self> {
        let (value, standard_error) = mean_of_components(texts, &components(texts))?;
        Some(Self { value, standard_error })
    }

    /// The interval that holds the area with this probability, if the number of documents is large.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let half = half_width(self.standard_error, confidence);
        ((self.value - half).max(0.0), (self.value + half).min(1.0))
    }
}

/// By how much one score's area under the ROC curve exceeds another's on the same texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AreaDifference {
    /// The difference, from -1 to 1.
    pub value: f64,
    /// Its standard error. The areas are of the same texts, so it is less than if they were independent.
    pub standard_error: f64,
}

impl AreaDifference {
    /// The first area less the second. Both are of the same texts in the same order. None as in [`Area::of`].
    pub fn of(first: &[ScoredText], second: &[ScoredText]) -> Option<Self> {
        let both = components(first).into_iter().zip(components(second));
        let differences: Vec<f64> = both.map(|(first, second)| first - second).collect();
        let (value, standard_error) = mean_of_components(first, &differences)?;
        Some(Self { value, standard_error })
    }

    /// The interval that holds the difference with this probability, if the number of documents is large.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let half = half_width(self.standard_error, confidence);
        ((self.value - half).max(-1.0), (self.value + half).min(1.0))
    }
}

/// Half the width of a normal interval.
fn half_width(standard_error: f64, confidence: f64) -> f64 {
    Normal::standard().inverse_cdf(0.5 + confidence / 2.0) * standard_error
}

/// For each text, the share of texts of the other kind that it stands on the right side of.
fn components(texts: &[ScoredText]) -> Vec<f64> {
    let count = |is_sought: bool| texts.iter().filter(|text| text.is_sought == is_sought).count() as f64;
    let (sought, others) = (count(true), count(false));
    let all = mid_ranks(texts, |_| true);
    let of_kind = [false, true].map(|kind| mid_ranks(texts, |text| text.is_sought == kind));
    let component = |(i, text): (usize, &ScoredText)| {
        let beneath = all[i] - of_kind[usize::from(text.is_sought)][i];
        if text.is_sought {
            beneath / others
        } else {
            1.0 - beneath / sought
        }
    };
    texts.iter().enumerate().map(component).collect()
}

/// The mean of the components of the texts that are looked for, and its standard error over documents. It is also the mean of
/// the components of the other texts.
fn mean_of_components(texts: &[ScoredText], components: &[f64]) -> Option<(f64, f64)> {
    let mut documents: BTreeMap<&str, [Sum; 2]> = BTreeMap::new();
    for (text, component) in texts.iter().zip(components) {
        let sum = &mut documents.entry(text.document).or_default()[usize::from(text.is_sought)];
        sum.texts += 1.0;
        sum.components += component;
    }
    let with = |kind: usize| documents.values().filter(|sums| sums[kind].texts > 0.0).count() as f64;
    if with(0) < 2.0 || with(1) < 2.0 {
        return None;
    }
    let of_kind = |kind: usize| {
        let sums = documents.values().map(|sums| sums[kind]);
        sums.fold((0.0, 0.0), |all, sum| (all.0 + sum.texts, all.1 + sum.components))
    };
    let ((others, _), (sought, sum)) = (of_kind(0), of_kind(1));
    let value = sum / sought;
    let spread = |sums: &[Sum; 2], kind: usize| sums[kind].components - sums[kind].texts * value;
    let variance = |kind: usize, texts: f64| {
        let squares: f64 = documents.values().map(|sums| spread(sums, kind).powi(2)).sum();
        squares * with(kind) / ((with(kind) - 1.0) * texts * texts)
    };
    let products: f64 = documents.values().map(|sums| spread(sums, 0) * spread(sums, 1)).sum();
    let documents = documents.len() as f64;
    let covariance = products * documents / ((documents - 1.0) * sought * others);
    let variance = variance(1, sought) + variance(0, others) + 2.0 * covariance;
    Some((value, variance.max(0.0).sqrt()))
}

/// The components of the texts of one kind of a document.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    texts: f64,
    components: f64,
}

/// For each text that is meant, its rank among them by the score, from 1; equal scores share the mean of their ranks.
fn mid_ranks(texts: &[ScoredText], meant: impl Fn(&ScoredText) -> bool) -> Vec<f64> {
    let key = |i: &usize| nan_as_least(texts[*i].score);
    let mut order: Vec<usize> = (0..texts.len()).filter(|&i| meant(&texts[i])).collect();
    order.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let mut ranks = vec![0.0; texts.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| key(a) == key(b)) {
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|&i| ranks[i] = rank);
        before += equal.len();
    }
    ranks
}

/// Of the texts that are looked for, the number with a score above a threshold, and how many there are. The threshold is the
/// least at which at most this share of the others is above it.
pub fn found_at(texts: &[ScoredText], false_alarms: f64) -> (u64, u64) {
    let of = |kind: bool| {
        texts
            .iter()
            .filter(move |text| text.is_sought == kind)
            .map(|text| nan_as_least(text.score))
    };
    let mut others: Vec<f64> = of(false).collect();
    others.sort_by(|a, b| b.total_cmp(a));
    let allowed = (false_alarms * others.len() as f64 * (1.0 + crate::ROUNDING)) as usize;
    let threshold = others.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    (
        of(true).filter(|&score| score > threshold).count() as u64,
        of(true).count() as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clopper_pearson;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    fn texts<'a>(scores: &[(f64, bool)], documents: &'a [String]) -> Vec<ScoredText<'a>> {
        let text = |(&(score, is_sought), document): (&(f64, bool), &'a String)| ScoredText {
            score,
            is_sought,
            document,
        };
        scores.iter().zip(documents).map(text).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| i.to_string()).collect()
    }

    /// The area and its variance by DeLong's definition, over all pairs.
    fn by_pairs(scores: &[(f64, bool)]) -> (f64, f64) {
        let of = |kind: bool| -> Vec<f64> { scores.iter().filter(|s| s.1 == kind).map(|s| s.0).collect() };
        let (sought, others) = (of(true), of(false));
        let psi = |x: f64, y: f64| {
            if x > y {
                1.0
            } else if x == y {
                0.5
            } else {
                0.0
            }
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let v10: Vec<f64> = sought
            .iter()
            .map(|&x| mean(&others.iter().map(|&y| psi(x, y)).collect::<Vec<_>>()))
            .collect();
        let v01: Vec<f64> = others
            .iter()
            .map(|&y| mean(&sought.iter().map(|&x| psi(x, y)).collect::<Vec<_>>()))
            .collect();
        let area = mean(&v10);
        let variance = |v: &[f64]| v.iter().map(|c| (c - area).powi(2)).sum::<f64>() / (v.len() - 1) as f64;
        (
            area,
            variance(&v10) / v10.len() as f64 + variance(&v01) / v01.len() as f64,
        )
    }

    proptest! {
        #[test]
        fn the_area_and_its_error_are_those_of_the_definition(
            scores in prop::collection::vec((-4i8..4, any::<bool>()), 4..60)
        ) {
            let mut scores: Vec<(f64, bool)> = scores.into_iter().map(|(score, kind)| (f64::from(score), kind)).collect();
            scores.extend([(0.0, true), (1.0, true), (0.0, false), (1.0, false)]);
            let documents = names(scores.len());
            let area = Area::of(&texts(&scores, &documents)).unwrap();
            let (value, variance) = by_pairs(&scores);
            prop_assert!((area.value - value).abs() < 1e-12);
            prop_assert!((area.standard_error.powi(2) - variance).abs() < 1e-12);
        }
    }

    /// The difference and its variance by DeLong's definition, over all pairs.
    #[test]
    fn a_difference_has_the_error_of_the_definition() {
        let mut rng = StdRng::seed_from_u64(4);
        let kinds: Vec<bool> = (0..90).map(|i| i < 40).collect();
        let score = |shift: f64, rng: &mut StdRng| -> Vec<(f64, bool)> {
            let of = |&kind: &bool| {
                let noise: f64 = rng.sample(StandardNormal);
                (((noise + shift * f64::from(u8::from(kind))) * 4.0).round(), kind)
            };
            kinds.iter().map(of).collect()
        };
        let (first, second) = (score(1.5, &mut rng), score(0.5, &mut rng));
        let documents = names(90);
        let found = AreaDifference::of(&texts(&first, &documents), &texts(&second, &documents)).unwrap();
        let (a, b) = (by_pairs(&first), by_pairs(&second));
        assert!((found.value - (a.0 - b.0)).abs() < 1e-12);
        let psi = |x: f64, y: f64| f64::from(u8::from(x > y)) + 0.5 * f64::from(u8::from(x == y));
        let of = |scores: &[(f64, bool)], kind: bool| -> Vec<f64> {
            let of_kind = scores.iter().filter(|s| s.1 == kind);
            of_kind.map(|s| s.0).collect()
        };
        // For each text, its two components.
        let components = |kind: bool| -> Vec<[f64; 2]> {
            (0..of(&first, kind).len())
                .map(|i| {
                    [&first, &second].map(|scores| {
                        let (own, others) = (of(scores, kind)[i], of(scores, !kind));
                        let sum: f64 = others
                            .iter()
                            .map(|&other| if kind { psi(own, other) } else { psi(other, own) })
                            .sum();
                        sum / others.len() as f64
                    })
                })
                .collect()
        };
        let variance = |components: &[[f64; 2]]| {
            let n = components.len() as f64;
            let mean = [0, 1].map(|k| components.iter().map(|c| c[k]).sum::<f64>() / n);
            let covariance = |j: usize, k: usize| {
                let products = components.iter().map(|c| (c[j] - mean[j]) * (c[k] - mean[k]));
                products.sum::<f64>() / (n - 1.0)
            };
            (covariance(0, 0) + covariance(1, 1) - 2.0 * covariance(0, 1)) / n
        };
        let expected = variance(&components(true)) + variance(&components(false));
        assert!((found.standard_error.powi(2) - expected).abs() < 1e-12);
        let same = AreaDifference::of(&texts(&first, &documents), &texts(&first, &documents)).unwrap();
        assert_eq!((same.value, same.standard_error), (0.0, 0.0));
    }

    /// The estimate of Obuchowski is that of DeLong for documents that are copies of one text.
    #[test]
    fn copies_of_a_text_count_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let once: Vec<(f64, bool)> = (0..80)
            .map(|i| {
                (
                    rng.sample::<f64, _>(StandardNormal) + f64::from(u8::from(i < 30)),
                    i < 30,
                )
            })
            .collect();
        let documents = names(80);
        let single = Area::of(&texts(&once, &documents)).unwrap();
        let three = |of: &[String]| -> Vec<String> { of.iter().flat_map(|name| vec![name.clone(); 3]).collect() };
        let copies: Vec<(f64, bool)> = once.iter().flat_map(|&text| [text; 3]).collect();
        let documents_of_copies = three(&documents);
        let copied = Area::of(&texts(&copies, &documents_of_copies)).unwrap();
        assert!((copied.value - single.value).abs() < 1e-12);
        assert!((copied.standard_error - single.standard_error).abs() < 1e-12);
        let apart = names(copies.len());
        assert!(Area::of(&texts(&copies, &apart)).unwrap().standard_error < 0.7 * single.standard_error);
    }

    #[test]
    fn one_document_of_a_kind_has_no_error() {
        let documents = ["a", "a", "b", "c"].map(str::to_owned);
        assert_eq!(
            Area::of(&texts(
                &[(1.0, true), (2.0, true), (0.0, false), (1.0, false)],
                &documents
            )),
            None
        );
        assert_eq!(Area::of(&[]), None);
    }

    /// How often the interval holds the true area: of single texts, and of documents with texts of both kinds that share
    /// half of their variance.
    #[test]
    fn the_interval_holds_the_area_as_often_as_stated() {
        const RUNS: u64 = 2_000;
        let mut rng = StdRng::seed_from_u64(2);
        // P(X > Y) for normal scores one apart in the mean.
        let truth = Normal::standard().cdf(1.0 / 2f64.sqrt());
        let documents: Vec<String> = (0..240).map(|i| (i / 4).to_string()).collect();
        for shared in [0.0f64, 0.5] {
            let mut holds = 0;
            for _ in 0..RUNS {
                let mut common = 0.0;
                let scores: Vec<(f64, bool)> = (0..240)
                    .map(|i| {
                        if i % 4 == 0 {
                            common = rng.sample(StandardNormal);
                        }
                        let own: f64 = rng.sample(StandardNormal);
                        let shift = f64::from(u8::from(i % 2 == 0));
                        (shift + shared.sqrt() * common + (1.0 - shared).sqrt() * own, i % 2 == 0)
                    })
                    .collect();
                let area = Area::of(&texts(&scores, &documents)).unwrap();
                // The pairs within a document, one in sixty, hardly change the area.
                let (low, high) = area.interval(0.95);
                holds += u64::from((low..=high).contains(&truth));
            }
            let (low, high) = clopper_pearson(holds, RUNS, 0.999);
            println!("shared {shared}: {holds} of {RUNS}");
            assert!(low < 0.96 && high > 0.93, "shared {shared}: {holds} of {RUNS}");
        }
    }

    #[test]
    fn what_is_found_at_a_share_of_false_alarms() {
        let documents = names(8);
        let scores = [
            (3.0, true),
            (2.0, true),
            (1.0, true),
            (f64::NAN, true),
            (2.5, false),
            (1.0, false),
            (0.5, false),
            (f64::NAN, false),
        ];
        let texts = texts(&scores, &documents);
        assert_eq!(found_at(&texts, 0.0), (1, 4));
        assert_eq!(found_at(&texts, 0.25), (2, 4));
        assert_eq!(found_at(&texts, 0.49), (2, 4));
        assert_eq!(found_at(&texts, 0.5), (3, 4));
        assert_eq!(found_at(&texts, 1.0), (3, 4));
        assert_eq!(found_at(&[], 0.1), (0, 0));
    }
}
