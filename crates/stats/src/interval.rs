//! Intervals for a proportion: of independent trials, and of texts that come in documents.
//!
//! C. J. Clopper and E. S. Pearson, *The use of confidence or fiducial limits illustrated in the case of the binomial*,
//! Biometrika 26(4), 1934. The limits are quantiles of beta distributions. The coverage is at least the stated level
//! for every proportion and number of trials.
//!
//! E. L. Korn and B. I. Graubard, *Confidence intervals for proportions with small expected number of positive counts
//! estimated from survey data*, Survey Methodology 24(2), 1998: the same limits at the number of independent trials that
//! would tell as much as the texts of these documents do.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

/// The Clopper-Pearson interval, `(lower, upper)`, for the probability of success after `successes` in `trials`.
///
/// `confidence` is the two-sided level, such as 0.95. No trials, or a count above the trials, gives `(0, 1)`.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    if trials == 0 || successes > trials || !(0.0..1.0).contains(&confidence) {
        return (0.0, 1.0);
    }
    limits(successes as f64, trials as f64, confidence)
}

/// Clopper and Pearson's limits; the counts need not be whole.
fn limits(x: f64, n: f64, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let lower = if x <= 0.0 {
        0.0
    } else {
        beta_quantile(x, n - x + 1.0, tail)
    };
    let upper = if x >= n {
        1.0
    } else {
        beta_quantile(x + 1.0, n - x, 1.0 - tail)
    };
    (lower, upper)
}

/// The interval of Korn and Graubard for a share of texts. Each item is a document: how many of its texts are successes, and
/// how many it has. If every document has one text, this is [`clopper_pearson`]. If the share is the same
/// in all documents, they count as the trials: nothing tells how alike the texts of one are.
pub fn share_by_document(documents: &[(u64, u64)], confidence: f64) -> (f64, f64) {
    let sum = |of: fn(&(u64, u64)) -> u64| documents.iter().map(of).sum::<u64>();
    let (successes, texts) = (sum(|d| d.0), sum(|d| d.1));
    if texts == documents.len() as u64 {
        return clopper_pearson(successes, texts, confidence);
    }
    if documents.len() < 2 || successes > texts {
        return (0.0, 1.0);
    }
    let (all, share) = (texts as f64, successes as f64 / texts as f64);
    let count = documents.len() as f64;
    let squares = documents
        .iter()
        .map(|&(x, n)| (x as f64 - share * n as f64).powi(2))
        .sum::<f64>();
    let variance = count / (count - 1.0) * squares / (all * all);
    // Rounding can leave a trace where nothing varies.
    let independent = if variance > 1e-24 {
        let quantile = |freedom: f64| StudentsT::new(0.0, 1.0, freedom).map(|t| t.inverse_cdf(0.5 + confidence / 2.0));
        let correction = match (quantile(all - 1.0), quantile(count - 1.0)) {
            (Ok(of_texts), Ok(of_documents)) => (of_texts / of_documents).powi(2),
            _ => 1.0,
        };
        (share * (1.0 - share) / variance * correction).min(all)
    } else {
        count
    };
    limits(share * independent, independent, confidence)
}

/// The quantile of a beta distribution by bisection on statrs' regularised incomplete beta function, to the last bit.
pub(crate) fn beta_quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if beta_reg(a, b, middle) < probability {
            low = middle
        } else {
            high = middle
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn known_values() {
        // Successes, trials, and the limits at 95%.
        for (x, n, low, high) in [
            (0, 10, 0.0, 0.308497107819),
            (10, 10, 0.691502892181, 1.0),
            (1, 10, 0.002528578544, 0.445016117022),
            (5, 10, 0.187086028447, 0.812913971553),
            (7, 20, 0.153909204785, 0.592188534533),
        ] {
            let (lower, upper) = clopper_pearson(x, n, 0.95);
            assert!(
                (lower - low).abs() < 1e-9 && (upper - high).abs() < 1e-9,
                "{x}/{n}: {lower} {upper}"
            );
        }
    }

    #[test]
    fn without_successes_the_upper_limit_is_closed_form() {
        for n in [1u64, 7, 100, 20_000] {
            let upper = clopper_pearson(0, n, 0.99).1;
            assert!((upper - (1.0 - 0.005f64.powf(1.0 / n as f64))).abs() < 1e-12);
        }
        assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
        assert_eq!(clopper_pearson(3, 2, 0.95), (0.0, 1.0));
    }

    #[test]
    fn texts_of_documents_of_their_own_are_independent_trials() {
        let documents: Vec<(u64, u64)> = (0..50).map(|i| (u64::from(i < 7), 1)).collect();
        assert_eq!(share_by_document(&documents, 0.95), clopper_pearson(7, 50, 0.95));
        // Copies tell no more than one of them.
        let copies: Vec<(u64, u64)> = (0..50).map(|i| (4 * u64::from(i < 7), 4)).collect();
        let (low, high) = share_by_document(&copies, 0.95);
        let once = clopper_pearson(7, 50, 0.95);
        assert!(
            (low - once.0).abs() < 0.01 && (high - once.1).abs() < 0.02,
            "{low} {high} {once:?}"
        );
        assert!(low <= once.0 && high >= once.1);
        assert_eq!(share_by_document(&[(3, 3); 20], 0.95), clopper_pearson(20, 20, 0.95));
        assert_eq!(share_by_document(&[], 0.95), (0.0, 1.0));
        assert_eq!(share_by_document(&[(1, 2)], 0.95), (0.0, 1.0));
    }

    /// How often the interval misses the share, if the texts of a document resemble each other.
    #[test]
    fn the_interval_by_document_holds_the_share_as_often_as_stated() {
        const RUNS: u64 = 2_000;
        let mut rng = StdRng::seed_from_u64(3);
        for (share, alike) in [(0.05, 0.0), (0.05, 0.5), (0.3, 0.5), (0.3, 1.0)] {
            let mut holds = 0;
            for _ in 0..RUNS {
                let document = |_| {
                    let common = rng.random_bool(share);
                    let texts = rng.random_range(1..=8u64);
                    let text = |_: &u64| {
                        if rng.random_bool(alike) {
                            common
                        } else {
                            rng.random_bool(share)
                        }
                    };
                    ((0..texts).filter(text).count() as u64, texts)
                };
                let documents: Vec<(u64, u64)> = (0..80).map(document).collect();
                let (low, high) = share_by_document(&documents, 0.95);
                holds += u64::from((low..=high).contains(&share));
            }
            println!("share {share}, alike {alike}: {holds} of {RUNS}");
            assert!(
                clopper_pearson(holds, RUNS, 0.999).1 > 0.94,
                "{holds} at {share}, {alike}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_limits_solve_the_binomial_tails(n in 1u64..400, share in 0.0..1.0f64) {
            let x = (n as f64 * share) as u64;
            let (lower, upper) = clopper_pearson(x, n, 0.95);
            prop_assert!(lower <= x as f64 / n as f64 && x as f64 / n as f64 <= upper);
            if x > 0 {
                prop_assert!((Binomial::new(lower, n).unwrap().sf(x - 1) - 0.025).abs() < 1e-6);
            }
            if x < n {
                prop_assert!((Binomial::new(upper, n).unwrap().cdf(x) - 0.025).abs() < 1e-6);
            }
        }
    }
}
