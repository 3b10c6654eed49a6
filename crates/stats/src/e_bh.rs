//! Many hypotheses in one run, with one error rate for the whole run.
//!
//! e-BH: R. Wang, A. Ramdas, *False discovery rate control with e-values*, J. R. Statist. Soc. B 84(3), 2022, section
//! 4. P-values from one calibration depend on each other, so procedures that need independence do not apply. E-values
//! may depend on each other in any way. docs/THEORY.md 14.1 has the proof for this case.

/// Which of these hypotheses are rejected: the k hypotheses with the greatest e-values, for the greatest k such that
/// each of them is at least `m / (k * alpha)`, where `m` is the number of hypotheses.
///
/// The false discovery rate, the expected share of true hypotheses among the rejected ones, is at most `alpha`. If all
/// hypotheses are true, a run rejects any of them with probability at most `alpha`. An e-value that is not a number
/// counts as 0.
pub fn e_bh(e_values: &[f64], alpha: f64) -> Vec<bool> {
    let e = |i: usize| if e_values[i].is_nan() { 0.0 } else { e_values[i] };
    let mut order: Vec<usize> = (0..e_values.len()).collect();
    order.sort_by(|&i, &j| e(j).total_cmp(&e(i)));
    let m = e_values.len() as f64;
    // Bounds and e-values are quotients of the same numbers: a rounding error must not decide.
    let enough = |k: usize| e(order[k - 1]) * (1.0 + ROUNDING) >= m / (k as f64 * alpha);
    let k = (1..=order.len()).rev().find(|&k| enough(k)).unwrap_or(0);
    let mut rejected = vec![false; e_values.len()];
    for &i in &order[..k] {
        rejected[i] = true;
    }
    rejected
}

/// How many hypotheses must be rejected at once for any to be rejected, if no p-value is below `least_p_value`: the
/// least k for which evidence can reach k times the level.
pub fn least_rejections(least_p_value: f64, level: f64) -> usize {
    // A p-value equal to a level reaches it, whatever the rounding of their quotient.
    ((least_p_value / level - ROUNDING).ceil() as usize).max(1)
}

/// The greatest relative difference between two computations of one quotient.
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

    /// Twenty hypotheses, fifteen of them true, with e-values of 1/tau where p is at most tau.
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
