//! The closed-form bound: what the size of the vocabulary alone implies for the entropy gap.
//!
//! - D. Reeb and M. M. Wolf, *Tight bound on relative entropy by entropy difference*, IEEE Transactions on Information
//!   Theory 61(3), 2015, appendix: the largest variance of the surprisal over all distributions on K symbols.
//! - T. Radvand, M. Abdolmaleki, M. Mostagir and A. Tewari, *Zero-shot statistical tests for LLM-generated text
//!   detection using finite sample concentration inequalities*, arXiv 2501.02406: the test.
//!
//! docs/THEORY.md 3 and 4 derive the bound on the cumulants and the two-sided tail.

/// `c_K`, the largest varentropy of a distribution on `vocab` symbols, in nat² (Reeb and Wolf 2015).
///
/// It is the maximum over r in (0, 1/2] of `r(1-r) ln²((1-r)(K-1)/r)`. Put `u = ln((1-r)/r)` and `a = ln(K-1)`. The
/// logarithm of the objective has the derivative `2/(u+a) - tanh(u/2)`, which falls through zero once. There the
/// maximum is `(u+a)²/4 - 1`.
pub fn max_varentropy(vocab: usize) -> f64 {
    if vocab < 2 {
        return 0.0;
    }
    let a = (vocab as f64 - 1.0).ln();
    let (mut low, mut high) = (0.0f64, 3.0f64);
    for _ in 0..100 {
        let u = 0.5 * (low + high);
        if (u / 2.0).tanh() * (u + a) < 2.0 {
            low = u
        } else {
            high = u
        }
    }
    0.25 * (high + a).powi(2) - 1.0
}

/// `c_K (-ln(1-s) - s)`, in nats: an upper bound on the cumulant generating function of surprisal less entropy at `s <
/// 1`, for every distribution on K symbols. `c` is [`max_varentropy`]. Infinite for s >= 1.
pub fn cgf_bound(c: f64, s: f64) -> f64 {
    if s < 1.0 {
        c * (-(-s).ln_1p() - s)
    } else {
        f64::INFINITY
    }
}

/// Natural logarithm of the bound on `P(|gap| >= t)` for the mean gap of `tokens` tokens, at most 0.
///
/// `exp(-N c (u - ln(1+u))) + exp(-N c (-u - ln(1-u)))` with `u = t / c_K`; the second term is 0 for u >= 1. Valid if
/// the number of tokens does not depend on the text (docs/THEORY.md 4).
pub fn ln_tail(tokens: usize, vocab: usize, t: f64) -> f64 {
    if t.is_nan() || t <= 0.0 || tokens == 0 {
        return 0.0;
    }
    let c = max_varentropy(vocab);
    if c == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (scale, u) = (-(tokens as f64) * c, t / c);
    let above = scale * (u - u.ln_1p());
    let below = if u < 1.0 {
        scale * (-u - (-u).ln_1p())
    } else {
        f64::NEG_INFINITY
    };
    (above + (below - above).exp().ln_1p()).min(0.0)
}

/// The least `t`, nat a token, for which [`ln_tail`] is at most `ln alpha`: the test rejects if `|gap| >= t`. Infinite
/// without tokens.
pub fn threshold(tokens: usize, vocab: usize, alpha: f64) -> f64 {
    if tokens == 0 || alpha.is_nan() || alpha <= 0.0 {
        return f64::INFINITY;
    }
    let decides = |t: f64| ln_tail(tokens, vocab, t) <= alpha.ln();
    let mut high = 1.0;
    while !decides(high) {
        high *= 2.0;
    }
    bisect(0.0, high, decides)
}

/// The least value in `[low, high]` for which `decides` holds. It must hold from some value on, and at `high`.
pub(super) fn bisect(mut low: f64, mut high: f64, decides: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if decides(middle) { high = middle } else { low = middle }
    }
    high
}

/// The least number of tokens at which the closed-form test decides at level `alpha` if the gap is `gap` nat a token.
/// None for a gap of 0, or if it would take more than 2⁵² tokens.
pub fn tokens_needed(vocab: usize, gap: f64, alpha: f64) -> Option<usize> {
    let decides = |tokens: usize| ln_tail(tokens, vocab, gap.abs()) <= alpha.ln();
    let (mut low, mut high) = (0usize, 1usize);
    while !decides(high) {
        if high >= 1 << 52 {
            return None;
        }
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if decides(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_sum_exp;
    use proptest::prelude::*;

    fn entropy(p: &[f64]) -> f64 {
        p.iter().filter(|&&x| x > 0.0).map(|x| -x * x.ln()).sum()
    }

    fn varentropy(p: &[f64]) -> f64 {
        let h = entropy(p);
        p.iter().filter(|&&x| x > 0.0).map(|x| x * (-x.ln() - h).powi(2)).sum()
    }

    fn cgf(p: &[f64], s: f64) -> f64 {
        let h = entropy(p);
        p.iter()
            .filter(|&&x| x > 0.0)
            .map(|x| x * (s * (-x.ln() - h)).exp())
            .sum::<f64>()
            .ln()
    }

    #[test]
    fn the_largest_varentropy_is_the_brute_force_maximum_over_two_levels() {
        for vocab in [2usize, 3, 4, 8, 100, 49_152, 262_144] {
            let by_grid = (1..500_000)
                .map(|i| i as f64 / 1e6)
                .map(|r| r * (1.0 - r) * ((1.0 - r) * (vocab as f64 - 1.0) / r).ln().powi(2))
                .fold(0.0, f64::max);
            let closed = max_varentropy(vocab);
            assert!(
                (closed - by_grid).abs() < 1e-8 * closed.max(1.0),
                "K = {vocab}: {closed} against {by_grid}"
            );
            assert!(closed < 0.25 * (vocab as f64 - 1.0).ln().powi(2) + 1.0);
        }
        assert_eq!(max_varentropy(0), 0.0);
        assert_eq!(max_varentropy(1), 0.0);
        assert!(max_varentropy(49_152) > 29.0 && max_varentropy(49_152) < 31.0);
    }

    #[test]
    fn no_distribution_on_two_or_three_symbols_varies_more_and_some_vary_as_much() {
        let mut most = [0.0f64; 4];
        for i in 0..=1000 {
            let p = i as f64 / 1000.0;
            most[2] = most[2].max(varentropy(&[p, 1.0 - p]));
            for j in 0..=(1000 - i) {
                let q = j as f64 / 1000.0;
                most[3] = most[3].max(varentropy(&[p, q, (1.0 - p - q).max(0.0)]));
            }
        }
        for vocab in [2, 3] {
            let c = max_varentropy(vocab);
            assert!(
                most[vocab] <= c + 1e-12 && most[vocab] > c - 1e-4,
                "K = {vocab}: {} against {c}",
                most[vocab]
            );
        }
    }

    /// `exp(-N c h)` is the infimum over s of the moment bound; here the infimum is taken on a grid.
    #[test]
    fn the_tail_is_the_best_moment_bound_on_either_side() {
        for vocab in [2usize, 50, 49_152] {
            let c = max_varentropy(vocab);
            for n in [1usize, 20, 300] {
                for t in [0.05 * c, 0.4 * c, 0.99 * c] {
                    let best = |signs: f64| {
                        (1..400_000)
                            .map(|i| {
                                if signs > 0.0 {
                                    i as f64 / 400_000.0
                                } else {
                                    -(i as f64) / 1000.0
                                }
                            })
                            .map(|s| n as f64 * (cgf_bound(c, s) - s * signs * t))
                            .fold(0.0, f64::min)
                    };
                    let direct = log_sum_exp(&[best(1.0), best(-1.0)]).min(0.0);
                    let closed = ln_tail(n, vocab, t);
                    assert!(
                        closed <= direct + 1e-9,
                        "K {vocab} N {n} t {t}: {closed} against {direct}"
                    );
                    assert!(
                        (closed - direct).abs() < 1e-4 * closed.abs().max(1.0),
                        "{closed} against {direct}"
                    );
                }
            }
        }
    }

    /// `-ln(1-s) - s` is `1/(1-s)²` integrated twice from 0: Simpson's rule on the convolution form.
    #[test]
    fn the_bound_integrates_the_varentropy_of_the_tilted_law() {
        for s in [-3.0, -0.5, 0.3, 0.75, 0.95] {
            let steps = 200_000;
            let h = s / steps as f64;
            let f = |x: f64| (s - x) / (1.0 - x).powi(2);
            let sum: f64 = (0..=steps)
                .map(|i| {
                    f(i as f64 * h)
                        * if i == 0 || i == steps {
                            1.0
                        } else {
                            2.0 + 2.0 * (i % 2) as f64
                        }
                })
                .sum();
            let integral = sum * h / 3.0;
            assert!((integral - cgf_bound(1.0, s)).abs() < 1e-9, "s = {s}");
        }
        assert_eq!(cgf_bound(1.0, 1.0), f64::INFINITY);
    }

    #[test]
    fn nothing_decides_without_tokens_or_without_a_gap() {
        assert_eq!(ln_tail(0, 100, 5.0), 0.0);
        assert_eq!(ln_tail(10, 100, 0.0), 0.0);
        assert_eq!(ln_tail(10, 100, f64::NAN), 0.0);
        assert_eq!(threshold(0, 100, 0.05), f64::INFINITY);
        assert_eq!(tokens_needed(100, 0.0, 0.05), None);
        assert_eq!(tokens_needed(100, f64::NAN, 0.05), None);
        assert_eq!(ln_tail(10, 1, 0.1), f64::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn the_cumulants_of_any_distribution_lie_below_the_bound(
            logits in prop::collection::vec(-12.0..12.0f64, 2..40), s in -3.0..0.95f64
        ) {
            let total: f64 = logits.iter().map(|l| l.exp()).sum();
            let p: Vec<f64> = logits.iter().map(|l| l.exp() / total).collect();
            let c = max_varentropy(p.len());
            prop_assert!(varentropy(&p) <= c + 1e-9);
            let value = cgf(&p, s);
            prop_assert!(value >= -1e-9 && value <= cgf_bound(c, s) + 1e-9, "{value} above {}", cgf_bound(c, s));
        }

        #[test]
        fn the_threshold_inverts_the_tail(n in 1usize..5000, k in 2usize..300_000, ln_alpha in -9.0..-0.5f64) {
            let t = threshold(n, k, ln_alpha.exp());
            prop_assert!((ln_tail(n, k, t) - ln_alpha).abs() < 1e-6);
        }

        #[test]
        fn tokens_needed_is_the_first_length_that_decides(k in 2usize..300_000, gap in 0.1..6.0f64) {
            let n = tokens_needed(k, gap, 0.05).unwrap();
            prop_assert!(threshold(n, k, 0.05) <= gap * (1.0 + 1e-9));
            prop_assert!(n == 1 || threshold(n - 1, k, 0.05) > gap);
        }
    }
}
