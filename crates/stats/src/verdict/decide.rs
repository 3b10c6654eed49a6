//! From what is known of a text to a confidence set of authors.

use super::caveats::{Caveat, HumanUntested, Outside, TooShort};
use super::hypothesis::{AuthorSet, Basis, Candidate, Hypothesis, Verdict};
use super::observation::Observation;
use super::settings::{DecisionSettings, PromptKnowledge};
use crate::calibration::{HUMAN, least_documents};
use crate::conformal_scores::LENGTHS;
use crate::likelihood_ratio::RatioVoid;
use crate::sampling_params::SamplingFamily;

/// What the tests say of a text.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The authors that are left.
    pub authors: Vec<String>,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// What the reader must know.
    pub caveats: Vec<Caveat>,
}

/// The confidence set of authors: every author that the evidence has not excluded.
///
/// An author's own evidence alone can exclude it, and does so wrongly with probability at most `settings.alpha`, or
/// `settings.alpha_human` for a person. So if the true author is among the candidates and sampled as they say, it is in the
/// set with probability at least one less this level, however many others are considered (docs/THEORY.md 14).
///
/// A candidate whose model did not score the text stays in the set.
pub fn decide(observation: &Observation, candidates: &[Candidate], settings: &DecisionSettings) -> Decision {
    let mut case = Case {
        observation,
        candidates,
        settings,
        outside: observation.outside_domain(),
    };
    if case.outside.is_none() {
        case.outside = case.out_of_range();
    }
    let models: Vec<Judged> = candidates.iter().map(|candidate| case.judge(candidate)).collect();
    let human = case.judge_human();
    let caveats = case.caveats(&models, &human);
    let hypotheses: Vec<Hypothesis> = models.into_iter().chain([human]).map(|j| j.hypothesis).collect();
    let able = observation.scored_tokens > 0;
    let left = hypotheses.iter().filter(|h| able && h.retained);
    let authors: Vec<String> = left.map(|h| h.author.clone()).collect();
    let verdict = match authors.len() {
        _ if !able => Verdict::Unable,
        0 => Verdict::Unknown,
        1 => Verdict::Attributed,
        _ => Verdict::Undecided,
    };
    Decision {
        verdict,
        authors,
        hypotheses,
        caveats,
    }
}

/// A hypothesis with what the caveats need.
pub(super) struct Judged {
    pub(super) hypothesis: Hypothesis,
    pub(super) ratio_void: Option<RatioVoid>,
    /// The least number of tokens that the entropy gap would need on a text like this one.
    pub(super) fewest_tokens: Option<usize>,
    /// There is no calibration that it could be tested with.
    pub(super) uncalibrated: bool,
    /// There is one, but its smallest group has this few documents of the text's length, too few to exclude it.
    pub(super) too_few_known: Option<usize>,
}

impl Judged {
    /// An author before any evidence: it stays.
    fn untested(author: &str, set: AuthorSet) -> Self {
        Self {
            hypothesis: Hypothesis::untested(author, set),
            ratio_void: None,
            fewest_tokens: None,
            uncalibrated: false,
            too_few_known: None,
        }
    }
}

/// One text, and what its hypotheses share.
pub(super) struct Case<'a> {
    pub(super) observation: &'a Observation<'a>,
    pub(super) candidates: &'a [Candidate],
    pub(super) settings: &'a DecisionSettings,
    /// Why no calibration covers the text.
    pub(super) outside: Option<Outside>,
}

impl<'a> Case<'a> {
    fn judge(&self, candidate: &Candidate) -> Judged {
        let mut judged = Judged::untested(&candidate.author, candidate.set);
        judged.hypothesis.model = Some(candidate.model.clone());
        judged.hypothesis.decoding = Some(candidate.decoding.to_string());
        if let Some(prompted) = self.observation.prompted {
            self.by_theorem(prompted, candidate, &mut judged);
        } else {
            let reader = self.place(candidate);
            if reader.is_some() {
                self.by_calibration(&candidate.names(), &candidate.decoding, reader, &mut judged);
            }
        }
        judged
    }

    fn judge_human(&self) -> Judged {
        let mut judged = Judged::untested(HUMAN, AuthorSet::Human);
        self.by_calibration(&[HUMAN], &SamplingFamily::Deployed, None, &mut judged);
        judged
    }

    /// What the reader must know, in the order in which it is read.
    fn caveats(&self, models: &[Judged], human: &Judged) -> Vec<Caveat> {
        let calibrated = self.settings.prompt == PromptKnowledge::Unknown;
        let those = |of: &dyn Fn(&Judged) -> bool| -> Vec<String> {
            let authors = models.iter().filter(|j| of(j));
            authors.map(|j| j.hypothesis.author.clone()).collect()
        };
        let mut caveats = Vec::new();
        caveats.extend(models.iter().find_map(|j| j.ratio_void).map(Caveat::RatioVoid));
        let untested =
            |j: &Judged| j.hypothesis.basis == Basis::Untested && !j.uncalibrated && j.too_few_known.is_none();
        let authors = those(&untested);
        if !calibrated && !authors.is_empty() {
            caveats.push(Caveat::Untested { authors });
        }
        let authors = those(&|j| j.uncalibrated);
        if !authors.is_empty() {
            caveats.push(Caveat::Uncalibrated { authors });
        }
        for judged in models.iter().chain([human]) {
            let author = &judged.hypothesis.author;
            let level = self.settings.level(author);
            caveats.extend(judged.too_few_known.map(|fewest| Caveat::SmallCalibration {
                author: author.clone(),
                level,
                needed: least_documents(level),
                fewest,
            }));
        }
        match &self.outside {
            // The theorems hold without the calibration, and may leave a person alone.
            Some(_) if !calibrated => caveats.push(Caveat::HumanUntested(HumanUntested::OutsideCalibration)),
            _ if human.uncalibrated => caveats.push(Caveat::HumanUntested(HumanUntested::NoCalibration)),
            _ => {}
        }
        caveats.extend(self.outside.clone().map(Caveat::Outside));
        if !self.observation.memorised.is_empty() {
            let models = self.observation.memorised.clone();
            caveats.push(Caveat::Memorised { models });
        }
        if models.iter().chain([human]).any(|j| j.hypothesis.retained) {
            caveats.extend(self.too_short(models).map(Caveat::TooShort));
        }
        caveats
    }

    /// Whether no test could have decided, and how much text it would take.
    fn too_short(&self, models: &[Judged]) -> Option<TooShort> {
        let Observation {
            words,
            scored_tokens: scored,
            ..
        } = *self.observation;
        if scored == 0 {
            return Some(TooShort::NoTokens);
        }
        if self.settings.prompt == PromptKnowledge::Unknown {
            let least = LENGTHS[0];
            return (words < least).then_some(TooShort::FewWords { words, least });
        }
        let needed = models.iter().filter_map(|j| j.fewest_tokens).max()?;
        (scored < needed).then_some(TooShort::FewTokens { scored, needed })
    }
}
