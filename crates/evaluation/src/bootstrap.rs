//! Intervals by resampling documents, for shares above a threshold that the same texts decide.
//!
//! B. Efron, *Nonparametric standard errors and confidence intervals*, Canadian Journal of Statistics 9(2), 1981, with
//! documents as the units: percentiles of the share over samples of documents, drawn with replacement.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use whowrote_stats::roc::ScoredText;

const SAMPLES: usize = 1_000;
/// Two runs give equal figures.
const SEED: u64 = 20_261_130;

/// An interval for the share of the texts that are looked for with a score above the threshold that allows each of these
/// shares of false alarms. The threshold is found anew in each sample.
pub(crate) fn found_intervals(texts: &[ScoredText], false_alarms: &[f64], confidence: f64) -> Vec<(f64, f64)> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<(f64, bool, usize)> = texts
        .iter()
        .map(|text| {
            let next = numbers.len();
            let document = *numbers.entry(text.document).or_insert(next);
            (text.score, text.is_sought, document)
        })
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let documents = numbers.len();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut shares: Vec<Vec<f64>> = vec![Vec::with_capacity(SAMPLES); false_alarms.len()];
    let mut weights = vec![0u32; documents];
    for _ in 0..SAMPLES {
        weights.fill(0);
        for _ in 0..documents {
            weights[rng.random_range(0..documents)] += 1;
        }
        let total = |kind: bool| {
            let of_kind = order.iter().filter(|(_, is_sought, _)| *is_sought == kind);
            of_kind
                .map(|(_, _, document)| f64::from(weights[*document]))
                .sum::<f64>()
        };
        let (sought, others) = (total(true), total(false));
        if sought == 0.0 || others == 0.0 {
            continue;
        }
        for (share, of_alarms) in false_alarms.iter().zip(&mut shares) {
            let allowed = (share * others * (1.0 + whowrote_stats::ROUNDING)).floor();
            let (mut found, mut alarms) = (0.0, 0.0);
            for tied in order.chunk_by(|a, b| a.0 == b.0) {
                let weight = |kind: bool| {
                    let of_kind = tied.iter().filter(|(_, is_sought, _)| *is_sought == kind);
                    of_kind
                        .map(|(_, _, document)| f64::from(weights[*document]))
                        .sum::<f64>()
                };
                alarms += weight(false);
                if alarms > allowed {
                    break;
                }
                found += weight(true);
            }
            of_alarms.push(found / sought);
        }
    }
    shares
        .into_iter()
        .map(|shares| percentiles(shares, confidence))
        .collect()
}

/// The middle part of the values.
fn percentiles(mut values: Vec<f64>, confidence: f64) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        values
            .get(((values.len() as f64 - 1.0) * share).round() as usize)
            .copied()
    };
    let tail = (1.0 - confidence) / 2.0;
    (at(tail).unwrap_or(0.0), at(1.0 - tail).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::StandardNormal;
    use whowrote_stats::clopper_pearson;
    use whowrote_stats::roc::found_at;

    /// The share that is found is that of [`found_at`], and the interval holds the true share about as often as stated.
    #[test]
    fn the_interval_holds_the_share_as_often_as_stated() {
        use statrs::distribution::{ContinuousCDF, Normal};
        const RUNS: u64 = 150;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let normal = Normal::standard();
        let truth = 1.0 - normal.cdf(normal.inverse_cdf(0.9) - 1.5);
        let names: Vec<String> = (0..300).map(|i| (i / 2).to_string()).collect();
        let mut holds = 0;
        for _ in 0..RUNS {
            let mut common = 0.0;
            let texts: Vec<ScoredText> = names
                .iter()
                .enumerate()
                .map(|(i, document)| {
                    if i % 2 == 0 {
                        common = rng.sample(StandardNormal);
                    }
                    let own: f64 = rng.sample(StandardNormal);
                    let is_sought = i % 4 < 2;
                    ScoredText {
                        score: 0.5f64.sqrt() * (common + own) + if is_sought { 1.5 } else { 0.0 },
                        is_sought,
                        document,
                    }
                })
                .collect();
            let (low, high) = found_intervals(&texts, &[0.1], 0.95)[0];
            let (found, all) = found_at(&texts, 0.1);
            assert!((low..=high).contains(&(found as f64 / all as f64)));
            holds += u64::from((low..=high).contains(&truth));
        }
        println!("{holds} of {RUNS}");
        assert!(clopper_pearson(holds, RUNS, 0.999).1 > 0.95, "{holds} of {RUNS}");
    }

    /// With few texts by people, a small share of false alarms is a threshold among their greatest scores, and samples of the
    /// documents do not see beyond these. That is why [`evaluate`](crate::evaluate) gives no lower end there.
    #[test]
    fn at_few_false_alarms_the_lower_end_is_too_high() {
        use statrs::distribution::{ContinuousCDF, Normal};
        const RUNS: u64 = 200;
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let normal = Normal::standard();
        let truth = 1.0 - normal.cdf(normal.inverse_cdf(0.99) - 2.0);
        let names: Vec<String> = (0..200).map(|i| i.to_string()).collect();
        let (mut above, mut below) = (0, 0);
        for _ in 0..RUNS {
            let text = |(i, document): (usize, &'_ String)| {
                let noise: f64 = rng.sample(StandardNormal);
                (noise + if i % 2 == 0 { 2.0 } else { 0.0 }, i % 2 == 0, document.clone())
            };
            let scored: Vec<(f64, bool, String)> = names.iter().enumerate().map(text).collect();
            let texts: Vec<ScoredText> = scored
                .iter()
                .map(|(score, is_sought, document)| ScoredText {
                    score: *score,
                    is_sought: *is_sought,
                    document,
                })
                .collect();
            let (low, high) = found_intervals(&texts, &[0.01], 0.95)[0];
            above += u64::from(low > truth);
            below += u64::from(high < truth);
        }
        println!("of {RUNS}, {above} lie above the truth and {below} below");
        assert!(clopper_pearson(above, RUNS, 0.999).0 > 0.05);
        assert!(clopper_pearson(below, RUNS, 0.999).0 <= 0.025);
    }

    #[test]
    fn equal_runs_give_equal_figures() {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let texts: Vec<ScoredText> = names
            .iter()
            .enumerate()
            .map(|(i, document)| ScoredText {
                score: (i * 7 % 11) as f64,
                is_sought: i % 3 == 0,
                document,
            })
            .collect();
        let once = found_intervals(&texts, &[0.01, 0.05], 0.95);
        assert_eq!(once, found_intervals(&texts, &[0.01, 0.05], 0.95));
        assert_eq!(found_intervals(&[], &[0.05], 0.95), [(0.0, 1.0)]);
    }
}
