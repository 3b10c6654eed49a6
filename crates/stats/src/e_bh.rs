//! Many hypotheses in one run, with one error rate for the whole run.
//!
//! e-BH: R. Wang, A. Ramdas, *False discovery rate control with e-values*, J. R. Statist. Soc. B 84(3), 2022, section
//! 4. It allows any dependence. docs/THEORY.md 14.1 has the proof.

/// Which of these hypotheses are rejected: the k hypotheses with the greatest e-values, for the greatest k such that
/// each of them is at least `m / (k * alpha)`, where `m` is the number of hypotheses.
///
/// The false discovery rate, the expected share of true hypotheses among the rejected ones, is at most `alpha`. If all
/// hypotheses are true, a run rejects any of them with probability at most `alpha`. An e-value that is not a number
/// counts as 0.
pub fn e_bh(e_values: &[f64], alpha: f64) -> Vec<bool> {
    let value = |i: usize| if e_values[i].is_nan() { 0.0 } else { e_values[i] };
    let mut order: Vec<usize> = (0..e_values.len()).collect();
    order.sort_by(|&i, &j| value(j).total_cmp(&value(i)));
    // Bounds and values are quotients of the same numbers: a rounding error must not decide.
    let single = alpha / e_values.len() as f64;
    let enough = |k: usize| value(order[k - 1]) * (1.0 + ROUNDING) >= 1.0 / (k as f64 * single);
    let k = (1..=order.len()).rev().find(|&k| enough(k)).unwrap_or(0);
    let mut rejected = vec![false; e_values.len()];
    for &i in &order[..k] {
        rejected[i] = true;
    }
    rejected
}

/// The e-value of a p-value that counts if it is at most `level`: the inverse of the level, or else 0. Its mean is at most 1
/// if the hypothesis is true.
pub fn counting_e_value(p_value: f64, level: f64) -> f64 {
    // Both are quotients of the same numbers: a rounding error must not decide.
    if p_value <= level * (1.0 + ROUNDING) {
        1.0 / level
    } else {
        0.0
    }
}

/// How many hypotheses are rejected together with one whose evidence is as strong as can be: the greatest k such that at
/// least k - 1 of the others are rejected in a company of k. `others` has for each of them the least company in which it is
/// rejected, as [`least_rejections`] tells for its p-value. This is the number that Y. Benjamini and Y. Hochberg,
/// *Controlling the false discovery rate*, J. R. Statist. Soc. B 57(1), 1995, reject.
pub fn expected_rejections(others: impl Iterator<Item = usize>) -> usize {
    let mut others: Vec<usize> = others.collect();
    others.sort_unstable();
    // In a company of k there are the first k - 1, and each of them needs k at most.
    let supported = |&k: &usize| k == 1 || others[k - 2] <= k;
    (1..=others.len() + 1).rev().find(supported).unwrap_or(1)
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
    fn the_expected_number_is_the_greatest_that_supports_itself() {
        let expected = |others: &[usize]| expected_rejections(others.iter().copied());
        assert_eq!(expected(&[]), 1);
        assert_eq!(expected(&[9, 9, 9]), 1);
        assert_eq!(expected(&[9, 2, 9]), 2);
        assert_eq!(expected(&[9, 3, 2, 9]), 3);
        assert_eq!(expected(&[4, 4, 4, 9]), 4);
        assert_eq!(expected(&[5, 5, 5, 9]), 1);
    }

    /// How the texts of a run are ranked in the simulation below.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Run {
        /// Only one author may write, whose texts make up one group.
        OneGroup,
        /// Two authors may write, and the texts of one are of two groups. All answer the same prompts, which make up half of
        /// the variance. A prompt that draws an odd answer does so in both groups.
        Alike,
        /// The same, but a prompt that draws an odd answer in one group draws an ordinary one in the other.
        Opposed,
        /// The same as `Alike`, and all texts of the run are by one hand, which makes up most of the variance. No theorem
        /// covers such a run.
        OneHand,
    }

    /// Texts of different files, by authors that may write and by one that may not. All are ranked among the same
    /// documents, and other documents tell how many to expect.
    #[test]
    fn texts_of_different_files_are_wrongly_found_at_most_alpha_of_the_time() {
        use crate::conformal::{largest_p_value, p_of_low};
        use rand_distr::StandardNormal;
        const RUNS: u64 = 10_000;
        const ALPHA: f64 = 0.1;
        // The share of wrong ones lies between 0 and 1, so its variance is at most ALPHA (1 - ALPHA) if its mean is ALPHA.
        let chance = 3.1 * (ALPHA * (1.0 - ALPHA) / RUNS as f64).sqrt();
        let mut rng = StdRng::seed_from_u64(14);
        for (documents, texts, foreign, kind) in [
            (19, 1, 0, Run::Opposed),
            (19, 2, 0, Run::Opposed),
            (60, 20, 10, Run::Opposed),
            (200, 20, 0, Run::OneGroup),
            (200, 20, 0, Run::Alike),
            (200, 20, 0, Run::Opposed),
            (200, 20, 0, Run::OneHand),
            (200, 20, 1, Run::Alike),
            (200, 20, 10, Run::Alike),
            (400, 50, 0, Run::Opposed),
            (400, 50, 25, Run::Opposed),
            (400, 50, 25, Run::OneGroup),
        ] {
            let single = ALPHA / texts as f64;
            let (mut wrong, mut failed, mut found) = (0.0, 0, 0);
            for _ in 0..RUNS {
                let score = |common: f64, author: usize, group: usize, rng: &mut StdRng| -> f64 {
                    let common = if kind == Run::Opposed && group == 1 {
                        -common
                    } else {
                        common
                    };
                    let deviate = (common + rng.sample::<f64, _>(StandardNormal)) / f64::sqrt(2.0);
                    match (author, group) {
                        (0, 0) => deviate,
                        (0, _) => 2.0 + deviate * 0.5,
                        _ => deviate.exp(),
                    }
                };
                // The scores of each author's own texts, by group, for "this author wrote it".
                let mut known = |documents: usize| -> Vec<Vec<Vec<f64>>> {
                    let prompts: Vec<f64> = (0..documents).map(|_| rng.sample(StandardNormal)).collect();
                    let groups: &[(usize, usize)] = match kind {
                        Run::OneGroup => &[(0, 1)],
                        _ => &[(0, 2), (1, 1)],
                    };
                    let mut group = |author: usize, group: usize| {
                        let scores = prompts.iter().map(|&common| score(common, author, group, &mut rng));
                        scores.collect()
                    };
                    let of_author =
                        |&(author, groups): &(usize, usize)| (0..groups).map(|g| group(author, g)).collect();
                    groups.iter().map(of_author).collect()
                };
                let (compared, of_fit) = (known(documents), known(documents / 2));
                let hand: f64 = rng.sample(StandardNormal);
                let p_values = (0..texts).map(|text| {
                    let own: f64 = rng.sample(StandardNormal);
                    let common = if kind == Run::OneHand { hand + 0.2 * own } else { own };
                    // For each of the two authors, the text's score.
                    let mut of = |author: usize, group: usize| score(common, author, group, &mut rng);
                    let scores = match (text < foreign, text % 3) {
                        (true, _) => [of(0, 0) - 4.0, of(1, 0) - 4.0],
                        (false, 2) if kind != Run::OneGroup => [of(0, 0) - 3.0, of(1, 0)],
                        (false, _) if kind == Run::OneGroup => [of(0, 0), -9.0],
                        (false, group) => [of(0, group), of(1, 0) - 2.0],
                    };
                    let among = |known: &[Vec<Vec<f64>>]| {
                        let rank = |(groups, score): (&Vec<Vec<f64>>, f64)| {
                            largest_p_value(&groups.iter().map(|known| p_of_low(known, score)).collect::<Vec<_>>()).0
                        };
                        known.iter().zip(scores).map(rank).fold(0.0, f64::max)
                    };
                    (among(&compared), among(&of_fit))
                });
                let (p, expected): (Vec<f64>, Vec<f64>) = p_values.unzip();
                let alone: Vec<usize> = expected.iter().map(|&p| least_rejections(p, single)).collect();
                let least = least_rejections(1.0 / (documents + 1) as f64, single);
                let e_value = |(text, p): (usize, &f64)| {
                    let others = alone[..text].iter().chain(&alone[text + 1..]);
                    let together = least.max(expected_rejections(others.copied()));
                    counting_e_value(*p, single * together as f64)
                };
                let rejected = e_bh(&p.iter().enumerate().map(e_value).collect::<Vec<_>>(), ALPHA);
                let all = rejected.iter().filter(|rejected| **rejected).count();
                let of_foreign = rejected[..foreign].iter().filter(|rejected| **rejected).count();
                wrong += (all - of_foreign) as f64 / all.max(1) as f64;
                failed += u64::from(all > 0);
                found += of_foreign;
            }
            println!(
                "{documents} documents, {texts} texts, {foreign} foreign, {kind:?}: {} wrong, {failed} failed, {found} found",
                wrong / RUNS as f64
            );
            assert!(wrong / (RUNS as f64) <= ALPHA + chance);
            if foreign == 0 {
                assert!(clopper_pearson(failed, RUNS, 0.999).0 <= ALPHA, "{failed}");
            } else if documents >= 20 * texts / foreign {
                assert!(found as u64 > RUNS * foreign as u64 / 3, "{found}");
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
