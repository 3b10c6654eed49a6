//! Interval for a binomial proportion.
//!
//! C. J. Clopper and E. S. Pearson, *The use of confidence or fiducial limits illustrated in the case of the binomial*,
//! Biometrika 26(4), 1934. The limits are quantiles of beta distributions. The coverage is at least the stated level
//! for every proportion and number of trials.

use statrs::function::beta::beta_reg;

/// The Clopper-Pearson interval, `(lower, upper)`, for the probability of success after `successes` in `trials`.
///
/// `confidence` is the two-sided level, such as 0.95. No trials, or a count above the trials, gives `(0, 1)`.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    if trials == 0 || successes > trials || !(0.0..1.0).contains(&confidence) {
        return (0.0, 1.0);
    }
    let tail = (1.0 - confidence) / 2.0;
    let (x, n) = (successes as f64, trials as f64);
    let lower = if successes == 0 {
        0.0
    } else {
        beta_quantile(x, n - x + 1.0, tail)
    };
    let upper = if successes == trials {
        1.0
    } else {
        beta_quantile(x + 1.0, n - x, 1.0 - tail)
    };
    (lower, upper)
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
