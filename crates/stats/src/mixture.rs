//! A mixture of experts with Bayes weights and a fixed share.
//!
//! M. Herbster and M. K. Warmuth, *Tracking the best expert*, Machine Learning 32, 1998. The weighted average of the
//! experts' probabilities predicts each outcome. Then the weights follow Bayes' rule, and a small share of them is
//! spread evenly, so that an expert that fell behind can take the lead again.
//!
//! As a distribution over sequences, the mixture is the average over all paths of experts. After every outcome a path
//! switches, with probability `share`, to an expert drawn at random. So the mixture is a sub-probability if every
//! expert is one, and it never falls when an expert's probability rises. Against any path with S switches it loses, in
//! nats, at most `ln M + S ln(M/share) - (n - 1 - S) ln(1 - share + share/M)` (docs/THEORY.md 8).
//!
//! The share costs a little with every word, even if one expert is best throughout. So the numerators of the tests are
//! the even average of a mixture with a share and a mixture without one ([`Mixture`]). This average is never more than
//! `ln M + ln 2` behind the best expert, however long the text.

use super::e_value::log_sum_exp;
use std::f64::consts::LN_2;

/// The share of the weights that is spread evenly after every word.
///
/// 0.03 allows for a change of the lead about every 33 words. Without any change it costs 0.015 nat a word for two
/// experts; that is why half of [`Mixture`] has no share.
pub const SHARE: f64 = 0.03;

/// The even average of two mixtures of M experts: in one the lead may change, at the rate [`SHARE`]; in the other it
/// may not.
///
/// The average of two sub-probabilities is a sub-probability, and this one is at most `ln 2` behind the better of the
/// two (docs/THEORY.md 8).
#[derive(Clone, Debug)]
pub struct Mixture {
    halves: [FixedShare; 2],
}

impl Mixture {
    /// A mixture of `experts`.
    pub fn new(experts: usize) -> Self {
        let halves = [0.0, SHARE].map(|share| FixedShare::new(experts, share));
        Self { halves }
    }

    /// Adds the next outcome; see [`FixedShare::push`].
    pub fn push(&mut self, ln_probabilities: &[f64]) {
        for half in &mut self.halves {
            half.push(ln_probabilities);
        }
    }

    /// `ln Q` of all outcomes so far, in nats.
    pub fn ln_total(&self) -> f64 {
        let [steady, changing] = &self.halves;
        log_sum_exp(&[steady.ln_total(), changing.ln_total()]) - LN_2
    }
}

/// A fixed-share mixture of M experts, updated word by word (or token by token).
#[derive(Clone, Debug)]
pub struct FixedShare {
    share: f64,
    /// Logarithms of the weights before the next outcome.
    ln_weights: Vec<f64>,
    /// ln Q of all outcomes so far, nats.
    total: f64,
}

impl FixedShare {
    /// A mixture of `experts` with equal weights; `share` in [0, 1].
    pub fn new(experts: usize, share: f64) -> Self {
        let ln_weights = vec![-(experts as f64).ln(); experts];
        Self {
            share: share.clamp(0.0, 1.0),
            ln_weights,
            total: if experts == 0 { f64::NEG_INFINITY } else { 0.0 },
        }
    }

    /// Adds the next outcome, given the logarithm of its probability under each expert, in nats. Returns the logarithm
    /// of its probability under the mixture.
    ///
    /// A NaN, or a missing expert, counts as probability 0. After an outcome that has probability 0 under every expert,
    /// the total stays at minus infinity.
    pub fn push(&mut self, ln_probabilities: &[f64]) -> f64 {
        let joint: Vec<f64> = (0..self.ln_weights.len())
            .map(|m| match ln_probabilities.get(m) {
                Some(ln_p) if !ln_p.is_nan() => self.ln_weights[m] + ln_p,
                _ => f64::NEG_INFINITY,
            })
            .collect();
        let ln_q = log_sum_exp(&joint);
        self.total += ln_q;
        if ln_q.is_finite() {
            let spread = self.share.ln() - (joint.len() as f64).ln();
            let kept = (-self.share).ln_1p();
            self.ln_weights = joint
                .iter()
                .map(|value| log_sum_exp(&[kept + value - ln_q, spread]))
                .collect();
        }
        ln_q
    }

    /// `ln Q` of all outcomes so far, in nats.
    pub fn ln_total(&self) -> f64 {
        self.total
    }

    /// Logarithms of the experts' weights before the next outcome.
    pub fn ln_weights(&self) -> &[f64] {
        &self.ln_weights
    }
}

/// The most, in nats, that the mixture of `experts` loses on `outcomes` outcomes against the best path of experts with
/// `switches` changes (Herbster and Warmuth 1998, theorem on the fixed-share bound; docs/THEORY.md 8).
pub fn regret_bound(experts: usize, outcomes: usize, switches: usize, share: f64) -> f64 {
    let m = experts as f64;
    let stays = outcomes.saturating_sub(1 + switches) as f64;
    let switching = if switches == 0 {
        0.0
    } else {
        switches as f64 * (m / share).ln()
    };
    m.ln() + switching - stays * (1.0 - share + share / m).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(outcomes: &[Vec<f64>], share: f64) -> f64 {
        let mut mixture = FixedShare::new(outcomes[0].len(), share);
        outcomes.iter().for_each(|row| {
            mixture.push(row);
        });
        mixture.ln_total()
    }

    /// The sum over all paths of experts of the path's prior times its likelihood; and the best path for each number of
    /// switches.
    fn by_paths(outcomes: &[Vec<f64>], share: f64) -> (f64, Vec<f64>) {
        let (n, m) = (outcomes.len(), outcomes[0].len());
        let mut sum = 0.0;
        let mut best = vec![f64::NEG_INFINITY; n];
        for code in 0..m.pow(n as u32) {
            let path: Vec<usize> = (0..n).map(|i| code / m.pow(i as u32) % m).collect();
            let mut prior = 1.0 / m as f64;
            let mut switches = 0;
            for pair in path.windows(2) {
                let stays = f64::from(u8::from(pair[0] == pair[1]));
                switches += usize::from(pair[0] != pair[1]);
                prior *= (1.0 - share) * stays + share / m as f64;
            }
            let ln_p: f64 = path.iter().zip(outcomes).map(|(&e, row)| row[e]).sum();
            sum += prior * ln_p.exp();
            best[switches] = best[switches].max(ln_p);
        }
        (sum.ln(), best)
    }

    #[test]
    fn one_expert_is_left_as_it_is() {
        let outcomes = [vec![-1.5], vec![-2.0], vec![-0.25]];
        assert!((total(&outcomes, SHARE) + 3.75).abs() < 1e-12);
    }

    #[test]
    fn an_expert_that_failed_comes_back_through_the_share_only() {
        let row = |a: f64, b: f64| vec![a, b];
        let failed = [row(f64::NEG_INFINITY, -1.0), row(-1.0, f64::NEG_INFINITY)];
        assert_eq!(total(&failed, 0.0), f64::NEG_INFINITY);
        let with_share = total(&failed, 0.03);
        assert!((with_share - (0.5f64.ln() - 2.0 + 0.015f64.ln())).abs() < 1e-12);
        // A NaN is a failure too.
        assert_eq!(total(&[row(f64::NAN, -1.0), row(-1.0, f64::NAN)], 0.03), with_share);
    }

    #[test]
    fn an_outcome_impossible_for_every_expert_stays_impossible() {
        let none = [vec![f64::NEG_INFINITY; 2], vec![-1.0, -1.0]];
        assert_eq!(total(&none, 0.03), f64::NEG_INFINITY);
        let mut empty = FixedShare::new(0, 0.03);
        assert_eq!(empty.push(&[]), f64::NEG_INFINITY);
        assert_eq!(empty.ln_total(), f64::NEG_INFINITY);
        let mut short = FixedShare::new(2, 0.03);
        assert!((short.push(&[-1.0]) - (-1.0 - 2f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn a_mixture_of_one_expert_is_that_expert() {
        let mut one = Mixture::new(1);
        [-1.5, -2.0].iter().for_each(|&ln_p| one.push(&[ln_p]));
        assert!((one.ln_total() + 3.5).abs() < 1e-12);
        let mut none = Mixture::new(0);
        none.push(&[]);
        assert_eq!(none.ln_total(), f64::NEG_INFINITY);
    }

    proptest! {
        /// For any number of outcomes; 2,000 of them would cost the fixed share alone tens of nats.
        #[test]
        fn the_average_of_two_shares_is_close_to_the_best_expert_and_to_the_fixed_share(
            outcomes in prop::collection::vec(prop::collection::vec(-6.0..0.0f64, 4), 1..2000), best in 0..5usize
        ) {
            let mut outcomes = outcomes;
            // One expert that is good throughout, or none.
            outcomes.iter_mut().filter_map(|row| row.get_mut(best)).for_each(|ln_p| *ln_p /= 8.0);
            let mut mixture = Mixture::new(4);
            outcomes.iter().for_each(|row| mixture.push(row));
            let alone = (0..4).map(|expert| outcomes.iter().map(|row| row[expert]).sum::<f64>());
            let best = alone.fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(mixture.ln_total() >= best - 8f64.ln() - 1e-6);
            let [steady, changing] = [0.0, SHARE].map(|share| total(&outcomes, share));
            let average = steady.max(changing) + (0.5 + 0.5 * (-(steady - changing).abs()).exp()).ln();
            prop_assert!((mixture.ln_total() - average).abs() < 1e-6);
        }

        #[test]
        fn the_mixture_is_the_average_over_all_paths_and_keeps_its_regret_bound(
            outcomes in prop::collection::vec(prop::collection::vec(-6.0..0.0f64, 3), 1..7), share in 0.001..0.5f64
        ) {
            let (direct, best) = by_paths(&outcomes, share);
            let value = total(&outcomes, share);
            prop_assert!((value - direct).abs() < 1e-9);
            for (switches, ln_p) in best.iter().enumerate().take(outcomes.len()) {
                prop_assert!(value >= ln_p - regret_bound(3, outcomes.len(), switches, share) - 1e-9);
            }
        }

        #[test]
        fn the_weights_always_sum_to_one(
            outcomes in prop::collection::vec(prop::collection::vec(-60.0..0.0f64, 4), 1..50), share in 0.0..1.0f64
        ) {
            let mut mixture = FixedShare::new(4, share);
            for row in &outcomes {
                mixture.push(row);
                prop_assert!(log_sum_exp(mixture.ln_weights()).abs() < 1e-9);
            }
        }
    }
}
