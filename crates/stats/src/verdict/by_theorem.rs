//! Evidence from theorems, which need the prompt: entropy gap, cross-entropy and likelihood ratio (docs/THEORY.md 4 to
//! 10).

use super::decide::{DecisionContext, TestedHypothesis};
use super::hypothesis::{Basis, Candidate, Evidence, Test};
use super::observation::Prompted;
use crate::composite_likelihood_ratio::composite_likelihood_ratio;
use crate::likelihood_ratio::{RatioUnit, RatioVoid, Scored, likelihood_ratio};
use crate::token_stats::{CrossScores, TextScores};
use crate::{cross_entropy, entropy_gap, ln_average, ln_union, p_value, rejects};

impl<'a> DecisionContext<'a> {
    /// The tests whose error a theorem bounds if the prompt is known.
    pub(super) fn by_theorem(&self, prompted: Prompted<'a>, candidate: &Candidate, tested: &mut TestedHypothesis) {
        let Some(own) = prompted.of(candidate) else {
            return;
        };
        tested.hypothesis.basis = Basis::Prompt;
        tested.hypothesis.p_value = Some(1.0);
        // The entropy gap needs one temperature without truncation. Other hypotheses have the likelihood ratio only.
        let beta = candidate.untruncated_beta().and_then(|beta| own.beta_index(beta));
        // So does the cross-entropy, which is tested against each model of the same vocabulary.
        let mut tests: Vec<(Test, Option<(&CrossScores, &Candidate)>)> = Vec::new();
        for &test in &self.settings.tests {
            match (test, beta) {
                (Test::EntropyGap | Test::EntropyGapVocab | Test::CrossEntropy, None) => {}
                (Test::CrossEntropy, Some(_)) => {
                    let crossed = self.crossed(candidate, own);
                    tests.extend(crossed.into_iter().map(|pair| (test, Some(pair))));
                }
                _ => tests.push((test, None)),
            }
        }
        // Each of k tests gets 1/k of the level.
        let level = self.settings.alpha / tests.len().max(1) as f64;
        let mut on_words = false;
        for (test, crossed) in tests {
            let evidence = match (test, beta) {
                (Test::CrossEntropy, _) => {
                    let Some((crossed, other)) = crossed else { continue };
                    let found = cross_entropy::exact(&crossed.tokens, own.vocab, level);
                    Evidence {
                        test,
                        ln_e_value: found.gap.ln_e_value,
                        statistic: found.gap.statistic,
                        threshold: found.gap.threshold(),
                        closed_form_threshold: Some(found.closed_form).filter(|threshold| threshold.is_finite()),
                        against: vec![other.author.clone()],
                        calibration: None,
                    }
                }
                (Test::EntropyGap | Test::EntropyGapVocab, Some(beta)) => {
                    let tokens = own.at(beta);
                    let gap = match test {
                        Test::EntropyGapVocab => entropy_gap::vocab(tokens, own.vocab, level),
                        _ => entropy_gap::exact(tokens, level),
                    };
                    tested.fewest_tokens = tested.fewest_tokens.into_iter().chain(gap.fewest_tokens).min();
                    Evidence {
                        test,
                        ln_e_value: gap.ln_e_value,
                        statistic: gap.statistic,
                        threshold: gap.threshold(),
                        closed_form_threshold: None,
                        against: Vec::new(),
                        calibration: None,
                    }
                }
                (Test::LikelihoodRatio, _) => {
                    let others: Vec<&Candidate> = self.others(candidate);
                    let (ln_e_value, words, void) = match beta {
                        Some(beta) => {
                            let at_their_own = others.iter().filter_map(|other| prompted.scored(other));
                            let ratio = likelihood_ratio(prompted.text, (own, beta), &at_their_own.collect::<Vec<_>>());
                            (ratio.ln_e_value, ratio.unit == RatioUnit::Word, ratio.void)
                        }
                        None => {
                            let others = others.iter().filter_map(|other| prompted.of(other));
                            let others: Vec<&TextScores> = others.collect();
                            let ratio =
                                composite_likelihood_ratio(prompted.text, own, &candidate.decoding, &others, level);
                            (ratio.ln_e_value, true, ratio.void)
                        }
                    };
                    on_words |= words;
                    // With one model there is nothing to compare. If the text has no word, another caveat says that it
                    // is too short.
                    let reported =
                        |reason: &RatioVoid| !matches!(reason, RatioVoid::NoNumerator | RatioVoid::NoOutcome);
                    tested.ratio_void = void.filter(reported);
                    Evidence {
                        test,
                        ln_e_value,
                        statistic: ln_e_value,
                        threshold: -level.ln(),
                        closed_form_threshold: None,
                        against: others.iter().map(|other| other.author.clone()).collect(),
                        calibration: None,
                    }
                }
                _ => continue,
            };
            tested.hypothesis.evidence.push(evidence);
        }
        let weighted: Vec<(f64, f64)> = tested.hypothesis.evidence.iter().map(|e| (e.ln_e_value, 1.0)).collect();
        if weighted.is_empty() {
            tested.hypothesis.basis = Basis::Untested;
            tested.hypothesis.p_value = None;
            return;
        }
        // The average of e-values is an e-value only if they stop together. A ratio by words and a gap by tokens do not
        // (docs/THEORY.md 9).
        let ln_e = if on_words {
            ln_union(&weighted)
        } else {
            ln_average(&weighted)
        };
        tested.hypothesis.ln_e_value = Some(ln_e);
        tested.hypothesis.p_value = Some(p_value(ln_e));
        tested.hypothesis.retained = !rejects(ln_e, self.settings.alpha);
    }

    /// The candidates with another model, one for each model and decoding.
    fn others(&self, candidate: &Candidate) -> Vec<&'a Candidate> {
        let mut others: Vec<&'a Candidate> = Vec::new();
        let is_other = |other: &&Candidate| other.model.is_some() && other.model != candidate.model;
        for other in self.candidates.iter().filter(is_other) {
            if !others
                .iter()
                .any(|o| o.model == other.model && o.decoding == other.decoding)
            {
                others.push(other);
            }
        }
        others
    }

    /// The models whose surprisal was compared with what the candidate expects, each with a candidate that uses it.
    /// Which ones these are does not depend on the text.
    fn crossed<'b>(&'b self, candidate: &Candidate, own: &'b TextScores) -> Vec<(&'b CrossScores, &'b Candidate)> {
        let mut crossed: Vec<(&CrossScores, &Candidate)> = Vec::new();
        let Some(beta) = candidate.untruncated_beta() else {
            return crossed;
        };
        for other in self.others(candidate) {
            let betas = (beta, other.untruncated_beta().unwrap_or(1.0));
            let found = own
                .cross
                .iter()
                .find(|c| Some(&c.other) == other.model.as_ref() && c.betas == betas);
            if let Some(found) = found.filter(|found| !crossed.iter().any(|(known, _)| std::ptr::eq(*known, *found))) {
                crossed.push((found, other));
            }
        }
        crossed
    }
}

impl<'a> Prompted<'a> {
    /// The scores of a candidate's model.
    fn of(&self, candidate: &Candidate) -> Option<&'a TextScores> {
        self.scores.get(candidate.model.as_ref()?)
    }

    /// A candidate's model at the candidate's temperature, or at T = 1.
    fn scored(&self, candidate: &Candidate) -> Option<Scored<'a>> {
        let scores = self.of(candidate)?;
        let beta = candidate.untruncated_beta().unwrap_or(1.0);
        Some((scores, scores.beta_index(beta)?))
    }
}
