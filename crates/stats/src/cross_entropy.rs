//! Cross-entropy as an e-process: is the text as surprising to another model as its supposed author expected?
//!
//! An author B writes, token by token, from its distributions p_i. Another model A of the same vocabulary has the
//! surprisal `Y_i = -ln q_i(x_i)`. Given the past, the mean of Y_i is the cross-entropy `X_i = -sum_v p_i(v) ln
//! q_i(v)`, and its cumulant generating function about the mean is `psi_i(s) = ln sum_v p_i(v) q_i(v)^(-s) - s X_i`. So
//! `exp(s sum (Y_i - X_i) - sum psi_i(s))` is a nonnegative martingale of mean 1 for every s. As in
//! [`super::entropy_gap`], a mixture over the tilts is an e-process against "B wrote it"; for A = B the two are the
//! same (docs/THEORY.md 7.5).
//!
//! There is also a closed form. Given the past, Y_i lies in an interval of width `r_i = max_v -ln q_i(v) - min_v -ln
//! q_i(v)`, so `psi_i(s) <= s² r_i²/8`. For a tilt s fixed beforehand, `|sum (Y_i - X_i)|` ever reaches `s sum r_i²/8 +
//! ln(2/alpha)/s` with probability at most alpha.
//!
//! - T. Radvand, M. Abdolmaleki, M. Mostagir and A. Tewari, arXiv 2501.02406: the statistic, for two known models.
//! - W. Hoeffding, *Probability inequalities for sums of bounded random variables*, Journal of the American Statistical
//!   Association 58, 1963, lemma 1: the cumulants of a bounded variable.
//! - K. Azuma, *Weighted sums of certain dependent random variables*, Tohoku Mathematical Journal 19, 1967: its use for
//!   martingales.

use super::entropy_gap::{GapEvidence, GapProcess};
use crate::token_stats::CrossTokenStats;

/// The cross-entropy of a growing text, as an e-process against "this author wrote it, at this temperature".
///
/// Figures that are not finite void the process. From then on its e-value is 0, which never rejects.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossProcess {
    gap: GapProcess,
    squared_ranges: f64,
}

impl Default for CrossProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl CrossProcess {
    /// The process before the first token.
    pub fn new() -> Self {
        Self {
            gap: GapProcess::exact(),
            squared_ranges: 0.0,
        }
    }

    /// Adds the next token.
    pub fn push(&mut self, token: &CrossTokenStats) {
        self.gap
            .push_cumulants(token.surprisal, token.cross_entropy, &token.cgf);
        self.squared_ranges += token.range * token.range;
    }

    /// The number of tokens so far.
    pub fn tokens(&self) -> usize {
        self.gap.tokens()
    }

    /// Mean of surprisal less cross-entropy, nat a token. 0 without tokens, NaN when void.
    pub fn statistic(&self) -> f64 {
        self.gap.statistic()
    }

    /// Natural logarithm of the e-value now; 0 without tokens, minus infinity when void.
    pub fn ln_e_value(&self) -> f64 {
        self.gap.ln_e_value()
    }

    /// The closed form for these tokens: see [`threshold`].
    pub fn closed_form(&self, tilt: f64, alpha: f64) -> f64 {
        threshold(self.tokens(), self.squared_ranges, tilt, alpha)
    }

    /// The evidence now, with thresholds at level `alpha`, for a vocabulary of `vocab` symbols.
    pub fn evidence(&self, vocab: usize, alpha: f64) -> CrossEvidence {
        CrossEvidence {
            gap: self.gap.evidence(alpha),
            closed_form: self.closed_form(tilt(self.tokens(), vocab, alpha), alpha),
        }
    }
}

impl<'a> Extend<&'a CrossTokenStats> for CrossProcess {
    fn extend<T: IntoIterator<Item = &'a CrossTokenStats>>(&mut self, tokens: T) {
        tokens.into_iter().for_each(|token| self.push(token));
    }
}

/// The evidence of a text's cross-entropy against an author.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEvidence {
    /// The e-process. Its statistic is the surprisal under the other model less the cross-entropy, nat a token.
    pub gap: GapEvidence,
    /// The closed form: for a length fixed beforehand, the author's own text reaches this absolute value of the
    /// statistic with probability at most alpha. Infinite if no value decides.
    pub closed_form: f64,
}

/// The cross-entropy test of a text; `alpha` sets the thresholds.
pub fn exact<'a>(tokens: impl IntoIterator<Item = &'a CrossTokenStats>, vocab: usize, alpha: f64) -> CrossEvidence {
    let mut process = CrossProcess::new();
    process.extend(tokens);
    process.evidence(vocab, alpha)
}

/// The tilt of the closed form, from the number of tokens, the size of the vocabulary and the level alone: `sqrt(8
/// ln(2/alpha) / (n rho²))` with rho = 2 ln K. It is optimal if the quadratic mean of the ranges is rho. If that mean
/// is f times rho, the threshold is wider by a factor (f + 1/f)/2 than the best one, but still valid. 0 without tokens
/// or without a level.
pub fn tilt(tokens: usize, vocab: usize, alpha: f64) -> f64 {
    let rho = 2.0 * (vocab.max(2) as f64).ln();
    let tilt = (8.0 * (2.0 / alpha).ln() / tokens as f64).sqrt() / rho;
    if tilt.is_finite() { tilt } else { 0.0 }
}

/// `t = (s R/8 + ln(2/alpha)/s) / n` for tokens with R = Σ r_i². For an s fixed beforehand and a text that ends at any
/// n, the absolute value of the statistic of the author's own text is t or more with probability at most alpha.
/// Infinite if no value decides.
pub fn threshold(tokens: usize, squared_ranges: f64, tilt: f64, alpha: f64) -> f64 {
    let threshold = (tilt * squared_ranges / 8.0 + (2.0 / alpha).ln() / tilt) / tokens as f64;
    if threshold.is_finite() && tilt > 0.0 && alpha > 0.0 {
        threshold
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy_gap;
    use crate::token_stats::{TILTS, TokenStats};
    use proptest::prelude::*;

    /// The figures of symbol `x` of an author p against another model q, by plain sums.
    fn figures(p: &[f64], q: &[f64], x: usize) -> CrossTokenStats {
        let cross_entropy: f64 = p.iter().zip(q).map(|(p, q)| -p * q.ln()).sum();
        let expectation = |f: &dyn Fn(f64) -> f64| p.iter().zip(q).map(|(p, q)| p * f(-q.ln() - cross_entropy)).sum();
        let cgf = TILTS.map(|s| {
            let mean: f64 = expectation(&|d| (s * d).exp());
            mean.ln()
        });
        let surprisals = || q.iter().map(|q| -q.ln());
        CrossTokenStats {
            surprisal: -q[x].ln(),
            cross_entropy,
            cgf,
            range: surprisals().fold(f64::NEG_INFINITY, f64::max) - surprisals().fold(f64::INFINITY, f64::min),
        }
    }

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| l.exp() / total).collect()
    }

    #[test]
    fn the_mean_e_value_is_one_by_exact_enumeration() {
        // Two tokens; the distributions of the second depend on the first.
        let laws = [
            (softmax(&[2.0, 0.0, -3.0]), softmax(&[0.0, 1.0, 0.5])),
            (softmax(&[0.0, 0.1, 0.2]), softmax(&[3.0, 0.0, 0.0])),
            (softmax(&[5.0, 0.0, 0.0]), softmax(&[-4.0, 2.0, 0.0])),
            (softmax(&[-1.0, 4.0, 0.5]), softmax(&[-1.0, 3.5, 0.7])),
        ];
        let (mut mean, mut other_mean) = (0.0, 0.0);
        for x in 0..3 {
            for y in 0..3 {
                let ((p, q), (p2, q2)) = (&laws[0], &laws[x + 1]);
                let e = exact(&[figures(p, q, x), figures(p2, q2, y)], 3, 0.05)
                    .gap
                    .ln_e_value
                    .exp();
                mean += p[x] * p2[y] * e;
                other_mean += q[x] * q2[y] * e;
            }
        }
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        // If the other model writes, it is not an e-value. That is what gives the test its power.
        assert!(other_mean > 1.1, "{other_mean}");
    }

    #[test]
    fn against_itself_the_test_is_the_entropy_gap() {
        let rows = [[2.0, 0.0, -3.0, 1.0], [0.0, 0.1, 0.2, 0.3], [5.0, 0.0, 0.0, -9.0]].map(|row| softmax(&row));
        let mut crossed = Vec::new();
        let mut own = Vec::new();
        for i in 0..60 {
            let token = figures(&rows[i % 3], &rows[i % 3], i * 7 % 4);
            crossed.push(token);
            own.push(TokenStats {
                surprisal: token.surprisal,
                entropy: token.cross_entropy,
                varentropy: 1.0,
                ln_space_mass: -1.0,
                cgf: token.cgf,
            });
        }
        let gap = entropy_gap::exact(&own, 0.05);
        assert_eq!(exact(&crossed, 4, 0.05).gap, gap);
        assert!(gap.ln_e_value.is_finite() && gap.ln_e_value != 0.0);
    }

    #[test]
    fn a_figure_that_is_not_finite_voids_the_test() {
        let p = softmax(&[1.0, 0.0, -1.0]);
        let good = figures(&p, &softmax(&[-9.0, 0.0, 9.0]), 0);
        assert!(exact(&[good; 40], 3, 0.05).gap.ln_e_value > 10.0);
        for bad in [f64::NAN, f64::INFINITY] {
            let broken = [
                CrossTokenStats { surprisal: bad, ..good },
                CrossTokenStats {
                    cross_entropy: bad,
                    ..good
                },
                CrossTokenStats {
                    cgf: [bad; TILTS.len()],
                    ..good
                },
            ];
            for token in broken {
                let mut tokens = [good; 40];
                tokens[7] = token;
                let evidence = exact(&tokens, 3, 0.05);
                assert_eq!(evidence.gap.ln_e_value, f64::NEG_INFINITY);
                assert!(evidence.gap.statistic.is_nan());
            }
            let wide = CrossTokenStats { range: bad, ..good };
            assert_eq!(exact(&[good, wide], 3, 0.05).closed_form, f64::INFINITY);
        }
        let empty = exact(&[], 3, 0.05);
        assert_eq!(
            (empty.gap.ln_e_value.abs() < 1e-12, empty.closed_form),
            (true, f64::INFINITY)
        );
    }

    #[test]
    fn the_closed_form_is_hoeffdings_where_the_ranges_are_as_supposed() {
        let (n, vocab, alpha) = (500, 50_000, 0.01f64);
        let rho = 2.0 * (vocab as f64).ln();
        let hoeffding = rho * ((2.0 / alpha).ln() / (2.0 * n as f64)).sqrt();
        let at = |factor: f64| threshold(n, n as f64 * (factor * rho).powi(2), tilt(n, vocab, alpha), alpha);
        assert!((at(1.0) - hoeffding).abs() < 1e-12);
        // With ranges f times as wide, (f + 1/f)/2 times the threshold with hindsight.
        for f in [0.5, 2.0] {
            assert!((at(f) - 1.25 * f * hoeffding).abs() < 1e-12);
        }
        assert_eq!(threshold(n, 1.0, 0.0, alpha), f64::INFINITY);
        assert_eq!(threshold(0, 0.0, tilt(0, vocab, alpha), alpha), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn the_cumulants_lie_below_the_range_bound(
            logits in prop::collection::vec((-8.0..8.0f64, -8.0..8.0f64), 2..12)
        ) {
            let (p, q): (Vec<f64>, Vec<f64>) = logits.into_iter().unzip();
            let token = figures(&softmax(&p), &softmax(&q), 0);
            for (psi, s) in token.cgf.iter().zip(TILTS) {
                prop_assert!(*psi >= -1e-12 && *psi <= (s * token.range).powi(2) / 8.0 + 1e-12);
            }
        }
    }
}
