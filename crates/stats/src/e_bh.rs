//! Many hypotheses in one run, with one error rate for the whole run.
//!
//! e-BH: R. Wang, A. Ramdas, *False discovery rate control with e-values*, J. R. Statist. Soc. B 84(3), 2022, section
//! 4. It allows any dependence. BH: Y. Benjamini, Y. Hochberg, *Controlling the false discovery rate*, J. R. Statist.
//! Soc. B 57(1), 1995. It finds more, and needs p-values that do not work against each other, as those are that rank
//! fixed scores of different documents in one calibration (S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia, *Testing for
//! outliers with conformal p-values*, Ann. Statist. 51(1), 2023). docs/THEORY.md 14.1 has the proofs for both.

/// Which of these hypotheses are rejected: the k hypotheses with the greatest e-values, for the greatest k such that
/// each of them is at least `m / (k * alpha)`, where `m` is the number of hypotheses.
///
/// The false discovery rate, the expected share of true hypotheses among the rejected ones, is at most `alpha`. If all
/// hypotheses are true, a run rejects any of them with probability at most `alpha`. An e-value that is not a number
/// counts as 0.
pub fn e_bh(e_values: &[f64], alpha: f64) -> Vec<bool> {
    step_up(e_values, alpha / e_values.len() as f64)
}

/// Which of these hypotheses are rejected: the k hypotheses with the least p-values, for the greatest k such that each of
/// them is at most `k * single`. With m hypotheses in the run, `single` is alpha/m. A p-value that is not a number counts
/// as 1.
///
/// If p-values of the run are judged in several families, each by this function and with the same `single`, the false
/// discovery rate of the run is at most alpha, on the conditions of docs/THEORY.md 14.1, Theorem 15.
pub fn benjamini_hochberg(p_values: &[f64], single: f64) -> Vec<bool> {
    // BH is e-BH with the inverses, which are not e-values.
    let inverses: Vec<f64> = p_values.iter().map(|p| 1.0 / p).collect();
    step_up(&inverses, single)
}

/// The k greatest values, for the greatest k such that each of them is at least `1 / (k * single)`.
fn step_up(values: &[f64], single: f64) -> Vec<bool> {
    let value = |i: usize| if values[i].is_nan() { 0.0 } else { values[i] };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| value(j).total_cmp(&value(i)));
    // Bounds and values are quotients of the same numbers: a rounding error must not decide.
    let enough = |k: usize| value(order[k - 1]) * (1.0 + ROUNDING) >= 1.0 / (k as f64 * single);
    let k = (1..=order.len()).rev().find(|&k| enough(k)).unwrap_or(0);
    let mut rejected = vec![false; values.len()];
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

    #[test]
    fn the_least_p_values_that_support_each_other_are_rejected() {
        let rejected = |p: &[f64]| benjamini_hochberg(p, 0.01);
        assert_eq!(rejected(&[0.011, 0.02, 0.04, 0.5]), [true, true, false, false]);
        assert_eq!(rejected(&[0.011, 0.021, 0.029, 0.5]), [true, true, true, false]);
        assert_eq!(rejected(&[0.011, 0.9]), [false, false]);
        assert_eq!(rejected(&[f64::NAN, 0.01]), [false, true]);
        // A p-value that equals its level counts, however their quotient is rounded.
        assert_eq!(benjamini_hochberg(&[3.0 / 300.0], 0.05 / 5.0), [true]);
        assert_eq!(rejected(&[]), Vec::<bool>::new());
    }

    /// One calibration of an author that may write, in two groups, and one of another that may; texts by both, and
    /// foreign ones. All texts of a run are ranked in these calibrations, so their p-values depend on each other. The two
    /// groups, and the authors, answer the same prompts, which make up half of the variance.
    #[test]
    fn texts_ranked_in_one_calibration_are_wrongly_found_at_most_alpha_of_the_time() {
        use crate::conformal::{largest_p_value, p_of_low};
        use rand_distr::StandardNormal;
        const RUNS: u64 = 3_000;
        const ALPHA: f64 = 0.1;
        let mut rng = StdRng::seed_from_u64(14);
        for (documents, texts, foreign, one_group) in [
            (19, 1, 0, false),
            (60, 5, 0, true),
            (60, 20, 10, false),
            (200, 20, 0, false),
            (200, 20, 0, true),
            (200, 20, 1, false),
            (200, 20, 10, true),
            (400, 50, 0, true),
            (400, 50, 25, true),
        ] {
            let (mut wrong, mut failed, mut found) = (0.0, 0, 0);
            for _ in 0..RUNS {
                let score_in = |common: f64, author: usize, group: usize, rng: &mut StdRng| -> f64 {
                    let deviate = (common + rng.sample::<f64, _>(StandardNormal)) / f64::sqrt(2.0);
                    match (author, group) {
                        (0, 0) => deviate,
                        (0, _) => 2.0 + deviate * 0.5,
                        _ => deviate.exp(),
                    }
                };
                let score = |author: usize, group: usize, rng: &mut StdRng| {
                    let common = rng.sample(StandardNormal);
                    score_in(common, author, group, rng)
                };
                let prompts: Vec<f64> = (0..documents).map(|_| rng.sample(StandardNormal)).collect();
                // The scores of each author's own texts, by group, for "this author wrote it".
                let known: Vec<Vec<Vec<f64>>> = [2, 1]
                    .iter()
                    .enumerate()
                    .map(|(author, &groups)| {
                        let group = |group: usize, rng: &mut StdRng| {
                            prompts
                                .iter()
                                .map(|&common| score_in(common, author, group, rng))
                                .collect()
                        };
                        (0..groups).map(|of| group(of, &mut rng)).collect()
                    })
                    .collect();
                let p: Vec<f64> = (0..texts)
                    .map(|text| {
                        // For each of the two authors, the text's score.
                        let scores: [f64; 2] = match (text < foreign, text % 3) {
                            (false, _) if one_group => [score(0, 0, &mut rng), -9.0],
                            (true, _) => [score(0, 0, &mut rng) - 4.0, score(1, 0, &mut rng) - 4.0],
                            (false, 2) => [score(0, 0, &mut rng) - 3.0, score(1, 0, &mut rng)],
                            (false, group) => [score(0, group, &mut rng), score(1, 0, &mut rng) - 2.0],
                        };
                        let of_author = |author: usize| {
                            let of_group = |known: &Vec<f64>| p_of_low(known, scores[author]);
                            largest_p_value(&known[author].iter().map(of_group).collect::<Vec<_>>()).0
                        };
                        if one_group {
                            p_of_low(&known[0][0], scores[0])
                        } else {
                            of_author(0).max(of_author(1))
                        }
                    })
                    .collect();
                let rejected = benjamini_hochberg(&p, ALPHA / texts as f64);
                let all = rejected.iter().filter(|rejected| **rejected).count();
                let of_foreign = rejected[..foreign].iter().filter(|rejected| **rejected).count();
                wrong += (all - of_foreign) as f64 / all.max(1) as f64;
                failed += u64::from(all > 0);
                found += of_foreign;
            }
            println!(
                "{documents} documents, {texts} texts, {foreign} foreign, one group {one_group}: {} wrong, {found} found",
                wrong / RUNS as f64
            );
            assert!(wrong / (RUNS as f64) <= ALPHA * 1.05);
            if foreign == 0 {
                assert!(clopper_pearson(failed, RUNS, 0.999).0 <= ALPHA, "{failed}");
            } else if documents >= 20 * texts / foreign {
                assert!(found as u64 > RUNS * foreign as u64 / 2, "{found}");
            }
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
