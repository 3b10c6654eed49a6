//! E-values, kept as natural logarithms.
//!
//! An e-value for a hypothesis is a nonnegative random variable whose mean is at most 1 if the hypothesis is true. An
//! e-process is a sequence that is an e-value at every stopping time. Large values are evidence against the hypothesis.
//!
//! - J. Ville, *Étude critique de la notion de collectif*, 1939: a nonnegative supermartingale that starts at 1 ever
//!   reaches 1/alpha with probability at most alpha. So `p = min(1, 1/E)` is a p-value at any time.
//! - V. Vovk and R. Wang, *E-values: calibration, combination and applications*, Annals of Statistics 49(3), 2021,
//!   section 2: a weighted average of e-values is an e-value, however they depend on one another.
//! - Y. J. Choe and A. Ramdas, *Combining evidence across filtrations*, arXiv 2402.09698: why processes that move on
//!   different clocks must not simply be averaged; see [`ln_union`] and docs/THEORY.md 9.

/// `ln sum exp(values)`, in nats. Minus infinity without values; NaN if a value is NaN.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    if top.is_infinite() {
        return top;
    }
    top + values.iter().map(|value| (value - top).exp()).sum::<f64>().ln()
}

/// The weighted average of e-values, `ln sum_i w_i E_i`, in nats; `items` holds pairs of ln E and weight.
///
/// The weights are nonnegative and are divided by their sum. An entry that is NaN counts as E = 0. The average is an
/// e-value if every entry is one (Vovk and Wang 2021). E-processes on different clocks, such as a ratio by words and a
/// gap by tokens, are not e-values at the end of a text: use [`ln_union`] for those.
pub fn ln_average(items: &[(f64, f64)]) -> f64 {
    let total: f64 = items.iter().map(|(_, weight)| weight).sum();
    let terms: Vec<f64> = items
        .iter()
        .map(|&(ln_e, weight)| weighted(ln_e, weight / total))
        .collect();
    log_sum_exp(&terms)
}

/// The largest weighted e-value, `ln max_i w_i E_i`, in nats; `items` holds pairs of ln E and weight.
///
/// The weights are nonnegative and are divided by their sum. `min(1, 1/max)` is the weighted Bonferroni p-value. By
/// Ville's inequality for each entry and the union bound it is valid **at any time**, on whatever clocks the entries
/// move. It is never above [`ln_average`], and below it by at most the logarithm of the number of entries. If one entry
/// dominates, the difference is almost nothing.
pub fn ln_union(items: &[(f64, f64)]) -> f64 {
    let total: f64 = items.iter().map(|(_, weight)| weight).sum();
    items
        .iter()
        .map(|&(ln_e, weight)| weighted(ln_e, weight / total))
        .fold(f64::NEG_INFINITY, f64::max)
}

/// `ln(w E)`; minus infinity if E is void or the weight is 0.
fn weighted(ln_e: f64, weight: f64) -> f64 {
    if ln_e.is_nan() || weight.is_nan() || weight <= 0.0 {
        f64::NEG_INFINITY
    } else {
        ln_e + weight.ln()
    }
}

/// `p = min(1, 1/E)` from ln E in nats. By Ville's (or Markov's) inequality, evidence this strong has at most this
/// probability under the hypothesis. A void e-value (NaN or minus infinity) gives 1.
pub fn p_value(ln_e: f64) -> f64 {
    if ln_e.is_nan() { 1.0 } else { (-ln_e).exp().min(1.0) }
}

/// Whether an e-value rejects its hypothesis at level `alpha`: E >= 1/alpha. A void e-value never does.
pub fn rejects(ln_e: f64, alpha: f64) -> bool {
    ln_e >= -alpha.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn log_sum_exp_takes_the_extremes() {
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::INFINITY, 0.0]), f64::INFINITY);
        assert!(log_sum_exp(&[f64::NAN, f64::INFINITY]).is_nan());
        assert!((log_sum_exp(&[1e4, 1e4]) - (1e4 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1e4, -1e4 - 800.0]) + 1e4).abs() < 1e-9);
    }

    #[test]
    fn a_void_e_value_never_rejects() {
        for void in [f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(p_value(void), 1.0);
            assert!(!rejects(void, 0.05));
            assert_eq!(ln_average(&[(void, 1.0)]), f64::NEG_INFINITY);
            assert_eq!(ln_union(&[(void, 1.0)]), f64::NEG_INFINITY);
        }
        assert_eq!(ln_average(&[]), f64::NEG_INFINITY);
        assert_eq!(ln_union(&[]), f64::NEG_INFINITY);
        assert_eq!(p_value(f64::INFINITY), 0.0);
    }

    #[test]
    fn a_void_entry_keeps_its_share_of_the_weight() {
        let half = ln_average(&[(3.0, 1.0), (f64::NAN, 1.0)]);
        assert!((half - (3.0 - 2f64.ln())).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn union_lies_below_average_by_at_most_the_number_of_entries(
            items in prop::collection::vec((-50.0..50.0f64, 0.01..5.0f64), 1..6)
        ) {
            let (average, union) = (ln_average(&items), ln_union(&items));
            prop_assert!(union <= average + 1e-9);
            prop_assert!(average <= union + (items.len() as f64).ln() + 1e-9);
            let weights: f64 = items.iter().map(|(_, w)| w).sum();
            let direct = items.iter().map(|(e, w)| w * e.exp()).sum::<f64>() / weights;
            prop_assert!((average - direct.ln()).abs() < 1e-9);
        }
    }
}
