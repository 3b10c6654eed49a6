//! Entropy gap as an e-process: is the text as surprising as its supposed author expected?
//!
//! While a model writes, `D_i = surprisal - entropy` has conditional mean 0 and conditional cumulant generating
//! function psi_i. So `exp(s sum D_i - sum psi_i(s))` is a nonnegative martingale of mean 1 for every s, and a mixture
//! of these over the [`TILTS`] is an e-process (docs/THEORY.md 5).
//!
//! - T. Radvand, M. Abdolmaleki, M. Mostagir and A. Tewari, arXiv 2501.02406: the statistic.
//! - H. Robbins, *Statistical methods related to the law of the iterated logarithm*, Annals of Mathematical Statistics
//!   41(5), 1970: the method of mixtures.
//! - S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, *Time-uniform Chernoff bounds via nonnegative
//!   supermartingales*, Probability Surveys 17, 2020.

use super::e_value::log_sum_exp;
use super::varentropy_bound::{bisect, cgf_bound, max_varentropy};
use crate::token_stats::{TILT_COUNT, TILTS, TokenStats};

/// The weight of every tilt in the mixture: equal.
///
/// The best weights would gain little. For Gaussian increments and total varentropies from 10 to 10⁵ at alpha 0.05,
/// they lower the largest log-evidence needed from 6.05 to 5.75 nats (docs/THEORY.md 5.3), and they depend on alpha.
pub const TILT_WEIGHT: f64 = 1.0 / TILT_COUNT as f64;

/// The source of a token's cumulants.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cumulants {
    /// The model's own, token by token.
    Exact,
    /// The bound from the vocabulary's size, the same for every token, at each of [`TILTS`], in nats.
    Bound([f64; TILT_COUNT]),
}

/// The entropy gap of a growing text, as an e-process against "this model wrote it, at this temperature".
///
/// Figures that are not finite void the process. From then on its e-value is 0, which never rejects.
#[derive(Clone, Debug, PartialEq)]
pub struct GapProcess {
    cumulants: Cumulants,
    tokens: usize,
    /// Sum of surprisal less entropy, nats.
    gap: f64,
    /// Sum of the entropies, nats.
    entropy: f64,
    /// Sums of the cumulants at each of [`TILTS`], nats.
    cgf: [f64; TILT_COUNT],
    void: bool,
}

impl GapProcess {
    /// The process with the model's own conditional cumulants. This is the sharp one.
    pub fn exact() -> Self {
        Self::with(Cumulants::Exact)
    }

    /// The process with the closed-form bound for a vocabulary of `vocab` symbols instead of the cumulants. It is a
    /// supermartingale. It serves figures without cumulants, and comparison.
    pub fn vocab(vocab: usize) -> Self {
        let c = max_varentropy(vocab);
        Self::with(Cumulants::Bound(TILTS.map(|s| cgf_bound(c, s))))
    }

    fn with(cumulants: Cumulants) -> Self {
        Self {
            cumulants,
            tokens: 0,
            gap: 0.0,
            entropy: 0.0,
            cgf: [0.0; TILT_COUNT],
            void: false,
        }
    }

    /// Adds the next token.
    pub fn push(&mut self, token: &TokenStats) {
        self.push_cumulants(token.surprisal, token.entropy, &token.cgf);
    }

    /// Adds any figure of the next token, with its mean under the supposed author, in nats, and its cumulants about
    /// that mean at each of [`TILTS`].
    pub(super) fn push_cumulants(&mut self, figure: f64, mean: f64, cgf: &[f64; TILT_COUNT]) {
        self.tokens += 1;
        self.gap += figure - mean;
        self.entropy += mean;
        let psi = match &self.cumulants {
            Cumulants::Exact => cgf,
            Cumulants::Bound(bound) => bound,
        };
        // A cumulant generating function about the mean is never negative (Jensen), but rounding can make it so.
        // `f64::max` would also turn a NaN into 0, so the code looks for NaN first.
        self.void |= !psi.iter().all(|value| value.is_finite());
        for (sum, value) in self.cgf.iter_mut().zip(psi) {
            *sum += value.max(0.0);
        }
        self.void |= !self.gap.is_finite() || !self.entropy.is_finite();
    }

    /// The number of tokens so far.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Mean of surprisal less entropy, nat a token: log-perplexity less entropy. 0 without tokens, NaN when void.
    pub fn statistic(&self) -> f64 {
        match self.tokens {
            0 => 0.0,
            _ if self.void => f64::NAN,
            n => self.gap / n as f64,
        }
    }

    /// Natural logarithm of the e-value now; 0 without tokens, minus infinity when void.
    pub fn ln_e_value(&self) -> f64 {
        let value = self.ln_e_at(self.gap);
        if self.void || value.is_nan() {
            f64::NEG_INFINITY
        } else {
            value
        }
    }

    /// `ln sum_k w_k exp(s_k gap - cgf_k)`, in nats, for any sum of gaps.
    fn ln_e_at(&self, gap: f64) -> f64 {
        let exponents: [f64; TILT_COUNT] = std::array::from_fn(|k| TILTS[k] * gap - self.cgf[k]);
        TILT_WEIGHT.ln() + log_sum_exp(&exponents)
    }

    /// The mean gaps, nat a token, at which the e-value of these tokens would be exactly `1/alpha`: one below 0, one
    /// above. Infinite if no gap decides (no tokens, or void).
    ///
    /// The log e-value is convex in the gap, at most 0 at a gap of 0, and unbounded on both sides. So there is exactly
    /// one on each side.
    pub fn thresholds(&self, alpha: f64) -> (f64, f64) {
        if self.tokens == 0 || self.void || alpha.is_nan() || alpha <= 0.0 {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let side = |sign: f64| {
            // At this gap a single tilt of the mixture is enough, so the mixture is too.
            let enough = (0..TILT_COUNT)
                .filter(|&k| TILTS[k] * sign > 0.0)
                .map(|k| (self.cgf[k] - alpha.ln() - TILT_WEIGHT.ln()) / TILTS[k].abs())
                .fold(f64::INFINITY, f64::min);
            let root = bisect(0.0, enough, |gap| self.ln_e_at(sign * gap) >= -alpha.ln());
            sign * root / self.tokens as f64
        };
        (side(-1.0), side(1.0))
    }

    /// The number of tokens like these at which the test decides if the mean gap is `gap` nat a token. The sums of
    /// cumulants are assumed to keep growing at their present rate. None if no length would be enough.
    pub fn tokens_needed(&self, gap: f64, alpha: f64) -> Option<usize> {
        if self.tokens == 0 || self.void || !gap.is_finite() || alpha.is_nan() || alpha <= 0.0 {
            return None;
        }
        let mean = self.cgf.map(|sum| sum / self.tokens as f64);
        // The log e-value is convex in the length and 0 without tokens. So it passes ln(1/alpha) at most once, and it
        // does so if some tilt's exponent grows.
        let enough = (0..TILT_COUNT)
            .map(|k| (TILTS[k] * gap - mean[k], k))
            .filter(|&(rate, _)| rate > 0.0)
            .map(|(rate, _)| (-alpha.ln() - TILT_WEIGHT.ln()) / rate)
            .fold(f64::INFINITY, f64::min);
        if enough > 2f64.powi(52) {
            return None;
        }
        let root = bisect(0.0, enough, |n| {
            let exponents: [f64; TILT_COUNT] = std::array::from_fn(|k| n * (TILTS[k] * gap - mean[k]));
            TILT_WEIGHT.ln() + log_sum_exp(&exponents) >= -alpha.ln()
        });
        Some(root.ceil() as usize)
    }

    /// The least number of tokens like these at which one could expect the test to decide at all.
    ///
    /// It tries two gaps. The gap cannot be below minus the mean entropy, which is the case of a certain model whose
    /// every token is the likeliest. A text whose gap equals the mean entropy is twice as surprising as the model
    /// expects.
    pub fn fewest_tokens(&self, alpha: f64) -> Option<usize> {
        let widest = self.entropy / self.tokens.max(1) as f64;
        [-widest, widest]
            .into_iter()
            .filter_map(|gap| self.tokens_needed(gap, alpha))
            .min()
    }

    /// The evidence now, with thresholds at level `alpha`.
    pub fn evidence(&self, alpha: f64) -> GapEvidence {
        let (below, above) = self.thresholds(alpha);
        GapEvidence {
            tokens: self.tokens,
            statistic: self.statistic(),
            ln_e_value: self.ln_e_value(),
            below,
            above,
            fewest_tokens: self.fewest_tokens(alpha),
        }
    }
}

impl<'a> Extend<&'a TokenStats> for GapProcess {
    fn extend<T: IntoIterator<Item = &'a TokenStats>>(&mut self, tokens: T) {
        tokens.into_iter().for_each(|token| self.push(token));
    }
}

/// The evidence of a text's entropy gap against a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GapEvidence {
    /// The number of scored tokens.
    pub tokens: usize,
    /// Mean of surprisal less entropy, nat a token; NaN when the test is void.
    pub statistic: f64,
    /// Natural logarithm of the e-value; minus infinity when the test is void.
    pub ln_e_value: f64,
    /// By this test alone, the author is excluded if the statistic is at or below this (negative), nat a token.
    pub below: f64,
    /// By this test alone, the author is excluded if the statistic is at or above this (positive), nat a token.
    pub above: f64,
    /// How many tokens like these the test needs to decide on the widest gap; none if void or without tokens.
    pub fewest_tokens: Option<usize>,
}

impl GapEvidence {
    /// The absolute value that the statistic must reach on its own side of 0.
    pub fn threshold(&self) -> f64 {
        if self.statistic < 0.0 { -self.below } else { self.above }
    }
}

/// The entropy-gap test with the model's own cumulants; `alpha` sets the thresholds.
pub fn exact<'a>(tokens: impl IntoIterator<Item = &'a TokenStats>, alpha: f64) -> GapEvidence {
    let mut process = GapProcess::exact();
    process.extend(tokens);
    process.evidence(alpha)
}

/// The entropy-gap test with the closed-form bound for `vocab` symbols, as an e-value; `alpha` sets the thresholds.
///
/// For a length fixed beforehand, its p-value is sharper: see [`super::varentropy_bound::ln_tail`].
pub fn vocab<'a>(tokens: impl IntoIterator<Item = &'a TokenStats>, vocab: usize, alpha: f64) -> GapEvidence {
    let mut process = GapProcess::vocab(vocab);
    process.extend(tokens);
    process.evidence(alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The figures of symbol `x` of a distribution, by plain sums.
    fn figures(p: &[f64], x: usize) -> TokenStats {
        let entropy: f64 = p.iter().map(|q| -q * q.ln()).sum();
        TokenStats {
            surprisal: -p[x].ln(),
            entropy,
            varentropy: p.iter().map(|q| q * (-q.ln() - entropy).powi(2)).sum(),
            ln_space_mass: f64::NEG_INFINITY,
            cgf: TILTS.map(|s| p.iter().map(|q| q * (s * (-q.ln() - entropy)).exp()).sum::<f64>().ln()),
        }
    }

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| l.exp() / total).collect()
    }

    /// A token with Gaussian cumulants of the given variance.
    fn gaussian(gap: f64, variance: f64) -> TokenStats {
        TokenStats {
            surprisal: 3.0 + gap,
            entropy: 3.0,
            varentropy: variance,
            ln_space_mass: -1.0,
            cgf: TILTS.map(|s| 0.5 * s * s * variance),
        }
    }

    #[test]
    fn the_mean_e_value_is_one_by_exact_enumeration() {
        // Two tokens; the distribution of the second depends on the first.
        let first = softmax(&[2.0, 0.0, -3.0]);
        let second = [
            softmax(&[0.0, 0.1, 0.2]),
            softmax(&[5.0, 0.0, 0.0]),
            softmax(&[-1.0, 4.0, 0.5]),
        ];
        let (mut exact_mean, mut vocab_mean) = (0.0, 0.0);
        for (x, p) in first.iter().enumerate() {
            for (y, q) in second[x].iter().enumerate() {
                let tokens = [figures(&first, x), figures(&second[x], y)];
                exact_mean += p * q * exact(&tokens, 0.05).ln_e_value.exp();
                vocab_mean += p * q * vocab(&tokens, 3, 0.05).ln_e_value.exp();
            }
        }
        assert!((exact_mean - 1.0).abs() < 1e-12, "{exact_mean}");
        assert!(vocab_mean <= 1.0, "{vocab_mean}");
    }

    #[test]
    fn without_tokens_nothing_is_said() {
        let evidence = exact(&[], 0.05);
        assert_eq!((evidence.tokens, evidence.statistic), (0, 0.0));
        assert!(evidence.ln_e_value.abs() < 1e-12);
        assert_eq!((evidence.below, evidence.above), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(evidence.fewest_tokens, None);
    }

    #[test]
    fn a_figure_that_is_not_finite_voids_the_test() {
        let good = gaussian(9.0, 0.1);
        let broken = |edit: &dyn Fn(&mut TokenStats)| {
            let mut token = good;
            edit(&mut token);
            token
        };
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for token in [
                broken(&|t| t.surprisal = bad),
                broken(&|t| t.entropy = bad),
                broken(&|t| t.cgf[0] = bad),
                broken(&|t| t.cgf[TILT_COUNT - 1] = bad),
            ] {
                for order in [[token, good, good], [good, good, token]] {
                    let evidence = exact(&order, 0.05);
                    assert_eq!(evidence.ln_e_value, f64::NEG_INFINITY);
                    assert!(evidence.statistic.is_nan());
                    assert_eq!(evidence.threshold(), f64::INFINITY);
                    assert_eq!(evidence.fewest_tokens, None);
                }
            }
        }
        assert!(exact(&[good, good, good], 0.05).ln_e_value > 3.0);
        // Sums that overflow are void too.
        let huge = broken(&|t| t.surprisal = f64::MAX);
        assert_eq!(exact(&[huge, huge], 0.05).ln_e_value, f64::NEG_INFINITY);
    }

    #[test]
    fn a_cumulant_that_rounding_made_negative_counts_as_nothing() {
        let mut token = gaussian(0.0, 0.0);
        token.cgf = [-1e-3; TILT_COUNT];
        assert!(exact(&vec![token; 10_000], 0.05).ln_e_value <= 1e-12);
    }

    /// docs/THEORY.md 5.3: for Gaussian increments the grid needs at most 6.05 nats over all total varentropies from 10
    /// to 10⁵. A single side known beforehand needs ln(1/alpha) = 3.0.
    #[test]
    fn the_grid_is_sharp_for_total_varentropies_from_ten_to_a_hundred_thousand() {
        let mut worst = 0.0f64;
        for i in 0..=400 {
            let variance = 10f64.powf(1.0 + 4.0 * i as f64 / 400.0);
            let mut process = GapProcess::exact();
            process.push(&gaussian(0.0, variance));
            let (below, above) = process.thresholds(0.05);
            assert!((below + above).abs() < 1e-9 * above);
            worst = worst.max(above * above / (2.0 * variance));
        }
        assert!(worst < 6.06, "{worst}");
    }

    /// docs/THEORY.md 5.2: between two tilts a factor 2 apart, the better one keeps at least 8/9 of the best exponent
    /// for Gaussian increments, and 1/2 for any.
    #[test]
    fn a_neighbouring_tilt_loses_at_most_a_ninth_in_the_gaussian_case() {
        let mut least = f64::INFINITY;
        for i in 0..=10_000 {
            let best_tilt = 0.0078125 * 64f64.powf(i as f64 / 10_000.0);
            let kept = TILTS
                .iter()
                .map(|s| 2.0 * s / best_tilt - (s / best_tilt).powi(2))
                .fold(0.0, f64::max);
            least = least.min(kept);
        }
        assert!((least - 8.0 / 9.0).abs() < 1e-4, "{least}");
    }

    #[test]
    fn fewest_tokens_is_the_cheapest_of_the_two_widest_gaps() {
        let tokens = vec![gaussian(0.1, 6.0); 50];
        let mut process = GapProcess::exact();
        process.extend(&tokens);
        let fewest = process.fewest_tokens(0.05).unwrap();
        assert!((4..12).contains(&fewest), "{fewest}");
        assert_eq!(process.tokens_needed(0.0, 0.05), None);
        assert_eq!(process.tokens_needed(f64::NAN, 0.05), None);
    }

    proptest! {
        #[test]
        fn the_mean_over_any_distribution_is_one(logits in prop::collection::vec(-9.0..9.0f64, 1..30)) {
            let p = softmax(&logits);
            let mean: f64 = (0..p.len()).map(|x| p[x] * exact([&figures(&p, x)], 0.05).ln_e_value.exp()).sum();
            prop_assert!((mean - 1.0).abs() < 1e-9);
            let bound: f64 =
                (0..p.len()).map(|x| p[x] * vocab([&figures(&p, x)], p.len(), 0.05).ln_e_value.exp()).sum();
            prop_assert!(bound <= 1.0 + 1e-9);
        }

        #[test]
        fn the_mixture_keeps_half_the_best_exponent_less_the_weights(
            logits in prop::collection::vec(-6.0..6.0f64, 2..12), n in 1usize..400, lean in -1.0..1.0f64
        ) {
            // Compares with every s between the least and the greatest tilt, on a fine grid.
            let p = softmax(&logits);
            let entropy = figures(&p, 0).entropy;
            let token = TokenStats { surprisal: (entropy + lean).max(0.0), ..figures(&p, 0) };
            let ln_e = exact(&vec![token; n], 0.05).ln_e_value;
            let gap = n as f64 * (token.surprisal - entropy);
            let psi = |s: f64| p.iter().map(|q| q * (s * (-q.ln() - entropy)).exp()).sum::<f64>().ln();
            let best = (0..=200)
                .map(|i| 0.0078125 * 96f64.powf(i as f64 / 200.0) * gap.signum())
                .map(|s| s * gap - n as f64 * psi(s))
                .fold(0.0, f64::max);
            prop_assert!(ln_e >= 0.5 * best - (TILT_COUNT as f64).ln() - 1e-6, "{ln_e} against {best}");
        }

        #[test]
        fn the_e_value_is_one_over_alpha_at_each_threshold(
            n in 1usize..300, variance in 0.01..20.0f64, ln_alpha in -9.0..-0.5f64
        ) {
            let alpha = ln_alpha.exp();
            let (below, above) = exact(&vec![gaussian(0.0, variance); n], alpha).pair();
            for t in [below, above] {
                let at = exact(&vec![gaussian(t, variance); n], alpha);
                prop_assert!((at.ln_e_value + ln_alpha).abs() < 1e-6, "{} against {}", at.ln_e_value, -ln_alpha);
                let inside = exact(&vec![gaussian(0.99 * t, variance); n], alpha);
                prop_assert!(inside.ln_e_value < -ln_alpha);
            }
        }

        #[test]
        fn tokens_needed_is_where_the_e_value_passes(
            gap in 0.3..3.0f64, variance in 0.1..9.0f64, sign in prop::bool::ANY
        ) {
            let gap = if sign { gap } else { -gap };
            let mut process = GapProcess::exact();
            process.push(&gaussian(gap, variance));
            let n = process.tokens_needed(gap, 0.05).unwrap();
            prop_assert!(exact(&vec![gaussian(gap, variance); n], 0.05).ln_e_value >= 20f64.ln() - 1e-9);
            prop_assert!(exact(&vec![gaussian(gap, variance); n - 1], 0.05).ln_e_value < 20f64.ln() + 1e-9);
        }
    }

    impl GapEvidence {
        fn pair(&self) -> (f64, f64) {
            (self.below, self.above)
        }
    }
}
