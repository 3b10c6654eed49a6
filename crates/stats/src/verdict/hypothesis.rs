//! The possible authors of a text, the result of each test, and the answer.

use crate::sampling_params::SamplingFamily;
use serde::{Deserialize, Serialize};

/// The set that an author belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorSet {
    /// In-house models.
    A,
    /// Models that are not sanctioned.
    B,
    /// A person.
    Human,
}

/// A possible author of the text: a model, sampled in one of the ways of a family, or somebody known by texts alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The author's name.
    pub author: String,
    /// A or B.
    pub set: AuthorSet,
    /// The name of the model that stands for the author; none if it is known by its texts alone.
    pub model: Option<String>,
    /// How the author is assumed to have sampled.
    pub decoding: SamplingFamily,
}

impl Candidate {
    /// The inverse temperature, if the author is assumed to have sampled at one temperature without truncation.
    pub fn untruncated_beta(&self) -> Option<f64> {
        match &self.decoding {
            SamplingFamily::Stated(params, hottest)
                if !params.truncates() && params.repetition_penalty == 1.0 && *hottest == params.temperature =>
            {
                Some(params.beta())
            }
            _ => None,
        }
    }

    /// The names under which a calibration of this author is looked up: the author's own first, then its model's.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.author].into_iter().chain(&self.model).map(String::as_str)
    }
}

/// The four answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// One author remains.
    Attributed,
    /// Several authors remain.
    Undecided,
    /// Every author was excluded.
    Unknown,
    /// The text could not be judged.
    Unable,
}

/// The tests that can exclude an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Entropy gap, with the exact conditional cumulants of the model (e-process).
    EntropyGap,
    /// Entropy gap, with the closed-form bound that needs the vocabulary's size only.
    EntropyGapVocab,
    /// The surprisal under another model of the same vocabulary, against what the author expects it to be (e-process).
    CrossEntropy,
    /// Likelihood ratio of the other models, and of the author's own at other temperatures, against the author.
    LikelihoodRatio,
    /// The rank of the text's score among the scores of texts that the author is known to have written.
    Conformal,
}

impl Test {
    /// The tests to choose from if the prompt is known. The conformal test is not a choice: it applies whenever there
    /// is a calibration.
    pub const CHOICES: [Self; 4] = [
        Self::EntropyGap,
        Self::EntropyGapVocab,
        Self::CrossEntropy,
        Self::LikelihoodRatio,
    ];

    /// The name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::EntropyGap => "entropy-gap",
            Self::EntropyGapVocab => "entropy-gap-vocab",
            Self::CrossEntropy => "cross-entropy",
            Self::LikelihoodRatio => "likelihood-ratio",
            Self::Conformal => "conformal",
        }
    }
}

/// What a hypothesis' p-value rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The prompt is known, so the theorems hold for this very text.
    Prompt,
    /// Texts that the author is known to have written.
    Calibration,
    /// Nothing: the author is not tested, and remains.
    Untested,
}

/// The evidence of one test against one author.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// The test.
    pub test: Test,
    /// Natural logarithm of the e-value; minus infinity (null in JSON) when the test is void.
    pub ln_e_value: f64,
    /// Entropy gap: log-perplexity less entropy, nat a token. Cross-entropy: log-perplexity under the other model less
    /// the cross-entropy that the author expects, nat a token. Likelihood ratio: log ratio in nats.
    /// Conformal: the score, as [`Conformal::score`](crate::calibration::Conformal::score) has it.
    pub statistic: f64,
    /// By this test alone, at its share of alpha, the author is excluded when the statistic (entropy gap and
    /// cross-entropy: its absolute value) reaches this.
    pub threshold: f64,
    /// Cross-entropy: the absolute value of the statistic at which the closed form, at the same share of alpha, would
    /// exclude the author; none if no value would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_form_threshold: Option<f64>,
    /// Likelihood ratio: the authors whose models form the numerator. Cross-entropy: the author whose model's surprisal
    /// is tested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
    /// The calibration texts behind a conformal p-value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationFigures>,
}

/// The calibration texts behind a conformal p-value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationFigures {
    /// The number of texts.
    pub texts: usize,
    /// The least p-value that a text can have, given the smallest group.
    pub least_p_value: f64,
    /// How many documents of the smallest group are compared.
    #[serde(skip)]
    pub documents: usize,
    /// The length in words that each of them, and the text itself, was cut to.
    pub words: usize,
    /// The group nearest to the text.
    pub group: String,
    /// What the fit alone tells about the p-value: [`Conformal::by_fit`](crate::calibration::Conformal::by_fit).
    #[serde(skip)]
    pub by_fit: Option<f64>,
}

/// One author, and whether the evidence excludes it.
#[derive(Clone, Debug, Serialize)]
pub struct Hypothesis {
    /// The author's name.
    pub author: String,
    /// The set it belongs to.
    pub set: AuthorSet,
    /// The model that stands for the author; none for a person, and for an author who is known by texts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the author's model is assumed to have sampled, as `--decoding` reads it; none if there is no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding: Option<String>,
    /// What the p-value rests on.
    pub basis: Basis,
    /// Whether the author remains in the confidence set.
    pub retained: bool,
    /// Upper bound on the probability of evidence this strong if the author wrote the text; none if nothing tests it.
    pub p_value: Option<f64>,
    /// Natural logarithm of the combined evidence; see [`decide`](super::decide).
    pub ln_e_value: Option<f64>,
    /// Whether later pieces of a text test the author: its calibration has texts that they can be compared with. This does
    /// not depend on the text.
    #[serde(skip)]
    pub later_known: bool,
    /// The number of pieces of the text that the p-value rests on.
    #[serde(skip_serializing_if = "is_one")]
    pub pieces: usize,
    /// Test by test; of several pieces, for the one that decides.
    pub evidence: Vec<Evidence>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(pieces: &usize) -> bool {
    *pieces == 1
}

impl Hypothesis {
    /// An author before any evidence: it remains.
    pub(super) fn untested(author: &str, set: AuthorSet) -> Self {
        Self {
            author: author.to_owned(),
            set,
            model: None,
            decoding: None,
            basis: Basis::Untested,
            retained: true,
            p_value: None,
            ln_e_value: None,
            later_known: false,
            pieces: 1,
            evidence: Vec::new(),
        }
    }

    /// The least p-value that the author can have, given its calibration. A test by theorem has no least p-value.
    pub fn least_p_value(&self) -> f64 {
        self.places().map(|place| place.least_p_value).fold(0.0, f64::max)
    }

    /// The calibrations that it is compared with.
    pub fn places(&self) -> impl Iterator<Item = &CalibrationFigures> {
        self.evidence
            .iter()
            .filter_map(|evidence| evidence.calibration.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_reads_the_name_that_it_serialises_to() {
        for test in Test::CHOICES {
            assert_eq!(serde_json::to_value(test).unwrap(), test.name());
        }
    }
}
