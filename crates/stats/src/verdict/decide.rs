//! From the observation of a text to a confidence set of authors.

use super::caveats::{Caveat, HumanUntested, Outside, TooShort};
use super::hypothesis::{AuthorSet, Basis, Candidate, Hypothesis, Verdict};
use super::observation::Observation;
use super::settings::{DecisionSettings, PromptKnowledge};
use crate::calibration::{HUMAN, least_documents};
use crate::conformal_scores::LENGTHS;
use crate::likelihood_ratio::RatioVoid;
use crate::sampling_params::SamplingFamily;

/// The result of the tests on a text.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The authors that remain.
    pub authors: Vec<String>,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// What the reader must know.
    pub caveats: Vec<Caveat>,
}

impl Decision {
    /// The decision on what could not be read: it tests nobody.
    pub fn unable() -> Self {
        Self {
            verdict: Verdict::Unable,
            authors: Vec::new(),
            hypotheses: Vec::new(),
            caveats: Vec::new(),
        }
    }
}

/// The confidence set of authors: every author that the evidence has not excluded.
///
/// An author is excluded by the evidence against that author alone, wrongly with probability at most `settings.alpha`,
/// or `settings.alpha_human` for a person. So if the true author is among the candidates and sampled as stated, the set
/// contains it with probability at least one less this level, however many other authors are considered (docs/THEORY.md
/// 14).
///
/// A candidate whose model did not score the text remains in the set. So does one of whose later pieces no calibration is
/// known, if the text is a later piece.
pub fn decide(observation: &Observation, candidates: &[Candidate], settings: &DecisionSettings) -> Decision {
    let mut context = DecisionContext {
        observation,
        candidates,
        settings,
        outside: observation.outside_domain(),
    };
    if context.outside.is_none() {
        context.outside = context.out_of_range();
    }
    let models: Vec<TestedHypothesis> = candidates.iter().map(|candidate| context.judge(candidate)).collect();
    let mut human = context.judge_human();
    // A known text looks machine-made to every model that knows it by heart, and a person wrote most of them. So does a
    // text that repeats itself, whoever wrote it.
    human.hypothesis.retained |= !observation.memorised.is_empty() || observation.repeats;
    let caveats = context.caveats(&models, &human);
    let hypotheses: Vec<Hypothesis> = models.into_iter().chain([human]).map(|j| j.hypothesis).collect();
    let (verdict, authors) = answer(&hypotheses, observation.scored_tokens > 0);
    Decision {
        verdict,
        authors,
        hypotheses,
        caveats,
    }
}

/// The answer, and the authors that remain; none if the text cannot be judged.
pub(super) fn answer(hypotheses: &[Hypothesis], able: bool) -> (Verdict, Vec<String>) {
    let left = hypotheses.iter().filter(|h| able && h.retained);
    let authors: Vec<String> = left.map(|h| h.author.clone()).collect();
    let verdict = match authors.len() {
        _ if !able => Verdict::Unable,
        0 => Verdict::Unknown,
        1 => Verdict::Attributed,
        _ => Verdict::Undecided,
    };
    (verdict, authors)
}

/// A hypothesis with what the caveats need.
pub(super) struct TestedHypothesis {
    pub(super) hypothesis: Hypothesis,
    pub(super) ratio_void: Option<RatioVoid>,
    /// The least number of tokens that the entropy gap would need on a text like this one.
    pub(super) fewest_tokens: Option<usize>,
    /// There is no calibration to test it with.
    pub(super) uncalibrated: bool,
    /// There is a calibration, but this is how few documents of the text's length its smallest group has: too few to
    /// exclude it.
    pub(super) fewest_documents: Option<usize>,
}

impl TestedHypothesis {
    /// An author before any evidence: it remains.
    fn untested(author: &str, set: AuthorSet) -> Self {
        Self {
            hypothesis: Hypothesis::untested(author, set),
            ratio_void: None,
            fewest_tokens: None,
            uncalibrated: false,
            fewest_documents: None,
        }
    }
}

/// One text, and what the tests of all hypotheses on it share.
pub(super) struct DecisionContext<'a> {
    pub(super) observation: &'a Observation<'a>,
    pub(super) candidates: &'a [Candidate],
    pub(super) settings: &'a DecisionSettings,
    /// Why no calibration covers the text.
    pub(super) outside: Option<Outside>,
}

impl<'a> DecisionContext<'a> {
    fn judge(&self, candidate: &Candidate) -> TestedHypothesis {
        let mut tested = TestedHypothesis::untested(&candidate.author, candidate.set);
        tested.hypothesis.model.clone_from(&candidate.model);
        if candidate.model.is_none() {
            // Nobody can say how such an author answers a prompt.
            self.by_calibration(&[&candidate.author], &SamplingFamily::Deployed, None, &mut tested);
            return tested;
        }
        tested.hypothesis.decoding = Some(candidate.decoding.to_string());
        if let Some(prompted) = self.observation.prompted {
            self.by_theorem(prompted, candidate, &mut tested);
        } else if self.settings.prompt == PromptKnowledge::Unknown {
            let reader = self.place(candidate);
            if reader.is_some() {
                let names: Vec<&str> = candidate.names().collect();
                self.by_calibration(&names, &candidate.decoding, reader, &mut tested);
            }
        }
        tested
    }

    fn judge_human(&self) -> TestedHypothesis {
        let mut tested = TestedHypothesis::untested(HUMAN, AuthorSet::Human);
        self.by_calibration(&[HUMAN], &SamplingFamily::Deployed, None, &mut tested);
        tested
    }

    /// What the reader must know, in the order in which it is read.
    fn caveats(&self, models: &[TestedHypothesis], human: &TestedHypothesis) -> Vec<Caveat> {
        let calibrated = self.observation.prompted.is_none();
        let those = |of: &dyn Fn(&TestedHypothesis) -> bool| -> Vec<String> {
            let authors = models.iter().filter(|j| of(j));
            authors.map(|j| j.hypothesis.author.clone()).collect()
        };
        let mut caveats = Vec::new();
        caveats.extend(models.iter().find_map(|j| j.ratio_void).map(Caveat::RatioVoid));
        let untested = |j: &TestedHypothesis| {
            let has_model = j.hypothesis.model.is_some();
            has_model && j.hypothesis.basis == Basis::Untested && !j.uncalibrated && j.fewest_documents.is_none()
        };
        let authors = those(&untested);
        if !calibrated && !authors.is_empty() {
            caveats.push(Caveat::Untested { authors });
        }
        let authors = those(&|j| j.uncalibrated && j.hypothesis.model.is_some());
        if !authors.is_empty() {
            caveats.push(Caveat::Uncalibrated { authors });
        }
        let authors = those(&|j| j.uncalibrated && j.hypothesis.model.is_none());
        if !authors.is_empty() {
            caveats.push(Caveat::ReadByOthers { authors });
        }
        let authors = self.read_by_fewer();
        if !authors.is_empty() {
            caveats.push(Caveat::ReadByFewer { authors });
        }
        for tested in models.iter().chain([human]) {
            let author = &tested.hypothesis.author;
            let level = self.settings.level(author);
            let confidence = self.settings.calibrations.confidence();
            caveats.extend(tested.fewest_documents.map(|fewest| Caveat::SmallCalibration {
                author: author.clone(),
                level,
                confidence,
                needed: least_documents(level, confidence),
                fewest,
            }));
        }
        match &self.outside {
            // The theorems hold without a calibration, and may exclude every model, so that only a person remains.
            Some(_) if !calibrated => caveats.push(Caveat::HumanUntested(HumanUntested::OutsideCalibration)),
            _ if human.uncalibrated => caveats.push(Caveat::HumanUntested(HumanUntested::NoCalibration)),
            _ => {}
        }
        caveats.extend(self.outside.clone().map(Caveat::Outside));
        if !self.observation.memorised.is_empty() {
            let models = self.observation.memorised.clone();
            caveats.push(Caveat::Memorised { models });
        }
        if self.observation.repeats {
            caveats.push(Caveat::Repeats);
        }
        if models.iter().chain([human]).any(|j| j.hypothesis.retained) {
            caveats.extend(self.too_short(models).map(Caveat::TooShort));
        }
        caveats
    }

    /// Whether no test could have decided, and how much text it would take.
    fn too_short(&self, models: &[TestedHypothesis]) -> Option<TooShort> {
        let Observation {
            words,
            scored_tokens: scored,
            ..
        } = *self.observation;
        if scored == 0 {
            return Some(TooShort::NoTokens);
        }
        if self.observation.prompted.is_none() {
            let least = LENGTHS[0];
            return (words < least).then_some(TooShort::FewWords { words, least });
        }
        let needed = models.iter().filter_map(|j| j.fewest_tokens).max()?;
        (scored < needed).then_some(TooShort::FewTokens { scored, needed })
    }
}
