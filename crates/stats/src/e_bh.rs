//! Several hypotheses in one run, so that the whole run has one error and not each of them its own.
//!
//! e-BH: R. Wang, A. Ramdas, *False discovery rate control with e-values*, J. R. Statist. Soc. B 84(3), 2022, section 4. P-values
//! from one calibration hang together, which rules out whatever wants them independent; e-values may hang together as they like.
//! docs/THEORY.md 14.1 has the proof for the case at hand.

/// Which of these hypotheses are rejected: the k with the greatest e-values, for the greatest k such that each of them is at least
/// `m / (k * alpha)`, where `m` is their number.
///
/// Of the hypotheses that are rejected, at most a share `alpha` is true in the mean over runs; where all are true, at most a share
/// `alpha` of the runs rejects any. An e-value that is no number is taken for 0.
pub fn e_bh(e_values: &[f64], alpha: f64) -> Vec<bool> {
    let e = |i: usize| if e_values[i].is_nan() { 0.0 } else { e_values[i] };
    let mut order: Vec<usize> = (0..e_values.len()).collect();
    order.sort_by(|&i, &j| e(j).total_cmp(&e(i)));
    let m = e_values.len() as f64;
    // The bounds are quotients of the same numbers as the e-values are made from: a rounding error must not decide.
    let enough = |k: usize| e(order[k - 1]) * (1.0 + ROUNDING) >= m / (k as f64 * alpha);
    let k = (1..=order.len()).rev().find(|&k| enough(k)).unwrap_or(0);
    let mut rejected = vec![false; e_values.len()];
    for &i in &order[..k] {
        rejected[i] = true;
    }
    rejected
}

/// The least k for which evidence can reach k times a level, where no p-value is below `least_p_value`: so many hypotheses have to be
/// found at once for any to be.
pub fn together(least_p_value: f64, level: f64) -> usize {
    // A p-value that equals a level is one that it reaches, whatever rounding makes of their quotient.
    ((least_p_value / level - ROUNDING).ceil() as usize).max(1)
}

/// What a quotient of the same two numbers may be off by, computed one way and another.
pub const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clopper_pearson;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn the_greatest_number_that_supports_itself_is_rejected() {
        // 4/(1*0.1) = 40, 4/(2*0.1) = 20, 4/(3*0.1) = 13.3, 4/(4*0.1) = 10.
        assert_eq!(e_bh(&[39.0, 21.0, 1.0, 3.0], 0.1), [true, true, false, false]);
        assert_eq!(e_bh(&[39.0, 19.0, 1.0, 3.0], 0.1), [false; 4]);
        assert_eq!(e_bh(&[40.0, 19.0, 1.0, 3.0], 0.1), [true, false, false, false]);
        assert_eq!(e_bh(&[14.0, 14.0, 14.0, 0.0], 0.1), [true, true, true, false]);
        assert_eq!(e_bh(&[f64::NAN, 20.0], 0.1), [false, true]);
        assert_eq!(e_bh(&[], 0.1), Vec::<bool>::new());
    }

    /// Twenty hypotheses of which fifteen are true, with e-values of 1/tau where p is at most tau.
    #[test]
    fn wrong_findings_are_at_most_alpha_of_all_findings_however_they_hang_together() {
        const RUNS: u64 = 20_000;
        const ALPHA: f64 = 0.1;
        let mut rng = StdRng::seed_from_u64(3);
        for (kind, tau) in [
            ("independent", 0.01),
            ("alike", 0.01),
            ("opposed", 0.01),
            ("independent", 0.005),
        ] {
            let (mut wrong, mut any_wrong_alone) = (0.0, 0);
            for _ in 0..RUNS {
                let common: f64 = rng.random();
                let of_true = |i: usize, rng: &mut StdRng| match kind {
                    "independent" => rng.random(),
                    "opposed" if i % 2 == 1 => 1.0 - common,
                    _ => common,
                };
                let p: Vec<f64> = (0..20)
                    .map(|i| {
                        if i < 15 {
                            of_true(i, &mut rng)
                        } else {
                            rng.random::<f64>().powi(8)
                        }
                    })
                    .collect();
                let e: Vec<f64> = p.iter().map(|p| if *p <= tau { 1.0 / tau } else { 0.0 }).collect();
                let rejected = e_bh(&e, ALPHA);
                let all = rejected.iter().filter(|rejected| **rejected).count();
                let of_the_true = rejected[..15].iter().filter(|rejected| **rejected).count();
                wrong += of_the_true as f64 / all.max(1) as f64;
                any_wrong_alone += u64::from(e_bh(&e[..15], ALPHA).contains(&true));
            }
            println!(
                "{kind}, {tau}: {} wrong, {any_wrong_alone} of {RUNS} runs of true ones alone",
                wrong / RUNS as f64
            );
            assert!(wrong / (RUNS as f64) <= ALPHA * 1.02, "{kind}");
            assert!(clopper_pearson(any_wrong_alone, RUNS, 0.999).0 <= ALPHA, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn all_rejected_are_above_the_bound_of_their_number_and_no_more_could_be(
            e in prop::collection::vec(0.0..100.0f64, 1..30),
        ) {
            let rejected = e_bh(&e, 0.2);
            let k = rejected.iter().filter(|rejected| **rejected).count();
            let bound = |k: usize| e.len() as f64 / (k as f64 * 0.2) * (1.0 - 1e-6);
            for (e, rejected) in e.iter().zip(&rejected) {
                prop_assert!(!rejected || *e >= bound(k));
            }
            for more in k + 1..=e.len() {
                prop_assert!(e.iter().filter(|e| **e >= bound(more)).count() < more || bound(more) < 1e-9
                    || e.iter().filter(|e| **e >= bound(more) * (1.0 + 2e-6)).count() < more);
            }
        }
    }
}
