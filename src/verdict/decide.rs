//! From a text's figures to a confidence set of authors.

use super::report::*;
use super::scope::Scope;
use crate::calibration::{CalibratedModel, Calibration, HUMAN, OtherAuthor, least_documents, least_p_value};
use crate::model::Family;
use crate::scoring::{CrossScores, LADDER, Scoring, TextScores};
use crate::stats::attribution::{Account, LENGTHS, accounts, beginning, word_ends};
use crate::stats::decoding::members;
use crate::stats::family_ratio::family_ratio;
use crate::stats::likelihood_ratio::{Outcome, RatioVoid, Scored, likelihood_ratio};
use crate::stats::{cross_entropy, entropy_gap, ln_average, ln_union, p_value, rejects};
use std::collections::BTreeMap;

/// An author that may have written the text: a model, sampled in one of the ways of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The author's name.
    pub author: String,
    /// A or B.
    pub set: AuthorSet,
    /// The name of the model that stands for the author.
    pub model: String,
    /// How the author is supposed to have sampled.
    pub decoding: Family,
}

impl Candidate {
    /// The inverse temperature, where the author is supposed to have sampled at one temperature without truncation.
    fn untruncated_beta(&self) -> Option<f64> {
        match &self.decoding {
            Family::Stated(decoding, hottest)
                if !decoding.truncates() && decoding.repetition_penalty == 1.0 && *hottest == decoding.temperature =>
            {
                Some(decoding.beta())
            }
            _ => None,
        }
    }
}

/// What is known of the prompt that the text may have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKnowledge {
    /// The models scored the text after it (or it is known that there was none).
    Known,
    /// Nothing: models are held against what they are known to have written.
    Unknown,
}

/// The level at which models are ruled out, unless the user says otherwise.
pub const ALPHA: f64 = 0.05;

/// That for a person is as many times lower: whoever rules a person out accuses somebody.
pub const HUMAN_DIVISOR: f64 = 5.0;

/// How verdicts are reached.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The level at which models are ruled out.
    pub alpha: f64,
    /// The level at which a person is.
    pub alpha_human: f64,
    /// The level that texts are to reach where they are judged together with others: a text is read on so many words as there are
    /// calibration texts for it, if there are at any length. None where each is judged by itself, at the levels above.
    pub alpha_together: Option<f64>,
    /// The tests that may speak against a model whose prompt is known, each once.
    pub tests: Vec<Test>,
    /// What is known of the prompt.
    pub prompt: PromptKnowledge,
    /// Texts of known authors. Of several calibrations for one author the first that knows a loaded model is taken, the
    /// author's own before its model's.
    pub calibrations: Vec<Calibration>,
}

impl Policy {
    /// The level that decides on how many words an author is judged.
    fn level_of_length(&self, author: &str) -> f64 {
        self.alpha_together.unwrap_or_else(|| self.level(author))
    }

    /// The level at which an author is ruled out.
    fn level(&self, author: &str) -> f64 {
        match author {
            HUMAN => self.alpha_human,
            _ => self.alpha,
        }
    }
}

/// How a model must score texts for these candidates: at an inverse temperature of 1, at which its figures are reported;
/// at those of the candidates that the ladder does not have, or whose entropy gap is tested; and under their repetition
/// penalties.
pub fn scoring(candidates: &[Candidate]) -> Scoring {
    let mut betas = vec![1.0];
    let mut penalised = Vec::new();
    for candidate in candidates {
        let stated = match &candidate.decoding {
            Family::Stated(..) => members(&candidate.decoding),
            _ => Vec::new(),
        };
        let of_stated = stated.iter().map(|decoding| decoding.beta());
        for beta in of_stated
            .filter(|beta| !LADDER.contains(beta))
            .chain(candidate.untruncated_beta())
        {
            if !betas.contains(&beta) {
                betas.push(beta);
            }
        }
        penalised.extend(stated);
    }
    Scoring::at(betas).with_penalties_of(&penalised)
}

/// The pairs of inverse temperatures, of two models, at which the cross-entropy test of these candidates compares them: one
/// at least is that of a candidate that is supposed to have sampled without truncation, the other that of a candidate or 1.
pub fn cross_betas(candidates: &[Candidate], models: [&str; 2]) -> Vec<(f64, f64)> {
    let betas = |model: &str| {
        let mut betas: Vec<(f64, bool)> = Vec::new();
        for candidate in candidates.iter().filter(|candidate| candidate.model == model) {
            let tested = candidate.untruncated_beta();
            let beta = tested.unwrap_or(1.0);
            match betas.iter_mut().find(|(known, _)| *known == beta) {
                Some((_, known)) => *known |= tested.is_some(),
                None => betas.push((beta, tested.is_some())),
            }
        }
        betas
    };
    let second = betas(models[1]);
    let pairs = betas(models[0])
        .into_iter()
        .flat_map(|(a, tested)| second.iter().map(move |&(b, other)| (a, b, tested || other)));
    pairs.filter(|(_, _, tested)| *tested).map(|(a, b, _)| (a, b)).collect()
}

/// A text as it is read where nothing is known of its prompt, which is how the texts of calibrations are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The models, with what they were asked.
    pub models: &'a [CalibratedModel],
    /// Their scores of the text, or of its [`beginning`], at an inverse temperature of 1.
    pub scores: &'a BTreeMap<String, TextScores>,
}

/// What the tests say of a text.
#[derive(Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The authors that are left.
    pub authors: Vec<String>,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// What the reader must know.
    pub warnings: Vec<Warning>,
}

/// The confidence set of authors: every author that the evidence has not ruled out.
///
/// An author's own evidence alone can remove it, and does so wrongly with probability at most `policy.alpha`, or
/// `policy.alpha_human` if it is a person; so the true author, if it is among the candidates and wrote as they say, is in the
/// set with probability at least one less this, however many others are considered (docs/THEORY.md 14).
///
/// `scores` holds each model's, as [`scoring`] has it and with what is known of the prompt; a candidate whose model is missing
/// from it stays in the set. What calibrations say is read from `unprompted`, whatever is known of the prompt: a text that
/// its prompt gives away is predictable to every model, and says nothing of who wrote it.
pub fn decide(
    text: &str,
    candidates: &[Candidate],
    scores: &BTreeMap<String, TextScores>,
    unprompted: Reading,
    policy: &Policy,
) -> Decision {
    let words = word_ends(text).len();
    let scored = scores.values().map(TextScores::scored).max().unwrap_or(0);
    // Calibration texts are told by their beginnings as well.
    let scope = Scope::of(beginning(text));
    let mut case = Case {
        text,
        candidates,
        scores,
        unprompted,
        policy,
        outside: scope.outside(),
        accounts: Vec::new(),
    };
    if case.outside.is_none() {
        case.outside = case.out_of_range();
    }
    let mut judged: Vec<Judged> = candidates.iter().map(|candidate| case.judge(candidate)).collect();
    let human = case.judge_human();
    let mut warnings = Vec::new();
    if let Some(reason) = judged.iter().find_map(|j| j.ratio_void) {
        warnings.push(Warning {
            code: WarningCode::RatioVoid,
            message: format!("The models could not be compared with one another on this text: {reason}."),
        });
    }
    let calibrated = policy.prompt == PromptKnowledge::Unknown;
    let those = |of: fn(&Judged) -> bool| {
        let authors = judged.iter().filter(|j| of(j)).map(|j| j.hypothesis.author.as_str());
        authors.collect::<Vec<_>>()
    };
    let uncalibrated = those(|j| j.uncalibrated);
    let untested = those(|j| j.hypothesis.basis == Basis::Untested && !j.uncalibrated && j.too_few_known.is_none());
    if !calibrated && !untested.is_empty() {
        warnings.push(Warning {
            code: WarningCode::Untested,
            message: format!(
                "Nothing tests {}: of the tests that were asked for, the entropy gap needs one temperature without \
                 truncation (--decoding temperature=1), the cross-entropy a second model of the same vocabulary as well, and \
                 the likelihood ratio a second model or a truncation.",
                untested.join(" and ")
            ),
        });
    }
    if !uncalibrated.is_empty() {
        warnings.push(Warning {
            code: WarningCode::Uncalibrated,
            message: format!(
                "Nothing tests {}: the prompt is not known, and there is no calibration for it with the models that are \
                 loaded. Give the prompt with --prompt, or texts that it wrote to `whowrote calibrate`.",
                uncalibrated.join(" and ")
            ),
        });
    }
    for (author, fewest) in judged
        .iter()
        .chain([&human])
        .filter_map(|j| Some((&j.hypothesis.author, j.too_few_known?)))
    {
        let level = policy.level(author);
        warnings.push(Warning {
            code: WarningCode::Uncalibrated,
            message: format!(
                "Nothing can rule out {} at the level of {level}: that takes texts as long as this one of {} documents or prompts in \
                 each group of its calibration, and one has {fewest}. Take a greater level, or add texts to it with `whowrote calibrate`.",
                match author.as_str() {
                    HUMAN => "a person",
                    model => model,
                },
                least_documents(level),
            ),
        });
    }
    let why = match &case.outside {
        // The theorems go on without the calibration, and a person may be left alone by them.
        Some(_) if !calibrated => Some("people's texts of this kind are in no calibration."),
        _ if human.uncalibrated => Some(
            "there is no calibration of people's texts with the models that are loaded. `whowrote calibrate --author human` makes \
             one.",
        ),
        _ => None,
    };
    if let Some(why) = why {
        warnings.push(Warning {
            code: WarningCode::HumanUntested,
            message: format!("Nothing tests whether a person wrote the text, so a person is never ruled out: {why}"),
        });
    }
    if let Some(reason) = &case.outside {
        warnings.push(Warning {
            code: WarningCode::OutsideCalibration,
            message: format!(
                "{reason} The calibration texts are ordinary English prose, so nothing is concluded from them here."
            ),
        });
    }
    warnings.extend(memorised(scores));
    judged.push(human);
    if judged.iter().any(|j| j.hypothesis.retained)
        && let Some(message) = too_short(&judged, scored, words, calibrated)
    {
        warnings.push(Warning {
            code: WarningCode::FewTokens,
            message,
        });
    }
    let hypotheses: Vec<Hypothesis> = judged.into_iter().map(|j| j.hypothesis).collect();
    let left = hypotheses.iter().filter(|h| h.retained).map(|h| h.author.clone());
    let authors: Vec<String> = if scored == 0 { Vec::new() } else { left.collect() };
    let verdict = match authors.len() {
        _ if scored == 0 => Verdict::Unable,
        0 => Verdict::Unknown,
        1 => Verdict::Attributed,
        _ => Verdict::Undecided,
    };
    Decision {
        verdict,
        authors,
        hypotheses,
        warnings,
    }
}

/// A hypothesis with what the warnings need.
struct Judged {
    hypothesis: Hypothesis,
    ratio_void: Option<RatioVoid>,
    /// Tokens that the entropy gap would need on a text like this one, at least.
    fewest_tokens: Option<usize>,
    /// There is no calibration that it could be tested with.
    uncalibrated: bool,
    /// There is one, with a group of so few texts as long as this one that it cannot be ruled out.
    too_few_known: Option<usize>,
}

impl Judged {
    /// An author before any evidence: it stays.
    fn untested(author: &str, set: AuthorSet) -> Self {
        Self {
            hypothesis: Hypothesis {
                author: author.to_owned(),
                set,
                model: None,
                decoding: None,
                basis: Basis::Untested,
                retained: true,
                p_value: None,
                ln_e_value: None,
                evidence: Vec::new(),
            },
            ratio_void: None,
            fewest_tokens: None,
            uncalibrated: false,
            too_few_known: None,
        }
    }
}

/// A calibration, and the loaded models that it knows.
struct Calibrated<'a> {
    calibration: &'a Calibration,
    /// The index of each among the loaded models, and among the calibration's.
    shared: Vec<(usize, usize)>,
}

impl Calibrated<'_> {
    /// Where a loaded model stands among the shared ones.
    fn place(&self, model: usize) -> Option<usize> {
        self.shared.iter().position(|(loaded, _)| *loaded == model)
    }

    /// Where a loaded model stands among the calibration's.
    fn column(&self, model: usize) -> Option<usize> {
        self.place(model).map(|place| self.shared[place].1)
    }
}

/// One text, and what is worked out of it for several hypotheses.
struct Case<'a> {
    text: &'a str,
    candidates: &'a [Candidate],
    scores: &'a BTreeMap<String, TextScores>,
    unprompted: Reading<'a>,
    policy: &'a Policy,
    /// Why calibrations do not cover the text.
    outside: Option<String>,
    /// By family: at every length that the text reaches, the accounts of each of the models.
    accounts: Vec<(Family, Vec<Vec<Account>>)>,
}

impl<'a> Case<'a> {
    fn judge(&mut self, candidate: &Candidate) -> Judged {
        let mut judged = Judged::untested(&candidate.author, candidate.set);
        judged.hypothesis.model = Some(candidate.model.clone());
        judged.hypothesis.decoding = Some(candidate.decoding.to_string());
        match self.policy.prompt {
            PromptKnowledge::Known => self.by_theorem(candidate, &mut judged),
            PromptKnowledge::Unknown => {
                let names = [candidate.author.as_str(), candidate.model.as_str()];
                let author = self.place(candidate);
                if author.is_some() {
                    self.by_calibration(&names, &candidate.decoding, author, &mut judged);
                }
            }
        }
        judged
    }

    fn judge_human(&mut self) -> Judged {
        let mut judged = Judged::untested(HUMAN, AuthorSet::Human);
        self.by_calibration(&[HUMAN], &Family::Deployed, None, &mut judged);
        judged
    }

    /// The calibrations for this family of the first of these names, then those of the next.
    fn calibrations(&self, names: &[&str], family: &str) -> Vec<&'a Calibration> {
        let calibrations: &'a [Calibration] = &self.policy.calibrations;
        let of = |name: &str| {
            let fits = move |calibration: &&Calibration| calibration.author == name && calibration.family == family;
            calibrations.iter().filter(fits).collect::<Vec<_>>()
        };
        names.iter().flat_map(|name| of(name)).collect()
    }

    /// The first calibration for one of these names and this family that knows the author's own model (`own`), or any where
    /// there is none, with [`Calibration::shared`]. Loaded models that it does not know have no part in the scores: which ones
    /// these are does not depend on the text.
    fn calibration(&self, names: &[&str], family: &Family, own: Option<usize>) -> Option<Calibrated<'a>> {
        let fitting = self.calibrations(names, &family.to_string()).into_iter();
        let mut with_models = fitting.map(|calibration| Calibrated {
            calibration,
            shared: calibration.shared(self.unprompted.models),
        });
        with_models.find(|found| match own {
            Some(own) => found.place(own).is_some(),
            None => !found.shared.is_empty(),
        })
    }

    /// Why the text lies outside the calibrations of all authors together: it is easier, or harder, to predict for one of the
    /// models than each of their texts. The text of an author that they cover is so in one or two of as many as there are.
    fn out_of_range(&mut self) -> Option<String> {
        let policy = self.policy;
        let of_models = self.candidates.iter().map(|candidate| {
            let names = [candidate.author.as_str(), candidate.model.as_str()];
            self.calibration(&names, &candidate.decoding, self.place(candidate))
        });
        let of_people = self.calibration(&[HUMAN], &Family::Deployed, None);
        let found: Vec<Calibrated> = of_models.chain([of_people]).flatten().collect();
        let text = self.accounts_under(&Family::Deployed);
        let of_length = |found: &Calibrated| {
            found
                .calibration
                .length_class(text.len(), policy.level_of_length(&found.calibration.author))
        };
        let classes = found.iter().map(of_length);
        let class = classes.min()??;
        let own: Vec<f64> = text[class].iter().map(|account| account.untruncated).collect();
        own.into_iter().zip(self.unprompted.models).enumerate().find_map(|(model, (own, known))| {
            let columns = found.iter().filter_map(|found| Some((found.calibration, found.column(model)?)));
            let others: Vec<f64> = columns
                .flat_map(|(calibration, column)| {
                    let accounts = calibration.accounts_at(class);
                    accounts.map(move |accounts| accounts[column].untruncated)
                })
                .collect();
            let than = match &others[..] {
                [] => return None,
                others if others.iter().all(|other| own > *other) => "easier",
                others if others.iter().all(|other| own < *other) => "harder",
                _ => return None,
            };
            Some(format!(
                "The text is {than} to predict for {} than every calibration text, as text that repeats itself or says nothing is.",
                known.name
            ))
        })
    }

    /// Where a candidate's model stands among the loaded ones.
    fn place(&self, candidate: &Candidate) -> Option<usize> {
        self.unprompted
            .models
            .iter()
            .position(|model| model.name == candidate.model)
    }

    /// The place of the text's score among those of the author's own texts, with this family of decodings: of the loaded
    /// model `own`, or of people where there is none.
    fn by_calibration(&mut self, names: &[&str], family: &Family, own: Option<usize>, judged: &mut Judged) {
        let policy = self.policy;
        let Some(found) = self.calibration(names, family, own) else {
            judged.uncalibrated = true;
            return;
        };
        if self.outside.is_some() {
            return;
        }
        let columns: Vec<usize> = found.shared.iter().map(|(_, column)| *column).collect();
        let text: Vec<Vec<Account>> = self
            .accounts_under(family)
            .iter()
            .map(|models| found.shared.iter().map(|(model, _)| models[*model]).collect())
            .collect();
        let others = self.others_known(&found).unwrap_or_default();
        let own = own.and_then(|own| found.place(own));
        let level = policy.level(&judged.hypothesis.author);
        let of_length = policy.level_of_length(&judged.hypothesis.author);
        let Some(found) = found.calibration.judge(&columns, &text, own, &others, level, of_length) else {
            // A text of fewer words than any calibration has is told to be too short.
            judged.too_few_known = text.len().checked_sub(1).map(|class| found.calibration.fewest(class));
            return;
        };
        judged.too_few_known = Some(found.fewest).filter(|&fewest| fewest < least_documents(level));
        let hypothesis = &mut judged.hypothesis;
        hypothesis.basis = Basis::Calibration;
        hypothesis.p_value = Some(found.p_value);
        hypothesis.retained = found.p_value > level;
        hypothesis.evidence.push(Evidence {
            test: Test::Conformal,
            ln_e_value: f64::NEG_INFINITY,
            statistic: found.score,
            threshold: found.threshold,
            closed_form_threshold: None,
            against: match found.compared {
                true => others.iter().map(|other| other.calibration.author.clone()).collect(),
                false => Vec::new(),
            },
            calibration: Some(CalibrationFigures {
                texts: found.texts,
                least_p_value: least_p_value(found.fewest),
                words: found.words,
                group: found.group,
            }),
        });
    }

    /// All authors but that of a calibration, as the models that it shares with this text read them; none where one of the
    /// authors has no calibration by all of these models, under the same family.
    fn others_known(&self, of: &Calibrated) -> Option<Vec<OtherAuthor<'a>>> {
        let models: Vec<&CalibratedModel> = of
            .shared
            .iter()
            .map(|(model, _)| &self.unprompted.models[*model])
            .collect();
        let known = |names: &[&str]| {
            let fitting = self.calibrations(names, &of.calibration.family);
            fitting.into_iter().find_map(|calibration| {
                let column = |model: &&CalibratedModel| calibration.models.iter().position(|known| known == *model);
                let columns = models.iter().map(column).collect::<Option<Vec<_>>>()?;
                Some(OtherAuthor { calibration, columns })
            })
        };
        let of_models = self.candidates.iter().map(|candidate| {
            let names = [candidate.author.as_str(), candidate.model.as_str()];
            known(&names)
        });
        let mut others: Vec<OtherAuthor> = Vec::new();
        for other in of_models.chain([known(&[HUMAN])]) {
            let other = other?;
            let taken = others.iter().map(|known| known.calibration).chain([of.calibration]);
            // Authors of one model may share a calibration.
            if taken.into_iter().all(|known| !std::ptr::eq(known, other.calibration)) {
                others.push(other);
            }
        }
        Some(others)
    }

    /// At every length that the text reaches, each model's account of it; none where a model did not score it.
    fn accounts_under(&mut self, family: &Family) -> &[Vec<Account>] {
        let place = match self.accounts.iter().position(|(known, _)| known == family) {
            Some(place) => place,
            None => {
                let decodings = members(family);
                let Reading { models, scores } = self.unprompted;
                let by_model: Vec<Vec<Account>> = models
                    .iter()
                    .filter_map(|model| scores.get(&model.name))
                    .map(|scores| accounts(beginning(self.text), scores, &decodings))
                    .collect();
                let complete = by_model.len() == self.unprompted.models.len();
                let reached = by_model.iter().map(Vec::len).min().unwrap_or(0);
                let by_length = (0..if complete { reached } else { 0 })
                    .map(|length| by_model.iter().map(|lengths| lengths[length]).collect())
                    .collect();
                self.accounts.push((family.clone(), by_length));
                self.accounts.len() - 1
            }
        };
        &self.accounts[place].1
    }

    /// The tests whose error a theorem bounds, the prompt being known.
    fn by_theorem(&self, candidate: &Candidate, judged: &mut Judged) {
        let Some(own) = self.scores.get(&candidate.model) else {
            return;
        };
        judged.hypothesis.basis = Basis::Prompt;
        judged.hypothesis.p_value = Some(1.0);
        // The gap is tested at one temperature without truncation; other hypotheses have the ratio alone.
        let beta = candidate.untruncated_beta().and_then(|beta| own.beta_index(beta));
        // So is the cross-entropy, against each model of the same vocabulary.
        let mut tests: Vec<(Test, Option<(&CrossScores, &Candidate)>)> = Vec::new();
        for &test in &self.policy.tests {
            match (test, beta) {
                (Test::EntropyGap | Test::EntropyGapVocab | Test::CrossEntropy, None) => {}
                (Test::CrossEntropy, Some(_)) => {
                    let crossed = self.crossed(candidate, own);
                    tests.extend(crossed.into_iter().map(|pair| (test, Some(pair))));
                }
                _ => tests.push((test, None)),
            }
        }
        // Each of k tests has a k-th of the level.
        let level = self.policy.alpha / tests.len().max(1) as f64;
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
                    judged.fewest_tokens = judged.fewest_tokens.into_iter().chain(gap.fewest_tokens).min();
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
                            let at_their_own = others.iter().filter_map(|other| self.scored(other));
                            let ratio = likelihood_ratio(self.text, (own, beta), &at_their_own.collect::<Vec<_>>());
                            (ratio.ln_e_value, ratio.outcome == Outcome::Word, ratio.void)
                        }
                        None => {
                            let others = others.iter().filter_map(|other| self.scores.get(&other.model));
                            let others: Vec<&TextScores> = others.collect();
                            let ratio = family_ratio(self.text, own, &candidate.decoding, &others, level);
                            (ratio.ln_e_value, true, ratio.void)
                        }
                    };
                    on_words |= words;
                    // With one model there is nothing to compare, and a text of no word is told to be too short.
                    let told = |reason: &RatioVoid| !matches!(reason, RatioVoid::NoNumerator | RatioVoid::NoOutcome);
                    judged.ratio_void = void.filter(told);
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
            judged.hypothesis.evidence.push(evidence);
        }
        let weighted: Vec<(f64, f64)> = judged.hypothesis.evidence.iter().map(|e| (e.ln_e_value, 1.0)).collect();
        if weighted.is_empty() {
            judged.hypothesis.basis = Basis::Untested;
            judged.hypothesis.p_value = None;
            return;
        }
        // An average of e-values is one only where they stop together: a ratio by words and a gap by tokens do not
        // (docs/THEORY.md 9).
        let ln_e = if on_words {
            ln_union(&weighted)
        } else {
            ln_average(&weighted)
        };
        judged.hypothesis.ln_e_value = Some(ln_e);
        judged.hypothesis.p_value = Some(p_value(ln_e));
        judged.hypothesis.retained = !rejects(ln_e, self.policy.alpha);
    }

    /// The candidates with another model, each model and decoding once.
    fn others(&self, candidate: &Candidate) -> Vec<&'a Candidate> {
        let mut others: Vec<&'a Candidate> = Vec::new();
        for other in self.candidates.iter().filter(|other| other.model != candidate.model) {
            if !others
                .iter()
                .any(|o| o.model == other.model && o.decoding == other.decoding)
            {
                others.push(other);
            }
        }
        others
    }

    /// The models that the candidate's surprisal of the text was compared with, each with a candidate that it stands for.
    /// Which those are does not depend on the text.
    fn crossed<'b>(&'b self, candidate: &Candidate, own: &'b TextScores) -> Vec<(&'b CrossScores, &'b Candidate)> {
        let mut crossed: Vec<(&CrossScores, &Candidate)> = Vec::new();
        let Some(beta) = candidate.untruncated_beta() else {
            return crossed;
        };
        for other in self.others(candidate) {
            let betas = (beta, other.untruncated_beta().unwrap_or(1.0));
            let found = own.cross.iter().find(|c| c.other == other.model && c.betas == betas);
            if let Some(found) = found.filter(|found| !crossed.iter().any(|(known, _)| std::ptr::eq(*known, *found))) {
                crossed.push((found, other));
            }
        }
        crossed
    }

    /// A candidate's model at its temperature, or as it is.
    fn scored(&self, candidate: &Candidate) -> Option<Scored<'_>> {
        let scores = self.scores.get(&candidate.model)?;
        let beta = candidate.untruncated_beta().unwrap_or(1.0);
        Some((scores, scores.beta_index(beta)?))
    }
}

/// Says that a text was longer than the `room` tokens that a model sees at once.
pub fn long_text_warning(model: &str, tokens: usize, room: usize) -> Warning {
    Warning {
        code: WarningCode::LongText,
        message: format!(
            "The text has {tokens} tokens and {model} was given {room} at a time, each part with the end of the one \
             before it. An author that saw more of its text while writing is judged a little too strictly."
        ),
    }
}

/// Tokens in a row that are looked at for a known text.
const KNOWN_STRETCH: usize = 40;
/// Mean surprisal of such a stretch, nat a token, below which a text may be known by heart. Genesis, the Gettysburg
/// Address and the opening of A Tale of Two Cities have 0.3 to 0.55 under gemma-3-270m; docs/VALIDITY.md has the share of
/// other texts.
const KNOWN_BELOW: f64 = 0.6;

/// Says that a stretch of the text is as predictable to a model as one that it learnt by heart.
fn memorised(scores: &BTreeMap<String, TextScores>) -> Option<Warning> {
    let least = |scores: &TextScores| -> Option<f64> {
        let beta = scores.beta_index(1.0)?;
        let surprisals: Vec<f64> = scores.at(beta).map(|stats| stats.surprisal).collect();
        let means = surprisals
            .windows(KNOWN_STRETCH)
            .map(|stretch| stretch.iter().sum::<f64>());
        means.min_by(f64::total_cmp).map(|sum| sum / KNOWN_STRETCH as f64)
    };
    let known: Vec<&str> = scores
        .iter()
        .filter(|(_, scores)| least(scores).is_some_and(|mean| mean < KNOWN_BELOW))
        .map(|(model, _)| model.as_str())
        .collect();
    (!known.is_empty()).then(|| Warning {
        code: WarningCode::Memorised,
        message: format!(
            "A part of the text is so predictable to {} that it may be a well-known text, which looks machine-made to \
             every model that has learnt it by heart; or it repeats itself. Search for it before you conclude anything.",
            known.join(" and ")
        ),
    })
}

/// Says that no test could have decided, and how much text it would take.
fn too_short(judged: &[Judged], scored: usize, words: usize, calibrated: bool) -> Option<String> {
    if scored == 0 {
        return Some("The text is too short: no model could score a token of it.".to_owned());
    }
    if calibrated {
        return (words < LENGTHS[0]).then(|| {
            format!(
                "The text has {words} words; no calibration text has fewer than {}: take a longer text.",
                LENGTHS[0]
            )
        });
    }
    let needed = judged.iter().filter_map(|j| j.fewest_tokens).max()?;
    (scored < needed).then(|| {
        format!(
            "The text has {scored} scored tokens. The entropy gap decides on no text like it of fewer than {needed}, \
             and the likelihood ratio seldom does: take a longer text."
        )
    })
}

/// A model's figures of a text, for the report. `model` is the model as it scored the text.
pub fn figures(scores: &TextScores, model: CalibratedModel, per_token: bool) -> Option<ModelFigures> {
    let beta = scores.beta_index(1.0)?;
    let n = scores.scored();
    let mean = |f: &dyn Fn(usize, &crate::scoring::TokenStats) -> f64| {
        scores.at(beta).enumerate().map(|(i, stats)| f(i, stats)).sum::<f64>() / n as f64
    };
    let scored_spans = scores.spans.get(scores.first_scored..).unwrap_or_default();
    let bytes = match (scored_spans.first(), scored_spans.last()) {
        (Some(first), Some(last)) => last.end - first.start,
        _ => 0,
    };
    let log_perplexity = mean(&|_, stats| stats.surprisal);
    let token = |i: usize| {
        let row = i.checked_sub(scores.first_scored);
        let stats = row.and_then(|row| scores.at(beta).nth(row));
        TokenFigures {
            start: scores.spans[i].start,
            end: scores.spans[i].end,
            id: scores.ids[i],
            surprisal: stats.map(|s| s.surprisal),
            entropy: stats.map(|s| s.entropy),
            varentropy: stats.map(|s| s.varentropy),
            rank: row.and_then(|row| scores.ranks.get(row).copied()),
        }
    };
    Some(ModelFigures {
        tokens: scores.ids.len(),
        scored_tokens: n,
        log_perplexity,
        entropy: mean(&|_, stats| stats.entropy),
        varentropy: mean(&|_, stats| stats.varentropy),
        mean_log_rank: mean(&|i, _| f64::from(scores.ranks[i]).ln()),
        bits_per_byte: log_perplexity * n as f64 / std::f64::consts::LN_2 / bytes as f64,
        sha256: Some(model.sha256),
        request: model.request,
        per_token: per_token.then(|| (0..scores.ids.len()).map(token).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{TILT_COUNT, TokenStats};

    fn scores(surprisals: impl Iterator<Item = f64>) -> BTreeMap<String, TextScores> {
        let stats: Vec<TokenStats> = surprisals
            .map(|surprisal| TokenStats {
                surprisal,
                entropy: 1.0,
                varentropy: 1.0,
                ln_space_mass: 0.0,
                cgf: [0.0; TILT_COUNT],
            })
            .collect();
        let scores = TextScores {
            model: "toy".into(),
            vocab: 9,
            symbols: [0; 32],
            ids: vec![0; stats.len()],
            spans: (0..stats.len()).map(|i| i..i + 1).collect(),
            first_scored: 0,
            betas: vec![1.0],
            ranks: vec![1; stats.len()],
            stats,
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
        };
        BTreeMap::from([("toy".to_owned(), scores)])
    }

    #[test]
    fn a_stretch_known_by_heart_is_told_wherever_it_stands() {
        let known = |from: usize| scores((0..200).map(move |i| if (from..from + 45).contains(&i) { 0.4 } else { 3.0 }));
        for from in [0, 77, 155] {
            assert_eq!(
                memorised(&known(from)).map(|warning| warning.code),
                Some(WarningCode::Memorised)
            );
        }
        assert!(memorised(&scores((0..200).map(|i| f64::from(i % 7)))).is_none());
        assert!(memorised(&scores((0..30).map(|_| 0.1))).is_none());
    }
}
