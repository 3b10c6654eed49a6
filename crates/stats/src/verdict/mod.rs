//! From evidence to a confidence set: figures come in, a decision comes out.
//!
//! An [`Observation`] is everything that is known about one text. [`decide`] tests it against every [`Candidate`] and a
//! person, and keeps those that the evidence does not exclude. Nothing here has a tensor, a model, a terminal or a
//! sentence.

mod by_calibration;
mod by_theorem;
mod caveats;
mod decide;
mod domain_check;
mod hypothesis;
mod observation;
mod settings;
mod whole;

pub use caveats::{Caveat, HumanUntested, Outside, TooShort};
pub use decide::{Decision, decide};
pub use domain_check::{DomainCheck, OutsideDomain};
pub use hypothesis::{AuthorSet, Basis, CalibrationFigures, Candidate, Evidence, Hypothesis, Test, Verdict};
pub use observation::{Observation, Prompted, Unprompted};
pub use settings::{ALPHA, DecisionSettings, HUMAN_DIVISOR, PromptKnowledge};
pub use whole::{WholeDecision, decide_whole};
