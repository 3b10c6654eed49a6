//! The default models as authors.

use whowrote::stats::calibration::Calibration;
use whowrote::stats::sampling_params::SamplingFamily;
use whowrote::stats::verdict::{ALPHA, AuthorSet, Candidate, HUMAN_DIVISOR, Policy, PromptKnowledge, Test};

/// Each model as an author of its own name, the first in set A and the second in set B.
pub fn candidates(models: [&str; 2], decoding: &SamplingFamily) -> Vec<Candidate> {
    let with_sets = models.iter().zip([AuthorSet::A, AuthorSet::B]);
    with_sets
        .map(|(name, set)| Candidate {
            author: (*name).to_owned(),
            set,
            model: (*name).to_owned(),
            decoding: decoding.clone(),
        })
        .collect()
}

/// The default levels, with these tests where the prompt is known, and with these calibrations where it is not.
pub fn policy(prompt: PromptKnowledge, tests: &[Test], calibrations: Vec<Calibration>) -> Policy {
    Policy {
        alpha: ALPHA,
        alpha_human: ALPHA / HUMAN_DIVISOR,
        alpha_together: None,
        tests: tests.to_vec(),
        prompt,
        calibrations,
    }
}
