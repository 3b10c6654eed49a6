//! From evidence to a confidence set: figures alone come in, a decision goes out.
//!
//! An [`Observation`] is all that is known of one text. [`decide`] tests every [`Candidate`] and a person against it and
//! keeps those that the evidence does not exclude. Nothing here has a tensor, a model, a terminal or a sentence.

mod by_calibration;
mod by_theorem;
mod caveats;
mod decide;
mod domain_check;
mod hypothesis;
mod observation;
mod settings;

pub use caveats::{Caveat, HumanUntested, Outside, TooShort};
pub use decide::{Decision, decide};
pub use domain_check::{DomainCheck, OutsideDomain};
pub use hypothesis::{AuthorSet, Basis, CalibrationFigures, Candidate, Evidence, Hypothesis, Test, Verdict};
pub use observation::{Observation, Prompted, Unprompted};
pub use settings::{ALPHA, DecisionSettings, HUMAN_DIVISOR, PromptKnowledge};
