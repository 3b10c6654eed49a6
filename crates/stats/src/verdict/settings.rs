//! How verdicts are reached: the levels, the tests, and the texts of known authors.

use super::hypothesis::Test;
use crate::calibration::{Calibrations, HUMAN};

/// The level at which models are excluded, unless the user says otherwise.
pub const ALPHA: f64 = 0.05;

/// The level for a person is this many times lower: whoever excludes a person accuses somebody.
pub const HUMAN_DIVISOR: f64 = 5.0;

/// What is known of the prompt that the text may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKnowledge {
    /// The models scored the text after its prompt (or there was none).
    Known,
    /// Nothing: models are tested against texts that they are known to have written.
    Unknown,
}

/// How verdicts are reached.
#[derive(Clone, Debug)]
pub struct DecisionSettings {
    /// The level at which models are excluded.
    pub alpha: f64,
    /// The level at which a person is excluded.
    pub alpha_human: f64,
    /// The level that several texts judged together must reach. Each text is then compared at a length with enough
    /// calibration texts, if there is one. None if each text is judged by itself, at the levels above.
    pub alpha_together: Option<f64>,
    /// The tests that may exclude a model if the prompt is known, each once.
    pub tests: Vec<Test>,
    /// What is known of the prompt.
    pub prompt: PromptKnowledge,
    /// Calibrations, from texts by known authors. If one author has several, the first that has a loaded model is used;
    /// the author's own come before its model's.
    pub calibrations: Calibrations,
}

impl DecisionSettings {
    /// The level that decides at which length an author is judged.
    pub(super) fn level_of_length(&self, author: &str) -> f64 {
        self.alpha_together.unwrap_or_else(|| self.level(author))
    }

    /// The level at which an author is excluded.
    pub(super) fn level(&self, author: &str) -> f64 {
        if author == HUMAN { self.alpha_human } else { self.alpha }
    }
}
